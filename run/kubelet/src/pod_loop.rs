//! The loop of one pod: see, decide, act, until nothing is left to do.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Pod, PodStatus};
use node::admission::Rejection;
use node::pod::{Action, Stage, Step};
use node::seen::{Doing, NodeFacts, Seen, State, Subject, Volumes};
use tokio::sync::{Notify, watch};
use tokio::task::{AbortHandle, JoinSet};
use tracing::{Instrument as _, debug, info_span, warn};

use crate::act::{self, Outcome};
use crate::agent::{Agent, now};
use crate::exits::{Ended, Exits, Of};
use crate::history::History;
use crate::observe::{Observer, Picture};
use crate::probes::Probers;
use crate::volumes::Mounted;
use crate::{sources, status_patch, volumes};

/// First wait before something that should have changed is looked at again.
const LOOK_AGAIN_MIN: Duration = Duration::from_millis(10);
/// Longest such wait; also the interval at which processes that cannot be waited for are looked at.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);
/// Wait after a runtime or an API server that does not answer.
const RETRY: Duration = Duration::from_secs(2);
/// Longest time the loop waits for anything.
const WAIT_MAX: Duration = Duration::from_hours(1);

/// What the node says against a pod; once the API server was told, its status says so.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    /// Why the node does not take it.
    pub(crate) rejection: Option<Rejection>,
    /// Why the node ends it, as soon as it does.
    pub(crate) eviction: Arc<OnceLock<String>>,
}

/// Runs one pod until nothing of it is left.
pub(crate) async fn run(
    agent: Arc<Agent>,
    pod: Arc<Pod>,
    verdicts: Verdicts,
    updates: watch::Receiver<Option<Arc<Pod>>>,
    wake: Arc<Notify>,
) {
    let meta = &pod.metadata;
    let span = info_span!(
        "pod",
        namespace = meta.namespace,
        name = meta.name,
        uid = meta.uid
    );
    let mut life = Life::new(agent, pod, updates, wake);
    life.verdicts = verdicts;
    life.run().instrument(span).await;
}

/// One pod and everything known of it.
struct Life {
    agent: Arc<Agent>,
    uid: String,
    pod: Arc<Pod>,
    verdicts: Verdicts,
    is_orphan: bool,
    updates: watch::Receiver<Option<Arc<Pod>>>,
    wake: Arc<Notify>,
    observer: Observer,
    picture: Picture,
    is_stale: bool,
    look_again: Duration,
    history: History,
    mounted: Arc<Mounted>,
    probers: Probers,
    exits: Exits,
    tasks: JoinSet<Outcome>,
    in_flight: BTreeMap<Subject, (Doing, AbortHandle)>,
    following: Option<AbortOnDrop>,
    have_sources_changed: Arc<AtomicBool>,
    writing: Option<AbortHandle>,
    /// The patch being written.
    sent: Option<serde_json::Value>,
    /// The patch written last, and the version of the object it gave.
    acknowledged: Option<(serde_json::Value, Option<String>)>,
    write_after: Option<tokio::time::Instant>,
}

/// Ends a task with its owner.
struct AbortOnDrop(AbortHandle);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Life {
    fn new(
        agent: Arc<Agent>,
        pod: Arc<Pod>,
        updates: watch::Receiver<Option<Arc<Pod>>>,
        wake: Arc<Notify>,
    ) -> Self {
        let is_orphan = updates.borrow().is_none();
        Self {
            uid: pod.metadata.uid.clone().unwrap_or_default(),
            is_orphan,
            verdicts: Verdicts::default(),
            updates,
            observer: Observer::default(),
            picture: Picture::default(),
            is_stale: true,
            look_again: LOOK_AGAIN_MIN,
            history: History::default(),
            mounted: Arc::new(Mounted::default()),
            probers: Probers::new(Arc::clone(&agent), Arc::clone(&wake)),
            exits: Exits::new(Arc::clone(&wake)),
            tasks: JoinSet::new(),
            in_flight: BTreeMap::new(),
            following: None,
            have_sources_changed: Arc::default(),
            writing: None,
            sent: None,
            acknowledged: None,
            write_after: None,
            agent,
            pod,
            wake,
        }
    }

