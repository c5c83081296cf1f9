//! Verdicts as `kubectl get workloads` sees them, on our own API server with a store in memory.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use apiserver::auth::TokenVerifier;
use apiserver::config::Limits;
use apiserver::{ApiServer, Config, Identity};
use client::rest::{Detail, Rest, WatchEvent};
use meta::{Key, ObjectExt, Resource};
use sampan_workloads::{WORKLOADS, publish, roles};
use serde_json::{Value, json};
use store::MemoryStore;

/// Longest wait for something that must happen.
const WAIT: Duration = Duration::from_secs(10);
const DEPLOYMENTS: Resource = Resource::namespaced("apps", "v1", "Deployment", "deployments");

struct NoTokens;

impl TokenVerifier for NoTokens {
    fn verify(&self, _token: &str) -> Option<Value> {
        None
    }
    fn sign(&self, _claims: &Value) -> Result<String, String> {
        Err("no key".into())
    }
    fn jwks(&self) -> Value {
        json!({"keys": []})
    }
}

/// A server whose verdicts are published, and ways to it.
async fn server() -> (ApiServer, tokio::task::JoinHandle<()>) {
    let server = ApiServer::new(Config {
        store: Arc::new(MemoryStore::indexed_by(apiserver::index)),
        registry: kinds::builtin().with(kinds::workloads::rows()),
        tokens: Arc::new(NoTokens),
        static_tokens: Vec::new(),
        oidc: None,
        clock: jiff::Timestamp::now,
        ranges: kinds::strategy::Ranges::default(),
        address: "127.0.0.1:6443".into(),
        kubelet: None,
        openapi: None,
        checks: Vec::new(),
        metrics: Vec::new(),
        audit: None,
        flags: BTreeMap::new(),
        limits: Limits::upstream(),
    });
    drop(server.bootstrap(roles()).await.unwrap());
    let rest = as_user(&server, "admin", &[access::user::MASTERS]);
    let namespaces = Resource::cluster("", "v1", "Namespace", "namespaces");
    for name in ["shop", "bank"] {
        rest.create(&namespaces, &json!({"metadata": {"name": name}}))
            .await
            .unwrap();
    }
    let writer = access::user::user(kinds::workloads::WRITER, &[access::user::MASTERS]);
    let writer = client::in_process(server.in_process(), Identity(writer));
    (server, tokio::spawn(publish(writer)))
}

fn as_user(server: &ApiServer, name: &str, groups: &[&str]) -> Rest {
    let mut groups = groups.to_vec();
    groups.push("system:authenticated");
    let user = access::user::user(name, &groups);
    Rest::new(client::in_process(server.in_process(), Identity(user)))
}

/// A server whose verdicts are published, and the administrator's way to it.
async fn cluster() -> (Rest, tokio::task::JoinHandle<()>) {
    let (server, publishing) = server().await;
    let rest = as_user(&server, "admin", &[access::user::MASTERS]);
    (rest, publishing)
}

fn deployment(replicas: i64) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "app", "image": "r.example/web:1"}]}}}})
}

/// What happens to the workloads of a namespace, from now on.
struct Story {
    events: tokio::sync::mpsc::UnboundedReceiver<WatchEvent>,
}

