//! Priority and fairness, as users see it: who floods the server takes no one else's seats.
//!
//! After upstream's `test/e2e/apimachinery/flowcontrol.go`.

use axum::body::Body;
use futures::FutureExt;
use futures::future::{BoxFuture, join_all};
use http::{Request, Response};
use http_body_util::BodyExt;
use kinds::strategy::User;
use sampan_apiserver::Identity;
use sampan_apiserver::config::Limits;
use serde_json::{Value, json};

use crate::server::Talk;

const FLOW: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
const MAPS: &str = "/api/v1/namespaces/web/configmaps";
const LEVEL_HEADER: &str = "x-kubernetes-pf-prioritylevel-uid";
const SCHEMA_HEADER: &str = "x-kubernetes-pf-flowschema-uid";

/// A server as it is after its first start, on which everybody who is named may do anything.
async fn started(limits: Limits) -> Talk {
    let talk = Talk::with(limits).await;
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    let group = json!({"kind": "Group", "name": "system:authenticated", "apiGroup": "rbac.authorization.k8s.io"});
    let binding = json!({"metadata": {"name": "all"}, "subjects": [group],
        "roleRef": {"kind": "ClusterRole", "name": "cluster-admin", "apiGroup": "rbac.authorization.k8s.io"}});
    let bindings = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
    talk.post(bindings, binding).await.expect(201);
    talk
}

async fn small(seats: usize) -> Talk {
    started(Limits {
        reads_max: seats,
        writes_max: 0,
        ..Limits::upstream()
    })
    .await
}

/// Makes a level of one share that lends and borrows nothing.
async fn level(talk: &Talk, name: &str, response: Value) -> Value {
    let level = json!({"metadata": {"name": name}, "spec": {"type": "Limited", "limited": {
        "nominalConcurrencyShares": 1, "borrowingLimitPercent": 0, "limitResponse": response}}});
    let path = format!("{FLOW}/prioritylevelconfigurations");
    talk.post(&path, level).await.expect(201)
}

fn queues() -> Value {
    json!({"type": "Queue", "queuing": {"queues": 64, "handSize": 1, "queueLengthLimit": 100}})
}

/// Makes a schema by which these users' requests fall under a level.
async fn schema(talk: &Talk, name: &str, level: &str, users: &[&str]) -> Value {
    let subjects = users
        .iter()
        .map(|user| json!({"kind": "User", "user": {"name": user}}));
    let schema = json!({"metadata": {"name": name}, "spec": {"matchingPrecedence": 1000,
        "priorityLevelConfiguration": {"name": level}, "distinguisherMethod": {"type": "ByUser"},
        "rules": [{"subjects": subjects.collect::<Vec<Value>>(),
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
                "namespaces": ["*"], "clusterScope": true}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}]}});
    let path = format!("{FLOW}/flowschemas");
    talk.post(&path, schema).await.expect(201)
}

fn user(name: &str) -> User {
    access::user::user(name, &[])
}

fn request(user: User, method: &str, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    request.extension(Identity(user)).body(body).unwrap()
}

async fn get(talk: &Talk, user: User, path: &str) -> Response<Body> {
    talk.server
        .handle(request(user, "GET", path, Body::empty()))
        .await
}

async fn code(talk: &Talk, user: User, path: &str) -> u16 {
    get(talk, user, path).await.status().as_u16()
}

/// A write whose body never ends, begun.
fn stalled(talk: &Talk, user: User) -> BoxFuture<'_, Response<Body>> {
    let endless = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let mut write = talk
        .server
        .handle(request(user, "POST", MAPS, sized(endless)))
        .boxed();
    assert!((&mut write).now_or_never().is_none());
    write
}

