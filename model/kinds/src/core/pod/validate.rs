//! What is wrong with a pod, new or changed. Source: `ValidatePodCreate`, `ValidatePodUpdate`.

mod gated;
mod reported;
mod resize;
mod status;

use meta::{FieldError, Object, ObjectExt as _, Path};
use serde_json::Value;

use crate::check::{Errors, Node};
use crate::core::pod_spec::validate::{self, Holder};
use crate::edit::Edit as _;

const EPHEMERAL: &str = "io.k8s.api.core.v1.EphemeralContainer";
const SPEC: &str = "io.k8s.api.core.v1.PodSpec";
const MUTABLE: &str = "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)";

/// A new pod.
pub(super) fn create(pod: &Object) -> Errors {
    let mut errors = Errors::new();
    both(pod, &mut errors);
    let spec = Node::root(pod).child("spec");
    if spec.has_items("ephemeralContainers") {
        errors.push(FieldError::forbidden(
            &spec.at("ephemeralContainers"),
            "cannot be set on create",
        ));
    }
    if !spec.text("nodeName").is_empty() && spec.has_items("schedulingGates") {
        let why = "cannot be set until all schedulingGates have been cleared";
        errors.push(FieldError::forbidden(&spec.at("nodeName"), why));
    }
    validate::agreement(pod, &spec, &mut errors);
    errors
}

fn both(pod: &Object, errors: &mut Errors) {
    let spec = Node::root(pod).child("spec");
    let path = Path::new("metadata").child("annotations");
    validate::specific_annotations(pod, &spec, &path, errors);
    validate::spec(&spec, Holder::Pod(pod.name()), errors);
    validate::pod_only(&spec, errors);
}

/// A changed pod.
pub(super) fn update(new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    both(new, &mut errors);
    validate::changed_annotations(new, old, &mut errors);
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    for list in ["containers", "initContainers"] {
        if spec.items(list).len() != was.items(list).len() {
            let why = "pod updates may not add or remove containers";
            errors.push(FieldError::forbidden(&spec.at(list), why));
            return errors;
        }
        for container in spec.items(list) {
            container.needs("image", &mut errors);
            validate::image_blanks(&container, &mut errors);
        }
    }
    if !deadline(&spec, &was, &mut errors) {
        return errors;
    }
    added_tolerations(&spec, &was, &mut errors);
    deleted_gates(&spec, &was, &mut errors);
    if spec.value == was.value {
        return errors;
    }
    let mut kept = munged(spec.value, was.value);
    if was.has_items("schedulingGates") {
        gated::narrowed(&spec, &was, &mut kept, &mut errors);
    }
    if kept != *was.value {
        let why = format!(
            "{MUTABLE}\n{}",
            crate::difference::of(SPEC, was.value, &kept)
        );
        errors.push(FieldError::forbidden(&spec.path, why));
    }
    errors
}

/// The deadline may only come nearer; says whether to go on.
fn deadline(spec: &Node<'_>, was: &Node<'_>, errors: &mut Errors) -> bool {
    const FIELD: &str = "activeDeadlineSeconds";
    let path = spec.at(FIELD);
    match (spec.int(FIELD), was.int(FIELD)) {
        (Some(new), _) if !(0..=i64::from(i32::MAX)).contains(&new) => {
            let why = meta::names::in_range(0, i64::from(i32::MAX));
            errors.push(FieldError::invalid(&path, new, why));
            false
        }
        (Some(new), Some(old)) if old < new => {
            let why = "must be less than or equal to previous value";
            errors.push(FieldError::invalid(&path, new, why));
            false
        }
        (None, Some(_)) => {
            let why = "must not update from a positive integer to nil value";
            errors.push(FieldError::invalid(&path, Value::Null, why));
            true
        }
        _ => true,
    }
}

fn added_tolerations(spec: &Node<'_>, was: &Node<'_>, errors: &mut Errors) {
    let without_seconds = |toleration: &Node<'_>| {
        let mut value = toleration.value.clone();
        value.drop_field("tolerationSeconds");
        value
    };
    let new: Vec<Value> = spec
        .items("tolerations")
        .iter()
        .map(without_seconds)
        .collect();
    for toleration in was.items("tolerations") {
        if !new.contains(&without_seconds(&toleration)) {
            let path = spec.at("tolerations");
            let why = "existing toleration can not be modified except its tolerationSeconds";
            errors.push(FieldError::forbidden(&path, why));
            return;
        }
    }
    validate::tolerations(spec, errors);
}

fn deleted_gates(spec: &Node<'_>, was: &Node<'_>, errors: &mut Errors) {
    let old: Vec<&Value> = was
        .items("schedulingGates")
        .iter()
        .map(|gate| gate.value)
        .collect();
    for gate in spec.items("schedulingGates") {
        if !old.contains(&gate.value) {
            let why = "only deletion is allowed, but found new scheduling gate";
            errors.push(FieldError::forbidden(
                &gate.at("name"),
                format!("{why} '{}'", gate.text("name")),
            ));
        }
    }
}

/// The new spec with everything set back that may change.
fn munged(new: &Value, old: &Value) -> Value {
    let mut spec = new.clone();
    let mut fields = vec!["activeDeadlineSeconds", "schedulingGates", "tolerations"];
    let seconds = |spec: &Value| spec.int_at(&["terminationGracePeriodSeconds"]);
    if seconds(old).is_some_and(|seconds| seconds < 0) && seconds(new) == Some(1) {
        fields.push("terminationGracePeriodSeconds");
    }
    for field in fields {
        match old.get(field) {
            Some(value) => spec.put(field, value.clone()),
            None => {
                spec.drop_field(field);
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for (container, old) in spec.items_mut(list).zip(old.list_at(&[list])) {
            if let Some(image) = old.get("image") {
                container.put("image", image.clone());
            }
        }
    }
    spec
}

/// What a write through a subresource may do.
pub(super) fn subresource(new: &Object, old: &Object, name: &str) -> Errors {
    let mut errors = Errors::new();
    match name {
        "status" => errors = status::check(new, old),
        "ephemeralcontainers" if old.annotation(validate::MIRROR).is_some() => {
            let why = "static pods do not support ephemeral containers";
            errors.push(FieldError::forbidden(&Path::root().key(""), why));
        }
        "ephemeralcontainers" => {
            let spec = Node::root(new).child("spec");
            validate::spec(&spec, Holder::Pod(new.name()), &mut errors);
            validate::changed_annotations(new, old, &mut errors);
            let known = spec.items("ephemeralContainers");
            for container in Node::root(old).child("spec").items("ephemeralContainers") {
                let name = container.text("name");
                match known.iter().find(|one| one.text("name") == name) {
                    None => {
                        let why = format!(
                            "existing ephemeral containers {} may not be removed\n",
                            meta::field::quote(name)
                        );
                        errors.push(FieldError::forbidden(&spec.at("ephemeralContainers"), why));
                    }
                    Some(one) if one.value != container.value => {
                        let why = format!(
                            "existing ephemeral containers {} may not be changed\n{}",
                            meta::field::quote(name),
                            crate::difference::of(EPHEMERAL, container.value, one.value)
                        );
                        errors.push(FieldError::forbidden(&spec.at("ephemeralContainers"), why));
                    }
                    Some(_) => {}
                }
            }
        }
        _ => {
            both(new, &mut errors);
            errors = resize::check(new, old, errors);
        }
    }
    errors
}
