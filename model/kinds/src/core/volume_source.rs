//! Volume sources that pods and PersistentVolumes share.

use meta::{FieldError, names};

use super::pod_spec::validate::host_path;
use crate::check::{Errors, Node, descending_path, no_backsteps};

/// Fields that a source cannot do without.
const NEEDED: [(&str, &[&str]); 18] = [
    ("gitRepo", &["repository"]),
    ("awsElasticBlockStore", &["volumeID"]),
    ("nfs", &["server", "path"]),
    ("iscsi", &["targetPortal", "iqn"]),
    ("glusterfs", &["endpoints", "path"]),
    ("rbd", &["image"]),
    ("cinder", &["volumeID"]),
    ("quobyte", &["volume"]),
    ("flexVolume", &["driver"]),
    ("azureFile", &["secretName", "shareName"]),
    ("vsphereVolume", &["volumePath"]),
    ("photonPersistentDisk", &["pdID"]),
    ("portworxVolume", &["volumeID"]),
    ("azureDisk", &["diskName", "diskURI"]),
    ("scaleIO", &["gateway", "system", "volumeName"]),
    ("local", &["path"]),
    ("storageos", &["volumeName"]),
    ("csi", &["volumeHandle"]),
];
const PARTITION: &str = "must be between 0 and 255, inclusive";

/// Source: `validateQuobyteVolumeSource`.
fn quobyte(source: &Node<'_>, errors: &mut Errors) {
    const TENANT_BYTES_MAX: usize = 64;
    let why = "must be a host:port pair or multiple pairs separated by commas";
    let registry = source.text("registry");
    let path = source.at("registry");
    if registry.is_empty() {
        errors.push(FieldError::required(&path, why));
    } else if source.text("tenant").len() > TENANT_BYTES_MAX {
        let why = "must be a UUID and may not exceed a length of 64 characters";
        errors.push(FieldError::required(&source.at("tenant"), why));
    } else {
        for pair in registry.split(',') {
            // Source: Go's `net.SplitHostPort`: one colon, or more of them within brackets.
            let host = pair.rsplit_once(':').map(|(host, _)| host);
            let is_bare = |host: &str| !host.contains([':', '[', ']']);
            let is_boxed = |host: &str| host.starts_with('[') && host.ends_with(']');
            if !host.is_some_and(|host| is_bare(host) || is_boxed(host)) {
                errors.push(FieldError::invalid(&path, registry, why));
            }
        }
    }
}

/// Goes through a source by its field name.
pub(super) fn check(field: &str, source: &Node<'_>, errors: &mut Errors) {
    if field == "gcePersistentDisk" {
        // Upstream tells of it by its old name.
        let path = meta::Path::new(
            source
                .path
                .as_str()
                .trim_end_matches(field)
                .trim_end_matches('.'),
        );
        let source = Node {
            value: source.value,
            path: path.child("persistentDisk"),
        };
        source.needs("pdName", errors);
        partition(&source, errors);
        return;
    }
    if field == "quobyte" {
        quobyte(source, errors);
    }
    if field == "csi" {
        csi_driver_name(source, "driver", errors);
    }
    if matches!(field, "rbd" | "cephfs") && !source.has_items("monitors") {
        errors.push(FieldError::required(&source.at("monitors"), ""));
    }
    let needed = NEEDED.iter().find(|(name, _)| *name == field);
    for name in needed.map(|(_, fields)| *fields).unwrap_or_default() {
        source.needs(name, errors);
    }
    match field {
        "hostPath" => host_path(source, errors),
        "gitRepo" => descending_path(source.text("directory"), &source.at("directory"), errors),
        "awsElasticBlockStore" => partition(source, errors),
        "nfs" if !source.text("path").starts_with('/') => {
            let why = "must be an absolute path";
            errors.push(FieldError::invalid(
                &source.at("path"),
                source.text("path"),
                why,
            ));
        }
        "iscsi" => iscsi(source, errors),
        "storageos" => {
            for name in ["volumeName", "volumeNamespace"] {
                if !source.text(name).is_empty() {
                    source.complain(name, names::dns1123_label(source.text(name)), errors);
                }
            }
            secret_name(source, errors);
        }
        "cinder" => secret_name(source, errors),
        "local" if !source.text("path").is_empty() => {
            no_backsteps(source.text("path"), &source.at("path"), errors);
        }
        "azureDisk" => azure_disk(source, errors),
        "fc" => fibre_channel(source, errors),
        "flocker" => flocker(source, errors),
        _ => {}
    }
}

