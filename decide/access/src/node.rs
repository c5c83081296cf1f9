//! The Node authorizer: what a kubelet may read, beyond its own role: what its own pods refer to.
//!
//! Source: `plugin/pkg/auth/authorizer/node`. The graph is not kept: it is read from the snapshot on each request,
//! through the store's index of pods by node.

mod references;

use std::borrow::Cow;
use std::sync::{Arc, LazyLock};

use kinds::strategy::Lookup;
use meta::{Object, ObjectExt};

use crate::attributes::{Attributes, Decision};
use crate::rbac::Rule;
use crate::user;

use references::{account, claims, resource_claims};
pub(crate) use references::{config_maps, secrets};

/// Marks what stands for a pod that its node knows from elsewhere. Source: `v1.MirrorPodAnnotationKey`.
pub(crate) const MIRROR_POD: &str = "kubernetes.io/config.mirror";

/// The rules of the `system:node` role.
static NODE_RULES: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let objects = crate::bootstrap::roles_and_bindings();
    let role = objects
        .iter()
        .find(|role| role.kind() == "ClusterRole" && role.name() == "system:node");
    role.map(crate::rbac::rules_of).unwrap_or_default()
});

/// Reads the pods of one node.
pub trait PodsByNode: Lookup {
    /// The pods bound to a node.
    fn pods_on(&self, node: &str) -> Vec<Arc<Object>>;
}

/// Whether a kubelet's request may pass; `NoOpinion` for everybody else and for what its role decides.
pub fn authorize(request: &Attributes, cluster: &dyn PodsByNode) -> Decision {
    let Some(node) = user::node_of(&request.user) else {
        return if user::is_nameless_node(&request.user) {
            no_opinion(&format!("unknown node for user {:?}", user::NODE_PREFIX))
        } else {
            no_opinion("")
        };
    };
    let asked = Asked {
        request,
        cluster,
        node,
    };
    let verdict = match (request.group.as_str(), request.resource.as_str()) {
        _ if !request.is_resource => asked.by_role(),
        ("", "secrets" | "configmaps") => asked.read_by_name(),
        ("", "persistentvolumeclaims") if request.subresource == "status" => {
            asked.change_claim_status()
        }
        ("", "persistentvolumeclaims" | "persistentvolumes")
        | ("resource.k8s.io", "resourceclaims")
        | ("storage.k8s.io", "volumeattachments") => asked.get_by_name(),
        ("", "serviceaccounts") => asked.account(),
        ("", "nodes") => asked.node(),
        ("", "pods") => asked.pod(),
        ("coordination.k8s.io", "leases") => asked.lease(),
        ("storage.k8s.io", "csinodes") => asked.csi_node(),
        ("resource.k8s.io", "resourceslices") => asked.slice(),
        // A feature that is off by default.
        ("certificates.k8s.io", "podcertificaterequests") => Err(String::new()),
        _ => asked.by_role(),
    };
    match verdict {
        Ok(()) => Decision::Allow,
        Err(reason) => Decision::NoOpinion { reason },
    }
}

/// What one kubelet asks; each answer is a refusal's reason, which may be empty.
struct Asked<'a> {
    request: &'a Attributes,
    cluster: &'a dyn PodsByNode,
    node: &'a str,
}

type Verdict = Result<(), String>;

fn refuse(reason: &str) -> Verdict {
    Err(reason.to_owned())
}

/// A rule that must hold.
fn must(holds: bool, reason: &str) -> Verdict {
    if holds { Ok(()) } else { refuse(reason) }
}

