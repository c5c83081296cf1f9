//! The generic verbs.

use http_body_util::BodyExt;
use serde_json::{Value, json};

use crate::server::Talk;

const MAPS: &str = "/api/v1/namespaces/web/configmaps";

fn map(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": name}}, "data": {"a": "1"}})
}

#[tokio::test]
async fn an_object_is_created_read_changed_and_deleted() {
    let talk = Talk::new().await;
    let made = talk.post(MAPS, map("a")).await.expect(201);
    assert_eq!(
        (
            made["kind"].as_str(),
            made["metadata"]["namespace"].as_str()
        ),
        (Some("ConfigMap"), Some("web"))
    );
    assert_eq!(talk.get(&format!("{MAPS}/a")).await.expect(200), made);
    let patched = talk
        .patch(
            "merge",
            &format!("{MAPS}/a"),
            json!({"data": {"a": null, "b": "2"}}),
        )
        .await
        .expect(200);
    assert_eq!(patched["data"], json!({"b": "2"}));
    assert_ne!(
        patched["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
    talk.put(&format!("{MAPS}/a"), made.clone()).await.refused(
        409,
        "Operation cannot be fulfilled on configmaps \"a\": the object has been modified; please apply your changes to the latest version and try again",
    );
    for other in [
        json!({"metadata": {"namespace": "other"}}),
        json!({"metadata": {"namespace": "other", "name": "b"}}),
    ] {
        talk.put(&format!("{MAPS}/a"), other).await.refused(
            400,
            "the namespace of the provided object does not match the namespace sent on the request",
        );
    }
    let gone = talk
        .delete(&format!("{MAPS}/a"), json!({}))
        .await
        .expect(200);
    assert_eq!(
        (gone["status"].as_str(), gone["details"]["uid"].as_str()),
        (Some("Success"), made["metadata"]["uid"].as_str())
    );
    talk.get(&format!("{MAPS}/a"))
        .await
        .refused(404, "configmaps \"a\" not found");
}

#[tokio::test]
async fn a_patch_that_changes_nothing_writes_nothing() {
    let talk = Talk::new().await;
    let made = talk.post(MAPS, map("a")).await.expect(201);
    let same = talk
        .patch(
            "strategic-merge",
            &format!("{MAPS}/a"),
            json!({"data": {"a": "1"}}),
        )
        .await
        .expect(200);
    assert_eq!(
        same["metadata"]["resourceVersion"],
        made["metadata"]["resourceVersion"]
    );
}

#[tokio::test]
async fn names_are_generated_and_taken_names_refused() {
    let talk = Talk::new().await;
    let made = talk
        .post(MAPS, json!({"metadata": {"generateName": "x-"}}))
        .await
        .expect(201);
    assert_eq!(made["metadata"]["name"].as_str().unwrap().len(), 7);
    talk.post(MAPS, map("a")).await.expect(201);
    talk.post(MAPS, map("a"))
        .await
        .refused(409, "configmaps \"a\" already exists");
    talk.post(MAPS, json!({"metadata": {}})).await.refused(
        422,
        "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required",
    );
}

#[tokio::test]
async fn pages_are_of_one_revision() {
    let talk = Talk::new().await;
    for name in ["a", "b", "c"] {
        talk.post(MAPS, map(name)).await.expect(201);
    }
    let first = talk.get(&format!("{MAPS}?limit=2")).await.expect(200);
    assert_eq!(
        (
            first["items"].as_array().unwrap().len(),
            first["metadata"]["remainingItemCount"].as_u64()
        ),
        (2, Some(1))
    );
    talk.delete(&format!("{MAPS}/c"), json!({}))
        .await
        .expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = talk
        .get(&format!("{MAPS}?limit=2&continue={token}"))
        .await
        .expect(200);
    assert_eq!(second["items"][0]["metadata"]["name"], "c");
    assert_eq!(
        second["metadata"]["resourceVersion"],
        first["metadata"]["resourceVersion"]
    );
    let selected = talk
        .get(&format!("{MAPS}?labelSelector=app%3Da"))
        .await
        .expect(200);
    assert_eq!(selected["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_full_page_goes_on_behind_what_is_selected() {
    let talk = Talk::new().await;
    for (name, label) in [("a", "x"), ("b", "y")] {
        let map = json!({"metadata": {"name": name, "labels": {"app": label}}});
        talk.post(MAPS, map).await.expect(201);
    }
    let page = async |query: &str| {
        let page = talk.get(&format!("{MAPS}?{query}")).await.expect(200);
        let token = page["metadata"]["continue"].as_str().unwrap_or_default();
        (page["items"].as_array().unwrap().len(), token.to_owned())
    };
    let (shown, token) = page("limit=1&labelSelector=app%3Dx").await;
    assert_eq!((shown, token.is_empty()), (1, false));
    let rest = page(&format!("limit=1&labelSelector=app%3Dx&continue={token}")).await;
    assert_eq!(rest, (0, String::new()));
    for whole in [
        "limit=1&labelSelector=app%3Dy",
        "limit=1&fieldSelector=metadata.name%3Da",
    ] {
        assert_eq!(page(whole).await, (1, String::new()));
    }
    // Just any state is shown whole.
    assert_eq!(page("limit=1&resourceVersion=0").await, (2, String::new()));
}

#[tokio::test]
async fn a_finalizer_keeps_an_object_until_it_is_removed() {
    let talk = Talk::new().await;
    let mut object = map("a");
    object["metadata"]["finalizers"] = json!(["example.com/wait"]);
    talk.post(MAPS, object).await.expect(201);
    let kept = talk
        .delete(&format!("{MAPS}/a"), json!({}))
        .await
        .expect(200);
    assert!(kept["metadata"]["deletionTimestamp"].is_string());
    talk.get(&format!("{MAPS}/a")).await.expect(200);
    talk.patch(
        "merge",
        &format!("{MAPS}/a"),
        json!({"metadata": {"finalizers": null}}),
    )
    .await
    .expect(200);
    assert_eq!(talk.get(&format!("{MAPS}/a")).await.code, 404);
}

#[tokio::test]
async fn a_dry_run_stores_nothing() {
    let talk = Talk::new().await;
    let shown = talk
        .post(&format!("{MAPS}?dryRun=All"), map("a"))
        .await
        .expect(201);
    assert!(shown["metadata"]["uid"].is_string());
    assert_eq!(talk.get(&format!("{MAPS}/a")).await.code, 404);
}

#[tokio::test]
async fn a_watch_list_sends_the_state_a_bookmark_and_what_comes() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("a")).await.expect(201);
    let path = format!(
        "{MAPS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let request = http::Request::get(path)
        .extension(sampan_apiserver::Identity(user))
        .body(axum::body::Body::empty())
        .unwrap();
    let mut body = talk.server.handle(request).await.into_body();
    let mut next = async || {
        let frame = body.frame().await.unwrap().unwrap().into_data().unwrap();
        serde_json::from_slice::<Value>(&frame).unwrap()
    };
    assert_eq!(next().await["type"], "ADDED");
    let bookmark = next().await;
    assert_eq!(
        bookmark["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"],
        "true"
    );
    talk.post(MAPS, map("b")).await.expect(201);
    talk.delete(&format!("{MAPS}/b"), json!({}))
        .await
        .expect(200);
    assert_eq!(next().await["object"]["metadata"]["name"], "b");
    assert_eq!(next().await["type"], "DELETED");
}

#[tokio::test]
async fn what_is_not_served_or_not_understood_is_said() {
    let talk = Talk::new().await;
    talk.get("/api/v1/namespaces/web/rockets")
        .await
        .refused(404, "the server could not find the requested resource");
    talk.put(MAPS, json!({})).await.refused(
        405,
        "the server does not allow this method on the requested resource",
    );
    talk.get(&format!("{MAPS}?limit=abc"))
        .await
        .refused(400, "strconv.ParseInt: parsing \"abc\": invalid syntax");
    talk.get(&format!("{MAPS}?resourceVersion=abc")).await.refused(
        400,
        "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": invalid syntax",
    );
    talk.post(&format!("{MAPS}?fieldValidation=Strict"), json!({"metadata": {"name": "x"}, "bogus": 1})).await.refused(
        400,
        "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: unknown field \"bogus\"",
    );
    let warned = talk
        .post(MAPS, json!({"metadata": {"name": "x"}, "bogus": 1}))
        .await;
    assert_eq!(
        warned.headers["warning"],
        "299 - \"unknown field \\\"bogus\\\"\""
    );
}

#[tokio::test]
async fn an_apply_makes_the_object_owns_its_fields_and_meets_conflicts() {
    let talk = Talk::new().await;
    let apply = async |manager: &str, value: &str, force: &str| {
        let body = format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: a}}\ndata: {{k: '{value}'}}\n"
        );
        let path = format!("{MAPS}/a?fieldManager={manager}{force}");
        talk.send("PATCH", &path, "application/apply-patch+yaml", body)
            .await
    };
    let made = apply("one", "1", "").await.expect(201);
    assert_eq!(made["metadata"]["managedFields"][0]["manager"], "one");
    assert_eq!(
        made["metadata"]["managedFields"][0]["fieldsV1"],
        json!({"f:data": {"f:k": {}}})
    );
    apply("two", "2", "").await.refused(
        409,
        "Apply failed with 1 conflict: conflict with \"one\": .data.k",
    );
    let taken = apply("two", "2", "&force=true").await.expect(200);
    assert_eq!(taken["metadata"]["managedFields"][0]["manager"], "two");
    assert_eq!(apply("two", "2", "").await.expect(200), taken);
}

