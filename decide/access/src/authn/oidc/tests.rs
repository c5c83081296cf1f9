use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

use super::*;

const URL: &str = "https://issuer.example";

fn now() -> Timestamp {
    "2026-11-28T00:00:00Z".parse().unwrap()
}

fn flags() -> Flags {
    Flags {
        issuer_url: Some(URL.into()),
        client_id: Some("sampan".into()),
        groups_claim: Some("groups".into()),
        groups_prefix: Some("idp:".into()),
        ..Flags::default()
    }
}

fn issuer(flags: Flags) -> Issuer {
    flags.issuer().unwrap().unwrap()
}

/// Claims of alice, who may come in for ten minutes, with others.
fn claims(others: Value) -> Value {
    let end = now().as_second() + 600;
    let mut claims = json!({"iss": URL, "aud": "sampan", "sub": "alice", "exp": end});
    if let Value::Object(others) = others {
        claims.as_object_mut().unwrap().extend(others);
    }
    claims
}

fn written(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!(
        "{}.{}.{}",
        part(header),
        part(claims),
        URL_SAFE_NO_PAD.encode("signature")
    )
}

fn keys(id: &str) -> Vec<Key> {
    let set = json!({"keys": [{"kty": "RSA", "kid": id, "n": "AQAB", "e": "AQAB"}]});
    read_keys(set.to_string().as_bytes()).unwrap()
}

/// Who is named when the signature is good.
fn user(issuer: &Issuer, claims: &Value) -> Result<User, String> {
    let token = written(&json!({"alg": "RS256", "kid": "a"}), claims);
    let token = issuer.read(&token).expect("its own")?;
    let claims = token.verify(&keys("a"), |_, _, _, _| true).unwrap();
    issuer.user_of(&claims, now())
}

fn refusal(others: Value) -> String {
    user(&issuer(flags()), &claims(others)).unwrap_err()
}

#[test]
fn claims_name_a_user_with_groups() {
    let issuer = issuer(flags());
    let told = json!({"groups": ["dev", "ops"], "jti": "7", "aud": ["other", "sampan"]});
    let alice = user(&issuer, &claims(told)).unwrap();
    assert_eq!(alice.name, "https://issuer.example#alice");
    assert_eq!(alice.groups, ["idp:dev", "idp:ops", "system:authenticated"]);
    assert_eq!(alice.extra[user::CREDENTIAL_ID], ["JTI=7"]);
    let one = user(&issuer, &claims(json!({"groups": "dev"}))).unwrap();
    assert_eq!(one.groups, ["idp:dev", "system:authenticated"]);
    for none in [json!({}), json!({"groups": null}), json!({"groups": []})] {
        let none = user(&issuer, &claims(none)).unwrap();
        assert_eq!(none.groups, ["system:authenticated"]);
    }
    let why = "oidc: parse groups claim \"groups\": json: cannot unmarshal array into Go value of type string";
    assert_eq!(refusal(json!({"groups": ["dev", 1]})), why);
    let plain = Flags {
        groups_claim: None,
        ..flags()
    };
    let unnamed = user(
        &self::issuer(plain),
        &claims(json!({"groups": 7, "": "root"})),
    );
    assert_eq!(unnamed.unwrap().groups, ["system:authenticated"]);
}

#[test]
fn an_address_that_is_said_to_be_unverified_names_nobody() {
    let issuer = issuer(Flags {
        username_claim: Some("email".into()),
        ..flags()
    });
    let with = |others| user(&issuer, &claims(others)).map(|user| user.name);
    let name = Ok("a@b.c".to_owned());
    assert_eq!(with(json!({"email": "a@b.c"})), name);
    assert_eq!(
        with(json!({"email": "a@b.c", "email_verified": true})),
        name
    );
    for unverified in [json!(false), Value::Null, json!("true"), json!(1)] {
        let claims = json!({"email": "a@b.c", "email_verified": unverified});
        assert!(with(claims).is_err(), "{unverified}");
    }
    let why = "oidc: parse username claims \"email\": claim not present".to_owned();
    assert_eq!(with(json!({})), Err(why));
}

#[test]
fn a_token_is_for_its_audience_and_its_time() {
    let other = "oidc: verify token: oidc: expected audience \"sampan\" got [\"other\" \"\"]";
    assert_eq!(refusal(json!({"aud": ["other", null]})), other);
    let at = |claim: &str, seconds: f64| {
        #[expect(clippy::cast_precision_loss, reason = "a second of 2026")]
        let second = now().as_second() as f64 + seconds;
        user(&issuer(flags()), &claims(json!({claim: second}))).map(|user| user.name)
    };
    assert!(at("exp", 0.9).is_ok());
    assert_eq!(
        at("exp", -1.0).unwrap_err(),
        "oidc: verify token: oidc: token is expired (Token Expiry: 2026-11-27 23:59:59 +0000 UTC)"
    );
    assert!(at("exp", 1e15).is_ok() && at("exp", 1e300).is_err() && at("exp", -1e300).is_err());
    assert!(at("nbf", 60.0).is_ok() && at("nbf", 61.0).is_err());
    let end = now().as_second().to_string();
    let quoted = user(&issuer(flags()), &claims(json!({"exp": end, "nbf": null})));
    assert!(quoted.is_ok());
    for odd in [Value::Null, json!("soon"), json!(true), json!([1])] {
        assert!(
            refusal(json!({"exp": odd})).contains("failed to unmarshal claims"),
            "{odd}"
        );
    }
    assert!(refusal(json!({"iat": "x"})).contains("failed to unmarshal claims"));
    let mut endless = claims(json!({}));
    endless.as_object_mut().unwrap().remove("exp");
    assert!(
        user(&issuer(flags()), &endless)
            .unwrap_err()
            .contains("expired")
    );
}

