//! Whatever happens in whatever order, a board that was kept up to date says the same as one that is
//! made anew.

#![expect(clippy::unwrap_used, reason = "the helpers of tests fail as tests do")]

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use meta::{Key, ObjectExt, Resource};
use proptest::prelude::*;
use sampan_workloads::{Board, Followed, Lean, Reading, Role, View, World};
use serde_json::{Value, json};

/// Kinds of this small cluster, by index.
fn followed() -> Vec<Followed> {
    let row = |resource: Resource, role: Role| Followed {
        resource,
        role,
        is_shown: matches!(role, Role::Workload | Role::Pod),
    };
    vec![
        row(
            Resource::namespaced("apps", "v1", "Deployment", "deployments"),
            Role::Workload,
        ),
        row(
            Resource::namespaced("apps", "v1", "ReplicaSet", "replicasets"),
            Role::Workload,
        ),
        row(Resource::namespaced("", "v1", "Pod", "pods"), Role::Pod),
        row(Resource::cluster("", "v1", "Node", "nodes"), Role::Node),
        row(
            Resource::namespaced("", "v1", "Event", "events"),
            Role::Event,
        ),
    ]
}

#[derive(Clone, Debug)]
enum Step {
    Apply(usize, Value),
    Delete(usize, Key),
    Fail(usize),
    Relist(usize),
    Wait(i64),
}

fn metadata(name: &str, owner: Option<(&str, String)>) -> Value {
    let owners: Vec<_> = owner
        .into_iter()
        .map(|(kind, uid)| json!({"apiVersion": "apps/v1", "kind": kind, "uid": uid, "controller": true}))
        .collect();
    json!({"name": name, "namespace": "shop", "uid": name, "generation": 1, "ownerReferences": owners,
        "creationTimestamp": "2026-01-15T12:00:00Z"})
}

fn object(kind: usize, name: u8, choice: u8) -> Value {
    let parent = |prefix: &str| format!("{prefix}{}", choice % 3);
    match kind {
        0 => {
            json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata(&format!("d{name}"), None),
            "spec": {"replicas": choice % 3}, "status": {"observedGeneration": choice % 2, "replicas": choice % 3,
                "updatedReplicas": choice % 3, "availableReplicas": choice % 2, "readyReplicas": choice % 2}})
        }
        1 => json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "spec": {"replicas": 1},
            "metadata": metadata(&format!("r{name}"), (!choice.is_multiple_of(4)).then(|| ("Deployment", parent("d"))))}),
        2 => {
            let waiting = ["ContainerCreating", "ErrImagePull", "CrashLoopBackOff"];
            let reason = waiting.get(usize::from(choice % 3)).unwrap();
            let node = if choice.is_multiple_of(5) {
                String::new()
            } else {
                format!("n{}", choice % 2)
            };
            json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": metadata(&format!("p{name}"), (!choice.is_multiple_of(4)).then(|| ("ReplicaSet", parent("r")))),
                "spec": {"nodeName": node, "containers": [{"name": "app"}]},
                "status": {"phase": "Pending", "containerStatuses": [{"name": "app", "state": {"waiting": {"reason": reason}}}]}})
        }
        3 => {
            json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("n{}", name % 2), "uid": format!("n{}", name % 2)},
            "status": {"conditions": [{"type": "Ready", "status": if choice.is_multiple_of(3) { "Unknown" } else { "True" },
                "lastHeartbeatTime": choice.to_string()}]}})
        }
        _ => {
            json!({"apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": "FailedMount", "message": choice.to_string(),
            "metadata": {"name": format!("e{name}"), "namespace": "shop"},
            "involvedObject": {"uid": parent("p")}, "lastTimestamp": "2026-01-15T12:00:01Z"})
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let kind = 0..5_usize;
    prop_oneof![
        8 => (kind.clone(), 0..3_u8, any::<u8>()).prop_map(|(kind, name, choice)| Step::Apply(kind, object(kind, name, choice))),
        2 => (kind.clone(), 0..3_u8).prop_map(|(kind, name)| Step::Delete(kind, object(kind, name, 0).key())),
        1 => kind.clone().prop_map(Step::Fail),
        1 => kind.prop_map(Step::Relist),
        2 => (1..400_i64).prop_map(Step::Wait),
    ]
}

fn lean(kind: usize, objects: impl Iterator<Item = Value>) -> Vec<Lean> {
    let role = followed().get(kind).unwrap().role;
    objects
        .filter_map(|object| World::lean(role, object))
        .collect()
}

/// The plain truth: all objects, and what can be read.
#[derive(Default)]
struct Truth {
    objects: BTreeMap<usize, BTreeMap<Key, Value>>,
    failed: BTreeMap<usize, bool>,
}

fn fresh(truth: &Truth, now: Timestamp) -> Vec<String> {
    let mut world = World::new(followed());
    for kind in 0..5 {
        let objects = truth
            .objects
            .get(&kind)
            .into_iter()
            .flat_map(BTreeMap::values);
        world.load(kind, lean(kind, objects.cloned()));
        if truth.failed.get(&kind) == Some(&true) {
            world.fail(kind, Reading::Failed("x".into()));
        }
    }
    let mut board = Board::new(View::everything(None), status::Config::spec());
    board.fill(&world, now);
    told(&board)
}

fn told(board: &Board) -> Vec<String> {
    board
        .items()
        .iter()
        .map(|item| item.to_value().to_string())
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_kept_board_equals_a_new_one(steps in prop::collection::vec(step(), 1..40)) {
        let mut now: Timestamp = "2026-01-15T12:00:05Z".parse().unwrap();
        let mut truth = Truth::default();
        let mut world = World::new(followed());
        for kind in 0..5 {
            world.replace(kind, Vec::new());
        }
        let mut board = Board::new(View::everything(None), status::Config::spec());
        for step in steps {
            let mut touched = match step {
                Step::Apply(kind, object) => {
                    truth.objects.entry(kind).or_default().insert(object.key(), object.clone());
                    let object = lean(kind, std::iter::once(object)).pop().unwrap();
                    world.apply(kind, object)
                }
                Step::Delete(kind, key) => {
                    truth.objects.entry(kind).or_default().remove(&key);
                    world.delete(kind, &key)
                }
                Step::Fail(kind) => {
                    truth.failed.insert(kind, true);
                    world.fail(kind, Reading::Failed("x".into()))
                }
                Step::Relist(kind) => {
                    truth.failed.insert(kind, false);
                    let objects = truth.objects.get(&kind).into_iter().flat_map(BTreeMap::values);
                    let objects = lean(kind, objects.cloned());
                    world.replace(kind, objects)
                }
                Step::Wait(seconds) => {
                    now += SignedDuration::from_secs(seconds);
                    BTreeSet::default()
                }
            };
            touched.extend(board.due(now));
            board.settle(&world, touched, now);
            prop_assert_eq!(told(&board), fresh(&truth, now));
        }
    }
}
