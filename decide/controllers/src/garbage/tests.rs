//! Who goes, who stays, and who must be looked for first.

use serde_json::json;

use super::*;
use crate::resources::{NODES, PODS, REPLICA_SETS};
use crate::testing::World;

fn set(finalizers: &[&str], is_leaving: bool) -> Object {
    let mut set = json!({ "metadata": {
        "name": "web", "namespace": "default", "uid": "uid-web", "resourceVersion": "5", "finalizers": finalizers,
    }});
    if is_leaving {
        set.set(
            &["metadata", "deletionTimestamp"],
            "2026-01-01T00:00:00Z".into(),
        );
    }
    set
}

fn pod(owners: &[(&str, &str, &str)]) -> Object {
    let owners: Vec<Value> = owners
        .iter()
        .map(|(kind, name, uid)| {
            let version = if *kind == "Node" { "v1" } else { "apps/v1" };
            json!({ "apiVersion": version, "kind": kind, "name": name, "uid": uid, "blockOwnerDeletion": true })
        })
        .collect();
    json!({ "metadata": {
        "name": "a", "namespace": "default", "uid": "uid-a", "resourceVersion": "7", "ownerReferences": owners,
    }})
}

const OWNED: (&str, &str, &str) = ("ReplicaSet", "web", "uid-web");

struct Story {
    graph: Graph,
    world: World,
    looked: Looked,
}

impl Story {
    fn new(objects: impl IntoIterator<Item = (Resource, Object)>) -> Self {
        let mut story = Self {
            graph: Graph::default(),
            world: World::new([]),
            looked: Looked::default(),
        };
        let versions = ["v1", "apps/v1"].map(str::to_owned);
        story.graph.serve(versions.into());
        for resource in [&PODS, &REPLICA_SETS, &NODES] {
            story.graph.follow(resource);
        }
        for (resource, object) in objects {
            story.graph.see(&resource, None, Some(&object));
            story.world.put(&resource, object);
        }
        story
    }
    fn absent(mut self, uid: &str) -> Self {
        self.looked.absent.insert(uid.to_owned());
        self
    }
    fn decide(&self, resource: &Resource, name: &str) -> Verdict {
        let subject = Subject {
            resource: resource.clone(),
            key: Key::new("default", name),
        };
        decide(&observe(&self.graph, &self.world, &subject, &self.looked).unwrap())
    }
    fn actions(&self, resource: &Resource, name: &str) -> Vec<Action> {
        match self.decide(resource, name) {
            Verdict::Act(decision) => decision.actions,
            Verdict::Look(owners) => panic!("{owners:?}"),
        }
    }
}

#[test]
fn an_owned_object_stays() {
    let story = Story::new([(REPLICA_SETS, set(&[], false)), (PODS, pod(&[OWNED]))]);
    assert!(story.actions(&PODS, "a").is_empty());
}

