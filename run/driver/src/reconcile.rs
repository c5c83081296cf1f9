//! The loop around one controller: changes become keys, keys become decisions, decisions become writes.

use std::sync::Arc;
use std::time::Duration;

use client::{Informers, Recorder, WorkQueue};
use controllers::{Controller, Settings};
use jiff::Timestamp;
use meta::Key;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::Metrics;
use crate::act::{Actor, Stopped, Written};
use crate::world::World;

/// Keys of one controller that are worked on at once. Source: kube-controller-manager's `--concurrent-*-syncs`.
const WORKERS: usize = 5;
/// Longest wait for the caches to show our own writes; after it a decision may be made twice, which is safe.
const CATCH_UP_MAX: Duration = Duration::from_secs(10);

/// What every loop uses.
pub(crate) struct Shared {
    pub(crate) informers: Informers,
    pub(crate) recorder: Recorder,
    pub(crate) settings: Arc<Settings>,
    pub(crate) metrics: Metrics,
    pub(crate) shutdown: CancellationToken,
}

/// Starts one controller; its informers are asked for at once, before anyone asks for metadata alone.
pub(crate) fn start<C: Controller>(
    tasks: &mut JoinSet<()>,
    shared: &Arc<Shared>,
    queue: &'static str,
) {
    let world = World::new(&shared.informers, C::WATCHES, Arc::clone(&shared.settings));
    let queue = WorkQueue::counted(queue, &shared.metrics.queues);
    tasks.spawn(run::<C>(Arc::clone(shared), world, queue));
}

/// Runs one controller until shutdown; others may add to its queue what they see of kinds that it does not watch.
pub(crate) async fn run<C: Controller>(shared: Arc<Shared>, world: World, queue: WorkQueue<Key>) {
    for resource in C::WATCHES {
        let Some(informer) = world.informer(resource) else {
            continue;
        };
        let (world, queue) = (world.clone(), queue.clone());
        informer.subscribe(move |change| {
            for object in change.old.iter().chain(&change.new) {
                for key in C::concerns(&world, resource, object) {
                    queue.add(key);
                }
            }
        });
    }
    let synced = tokio::select! {
        () = shared.shutdown.cancelled() => false,
        synced = world.synced() => synced,
    };
    if !synced {
        return;
    }
    let recorder = shared.recorder.speaking_for(C::NAME);
    let mut workers = JoinSet::new();
    for _ in 0..WORKERS {
        let (shared, world) = (Arc::clone(&shared), world.clone());
        let (queue, recorder) = (queue.clone(), recorder.clone());
        workers.spawn(async move { work::<C>(&shared, &world, &queue, &recorder).await });
    }
    shared.shutdown.cancelled().await;
    queue.close();
    while workers.join_next().await.is_some() {}
}

async fn work<C: Controller>(
    shared: &Shared,
    world: &World,
    queue: &WorkQueue<Key>,
    recorder: &Recorder,
) {
    while let Some(key) = queue.next().await {
        let outcome = tokio::select! {
            () = shared.shutdown.cancelled() => return,
            outcome = reconcile::<C>(shared, world, recorder, &key) => outcome,
        };
        match outcome {
            Outcome::Done(wake_at) => {
                queue.forget(&key);
                if let Some(at) = wake_at {
                    queue.add_at(key.clone(), instant(at));
                }
            }
            Outcome::Retry => {
                let wait = queue.retry(key.clone());
                debug!(controller = C::NAME, %key, wait_ms = wait.as_millis(), "trying again");
            }
        }
        queue.done(&key);
    }
}

enum Outcome {
    Done(Option<Timestamp>),
    Retry,
}

impl Outcome {
    /// The outcome of what was decided at a moment, and asks to be decided again at another. When that is past already, it
    /// is tried again with a wait that grows: a decision that never leaves its moment behind must not keep a processor.
    fn after(wake_at: Option<Timestamp>, now: Timestamp) -> Self {
        match wake_at {
            Some(at) if at <= now => Self::Retry,
            later => Self::Done(later),
        }
    }
}

async fn reconcile<C: Controller>(
    shared: &Shared,
    world: &World,
    recorder: &Recorder,
    key: &Key,
) -> Outcome {
    let Some(seen) = C::observe(world, key) else {
        return Outcome::Done(None);
    };
    let now = Timestamp::now();
    let decision = C::decide(&seen, now);
    debug!(controller = C::NAME, %key, actions = decision.actions.len(), why = ?decision.why, "decided");
    let mut actor = Actor::new(shared.informers.rest(), recorder);
    let outcome = match actor.perform(&decision).await {
        Ok(()) => Outcome::after(decision.wake_at, now),
        Err(Stopped::Stale) => Outcome::Retry,
        Err(Stopped::Failed(failure)) => {
            warn!(
                controller = C::NAME, kind = %C::SUBJECT.kind, namespace = key.namespace, name = key.name,
                code = failure.code, message = failure.message, "action refused"
            );
            if let Some(fallback) = C::failed(&seen, &failure, Timestamp::now())
                && let Err(error) = actor.perform(&fallback).await
            {
                debug!(controller = C::NAME, %key, ?error, "failure not noted");
            }
            Outcome::Retry
        }
    };
    let written = std::mem::take(&mut actor.written);
    catch_up(world, &written).await;
    outcome
}

/// Waits until the caches show what was written, so that the next decision does not repeat it.
pub(crate) async fn catch_up(world: &World, written: &[Written]) {
    let waits = written.iter().map(|written| see(world, written));
    let all = futures::future::join_all(waits);
    if tokio::time::timeout(CATCH_UP_MAX, all).await.is_err() {
        warn!("caches are slow to show what was written");
    }
}

async fn see(world: &World, written: &Written) {
    match written {
        Written::Version { resource, version } => {
            if let Some(informer) = world.informer(resource) {
                informer.caught_up(*version, CATCH_UP_MAX).await;
            }
        }
        Written::Gone { resource, key, uid } => {
            if let Some(informer) = world.informer(resource) {
                let is_gone = || {
                    let cache = informer.cache();
                    cache
                        .get(key)
                        .is_none_or(|known| meta::ObjectExt::uid(&*known) != uid)
                };
                let mut progress = informer.progress();
                if progress.wait_for(|_| is_gone()).await.is_err() {
                    debug!("informer ended");
                }
            }
        }
    }
}

/// The moment of a time of day.
pub(crate) fn instant(at: Timestamp) -> Instant {
    let wait = Duration::try_from(at.duration_since(Timestamp::now())).unwrap_or_default();
    Instant::now() + wait
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_the_past_has_to_wait() {
        let now = Timestamp::UNIX_EPOCH;
        let later = now + Duration::from_secs(1);
        assert!(matches!(Outcome::after(Some(now), now), Outcome::Retry));
        assert!(matches!(Outcome::after(Some(now), later), Outcome::Retry));
        assert!(matches!(Outcome::after(Some(later), now), Outcome::Done(Some(at)) if at == later));
        assert!(matches!(Outcome::after(None, now), Outcome::Done(None)));
    }
}
