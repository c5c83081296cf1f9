//! What is wrong with storage kinds. Source: pkg/apis/storage/validation.

use std::collections::{BTreeMap, BTreeSet};

use meta::{FieldError, Object, Path, names};

use crate::check::{Errors, Node, quantity};
use crate::core::{check_inline_volume, csi_driver_name};
use crate::edit::Edit as _;

const CSI_NODE_DRIVER: &str = "io.k8s.api.storage.v1.CSINodeDriver";
const PARAMETERS_MAX: usize = 512;
const PARAMETER_BYTES_MAX: usize = 256 << 10;

/// A StorageClass.
pub(super) fn storage_class(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    let provisioner = root.text("provisioner");
    if provisioner.is_empty() {
        root.needs("provisioner", errors);
    } else {
        driver_like(&root.at("provisioner"), provisioner, errors);
    }
    parameters(&root, errors);
    if !root.text("reclaimPolicy").is_empty() {
        root.one_of("reclaimPolicy", &["Delete", "Retain"], errors);
    }
    root.points_to_one_of(
        "volumeBindingMode",
        &["Immediate", "WaitForFirstConsumer"],
        errors,
    );
    allowed_topologies(&root, errors);
}

/// The name of who provisions, which is read and shown in small letters. Source: `validateProvisioner`.
fn driver_like(path: &Path, name: &str, errors: &mut Errors) {
    let name = name.to_lowercase();
    let complaints = names::qualified_name(&name);
    errors.extend(crate::metadata::invalid(path, &name, complaints));
}

/// Every earlier term that says the same is told. Source: `validateAllowedTopologies`.
fn allowed_topologies(root: &Node<'_>, errors: &mut Errors) {
    let given = root.items("allowedTopologies");
    // Upstream compares with as many places that nobody fills, which are empty.
    let mut terms = vec![BTreeMap::new(); given.len()];
    for term in given {
        let known = topology(&term, errors);
        let path = term.at("matchLabelExpressions");
        let same = terms.iter().filter(|before| **before == known);
        errors.extend(same.map(|_| FieldError::duplicate(&path, "")));
        terms.push(known);
    }
}

/// Source: `ValidateTopologySelectorTerm`.
fn topology<'a>(term: &Node<'a>, errors: &mut Errors) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut known = BTreeMap::new();
    for expression in term.items("matchLabelExpressions") {
        let key = expression.text("key");
        let mut values = BTreeSet::new();
        if !expression.has_items("values") {
            errors.push(FieldError::required(&expression.at("values"), ""));
        }
        for (index, value) in expression.texts("values").into_iter().enumerate() {
            if !values.insert(value) {
                let path = expression.at("values").index(index);
                errors.push(FieldError::duplicate(&path, value));
            }
        }
        expression.complain("key", names::qualified_name(key), errors);
        if known.insert(key, values).is_some() {
            errors.push(FieldError::duplicate(&expression.at("key"), key));
        }
    }
    known
}

fn parameters(root: &Node<'_>, errors: &mut Errors) {
    let entries = root.entries("parameters");
    let path = root.at("parameters");
    if entries.len() > PARAMETERS_MAX {
        errors.push(FieldError::too_long(&path, PARAMETERS_MAX));
        return;
    }
    let mut bytes = 0;
    for (key, value) in &entries {
        if key.is_empty() {
            errors.push(FieldError::invalid(&path, *key, "field can not be empty."));
        }
        bytes += key.len() + value.value.as_str().unwrap_or_default().len();
    }
    if bytes > PARAMETER_BYTES_MAX {
        errors.push(FieldError::too_long(&path, PARAMETER_BYTES_MAX));
    }
}

/// What of a StorageClass stays.
pub(super) fn storage_class_change(new: &Object, old: &Object, errors: &mut Errors) {
    storage_class(new, errors);
    for field in [
        "parameters",
        "provisioner",
        "reclaimPolicy",
        "volumeBindingMode",
    ] {
        let (is, was) = (Node::root(new), Node::root(old));
        is.immutable(&was, field, errors);
    }
}

