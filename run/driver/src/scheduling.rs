//! Drives the scheduler: keeps the cluster up to date, picks pods by priority, binds what was placed, and says why
//! the others wait.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use client::recorder::Note;
use client::{ClientError, Recorder, Rest};
use controllers::resources::{NAMESPACES, NODES, PODS};
use controllers::{Snapshot, condition};
use jiff::Timestamp;
use meta::{Object, ObjectExt};
use scheduler::{Pod, Rejections};
use serde_json::{Value, json};
use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::reconcile::Shared;
use crate::world::World;

mod metrics;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use metrics::Attempts;
use metrics::Outcome;
use state::{Next, State, Tried};

/// Bindings and status writes under way at once.
const WRITES_MAX: usize = 64;
/// Name of the scheduler that pods ask for by default. Source: `core/v1 DefaultSchedulerName`.
pub(crate) const NAME: &str = "default-scheduler";

struct Scheduling {
    world: World,
    state: Mutex<State>,
    changed: Notify,
    rest: Rest,
    recorder: Recorder,
    attempts: Attempts,
    writes: Arc<Semaphore>,
}

/// Schedules until shutdown.
pub(crate) async fn run(shared: Arc<Shared>) {
    let world = World::new(
        &shared.informers,
        &[PODS, NODES, NAMESPACES],
        Arc::clone(&shared.settings),
    );
    let scheduling = Arc::new(Scheduling {
        world: world.clone(),
        state: Mutex::default(),
        changed: Notify::new(),
        rest: shared.informers.rest().clone(),
        recorder: shared.recorder.speaking_for(NAME),
        attempts: shared.metrics.attempts.clone(),
        writes: Arc::new(Semaphore::new(WRITES_MAX)),
    });
    let asked = Arc::downgrade(&scheduling);
    scheduling.attempts.ask(move || {
        let scheduling = asked.upgrade();
        scheduling.map_or_else(Default::default, |scheduling| scheduling.state().count())
    });
    for (resource, informer) in world.informers() {
        let scheduling = Arc::clone(&scheduling);
        informer.subscribe(move |change| {
            let (old, new) = (change.old.as_ref(), change.new.as_ref());
            let woken = {
                let mut state = scheduling.state();
                match &*resource.kind {
                    "Pod" => state.see_pod(old, new, Instant::now()),
                    "Node" => state.see_node(old, new, Instant::now()),
                    _ => state.see_namespace(old, new, Instant::now()),
                }
            };
            if woken {
                scheduling.changed.notify_one();
            }
        });
    }
    tokio::select! {
        () = shared.shutdown.cancelled() => {}
        () = async {
            if world.synced().await {
                scheduling.work().await;
            }
        } => {}
    }
}

impl Scheduling {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn work(self: &Arc<Self>) {
        loop {
            let changed = self.changed.notified();
            let begun = Instant::now();
            let next = self.state().next(begun);
            if !matches!(next, Next::Wait(_)) {
                self.attempts.looked(begun.elapsed());
            }
            match next {
                Next::Placed { pod, node, tried } => self.bind(pod, node, tried).await,
                Next::Rejected { pod, rejections } => {
                    let took = begun.elapsed();
                    self.attempts.ended(Outcome::Unschedulable, took);
                    self.explain(pod, rejections).await;
                }
                Next::Wait(None) => changed.await,
                Next::Wait(Some(at)) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
            }
        }
    }

    /// Binds in the background; the pod counts as placed meanwhile.
    async fn bind(self: &Arc<Self>, pod: Arc<Pod>, node: String, tried: Tried) {
        let Ok(permit) = Arc::clone(&self.writes).acquire_owned().await else {
            return;
        };
        let scheduling = Arc::clone(self);
        tokio::spawn(async move {
            let outcome = scheduling.post_binding(&pod, &node).await;
            drop(permit);
            scheduling.note(&tried, outcome.is_ok());
            scheduling.bound(&pod, &node, outcome);
        });
    }

    /// Notes an attempt whose binding was answered.
    fn note(&self, tried: &Tried, is_bound: bool) {
        let took = tried.begun.elapsed();
        if is_bound {
            self.attempts.ended(Outcome::Scheduled, took);
            self.attempts
                .scheduled(tried.attempts, tried.since.elapsed());
        } else {
            self.attempts.ended(Outcome::Error, took);
        }
    }

