//! Runtime classes: the kinds of `node.k8s.io`.

mod runtime_class;

use crate::kind::Kind;
use crate::plain::Checked;
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
            Checked::new(&print::core::RUNTIME_CLASS, runtime_class::check)
                .changes(runtime_class::change)
                .warns(runtime_class::warnings),
        )
        .build(),
    ]
}
