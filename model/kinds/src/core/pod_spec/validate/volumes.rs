//! Volumes of pods, and the claims they make.

use std::collections::{BTreeMap, BTreeSet};

use meta::{FieldError, ObjectExt as _, names};

use super::{Holder, env};
use crate::check::{Errors, Node, label_selector, no_backsteps, quantity, unreserved_path};
use crate::core::volume_source;
use crate::metadata::{annotations, invalid, labels};

const MODE: &str = "must be a number between 0 and 0777 (octal), both inclusive";
const MODE_MAX: i64 = 0o777;
const DUPLICATE_PATH: &str = "conflicting duplicate paths";
/// Volume sources in the order in which upstream looks at them, with the name it gives a second one.
const SOURCES: [(&str, &str); 30] = [
    ("emptyDir", "emptyDir"),
    ("hostPath", "hostPath"),
    ("gitRepo", "gitRepo"),
    ("gcePersistentDisk", "gcePersistentDisk"),
    ("awsElasticBlockStore", "awsElasticBlockStore"),
    ("secret", "secret"),
    ("nfs", "nfs"),
    ("iscsi", "iscsi"),
    ("glusterfs", "glusterfs"),
    ("flocker", "flocker"),
    ("persistentVolumeClaim", "persistentVolumeClaim"),
    ("rbd", "rbd"),
    ("cinder", "cinder"),
    ("cephfs", "cephFS"),
    ("quobyte", "quobyte"),
    ("downwardAPI", "downwarAPI"),
    ("fc", "fc"),
    ("flexVolume", "flexVolume"),
    ("configMap", "configMap"),
    ("azureFile", "azureFile"),
    ("vsphereVolume", "vsphereVolume"),
    ("photonPersistentDisk", "photonPersistentDisk"),
    ("portworxVolume", "portworxVolume"),
    ("azureDisk", "azureDisk"),
    ("storageos", "storageos"),
    ("projected", "projected"),
    ("scaleIO", "scaleIO"),
    ("csi", "csi"),
    ("ephemeral", "ephemeral"),
    ("image", "image"),
];

/// Goes through the volumes; returns the sound ones by name. Source: `ValidateVolumes`.
pub(super) fn volumes<'a>(
    spec: &Node<'a>,
    holder: Holder<'_>,
    errors: &mut Errors,
) -> BTreeMap<&'a str, Node<'a>> {
    let pod = match holder {
        Holder::Pod(name) if !name.is_empty() => Some(name),
        _ => None,
    };
    let volumes = spec.items("volumes");
    let made: BTreeSet<String> = volumes
        .iter()
        .filter(|volume| volume.has("ephemeral"))
        .filter_map(|volume| Some(format!("{}-{}", pod?, volume.text("name"))))
        .collect();
    let mut sound = BTreeMap::new();
    for volume in volumes {
        let before = errors.len();
        let name = volume.text("name");
        source(&volume, pod, errors);
        if name.is_empty() {
            errors.push(FieldError::required(&volume.at("name"), ""));
        } else {
            volume.complain("name", names::dns1123_label(name), errors);
        }
        if sound.contains_key(name) {
            errors.push(FieldError::duplicate(&volume.at("name"), name));
        }
        let claim = volume.child("persistentVolumeClaim");
        let is_sound = errors.len() == before;
        if made.contains(claim.text("claimName")) {
            let why = "must not reference a PVC that gets created for an ephemeral volume";
            errors.push(FieldError::invalid(
                &claim.at("claimName"),
                claim.text("claimName"),
                why,
            ));
        }
        if is_sound {
            sound.insert(name, volume);
        }
    }
    sound
}

