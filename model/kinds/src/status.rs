//! What is wrong with a status that somebody writes, by kind. Pods have their own rules beside theirs.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, Path, names};

use crate::check::{Errors, Node, ip, parse_ip, quantity};

/// Goes through a status: the new object, then the old one.
type Rule = fn(&Object, &Object, &mut Errors);

/// The kinds whose status has rules. Source: the `Validate*StatusUpdate` of each.
const RULES: [(&str, Rule); 17] = [
    ("Deployment", |new, old, errors| {
        counts(new, old, &DEPLOYMENT, errors);
    }),
    ("ReplicaSet", |new, old, errors| {
        counts(new, old, &REPLICA_SET, errors);
    }),
    ("ReplicationController", |new, old, errors| {
        counts(new, old, &REPLICA_SET, errors);
    }),
    ("StatefulSet", |new, old, errors| {
        counts(new, old, &STATEFUL_SET, errors);
    }),
    ("DaemonSet", |new, old, errors| {
        counts(new, old, &DAEMON_SET, errors);
    }),
    ("HorizontalPodAutoscaler", |new, _, errors| {
        let status = Node::root(new).child("status");
        status.not_negative("currentReplicas", errors);
        status.not_negative("desiredReplicas", errors);
    }),
    ("Namespace", namespace),
    ("Service", service),
    ("Ingress", ingress),
    ("PersistentVolumeClaim", claim),
    ("VolumeAttachment", attachment),
    ("PodDisruptionBudget", budget),
    ("ValidatingAdmissionPolicy", policy),
    ("Job", crate::batch::validate::status::check),
    ("ResourceClaim", crate::resource::status::check),
    ("FlowSchema", typed_conditions),
    ("PriorityLevelConfiguration", typed_conditions),
];

/// What is wrong with a status that is written through its subresource.
pub(crate) fn check(kind: &str, new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    if let Some((_, rule)) = RULES.iter().find(|(known, _)| *known == kind) {
        rule(new, old, &mut errors);
    }
    errors
}

/// How the counts in the status of a workload relate.
struct Counts {
    /// None is negative.
    natural: &'static [&'static str],
    /// None is more than `replicas`.
    bounded: &'static [&'static str],
    /// What is said when more are available than ready.
    more_available: &'static str,
    /// Whether the collision count may only grow.
    collides: bool,
}

const DEPLOYMENT: Counts = Counts {
    natural: &[
        "observedGeneration",
        "replicas",
        "updatedReplicas",
        "readyReplicas",
        "availableReplicas",
        "unavailableReplicas",
        "terminatingReplicas",
        "collisionCount",
    ],
    bounded: &["updatedReplicas", "readyReplicas", "availableReplicas"],
    more_available: "cannot be greater than readyReplicas",
    collides: true,
};
const REPLICA_SET: Counts = Counts {
    natural: &[
        "replicas",
        "fullyLabeledReplicas",
        "readyReplicas",
        "availableReplicas",
        "observedGeneration",
        "terminatingReplicas",
    ],
    bounded: &["fullyLabeledReplicas", "readyReplicas", "availableReplicas"],
    more_available: "cannot be greater than readyReplicas",
    collides: false,
};
const STATEFUL_SET: Counts = Counts {
    natural: &[
        "replicas",
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
        "observedGeneration",
        "collisionCount",
    ],
    bounded: &[
        "readyReplicas",
        "currentReplicas",
        "updatedReplicas",
        "availableReplicas",
    ],
    more_available: "cannot be greater than status.readyReplicas",
    collides: true,
};
const DAEMON_SET: Counts = Counts {
    natural: &[
        "currentNumberScheduled",
        "numberMisscheduled",
        "desiredNumberScheduled",
        "numberReady",
        "observedGeneration",
        "updatedNumberScheduled",
        "numberAvailable",
        "numberUnavailable",
        "collisionCount",
    ],
    bounded: &[],
    more_available: "",
    collides: true,
};

