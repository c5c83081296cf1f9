//! Storage: the kinds of `storage.k8s.io`.

mod csi_driver;
mod storage_class;

use crate::kind::Kind;
use crate::plain::Plain;
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
        V1.cluster("CSINode", "csinodes", Plain(&print::storage::CSI_NODE))
            .build(),
        V1.namespaced(
            "CSIStorageCapacity",
            "csistoragecapacities",
            Plain(&print::CREATED_AT),
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
            Plain(&print::storage::VOLUME_ATTACHMENT),
        )
        .status()
        .build(),
        V1.cluster(
            "VolumeAttributesClass",
            "volumeattributesclasses",
            Plain(&print::storage::VOLUME_ATTRIBUTES_CLASS),
        )
        .short(&["vac"])
        .build(),
    ]
}
