//! Whether one more write fits into the quotas of its namespace. What counts, and how much, is in [`kinds::quota`].
//!
//! Usage is counted from a snapshot when it is asked for, not kept.
//!
//! Source: apiserver `quota/v1`, admission `resourcequota`.

mod constraints;

use std::collections::BTreeSet;

use kinds::amounts::{Amounts, print};
use kinds::quota::{Meter, is_ignored, is_terminating, matches};
use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};

use crate::admission::Request;

/// Refuses a write that one of the namespace's quotas has no room for.
///
/// # Errors
/// 403, in upstream's words.
pub(crate) fn check(request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
    let resource = request.resource.to_string();
    let Some(object) = &request.object else {
        return Ok(());
    };
    if request.namespace.is_empty() || resource == "namespaces" || !is_charged(request, object) {
        return Ok(());
    }
    for quota in cluster.list("resourcequotas", &request.namespace) {
        check_one(request, cluster, &resource, object, &quota)?;
    }
    Ok(())
}

fn check_one(
    request: &Request<'_>,
    cluster: &dyn Lookup,
    resource: &str,
    object: &Object,
    quota: &Object,
) -> Result<(), StatusError> {
    let meter = Meter::new(quota, cluster, request.now);
    let limits = meter.limits(resource);
    if limits.is_empty() || !matches(quota, resource, object) {
        return Ok(());
    }
    if resource == "pods"
        && let Err(why) = constraints::check(&limits, object)
    {
        return Err(request.forbidden(&format!("failed quota: {}: {why}", quota.name())));
    }
    // Once a quota is about an object, whatever it uses counts: see `CheckRequest`.
    let hard = meter.hard();
    let asked = meter.usage_of(resource, object);
    let negative: Vec<&str> = asked
        .iter()
        .filter(|(_, amount)| amount.is_negative())
        .map(|(name, _)| name.as_str())
        .collect();
    if !negative.is_empty() {
        return Err(request.forbidden(&format!(
            "quota usage is negative for resource(s): {}",
            negative.join(",")
        )));
    }
    let before = match &request.old {
        Some(old) if matches(quota, resource, old) => meter.usage_of(resource, old),
        _ => Amounts::new(),
    };
    let requested = grown(&asked, &before, hard);
    if requested.is_empty() {
        return Ok(());
    }
    let used = meter.usage(|name| requested.contains_key(name));
    let is_over = |name: &str| {
        let total = requested
            .get(name)
            .map(|more| used.get(name).map_or(*more, |used| used.add(more)));
        total > hard.get(name).copied()
    };
    let exceeded: BTreeSet<&String> = requested.keys().filter(|name| is_over(name)).collect();
    if exceeded.is_empty() {
        return Ok(());
    }
    let masked = |of: &Amounts| {
        let mut of = of.clone();
        of.retain(|name, _| exceeded.contains(name));
        print(&of)
    };
    Err(request.forbidden(&format!(
        "exceeded quota: {}, requested: {}, used: {}, limited: {}",
        quota.name(),
        masked(&requested),
        masked(&used),
        masked(hard)
    )))
}

/// What is asked for beyond `before`, of what is limited; nothing that stays or shrinks.
fn grown(asked: &Amounts, before: &Amounts, hard: &Amounts) -> Amounts {
    let more = asked.iter().filter(|(name, _)| hard.contains_key(*name));
    more.map(|(name, amount)| {
        let delta = before
            .get(name)
            .map_or(*amount, |before| amount.sub(before));
        (name.clone(), delta)
    })
    .filter(|(_, delta)| !delta.is_zero() && !delta.is_negative())
    .collect()
}

/// Whether this write raises what its resource uses.
fn is_charged(request: &Request<'_>, object: &Object) -> bool {
    let (resource, subresource) = (request.resource.to_string(), request.subresource.as_str());
    let is_pod_update =
        (resource.as_str(), subresource, request.operation) == ("pods", "", Operation::Update);
    may_raise(&resource, subresource, request.operation)
        && (!is_pod_update
            || request
                .old
                .is_some_and(|old| is_terminating(old) != is_terminating(object)))
}

/// Whether such a write can raise what its resource uses, so that it must wait for others that can. Source: each
/// evaluator's `Handles`.
pub fn may_raise(resource: &str, subresource: &str, operation: Operation) -> bool {
    match (resource, subresource) {
        ("pods", "resize") => operation == Operation::Update,
        ("pods" | "services" | "persistentvolumeclaims" | "resourceclaims.resource.k8s.io", "") => {
            matches!(operation, Operation::Create | Operation::Update)
        }
        (other, "") => operation == Operation::Create && !is_ignored(other),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
