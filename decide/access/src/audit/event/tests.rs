use serde_json::json;

use super::*;
use crate::user;

fn event() -> Event {
    let request = Attributes {
        user: user::user("jo", &["ops"]),
        verb: "create".into(),
        namespace: "web".into(),
        version: "v1".into(),
        resource: "pods".into(),
        is_resource: true,
        ..Attributes::default()
    };
    let received = "2026-11-28T23:00:00.5Z".parse().unwrap();
    let mut event = Event::new(Level::Request, "id-1", &request, received);
    event.request_uri = "/api/v1/namespaces/web/pods?a=1&b=2".into();
    event.source_ips = vec!["10.0.0.1".parse().unwrap()];
    event.set_user_agent("kubectl");
    event
}

fn raw(text: &str) -> Box<RawValue> {
    RawValue::from_string(text.to_owned()).unwrap()
}

#[test]
fn a_line_has_upstreams_fields_in_upstreams_order() {
    let mut event = event();
    let object = json!({"metadata": {"name": "p", "uid": "u", "resourceVersion": "7", "namespace": "other"}});
    event.requested(&object, Some(raw("{\"a\":\"<b>\"}")));
    event.impersonated(&user::user("ann", &[]), "impersonate:user-info");
    event.annotations.insert("k".into(), "v".into());
    event.stage = Stage::ResponseComplete;
    event.answered(None, 201);
    let wanted = concat!(
        r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"id-1","stage":"ResponseComplete","#,
        r#""requestURI":"/api/v1/namespaces/web/pods?a=1\u0026b=2","verb":"create","#,
        r#""user":{"username":"jo","groups":["ops","system:authenticated"]},"#,
        r#""impersonatedUser":{"username":"ann","groups":["system:authenticated"]},"#,
        r#""authenticationMetadata":{"impersonationConstraint":"impersonate:user-info"},"#,
        r#""sourceIPs":["10.0.0.1"],"userAgent":"kubectl","#,
        r#""objectRef":{"resource":"pods","namespace":"web","name":"p","uid":"u","apiVersion":"v1","resourceVersion":"7"},"#,
        r#""responseStatus":{"metadata":{},"code":201},"requestObject":{"a":"\u003cb\u003e"},"#,
        r#""requestReceivedTimestamp":"2026-11-28T23:00:00.500000Z","stageTimestamp":"2026-11-28T23:00:00.500000Z","#,
        r#""annotations":{"k":"v"}}"#,
        "\n"
    );
    assert_eq!(event.json().unwrap(), wanted);
}

#[test]
fn a_refusal_tells_what_its_status_says() {
    let mut event = event();
    let refusal = meta::StatusError::not_found(&meta::GroupResource::new("", "pods"), "p");
    event.answered(Some(*refusal.0), 404);
    let status = serde_json::to_string(&event.response_status).unwrap();
    assert_eq!(
        status,
        r#"{"metadata":{},"status":"Failure","message":"pods \"p\" not found","reason":"NotFound","details":{"name":"p","kind":"pods"},"code":404}"#
    );
}

#[test]
fn the_legacy_line_is_upstreams() {
    let mut event = event();
    assert_eq!(
        event.legacy(),
        "2026-11-28T23:00:00.5Z AUDIT: id=\"id-1\" stage=\"RequestReceived\" ip=\"10.0.0.1\" method=\"create\" user=\"jo\" groups=\"\\\"ops\\\",\\\"system:authenticated\\\"\" as=\"<self>\" asgroups=\"<lookup>\" user-agent=\"kubectl\" namespace=\"web\" uri=\"/api/v1/namespaces/web/pods?a=1&b=2\" response=\"<deferred>\"\n"
    );
    event.answered(None, 200);
    assert!(event.legacy().ends_with("response=\"200\"\n"));
}

#[test]
fn what_is_long_is_cut() {
    let mut event = event();
    event.set_user_agent(&"\u{e9}".repeat(600));
    assert_eq!(
        event.user_agent.len(),
        USER_AGENT_BYTES_MAX + USER_AGENT_CUT.len()
    );
    event.requested(&json!({}), Some(raw("{}")));
    event.truncate();
    assert!(event.request_object.is_none());
    assert_eq!(event.annotations[TRUNCATED], "true");
}
