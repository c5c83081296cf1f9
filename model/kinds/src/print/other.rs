//! The tables of the smaller groups.

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::service::load_balancer;
use super::{AGE, Col, EVERYTHING, NAME, Printer, age, human, join, selector, text_or};
use crate::kind::Cell;

/// Ingresses.
pub(crate) static INGRESS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Class",
            "string",
            "The name of the IngressClass resource that should be used for additional configuration",
            0,
        ),
        Col(
            "Hosts",
            "string",
            "Hosts that incoming requests are matched against before the ingress rule",
            0,
        ),
        Col(
            "Address",
            "string",
            "Address is a list containing ingress points for the load-balancer",
            0,
        ),
        Col(
            "Ports",
            "string",
            "Ports of TLS configurations that open",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let rules = object.list_at(&["spec", "rules"]);
        let first = rules
            .iter()
            .take(3)
            .filter_map(|rule| rule.str_at(&["host"]));
        let hosts: Vec<String> = first
            .filter(|host| !host.is_empty())
            .map(str::to_owned)
            .collect();
        let hosts = if hosts.is_empty() {
            "*".to_owned()
        } else {
            join(&hosts, rules.len(), "*")
        };
        let ports = if object.list_at(&["spec", "tls"]).is_empty() {
            "80"
        } else {
            "80, 443"
        };
        vec![
            object.name().into(),
            text_or(object, &["spec", "ingressClassName"], "<none>"),
            hosts.into(),
            load_balancer(object).into(),
            ports.into(),
            age(object, now),
        ]
    },
};

/// The name, marked when an annotation makes the class the default one.
pub(super) fn class_name<'a>(object: &'a Object, annotations: &[&str]) -> Cell<'a> {
    let is_default = annotations
        .iter()
        .any(|key| object.annotation(key) == Some("true"));
    if is_default {
        format!("{} (default)", object.name()).into()
    } else {
        object.name().into()
    }
}

/// IngressClasses.
pub(crate) static INGRESS_CLASS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Controller",
            "string",
            "Controller that is responsible for handling this class",
            0,
        ),
        Col(
            "Parameters",
            "string",
            "A reference to a resource with additional parameters",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let parameters = object.at(&["spec", "parameters"]).map_or_else(
            || "<none>".to_owned(),
            |parameters| {
                let text = |field: &str| parameters.str_at(&[field]).unwrap_or_default();
                format!(
                    "{}/{}",
                    meta::id::qualified(text("kind"), text("apiGroup")),
                    text("name")
                )
            },
        );
        vec![
            class_name(object, &["ingressclass.kubernetes.io/is-default-class"]),
            text_or(object, &["spec", "controller"], ""),
            parameters.into(),
            age(object, now),
        ]
    },
};

/// NetworkPolicies.
pub(crate) static NETWORK_POLICY: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Pod-Selector",
            "string",
            "@io.k8s.api.networking.v1.NetworkPolicySpec.podSelector",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            selector(object.at(&["spec", "podSelector"])).into(),
            age(object, now),
        ]
    },
};

/// ServiceCIDRs.
pub(crate) static SERVICE_CIDR: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "CIDRs",
            "string",
            "@io.k8s.api.networking.v1.ServiceCIDRSpec.cidrs",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            texts(object, &["spec", "cidrs"], ",").into(),
            age(object, now),
        ]
    },
};

pub(super) fn texts(object: &Object, path: &[&str], separator: &str) -> String {
    let items: Vec<&str> = object
        .list_at(path)
        .iter()
        .filter_map(Value::as_str)
        .collect();
    items.join(separator)
}

/// IPAddresses.
pub(crate) static IP_ADDRESS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "ParentRef",
            "string",
            "@io.k8s.api.networking.v1.IPAddressSpec.parentRef",
            0,
        ),
    ],
    // DIFFERS: upstream's cells have an age that its columns do not name; it is left out.
    reads: EVERYTHING,
    cells: |object, _now| {
        let parent = object.at(&["spec", "parentRef"]).map_or_else(
            || "<none>".to_owned(),
            |parent| {
                let text = |field: &str| parent.str_at(&[field]).unwrap_or_default();
                let resource = meta::id::qualified(text("resource"), text("group")).to_lowercase();
                match text("namespace") {
                    "" => format!("{resource}/{}", text("name")),
                    namespace => format!("{resource}/{namespace}/{}", text("name")),
                }
            },
        );
        vec![object.name().into(), parent.into()]
    },
};

