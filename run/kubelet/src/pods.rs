//! Which pods there are: those bound to this node, and those the runtime still has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::runtime::{WatchStreamExt as _, watcher};
use node::admission::{self, Rejection, Room};
use node::names;
use tokio::sync::{Notify, watch};
use tracing::{debug, warn};

use crate::agent::Agent;
use crate::pod_loop::{self, Verdicts};
use crate::{registration, volumes};

/// How often the runtime is asked for everything, in case an end was missed.
const RELIST: Duration = Duration::from_mins(1);

/// The pods that have a loop, by uid.
#[derive(Debug, Default)]
pub(crate) struct Pods {
    handles: Mutex<BTreeMap<String, Handle>>,
}

/// The way to one pod's loop.
#[derive(Clone, Debug)]
struct Handle {
    /// The object; `None` once the API server no longer has it.
    updates: Arc<watch::Sender<Option<Arc<Pod>>>>,
    wake: Arc<Notify>,
    /// What the pod takes of the node; `None` where the node did not take it.
    room: Option<Arc<Room>>,
    /// Why the node ends the pod, once it does.
    eviction: Arc<OnceLock<String>>,
}

impl Pods {
    /// All pods of this node that the API server has.
    pub(crate) fn list(&self) -> Vec<Arc<Pod>> {
        let handles = self.lock();
        handles
            .values()
            .filter_map(|one| one.updates.borrow().clone())
            .collect()
    }

    /// What the pods take that are not over.
    fn rooms(&self) -> Vec<Arc<Room>> {
        let handles = self.lock();
        let living = handles.values().filter(|one| {
            let pod = one.updates.borrow();
            pod.as_ref().is_some_and(|pod| !admission::is_over(pod))
        });
        living.filter_map(|one| one.room.clone()).collect()
    }

    /// A pod by namespace and name.
    pub(crate) fn find(&self, namespace: &str, name: &str) -> Option<Arc<Pod>> {
        let is_it = |pod: &Arc<Pod>| {
            let meta = &pod.metadata;
            meta.namespace.as_deref() == Some(namespace) && meta.name.as_deref() == Some(name)
        };
        self.list().into_iter().find(is_it)
    }

    /// Wakes a pod's loop.
    pub(crate) fn wake(&self, uid: &str) {
        if let Some(handle) = self.lock().get(uid) {
            handle.wake.notify_one();
        }
    }

    /// Wakes all loops.
    pub(crate) fn wake_all(&self) {
        for handle in self.lock().values() {
            handle.wake.notify_one();
        }
    }

    /// Ends a pod for what it takes; false if that was said before.
    pub(crate) fn evict(&self, uid: &str, message: &str) -> bool {
        let handles = self.lock();
        let Some(handle) = handles.get(uid) else {
            return false;
        };
        let is_news = handle.eviction.set(message.to_owned()).is_ok();
        handle.wake.notify_one();
        is_news
    }

    fn remove(&self, uid: &str) {
        self.lock().remove(uid);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Handle>> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Follows the pods bound to this node, and gives each a loop.
pub(crate) async fn follow(agent: Arc<Agent>) {
    let api: Api<Pod> = Api::all(agent.client.clone());
    let selector = format!("spec.nodeName={}", agent.config.node_name);
    let config = watcher::Config::default().fields(&selector);
    let mut events = watcher(api, config).default_backoff().boxed();
    let mut listed: Option<BTreeSet<String>> = None;
    let mut newcomers: Vec<Pod> = Vec::new();
    loop {
        let event = tokio::select! {
            () = agent.shutdown.cancelled() => return,
            event = events.next() => event,
        };
        match event {
            None => return,
            Some(Err(error)) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot watch pods, trying again"
                );
            }
            Some(Ok(watcher::Event::Init)) => {
                listed = Some(BTreeSet::new());
                newcomers.clear();
            }
            Some(Ok(watcher::Event::InitApply(pod))) => {
                if let (Some(listed), Some(uid)) = (&mut listed, &pod.metadata.uid) {
                    listed.insert(uid.clone());
                }
                newcomers.extend(applied(&agent, pod));
            }
            Some(Ok(watcher::Event::InitDone)) => {
                take_all(&agent, std::mem::take(&mut newcomers)).await;
                if let Some(listed) = listed.take() {
                    forget_unlisted(&agent, &listed);
                    adopt_orphans(&agent).await;
                    clear_left_over(&agent).await;
                }
            }
            Some(Ok(watcher::Event::Apply(pod))) => {
                if let Some(pod) = applied(&agent, pod) {
                    take(&agent, pod).await;
                }
            }
            Some(Ok(watcher::Event::Delete(pod))) => {
                let uid = pod.metadata.uid.unwrap_or_default();
                let handle = agent.pods.lock().get(&uid).cloned();
                if let Some(handle) = handle {
                    handle.updates.send_replace(None);
                }
            }
        }
    }
}

/// Tells a pod's loop of a change; gives the pod back that has none.
fn applied(agent: &Agent, pod: Pod) -> Option<Pod> {
    let uid = pod.metadata.uid.as_ref()?;
    let handle = agent.pods.lock().get(uid).cloned();
    let Some(handle) = handle else {
        return Some(pod);
    };
    handle.updates.send_replace(Some(Arc::new(pod)));
    None
}

/// Takes those first that the node has taken before, then the oldest.
async fn take_all(agent: &Arc<Agent>, mut pods: Vec<Pod>) {
    pods.sort_by_key(|pod| {
        let made = pod.metadata.creation_timestamp.as_ref();
        (admission::is_open(pod), made.map(|time| time.0))
    });
    for pod in pods {
        take(agent, pod).await;
    }
}

