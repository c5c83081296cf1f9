//! Ports of the node that pods want for themselves.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::object::{Object, ObjectExt};

/// A port on the node that a pod wants for itself.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// Address; `0.0.0.0` is every one.
    pub ip: String,
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// Number.
    pub port: i64,
}

impl HostPort {
    /// Those that a pod's containers want for as long as it runs.
    pub fn all_of(pod: &Object) -> BTreeSet<Self> {
        let containers = pod.list_at(&["spec", "containers"]).iter();
        let sidecars = pod
            .list_at(&["spec", "initContainers"])
            .iter()
            .filter(|container| container.str_at(&["restartPolicy"]) == Some("Always"));
        let ports = containers
            .chain(sidecars)
            .flat_map(|container| container.list_at(&["ports"]));
        ports.filter_map(Self::read).collect()
    }
    fn read(port: &Value) -> Option<Self> {
        let text = |field: &str, default: &str| {
            port.str_at(&[field])
                .filter(|text| !text.is_empty())
                .unwrap_or(default)
                .to_owned()
        };
        Some(Self {
            ip: text("hostIP", "0.0.0.0"),
            protocol: text("protocol", "TCP"),
            port: port.int_at(&["hostPort"]).filter(|port| *port > 0)?,
        })
    }
    /// Whether both cannot be had on one node.
    pub fn conflicts(&self, other: &Self) -> bool {
        let any = |ip: &str| ip == "0.0.0.0";
        self.port == other.port
            && self.protocol == other.protocol
            && (self.ip == other.ip || any(&self.ip) || any(&other.ip))
    }
}
