//! Too much at once: bounds answer 429, a watcher that does not read hurts nobody.

use axum::body::Body;
use http::Request;
use http_body_util::BodyExt;
use sampan_apiserver::Identity;
use sampan_apiserver::config::Limits;
use serde_json::{Value, json};

use crate::server::Talk;

const MAPS: &str = "/api/v1/namespaces/web/configmaps";

#[tokio::test]
async fn a_body_that_never_ends_is_given_up() {
    let talk = Talk::with(Limits {
        request_seconds: 1,
        ..Limits::upstream()
    })
    .await;
    let endless = Body::from_stream(futures::stream::pending::<
        Result<bytes::Bytes, std::io::Error>,
    >());
    let answer = talk.send("POST", MAPS, "application/json", endless).await;
    answer.refused(
        504,
        "Timeout: request did not complete within the allotted timeout",
    );
}

#[tokio::test]
async fn more_watches_than_may_run_are_told_to_come_back() {
    let talk = Talk::with(Limits {
        long_running_max: 1,
        ..Limits::upstream()
    })
    .await;
    let watch = || async {
        let request = Request::get(format!("{MAPS}?watch=true"));
        let user = access::user::user("jo", &[access::user::MASTERS]);
        let request = request.extension(Identity(user)).body(Body::empty());
        talk.server.handle(request.unwrap()).await
    };
    let first = watch().await;
    assert_eq!(first.status(), 200);
    let second = watch().await;
    assert_eq!(second.status(), 429);
    assert_eq!(second.headers()["retry-after"], "1");
    talk.get(MAPS).await.expect(200);
    drop(first);
    assert_eq!(watch().await.status(), 200);
}

/// What a scraper reads.
async fn scraped(talk: &Talk) -> String {
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let request = Request::get("/metrics").extension(Identity(user));
    let response = talk
        .server
        .handle(request.body(Body::empty()).unwrap())
        .await;
    let text = response.into_body().collect().await.unwrap().to_bytes();
    String::from_utf8(text.to_vec()).unwrap()
}

#[tokio::test]
async fn names_that_are_not_served_make_no_series() {
    let talk = Talk::new().await;
    talk.get("/apis/example.com/v1/unheard-of").await;
    talk.get(MAPS).await;
    let text = scraped(&talk).await;
    assert!(text.contains("apiserver_request_total") && !text.contains("unheard-of"));
}

#[tokio::test]
async fn who_is_not_let_in_is_not_counted_as_a_request() {
    let talk = Talk::new().await;
    let user = access::user::user("jo", &[]);
    let request = Request::get(MAPS).extension(Identity(user));
    let request = request.body(Body::empty()).unwrap();
    assert_eq!(talk.server.handle(request).await.status(), 403);
    talk.get("/readyz").await.expect(200);
    let text = scraped(&talk).await;
    assert!(!text.contains("code=\"403\""));
    assert!(text.contains("authorization_attempts_total{result=\"no-opinion\"} 1\n"));
    assert!(
        text.contains("subresource=\"/readyz\",system_client=\"\",verb=\"GET\",version=\"\"} 1\n")
    );
}

#[tokio::test]
async fn lists_and_services_are_told_of() {
    let talk = Talk::new().await;
    for name in ["a", "b", "c"] {
        let map = json!({"metadata": {"name": name, "labels": {"name": name}}});
        talk.post(MAPS, map).await.expect(201);
    }
    talk.get(&format!("{MAPS}?limit=2")).await.expect(200);
    let service = json!({"metadata": {"name": "v1.shop.example.com"}, "spec": {
        "group": "shop.example.com", "version": "v1", "groupPriorityMinimum": 1, "versionPriority": 1,
        "service": {"namespace": "web", "name": "a"}}});
    let services = "/apis/apiregistration.k8s.io/v1/apiservices";
    talk.post(services, service).await.expect(201);
    let text = scraped(&talk).await;
    let unavailable = "aggregator_unavailable_apiservice{name=\"v1.shop.example.com\"} 1\n";
    assert!(text.contains(unavailable), "{text}");
    let maps = "group=\"\",resource=\"configmaps\"";
    for (what, count) in [
        ("list_total", 1),
        ("list_fetched_objects_total", 2),
        ("list_evaluated_objects_total", 2),
        ("list_returned_objects_total", 2),
    ] {
        let wanted = format!("apiserver_storage_{what}{{{maps}}} {count}\n");
        assert!(text.contains(&wanted), "{wanted} is missing in\n{text}");
    }
    assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
}

#[tokio::test]
async fn a_scrape_tells_what_was_asked_and_how_it_went() {
    let talk = Talk::new().await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}});
    talk.post(MAPS, map.clone()).await.expect(201);
    let apply = format!("{MAPS}/b?fieldManager=test&dryRun=All");
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "b"}});
    let applied = Body::from(applied.to_string());
    let applied = talk.send("PATCH", &apply, "application/apply-patch+yaml", applied);
    applied.await.expect(201);
    let text = scraped(&talk).await;
    let line = |start: &str, parts: &[&str]| {
        let mut lines = text.lines().filter(|line| line.starts_with(start));
        let found = lines.find(|line| parts.iter().all(|part| line.contains(part)));
        assert!(found.is_some(), "{start} {parts:?} is missing in\n{text}");
    };
    let maps = "resource=\"configmaps\"";
    line(
        "apiserver_request_total{",
        &[
            maps,
            "verb=\"POST\"",
            "code=\"201\"",
            "scope=\"resource\"",
            "} 1",
        ],
    );
    line(
        "apiserver_request_total{",
        &[maps, "verb=\"APPLY\"", "dry_run=\"All\"", "} 1"],
    );
    line(
        "apiserver_request_body_size_bytes_count{",
        &[maps, "verb=\"create\"", "} 1"],
    );
    line(
        "apiserver_admission_step_admission_duration_seconds_count{",
        &[
            "operation=\"CREATE\"",
            "type=\"validate\"",
            "rejected=\"false\"",
        ],
    );
    line("authorization_attempts_total{", &["result=\"allowed\""]);
    line("apiserver_storage_objects{", &[maps, "} 1"]);
    assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
}

#[tokio::test]
async fn a_body_too_large_is_refused() {
    let talk = Talk::with(Limits {
        body_bytes_max: 1 << 20,
        ..Limits::upstream()
    })
    .await;
    let large = json!({"metadata": {"name": "a"}, "data": {"a": "x".repeat(2 << 20)}});
    talk.post(MAPS, large)
        .await
        .refused(413, "Request entity too large: limit is 1048576");
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_ended_and_hurts_nobody() {
    let talk = Talk::new().await;
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let request = Request::get(format!("{MAPS}?watch=true")).extension(Identity(user));
    let response = talk
        .server
        .handle(request.body(Body::empty()).unwrap())
        .await;
    assert_eq!(response.status(), 200);
    let created = talk
        .post(MAPS, json!({"metadata": {"name": "a"}}))
        .await
        .expect(201);
    let path = format!("{MAPS}/a");
    let mut object = created;
    // One more than the watcher's queue holds.
    for turn in 0..4200 {
        object["data"] = json!({"turn": turn.to_string()});
        object = talk.put(&path, object).await.expect(200);
    }
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    let last = bytes
        .split(|byte| *byte == b'\n')
        .rfind(|line| !line.is_empty())
        .unwrap();
    let last: Value = serde_json::from_slice(last).unwrap();
    assert_eq!(
        (&last["type"], &last["object"]["code"]),
        (&json!("ERROR"), &json!(410))
    );
}
