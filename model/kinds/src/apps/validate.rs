//! What is wrong with workloads. Source: pkg/apis/apps/validation.

use std::collections::BTreeMap;

use meta::{FieldError, Object, names};
use serde_json::{Value, json};

use crate::check::{Errors, Node, at_most_all, int_or_percent, is_percent, label_selector};
use crate::core::pod_spec::validate::{
    self, Selector, claim_spec_errors, template, template_for_controller,
};
use crate::edit::Edit as _;
use crate::metadata::{annotations, labels};

/// A selector that is needed and may not be empty. Says whether it is one, so that labels can be compared with it.
fn selector(spec: &Node<'_>, kind: &str, errors: &mut Errors) -> bool {
    let Some(selector) = spec.get("selector") else {
        errors.push(FieldError::required(&spec.at("selector"), ""));
        return true;
    };
    let before = errors.len();
    label_selector(&selector, errors);
    let is_sound = errors.len() == before;
    if !selector.has_items("matchLabels") && !selector.has_items("matchExpressions") {
        let why = format!("empty selector is invalid for {kind}");
        errors.push(FieldError::invalid(
            &selector.path,
            selector.value.clone(),
            why,
        ));
    }
    if !is_sound {
        // Source: `metav1.LabelSelectorAsSelector` fails.
        let why = if kind == "statefulset" {
            ""
        } else {
            "invalid label selector"
        };
        let value = selector.value.clone();
        errors.push(FieldError::invalid(&selector.path, value, why));
    }
    is_sound
}

/// Whether a count or percentage is more than nothing.
fn is_some(value: &Value) -> bool {
    match value {
        Value::String(text) => {
            // What is neither a percentage nor a number counts for nothing. Source: `getIntOrPercentValue`.
            let digits = text.strip_suffix('%').filter(|_| is_percent(text));
            let digits = digits.unwrap_or(text);
            digits.parse::<i64>().is_ok_and(|number| number != 0)
        }
        value => value.as_i64().unwrap_or_default() != 0,
    }
}

/// Source: `ValidateDeploymentSpec`.
pub(super) fn deployment(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    spec.not_negative("replicas", &mut errors);
    if selector(&spec, "deployment", &mut errors) {
        let chosen = Selector::Expressions(spec.value.get("selector"));
        template_for_controller(&spec.child("template"), chosen, "ReplicaSet", &mut errors);
    }
    deployment_strategy(&spec.child("strategy"), &mut errors);
    for field in [
        "minReadySeconds",
        "revisionHistoryLimit",
        "progressDeadlineSeconds",
    ] {
        spec.not_negative(field, &mut errors);
    }
    let least = spec.int("minReadySeconds").unwrap_or_default();
    if let Some(deadline) = spec
        .int("progressDeadlineSeconds")
        .filter(|deadline| *deadline <= least)
    {
        let why = "must be greater than minReadySeconds";
        errors.push(FieldError::invalid(
            &spec.at("progressDeadlineSeconds"),
            deadline,
            why,
        ));
    }
    errors
}

fn deployment_strategy(strategy: &Node<'_>, errors: &mut Errors) {
    let rolling = strategy.child("rollingUpdate");
    match strategy.text("type") {
        "Recreate" => {
            if strategy.has("rollingUpdate") {
                let why = "may not be specified when strategy `type` is 'Recreate'";
                errors.push(FieldError::forbidden(&rolling.path, why));
            }
        }
        "RollingUpdate" => {
            int_or_percent(&rolling, "maxUnavailable", errors);
            int_or_percent(&rolling, "maxSurge", errors);
            let unavailable = rolling.child("maxUnavailable").value;
            if !is_some(unavailable) && !is_some(rolling.child("maxSurge").value) {
                let why = "may not be 0 when `maxSurge` is 0";
                errors.push(FieldError::invalid(
                    &rolling.at("maxUnavailable"),
                    unavailable.clone(),
                    why,
                ));
            }
            at_most_all(&rolling, "maxUnavailable", errors);
        }
        other => {
            let mut error =
                FieldError::not_supported(&strategy.path, other, &["Recreate", "RollingUpdate"]);
            error.bad_value = Some(strategy.value.clone());
            errors.push(error);
        }
    }
}

