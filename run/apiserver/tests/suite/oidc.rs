//! Tokens of an issuer elsewhere: a real one, over HTTPS, that changes its keys, is slow, is down, or lies.

use std::sync::Arc;
use std::time::Duration;

use access::authn::oidc::Flags;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures::future::join_all;
use sampan_apiserver::config::Limits;
use sampan_apiserver::oidc::{FetchLimits, Oidc};
use serde_json::{Value, json};
use store::MemoryStore;
use testkit::issuer::{Answer, Issuer, Signer};
use tokio::task::AbortHandle;

use crate::server::{self, Talk};

const REVIEWS: &str = "/apis/authentication.k8s.io/v1/tokenreviews";
const SELF_REVIEWS: &str = "/apis/authentication.k8s.io/v1/selfsubjectreviews";
/// Longest wait for anything.
const WAIT: Duration = Duration::from_secs(30);
/// Longer than any test.
const LONG: Duration = Duration::from_hours(1);

/// A server that takes the tokens of an issuer.
struct World {
    talk: Talk,
    issuer: Issuer,
    keeping: AbortHandle,
}

impl Drop for World {
    fn drop(&mut self) {
        self.keeping.abort();
    }
}

fn limits() -> FetchLimits {
    FetchLimits {
        pause: Duration::from_millis(20),
        wait: WAIT,
        ..FetchLimits::upstream()
    }
}

impl World {
    async fn new(answer: Answer, limits: FetchLimits) -> Self {
        let issuer = Issuer::start(answer).await.unwrap();
        let authority = issuer.authority.clone();
        Self::trusting(issuer, &authority, limits).await
    }

    async fn trusting(issuer: Issuer, authority: &str, limits: FetchLimits) -> Self {
        let flags = Flags {
            issuer_url: Some(issuer.url.clone()),
            client_id: Some("sampan".into()),
            username_prefix: Some("idp:".into()),
            groups_claim: Some("groups".into()),
            signing_algs: vec!["RS256".into(), "ES256".into()],
            ..Flags::default()
        };
        let settings = flags.issuer().unwrap().unwrap();
        let oidc = Arc::new(Oidc::new(settings, Some(authority), limits).unwrap());
        let kept = Arc::clone(&oidc);
        let keeping = tokio::spawn(async move { kept.keep().await }).abort_handle();
        let store = MemoryStore::indexed_by(sampan_apiserver::index);
        let mut config = server::config(Arc::new(store), Limits::upstream());
        config.oidc = Some(oidc);
        config.static_tokens = vec![("static".into(), access::user::user("bob", &[]))];
        let talk = Talk::of(config).await;
        let rbac = "/apis/rbac.authorization.k8s.io/v1";
        let role = json!({"metadata": {"name": "self"}, "rules": [{"verbs": ["create"],
            "apiGroups": ["authentication.k8s.io"], "resources": ["selfsubjectreviews"]}]});
        let binding = json!({"metadata": {"name": "self"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "self"},
            "subjects": [{"kind": "Group", "apiGroup": "rbac.authorization.k8s.io",
                "name": "system:authenticated"}]});
        for (path, object) in [("clusterroles", role), ("clusterrolebindings", binding)] {
            talk.post(&format!("{rbac}/{path}"), object)
                .await
                .expect(201);
        }
        Self {
            talk,
            issuer,
            keeping,
        }
    }

    /// Claims of alice, with others.
    fn claims(&self, others: &Value) -> Value {
        let end = jiff::Timestamp::now().as_second() + 600;
        let mut claims = json!({"iss": self.issuer.url, "aud": "sampan", "sub": "alice",
            "exp": end, "groups": ["dev"]});
        let others = others.as_object().unwrap().clone();
        claims.as_object_mut().unwrap().extend(others);
        claims
    }

    fn token(&self, signer: &Signer) -> String {
        signer.sign(&self.claims(&json!({}))).unwrap()
    }

    /// The name of who shows a token, or the code of the refusal.
    async fn name(&self, token: &str) -> Result<String, u16> {
        let headers = [
            ("authorization", &*format!("Bearer {token}")),
            ("content-type", "application/json"),
        ];
        let answer = self
            .talk
            .send_anonymously("POST", SELF_REVIEWS, &headers, "{}")
            .await;
        if answer.code != 201 {
            return Err(answer.code);
        }
        Ok(answer.body["status"]["userInfo"]["username"]
            .as_str()
            .unwrap()
            .to_owned())
    }

    async fn review(&self, token: &str, audiences: &[&str]) -> Value {
        let review = json!({"spec": {"token": token, "audiences": audiences}});
        self.talk.post(REVIEWS, review).await.expect(201)["status"].clone()
    }

    /// Waits until a token is taken.
    async fn until_taken(&self, token: &str) {
        let mut looks = tokio::time::interval(Duration::from_millis(5));
        let taken = async {
            while self.name(token).await != alice() {
                looks.tick().await;
            }
        };
        tokio::time::timeout(WAIT, taken).await.unwrap();
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "it is what a name is compared with"
)]
fn alice() -> Result<String, u16> {
    Ok("idp:alice".to_owned())
}