fn partition(source: &Node<'_>, errors: &mut Errors) {
    if let Some(number) = source
        .int("partition")
        .filter(|number| !(0..=255).contains(number))
    {
        errors.push(FieldError::invalid(
            &source.at("partition"),
            number,
            PARTITION,
        ));
    }
}

fn secret_name(source: &Node<'_>, errors: &mut Errors) {
    if let Some(reference) = source.get("secretRef") {
        reference.needs("name", errors);
    }
}

fn iscsi(source: &Node<'_>, errors: &mut Errors) {
    let name = source.text("iqn");
    if !name.is_empty()
        && !["iqn", "eui", "naa"]
            .iter()
            .any(|prefix| name.starts_with(prefix))
    {
        let why = "must be valid format starting with iqn, eui, or naa";
        errors.push(FieldError::invalid(&source.at("iqn"), name, why));
    }
    source.in_range("lun", 0, 255, errors);
    if (source.flag("chapAuthDiscovery") || source.flag("chapAuthSession"))
        && !source.has("secretRef")
    {
        errors.push(FieldError::required(&source.at("secretRef"), ""));
    }
}

fn azure_disk(source: &Node<'_>, errors: &mut Errors) {
    if source.has("cachingMode") {
        source.one_of("cachingMode", &["None", "ReadOnly", "ReadWrite"], errors);
    }
    if source.has("kind") {
        source.one_of("kind", &["Dedicated", "Managed", "Shared"], errors);
    }
    let uri = source.text("diskURI");
    let (prefix, example) = match source.text("kind") {
        "Managed" => (
            "/subscriptions/",
            "/subscriptions/{sub-id}/resourcegroups/{group-name}/providers/microsoft.compute/disks/{disk-id}",
        ),
        _ => (
            "https://",
            "https://{account-name}.blob.core.windows.net/{container-name}/{disk-name}.vhd",
        ),
    };
    if source.has("kind") && !uri.starts_with(prefix) {
        errors.push(FieldError::not_supported(
            &source.at("diskURI"),
            uri,
            &[example],
        ));
    }
}

fn fibre_channel(source: &Node<'_>, errors: &mut Errors) {
    let (has_names, has_ids) = (source.has_items("targetWWNs"), source.has_items("wwids"));
    if !has_names && !has_ids {
        let why = "must specify either targetWWNs or wwids, but not both";
        errors.push(FieldError::required(&source.at("targetWWNs"), why));
    }
    if has_names && has_ids {
        let why = "targetWWNs and wwids can not be specified simultaneously";
        errors.push(FieldError::invalid(
            &source.at("targetWWNs"),
            source.child("targetWWNs").value.clone(),
            why,
        ));
    }
    if has_names {
        if source.has("lun") {
            source.in_range("lun", 0, 255, errors);
        } else {
            let why = "lun is required if targetWWNs is specified";
            errors.push(FieldError::required(&source.at("lun"), why));
        }
    }
}

fn flocker(source: &Node<'_>, errors: &mut Errors) {
    let (name, id) = (source.text("datasetName"), source.text("datasetUUID"));
    if name.is_empty() && id.is_empty() {
        let why = "one of datasetName and datasetUUID is required";
        errors.push(FieldError::required(&source.path, why));
    }
    if !name.is_empty() && !id.is_empty() {
        let why = "resource";
        errors.push(FieldError::invalid(
            &source.path,
            why,
            "datasetName and datasetUUID can not be specified simultaneously",
        ));
    }
    if name.contains('/') {
        errors.push(FieldError::invalid(
            &source.at("datasetName"),
            name,
            "must not contain '/'",
        ));
    }
}

/// The name of a CSI driver. Source: `ValidateCSIDriverName`.
pub(crate) fn csi_driver_name(holder: &Node<'_>, field: &str, errors: &mut Errors) {
    const BYTES_MAX: usize = 63;
    let name = holder.text(field);
    if name.is_empty() {
        errors.push(FieldError::required(&holder.at(field), ""));
        return;
    }
    if name.len() > BYTES_MAX {
        errors.push(FieldError::too_long(&holder.at(field), BYTES_MAX));
    }
    holder.complain(
        field,
        names::dns1123_subdomain(&name.to_lowercase()),
        errors,
    );
}
