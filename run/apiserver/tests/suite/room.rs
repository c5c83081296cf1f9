//! Large answers take room until they are read: more are told to come back, and small ones go on.

use std::sync::{Arc, Weak};

use axum::body::Body;
use futures::FutureExt;
use http::{HeaderValue, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt;
use sampan_apiserver::Identity;
use sampan_apiserver::config::Limits;
use serde_json::json;

use crate::server::Talk;

const MAPS: &str = "/api/v1/namespaces/web/configmaps";
const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
/// What objects hold that are large together.
const TEXT_BYTES: usize = 60_000;

/// A server with room for two streams of one user, and objects that are a large list.
async fn crowded() -> Talk {
    let talk = Talk::with(Limits {
        answer_bytes_max: 1_100_000,
        ..Limits::upstream()
    })
    .await;
    for name in ["a", "b", "c", "d"] {
        let map = json!({"metadata": {"name": name}, "data": {"a": "x".repeat(TEXT_BYTES)}});
        talk.post(MAPS, map).await.expect(201);
    }
    talk
}

/// The answer to a request of `user`, unread.
async fn ask(talk: &Talk, user: &str, path: &str, accept: &str) -> Response<Body> {
    let user = access::user::user(user, &[access::user::MASTERS]);
    let request = Request::get(path).header("accept", accept);
    let request = request.extension(Identity(user));
    talk.server
        .handle(request.body(Body::empty()).unwrap())
        .await
}

async fn read(response: Response<Body>) -> bytes::Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}

#[tokio::test]
async fn unread_lists_take_room_in_every_form() {
    let talk = crowded().await;
    let pretty = format!("{MAPS}?pretty=true");
    for (path, accept) in [
        (MAPS, "application/json"),
        (&pretty, "application/json"),
        (MAPS, PROTOBUF),
    ] {
        let unread = [
            ask(&talk, "jo", path, accept).await,
            ask(&talk, "jo", path, accept).await,
        ];
        assert!(unread.iter().all(|answer| answer.status() == 200));
        let refused = ask(&talk, "jo", path, accept).await;
        assert_eq!(refused.status(), 429, "{path} {accept}");
        assert_eq!(refused.headers()["retry-after"], "1");
        // Others have room of their own, and what is small needs none.
        assert_eq!(ask(&talk, "bo", path, accept).await.status(), 200);
        let one = format!("{MAPS}/a");
        assert_eq!(ask(&talk, "jo", &one, accept).await.status(), 200);
        for answer in unread {
            assert!(read(answer).await.len() > 4 * TEXT_BYTES);
        }
        assert_eq!(ask(&talk, "jo", path, accept).await.status(), 200);
    }
}

#[tokio::test]
async fn a_list_in_yaml_takes_what_making_it_takes() {
    let talk = crowded().await;
    let held = ask(&talk, "bo", MAPS, "application/json").await;
    let refused = ask(&talk, "jo", MAPS, "application/yaml").await;
    assert_eq!(refused.status(), 429);
    drop(held);
    // Alone it is let in, however large it is.
    let yaml = ask(&talk, "jo", MAPS, "application/yaml").await;
    assert!(read(yaml).await.starts_with(b"apiVersion: v1\nitems:\n- "));
}

#[tokio::test]
async fn an_indented_list_is_made_while_it_is_read_and_is_the_same() {
    let talk = crowded().await;
    let compact = read(ask(&talk, "jo", MAPS, "application/json").await).await;
    let path = format!("{MAPS}?pretty=true");
    let pretty = read(ask(&talk, "jo", &path, "application/json").await).await;
    let value: serde_json::Value = serde_json::from_slice(&compact).unwrap();
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&pretty).unwrap(),
        value
    );
    assert!(pretty.starts_with(b"{\n  \"") && pretty.ends_with(b"\n  ]\n}"));
}

