//! A session over a cluster that exists only as recorded answers.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use client::rest::Rest;
use http::{Request, Response};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use jiff::Timestamp;
use sampan_workloads::{Plan, Session, StatusError, View};
use serde_json::{Value, json};
use tokio::sync::mpsc;

/// Longest wait for a watch.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(30);

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// Answers by path; a watch stays open and tells what a test sends.
#[derive(Clone, Default)]
struct Cluster {
    answers: Arc<Mutex<BTreeMap<String, (u16, Value)>>>,
    asked: Arc<Mutex<Vec<String>>>,
    watches: Arc<Mutex<BTreeMap<String, mpsc::UnboundedSender<Value>>>>,
    /// Whether nothing is answered any more.
    is_silent: Arc<AtomicBool>,
}

impl Cluster {
    fn new() -> Self {
        let cluster = Self::default();
        let resource = |plural: &str, kind: &str, namespaced: bool| {
            json!({"name": plural, "singularName": kind.to_lowercase(), "kind": kind, "namespaced": namespaced,
                "verbs": ["get", "list", "watch"]})
        };
        cluster.answer(
            "/apis",
            &json!({"groups": [{"name": "apps", "preferredVersion": {"groupVersion": "apps/v1"}}]}),
        );
        cluster.answer("/api/v1", &json!({"resources": [
            resource("pods", "Pod", true), resource("nodes", "Node", false), resource("events", "Event", true)]}));
        cluster.answer("/apis/apps/v1", &json!({"resources": [
            resource("deployments", "Deployment", true), resource("replicasets", "ReplicaSet", true)]}));
        for path in ["pods", "nodes", "events"] {
            cluster.list(&format!("/api/v1/{path}"), &json!([]));
        }
        for path in ["deployments", "replicasets"] {
            cluster.list(&format!("/apis/apps/v1/{path}"), &json!([]));
        }
        cluster
    }

    fn answer(&self, path: &str, body: &Value) {
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), (200, body.clone()));
    }

    fn list(&self, path: &str, items: &Value) {
        self.answer(
            path,
            &json!({"metadata": {"resourceVersion": "7"}, "items": items}),
        );
    }

    fn refuse(&self, path: &str, code: u16, reason: &str) {
        let status = json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code,
            "reason": reason, "message": format!("{path}: {reason}")});
        self.answers
            .lock()
            .unwrap()
            .insert(path.to_owned(), (code, status));
    }

    /// Whether somebody watches a path now.
    async fn watched(&self, path: &str) {
        let is_watched = || self.watches.lock().unwrap().contains_key(path);
        let watched = async {
            while !is_watched() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(WAIT_MAX, watched).await.unwrap();
    }

    fn tell(&self, path: &str, kind: &str, object: &Value) {
        let event = json!({"type": kind, "object": object});
        self.watches.lock().unwrap()[path].send(event).unwrap();
    }

    fn respond(&self, request: &Request<kube::client::Body>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let query = request.uri().query().unwrap_or_default();
        let is_refused = |(code, _): &(u16, Value)| *code != 200;
        let is_served = !self
            .answers
            .lock()
            .unwrap()
            .get(&path)
            .is_some_and(is_refused);
        if query.contains("watch=true") && is_served {
            let (sender, receiver) = mpsc::unbounded_channel::<Value>();
            self.watches.lock().unwrap().insert(path, sender);
            let lines = futures::stream::unfold(receiver, |mut receiver| async {
                let line = receiver.recv().await?;
                let frame = http_body_frame(format!("{line}\n"));
                Some((Ok::<_, Infallible>(frame), receiver))
            });
            return Response::new(BodyExt::boxed_unsync(StreamBody::new(lines)));
        }
        self.asked.lock().unwrap().push(path.clone());
        let refusal = |code: u16, message: &str| {
            let status = json!({"kind": "Status", "code": code, "message": message});
            (code, status)
        };
        let accept = request.headers().get("accept");
        let accept = accept.map_or("", |accept| accept.to_str().unwrap());
        let (code, body) = if accept.contains("as=PartialObjectMetadata;") {
            // As upstream's server does it: a list is no single object.
            refusal(406, "the requested object is a list")
        } else {
            let answers = self.answers.lock().unwrap();
            let found = answers.get(&path).cloned();
            found.unwrap_or_else(|| refusal(404, "no such path"))
        };
        let body = Full::new(Bytes::from(body.to_string())).boxed_unsync();
        Response::builder().status(code).body(body).unwrap()
    }

    fn rest(&self) -> Rest {
        let cluster = self.clone();
        let service = tower::service_fn(move |request| {
            let cluster = cluster.clone();
            async move {
                if cluster.is_silent.load(Ordering::Relaxed) {
                    std::future::pending::<()>().await;
                }
                Ok::<_, Infallible>(cluster.respond(&request))
            }
        });
        Rest::new(kube::Client::new(service, "default"))
    }
}

