//! Leases: the kinds of `coordination.k8s.io`.

mod lease;

use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "coordination.k8s.io",
    version: "v1",
    types: "io.k8s.api.coordination.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "Lease",
            "leases",
            Checked::new(&print::core::LEASE, lease::check),
        )
        .relaxed()
        .build(),
    ]
}
