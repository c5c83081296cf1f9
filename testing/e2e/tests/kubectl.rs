//! Every kubectl command that needs no running container, told to `sampan server` as stories: what is typed and what
//! stock answers, in its words. One story per file in `kubectl/`; what goes on while something else happens is here.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use sampan_e2e::cluster::line;
use sampan_e2e::server::Server;
use serde_json::json;
use testkit::issuer::{Answer, Issuer, Signer};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kubectl")
}

/// One test per story, and one that finds stories without a test.
macro_rules! stories {
    ($($claim:ident: $story:literal,)*) => {
        $(
            #[tokio::test]
            async fn $claim() -> Result<()> {
                Server::start().await?.tell(&folder().join(concat!($story, ".txt"))).await
            }
        )*

        #[test]
        fn every_story_is_told() -> Result<()> {
            let told = [$($story),*];
            for file in std::fs::read_dir(folder())? {
                let path = file?.path();
                let name = path.file_stem().and_then(|name| name.to_str());
                let name = name.context("a story has a name")?;
                ensure!(told.contains(&name), "no test tells {name}");
            }
            Ok(())
        }
    };
}

stories! {
    what_is_applied_is_merged_and_owned: "apply",
    every_sort_is_created: "create",
    live_objects_are_changed: "change",
    the_kubeconfig_is_understood: "config",
    what_is_deleted_goes_as_it_was_told: "delete",
    objects_are_described: "describe",
    the_cluster_says_what_it_serves: "discover",
    objects_are_printed_in_every_form: "get",
    jobs_end_by_their_policies: "jobs",
    nodes_are_tainted_and_drained: "nodes",
    rights_are_asked_given_and_certified: "rights",
    workloads_are_rolled_out_and_back: "rollout",
}

#[tokio::test]
async fn a_watch_tells_what_happens_in_order() -> Result<()> {
    let server = Server::start().await?;
    let shell = async |script: &str| server.shell(script).await?.ok();
    shell("kubectl create configmap before").await?;
    let watching = "exec kubectl get configmaps -w --output-watch-events --field-selector metadata.name!=kube-root-ca.crt";
    let (mut watch, mut lines) = server.follow(watching)?;
    line(&mut lines, "EVENT").await?;
    line(&mut lines, "ADDED      before").await?;
    shell("kubectl create configmap web").await?;
    line(&mut lines, "ADDED      web").await?;
    shell("kubectl patch configmap web -p '{\"data\":{\"a\":\"1\"}}'").await?;
    let changed = line(&mut lines, "MODIFIED").await?;
    ensure!(changed.split_whitespace().nth(2) == Some("1"), "{changed}");
    shell("kubectl delete configmap web").await?;
    line(&mut lines, "DELETED    web").await?;
    watch.kill().await?;

    let (mut watch, mut lines) =
        server.follow("exec kubectl get configmap before --watch-only -o name")?;
    // The watch has begun once a change is seen.
    let mut tries = 0..200;
    let seen = line(&mut lines, "configmap/before");
    tokio::pin!(seen);
    loop {
        let number = tries.next().context("the watch sees nothing")?;
        let change = format!("kubectl annotate configmap before --overwrite n={number}");
        tokio::select! {
            seen = &mut seen => break drop(seen?),
            changed = shell(&change) => drop(changed?),
        }
    }
    watch.kill().await?;
    Ok(())
}

#[tokio::test]
async fn the_proxy_passes_requests_and_watches_on() -> Result<()> {
    let server = Server::start().await?;
    let (mut proxy, mut lines) = server.follow("exec kubectl proxy --port 0")?;
    let started = line(&mut lines, "Starting to serve on").await?;
    let address = started.rsplit(' ').next().context("an address")?.to_owned();
    let kubectl = |arguments: &str| {
        format!("kubectl --kubeconfig /dev/null --server http://{address} {arguments}")
    };
    let made = server.shell(&kubectl("create configmap web")).await?.ok()?;
    ensure!(made == "configmap/web created\n", "{made}");
    let (mut watch, mut seen) =
        server.follow(&format!("exec {}", kubectl("get configmap web -w -o name")))?;
    line(&mut seen, "configmap/web").await?;
    server.shell("kubectl delete configmap web").await?.ok()?;
    line(&mut seen, "configmap/web").await?;
    watch.kill().await?;
    proxy.kill().await?;
    Ok(())
}

#[tokio::test]
async fn a_token_of_an_oidc_issuer_is_enough_for_kubectl() -> Result<()> {
    let signer = Signer::rsa("a")?;
    let issuer = Issuer::start(Answer::keys(&[&signer])).await?;
    let folder = tempfile::tempdir()?;
    let authority = folder.path().join("issuer.pem");
    std::fs::write(&authority, &issuer.authority)?;
    let server = Server::start_with(&[
        &format!("--oidc-issuer-url={}", issuer.url),
        &format!("--oidc-ca-file={}", authority.display()),
        "--oidc-client-id=kubectl",
        "--oidc-username-prefix=idp:",
        "--oidc-groups-claim=groups",
    ])
    .await?;
    let granted = "kubectl create clusterrolebinding ops --clusterrole view --group ops";
    server.shell(granted).await?.ok()?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let kubectl = async |audience: &str, arguments: &str| {
        let claims = json!({"iss": issuer.url, "aud": audience, "sub": "ann",
            "exp": now + 600, "groups": ["ops"]});
        let token = signer.sign(&claims)?;
        let address = "kubectl config view -o jsonpath='{.clusters[0].cluster.server}'";
        let flags = "--kubeconfig /dev/null --insecure-skip-tls-verify";
        let script = format!("kubectl {flags} --server $({address}) --token {token} {arguments}");
        server.shell(&script).await
    };
    let who = "auth whoami -o jsonpath='{.status.userInfo.username} {.status.userInfo.groups}'";
    // The server may be ready before it has the issuer's keys.
    let mut tries = 0..100;
    let told = loop {
        tries.next().context("the token is never taken")?;
        let told = kubectl("kubectl", who).await?;
        if told.code == 0 {
            break told.stdout;
        }
        ensure!(told.stdout.contains("Unauthorized"), "{told:?}");
    };
    ensure!(
        told == "idp:ann [\"ops\",\"system:authenticated\"]",
        "{told}"
    );
    kubectl("kubectl", "get pods -A").await?.ok()?;
    let refused = kubectl("kubectl", "create configmap web").await?;
    ensure!(
        refused
            .stdout
            .contains("User \"idp:ann\" cannot create resource \"configmaps\""),
        "{refused:?}"
    );
    let nobody = kubectl("other", "get pods -A").await?;
    ensure!(
        nobody.code == 1 && nobody.stdout.contains("Unauthorized"),
        "{nobody:?}"
    );
    Ok(())
}

#[tokio::test]
async fn another_program_may_run_the_controllers() -> Result<()> {
    let server = Server::start_with(&["--without-controllers"]).await?;
    let made = "kubectl create deployment web --image r.example/web:1";
    server.shell(made).await?.ok()?;
    let seen =
        "kubectl wait --for=jsonpath='{.status.observedGeneration}'=1 deployment/web --timeout 3s";
    let seen = server.shell(seen).await?;
    ensure!(
        seen.code == 1 && seen.stdout.contains("timed out"),
        "{seen:?}"
    );
    Ok(())
}
