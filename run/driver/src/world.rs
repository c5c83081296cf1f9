//! The informers' caches as the snapshot that decisions read.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use client::{Informer, Informers};
use controllers::{Settings, Snapshot};
use jiff::SignedDuration;
use meta::{Key, Object, Resource};

/// The informers of the kinds that one controller reads; clones share them.
#[derive(Clone)]
pub(crate) struct World {
    informers: Arc<RwLock<BTreeMap<Resource, Informer>>>,
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
            informers: Arc::new(RwLock::new(started.collect())),
            settings,
        }
    }
    /// Adds an informer.
    pub(crate) fn add(&self, resource: &Resource, informer: Informer) {
        let mut informers = self
            .informers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        informers.insert(resource.clone(), informer);
    }
    /// Takes an informer out.
    pub(crate) fn remove(&self, resource: &Resource) {
        self.informers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(resource);
    }
    /// The informer of a kind.
    pub(crate) fn informer(&self, resource: &Resource) -> Option<Informer> {
        let informers = self
            .informers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        informers.get(resource).cloned()
    }
    /// All of them.
    pub(crate) fn informers(&self) -> Vec<(Resource, Informer)> {
        let informers = self
            .informers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        informers
            .iter()
            .map(|(resource, informer)| (resource.clone(), informer.clone()))
            .collect()
    }
    /// Waits until every cache was complete once.
    pub(crate) async fn synced(&self) -> bool {
        for (_, informer) in self.informers() {
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
        self.informer(resource)?.cache().get(key)
    }
    fn list(&self, resource: &Resource, namespace: &str) -> Vec<Arc<Object>> {
        let informer = self.informer(resource);
        informer
            .map(|informer| informer.cache().list(namespace))
            .unwrap_or_default()
    }
    fn count(&self, resource: &str, namespace: &str) -> Option<usize> {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        let informers = self.informers();
        let is_this = |known: &Resource| {
            known.plural == plural && known.group == group && known.is_namespaced
        };
        let (_, informer) = informers.iter().find(|(known, _)| is_this(known))?;
        let is_synced = informer.progress().borrow().is_synced;
        is_synced.then(|| informer.cache().count(namespace))
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
    fn unchanged_for(&self, resource: &Resource, key: &Key) -> Option<SignedDuration> {
        let age = self.informer(resource)?.cache().unchanged_for(key)?;
        SignedDuration::try_from(age).ok()
    }
}
