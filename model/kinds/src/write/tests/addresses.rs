//! Rules of addresses, each as a small manifest and what a stock server says to it.

use meta::ObjectExt as _;
use serde_json::{Value, json};

use super::cases::{manifest, refused};
use super::harness::changed;

/// A slice with one address.
fn slice(kind: &str, address: &str) -> Value {
    json!({"addressType": kind, "endpoints": [{"addresses": [address]}]})
}

#[test]
fn addresses_of_slices_are_of_their_type() {
    let told = |kind: &str, address: &str, why: &str| {
        let at = "endpoints[0].addresses[0]: ";
        let why = format!("{at}Invalid value: \"{address}\": {why}");
        refused(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            slice(kind, address),
            &why,
        );
    };
    told(
        "IPv6",
        "2001:DB8::1",
        "must be in canonical form (\"2001:db8::1\")",
    );
    told("IPv6", "::", "may not be unspecified (::)");
    let multicast = "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)";
    told("IPv6", "ff02::1", multicast);
    let segments = "should be a domain with at least two segments separated by dots";
    told("FQDN", "localhost", segments);
    for (kind, address) in [
        ("FQDN", "a.b."),
        ("IPv6", "2001:db8::1"),
        ("IPv4", "10.0.0.1"),
    ] {
        refused(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            slice(kind, address),
            "",
        );
    }
    let empty = "endpoints[0].addresses[0]: Required value";
    refused(
        "discovery.k8s.io/v1",
        "EndpointSlice",
        slice("FQDN", ""),
        empty,
    );
}

/// What is said to a change of a manifest into another.
fn change_said(api_version: &str, kind: &str, old: Value, new: Value) -> String {
    let (old, new) = (
        manifest(api_version, kind, old),
        manifest(api_version, kind, new),
    );
    let registry = crate::builtin();
    let kind = registry.kind(&new.gvk().unwrap()).unwrap();
    changed(kind, old, new).join("; ")
}

#[test]
fn endpoints_of_older_rules_may_stay() {
    let version = "discovery.k8s.io/v1";
    let old = slice("IPv6", "2001:DB8::1");
    let mut new = old.clone();
    new.set(&["ports"], json!([{"port": 80}]));
    assert_eq!(
        change_said(version, "EndpointSlice", old.clone(), new.clone()),
        ""
    );
    new.set(&["endpoints"], json!([{"addresses": ["2001:DB8::2"]}]));
    let why = change_said(version, "EndpointSlice", old, new);
    assert!(why.contains("canonical form"), "{why}");
}

/// What a client is warned of who creates a manifest.
pub(super) fn warned(api_version: &str, kind: &str, rest: Value) -> Vec<String> {
    let object = manifest(api_version, kind, rest);
    let registry = crate::builtin();
    let kind = registry.kind(&object.gvk().unwrap()).unwrap();
    kind.strategy.warnings(&object, None)
}

