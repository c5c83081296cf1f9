//! What is wrong with a Node. Source: `ValidateNode`, `ValidateNodeUpdate`.

use std::collections::BTreeSet;

use meta::{FieldError, Object, Path, names};

use crate::check::{Cidr, Errors, Node, cidr};
use crate::core::pod_spec::validate::amount;

const EFFECTS: [&str; 3] = ["NoSchedule", "PreferNoSchedule", "NoExecute"];

/// Longest name of a feature, in bytes. Source: `DNS1123SubdomainMaxLength`.
const FEATURE_BYTES_MAX: usize = 253;

fn both(object: &Object, errors: &mut Errors) {
    let status = Node::root(object).child("status");
    for list in ["capacity", "allocatable"] {
        for (name, value) in status.entries(list) {
            // Upstream names an amount like a field.
            let value = Node {
                value: value.value,
                path: status.at(list).child(name),
            };
            amount(name, &value, errors);
        }
    }
    features(&status, errors);
}

/// Features are named and sorted. Source: `validateNodeDeclaredFeatures`.
fn features(status: &Node<'_>, errors: &mut Errors) {
    let features = status.items("declaredFeatures");
    let name = |node: &Node<'_>| node.value.as_str().unwrap_or_default().to_owned();
    for (index, feature) in features.iter().enumerate() {
        let text = name(feature);
        let quoted = meta::field::quote(&text);
        let is_sound = text.starts_with(|c: char| c.is_ascii_uppercase())
            && text.split('/').all(|part| {
                !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric())
            });
        let why = if text.len() > FEATURE_BYTES_MAX {
            format!(
                "invalid feature name {quoted}: must be no more than {FEATURE_BYTES_MAX} characters"
            )
        } else {
            format!(
                "invalid feature name {quoted}: must start with an UpperCamelCase segment, with subsequent segments separated by '/' (e.g., MyFeature or MyFeature/mySubFeature), and contain only alphanumeric characters and slashes"
            )
        };
        if !is_sound || text.len() > FEATURE_BYTES_MAX {
            errors.push(FieldError::invalid(&feature.path, text.as_str(), why));
        }
        let Some(next) = features.get(index + 1) else {
            continue;
        };
        let after = name(next);
        if after == text {
            errors.push(FieldError::duplicate(&next.path, after));
        } else if after < text {
            let why = "list must be sorted alphabetically";
            errors.push(FieldError::invalid(&next.path, after, why));
        }
    }
}

fn taints(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    // Upstream reports taints below the metadata.
    let list = Path::new("metadata").child("taints");
    let mut known = BTreeSet::new();
    for (index, taint) in spec.items("taints").iter().enumerate() {
        let taint = Node {
            value: taint.value,
            path: list.index(index),
        };
        taint.complain("key", names::qualified_name(taint.text("key")), errors);
        let complaints = names::label_value(taint.text("value"));
        if !complaints.is_empty() {
            errors.push(FieldError::invalid(
                &taint.at("value"),
                taint.text("value"),
                complaints.join(";"),
            ));
        }
        taint.needs_one_of("effect", &EFFECTS, errors);
        if !known.insert((taint.text("effect"), taint.text("key"))) {
            let mut error = FieldError::duplicate(&taint.path, taint.value.clone());
            error.detail = "taints must be unique by key and effect pair".into();
            error.shown = crate::schema::builtin("io.k8s.api.core.v1.Taint").and_then(|schema| {
                crate::schema::internal::print(&schema.graph, &schema.ty, taint.value)
            });
            errors.push(error);
        }
    }
}

/// A new node.
pub(super) fn create(object: &Object) -> Errors {
    let mut errors = Errors::new();
    taints(object, &mut errors);
    both(object, &mut errors);
    let spec = Node::root(object).child("spec");
    let blocks = spec.texts("podCIDRs");
    let path = spec.at("podCIDRs");
    for (index, block) in blocks.iter().enumerate() {
        errors.extend(crate::metadata::invalid(
            &path.index(index),
            block,
            cidr(block),
        ));
    }
    let broken = blocks.iter().position(|block| Cidr::parse(block).is_none());
    if let (Some((index, block)), true) = (
        broken.and_then(|index| Some((index, blocks.get(index)?))),
        blocks.len() > 1,
    ) {
        let why = format!(
            "invalid PodCIDRs. failed to check with dual stack with error:invalid CIDR[{index}]: <nil> (invalid CIDR address: {block})"
        );
        errors.push(FieldError::internal(&path, why));
    }
    let families: BTreeSet<bool> = blocks.iter().map(|block| block.contains(':')).collect();
    if blocks.len() > 2 || (blocks.len() == 2 && (families.len() < 2 || broken.is_some())) {
        let why = "may specify no more than one CIDR for each IP family";
        errors.push(FieldError::invalid(
            &path,
            spec.child("podCIDRs").value.clone(),
            why,
        ));
    }
    errors
}

/// A changed node, or its status.
pub(super) fn update(new: &Object, old: &Object, subresource: Option<&str>) -> Errors {
    // Upstream's strategy looks at the whole node as well.
    let mut errors = match subresource {
        None => create(new),
        Some(_) => Errors::new(),
    };
    both(new, &mut errors);
    let mut known = BTreeSet::new();
    for address in Node::root(new).child("status").items("addresses") {
        if !known.insert((address.text("type"), address.text("address"))) {
            errors.push(FieldError::duplicate(&address.path, address.value.clone()));
        }
    }
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    if was.has_items("podCIDRs") && spec.texts("podCIDRs") != was.texts("podCIDRs") {
        let why = "node updates may not change podCIDR except from \"\" to valid";
        errors.push(FieldError::forbidden(&spec.at("podCIDRs"), why));
    }
    if !was.text("providerID").is_empty() && spec.text("providerID") != was.text("providerID") {
        let why = "node updates may not change providerID except from \"\" to valid";
        errors.push(FieldError::forbidden(&spec.at("providerID"), why));
    }
    taints(new, &mut errors);
    if spec.text("externalID") != was.text("externalID") {
        errors.push(FieldError::forbidden(
            &spec.at("externalID"),
            "may not be updated",
        ));
    }
    errors
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_node_has_whole_pods_and_sorted_features() {
        let node = json!({"status": {"capacity": {"cpu": "-1", "pods": "1500m"}, "declaredFeatures": ["B/x", "A", "A"]}});
        let errors = update(&node, &json!({}), Some("status"));
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            [
                "status.capacity.cpu: Invalid value: \"-1\": must be greater than or equal to 0",
                "status.capacity.pods: Invalid value: \"1500m\": must be an integer",
                "status.declaredFeatures[1]: Invalid value: \"A\": list must be sorted alphabetically",
                "status.declaredFeatures[2]: Duplicate value: \"A\"",
            ]
        );
        assert_eq!(update(&node, &json!({}), None).len(), 8);
    }
}