/// Source: `ValidateReplicaSetSpec`.
pub(super) fn replica_set(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    spec.not_negative("replicas", &mut errors);
    spec.not_negative("minReadySeconds", &mut errors);
    if selector(&spec, "deployment", &mut errors) {
        let chosen = Selector::Expressions(spec.value.get("selector"));
        template_for_controller(&spec.child("template"), chosen, "ReplicaSet", &mut errors);
    }
    errors
}

/// The selector of an existing workload stays.
pub(super) fn same_selector(new: &Object, old: &Object, errors: &mut Errors) {
    let (new, old) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    new.immutable(&old, "selector", errors);
}

/// Source: `ValidateDaemonSetSpec`.
pub(super) fn daemon_set(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    let chosen = spec.child("selector");
    label_selector(&chosen, &mut errors);
    let is_sound = errors.is_empty();
    let selector = Selector::Expressions(spec.value.get("selector"));
    let pods = spec.child("template");
    if is_sound && !selector.matches(&pods) {
        let marks = pods.child("metadata").child("labels");
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&marks.path, marks.value.clone(), why));
    }
    if spec.has("selector")
        && !chosen.has_items("matchLabels")
        && !chosen.has_items("matchExpressions")
    {
        let why = "empty selector is invalid for daemonset";
        errors.push(FieldError::invalid(&chosen.path, chosen.value.clone(), why));
    }
    template(&pods, &mut errors);
    always_running(&pods, "DaemonSet", &mut errors);
    spec.not_negative("minReadySeconds", &mut errors);
    let strategy = spec.child("updateStrategy");
    let rolling = strategy.child("rollingUpdate");
    match strategy.text("type") {
        "OnDelete" => {}
        "RollingUpdate" if !strategy.has("rollingUpdate") => {
            errors.push(FieldError::required(&rolling.path, ""));
        }
        "RollingUpdate" => daemon_rolling(&rolling, &mut errors),
        other => {
            let mut error =
                FieldError::not_supported(&strategy.path, other, &["RollingUpdate", "OnDelete"]);
            error.bad_value = Some(strategy.value.clone());
            errors.push(error);
        }
    }
    spec.not_negative("revisionHistoryLimit", &mut errors);
    errors
}

fn daemon_rolling(rolling: &Node<'_>, errors: &mut Errors) {
    int_or_percent(rolling, "maxUnavailable", errors);
    int_or_percent(rolling, "maxSurge", errors);
    at_most_all(rolling, "maxUnavailable", errors);
    at_most_all(rolling, "maxSurge", errors);
    let surge = rolling.child("maxSurge").value;
    match (
        is_some(rolling.child("maxUnavailable").value),
        is_some(surge),
    ) {
        (true, true) => {
            let why = "may not be set when maxUnavailable is non-zero";
            errors.push(FieldError::invalid(
                &rolling.at("maxSurge"),
                surge.clone(),
                why,
            ));
        }
        (false, false) => {
            let why = "cannot be 0 when maxSurge is 0";
            errors.push(FieldError::required(&rolling.at("maxUnavailable"), why));
        }
        _ => {}
    }
}

fn always_running(pods: &Node<'_>, kind: &str, errors: &mut Errors) {
    let spec = pods.child("spec");
    spec.one_of("restartPolicy", &["Always"], errors);
    if spec.has("activeDeadlineSeconds") {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(
            &spec.at("activeDeadlineSeconds"),
            why,
        ));
    }
}

/// Source: `ValidateStatefulSetSpec`; a changed one need not prove again what cannot change.
pub(super) fn stateful_set(object: &Object, is_new: bool) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    let policy = spec.text("podManagementPolicy");
    match policy {
        "" => errors.push(FieldError::required(&spec.at("podManagementPolicy"), "")),
        "OrderedReady" | "Parallel" => {}
        other => {
            let why = "must be 'OrderedReady' or 'Parallel'";
            errors.push(FieldError::invalid(
                &spec.at("podManagementPolicy"),
                other,
                why,
            ));
        }
    }
    stateful_strategy(&spec.child("updateStrategy"), &mut errors);
    let retention = spec.child("persistentVolumeClaimRetentionPolicy");
    for field in ["whenDeleted", "whenScaled"] {
        if spec.has("persistentVolumeClaimRetentionPolicy") {
            retention.one_of(field, &["Retain", "Delete"], &mut errors);
        }
    }
    if is_new {
        for claim in spec.items("volumeClaimTemplates") {
            claim_spec_errors(&claim.child("spec"), &mut errors);
        }
    }
    spec.not_negative("replicas", &mut errors);
    spec.not_negative("minReadySeconds", &mut errors);
    if let Some(start) = spec
        .child("ordinals")
        .int("start")
        .filter(|start| *start < 0)
    {
        errors.push(FieldError::invalid(
            &spec.at("ordinals.start"),
            start,
            crate::check::NEGATIVE,
        ));
    }
    if is_new && !spec.text("serviceName").is_empty() {
        spec.complain(
            "serviceName",
            names::dns1123_label(spec.text("serviceName")),
            &mut errors,
        );
    }
    if selector(&spec, "statefulset", &mut errors) {
        stateful_template(&spec, &mut errors);
    } else {
        always_running(&spec.child("template"), "StatefulSet", &mut errors);
    }
    errors
}

