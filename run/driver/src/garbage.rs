//! Drives the garbage collector.

use std::sync::{Arc, PoisonError};

use controllers::garbage::{self, Looked, Observed, Subject, Verdict};
use meta::ObjectExt;
use tracing::{debug, warn};

use crate::act::{Actor, Stopped};
use crate::everything::Everything;
use crate::reconcile::catch_up;

/// Objects worked on at once. Source: `--concurrent-gc-syncs`.
const WORKERS: usize = 20;
/// Absent owners that are remembered. Source: `absentOwnerCache`.
const ABSENT_MAX: usize = 500;

/// Works until the queue is closed.
pub(crate) async fn run(everything: &Arc<Everything>) {
    futures::future::join_all((0..WORKERS).map(|_| work(everything))).await;
}

async fn work(everything: &Everything) {
    let recorder = everything.shared.recorder.speaking_for(garbage::NAME);
    while let Some(subject) = everything.garbage.next().await {
        let mut actor = Actor::new(everything.shared.informers.rest(), &recorder);
        if collect(everything, &mut actor, &subject).await {
            everything.garbage.forget(&subject);
        } else {
            everything.garbage.retry(subject.clone());
        }
        catch_up(&everything.world, &actor.written).await;
        everything.garbage.done(&subject);
    }
}

/// Decides about one object and carries it out; false when it must be tried again.
async fn collect(everything: &Everything, actor: &mut Actor<'_>, subject: &Subject) -> bool {
    let mut looked = everything
        .looked
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let Some(seen) = observe(everything, subject, &looked) else {
        return true;
    };
    let decision = match garbage::decide(&seen) {
        Verdict::Act(decision) => decision,
        Verdict::Look(owners) => {
            for (owner, uid) in owners {
                match is_there(everything, &owner, &uid).await {
                    Some(true) => looked.present.insert(uid),
                    Some(false) => looked.absent.insert(uid),
                    None => return false,
                };
            }
            remember(everything, looked.absent.iter().cloned());
            let Some(seen) = observe(everything, subject, &looked) else {
                return true;
            };
            match garbage::decide(&seen) {
                Verdict::Act(decision) => decision,
                // Its owners changed meanwhile.
                Verdict::Look(_) => return false,
            }
        }
    };
    if !decision.actions.is_empty() {
        debug!(kind = %subject.resource.kind, key = %subject.key, why = ?decision.why, "collecting");
    }
    match actor.perform(&decision).await {
        Ok(()) => true,
        Err(Stopped::Stale) => false,
        Err(Stopped::Failed(failure)) => {
            warn!(kind = %subject.resource.kind, key = %subject.key, message = failure.message, "not collected");
            false
        }
    }
}

fn observe(everything: &Everything, subject: &Subject, looked: &Looked) -> Option<Observed> {
    garbage::observe(&everything.graph(), &everything.world, subject, looked)
}

/// Whether an owner with this uid is there; `None` when the server does not say.
async fn is_there(everything: &Everything, owner: &Subject, uid: &str) -> Option<bool> {
    match everything
        .shared
        .informers
        .rest()
        .get(&owner.resource, &owner.key)
        .await
    {
        Ok(found) => Some(found.uid() == uid),
        Err(error) if error.is_object_missing() => Some(false),
        Err(error) => {
            debug!(error = &error as &dyn std::error::Error, owner = %owner.key, "owner not looked up");
            None
        }
    }
}

/// Remembers owners that are gone.
pub(crate) fn remember(everything: &Everything, absent: impl IntoIterator<Item = String>) {
    let mut known = everything
        .looked
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    if known.absent.len() > ABSENT_MAX {
        known.absent.clear();
    }
    known.absent.extend(absent);
}