#[tokio::test]
async fn bodies_that_cannot_be_read_are_refused_in_upstreams_words() {
    let talk = Talk::new().await;
    talk.post(MAPS, map("x")).await.expect(201);
    let one = format!("{MAPS}/x");
    let json = "application/json";
    let unrecognized = "the object provided is unrecognized (must be of type ConfigMap): couldn't get version/kind; json parse error:";
    let cases = [
        ("POST", MAPS, json, "", 400, format!("{unrecognized} unexpected end of JSON input (<empty>)")),
        ("POST", MAPS, json, "{\"a\" 1}", 400, format!("{unrecognized} invalid character '1' after object key ({{\"a\" 1}})")),
        ("POST", MAPS, json, "[]", 400, format!("{unrecognized} json: cannot unmarshal array into Go value of type struct {{ APIVersion string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string \"json:\\\"kind,omitempty\\\"\" }} (5b5d)")),
        ("POST", MAPS, json, "{\"kind\":\"Foo\",\"apiVersion\":\"a/v1\"}", 400, "Foo in version \"v1\" cannot be handled as a ConfigMap: no kind \"Foo\" is registered for version \"a/v1\" in scheme \"pkg/api/legacyscheme/scheme.go:30\"".to_owned()),
        ("POST", MAPS, "Application/JSON; a=b", "[1", 400, format!("{unrecognized} unexpected end of JSON input (5b31)")),
        ("POST", MAPS, "application/json; a", "{}", 415, "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf".to_owned()),
        ("PATCH", &one, json, "{}", 415, "415: Unsupported Media Type".to_owned()),
        ("PATCH", &one, "application/merge-patch+json", "[]", 400, "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}".to_owned()),
        ("PATCH", &one, "application/json-patch+json", "{}", 400, "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp".to_owned()),
        ("DELETE", &one, json, "{\"gracePeriodSeconds\":\"x\"}", 400, "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64".to_owned()),
        ("DELETE", &one, json, "{\"kind\":\"Foo\"}", 400, "no kind \"Foo\" is registered for version \"meta.k8s.io/v1\" in scheme \"k8s.io/apimachinery/pkg/apis/meta/internalversion/scheme/register.go:27\"".to_owned()),
    ];
    for (method, path, media_type, body, code, message) in cases {
        let answer = talk.send(method, path, media_type, body.to_owned()).await;
        answer.refused(code, &message);
    }
}

