//! Runtime classes: the kinds of `node.k8s.io`.

use crate::kind::Kind;
use crate::plain::Plain;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "node.k8s.io",
    version: "v1",
    types: "io.k8s.api.node.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "RuntimeClass",
            "runtimeclasses",
            Plain(&print::core::RUNTIME_CLASS),
        )
        .build(),
    ]
}