#[tokio::test]
async fn what_is_made_while_it_is_read_takes_a_piece_however_large_it_is() {
    let talk = crowded().await;
    for name in ["e", "f", "g"] {
        let map = json!({"metadata": {"name": name}, "data": {"a": "x".repeat(8 * TEXT_BYTES)}});
        talk.post(MAPS, map).await.expect(201);
    }
    let pretty = format!("{MAPS}?pretty=true");
    for (path, coding) in [
        (MAPS, "identity"),
        (&pretty, "identity"),
        (MAPS, "gzip"),
        (&pretty, "gzip"),
    ] {
        // All of the list is more than one user may have together.
        let ask = async || {
            let user = access::user::user("jo", &[access::user::MASTERS]);
            let request = Request::get(path).header("accept-encoding", coding);
            let request = request.extension(Identity(user)).body(Body::empty());
            talk.server.handle(request.unwrap()).await
        };
        let unread = [ask().await, ask().await];
        for answer in unread {
            assert_eq!(answer.status(), 200, "{path} {coding}");
            assert_eq!(answer.body().size_hint().exact(), None);
        }
    }
}

#[tokio::test]
async fn what_is_done_is_answered_without_room() {
    let talk = crowded().await;
    let held = [
        ask(&talk, "admin", MAPS, "application/json").await,
        ask(&talk, "admin", MAPS, "application/json").await,
    ];
    let map = json!({"metadata": {"name": "e"}, "data": {"a": "x".repeat(3 * TEXT_BYTES)}});
    talk.post(MAPS, map).await.expect(201);
    let deleted = talk.send("DELETE", MAPS, "application/json", Body::empty());
    deleted.await.expect(200);
    drop(held);
}

#[tokio::test]
async fn large_bodies_that_come_take_room() {
    let talk = crowded().await;
    let endless = || {
        let pending = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        Body::from_stream(pending)
    };
    let post = |user: &str, body: Body| {
        let user = access::user::user(user, &[access::user::MASTERS]);
        let request = Request::post(MAPS).header("content-type", "application/json");
        let request = request.extension(Identity(user)).body(body).unwrap();
        talk.server.handle(request)
    };
    // It does not say how large it is, so that it may be as large as any.
    let mut stalled = Box::pin(post("jo", endless()));
    assert!(stalled.as_mut().now_or_never().is_none());
    let large = || {
        let data = json!({"a": "x".repeat(2 * TEXT_BYTES)});
        let map = json!({"metadata": {"generateName": "a"}, "data": data});
        Body::from(map.to_string())
    };
    let small = || Body::from(json!({"metadata": {"generateName": "a"}}).to_string());
    assert_eq!(post("jo", large()).await.status(), 429);
    assert_eq!(post("jo", small()).await.status(), 201);
    drop(stalled);
    assert_eq!(post("jo", large()).await.status(), 201);
}

