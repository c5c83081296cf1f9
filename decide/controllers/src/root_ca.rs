//! The config map with the cluster's CA in every namespace, which pods mount to trust the API server.
//!
//! Source: `pkg/controller/certificates/rootcacertpublisher`.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;

use crate::action::{Action, edited, update};
use crate::controller::{Controller, Decision};
use crate::resources::{CONFIG_MAPS, NAMESPACES};
use crate::service_account::is_active;
use crate::snapshot::Snapshot;

const NAME: &str = "kube-root-ca.crt";
const DESCRIPTION: &str = "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

/// The root CA publisher.
#[derive(Debug)]
pub struct RootCa;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// The namespace.
    pub namespace: Arc<Object>,
    /// The config map, if it is there.
    pub published: Option<Arc<Object>>,
    /// The CA to publish.
    pub root_ca: String,
}

impl Controller for RootCa {
    type Observed = Observed;
    const NAME: &'static str = "root-ca-certificate-publisher-controller";
    const SUBJECT: Resource = NAMESPACES;
    const WATCHES: &'static [Resource] = &[NAMESPACES, CONFIG_MAPS];

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
            root_ca: snapshot.settings().root_ca.clone()?,
            namespace: snapshot.get(&NAMESPACES, key)?,
            published: snapshot.get(&CONFIG_MAPS, &Key::new(&key.name, NAME)),
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let mut decision = Decision::default();
        if !is_active(&seen.namespace) {
            return decision;
        }
        let data = json!({ "ca.crt": seen.root_ca });
        match &seen.published {
            None => decision.actions.push(Action::Create {
                resource: CONFIG_MAPS,
                object: json!({
                    "apiVersion": "v1", "kind": "ConfigMap",
                    "metadata": {
                        "name": NAME, "namespace": seen.namespace.name(),
                        "annotations": { "kubernetes.io/description": DESCRIPTION },
                    },
                    "data": data,
                }),
                report: None,
            }),
            Some(published) => {
                let right = edited(published, |map| {
                    map.set(&["data"], data);
                    let annotation = ["metadata", "annotations", "kubernetes.io/description"];
                    map.set(&annotation, DESCRIPTION.into());
                });
                decision
                    .actions
                    .extend(update(&CONFIG_MAPS, published, &right));
            }
        }
        decision
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, time};

    #[test]
    fn the_map_is_made_and_repaired() {
        let namespace = json!({ "metadata": { "name": "a" } });
        let mut world = World::new([(NAMESPACES, namespace)]);
        let key = Key::new("", "a");
        assert_eq!(world.settle::<RootCa>(&key, time(0)).len(), 1);
        let at = Key::new("a", NAME);
        let mut broken = Object::clone(&world.get(&CONFIG_MAPS, &at).unwrap());
        broken.set(&["data"], json!({ "ca.crt": "other", "more": "x" }));
        world.put(&CONFIG_MAPS, broken);
        world.settle::<RootCa>(&key, time(0));
        assert_eq!(
            world.get(&CONFIG_MAPS, &at).unwrap()["data"],
            json!({ "ca.crt": "CA" })
        );
    }
}
