//! The informers' caches as the snapshot that decisions read.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::{Informer, Informers};
use controllers::{Settings, Snapshot};
use meta::{Key, Object, Resource};

/// The informers of the kinds that one controller reads.
#[derive(Clone)]
pub(crate) struct World {
    informers: Arc<BTreeMap<Resource, Informer>>,
    settings: Arc<Settings>,
}

impl World {
    /// Starts what is not started yet.
    pub(crate) fn new(
        informers: &Informers,
        resources: &[Resource],
        settings: Arc<Settings>,
    ) -> Self {
        let started = resources
            .iter()
            .map(|resource| (resource.clone(), informers.whole(resource)));
        Self {
            informers: Arc::new(started.collect()),
            settings,
        }
    }
    /// The informer of a kind.
    pub(crate) fn informer(&self, resource: &Resource) -> Option<&Informer> {
        self.informers.get(resource)
    }
    /// All of them.
    pub(crate) fn informers(&self) -> impl Iterator<Item = (&Resource, &Informer)> {
        self.informers.iter()
    }
    /// Waits until every cache was complete once.
    pub(crate) async fn synced(&self) -> bool {
        for informer in self.informers.values() {
            if !informer.synced().await {
                return false;
            }
        }
        true
    }
}

impl Snapshot for World {
    fn settings(&self) -> &Settings {
        &self.settings
    }
    fn get(&self, resource: &Resource, key: &Key) -> Option<Arc<Object>> {
        self.informer(resource)?.cache().get(key).cloned()
    }
    fn list(&self, resource: &Resource, namespace: &str) -> Vec<Arc<Object>> {
        let informer = self.informer(resource);
        informer
            .map(|informer| informer.cache().list(namespace))
            .unwrap_or_default()
    }
    fn controlled_by(&self, resource: &Resource, uid: &str) -> Vec<Arc<Object>> {
        let informer = self.informer(resource);
        informer
            .map(|informer| informer.cache().controlled_by(uid))
            .unwrap_or_default()
    }
    fn on_node(&self, resource: &Resource, node: &str) -> Vec<Arc<Object>> {
        let informer = self.informer(resource);
        informer
            .map(|informer| informer.cache().on_node(node))
            .unwrap_or_default()
    }
}