fn source(volume: &Node<'_>, pod: Option<&str>, errors: &mut Errors) {
    let mut found = false;
    for (field, second) in SOURCES {
        let Some(source) = volume.get(field) else {
            continue;
        };
        if found {
            let why = "may not specify more than 1 volume type";
            errors.push(FieldError::forbidden(&volume.at(second), why));
            continue;
        }
        found = true;
        match field {
            "emptyDir" => {
                if source.has("sizeLimit")
                    && quantity(source.child("sizeLimit").value).is_negative()
                {
                    let why = "SizeLimit field must be a valid resource quantity";
                    errors.push(FieldError::forbidden(&source.at("sizeLimit"), why));
                }
            }
            "secret" => object_files(&source, "secretName", errors),
            "configMap" => object_files(&source, "name", errors),
            "persistentVolumeClaim" => source.needs("claimName", errors),
            "downwardAPI" => {
                mode(&source, "defaultMode", errors);
                for file in source.items("items") {
                    downward_file(&file, &source, errors);
                }
            }
            "projected" => projected(&source, errors),
            "csi" => inline_csi(&source, errors),
            "image" => {
                if pod.is_some() {
                    source.needs("reference", errors);
                }
                if !source.text("pullPolicy").is_empty() {
                    let policies = ["Always", "IfNotPresent", "Never"];
                    source.one_of("pullPolicy", &policies, errors);
                }
            }
            "ephemeral" => ephemeral(volume, &source, pod, errors),
            _ => volume_source::check(field, &source, errors),
        }
    }
    if !found {
        errors.push(FieldError::required(
            &volume.path,
            "must specify a volume type",
        ));
    }
}

fn mode(holder: &Node<'_>, field: &str, errors: &mut Errors) {
    if let Some(value) = holder
        .int(field)
        .filter(|value| !(0..=MODE_MAX).contains(value))
    {
        errors.push(FieldError::invalid(&holder.at(field), value, MODE));
    }
}

fn object_files(source: &Node<'_>, name: &str, errors: &mut Errors) {
    source.needs(name, errors);
    mode(source, "defaultMode", errors);
    for item in source.items("items") {
        key_to_path(&item, errors);
    }
}

fn key_to_path(item: &Node<'_>, errors: &mut Errors) {
    item.needs("key", errors);
    item.needs("path", errors);
    unreserved_path(item.text("path"), &item.at("path"), errors);
    mode(item, "mode", errors);
}

/// A file of the downward API; upstream reports it at its volume.
fn downward_file(file: &Node<'_>, at: &Node<'_>, errors: &mut Errors) {
    let file = Node {
        value: file.value,
        path: at.path.clone(),
    };
    file.needs("path", errors);
    unreserved_path(file.text("path"), &file.at("path"), errors);
    match (file.get("fieldRef"), file.get("resourceFieldRef")) {
        (Some(field), resource) => {
            env::field_ref(&field, &env::FILE_FIELDS, errors);
            if resource.is_some() {
                let why = "fieldRef and resourceFieldRef can not be specified simultaneously";
                errors.push(FieldError::invalid(&file.path, "resource", why));
            }
        }
        (None, Some(resource)) => env::resource_ref(&resource, true, errors),
        (None, None) => {
            let why = "one of fieldRef and resourceFieldRef is required";
            errors.push(FieldError::required(&file.path, why));
        }
    }
    mode(&file, "mode", errors);
}

fn projected(volume: &Node<'_>, errors: &mut Errors) {
    mode(volume, "defaultMode", errors);
    let mut paths = BTreeSet::new();
    for holder in volume.items("sources") {
        let mut count = 0;
        for kind in ["secret", "configMap"] {
            let Some(source) = holder.get(kind) else {
                continue;
            };
            count += 1;
            source.needs("name", errors);
            for item in source.items("items") {
                key_to_path(&item, errors);
                if !item.text("path").is_empty() && !paths.insert(item.text("path")) {
                    errors.push(FieldError::invalid(
                        &volume.path,
                        source.text("name"),
                        DUPLICATE_PATH,
                    ));
                }
            }
        }
        if let Some(source) = holder.get("downwardAPI") {
            count += 1;
            for file in source.items("items") {
                downward_file(&file, &source, errors);
                if !file.text("path").is_empty() && !paths.insert(file.text("path")) {
                    errors.push(FieldError::invalid(
                        &volume.path,
                        file.text("path"),
                        DUPLICATE_PATH,
                    ));
                }
            }
        }
        if let Some(source) = holder.get("serviceAccountToken") {
            count += 1;
            token(&source, volume, errors);
        }
        for kind in ["clusterTrustBundle", "podCertificate"] {
            count += usize::from(holder.has(kind));
        }
        // A source without a type is taken.
        if count > 1 {
            let why = "may not specify more than 1 volume type per source";
            errors.push(FieldError::forbidden(&holder.path, why));
        }
    }
}

