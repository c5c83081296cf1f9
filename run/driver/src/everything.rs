//! Follows every kind that is served, by metadata, for the controllers that care for all of them: the garbage
//! collector, the namespace controller and, as quotas may count objects of any kind, the quota controller.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::discovery::{self, Discovered};
use client::{Informer, Informers, WorkQueue};
use controllers::garbage::{Graph, Looked, Subject};
use controllers::resource_quota::{self, ResourceQuota};
use controllers::resources::{NAMESPACES, RESOURCE_QUOTAS};
use controllers::{Controller, Snapshot, namespace};
use discovery::Served;
use meta::{Key, Object, ObjectExt, Resource};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::garbage;
use crate::namespaces;
use crate::reconcile::{self, Shared};
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

/// What these controllers share.
pub(crate) struct Everything {
    pub(crate) shared: Arc<Shared>,
    pub(crate) world: World,
    pub(crate) graph: Mutex<Graph>,
    pub(crate) looked: Mutex<Looked>,
    pub(crate) garbage: WorkQueue<Subject>,
    pub(crate) namespaces: WorkQueue<Key>,
    quotas: WorkQueue<Key>,
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
        // A change within an object leaves the number as it is; the quota controller watches what it reads itself.
        if let (Some(object), None) | (None, Some(object)) = (old, new)
            && !ResourceQuota::WATCHES.contains(resource)
        {
            for quota in resource_quota::counting(&self.world, resource, object) {
                self.quotas.add(quota);
            }
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
        let Discovered {
            resources: served,
            silent,
            versions,
        } = discovery::discover(informers.rest()).await?;
        self.graph().serve(versions);
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
        if self.discovered.is_cancelled() {
            self.count_when_synced(informer.clone());
        }
        let (everything, of) = (Arc::clone(self), resource.clone());
        let is_definition = *resource == CUSTOM_RESOURCES;
        informer.subscribe(move |change| {
            everything.see(&of, change.old.as_ref(), change.new.as_ref());
            if is_definition {
                everything.kinds_changed.notify_one();
            }
        });
    }

    /// Has quotas counted anew once a kind that came late is known, even if there is nothing of it.
    fn count_when_synced(self: &Arc<Self>, informer: Informer) {
        let everything = Arc::clone(self);
        tokio::spawn(async move {
            if informer.synced().await {
                for quota in everything.world.list(&RESOURCE_QUOTAS, "") {
                    everything.quotas.add(quota.key());
                }
            }
        });
    }
}

/// Events have no owners worth following and are many. Source: garbage collector's `DefaultIgnoredResources`.
fn is_ignored(resource: &Resource) -> bool {
    resource.plural == "events"
}

/// Starts following; the quota controller's informers are asked for at once, as in [`reconcile::start`].
pub(crate) fn start(tasks: &mut JoinSet<()>, shared: &Arc<Shared>) {
    let settings = Arc::clone(&shared.settings);
    drop(World::new(
        &shared.informers,
        ResourceQuota::WATCHES,
        settings,
    ));
    tasks.spawn(run(Arc::clone(shared)));
}

/// Runs these controllers until shutdown.
async fn run(shared: Arc<Shared>) {
    let world = World::new(&shared.informers, &[], Arc::clone(&shared.settings));
    let shutdown = shared.shutdown.clone();
    let queues = shared.metrics.queues.clone();
    let everything = Arc::new(Everything {
        shared,
        world,
        graph: Mutex::default(),
        looked: Mutex::default(),
        garbage: WorkQueue::counted("garbage_collector_attempt_to_delete", &queues),
        namespaces: WorkQueue::counted("namespace", &queues),
        quotas: WorkQueue::counted("resourcequota_primary", &queues),
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
            let (shared, world) = (Arc::clone(&everything.shared), everything.world.clone());
            let quotas = reconcile::run::<ResourceQuota>(shared, world, everything.quotas.clone());
            futures::join!(garbage::run(&everything), namespaces::run(&everything), quotas);
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
