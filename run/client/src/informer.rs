//! Caches that follow the API server: one informer per kind, shared by everything in the process.
//!
//! Flow: a watch with initial events (or, where the server has none, a paged list), then events, resumed from the
//! last version when the server ends the watch. A version that is gone starts from the beginning; what changed in
//! between is told to the handlers as ordinary changes. Every other failure waits, longer each time.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use meta::{Object, ObjectExt, Resource};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::cache::{Cache, Change, Packed, PackedChange, Slot};
use crate::error::ClientError;
use crate::rest::{Detail, Happened, Rest};

/// Seconds after which the server ends a quiet watch; each kind adds its own share so that they do not all end at once.
const WATCH_SECONDS: u64 = 1800;
/// Objects per page of a list.
const PAGE_OBJECTS: &str = "500";
/// First wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// A watch that ends sooner than this counts as failed, so that nobody is flooded with requests.
const WATCH_MIN: Duration = Duration::from_secs(1);
/// Silence after which a kind's objects need not stay decoded: who works on them has read them.
const QUIET: Duration = Duration::from_secs(10);
const INITIAL_EVENTS_END: &str = "k8s.io/initial-events-end";

type Handler = Box<dyn Fn(&Change) + Send + Sync>;

/// How far an informer has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the cache was complete once.
    pub is_synced: bool,
    /// The newest version seen, as a number; 0 when the server's versions are no numbers.
    pub version: u64,
}

/// A cache of one kind, and those who want to know of changes. Clones share everything.
#[derive(Clone)]
pub struct Informer {
    shared: Arc<Shared>,
}

struct Shared {
    resource: Resource,
    detail: Detail,
    field_selector: String,
    cache: RwLock<Cache>,
    handlers: RwLock<Vec<Handler>>,
    progress: watch::Sender<Progress>,
}

