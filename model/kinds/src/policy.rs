//! Disruption budgets: the kinds of `policy`.

use crate::kind::Kind;
use crate::plain::Counted;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "policy",
    version: "v1",
    types: "io.k8s.api.policy.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "PodDisruptionBudget",
            "poddisruptionbudgets",
            Counted(&print::scaling::POD_DISRUPTION_BUDGET),
        )
        .short(&["pdb"])
        .status()
        .build(),
    ]
}
