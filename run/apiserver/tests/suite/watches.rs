//! Watches as informers use them, down to the client library's own informer.

use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use futures::{StreamExt, TryStreamExt};
use http::Request;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::runtime::watcher::{self, Event};
use kube::{Api, Client};
use sampan_apiserver::Identity;
use serde_json::{Value, json};

use crate::server::Talk;

const MAPS: &str = "/api/v1/namespaces/web/configmaps";
/// Longest wait for an event that must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The events of one watch.
pub(crate) struct Events {
    body: BodyDataStream,
    read: Vec<u8>,
}

impl Events {
    async fn open(talk: &Talk, query: &str, accept: &str) -> Self {
        Self::at(talk, MAPS, query, accept).await
    }

    /// Watches a collection.
    pub(crate) async fn at(talk: &Talk, path: &str, query: &str, accept: &str) -> Self {
        let user = access::user::user("admin", &[access::user::MASTERS]);
        let request = Request::get(format!("{path}?watch=true&{query}"))
            .header("accept", accept)
            .extension(Identity(user));
        let response = talk
            .server
            .handle(request.body(Body::empty()).unwrap())
            .await;
        assert_eq!(response.status(), 200);
        Self {
            body: response.into_body().into_data_stream(),
            read: Vec::new(),
        }
    }

    /// The next event, if it comes in time and before the end.
    pub(crate) async fn next_within(&mut self, patience: Duration) -> Option<Value> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return serde_json::from_slice(&line).unwrap();
            }
            let chunk = tokio::time::timeout(patience, self.body.next()).await;
            self.read.extend(chunk.ok()??.unwrap());
        }
    }

    /// The next event.
    async fn next(&mut self) -> Value {
        self.next_within(PATIENCE).await.unwrap()
    }

    /// Type and name of the next event.
    async fn brief(&mut self) -> String {
        let event = self.next().await;
        let name = event["object"]["metadata"]["name"]
            .as_str()
            .unwrap_or_default();
        format!("{} {name}", event["type"].as_str().unwrap())
            .trim()
            .to_owned()
    }
}

fn map(name: &str, label: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": label}}})
}

#[tokio::test]
async fn a_watch_from_a_revision_misses_nothing() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("a", "x")).await.expect(201);
    let list = talk.get(MAPS).await.expect(200);
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    talk.post(MAPS, map("b", "x")).await.expect(201);
    let mut events = Events::open(&talk, &format!("resourceVersion={version}"), "").await;
    assert_eq!(events.brief().await, "ADDED b");
    talk.patch("merge", &format!("{MAPS}/a"), json!({"data": {"k": "v"}}))
        .await
        .expect(200);
    assert_eq!(events.brief().await, "MODIFIED a");
    talk.delete(&format!("{MAPS}/b"), Value::Null)
        .await
        .expect(200);
    assert_eq!(events.brief().await, "DELETED b");
}

#[tokio::test]
async fn what_leaves_a_selection_is_deleted_for_its_watcher() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("a", "x")).await.expect(201);
    let mut events = Events::open(&talk, "labelSelector=app%3Dx", "").await;
    assert_eq!(events.brief().await, "ADDED a");
    let relabel = |value: &str| json!({"metadata": {"labels": {"app": value}}});
    talk.patch("merge", &format!("{MAPS}/a"), relabel("y"))
        .await
        .expect(200);
    let gone = events.next().await;
    assert_eq!(gone["type"], "DELETED");
    let metadata = &gone["object"]["metadata"];
    assert_eq!(metadata["labels"]["app"], "x");
    let now = talk.get(&format!("{MAPS}/a")).await.expect(200);
    assert_eq!(
        metadata["resourceVersion"],
        now["metadata"]["resourceVersion"]
    );
    talk.patch("merge", &format!("{MAPS}/a"), relabel("x"))
        .await
        .expect(200);
    assert_eq!(events.brief().await, "ADDED a");
}

#[tokio::test]
async fn initial_events_end_with_the_annotated_bookmark() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("a", "x")).await.expect(201);
    let query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    for accept in [
        "application/json",
        "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    ] {
        let mut events = Events::open(&talk, query, accept).await;
        assert_eq!(events.brief().await, "ADDED a");
        let bookmark = events.next().await;
        assert_eq!(bookmark["type"], "BOOKMARK");
        let metadata = &bookmark["object"]["metadata"];
        assert_eq!(metadata["annotations"]["k8s.io/initial-events-end"], "true");
        assert!(metadata["resourceVersion"].is_string());
    }
    let silent = talk
        .get(&format!("{MAPS}?watch=true&sendInitialEvents=true"))
        .await;
    assert_eq!(silent.code, 422);
}

