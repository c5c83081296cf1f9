//! What the audit log says of requests, and when.

use std::path::PathBuf;
use std::sync::Arc;

use access::audit::Rotation;
use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt as _;
use http::{HeaderMap, Request, Response};
use kinds::Registry;
use sampan_apiserver::audit::{self, Audit, Format, Mode, Options};
use sampan_apiserver::config::Limits;
use sampan_apiserver::openapi::OpenApi;
use sampan_apiserver::{Config, Identity};
use serde_json::{Value, json};
use store::MemoryStore;
use tempfile::TempDir;

use crate::server::{PODS, Talk, config};

const MAPS: &str = "/api/v1/namespaces/web/configmaps";
const SECRETS: &str = "/api/v1/namespaces/web/secrets";
const TOKEN: &str = "/api/v1/namespaces/web/serviceaccounts/default/token";

/// A server and its log.
struct Audited {
    talk: Talk,
    path: PathBuf,
    _directory: TempDir,
}

/// A document that cannot be made.
struct Broken;

impl OpenApi for Broken {
    #[expect(clippy::panic, reason = "what is tested")]
    fn answer(&self, _: &Registry, _: &str, _: &str, _: &HeaderMap) -> Option<Response<Body>> {
        panic!("no document");
    }
}

impl Audited {
    /// A server whose policy has these rules.
    async fn by(rules: Value) -> Self {
        Self::with(rules, |_| ()).await
    }

    /// The same with other options.
    async fn with(rules: Value, change: impl FnOnce(&mut Options)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("audit.log");
        let mut options = options(path.clone(), Mode::Blocking);
        change(&mut options);
        let talk = talk(rules, options).await;
        std::fs::write(&path, "").unwrap();
        Self {
            talk,
            path,
            _directory: directory,
        }
    }

    /// Everything as far as it goes.
    async fn of_all() -> Self {
        Self::by(json!([{"level": "RequestResponse"}])).await
    }

    /// What is in the log now.
    fn text(&self) -> String {
        let text = std::fs::read_to_string(&self.path).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'));
        text
    }

    /// The same, line by line.
    fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let lines = text.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What is in the log once all is written that nobody waits for.
    async fn flushed(&self) -> Vec<Value> {
        let audit = self.talk.server.config().audit.as_ref().unwrap();
        audit.flush().await;
        self.lines()
    }
}

fn options(path: PathBuf, mode: Mode) -> Options {
    Options {
        path: Some(path),
        format: Format::Json,
        mode,
        rotation: Rotation {
            bytes_max: 0,
            backups_max: 0,
            days_max: 0,
        },
        event_bytes_max: None,
    }
}

async fn talk(rules: Value, options: Options) -> Talk {
    let policy = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules});
    let policy = audit::policy(policy.to_string().as_bytes()).unwrap();
    let audit = Audit::open(policy, options, jiff::Timestamp::now).unwrap();
    let store = MemoryStore::indexed_by(sampan_apiserver::index);
    let config = Config {
        audit: Some(Arc::new(audit)),
        openapi: Some(Arc::new(Broken)),
        ..config(Arc::new(store), Limits::upstream())
    };
    Talk::of(config).await
}

async fn metrics(talk: &Talk) -> String {
    let scraped = talk.get("/metrics").await;
    String::from_utf8(scraped.bytes.to_vec()).unwrap()
}

fn stages(lines: &[Value]) -> Vec<&str> {
    let stages = lines.iter().map(|line| line["stage"].as_str());
    stages.map(Option::unwrap).collect()
}

fn map() -> Value {
    json!({"metadata": {"name": "m"}, "data": {"k": "<v>"}})
}

