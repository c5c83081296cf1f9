//! Scaling without a rollout: the change is shared among the replica sets in proportion to their sizes.

use super::plan::{DESIRED_REPLICAS, MAX_REPLICAS, Plan, Set};
use super::spec::{Spec, Strategy};

/// Whether the wanted number changed since the active replica sets were last sized.
pub(super) fn is_scaling_event(plan: &Plan<'_>) -> bool {
    let mut active = plan.sets().filter(|set| set.is_active());
    active.any(|set| {
        set.noted(DESIRED_REPLICAS)
            .is_some_and(|noted| noted != plan.spec.replicas)
    })
}

/// Sizes the replica sets for the wanted number.
pub(super) fn proportionally(plan: &mut Plan<'_>) {
    let spec = plan.spec.clone();
    if let Some(set) = only_active_or_latest(plan) {
        set.resize(spec.replicas, &spec);
        return;
    }
    if plan
        .new
        .as_ref()
        .is_some_and(|new| is_saturated(new, &spec))
    {
        for set in &mut plan.old {
            set.resize(0, &spec);
        }
        return;
    }
    if matches!(spec.strategy, Strategy::Recreate) {
        return;
    }
    let reported = plan.deployment_replicas();
    let mut active: Vec<&mut Set> = plan
        .old
        .iter_mut()
        .chain(&mut plan.new)
        .filter(|set| set.is_active())
        .collect();
    let total: i64 = active.iter().map(|set| set.replicas()).sum();
    let allowed = if spec.replicas > 0 {
        spec.replicas + spec.max_surge()
    } else {
        0
    };
    let to_add = allowed - total;
    sort_for(&mut active, to_add);
    let mut added = 0;
    let mut sizes = Vec::with_capacity(active.len());
    for set in &active {
        let share = proportion(set, &spec, to_add, added, reported);
        added += share;
        sizes.push(set.replicas() + share);
    }
    if let Some(largest) = sizes.first_mut() {
        *largest = (*largest + to_add - added).max(0);
    }
    for (set, size) in active.into_iter().zip(sizes) {
        set.resize_always(size, &spec);
    }
}

impl Plan<'_> {
    /// The number of pods the deployment last reported.
    fn deployment_replicas(&self) -> i64 {
        meta::ObjectExt::int_at(&self.status, &["replicas"]).unwrap_or_default()
    }
}

/// The set to scale when there is no choice: the only active one, or without any the newest.
fn only_active_or_latest<'a>(plan: &'a mut Plan<'_>) -> Option<&'a mut Set> {
    match plan.sets().filter(|set| set.is_active()).count() {
        0 if plan.new.is_some() => plan.new.as_mut(),
        0 => plan.old.last_mut(),
        1 => plan
            .old
            .iter_mut()
            .chain(&mut plan.new)
            .find(|set| set.is_active()),
        _ => None,
    }
}

/// Whether the new set has all the pods of the deployment, and both know it.
fn is_saturated(new: &Set, spec: &Spec) -> bool {
    new.replicas() == spec.replicas
        && new.noted(DESIRED_REPLICAS) == Some(spec.replicas)
        && new.available() == spec.replicas
}

/// Larger sets first; among equals the newer first when growing, the older first when shrinking.
fn sort_for(sets: &mut [&mut Set], to_add: i64) {
    sets.sort_by(|a, b| {
        let by_age = (a.created, a.name()).cmp(&(b.created, b.name()));
        let by_age = if to_add > 0 { by_age.reverse() } else { by_age };
        b.replicas().cmp(&a.replicas()).then(by_age)
    });
}

/// The share of one set in the pods to add (or, negative, to remove).
fn proportion(set: &Set, spec: &Spec, to_add: i64, added: i64, reported: i64) -> i64 {
    if set.replicas() == 0 || to_add == 0 || to_add == added {
        return 0;
    }
    let share = fraction(set, spec, reported);
    let left = to_add - added;
    if to_add > 0 {
        share.min(left)
    } else {
        share.max(left)
    }
}

fn fraction(set: &Set, spec: &Spec, reported: i64) -> i64 {
    if spec.replicas == 0 {
        return -set.replicas();
    }
    let before = set
        .noted(MAX_REPLICAS)
        .filter(|noted| *noted != 0)
        .unwrap_or(reported);
    if before == 0 {
        return 0;
    }
    let scaled = set.replicas() * (spec.replicas + spec.max_surge());
    round_half_up(scaled, before) - set.replicas()
}

/// The quotient of two numbers that are not negative, rounded to the nearest, halves up.
fn round_half_up(dividend: i64, divisor: i64) -> i64 {
    (2 * dividend + divisor).div_euclid(2 * divisor)
}
