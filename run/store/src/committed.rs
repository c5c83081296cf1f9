//! What readers see: the published state, its history, older states kept for pages, and the watchers.
//!
//! Both stores are this plus a way to commit. A committer stages writes on its own copy of the state
//! ([`State::apply`]), makes them durable, and [`Committed::publish`]es them; there is one committer.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use tokio::sync::watch;

use crate::{
    Entry, Indexer, Key, Page, Range, ResourceCount, Revision, Snapshot, StoreError, Term, Watch,
    WatchScope,
    history::History,
    hub::{Hub, Unwatchable},
    state::{Applied, Resource, State, Write, find::Found},
};

/// Most older states kept for continue tokens, over all resources.
pub(crate) const KEPT_STATES_MAX: usize = 64;

/// The committed state and everything readers can ask of it.
pub(crate) struct Committed {
    indexer: Arc<Indexer>,
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
    hub: Hub,
    kept: Mutex<VecDeque<Kept>>,
    /// States before this revision are gone for readers, also those that could be rebuilt.
    compacted: Mutex<Revision>,
}

/// An older state of one resource that a continue token refers to.
struct Kept {
    /// The resource was in this state at this revision, and since `state.changed`.
    revision: Revision,
    state: Arc<Resource>,
}

impl Committed {
    pub(crate) fn new(state: State, hub: Hub, indexer: Arc<Indexer>) -> Self {
        Self {
            revision: watch::Sender::new(state.revision),
            hub,
            kept: Mutex::default(),
            compacted: Mutex::new(Revision::FIRST),
            state: RwLock::new(state),
            indexer,
        }
    }

    /// The index terms of an object.
    pub(crate) fn terms(&self, key: &Key, value: &[u8]) -> Vec<Term> {
        (self.indexer)(key, value)
    }

