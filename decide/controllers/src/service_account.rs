//! The service account `default` of every namespace.
//!
//! Source: `pkg/controller/serviceaccount/serviceaccounts_controller.go`.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;

use crate::action::Action;
use crate::controller::{Controller, Decision};
use crate::resources::{NAMESPACES, SERVICE_ACCOUNTS};
use crate::snapshot::Snapshot;

const NAME: &str = "default";

/// The service account controller.
#[derive(Debug)]
pub struct ServiceAccount;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The namespace.
    pub namespace: Arc<Object>,
    /// Whether the account is there.
    pub is_there: bool,
}

impl Controller for ServiceAccount {
    type Observed = Observed;
    const NAME: &'static str = "service-account-controller";
    const SUBJECT: Resource = NAMESPACES;
    const WATCHES: &'static [Resource] = &[NAMESPACES, SERVICE_ACCOUNTS];

    fn concerns(_: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == NAMESPACES {
            vec![object.key()]
        } else if object.name() == NAME {
            vec![Key::new("", object.namespace())]
        } else {
            Vec::new()
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        Some(Observed {
            namespace: snapshot.get(&NAMESPACES, key)?,
            is_there: snapshot
                .get(&SERVICE_ACCOUNTS, &Key::new(&key.name, NAME))
                .is_some(),
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut decision = Decision::default();
        if !seen.is_there && is_active(&seen.namespace) {
            decision.actions.push(Action::Create {
                resource: SERVICE_ACCOUNTS,
                object: json!({
                    "apiVersion": "v1", "kind": "ServiceAccount",
                    "metadata": { "name": NAME, "namespace": seen.namespace.name() },
                }),
                report: None,
            });
        }
        decision
    }
}

/// Whether things may still be made in a namespace.
pub(crate) fn is_active(namespace: &Object) -> bool {
    namespace.str_at(&["status", "phase"]) != Some("Terminating")
        && namespace.deletion_timestamp().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, time};

    fn actions(phase: &str, accounts: &[&str]) -> usize {
        let namespace = json!({ "metadata": { "name": "a" }, "status": { "phase": phase } });
        let accounts = accounts.iter().map(|name| {
            (
                SERVICE_ACCOUNTS,
                json!({ "metadata": { "name": name, "namespace": "a" } }),
            )
        });
        let world = World::new(accounts.chain([(NAMESPACES, namespace)]));
        let seen = ServiceAccount::observe(&world, &Key::new("", "a")).unwrap();
        ServiceAccount::decide(&seen, time(0)).actions.len()
    }

    #[test]
    fn an_active_namespace_without_the_account_gets_one() {
        assert_eq!(actions("Active", &["other"]), 1);
        assert_eq!(actions("Active", &["default"]), 0);
        assert_eq!(actions("Terminating", &[]), 0);
    }
}
