//! What state a pod's node is in (specification, section 4).

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::field;
use crate::text::is_token;

/// The nodes by name, or unknown.
pub(crate) struct Nodes<'a> {
    by_name: Option<BTreeMap<&'a str, &'a Value>>,
}

/// The state of one node, as far as its pods are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NodeState<'a> {
    /// It reports and is well.
    Ready,
    /// It stopped reporting, or never did.
    Unreachable {
        /// Message of the Ready condition.
        message: &'a str,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// It reports a fault.
    NotReady {
        /// The runtime's own reason if the message names one, else `NodeNotReady`.
        reason: &'a str,
        /// Message of the Ready condition.
        message: &'a str,
        /// Since when.
        since: Option<Timestamp>,
    },
    /// The node that the pod is bound to does not exist.
    Missing,
    /// Nodes are not known, or the pod has none.
    Unknown,
}

impl<'a> Nodes<'a> {
    pub(crate) fn new(nodes: Option<&[&'a Value]>) -> Self {
        Self {
            by_name: nodes.map(|nodes| {
                nodes
                    .iter()
                    .map(|node| (field::name(node), *node))
                    .collect()
            }),
        }
    }

    /// Whether nodes may be read at all.
    pub(crate) fn are_known(&self) -> bool {
        self.by_name.is_some()
    }

    /// Every known node, by name.
    pub(crate) fn all(&self) -> impl Iterator<Item = &'a Value> {
        self.by_name
            .iter()
            .flat_map(|nodes| nodes.values().copied())
    }

    /// The state of the node with this name.
    pub(crate) fn state(&self, name: &str) -> NodeState<'a> {
        let Some(nodes) = &self.by_name else {
            return NodeState::Unknown;
        };
        if name.is_empty() {
            return NodeState::Unknown;
        }
        nodes
            .get(name)
            .map_or(NodeState::Missing, |node| state(node))
    }
}

fn state(node: &Value) -> NodeState<'_> {
    let Some(ready) = field::condition(node, "Ready") else {
        return NodeState::Unreachable {
            message: "",
            since: None,
        };
    };
    let message = field::text(ready, "message");
    let since = field::time(ready, "lastTransitionTime");
    match field::text(ready, "status") {
        "True" => NodeState::Ready,
        "False" => NodeState::NotReady {
            reason: embedded_reason(message).unwrap_or("NodeNotReady"),
            message,
            since,
        },
        _ => NodeState::Unreachable { message, since },
    }
}

/// The first `reason:X` in a Ready message; the kubelet quotes the runtime's condition there.
fn embedded_reason(message: &str) -> Option<&str> {
    message
        .split("reason:")
        .skip(1)
        .map(|rest| {
            let end = rest
                .find(|each: char| !each.is_ascii_alphanumeric())
                .unwrap_or(rest.len());
            rest.split_at(end).0
        })
        .find(|reason| is_token(reason))
}

impl<'a> NodeState<'a> {
    /// Whether nothing that the pods' status says can be trusted.
    pub(crate) fn is_lost(self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::NotReady { .. } | Self::Missing => true,
            Self::Ready | Self::Unknown => false,
        }
    }

    /// The reason that a pod on this node has for being lost.
    pub(crate) fn reason(self) -> &'a str {
        match self {
            Self::NotReady { reason, .. } => reason,
            Self::Missing => "NodeNotFound",
            Self::Ready | Self::Unknown | Self::Unreachable { .. } => "NodeUnreachable",
        }
    }

    /// What the node says about itself.
    pub(crate) fn message(self) -> &'a str {
        match self {
            Self::NotReady { message, .. } | Self::Unreachable { message, .. } => message,
            Self::Ready | Self::Missing | Self::Unknown => "",
        }
    }

    /// Since when it has been so.
    pub(crate) fn since(self) -> Option<Timestamp> {
        match self {
            Self::NotReady { since, .. } | Self::Unreachable { since, .. } => since,
            Self::Ready | Self::Missing | Self::Unknown => None,
        }
    }

    /// Whether the node's container runtime does not work: what `DockerDaemonNotReady` meant, in the
    /// words of any kubelet.
    pub(crate) fn lacks_runtime(self) -> bool {
        let words = [
            "RuntimeReady=false",
            "container runtime is down",
            "container runtime status check may not have completed yet",
            "PLEG is not healthy",
        ];
        match self {
            Self::NotReady { message, .. } => words.iter().any(|word| message.contains(word)),
            Self::Ready | Self::Missing | Self::Unknown | Self::Unreachable { .. } => false,
        }
    }

    /// Whether the node reports and lacks nothing but its pod network.
    pub(crate) fn lacks_network_only(self) -> bool {
        match self {
            Self::NotReady { message, .. } => {
                message.contains("NetworkReady=false") && !message.contains("RuntimeReady=false")
            }
            Self::Ready | Self::Missing | Self::Unknown | Self::Unreachable { .. } => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn with(status: &str, message: &str) -> Value {
        json!({"metadata": {"name": "n1"}, "status": {"conditions": [
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": status, "message": message}]}})
    }

    #[test]
    fn section_4_states() {
        let network = "container runtime network not ready: NetworkReady=false \
                       reason:NetworkPluginNotReady message:cni";
        for (node, expected) in [
            (with("True", ""), "NodeUnreachable"),
            (
                with("Unknown", "Kubelet stopped posting node status."),
                "NodeUnreachable",
            ),
            (with("False", network), "NetworkPluginNotReady"),
            (
                with("False", "PLEG is not healthy: pleg was last seen"),
                "NodeNotReady",
            ),
            (with("False", "reason: reason:9 reason:Ok"), "Ok"),
            (json!({"metadata": {"name": "n1"}}), "NodeUnreachable"),
        ] {
            let list = [&node];
            let nodes = Nodes::new(Some(&list));
            assert_eq!(nodes.state("n1").reason(), expected, "{node}");
        }
        let nodes = Nodes::new(Some(&[]));
        assert_eq!(nodes.state("n9"), NodeState::Missing);
        assert_eq!(nodes.state(""), NodeState::Unknown);
        assert_eq!(Nodes::new(None).state("n9"), NodeState::Unknown);
    }
}
