//! Every filter and score on small clusters.

use std::sync::Arc;

use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::*;
use crate::wake::may_help;

fn node(name: &str, cpu: &str) -> Object {
    json!({
        "metadata": { "name": name, "labels": { "kubernetes.io/hostname": name, "zone": &name[..1] } },
        "status": { "allocatable": { "cpu": cpu, "memory": "4Gi", "pods": "10" } },
    })
}

fn pod(name: &str, cpu: &str) -> Object {
    json!({
        "metadata": { "name": name, "namespace": "default", "uid": name, "labels": { "app": "web" } },
        "spec": { "containers": [{ "image": "web", "resources": { "requests": { "cpu": cpu } } }] },
    })
}

fn with(mut object: Object, path: &[&str], value: Value) -> Object {
    object.set(path, value);
    object
}

fn cluster(nodes: impl IntoIterator<Item = Object>) -> Cluster {
    let mut cluster = Cluster::default();
    for node in nodes {
        cluster.set_node(&node);
    }
    cluster
}

fn place(cluster: &mut Cluster, pod: &Object, node: &str) {
    cluster.set_pod(&Arc::new(Pod::read(pod)), node);
}

fn placed(pod: &Object, cluster: &Cluster) -> String {
    schedule(&Pod::read(pod), cluster, 0, 0).unwrap().node
}

fn refused(pod: &Object, cluster: &Cluster) -> Rejections {
    schedule(&Pod::read(pod), cluster, 0, 0).unwrap_err()
}

const VICTIMS: &str = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
const HOPELESS: &str = "no new claims to deallocate, preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling.";

#[test]
fn each_filter_says_why_in_upstreams_words() {
    let busy = |pod: Object| {
        let mut cluster = cluster([node("a1", "2")]);
        place(&mut cluster, &pod, "a1");
        cluster
    };
    let port = |name| {
        with(
            pod(name, "0"),
            &["spec", "containers"],
            json!([{ "ports": [{ "hostPort": 80 }] }]),
        )
    };
    let tainted = json!([{ "key": "k", "value": "v", "effect": "NoSchedule" }]);
    let stories = [
        (
            cluster([node("a1", "1")]),
            pod("p", "2"),
            "1 Insufficient cpu",
            HOPELESS,
        ),
        (
            busy(pod("q", "1500m")),
            pod("p", "1"),
            "1 Insufficient cpu",
            VICTIMS,
        ),
        (
            cluster([with(
                node("a1", "1"),
                &["spec", "unschedulable"],
                true.into(),
            )]),
            pod("p", "0"),
            "1 node(s) were unschedulable",
            HOPELESS,
        ),
        (
            cluster([with(node("a1", "1"), &["spec", "taints"], tainted)]),
            pod("p", "0"),
            "1 node(s) had untolerated taint(s)",
            HOPELESS,
        ),
        (
            cluster([node("a1", "1")]),
            with(
                pod("p", "0"),
                &["spec", "nodeSelector"],
                json!({ "disk": "ssd" }),
            ),
            "1 node(s) didn't match Pod's node affinity/selector",
            HOPELESS,
        ),
        (
            busy(port("q")),
            port("p"),
            "1 node(s) didn't have free ports for the requested pod ports",
            VICTIMS,
        ),
    ];
    for (cluster, pod, reason, preemption) in stories {
        let message = refused(&pod, &cluster).message();
        assert_eq!(
            message,
            format!("0/1 nodes are available: {reason}. {preemption}")
        );
    }
}

#[test]
fn reasons_are_counted_over_nodes_and_sorted() {
    let nodes = [
        node("a1", "1"),
        node("a2", "1"),
        with(node("b1", "9"), &["spec", "unschedulable"], true.into()),
    ];
    let message = refused(&pod("p", "2"), &cluster(nodes)).message();
    assert!(
        message.starts_with(
            "0/3 nodes are available: 1 node(s) were unschedulable, 2 Insufficient cpu. "
        ),
        "{message}"
    );
}

#[test]
fn without_nodes_the_message_is_short() {
    let rejections = refused(&pod("p", "1"), &Cluster::default());
    assert_eq!(rejections.message(), "no nodes available to schedule pods");
    assert!(may_help(Event::Node, &rejections.plugins));
    assert!(!may_help(Event::PodGone, &rejections.plugins));
}

#[test]
fn a_full_node_takes_no_more_pods() {
    let mut cluster = cluster([with(
        node("a1", "8"),
        &["status", "allocatable", "pods"],
        "1".into(),
    )]);
    place(&mut cluster, &pod("q", "0"), "a1");
    assert_eq!(
        refused(&pod("p", "0"), &cluster)
            .reasons
            .keys()
            .collect::<Vec<_>>(),
        ["Too many pods"]
    );
    cluster.remove_pod("q");
    assert_eq!(placed(&pod("p", "0"), &cluster), "a1");
}

#[test]
fn extended_resources_count() {
    let gpu = with(
        pod("p", "0"),
        &["spec", "containers"],
        json!([{ "resources": { "requests": { "example.com/gpu": "1" } } }]),
    );
    let with_gpu = with(
        node("b1", "1"),
        &["status", "allocatable", "example.com/gpu"],
        "1".into(),
    );
    let mut cluster = cluster([node("a1", "1"), with_gpu]);
    assert_eq!(placed(&gpu, &cluster), "b1");
    place(
        &mut cluster,
        &with(gpu.clone(), &["metadata", "uid"], "q".into()),
        "b1",
    );
    assert!(
        refused(&gpu, &cluster)
            .reasons
            .contains_key("Insufficient example.com/gpu")
    );
}

