//! What a resize may change. Source: `ValidatePodResize`.

use meta::{FieldError, Object, ObjectExt as _, Path, Quantity};
use serde_json::{Map, Value};

use crate::check::{Errors, Node};
use crate::core::pod_spec::{qos_class, validate};
use crate::edit::Edit as _;

/// What can be resized.
const RESIZABLE: [&str; 2] = ["cpu", "memory"];
const AMOUNTS: [&str; 2] = ["requests", "limits"];

/// Checks a resize; `errors` holds what is wrong with the pod itself.
pub(super) fn check(new: &Object, old: &Object, mut errors: Errors) -> Errors {
    let never = |why: &str| vec![FieldError::forbidden(&Path::root().key(""), why)];
    if old.annotation(validate::MIRROR).is_some() {
        return never("static pods cannot be resized");
    }
    if old.str_at(&["spec", "os", "name"]) == Some("windows") {
        return never("windows pods cannot be resized");
    }
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    let class = old.str_at(&["status", "qosClass"]).unwrap_or_default();
    let present = if class.is_empty() {
        qos_class(was.value)
    } else {
        class
    };
    if present != qos_class(spec.value) {
        let why = "Pod QOS Class may not change as a result of resizing";
        errors.push(FieldError::invalid(&spec.path, class, why));
    }
    if !is_supported(old) {
        let why = "Pod running on node without support for resize";
        errors.push(FieldError::forbidden(&spec.path, why));
    }
    let mut masked = spec.value.clone();
    if has_amounts(&spec) || has_amounts(&was) {
        of_pod(&spec, &was, &mut masked, &mut errors);
    }
    if !old
        .list_at(&["status", "nodeAllocatableResourceClaimStatuses"])
        .is_empty()
    {
        let why = "pods with node allocatable resource claims cannot be resized";
        errors.push(FieldError::forbidden(&spec.path, why));
    }
    let before = errors.len();
    same_order(&spec, &was, &mut errors);
    if errors.len() > before {
        return errors;
    }
    for list in ["initContainers", "containers"] {
        for (container, was) in spec.items(list).iter().zip(was.items(list)) {
            let (new, old) = (container.child("resources"), was.child("resources"));
            removed(&new, &old, "resource ", &mut errors);
        }
    }
    of_containers(&spec, &was, &mut masked, &mut errors);
    if errors.is_empty() && normal(&masked) != normal(was.value) {
        let why = "only cpu and memory resources are mutable";
        errors.push(FieldError::forbidden(&spec.path, why));
    }
    errors
}

/// Whether the node told of a running container's resources, or nothing runs that could tell.
fn is_supported(pod: &Object) -> bool {
    let mut statuses = pod.list_at(&["status", "containerStatuses"]).iter();
    let running = statuses.find(|status| status.at(&["state", "running"]).is_some());
    running.is_none_or(|status| status.get("resources").is_some())
}

fn has_amounts(spec: &Node<'_>) -> bool {
    let resources = spec.child("resources");
    AMOUNTS.iter().any(|list| resources.has_items(list))
}

/// What is asked for the pod as a whole.
fn of_pod(spec: &Node<'_>, was: &Node<'_>, masked: &mut Value, errors: &mut Errors) {
    let (new, old) = (spec.child("resources"), was.child("resources"));
    if was.has("resources") && !spec.has("resources") {
        let why = "pod-level resources cannot be removed";
        errors.push(FieldError::forbidden(&new.path, why));
        return;
    }
    removed(&new, &old, "pod-level resource ", errors);
    let mut kept = new.value.clone();
    mask(&mut kept, old.value);
    let empty = Value::Object(Map::new());
    let was = Some(old.value).filter(|old| !old.is_null());
    if normal(&kept) != normal(was.unwrap_or(&empty)) {
        let why = "only cpu and memory resources are mutable at pod-level";
        errors.push(FieldError::forbidden(&spec.path, why));
    }
    masked.put("resources", kept);
}

/// Requests and limits that are there stay.
fn removed(new: &Node<'_>, old: &Node<'_>, whose: &str, errors: &mut Errors) {
    for list in AMOUNTS {
        let known = new.child(list);
        let is_gone = old.entries(list).iter().any(|(name, _)| !known.has(name));
        if is_gone {
            let why = format!("{whose}{list} cannot be removed");
            errors.push(FieldError::forbidden(&known.path, why));
        }
    }
}

/// Source: `validatePodResizeContainerOrdering`.
fn same_order(spec: &Node<'_>, was: &Node<'_>, errors: &mut Errors) {
    for list in ["containers", "initContainers"] {
        let (new, old) = (spec.items(list), was.items(list));
        if new.len() != old.len() {
            let why = format!("{list} may not be added or removed on resize");
            errors.push(FieldError::forbidden(&spec.at(list), why));
            continue;
        }
        for (new, old) in new.iter().zip(&old) {
            if new.text("name") != old.text("name") {
                let why = format!("{list} may not be renamed or reordered on resize");
                errors.push(FieldError::forbidden(&new.at("name"), why));
            }
        }
    }
}