/// A CSIDriver.
pub(super) fn csi_driver(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let policies = ["File", "None", "ReadWriteOnceWithFSType"];
    spec.points_to_one_of("fsGroupPolicy", &policies, errors);
    let mut known = BTreeSet::new();
    for request in spec.items("tokenRequests") {
        let audience = request.text("audience");
        if !known.insert(audience) {
            errors.push(FieldError::duplicate(&request.at("audience"), audience));
        }
        if let Some(seconds) = request.int("expirationSeconds") {
            let path = request.at("expirationSeconds");
            if seconds < 600 {
                let why = "may not specify a duration less than 10 minutes";
                errors.push(FieldError::invalid(&path, seconds, why));
            } else if seconds > 1 << 32 {
                let why = "may not specify a duration larger than 2^32 seconds";
                errors.push(FieldError::invalid(&path, seconds, why));
            }
        }
    }
    for mode in spec.texts("volumeLifecycleModes") {
        let valid = ["Persistent", "Ephemeral"];
        if !valid.contains(&mode) {
            errors.push(FieldError::not_supported(
                &spec.at("volumeLifecycleModes"),
                mode,
                &valid,
            ));
        }
    }
    let (field, least) = ("nodeAllocatableUpdatePeriodSeconds", 10);
    if let Some(period) = spec.int(field).filter(|period| *period < least) {
        let why = format!("must be greater than or equal to {least} seconds");
        errors.push(FieldError::invalid(&spec.at(field), period, why));
    }
    let field = "serviceAccountTokenInSecrets";
    if spec.has(field) && !spec.has_items("tokenRequests") {
        let why = "serviceAccountTokenInSecrets is set but no tokenRequests are specified";
        let value = spec.child(field).value.clone();
        errors.push(FieldError::invalid(&spec.at(field), value, why));
    }
}

/// What of a CSIDriver stays.
pub(super) fn csi_driver_change(new: &Object, old: &Object, errors: &mut Errors) {
    let (new, old) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    for (field, name) in [
        ("attachRequired", "attachedRequired"),
        ("volumeLifecycleModes", "volumeLifecycleModes"),
    ] {
        if new.child(field).value != old.child(field).value {
            let value = new.child(field).value.clone();
            errors.push(FieldError::invalid(
                &new.at(name),
                value,
                crate::check::IMMUTABLE,
            ));
        }
    }
}

/// A VolumeAttachment. Source: `ValidateVolumeAttachment`.
pub(super) fn volume_attachment(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    csi_driver_name(&spec, "attacher", errors);
    let source = spec.child("source");
    let (has_inline, has_name) = (
        source.has("inlineVolumeSpec"),
        source.has("persistentVolumeName"),
    );
    if !has_inline && !has_name {
        let why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        errors.push(FieldError::required(&source.path, why));
    } else if has_inline && has_name {
        let why = "must specify exactly one of inlineVolumeSpec and persistentVolumeName";
        errors.push(FieldError::forbidden(&source.path, why));
    } else if has_name {
        let name = source.text("persistentVolumeName");
        if name.is_empty() {
            let why = "must specify non empty persistentVolumeName";
            errors.push(FieldError::required(
                &source.at("persistentVolumeName"),
                why,
            ));
        }
    } else {
        check_inline_volume(&source.child("inlineVolumeSpec"), errors);
    }
    spec.complain(
        "nodeName",
        names::dns1123_subdomain(spec.text("nodeName")),
        errors,
    );
    if has_name {
        let name = source.text("persistentVolumeName");
        let complaints = names::dns1123_subdomain(name);
        source.complain("persistentVolumeName", complaints, errors);
    }
}

/// The spec of a VolumeAttachment stays.
pub(super) fn volume_attachment_change(new: &Object, old: &Object, errors: &mut Errors) {
    Node::root(new).immutable(&Node::root(old), "spec", errors);
}

/// A VolumeAttributesClass.
pub(super) fn volume_attributes_class(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    let driver = root.text("driverName");
    if driver.is_empty() {
        root.needs("driverName", errors);
    } else {
        driver_like(&root.at("driverName"), driver, errors);
    }
    if !root.has_items("parameters") {
        let why = "must contain at least one key/value pair";
        errors.push(FieldError::required(&root.at("parameters"), why));
    }
    parameters(&root, errors);
}

/// What of a VolumeAttributesClass stays.
pub(super) fn volume_attributes_class_change(new: &Object, old: &Object, errors: &mut Errors) {
    let (new, old) = (Node::root(new), Node::root(old));
    let mut changed: Errors = ["driverName", "parameters"]
        .into_iter()
        .filter(|field| new.child(field).value != old.child(field).value)
        .map(|field| {
            let why = format!("updates to {field} are forbidden.");
            FieldError::forbidden(&new.at(field), why)
        })
        .collect();
    // Changes are reported first.
    changed.append(errors);
    *errors = changed;
}

/// A CSINode.
pub(super) fn csi_node(object: &Object, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for driver in Node::root(object).child("spec").items("drivers") {
        csi_driver_name(&driver, "name", errors);
        driver.needs("nodeID", errors);
        if driver.text("nodeID").len() > 256 {
            errors.push(FieldError::invalid(
                &driver.at("nodeID"),
                driver.text("nodeID"),
                "must be 256 characters or less",
            ));
        }
        driver.child("allocatable").not_negative("count", errors);
        if !known.insert(driver.text("name")) {
            errors.push(FieldError::duplicate(
                &driver.at("name"),
                driver.text("name"),
            ));
        }
        let mut keys = BTreeSet::new();
        // Upstream does not say which field of the driver it is.
        for key in driver.texts("topologyKeys") {
            let path = &driver.path;
            if key.is_empty() {
                errors.push(FieldError::required(path, ""));
            }
            if !keys.insert(key) {
                errors.push(FieldError::duplicate(path, key));
            }
            errors.extend(crate::metadata::invalid(
                path,
                key,
                names::qualified_name(key),
            ));
        }
    }
}