#[tokio::test]
async fn a_token_is_its_user_also_for_who_reviews_it() {
    let signer = Signer::rsa("a").unwrap();
    let world = World::new(Answer::keys(&[&signer]), limits()).await;
    let token = signer.sign(&world.claims(&json!({"jti": "7"}))).unwrap();
    world.until_taken(&token).await;
    let own = "https://kubernetes.default.svc.cluster.local";
    for audiences in [&[][..], &["other", own]] {
        let status = world.review(&token, audiences).await;
        let user = json!({"username": "idp:alice", "groups": ["dev", "system:authenticated"],
            "extra": {"authentication.kubernetes.io/credential-id": ["JTI=7"]}});
        assert_eq!(
            status,
            json!({"authenticated": true, "user": user, "audiences": [own]})
        );
    }
    let nobody = json!({"user": {}, "error": "invalid bearer token"});
    for token in [token.as_str(), "static"] {
        assert_eq!(world.review(token, &["other"]).await, nobody);
    }
    assert_eq!(world.name("static").await, Ok("bob".into()));
}

#[tokio::test]
async fn tokens_for_others_of_the_past_and_with_another_signature_are_nobodys() {
    let (rsa, other) = (Signer::rsa("a").unwrap(), Signer::ec("a").unwrap());
    let world = World::new(Answer::keys(&[&rsa]), limits()).await;
    world.until_taken(&world.token(&rsa)).await;
    let past = jiff::Timestamp::now().as_second() - 1;
    for (others, why) in [
        (
            json!({"aud": "other"}),
            "expected audience \"sampan\" got [\"other\"]",
        ),
        (json!({"exp": past}), "token is expired"),
        (
            json!({"nbf": past + 100}),
            "before the nbf (not before) time",
        ),
        (json!({"sub": null, "groups": 7}), "parse groups claim"),
    ] {
        let token = rsa.sign(&world.claims(&others)).unwrap();
        assert_eq!(world.name(&token).await, Err(401), "{others}");
        let status = world.review(&token, &[]).await;
        let error = status["error"].as_str().unwrap();
        assert!(
            error.starts_with("[invalid bearer token, oidc: ") && error.contains(why),
            "{error}"
        );
    }
    let good = world.token(&rsa);
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let claims = world.claims(&json!({"sub": "root"}));
    let named = |alg: &str| {
        rsa.sign_as(&json!({"alg": alg, "kid": "a"}), &claims)
            .unwrap()
    };
    let forged = other
        .sign_as(&json!({"alg": "RS256", "kid": "a"}), &claims)
        .unwrap();
    let other_claims = forged.split('.').nth(1).unwrap();
    for token in [
        named("none"),
        named("HS256"),
        named("PS256"),
        named("ES256"),
        forged.clone(),
        other.sign(&claims).unwrap(),
        format!("{signed}."),
        format!("{signed}.{}", &signature[4..]),
        format!("{header}.{other_claims}.{signature}"),
        format!("{}.", named("none").rsplit_once('.').unwrap().0),
    ] {
        assert_eq!(world.name(&token).await, Err(401), "{token}");
    }
    // The public key as the secret of both.
    let secret = rsa.jwk().to_string();
    let named = named("HS256");
    let (signed, _) = named.rsplit_once('.').unwrap();
    let secret = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret.as_bytes());
    let signature = ring::hmac::sign(&secret, signed.as_bytes());
    let signature = URL_SAFE_NO_PAD.encode(signature);
    assert_eq!(world.name(&format!("{signed}.{signature}")).await, Err(401));
}

#[tokio::test]
async fn a_key_that_is_new_is_known_by_its_first_token_and_an_old_one_is_forgotten() {
    let (old, new) = (Signer::rsa("a").unwrap(), Signer::ec("b").unwrap());
    let world = World::new(Answer::keys(&[&old]), limits()).await;
    world.until_taken(&world.token(&old)).await;
    world.issuer.answer(Answer::keys(&[&new]));
    world.until_taken(&world.token(&new)).await;
    assert_eq!(world.name(&world.token(&old)).await, Err(401));
    let asked = world.issuer.keys_asked();
    assert_eq!(world.name(&world.token(&new)).await, alice());
    assert_eq!(
        world.issuer.keys_asked(),
        asked,
        "known keys are not fetched"
    );
}

#[tokio::test]
async fn a_flood_of_unknown_keys_is_refused_at_once_while_keys_are_fresh() {
    let (known, unknown) = (Signer::rsa("a").unwrap(), Signer::ec("b").unwrap());
    let limits = FetchLimits {
        pause: LONG,
        ..limits()
    };
    let world = World::new(Answer::keys(&[&known]), limits).await;
    let good = world.token(&known);
    world.until_taken(&good).await;
    let tokens: Vec<String> = (0..300)
        .map(|number| json!({"alg": "ES256", "kid": format!("k{number}")}))
        .map(|header| unknown.sign_as(&header, &world.claims(&json!({}))).unwrap())
        .collect();
    let flood = async {
        let mut answers = join_all(tokens.iter().map(|token| world.name(token))).await;
        for token in tokens.iter().take(30) {
            answers.push(world.name(token).await);
        }
        answers
    };
    let answers = tokio::time::timeout(limits.wait, flood).await.unwrap();
    assert!(answers.iter().all(|answer| *answer == Err(401)));
    assert_eq!(world.name(&good).await, alice());
    assert_eq!(world.issuer.keys_asked(), 1);
}

