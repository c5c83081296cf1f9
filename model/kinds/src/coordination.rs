//! Leases: the kinds of `coordination.k8s.io`.

use crate::kind::Kind;
use crate::plain::Plain;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "coordination.k8s.io",
    version: "v1",
    types: "io.k8s.api.coordination.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced("Lease", "leases", Plain(&print::core::LEASE))
            .relaxed()
            .build(),
    ]
}