#[tokio::test]
async fn a_watch_starts_where_it_was_told_to() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("a", "x")).await.expect(201);
    let annotated = |event: &Value| event["object"]["metadata"]["annotations"].is_object();
    // Any state, with bookmarks: the initial events end with one.
    let mut events = Events::open(&talk, "allowWatchBookmarks=true", "").await;
    assert_eq!(events.brief().await, "ADDED a");
    assert!(annotated(&events.next().await));
    let list = talk.get(MAPS).await.expect(200);
    let version = list["metadata"]["resourceVersion"].as_str().unwrap();
    let next = version.parse::<u64>().unwrap() + 1;
    // None without bookmarks; no state where none is wanted; nothing of what was still to come.
    let plain = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan";
    let mut initial = Events::open(&talk, plain, "").await;
    assert_eq!(initial.brief().await, "ADDED a");
    let none = "sendInitialEvents=false&resourceVersionMatch=NotOlderThan&resourceVersion=0";
    let mut none = Events::open(&talk, none, "").await;
    let mut later = Events::open(&talk, &format!("resourceVersion={next}"), "").await;
    talk.post(MAPS, map("b", "x")).await.expect(201);
    talk.post(MAPS, map("c", "x")).await.expect(201);
    assert_eq!(initial.brief().await, "ADDED b");
    assert_eq!(none.brief().await, "ADDED b");
    assert_eq!(later.brief().await, "ADDED c");
}

#[tokio::test]
async fn a_revision_that_is_gone_is_gone_for_watches_and_pages() {
    let talk = Talk::new().await;
    for name in ["a", "b", "c"] {
        talk.post(MAPS, map(name, "x")).await.expect(201);
    }
    let page = talk.get(&format!("{MAPS}?limit=1")).await.expect(200);
    assert_eq!(page["metadata"]["remainingItemCount"], 2);
    let token = page["metadata"]["continue"].as_str().unwrap();
    let store = &talk.server.config().store;
    store.compact(store.revision()).await.unwrap();
    talk.post(MAPS, map("d", "x")).await.expect(201);
    let mut old = Events::open(&talk, "resourceVersion=2", "application/json").await;
    let last = old.next().await;
    assert_eq!(
        (&last["type"], &last["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
    assert_eq!(last["object"]["reason"], "Expired");
    store.compact(store.revision()).await.unwrap();
    let again = format!("{MAPS}?limit=9&continue={token}");
    let gone = talk.get(&again).await.expect(410);
    let token = gone["metadata"]["continue"].as_str().unwrap();
    // It is good for as long as the client likes.
    talk.post(MAPS, map("e", "x")).await.expect(201);
    store.compact(store.revision()).await.unwrap();
    let next = format!("{MAPS}?continue={token}");
    let rest = talk.get(&next).await.expect(200);
    assert_eq!(rest["items"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn the_client_librarys_informer_follows() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("a", "x")).await.expect(201);
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let server = talk.server.clone();
    let service = tower::service_fn(move |request: Request<kube::client::Body>| {
        let server = server.clone();
        let mut request = request.map(Body::new);
        request.extensions_mut().insert(Identity(user.clone()));
        async move { Ok::<_, std::convert::Infallible>(server.handle(request).await) }
    });
    let maps: Api<ConfigMap> = Api::namespaced(Client::new(service, "web"), "web");
    for config in [
        watcher::Config::default(),
        watcher::Config::default().streaming_lists(),
    ] {
        let mut events = watcher::watcher(maps.clone(), config).boxed();
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Event::InitDone)) {
            let event = tokio::time::timeout(PATIENCE, events.try_next())
                .await
                .unwrap()
                .unwrap();
            seen.push(event.unwrap());
        }
        let names = seen.iter().filter_map(|event| match event {
            Event::InitApply(map) => map.metadata.name.clone(),
            _ => None,
        });
        assert_eq!(names.collect::<Vec<_>>(), ["a"]);
        talk.patch("merge", &format!("{MAPS}/a"), json!({"data": {"k": "v"}}))
            .await
            .expect(200);
        talk.patch("merge", &format!("{MAPS}/a"), json!({"data": null}))
            .await
            .expect(200);
        let event = tokio::time::timeout(PATIENCE, events.try_next())
            .await
            .unwrap()
            .unwrap();
        assert!(matches!(event, Some(Event::Apply(_))));
    }
}
