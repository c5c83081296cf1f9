//! What a controller may read: the objects that the process has seen.

use std::net::SocketAddr;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, Resource};

/// What the process was told when it started.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Since when the caches are followed: what happened before was not seen by this process.
    pub watching_since: Timestamp,
    /// The cluster's CA certificates in PEM; `None` publishes none.
    pub root_ca: Option<String>,
    /// Where others than this process reach the API server; `None` where nobody does.
    pub api_address: Option<SocketAddr>,
}

/// A read-only view of the caches. A kind that nobody watches reads as empty.
pub trait Snapshot {
    /// What the process was told when it started.
    fn settings(&self) -> &Settings;
    /// One object.
    fn get(&self, resource: &Resource, key: &Key) -> Option<Arc<Object>>;
    /// The objects of a namespace, or all when it is empty; sorted by key.
    fn list(&self, resource: &Resource, namespace: &str) -> Vec<Arc<Object>>;
    /// How many objects of a resource (`plural` or `plural.group`) a namespace has; `None` for one that is not served,
    /// or not known well enough yet.
    fn count(&self, resource: &str, namespace: &str) -> Option<usize>;
    /// The objects whose controller has this uid, in any namespace; an empty uid asks for those without controller.
    fn controlled_by(&self, resource: &Resource, uid: &str) -> Vec<Arc<Object>>;
    /// The objects whose `spec.nodeName` is this; an empty name asks for those without node.
    fn on_node(&self, resource: &Resource, node: &str) -> Vec<Arc<Object>>;
    /// How long ago this process saw a lease change, by a clock that nobody sets; `None` for one that is not there.
    fn unchanged_for(&self, resource: &Resource, key: &Key) -> Option<SignedDuration>;
}