#[tokio::test]
async fn a_name_is_taken_until_its_object_is_gone() {
    let talk = Talk::new().await;
    let owner = json!({"apiVersion": "v1", "kind": "Pod", "name": "p", "uid": "1"});
    let mut held = map("x");
    held["metadata"]["finalizers"] = json!(["a.b/c"]);
    held["metadata"]["ownerReferences"] = json!([owner, owner]);
    let made = talk.post(MAPS, held.clone()).await;
    assert!(
        made.headers["warning"]
            .to_str()
            .unwrap()
            .contains("duplicate UID(s) observed: 1")
    );
    assert_eq!(
        made.expect(201)["metadata"]["ownerReferences"],
        json!([owner])
    );
    talk.delete(&format!("{MAPS}/x"), json!({}))
        .await
        .expect(200);
    talk.post(MAPS, map("x")).await.refused(
        409,
        "object is being deleted: configmaps \"x\" already exists",
    );
}

#[tokio::test]
async fn options_of_reads_are_refused_as_upstream_does() {
    let talk = Talk::new().await;
    for name in ["a", "b", "c", "d"] {
        talk.post(MAPS, map(name)).await.expect(201);
    }
    let refused = async |path: String| {
        let answer = talk.get(&path).await;
        let said = answer.body["message"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        (answer.code, said)
    };
    let (code, said) = refused(format!("{MAPS}?limit=x&resourceVersionMatch=Exact")).await;
    assert_eq!(code, 400);
    assert!(said.starts_with("strconv.ParseInt"), "{said}");
    let first = talk.get(&format!("{MAPS}?limit=1")).await.expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let next = format!("{MAPS}?limit=2&continue={token}");
    let page = talk.get(&format!("{next}&resourceVersion=0")).await;
    // Any state is read from upstream's cache, which makes no pages of it.
    assert_eq!(page.expect(200)["items"].as_array().unwrap().len(), 3);
    let (code, said) = refused(format!("{next}&resourceVersion=1")).await;
    let why = "specifying resource version is not allowed when using continue";
    assert_eq!((code, said.as_str()), (400, why));
    let (code, said) = refused(format!("{MAPS}/a?resourceVersion=x")).await;
    assert_eq!(code, 500);
    assert!(said.starts_with("resourceVersion: Invalid value"), "{said}");
    talk.get(&format!("{MAPS}/a?resourceVersion=0"))
        .await
        .expect(200);
}

#[tokio::test]
async fn what_is_in_all_namespaces_is_read_together_never_written() {
    let talk = Talk::new().await;
    let all = "/api/v1/configmaps";
    talk.post(MAPS, map("a")).await.expect(201);
    assert_eq!(talk.delete(all, json!({})).await.code, 405);
    assert_eq!(talk.post(all, map("b")).await.code, 405);
    assert_eq!(talk.post("/api/v1/bindings", json!({})).await.code, 404);
    talk.get(all).await.expect(200);
    talk.get(&format!("{MAPS}/a")).await.expect(200);
}

#[tokio::test]
async fn paths_of_watches_are_read_alone() {
    let talk = Talk::new().await;
    let path = "/api/v1/watch/namespaces/web/configmaps";
    assert_eq!(talk.post(path, map("a")).await.code, 405);
    assert_eq!(talk.get(&format!("{MAPS}/a")).await.code, 404);
    let empty = json!({"propagationPolicy": ""});
    talk.post(MAPS, map("a")).await.expect(201);
    assert_eq!(talk.delete(&format!("{MAPS}/a"), empty).await.code, 422);
}
