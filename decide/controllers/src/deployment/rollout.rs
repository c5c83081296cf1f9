//! The steps of a rollout.

use meta::ObjectExt;

use super::plan::{Plan, Set};
use super::{revision, status};
use crate::action;
use crate::controller::Decision;
use crate::pod;
use crate::resources::REPLICA_SETS;

/// The next step of a rolling update.
pub(super) fn rolling(mut plan: Plan<'_>) -> Decision {
    let total = plan.total();
    let spec = plan.spec.clone();
    let Some(new) = plan.new.as_mut() else {
        return revision::create(plan);
    };
    let size = new.replicas();
    let allowed = if size > spec.replicas {
        spec.replicas
    } else {
        let room = (spec.replicas + spec.max_surge() - total).max(0);
        size + room.min(spec.replicas - size)
    };
    if new.resize(allowed, &spec) {
        plan.note("the new replica set may grow");
    } else if scale_down_old(&mut plan) {
        plan.note("old replica sets may shrink");
    } else if status::is_complete(&plan, &plan.status) {
        clean_up(&mut plan);
    }
    status::sync_rollout(&mut plan);
    plan.finish()
}

/// Shrinks old sets as far as availability allows: pods that are not healthy first. Says whether any changed.
fn scale_down_old(plan: &mut Plan<'_>) -> bool {
    let spec = plan.spec.clone();
    if plan.old.iter().map(Set::replicas).sum::<i64>() == 0 {
        return false;
    }
    let min_available = spec.replicas - spec.max_unavailable();
    let new_unavailable = plan
        .new
        .as_ref()
        .map_or(0, |new| new.replicas() - new.available());
    let removable = plan.total() - min_available - new_unavailable;
    if removable <= 0 {
        return false;
    }
    let mut removed = 0;
    for set in plan.old.iter_mut().filter(|set| set.is_active()) {
        let unhealthy = (set.replicas() - set.available()).max(0);
        let surplus = unhealthy.min(removable - removed);
        removed += surplus;
        set.resize(set.replicas() - surplus, &spec);
    }
    let mut spare = plan.available() - min_available;
    for set in plan.old.iter_mut().filter(|set| set.is_active()) {
        if spare <= 0 {
            break;
        }
        let surplus = set.replicas().min(spare);
        spare -= surplus;
        removed += surplus;
        set.resize(set.replicas() - surplus, &spec);
    }
    removed > 0
}

/// The next step of a rollout that ends all old pods before it makes new ones.
pub(super) fn recreate(mut plan: Plan<'_>) -> Decision {
    let spec = plan.spec.clone();
    let mut is_scaled = false;
    for set in &mut plan.old {
        is_scaled |= set.resize(0, &spec);
    }
    if is_scaled || are_old_pods_running(&plan) {
        plan.note("old pods end first");
        status::sync_rollout(&mut plan);
        return plan.finish();
    }
    let Some(new) = plan.new.as_mut() else {
        return revision::create(plan);
    };
    new.resize(spec.replicas, &spec);
    if status::is_complete(&plan, &plan.status) {
        clean_up(&mut plan);
    }
    status::sync_rollout(&mut plan);
    plan.finish()
}

fn are_old_pods_running(plan: &Plan<'_>) -> bool {
    let new_uid = plan.new.as_ref().map(|new| new.seen.uid());
    let is_old = |owner: &serde_json::Value| owner.str_at(&["uid"]) != new_uid;
    plan.old.iter().any(|set| set.count("replicas") > 0)
        || plan
            .seen
            .pods
            .iter()
            .any(|pod| !pod::is_terminal(pod) && pod.controller().is_some_and(is_old))
}

/// Deletes the oldest empty replica sets beyond the history limit.
pub(super) fn clean_up(plan: &mut Plan<'_>) {
    let Some(limit) = plan.spec.revision_history_limit else {
        return;
    };
    let revision = |set: &Set| {
        let noted = set.seen.annotation(super::REVISION_ANNOTATION);
        noted
            .and_then(|revision| revision.parse::<i64>().ok())
            .unwrap_or_default()
    };
    let alive = |set: &&Set| set.seen.deletion_timestamp().is_none();
    let mut old: Vec<&Set> = plan.old.iter().filter(alive).collect();
    let surplus = i64::try_from(old.len()).unwrap_or(i64::MAX) - limit;
    let Ok(surplus) = usize::try_from(surplus) else {
        return;
    };
    old.sort_by_key(|set| (revision(set), set.created, set.name().to_owned()));
    let is_empty = |set: &&Set| {
        set.count("replicas") == 0
            && set.replicas() == 0
            && set.seen.generation() <= set.count("observedGeneration")
    };
    let surplus: Vec<_> = old
        .into_iter()
        .take(surplus)
        .filter(is_empty)
        .map(|set| action::delete(&REPLICA_SETS, &set.seen))
        .collect();
    plan.decision.actions.extend(surplus);
}