    async fn post_binding(&self, pod: &Pod, node: &str) -> Result<Object, ClientError> {
        let binding = json!({
            "apiVersion": "v1", "kind": "Binding",
            "metadata": { "namespace": pod.key.namespace, "name": pod.key.name, "uid": pod.uid },
            "target": { "apiVersion": "v1", "kind": "Node", "name": node },
        });
        self.rest.post(&PODS, &pod.key, "binding", &binding).await
    }

    fn bound(&self, pod: &Arc<Pod>, node: &str, outcome: Result<Object, ClientError>) {
        match outcome {
            Ok(_) => {
                let key = &pod.key;
                let message = format!("Successfully assigned {key} to {node}");
                self.recorder.record(note(pod, false, "Scheduled", message));
            }
            Err(error) => {
                let is_gone = error.is_not_found();
                warn!(error = &error as &dyn std::error::Error, pod = %pod.key, node, "pod not bound");
                if !is_gone {
                    let message = format!("binding rejected: {error}");
                    self.recorder
                        .record(note(pod, true, "FailedScheduling", message));
                }
                self.state().unbind(pod, is_gone, Instant::now());
                self.changed.notify_one();
            }
        }
    }

    /// Says why a pod waits, in its condition and in an event.
    async fn explain(&self, pod: Arc<Pod>, rejections: Rejections) {
        let message = rejections.message();
        debug!(pod = %pod.key, message, "pod fits nowhere");
        self.recorder
            .record(note(&pod, true, "FailedScheduling", message.clone()));
        let known = self.world.get(&PODS, &pod.key);
        let patch = known
            .filter(|known| known.uid() == pod.uid)
            .and_then(|known| unschedulable(&known, &message, Timestamp::now()));
        let Some(patch) = patch else {
            return;
        };
        let Ok(permit) = Arc::clone(&self.writes).acquire_owned().await else {
            return;
        };
        let rest = self.rest.clone();
        tokio::spawn(async move {
            if let Err(error) = rest.patch(&PODS, &pod.key, Some("status"), &patch).await {
                debug!(error = &error as &dyn std::error::Error, pod = %pod.key, "condition not written");
            }
            drop(permit);
        });
    }
}

/// The patch that says a pod is unschedulable; `None` when its condition says so already.
fn unschedulable(pod: &Object, message: &str, now: Timestamp) -> Option<Value> {
    let mut status = pod.get("status").cloned().unwrap_or_else(|| json!({}));
    let known = condition::find(&status, "PodScheduled");
    let text = |field: &str| known.and_then(|known| known.str_at(&[field]));
    let is_false = text("status") == Some("False");
    if is_false && text("reason") == Some("Unschedulable") && text("message") == Some(message) {
        return None;
    }
    let now = meta::time::to_rfc3339(now);
    let since = text("lastTransitionTime")
        .filter(|_| is_false)
        .unwrap_or(&now);
    let mut scheduled = json!({
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message,
        "lastProbeTime": null, "lastTransitionTime": since,
    });
    if pod.generation() > 0 {
        scheduled.set(&["observedGeneration"], pod.generation().into());
    }
    condition::put(&mut status, scheduled);
    Some(json!({
        "metadata": { "uid": pod.uid(), "resourceVersion": pod.resource_version() },
        "status": { "conditions": status.get("conditions") },
    }))
}

fn note(pod: &Pod, is_warning: bool, reason: &str, message: String) -> Note {
    Note {
        api_version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        namespace: pod.key.namespace.clone(),
        name: pod.key.name.clone(),
        uid: pod.uid.clone(),
        is_warning,
        reason: reason.to_owned(),
        message,
        ..Note::default()
    }
}

/// Wait before the next attempt after so many. Source: `podInitialBackoffSeconds`, `podMaxBackoffSeconds`.
fn backoff(attempts: u32) -> Duration {
    let seconds = 1_u64 << attempts.saturating_sub(1).min(4);
    Duration::from_secs(seconds.min(10))
}
