//! Joining, on small worlds.

use meta::Resource;
use serde_json::json;

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

fn all(role: Role, objects: Vec<Value>) -> Vec<Lean> {
    let lean = objects.into_iter().map(|object| World::lean(role, object));
    lean.map(Option::unwrap).collect()
}

fn one(role: Role, object: Value) -> Lean {
    World::lean(role, object).unwrap()
}

fn web() -> World {
    let mut world = World::new(followed());
    let bare =
        json!({"kind": "Pod", "metadata": {"name": "bare", "namespace": "shop", "uid": "bare"}});
    let pods = vec![owned("Pod", "web-1-a", ("ReplicaSet", "web-1")), bare];
    world.load(2, all(Role::Pod, pods));
    let set = owned("ReplicaSet", "web-1", ("Deployment", "web"));
    world.load(1, all(Role::Workload, vec![set]));
    let web = json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "web"}});
    world.load(0, all(Role::Workload, vec![web]));
    let node = |name: &str| json!({"metadata": {"name": name, "uid": name}});
    world.load(3, all(Role::Node, vec![node("n1"), node("n2")]));
    world.load(4, Vec::new());
    world
}

fn names(ids: &BTreeSet<Id>) -> Vec<&str> {
    ids.iter().map(|(_, key)| key.name.as_str()).collect()
}

#[test]
fn a_pod_is_found_through_its_replica_set() {
    let world = web();
    let around = world.around(&(0, Key::new("shop", "web"))).unwrap();
    let related = around.related();
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
    let mut pod = owned("Pod", "web-1-a", ("ReplicaSet", "web-1"));
    let same = one(Role::Pod, pod.clone());
    assert!(world.apply(2, same).is_empty(), "nothing has changed");
    pod["status"] = json!({"phase": "Running"});
    let changed = world.apply(2, one(Role::Pod, pod));
    assert_eq!(names(&changed), ["web", "web-1", "web-1-a"]);
    let by_name = json!({"kind": "Pod", "namespace": "shop", "name": "web-1-a"});
    for (number, about) in [json!({"uid": "web-1-a"}), by_name].into_iter().enumerate() {
        let event = json!({"metadata": {"name": format!("e{number}"), "namespace": "shop"},
            "type": "Warning", "involvedObject": about});
        let changed = world.apply(4, one(Role::Event, event));
        assert_eq!(names(&changed), ["web", "web-1", "web-1-a"]);
        let around = world.around(&(0, Key::new("shop", "web"))).unwrap();
        assert_eq!(around.related().events.unwrap().len(), number + 1);
    }
    let harmless = json!({"type": "Normal", "reason": "Scheduled"});
    assert!(World::lean(Role::Event, harmless).is_none());
}

#[test]
fn heartbeats_of_a_node_touch_nothing() {
    let mut world = web();
    let node = |status: &str, beat: &str| {
        json!({"metadata": {"name": "n1", "uid": "n1"}, "status": {"conditions": [
            {"type": "Ready", "status": status, "lastHeartbeatTime": beat}]}})
    };
    assert_eq!(
        names(&world.apply(3, one(Role::Node, node("True", "1")))),
        ["web", "web-1", "bare", "web-1-a"]
    );
    let apply = |world: &mut World, node: Value| world.apply(3, one(Role::Node, node));
    assert!(apply(&mut world, node("True", "2")).is_empty());
    assert!(!apply(&mut world, node("Unknown", "2")).is_empty());
}

#[test]
fn what_cannot_be_read_is_unknown_and_what_fails_is_said() {
    let mut world = web();
    let web = (0, Key::new("shop", "web"));
    assert_eq!(world.fail(3, Reading::Forbidden("no".into())).len(), 4);
    assert_eq!(world.around(&web).unwrap().related().nodes, None);
    world.fail(2, Reading::Failed("timeout".into()));
    let around = world.around(&web).unwrap();
    let related = around.related();
    assert_eq!(related.pods, None);
    assert_eq!(related.pods_error.as_deref(), Some("timeout"));
    assert!(world.fail(2, Reading::Failed("timeout".into())).is_empty());
}

#[test]
fn parts_of_followed_workloads_are_no_workloads() {
    let mut world = web();
    let fixed = owned("Pod", "static", ("Node", "n1"));
    world.apply(2, one(Role::Pod, fixed));
    let part = |kind: usize, name: &str| world.is_part(&(kind, Key::new("shop", name)));
    assert!(part(1, "web-1") && part(2, "web-1-a"));
    assert!(!part(2, "bare") && !part(0, "web") && !part(2, "static"));
}

#[test]
fn what_is_served_no_more_is_forgotten_and_its_parts_stand_alone() {
    let mut world = web();
    let touched = world.retire(0);
    assert_eq!(names(&touched), ["web", "web-1", "bare", "web-1-a"]);
    assert!(!world.is_part(&(1, Key::new("shop", "web-1"))));
    assert_eq!(
        world.around(&(0, Key::new("shop", "web"))).map(|_| ()),
        None
    );
    let web = json!({"kind": "Deployment", "metadata": {"name": "web", "namespace": "shop", "uid": "web"}});
    world.replace(0, all(Role::Workload, vec![web]));
    assert!(world.is_part(&(1, Key::new("shop", "web-1"))));
}

#[test]
fn what_is_known_of_a_silent_cluster_is_out_of_date() {
    let mut world = web();
    let web = (0, Key::new("shop", "web"));
    assert_eq!(world.fall_silent(Some("no answer".into())).len(), 4);
    assert!(world.fall_silent(Some("no answer".into())).is_empty());
    let told = |world: &World| {
        let around = world.around(&web).unwrap();
        around.related().subject_error.clone()
    };
    assert_eq!(told(&world).as_deref(), Some("no answer"));
    world.fall_silent(None);
    assert_eq!(told(&world), None);
    world.fail(0, Reading::Failed("timeout".into()));
    assert_eq!(told(&world).as_deref(), Some("timeout"));
}