/// A body that says that it is small.
fn sized(
    stream: impl futures::Stream<Item = Result<bytes::Bytes, std::io::Error>> + Send + 'static,
) -> Body {
    struct Sized(Body);
    impl http_body::Body for Sized {
        type Data = bytes::Bytes;
        type Error = axum::Error;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, axum::Error>>> {
            std::pin::Pin::new(&mut self.0).poll_frame(context)
        }
        fn size_hint(&self) -> http_body::SizeHint {
            http_body::SizeHint::with_exact(100)
        }
    }
    Body::new(Sized(Body::from_stream(stream)))
}

async fn scraped(talk: &Talk) -> String {
    let admin = access::user::user("admin", &[access::user::MASTERS]);
    let response = get(talk, admin, "/metrics").await;
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// The value of the first series that begins so.
fn value(text: &str, series: &str) -> u64 {
    let series = format!("apiserver_flowcontrol_{series}");
    let line = text.lines().find(|line| line.starts_with(&series));
    assert!(line.is_some(), "{series} is missing in\n{text}");
    line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn requests_are_classified_by_schemas_and_levels_that_are_added() {
    let talk = started(Limits::upstream()).await;
    let level = level(&talk, "e2e", queues()).await;
    let schema = schema(&talk, "e2e", "e2e", &["noxu"]).await;
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    let answer = get(&talk, user("noxu"), MAPS).await;
    assert_eq!(answer.headers()[LEVEL_HEADER], uid(&level));
    assert_eq!(answer.headers()[SCHEMA_HEADER], uid(&schema));
    let other = get(&talk, user("foo"), MAPS).await;
    assert!(!other.headers()[LEVEL_HEADER].is_empty());
    assert_ne!(other.headers()[LEVEL_HEADER], uid(&level));
}

#[tokio::test]
async fn a_user_whose_level_is_full_drowns_nobody_of_another() {
    let talk = small(100).await;
    for name in ["high", "low"] {
        level(&talk, name, queues()).await;
        schema(&talk, name, name, &[name]).await;
    }
    let mut flood: Vec<_> = (0..100).map(|_| stalled(&talk, user("high"))).collect();
    for _ in 0..20 {
        assert_eq!(code(&talk, user("low"), MAPS).await, 200);
    }
    let text = scraped(&talk).await;
    let high = "flow_schema=\"high\",priority_level=\"high\"";
    assert_eq!(
        value(&text, "nominal_limit_seats{priority_level=\"high\""),
        1
    );
    assert_eq!(
        value(&text, &format!("current_executing_requests{{{high}")),
        1
    );
    assert_eq!(
        value(&text, &format!("current_inqueue_requests{{{high}")),
        99
    );
    // One more than its queue holds.
    let mut more = stalled(&talk, user("high"));
    let refused = get(&talk, user("high"), MAPS).await;
    assert_eq!(
        (refused.status().as_u16(), &refused.headers()["retry-after"]),
        (429, &"1".parse().unwrap())
    );
    assert!(refused.headers().contains_key(LEVEL_HEADER));
    let words = refused.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(words, "Too many requests, please try again later.\n");
    let text = scraped(&talk).await;
    assert_eq!(
        value(
            &text,
            &format!("rejected_requests_total{{{high},reason=\"queue-full\"")
        ),
        1
    );
    let ended = text
        .lines()
        .find(|line| line.starts_with("apiserver_request_terminations_total{code=\"429\""));
    assert!(
        ended.is_some_and(|line| line.contains("verb=\"LIST\"") && line.ends_with("} 1")),
        "{text}"
    );
    assert!((&mut more).now_or_never().is_none());
    // Who goes on asking is sent away for longer, as soon as the second is over in which many were refused.
    let longer = async {
        while get(&talk, user("high"), MAPS).await.headers()["retry-after"] != "2" {
            tokio::task::yield_now().await;
        }
    };
    let bound = std::time::Duration::from_secs(30);
    tokio::time::timeout(bound, longer).await.unwrap();
    flood.clear();
}

#[tokio::test]
async fn a_user_drowns_nobody_of_the_same_level_by_asking_more_often() {
    let talk = small(100).await;
    level(&talk, "shared", queues()).await;
    schema(&talk, "shared", "shared", &["often", "seldom"]).await;
    let first = stalled(&talk, user("often"));
    let ask = |name: &str| {
        talk.server
            .handle(request(user(name), "GET", MAPS, Body::empty()))
    };
    let done = std::sync::Mutex::new(Vec::new());
    let asked = |name: &'static str| {
        let asking = ask(name);
        let done = &done;
        async move {
            let code = asking.await.status().as_u16();
            done.lock().unwrap().push((name, code));
        }
    };
    let mut all: Vec<_> = (0..60).map(|_| asked("often").boxed_local()).collect();
    for waiting in &mut all {
        assert!(waiting.now_or_never().is_none());
    }
    all.extend((0..3).map(|_| asked("seldom").boxed_local()));
    for waiting in all.iter_mut().skip(60) {
        assert!(waiting.now_or_never().is_none());
    }
    drop(first);
    join_all(all).await;
    let done = done.into_inner().unwrap();
    assert!(done.iter().all(|(_, code)| *code == 200), "{done:?}");
    // When the others have their turn is a matter of how long each takes, which the simulation decides and nobody here.
    let first = done.iter().position(|(name, _)| *name == "seldom").unwrap();
    assert!(first < 2, "{done:?}");
}

#[tokio::test]
async fn a_flood_of_stalled_writes_leaves_seats_to_the_system() {
    let talk = started(Limits::upstream()).await;
    let flood: Vec<_> = (0..400).map(|_| stalled(&talk, user("flood"))).collect();
    let text = scraped(&talk).await;
    let global = "flow_schema=\"global-default\",priority_level=\"global-default\"";
    let executing = value(&text, &format!("current_executing_requests{{{global}"));
    // Its own seats, and all that others lend.
    assert_eq!(executing, 368);
    assert_eq!(
        value(&text, &format!("current_inqueue_requests{{{global}")),
        32
    );
    let node = access::user::node("node-1");
    let leases = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let account = |name: &str| access::user::service_account("kube-system", name);
    for (who, path) in [
        (access::user::user("admin", &[access::user::MASTERS]), MAPS),
        (
            node.clone(),
            "/api/v1/nodes?fieldSelector=metadata.name%3Dnode-1",
        ),
        (node, "/api/v1/services"),
        (user("system:kube-scheduler"), leases),
        (user("system:kube-controller-manager"), MAPS),
        (account("deployment-controller"), MAPS),
        (access::user::service_account("web", "default"), MAPS),
        (access::user::anonymous(), "/livez"),
    ] {
        let name = who.name.clone();
        let answer = get(&talk, who, path).now_or_never();
        let code = answer.map(|answer| answer.status().as_u16());
        assert_eq!(code, Some(200), "{name}");
    }
    drop(flood);
    let text = scraped(&talk).await;
    assert_eq!(
        value(&text, &format!("current_executing_requests{{{global}")),
        0
    );
    assert_eq!(
        value(&text, &format!("current_inqueue_requests{{{global}")),
        0
    );
    assert_eq!(code(&talk, user("flood"), MAPS).await, 200);
}

#[tokio::test(start_paused = true)]
async fn who_waits_too_long_is_told_to_come_back() {
    let talk = small(100).await;
    level(&talk, "a", queues()).await;
    schema(&talk, "a", "a", &["jo"]).await;
    let _held = stalled(&talk, user("jo"));
    let begun = tokio::time::Instant::now();
    assert_eq!(code(&talk, user("jo"), MAPS).await, 429);
    assert_eq!(begun.elapsed().as_secs(), 15);
    let begun = tokio::time::Instant::now();
    assert_eq!(
        code(&talk, user("jo"), &format!("{MAPS}?timeout=8s")).await,
        429
    );
    assert_eq!(begun.elapsed().as_secs(), 2);
    let begun = tokio::time::Instant::now();
    assert_eq!(
        code(&talk, user("jo"), &format!("{MAPS}?watch=true")).await,
        429
    );
    assert_eq!(begun.elapsed().as_secs(), 15);
    let text = scraped(&talk).await;
    let a = "flow_schema=\"a\",priority_level=\"a\"";
    assert_eq!(
        value(
            &text,
            &format!("rejected_requests_total{{{a},reason=\"time-out\"")
        ),
        3
    );
    let waited = format!("request_wait_duration_seconds_count{{execute=\"false\",{a}");
    assert_eq!(value(&text, &waited), 3);
    assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
}

#[tokio::test]
async fn a_watch_has_a_seat_only_until_it_is_open() {
    let talk = small(100).await;
    level(&talk, "a", json!({"type": "Reject"})).await;
    schema(&talk, "a", "a", &["jo"]).await;
    let watch = get(&talk, user("jo"), &format!("{MAPS}?watch=true")).await;
    assert_eq!(watch.status(), 200);
    assert_eq!(code(&talk, user("jo"), MAPS).await, 200);
    let held = stalled(&talk, user("jo"));
    assert_eq!(
        code(&talk, user("jo"), &format!("{MAPS}?watch=true")).await,
        429
    );
    drop(held);
    let text = scraped(&talk).await;
    let a = "flow_schema=\"a\",priority_level=\"a\"";
    assert_eq!(
        value(
            &text,
            &format!("rejected_requests_total{{{a},reason=\"concurrency-limit\"")
        ),
        1
    );
    assert_eq!(
        value(
            &text,
            &format!("request_execution_seconds_count{{{a},type=\"watch\"")
        ),
        1
    );
    drop(watch);
}

#[tokio::test]
async fn what_is_configured_holds_at_once_for_those_who_wait_too() {
    let talk = small(100).await;
    level(&talk, "a", queues()).await;
    schema(&talk, "a", "a", &["jo"]).await;
    let held = stalled(&talk, user("jo"));
    let ask = || {
        talk.server
            .handle(request(user("jo"), "GET", MAPS, Body::empty()))
            .boxed()
    };
    let mut waiting = ask();
    assert!((&mut waiting).now_or_never().is_none());
    let path = format!("{FLOW}/prioritylevelconfigurations/a");
    let more = json!({"spec": {"limited": {"nominalConcurrencyShares": 100}}});
    talk.patch("merge", &path, more).await.expect(200);
    assert_eq!(waiting.await.status(), 200);
    let less = json!({"spec": {"limited": {"nominalConcurrencyShares": 1}}});
    talk.patch("merge", &path, less).await.expect(200);
    let mut waiting = ask();
    assert!((&mut waiting).now_or_never().is_none());
    // Who waits for a level that is gone is served by it; who comes later falls under another.
    talk.delete(&path, Value::Null).await.expect(200);
    assert_eq!(code(&talk, user("jo"), MAPS).await, 200);
    assert!((&mut waiting).now_or_never().is_none());
    drop(held);
    assert_eq!(waiting.await.status(), 200);
    let text = scraped(&talk).await;
    assert!(
        !text.contains("nominal_limit_seats{priority_level=\"a\"}"),
        "{text}"
    );
}

#[tokio::test]
async fn the_mandatory_objects_hold_even_when_they_are_gone() {
    let talk = small(100).await;
    for kind in ["flowschemas", "prioritylevelconfigurations"] {
        let path = format!("{FLOW}/{kind}");
        talk.send("DELETE", &path, "application/json", Body::empty())
            .await
            .expect(200);
    }
    let admin = access::user::user("admin", &[access::user::MASTERS]);
    let held: Vec<_> = (0..100).map(|_| stalled(&talk, user("jo"))).collect();
    assert_eq!(code(&talk, user("jo"), MAPS).await, 429);
    let exempt = get(&talk, admin, MAPS).await;
    assert_eq!(exempt.status(), 200);
    assert!(!exempt.headers().contains_key(LEVEL_HEADER));
    drop(held);
}
