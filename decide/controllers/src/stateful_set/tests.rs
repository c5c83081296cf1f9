//! Order, identity and updates of stateful pods.

use super::*;
use crate::testing::{World, time};

fn set(replicas: i64, image: &str) -> Object {
    json!({
        "metadata": { "name": "db", "namespace": "default", "uid": "uid-db", "generation": 1 },
        "spec": {
            "replicas": replicas, "serviceName": "db", "podManagementPolicy": "OrderedReady",
            "selector": { "matchLabels": { "app": "db" } },
            "updateStrategy": { "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } },
            "volumeClaimTemplates": [{ "metadata": { "name": "data" }, "spec": {} }],
            "template": {
                "metadata": { "labels": { "app": "db" } },
                "spec": { "containers": [{ "name": "c", "image": image }] },
            },
        },
    })
}

fn key() -> Key {
    Key::new("default", "db")
}

fn settle(world: &mut World) {
    world.settle::<StatefulSet>(&key(), time(1));
}

fn names(world: &World) -> Vec<String> {
    world
        .list(&PODS, "default")
        .iter()
        .map(|pod| pod.name().to_owned())
        .collect()
}

fn images(world: &World) -> Vec<String> {
    let image = |pod: &Arc<Object>| {
        pod["spec"]["containers"][0]["image"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    world.list(&PODS, "default").iter().map(image).collect()
}

fn run(world: &mut World) {
    for pod in world.list(&PODS, "default") {
        let mut pod = Object::clone(&pod);
        pod.set(
            &["status"],
            json!({ "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": time(0).to_string() },
            ]}),
        );
        world.put(&PODS, pod);
    }
}

fn grown(replicas: i64) -> World {
    let mut world = World::new([(STATEFUL_SETS, set(replicas, "one"))]);
    for _ in 0..=replicas {
        settle(&mut world);
        run(&mut world);
    }
    settle(&mut world);
    world
}

fn status(world: &World, field: &str) -> Value {
    world.get(&STATEFUL_SETS, &key()).unwrap()["status"][field].clone()
}

#[test]
fn pods_come_in_order_with_their_claims() {
    let mut world = World::new([(STATEFUL_SETS, set(2, "one"))]);
    settle(&mut world);
    assert_eq!(names(&world), ["db-0"]);
    run(&mut world);
    settle(&mut world);
    assert_eq!(names(&world), ["db-0", "db-1"]);
    let pod = world.get(&PODS, &Key::new("default", "db-1")).unwrap();
    assert_eq!(pod.label("apps.kubernetes.io/pod-index"), Some("1"));
    assert_eq!(pod.str_at(&["spec", "hostname"]), Some("db-1"));
    assert_eq!(pod.str_at(&["spec", "subdomain"]), Some("db"));
    assert_eq!(
        pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"],
        "data-db-1"
    );
    let claims: Vec<String> = world
        .list(&PERSISTENT_VOLUME_CLAIMS, "default")
        .iter()
        .map(|c| c.name().to_owned())
        .collect();
    assert_eq!(claims, ["data-db-0", "data-db-1"]);
}

#[test]
fn parallel_sets_start_at_once() {
    let mut parallel = set(3, "one");
    parallel.set(&["spec", "podManagementPolicy"], "Parallel".into());
    let mut world = World::new([(STATEFUL_SETS, parallel)]);
    settle(&mut world);
    assert_eq!(names(&world).len(), 3);
}

#[test]
fn it_shrinks_from_the_top_one_at_a_time() {
    let mut world = grown(3);
    assert_eq!(status(&world, "readyReplicas"), 3);
    world.put(&STATEFUL_SETS, {
        let mut less = Object::clone(&world.get(&STATEFUL_SETS, &key()).unwrap());
        less.set(&["spec", "replicas"], 1.into());
        less
    });
    let seen = StatefulSet::observe(&world, &key()).unwrap();
    let deletes = StatefulSet::decide(&seen, time(1)).actions;
    assert_eq!(deletes.len(), 1, "{deletes:?}");
    settle(&mut world);
    assert_eq!(names(&world), ["db-0"]);
    assert_eq!(
        world.list(&PERSISTENT_VOLUME_CLAIMS, "default").len(),
        3,
        "claims stay"
    );
}

#[test]
fn it_does_not_shrink_while_pods_are_unwell() {
    let unwell = |world: &mut World, name: &str| {
        let pod = world.get(&PODS, &Key::new("default", name)).unwrap();
        let mut pod = Object::clone(&pod);
        pod.set(
            &["status", "conditions"],
            json!([{"type": "Ready", "status": "False"}]),
        );
        world.put(&PODS, pod);
    };
    let mut world = grown(3);
    for name in ["db-0", "db-1", "db-2"] {
        unwell(&mut world, name);
    }
    change(&mut world, |set| set.set(&["spec", "replicas"], 0.into()));
    settle(&mut world);
    assert_eq!(names(&world), ["db-0", "db-1", "db-2"]);
    run(&mut world);
    settle(&mut world);
    assert_eq!(names(&world), [""; 0], "well again");

    // The only one that is unwell goes.
    let mut world = grown(3);
    unwell(&mut world, "db-2");
    change(&mut world, |set| set.set(&["spec", "replicas"], 2.into()));
    settle(&mut world);
    assert_eq!(names(&world), ["db-0", "db-1"]);

    // In parallel nobody waits.
    let mut world = grown(3);
    for name in ["db-0", "db-1", "db-2"] {
        unwell(&mut world, name);
    }
    change(&mut world, |set| {
        set.set(&["spec", "replicas"], 0.into());
        set.set(&["spec", "podManagementPolicy"], "Parallel".into());
    });
    settle(&mut world);
    assert_eq!(names(&world), [""; 0]);
}

fn change(world: &mut World, edit: impl FnOnce(&mut Object)) {
    let mut changed = Object::clone(&world.get(&STATEFUL_SETS, &key()).unwrap());
    edit(&mut changed);
    world.put(&STATEFUL_SETS, changed);
}

#[test]
fn updates_go_from_the_top_and_wait_for_each_pod() {
    let mut world = grown(3);
    let first = status(&world, "currentRevision");
    change(&mut world, |set| {
        set.set(
            &["spec", "template", "spec", "containers"],
            json!([{ "name": "c", "image": "two" }]),
        );
    });
    settle(&mut world);
    assert_eq!(images(&world), ["one", "one", "two"]);
    assert_eq!(status(&world, "currentRevision"), first);
    assert_ne!(status(&world, "updateRevision"), first);
    for expected in [["one", "two", "two"], ["two", "two", "two"]] {
        run(&mut world);
        settle(&mut world);
        assert_eq!(images(&world), expected);
    }
    run(&mut world);
    settle(&mut world);
    assert_eq!(
        status(&world, "currentRevision"),
        status(&world, "updateRevision")
    );
    assert_eq!(status(&world, "updatedReplicas"), 3);
}

#[test]
fn a_partition_holds_the_lower_ones_back() {
    let mut world = grown(2);
    change(&mut world, |set| {
        set.set(
            &["spec", "updateStrategy", "rollingUpdate", "partition"],
            1.into(),
        );
        set.set(
            &["spec", "template", "spec", "containers"],
            json!([{ "name": "c", "image": "two" }]),
        );
    });
    settle(&mut world);
    run(&mut world);
    settle(&mut world);
    assert_eq!(images(&world), ["one", "two"]);
    world.remove(&PODS, &Key::new("default", "db-0"));
    settle(&mut world);
    assert_eq!(
        images(&world),
        ["one", "two"],
        "a lost pod comes back in the old revision"
    );
}

#[test]
fn a_failed_pod_makes_way_for_its_successor() {
    let mut world = grown(1);
    let mut failed = Object::clone(&world.get(&PODS, &Key::new("default", "db-0")).unwrap());
    failed.set(&["status", "phase"], "Failed".into());
    world.put(&PODS, failed);
    settle(&mut world);
    let pod = world.get(&PODS, &Key::new("default", "db-0")).unwrap();
    assert_ne!(pod.str_at(&["status", "phase"]), Some("Failed"));
}

#[test]
fn only_names_of_the_set_have_ordinals() {
    let set = set(1, "one");
    let cases = [
        ("db-0", Some(0)),
        ("db-12", Some(12)),
        ("db-", None),
        ("db-x", None),
        ("dbx-1", None),
        ("db--1", None),
    ];
    for (name, expected) in cases {
        assert_eq!(identity::ordinal(&set, name), expected, "{name}");
    }
}