fn counts(new: &Object, old: &Object, rule: &Counts, errors: &mut Errors) {
    let (status, was) = (
        Node::root(new).child("status"),
        Node::root(old).child("status"),
    );
    let count = |status: &Node<'_>, field: &str| status.int(field).unwrap_or_default();
    for field in rule.natural {
        status.not_negative(field, errors);
    }
    let mut wrong = |field: &str, why: &str| {
        let value = count(&status, field);
        errors.push(FieldError::invalid(&status.at(field), value, why));
    };
    for field in rule.bounded {
        if count(&status, field) > count(&status, "replicas") {
            wrong(field, "cannot be greater than status.replicas");
        }
    }
    if !rule.more_available.is_empty()
        && count(&status, "availableReplicas") > count(&status, "readyReplicas")
    {
        wrong("availableReplicas", rule.more_available);
    }
    let before = was.int("collisionCount").filter(|_| rule.collides);
    if before.is_some_and(|before| count(&status, "collisionCount") < before) {
        wrong("collisionCount", "cannot be decremented");
    }
}

/// Source: `ValidateNamespaceStatusUpdate`.
fn namespace(new: &Object, _old: &Object, errors: &mut Errors) {
    let status = Node::root(new).child("status");
    let (phase, when) = match new.deletion_timestamp() {
        None => ("Active", "empty"),
        Some(_) => ("Terminating", "not empty"),
    };
    if status.text("phase") != phase {
        let why = format!("may only be '{phase}' if `deletionTimestamp` is {when}");
        errors.push(FieldError::invalid(
            &status.at("Phase"),
            status.text("phase"),
            why,
        ));
    }
}

/// Source: `ValidateLoadBalancerStatus`.
fn service(new: &Object, old: &Object, errors: &mut Errors) {
    let balancer = Node::root(new).child("status").child("loadBalancer");
    let is_balancer = Node::root(new).child("spec").text("type") == "LoadBalancer";
    if !is_balancer && balancer.has_items("ingress") {
        let why = "may only be used when `spec.type` is 'LoadBalancer'";
        errors.push(FieldError::forbidden(&balancer.at("ingress"), why));
        return;
    }
    for way in balancer.items("ingress") {
        address(&way, old, errors);
        let has_ip = !way.text("ip").is_empty();
        match (way.has("ipMode"), has_ip) {
            (false, true) => {
                let why = "must be specified when `ip` is set";
                errors.push(FieldError::required(&way.at("ipMode"), why));
            }
            (true, false) => {
                let why = "may not be specified when `ip` is not set";
                errors.push(FieldError::forbidden(&way.at("ipMode"), why));
            }
            (true, true) => way.one_of("ipMode", &["Proxy", "VIP"], errors),
            (false, false) => {}
        }
        host(&way, errors);
    }
}

/// Source: `ValidateIngressLoadBalancerStatus`.
fn ingress(new: &Object, old: &Object, errors: &mut Errors) {
    let balancer = Node::root(new).child("status").child("loadBalancer");
    for way in balancer.items("ingress") {
        address(&way, old, errors);
        host(&way, errors);
    }
}

/// A new address must be one; what was there may stay.
fn address(way: &Node<'_>, old: &Object, errors: &mut Errors) {
    let text = way.text("ip");
    let known = Node::root(old).child("status").child("loadBalancer");
    let is_known = known
        .items("ingress")
        .iter()
        .any(|way| way.text("ip") == text);
    if !text.is_empty() && !is_known {
        way.complain("ip", ip(text), errors);
    }
}

fn host(way: &Node<'_>, errors: &mut Errors) {
    let name = way.text("hostname");
    if name.is_empty() {
        return;
    }
    way.complain("hostname", names::dns1123_subdomain(name), errors);
    if parse_ip(name).is_some() {
        let why = "must be a DNS name, not an IP address";
        errors.push(FieldError::invalid(&way.at("hostname"), name, why));
    }
}

