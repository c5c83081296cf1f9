//! What is wrong with a PersistentVolume. Source: `ValidatePersistentVolumeSpec`.

use meta::{FieldError, Object, ObjectExt as _, Path, names};
use serde_json::Value;

use crate::check::{Errors, Node, quantity};
use crate::core::pod_spec::validate::node_selector;
use crate::core::volume_source;
use crate::edit::Edit as _;

/// May be added later.
const EXPANSION_SECRET: &str = "controllerExpandSecretRef";
const SPEC: &str = "io.k8s.api.core.v1.PersistentVolumeSpec";
const MODES: [&str; 4] = [
    "ReadOnlyMany",
    "ReadWriteMany",
    "ReadWriteOnce",
    "ReadWriteOncePod",
];
/// Sources in the order in which upstream looks at them, with the name it gives a second one.
const SOURCES: [(&str, &str); 21] = [
    ("hostPath", "hostPath"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("nfs", "nfs"),
    ("rbd", "rbd"),
    ("quobyte", "quobyte"),
    ("cephfs", "cephFS"),
    ("iscsi", "iscsi"),
    ("cinder", "cinder"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("scaleIO", "scaleIO"),
    ("local", "local"),
    ("storageos", "storageos"),
];

/// A volume as it stands.
pub(super) fn check(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    access_modes(&spec, &mut errors);
    capacity(&spec, &mut errors);
    if !spec.text("persistentVolumeReclaimPolicy").is_empty() {
        spec.one_of(
            "persistentVolumeReclaimPolicy",
            &["Delete", "Recycle", "Retain"],
            &mut errors,
        );
    }
    if let Some(affinity) = spec.get("nodeAffinity") {
        if let Some(required) = affinity.get("required") {
            node_selector(&required, &mut errors);
        } else {
            let why = "must specify required node constraints";
            errors.push(FieldError::required(&affinity.at("required"), why));
        }
    }
    sources(&spec, object.name(), &mut errors);
    let path = spec.child("hostPath").text("path");
    let is_root = !path.is_empty() && path.bytes().all(|byte| byte == b'/');
    if spec.has("hostPath") && is_root && spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
        let why = "may not be 'recycle' for a hostPath mount of '/'";
        errors.push(FieldError::forbidden(
            &spec.at("persistentVolumeReclaimPolicy"),
            why,
        ));
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        if !spec.text(field).is_empty() {
            spec.complain(
                field,
                names::dns1123_subdomain(spec.text(field)),
                &mut errors,
            );
        }
        if field == "storageClassName" && spec.has("volumeMode") {
            spec.one_of("volumeMode", &["Block", "Filesystem"], &mut errors);
        }
    }
    if spec.has("volumeAttributesClassName") {
        if spec.text("volumeAttributesClassName").is_empty() {
            let why = "an empty string is disallowed";
            errors.push(FieldError::required(
                &spec.at("volumeAttributesClassName"),
                why,
            ));
        }
        if !spec.has("csi") {
            let why = "has to be specified when using volumeAttributesClassName";
            errors.push(FieldError::required(&spec.at("csi"), why));
        }
    }
    errors
}

/// A volume that stands in something else: a driver's, and little more.
pub(crate) fn inline(spec: &Node<'_>, errors: &mut Errors) {
    const WHERE: &str = "in the context of inline volumes";
    let forbidden = |field: &str| {
        let why = format!("may not be specified {WHERE}");
        FieldError::forbidden(&spec.at(field), why)
    };
    if spec.has("claimRef") {
        errors.push(forbidden("claimRef"));
    }
    if spec.has_items("capacity") {
        errors.push(forbidden("capacity"));
    }
    if !spec.has("csi") {
        let why = format!("has to be specified {WHERE}");
        errors.push(FieldError::required(&spec.at("csi"), why));
    }
    access_modes(spec, errors);
    if !matches!(spec.text("persistentVolumeReclaimPolicy"), "" | "Retain") {
        let path = spec.at("persistentVolumeReclaimPolicy");
        let why = format!("may only be Retain {WHERE}");
        errors.push(FieldError::forbidden(&path, why));
    }
    if spec.has("nodeAffinity") {
        errors.push(forbidden("nodeAffinity"));
    }
    sources(spec, "", errors);
    if !spec.text("storageClassName").is_empty() {
        errors.push(forbidden("storageClassName"));
    }
    if spec.has("volumeMode") && spec.text("volumeMode") != "Filesystem" {
        let why = format!("may not specify volumeMode other than Filesystem {WHERE}");
        errors.push(FieldError::forbidden(&spec.at("volumeMode"), why));
    }
}

fn access_modes(spec: &Node<'_>, errors: &mut Errors) {
    let modes = spec.texts("accessModes");
    let path = spec.at("accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(&path, ""));
    }
    for mode in modes.iter().filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::not_supported(&path, *mode, &MODES));
    }
    let is_other = |mode: &&str| MODES.contains(mode) && *mode != "ReadWriteOncePod";
    if modes.contains(&"ReadWriteOncePod") && modes.iter().any(is_other) {
        let why = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(&path, why));
    }
}