#[test]
fn an_unseen_owner_is_looked_for_before_anything_goes() {
    let story = Story::new([(PODS, pod(&[OWNED]))]);
    let Verdict::Look(owners) = story.decide(&PODS, "a") else {
        panic!("decided blindly")
    };
    assert_eq!(owners[0].0.key, Key::new("default", "web"));
    let actions = story.absent("uid-web").actions(&PODS, "a");
    let [
        Action::Delete {
            uid,
            resource_version,
            propagation,
            ..
        },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(
        (uid.as_str(), resource_version.as_deref()),
        ("uid-a", Some("7"))
    );
    assert_eq!(*propagation, Some(Propagation::Background));
}

#[test]
fn an_owner_of_the_same_name_and_another_uid_is_no_owner() {
    let mut other = set(&[], false);
    other.set(&["metadata", "uid"], "uid-other".into());
    let story = Story::new([(REPLICA_SETS, other), (PODS, pod(&[OWNED]))]);
    assert!(matches!(story.decide(&PODS, "a"), Verdict::Look(_)));
}

#[test]
fn one_owner_left_is_enough_and_the_others_are_forgotten() {
    let owners = [OWNED, ("ReplicaSet", "gone", "uid-gone")];
    let story =
        Story::new([(REPLICA_SETS, set(&[], false)), (PODS, pod(&owners))]).absent("uid-gone");
    let actions = story.actions(&PODS, "a");
    let [Action::Patch { patch, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(
        patch["metadata"]["ownerReferences"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn a_foreground_deletion_waits_for_those_that_block_it() {
    let story = Story::new([
        (REPLICA_SETS, set(&[FOREGROUND], true)),
        (PODS, pod(&[OWNED])),
    ]);
    assert!(story.actions(&REPLICA_SETS, "web").is_empty());
    assert!(matches!(
        story.actions(&PODS, "a")[..],
        [Action::Delete { .. }]
    ));
    let alone = Story::new([(REPLICA_SETS, set(&[FOREGROUND, "mine"], true))]);
    let actions = alone.actions(&REPLICA_SETS, "web");
    let [Action::Patch { patch, .. }] = &actions[..] else {
        panic!("{actions:?}")
    };
    assert_eq!(patch["metadata"]["finalizers"], json!(["mine"]));
}

#[test]
fn orphans_lose_their_owner_before_it_goes() {
    let story = Story::new([(REPLICA_SETS, set(&[ORPHAN], true)), (PODS, pod(&[OWNED]))]);
    let actions = story.actions(&REPLICA_SETS, "web");
    let [
        Action::Patch { patch: first, .. },
        Action::Patch { patch: second, .. },
    ] = &actions[..]
    else {
        panic!("{actions:?}")
    };
    assert_eq!(first["metadata"]["ownerReferences"], Value::Null);
    assert_eq!(second["metadata"]["finalizers"], Value::Null);
}

#[test]
fn a_cluster_scoped_owner_is_found_from_a_namespace() {
    let node = json!({ "metadata": { "name": "n", "uid": "uid-n" } });
    let story = Story::new([(NODES, node), (PODS, pod(&[("Node", "n", "uid-n")]))]);
    assert!(story.actions(&PODS, "a").is_empty());
}

#[test]
fn a_cluster_scoped_object_cannot_be_owned_from_a_namespace_and_stays() {
    let mut node = json!({ "metadata": { "name": "n", "uid": "uid-n" } });
    node.set(
        &["metadata", "ownerReferences"],
        pod(&[OWNED])["metadata"]["ownerReferences"].clone(),
    );
    let story = Story::new([(NODES, node)]);
    let subject = Subject {
        resource: NODES,
        key: Key::new("", "n"),
    };
    let seen = observe(&story.graph, &story.world, &subject, &story.looked).unwrap();
    let Verdict::Act(decision) = decide(&seen) else {
        panic!("looked")
    };
    assert!(
        matches!(&decision.actions[..], [Action::Event(event)] if event.reason == "OwnerRefInvalidNamespace")
    );
}

#[test]
fn an_owner_of_an_unknown_kind_deletes_nothing() {
    let mut odd = pod(&[OWNED]);
    odd.set(
        &["metadata", "ownerReferences"],
        json!([
            { "apiVersion": "example.com/v1", "kind": "Thing", "name": "x", "uid": "u" },
        ]),
    );
    assert!(Story::new([(PODS, odd)]).actions(&PODS, "a").is_empty());
}

#[test]
fn changes_say_whom_to_ask() {
    let mut graph = Graph::default();
    graph.serve(["v1", "apps/v1"].map(str::to_owned).into());
    graph.follow(&PODS);
    graph.follow(&REPLICA_SETS);
    let (owner, dependent) = (set(&[], false), pod(&[OWNED]));
    let names = |subjects: BTreeSet<Subject>| -> Vec<String> {
        subjects
            .into_iter()
            .map(|subject| subject.key.name)
            .collect()
    };
    assert!(names(graph.see(&REPLICA_SETS, None, Some(&owner))).is_empty());
    assert_eq!(names(graph.see(&PODS, None, Some(&dependent))), ["a"]);
    assert!(names(graph.see(&PODS, Some(&dependent), Some(&dependent))).is_empty());
    let leaving = set(&[FOREGROUND], true);
    assert_eq!(
        names(graph.see(&REPLICA_SETS, Some(&owner), Some(&leaving))),
        ["a", "web"]
    );
    assert_eq!(names(graph.see(&PODS, Some(&dependent), None)), ["web"]);
    assert_eq!(graph.dependents("uid-web").count(), 0);
}

#[test]
fn an_owner_in_a_version_that_nobody_serves_is_not_judged() {
    let mut orphan = pod(&[OWNED]);
    let story = Story::new([(PODS, orphan.clone())]).absent("uid-web");
    assert!(matches!(
        story.actions(&PODS, "a")[..],
        [Action::Delete { .. }]
    ));
    if let Some(owners) = orphan["metadata"]["ownerReferences"].as_array_mut() {
        owners[0]["apiVersion"] = "apps/v9".into();
    }
    let story = Story::new([(PODS, orphan)]).absent("uid-web");
    assert_eq!(story.actions(&PODS, "a"), []);
}