#[tokio::test]
async fn a_request_is_told_when_it_comes_and_before_it_is_answered() {
    let audited = Audited::of_all().await;
    let headers = [
        ("audit-id", "mine"),
        ("content-type", "application/json"),
        ("x-forwarded-for", "10.1.1.1"),
    ];
    let answer = audited
        .talk
        .send_as(
            "suite/1",
            "POST",
            &format!("{MAPS}?pretty=true"),
            &headers,
            map().to_string(),
        )
        .await;
    assert_eq!(answer.headers["audit-id"], "mine");
    let made = answer.expect(201);
    let lines = audited.lines();
    assert_eq!(stages(&lines), ["RequestReceived", "ResponseComplete"]);
    let [received, complete] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(
        received["requestReceivedTimestamp"],
        received["stageTimestamp"]
    );
    for absent in ["responseStatus", "requestObject", "annotations"] {
        assert_eq!(received[absent], Value::Null);
    }
    assert_eq!(complete["auditID"], "mine");
    assert_eq!(complete["verb"], "create");
    assert_eq!(complete["requestURI"], format!("{MAPS}?pretty=true"));
    assert_eq!(complete["userAgent"], "suite/1");
    assert_eq!(complete["sourceIPs"], json!(["10.1.1.1", "127.0.0.1"]));
    let user = json!({"username": "admin", "groups": ["system:masters", "system:authenticated"]});
    assert_eq!(complete["user"], user);
    let reference =
        json!({"resource": "configmaps", "namespace": "web", "name": "m", "apiVersion": "v1"});
    assert_eq!(complete["objectRef"], reference);
    assert_eq!(
        complete["responseStatus"],
        json!({"metadata": {}, "code": 201})
    );
    assert_eq!(complete["requestObject"]["data"], json!({"k": "<v>"}));
    assert_eq!(complete["responseObject"], made);
    let decided =
        json!({"authorization.k8s.io/decision": "allow", "authorization.k8s.io/reason": ""});
    assert_eq!(complete["annotations"], decided);
}

#[tokio::test]
async fn bodies_are_told_as_json_however_they_were_sent() {
    let audited = Audited::of_all().await;
    let talk = &audited.talk;
    let yaml = "metadata: {name: one}\ndata: {k: v}\n";
    talk.send("POST", MAPS, "application/yaml", yaml)
        .await
        .expect(201);
    let apply = format!("{MAPS}/a?fieldManager=me");
    let applied = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    talk.send("PATCH", &apply, "application/apply-patch+yaml", applied)
        .await
        .expect(201);
    talk.delete(&format!("{MAPS}/one"), json!({"gracePeriodSeconds": 1}))
        .await
        .expect(200);
    for accept in ["application/vnd.kubernetes.protobuf", "application/yaml"] {
        talk.send_as("s", "GET", MAPS, &[("accept", accept)], Body::empty())
            .await;
        talk.send_as(
            "s",
            "GET",
            &format!("{MAPS}/none"),
            &[("accept", accept)],
            Body::empty(),
        )
        .await;
    }
    let lines = audited.lines();
    let told: Vec<&Value> = lines
        .iter()
        .filter(|line| line["stage"] == "ResponseComplete")
        .collect();
    let sent: Vec<&Value> = told.iter().map(|line| &line["requestObject"]).collect();
    assert_eq!(sent[0]["data"], json!({"k": "v"}));
    assert_eq!(sent[1]["metadata"], json!({"name": "a"}));
    assert_eq!(sent[2]["gracePeriodSeconds"], 1);
    assert_eq!(told[2]["responseStatus"]["status"], "Success");
    assert_eq!(told[2]["responseStatus"]["details"]["name"], "one");
    for pair in told[3..].chunks(2) {
        assert_eq!(
            pair[0]["responseObject"]["kind"], "ConfigMapList",
            "{pair:?}"
        );
        assert_eq!(
            pair[0]["responseObject"]["items"][0]["metadata"]["name"],
            "a"
        );
        assert_eq!(pair[1]["responseStatus"]["reason"], "NotFound");
        assert_eq!(pair[1]["responseObject"]["kind"], "Status");
    }
}

#[tokio::test]
async fn secrets_are_told_by_their_names_where_the_policy_says_so_and_tokens_never() {
    let secrets = json!([{"group": "", "resources": ["secrets"]}]);
    let rules = json!([{"level": "Metadata", "resources": secrets}, {"level": "RequestResponse"}]);
    let audited = Audited::by(rules).await;
    let secret = json!({"metadata": {"name": "s"}, "stringData": {"k": "hidden-one"}});
    audited.talk.post(SECRETS, secret).await.expect(201);
    let asked = audited.talk.post(TOKEN, json!({})).await.expect(201);
    let token = asked["status"]["token"].as_str().unwrap();
    let review = json!({"spec": {"token": token}});
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    audited.talk.post(reviews, review).await.expect(201);
    let bearer = format!("Bearer {token}");
    let headers = [("authorization", bearer.as_str())];
    audited
        .talk
        .send_anonymously("GET", PODS, &headers, Body::empty())
        .await;
    let text = std::fs::read_to_string(&audited.path).unwrap();
    assert!(!text.contains("hidden-one"));
    let claims: Value = serde_json::from_str(token).unwrap();
    let escaped = serde_json::to_string(token).unwrap();
    assert!(!text.contains(escaped.trim_matches('"')), "{text}");
    let lines = audited.lines();
    assert_eq!(lines[1]["objectRef"]["name"], "s");
    let issued = "authentication.kubernetes.io/issued-credential-id";
    let id = claims["jti"].as_str().unwrap();
    assert_eq!(lines[3]["annotations"][issued], format!("JTI={id}"));
    assert_eq!(
        lines[7]["user"]["username"],
        "system:serviceaccount:web:default"
    );
}