fn capacity(spec: &Node<'_>, errors: &mut Errors) {
    let capacity = spec.child("capacity");
    let entries = spec.entries("capacity");
    if entries.is_empty() {
        errors.push(FieldError::required(&capacity.path, ""));
    }
    if !capacity.has("storage") || entries.len() > 1 {
        errors.push(FieldError::not_supported(
            &capacity.path,
            capacity.value.clone(),
            &["storage"],
        ));
    }
    for (_, value) in entries {
        let amount = quantity(value.value);
        if amount.is_negative() {
            errors.push(FieldError::invalid(
                &value.path,
                amount.value(),
                "must be a valid resource quantity",
            ));
        }
        if amount.nanos() <= 0 {
            errors.push(FieldError::invalid(
                &value.path,
                amount.to_string(),
                "must be greater than zero",
            ));
        }
    }
}

fn sources(spec: &Node<'_>, name: &str, errors: &mut Errors) {
    let mut found = false;
    for (field, second) in SOURCES.into_iter().chain([("csi", "csi")]) {
        let Some(source) = spec.get(field) else {
            continue;
        };
        if found && field != "flexVolume" {
            let why = "may not specify more than 1 volume type";
            errors.push(FieldError::forbidden(&spec.at(second), why));
            continue;
        }
        found = true;
        let before = errors.len();
        if field == "iscsi" {
            volume_source::persistent_iscsi(&source, name, errors);
        } else {
            volume_source::check(field, &source, errors);
        }
        if field == "gcePersistentDisk" {
            // Upstream reports what is wrong with these disks at another name.
            for error in errors.iter_mut().skip(before) {
                error.field = error.field.replace(field, "persistentDisk");
            }
        }
        secrets(field, &source, errors);
        if field == "local" && !spec.has("nodeAffinity") {
            let why = "Local volume requires node affinity";
            errors.push(FieldError::required(&spec.at("nodeAffinity"), why));
        }
    }
    if !found {
        errors.push(FieldError::required(
            &spec.path,
            "must specify a volume type",
        ));
    }
}

/// Secrets that a source refers to, in any namespace.
fn secrets(field: &str, source: &Node<'_>, errors: &mut Errors) {
    const CSI: [&str; 4] = [
        "controllerPublishSecretRef",
        "controllerExpandSecretRef",
        "nodePublishSecretRef",
        "nodeExpandSecretRef",
    ];
    if field == "csi" {
        for reference in CSI.iter().filter_map(|field| source.get(field)) {
            for (field, rule) in [
                ("name", names::dns1123_subdomain as fn(&str) -> Vec<String>),
                ("namespace", names::dns1123_label),
            ] {
                let text = reference.text(field);
                if text.is_empty() {
                    reference.needs(field, errors);
                } else {
                    reference.complain(field, rule(text), errors);
                }
            }
        }
    }
    if matches!(field, "cinder" | "storageos")
        && let Some(reference) = source.get("secretRef")
    {
        // The name is needed in pods, too.
        reference.needs("namespace", errors);
    }
    if field == "azureFile" && source.has("secretNamespace") {
        source.needs("secretNamespace", errors);
    }
}