    /// The state now, in O(1).
    pub(crate) fn state(&self) -> State {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Makes a durable state the present one. [`Committed::deliver`] must follow.
    pub(crate) fn publish(&self, state: State, applied: &[Applied]) {
        self.hub.remember(applied);
        let revision = state.revision;
        *self.state.write().unwrap_or_else(PoisonError::into_inner) = state;
        self.revision.send_replace(revision);
    }

    /// Hands published changes, the last of which is `up_to`, to their watchers.
    pub(crate) fn deliver(&self, applied: &[Applied], up_to: Revision) {
        self.hub.deliver(applied, up_to);
    }

    /// Ends every watch.
    pub(crate) fn close(&self) {
        self.hub.close();
    }

    pub(crate) fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    pub(crate) async fn wait_for(&self, revision: Revision) -> Result<(), StoreError> {
        let mut seen = self.revision.subscribe();
        let reached = seen.wait_for(|seen| *seen >= revision).await;
        reached.map(|_| ()).map_err(|_| StoreError::Closed)
    }

    /// Refuses a write that cannot succeed any more.
    pub(crate) fn check(&self, write: &Write) -> Result<(), StoreError> {
        self.state
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .check(write)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Entry> {
        let state = self.state.read().unwrap_or_else(PoisonError::into_inner);
        state.get(key).map(|version| version.entry.clone())
    }

    pub(crate) fn range(&self, range: &Range) -> Result<Page, StoreError> {
        let state = self.state();
        let revision = range.at.unwrap_or(state.revision);
        if revision > state.revision {
            return Err(StoreError::Future {
                asked: revision,
                latest: state.revision,
            });
        }
        // The latest state is at hand, whatever is compacted meanwhile.
        if let Some(oldest) = range.at.and_then(|asked| self.gone(asked)) {
            return Err(StoreError::Compacted {
                asked: revision,
                oldest,
            });
        }
        let resource = match state.resource(&range.resource) {
            Some(resource) if resource.changed <= revision && self.knows(range, revision) => {
                Some(Arc::clone(resource))
            }
            None if self.knows(range, revision) => None,
            resource => Some(self.older(range, revision, resource, state.revision)?),
        };
        let Found { entries, remaining } = resource
            .as_ref()
            .map(|resource| resource.find(range))
            .unwrap_or_default();
        let more = remaining > 0;
        if more && let Some(resource) = resource {
            self.keep(revision, resource);
        }
        Ok(Page {
            entries,
            revision,
            more,
            remaining,
        })
    }

    /// The oldest revision that can be read, when this one cannot be any more.
    fn gone(&self, asked: Revision) -> Option<Revision> {
        let compacted = *self.compacted();
        let oldest = (asked < compacted).then_some(compacted);
        oldest.or_else(|| self.hub.lost(asked))
    }

    /// Whether all changes since `revision` are known, so that an unchanged resource is surely so.
    fn knows(&self, range: &Range, revision: Revision) -> bool {
        range.at.is_none() || self.hub.history(&range.resource, History::floor) <= revision
    }

    /// The resource as it was at an older revision: kept, or rebuilt from the present one.
    fn older(
        &self,
        range: &Range,
        revision: Revision,
        present: Option<&Arc<Resource>>,
        present_at: Revision,
    ) -> Result<Arc<Resource>, StoreError> {
        if let Some(kept) = self.kept(&range.resource, revision) {
            return Ok(kept);
        }
        self.hub.history(&range.resource, |history| {
            let oldest = history.floor();
            match present {
                Some(present) if oldest <= revision => {
                    let mut resource = Resource::clone(present);
                    resource.undo(history.between(revision, present_at).rev());
                    resource.changed = revision;
                    Ok(Arc::new(resource))
                }
                _ => Err(StoreError::Compacted {
                    asked: revision,
                    oldest,
                }),
            }
        })
    }

    fn kept(&self, resource: &str, revision: Revision) -> Option<Arc<Resource>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let found = kept.iter().find(|kept| {
            *kept.state.name == *resource
                && kept.state.changed <= revision
                && revision <= kept.revision
        });
        found.map(|kept| Arc::clone(&kept.state))
    }

    /// Keeps a state because a page of it was given out that has more to follow.
    fn keep(&self, revision: Revision, state: Arc<Resource>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same =
            |kept: &Kept| kept.state.name == state.name && kept.state.changed == state.changed;
        let revision = match kept.iter().position(is_same).and_then(|at| kept.remove(at)) {
            Some(same) => same.revision.max(revision),
            None => revision,
        };
        kept.push_back(Kept { revision, state });
        if kept.len() > KEPT_STATES_MAX {
            kept.pop_front();
        }
    }

    pub(crate) fn watch(&self, scope: WatchScope, from: Revision) -> Result<Watch, StoreError> {
        let published = || {
            self.state
                .read()
                .unwrap_or_else(PoisonError::into_inner)
                .revision
        };
        self.hub
            .watch(scope, from, published)
            .map_err(|error| match error {
                Unwatchable::Compacted { oldest } => StoreError::Compacted {
                    asked: from,
                    oldest,
                },
                Unwatchable::Future { latest } => StoreError::Future {
                    asked: from,
                    latest,
                },
            })
    }

    pub(crate) fn resources(&self) -> Vec<ResourceCount> {
        let count = |resource: &Arc<Resource>| ResourceCount {
            resource: Arc::clone(&resource.name),
            objects: resource.len() as u64,
            bytes: resource.bytes,
        };
        self.state().resources.values().map(count).collect()
    }

    pub(crate) fn compact(&self, revision: Revision) -> Result<(), StoreError> {
        let latest = self.revision();
        if revision > latest {
            return Err(StoreError::Future {
                asked: revision,
                latest,
            });
        }
        let mut compacted = self.compacted();
        *compacted = revision.max(*compacted);
        self.hub.compact(revision);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|kept| kept.revision >= revision);
        Ok(())
    }

    fn compacted(&self) -> MutexGuard<'_, Revision> {
        self.compacted
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state();
        let versions = state
            .resources
            .values()
            .flat_map(|resource| resource.versions());
        let entries = versions.map(|version| version.entry.clone()).collect();
        Snapshot {
            revision: state.revision,
            entries,
        }
    }
}
