//! An API server in miniature, for tests of its clients: plain objects, versions, watches; no schema, no admission.
//!
//! Left out: defaults, validation, field selectors, authorization, graceful deletion of anything but scheduled pods.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use http::{Method, Request, Response};
use http_body_util::{BodyExt, StreamBody};
use kube::client::Body;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};
use tokio::sync::broadcast;

type Answer =
    Response<StreamBody<BoxStream<'static, Result<http_body::Frame<Bytes>, std::io::Error>>>>;

/// The server; clones share its objects.
#[derive(Clone)]
pub struct FakeApi {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    /// Path prefix of the collection, event type, object.
    events: broadcast::Sender<(String, &'static str, Object)>,
}

#[derive(Default)]
struct State {
    version: u64,
    /// Objects by collection (without namespace) and by namespace/name.
    objects: BTreeMap<String, BTreeMap<String, Object>>,
    /// Every write, as `verb path`.
    log: Vec<String>,
    /// Answers to give instead, by `verb path` prefix.
    refusals: Vec<(String, Value)>,
}

const NAMESPACES: &str = "/api/v1/namespaces";

/// A request path taken apart.
struct Target {
    collection: String,
    namespace: String,
    name: String,
    subresource: String,
}

impl Target {
    fn read(path: &str) -> Option<Self> {
        let mut parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let prefix = if parts.first() == Some(&"api") { 2 } else { 3 };
        if parts.len() <= prefix {
            return None;
        }
        let rest = parts.split_off(prefix);
        let (namespace, rest) = match rest.as_slice() {
            ["namespaces", namespace, rest @ ..]
                if !rest.is_empty() && !matches!(rest, ["status" | "finalize"]) =>
            {
                (*namespace, rest.to_vec())
            }
            _ => ("", rest),
        };
        let part = |at: usize| rest.get(at).copied().unwrap_or_default().to_owned();
        Some(Self {
            collection: format!("/{}/{}", parts.join("/"), part(0)),
            namespace: namespace.to_owned(),
            name: part(1),
            subresource: part(2),
        })
    }
    fn key(&self) -> String {
        format!("{}/{}", self.namespace, self.name)
    }
}

impl Default for FakeApi {
    fn default() -> Self {
        let shared = Shared {
            state: Mutex::default(),
            events: broadcast::channel(4096).0,
        };
        Self {
            shared: Arc::new(shared),
        }
    }
}

impl FakeApi {
    /// A client of it.
    pub fn client(&self) -> kube::Client {
        let api = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let api = api.clone();
            async move { Ok::<_, std::io::Error>(api.serve(request).await) }
        });
        kube::Client::new(service, "default")
    }
    /// Puts an object there, as a client would.
    pub fn put(&self, collection: &str, object: Object) -> Object {
        self.store(collection, object)
    }
    /// Takes an object away.
    pub fn remove(&self, collection: &str, namespace: &str, name: &str) {
        self.drop_object(collection, &format!("{namespace}/{name}"));
    }
    /// Deletes an object, as a client would.
    pub fn delete(&self, collection: &str, namespace: &str, name: &str, propagation: &str) {
        let target = Target {
            collection: collection.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            subresource: String::new(),
        };
        self.answer_delete(&target, &json!({ "propagationPolicy": propagation }));
    }
    /// One object.
    pub fn get(&self, collection: &str, namespace: &str, name: &str) -> Option<Object> {
        let state = self.state();
        state
            .objects
            .get(collection)?
            .get(&format!("{namespace}/{name}"))
            .cloned()
    }
    /// The objects of a collection.
    pub fn list(&self, collection: &str) -> Vec<Object> {
        let state = self.state();
        state
            .objects
            .get(collection)
            .map(|objects| objects.values().cloned().collect())
            .unwrap_or_default()
    }
    /// Every write so far, as `verb path`.
    pub fn log(&self) -> Vec<String> {
        self.state().log.clone()
    }
    /// Refuses writes whose `verb path` starts like this with a status.
    pub fn refuse(&self, prefix: &str, code: u16, reason: &str, message: &str) {
        let status = status(code, reason, message);
        self.state().refusals.push((prefix.to_owned(), status));
    }
    /// Refuses nothing any more.
    pub fn accept(&self) {
        self.state().refusals.clear();
    }
    /// Waits until something holds; looks again after each change.
    ///
    /// # Panics
    /// It does not hold within ten seconds.
    pub async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let mut events = self.shared.events.subscribe();
        let wait = async {
            while !holds(self) {
                if let Err(broadcast::error::RecvError::Closed) = events.recv().await {
                    return;
                }
            }
        };
        let bound = std::time::Duration::from_secs(10);
        assert!(
            tokio::time::timeout(bound, wait).await.is_ok(),
            "{what}: {:#?}",
            self.log()
        );
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn store(&self, collection: &str, mut object: Object) -> Object {
        let mut state = self.state();
        state.version += 1;
        let version = state.version;
        object.set(&["metadata", "resourceVersion"], version.to_string().into());
        if object.uid().is_empty() {
            object.set(&["metadata", "uid"], format!("uid-{version}").into());
            object.set(&["metadata", "generation"], 1.into());
        }
        if object.at(&["metadata", "creationTimestamp"]).is_none() {
            object.set(
                &["metadata", "creationTimestamp"],
                "2026-01-01T00:00:00Z".into(),
            );
        }
        let key = format!("{}/{}", object.namespace(), object.name());
        let objects = state.objects.entry(collection.to_owned()).or_default();
        let before = objects.insert(key, object.clone());
        let event = if before.is_some() {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.tell(collection, event, &object);
        object
    }

    fn drop_object(&self, collection: &str, key: &str) -> Option<Object> {
        let mut state = self.state();
        let mut object = state.objects.get_mut(collection)?.remove(key)?;
        state.version += 1;
        object.set(
            &["metadata", "resourceVersion"],
            state.version.to_string().into(),
        );
        self.tell(collection, "DELETED", &object);
        Some(object)
    }

    fn tell(&self, collection: &str, event: &'static str, object: &Object) {
        // Nobody watching is fine.
        drop(
            self.shared
                .events
                .send((collection.to_owned(), event, object.clone())),
        );
    }

    async fn serve(&self, request: Request<Body>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path().to_owned();
        let query = head.uri.query().unwrap_or_default().to_owned();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default();
        let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
        if head.method == Method::GET
            && let Some(answer) = discovery(&path)
        {
            return reply(&answer);
        }
        let Some(target) = Target::read(&path) else {
            return reply(&status(
                404,
                "NotFound",
                "the server could not find the requested resource",
            ));
        };
        if head.method == Method::GET && query.contains("watch=true") {
            return self.watch(&target, &query);
        }
        if head.method != Method::GET {
            let line = format!("{} {path}", head.method);
            let mut state = self.state();
            let refusal = state
                .refusals
                .iter()
                .find(|(prefix, _)| line.starts_with(prefix));
            let refusal = refusal.map(|(_, status)| status.clone());
            state.log.push(line);
            if let Some(status) = refusal {
                return reply(&status);
            }
        }
        reply(&match head.method {
            Method::GET if target.name.is_empty() => self.answer_list(&target),
            Method::GET => self.answer_get(&target),
            Method::POST if target.subresource == "binding" => self.bind(&target, &body),
            Method::POST => self.create(&target, body),
            Method::PATCH => self.patch(&target, &body),
            Method::PUT => self.replace(&target, body),
            Method::DELETE if target.name.is_empty() => self.delete_all(&target),
            Method::DELETE => self.answer_delete(&target, &body),
            _ => status(405, "MethodNotAllowed", "no such verb"),
        })
    }

    fn answer_list(&self, target: &Target) -> Value {
        let state = self.state();
        let all = state
            .objects
            .get(&target.collection)
            .into_iter()
            .flat_map(BTreeMap::values);
        let items: Vec<&Object> = all
            .filter(|object| target.namespace.is_empty() || object.namespace() == target.namespace)
            .collect();
        json!({ "kind": "List", "metadata": { "resourceVersion": state.version.to_string() }, "items": items })
    }
    fn answer_get(&self, target: &Target) -> Value {
        self.get(&target.collection, &target.namespace, &target.name)
            .unwrap_or_else(missing)
    }
    fn create(&self, target: &Target, mut object: Object) -> Value {
        if object.name().is_empty() {
            let prefix = object
                .str_at(&["metadata", "generateName"])
                .unwrap_or_default();
            let name = format!("{prefix}{:05}", self.state().version);
            object.set(&["metadata", "name"], name.into());
        }
        if !target.namespace.is_empty() {
            object.set(&["metadata", "namespace"], target.namespace.clone().into());
        }
        if self
            .get(&target.collection, &target.namespace, object.name())
            .is_some()
        {
            return status(409, "AlreadyExists", "it already exists");
        }
        let namespace = self.get(NAMESPACES, "", &target.namespace);
        if namespace.is_some_and(|namespace| namespace.deletion_timestamp().is_some()) {
            let mut refused = status(403, "Forbidden", "it is being terminated");
            let causes = json!([{ "reason": "NamespaceTerminating" }]);
            refused.set(&["details", "causes"], causes);
            return refused;
        }
        object.remove(&["metadata", "resourceVersion"]);
        self.store(&target.collection, object)
    }
    fn bind(&self, target: &Target, body: &Value) -> Value {
        let Some(mut pod) = self.get(&target.collection, &target.namespace, &target.name) else {
            return missing();
        };
        let node = body.str_at(&["target", "name"]).unwrap_or_default();
        pod.set(&["spec", "nodeName"], node.into());
        self.store(&target.collection, pod);
        json!({ "kind": "Status", "status": "Success", "code": 201 })
    }
    fn patch(&self, target: &Target, patch: &Value) -> Value {
        let Some(before) = self.get(&target.collection, &target.namespace, &target.name) else {
            return missing();
        };
        for field in ["uid", "resourceVersion"] {
            let asked = patch.str_at(&["metadata", field]);
            if asked.is_some() && asked != before.str_at(&["metadata", field]) {
                return status(409, "Conflict", "the object has been modified");
            }
        }
        let mut object = before.clone();
        merge(&mut object, patch);
        self.settle(target, &before, object)
    }
    fn replace(&self, target: &Target, object: Object) -> Value {
        let Some(before) = self.get(&target.collection, &target.namespace, &target.name) else {
            return missing();
        };
        let asked = object.resource_version();
        if !asked.is_empty() && asked != before.resource_version() {
            return status(409, "Conflict", "the object has been modified");
        }
        self.settle(target, &before, object)
    }
    /// Stores a changed object; the generation counts changes of the spec, and the last finalizer ends an object.
    fn settle(&self, target: &Target, before: &Object, mut object: Object) -> Value {
        if *before == object {
            return object;
        }
        if before.get("spec") != object.get("spec") && target.subresource.is_empty() {
            object.set(
                &["metadata", "generation"],
                (before.generation() + 1).into(),
            );
        }
        if object.deletion_timestamp().is_some()
            && !is_held(&object)
            && object.str_at(&["spec", "nodeName"]).is_none()
        {
            return self
                .drop_object(&target.collection, &target.key())
                .unwrap_or_else(missing);
        }
        self.store(&target.collection, object)
    }
    fn answer_delete(&self, target: &Target, options: &Value) -> Value {
        let Some(mut object) = self.get(&target.collection, &target.namespace, &target.name) else {
            return missing();
        };
        let uid = options.str_at(&["preconditions", "uid"]);
        if uid.is_some_and(|uid| uid != object.uid()) {
            return status(409, "Conflict", "the uid is another");
        }
        let is_graceful = object.str_at(&["spec", "nodeName"]).is_some()
            && options.int_at(&["gracePeriodSeconds"]) != Some(0);
        let propagation = options.str_at(&["propagationPolicy"]);
        let finalizer = match propagation {
            Some("Foreground") => Some("foregroundDeletion"),
            Some("Orphan") => Some("orphan"),
            _ => None,
        };
        if let Some(finalizer) = finalizer {
            object.set(&["metadata", "finalizers"], json!([finalizer]));
        }
        if is_graceful || is_held(&object) {
            if object.deletion_timestamp().is_some() {
                return object;
            }
            object.set(
                &["metadata", "deletionTimestamp"],
                "2026-01-01T00:00:00Z".into(),
            );
            return self.store(&target.collection, object);
        }
        self.drop_object(&target.collection, &target.key())
            .unwrap_or_else(missing)
    }
    fn delete_all(&self, target: &Target) -> Value {
        for object in self.list(&target.collection) {
            if object.namespace() == target.namespace {
                let name = object.name().to_owned();
                let namespace = target.namespace.clone();
                let (collection, subresource) = (target.collection.clone(), String::new());
                self.answer_delete(
                    &Target {
                        collection,
                        namespace,
                        name,
                        subresource,
                    },
                    &json!({}),
                );
            }
        }
        json!({ "kind": "Status", "status": "Success", "code": 200 })
    }

    fn watch(&self, target: &Target, query: &str) -> Answer {
        // Subscribed before the state is read, so that nothing falls between the two.
        let events = self.shared.events.subscribe();
        let (initial, version) = {
            let state = self.state();
            let objects = state.objects.get(&target.collection);
            let objects: Vec<Object> = objects
                .into_iter()
                .flat_map(BTreeMap::values)
                .cloned()
                .collect();
            (objects, state.version)
        };
        let mut first: Vec<Value> = Vec::new();
        if query.contains("sendInitialEvents=true") {
            first.extend(
                initial
                    .into_iter()
                    .map(|object| json!({ "type": "ADDED", "object": object })),
            );
            first.push(json!({ "type": "BOOKMARK", "object": { "metadata": {
                "resourceVersion": version.to_string(), "annotations": { "k8s.io/initial-events-end": "true" },
            }}}));
        }
        let collection = target.collection.clone();
        let live = stream::unfold(events, move |mut events| {
            let collection = collection.clone();
            async move {
                loop {
                    let (of, event, object) = events.recv().await.ok()?;
                    let is_new = object.resource_version().parse().unwrap_or(0) > version;
                    if of == collection && is_new {
                        return Some((json!({ "type": event, "object": object }), events));
                    }
                }
            }
        });
        let line = |value: Value| Ok(http_body::Frame::data(Bytes::from(format!("{value}\n"))));
        Response::new(StreamBody::new(
            stream::iter(first).chain(live).map(line).boxed(),
        ))
    }
}

