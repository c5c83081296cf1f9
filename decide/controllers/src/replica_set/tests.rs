//! How many pods there are, and which go first.

use meta::{Key, Object, ObjectExt};
use serde_json::json;

use super::*;
use crate::action::Action;
use crate::snapshot::Snapshot;
use crate::testing::{World, pod, time};

fn set(replicas: i64) -> Object {
    json!({
        "metadata": { "name": "web", "namespace": "default", "uid": "uid-web", "generation": 1 },
        "spec": {
            "replicas": replicas, "selector": { "matchLabels": { "app": "web" } },
            "template": { "metadata": { "labels": { "app": "web" } }, "spec": { "containers": [] } },
        },
        "status": { "replicas": 0 },
    })
}

fn key() -> Key {
    Key::new("default", "web")
}

fn decide(world: &World) -> Decision {
    ReplicaSet::decide(&ReplicaSet::observe(world, &key()).unwrap(), time(60))
}

fn world(replicas: i64, pods: impl IntoIterator<Item = Object>) -> World {
    let pods = pods.into_iter().map(|pod| (PODS, pod));
    World::new([(REPLICA_SETS, set(replicas))].into_iter().chain(pods))
}

#[test]
fn missing_pods_are_created_and_counted() {
    let mut world = world(3, []);
    let rounds = world.settle::<ReplicaSet>(&key(), time(60));
    assert_eq!(rounds[0].actions.len(), 3);
    let set = world_set(&world);
    assert_eq!(set.int_at(&["status", "replicas"]), Some(3));
    assert_eq!(set.int_at(&["status", "fullyLabeledReplicas"]), Some(3));
    assert_eq!(set.int_at(&["status", "readyReplicas"]), None);
}

fn world_set(world: &World) -> std::sync::Arc<Object> {
    world.get(&REPLICA_SETS, &key()).unwrap()
}

fn deleted(decision: &Decision) -> Vec<&str> {
    let actions = decision.actions.iter();
    actions
        .filter_map(|action| match action {
            Action::Delete { key, .. } => Some(key.name.as_str()),
            _ => None,
        })
        .collect()
}

#[test]
fn surplus_pods_go_least_wanted_first() {
    let world = world(
        1,
        [
            pod("old", "web", "node-1", Some(0)),
            pod("fresh", "web", "node-2", Some(59)),
            pod("unready", "web", "node-3", None),
            pod("pending", "web", "", None),
        ],
    );
    assert_eq!(deleted(&decide(&world)), ["pending", "unready", "fresh"]);
}

#[test]
fn a_crowded_node_and_a_low_cost_make_a_pod_less_wanted() {
    let crowd = ["a", "b"].map(|name| pod(name, "web", "node-1", Some(0)));
    let mut cheap = pod("cheap", "web", "node-3", Some(0));
    cheap.set(
        &["metadata", "annotations"],
        json!({ "controller.kubernetes.io/pod-deletion-cost": "-1" }),
    );
    let alone = pod("alone", "web", "node-2", Some(0));
    let world = world(2, crowd.into_iter().chain([cheap, alone]));
    let decision = decide(&world);
    assert_eq!(deleted(&decision), ["cheap", "a"]);
}

#[test]
fn orphans_are_adopted_and_strangers_released() {
    let mut stranger = pod("stranger", "web", "node-1", Some(0));
    stranger.set(&["metadata", "labels"], json!({ "app": "db" }));
    let mut world = world(1, [pod("orphan", "", "node-1", Some(0)), stranger]);
    world.settle::<ReplicaSet>(&key(), time(60));
    let orphan = world.get(&PODS, &Key::new("default", "orphan")).unwrap();
    assert_eq!(orphan.controller().unwrap().str_at(&["name"]), Some("web"));
    let stranger = world.get(&PODS, &Key::new("default", "stranger")).unwrap();
    assert!(stranger.owner_references().is_empty());
    assert_eq!(
        world_set(&world).int_at(&["status", "availableReplicas"]),
        Some(1)
    );
}

#[test]
fn a_refused_create_becomes_a_condition_that_goes_away_with_success() {
    let mut world = world(1, []);
    let seen = ReplicaSet::observe(&world, &key()).unwrap();
    let failure = Failure {
        index: 0,
        code: 403,
        reason: "Forbidden".into(),
        message: "pods \"web-x\" is forbidden: exceeded quota".into(),
    };
    let decision = ReplicaSet::failed(&seen, &failure, time(60)).unwrap();
    world.perform(&decision);
    let conditions = world_set(&world)
        .at(&["status", "conditions"])
        .cloned()
        .unwrap();
    assert_eq!(conditions[0]["reason"], "FailedCreate");
    assert_eq!(
        conditions[0]["message"],
        "pods \"web-x\" is forbidden: exceeded quota"
    );
    world.settle::<ReplicaSet>(&key(), time(61));
    assert_eq!(world_set(&world).at(&["status", "conditions"]), None);
}

#[test]
fn availability_waits_for_min_ready_seconds() {
    let mut waiting = set(1);
    waiting.set(&["spec", "minReadySeconds"], 30.into());
    let world = World::new([
        (REPLICA_SETS, waiting),
        (PODS, pod("a", "web", "node-1", Some(50))),
    ]);
    let decision = decide(&world);
    assert_eq!(decision.wake_at, Some(time(80)));
    assert_eq!(
        decision
            .status
            .unwrap()
            .status
            .int_at(&["availableReplicas"]),
        None
    );
}

#[test]
fn terminating_pods_are_replaced_and_counted() {
    let mut leaving = pod("leaving", "web", "node-1", Some(0));
    leaving.set(
        &["metadata", "deletionTimestamp"],
        time(10).to_string().into(),
    );
    let world = world(1, [leaving]);
    let decision = decide(&world);
    assert!(matches!(decision.actions[..], [Action::Create { .. }]));
    assert_eq!(decision.status.unwrap().status["terminatingReplicas"], 1);
}

#[test]
fn a_set_that_is_being_deleted_makes_nothing() {
    let mut gone = set(3);
    gone.set(
        &["metadata", "deletionTimestamp"],
        time(10).to_string().into(),
    );
    assert!(
        decide(&World::new([(REPLICA_SETS, gone)]))
            .actions
            .is_empty()
    );
}

#[test]
fn a_selector_that_selects_everything_claims_nothing() {
    let mut broad = set(0);
    broad.set(&["spec", "selector"], json!({}));
    let world = World::new([
        (REPLICA_SETS, broad),
        (PODS, pod("orphan", "", "node-1", None)),
    ]);
    assert!(decide(&world).actions.is_empty());
}
