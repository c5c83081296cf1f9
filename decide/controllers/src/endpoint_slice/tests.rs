//! What stands in slices, and how little changes.

use super::*;
use crate::endpoints::Endpoints;
use crate::resources::ENDPOINTS;
use crate::testing::{World, pod, time};

fn service() -> Object {
    json!({
        "metadata": { "name": "web", "namespace": "default", "uid": "uid-s", "labels": { "team": "a" } },
        "spec": {
            "clusterIP": "10.0.0.1", "ipFamilies": ["IPv4"], "selector": { "app": "web" },
            "ports": [{ "name": "http", "port": 80, "targetPort": "web", "protocol": "TCP" }],
        },
    })
}

fn backend(number: usize, ready: bool) -> Object {
    let mut pod = pod(&format!("p{number}"), "web", "node-1", ready.then_some(0));
    pod.set(
        &["status", "podIPs"],
        json!([{ "ip": format!("10.1.{}.{}", number / 250, number % 250 + 1) }]),
    );
    pod.set(
        &["spec", "containers"],
        json!([{ "ports": [{ "name": "web", "containerPort": 8080 }] }]),
    );
    pod
}

fn key() -> Key {
    Key::new("default", "web")
}

fn slices(world: &World) -> Vec<Arc<Object>> {
    world.list(&ENDPOINT_SLICES, "default")
}

fn settled(world: &mut World) -> usize {
    world.settle::<EndpointSlice>(&key(), time(0)).len()
}

#[test]
fn ready_pods_become_ready_endpoints() {
    let node = json!({ "metadata": { "name": "node-1", "labels": { ZONE_LABEL: "z1" } } });
    let mut world = World::new([
        (SERVICES, service()),
        (PODS, backend(1, true)),
        (PODS, backend(2, false)),
        (NODES, node),
    ]);
    settled(&mut world);
    let slice = &slices(&world)[0];
    assert_eq!(
        slice["ports"],
        json!([{ "name": "http", "port": 8080, "protocol": "TCP" }])
    );
    assert_eq!(
        slice["endpoints"][0]["conditions"],
        json!({ "ready": true, "serving": true, "terminating": false })
    );
    assert_eq!(slice["endpoints"][0]["zone"], "z1");
    assert_eq!(slice["endpoints"][1]["conditions"]["ready"], false);
    assert_eq!(slice.label(SERVICE_LABEL), Some("web"));
    assert_eq!(slice.label("team"), Some("a"));
    assert_eq!(slice.controller().unwrap()["kind"], "Service");
    assert_eq!(settled(&mut world), 0);
}

#[test]
fn a_pod_on_its_way_out_still_serves_and_is_not_ready() {
    let mut leaving = backend(1, true);
    leaving.set(
        &["metadata", "deletionTimestamp"],
        time(0).to_string().into(),
    );
    let mut world = World::new([(SERVICES, service()), (PODS, leaving)]);
    settled(&mut world);
    let conditions = slices(&world)[0]["endpoints"][0]["conditions"].clone();
    assert_eq!(
        conditions,
        json!({ "ready": false, "serving": true, "terminating": true })
    );
}

#[test]
fn slices_hold_a_hundred_and_change_little() {
    let pods = (0..150).map(|number| (PODS, backend(number, true)));
    let mut world = World::new(pods.chain([(SERVICES, service())]));
    settled(&mut world);
    let sizes: Vec<usize> = slices(&world)
        .iter()
        .map(|slice| slice.list_at(&["endpoints"]).len())
        .collect();
    assert_eq!(sizes, [100, 50]);
    world.remove(&PODS, &Key::new("default", "p3"));
    world.put(&PODS, backend(500, true));
    let seen = EndpointSlice::observe(&world, &key()).unwrap();
    assert_eq!(
        EndpointSlice::decide(&seen, time(0)).actions.len(),
        1,
        "one slice changes"
    );
}

#[test]
fn a_service_without_pods_has_an_empty_slice_that_fills_later() {
    let mut world = World::new([(SERVICES, service())]);
    settled(&mut world);
    assert_eq!(slices(&world).len(), 1);
    world.put(&PODS, backend(1, true));
    settled(&mut world);
    let slices = slices(&world);
    assert_eq!(slices.len(), 1);
    assert_eq!(slices[0].list_at(&["endpoints"]).len(), 1);
}

#[test]
fn services_without_selector_are_left_alone() {
    let mut foreign = service();
    foreign.remove(&["spec", "selector"]);
    assert!(EndpointSlice::observe(&World::new([(SERVICES, foreign)]), &key()).is_none());
    let mut external = service();
    external.set(&["spec", "type"], "ExternalName".into());
    assert!(EndpointSlice::observe(&World::new([(SERVICES, external)]), &key()).is_none());
}

#[test]
fn the_older_form_lists_ready_and_not_ready() {
    let mut world = World::new([
        (SERVICES, service()),
        (PODS, backend(1, true)),
        (PODS, backend(2, false)),
    ]);
    world.settle::<Endpoints>(&key(), time(0));
    let endpoints = world.get(&ENDPOINTS, &key()).unwrap();
    let subset = &endpoints["subsets"][0];
    assert_eq!(subset["addresses"][0]["ip"], "10.1.0.2");
    assert_eq!(subset["notReadyAddresses"][0]["ip"], "10.1.0.3");
    assert_eq!(
        subset["ports"],
        json!([{ "name": "http", "port": 8080, "protocol": "TCP" }])
    );
    assert!(world.settle::<Endpoints>(&key(), time(0)).is_empty());
    world.remove(&PODS, &Key::new("default", "p1"));
    world.remove(&PODS, &Key::new("default", "p2"));
    world.settle::<Endpoints>(&key(), time(0));
    assert_eq!(world.get(&ENDPOINTS, &key()).unwrap().get("subsets"), None);
}

#[test]
fn the_older_form_goes_with_its_service_and_that_of_others_stays() {
    let own = json!({ "metadata": { "name": "own", "namespace": "default" } });
    let mut world = World::new([(SERVICES, service()), (ENDPOINTS, own)]);
    world.settle::<Endpoints>(&key(), time(0));
    world.remove(&SERVICES, &key());
    world.settle::<Endpoints>(&key(), time(0));
    assert!(world.get(&ENDPOINTS, &key()).is_none());
    let other = Key::new("default", "own");
    assert!(world.settle::<Endpoints>(&other, time(0)).is_empty());
}
