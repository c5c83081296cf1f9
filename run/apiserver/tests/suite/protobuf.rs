//! Answers in protobuf, read back as a typed client reads them.

use axum::body::Body;
use futures::StreamExt;
use http::Request;
use kinds::schema::{builtin_kind, decode};
use meta::{Gvk, ObjectExt};
use sampan_apiserver::Identity;
use serde_json::{Value, json};
use wire::protobuf;

use crate::server::{Answer, Talk};

const PROTOBUF: &str = "application/vnd.kubernetes.protobuf";
const MAPS: &str = "/api/v1/namespaces/web/configmaps";

async fn get(talk: &Talk, path: &str, accept: &str) -> Answer {
    let headers = [("accept", accept)];
    talk.send_as("suite/1", "GET", path, &headers, "").await
}

/// An enveloped message of a built-in kind as JSON, with its kind.
fn read(body: &[u8]) -> Value {
    let envelope = protobuf::open(body).unwrap();
    let gvk = Gvk::from_api_version(&envelope.api_version, &envelope.kind).unwrap();
    let schema = builtin_kind(&gvk).unwrap();
    let item = schema.as_struct().unwrap();
    let mut object = protobuf::read(envelope.raw, &schema.graph, item).unwrap();
    object.set(&["apiVersion"], envelope.api_version.into());
    object.set(&["kind"], envelope.kind.into());
    decode(object, &schema).unwrap().object
}

#[tokio::test]
async fn objects_lists_and_metadata_come_in_protobuf() {
    let talk = Talk::new().await;
    let map = json!({"metadata": {"name": "a", "labels": {"app": "x"}}, "data": {"k": "v"}});
    let made = talk.post(MAPS, map).await.expect(201);
    let answer = get(&talk, &format!("{MAPS}/a"), PROTOBUF).await;
    assert_eq!(answer.headers["content-type"], PROTOBUF);
    let object = read(&answer.bytes);
    assert_eq!(object["data"], made["data"]);
    assert_eq!(object["metadata"]["uid"], made["metadata"]["uid"]);
    assert_eq!(
        object["metadata"]["managedFields"],
        made["metadata"]["managedFields"]
    );
    let list = read(&get(&talk, MAPS, PROTOBUF).await.bytes);
    assert_eq!(list["kind"], "ConfigMapList");
    assert_eq!(list["items"][0]["metadata"]["labels"], json!({"app": "x"}));
    assert!(
        !list
            .str_at(&["metadata", "resourceVersion"])
            .unwrap()
            .is_empty()
    );
    let partial = format!("{PROTOBUF};as=PartialObjectMetadataList;g=meta.k8s.io;v=v1");
    let answer = get(&talk, MAPS, &partial).await;
    let envelope = protobuf::open(&answer.bytes).unwrap();
    assert_eq!(envelope.kind, "PartialObjectMetadataList");
    // A list of ConfigMaps reads it too: the metadata has the same place.
    let schema = builtin_kind(&Gvk::new("", "v1", "ConfigMapList")).unwrap();
    let list = protobuf::read(envelope.raw, &schema.graph, schema.as_struct().unwrap()).unwrap();
    assert_eq!(list["items"][0]["metadata"]["name"], "a");
    assert!(list["items"][0].get("data").is_none());
}

#[tokio::test]
async fn what_has_no_protobuf_form_is_answered_in_the_next_one() {
    let talk = Talk::new().await;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    let both = format!("{PROTOBUF},application/json");
    assert_eq!(
        get(&talk, path, &both).await.headers["content-type"],
        "application/json"
    );
    assert_eq!(get(&talk, path, PROTOBUF).await.code, 406);
    let table = format!("{PROTOBUF};as=Table;g=meta.k8s.io;v=v1");
    assert_eq!(get(&talk, MAPS, &table).await.code, 406);
    let refused = get(&talk, &format!("{MAPS}/none"), PROTOBUF).await;
    assert_eq!(
        (refused.code, &refused.headers["content-type"]),
        (404, &PROTOBUF.parse().unwrap())
    );
    let envelope = protobuf::open(&refused.bytes).unwrap();
    assert_eq!((&*envelope.api_version, &*envelope.kind), ("v1", "Status"));
    let text = String::from_utf8_lossy(envelope.raw);
    assert!(text.contains("configmaps \"none\" not found"), "{text}");
}

#[tokio::test]
async fn a_watch_is_of_frames_that_say_their_length() {
    let talk = Talk::new().await;
    let map = json!({"metadata": {"name": "a"}});
    talk.post(MAPS, map).await.expect(201);
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let query = "watch=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let request = Request::get(format!("{MAPS}?{query}"))
        .header("accept", PROTOBUF)
        .extension(Identity(user));
    let response = talk
        .server
        .handle(request.body(Body::empty()).unwrap())
        .await;
    let media_type = &response.headers()["content-type"];
    assert_eq!(
        media_type,
        "application/vnd.kubernetes.protobuf;stream=watch"
    );
    let (mut body, mut bytes) = (response.into_body().into_data_stream(), Vec::new());
    for (event_type, name) in [("ADDED", "a"), ("BOOKMARK", "")] {
        while bytes.len() < 4 || bytes.len() - 4 < length(&bytes) {
            bytes.extend(body.next().await.unwrap().unwrap());
        }
        let rest = bytes.split_off(4 + length(&bytes));
        // The event's type, its object as RawExtension, and in that the object itself.
        let event = bytes.get(4..).unwrap();
        let (told, event) = field(event);
        assert_eq!(told, event_type.as_bytes());
        let object = read(field(field(event).0).0);
        assert_eq!(object.name(), name);
        assert!(!object.resource_version().is_empty());
        bytes = rest;
    }
}

fn length(bytes: &[u8]) -> usize {
    u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize
}

/// The first field's bytes, and what follows them.
fn field(message: &[u8]) -> (&[u8], &[u8]) {
    let (mut length, mut at) = (0, 1);
    for shift in (0..).step_by(7) {
        let byte = message[at];
        at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            break;
        }
    }
    message[at..].split_at(length)
}