/// Nothing but CPU and memory of containers changes.
fn of_containers(spec: &Node<'_>, was: &Node<'_>, masked: &mut Value, errors: &mut Errors) {
    for list in ["containers", "initContainers"] {
        let olds = was.items(list);
        let kept: Vec<Value> = spec
            .items(list)
            .iter()
            .zip(&olds)
            .map(masked_container)
            .collect();
        for ((new, old), kept) in spec.items(list).iter().zip(&olds).zip(&kept) {
            if normal(kept) != normal(old.value) {
                let (path, why) = match list {
                    "containers" => (&spec.path, "only cpu and memory resources are mutable"),
                    _ => (
                        &new.path,
                        "only cpu and memory resources for init or sidecar containers are mutable",
                    ),
                };
                errors.push(FieldError::forbidden(path, why));
            }
            let is_sidecar = new.text("restartPolicy") == "Always";
            let is_changed = normal(new.value) != normal(old.value);
            if list == "initContainers" && is_changed && !is_sidecar {
                let policies = new.items("resizePolicy");
                let restarting = policies
                    .iter()
                    .filter(|policy| policy.text("restartPolicy") == "RestartContainer");
                let why = "non-sidecar init containers with a resize policy of RestartContainer cannot be resized";
                errors.extend(restarting.map(|_| FieldError::forbidden(&new.path, why)));
            }
        }
        if !kept.is_empty() {
            masked.put(list, kept);
        }
    }
}

/// A container with the CPU and memory of the old one; claims of devices are lost, as upstream loses them.
fn masked_container((new, old): (&Node<'_>, &Node<'_>)) -> Value {
    let mut container = new.value.clone();
    let mut resources = container.get("resources").cloned().unwrap_or_default();
    resources.drop_field("claims");
    mask(&mut resources, old.child("resources").value);
    container.put("resources", resources);
    container
}

/// Sets CPU and memory back to what they were.
fn mask(resources: &mut Value, old: &Value) {
    if !resources.is_object() {
        *resources = Value::Object(Map::new());
    }
    for list in AMOUNTS {
        let amounts = resources.child_mut(list);
        for name in RESIZABLE {
            match old.at(&[list, name]) {
                Some(amount) => amounts.put(name, amount.clone()),
                None => {
                    amounts.drop_field(name);
                }
            }
        }
    }
}

/// A value without what is empty, and with amounts spelled in one way.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let fields = map.iter().map(|(name, value)| {
                let value = if AMOUNTS.contains(&name.as_str()) {
                    amounts(value)
                } else {
                    normal(value)
                };
                (name.clone(), value)
            });
            let is_empty = |value: &Value| match value {
                Value::Null => true,
                Value::Object(map) => map.is_empty(),
                Value::Array(items) => items.is_empty(),
                _ => false,
            };
            Value::Object(fields.filter(|(_, value)| !is_empty(value)).collect())
        }
        Value::Array(items) => items.iter().map(normal).collect(),
        other => other.clone(),
    }
}

fn amounts(list: &Value) -> Value {
    let amount = |value: &Value| {
        let parsed = value.as_str().and_then(|text| Quantity::parse(text).ok());
        parsed.map_or_else(|| value.clone(), |amount| amount.nanos().to_string().into())
    };
    let entries = list.as_object().into_iter().flatten();
    Value::Object(
        entries
            .map(|(name, value)| (name.clone(), amount(value)))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Object {
        json!({"metadata": {"name": "p"}, "status": {"qosClass": "Burstable"}, "spec": {"containers": [
            {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1", "memory": "1Gi"}}}]}})
    }

    #[test]
    fn cpu_and_memory_change_and_nothing_else() {
        type Case = (fn(&mut Value, &mut Value), &'static str);
        let cases: [Case; 8] = [
            (
                |new, _| new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "2".into(),
                "",
            ),
            (
                |new, _| {
                    new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "1000m".into();
                },
                "",
            ),
            (
                |new, _| new["spec"]["containers"][0]["resources"] = json!({}),
                "spec: Invalid value: \"Burstable\": Pod QOS Class may not change as a result of resizing; spec.containers[0].resources.requests: Forbidden: resource requests cannot be removed",
            ),
            (
                |new, _| {
                    new["spec"]["containers"][0]["resources"]["requests"]["a.b/c"] = "1".into();
                },
                "spec: Forbidden: only cpu and memory resources are mutable",
            ),
            (
                |new, _| new["spec"]["containers"][0]["name"] = "d".into(),
                "spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
            ),
            (
                |new, _| new["spec"]["initContainers"] = json!([{"name": "i"}]),
                "spec.initContainers: Forbidden: initContainers may not be added or removed on resize",
            ),
            (
                |_, old| old["status"]["containerStatuses"] = json!([{"state": {"running": {}}}]),
                "spec: Forbidden: Pod running on node without support for resize",
            ),
            (
                |_, old| old["metadata"]["annotations"] = json!({validate::MIRROR: "x"}),
                "[]: Forbidden: static pods cannot be resized",
            ),
        ];
        for (change, wanted) in cases {
            let (mut new, mut old) = (pod(), pod());
            change(&mut new, &mut old);
            let errors = check(&new, &old, Errors::new());
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.join("; "), wanted);
        }
    }
}
