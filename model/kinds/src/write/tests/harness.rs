//! A miniature of the write path: decode, default, prepare, allocate, validate.

use std::sync::Arc;

use crate::{Context, Kind, Lookup, Operation, Ranges, Registry, User, schema, write};
use meta::{FieldError, Gvk, Gvr, Object, ObjectExt as _, StatusError};
use serde_json::{Value, json};

/// The uid that recordings show for every object.
const UID: &str = "UID";

/// Whether an answer is what the stock server gave.
pub(super) enum Outcome {
    /// It is.
    Equal,
    /// It is not, and how.
    Differs(String),
}

impl Outcome {
    pub(super) fn is_equal(&self) -> bool {
        matches!(self, Self::Equal)
    }
    fn of(ours: &Value, theirs: &Value) -> Self {
        match difference("", ours, theirs) {
            None => Self::Equal,
            Some(why) => Self::Differs(why),
        }
    }
}

/// One line of `objects.jsonl`.
pub(super) struct Recording {
    pub(super) id: String,
    input: Value,
    code: u64,
    answer: Value,
}

impl Recording {
    pub(super) fn read(line: &str) -> serde_json::Result<Self> {
        let value: Value = serde_json::from_str(line)?;
        Ok(Self {
            id: value["id"].as_str().unwrap_or_default().to_owned(),
            input: value["input"].clone(),
            code: value["code"].as_u64().unwrap_or_default(),
            answer: value,
        })
    }
    /// CustomResourceDefinitions and what admission refuses are others' business.
    pub(super) fn is_in_scope(&self) -> bool {
        self.input["kind"] != "CustomResourceDefinition" && self.code != 403
    }
}

struct Empty;

impl Lookup for Empty {
    fn get(&self, _resource: &str, _namespace: &str, _name: &str) -> Option<Arc<Object>> {
        None
    }
    fn list(&self, _resource: &str, _namespace: &str) -> Vec<Arc<Object>> {
        Vec::new()
    }
}

/// What a create gives: the object, or a refusal.
fn create(kind: &Kind, input: Value, namespace: &str, strict: bool) -> Result<Object, StatusError> {
    let version = &kind.version;
    let refuse = |why: &str| {
        let words = format!(
            "{} in version \"{version}\" cannot be handled as a {}: {why}",
            kind.kind, kind.kind
        );
        StatusError::bad_request(words)
    };
    let decoded =
        schema::decode(input, &kind.schema).map_err(|error| refuse(&error.to_string()))?;
    if strict && !decoded.unknown.is_empty() {
        return Err(refuse(&format!(
            "strict decoding error: {}",
            decoded.unknown.join(", ")
        )));
    }
    let mut object = decoded.object;
    kind.apply_defaults(&mut object);
    let metadata = object.metadata_mut();
    let owned = [
        "creationTimestamp",
        "resourceVersion",
        "managedFields",
        "selfLink",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
    ];
    for field in owned {
        metadata.remove(field);
    }
    metadata.insert("uid".into(), UID.into());
    if kind.is_namespaced() {
        metadata.insert("namespace".into(), namespace.into());
    } else {
        metadata.remove("namespace");
    }
    if object.name().is_empty()
        && let Some(prefix) = object
            .str_at(&["metadata", "generateName"])
            .map(str::to_owned)
    {
        object
            .metadata_mut()
            .insert("name".into(), format!("{prefix}47s2s").into());
    }
    finish(kind, object)
}

/// What a create of a manifest gives in the namespace `corpus`.
pub(super) fn created(kind: &Kind, input: Value) -> Result<Object, StatusError> {
    create(kind, input, "corpus", true)
}

/// What is wrong with a change of a manifest into another, both with their defaults.
pub(super) fn changed(kind: &Kind, mut old: Value, mut new: Value) -> Vec<String> {
    for object in [&mut old, &mut new] {
        object.set(&["metadata", "namespace"], "corpus".into());
        object.set(&["metadata", "resourceVersion"], "1".into());
        kind.apply_defaults(object);
    }
    let errors = with_context(Operation::Update, "corpus", |cx| {
        write::validate_update(kind, &new, &old, cx)
    });
    errors.iter().map(ToString::to_string).collect()
}

/// Where the requests were recorded that a stock server refuses. Unlike those in `corpus` they were no dry runs.
const REFUSED_IN: &str = "ns1";

