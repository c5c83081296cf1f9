//! The tables of storage kinds.

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::other::{class_name, texts};
use super::{AGE, Col, EVERYTHING, NAME, Printer, age, count, flag, text_or};
use crate::kind::Cell;

/// PersistentVolumes.
pub(crate) static PERSISTENT_VOLUME: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Capacity",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeSpec.capacity",
            0,
        ),
        Col(
            "Access Modes",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeSpec.accessModes",
            0,
        ),
        Col(
            "Reclaim Policy",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeSpec.persistentVolumeReclaimPolicy",
            0,
        ),
        Col(
            "Status",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeStatus.phase",
            0,
        ),
        Col(
            "Claim",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeSpec.claimRef",
            0,
        ),
        Col("StorageClass", "string", "StorageClass of the pv", 0),
        Col(
            "VolumeAttributesClass",
            "string",
            "VolumeAttributesClass of the pv",
            0,
        ),
        Col(
            "Reason",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeStatus.reason",
            0,
        ),
        AGE,
        Col(
            "VolumeMode",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeSpec.volumeMode",
            1,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let claim = object
            .at(&["spec", "claimRef"])
            .map_or_else(String::new, |claim| {
                let text = |field: &str| claim.str_at(&[field]).unwrap_or_default();
                format!("{}/{}", text("namespace"), text("name"))
            });
        vec![
            object.name().into(),
            text_or(object, &["spec", "capacity", "storage"], "0"),
            modes(object.list_at(&["spec", "accessModes"])).into(),
            text_or(object, &["spec", "persistentVolumeReclaimPolicy"], ""),
            phase(object),
            claim.into(),
            storage_class(object),
            text_or(object, &["spec", "volumeAttributesClassName"], "<unset>"),
            text_or(object, &["status", "reason"], ""),
            age(object, now),
            text_or(object, &["spec", "volumeMode"], "<unset>"),
        ]
    },
};

/// PersistentVolumeClaims.
pub(crate) static PERSISTENT_VOLUME_CLAIM: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Status",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeClaimStatus.phase",
            0,
        ),
        Col(
            "Volume",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeClaimSpec.volumeName",
            0,
        ),
        Col(
            "Capacity",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeClaimStatus.capacity",
            0,
        ),
        Col(
            "Access Modes",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeClaimStatus.accessModes",
            0,
        ),
        Col("StorageClass", "string", "StorageClass of the pvc", 0),
        Col(
            "VolumeAttributesClass",
            "string",
            "VolumeAttributesClass of the pvc",
            0,
        ),
        AGE,
        Col(
            "VolumeMode",
            "string",
            "@io.k8s.api.core.v1.PersistentVolumeClaimSpec.volumeMode",
            1,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let is_bound = object
            .str_at(&["spec", "volumeName"])
            .is_some_and(|name| !name.is_empty());
        let (capacity, access) = if is_bound {
            let capacity = text_or(object, &["status", "capacity", "storage"], "0");
            (capacity, modes(object.list_at(&["status", "accessModes"])))
        } else {
            ("".into(), String::new())
        };
        vec![
            object.name().into(),
            phase(object),
            text_or(object, &["spec", "volumeName"], ""),
            capacity,
            access.into(),
            storage_class(object),
            text_or(object, &["spec", "volumeAttributesClassName"], "<unset>"),
            age(object, now),
            text_or(object, &["spec", "volumeMode"], "<unset>"),
        ]
    },
};

fn phase(object: &Object) -> Cell<'_> {
    if object.deletion_timestamp().is_some() {
        return "Terminating".into();
    }
    text_or(object, &["status", "phase"], "")
}

fn storage_class(object: &Object) -> Cell<'_> {
    match object.annotation("volume.beta.kubernetes.io/storage-class") {
        Some(name) => name.into(),
        None => text_or(object, &["spec", "storageClassName"], ""),
    }
}

/// Access modes in upstream's order and short form.
fn modes(list: &[Value]) -> String {
    let has = |name: &str| list.iter().any(|mode| mode == name);
    let known = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ];
    let short: Vec<&str> = known
        .iter()
        .filter(|(name, _)| has(name))
        .map(|(_, short)| *short)
        .collect();
    short.join(",")
}

