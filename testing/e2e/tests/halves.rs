//! The control plane killed in the midst of what takes more than one write: after the next start nothing is half done.
//!
//! Addresses and ports of services, counts of quotas, namespaces that go, dependents of what was deleted in every way,
//! and signed certificates. `SAMPAN_CHAOS_ROUNDS` sets how often it is killed, `SAMPAN_CHAOS_SEED` the seed.

#![expect(
    clippy::indexing_slicing,
    reason = "a field that is not there reads as null"
)]

use std::collections::BTreeSet;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use sampan_e2e::server::Server;
use sampan_e2e::tools::argument;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

const ROUNDS: u64 = 4;
const CLIENTS: u64 = 8;
/// Longest time until what was begun has come to its end.
const WAIT: Duration = Duration::from_secs(40);
/// The server is killed once its clients have done so much.
const ATTEMPTS: Range<u64> = 20..300;
const HOME: &str = "/api/v1/namespaces/home";
const SETS: &str = "/apis/apps/v1/namespaces/home/replicasets";
const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const MERGE: &str = "application/merge-patch+json";
/// A request for the certificate of `ann`, made by openssl with a key that nobody kept.
const CSR: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlISk1IQUNBUUF3RGpFTU1Bb0dBMVVFQXd3RFlXNXVNRmt3RXdZSEtvWkl6aj\
    BDQVFZSUtvWkl6ajBEQVFjRApRZ0FFT0ZMSWxENTdwR3pIZDNRUVJLREJjWFpFclhkbFVJT1UrOWl1Y1Vxek5WclJwRlpWSk1uUThOeUNZLzA0\
    CjZzWEcyVE5kanFCYTdFMXpLNGtieTc3T1BxQUFNQW9HQ0NxR1NNNDlCQU1DQTBrQU1FWUNJUURxQUlIYVdOMXUKNldPNi9QRWlrN0NjVmZQYV\
    g1ampVL3kwS29IcWZzSWdMUUloQUpUQ1M4RVFubkNxNUR3d05xRzV3NE90RHU2ZwpMV0lxOGlkSEQwaUtHaUUvCi0tLS0tRU5EIENFUlRJRklD\
    QVRFIFJFUVVFU1QtLS0tLQo=";

