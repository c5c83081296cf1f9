//! Follows every kind that is served, by metadata, for the two controllers that care for all of them: the garbage
//! collector and the namespace controller.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::{Informers, WorkQueue, discovery};
use controllers::garbage::{Graph, Looked, Subject};
use controllers::namespace;
use controllers::resources::NAMESPACES;
use discovery::Served;
use meta::{Key, Object, ObjectExt, Resource};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::garbage;
use crate::namespaces;
use crate::reconcile::Shared;
use crate::world::World;

/// Changes of the served kinds that come close together are taken as one.
const SETTLE: Duration = Duration::from_millis(500);
/// Longest wait between two attempts at discovery.
const RETRY_MAX: Duration = Duration::from_secs(10);
const CUSTOM_RESOURCES: Resource = Resource::cluster(
    "apiextensions.k8s.io",
    "v1",
    "CustomResourceDefinition",
    "customresourcedefinitions",
);

/// What both controllers share.
pub(crate) struct Everything {
    pub(crate) shared: Arc<Shared>,
    pub(crate) world: World,
    pub(crate) graph: Mutex<Graph>,
    pub(crate) looked: Mutex<Looked>,
    pub(crate) garbage: WorkQueue<Subject>,
    pub(crate) namespaces: WorkQueue<Key>,
    served: Mutex<(Vec<Served>, Vec<String>)>,
    kinds_changed: Notify,
    /// Cancelled, in the sense of done, once the served kinds are known.
    discovered: CancellationToken,
}

impl Everything {
    pub(crate) fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }
    /// What is served, and the groups that did not answer.
    pub(crate) fn served(&self) -> (Vec<Served>, Vec<String>) {
        self.served
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn see(&self, resource: &Resource, old: Option<&Arc<Object>>, new: Option<&Arc<Object>>) {
        let anew = self.graph().see(
            resource,
            old.map(|object| &**object),
            new.map(|object| &**object),
        );
        if let (Some(gone), None) = (old, new)
            && !anew.is_empty()
        {
            // It was seen to go, and uids do not come back: nobody needs to look for it.
            garbage::remember(self, [gone.uid().to_owned()]);
        }
        for subject in anew {
            self.garbage.add(subject);
        }
        if *resource == NAMESPACES {
            if let Some(namespace) = new.filter(|namespace| namespace::is_ours(namespace)) {
                self.namespaces.add(namespace.key());
            }
        } else if let (Some(gone), None) = (old, new) {
            let key = Key::new("", gone.namespace());
            let home = self.world.informer(&NAMESPACES);
            let home = home.and_then(|informer| informer.cache().get(&key));
            if home.is_some_and(|namespace| namespace::is_ours(&namespace)) {
                self.namespaces.add(key);
            }
        }
    }

    /// Follows what is served now and was not before, and drops what is served no more.
    async fn refresh(self: &Arc<Self>) -> Result<(), client::ClientError> {
        let informers = &self.shared.informers;
        let (served, silent) = discovery::preferred(informers.rest()).await?;
        let is_followed = |served: &&Served| {
            served.can("list")
                && served.can("watch")
                && served.can("delete")
                && !is_ignored(&served.resource)
        };
        let wanted: BTreeSet<Resource> = served
            .iter()
            .filter(is_followed)
            .map(|served| served.resource.clone())
            .collect();
        let known: BTreeSet<Resource> = self
            .world
            .informers()
            .into_iter()
            .map(|(resource, _)| resource)
            .collect();
        for resource in wanted.difference(&known) {
            self.follow(informers, resource);
        }
        if silent.is_empty() {
            for resource in known.difference(&wanted) {
                debug!(resource = %resource.plural, group = %resource.group, "served no more");
                self.graph().unfollow(resource);
                self.world.remove(resource);
                informers.stop(resource);
            }
        }
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = (served, silent);
        Ok(())
    }

    fn follow(self: &Arc<Self>, informers: &Informers, resource: &Resource) {
        self.graph().follow(resource);
        let informer = informers.metadata(resource);
        self.world.add(resource, informer.clone());
        let (everything, of) = (Arc::clone(self), resource.clone());
        let is_definition = *resource == CUSTOM_RESOURCES;
        informer.subscribe(move |change| {
            everything.see(&of, change.old.as_ref(), change.new.as_ref());
            if is_definition {
                everything.kinds_changed.notify_one();
            }
        });
    }
}

/// Events have no owners worth following and are many. Source: garbage collector's `DefaultIgnoredResources`.
fn is_ignored(resource: &Resource) -> bool {
    resource.plural == "events"
}

/// Runs both controllers until shutdown.
pub(crate) async fn run(shared: Arc<Shared>) {
    let world = World::new(&shared.informers, &[], Arc::clone(&shared.settings));
    let shutdown = shared.shutdown.clone();
    let everything = Arc::new(Everything {
        shared,
        world,
        graph: Mutex::default(),
        looked: Mutex::default(),
        garbage: WorkQueue::default(),
        namespaces: WorkQueue::default(),
        served: Mutex::default(),
        kinds_changed: Notify::new(),
        discovered: CancellationToken::new(),
    });
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = discover(&everything) => {}
        () = async {
            everything.discovered.cancelled().await;
            everything.world.synced().await;
            futures::join!(garbage::run(&everything), namespaces::run(&everything));
        } => {}
    }
    everything.garbage.close();
    everything.namespaces.close();
}

/// Keeps what is followed up to date.
async fn discover(everything: &Arc<Everything>) {
    let mut wait = SETTLE;
    loop {
        match everything.refresh().await {
            Ok(()) => {
                everything.discovered.cancel();
                wait = SETTLE;
            }
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "kinds not discovered"
                );
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(RETRY_MAX);
                continue;
            }
        }
        everything.kinds_changed.notified().await;
        tokio::time::sleep(SETTLE).await;
    }
}
