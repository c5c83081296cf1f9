//! `pods/binding`, and the older `bindings`: puts a pod on a node.
//!
//! Source: `pkg/registry/core/pod/storage/storage.go` `BindingREST`.

use async_trait::async_trait;
use axum::body::Body;
use http::Response;
use jiff::Timestamp;
use kinds::strategy::Operation;
use meta::{FieldError, GroupResource, Gvk, Object, ObjectExt, Path, StatusError};
use serde_json::{Value, json};

use super::{BodyType, Special, created};
use crate::call::Call;
use crate::options::WriteOptions;
use crate::write;

/// Serves both doors.
pub(super) struct Binding;

#[async_trait]
impl Special for Binding {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let options = WriteOptions::read(&call.query, "CreateOptions")?;
        let body_type = BodyType::of(Gvk::new("", "v1", "Binding"), "io.k8s.api.core.v1.Binding")?;
        let (binding, _) = body_type.decode(call, &options)?;
        let name = match call.info.name.as_str() {
            "" => binding.name().to_owned(),
            name => name.to_owned(),
        };
        if binding.name() != name {
            return Err(StatusError::bad_request(
                "name in URL does not match name in Binding object",
            ));
        }
        check(&binding)?;
        if name.is_empty() {
            return Err(StatusError::bad_request("Name parameter required."));
        }
        let mut request = call.admission(
            Operation::Create,
            &name,
            Some(binding),
            None,
            options.dry_run,
        );
        call.admit(&mut request)?;
        call.validate(&request)?;
        let binding = request.object.take().unwrap_or_default();
        let pods = GroupResource::new("", "pods");
        write::below(call, &pods, &name, options.dry_run, |pod| {
            bind(pod, &binding, call.now)
        })
        .await?;
        created(call)
    }
}

/// Source: `validation.ValidatePodBinding`.
fn check(binding: &Object) -> Result<(), StatusError> {
    let mut errors = Vec::new();
    let kind = binding.str_at(&["target", "kind"]).unwrap_or_default();
    if !matches!(kind, "" | "Node") {
        let path = Path::new("target").child("kind");
        errors.push(FieldError::not_supported(&path, kind, &["Node", "<empty>"]));
    }
    if node_of(binding).is_empty() {
        let path = Path::new("target").child("name");
        errors.push(FieldError::required(&path, ""));
    }
    // Upstream answers with the bare complaints.
    let whys: Vec<String> = errors.iter().map(ToString::to_string).collect();
    match whys.as_slice() {
        [] => Ok(()),
        [why] => Err(StatusError::new(500, "", why.clone())),
        whys => Err(StatusError::new(500, "", format!("[{}]", whys.join(", ")))),
    }
}

fn node_of(binding: &Object) -> &str {
    binding.str_at(&["target", "name"]).unwrap_or_default()
}

/// The pod on its node.
fn bind(pod: &Object, binding: &Object, now: Timestamp) -> Result<Object, StatusError> {
    let name = pod.name();
    let refuse =
        |why: String| StatusError::conflict(&GroupResource::new("", "pods/binding"), name, &why);
    let preconditions = [
        ("UID", binding.uid(), pod.uid()),
        (
            "ResourceVersion",
            binding.resource_version(),
            pod.resource_version(),
        ),
    ];
    for (what, wanted, found) in preconditions {
        if !wanted.is_empty() && wanted != found {
            return Err(refuse(format!(
                "Precondition failed: {what} in precondition: {wanted}, {what} in object meta: {found}"
            )));
        }
    }
    if pod.deletion_timestamp().is_some() {
        let why = format!("pod {name} is being deleted, cannot be assigned to a host");
        return Err(refuse(why));
    }
    let node = pod.str_at(&["spec", "nodeName"]).unwrap_or_default();
    if !node.is_empty() {
        let node = meta::field::quote(node);
        let why = format!("pod {name} is already assigned to node {node}");
        return Err(refuse(why));
    }
    if !pod.list_at(&["spec", "schedulingGates"]).is_empty() {
        let why = format!("pod {name} has non-empty .spec.schedulingGates");
        return Err(refuse(why));
    }
    let mut bound = pod.clone();
    bound.set(&["spec", "nodeName"], node_of(binding).into());
    bound.remove(&["status", "nominatedNodeName"]);
    for field in ["annotations", "labels"] {
        let added = binding.at(&["metadata", field]).and_then(Value::as_object);
        for (key, value) in added.into_iter().flatten() {
            bound.set(&["metadata", field, key], value.clone());
        }
    }
    let condition = json!({"type": "PodScheduled", "status": "True"});
    set_condition(&mut bound, condition, now);
    Ok(bound)
}

/// Puts a condition among a pod's; its time of transition moves only with its status. Source: `UpdatePodCondition`.
pub(super) fn set_condition(pod: &mut Object, mut condition: Value, now: Timestamp) {
    let mut conditions = pod.list_at(&["status", "conditions"]).to_vec();
    let same_type = |known: &Value| known.str_at(&["type"]) == condition.str_at(&["type"]);
    let place = conditions.iter().position(same_type);
    let known = place.and_then(|place| conditions.get(place));
    let since = known
        .filter(|known| known.str_at(&["status"]) == condition.str_at(&["status"]))
        .and_then(|known| known.at(&["lastTransitionTime"]).cloned());
    let since = since.unwrap_or_else(|| meta::time::to_rfc3339(now).into());
    condition.set(&["lastTransitionTime"], since);
    condition.set(&["lastProbeTime"], Value::Null);
    match place.and_then(|place| conditions.get_mut(place)) {
        Some(known) => *known = condition,
        None => conditions.push(condition),
    }
    pod.set(&["status", "conditions"], conditions.into());
}