impl Story {
    async fn new(rest: &Rest, namespace: &str) -> Self {
        let query = [("watch", "true"), ("timeoutSeconds", "60")];
        let mut watching = rest
            .watch(&WORKLOADS, namespace, Detail::Whole, &query)
            .await
            .unwrap();
        let (sender, events) = tokio::sync::mpsc::unbounded_channel();
        tokio::spawn(async move {
            while let Ok(Some(event)) = watching.next().await {
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { events }
    }

    /// Reads on until an event answers with something.
    async fn until<T>(&mut self, seen: impl Fn(&WatchEvent) -> Option<T>) -> T {
        let found = async {
            loop {
                let event = self.events.recv().await.unwrap();
                if let Some(found) = seen(&event) {
                    return found;
                }
            }
        };
        tokio::time::timeout(WAIT, found).await.unwrap()
    }
}

fn reason(event: &WatchEvent) -> Option<(&Value, &str)> {
    match event {
        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
            Some((object, object.str_at(&["status", "reason"])?))
        }
        _ => None,
    }
}

#[tokio::test]
async fn verdicts_are_watched_like_any_object() {
    let (rest, publishing) = cluster().await;
    let mut story = Story::new(&rest, "shop").await;
    rest.create(&DEPLOYMENTS, &deployment(2)).await.unwrap();
    let seen = story
        .until(|event| {
            let (object, reason) = reason(event)?;
            Some((object.clone(), reason.to_owned()))
        })
        .await;
    assert_eq!(seen.0.name(), "deployment.web");
    assert_eq!(seen.1, "NotObserved");
    // One user writes all of it: who owns which field is no question.
    assert_eq!(seen.0.at(&["metadata", "managedFields"]), None);
    // The controller's part: it has observed, and nothing is wanted.
    rest.replace(&DEPLOYMENTS, None, &deployment(0))
        .await
        .unwrap();
    let mut observed = deployment(0);
    observed["status"] = json!({"observedGeneration": 2});
    rest.replace(&DEPLOYMENTS, Some("status"), &observed)
        .await
        .unwrap();
    story
        .until(|event| {
            reason(event)
                .filter(|(_, reason)| *reason == "ScaledToZero")
                .map(|_| ())
        })
        .await;
    let key = Key::new("shop", "web");
    rest.delete(&DEPLOYMENTS, &key, &client::rest::DeleteOptions::default())
        .await
        .unwrap();
    story
        .until(|event| matches!(event, WatchEvent::Deleted(_)).then_some(()))
        .await;
    publishing.abort();
}

#[tokio::test]
async fn kubectl_selects_and_prints_by_the_same_words() {
    let (rest, publishing) = cluster().await;
    let mut story = Story::new(&rest, "shop").await;
    rest.create(&DEPLOYMENTS, &deployment(2)).await.unwrap();
    story.until(|event| reason(event).map(|_| ())).await;
    for (selector, count) in [
        ("status=Waiting", 1),
        ("status=Running", 0),
        ("severity=info,kind=Deployment", 1),
        ("reason=NotObserved", 1),
    ] {
        let query = [("fieldSelector", selector)];
        let page = rest
            .list(&WORKLOADS, "shop", Detail::Whole, &query)
            .await
            .unwrap();
        assert_eq!(page.items.len(), count, "{selector}");
    }
    let served = rest.get_path("/apis/status.sampan.io/v1").await.unwrap();
    assert_eq!(served["resources"][0]["name"], "workloads");
    publishing.abort();
}

/// Grants verbs on a resource in a namespace.
async fn grant(rest: &Rest, user: &str, namespace: &str, rule: &Value) {
    let role = |kind: &'static str, plural: &'static str| {
        Resource::namespaced("rbac.authorization.k8s.io", "v1", kind, plural)
    };
    let metadata = json!({"name": user, "namespace": namespace});
    rest.create(
        &role("Role", "roles"),
        &json!({"metadata": metadata, "rules": [rule]}),
    )
    .await
    .unwrap();
    let binding = json!({"metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": user},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}]});
    rest.create(&role("RoleBinding", "rolebindings"), &binding)
        .await
        .unwrap();
}

fn named(page: &client::rest::Page) -> Vec<String> {
    let names = page.items.iter();
    names.map(|item| item.key().to_string()).collect()
}

#[tokio::test]
async fn verdicts_are_seen_by_those_who_may_read_the_workload() {
    let (server, publishing) = server().await;
    let admin = as_user(&server, "admin", &[access::user::MASTERS]);
    let rule = |name: Value| json!({"apiGroups": ["apps"], "resources": ["deployments"], "verbs": ["get", "list"], "resourceNames": name});
    grant(&admin, "ann", "shop", &rule(json!([]))).await;
    grant(&admin, "bob", "shop", &rule(json!(["api"]))).await;
    let (ann, bob, eve) = (
        as_user(&server, "ann", &[]),
        as_user(&server, "bob", &[]),
        as_user(&server, "eve", &[]),
    );
    let mut all = Story::new(&admin, "").await;
    let mut anns = Story::new(&ann, "").await;
    for (namespace, name) in [("bank", "web"), ("shop", "web"), ("shop", "api")] {
        let mut object = deployment(2);
        object["metadata"] = json!({"name": name, "namespace": namespace});
        admin.create(&DEPLOYMENTS, &object).await.unwrap();
        let seen = all
            .until(|event| reason(event).map(|(object, _)| object.key().to_string()))
            .await;
        assert_eq!(seen, format!("{namespace}/deployment.{name}"));
    }
    for (who, rest, expected) in [
        (
            "ann",
            &ann,
            vec!["shop/deployment.api", "shop/deployment.web"],
        ),
        ("bob", &bob, vec!["shop/deployment.api"]),
        ("eve", &eve, vec![]),
    ] {
        let page = rest.list(&WORKLOADS, "", Detail::Whole, &[]).await.unwrap();
        assert_eq!(named(&page), expected, "{who}");
        for key in [
            "bank/deployment.web",
            "shop/deployment.web",
            "shop/deployment.api",
        ] {
            let (namespace, name) = key.split_once('/').unwrap();
            let code = match rest.get(&WORKLOADS, &Key::new(namespace, name)).await {
                Ok(_) => 200,
                Err(error) => error.code(),
            };
            let wanted = if expected.contains(&key) { 200 } else { 403 };
            assert_eq!(code, wanted, "{who} {key}");
        }
    }
    let seen = anns
        .until(|event| reason(event).map(|(object, _)| object.key().to_string()))
        .await;
    assert_eq!(seen, "shop/deployment.web", "the one in bank is not told");
    publishing.abort();
}

