//! CustomResourceDefinition: the kinds of `apiextensions.k8s.io`.

mod definition;

use crate::kind::Kind;
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
            definition::CustomResourceDefinition,
        )
        .short(&["crd", "crds"])
        .category("api-extensions")
        .status()
        .build(),
    ]
}