/// StorageClasses.
pub(crate) static STORAGE_CLASS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Provisioner",
            "string",
            "@io.k8s.api.storage.v1.StorageClass.provisioner",
            0,
        ),
        Col(
            "ReclaimPolicy",
            "string",
            "@io.k8s.api.storage.v1.StorageClass.reclaimPolicy",
            0,
        ),
        Col(
            "VolumeBindingMode",
            "string",
            "@io.k8s.api.storage.v1.StorageClass.volumeBindingMode",
            0,
        ),
        Col(
            "AllowVolumeExpansion",
            "string",
            "@io.k8s.api.storage.v1.StorageClass.allowVolumeExpansion",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let marks = [
            "storageclass.kubernetes.io/is-default-class",
            "storageclass.beta.kubernetes.io/is-default-class",
        ];
        vec![
            class_name(object, &marks),
            text_or(object, &["provisioner"], ""),
            text_or(object, &["reclaimPolicy"], "Delete"),
            text_or(object, &["volumeBindingMode"], "Immediate"),
            flag(object, &["allowVolumeExpansion"], false),
            age(object, now),
        ]
    },
};

/// VolumeAttributesClasses.
pub(crate) static VOLUME_ATTRIBUTES_CLASS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "DriverName",
            "string",
            "@io.k8s.api.storage.v1.VolumeAttributesClass.driverName",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            text_or(object, &["driverName"], ""),
            age(object, now),
        ]
    },
};

/// VolumeAttachments.
pub(crate) static VOLUME_ATTACHMENT: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Attacher",
            "string",
            "@io.k8s.api.storage.v1.VolumeAttachmentSpec.attacher",
            0,
        ),
        Col(
            "PV",
            "string",
            "@io.k8s.api.storage.v1.VolumeAttachmentSource.persistentVolumeName",
            0,
        ),
        Col(
            "Node",
            "string",
            "@io.k8s.api.storage.v1.VolumeAttachmentSpec.nodeName",
            0,
        ),
        Col(
            "Attached",
            "boolean",
            "@io.k8s.api.storage.v1.VolumeAttachmentStatus.attached",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            text_or(object, &["spec", "attacher"], ""),
            text_or(object, &["spec", "source", "persistentVolumeName"], ""),
            text_or(object, &["spec", "nodeName"], ""),
            flag(object, &["status", "attached"], false),
            age(object, now),
        ]
    },
};

/// CSINodes.
pub(crate) static CSI_NODE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Drivers",
            "integer",
            "Drivers indicates the number of CSI drivers registered on the node",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            count(object, &["spec", "drivers"]),
            age(object, now),
        ]
    },
};

/// CSIDrivers.
pub(crate) static CSI_DRIVER: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "AttachRequired",
            "boolean",
            "@io.k8s.api.storage.v1.CSIDriverSpec.attachRequired",
            0,
        ),
        Col(
            "PodInfoOnMount",
            "boolean",
            "@io.k8s.api.storage.v1.CSIDriverSpec.podInfoOnMount",
            0,
        ),
        Col(
            "StorageCapacity",
            "boolean",
            "@io.k8s.api.storage.v1.CSIDriverSpec.storageCapacity",
            0,
        ),
        Col(
            "TokenRequests",
            "string",
            "@io.k8s.api.storage.v1.CSIDriverSpec.tokenRequests",
            0,
        ),
        Col(
            "RequiresRepublish",
            "boolean",
            "@io.k8s.api.storage.v1.CSIDriverSpec.requiresRepublish",
            0,
        ),
        Col(
            "Modes",
            "string",
            "@io.k8s.api.storage.v1.CSIDriverSpec.volumeLifecycleModes",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let modes = texts(object, &["spec", "volumeLifecycleModes"], ",");
        let tokens = object
            .at(&["spec", "tokenRequests"])
            .and_then(Value::as_array)
            .map(|requests| {
                let audiences: Vec<&str> = requests
                    .iter()
                    .map(|one| one.str_at(&["audience"]).unwrap_or_default())
                    .collect();
                audiences.join(",")
            });
        vec![
            object.name().into(),
            flag(object, &["spec", "attachRequired"], true),
            flag(object, &["spec", "podInfoOnMount"], false),
            flag(object, &["spec", "storageCapacity"], false),
            tokens.unwrap_or_else(|| "<unset>".to_owned()).into(),
            flag(object, &["spec", "requiresRepublish"], false),
            if modes.is_empty() {
                "<none>".into()
            } else {
                modes.into()
            },
            age(object, now),
        ]
    },
};
