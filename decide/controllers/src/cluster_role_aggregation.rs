//! ClusterRoles that gather the rules of others by label.
//!
//! Source: `pkg/controller/clusterroleaggregation`.

use std::sync::Arc;

use jiff::Timestamp;
use meta::selector::LabelSelector;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::Value;

use crate::action::{edited, update};
use crate::controller::{Controller, Decision};
use crate::resources::CLUSTER_ROLES;
use crate::snapshot::Snapshot;

/// The aggregation controller.
#[derive(Debug)]
pub struct ClusterRoleAggregation;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The role that gathers.
    pub role: Arc<Object>,
    /// Every role, sorted by name.
    pub roles: Vec<Arc<Object>>,
}

fn gathers(role: &Object) -> bool {
    role.at(&["aggregationRule"]).is_some()
}

impl Controller for ClusterRoleAggregation {
    type Observed = Observed;
    const NAME: &'static str = "clusterrole-aggregation-controller";
    const SUBJECT: Resource = CLUSTER_ROLES;
    const WATCHES: &'static [Resource] = &[CLUSTER_ROLES];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, _: &Object) -> Vec<Key> {
        let roles = snapshot.list(resource, "");
        roles
            .iter()
            .filter(|role| gathers(role))
            .map(|role| role.key())
            .collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        let role = snapshot
            .get(&CLUSTER_ROLES, key)
            .filter(|role| gathers(role))?;
        Some(Observed {
            role,
            roles: snapshot.list(&CLUSTER_ROLES, ""),
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut rules: Vec<Value> = Vec::new();
        for selector in seen
            .role
            .list_at(&["aggregationRule", "clusterRoleSelectors"])
        {
            let Some(selector) = LabelSelector::from_object(Some(selector)) else {
                continue;
            };
            let gathered = seen
                .roles
                .iter()
                .filter(|role| role.name() != seen.role.name() && selector.matches(&role.labels()));
            for rule in gathered.flat_map(|role| role.list_at(&["rules"])) {
                if !rules.contains(rule) {
                    rules.push(rule.clone());
                }
            }
        }
        if seen.role.list_at(&["rules"]) == rules {
            return Decision::default();
        }
        let right = edited(&seen.role, |role| role.set(&["rules"], Value::Array(rules)));
        Decision {
            actions: update(&CLUSTER_ROLES, &seen.role, &right)
                .into_iter()
                .collect(),
            ..Decision::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{World, time};

    #[test]
    fn rules_are_gathered_once_in_order_of_names() {
        let part = |name: &str, verb: &str| {
            let role = json!({
                "metadata": { "name": name, "labels": { "to": "all" } },
                "rules": [{ "verbs": [verb] }, { "verbs": ["get"] }],
            });
            (CLUSTER_ROLES, role)
        };
        let all = json!({
            "metadata": { "name": "all", "labels": { "to": "all" } }, "rules": null,
            "aggregationRule": { "clusterRoleSelectors": [{ "matchLabels": { "to": "all" } }] },
        });
        let mut world = World::new([part("b", "list"), part("a", "watch"), (CLUSTER_ROLES, all)]);
        let key = Key::new("", "all");
        world.settle::<ClusterRoleAggregation>(&key, time(0));
        let rules = world.get(&CLUSTER_ROLES, &key).unwrap()["rules"].clone();
        assert_eq!(
            rules,
            json!([{ "verbs": ["watch"] }, { "verbs": ["get"] }, { "verbs": ["list"] }])
        );
        assert!(
            world
                .settle::<ClusterRoleAggregation>(&key, time(0))
                .is_empty()
        );
    }
}
