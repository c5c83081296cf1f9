//! Checks of volumes.

use std::collections::BTreeSet;

use meta::{Object, ObjectExt};

use super::{Violation, join, name, plural, violation};

const ALLOWED: [&str; 9] = [
    "configMap",
    "csi",
    "downwardAPI",
    "emptyDir",
    "ephemeral",
    "image",
    "persistentVolumeClaim",
    "projected",
    "secret",
];
const RESTRICTED: [&str; 21] = [
    "hostPath",
    "gcePersistentDisk",
    "awsElasticBlockStore",
    "gitRepo",
    "nfs",
    "iscsi",
    "glusterfs",
    "rbd",
    "flexVolume",
    "cinder",
    "cephfs",
    "flocker",
    "fc",
    "azureFile",
    "vsphereVolume",
    "quobyte",
    "azureDisk",
    "photonPersistentDisk",
    "portworxVolume",
    "scaleIO",
    "storageos",
];

pub(super) fn host_path(pod: &Object, _minor: u32) -> Option<Violation> {
    let volumes = pod.list_at(&["spec", "volumes"]).iter();
    let bad: Vec<&str> = volumes
        .filter(|volume| volume.at(&["hostPath"]).is_some())
        .map(name)
        .collect();
    if bad.is_empty() {
        return None;
    }
    let word = plural("volume", "volumes", bad.len());
    violation("hostPath volumes", format!("{word} {}", join(bad)))
}

pub(super) fn restricted_volumes(pod: &Object, _minor: u32) -> Option<Violation> {
    let is = |volume: &Object, kinds: &[&'static str]| {
        kinds
            .iter()
            .find(|kind| volume.at(&[kind]).is_some())
            .copied()
    };
    let volumes = pod.list_at(&["spec", "volumes"]).iter();
    let bad: Vec<&Object> = volumes
        .filter(|volume| is(volume, &ALLOWED).is_none())
        .collect();
    if bad.is_empty() {
        return None;
    }
    let kinds: BTreeSet<&str> = bad
        .iter()
        .map(|volume| is(volume, &RESTRICTED).unwrap_or("unknown"))
        .collect();
    let detail = format!(
        "{} {} {} {} {}",
        plural("volume", "volumes", bad.len()),
        join(bad.iter().map(|volume| name(volume))),
        plural("uses", "use", bad.len()),
        plural(
            "restricted volume type",
            "restricted volume types",
            kinds.len()
        ),
        join(kinds)
    );
    violation("restricted volume types", detail)
}