#[test]
fn the_emptier_node_is_better() {
    let mut cluster = cluster([node("a1", "4"), node("a2", "4")]);
    place(&mut cluster, &pod("q", "1"), "a1");
    assert_eq!(placed(&pod("p", "1"), &cluster), "a2");
}

#[test]
fn ties_are_broken_by_the_given_number() {
    let cluster = cluster([node("a1", "4"), node("a2", "4")]);
    let pod = Pod::read(&pod("p", "1"));
    let at = |tie| schedule(&pod, &cluster, 0, tie).unwrap().node;
    assert_ne!(at(0), at(1));
    assert_eq!(at(0), at(2));
}

#[test]
fn soft_taints_and_preferred_nodes_weigh() {
    let soft = json!([{ "key": "k", "effect": "PreferNoSchedule" }]);
    let nodes = [
        with(node("a1", "4"), &["spec", "taints"], soft),
        node("b1", "4"),
    ];
    assert_eq!(placed(&pod("p", "1"), &cluster(nodes.clone())), "b1");
    let prefer = json!([{ "weight": 100, "preference": { "matchExpressions": [
        { "key": "zone", "operator": "In", "values": ["a"] },
    ]}}]);
    let path = [
        "spec",
        "affinity",
        "nodeAffinity",
        "preferredDuringSchedulingIgnoredDuringExecution",
    ];
    let plain = [node("a1", "4"), node("b1", "4")];
    assert_eq!(
        placed(&with(pod("p", "1"), &path, prefer), &cluster(plain)),
        "a1"
    );
}

#[test]
fn anti_affinity_keeps_apart_in_both_directions() {
    let terms =
        json!([{ "topologyKey": "zone", "labelSelector": { "matchLabels": { "app": "web" } } }]);
    let path = [
        "spec",
        "affinity",
        "podAntiAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
    ];
    let lonely = with(pod("q", "0"), &path, terms);
    let mut guarded = cluster([node("a1", "4")]);
    place(&mut guarded, &lonely, "a1");
    let reasons = refused(&pod("p", "0"), &guarded).reasons;
    assert!(reasons.contains_key("node(s) didn't satisfy existing pods anti-affinity rules"));
    let mut plain = cluster([node("a1", "4")]);
    place(&mut plain, &pod("p", "0"), "a1");
    assert!(
        refused(&lonely, &plain)
            .reasons
            .contains_key("node(s) didn't match pod anti-affinity rules")
    );
}

#[test]
fn affinity_follows_and_the_first_of_a_group_goes_anywhere() {
    let terms =
        json!([{ "topologyKey": "zone", "labelSelector": { "matchLabels": { "app": "web" } } }]);
    let path = [
        "spec",
        "affinity",
        "podAffinity",
        "requiredDuringSchedulingIgnoredDuringExecution",
    ];
    let social = with(pod("p", "0"), &path, terms);
    let mut cluster = cluster([node("a1", "4"), node("b1", "4")]);
    placed(&social, &cluster);
    place(
        &mut cluster,
        &with(social.clone(), &["metadata", "uid"], "q".into()),
        "b1",
    );
    assert_eq!(placed(&social, &cluster), "b1");
    let stranger = with(social, &["metadata", "labels"], json!({ "app": "db" }));
    cluster.remove_pod("q");
    assert!(
        refused(&stranger, &cluster)
            .reasons
            .contains_key("node(s) didn't match pod affinity rules")
    );
}

#[test]
fn spread_constraints_bound_the_skew() {
    let constraint = json!([{ "maxSkew": 1, "topologyKey": "zone", "whenUnsatisfiable": "DoNotSchedule",
        "labelSelector": { "matchLabels": { "app": "web" } } }]);
    let spread = with(
        pod("p", "0"),
        &["spec", "topologySpreadConstraints"],
        constraint,
    );
    let mut cluster = cluster([
        node("a1", "4"),
        node("b1", "4"),
        with(node("x1", "4"), &["metadata", "labels"], json!({})),
    ]);
    place(&mut cluster, &pod("q", "0"), "a1");
    assert_eq!(placed(&spread, &cluster), "b1");
    cluster.set_node(&with(
        node("b1", "4"),
        &["spec", "unschedulable"],
        true.into(),
    ));
    let reasons = refused(&spread, &cluster).reasons;
    assert_eq!(
        reasons["node(s) didn't match pod topology spread constraints"],
        1
    );
    assert_eq!(
        reasons["node(s) didn't match pod topology spread constraints (missing required label)"],
        1
    );
}

#[test]
fn nodes_come_and_go_while_pods_stay() {
    let mut cluster = cluster([node("a1", "4"), node("b1", "4")]);
    place(&mut cluster, &pod("q", "3"), "a1");
    cluster.remove_node("a1");
    assert_eq!(cluster.len(), 1);
    assert_eq!(placed(&pod("p", "1"), &cluster), "b1");
    cluster.set_node(&node("a1", "4"));
    assert_eq!(cluster.node("a1").unwrap().requested.cpu_milli, 3000);
    cluster.remove_node("a1");
    cluster.remove_pod("q");
    assert!(cluster.node("a1").is_none() && cluster.node("b1").is_some());
}

#[test]
fn mistyped_fields_ask_for_nothing() {
    let odd = json!({ "metadata": { "uid": 5 }, "spec": { "containers": "x", "tolerations": {}, "affinity": [] } });
    assert_eq!(placed(&odd, &cluster([node("a1", "4")])), "a1");
}