fn stateful_strategy(strategy: &Node<'_>, errors: &mut Errors) {
    let rolling = strategy.child("rollingUpdate");
    match strategy.text("type") {
        "" => errors.push(FieldError::required(&strategy.path, "")),
        "OnDelete" if strategy.has("rollingUpdate") => {
            let why = "only allowed for updateStrategy 'RollingUpdate'";
            errors.push(FieldError::invalid(
                &rolling.path,
                rolling.value.clone(),
                why,
            ));
        }
        "OnDelete" => {}
        "RollingUpdate" => {
            rolling.not_negative("partition", errors);
            if rolling.has("maxUnavailable") {
                int_or_percent(&rolling, "maxUnavailable", errors);
                if !is_some(rolling.child("maxUnavailable").value) {
                    let why = "cannot be 0";
                    let value = rolling.child("maxUnavailable").value.clone();
                    errors.push(FieldError::invalid(
                        &rolling.at("maxUnavailable"),
                        value,
                        why,
                    ));
                }
                at_most_all(&rolling, "maxUnavailable", errors);
            }
        }
        _ => {
            let why = "must be 'RollingUpdate' or 'OnDelete'";
            errors.push(FieldError::invalid(
                &strategy.path,
                strategy.value.clone(),
                why,
            ));
        }
    }
}

/// The template as the controller will use it: with a volume for each claim.
fn stateful_template(spec: &Node<'_>, errors: &mut Errors) {
    let pods = spec.child("template");
    let mut value = pods.value.clone();
    if let Some(inner) = value.get_mut("spec") {
        inner.drop_field("subdomain");
        inner.drop_field("hostname");
        let mut volumes: BTreeMap<String, Value> = BTreeMap::new();
        for claim in spec.items("volumeClaimTemplates") {
            let name = claim.child("metadata").text("name").to_owned();
            let source = json!({"name": name, "persistentVolumeClaim": {"claimName": name}});
            volumes.insert(name, source);
        }
        let is_made = |volume: &Value| {
            let name = volume
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            volumes.contains_key(name)
        };
        let rest: Vec<Value> = inner
            .items_mut("volumes")
            .filter(|volume| !is_made(volume))
            .map(|v| v.clone())
            .collect();
        let all: Vec<Value> = volumes.values().cloned().chain(rest).collect();
        if !all.is_empty() {
            inner.put("volumes", all);
        }
    }
    let changed = Node {
        value: &value,
        path: pods.path.clone(),
    };
    let chosen = Selector::Expressions(spec.value.get("selector"));
    template_for_controller(&changed, chosen, "StatefulSet", errors);
    // Upstream looks at these once more.
    let metadata = pods.child("metadata");
    let marks = [
        metadata.value.get("labels"),
        metadata.value.get("annotations"),
    ];
    errors.extend(labels(marks[0], &pods.at("labels")));
    errors.extend(annotations(marks[1], &pods.at("annotations")));
}

/// What of a StatefulSet may change. Source: `ValidateStatefulSetUpdate`.
pub(super) fn stateful_set_update(new: &Object, old: &Object) -> Errors {
    const MUTABLE: [&str; 7] = [
        "replicas",
        "template",
        "updateStrategy",
        "minReadySeconds",
        "ordinals",
        "revisionHistoryLimit",
        "persistentVolumeClaimRetentionPolicy",
    ];
    let mut errors = stateful_set(new, false);
    let rest = |object: &Object| {
        let mut spec = object.get("spec").cloned().unwrap_or_default();
        for field in MUTABLE {
            spec.drop_field(field);
        }
        spec
    };
    if rest(new) != rest(old) {
        let why = "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', 'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden";
        errors.push(FieldError::forbidden(&validate::spec_path(), why));
    }
    errors
}