/// What of a volume stays.
pub(super) fn change(new: &Object, old: &Object) -> Errors {
    // Upstream's strategy and its rule for changes both look at the whole volume.
    let mut errors = check(new);
    errors.extend_from_within(..);
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    let source = |spec: &Value| -> Vec<(&str, Value)> {
        let fields = SOURCES.into_iter().map(|(field, _)| field).chain(["csi"]);
        fields
            .filter_map(|field| Some((field, spec.get(field)?.clone())))
            .collect()
    };
    let mut accepted = spec.value.clone();
    if was.has("csi") && spec.has("csi") && !was.child("csi").has(EXPANSION_SECRET) {
        accepted.child_mut("csi").drop_field(EXPANSION_SECRET);
    }
    if source(&accepted) != source(was.value) {
        let path = Path::new("spec").child("persistentvolumesource");
        let is_source = |field: &crate::schema::Field| {
            field
                .embedded
                .first()
                .is_some_and(|of| of == "PersistentVolumeSource")
        };
        let shown = crate::difference::of_fields(SPEC, was.value, &accepted, is_source);
        let why = format!("spec.persistentvolumesource is immutable after creation\n{shown}");
        errors.push(FieldError::forbidden(&path, why));
    }
    if spec.child("volumeMode").value != was.child("volumeMode").value {
        let value = spec.child("volumeMode").value.clone();
        errors.push(FieldError::invalid(
            &Path::new("volumeMode"),
            value,
            crate::check::IMMUTABLE,
        ));
    }
    let affinity = |spec: &Node<'_>| spec.child("nodeAffinity").value.clone();
    if was.has("nodeAffinity") && affinity(&spec) != renewed(affinity(&was), &affinity(&spec)) {
        errors.push(changed_affinity(affinity(&spec)));
    }
    if was.has("volumeAttributesClassName") && !spec.has("volumeAttributesClassName") {
        let why = "update from non-nil value to nil is forbidden";
        let path = spec.at("volumeAttributesClassName");
        errors.push(FieldError::forbidden(&path, why));
    }
    errors
}

/// Labels of nodes that have a lasting name by now. Source: `betaToGALabel`.
const LASTING_LABELS: [(&str, &str); 5] = [
    (
        "failure-domain.beta.kubernetes.io/zone",
        "topology.kubernetes.io/zone",
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        "topology.kubernetes.io/region",
    ),
    ("beta.kubernetes.io/os", "kubernetes.io/os"),
    ("beta.kubernetes.io/arch", "kubernetes.io/arch"),
    (
        "beta.kubernetes.io/instance-type",
        "node.kubernetes.io/instance-type",
    ),
];

/// The affinity that was, with the keys that the new one has instead where it may.
/// A key without a lasting name may become empty, as upstream's look-up finds nothing for it.
///
/// Source: `getMaskNodeSelectorLabelChangeEqualities`.
fn renewed(mut was: Value, is: &Value) -> Value {
    let Some(required) = was.get_mut("required") else {
        return was;
    };
    for (index, term) in required.items_mut("nodeSelectorTerms").enumerate() {
        for field in ["matchExpressions", "matchFields"] {
            for (place, requirement) in term.items_mut(field).enumerate() {
                let path = format!("/required/nodeSelectorTerms/{index}/{field}/{place}/key");
                let key = is
                    .pointer(&path)
                    .and_then(Value::as_str)
                    .unwrap_or_default();
                let old = requirement.str_at(&["key"]).unwrap_or_default();
                let lasting = LASTING_LABELS.iter().find(|(beta, _)| *beta == old);
                if lasting.map_or("", |(_, lasting)| lasting) == key {
                    requirement.put("key", key);
                }
            }
        }
    }
    was
}

fn changed_affinity(value: Value) -> FieldError {
    let why = "field is immutable, except for updating from beta label to GA";
    // The path is none of the object's, so nobody else finds the type.
    let shown = crate::schema::builtin("io.k8s.api.core.v1.VolumeNodeAffinity")
        .and_then(|schema| crate::schema::internal::print(&schema.graph, &schema.ty, &value));
    let mut error = FieldError::invalid(&Path::new("nodeAffinity"), value, why);
    error.shown = shown;
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_have_a_lasting_name_may_take_it() {
        let on = |key: &str| json!({"required": {"nodeSelectorTerms": [{"matchExpressions": [{"key": key}]}]}});
        let beta = on("failure-domain.beta.kubernetes.io/zone");
        let lasting = on("topology.kubernetes.io/zone");
        assert_eq!(renewed(beta.clone(), &lasting), lasting);
        assert_eq!(renewed(lasting.clone(), &beta), lasting);
        assert_eq!(renewed(on("a"), &on("b")), on("a"));
    }
}