impl Asked<'_> {
    fn verb(&self) -> &str {
        &self.request.verb
    }

    fn has_verb(&self, verbs: &[&str]) -> bool {
        verbs.contains(&self.verb())
    }

    /// Whether the selector keeps to what a field says is this node's.
    fn selects_own(&self, field: &str) -> bool {
        self.request.fields.exact(field) == Some(self.node)
    }

    fn read_by_name(&self) -> Verdict {
        let reads = self.has_verb(&["get", "list", "watch"]);
        must(reads, "can only read resources of this type")?;
        must(
            self.request.subresource.is_empty(),
            "cannot read subresource",
        )?;
        let is_namespaced = !self.request.namespace.is_empty();
        must(
            is_namespaced,
            "can only read namespaced object of this type",
        )?;
        self.related()
    }

    fn get_by_name(&self) -> Verdict {
        let why = "can only get individual resources of this type";
        must(self.verb() == "get", why)?;
        must(
            self.request.subresource.is_empty(),
            "cannot get subresource",
        )?;
        self.related()
    }

    fn change_claim_status(&self) -> Verdict {
        let why = "can only get/update/patch this type";
        must(self.has_verb(&["update", "patch"]), why)?;
        self.related()
    }

    fn account(&self) -> Verdict {
        if self.verb() == "get" && self.request.subresource.is_empty() {
            return self.read_by_name();
        }
        let is_one = self.verb() == "create" && !self.request.name.is_empty();
        must(
            is_one,
            "can only create tokens for individual service accounts",
        )?;
        let why = "can only create token subresource of serviceaccount";
        must(self.request.subresource == "token", why)?;
        self.related()
    }

    /// A kubelet reads its own node by name, even before it is there; what it writes is for admission to judge.
    fn node(&self) -> Verdict {
        let (node, name) = (self.node, self.request.name.as_str());
        match (self.request.subresource.as_str(), self.verb()) {
            ("", "create" | "update" | "patch") | ("status", "update" | "patch") => Ok(()),
            ("", "get" | "list" | "watch") if name == node => Ok(()),
            ("", "get" | "list" | "watch") if name.is_empty() => Err(format!(
                "node '{node}' cannot read all nodes, only its own Node object"
            )),
            ("", "get" | "list" | "watch") => Err(format!(
                "node '{node}' cannot read '{name}', only its own Node object"
            )),
            _ => refuse(""),
        }
    }

    /// A kubelet reads the pods bound to its node; what it writes is for admission to judge.
    fn pod(&self) -> Verdict {
        match (self.request.subresource.as_str(), self.verb()) {
            ("", "get") => self.get_by_name(),
            ("", "list" | "watch") if self.selects_own("spec.nodeName") => Ok(()),
            ("", "list" | "watch") if !self.request.name.is_empty() => self.related(),
            ("", "list" | "watch") => {
                refuse("can only list/watch pods with spec.nodeName field selector")
            }
            ("", "create" | "delete") | ("status", "update" | "patch") | ("eviction", "create") => {
                Ok(())
            }
            _ => refuse(""),
        }
    }

    /// A kubelet renews the lease of its own name in `kube-node-lease`.
    fn lease(&self) -> Verdict {
        let why = "can only get, create, update, patch, or delete a node lease";
        must(
            self.has_verb(&["get", "create", "update", "patch", "delete"]),
            why,
        )?;
        let why = "can only access leases in the \"kube-node-lease\" system namespace";
        must(self.request.namespace == "kube-node-lease", why)?;
        let is_own = self.verb() == "create" || self.request.name == self.node;
        must(
            is_own,
            "can only access node lease with the same name as the requesting node",
        )
    }

    fn csi_node(&self) -> Verdict {
        let why = "can only get, create, update, patch, or delete a CSINode";
        must(
            self.has_verb(&["get", "create", "update", "patch", "delete"]),
            why,
        )?;
        let why = "cannot authorize CSINode subresources";
        must(self.request.subresource.is_empty(), why)?;
        let is_own = self.verb() == "create" || self.request.name == self.node;
        must(
            is_own,
            "can only access CSINode with the same name as the requesting node",
        )
    }

    fn slice(&self) -> Verdict {
        let why = "cannot authorize ResourceSlice subresources";
        must(self.request.subresource.is_empty(), why)?;
        match self.verb() {
            "create" => Ok(()),
            "get" | "update" | "patch" | "delete" => self.related(),
            "list" | "watch" | "deletecollection" => must(
                self.selects_own("spec.nodeName"),
                "can only list/watch/deletecollection resourceslices with nodeName field selector",
            ),
            _ => refuse(
                "only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection",
            ),
        }
    }

    /// What the `system:node` role allows without a look at the graph.
    fn by_role(&self) -> Verdict {
        must(NODE_RULES.iter().any(|rule| rule.allows(self.request)), "")
    }

    /// An object may be used when a pod of the node, or the object itself, leads from one to the other.
    fn related(&self) -> Verdict {
        must(!self.request.name.is_empty(), "No Object name found")?;
        if self.is_related() {
            return Ok(());
        }
        Err(format!(
            "no relationship found between node '{}' and this object",
            self.node
        ))
    }

    fn is_related(&self) -> bool {
        let (namespace, name) = (self.request.namespace.as_str(), self.request.name.as_str());
        let is_own = |resource: &str| {
            let found = self.cluster.get(resource, "", name);
            found.is_some_and(|found| found.str_at(&["spec", "nodeName"]) == Some(self.node))
        };
        match self.request.resource.as_str() {
            "secrets" => {
                self.a_pod_names(namespace, name, secrets) || self.a_volume_names(namespace, name)
            }
            "configmaps" => self.a_pod_names(namespace, name, config_maps),
            "persistentvolumeclaims" => self.a_pod_names(namespace, name, claims),
            "resourceclaims" => self.a_pod_names(namespace, name, resource_claims),
            "serviceaccounts" => self.a_pod_names(namespace, name, account),
            "pods" => self.owns_pod(namespace, name),
            "persistentvolumes" => {
                let volume = self.cluster.get("persistentvolumes", "", name);
                volume.is_some_and(|volume| self.claims(&volume))
            }
            "volumeattachments" => is_own("volumeattachments.storage.k8s.io"),
            "resourceslices" => is_own("resourceslices.resource.k8s.io"),
            _ => false,
        }
    }

    fn owns_pod(&self, namespace: &str, name: &str) -> bool {
        let pod = self.cluster.get("pods", namespace, name);
        pod.is_some_and(|pod| pod.str_at(&["spec", "nodeName"]) == Some(self.node))
    }

    /// Whether a pod of the node names something in its namespace. What a node itself made opens nothing to it.
    fn a_pod_names(
        &self,
        namespace: &str,
        name: &str,
        names: impl Fn(&Object) -> Vec<Cow<'_, str>>,
    ) -> bool {
        let pods = self.cluster.pods_on(self.node);
        let mut pods = pods.iter().filter(|pod| pod.namespace() == namespace);
        pods.any(|pod| {
            pod.annotation(MIRROR_POD).is_none() && names(pod).iter().any(|known| known == name)
        })
    }

    /// Whether a pod of the node uses the claim that a volume is bound to.
    fn claims(&self, volume: &Object) -> bool {
        let text = |field: &str| volume.str_at(&["spec", "claimRef", field]);
        let claim = text("namespace").zip(text("name"));
        claim.is_some_and(|(namespace, name)| self.a_pod_names(namespace, name, claims))
    }

    /// Whether a volume whose claim a pod of the node uses names a secret.
    fn a_volume_names(&self, namespace: &str, secret: &str) -> bool {
        let volumes = self.cluster.list("persistentvolumes", "");
        volumes.iter().any(|volume| {
            references::volume_secrets(volume).any(|found| found == (namespace, secret))
                && self.claims(volume)
        })
    }
}

