//! PodTopologyLabels: a pod bound to a node carries the node's zone and region.
//!
//! Source: `plugin/pkg/admission/podtopologylabels`.

use kinds::strategy::{Lookup, Operation};
use meta::{ObjectExt, StatusError};

use super::{Plugin, Request};

const LABELS: [&str; 2] = [
    "topology.kubernetes.io/region",
    "topology.kubernetes.io/zone",
];

pub(super) struct PodTopologyLabels;

impl Plugin for PodTopologyLabels {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_of("pods") || request.operation != Operation::Create {
            return Ok(());
        }
        let Some(object) = &mut request.object else {
            return Ok(());
        };
        let node = match request.subresource.as_str() {
            "" => object.str_at(&["spec", "nodeName"]),
            "binding" if object.str_at(&["target", "kind"]) == Some("Node") => {
                object.str_at(&["target", "name"])
            }
            _ => None,
        };
        let Some(node) = node.and_then(|name| cluster.get("nodes", "", name)) else {
            return Ok(());
        };
        for label in LABELS {
            if let Some(value) = node.label(label) {
                object.set(&["metadata", "labels", label], value.into());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    #[test]
    fn a_binding_carries_the_zone_of_its_node() {
        let cluster = Cluster::of([(
            "nodes",
            json!({"metadata": {"name": "n", "labels": {"topology.kubernetes.io/zone": "z", "other": "x"}}}),
        )]);
        let user = user("ann", &[]);
        let binding = json!({"metadata": {"name": "p", "namespace": "web"}, "target": {"kind": "Node", "name": "n"}});
        let mut request = request(&user, "", "pods", binding);
        request.subresource = "binding".into();
        PodTopologyLabels.admit(&mut request, &cluster).unwrap();
        assert_eq!(
            request.object.unwrap()["metadata"]["labels"],
            json!({"topology.kubernetes.io/zone": "z"})
        );
    }
}
