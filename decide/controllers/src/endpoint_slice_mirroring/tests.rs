//! What is mirrored, and how little changes.

use super::*;
use crate::testing::{World, time};

fn service(selector: &Value) -> Object {
    json!({
        "metadata": { "name": "db", "namespace": "default", "uid": "uid-s" },
        "spec": { "selector": selector },
    })
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "subsets are written in place"
)]
fn endpoints(subsets: Value) -> Object {
    json!({
        "metadata": {
            "name": "db", "namespace": "default", "uid": "uid-e", "labels": { "team": "a" },
            "annotations": { "note": "b", "kubectl.kubernetes.io/last-applied-configuration": "{}" },
        },
        "subsets": subsets,
    })
}

fn world(endpoints: Object) -> World {
    World::new([(SERVICES, service(&json!(null))), (ENDPOINTS, endpoints)])
}

fn settled(world: &mut World) -> usize {
    let key = Key::new("default", "db");
    world.settle::<EndpointSliceMirroring>(&key, time(0)).len()
}

/// Family, ports and addresses with their readiness of each slice.
fn shown(world: &World) -> Vec<String> {
    let show = |slice: &Arc<Object>| {
        let ports = slice.list_at(&["ports"]).iter();
        let ports: Vec<String> = ports.map(|port| port["port"].to_string()).collect();
        let addresses = slice.list_at(&["endpoints"]).iter();
        let addresses =
            addresses.map(|one| format!("{} {}", one["addresses"][0], one["conditions"]["ready"]));
        let addresses: Vec<String> = addresses.collect();
        format!("{} {ports:?} {addresses:?}", slice["addressType"]).replace(['"', '\\'], "")
    };
    let mut shown: Vec<String> = world
        .list(&ENDPOINT_SLICES, "default")
        .iter()
        .map(show)
        .collect();
    shown.sort();
    shown
}

#[test]
fn what_stands_in_endpoints_stands_in_slices() {
    let mut world = world(endpoints(json!([{
        "addresses": [{ "ip": "10.0.0.1", "hostname": "a", "nodeName": "n" }, { "ip": "fd00::1" }],
        "notReadyAddresses": [{ "ip": "10.0.0.2" }],
        "ports": [{ "name": "sql", "port": 5432, "protocol": "TCP" }],
    }])));
    settled(&mut world);
    assert_eq!(
        shown(&world),
        [
            "IPv4 [5432] [10.0.0.1 true, 10.0.0.2 false]",
            "IPv6 [5432] [fd00::1 true]"
        ]
    );
    let slice = &world.list(&ENDPOINT_SLICES, "default")[0];
    assert_eq!(slice["metadata"]["annotations"], json!({ "note": "b" }));
    assert_eq!(
        slice["metadata"]["labels"],
        json!({ "team": "a", SERVICE_LABEL: "db", MANAGED_BY_LABEL: MANAGED_BY })
    );
    assert_eq!(slice["endpoints"][0]["hostname"], "a");
    assert_eq!(slice.controller().unwrap()["kind"], "Endpoints");
    assert_eq!(settled(&mut world), 0);
}

#[test]
fn subsets_with_the_same_addresses_are_one() {
    let mut world = world(endpoints(json!([
        { "addresses": [{ "ip": "10.0.0.1" }], "ports": [{ "name": "a", "port": 1 }] },
        { "addresses": [{ "ip": "10.0.0.1" }], "ports": [{ "name": "b", "port": 2 }] },
        { "addresses": [{ "ip": "10.0.0.3" }], "ports": [{ "name": "c", "port": 3 }] },
    ])));
    settled(&mut world);
    assert_eq!(
        shown(&world),
        ["IPv4 [1, 2] [10.0.0.1 true]", "IPv4 [3] [10.0.0.3 true]"]
    );
}

#[test]
fn a_slice_is_used_again_when_ports_change() {
    let subset =
        |port: u16| json!([{ "addresses": [{ "ip": "10.0.0.1" }], "ports": [{ "port": port }] }]);
    let mut world = world(endpoints(subset(1)));
    settled(&mut world);
    world.put(&ENDPOINTS, endpoints(subset(2)));
    assert_eq!(settled(&mut world), 1);
    assert_eq!(shown(&world), ["IPv4 [2] [10.0.0.1 true]"]);
}

#[test]
fn slices_go_when_they_are_not_wanted() {
    let subsets = json!([{ "addresses": [{ "ip": "10.0.0.1" }], "ports": [{ "port": 1 }] }]);
    let mut skipped = endpoints(subsets.clone());
    skipped.set(&["metadata", "labels", SKIP_LABEL], "true".into());
    let selecting = service(&json!({ "app": "db" }));
    for (resource, object) in [
        (ENDPOINTS, endpoints(json!([]))),
        (ENDPOINTS, skipped),
        (SERVICES, selecting),
    ] {
        let mut world = world(endpoints(subsets.clone()));
        settled(&mut world);
        assert_eq!(shown(&world).len(), 1);
        world.put(&resource, object);
        settled(&mut world);
        assert_eq!(shown(&world).len(), 0, "{resource:?}");
    }
}
