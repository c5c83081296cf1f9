//! Floods of every kind against a server whose memory is bounded: another user's small requests go on, nothing that was
//! acknowledged is lost, and the memory comes back.
//!
//! `SAMPAN_FLOOD_SCALE` multiplies how many objects there are and how many come, `SAMPAN_FLOOD_ROUNDS` sets how often all
//! of them come, `SAMPAN_FLOOD_MEGABYTES` the bound; each flood prints a row. Needs root and control groups.

#![expect(
    clippy::indexing_slicing,
    reason = "a field that is not there reads as null"
)]

#[path = "floods/attack.rs"]
mod attack;
#[path = "floods/memory.rs"]
mod memory;
#[path = "floods/neighbour.rs"]
mod neighbour;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use attack::{Attack, FLOODER, FLOODS, Flood, MAPS, Made, PODS};
use futures::future::try_join_all;
use http::Request;
use http_body_util::BodyExt as _;
use memory::Bound;
use neighbour::{NEIGHBOUR, Neighbour};
use sampan_e2e::server::Server;
use sampan_e2e::tools::argument;
use serde_json::{Value, json};
use testkit::connection::{Body, Connection, Dialer};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// The server's memory.
const MEGABYTES: u64 = 512;
/// Objects of each kind, for each unit of scale.
const OBJECTS: usize = 1_000;
/// So many create them.
const FILLERS: usize = 16;
/// So many attackers begin at once; then the next do.
const AT_ONCE: usize = 16;
/// What kernels between keep of an answer that is not read.
const UNREAD_BYTES: u32 = 16 << 10;
/// So many requests of somebody else each flood is watched for, once all of it is there.
const REQUESTS: usize = 100;
/// Longest that 99 of 100 requests of somebody else may take. Generous: a build without optimisation on a busy machine.
const P99_MAX: Duration = Duration::from_secs(30);
/// More than this is kept by no allocator: an answer, or who asked, was not let go of.
const KEPT_BYTES_MAX: u64 = 256 << 20;
/// Longest wait for memory to come back.
const BACK_MAX: Duration = Duration::from_secs(30);
const BETWEEN: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn floods_leave_others_their_answers_and_the_server_its_memory() -> Result<()> {
    let bound = Bound::new(argument("SAMPAN_FLOOD_MEGABYTES", MEGABYTES) << 20)?;
    let mut server = Server::start_after(&bound.enter(), &["--without-controllers"]).await?;
    let outcome = story(&mut server, &bound).await;
    server.end().await?;
    outcome
}

async fn story(server: &mut Server, bound: &Bound) -> Result<()> {
    let scale = usize::try_from(argument("SAMPAN_FLOOD_SCALE", 1))?;
    let dialer = Dialer::read(&server.kubeconfig()).await?;
    let dialer = dialer.unread(UNREAD_BYTES);
    let objects = OBJECTS * scale;
    fill(&dialer, objects).await?;
    let before = memory::now(server.pid()?)?;
    eprintln!(
        "filled, {} MB; flood | most memory | after | p99 | slowest | answers",
        before >> 20
    );
    let mut made = BTreeMap::new();
    for round in 0..argument("SAMPAN_FLOOD_ROUNDS", 1) {
        for flood in FLOODS {
            let told = pour(server, &dialer, flood, scale, round).await;
            ensure!(bound.kills()? == 0, "{}: out of memory", flood.name);
            let told = told.with_context(|| flood.name)?;
            made.extend(
                told.into_iter()
                    .map(|made| ((made.path, made.field), made.text)),
            );
        }
    }
    back(server.pid()?, before + KEPT_BYTES_MAX).await?;
    check(&dialer, objects, &made).await?;
    server.restart().await?;
    check(&Dialer::read(&server.kubeconfig()).await?, objects, &made).await
}

