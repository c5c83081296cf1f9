//! CustomResourceDefinition: the kinds of `apiextensions.k8s.io`.

use crate::kind::Kind;
use crate::plain::{Checked, anything};
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "apiextensions.k8s.io",
    version: "v1",
    types: "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "CustomResourceDefinition",
            "customresourcedefinitions",
            Checked::new(&print::CREATED_AT, anything).counted(),
        )
        .short(&["crd", "crds"])
        .category("api-extensions")
        .status()
        .build(),
    ]
}
