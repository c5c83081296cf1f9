//! Who watches what: histories, registered watchers, and the delivery of each change to those it concerns.
//!
//! Lock order: `watchers`, then `history`. A commit only takes `history`, so a delivery to a thousand
//! watchers never holds a commit back.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::{
    AnyOf, Revision, Term, Watch, WatchEnd, WatchScope,
    history::History,
    state::{Applied, Version},
    watch::Queue,
};

/// The histories and watchers of every resource.
pub(crate) struct Hub {
    topics: RwLock<HashMap<Arc<str>, Arc<Topic>>>,
    /// Every change up to this revision was given to its watchers.
    delivered: Arc<AtomicU64>,
    /// What happened up to this revision is not in any history.
    floor: Revision,
    /// Revisions strictly between these may have been given out and lost with the machine.
    lost: (Revision, Revision),
}

/// The history and watchers of one resource.
pub(crate) struct Topic {
    history: Mutex<History>,
    watchers: Mutex<Watchers>,
}

/// The watchers of one resource, by the narrowest part of their scope.
#[derive(Default)]
struct Watchers {
    next_id: u64,
    closed: bool,
    all: HashMap<u64, Arc<Queue>>,
    by_namespace: HashMap<Arc<str>, HashMap<u64, Arc<Queue>>>,
    by_term: HashMap<Term, HashMap<u64, TermWatcher>>,
}

struct TermWatcher {
    namespace: Option<Arc<str>>,
    queue: Arc<Queue>,
}

/// Why a watch cannot start where it was asked to.
pub(crate) enum Unwatchable {
    Compacted { oldest: Revision },
    Future { latest: Revision },
}

impl Hub {
    /// A hub without history before `floor`.
    pub(crate) fn since(floor: Revision) -> Self {
        Self {
            topics: RwLock::default(),
            delivered: Arc::new(AtomicU64::new(floor.0)),
            floor,
            lost: (floor, floor),
        }
    }

    /// Starts at `first` after a recovery that found nothing newer than `last`.
    pub(crate) fn start(&mut self, last: Revision, first: Revision) {
        self.lost = (last, first);
        self.delivered.store(first.0, Ordering::Release);
    }

    /// The oldest revision to go on from for one who saw a revision that may have been lost.
    pub(crate) fn lost(&self, revision: Revision) -> Option<Revision> {
        (self.lost.0 < revision && revision < self.lost.1).then_some(self.lost.1)
    }

    /// Remembers changes. Comes before they are published: what is published is in the history.
    pub(crate) fn remember(&self, applied: &[Applied]) {
        for one in applied {
            lock(&self.topic(&one.event.entry.key.resource).history).push(one.clone());
        }
    }

    /// Hands changes to their watchers. Comes after they are published; `up_to` is the last of them.
    pub(crate) fn deliver(&self, applied: &[Applied], up_to: Revision) {
        for one in applied {
            lock(&self.topic(&one.event.entry.key.resource).watchers).deliver(one);
        }
        self.delivered.store(up_to.0, Ordering::Release);
    }

    /// Registers a watcher of the changes after `from`; `published` reads the published revision.
    pub(crate) fn watch(
        &self,
        scope: WatchScope,
        from: Revision,
        published: impl FnOnce() -> Revision,
    ) -> Result<Watch, Unwatchable> {
        let topic = self.topic(&scope.resource);
        let mut watchers = lock(&topic.watchers);
        // Read under the lock: changes delivered before it was taken are published and so in the
        // backlog; those not yet published are delivered after it is released.
        let published = published();
        if from > published {
            return Err(Unwatchable::Future { latest: published });
        }
        if let Some(oldest) = self.lost(from) {
            return Err(Unwatchable::Compacted { oldest });
        }
        let history = lock(&topic.history);
        if from < history.floor() {
            return Err(Unwatchable::Compacted {
                oldest: history.floor(),
            });
        }
        let backlog = history
            .between(from, published)
            .filter(|applied| concerns(&scope, applied))
            .map(|applied| Arc::clone(&applied.event));
        let queue = Arc::new(Queue::new(backlog, published));
        drop(history);
        if watchers.closed {
            queue.end(WatchEnd::Closed);
        }
        let id = watchers.register(&scope, Arc::clone(&queue));
        drop(watchers);
        let on_drop = Box::new(move || lock(&topic.watchers).remove(&scope, id));
        Ok(Watch::new(queue, Arc::clone(&self.delivered), on_drop))
    }

    /// Reads the history of one resource.
    pub(crate) fn history<T>(&self, resource: &Arc<str>, read: impl FnOnce(&History) -> T) -> T {
        read(&lock(&self.topic(resource).history))
    }