    async fn run(mut self) {
        loop {
            let mut wait = WAIT_MAX;
            if self.is_stale {
                match self.look().await {
                    Ok(()) => self.is_stale = false,
                    Err(error) => {
                        warn!(
                            error = &error as &dyn std::error::Error,
                            "the runtime does not answer"
                        );
                        wait = RETRY;
                    }
                }
            }
            if !self.is_stale {
                let step = self.decide();
                let is_object = |subject: &Subject| *subject == Subject::Object;
                if step.stage == Stage::Gone && self.in_flight.keys().all(is_object) {
                    self.forget().await;
                    return;
                }
                wait = self.wait_for(&step);
                self.act(step);
                self.refresh_volumes();
            }
            if !self.wait(wait).await {
                return;
            }
        }
    }

    /// Looks at the runtime, and waits for the ends of what lives there.
    async fn look(&mut self) -> Result<(), cri::CallError> {
        let agent = &self.agent;
        let look = self
            .observer
            .look(&agent.runtime, &self.uid, &agent.config.logs_dir);
        self.picture = look.await?;
        let mut living = BTreeMap::new();
        for one in self
            .picture
            .containers
            .iter()
            .filter(|one| one.state == State::Running)
        {
            living.insert(one.id.clone(), Of::Container);
        }
        for one in self.picture.sandboxes.iter().filter(|one| one.is_ready) {
            living.insert(one.id.clone(), Of::Sandbox);
        }
        self.exits.watch(&agent.runtime, &living);
        let spec = self.pod.spec.as_ref();
        let in_flight = self.in_flight();
        let is_started = |one: &node::seen::Container| {
            let container = spec.and_then(|spec| node::pod::spec::find(spec, &one.name));
            container
                .is_none_or(|container| !node::pod::spec::is_in_hook(&in_flight, container, one))
        };
        self.probers.keep(&self.pod, &self.picture, is_started);
        Ok(())
    }

    fn decide(&mut self) -> Step {
        let now = now();
        let mut seen = self.seen();
        let status = node::pod::status(&seen, now);
        seen.is_status_written = self.is_orphan || !self.write(&status, now);
        let step = node::pod::step(&seen, now);
        debug!(stage = ?step.stage, actions = step.actions.len(), "decided");
        step
    }

    fn seen(&self) -> Seen {
        let health = self.agent.health.borrow();
        Seen {
            pod: (*self.pod).clone(),
            is_orphan: self.is_orphan,
            rejection: self.verdicts.rejection.clone(),
            eviction: self.verdicts.eviction.get().cloned(),
            sandboxes: self.picture.sandboxes.clone(),
            containers: self.picture.containers.clone(),
            images: self.history.images.clone(),
            pulled: self.history.pulled_for.clone(),
            pull_failures: self.history.pull_failures.clone(),
            start_failures: self.history.start_failures.clone(),
            sandbox_failure: self.history.sandbox_failure.clone(),
            probes: self.probers.verdicts(),
            volumes: self.history.volumes.clone(),
            in_flight: self.in_flight(),
            is_status_written: false,
            node: NodeFacts {
                host_ips: self.agent.host_ips(),
                runtime_name: health.name.clone(),
                network_error: health.network_error.clone(),
            },
        }
    }

    /// What is being done for the pod at this moment.
    fn in_flight(&self) -> BTreeMap<Subject, Doing> {
        let doing = self.in_flight.iter();
        doing
            .map(|(subject, (doing, _))| (subject.clone(), *doing))
            .collect()
    }

    /// Writes the status if it differs from the one the API server has; true when it does.
    fn write(&mut self, status: &PodStatus, _now: Timestamp) -> bool {
        let old = self.pod.status.clone().unwrap_or_default();
        let Some(patch) = status_patch::patch(&self.uid, &old, status) else {
            return false;
        };
        let is_due = self
            .write_after
            .is_none_or(|at| at <= tokio::time::Instant::now());
        if self.acknowledged.as_ref().is_some_and(|(sent, version)| {
            *sent == patch && *version == self.pod.metadata.resource_version
        }) {
            // The server keeps it in another form than it was sent; sending it again changes nothing.
            return false;
        }
        if self.writing.is_none() && is_due {
            self.sent = Some(patch.clone());
            let (agent, pod) = (Arc::clone(&self.agent), Arc::clone(&self.pod));
            let task = self.tasks.spawn(act::write_status(agent, pod, patch));
            self.writing = Some(task);
        }
        true
    }

