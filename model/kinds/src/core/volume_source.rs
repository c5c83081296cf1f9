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
const ISCSI_FORMAT: &str = "must be valid format";
/// Longest name of a volume with its portal where an initiator is named.
const ISCSI_BYTES_MAX: usize = 64;
/// Upstream says 1 and takes 0. Source: `pdPartitionErrorMsg`.
const PARTITION: &str = "must be between 1 and 255, inclusive";

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

/// Options of a driver stand in no namespace of Kubernetes' own. Source: `validateFlexVolumeSource`.
fn flex_options(source: &Node<'_>, errors: &mut Errors) {
    for (key, option) in source.entries("options") {
        let namespace = key.split('/').next().unwrap_or_default();
        let namespace = format!(".{}", namespace.to_lowercase());
        if namespace.ends_with(".kubernetes.io") || namespace.ends_with(".k8s.io") {
            let why = "kubernetes.io and k8s.io namespaces are reserved";
            errors.push(FieldError::invalid(&option.path, key, why));
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
        "flexVolume" => flex_options(source, errors),
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
    let prefix = "must be valid format starting with iqn, eui, or naa";
    if !source.text("iqn").is_empty() {
        iscsi_name(source, "iqn", "iqn", prefix, errors);
    }
    iscsi_access(source, errors);
    if source.has("initiatorName") {
        iscsi_name(source, "initiatorName", "initiatorname", prefix, errors);
    }
}

/// As a PersistentVolume has it. Source: `validateISCSIPersistentVolumeSource`.
pub(super) fn persistent_iscsi(source: &Node<'_>, volume: &str, errors: &mut Errors) {
    source.needs("targetPortal", errors);
    let portal = source.text("targetPortal");
    if source.has("initiatorName") && volume.len() + 1 + portal.len() > ISCSI_BYTES_MAX {
        let why = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
        errors.push(FieldError::invalid(&source.at("targetportal"), portal, why));
    }
    if source.text("iqn").is_empty() {
        source.needs("iqn", errors);
    } else {
        iscsi_name(source, "iqn", "iqn", ISCSI_FORMAT, errors);
    }
    iscsi_access(source, errors);
    secret_name(source, errors);
    if source.has("initiatorName") {
        iscsi_name(
            source,
            "initiatorName",
            "initiatorname",
            ISCSI_FORMAT,
            errors,
        );
    }
}

fn iscsi_access(source: &Node<'_>, errors: &mut Errors) {
    source.in_range("lun", 0, 255, errors);
    let is_checked = source.flag("chapAuthDiscovery") || source.flag("chapAuthSession");
    if is_checked && !source.has("secretRef") {
        errors.push(FieldError::required(&source.at("secretRef"), ""));
    }
}

/// A name of one of three forms. `shown` is what upstream calls the field.
fn iscsi_name(source: &Node<'_>, field: &str, shown: &str, prefix: &str, errors: &mut Errors) {
    let name = source.text(field);
    let extended = |kind: &str, characters: usize| {
        let rest = name.strip_prefix(kind).unwrap_or_default();
        let mut rest = rest.chars();
        rest.next().is_some_and(|first| first != '\n')
            && rest.as_str().len() == characters
            && rest.all(|letter| letter.is_ascii_alphanumeric())
    };
    let (is_known, is_formed) = match name.get(..3) {
        Some("iqn") => (
            true,
            name.match_indices("iqn.")
                .any(|(at, _)| is_qualified(name.get(at + 4..))),
        ),
        Some("eui") => (true, extended("eui", 16)),
        Some("naa") => (true, extended("naa", 32)),
        _ => (false, false),
    };
    let why = if is_known { ISCSI_FORMAT } else { prefix };
    if !is_formed {
        errors.push(FieldError::invalid(&source.at(shown), name, why));
    }
}

/// Whether this is `YYYY-MM.AUTHORITY:NAME`. Source: `iscsiInitiatorIqnRegex`.
fn is_qualified(rest: Option<&str>) -> bool {
    let Some((authority, name)) = rest.and_then(|rest| rest.split_once(':')) else {
        return false;
    };
    let Some((date, authority)) = authority.split_once('.') else {
        return false;
    };
    let is_date = date.len() == 7
        && date.bytes().enumerate().all(|(place, byte)| match place {
            4 => byte == b'-',
            _ => byte.is_ascii_digit(),
        });
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    is_date
        && !authority.is_empty()
        && authority.bytes().all(is_part)
        && !name.is_empty()
        && !name.contains([',', ';', '*', '&', '$', '|', ' ', '\t', '\n', '\r', '\x0c'])
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_of_storage_have_one_of_three_forms() {
        let is_well = |name: &str| {
            let (source, mut errors) = (json!({"iqn": name}), Errors::new());
            iscsi_name(
                &Node::root(&source),
                "iqn",
                "iqn",
                ISCSI_FORMAT,
                &mut errors,
            );
            errors.is_empty()
        };
        assert!(is_well(
            "iqn.2001-04.com.example:storage:diskarrays-sn-a8675309"
        ));
        assert!(is_well("eui.02004567A425678D"));
        assert!(is_well("naa.62004567BA64678D0123456789ABCDEF"));
        for wrong in [
            "",
            "x",
            "iqn",
            "iqn.2001-4.com:a",
            "iqn.2001-04.com:",
            "iqn.2001-04.com:a b",
            "eui.0",
        ] {
            assert!(!is_well(wrong), "{wrong}");
        }
    }
}
