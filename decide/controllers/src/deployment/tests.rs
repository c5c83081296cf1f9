//! Rollouts played to their end in a small world.

use meta::{Key, Object, ObjectExt};
use serde_json::json;

use super::*;
use crate::testing::{World, events, time};

fn deployment(replicas: i64, image: &str) -> Object {
    json!({
        "metadata": { "name": "web", "namespace": "default", "uid": "uid-d", "generation": 1 },
        "spec": {
            "replicas": replicas, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 1,
            "selector": { "matchLabels": { "app": "web" } },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
            "template": template(image),
        },
    })
}

fn template(image: &str) -> Object {
    json!({
        "metadata": { "labels": { "app": "web" } },
        "spec": { "containers": [{ "name": "web", "image": image }] },
    })
}

fn key() -> Key {
    Key::new("default", "web")
}

/// Plays the replica set controller and the nodes: every set gets its pods, and they are ready at once.
fn all_ready(world: &mut World) {
    for set in world.list(&REPLICA_SETS, "default") {
        let mut set = Object::clone(&set);
        let replicas = set.int_at(&["spec", "replicas"]).unwrap();
        set.set(
            &["status"],
            json!({
                "replicas": replicas, "readyReplicas": replicas, "availableReplicas": replicas,
                "observedGeneration": set.generation(), "terminatingReplicas": 0,
            }),
        );
        world.put(&REPLICA_SETS, set);
    }
}

fn change(world: &mut World, edit: impl FnOnce(&mut Object)) {
    let mut deployment = Object::clone(&world.get(&DEPLOYMENTS, &key()).unwrap());
    edit(&mut deployment);
    let generation = deployment.generation() + 1;
    deployment.set(&["metadata", "generation"], generation.into());
    world.put(&DEPLOYMENTS, deployment);
}

/// Decides and plays until nothing moves; returns the events in order.
fn roll(world: &mut World) -> Vec<String> {
    let mut story = Vec::new();
    for _ in 0..30 {
        let rounds = world.settle::<Deployment>(&key(), time(60));
        if rounds.is_empty() {
            break;
        }
        story.extend(rounds.iter().flat_map(events));
        all_ready(world);
    }
    story
}

/// Replica sets by revision, as `revision:replicas`.
fn sizes(world: &World) -> Vec<String> {
    let mut sets: Vec<String> = world
        .list(&REPLICA_SETS, "default")
        .iter()
        .map(|set| {
            let revision = set.annotation(REVISION_ANNOTATION).unwrap();
            format!("{revision}:{}", set.int_at(&["spec", "replicas"]).unwrap())
        })
        .collect();
    sets.sort();
    sets
}

fn condition(world: &World, condition_type: &str) -> (String, String, String) {
    let deployment = world.get(&DEPLOYMENTS, &key()).unwrap();
    let status = deployment.get("status").unwrap();
    let known = crate::condition::find(status, condition_type).unwrap();
    let text = |field: &str| known.str_at(&[field]).unwrap_or_default().to_owned();
    (text("status"), text("reason"), text("message"))
}

fn rolled_out(replicas: i64) -> World {
    let mut world = World::new([(DEPLOYMENTS, deployment(replicas, "one"))]);
    roll(&mut world);
    world
}

#[test]
fn a_new_deployment_gets_a_replica_set_of_its_size() {
    let mut world = World::new([(DEPLOYMENTS, deployment(3, "one"))]);
    let story = roll(&mut world);
    let name = world.list(&REPLICA_SETS, "default")[0].name().to_owned();
    assert_eq!(
        story,
        [format!(
            "ScalingReplicaSet: Scaled up replica set {name} from 0 to 3"
        )]
    );
    let (status, reason, message) = condition(&world, "Progressing");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "NewReplicaSetAvailable")
    );
    assert_eq!(
        message,
        format!("ReplicaSet \"{name}\" has successfully progressed.")
    );
    assert_eq!(
        condition(&world, "Available").2,
        "Deployment has minimum availability."
    );
    let deployment = world.get(&DEPLOYMENTS, &key()).unwrap();
    assert_eq!(deployment.annotation(REVISION_ANNOTATION), Some("1"));
    assert_eq!(
        deployment.int_at(&["status", "observedGeneration"]),
        Some(1)
    );
}

