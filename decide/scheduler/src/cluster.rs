//! The nodes and what runs on them, kept up to date by whoever schedules.

use std::collections::BTreeMap;
use std::sync::Arc;

use meta::{Object, ObjectExt};

use crate::pod::Pod;
use crate::resources::Resources;
use meta::host_port::HostPort;
use meta::taint::Taint;

/// A node.
#[derive(Clone, Debug, Default)]
pub struct Node {
    /// Name.
    pub name: String,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Taints.
    pub taints: Vec<Taint>,
    /// `spec.unschedulable`.
    pub is_unschedulable: bool,
    /// What pods may have together.
    pub allocatable: Resources,
    /// How many pods it takes.
    pub pods_max: i64,
    /// Sizes of the images it has, by name.
    pub images: BTreeMap<String, i64>,
    /// Whether there is a Node object; pods may be bound to a node before it is known.
    pub is_known: bool,
    /// Its pods, by uid.
    pub pods: BTreeMap<String, Arc<Pod>>,
    /// What its pods ask for.
    pub requested: Resources,
    /// The same with defaults.
    pub nonzero_requested: Resources,
    /// Pods with required anti-affinity, by uid: they may refuse newcomers.
    pub guarded: BTreeMap<String, Arc<Pod>>,
}

impl Node {
    fn describe(&mut self, node: &Object) {
        self.labels = node.labels();
        let taints = node.list_at(&["spec", "taints"]).iter();
        self.taints = taints.filter_map(Taint::read).collect();
        self.is_unschedulable = node.bool_at(&["spec", "unschedulable"]).unwrap_or_default();
        let allocatable = node
            .at(&["status", "allocatable"])
            .or_else(|| node.at(&["status", "capacity"]));
        self.allocatable = Resources::read(allocatable);
        self.pods_max = allocatable
            .and_then(|map| map.str_at(&["pods"]))
            .and_then(|pods| meta::Quantity::parse(pods).ok())
            .map_or(0, |pods| pods.value());
        self.images.clear();
        for image in node.list_at(&["status", "images"]) {
            let size = image.int_at(&["sizeBytes"]).unwrap_or_default();
            for name in image
                .list_at(&["names"])
                .iter()
                .filter_map(|name| name.as_str())
            {
                self.images.insert(name.to_owned(), size);
            }
        }
        self.is_known = true;
    }
    /// Whether a port is taken by one of its pods.
    pub fn has_port(&self, port: &HostPort) -> bool {
        self.pods
            .values()
            .any(|pod| pod.ports.iter().any(|taken| taken.conflicts(port)))
    }
    fn add(&mut self, pod: &Arc<Pod>) {
        self.requested.add(&pod.requests);
        self.nonzero_requested.add(&pod.nonzero_requests);
        if !pod.anti_affinity.is_empty() {
            self.guarded.insert(pod.uid.clone(), Arc::clone(pod));
        }
        self.pods.insert(pod.uid.clone(), Arc::clone(pod));
    }
    fn remove(&mut self, uid: &str) {
        if let Some(pod) = self.pods.remove(uid) {
            self.requested.sub(&pod.requests);
            self.nonzero_requested.sub(&pod.nonzero_requests);
            self.guarded.remove(uid);
        }
    }
}

/// All that scheduling depends on.
#[derive(Clone, Debug, Default)]
pub struct Cluster {
    nodes: Vec<Node>,
    index: BTreeMap<String, usize>,
    node_of: BTreeMap<String, String>,
    namespaces: BTreeMap<String, BTreeMap<String, String>>,
    known: usize,
    guarded: usize,
    preferring: usize,
}

impl Cluster {
    /// The nodes that have a Node object.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().filter(|node| node.is_known)
    }
    /// Number of nodes that have a Node object.
    pub fn len(&self) -> usize {
        self.known
    }
    /// Whether there is no node.
    pub fn is_empty(&self) -> bool {
        self.known == 0
    }
    /// Nodes from a position on, wrapping around.
    pub fn nodes_from(&self, start: usize) -> impl Iterator<Item = &Node> {
        let (tail, head) = self
            .nodes
            .split_at(start.checked_rem(self.nodes.len()).unwrap_or(0));
        head.iter().chain(tail).filter(|node| node.is_known)
    }
    /// Whether any pod has required anti-affinity.
    pub fn has_guarded(&self) -> bool {
        self.guarded > 0
    }
    /// Whether any pod prefers to be near or far from others.
    pub fn has_preferences(&self) -> bool {
        self.preferring > 0
    }
    /// A node by name.
    pub fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.get(*self.index.get(name)?)
    }
    /// The labels of a namespace.
    pub fn namespace_labels(&self, namespace: &str) -> Option<&BTreeMap<String, String>> {
        self.namespaces.get(namespace)
    }
    /// Notes a namespace's labels.
    pub fn set_namespace(&mut self, namespace: &Object) {
        self.namespaces
            .insert(namespace.name().to_owned(), namespace.labels());
    }
    /// Forgets a namespace.
    pub fn remove_namespace(&mut self, name: &str) {
        self.namespaces.remove(name);
    }

    fn node_mut(&mut self, name: &str) -> &mut Node {
        let at = if let Some(at) = self.index.get(name) {
            *at
        } else {
            self.nodes.push(Node {
                name: name.to_owned(),
                ..Node::default()
            });
            self.index.insert(name.to_owned(), self.nodes.len() - 1);
            self.nodes.len() - 1
        };
        self.nodes
            .get_mut(at)
            .expect("the index holds positions of nodes")
    }

    /// Notes a node as it is now.
    pub fn set_node(&mut self, node: &Object) {
        let known = self.node_mut(node.name());
        let was_known = known.is_known;
        known.describe(node);
        self.known += usize::from(!was_known);
    }
    /// Notes that a node is gone; its pods are kept until they go too.
    pub fn remove_node(&mut self, name: &str) {
        let node = self.node_mut(name);
        if std::mem::take(&mut node.is_known) {
            self.known -= 1;
        }
        let node = self.node_mut(name);
        if node.pods.is_empty() {
            self.drop_node(name);
        }
    }
    fn drop_node(&mut self, name: &str) {
        let Some(at) = self.index.remove(name) else {
            return;
        };
        self.nodes.swap_remove(at);
        if let Some(moved) = self.nodes.get(at) {
            self.index.insert(moved.name.clone(), at);
        }
    }

    /// Notes a pod on a node, real or assumed; it leaves the one it was on before.
    pub fn set_pod(&mut self, pod: &Arc<Pod>, node: &str) {
        self.remove_pod(&pod.uid);
        self.guarded += usize::from(!pod.anti_affinity.is_empty());
        self.preferring += usize::from(!pod.preferred_pods.is_empty());
        self.node_of.insert(pod.uid.clone(), node.to_owned());
        self.node_mut(node).add(pod);
    }
    /// Notes that a pod takes no more room.
    pub fn remove_pod(&mut self, uid: &str) {
        let Some(name) = self.node_of.remove(uid) else {
            return;
        };
        let node = self.node_mut(&name);
        let was_guarded = node.guarded.contains_key(uid);
        let preferred = node
            .pods
            .get(uid)
            .is_some_and(|pod| !pod.preferred_pods.is_empty());
        node.remove(uid);
        let is_done = node.pods.is_empty() && !node.is_known;
        self.guarded -= usize::from(was_guarded);
        self.preferring -= usize::from(preferred);
        if is_done {
            self.drop_node(&name);
        }
    }
}