/// Runs something with the facts of a request.
fn with_context<T>(
    operation: Operation,
    namespace: &str,
    run: impl FnOnce(&Context<'_>) -> T,
) -> T {
    let ranges = Ranges::default();
    let user = User {
        name: "admin".into(),
        groups: vec!["system:masters".into(), "system:authenticated".into()],
        ..User::default()
    };
    run(&Context {
        dry_run: namespace != REFUSED_IN,
        is_labelled: true,
        now: jiff::Timestamp::UNIX_EPOCH,
        operation,
        subresource: None,
        user: Some(&user),
        lookup: &Empty,
        random: 7,
        ranges: &ranges,
    })
}

/// Prepares a named object, allocates for it and validates it.
fn finish(kind: &Kind, object: Object) -> Result<Object, StatusError> {
    let namespace = object.namespace().to_owned();
    with_context(Operation::Create, &namespace, |cx| {
        finish_with(kind, object, cx)
    })
}

fn finish_with(kind: &Kind, mut object: Object, cx: &Context<'_>) -> Result<Object, StatusError> {
    if kind.subresource("status").is_some() && !kind.strategy.keeps_status_on_create() {
        object.remove(&["status"]);
    }
    object.metadata_mut().remove("generation");
    if kind.strategy.has_generation() && kind.strategy.first_generation() != 0 {
        object.metadata_mut().insert("generation".into(), 1.into());
    }
    kind.strategy.prepare_create(&mut object, cx);
    object = schema::decode_enabled(object, &kind.schema)
        .map_err(StatusError::internal)?
        .object;
    kind.strategy.allocate(&mut object, None, cx)?;
    let errors: Vec<FieldError> = write::validate_create(kind, &object, cx);
    if !errors.is_empty() {
        return Err(StatusError::invalid(
            &kind.group,
            &kind.kind,
            object.name(),
            &errors,
        ));
    }
    kind.strategy.fill_stored(&mut object);
    Ok(object)
}

/// Creates the recorded input and compares.
pub(super) fn compare_object(registry: &Registry, recording: &Recording) -> Outcome {
    let Some(gvk) = recording.input.gvk() else {
        return Outcome::Differs("no kind".into());
    };
    let Some(kind) = registry.kind(&gvk) else {
        return Outcome::Differs(format!("{gvk:?} is not served"));
    };
    match create(kind, recording.input.clone(), "corpus", true) {
        Ok(_) if recording.code >= 400 => {
            Outcome::Differs(format!("taken, but: {}", recording.answer["message"]))
        }
        Ok(object) => Outcome::of(&stripped(&object), &stripped(&recording.answer["object"])),
        Err(error) if recording.code < 400 => Outcome::Differs(format!("refused: {error}")),
        Err(error) => {
            let ours = json!({"message": error.to_string(), "code": error.code()});
            let theirs = json!({"message": recording.answer["message"], "code": recording.code});
            Outcome::of(&ours, &theirs)
        }
    }
}

/// Compares a refusal by code and causes, then by its text; `None` when the request is not a create.
pub(super) fn compare_refusal(registry: &Registry, line: &Value) -> Option<(Outcome, Outcome)> {
    let request = &line["request"];
    let expect = &line["expect"];
    if request["method"] != "POST" || line.get("setup").is_some_and(|setup| !setup.is_null()) {
        return None;
    }
    let code = expect["code"].as_u64()?;
    if !matches!(code, 201 | 400 | 422) {
        return None;
    }
    let path = request["path"].as_str()?;
    let mut body = request.get("body")?.clone();
    let gvr = resource_of(path)?;
    let kind = registry.resource(&gvr)?;
    if kind.kind == "CustomResourceDefinition" || expect["details"]["kind"] == "CreateOptions" {
        return None;
    }
    let is_other = body
        .gvk()
        .is_some_and(|gvk| gvk != Gvk::new(&kind.group, &kind.version, &kind.kind));
    if is_other || line["id"] == "meta.nons.mismatch" {
        return None;
    }
    if body.is_object() {
        body["apiVersion"] = kind.api_version().into();
        body["kind"] = kind.kind.as_ref().into();
    }
    let strict = request["query"]["fieldValidation"] == "Strict";
    Some(match create(kind, body, REFUSED_IN, strict) {
        Ok(_) if code == 201 => (Outcome::Equal, Outcome::Equal),
        Ok(_) => {
            let why = || Outcome::Differs(format!("taken, but: {}", expect["message"]));
            (why(), why())
        }
        Err(error) => {
            let mut causes: Vec<Value> = error
                .0
                .details
                .iter()
                .flat_map(|details| &details.causes)
                .map(|cause| json!([cause.field, cause.reason]))
                .collect();
            sort(&mut causes);
            let expected = sorted(&expect["causes"]);
            let ours = json!([error.code(), causes]);
            (
                Outcome::of(&ours, &json!([code, expected])),
                Outcome::of(&error.to_string().into(), &expect["message"]),
            )
        }
    })
}

/// Compares a refused merge patch of an object that was created before; `None` when the line is something else.
pub(super) fn compare_change(registry: &Registry, line: &Value) -> Option<(Outcome, Outcome)> {
    let (setup, request, expect) = (line.get("setup")?, &line["request"], &line["expect"]);
    let is_merge = request["headers"]["Content-Type"] == "application/merge-patch+json";
    if request["method"] != "PATCH" || !is_merge || expect["code"] != 422 {
        return None;
    }
    let path = setup["path"].as_str()?;
    let is_of_object = request["path"]
        .as_str()?
        .strip_prefix(path)?
        .matches('/')
        .count()
        == 1;
    let kind = registry
        .resource(&resource_of(path)?)
        .filter(|_| is_of_object)?;
    let mut body = setup["body"].clone();
    body["apiVersion"] = kind.api_version().into();
    body["kind"] = kind.kind.as_ref().into();
    let mut old = create(kind, body, REFUSED_IN, false).ok()?;
    old.set(&["metadata", "resourceVersion"], "1".into());
    let mut new = old.clone();
    merge(&mut new, &request["body"]);
    let mut new = schema::decode(new, &kind.schema).ok()?.object;
    kind.apply_defaults(&mut new);
    let errors = with_context(Operation::Update, REFUSED_IN, |cx| {
        kind.strategy.prepare_update(&mut new, &old, cx);
        write::validate_update(kind, &new, &old, cx)
    });
    let error = StatusError::invalid(&kind.group, &kind.kind, old.name(), &errors);
    let causes = errors
        .iter()
        .map(|error| json!([error.field, error.error_type.cause()]));
    let mut causes: Vec<Value> = causes.collect();
    sort(&mut causes);
    // What follows the first line is a difference between two of Go's structs.
    let first_line = |text: &str| text.lines().next().unwrap_or_default().to_owned();
    Some((
        Outcome::of(&causes.into(), &sorted(&expect["causes"]).into()),
        Outcome::of(
            &first_line(&error.to_string()).into(),
            &first_line(expect["message"].as_str()?).into(),
        ),
    ))
}

/// What decoding, defaulting or validation would change or refuse; `None` when the object is settled.
pub(super) fn is_settled(kind: &Kind, object: &Object) -> Option<String> {
    let mut decoded = schema::decode(object.clone(), &kind.schema).ok()?.object;
    kind.apply_defaults(&mut decoded);
    // The recording left statuses out.
    let (mut ours, mut theirs) = (decoded.clone(), object.clone());
    for object in [&mut ours, &mut theirs] {
        object.remove(&["status"]);
    }
    if let Some(why) = difference("", &ours, &theirs) {
        return Some(why);
    }
    if kind.is_namespaced() && decoded.namespace().is_empty() {
        return Some("no namespace".into());
    }
    let errors = with_context(Operation::Create, REFUSED_IN, |cx| {
        write::validate_create(kind, &decoded, cx)
    });
    (!errors.is_empty()).then(|| meta::field::aggregate(&errors))
}

/// The recordings list causes in no order of their own.
fn sort(causes: &mut [Value]) {
    causes.sort_by_key(Value::to_string);
}

fn sorted(causes: &Value) -> Vec<Value> {
    let mut causes = causes.as_array().cloned().unwrap_or_default();
    sort(&mut causes);
    causes
}

fn merge(into: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *into = patch.clone();
        return;
    };
    if !into.is_object() {
        *into = json!({});
    }
    let map = into.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            map.remove(key);
        } else {
            merge(map.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

pub(super) fn resource_of(path: &str) -> Option<Gvr> {
    let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let (group, version, rest) = match parts.as_slice() {
        ["api", version, rest @ ..] => ("", *version, rest),
        ["apis", group, version, rest @ ..] => (*group, *version, rest),
        _ => return None,
    };
    let resource = match rest {
        ["namespaces", _, resource] | [resource] => *resource,
        _ => return None,
    };
    Some(Gvr::new(group, version, resource))
}

/// Without what other crates add, and with what is allocated hidden.
fn stripped(object: &Value) -> Value {
    let mut object = object.clone();
    for field in ["managedFields", "uid", "namespace", "creationTimestamp"] {
        object.remove(&["metadata", field]);
    }
    if object.at(&["metadata", "generateName"]).is_some() {
        object.set(&["metadata", "name"], "*".into());
    }
    match object.kind().to_owned().as_str() {
        "Pod" => strip_pod(&mut object),
        "Service" => strip_service(&mut object),
        "PersistentVolume" => {
            object.remove(&["status", "lastPhaseTransitionTime"]);
            object.remove(&["metadata", "finalizers"]);
        }
        "Node" => strip_node(&mut object),
        "PersistentVolumeClaim" => {
            object.remove(&["metadata", "finalizers"]);
        }
        "CertificateSigningRequest" => {
            object.remove(&["spec", "extra"]);
        }
        _ => {}
    }
    object
}

/// What ServiceAccount, Priority and DefaultTolerationSeconds admission add.
fn strip_pod(pod: &mut Value) {
    for field in [
        "priority",
        "preemptionPolicy",
        "serviceAccount",
        "serviceAccountName",
        "tolerations",
    ] {
        pod.remove(&["spec", field]);
    }
    let is_token = |value: &Value| {
        value["name"]
            .as_str()
            .is_some_and(|name| name.starts_with("kube-api-access-"))
    };
    let drop_from = |path: &str, holder: &mut Value| {
        if let Some(Value::Array(items)) = holder.get_mut(path) {
            items.retain(|item| !is_token(item));
            if items.is_empty() {
                holder.as_object_mut().unwrap().remove(path);
            }
        }
    };
    let Some(spec) = pod.get_mut("spec") else {
        return;
    };
    drop_from("volumes", spec);
    for list in ["containers", "initContainers"] {
        if let Some(Value::Array(containers)) = spec.get_mut(list) {
            for container in containers {
                drop_from("volumeMounts", container);
            }
        }
    }
}

/// What TaintNodesByCondition admission adds.
fn strip_node(node: &mut Value) {
    let is_added = |taint: &Value| taint["key"] == "node.kubernetes.io/not-ready";
    if let Some(Value::Array(taints)) = node.get_mut("spec").and_then(|spec| spec.get_mut("taints"))
    {
        taints.retain(|taint| !is_added(taint));
    }
    if node.list_at(&["spec", "taints"]).is_empty() {
        node.remove(&["spec", "taints"]);
    }
}

fn strip_service(service: &mut Value) {
    let is_headless = service.str_at(&["spec", "clusterIP"]) == Some("None");
    if !is_headless && service.at(&["spec", "clusterIP"]).is_some() {
        service.set(&["spec", "clusterIP"], "*".into());
        service.set(&["spec", "clusterIPs"], "*".into());
    }
    if service.at(&["spec", "healthCheckNodePort"]).is_some() {
        service.set(&["spec", "healthCheckNodePort"], "*".into());
    }
    if let Some(Value::Array(ports)) = service
        .get_mut("spec")
        .and_then(|spec| spec.get_mut("ports"))
    {
        for port in ports {
            if port.get("nodePort").is_some() {
                port["nodePort"] = "*".into();
            }
        }
    }
}

fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, value) in a {
                let path = format!("{path}.{key}");
                match b.get(key) {
                    None => return Some(format!("{path}: ours alone: {value}")),
                    Some(other) => {
                        if let Some(why) = difference(&path, value, other) {
                            return Some(why);
                        }
                    }
                }
            }
            let missing = b.iter().find(|(key, _)| !a.contains_key(*key));
            missing.map(|(key, value)| format!("{path}.{key}: theirs alone: {value}"))
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => a
            .iter()
            .zip(b)
            .enumerate()
            .find_map(|(index, (a, b))| difference(&format!("{path}[{index}]"), a, b)),
        _ if ours == theirs => None,
        _ => Some(format!("{path}: ours {ours} theirs {theirs}")),
    }
}

/// Compares the warnings of a create that was taken; `None` when it was not.
pub(super) fn compare_warnings(registry: &Registry, recording: &Recording) -> Option<Outcome> {
    let kind = registry.kind(&recording.input.gvk()?)?;
    let object = create(kind, recording.input.clone(), "corpus", true).ok()?;
    let warnings = kind.strategy.warnings(&object, None);
    let deprecation = kind.deprecation.iter().map(ToString::to_string);
    let headers: Vec<String> = deprecation
        .chain(warnings)
        .map(|text| format!("299 - {}", Value::from(text)))
        .collect();
    let theirs = recording.answer["warning"].as_str().unwrap_or_default();
    let ours = json!({"warning": headers.join(", ")});
    Some(Outcome::of(&ours, &json!({"warning": theirs})))
}