fn token(source: &Node<'_>, volume: &Node<'_>, errors: &mut Errors) {
    let path = source.at("expirationSeconds");
    let seconds = source.int("expirationSeconds").unwrap_or_default();
    if seconds < 600 {
        let why = "may not specify a duration less than 10 minutes";
        errors.push(FieldError::invalid(&path, seconds, why));
    } else if seconds > 1 << 32 {
        let why = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid(&path, seconds, why));
    }
    let file = source.text("path");
    if file.is_empty() {
        errors.push(FieldError::required(&volume.at("path"), ""));
    } else {
        unreserved_path(file, &volume.at("path"), errors);
    }
}

fn inline_csi(source: &Node<'_>, errors: &mut Errors) {
    volume_source::csi_driver_name(source, "driver", errors);
    if let Some(secret) = source.get("nodePublishSecretRef") {
        if secret.text("name").is_empty() {
            errors.push(FieldError::required(&secret.at("name"), ""));
        } else {
            let name = secret.text("name");
            errors.extend(invalid(
                &source.at("name"),
                name,
                names::dns1123_subdomain(name),
            ));
        }
    }
}

fn ephemeral(volume: &Node<'_>, source: &Node<'_>, pod: Option<&str>, errors: &mut Errors) {
    let Some(template) = source.get("volumeClaimTemplate") else {
        errors.push(FieldError::required(&source.at("volumeClaimTemplate"), ""));
        return;
    };
    template_metadata(&template.child("metadata"), errors);
    claim_spec_errors(&template.child("spec"), errors);
    let name = volume.text("name");
    if let Some(pod) = pod.filter(|_| !name.is_empty()) {
        let claim = format!("{pod}-{name}");
        let complaints = names::dns1123_subdomain(&claim).into_iter();
        errors.extend(complaints.map(|why| {
            let why = format!("PVC name {}: {why}", meta::field::quote(&claim));
            FieldError::invalid(&volume.at("name"), name, why)
        }));
    }
}

/// What the metadata of a claim's template may say.
///
/// Source: `validatePersistentVolumeClaimTemplateObjectMeta`, `ValidateTemplateObjectMeta`.
pub(crate) fn template_metadata(metadata: &Node<'_>, errors: &mut Errors) {
    errors.extend(annotations(
        metadata.value.get("annotations"),
        &metadata.at("annotations"),
    ));
    errors.extend(labels(metadata.value.get("labels"), &metadata.at("labels")));
    for field in NOT_OF_TEMPLATES {
        let value = metadata.child(field).value;
        // A generation is a number, a period of grace a pointer to one.
        let is_unset = field == "generation" && value.as_i64() == Some(0);
        if !value.is_null() && value != "" && !is_unset {
            let name = if field == "uid" { "uID" } else { field };
            errors.push(FieldError::forbidden(&metadata.at(name), "cannot be set"));
        }
    }
}

/// Metadata that a template has none of, in the order of upstream's type. Source: `ValidateTemplateObjectMeta`.
const NOT_OF_TEMPLATES: [&str; 13] = [
    "name",
    "generateName",
    "namespace",
    "selfLink",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "ownerReferences",
    "finalizers",
    "managedFields",
];

