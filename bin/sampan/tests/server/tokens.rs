//! Static tokens: whoever shows one is the user of its line.

use std::fs;

use client::rest::Rest;
use meta::Resource;
use serde_json::{Value, json};

use crate::{Server, run, sampan};

pub(crate) const REVIEWS: Resource = Resource::cluster(
    "authentication.k8s.io",
    "v1",
    "SelfSubjectReview",
    "selfsubjectreviews",
);

#[tokio::test]
async fn a_token_of_the_file_is_its_user_and_no_other_is() {
    let data = tempfile::tempdir().unwrap();
    let file = data.path().join("tokens.csv");
    fs::write(&file, "secret-1,alice,1001,\"dev,ops\"\n").unwrap();
    let data = data.path().join("data");
    let server = Server::start_with(&data, &["--token-auth-file", file.to_str().unwrap()]).await;
    let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let alice = with_token(&data, "secret-1").await;
    let told = alice.create(&REVIEWS, &review).await.unwrap();
    let user = &told["status"]["userInfo"];
    assert_eq!(user["username"], "alice");
    assert_eq!(user["uid"], "1001");
    assert_eq!(
        user["groups"],
        json!(["dev", "ops", "system:authenticated"])
    );
    let nobody = with_token(&data, "secret-2").await;
    let refused = nobody.create(&REVIEWS, &review).await.unwrap_err();
    assert!(format!("{refused:?}").contains("401"), "{refused:?}");
    drop(server);
}

#[tokio::test]
async fn a_bad_token_file_is_refused_without_telling_its_tokens() {
    let directory = tempfile::tempdir().unwrap();
    let (file, data) = (
        directory.path().join("tokens.csv"),
        directory.path().join("data"),
    );
    fs::write(&file, "secret-1,alice\n").unwrap();
    let paths = [file.to_str().unwrap(), data.to_str().unwrap()];
    let flags = [
        "server",
        "--port",
        "0",
        "--token-auth-file",
        paths[0],
        "--data-dir",
        paths[1],
    ];
    let output = run(sampan(&flags)).await;
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("found 2 in line 1") && said.contains(paths[0]),
        "{said}"
    );
    assert!(!said.contains("secret-1"), "{said}");
    assert!(!data.exists(), "nothing is made before the flags are right");
}

/// A client that shows a token instead of the administrator's certificate.
pub(crate) async fn with_token(data: &std::path::Path, token: &str) -> Rest {
    let text = fs::read_to_string(data.join("admin.kubeconfig")).unwrap();
    let mut kubeconfig: Value = serde_json::from_str(&text).unwrap();
    kubeconfig["users"][0]["user"] = json!({ "token": token });
    let file = data.join("token.kubeconfig");
    fs::write(&file, kubeconfig.to_string()).unwrap();
    Rest::new(client::from_kubeconfig(Some(&file), None).await.unwrap())
}