/// EndpointSlices.
pub(crate) static ENDPOINT_SLICE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "AddressType",
            "string",
            "@io.k8s.api.discovery.v1.EndpointSlice.addressType",
            0,
        ),
        Col(
            "Ports",
            "string",
            "@io.k8s.api.discovery.v1.EndpointSlice.ports",
            0,
        ),
        Col(
            "Endpoints",
            "string",
            "@io.k8s.api.discovery.v1.EndpointSlice.endpoints",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let ports = object.list_at(&["ports"]).iter();
        let ports: Vec<String> = ports
            .map(|port| match port.int_at(&["port"]) {
                Some(number) => number.to_string(),
                None => port.str_at(&["name"]).unwrap_or("*").to_owned(),
            })
            .collect();
        let addresses = object.list_at(&["endpoints"]).iter();
        let addresses: Vec<String> = addresses
            .flat_map(|endpoint| endpoint.list_at(&["addresses"]))
            .filter_map(|address| address.as_str().map(str::to_owned))
            .collect();
        vec![
            object.name().into(),
            text_or(object, &["addressType"], ""),
            join(&ports, ports.len(), "<unset>").into(),
            join(&addresses, addresses.len(), "<unset>").into(),
            age(object, now),
        ]
    },
};

const fn subjects(what: &'static str, description: &'static str) -> Col {
    Col(what, "string", description, 1)
}

/// RoleBindings.
pub(crate) static ROLE_BINDING: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Role",
            "string",
            "RoleRef can reference a Role in the current namespace or a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
            0,
        ),
        AGE,
        subjects("Users", "Users in the roleBinding"),
        subjects("Groups", "Groups in the roleBinding"),
        subjects("ServiceAccounts", "ServiceAccounts in the roleBinding"),
    ],
    reads: EVERYTHING,
    cells: binding,
};

/// ClusterRoleBindings.
pub(crate) static CLUSTER_ROLE_BINDING: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Role",
            "string",
            "RoleRef can only reference a ClusterRole in the global namespace. If the RoleRef cannot be resolved, the Authorizer must return an error.",
            0,
        ),
        AGE,
        subjects("Users", "Users in the clusterRoleBinding"),
        subjects("Groups", "Groups in the clusterRoleBinding"),
        subjects(
            "ServiceAccounts",
            "ServiceAccounts in the clusterRoleBinding",
        ),
    ],
    reads: EVERYTHING,
    cells: binding,
};

fn binding(object: &Object, now: jiff::Timestamp) -> Vec<Cell<'_>> {
    let role = |field: &str| object.str_at(&["roleRef", field]).unwrap_or_default();
    let of = |kind: &str| {
        let subjects = object.list_at(&["subjects"]).iter();
        let same = subjects.filter(|subject| subject.str_at(&["kind"]) == Some(kind));
        let names: Vec<String> = same
            .map(|subject| {
                let name = subject.str_at(&["name"]).unwrap_or_default();
                // A service account without a namespace has its slash all the same.
                match subject.str_at(&["namespace"]) {
                    namespace if kind == "ServiceAccount" => {
                        format!("{}/{name}", namespace.unwrap_or_default())
                    }
                    _ => name.to_owned(),
                }
            })
            .collect();
        names.join(", ").into()
    };
    vec![
        object.name().into(),
        format!("{}/{}", role("kind"), role("name")).into(),
        age(object, now),
        of("User"),
        of("Group"),
        of("ServiceAccount"),
    ]
}

