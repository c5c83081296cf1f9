//! Storage: the kinds of `storage.k8s.io`.

mod csi_driver;
mod storage_class;
mod validate;

use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "storage.k8s.io",
    version: "v1",
    types: "io.k8s.api.storage.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster("CSIDriver", "csidrivers", csi_driver::CsiDriver)
            .build(),
        V1.cluster(
            "CSINode",
            "csinodes",
            Checked::new(&print::storage::CSI_NODE, validate::csi_node)
                .changes(validate::csi_node_change)
                .returned(),
        )
        .build(),
        V1.namespaced(
            "CSIStorageCapacity",
            "csistoragecapacities",
            Checked::new(&print::CREATED_AT, validate::csi_storage_capacity)
                .changes(validate::csi_storage_capacity_change),
        )
        .build(),
        V1.cluster(
            "StorageClass",
            "storageclasses",
            storage_class::StorageClass,
        )
        .short(&["sc"])
        .build(),
        V1.cluster(
            "VolumeAttachment",
            "volumeattachments",
            Checked::new(
                &print::storage::VOLUME_ATTACHMENT,
                validate::volume_attachment,
            )
            .changes(validate::volume_attachment_change)
            .returned(),
        )
        .status()
        .build(),
        V1.cluster(
            "VolumeAttributesClass",
            "volumeattributesclasses",
            Checked::new(
                &print::storage::VOLUME_ATTRIBUTES_CLASS,
                validate::volume_attributes_class,
            )
            .changes(validate::volume_attributes_class_change)
            .returned(),
        )
        .short(&["vac"])
        .build(),
    ]
}
