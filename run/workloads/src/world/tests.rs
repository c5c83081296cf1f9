//! Joining, on small worlds.

use meta::Resource;

use super::*;

fn followed() -> Vec<Followed> {
    let row = |resource: Resource, role: Role| Followed {
        resource,
        role,
        is_shown: true,
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

fn owned(kind: &str, name: &str, owner: (&str, &str)) -> Value {
    json!({"kind": kind, "metadata": {"name": name, "namespace": "shop", "uid": name,
        "ownerReferences": [{"apiVersion": "apps/v1", "kind": owner.0, "uid": owner.1, "controller": true}]},
        "spec": {"nodeName": "n1", "volumes": [1], "containers": [{"name": "a", "env": [1]}]}})
}

fn web() -> World {
    let mut world = World::new(followed());
    world.replace(
        2,
        vec![
            owned("Pod", "web-1-a", ("ReplicaSet", "web-1")),
            json!({"kind": "Pod",
        "metadata": {"name": "bare", "namespace": "shop", "uid": "bare"}}),
        ],
    );
    world.replace(1, vec![owned("ReplicaSet", "web-1", ("Deployment", "web"))]);
    world.replace(0, vec![json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "web"}})]);
    world.replace(
        3,
        vec![
            json!({"metadata": {"name": "n1", "uid": "n1"}}),
            json!({"metadata": {"name": "n2", "uid": "n2"}}),
        ],
    );
    world.replace(4, vec![]);
    world
}

fn names(ids: &BTreeSet<Id>) -> Vec<&str> {
    ids.iter().map(|(_, key)| key.name.as_str()).collect()
}

#[test]
fn a_pod_is_found_through_its_replica_set() {
    let world = web();
    let related = world.related(&(0, Key::new("shop", "web")));
    let names = |list: &Option<Vec<&Value>>| {
        let list = list.as_ref().unwrap();
        list.iter()
            .map(|each| each.name().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&related.pods), ["web-1-a"]);
    assert_eq!(names(&related.replica_sets), ["web-1"]);
    assert_eq!(names(&related.nodes), ["n1"]);
    assert_eq!(related.jobs, None);
    assert!(world.is_complete());
}

#[test]
fn changes_touch_the_whole_chain_and_nothing_else() {
    let mut world = web();
    let pod = owned("Pod", "web-1-a", ("ReplicaSet", "web-1"));
    assert_eq!(names(&world.apply(2, pod)), ["web", "web-1", "web-1-a"]);
    let event = json!({"metadata": {"name": "e", "namespace": "shop"}, "involvedObject": {"uid": "web-1-a"}});
    assert_eq!(names(&world.apply(4, event)), ["web", "web-1", "web-1-a"]);
    let related = world.related(&(0, Key::new("shop", "web")));
    assert_eq!(related.events.unwrap().len(), 1);
}

#[test]
fn heartbeats_of_a_node_touch_nothing() {
    let mut world = web();
    let node = |status: &str, beat: &str| {
        json!({"metadata": {"name": "n1", "uid": "n1"}, "status": {"conditions": [
            {"type": "Ready", "status": status, "lastHeartbeatTime": beat}]}})
    };
    assert_eq!(
        names(&world.apply(3, node("True", "1"))),
        ["web", "web-1", "bare", "web-1-a"]
    );
    assert!(world.apply(3, node("True", "2")).is_empty());
    assert!(!world.apply(3, node("Unknown", "2")).is_empty());
}

#[test]
fn what_cannot_be_read_is_unknown_and_what_fails_is_said() {
    let mut world = web();
    let web = (0, Key::new("shop", "web"));
    assert_eq!(world.fail(3, Reading::Forbidden("no".into())).len(), 4);
    assert_eq!(world.related(&web).nodes, None);
    world.fail(2, Reading::Failed("timeout".into()));
    let related = world.related(&web);
    assert_eq!(related.pods, None);
    assert_eq!(related.pods_error.as_deref(), Some("timeout"));
    assert!(world.fail(2, Reading::Failed("timeout".into())).is_empty());
}

#[test]
fn parts_of_followed_workloads_are_no_workloads() {
    let world = web();
    let part = |kind: usize, name: &str| {
        world.is_part(world.get(&(kind, Key::new("shop", name))).unwrap())
    };
    assert!(part(1, "web-1") && part(2, "web-1-a"));
    assert!(!part(2, "bare") && !part(0, "web"));
    assert!(!world.is_part(&owned("Pod", "static", ("Node", "n1"))));
}

#[test]
fn only_what_rules_read_is_kept() {
    let world = web();
    let pod = world.get(&(2, Key::new("shop", "web-1-a"))).unwrap();
    assert_eq!(
        pod["spec"],
        json!({"nodeName": "n1", "containers": [{"name": "a"}]})
    );
}