/// CertificateSigningRequests. The signer is described by the type of `v1beta1`, as upstream does.
pub(crate) static CERTIFICATE_SIGNING_REQUEST: Printer = Printer {
    columns: &[
        NAME,
        AGE,
        Col(
            "SignerName",
            "string",
            "Requested signer for the request. It is a qualified name in the form: `scope-hostname.io/name`. If empty, it will be defaulted:\n 1. If it's a kubelet client certificate, it is assigned\n    \"kubernetes.io/kube-apiserver-client-kubelet\".\n 2. If it's a kubelet serving certificate, it is assigned\n    \"kubernetes.io/kubelet-serving\".\n 3. Otherwise, it is assigned \"kubernetes.io/legacy-unknown\".\nDistribution of trust for signers happens out of band. You can select on this field using `spec.signerName`.",
            0,
        ),
        Col("Requestor", "string", "Base64-encoded PKCS#10 CSR data", 0),
        Col(
            "RequestedDuration",
            "string",
            "@io.k8s.api.certificates.v1.CertificateSigningRequestSpec.expirationSeconds",
            0,
        ),
        Col(
            "Condition",
            "string",
            "Conditions applied to the request, such as approval or denial.",
            0,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let duration = object.int_at(&["spec", "expirationSeconds"]);
        vec![
            object.name().into(),
            age(object, now),
            text_or(object, &["spec", "signerName"], "<none>"),
            text_or(object, &["spec", "username"], ""),
            duration.map_or_else(|| "<none>".to_owned(), human).into(),
            request_status(object).into(),
        ]
    },
};

fn request_status(object: &Object) -> String {
    let conditions = object.list_at(&["status", "conditions"]);
    let has = |name: &str| {
        conditions
            .iter()
            .any(|one| one.str_at(&["type"]) == Some(name))
    };
    let mut status = if has("Denied") {
        "Denied"
    } else if has("Approved") {
        "Approved"
    } else {
        "Pending"
    }
    .to_owned();
    if has("Failed") {
        status.push_str(",Failed");
    }
    if object
        .str_at(&["status", "certificate"])
        .is_some_and(|text| !text.is_empty())
    {
        status.push_str(",Issued");
    }
    status
}

/// ResourceClaims.
pub(crate) static RESOURCE_CLAIM: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "State",
            "string",
            "A summary of the current state (allocated, pending, reserved, etc.).",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let is_deleted = object.deletion_timestamp().is_some();
        let is_allocated = object.at(&["status", "allocation"]).is_some();
        let is_reserved = !object.list_at(&["status", "reservedFor"]).is_empty();
        let states = [
            (is_deleted, "deleted"),
            (!is_allocated && !is_deleted, "pending"),
            (is_allocated, "allocated"),
            (is_allocated && is_reserved, "reserved"),
        ];
        let states: Vec<&str> = states
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, name)| name)
            .collect();
        vec![
            object.name().into(),
            states.join(",").into(),
            age(object, now),
        ]
    },
};

/// ResourceSlices.
pub(crate) static RESOURCE_SLICE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Node",
            "string",
            "@io.k8s.api.resource.v1.ResourceSliceSpec.nodeName",
            0,
        ),
        Col(
            "Driver",
            "string",
            "@io.k8s.api.resource.v1.ResourceSliceSpec.driver",
            0,
        ),
        Col(
            "Pool",
            "string",
            "@io.k8s.api.resource.v1.ResourcePool.name",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            text_or(object, &["spec", "nodeName"], ""),
            text_or(object, &["spec", "driver"], ""),
            text_or(object, &["spec", "pool", "name"], ""),
            age(object, now),
        ]
    },
};

/// APIServices.
pub(crate) static API_SERVICE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Service",
            "string",
            "The reference to the service that hosts this API endpoint.",
            0,
        ),
        Col(
            "Available",
            "string",
            "Whether this service is available.",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let service = object.at(&["spec", "service"]).map_or_else(
            || "Local".to_owned(),
            |service| {
                let text = |field: &str| service.str_at(&[field]).unwrap_or_default();
                format!("{}/{}", text("namespace"), text("name"))
            },
        );
        let mut conditions = object.list_at(&["status", "conditions"]).iter();
        let available = conditions.find(|one| one.str_at(&["type"]) == Some("Available"));
        let available = available.map_or_else(
            || "Unknown".to_owned(),
            |one| {
                let status = one.str_at(&["status"]).unwrap_or_default();
                match one.str_at(&["reason"]) {
                    Some(reason) if status != "True" => format!("{status} ({reason})"),
                    _ => status.to_owned(),
                }
            },
        );
        vec![
            object.name().into(),
            service.into(),
            available.into(),
            age(object, now),
        ]
    },
};