    fn act(&mut self, step: Step) {
        for action in step.actions {
            match action {
                Action::Record(event) => {
                    if self.history.is_new(&event, now()) {
                        self.agent.record(&self.pod, event);
                    }
                }
                Action::Cancel { name } => {
                    let subject = Subject::Container(name);
                    if let Some((_, task)) = self.in_flight.remove(&subject) {
                        task.abort();
                        self.wake.notify_one();
                    }
                }
                action => self.begin(action),
            }
        }
    }

    fn begin(&mut self, action: Action) {
        let Some((subject, doing)) = action.subject() else {
            return;
        };
        debug!(?subject, ?doing, "acting");
        let scene = act::Scene {
            agent: Arc::clone(&self.agent),
            pod: Arc::clone(&self.pod),
            mounted: Arc::clone(&self.mounted),
            picture: self.picture.clone(),
        };
        let task = self.tasks.spawn(act::act(scene, action).in_current_span());
        self.in_flight.insert(subject, (doing, task));
    }

    /// How long nothing may happen before the loop looks again.
    fn wait_for(&mut self, step: &Step) -> Duration {
        let mut wait = WAIT_MAX;
        let until = |at: Timestamp| {
            let left = at.duration_since(now());
            Duration::try_from(left).unwrap_or(Duration::ZERO) + Duration::from_millis(1)
        };
        if let Some(at) = step.wake_at {
            wait = wait.min(until(at));
        }
        if let Some(at) = self
            .mounted
            .refresh_at
            .filter(|_| self.history.volumes == Volumes::Ready)
        {
            wait = wait.min(until(at));
        }
        if let Some(at) = self.write_after {
            wait = wait.min(at.saturating_duration_since(tokio::time::Instant::now()));
        }
        match self.ended() {
            // The kernel was faster than the runtime: it will know in a moment.
            Some(Ended::Gone) => {
                wait = wait.min(self.look_again);
                self.look_again = (self.look_again * 2).min(LOOK_AGAIN_MAX);
            }
            Some(Ended::Unwatchable) => wait = wait.min(LOOK_AGAIN_MAX),
            None => self.look_again = LOOK_AGAIN_MIN,
        }
        wait
    }

    /// Whether something that the runtime shows as living has ended or must be asked for.
    fn ended(&mut self) -> Option<Ended> {
        let containers = self
            .picture
            .containers
            .iter()
            .filter(|one| one.state == State::Running);
        let sandboxes = self.picture.sandboxes.iter().filter(|one| one.is_ready);
        let ids: Vec<String> = containers
            .map(|one| one.id.clone())
            .chain(sandboxes.map(|one| one.id.clone()))
            .collect();
        let ends: Vec<Ended> = ids.iter().filter_map(|id| self.exits.ended(id)).collect();
        if ends.contains(&Ended::Gone) {
            return Some(Ended::Gone);
        }
        ends.first().copied()
    }

    /// Waits for something to happen; false when the agent ends.
    async fn wait(&mut self, wait: Duration) -> bool {
        let shutdown = self.agent.shutdown.clone();
        tokio::select! {
            () = shutdown.cancelled() => return false,
            changed = self.updates.changed() => {
                if changed.is_err() {
                    return false;
                }
                self.updated();
            }
            () = self.wake.notified() => self.is_stale = true,
            Some(joined) = self.tasks.join_next_with_id() => self.joined(joined),
            () = tokio::time::sleep(wait) => self.is_stale = true,
        }
        true
    }

    /// Takes the newest object; an older one than the answer to the last write is left aside.
    fn updated(&mut self) {
        let update = self.updates.borrow_and_update().clone();
        match update {
            None => self.is_orphan = true,
            Some(pod) => self.take(pod),
        }
    }