#[test]
fn clients_are_warned_of_addresses_in_other_forms() {
    let canonical = "should be in RFC 5952 canonical format";
    let blocks = |field: &str, value: &str| json!({"spec": {field: [value]}});
    let block = "2001:DB8::/32";
    for (kind, field) in [
        ("Service", "loadBalancerSourceRanges"),
        ("Node", "podCIDRs"),
    ] {
        let why =
            format!("spec.{field}[0]: IPv6 CIDR value \"{block}\" {canonical} (\"2001:db8::/32\")");
        assert_eq!(warned("v1", kind, blocks(field, block)), [why]);
    }
    let peer = json!({"ipBlock": {"cidr": "10.0.0.1/8", "except": ["::ffff:10.1.2.0/120"]}});
    let policy = json!({"spec": {"egress": [{"to": [peer]}]}});
    let at = "spec.egress[0].to[0].ipBlock";
    let told = warned("networking.k8s.io/v1", "NetworkPolicy", policy);
    assert_eq!(
        told,
        [
            format!(
                r#"{at}.cidr: CIDR value "10.0.0.1/8" is ambiguous in this context (should be "10.0.0.0/8" or "10.0.0.1/32"?)"#
            ),
            format!(
                r#"{at}.except[0]: non-standard CIDR value "::ffff:10.1.2.0/120" is invalid: use "10.1.2.0/24""#
            ),
        ]
    );
    let slice = slice("FQDN", "a.b");
    let why = "spec.addressType: FQDN endpoints are deprecated";
    assert_eq!(warned("discovery.k8s.io/v1", "EndpointSlice", slice), [why]);
    let subsets = json!({"subsets": [{"addresses": [{"ip": "FD00::1"}]}]});
    let why =
        format!(r#"subsets[0].addresses[0].ip: IPv6 address "FD00::1" {canonical} ("fd00::1")"#);
    assert_eq!(warned("v1", "Endpoints", subsets), [why]);
    let balancer = json!({"spec": {"loadBalancerIP": "01.2.3.4"}});
    let why =
        r#"spec.loadBalancerIP: non-standard IP address "01.2.3.4" is invalid: use "1.2.3.4""#;
    assert_eq!(warned("v1", "Service", balancer), [why]);
}

/// A Service that is a load balancer, with that in its spec.
fn balancer(field: &str, value: Value) -> Value {
    let mut spec = json!({"type": "LoadBalancer", "ports": [{"port": 80}]});
    spec.set(&[field], value);
    json!({"spec": spec})
}

#[test]
fn addresses_of_older_rules_may_stay() {
    let block = json!([" 10.0.0.1/8"]);
    for (field, value) in [
        ("externalIPs", json!(["010.1.1.1"])),
        ("loadBalancerSourceRanges", block),
    ] {
        let old = balancer(field, value.clone());
        assert_eq!(change_said("v1", "Service", old.clone(), old.clone()), "");
        let why = change_said(
            "v1",
            "Service",
            balancer("sessionAffinity", "None".into()),
            old,
        );
        assert!(why.contains("Invalid value"), "{field}: {why}");
    }
    let policy = |rules: &str, peers: &str| {
        let peer = json!({"ipBlock": {"cidr": "10.0.0.1/8", "except": ["10.1.0.1/16"]}});
        json!({"spec": {"podSelector": {}, rules: [{peers: [peer]}]}})
    };
    let version = "networking.k8s.io/v1";
    let (old, new) = (policy("ingress", "from"), policy("egress", "to"));
    assert_eq!(change_said(version, "NetworkPolicy", old, new.clone()), "");
    let why = change_said(
        version,
        "NetworkPolicy",
        json!({"spec": {"podSelector": {}}}),
        new,
    );
    assert!(why.contains("bits set beyond"), "{why}");
}

#[test]
fn annotated_source_ranges_are_blocks_of_load_balancers() {
    let key = "service.beta.kubernetes.io/load-balancer-source-ranges";
    let service = |kind: &str, ranges: &str| {
        let metadata = json!({"name": "x", "annotations": {key: ranges}});
        json!({"metadata": metadata, "spec": {"type": kind, "ports": [{"port": 80}]}})
    };
    refused(
        "v1",
        "Service",
        service("LoadBalancer", "10.0.0.0/8, fd00::/8"),
        "",
    );
    refused("v1", "Service", service("LoadBalancer", " "), "");
    let at = format!("metadata.annotations[{key}]");
    let why = format!(
        "{at}: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length"
    );
    refused("v1", "Service", service("LoadBalancer", "10.0.0.1/8"), &why);
    let why = format!("{at}: Forbidden: may only be used when `type` is 'LoadBalancer'");
    refused("v1", "Service", service("ClusterIP", ""), &why);
}

#[test]
fn names_of_addresses_are_addresses_written_in_one_way() {
    let reference = json!({"resource": "services", "namespace": "a", "name": "b"});
    for (name, why) in [
        ("01.2.3.4", "must not have leading 0s"),
        ("::ffff:1.2.3.4", "must not be an IPv4-mapped IPv6 address"),
        ("FD00::1", "must be in canonical form (\"fd00::1\")"),
    ] {
        let why = format!("metadata.name: Invalid value: \"{name}\": {why}");
        let rest = json!({"metadata": {"name": name}, "spec": {"parentRef": reference}});
        refused("networking.k8s.io/v1", "IPAddress", rest, &why);
    }
}
