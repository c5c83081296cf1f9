//! Where daemons run, and how they are replaced.

use super::*;
use crate::testing::{World, time};

fn set(image: &str) -> Object {
    json!({
        "metadata": { "name": "agent", "namespace": "default", "uid": "uid-agent", "generation": 1 },
        "spec": {
            "selector": { "matchLabels": { "app": "agent" } },
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "maxUnavailable": 1, "maxSurge": 0 } },
            "template": {
                "metadata": { "labels": { "app": "agent" } },
                "spec": { "containers": [{ "name": "c", "image": image }] },
            },
        },
    })
}

fn node(name: &str) -> Object {
    json!({ "metadata": { "name": name }, "spec": {} })
}

fn key() -> Key {
    Key::new("default", "agent")
}

fn world(nodes: &[&str]) -> World {
    let nodes = nodes.iter().map(|name| (NODES, node(name)));
    let mut world = World::new(nodes.chain([(DAEMON_SETS, set("one"))]));
    world.settle::<DaemonSet>(&key(), time(0));
    world
}

/// Plays scheduler and kubelets.
fn run(world: &mut World) {
    for pod in world.list(&PODS, "default") {
        let mut pod = Object::clone(&pod);
        let node = place::target_node(&pod);
        pod.set(&["spec", "nodeName"], node.into());
        pod.set(
            &["status"],
            json!({ "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": time(0).to_string() },
            ]}),
        );
        world.put(&PODS, pod);
    }
}

fn status(world: &World, field: &str) -> i64 {
    world
        .get(&DAEMON_SETS, &key())
        .unwrap()
        .int_at(&["status", field])
        .unwrap_or_default()
}

fn targets(world: &World) -> Vec<String> {
    let mut nodes: Vec<String> = world
        .list(&PODS, "default")
        .iter()
        .map(|pod| place::target_node(pod))
        .collect();
    nodes.sort();
    nodes
}

#[test]
fn every_node_gets_one_pod() {
    let mut world = world(&["a", "b"]);
    assert_eq!(targets(&world), ["a", "b"]);
    run(&mut world);
    world.settle::<DaemonSet>(&key(), time(1));
    assert_eq!(
        (
            status(&world, "numberReady"),
            status(&world, "numberAvailable")
        ),
        (2, 2)
    );
    world.put(&NODES, node("c"));
    world.settle::<DaemonSet>(&key(), time(1));
    assert_eq!(targets(&world), ["a", "b", "c"]);
    assert_eq!(status(&world, "desiredNumberScheduled"), 3);
}

#[test]
fn taints_keep_daemons_out_unless_they_are_the_usual_ones() {
    let mut tainted = node("b");
    tainted.set(
        &["spec", "taints"],
        json!([{ "key": "mine", "effect": "NoSchedule" }]),
    );
    let mut silent = node("c");
    silent.set(
        &["spec", "taints"],
        json!([{ "key": "node.kubernetes.io/unreachable", "effect": "NoExecute" }]),
    );
    let mut world = World::new([
        (NODES, node("a")),
        (NODES, tainted),
        (NODES, silent),
        (DAEMON_SETS, set("one")),
    ]);
    world.settle::<DaemonSet>(&key(), time(0));
    assert_eq!(targets(&world), ["a", "c"]);
}

#[test]
fn a_node_that_stops_fitting_loses_its_pod_only_when_it_must() {
    let mut world = world(&["a"]);
    run(&mut world);
    let taint = |world: &mut World, effect: &str| {
        let mut tainted = node("a");
        tainted.set(
            &["spec", "taints"],
            json!([{ "key": "mine", "effect": effect }]),
        );
        world.put(&NODES, tainted);
        world.settle::<DaemonSet>(&key(), time(1));
    };
    taint(&mut world, "NoSchedule");
    assert_eq!(
        (targets(&world).len(), status(&world, "numberMisscheduled")),
        (1, 1)
    );
    taint(&mut world, "NoExecute");
    assert!(targets(&world).is_empty());
}

#[test]
fn an_update_replaces_one_pod_at_a_time() {
    let mut world = world(&["a", "b", "c"]);
    run(&mut world);
    let mut changed = set("two");
    changed.set(&["metadata", "generation"], 2.into());
    world.put(&DAEMON_SETS, changed);
    for updated in 1..=3 {
        world.settle::<DaemonSet>(&key(), time(1));
        assert_eq!(status(&world, "updatedNumberScheduled"), updated);
        assert_eq!(status(&world, "numberUnavailable"), 1);
        run(&mut world);
    }
    world.settle::<DaemonSet>(&key(), time(1));
    assert_eq!(
        (
            status(&world, "numberAvailable"),
            status(&world, "updatedNumberScheduled")
        ),
        (3, 3)
    );
    assert_eq!(world.list(&CONTROLLER_REVISIONS, "default").len(), 2);
}

#[test]
fn a_rollback_raises_the_old_revision() {
    let mut world = world(&["a"]);
    for image in ["two", "one"] {
        world.put(&DAEMON_SETS, set(image));
        world.settle::<DaemonSet>(&key(), time(1));
        run(&mut world);
    }
    let revisions: Vec<i64> = world
        .list(&CONTROLLER_REVISIONS, "default")
        .iter()
        .filter_map(|r| r.int_at(&["revision"]))
        .collect();
    assert_eq!(revisions.len(), 2);
    assert!(revisions.contains(&3), "{revisions:?}");
}

#[test]
fn with_surge_the_new_pod_comes_first() {
    let mut surging = set("one");
    surging.set(
        &["spec", "updateStrategy", "rollingUpdate"],
        json!({ "maxSurge": 1, "maxUnavailable": 0 }),
    );
    let mut world = World::new([(NODES, node("a")), (DAEMON_SETS, surging.clone())]);
    world.settle::<DaemonSet>(&key(), time(0));
    run(&mut world);
    surging.set(
        &["spec", "template"],
        set("two")["spec"]["template"].clone(),
    );
    world.put(&DAEMON_SETS, surging);
    world.settle::<DaemonSet>(&key(), time(1));
    assert_eq!(targets(&world), ["a", "a"]);
    run(&mut world);
    world.settle::<DaemonSet>(&key(), time(1));
    assert_eq!(targets(&world), ["a"]);
}

#[test]
fn a_failed_daemon_is_replaced() {
    let mut world = world(&["a"]);
    let mut failed = Object::clone(&world.list(&PODS, "default")[0]);
    failed.set(&["status", "phase"], "Failed".into());
    failed.set(&["spec", "nodeName"], "a".into());
    world.put(&PODS, failed);
    let rounds = world.settle::<DaemonSet>(&key(), time(1));
    assert!(
        crate::testing::events(&rounds[0])[0]
            .starts_with("FailedDaemonPod: Found failed daemon pod")
    );
    assert_eq!(targets(&world), ["a"]);
}
