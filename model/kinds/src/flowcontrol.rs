//! Fairness between requests: the kinds of `flowcontrol.apiserver.k8s.io`.

pub mod mandatory;
mod validate;

use meta::{Object, ObjectExt as _};

use crate::defaults::Rule;
use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "flowcontrol.apiserver.k8s.io",
    version: "v1",
    types: "io.k8s.api.flowcontrol.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "FlowSchema",
            "flowschemas",
            Checked::new(&print::policy::FLOW_SCHEMA, validate::flow_schema)
                .counted()
                .ordered(precedence),
        )
        .status()
        .build(),
        V1.cluster(
            "PriorityLevelConfiguration",
            "prioritylevelconfigurations",
            Checked::new(&print::policy::PRIORITY_LEVEL, validate::priority_level).counted(),
        )
        .status()
        .build(),
    ]
}

/// Source: apiserver `util/apihelpers` `FlowSchemaSequence`.
fn precedence(schema: &Object) -> i64 {
    schema
        .int_at(&["spec", "matchingPrecedence"])
        .unwrap_or_default()
}

/// The rule of a struct of this group, by its Go name.
pub(crate) fn default_rule(name: &str) -> Option<Rule> {
    Some(match name {
        "FlowSchemaSpec" => |spec| spec.default_number("matchingPrecedence", 1000),
        "ExemptPriorityLevelConfiguration" => |level| {
            level.default_to("nominalConcurrencyShares", 0);
            level.default_to("lendablePercent", 0);
        },
        "LimitedPriorityLevelConfiguration" => |level| {
            level.default_to("nominalConcurrencyShares", 30);
            level.default_to("lendablePercent", 0);
        },
        "QueuingConfiguration" => |queuing| {
            queuing.default_number("handSize", 8);
            queuing.default_number("queues", 64);
            queuing.default_number("queueLengthLimit", 50);
        },
        _ => return None,
    })
}