/// What of a driver on a node stays. Source: `ValidateCSINodeUpdate`.
pub(super) fn csi_node_change(new: &Object, old: &Object, errors: &mut Errors) {
    let drivers = |object| Node::root(object).child("spec").items("drivers");
    for was in drivers(old) {
        for is in drivers(new) {
            let fixed = |driver: &Node<'_>| {
                let mut driver = driver.value.clone();
                driver.drop_field("allocatable");
                driver
            };
            let (fixed, before) = (fixed(&is), fixed(&was));
            if is.text("name") == was.text("name") && fixed != before {
                let path = Path::new("spec").child("drivers");
                let shown = crate::schema::internal::named(CSI_NODE_DRIVER, &fixed);
                let mut error = FieldError::invalid(&path, fixed, crate::check::IMMUTABLE);
                error.shown = shown;
                errors.push(error);
            }
        }
    }
}

/// What a capacity was asked for stays. Source: `ValidateCSIStorageCapacityUpdate`.
pub(super) fn csi_storage_capacity_change(new: &Object, old: &Object, errors: &mut Errors) {
    let (new, old) = (Node::root(new), Node::root(old));
    for field in ["nodeTopology", "storageClassName"] {
        new.immutable(&old, field, errors);
    }
}

/// A CSIStorageCapacity.
pub(super) fn csi_storage_capacity(object: &Object, errors: &mut Errors) {
    let root = Node::root(object);
    crate::check::label_selector(&root.child("nodeTopology"), errors);
    root.complain(
        "storageClassName",
        names::dns1123_subdomain(root.text("storageClassName")),
        errors,
    );
    if let Some(capacity) = root.get("capacity")
        && quantity(capacity.value).is_negative()
    {
        let why = crate::check::NEGATIVE;
        let path = root.at("capacity");
        errors.push(FieldError::invalid(&path, capacity.value.clone(), why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn counts_of_drivers_are_told_before_names_that_stand_twice() {
        let driver = json!({"name": "a.b", "nodeID": "x", "allocatable": {"count": -1}});
        let node = json!({"spec": {"drivers": [{"name": "a.b", "nodeID": "x"}, driver]}});
        let mut errors = Errors::new();
        csi_node(&node, &mut errors);
        let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
        let at = "spec.drivers[1]";
        assert_eq!(
            fields,
            [format!("{at}.allocatable.count"), format!("{at}.name")]
        );
    }

    #[test]
    fn drivers_ask_for_tokens_and_wait_long_enough() {
        let driver = json!({"spec": {"fsGroupPolicy": "File", "nodeAllocatableUpdatePeriodSeconds": 1,
            "serviceAccountTokenInSecrets": false}});
        let mut errors = Errors::new();
        csi_driver(&driver, &mut errors);
        assert_eq!(errors.len(), 2);
    }

    #[test]
    fn a_capacity_is_not_less_than_nothing() {
        let capacity = json!({"storageClassName": "s", "capacity": "-1"});
        let mut errors = Errors::new();
        csi_storage_capacity(&capacity, &mut errors);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn terms_are_told_for_each_that_said_the_same_before() {
        let term = json!({"matchLabelExpressions": [{"key": "a", "values": ["b"]}]});
        let class = json!({"provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
            "allowedTopologies": [term, term, term]});
        let mut errors = Errors::new();
        storage_class(&class, &mut errors);
        assert_eq!(errors.len(), 3);
    }

    #[test]
    fn the_name_of_a_driver_is_shown_as_it_is_read() {
        let class = json!({"driverName": "UP_er/x", "parameters": {"a": "b"}});
        let mut errors = Errors::new();
        volume_attributes_class(&class, &mut errors);
        assert_eq!(
            errors.first().and_then(|error| error.bad_value.clone()),
            Some(json!("up_er/x"))
        );
    }

    #[test]
    fn a_term_that_says_nothing_counts_as_said_before() {
        let class = json!({"provisioner": "p", "reclaimPolicy": "Delete", "volumeBindingMode": "Immediate",
            "allowedTopologies": [{}]});
        let mut errors = Errors::new();
        storage_class(&class, &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            ["allowedTopologies[0].matchLabelExpressions: Duplicate value: \"\""]
        );
    }
}
