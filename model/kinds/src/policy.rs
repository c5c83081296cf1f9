//! Disruption budgets: the kinds of `policy`.

mod pod_disruption_budget;

use crate::kind::Kind;
use crate::plain::Checked;
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
            Checked::new(
                &print::scaling::POD_DISRUPTION_BUDGET,
                pod_disruption_budget::check,
            )
            // Upstream checks no more of the name than of every object's.
            .named(meta::names::path_segment)
            .metadata_last()
            .counted(),
        )
        .short(&["pdb"])
        .status()
        .build(),
    ]
}