#[test]
fn a_replica_set_carries_hash_annotations_and_owner() {
    let world = rolled_out(3);
    let set = &world.list(&REPLICA_SETS, "default")[0];
    let hash = set.label("pod-template-hash").unwrap();
    assert_eq!(set.name(), format!("web-{hash}"));
    assert_eq!(
        set.str_at(&["spec", "selector", "matchLabels", "pod-template-hash"]),
        Some(hash)
    );
    assert_eq!(
        set.annotation("deployment.kubernetes.io/desired-replicas"),
        Some("3")
    );
    assert_eq!(
        set.annotation("deployment.kubernetes.io/max-replicas"),
        Some("4")
    );
    assert_eq!(set.controller().unwrap().str_at(&["uid"]), Some("uid-d"));
}

#[test]
fn a_changed_template_rolls_out_step_by_step() {
    let mut world = rolled_out(4);
    change(&mut world, |d| {
        d.set(&["spec", "template"], template("two"));
    });
    let story = roll(&mut world);
    let steps: Vec<String> = story
        .iter()
        .map(|event| {
            let words: Vec<&str> = event.split(' ').collect();
            format!(
                "{} {}..{}",
                words[2],
                words[words.len() - 3],
                words[words.len() - 1]
            )
        })
        .collect();
    let last = steps.last().unwrap();
    assert_eq!(steps[0], "up 0..1");
    assert_eq!(last, "down 1..0");
    assert_eq!(sizes(&world), ["1:0", "2:4"]);
    assert_eq!(condition(&world, "Progressing").1, "NewReplicaSetAvailable");
}

#[test]
fn a_rollback_takes_a_new_revision_and_keeps_the_history() {
    let mut world = rolled_out(2);
    change(&mut world, |d| {
        d.set(&["spec", "template"], template("two"));
    });
    roll(&mut world);
    change(&mut world, |d| {
        d.set(&["spec", "template"], template("one"));
    });
    roll(&mut world);
    assert_eq!(sizes(&world), ["2:0", "3:2"]);
    let sets = world.list(&REPLICA_SETS, "default");
    let back = sets
        .iter()
        .find(|set| set.annotation(REVISION_ANNOTATION) == Some("3"))
        .unwrap();
    assert_eq!(
        back.annotation("deployment.kubernetes.io/revision-history"),
        Some("1")
    );
}

#[test]
fn old_replica_sets_beyond_the_limit_are_deleted() {
    let mut world = rolled_out(1);
    for image in ["two", "three"] {
        change(&mut world, |d| {
            d.set(&["spec", "template"], template(image));
        });
        roll(&mut world);
    }
    assert_eq!(sizes(&world), ["2:0", "3:1"]);
}

#[test]
fn a_rollout_that_does_not_become_available_stops_at_the_limits() {
    let mut world = rolled_out(10);
    change(&mut world, |d| {
        d.set(&["spec", "template"], template("bad"));
    });
    world.settle::<Deployment>(&key(), time(60));
    // Surge 3, two may be missing: three new ones, and eight old ones are left.
    assert_eq!(sizes(&world), ["1:8", "2:5"]);
    let (status, reason, _) = condition(&world, "Progressing");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "NewReplicaSetCreated")
    );
    let rounds = world.settle::<Deployment>(&key(), time(60 + 602));
    assert!(!rounds.is_empty());
    let (status, reason, message) = condition(&world, "Progressing");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("False", "ProgressDeadlineExceeded")
    );
    assert!(message.ends_with("has timed out progressing."), "{message}");
}

#[test]
fn a_stuck_rollout_asks_to_be_woken_at_its_deadline() {
    let mut world = World::new([(DEPLOYMENTS, deployment(2, "one"))]);
    world.settle::<Deployment>(&key(), time(60));
    let seen = Deployment::observe(&world, &key()).unwrap();
    assert_eq!(Deployment::decide(&seen, time(60)).wake_at, Some(time(661)));
}

#[test]
fn pods_lost_after_the_rollout_are_no_reason_to_be_woken() {
    let mut world = rolled_out(2);
    for set in world.list(&REPLICA_SETS, "default") {
        let mut set = Object::clone(&set);
        set.set(&["status", "availableReplicas"], 0.into());
        world.put(&REPLICA_SETS, set);
    }
    let late = time(60 + 10_000);
    world.settle::<Deployment>(&key(), late);
    let seen = Deployment::observe(&world, &key()).unwrap();
    assert_eq!(Deployment::decide(&seen, late).wake_at, None);
    let (status, reason, _) = condition(&world, "Progressing");
    assert_eq!(
        (status.as_str(), reason.as_str()),
        ("True", "NewReplicaSetAvailable")
    );
}

#[test]
fn scaling_alone_changes_the_only_active_set() {
    let mut world = rolled_out(3);
    change(&mut world, |d| d.set(&["spec", "replicas"], 5.into()));
    roll(&mut world);
    assert_eq!(sizes(&world), ["1:5"]);
}

