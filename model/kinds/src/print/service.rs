//! The tables of services and their endpoints.

use std::collections::BTreeSet;

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::{AGE, Col, NAME, Printer, age, join, labels, text_or};

/// Endpoints.
pub(crate) static ENDPOINTS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Endpoints",
            "string",
            "@io.k8s.api.core.v1.Endpoints.subsets",
            0,
        ),
        AGE,
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "subsets.addresses.ip",
        "subsets.ports.port",
    ],
    cells: |object, now| {
        vec![
            object.name().into(),
            endpoints(object).into(),
            age(object, now),
        ]
    },
};

fn endpoints(object: &Object) -> String {
    let subsets = object.list_at(&["subsets"]);
    if subsets.is_empty() {
        return "<none>".into();
    }
    let mut found = Vec::new();
    for subset in subsets {
        let addresses = subset
            .list_at(&["addresses"])
            .iter()
            .filter_map(|address| address.str_at(&["ip"]));
        let ports = subset.list_at(&["ports"]);
        if ports.is_empty() {
            found.extend(addresses.clone().map(str::to_owned));
        }
        for port in ports {
            let port = port.int_at(&["port"]).unwrap_or_default();
            found.extend(addresses.clone().map(|ip| {
                if ip.contains(':') {
                    format!("[{ip}]:{port}")
                } else {
                    format!("{ip}:{port}")
                }
            }));
        }
    }
    join(&found, found.len(), "")
}

/// Services.
pub(crate) static SERVICE: Printer = Printer {
    columns: &[
        NAME,
        Col("Type", "string", "@io.k8s.api.core.v1.ServiceSpec.type", 0),
        Col(
            "Cluster-IP",
            "string",
            "@io.k8s.api.core.v1.ServiceSpec.clusterIP",
            0,
        ),
        Col(
            "External-IP",
            "string",
            "@io.k8s.api.core.v1.ServiceSpec.externalIPs",
            0,
        ),
        Col(
            "Port(s)",
            "string",
            "@io.k8s.api.core.v1.ServiceSpec.ports",
            0,
        ),
        AGE,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.core.v1.ServiceSpec.selector",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.type",
        "spec.clusterIPs",
        "spec.externalIPs",
        "spec.externalName",
        "spec.ports",
        "spec.selector",
        "status.loadBalancer.ingress",
    ],
    cells: |object, now| {
        let ip = object
            .list_at(&["spec", "clusterIPs"])
            .first()
            .and_then(Value::as_str);
        vec![
            object.name().into(),
            text_or(object, &["spec", "type"], ""),
            ip.unwrap_or("<none>").into(),
            external_ip(object).into(),
            ports(object).into(),
            age(object, now),
            labels(object.at(&["spec", "selector"])).into(),
        ]
    },
};

/// The addresses of a load balancer, in order. Upstream cuts them in narrow tables alone, and servers print wide ones.
///
/// Source: `loadBalancerStatusStringer`, `ingressLoadBalancerStatusStringer`.
pub(crate) fn load_balancer(object: &Object) -> String {
    let ingress = object
        .list_at(&["status", "loadBalancer", "ingress"])
        .iter();
    let addresses: BTreeSet<&str> = ingress
        .filter_map(|one| {
            let text = |field: &str| one.str_at(&[field]).filter(|text| !text.is_empty());
            text("ip").or_else(|| text("hostname"))
        })
        .collect();
    addresses.into_iter().collect::<Vec<_>>().join(",")
}

fn external_ip(object: &Object) -> String {
    let given: Vec<&str> = object
        .list_at(&["spec", "externalIPs"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    match object.str_at(&["spec", "type"]).unwrap_or_default() {
        "ClusterIP" | "NodePort" if given.is_empty() => "<none>".into(),
        "ClusterIP" | "NodePort" => given.join(","),
        "LoadBalancer" => {
            let balancer = load_balancer(object);
            let all: Vec<&str> = [balancer.as_str()]
                .into_iter()
                .filter(|text| !text.is_empty())
                .chain(given)
                .collect();
            if all.is_empty() {
                "<pending>".into()
            } else {
                all.join(",")
            }
        }
        "ExternalName" => object
            .str_at(&["spec", "externalName"])
            .unwrap_or_default()
            .to_owned(),
        _ => "<unknown>".into(),
    }
}

fn ports(object: &Object) -> String {
    let texts: Vec<String> = object
        .list_at(&["spec", "ports"])
        .iter()
        .map(|port| {
            let number = |field: &str| port.int_at(&[field]).unwrap_or_default();
            let protocol = port.str_at(&["protocol"]).unwrap_or_default();
            match number("nodePort") {
                0 => format!("{}/{protocol}", number("port")),
                node => format!("{}:{node}/{protocol}", number("port")),
            }
        })
        .collect();
    if texts.is_empty() {
        "<none>".into()
    } else {
        texts.join(",")
    }
}