#[tokio::test]
async fn nobody_else_writes_a_verdict() {
    let (rest, publishing) = cluster().await;
    let mut story = Story::new(&rest, "shop").await;
    rest.create(&DEPLOYMENTS, &deployment(2)).await.unwrap();
    story.until(|event| reason(event).map(|_| ())).await;
    let key = Key::new("shop", "deployment.web");
    let forged = json!({"metadata": {"name": "deployment.web", "namespace": "shop"}, "status": {"status": "Running"}});
    let options = client::rest::DeleteOptions::default();
    for refused in [
        rest.create(&WORKLOADS, &forged).await.map(|_| ()),
        rest.replace(&WORKLOADS, None, &forged).await.map(|_| ()),
        rest.patch(&WORKLOADS, &key, None, &forged)
            .await
            .map(|_| ()),
        rest.delete(&WORKLOADS, &key, &options).await.map(|_| ()),
        rest.delete_collection(&WORKLOADS, "shop", &options)
            .await
            .map(|_| ()),
    ] {
        let refused = refused.unwrap_err();
        assert_eq!(refused.code(), 405);
        assert_eq!(
            refused.to_string(),
            "the server does not allow this method on the requested resource"
        );
    }
    let served = rest.get_path("/apis/status.sampan.io/v1").await.unwrap();
    assert_eq!(
        served["resources"][0]["verbs"],
        json!(["get", "list", "watch"])
    );
    assert_eq!(rest.get(&WORKLOADS, &key).await.unwrap().name(), key.name);
    publishing.abort();
}

/// Paths of an object that a schema does not know.
fn unknown(value: &Value, schema: &Value, path: &str) -> Vec<String> {
    match value {
        Value::Object(map) => map
            .iter()
            .flat_map(|(field, value)| {
                let path = format!("{path}.{field}");
                match schema.pointer(&format!("/properties/{field}")) {
                    Some(schema) => unknown(value, schema, &path),
                    None => vec![path],
                }
            })
            .collect(),
        Value::Array(items) => items
            .iter()
            .flat_map(|item| unknown(item, &schema["items"], path))
            .collect(),
        _ => Vec::new(),
    }
}

#[tokio::test]
async fn every_published_field_is_explained() {
    let (rest, publishing) = cluster().await;
    let mut story = Story::new(&rest, "shop").await;
    let accounts = Resource::namespaced("", "v1", "ServiceAccount", "serviceaccounts");
    let account = json!({"metadata": {"name": "default", "namespace": "shop"}});
    rest.create(&accounts, &account).await.unwrap();
    let pod = json!({"metadata": {"name": "web", "namespace": "shop"},
        "spec": {"containers": [{"name": "app", "image": "r.example/web:1"}]}});
    let pods = Resource::namespaced("", "v1", "Pod", "pods");
    rest.create(&pods, &pod).await.unwrap();
    let status = json!({"status": {"phase": "Running", "containerStatuses": [{"name": "app", "image": "r.example/web:1",
        "imageID": "", "ready": false, "restartCount": 3, "lastState": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}},
        "state": {"waiting": {"reason": "CrashLoopBackOff"}}}]}});
    rest.patch(&pods, &Key::new("shop", "web"), Some("status"), &status)
        .await
        .unwrap();
    let mut object = story
        .until(|event| {
            reason(event)
                .filter(|(_, reason)| *reason == "CrashLoopBackOff")
                .map(|(object, _)| object.clone())
        })
        .await;
    for field in ["apiVersion", "kind", "metadata"] {
        object.remove(&[field]);
    }
    let rows = kinds::workloads::rows();
    let schema = rows.first().unwrap().strategy.open_api().unwrap();
    assert_eq!(unknown(&object, &schema, ""), Vec::<String>::new());
    publishing.abort();
}