fn no_opinion(reason: &str) -> Decision {
    Decision::NoOpinion {
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use meta::selector::FieldSelector;
    use serde_json::json;

    use super::*;
    use crate::testing::Cluster;

    fn cluster() -> Cluster {
        let claim = json!({"name": "v", "persistentVolumeClaim": {"claimName": "c"}});
        let pod = json!({"metadata": {"name": "p", "namespace": "web"}, "spec": {"nodeName": "n1",
            "serviceAccountName": "a", "volumes": [claim, {"name": "s", "secret": {"secretName": "s"}}]}});
        let volume = json!({"metadata": {"name": "v"}, "spec": {
            "claimRef": {"namespace": "web", "name": "c"}, "csi": {"nodeStageSecretRef": {"namespace": "csi", "name": "s"},
                "controllerPublishSecretRef": {"namespace": "csi", "name": "t"}}}});
        let mirror = json!({"metadata": {"name": "m", "namespace": "web", "annotations": {MIRROR_POD: "x"}},
            "spec": {"nodeName": "n1", "volumes": [{"name": "s", "secret": {"secretName": "t"}}]}});
        let slice = json!({"metadata": {"name": "own"}, "spec": {"nodeName": "n1"}});
        let slices = "resourceslices.resource.k8s.io";
        Cluster::of([
            ("pods", pod),
            ("pods", mirror),
            ("persistentvolumes", volume),
            (slices, slice),
        ])
    }

    /// The answer to `verb group/resource[/subresource] namespace/name ?fieldSelector`, empty when it is allowed.
    fn answer(verb: &str, resource: &str, object: &str, fields: &str) -> String {
        let (group, resource) = resource.split_once('/').unwrap_or(("", resource));
        let (resource, subresource) = resource.split_once(':').unwrap_or((resource, ""));
        let (namespace, name) = object.split_once('/').unwrap_or(("", object));
        let request = Attributes {
            user: user::node("n1"),
            verb: verb.into(),
            group: group.into(),
            resource: resource.into(),
            subresource: subresource.into(),
            namespace: namespace.into(),
            name: name.into(),
            fields: FieldSelector::parse(fields).unwrap(),
            is_resource: true,
            ..Attributes::default()
        };
        match authorize(&request, &cluster()) {
            Decision::Allow => String::new(),
            Decision::Deny { reason } | Decision::NoOpinion { reason } if reason.is_empty() => {
                "no".into()
            }
            Decision::Deny { reason } | Decision::NoOpinion { reason } => reason,
        }
    }

    #[test]
    fn a_kubelet_without_a_name_is_told_so() {
        let request = Attributes {
            user: user::user("system:node:", &[user::NODES]),
            ..Attributes::default()
        };
        assert_eq!(
            authorize(&request, &cluster()),
            no_opinion("unknown node for user \"system:node:\"")
        );
    }

    #[test]
    fn a_kubelet_reads_what_its_pods_need() {
        for (verb, resource, object) in [
            ("get", "secrets", "web/s"),
            ("watch", "secrets", "web/s"),
            ("get", "secrets", "csi/s"),
            ("get", "pods", "web/m"),
            ("get", "persistentvolumeclaims", "web/c"),
            ("get", "persistentvolumes", "v"),
            ("create", "serviceaccounts:token", "web/a"),
            ("get", "serviceaccounts", "web/a"),
            ("get", "pods", "web/p"),
            ("patch", "pods:status", "web/q"),
            ("get", "nodes", "n1"),
            ("patch", "nodes:status", "n1"),
            ("update", "coordination.k8s.io/leases", "kube-node-lease/n1"),
            ("get", "resource.k8s.io/resourceslices", "own"),
            ("list", "services", ""),
        ] {
            assert_eq!(answer(verb, resource, object, ""), "", "{verb} {resource}");
        }
        assert_eq!(answer("list", "pods", "", "spec.nodeName=n1"), "");
        assert_eq!(answer("watch", "nodes", "n1", "metadata.name=n1"), "");
    }

    #[test]
    fn a_kubelet_reads_nothing_else() {
        let none = "no relationship found between node 'n1' and this object";
        for (verb, resource, object, why) in [
            ("get", "secrets", "web/t", none),
            ("get", "secrets", "dev/s", none),
            ("get", "secrets", "csi/t", none),
            ("list", "secrets", "web/", "No Object name found"),
            (
                "update",
                "secrets",
                "web/s",
                "can only read resources of this type",
            ),
            (
                "list",
                "persistentvolumes",
                "",
                "can only get individual resources of this type",
            ),
            ("get", "persistentvolumes", "w", none),
            ("create", "serviceaccounts:token", "web/b", none),
            ("get", "pods", "web/q", none),
            (
                "list",
                "pods",
                "",
                "can only list/watch pods with spec.nodeName field selector",
            ),
            ("patch", "pods", "web/p", "no"),
            (
                "list",
                "nodes",
                "",
                "node 'n1' cannot read all nodes, only its own Node object",
            ),
            (
                "get",
                "nodes",
                "n2",
                "node 'n1' cannot read 'n2', only its own Node object",
            ),
            (
                "list",
                "coordination.k8s.io/leases",
                "kube-node-lease/",
                "can only get, create, update, patch, or delete a node lease",
            ),
            (
                "get",
                "storage.k8s.io/csinodes",
                "n2",
                "can only access CSINode with the same name as the requesting node",
            ),
            (
                "list",
                "resource.k8s.io/resourceslices",
                "",
                "can only list/watch/deletecollection resourceslices with nodeName field selector",
            ),
        ] {
            assert_eq!(
                answer(verb, resource, object, ""),
                why,
                "{verb} {resource} {object}"
            );
        }
        let other = answer("list", "pods", "", "spec.nodeName=n2");
        assert!(other.starts_with("can only list/watch pods"));
    }
}