#[tokio::test]
async fn unread_answers_of_large_changes_keep_the_room_of_their_changes() {
    let talk = crowded().await;
    let map = json!({"metadata": {"name": "e"}, "data": {"a": "x".repeat(5 * TEXT_BYTES)}});
    talk.post(MAPS, map).await.expect(201);
    let patch = |user: &str| {
        let user = access::user::user(user, &[access::user::MASTERS]);
        let request = Request::patch(format!("{MAPS}/e"));
        let request = request.header("content-type", "application/merge-patch+json");
        let body = Body::from(r#"{"data": {"b": "x"}}"#);
        talk.server
            .handle(request.extension(Identity(user)).body(body).unwrap())
    };
    let unread = patch("jo").await;
    assert_eq!(unread.status(), 200);
    assert_eq!(patch("jo").await.status(), 429);
    assert_eq!(patch("bo").await.status(), 200);
    drop(unread);
    assert_eq!(patch("jo").await.status(), 200);
}

#[tokio::test]
async fn large_selectors_take_room_as_long_as_their_watches_run() {
    let talk = Talk::with(Limits {
        answer_bytes_max: 100_000,
        ..Limits::upstream()
    })
    .await;
    let values: Vec<String> = (0..500).map(|value| format!("v{value}")).collect();
    let watch = |values: &[String]| {
        let values = values.join(",");
        format!("{MAPS}?watch=true&labelSelector=app%20in%20({values})")
    };
    let (large, small) = (watch(&values), watch(&values[..100]));
    let json = "application/json";
    let held = ask(&talk, "jo", &large, json).await;
    assert_eq!(held.status(), 200);
    let refused = ask(&talk, "jo", &large, json).await;
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(ask(&talk, "jo", &small, json).await.status(), 200);
    assert_eq!(ask(&talk, "bo", &large, json).await.status(), 200);
    drop(held);
    assert_eq!(ask(&talk, "jo", &large, json).await.status(), 200);
}

#[tokio::test(start_paused = true)]
async fn watches_that_begin_with_a_large_state_take_room_until_they_have_told_it() {
    let talk = Talk::with(Limits {
        answer_bytes_max: 6_000,
        ..Limits::upstream()
    })
    .await;
    for name in 0..300 {
        let map = json!({"metadata": {"name": format!("m{name}")}});
        talk.post(MAPS, map).await.expect(201);
    }
    let initial = format!(
        "{MAPS}?watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let json = "application/json";
    let mut watch = ask(&talk, "jo", &initial, json).await;
    assert_eq!(ask(&talk, "jo", &initial, json).await.status(), 429);
    let one = talk.get(&format!("{MAPS}?limit=1")).await;
    let now = one.body["metadata"]["resourceVersion"].clone();
    let plain = format!(
        "{MAPS}?watch=true&resourceVersion={}",
        now.as_str().unwrap()
    );
    assert_eq!(ask(&talk, "jo", &plain, json).await.status(), 200);
    // All of it, the bookmark behind it, and the next event.
    for _ in 0..=300 {
        assert!(watch.body_mut().frame().await.unwrap().is_ok());
    }
    let map = json!({"metadata": {"name": "late"}});
    talk.post(MAPS, map).await.expect(201);
    assert!(watch.body_mut().frame().await.unwrap().is_ok());
    let mut unread = ask(&talk, "jo", &initial, json).await;
    assert_eq!(unread.status(), 200);
    tokio::time::sleep(std::time::Duration::from_secs(61)).await;
    assert!(unread.body_mut().frame().await.unwrap().is_err());
    // Who has read the beginning goes on.
    let map = json!({"metadata": {"name": "later"}});
    talk.post(MAPS, map).await.expect(201);
    assert!(watch.body_mut().frame().await.unwrap().is_ok());
}

#[tokio::test]
async fn a_resumed_backlog_takes_room_too() {
    let talk = Talk::with(Limits {
        answer_bytes_max: 48_000,
        ..Limits::upstream()
    })
    .await;
    for name in 0..2000 {
        let map = json!({"metadata": {"name": format!("m{name}")}});
        talk.post(MAPS, map).await.expect(201);
    }
    let old = format!("{MAPS}?watch=true&resourceVersion=100");
    let watch = ask(&talk, "jo", &old, "application/json").await;
    assert_eq!(watch.status(), 200);
    let refused = ask(&talk, "jo", &old, "application/json").await;
    assert_eq!(refused.status(), 429);
}

/// A text that is counted by those who have it.
struct Counted(Arc<str>);

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// Bytes, and what tells who has them still.
fn counted(text: &str) -> (bytes::Bytes, Weak<str>) {
    let text: Arc<str> = Arc::from(text);
    let count = Arc::downgrade(&text);
    (bytes::Bytes::from_owner(Counted(text)), count)
}

#[tokio::test]
async fn watches_keep_neither_the_headers_nor_the_bodies_of_their_requests() {
    let talk = Talk::new().await;
    let user = access::user::user("jo", &[access::user::MASTERS]);
    let (header, of_header) = counted("application/json");
    let (body, of_body) = counted("{}");
    let watch = Request::get(format!("{MAPS}?watch=true"))
        .header("accept", HeaderValue::from_maybe_shared(header).unwrap())
        .extension(Identity(user))
        .body(Body::from(body));
    let watch = talk.server.handle(watch.unwrap()).await;
    assert_eq!(watch.status(), 200);
    assert_eq!((of_header.strong_count(), of_body.strong_count()), (0, 0));
    drop(watch);
}

#[tokio::test]
async fn what_a_read_brings_is_not_read() {
    let talk = crowded().await;
    let endless = || {
        let pending = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        Body::from_stream(pending)
    };
    let path = format!("{MAPS}/a");
    let got = talk.send("GET", &path, "application/json", endless()).await;
    got.expect(200);
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let watch = Request::get(format!("{MAPS}?watch=true")).extension(Identity(user));
    let watch = talk.server.handle(watch.body(endless()).unwrap()).await;
    assert_eq!(watch.status(), 200);
}