#[tokio::test]
async fn who_waits_for_a_slow_issuer_holds_up_nobody() {
    let (known, unknown) = (Signer::rsa("a").unwrap(), Signer::ec("b").unwrap());
    let limits = FetchLimits {
        waiting_max: 2,
        wait: Duration::from_secs(2),
        answer: LONG,
        ..limits()
    };
    let world = World::new(Answer::keys(&[&known]), limits).await;
    let (good, unknown) = (world.token(&known), world.token(&unknown));
    world.until_taken(&good).await;
    world.issuer.answer(Answer::Hangs);
    let asked = world.issuer.keys_asked();
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    // A flood that comes while keys are fresh asks nobody.
    let waited = loop {
        looks.tick().await;
        let begun = tokio::time::Instant::now();
        let flood = join_all((0..50).map(|_| world.name(&unknown)));
        let others = async {
            for _ in 0..20 {
                assert_eq!(world.name(&good).await, alice());
            }
            begun.elapsed()
        };
        let (refused, others) = tokio::join!(flood, others);
        assert!(refused.iter().all(|refused| *refused == Err(401)));
        assert!(others < limits.wait, "{others:?}");
        if world.issuer.keys_asked() > asked {
            break begun.elapsed();
        }
    };
    assert!(waited >= limits.wait, "nobody waited");
}

#[tokio::test]
async fn an_issuer_may_be_down_when_the_server_starts() {
    let signer = Signer::rsa("a").unwrap();
    let world = World::new(Answer::Fails, limits()).await;
    let token = world.token(&signer);
    assert_eq!(world.name(&token).await, Err(401));
    assert_eq!(world.name("static").await, Ok("bob".into()));
    let status = world.review(&token, &[]).await;
    assert_eq!(
        status["error"],
        "[invalid bearer token, oidc: authenticator not initialized]"
    );
    world.issuer.answer(Answer::keys(&[&signer]));
    world.until_taken(&token).await;
}

#[tokio::test]
async fn keys_that_cannot_be_used_leave_the_old_ones() {
    let (known, new) = (Signer::rsa("a").unwrap(), Signer::ec("b").unwrap());
    let limits = FetchLimits {
        bytes_max: 4096,
        ..limits()
    };
    let world = World::new(Answer::keys(&[&known]), limits).await;
    let (good, other) = (world.token(&known), world.token(&new));
    world.until_taken(&good).await;
    let huge = json!({"keys": [new.jwk()], "pad": "x".repeat(8192)});
    let mut looks = tokio::time::interval(Duration::from_millis(5));
    for answer in [
        Answer::Text(huge.to_string()),
        Answer::Text("<html>".into()),
        Answer::Fails,
    ] {
        let asked = world.issuer.keys_asked();
        world.issuer.answer(answer);
        // The first may come while keys are fresh; then nobody asks.
        while world.issuer.keys_asked() == asked {
            looks.tick().await;
            assert_eq!(world.name(&other).await, Err(401));
        }
        assert_eq!(world.name(&other).await, Err(401));
        assert_eq!(world.name(&good).await, alice());
    }
}

#[tokio::test]
async fn an_issuer_whose_certificate_another_signed_is_not_asked() {
    let signer = Signer::rsa("a").unwrap();
    let other = Issuer::start(Answer::default()).await.unwrap();
    let issuer = Issuer::start(Answer::keys(&[&signer])).await.unwrap();
    let world = World::trusting(issuer, &other.authority, limits()).await;
    let token = world.token(&signer);
    let mut looks = tokio::time::interval(Duration::from_millis(20));
    for _ in 0..10 {
        looks.tick().await;
        assert_eq!(world.name(&token).await, Err(401));
    }
    assert_eq!(world.issuer.keys_asked(), 0);
}

#[tokio::test]
async fn tokens_of_the_cluster_trouble_no_issuer() {
    let signer = Signer::rsa("a").unwrap();
    let world = World::new(Answer::keys(&[&signer]), limits()).await;
    world.until_taken(&world.token(&signer)).await;
    let asked = world.issuer.keys_asked();
    let path = "/api/v1/namespaces/web/serviceaccounts/default/token";
    let made = world.talk.post(path, json!({})).await.expect(201);
    let token = made["status"]["token"].as_str().unwrap();
    // The claims as they are, for that is how the test's key signs.
    let status = world.review(token, &[]).await;
    assert_eq!(
        status["user"]["username"],
        "system:serviceaccount:web:default"
    );
    for other in ["static", "abcdef.0123456789abcdef", "x.y.z"] {
        world.review(other, &[]).await;
    }
    assert_eq!(world.issuer.keys_asked(), asked);
}