/// Gives a pod its loop, which runs it, or says why the node does not take it.
async fn take(agent: &Arc<Agent>, pod: Pod) {
    let rejection = if admission::is_open(&pod) {
        judge(agent, &pod).await
    } else {
        None
    };
    if let Some(rejection) = &rejection {
        let (reason, name) = (&rejection.reason, &pod.metadata.name);
        debug!(reason, name, "pod is not taken");
    }
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    spawn(agent, uid, pod, Standing::Bound(rejection));
}

/// Why the node does not take a pod. What is known of the node may be old: before a pod is refused, it is asked for.
async fn judge(agent: &Agent, pod: &Pod) -> Option<Rejection> {
    let rooms = agent.pods.rooms();
    let admit = |node: &Node| admission::admit(pod, node, rooms.iter().map(|room| &**room));
    let known = agent.node.borrow().clone();
    if known.is_some_and(|node| admit(&node).is_ok()) {
        return None;
    }
    admit(&registration::node(agent).await).err()
}

/// Pods that a new list no longer has are gone.
fn forget_unlisted(agent: &Agent, listed: &BTreeSet<String>) {
    let handles = agent.pods.lock();
    for (_, handle) in handles.iter().filter(|(uid, _)| !listed.contains(*uid)) {
        handle.updates.send_if_modified(|pod| pod.take().is_some());
    }
}

/// How a pod stands when its loop begins.
enum Standing {
    /// The API server has it; the node takes it unless there is a reason.
    Bound(Option<Rejection>),
    /// Only the runtime has it.
    Orphan,
}

fn spawn(agent: &Arc<Agent>, uid: String, pod: Pod, standing: Standing) {
    let pod = Arc::new(pod);
    let (known, room, rejection) = match standing {
        Standing::Bound(None) => (Some(Arc::clone(&pod)), Some(Arc::new(Room::of(&pod))), None),
        Standing::Bound(rejection) => (Some(Arc::clone(&pod)), None, rejection),
        Standing::Orphan => (None, None, None),
    };
    let updates = watch::Sender::new(known);
    let wake = Arc::new(Notify::new());
    let eviction = Arc::default();
    let receiver = updates.subscribe();
    let handle = Handle {
        updates: Arc::new(updates),
        wake: Arc::clone(&wake),
        room,
        eviction: Arc::clone(&eviction),
    };
    agent.pods.lock().insert(uid.clone(), handle);
    let agent = Arc::clone(agent);
    tokio::spawn(async move {
        let verdicts = Verdicts {
            rejection,
            eviction,
        };
        pod_loop::run(Arc::clone(&agent), pod, verdicts, receiver, wake).await;
        agent.pods.remove(&uid);
    });
}

/// Gives a loop to each pod that only the runtime still has, so that it is cleared away.
async fn adopt_orphans(agent: &Arc<Agent>) {
    let sandboxes = match agent.runtime.list_pod_sandboxes(None).await {
        Ok(sandboxes) => sandboxes,
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "cannot list sandboxes"
            );
            return;
        }
    };
    for sandbox in sandboxes {
        let label = |key: &str| sandbox.labels.get(key).cloned();
        let Some(uid) = label(names::POD_UID) else {
            continue;
        };
        if agent.pods.lock().contains_key(&uid) {
            continue;
        }
        debug!(uid, "sandbox of a pod that is gone");
        let mut pod = Pod::default();
        pod.metadata.uid = Some(uid.clone());
        pod.metadata.name = label(names::POD_NAME);
        pod.metadata.namespace = label(names::POD_NAMESPACE);
        spawn(agent, uid, pod, Standing::Orphan);
    }
}

/// Clears away what pods that are long gone have left on disk, as after a reboot.
async fn clear_left_over(agent: &Agent) {
    let Ok(mut entries) = tokio::fs::read_dir(agent.config.pods_dir()).await else {
        return;
    };
    while let Ok(Some(entry)) = entries.next_entry().await {
        let uid = entry.file_name().to_string_lossy().into_owned();
        if !agent.pods.lock().contains_key(&uid) {
            debug!(uid, "directory of a pod that is gone");
            volumes::remove_pod(agent, &uid).await;
        }
    }
}

/// Compares everything the runtime has with what was last seen, at long intervals.
pub(crate) async fn relist(agent: Arc<Agent>) {
    let mut before = BTreeMap::new();
    loop {
        tokio::select! {
            () = agent.shutdown.cancelled() => return,
            () = tokio::time::sleep(RELIST) => {}
        }
        let begun = Instant::now();
        let (Ok(containers), Ok(sandboxes)) = tokio::join!(
            agent.runtime.list_containers(None),
            agent.runtime.list_pod_sandboxes(None)
        ) else {
            continue;
        };
        agent.metrics.relisted(begun.elapsed());
        let mut now: BTreeMap<String, BTreeSet<(String, i32)>> = BTreeMap::new();
        let of_containers = containers
            .iter()
            .map(|one| (&one.labels, &one.id, one.state));
        let of_sandboxes = sandboxes
            .iter()
            .map(|one| (&one.labels, &one.id, one.state));
        for (labels, id, state) in of_containers.chain(of_sandboxes) {
            if let Some(uid) = labels.get(names::POD_UID) {
                now.entry(uid.clone())
                    .or_default()
                    .insert((id.clone(), state));
            }
        }
        for uid in now.keys().chain(before.keys()) {
            if now.get(uid) != before.get(uid) {
                agent.pods.wake(uid);
            }
        }
        before = now;
    }
}
