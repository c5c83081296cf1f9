//! What clients and caches get.

use futures::FutureExt as _;
use http_body_util::BodyExt as _;
use serde_json::Value;

use super::*;

fn clock() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

fn ask(
    documents: &Documents,
    path: &str,
    query: &str,
    headers: &[(HeaderName, &str)],
) -> Response<Bytes> {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.insert(name.clone(), value.parse().unwrap());
    }
    let answer = documents.answer(&kinds::builtin(), path, query, &map);
    let (parts, body) = answer.unwrap().into_parts();
    let body = body.collect().now_or_never().unwrap();
    Response::from_parts(parts, body.unwrap().to_bytes())
}

fn body(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).unwrap()
}

#[test]
fn the_index_leads_to_documents_that_may_be_kept_for_good() {
    let documents = Documents::new(clock);
    let index = ask(&documents, "/openapi/v3", "", &[(ACCEPT_ENCODING, "gzip")]);
    assert_eq!(index.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
    let index = body(&index);
    let url = index["paths"]["apis/apps/v1"]["serverRelativeURL"]
        .as_str()
        .unwrap();
    let (path, query) = url.split_once('?').unwrap();
    let answer = ask(&documents, path, query, &[]);
    assert_eq!(answer.headers()[CACHE_CONTROL], "public, immutable");
    assert_eq!(answer.headers()[EXPIRES], "Fri, 01 Jan 1971 00:00:00 GMT");
    assert_eq!(body(&answer)["openapi"], "3.0.0");
    let etag = answer.headers()[ETAG].to_str().unwrap().to_owned();
    let again = ask(&documents, path, query, &[(IF_NONE_MATCH, &etag)]);
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
    let old = ask(&documents, path, "hash=OLD", &[]);
    assert_eq!(old.status(), StatusCode::MOVED_PERMANENTLY);
    assert_eq!(old.headers()[LOCATION], url);
}

#[test]
fn documents_come_compressed_to_those_who_ask() {
    let documents = Documents::new(clock);
    let answer = ask(
        &documents,
        "/openapi/v2",
        "",
        &[(ACCEPT_ENCODING, "gzip, br")],
    );
    assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");
    let mut text = String::new();
    let mut decoder = flate2::read::GzDecoder::new(answer.body().as_ref());
    decoder.read_to_string(&mut text).unwrap();
    let plain = ask(&documents, "/openapi/v2", "", &[]);
    assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    assert_eq!(text.as_bytes(), plain.body());
}

#[test]
fn a_plain_document_is_made_while_it_is_read() {
    let documents = Documents::new(clock);
    let document = documents.v3(&kinds::builtin(), "api/v1").unwrap();
    let mut body = Plain::new(&document);
    let whole = document.plain_bytes;
    let frame = body.frame().now_or_never().unwrap().unwrap().unwrap();
    assert_eq!(frame.into_data().unwrap().len(), PLAIN_PIECE_BYTES);
    let left = whole - PLAIN_PIECE_BYTES as u64;
    assert_eq!(http_body::Body::size_hint(&body).exact(), Some(left));
}

#[test]
fn what_is_not_served_is_not_answered() {
    let documents = Documents::new(clock);
    let registry = kinds::builtin();
    let answer = |path: &str| documents.answer(&registry, path, "", &HeaderMap::new());
    let nothing = answer("/openapi/v3/apis/nothing/v1").unwrap();
    assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    assert!(answer("/openapi/v2/").is_none());
    assert!(answer("/openapi/v4").is_none());
    let refused = ask(
        &documents,
        "/openapi/v3/version",
        "",
        &[(ACCEPT, "text/html")],
    );
    assert_eq!(refused.status(), StatusCode::NOT_ACCEPTABLE);
}

#[test]
fn version_2_comes_in_protobuf_to_older_clients() {
    let documents = Documents::new(clock);
    let answer = ask(&documents, "/openapi/v2", "", &[(ACCEPT, V2_PROTOBUF[0])]);
    assert_eq!(answer.headers()[CONTENT_TYPE], V2_PROTOBUF[1]);
    // The first field is `swagger: "2.0"`.
    assert_eq!(&answer.body()[..5], b"\x0a\x032.0");
}

#[test]
fn a_changed_kind_changes_its_document_alone() {
    let documents = Documents::new(clock);
    let registry = kinds::builtin();
    let first = documents.v3(&registry, "apis/apps/v1").unwrap();
    let other = documents.v3(&registry, "apis/batch/v1").unwrap();
    let mut row = registry
        .rows()
        .find(|row| row.kind == "Deployment")
        .unwrap()
        .as_ref()
        .clone();
    row.verbs.retain(|verb| verb != "deletecollection");
    let registry = registry.with([row]);
    let second = documents.v3(&registry, "apis/apps/v1").unwrap();
    assert_ne!(first.hash, second.hash);
    assert!(Arc::ptr_eq(
        &other,
        &documents.v3(&registry, "apis/batch/v1").unwrap()
    ));
}
