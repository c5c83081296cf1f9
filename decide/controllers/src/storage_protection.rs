//! Claims, volumes and classes of their attributes that are deleted stay until nobody uses them.
//!
//! Source: `pvcprotection`, `pvprotection` and `vacprotection` in `pkg/controller/volume`.

use std::sync::Arc;

use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};

use crate::action::{edited, update};
use crate::claim;
use crate::controller::{Controller, Decision};
use crate::resources::{
    PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, PODS, VOLUME_ATTRIBUTES_CLASSES,
};
use crate::snapshot::Snapshot;

/// Keeps a claim. Source: `volumeutil.PVCProtectionFinalizer`.
const CLAIM_FINALIZER: &str = "kubernetes.io/pvc-protection";
/// Keeps a volume. Source: `volumeutil.PVProtectionFinalizer`.
const VOLUME_FINALIZER: &str = "kubernetes.io/pv-protection";
/// Keeps a class. Source: `volumeutil.VACProtectionFinalizer`.
const CLASS_FINALIZER: &str = "kubernetes.io/vac-protection";
/// Where claims and volumes name the class of their attributes, wanted or present.
const CLASS_FIELDS: [&[&str]; 3] = [
    &["spec", "volumeAttributesClassName"],
    &["status", "currentVolumeAttributesClassName"],
    &[
        "status",
        "modifyVolumeStatus",
        "targetVolumeAttributesClassName",
    ],
];

/// What is protected, and whether somebody uses it.
#[derive(Clone, Debug)]
pub struct Protected {
    object: Arc<Object>,
    is_used: bool,
}

/// The controller of claims, which pods use.
#[derive(Debug)]
pub struct PvcProtection;

impl Controller for PvcProtection {
    type Observed = Protected;
    const NAME: &'static str = "persistentvolumeclaim-protection-controller";
    const SUBJECT: Resource = PERSISTENT_VOLUME_CLAIMS;
    const WATCHES: &'static [Resource] = &[PERSISTENT_VOLUME_CLAIMS, PODS];

    fn concerns(_: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == PERSISTENT_VOLUME_CLAIMS {
            return vec![object.key()];
        }
        let volumes = object.list_at(&["spec", "volumes"]).iter();
        let names = volumes.filter_map(|volume| claim_name(object, volume));
        names
            .map(|name| Key::new(object.namespace(), &name))
            .collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Protected> {
        let object = snapshot.get(&PERSISTENT_VOLUME_CLAIMS, key)?;
        let pods = snapshot.list(&PODS, &key.namespace);
        Some(Protected {
            is_used: pods.iter().any(|pod| uses(pod, &object)),
            object,
        })
    }

    fn decide(seen: &Protected, _now: Timestamp) -> Decision {
        protect(seen, &PERSISTENT_VOLUME_CLAIMS, CLAIM_FINALIZER)
    }
}

/// The controller of volumes, which claims use.
#[derive(Debug)]
pub struct PvProtection;

impl Controller for PvProtection {
    type Observed = Protected;
    const NAME: &'static str = "persistentvolume-protection-controller";
    const SUBJECT: Resource = PERSISTENT_VOLUMES;
    const WATCHES: &'static [Resource] = &[PERSISTENT_VOLUMES];

    fn concerns(_: &dyn Snapshot, _: &Resource, object: &Object) -> Vec<Key> {
        vec![object.key()]
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Protected> {
        let object = snapshot.get(&PERSISTENT_VOLUMES, key)?;
        let is_used = object.str_at(&["status", "phase"]) == Some("Bound");
        Some(Protected { object, is_used })
    }

    fn decide(seen: &Protected, _now: Timestamp) -> Decision {
        protect(seen, &PERSISTENT_VOLUMES, VOLUME_FINALIZER)
    }
}

/// The controller of classes of attributes, which claims and volumes name.
#[derive(Debug)]
pub struct VacProtection;

impl Controller for VacProtection {
    type Observed = Protected;
    const NAME: &'static str = "volumeattributesclass-protection-controller";
    const SUBJECT: Resource = VOLUME_ATTRIBUTES_CLASSES;
    const WATCHES: &'static [Resource] = &[
        VOLUME_ATTRIBUTES_CLASSES,
        PERSISTENT_VOLUME_CLAIMS,
        PERSISTENT_VOLUMES,
    ];