#[test]
fn required_claims_must_be_there_as_they_are_required() {
    let issuer = issuer(Flags {
        required_claims: vec!["hd=a.example".into(), "tier=".into()],
        ..flags()
    });
    let with = |others| user(&issuer, &claims(others)).map(|user| user.name);
    assert!(with(json!({"hd": "a.example", "tier": ""})).is_ok());
    let missing = "oidc: required claim tier not present in ID token";
    assert_eq!(with(json!({"hd": "a.example"})), Err(missing.into()));
    let other = "oidc: required claim hd value does not match. Got = b, want = a.example";
    assert_eq!(with(json!({"hd": "b", "tier": ""})), Err(other.into()));
    let odd = "oidc: parse claim hd: json: cannot unmarshal array into Go value of type string";
    assert_eq!(
        with(json!({"hd": ["a.example"], "tier": ""})),
        Err(odd.into())
    );
}

#[test]
fn groups_that_stand_elsewhere_are_not_guessed() {
    let sources = json!({"s": {"endpoint": "https://elsewhere.example"}, "t": {"JWT": "x"}});
    let with = |claims: Value| user(&issuer(flags()), &claims).is_ok();
    let named = |names: Value| claims(json!({"_claim_names": names, "_claim_sources": sources}));
    assert!(!with(named(json!({"groups": "s"}))));
    assert!(with(named(json!({"groups": "t"}))));
    assert!(with(named(json!({"other": "s"}))));
    assert!(!with(named(json!({"other": "nowhere"}))));
    assert!(!with(named(json!("groups"))));
    let mut both = named(json!({"groups": "s"}));
    both["groups"] = json!(["dev"]);
    assert!(with(both));
}

#[test]
fn tokens_of_others_are_left_to_others() {
    let issuer = issuer(flags());
    let header = json!({"alg": "RS256"});
    let good = written(&header, &claims(json!({})));
    assert!(matches!(issuer.read(&good), Some(Ok(_))));
    let slash = claims(json!({"iss": format!("{URL}/")}));
    let long = claims(json!({"pad": "x".repeat(64 << 10)}));
    for other in [
        String::new(),
        "abcdef.0123456789abcdef".to_owned(),
        format!("{good}.x"),
        good.replacen('.', "", 1),
        written(&header, &slash),
        written(&header, &claims(json!({"iss": 7}))),
        written(&header, &json!([])),
        written(&header, &long),
    ] {
        assert!(issuer.read(&other).is_none(), "{other:.40}");
    }
    let google = self::issuer(Flags {
        issuer_url: Some("https://accounts.google.com".into()),
        ..flags()
    });
    let old = written(&header, &claims(json!({"iss": "accounts.google.com"})));
    assert!(matches!(google.read(&old), Some(Ok(_))));
}

#[test]
fn a_token_is_signed_as_the_flags_say() {
    let issuer = issuer(Flags {
        signing_algs: vec!["RS256".into(), "ES256".into()],
        ..flags()
    });
    let why = |header: Value| {
        let token = written(&header, &claims(json!({})));
        issuer.read(&token).unwrap().map(drop)
    };
    for name in ["none", "HS256", "RS512", "rs256", ""] {
        let expected = format!(
            "oidc: verify token: oidc: id token signed with unsupported algorithm, \
             expected [\"RS256\" \"ES256\"] got \"{name}\""
        );
        assert_eq!(why(json!({"alg": name})), Err(expected));
    }
    assert_eq!(why(json!({"alg": "ES256"})), Ok(()));
    for odd in [
        json!({}),
        json!({"alg": 7}),
        json!({"alg": "RS256", "kid": 7}),
    ] {
        assert!(why(odd).is_err());
    }
    assert!(why(json!({"alg": "RS256", "crit": ["b64"]})).is_err());
}

#[test]
fn claims_come_out_only_when_a_key_of_that_kind_and_name_signed_them() {
    let issuer = issuer(Flags {
        signing_algs: vec!["RS256".into(), "ES256".into()],
        ..flags()
    });
    let verified = |header: Value, fits: bool| {
        let token = written(&header, &claims(json!({})));
        let token = issuer.read(&token).unwrap().unwrap();
        token.verify(&keys("a"), |_, _, _, _| fits).is_some()
    };
    assert!(verified(json!({"alg": "RS256", "kid": "a"}), true));
    assert!(verified(json!({"alg": "RS256"}), true));
    assert!(!verified(json!({"alg": "RS256", "kid": "a"}), false));
    assert!(!verified(json!({"alg": "RS256", "kid": "b"}), true));
    assert!(!verified(json!({"alg": "ES256", "kid": "a"}), true));
}