#[tokio::test]
async fn who_is_refused_is_told_with_the_reason() {
    let audited = Audited::of_all().await;
    let talk = &audited.talk;
    let bad = [("authorization", "Bearer nobody")];
    talk.send_anonymously("GET", PODS, &bad, Body::empty())
        .await
        .expect(401);
    talk.send_anonymously("GET", PODS, &[], Body::empty())
        .await
        .expect(403);
    let lines = audited.lines();
    assert_eq!(
        stages(&lines),
        ["ResponseStarted", "RequestReceived", "ResponseComplete"]
    );
    assert_eq!(lines[0]["user"], json!({}));
    assert_eq!(lines[0]["responseStatus"]["code"], 401);
    assert_eq!(lines[0]["responseStatus"]["reason"], "Unauthorized");
    assert_eq!(
        lines[2]["annotations"]["authorization.k8s.io/decision"],
        "forbid"
    );
    assert_eq!(lines[2]["user"]["username"], "system:anonymous");
    assert_eq!(lines[2]["responseStatus"]["reason"], "Forbidden");
}

#[tokio::test]
async fn whose_request_it_is_stays_told_when_it_is_sent_as_somebody_else() {
    let audited = Audited::by(json!([{"level": "Metadata", "users": ["admin"]}])).await;
    let headers = [("impersonate-user", "ann"), ("impersonate-group", "ops")];
    let talk = &audited.talk;
    talk.send_as("s", "GET", PODS, &headers, Body::empty())
        .await
        .expect(403);
    let lines = audited.lines();
    assert_eq!(lines[1]["user"]["username"], "admin");
    let ann = json!({"username": "ann", "groups": ["ops", "system:authenticated"]});
    assert_eq!(lines[1]["impersonatedUser"], ann);
    assert_eq!(lines[0]["impersonatedUser"], Value::Null);
}

#[tokio::test]
async fn a_watch_is_told_when_it_begins_and_when_it_ends() {
    let audited = Audited::of_all().await;
    let user = access::user::user("admin", &[access::user::MASTERS]);
    let request = Request::get(format!("{MAPS}?watch=true")).extension(Identity(user));
    let request = request.body(Body::empty()).unwrap();
    let response = audited.talk.server.handle(request).await;
    assert_eq!(
        stages(&audited.lines()),
        ["RequestReceived", "ResponseStarted"]
    );
    drop(response);
    let lines = audited.flushed().await;
    assert_eq!(lines[2]["stage"], "ResponseComplete");
    assert_eq!(
        lines[2]["responseStatus"],
        json!({"metadata": {}, "code": 200})
    );
    assert_eq!(lines[2]["responseObject"], Value::Null);
}

#[tokio::test]
async fn a_panic_and_a_client_that_goes_away_are_told() {
    let audited = Audited::of_all().await;
    let ask = |request: http::request::Builder, body: Body| {
        let user = access::user::user("admin", &[access::user::MASTERS]);
        let request = request.extension(Identity(user)).body(body).unwrap();
        audited.talk.server.handle(request)
    };
    let broken = ask(Request::get("/openapi/v2"), Body::empty());
    let broken = std::panic::AssertUnwindSafe(broken).catch_unwind();
    assert!(broken.await.is_err());
    let lines = audited.lines();
    assert_eq!(stages(&lines), ["RequestReceived", "Panic"]);
    assert_eq!(
        lines[1]["responseStatus"]["message"],
        "APIServer panic'd: no document"
    );
    assert_eq!(lines[1]["responseStatus"]["code"], 500);
    let never = futures::stream::pending::<Result<Bytes, std::io::Error>>();
    let sent = Request::post(MAPS).header("content-type", "application/json");
    assert!(ask(sent, Body::from_stream(never)).now_or_never().is_none());
    let lines = audited.flushed().await;
    assert_eq!(stages(&lines)[2..], ["RequestReceived", "ResponseComplete"]);
    assert_eq!(
        lines[3]["responseStatus"]["message"],
        "Connection closed early"
    );
}