fn http_body_frame(text: String) -> http_body::Frame<Bytes> {
    http_body::Frame::data(Bytes::from(text))
}

fn noon() -> Timestamp {
    "2026-01-15T12:00:00Z".parse().unwrap()
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "a view may fail, this one does not"
)]
fn everywhere(_: &Plan) -> Result<View, StatusError> {
    Ok(View::everything(None))
}

fn deployment(available: i64) -> Value {
    json!({"metadata": {"name": "web", "namespace": "shop", "uid": "d", "generation": 1,
        "resourceVersion": "8", "creationTimestamp": "2026-01-15T08:00:00Z"}, "spec": {"replicas": 1},
        "status": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1,
            "readyReplicas": available, "availableReplicas": available}})
}

fn replica_set() -> Value {
    json!([{"metadata": {"name": "web-1", "namespace": "shop", "uid": "r",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "Deployment", "uid": "d", "controller": true}]}}])
}

fn pod(waiting: &str) -> Value {
    json!({"metadata": {"name": "web-1-a", "namespace": "shop", "uid": "p", "resourceVersion": "9",
        "creationTimestamp": "2026-01-15T11:59:30Z",
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "uid": "r", "controller": true}]},
        "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "r.example/web:9"}]},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "app", "state": {"waiting": {
            "reason": waiting, "message": "manifest unknown"}}}]}})
}

fn web(waiting: &str) -> Cluster {
    let cluster = Cluster::new();
    cluster.list("/apis/apps/v1/deployments", &json!([deployment(0)]));
    cluster.list("/apis/apps/v1/replicasets", &replica_set());
    cluster.list("/api/v1/pods", &json!([pod(waiting)]));
    cluster.list(
        "/api/v1/nodes",
        &json!([{"metadata": {"name": "n1"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}}]),
    );
    cluster
}

fn reasons(session: &Session) -> Vec<String> {
    let items = session.board.items();
    items
        .iter()
        .map(|item| format!("{} {} {}", item.kind, item.name, item.verdict.reason))
        .collect()
}