async fn client(server: &Server) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(server.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

async fn ask(client: &Client, method: &str, path: &str, body: Value) -> Result<Value> {
    let content = if method == "PATCH" {
        MERGE
    } else {
        "application/json"
    };
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", content);
    let body = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    Ok(client.request(request.body(body)?).await?)
}

async fn items(client: &Client, path: &str) -> Result<Vec<Value>> {
    let list = ask(client, "GET", path, Value::Null).await?;
    Ok(list["items"].as_array().cloned().unwrap_or_default())
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Something that takes several writes. What fails, fails: others do the same, and the server ends.
async fn attempt(client: &Client, random: &mut Rng, name: &str) -> Result<()> {
    let services = format!("{HOME}/services");
    match random.u8(..5) {
        0 => {
            let kind = if random.bool() {
                "NodePort"
            } else {
                "ClusterIP"
            };
            let service = json!({"metadata": {"name": name}, "spec": {"type": kind, "ports": [{"port": 80}]}});
            ask(client, "POST", &services, service).await?;
        }
        1 => {
            let known = items(client, &services).await?;
            let known = random.choice(&known).context("there is none")?;
            let path = format!("{services}/{}", text(known, "/metadata/name"));
            if random.bool() {
                ask(client, "DELETE", &path, json!({})).await?;
            } else {
                let kind = if text(known, "/spec/type") == "NodePort" {
                    "ClusterIP"
                } else {
                    "NodePort"
                };
                ask(client, "PATCH", &path, json!({"spec": {"type": kind}})).await?;
            }
        }
        2 => {
            ask(
                client,
                "POST",
                "/api/v1/namespaces",
                json!({"metadata": {"name": name}}),
            )
            .await?;
            let inside = format!("/api/v1/namespaces/{name}");
            let service = json!({"metadata": {"name": "s"}, "spec": {"ports": [{"port": 80}]}});
            ask(client, "POST", &format!("{inside}/services"), service).await?;
            ask(client, "DELETE", &inside, json!({})).await?;
        }
        3 => {
            let request = json!({"metadata": {"name": name}, "spec": {"request": CSR, "usages": ["client auth"],
                "signerName": "kubernetes.io/kube-apiserver-client"}});
            let mut made = ask(client, "POST", REQUESTS, request).await?;
            made["status"] =
                json!({"conditions": [{"type": "Approved", "status": "True", "reason": "Tried"}]});
            ask(client, "PUT", &format!("{REQUESTS}/{name}/approval"), made).await?;
        }
        _ => family(client, random, name).await?,
    }
    Ok(())
}

/// An owner with dependents, deleted in one of the ways.
async fn family(client: &Client, random: &mut Rng, name: &str) -> Result<()> {
    let labels = json!({"own": name});
    let set = json!({"metadata": {"name": name}, "spec": {"replicas": 0, "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "c", "image": "x"}]}}}});
    let owner = ask(client, "POST", SETS, set).await?;
    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": name,
        "uid": owner["metadata"]["uid"], "blockOwnerDeletion": true});
    for index in 0..3 {
        let map =
            json!({"metadata": {"name": format!("{name}-{index}"), "ownerReferences": [owner]}});
        ask(client, "POST", &format!("{HOME}/configmaps"), map).await?;
    }
    let policy = random.choice(["Foreground", "Background", "Orphan"]);
    let options = json!({ "propagationPolicy": policy });
    ask(client, "DELETE", &format!("{SETS}/{name}"), options).await?;
    Ok(())
}

/// What is half done; empty when nothing is.
async fn halves(client: &Client) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let services = items(client, "/api/v1/services").await?;
    let taken: BTreeSet<&str> = services
        .iter()
        .map(|it| text(it, "/spec/clusterIP"))
        .collect();
    let addresses = items(client, "/apis/networking.k8s.io/v1/ipaddresses").await?;
    let kept: BTreeSet<&str> = addresses
        .iter()
        .map(|it| text(it, "/metadata/name"))
        .collect();
    if taken.len() != services.len() || taken != kept {
        found.push(format!("addresses {taken:?} and {kept:?}"));
    }
    let ports = services
        .iter()
        .filter_map(|it| it["spec"]["ports"][0]["nodePort"].as_i64());
    let ports: Vec<i64> = ports.collect();
    if ports.iter().collect::<BTreeSet<_>>().len() != ports.len() {
        found.push(format!("ports {ports:?}"));
    }
    let at_home = services
        .iter()
        .filter(|it| text(it, "/metadata/namespace") == "home");
    let with_port = at_home
        .clone()
        .filter(|it| text(it, "/spec/type") == "NodePort");
    let quota = ask(
        client,
        "GET",
        &format!("{HOME}/resourcequotas/q"),
        Value::Null,
    )
    .await?;
    let (sets, maps) = (
        items(client, SETS).await?,
        items(client, &format!("{HOME}/configmaps")).await?,
    );
    let used = json!({"services": at_home.clone().count().to_string(), "count/configmaps": maps.len().to_string(),
        "services.nodeports": with_port.count().to_string(), "count/replicasets.apps": sets.len().to_string()});
    if quota["status"]["used"] != used {
        found.push(format!("quota {} for {used}", quota["status"]["used"]));
    }
    let namespaces = items(client, "/api/v1/namespaces").await?;
    let going = namespaces
        .iter()
        .chain(&sets)
        .filter(|it| it["metadata"]["deletionTimestamp"].is_string());
    found.extend(going.map(|it| format!("{} is going", text(it, "/metadata/name"))));
    let owners: BTreeSet<&str> = sets.iter().map(|it| text(it, "/metadata/uid")).collect();
    let owner = |it: &Value| text(it, "/metadata/ownerReferences/0/uid").to_owned();
    let left = maps
        .iter()
        .filter(|it| !owner(it).is_empty() && !owners.contains(&*owner(it)));
    found.extend(left.map(|it| format!("{} has no owner", text(it, "/metadata/name"))));
    let requests = items(client, REQUESTS).await?;
    let is_open = |it: &&Value| {
        it["status"]["conditions"][0]["type"] == "Approved"
            && it["status"]["certificate"].is_null()
            && it["status"]["conditions"][1].is_null()
    };
    found.extend(
        requests
            .iter()
            .filter(is_open)
            .map(|it| format!("{} is not signed", text(it, "/metadata/name"))),
    );
    Ok(found)
}

/// The revision of all there is.
async fn revision(client: &Client) -> Result<u64> {
    let list = ask(client, "GET", "/api/v1/namespaces?limit=1", Value::Null).await?;
    Ok(text(&list, "/metadata/resourceVersion").parse()?)
}

/// Waits until something changes after a revision, for as long as the server waits for one that is still to come.
async fn change(client: &Client, after: u64) -> Result<()> {
    let next = after + 1;
    let next = format!(
        "/api/v1/namespaces?limit=1&resourceVersion={next}&resourceVersionMatch=NotOlderThan"
    );
    let is_late = |error: &anyhow::Error| {
        let error = error.downcast_ref();
        matches!(error, Some(kube::Error::Api(status)) if status.code == 504)
    };
    match ask(client, "GET", &next, Value::Null).await {
        Err(error) if !is_late(&error) => Err(error),
        _ => Ok(()),
    }
}

#[tokio::test]
async fn what_was_begun_before_a_kill_comes_to_its_end() -> Result<()> {
    let seed = argument("SAMPAN_CHAOS_SEED", 1);
    let mut random = Rng::with_seed(seed);
    let mut server = Server::start().await?;
    let first = client(&server).await?;
    ask(
        &first,
        "POST",
        "/api/v1/namespaces",
        json!({"metadata": {"name": "home"}}),
    )
    .await?;
    let hard = json!({"services": "60", "count/configmaps": "200", "services.nodeports": "30", "count/replicasets.apps": "60"});
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": hard}});
    ask(&first, "POST", &format!("{HOME}/resourcequotas"), quota).await?;
    for round in 0..argument("SAMPAN_CHAOS_ROUNDS", ROUNDS) {
        let (mut clients, (done, mut attempts)) = (JoinSet::new(), watch::channel(0));
        for index in 0..CLIENTS {
            let (client, mut random) = (client(&server).await?, random.fork());
            let done = done.clone();
            clients.spawn(async move {
                for number in 0.. {
                    let name = format!("r{round}-{index}-{number}");
                    drop(attempt(&client, &mut random, &name).await);
                    done.send_modify(|attempts| *attempts += 1);
                }
            });
        }
        let enough = random.u64(ATTEMPTS);
        let enough = attempts.wait_for(|attempts| *attempts >= enough);
        timeout(WAIT, enough).await.context("nothing is done")??;
        server.restart().await?;
        clients.shutdown().await;
        let client = client(&server).await?;
        let begun = tokio::time::Instant::now();
        loop {
            let at = revision(&client).await?;
            let found = halves(&client).await?;
            if found.is_empty() {
                break;
            }
            ensure!(
                begun.elapsed() < WAIT,
                "seed {seed}, round {round}: {found:?}"
            );
            change(&client, at).await?;
        }
    }
    Ok(())
}