    fn concerns(_: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        if *resource == VOLUME_ATTRIBUTES_CLASSES {
            return vec![object.key()];
        }
        classes(object).map(|name| Key::new("", name)).collect()
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Protected> {
        let object = snapshot.get(&VOLUME_ATTRIBUTES_CLASSES, key)?;
        let mut users = snapshot.list(&PERSISTENT_VOLUME_CLAIMS, "");
        users.extend(snapshot.list(&PERSISTENT_VOLUMES, ""));
        let names_it = |user: &Arc<Object>| classes(user).any(|name| name == key.name);
        Some(Protected {
            is_used: users.iter().any(names_it),
            object,
        })
    }

    fn decide(seen: &Protected, _now: Timestamp) -> Decision {
        protect(seen, &VOLUME_ATTRIBUTES_CLASSES, CLASS_FINALIZER)
    }
}

/// The classes that a claim or a volume names.
fn classes(object: &Object) -> impl Iterator<Item = &str> {
    CLASS_FIELDS.iter().filter_map(|path| object.str_at(path))
}

/// Lets go of what is deleted and unused, and holds what lives; admission holds what is new.
fn protect(seen: &Protected, resource: &Resource, finalizer: &str) -> Decision {
    let Protected { object, is_used } = seen;
    let is_held = object.finalizers().contains(&finalizer);
    let changed = match object.deletion_timestamp() {
        Some(_) if is_held && !is_used => edited(object, |object| claim::let_go(object, finalizer)),
        None if !is_held => edited(object, |object| claim::hold(object, finalizer)),
        Some(_) | None => return Decision::default(),
    };
    Decision {
        actions: update(resource, object, &changed).into_iter().collect(),
        ..Decision::default()
    }
}

/// Whether a pod uses a claim. One without a node does not: it cannot start with a claim that is deleted.
fn uses(pod: &Object, claim: &Object) -> bool {
    let is_shut_down = pod.deletion_timestamp().is_some()
        && pod.int_at(&["metadata", "deletionGracePeriodSeconds"]) == Some(0);
    let is_own = claim.controller().and_then(|owner| owner.str_at(&["uid"])) == Some(pod.uid());
    let has_node = pod
        .str_at(&["spec", "nodeName"])
        .is_some_and(|node| !node.is_empty());
    let volumes = pod.list_at(&["spec", "volumes"]);
    has_node
        && volumes.iter().any(|volume| {
            let is_made = volume.get("ephemeral").is_some();
            claim_name(pod, volume).as_deref() == Some(claim.name())
                && (!is_made || (!is_shut_down && is_own))
        })
}

/// The claim behind a volume: the one it names, or the one that is made for it.
///
/// Source: `ephemeral.VolumeClaimName`.
fn claim_name(pod: &Object, volume: &Object) -> Option<String> {
    if let Some(name) = volume.str_at(&["persistentVolumeClaim", "claimName"]) {
        return Some(name.to_owned());
    }
    volume.get("ephemeral")?;
    Some(format!("{}-{}", pod.name(), volume.str_at(&["name"])?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::testing::{World, time};

    fn claim(metadata: &Value) -> Object {
        let mut claim = json!({ "metadata": { "name": "data", "namespace": "default" } });
        for (field, value) in metadata.as_object().unwrap() {
            claim.set(&["metadata", field], value.clone());
        }
        claim
    }

    fn finalizers_after(claim: Object, pods: &[Object]) -> Value {
        let pods = pods.iter().map(|pod| (PODS, pod.clone()));
        let mut world = World::new(pods.chain([(PERSISTENT_VOLUME_CLAIMS, claim)]));
        let key = Key::new("default", "data");
        for pod in world.list(&PODS, "default") {
            let concerned = PvcProtection::concerns(&world, &PODS, &pod);
            assert_eq!(concerned.first(), Some(&key));
        }
        world.settle::<PvcProtection>(&key, time(0));
        let claim = world.get(&PERSISTENT_VOLUME_CLAIMS, &key);
        claim.map_or(Value::Null, |claim| json!(claim.finalizers()))
    }

    fn pod(spec: &Value, metadata: &Value) -> Object {
        let mut pod = json!({ "metadata": { "name": "web", "namespace": "default", "uid": "uid-p" }, "spec": spec });
        for (field, value) in metadata.as_object().unwrap() {
            pod.set(&["metadata", field], value.clone());
        }
        pod
    }

    #[test]
    fn a_deleted_claim_goes_when_no_pod_with_a_node_uses_it() {
        let deleted = json!({ "deletionTimestamp": time(0).to_string(), "finalizers": ["x", CLAIM_FINALIZER] });
        let volumes = json!([{ "name": "v", "persistentVolumeClaim": { "claimName": "data" } }]);
        let on_node = pod(&json!({ "nodeName": "a", "volumes": volumes }), &json!({}));
        let waiting = pod(&json!({ "volumes": volumes }), &json!({}));
        let held = json!(["x", CLAIM_FINALIZER]);
        assert_eq!(finalizers_after(claim(&deleted), &[on_node]), held);
        assert_eq!(finalizers_after(claim(&deleted), &[waiting]), json!(["x"]));
        assert_eq!(
            finalizers_after(claim(&json!({})), &[]),
            json!([CLAIM_FINALIZER])
        );
    }

    #[test]
    fn a_claim_made_for_a_pod_goes_once_that_is_shut_down() {
        let owner = json!([{ "uid": "uid-p", "name": "web", "kind": "Pod", "controller": true }]);
        let deleted = json!({
            "name": "web-data", "ownerReferences": owner, "finalizers": [CLAIM_FINALIZER],
            "deletionTimestamp": time(0).to_string(),
        });
        let spec = json!({ "nodeName": "a", "volumes": [{ "name": "data", "ephemeral": {} }] });
        let gone =
            json!({ "deletionTimestamp": time(0).to_string(), "deletionGracePeriodSeconds": 0 });
        assert!(uses(&pod(&spec, &json!({})), &claim(&deleted)));
        assert!(!uses(&pod(&spec, &gone), &claim(&deleted)));
        let other = json!({ "uid": "uid-q" });
        assert!(!uses(&pod(&spec, &other), &claim(&deleted)));
    }

    #[test]
    fn a_deleted_class_goes_when_nobody_names_it() {
        let class = json!({ "metadata": { "name": "gold", "finalizers": [CLASS_FINALIZER], "deletionTimestamp": time(0).to_string() } });
        let user =
            json!({ "metadata": { "name": "v" }, "spec": { "volumeAttributesClassName": "gold" } });
        let key = Key::new("", "gold");
        let mut world = World::new([
            (VOLUME_ATTRIBUTES_CLASSES, class),
            (PERSISTENT_VOLUMES, user.clone()),
        ]);
        let concerned = VacProtection::concerns(&world, &PERSISTENT_VOLUMES, &user);
        assert_eq!(concerned.first(), Some(&key));
        let actions = |world: &World| {
            let seen = VacProtection::observe(world, &key).unwrap();
            VacProtection::decide(&seen, time(0)).actions.len()
        };
        assert_eq!(actions(&world), 0);
        world.remove(&PERSISTENT_VOLUMES, &Key::new("", "v"));
        assert_eq!(actions(&world), 1);
    }

    #[test]
    fn a_deleted_volume_goes_when_it_is_not_bound() {
        let decide = |phase: &str| {
            let object = json!({
                "metadata": { "name": "v", "finalizers": [VOLUME_FINALIZER], "deletionTimestamp": time(0).to_string() },
                "status": { "phase": phase },
            });
            let world = World::new([(PERSISTENT_VOLUMES, object)]);
            let seen = PvProtection::observe(&world, &Key::new("", "v")).unwrap();
            PvProtection::decide(&seen, time(0)).actions.len()
        };
        assert_eq!((decide("Bound"), decide("Available")), (0, 1));
    }
}