#[tokio::test]
async fn one_list_per_kind_gives_the_whole_picture() {
    let cluster = web("ImagePullBackOff");
    let session = Session::once(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    assert_eq!(reasons(&session), ["Deployment web ImagePullBackOff"]);
    assert_eq!(session.notices(), []);
    let mut asked = cluster.asked.lock().unwrap().clone();
    asked.sort();
    assert_eq!(
        asked,
        [
            "/api/v1",
            "/api/v1/events",
            "/api/v1/nodes",
            "/api/v1/pods",
            "/apis",
            "/apis/apps/v1",
            "/apis/apps/v1/deployments",
            "/apis/apps/v1/replicasets",
        ]
    );
}

#[tokio::test]
async fn what_may_not_be_read_is_said_and_not_guessed() {
    let cluster = web("ContainerCreating");
    cluster.refuse("/api/v1/nodes", 403, "Forbidden");
    cluster.refuse("/api/v1/pods", 500, "InternalError");
    let session = Session::once(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    assert_eq!(reasons(&session), ["Deployment web StatusUnavailable"]);
    let said: Vec<_> = session
        .notices()
        .into_iter()
        .map(|notice| notice.what)
        .collect();
    assert_eq!(said, ["pods", "nodes"]);
}

#[tokio::test]
async fn a_kind_that_cannot_be_listed_hides_its_workloads() {
    let cluster = web("ContainerCreating");
    cluster.refuse("/apis/apps/v1/deployments", 403, "Forbidden");
    let session = Session::once(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    // The ReplicaSet is not known to be a part of anything now, so it is told by itself.
    assert_eq!(reasons(&session), ["ReplicaSet web-1 NotObserved"]);
    assert!(session.notices()[0].hides_workloads);
}

#[tokio::test]
async fn changes_are_followed() {
    let cluster = web("ContainerCreating");
    let mut session = Session::follow(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    assert_eq!(reasons(&session), ["Deployment web StartingReplicas"]);
    cluster.watched("/api/v1/pods").await;
    cluster.tell("/api/v1/pods", "MODIFIED", &pod("ErrImagePull"));
    let changes = session.changed(noon).await;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        changes[0]
            .item
            .as_ref()
            .unwrap()
            .verdict
            .sub_reason
            .as_deref(),
        Some("ImageNotFound")
    );
    cluster.tell("/api/v1/pods", "DELETED", &pod("ErrImagePull"));
    assert_eq!(session.changed(noon).await.len(), 1);
    assert_eq!(reasons(&session), ["Deployment web ReplicasUnavailable"]);
}

#[tokio::test(start_paused = true)]
async fn time_alone_changes_a_verdict() {
    let cluster = web("ContainerCreating");
    let start = tokio::time::Instant::now();
    let now = || noon() + jiff::SignedDuration::try_from(start.elapsed()).unwrap();
    let mut session = Session::follow(&cluster.rest(), &[], everywhere, now)
        .await
        .unwrap();
    let changes = loop {
        let changes = session.changed(now).await;
        if !changes.is_empty() {
            break changes;
        }
    };
    // 600 s after the creation of the pod.
    assert_eq!(
        changes[0].item.as_ref().unwrap().verdict.reason,
        "ContainerCreatingTimeout"
    );
    assert_eq!(start.elapsed().as_secs(), 570);
}

/// Waits until the board tells something.
async fn until(session: &mut Session, now: impl Fn() -> Timestamp, told: &[&str]) {
    let mut rounds = 0;
    while reasons(session) != told {
        session.changed(&now).await;
        rounds += 1;
        assert!(rounds < 100, "{:?}", reasons(session));
    }
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_falls_silent_is_never_shown_as_fresh() {
    let cluster = web("ContainerCreating");
    let start = tokio::time::Instant::now();
    let mut session = Session::follow(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    session.watch_over();
    cluster.watched("/api/v1/pods").await;
    cluster.is_silent.store(true, Ordering::Relaxed);
    until(&mut session, noon, &["Deployment web StatusUnavailable"]).await;
    assert!(start.elapsed().as_secs() < 20, "{:?}", start.elapsed());
    let item = session.board.items()[0].clone();
    assert_eq!(item.verdict.status, status::Status::Exception);
    assert_eq!(item.ready, "-");
    let notice = &session.notices()[0];
    assert!(notice.hides_workloads && notice.what == "the cluster");

    // Its connections are dead, though nobody has said so.
    let _dead = std::mem::take(&mut *cluster.watches.lock().unwrap());
    cluster.is_silent.store(false, Ordering::Relaxed);
    until(&mut session, noon, &["Deployment web StartingReplicas"]).await;
    assert_eq!(session.notices(), []);
    cluster.watched("/api/v1/pods").await;
    cluster.tell("/api/v1/pods", "MODIFIED", &pod("ErrImagePull"));
    until(&mut session, noon, &["Deployment web ErrImagePull"]).await;
}

#[tokio::test(start_paused = true)]
async fn half_a_cluster_that_goes_away_is_told_and_comes_back() {
    let cluster = web("ErrImagePull");
    let path = "/apis/apps/v1/deployments";
    let mut session = Session::follow(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    cluster.watched(path).await;
    cluster.refuse(path, 503, "ServiceUnavailable");
    // The watch breaks off, and the next one is refused.
    cluster.watches.lock().unwrap().remove(path);
    until(&mut session, noon, &["Deployment web StatusUnavailable"]).await;
    assert!(session.notices()[0].hides_workloads);
    cluster.list(path, &json!([deployment(0)]));
    until(&mut session, noon, &["Deployment web ErrImagePull"]).await;
    assert_eq!(session.notices(), []);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_never_answers_is_told_and_hides_nothing_else() {
    let cluster = web("ErrImagePull");
    let rest = {
        let cluster = cluster.clone();
        Rest::new(kube::Client::new(
            tower::service_fn(move |request: Request<kube::client::Body>| {
                let cluster = cluster.clone();
                async move {
                    if request.uri().path() == "/api/v1/events" {
                        std::future::pending::<()>().await;
                    }
                    Ok::<_, Infallible>(cluster.respond(&request))
                }
            }),
            "default",
        ))
    };
    let session = Session::once(&rest, &[], everywhere, noon).await.unwrap();
    assert_eq!(reasons(&session), ["Deployment web ErrImagePull"]);
    let notice = &session.notices()[0];
    assert_eq!(notice.what, "events");
    assert_eq!(notice.why, "no answer within 30 s");
    assert!(!notice.hides_workloads);
}

#[tokio::test(start_paused = true)]
async fn kinds_that_are_defined_later_are_followed_until_they_go() {
    let cluster = web("ErrImagePull");
    let definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    cluster.list(definitions, &json!([]));
    let mut session = Session::follow(&cluster.rest(), &[], everywhere, noon)
        .await
        .unwrap();
    cluster.watched(definitions).await;
    let groups = |names: &[&str]| {
        let group = |name: &&str| json!({"name": name, "preferredVersion": {"groupVersion": format!("{name}/v1")}});
        json!({"groups": names.iter().map(group).collect::<Vec<_>>()})
    };
    cluster.answer("/apis", &groups(&["apps", "sea.example"]));
    cluster.answer("/apis/sea.example/v1", &json!({"resources": [
        {"name": "boats", "singularName": "boat", "kind": "Boat", "namespaced": true, "verbs": ["list", "watch"]},
        {"name": "boats/scale", "kind": "Scale", "namespaced": true, "verbs": ["get"]}]}));
    let boat = json!({"metadata": {"name": "a", "namespace": "shop", "uid": "b"},
        "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
    cluster.list("/apis/sea.example/v1/boats", &json!([boat]));
    let definition = json!({"metadata": {"name": "boats.sea.example", "resourceVersion": "8"}});
    cluster.tell(definitions, "ADDED", &definition);
    let both = ["Deployment web ErrImagePull", "Boat a Ready"];
    until(&mut session, noon, &both).await;

    cluster.answer("/apis", &groups(&["apps"]));
    cluster.tell(definitions, "DELETED", &definition);
    until(&mut session, noon, &["Deployment web ErrImagePull"]).await;
    assert_eq!(session.notices(), []);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_does_not_answer_is_told_in_one_sentence() {
    let silent = tower::service_fn(|_: Request<kube::client::Body>| {
        std::future::pending::<Result<Response<Body>, Infallible>>()
    });
    let rest = Rest::new(kube::Client::new(silent, "default"));
    let error = Session::once(&rest, &[], everywhere, noon)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StatusError::Slow { .. }));
    let cluster = Cluster::new();
    cluster.refuse("/apis", 401, "Unauthorized");
    let error = Session::once(&cluster.rest(), &[], everywhere, noon)
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.sentence(),
        "the cluster refuses the credentials of the kubeconfig: /apis: Unauthorized; renew them, or choose \
         another --context"
    );
    for path in ["/apis", "/api/v1"] {
        cluster.answer(path, &json!("nonsense"));
    }
    let error = Session::once(&cluster.rest(), &[], everywhere, noon)
        .await
        .err()
        .unwrap();
    assert!(matches!(error, StatusError::NotKubernetes));
}