/// The kinds that tests use.
const SERVED: [(&str, &str, &str, bool); 12] = [
    ("v1", "pods", "Pod", true),
    ("v1", "nodes", "Node", false),
    ("v1", "namespaces", "Namespace", false),
    ("v1", "services", "Service", true),
    ("v1", "endpoints", "Endpoints", true),
    ("v1", "configmaps", "ConfigMap", true),
    ("v1", "serviceaccounts", "ServiceAccount", true),
    ("v1", "events", "Event", true),
    ("apps/v1", "deployments", "Deployment", true),
    ("apps/v1", "replicasets", "ReplicaSet", true),
    ("batch/v1", "jobs", "Job", true),
    (
        "discovery.k8s.io/v1",
        "endpointslices",
        "EndpointSlice",
        true,
    ),
];

fn discovery(path: &str) -> Option<Value> {
    if path == "/apis" {
        let groups = ["apps/v1", "batch/v1", "discovery.k8s.io/v1"]
            .map(|group_version| json!({ "preferredVersion": { "groupVersion": group_version } }));
        return Some(json!({ "kind": "APIGroupList", "groups": groups }));
    }
    let group_version = path
        .strip_prefix("/apis/")
        .or_else(|| path.strip_prefix("/api/"))?;
    let served: Vec<Value> = SERVED
        .iter()
        .filter(|(known, ..)| *known == group_version)
        .map(|(_, name, kind, namespaced)| {
            json!({
                "name": name, "kind": kind, "namespaced": namespaced,
                "verbs": ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
            })
        })
        .collect();
    (!served.is_empty()).then(|| json!({ "kind": "APIResourceList", "resources": served }))
}

fn is_held(object: &Object) -> bool {
    !object.finalizers().is_empty() || !object.list_at(&["spec", "finalizers"]).is_empty()
}

fn missing() -> Value {
    let mut missing = status(404, "NotFound", "not found");
    missing.set(&["details"], json!({ "name": "it" }));
    missing
}

fn status(code: u16, reason: &str, message: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": message,
    })
}

fn reply(value: &Value) -> Answer {
    let code = match value.kind() {
        "Status" => value
            .int_at(&["code"])
            .and_then(|code| u16::try_from(code).ok()),
        _ => None,
    };
    let frame = http_body::Frame::data(Bytes::from(value.to_string()));
    let mut response = Response::new(StreamBody::new(stream::iter([Ok(frame)]).boxed()));
    *response.status_mut() = code
        .and_then(|code| http::StatusCode::from_u16(code).ok())
        .unwrap_or_default();
    response
}

fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *target = patch.clone();
        return;
    };
    for (field, value) in fields {
        if value.is_null() {
            target.remove(&[field]);
        } else if value.is_object() {
            let mut child = target.get(field).cloned().unwrap_or_else(|| json!({}));
            merge(&mut child, value);
            target.set(&[field], child);
        } else {
            target.set(&[field], value.clone());
        }
    }
}