impl Informer {
    /// An informer that follows nothing yet; `field_selector` may be empty.
    pub fn new(resource: Resource, detail: Detail, field_selector: &str) -> Self {
        let cache = Cache::new(resource.clone(), detail);
        Self {
            shared: Arc::new(Shared {
                resource,
                detail,
                field_selector: field_selector.to_owned(),
                cache: RwLock::new(cache),
                handlers: RwLock::default(),
                progress: watch::Sender::new(Progress::default()),
            }),
        }
    }
    /// What it follows.
    pub fn resource(&self) -> &Resource {
        &self.shared.resource
    }
    /// The cache; hold it briefly and never across an await.
    pub fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.shared
            .cache
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }
    /// Calls `handler` after each change, and now for every object that is there already. It must not block.
    pub fn subscribe(&self, handler: impl Fn(&Change) + Send + Sync + 'static) {
        // The handlers' lock is held throughout, so that no change falls between the two.
        let mut handlers = self
            .shared
            .handlers
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        let known = self.cache().packed();
        for object in known {
            handler(&PackedChange::found(object).decode(&self.shared.resource));
        }
        handlers.push(Box::new(handler));
    }
    /// How far it has come, to wait on.
    pub fn progress(&self) -> watch::Receiver<Progress> {
        self.shared.progress.subscribe()
    }
    /// Waits until the cache was complete once; false when the informer ended before.
    pub async fn synced(&self) -> bool {
        self.progress()
            .wait_for(|progress| progress.is_synced)
            .await
            .is_ok()
    }
    /// Waits until the cache includes a version; false when that takes longer than `at_most`.
    pub async fn caught_up(&self, version: u64, at_most: Duration) -> bool {
        let mut progress = self.progress();
        let reached = progress.wait_for(|progress| progress.version >= version);
        matches!(tokio::time::timeout(at_most, reached).await, Ok(Ok(_)))
    }

    /// Follows the server until `shutdown`.
    pub async fn run(&self, rest: &Rest, shutdown: &CancellationToken) {
        let mut wait = BACKOFF_MIN;
        let mut version = String::new();
        loop {
            let started = tokio::time::Instant::now();
            let outcome = tokio::select! {
                () = shutdown.cancelled() => return,
                outcome = self.follow(rest, &mut version) => outcome,
            };
            if started.elapsed() >= WATCH_MIN {
                wait = BACKOFF_MIN;
            }
            match outcome {
                Ok(()) if started.elapsed() >= WATCH_MIN => continue,
                Ok(()) => debug!(resource = %self.shared.resource.plural, "watch ended at once"),
                Err(error) if error.is_gone() => {
                    debug!(resource = %self.shared.resource.plural, "version is gone, listing again");
                    version.clear();
                }
                Err(error) => {
                    let error = &error as &dyn std::error::Error;
                    let resource = &*self.shared.resource.plural;
                    if wait > BACKOFF_MIN {
                        warn!(error, resource, "watch failed, trying again");
                    } else {
                        debug!(error, resource, "watch failed, trying again");
                    }
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(BACKOFF_MAX);
        }
    }

    /// Lists if need be, and watches until the server ends it.
    async fn follow(&self, rest: &Rest, version: &mut String) -> Result<(), ClientError> {
        if version.is_empty() {
            match self.watch(rest, version, true).await {
                Err(error) if matches!(error.code(), 400 | 422) => {
                    debug!("the server has no initial events, listing");
                    *version = self.list(rest).await?;
                }
                outcome => return outcome,
            }
        }
        self.watch(rest, version, false).await
    }

    async fn list(&self, rest: &Rest) -> Result<String, ClientError> {
        let (mut objects, mut token) = (BTreeMap::new(), String::new());
        loop {
            let query = [
                ("limit", PAGE_OBJECTS),
                ("continue", &token),
                ("fieldSelector", &self.shared.field_selector),
            ];
            let page = rest
                .list(&self.shared.resource, "", self.shared.detail, &query)
                .await?;
            for object in page.items {
                let object = self.pack(object.to_string().as_bytes());
                objects.insert(object.slot(), object);
            }
            token = page.continue_token;
            if token.is_empty() {
                self.replace(objects, &page.resource_version);
                return Ok(page.resource_version);
            }
        }
    }

    async fn watch(
        &self,
        rest: &Rest,
        version: &mut String,
        from_nothing: bool,
    ) -> Result<(), ClientError> {
        let seconds = watch_seconds(&self.shared.resource).to_string();
        let mut query = vec![
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", &seconds),
            ("fieldSelector", &self.shared.field_selector),
        ];
        if from_nothing {
            query.push(("sendInitialEvents", "true"));
            query.push(("resourceVersionMatch", "NotOlderThan"));
        }
        let from = version.clone();
        query.push(("resourceVersion", &from));
        let mut watching = rest
            .watch(&self.shared.resource, "", self.shared.detail, &query)
            .await?;
        let mut initial = from_nothing.then(BTreeMap::new);
        loop {
            let next = tokio::select! {
                biased;
                next = watching.next_bytes() => next?,
                never = self.rest_when_quiet() => match never {},
            };
            let Some((happened, object)) = next else {
                break;
            };
            self.take(happened, object, &mut initial, version)?;
        }
        if initial.is_some() {
            // Ended before the initial events did: what came cannot be resumed.
            version.clear();
            let path = self.shared.resource.plural.to_string();
            let source = std::io::ErrorKind::UnexpectedEof.into();
            return Err(ClientError::WatchBroken { path, source });
        }
        Ok(())
    }

    /// Takes an event in: among the initial ones while they last, into the cache after them.
    fn take(
        &self,
        happened: Happened,
        object: &[u8],
        initial: &mut Option<BTreeMap<Slot, Packed>>,
        version: &mut String,
    ) -> Result<(), ClientError> {
        match happened {
            Happened::Error => {
                let path = self.shared.resource.plural.to_string();
                let status = serde_json::from_slice(object)
                    .map_err(|source| ClientError::Answer { path, source })?;
                return Err(ClientError::Refused(status));
            }
            Happened::Bookmark => {
                let bookmark: Object = serde_json::from_slice(object).unwrap_or_default();
                bookmark.resource_version().clone_into(version);
                if bookmark.annotation(INITIAL_EVENTS_END) == Some("true")
                    && let Some(objects) = initial.take()
                {
                    self.replace(objects, version);
                } else if initial.is_none() {
                    self.advance(version);
                }
            }
            Happened::Added | Happened::Modified => {
                let object = self.pack(object);
                if let Some(initial) = initial {
                    initial.insert(object.slot(), object);
                } else {
                    *version = object.version();
                    self.apply(object);
                }
            }
            Happened::Deleted => {
                let object = self.pack(object);
                if let Some(initial) = initial {
                    initial.remove(&object.slot());
                } else {
                    *version = object.version();
                    self.delete(&object);
                }
            }
            Happened::Other => {}
        }
        Ok(())
    }

    /// Lets go of decoded objects after a silence; never ends.
    async fn rest_when_quiet(&self) -> Infallible {
        tokio::time::sleep(QUIET).await;
        self.cache().forget_decoded();
        std::future::pending().await
    }

    fn pack(&self, object: &[u8]) -> Packed {
        Packed::new(object, self.shared.detail)
    }

    fn write(&self) -> std::sync::RwLockWriteGuard<'_, Cache> {
        self.shared
            .cache
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
    fn apply(&self, object: Packed) {
        let version = object.version();
        let change = self.write().apply(object);
        self.tell(change.as_slice());
        self.advance(&version);
    }
    fn delete(&self, object: &Packed) {
        let change = self.write().delete(&object.slot());
        self.tell(change.as_slice());
        self.advance(&object.version());
    }
    fn replace(&self, objects: BTreeMap<Slot, Packed>, version: &str) {
        let changes = self.write().replace(objects);
        self.tell(&changes);
        self.advance(version);
    }
    fn tell(&self, changes: &[PackedChange]) {
        let handlers = self
            .shared
            .handlers
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if handlers.is_empty() {
            return;
        }
        for change in changes {
            let change = change.decode(&self.shared.resource);
            for handler in handlers.iter() {
                handler(&change);
            }
        }
    }
    fn advance(&self, version: &str) {
        let version = version.parse().unwrap_or_default();
        // Everyone is told, even when the version is the same: some wait for an object to be gone.
        self.shared.progress.send_modify(|progress| {
            progress.is_synced = true;
            progress.version = progress.version.max(version);
        });
    }
}

fn watch_seconds(resource: &Resource) -> u64 {
    let share: u64 = resource.plural.bytes().map(u64::from).sum();
    WATCH_SECONDS + share % (WATCH_SECONDS / 2)
}

/// The informers of a process, one per kind, started on first use.
#[derive(Clone)]
pub struct Informers {
    shared: Arc<InformersShared>,
}

/// An informer, and what ends it.
struct Started {
    informer: Informer,
    stop: CancellationToken,
}

struct InformersShared {
    rest: Rest,
    shutdown: CancellationToken,
    started: Mutex<BTreeMap<Resource, Started>>,
}

impl Informers {
    /// No informers yet; those to come end with `shutdown`.
    pub fn new(rest: Rest, shutdown: CancellationToken) -> Self {
        let started = Mutex::default();
        Self {
            shared: Arc::new(InformersShared {
                rest,
                shutdown,
                started,
            }),
        }
    }
    /// The client the informers use.
    pub fn rest(&self) -> &Rest {
        &self.shared.rest
    }
    /// The informer of a kind with whole objects. One that had metadata alone ends: whoever reads it should have
    /// asked later.
    pub fn whole(&self, resource: &Resource) -> Informer {
        self.start(resource, Detail::Whole)
    }
    /// The informer of a kind, with metadata alone unless somebody asked for whole objects before.
    pub fn metadata(&self, resource: &Resource) -> Informer {
        self.start(resource, Detail::Metadata)
    }
    /// Ends the informer of a kind that is served no more.
    pub fn stop(&self, resource: &Resource) {
        if let Some(started) = self.started().remove(resource) {
            started.stop.cancel();
        }
    }
    /// Every kind that is followed.
    pub fn resources(&self) -> Vec<Resource> {
        self.started().keys().cloned().collect()
    }

    fn started(&self) -> std::sync::MutexGuard<'_, BTreeMap<Resource, Started>> {
        self.shared
            .started
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, resource: &Resource, detail: Detail) -> Informer {
        let mut started = self.started();
        if let Some(known) = started.get(resource)
            && (known.informer.shared.detail == Detail::Whole || detail == Detail::Metadata)
        {
            return known.informer.clone();
        }
        let informer = Informer::new(resource.clone(), detail, "");
        let stop = self.shared.shutdown.child_token();
        let next = Started {
            informer: informer.clone(),
            stop: stop.clone(),
        };
        if let Some(replaced) = started.insert(resource.clone(), next) {
            replaced.stop.cancel();
        }
        let (running, shared) = (informer.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move { running.run(&shared.rest, &stop).await });
        informer
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures::{StreamExt, stream};
    use http_body::Frame;
    use http_body_util::StreamBody;
    use meta::Key;

    use super::*;

    const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");
    const COMPLETE: &str = r#"{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"7","annotations":{"k8s.io/initial-events-end":"true"}}}}"#;

    #[tokio::test(start_paused = true)]
    async fn a_server_that_ends_every_watch_at_once_is_not_flooded() {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&requests);
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            counted.fetch_add(1, Ordering::Relaxed);
            let body = kube::client::Body::from(format!("{COMPLETE}\n").into_bytes());
            async { Ok::<_, std::io::Error>(http::Response::new(body)) }
        });
        let rest = Rest::new(kube::Client::new(service, "default"));
        let informer = Informer::new(PODS, Detail::Whole, "");
        let shutdown = CancellationToken::new();
        let run = informer.run(&rest, &shutdown);
        let minute = tokio::time::timeout(Duration::from_mins(1), run).await;
        assert!(minute.is_err(), "it goes on");
        assert!(informer.progress().borrow().is_synced);
        assert_eq!(informer.progress().borrow().version, 7);
        let requests = requests.load(Ordering::Relaxed);
        assert!((5..15).contains(&requests), "{requests}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_decoded_is_let_go_after_a_silence() {
        let added = r#"{"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"6"}}}"#;
        let service = tower::service_fn(move |_: http::Request<kube::client::Body>| {
            let lines = Ok::<_, std::io::Error>(format!("{added}\n{COMPLETE}\n"));
            let lines = lines.map(|lines| Frame::data(lines.into()));
            let frames = stream::iter([lines]).chain(stream::pending());
            let body = StreamBody::new(frames);
            async { Ok::<_, std::io::Error>(http::Response::new(body)) }
        });
        let rest = Rest::new(kube::Client::new(service, "default"));
        let informer = Informer::new(PODS, Detail::Whole, "");
        let (running, shutdown) = (informer.clone(), CancellationToken::new());
        tokio::spawn(async move { running.run(&rest, &shutdown).await });
        assert!(informer.synced().await);
        let read = || informer.cache().get(&Key::new("", "a")).unwrap();
        let first = read();
        assert!(Arc::ptr_eq(&first, &read()));
        tokio::time::sleep(2 * QUIET).await;
        assert!(!Arc::ptr_eq(&first, &read()) && first == read());
    }
}