    /// Takes a version of the pod unless a newer one is known.
    fn take(&mut self, pod: Arc<Pod>) {
        if version(&pod) < version(&self.pod) {
            return;
        }
        if node::volume::shows_change(&self.pod, &pod) {
            self.have_sources_changed.store(true, Ordering::Relaxed);
        }
        self.pod = pod;
    }

    fn joined(&mut self, joined: Result<(tokio::task::Id, Outcome), tokio::task::JoinError>) {
        let id = match &joined {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        self.in_flight.retain(|_, (_, task)| task.id() != id);
        if self.writing.as_ref().is_some_and(|task| task.id() == id) {
            self.writing = None;
        }
        match joined {
            Ok((_, outcome)) => self.learn(outcome),
            Err(error) if error.is_cancelled() => {}
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "an action broke off"
                );
                self.is_stale = true;
            }
        }
    }

    /// Notes what an action has brought about.
    fn learn(&mut self, outcome: Outcome) {
        let history = &mut self.history;
        match outcome {
            Outcome::Changed => self.is_stale = true,
            Outcome::Nothing => {}
            Outcome::Mounted(Ok(mounted)) => {
                self.mounted = Arc::new(mounted);
                history.volumes = Volumes::Ready;
                self.follow_sources();
            }
            Outcome::Mounted(Err(message)) => history.mount_failed(message),
            Outcome::Unmounted => history.volumes = Volumes::Removed,
            Outcome::Sandbox(result) => {
                history.sandbox(result);
                self.is_stale = true;
            }
            Outcome::Image { image, seen } => {
                history.images.insert(image, seen);
            }
            Outcome::Pulled {
                name,
                image,
                attempt,
                result,
            } => history.pulled(name, image, attempt, result),
            Outcome::Started {
                name,
                image,
                result,
            } => {
                history.started(name, &image, result);
                self.is_stale = true;
            }
            Outcome::Written(Ok(written)) => {
                self.write_after = None;
                let version_now = written.metadata.resource_version.clone();
                self.acknowledged = self.sent.take().map(|sent| (sent, version_now));
                self.take(Arc::new(*written));
            }
            Outcome::Outdated => self.write_after = Some(tokio::time::Instant::now() + RETRY),
            Outcome::Written(Err(error)) => {
                warn!(error, "cannot write the pod's status, trying again");
                self.write_after = Some(tokio::time::Instant::now() + RETRY);
            }
        }
    }

    /// Watches the objects that the volumes are made from, as long as the pod lives.
    fn follow_sources(&mut self) {
        if self.following.is_some() || !sources::has_any(&self.pod) {
            return;
        }
        let (agent, pod) = (Arc::clone(&self.agent), Arc::clone(&self.pod));
        let (changed, wake) = (
            Arc::clone(&self.have_sources_changed),
            Arc::clone(&self.wake),
        );
        let task = tokio::spawn(async move {
            let ring = || {
                changed.store(true, Ordering::Relaxed);
                wake.notify_one();
            };
            sources::follow(&agent.sources, &pod, ring).await;
        });
        self.following = Some(AbortOnDrop(task.abort_handle()));
    }

    /// Renews volumes whose tokens are about to expire or whose sources have changed.
    fn refresh_volumes(&mut self) {
        let is_in_use = self.history.volumes == Volumes::Ready && !self.is_orphan;
        if !is_in_use || self.in_flight.contains_key(&Subject::Volumes) {
            return;
        }
        let is_due = self.mounted.refresh_at.is_some_and(|at| at <= now());
        if self.have_sources_changed.swap(false, Ordering::Relaxed) || is_due {
            self.begin(Action::MountVolumes);
        }
    }

    /// Clears the last traces of the pod away.
    async fn forget(&self) {
        let name = node::names::pod_log_directory(
            self.pod.metadata.namespace.as_deref().unwrap_or_default(),
            self.pod.metadata.name.as_deref().unwrap_or_default(),
            &self.uid,
        );
        let logs = self.agent.config.logs_dir.join(name);
        volumes::remove_tree(&logs).await;
        debug!("nothing of the pod is left");
    }
}

/// The version of an object as a number; the API server's versions only grow.
fn version(pod: &Pod) -> u64 {
    let text = pod.metadata.resource_version.as_deref().unwrap_or_default();
    text.parse().unwrap_or(0)
}