    /// Forgets every change up to and including `revision`.
    pub(crate) fn compact(&self, revision: Revision) {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        for topic in topics.values() {
            lock(&topic.history).compact(revision);
        }
    }

    /// Says that changes up to `revision` may be missing, of any resource.
    pub(crate) fn raise(&mut self, revision: Revision) {
        self.floor = revision.max(self.floor);
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        for topic in topics.values() {
            lock(&topic.history).raise(revision);
        }
    }

    /// Ends every watch, present and future.
    pub(crate) fn close(&self) {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        for topic in topics.values() {
            lock(&topic.watchers).close();
        }
    }

    fn topic(&self, resource: &Arc<str>) -> Arc<Topic> {
        let topics = self.topics.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(resource) {
            return Arc::clone(topic);
        }
        drop(topics);
        let mut topics = self.topics.write().unwrap_or_else(PoisonError::into_inner);
        let topic = topics.entry(Arc::clone(resource)).or_insert_with(|| {
            Arc::new(Topic {
                history: Mutex::new(History::since(self.floor)),
                watchers: Mutex::default(),
            })
        });
        Arc::clone(topic)
    }
}

impl Watchers {
    fn register(&mut self, scope: &WatchScope, queue: Arc<Queue>) -> u64 {
        let id = self.next_id;
        self.next_id += 1;
        match (&scope.terms, &scope.namespace) {
            (Some(any), namespace) => {
                for term in any.terms() {
                    let watcher = TermWatcher {
                        namespace: namespace.clone(),
                        queue: Arc::clone(&queue),
                    };
                    let watchers = self.by_term.entry(term.clone()).or_default();
                    watchers.insert(id, watcher);
                }
            }
            (None, Some(namespace)) => {
                self.by_namespace
                    .entry(Arc::clone(namespace))
                    .or_default()
                    .insert(id, queue);
            }
            (None, None) => {
                self.all.insert(id, queue);
            }
        }
        id
    }

    fn remove(&mut self, scope: &WatchScope, id: u64) {
        match (&scope.terms, &scope.namespace) {
            (Some(any), _) => {
                for term in any.terms() {
                    if let Some(watchers) = self.by_term.get_mut(term) {
                        watchers.remove(&id);
                        if watchers.is_empty() {
                            self.by_term.remove(term);
                        }
                    }
                }
            }
            (None, Some(namespace)) => {
                if let Some(watchers) = self.by_namespace.get_mut(namespace) {
                    watchers.remove(&id);
                    if watchers.is_empty() {
                        self.by_namespace.remove(namespace);
                    }
                }
            }
            (None, None) => {
                self.all.remove(&id);
            }
        }
    }

    fn deliver(&mut self, applied: &Applied) {
        let event = &applied.event;
        self.all.retain(|_, queue| queue.push(event));
        if let Some(watchers) = self.by_namespace.get_mut(&event.entry.key.namespace) {
            watchers.retain(|_, queue| queue.push(event));
        }
        if self.by_term.is_empty() {
            return;
        }
        // A watcher reached by two terms is pushed to once: its queue knows the revision.
        for term in terms(applied.now.as_ref())
            .iter()
            .chain(terms(applied.was.as_ref()))
        {
            if let Some(watchers) = self.by_term.get_mut(&**term) {
                watchers.retain(|_, watcher| {
                    let wanted = watcher.namespace.as_ref();
                    wanted.is_some_and(|namespace| *namespace != event.entry.key.namespace)
                        || watcher.queue.push(event)
                });
            }
        }
    }

    fn close(&mut self) {
        self.closed = true;
        let by_namespace = self.by_namespace.values().flat_map(HashMap::values);
        let by_term = self
            .by_term
            .values()
            .flat_map(HashMap::values)
            .map(|watcher| &watcher.queue);
        for queue in self.all.values().chain(by_namespace).chain(by_term) {
            queue.end(WatchEnd::Closed);
        }
    }
}

fn terms(version: Option<&Arc<Version>>) -> &[Arc<Term>] {
    version.map_or(&[], |version| &version.terms)
}

fn concerns(scope: &WatchScope, applied: &Applied) -> bool {
    let key = &applied.event.entry.key;
    let has = |wanted: &AnyOf| {
        let mut versions = [&applied.now, &applied.was].into_iter();
        versions.any(|version| wanted.is_met_by(terms(version.as_ref())))
    };
    scope
        .namespace
        .as_ref()
        .is_none_or(|namespace| *namespace == key.namespace)
        && scope.terms.as_ref().is_none_or(has)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