/// Source: `ValidatePersistentVolumeClaimStatusUpdate`.
fn claim(new: &Object, _old: &Object, errors: &mut Errors) {
    const STATUSES: [&str; 5] = [
        "ControllerResizeInProgress",
        "ControllerResizeInfeasible",
        "NodeResizeInProgress",
        "NodeResizeInfeasible",
        "NodeResizePending",
    ];
    let status = Node::root(new).child("status");
    for (_, amount) in status.entries("capacity") {
        not_less_than_nothing(&amount, errors);
    }
    let path = status.at("allocatedResourceStatuses");
    for (resource, state) in status.entries("allocatedResourceStatuses") {
        claimed_resource(resource, &path, errors);
        if !STATUSES.iter().any(|known| *state.value == *known) {
            errors.push(FieldError::not_supported(&path, resource, &STATUSES));
        }
    }
    let path = status.at("allocatedResources");
    for (resource, amount) in status.entries("allocatedResources") {
        if claimed_resource(resource, &path, errors) {
            not_less_than_nothing(&amount, errors);
        }
    }
}

/// What a claim may be resized in: storage, or what a vendor names. Source: `validatePersistentVolumeClaimResourceKey`.
fn claimed_resource(name: &str, path: &Path, errors: &mut Errors) -> bool {
    let whys = names::qualified_name(name);
    let is_native = !name.contains('/') || name.contains("kubernetes.io/");
    if !whys.is_empty() {
        errors.extend(crate::metadata::invalid(path, name, whys));
        return false;
    }
    if is_native && name != "storage" {
        errors.push(FieldError::not_supported(path, name, &["storage"]));
        return false;
    }
    true
}

/// Source: `validateBasicResource`.
fn not_less_than_nothing(amount: &Node<'_>, errors: &mut Errors) {
    let whole = quantity(amount.value).value();
    if whole < 0 {
        let why = "must be a valid resource quantity";
        errors.push(FieldError::invalid(&amount.path, whole, why));
    }
}

/// Source: `validateVolumeAttachmentStatus`.
fn attachment(new: &Object, _old: &Object, errors: &mut Errors) {
    const METADATA_BYTES_MAX: usize = 256 << 10;
    const MESSAGE_BYTES_MAX: usize = 1024;
    let status = Node::root(new).child("status");
    let metadata = status.entries("attachmentMetadata");
    let bytes = |value: &Node<'_>| value.value.as_str().map_or(0, str::len);
    let all: usize = metadata
        .iter()
        .map(|(key, value)| key.len() + bytes(value))
        .sum();
    if all > METADATA_BYTES_MAX {
        errors.push(FieldError::too_long(
            &status.at("attachmentMetadata"),
            METADATA_BYTES_MAX,
        ));
    }
    for field in ["attachError", "detachError"] {
        let Some(error) = status.get(field) else {
            continue;
        };
        // The bound that upstream names is another one.
        if error.text("message").len() > MESSAGE_BYTES_MAX {
            errors.push(FieldError::too_long(
                &error.at("message"),
                METADATA_BYTES_MAX,
            ));
        }
        error.in_range("errorCode", 0, i64::from(i32::MAX), errors);
    }
}

/// Source: `ValidatePodDisruptionBudgetStatusUpdate`.
fn budget(new: &Object, _old: &Object, errors: &mut Errors) {
    let status = Node::root(new).child("status");
    conditions(&status, errors);
    for field in [
        "disruptionsAllowed",
        "currentHealthy",
        "desiredHealthy",
        "expectedPods",
    ] {
        status.not_negative(field, errors);
    }
}

fn policy(new: &Object, _old: &Object, errors: &mut Errors) {
    let status = Node::root(new).child("status");
    for warning in status.child("typeChecking").items("expressionWarnings") {
        warning.needs("fieldRef", errors);
        warning.needs("warning", errors);
    }
    conditions(&status, errors);
}

/// Conditions of a shape of their own, which need a type. Source: `ValidateFlowSchemaStatus`.
fn typed_conditions(new: &Object, _old: &Object, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for condition in Node::root(new).child("status").items("conditions") {
        let name = condition.text("type");
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&condition.at("type"), name));
        }
        condition.needs("type", errors);
    }
}