#[test]
fn scaling_in_a_rollout_is_shared_in_proportion() {
    let mut world = rolled_out(10);
    change(&mut world, |d| {
        d.set(&["spec", "template"], template("bad"));
    });
    world.settle::<Deployment>(&key(), time(60));
    change(&mut world, |d| d.set(&["spec", "replicas"], 15.into()));
    world.settle::<Deployment>(&key(), time(60));
    let total: i64 = world
        .list(&REPLICA_SETS, "default")
        .iter()
        .map(|set| set.int_at(&["spec", "replicas"]).unwrap())
        .sum();
    assert_eq!(total, 19, "{:?}", sizes(&world));
    assert_eq!(sizes(&world), ["1:12", "2:7"]);
}

#[test]
fn a_paused_deployment_scales_and_does_not_roll() {
    let mut world = rolled_out(2);
    change(&mut world, |d| {
        d.set(&["spec", "paused"], true.into());
        d.set(&["spec", "template"], template("two"));
        d.set(&["spec", "replicas"], 4.into());
    });
    roll(&mut world);
    assert_eq!(sizes(&world), ["1:4"]);
    assert_eq!(
        condition(&world, "Progressing"),
        (
            "Unknown".into(),
            "DeploymentPaused".into(),
            "Deployment is paused".into()
        )
    );
    change(&mut world, |d| d.set(&["spec", "paused"], false.into()));
    roll(&mut world);
    assert_eq!(sizes(&world), ["1:0", "2:4"]);
}

#[test]
fn recreate_waits_for_old_pods_to_end() {
    let mut recreated = deployment(2, "one");
    recreated.set(&["spec", "strategy"], json!({ "type": "Recreate" }));
    let mut world = World::new([(DEPLOYMENTS, recreated)]);
    roll(&mut world);
    let set = world.list(&REPLICA_SETS, "default")[0].name().to_owned();
    let mut pod = crate::testing::pod("a", &set, "node-1", Some(0));
    pod.set(
        &["metadata", "deletionTimestamp"],
        time(1).to_string().into(),
    );
    world.put(&PODS, pod);
    change(&mut world, |d| {
        d.set(&["spec", "template"], template("two"));
    });
    roll(&mut world);
    assert_eq!(sizes(&world), ["1:0"]);
    world.remove(&PODS, &Key::new("default", "a"));
    roll(&mut world);
    assert_eq!(sizes(&world), ["1:0", "2:2"]);
}

#[test]
fn a_taken_name_counts_a_collision() {
    let new = deployment(1, "one");
    let mut taken = json!({ "metadata": { "namespace": "default", "uid": "other" } });
    taken.set(&["metadata", "name"], revision::new_name(&new).into());
    let mut world = World::new([(DEPLOYMENTS, new), (REPLICA_SETS, taken)]);
    world.settle::<Deployment>(&key(), time(60));
    let deployment = world.get(&DEPLOYMENTS, &key()).unwrap();
    assert_eq!(deployment.int_at(&["status", "collisionCount"]), Some(1));
    assert_eq!(world.list(&REPLICA_SETS, "default").len(), 2);
}

#[test]
fn a_refused_replica_set_is_said_in_condition_and_event() {
    let mut world = World::new([(DEPLOYMENTS, deployment(1, "one"))]);
    let seen = Deployment::observe(&world, &key()).unwrap();
    let failure = crate::Failure {
        index: 0,
        code: 403,
        reason: "Forbidden".into(),
        message: "exceeded quota".into(),
    };
    let decision = Deployment::failed(&seen, &failure, time(60)).unwrap();
    let name = revision::new_name(&seen.deployment);
    let message = format!("Failed to create new replica set \"{name}\": exceeded quota");
    assert_eq!(
        events(&decision),
        [format!("ReplicaSetCreateError: {message}")]
    );
    world.perform(&decision);
    assert_eq!(
        condition(&world, "Progressing"),
        ("False".into(), "ReplicaSetCreateError".into(), message)
    );
}

#[test]
fn annotations_reach_the_new_replica_set_but_not_the_applied_configuration() {
    let mut noted = deployment(1, "one");
    noted.set(
        &["metadata", "annotations"],
        json!({ "kubernetes.io/change-cause": "first", "kubectl.kubernetes.io/last-applied-configuration": "{}" }),
    );
    let mut world = World::new([(DEPLOYMENTS, noted)]);
    roll(&mut world);
    let set = &world.list(&REPLICA_SETS, "default")[0];
    assert_eq!(set.annotation("kubernetes.io/change-cause"), Some("first"));
    assert_eq!(
        set.annotation("kubectl.kubernetes.io/last-applied-configuration"),
        None
    );
}
