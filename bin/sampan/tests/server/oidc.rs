//! Tokens of an issuer elsewhere, by upstream's flags.

use std::fs;

use serde_json::json;
use testkit::issuer::{Answer, Issuer, Signer};

use crate::tokens::{REVIEWS, with_token};
use crate::{Server, WAIT, run, sampan};

#[tokio::test]
async fn a_token_of_the_issuer_is_its_user_by_the_flags() {
    let signer = Signer::rsa("a").unwrap();
    let issuer = Issuer::start(Answer::Fails).await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let authority = directory.path().join("issuer.pem");
    fs::write(&authority, &issuer.authority).unwrap();
    let data = directory.path().join("data");
    let flags = [
        "--oidc-issuer-url",
        &issuer.url,
        "--oidc-client-id",
        "sampan",
        "--oidc-ca-file",
        authority.to_str().unwrap(),
        "--oidc-username-claim=email",
        "--oidc-username-prefix=-",
        "--oidc-groups-claim=groups",
        "--oidc-groups-prefix=idp:",
        "--oidc-required-claim=hd=a.example",
        "--oidc-required-claim=tier=1",
        "--oidc-signing-algs=ES256,RS256",
    ];
    let server = Server::start_with(&data, &flags).await;
    issuer.answer(Answer::keys(&[&signer]));
    let end = jiff::Timestamp::now().as_second() + 600;
    let mut claims = json!({"iss": issuer.url, "aud": ["sampan"], "sub": "1", "exp": end,
        "email": "a@b.c", "groups": ["dev"], "hd": "a.example", "tier": "1"});
    let token = signer.sign(&claims).unwrap();
    claims["tier"] = json!("2");
    let other = signer.sign(&claims).unwrap();
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let (alice, nobody) = (
        with_token(&data, &token).await,
        with_token(&data, &other).await,
    );
    let told = async {
        let mut looks = tokio::time::interval(std::time::Duration::from_millis(200));
        loop {
            looks.tick().await;
            match alice.create(&REVIEWS, &review).await {
                Ok(told) => break told,
                Err(error) => assert!(format!("{error:?}").contains("401"), "{error:?}"),
            }
        }
    };
    let told = tokio::time::timeout(WAIT, told).await.unwrap();
    let user = &told["status"]["userInfo"];
    assert_eq!(user["username"], "a@b.c");
    assert_eq!(user["groups"], json!(["idp:dev", "system:authenticated"]));
    let refused = nobody.create(&REVIEWS, &review).await.unwrap_err();
    assert!(format!("{refused:?}").contains("401"), "{refused:?}");
    drop(server);
}

#[tokio::test]
async fn flags_that_cannot_be_are_refused_before_anything_is_made() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let both = ["--oidc-issuer-url=https://a.example", "--oidc-client-id=b"];
    let cases: [(&[&str], &str); 5] = [
        (
            &["--oidc-groups-claim=groups"],
            "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set",
        ),
        (
            &["--oidc-issuer-url=http://a.example", "--oidc-client-id=b"],
            "URL scheme must be https",
        ),
        (
            &[both[0], both[1], "--oidc-signing-algs=RS256,HS256"],
            "oidc: unsupported signing alg: \"HS256\"",
        ),
        (
            &[both[0], both[1], "--oidc-required-claim=a"],
            "malformed pair, expect string=string",
        ),
        (
            &[both[0], both[1], "--oidc-ca-file=/dev/null"],
            "cannot use the issuer's certificate authority: it has no certificate",
        ),
    ];
    for (flags, why) in cases {
        let directory = data.to_str().unwrap();
        let base = ["server", "--port", "0", "--data-dir", directory];
        let output = run(sampan(&[&base[..], flags].concat())).await;
        assert_eq!(output.status.code(), Some(1), "{flags:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(why), "{said}");
        assert!(!data.exists(), "nothing is made before the flags are right");
    }
}