const REASON_WORDS: &str = "a condition reason must start with alphabetic character, optionally followed by a string of alphanumeric characters or '_,:', and must end with an alphanumeric character or '_'";
const REASON_REGEX: &str = "[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?";
const REASON_BYTES_MAX: usize = 1024;
const MESSAGE_BYTES_MAX: usize = 32 << 10;

/// Conditions as all newer kinds have them. Source: apimachinery `ValidateConditions`.
pub(crate) fn conditions(status: &Node<'_>, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for condition in status.items("conditions") {
        let name = condition.text("type");
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&condition.at("type"), name));
        }
        condition.complain("type", names::qualified_name(name), errors);
        condition.one_of("status", &["False", "True", "Unknown"], errors);
        if let Some(generation) = condition
            .int("observedGeneration")
            .filter(|count| *count < 0)
        {
            let why = "must be greater than or equal to zero";
            let path = condition.at("observedGeneration");
            errors.push(FieldError::invalid(&path, generation, why));
        }
        condition.needs("lastTransitionTime", errors);
        reason(&condition, errors);
        if condition.text("message").len() > MESSAGE_BYTES_MAX {
            let path = condition.at("message");
            errors.push(FieldError::too_long(&path, MESSAGE_BYTES_MAX));
        }
    }
}

fn reason(condition: &Node<'_>, errors: &mut Errors) {
    let text = condition.text("reason");
    if text.is_empty() {
        condition.needs("reason", errors);
        return;
    }
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    let bytes = text.as_bytes();
    let is_sound = bytes.first().is_some_and(u8::is_ascii_alphabetic)
        && bytes.last().is_some_and(|b| is_word(*b))
        && bytes.iter().all(|b| is_word(*b) || b",:".contains(b));
    if !is_sound {
        let examples = [
            "my_name",
            "MY_NAME",
            "MyName",
            "ReasonA,ReasonB",
            "ReasonA:ReasonB",
        ];
        let why = names::regex_error(REASON_WORDS, REASON_REGEX, &examples);
        errors.push(FieldError::invalid(&condition.at("reason"), text, why));
    }
    if text.len() > REASON_BYTES_MAX {
        let path = condition.at("reason");
        errors.push(FieldError::too_long(&path, REASON_BYTES_MAX));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn said(kind: &str, new: &Value, old: &Value) -> Vec<String> {
        let errors = check(kind, &json!({"status": new}), &json!({"status": old}));
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn no_more_can_be_available_than_ready_nor_ready_than_there_are() {
        let status = json!({"replicas": 1, "readyReplicas": 2, "availableReplicas": 1});
        assert_eq!(
            said("Deployment", &status, &json!({"collisionCount": 1})),
            [
                "status.readyReplicas: Invalid value: 2: cannot be greater than status.replicas",
                "status.collisionCount: Invalid value: 0: cannot be decremented",
            ]
        );
        assert!(said("DaemonSet", &json!({"numberReady": 1}), &json!({})).is_empty());
    }

    #[test]
    fn only_load_balancers_have_ways_in() {
        let status = json!({"loadBalancer": {"ingress": [{"ip": "1.2.3.4"}]}});
        assert_eq!(
            said("Service", &status, &json!({})),
            [
                "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'"
            ]
        );
        assert!(said("Ingress", &status, &json!({})).is_empty());
    }

    #[test]
    fn conditions_are_whole() {
        let status = json!({"conditions": [{"type": "Ready", "status": "Yes", "reason": "1"}]});
        assert_eq!(said("PodDisruptionBudget", &status, &json!({})).len(), 3);
    }

    #[test]
    fn claims_grow_in_storage_and_not_below_nothing() {
        let status = json!({"capacity": {"storage": "-1"}, "allocatedResources": {"cpu": "1", "storage": "1Gi"},
            "allocatedResourceStatuses": {"storage": "NodeResizePending", "x.y/z": "Gone"}});
        let told = said("PersistentVolumeClaim", &status, &json!({}));
        assert_eq!(told.len(), 3, "{told:?}");
        let status = json!({"attachError": {"errorCode": -1, "message": "m"}});
        assert_eq!(said("VolumeAttachment", &status, &json!({})).len(), 1);
    }
}