/// The spec of a claim. Source: `ValidatePersistentVolumeClaimSpec`.
pub(crate) fn claim_spec_errors(spec: &Node<'_>, errors: &mut Errors) {
    const MODES: [&str; 4] = [
        "ReadOnlyMany",
        "ReadWriteMany",
        "ReadWriteOnce",
        "ReadWriteOncePod",
    ];
    let modes = spec.texts("accessModes");
    let path = spec.at("accessModes");
    if modes.is_empty() {
        errors.push(FieldError::required(
            &path,
            "at least 1 access mode is required",
        ));
    }
    label_selector(&spec.child("selector"), errors);
    for mode in modes.iter().filter(|mode| !MODES.contains(mode)) {
        errors.push(FieldError::not_supported(&path, *mode, &MODES));
    }
    let is_other = |mode: &&str| MODES.contains(mode) && *mode != "ReadWriteOncePod";
    if modes.contains(&"ReadWriteOncePod") && modes.iter().any(is_other) {
        let why = "may not use ReadWriteOncePod with other access modes";
        errors.push(FieldError::forbidden(&path, why));
    }
    let path = spec.at("resources").key("storage");
    match spec.value.at(&["resources", "requests", "storage"]) {
        None => errors.push(FieldError::required(&path, "")),
        Some(amount) => {
            let amount = quantity(amount);
            if amount.nanos() <= 0 {
                errors.push(FieldError::invalid(
                    &path,
                    amount.to_string(),
                    "must be greater than zero",
                ));
            }
        }
    }
    for field in ["storageClassName", "volumeAttributesClassName"] {
        if field == "volumeAttributesClassName" {
            data_sources(spec, errors);
        }
        if !spec.text(field).is_empty() {
            spec.complain(field, names::dns1123_subdomain(spec.text(field)), errors);
        }
        if field == "storageClassName" && spec.has("volumeMode") {
            spec.one_of("volumeMode", &["Block", "Filesystem"], errors);
        }
    }
}

fn data_sources(spec: &Node<'_>, errors: &mut Errors) {
    for field in ["dataSource", "dataSourceRef"] {
        let Some(source) = spec.get(field) else {
            continue;
        };
        source.needs("name", errors);
        source.needs("kind", errors);
        if source.text("apiGroup").is_empty() && source.text("kind") != "PersistentVolumeClaim" {
            let why = "must be 'PersistentVolumeClaim' when referencing the default apiGroup";
            errors.push(FieldError::invalid(&source.path, source.text("kind"), why));
        }
        let group = source.text("apiGroup");
        if !group.is_empty() {
            source.complain("apiGroup", names::dns1123_subdomain(group), errors);
        }
        let namespace = source.text("namespace");
        if field == "dataSourceRef" && !namespace.is_empty() {
            source.complain("namespace", names::dns1123_label(namespace), errors);
        }
    }
    let reference = spec.child("dataSourceRef");
    if !spec.has("dataSource") || !spec.has("dataSourceRef") {
        return;
    }
    let same = ["apiGroup", "kind", "name"]
        .iter()
        .all(|field| spec.child("dataSource").text(field) == reference.text(field));
    let why = if !reference.text("namespace").is_empty() {
        "may not be specified when dataSourceRef.namespace is specified"
    } else if !same {
        "must match dataSourceRef"
    } else {
        return;
    };
    // Upstream shows the path, which has no exported field, as the value.
    let mut error = FieldError::invalid(&spec.path, serde_json::Value::Null, why);
    error.shown = Some("{}".into());
    errors.push(error);
}

/// Keeps paths of host volumes free of `..`.
pub(crate) fn host_path(source: &Node<'_>, errors: &mut Errors) {
    const TYPES: [&str; 8] = [
        "",
        "BlockDevice",
        "CharDevice",
        "Directory",
        "DirectoryOrCreate",
        "File",
        "FileOrCreate",
        "Socket",
    ];
    if source.text("path").is_empty() {
        errors.push(FieldError::required(&source.at("path"), ""));
        return;
    }
    no_backsteps(source.text("path"), &source.at("path"), errors);
    if source.has("type") {
        source.one_of("type", &TYPES, errors);
    }
}
