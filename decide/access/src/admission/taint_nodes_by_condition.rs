//! TaintNodesByCondition: a new node takes no pods until it is ready.
//!
//! Source: `plugin/pkg/admission/nodetaint`.

use kinds::strategy::{Lookup, Operation};
use meta::{ObjectExt, StatusError};
use serde_json::{Value, json};

use super::{Plugin, Request};

const KEY: &str = "node.kubernetes.io/not-ready";
const EFFECT: &str = "NoSchedule";

pub(super) struct TaintNodesByCondition;

impl Plugin for TaintNodesByCondition {
    fn admit(&self, request: &mut Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_for("nodes", &[Operation::Create]) {
            return Ok(());
        }
        let Some(node) = &mut request.object else {
            return Ok(());
        };
        let taints = node.list_at(&["spec", "taints"]);
        let is_same = |taint: &Value| {
            taint.str_at(&["key"]) == Some(KEY) && taint.str_at(&["effect"]) == Some(EFFECT)
        };
        if !taints.iter().any(is_same) {
            let mut taints = taints.to_vec();
            taints.push(json!({"key": KEY, "effect": EFFECT}));
            node.set(&["spec", "taints"], taints.into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    #[test]
    fn a_new_node_is_not_ready_once() {
        let user = user("ann", &[]);
        let mut request = request(&user, "", "nodes", json!({"metadata": {"name": "n"}}));
        for _ in 0..2 {
            TaintNodesByCondition
                .admit(&mut request, &Cluster::of([]))
                .unwrap();
        }
        let node = request.object.unwrap();
        assert_eq!(
            node["spec"]["taints"],
            json!([{"key": KEY, "effect": EFFECT}])
        );
    }
}
