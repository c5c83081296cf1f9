//! Priority classes: the kinds of `scheduling.k8s.io`.

mod priority_class;

use crate::kind::Kind;
use crate::row::Group;

const V1: Group = Group {
    name: "scheduling.k8s.io",
    version: "v1",
    types: "io.k8s.api.scheduling.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "PriorityClass",
            "priorityclasses",
            priority_class::PriorityClass,
        )
        .short(&["pc"])
        .build(),
    ]
}
