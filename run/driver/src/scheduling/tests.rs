//! The order of pods, and what wakes those that wait.

use super::*;

fn node(name: &str, cpu: &str) -> Arc<Object> {
    Arc::new(json!({
        "metadata": { "name": name },
        "status": { "allocatable": { "cpu": cpu, "memory": "4Gi", "pods": "10" } },
    }))
}

fn pod(name: &str, cpu: &str, priority: i64) -> Arc<Object> {
    Arc::new(json!({
        "metadata": { "name": name, "namespace": "default", "uid": name, "resourceVersion": "7" },
        "spec": { "priority": priority, "containers": [{ "resources": { "requests": { "cpu": cpu } } }] },
        "status": { "phase": "Pending" },
    }))
}

fn on(pod: &Arc<Object>, node: &str) -> Arc<Object> {
    let mut pod = Object::clone(pod);
    pod.set(&["spec", "nodeName"], node.into());
    Arc::new(pod)
}

fn name(next: &Next) -> String {
    match next {
        Next::Placed { pod, node, .. } => format!("{} on {node}", pod.key.name),
        Next::Rejected { pod, .. } => format!("{} waits", pod.key.name),
        Next::Wait(_) => "nothing".into(),
    }
}

#[test]
fn higher_priority_goes_first_then_who_came_first() {
    let (mut state, now) = (State::default(), Instant::now());
    state.see_node(None, Some(&node("a", "9")), now);
    for pod in [
        pod("low", "1", 0),
        pod("high", "1", 10),
        pod("later", "1", 0),
    ] {
        state.see_pod(None, Some(&pod), now);
    }
    let order: Vec<String> = (0..4).map(|_| name(&state.next(now))).collect();
    assert_eq!(order, ["high on a", "low on a", "later on a", "nothing"]);
}

#[test]
fn an_assumed_pod_takes_room_until_its_binding_fails() {
    let (mut state, now) = (State::default(), Instant::now());
    state.see_node(None, Some(&node("a", "1")), now);
    let (first, second) = (pod("first", "1", 0), pod("second", "1", 0));
    state.see_pod(None, Some(&first), now);
    state.see_pod(None, Some(&second), now);
    let Next::Placed { pod: placed, .. } = state.next(now) else {
        panic!("not placed")
    };
    assert_eq!(name(&state.next(now)), "second waits");
    state.unbind(&placed, true, now);
    assert_eq!(
        name(&state.next(now + Duration::from_secs(1))),
        "second on a"
    );
}

#[test]
fn a_pod_that_waits_is_woken_by_what_may_help_and_by_nothing_else() {
    let (mut state, now) = (State::default(), Instant::now());
    let old = node("a", "1");
    state.see_node(None, Some(&old), now);
    let waiting = pod("waits", "2", 0);
    state.see_pod(None, Some(&waiting), now);
    assert_eq!(name(&state.next(now)), "waits waits");
    let later = now + Duration::from_secs(20);
    assert!(!state.see_node(Some(&old), Some(&old), later));
    assert!(!state.see_pod(Some(&waiting), Some(&waiting), later));
    assert_eq!(name(&state.next(later)), "nothing");
    assert!(state.see_node(Some(&old), Some(&node("a", "4")), later));
    assert_eq!(name(&state.next(later)), "waits on a");
}

#[test]
fn a_pod_that_leaves_makes_room() {
    let (mut state, now) = (State::default(), Instant::now());
    state.see_node(None, Some(&node("a", "1")), now);
    let running = on(&pod("runs", "1", 0), "a");
    state.see_pod(None, Some(&running), now);
    state.see_pod(None, Some(&pod("waits", "1", 0)), now);
    assert_eq!(name(&state.next(now)), "waits waits");
    let later = now + Duration::from_secs(20);
    assert!(state.see_pod(Some(&running), None, later));
    assert_eq!(name(&state.next(later)), "waits on a");
}

#[test]
fn a_woken_pod_waits_for_its_back_off() {
    let (mut state, now) = (State::default(), Instant::now());
    state.see_pod(None, Some(&pod("waits", "1", 0)), now);
    assert_eq!(name(&state.next(now)), "waits waits");
    state.see_node(None, Some(&node("a", "1")), now);
    let Next::Wait(Some(at)) = state.next(now) else {
        panic!("not waiting")
    };
    assert_eq!(at - now, Duration::from_secs(1));
    assert_eq!(name(&state.next(at)), "waits on a");
}

#[test]
fn gated_deleted_and_foreign_pods_are_left_alone() {
    let (mut state, now) = (State::default(), Instant::now());
    let edit = |path: &[&str], value: Value| {
        let mut pod = Object::clone(&pod("p", "1", 0));
        pod.set(path, value);
        Arc::new(pod)
    };
    for pod in [
        edit(&["spec", "schedulingGates"], json!([{ "name": "wait" }])),
        edit(&["spec", "schedulerName"], "other".into()),
        edit(
            &["metadata", "deletionTimestamp"],
            "2026-01-01T00:00:00Z".into(),
        ),
        edit(&["status", "phase"], "Succeeded".into()),
    ] {
        assert!(!state.see_pod(None, Some(&pod), now));
        assert_eq!(name(&state.next(now)), "nothing");
    }
}

#[test]
fn the_condition_is_written_once_per_message() {
    let now = Timestamp::from_second(1_800_000_000).unwrap();
    let mut object = Object::clone(&pod("p", "1", 0));
    let patch = unschedulable(&object, "0/1 nodes", now).unwrap();
    assert_eq!(patch["metadata"]["resourceVersion"], "7");
    assert_eq!(patch["status"]["conditions"][0]["reason"], "Unschedulable");
    object.set(
        &["status", "conditions"],
        patch["status"]["conditions"].clone(),
    );
    assert!(unschedulable(&object, "0/1 nodes", now).is_none());
    assert!(unschedulable(&object, "0/2 nodes", now).is_some());
}

#[test]
fn back_off_doubles_to_ten_seconds() {
    let waits: Vec<u64> = (1..=6)
        .map(|attempts| backoff(attempts).as_secs())
        .collect();
    assert_eq!(waits, [1, 2, 4, 8, 10, 10]);
}