#[tokio::test]
async fn what_cannot_be_written_is_counted_and_holds_back_nobody_but_in_strict_mode() {
    let rules = json!([{"level": "Metadata", "resources": [{"group": "", "resources": ["pods"]}]}]);
    let full = || PathBuf::from("/dev/full");
    let lenient = talk(rules.clone(), options(full(), Mode::Blocking)).await;
    lenient.get(PODS).await.expect(200);
    let text = metrics(&lenient).await;
    for wanted in [
        "apiserver_audit_event_total 2",
        "apiserver_audit_error_total{plugin=\"log\"} 2",
        "apiserver_audit_level_total{level=\"Metadata\"} 1",
        "apiserver_audit_requests_rejected_total 0",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
    }
    let strict = talk(rules, options(full(), Mode::BlockingStrict)).await;
    let refused = strict.get(PODS).await;
    assert_eq!(refused.code, 500);
    let text = metrics(&strict).await;
    assert!(text.contains("apiserver_audit_requests_rejected_total 1"));
}

#[tokio::test]
async fn what_the_policy_leaves_out_is_not_written() {
    let rules = json!([
        {"level": "None", "verbs": ["list"]},
        {"level": "Request", "omitStages": ["RequestReceived"], "omitManagedFields": true}
    ]);
    let audited = Audited::by(rules).await;
    audited.talk.get(MAPS).await.expect(200);
    let made = audited.talk.post(MAPS, map()).await.expect(201);
    audited
        .talk
        .put(&format!("{MAPS}/m"), made.clone())
        .await
        .expect(200);
    let lines = audited.lines();
    assert_eq!(stages(&lines), ["ResponseComplete", "ResponseComplete"]);
    assert_eq!(lines[1]["responseObject"], Value::Null);
    assert_eq!(lines[1]["objectRef"]["uid"], made["metadata"]["uid"]);
    assert_eq!(lines[1]["requestObject"]["data"], made["data"]);
    assert!(made["metadata"]["managedFields"].is_array());
    assert_eq!(
        lines[1]["requestObject"]["metadata"]["managedFields"],
        Value::Null
    );
}

#[tokio::test]
async fn what_is_too_large_loses_its_bodies_and_what_is_still_too_large_is_lost() {
    const EVENT_BYTES_MAX: usize = 2000;
    let rules = json!([{"level": "RequestResponse", "omitStages": ["RequestReceived"]}]);
    let limit = |options: &mut Options| options.event_bytes_max = Some(EVENT_BYTES_MAX);
    let audited = Audited::with(rules, limit).await;
    let talk = &audited.talk;
    let long = json!({"metadata": {"name": "long"}, "data": {"k": "x".repeat(EVENT_BYTES_MAX)}});
    talk.post(MAPS, long).await.expect(201);
    talk.post(MAPS, map()).await.expect(201);
    talk.get(&format!("{MAPS}/{}", "x".repeat(EVENT_BYTES_MAX)))
        .await
        .expect(404);
    let lines = audited.lines();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert_eq!(lines[0]["annotations"]["audit.k8s.io/truncated"], "true");
    assert_eq!(lines[0]["requestObject"], Value::Null);
    assert_eq!(lines[0]["responseObject"], Value::Null);
    assert_eq!(lines[0]["objectRef"]["name"], "long");
    assert_eq!(lines[1]["requestObject"]["data"], json!({"k": "<v>"}));
    let lost = "apiserver_audit_error_total{plugin=\"truncate\"} 1\n";
    assert!(metrics(talk).await.contains(lost));
}

#[tokio::test]
async fn the_old_format_is_a_line_of_words() {
    let rules = json!([{"level": "Metadata", "omitStages": ["RequestReceived"]}]);
    let legacy = |options: &mut Options| options.format = Format::Legacy;
    let audited = Audited::with(rules, legacy).await;
    audited.talk.get(MAPS).await.expect(200);
    let text = audited.text();
    for wanted in [
        " AUDIT: id=\"",
        " stage=\"ResponseComplete\" ip=\"127.0.0.1\" method=\"list\" user=\"admin\" ",
        " namespace=\"web\" uri=\"/api/v1/namespaces/web/configmaps\" response=\"200\"\n",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
}

#[tokio::test]
async fn in_batch_mode_nobody_waits_for_a_log_that_stands_still() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("audit.log");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    let rules = json!([{"level": "RequestResponse"}]);
    let talk = talk(rules, options(pipe, Mode::Batch)).await;
    // More than a pipe holds, which nobody reads.
    let large = json!({"metadata": {"name": "m"}, "data": {"k": "x".repeat(200_000)}});
    let asked = async {
        talk.post(MAPS, large).await.expect(201);
        talk.get(MAPS).await.expect(200);
    };
    let bound = std::time::Duration::from_secs(30);
    tokio::time::timeout(bound, asked).await.unwrap();
}