/// One flood; answers with what was acknowledged.
async fn pour(
    server: &Server,
    dialer: &Dialer,
    flood: &Flood,
    scale: usize,
    round: u64,
) -> Result<Vec<Made>> {
    let pid = server.pid()?;
    memory::forget_most(pid)?;
    let mut neighbour = Neighbour::start(server.kubeconfig());
    let (turns, mut attackers) = (Arc::new(Semaphore::new(AT_ONCE)), JoinSet::new());
    for number in 0..flood.count * scale {
        let (dialer, attack, turns) = (dialer.clone(), flood.attack, Arc::clone(&turns));
        attackers.spawn(async move {
            let _turn = turns.acquire().await?;
            attack.run(&dialer, number, &format!("r{round}")).await
        });
    }
    let (mut codes, mut made, mut open) = (BTreeMap::<_, usize>::new(), Vec::new(), Vec::new());
    while let Some(outcome) = attackers.join_next().await {
        let outcome = outcome??;
        *codes.entry(outcome.code).or_default() += 1;
        open.extend(outcome.open);
        made.extend(outcome.made);
    }
    neighbour.asks_more(REQUESTS).await;
    let most = memory::most(pid)?;
    drop(open);
    let told = neighbour.stop().await?;
    let megabytes = |bytes: u64| bytes >> 20;
    eprintln!(
        "| {} {} | {} MB | {} MB | {:.0?} | {:.0?} | {codes:?}",
        flood.count * scale,
        flood.name,
        megabytes(most),
        megabytes(memory::now(pid)?),
        told.p99,
        told.slowest,
    );
    ensure!(told.p99 < P99_MAX, "others waited {:?}", told.p99);
    let is_written = matches!(flood.attack, Attack::Write(_));
    ensure!(!is_written || !made.is_empty(), "nothing was written");
    made.push(told.made);
    Ok(made)
}

/// Makes the users, what they work on, and much else.
async fn fill(dialer: &Dialer, objects: usize) -> Result<()> {
    let mut admin = dialer.open().await?;
    let subjects = [FLOODER, NEIGHBOUR].map(|name| json!({"kind": "User", "name": name}));
    let rights = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    let role = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"});
    let bindings = json!({"metadata": {"name": "both"}, "subjects": subjects, "roleRef": role});
    create(&mut admin, rights, bindings).await?;
    create(
        &mut admin,
        "/api/v1/namespaces",
        json!({"metadata": {"name": "home"}}),
    )
    .await?;
    let account = json!({"metadata": {"name": "default"}});
    create(
        &mut admin,
        "/api/v1/namespaces/home/serviceaccounts",
        account,
    )
    .await?;
    create(
        &mut admin,
        "/apis/apps/v1/namespaces/home/deployments",
        attack::large(),
    )
    .await?;
    create(&mut admin, MAPS, neighbour::own()).await?;
    let filler = |first: usize| async move {
        let mut connection = dialer.open().await?;
        for index in (first..objects).step_by(FILLERS) {
            let labels = json!({"app": format!("a{}", index % 100)});
            let metadata = json!({"name": format!("it-{index}"), "labels": labels});
            let containers = json!([{"name": "c", "image": "x", "env": [{"name": "A", "value": "x".repeat(200)}]}]);
            let pod = json!({"metadata": metadata, "spec": {"containers": containers}});
            create(&mut connection, PODS, pod).await?;
            let map = json!({"metadata": metadata, "data": {"a": "x".repeat(200)}});
            create(&mut connection, MAPS, map).await?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..FILLERS).map(filler)).await.map(drop)
}

async fn create(connection: &mut Connection, path: &str, object: Value) -> Result<()> {
    let request = Request::post(path).header("content-type", "application/json");
    let (code, _) = connection
        .answer(request.body(Body::from(object.to_string()))?)
        .await?;
    ensure!(code == 201, "not created: {code}");
    Ok(())
}

/// Waits until the server has no more memory than this.
async fn back(pid: u32, bytes_max: u64) -> Result<()> {
    let begun = Instant::now();
    // The kernel tells nobody when memory is given back.
    while memory::now(pid)? > bytes_max {
        ensure!(
            begun.elapsed() < BACK_MAX,
            "{} MB are kept",
            memory::now(pid)? >> 20
        );
        tokio::time::sleep(BETWEEN).await;
    }
    Ok(())
}

/// Whether all is there that was acknowledged: the pods of the beginning, and what came since.
async fn check(
    dialer: &Dialer,
    pods: usize,
    made: &BTreeMap<(String, String), String>,
) -> Result<()> {
    let mut admin = dialer.open().await?;
    let first = read(&mut admin, &format!("{PODS}?limit=1")).await?;
    let left = first["metadata"]["remainingItemCount"].as_u64();
    ensure!(
        left == Some(pods as u64 - 1),
        "of {pods} pods there are {left:?} after the first"
    );
    let mut objects = BTreeMap::new();
    for ((path, field), text) in made {
        if !objects.contains_key(path) {
            objects.insert(path, read(&mut admin, path).await?);
        }
        let found = objects[path].pointer(field);
        ensure!(
            found.and_then(Value::as_str) == Some(text),
            "{path} has lost {field}"
        );
    }
    Ok(())
}

async fn read(connection: &mut Connection, path: &str) -> Result<Value> {
    let answer = connection
        .send(Request::get(path).body(Body::default())?)
        .await?;
    let body = answer.into_body().collect().await?.to_bytes();
    Ok(serde_json::from_slice(&body)?)
}
