//! Where the `kubernetes` Service leads: to the address that the API server is reached at.
//!
//! Source: `pkg/controlplane/controller/kubernetesservice`, `pkg/controlplane/reconcilers`.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};

use crate::action::{Action, edited, update};
use crate::controller::{Controller, Decision};
use crate::endpoint_slice::SERVICE_LABEL;
use crate::resources::{ENDPOINT_SLICES, ENDPOINTS, SERVICES};
use crate::snapshot::Snapshot;

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";
/// Keeps the slice from being made a second time from the endpoints.
const SKIP_MIRROR_LABEL: &str = "endpointslice.kubernetes.io/skip-mirror";

/// The controller of the `kubernetes` Service's endpoints.
#[derive(Debug)]
pub struct KubernetesService;

/// What its decision depends on.
#[derive(Debug)]
pub struct Observed {
    /// Where the API server is reached.
    pub address: SocketAddr,
    /// The endpoints object.
    pub endpoints: Option<Arc<Object>>,
    /// The slice.
    pub slice: Option<Arc<Object>>,
}

impl Controller for KubernetesService {
    type Observed = Observed;
    const NAME: &'static str = "kubernetes-service-controller";
    const SUBJECT: Resource = SERVICES;
    const WATCHES: &'static [Resource] = &[SERVICES, ENDPOINTS, ENDPOINT_SLICES];

    fn concerns(_: &dyn Snapshot, _: &Resource, object: &Object) -> Vec<Key> {
        let own = Key::new(NAMESPACE, NAME);
        if object.key() == own {
            vec![own]
        } else {
            Vec::new()
        }
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        snapshot.get(&SERVICES, key)?;
        Some(Observed {
            address: snapshot.settings().api_address?,
            endpoints: snapshot.get(&ENDPOINTS, key),
            slice: snapshot.get(&ENDPOINT_SLICES, key),
        })
    }

    fn decide(seen: &Observed, _: Timestamp) -> Decision {
        let ip = seen.address.ip().to_string();
        let ports = json!([{ "name": "https", "port": seen.address.port(), "protocol": "TCP" }]);
        let subsets = json!([{ "addresses": [{ "ip": ip }], "ports": ports }]);
        let endpoints = [
            (
                &["metadata", "labels", SKIP_MIRROR_LABEL][..],
                "true".into(),
            ),
            (&["subsets"][..], subsets),
        ];
        let family = if seen.address.is_ipv4() {
            "IPv4"
        } else {
            "IPv6"
        };
        let slice = [
            (&["metadata", "labels", SERVICE_LABEL][..], NAME.into()),
            (&["addressType"][..], family.into()),
            (
                &["endpoints"][..],
                json!([{ "addresses": [ip], "conditions": { "ready": true } }]),
            ),
            (&["ports"][..], ports),
        ];
        let mut decision = Decision::default();
        decision
            .actions
            .extend(right(&ENDPOINTS, seen.endpoints.as_ref(), endpoints));
        decision
            .actions
            .extend(right(&ENDPOINT_SLICES, seen.slice.as_ref(), slice));
        decision
    }
}

/// Makes or mends an object so that these fields have these values.
fn right<const N: usize>(
    resource: &Resource,
    known: Option<&Arc<Object>>,
    fields: [(&[&str], Value); N],
) -> Option<Action> {
    let describe = |object: &mut Object| {
        for (path, value) in fields {
            object.set(path, value);
        }
    };
    if let Some(known) = known {
        return update(resource, known, &edited(known, describe));
    }
    let mut object = json!({
        "apiVersion": resource.api_version(), "kind": resource.kind,
        "metadata": { "name": NAME, "namespace": NAMESPACE },
    });
    describe(&mut object);
    Some(Action::Create {
        resource: resource.clone(),
        object,
        report: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{World, time};

    #[test]
    fn endpoints_and_slice_are_made_and_repaired() {
        let service = json!({ "metadata": { "name": NAME, "namespace": NAMESPACE } });
        let mut world = World::new([(SERVICES, service)]);
        let key = Key::new(NAMESPACE, NAME);
        world.settle::<KubernetesService>(&key, time(0));
        let endpoints = world.get(&ENDPOINTS, &key).unwrap();
        let port = json!({ "name": "https", "port": 6443, "protocol": "TCP" });
        assert_eq!(
            endpoints["subsets"],
            json!([{ "addresses": [{ "ip": "192.0.2.1" }], "ports": [port] }])
        );
        let mut slice = Object::clone(&world.get(&ENDPOINT_SLICES, &key).unwrap());
        assert_eq!(slice["ports"], json!([port]));
        slice.set(&["endpoints"], json!([]));
        world.put(&ENDPOINT_SLICES, slice);
        assert_eq!(world.settle::<KubernetesService>(&key, time(0)).len(), 1);
        let slice = world.get(&ENDPOINT_SLICES, &key).unwrap();
        assert_eq!(slice["endpoints"][0]["addresses"], json!(["192.0.2.1"]));
        assert!(world.settle::<KubernetesService>(&key, time(0)).is_empty());
    }
}
