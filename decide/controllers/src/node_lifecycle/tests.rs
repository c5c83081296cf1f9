//! What silence does to a node and its pods.

use super::*;
use crate::testing::{World, events, pod, time};

fn node(name: &str, ready: &str) -> Object {
    json!({
        "metadata": { "name": name, "uid": name, "creationTimestamp": time(0).to_string() },
        "spec": {},
        "status": { "conditions": [
            { "type": "Ready", "status": ready, "lastHeartbeatTime": time(0).to_string() },
        ]},
    })
}

/// A world whose node-1 has not renewed its lease for so many seconds.
fn unrenewed(seconds: i64, objects: impl IntoIterator<Item = (Resource, Object)>) -> World {
    let mut world = World::new(objects);
    world.unchanged(Key::new(LEASE_NAMESPACE, "node-1"), seconds);
    world
}

fn key() -> Key {
    Key::new("", "node-1")
}

fn decide(world: &World, now: i64) -> Decision {
    NodeLifecycle::decide(&NodeLifecycle::observe(world, &key()).unwrap(), time(now))
}

fn taints(world: &World) -> Vec<String> {
    let node = world.get(&NODES, &key()).unwrap();
    let text = |taint: &Value| {
        format!(
            "{}:{}",
            taint["key"].as_str().unwrap(),
            taint["effect"].as_str().unwrap()
        )
    };
    node.list_at(&["spec", "taints"]).iter().map(text).collect()
}

#[test]
fn a_renewed_lease_keeps_a_node_alive() {
    let world = unrenewed(20, [(NODES, node("node-1", "True"))]);
    // Whatever the clock is set to.
    for now in [120, 86_400, -86_400] {
        let decision = decide(&world, now);
        assert!(decision.actions.is_empty());
        assert_eq!(decision.wake_at, Some(time(now + 30)));
    }
}

#[test]
fn a_dead_node_is_silent_though_the_clock_was_set_back() {
    let world = unrenewed(50, [(NODES, node("node-1", "True"))]);
    assert!(!decide(&world, -86_400).actions.is_empty());
}

#[test]
fn a_silent_node_becomes_unknown_and_its_pods_not_ready() {
    let mut world = unrenewed(
        50,
        [
            (NODES, node("node-1", "True")),
            (NODES, node("node-2", "True")),
            (PODS, pod("a", "", "node-1", Some(0))),
        ],
    );
    let rounds = world.settle::<NodeLifecycle>(&key(), time(51));
    assert_eq!(
        events(&rounds[0]),
        ["NodeNotReady: Node node-1 status is now: NodeNotReady"]
    );
    let node = world.get(&NODES, &key()).unwrap();
    let conditions = node.list_at(&["status", "conditions"]);
    let said: Vec<&str> = conditions
        .iter()
        .filter_map(|c| c.str_at(&["reason"]))
        .collect();
    assert_eq!(
        said,
        [
            "NodeStatusUnknown",
            "NodeStatusNeverUpdated",
            "NodeStatusNeverUpdated",
            "NodeStatusNeverUpdated"
        ]
    );
    assert_eq!(
        taints(&world),
        [
            "node.kubernetes.io/unreachable:NoSchedule",
            "node.kubernetes.io/unreachable:NoExecute",
        ]
    );
    let pod = world.get(&PODS, &Key::new("default", "a")).unwrap();
    assert!(!pod::is_ready(&pod));
}

#[test]
fn nobody_is_driven_away_while_no_node_is_healthy() {
    let mut world = unrenewed(50, [(NODES, node("node-1", "True"))]);
    world.settle::<NodeLifecycle>(&key(), time(51));
    assert_eq!(
        taints(&world),
        ["node.kubernetes.io/unreachable:NoSchedule"]
    );
}

#[test]
fn taints_go_when_the_node_is_ready_again_and_others_stay() {
    let mut back = node("node-1", "True");
    let taint = |key: &str, effect: &str| json!({ "key": key, "effect": effect });
    back.set(
        &["spec", "taints"],
        json!([
            taint(NOT_READY, "NoSchedule"),
            taint(UNREACHABLE, "NoExecute"),
            taint("mine", "NoSchedule"),
        ]),
    );
    let mut world = unrenewed(10, [(NODES, back)]);
    world.settle::<NodeLifecycle>(&key(), time(20));
    assert_eq!(taints(&world), ["mine:NoSchedule"]);
}

#[test]
fn pressure_and_cordon_become_taints() {
    let mut pressed = node("node-1", "True");
    pressed.set(&["spec", "unschedulable"], true.into());
    condition::put(
        pressed.get_mut("status").unwrap(),
        json!({ "type": "DiskPressure", "status": "True" }),
    );
    let mut world = unrenewed(10, [(NODES, pressed)]);
    world.settle::<NodeLifecycle>(&key(), time(20));
    assert_eq!(
        taints(&world),
        [
            "node.kubernetes.io/disk-pressure:NoSchedule",
            "node.kubernetes.io/unschedulable:NoSchedule",
        ]
    );
}

#[test]
fn silence_before_this_process_started_does_not_count() {
    let mut old = node("node-1", "True");
    old.set(
        &["status", "conditions"],
        json!([
            { "type": "Ready", "status": "True", "lastHeartbeatTime": time(-9000).to_string() },
        ]),
    );
    let world = World::new([(NODES, old)]);
    assert_eq!(decide(&world, 10).wake_at, Some(time(50)));
}
