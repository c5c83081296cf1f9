//! From a draft to the whole verdict.

use jiff::Timestamp;
use serde_json::Value;

use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::field;
use crate::next;
use crate::node::Nodes;
use crate::related::Related;
use crate::rules;
use crate::scene::{Draft, Scene};
use crate::verdict::{EventLink, Evidence, Links, Observed, Severity, Status, Verdict};

/// Says what state a workload is in, why, and what to do.
///
/// `subject` is any Kubernetes object; fields that are missing, mistyped or absurd count as unknown.
/// The answer depends on nothing but the arguments, and stays the same until
/// [`Verdict::recheck_at`] unless an object changes.
#[must_use]
pub fn evaluate(
    subject: &Value,
    related: &Related<'_>,
    now: Timestamp,
    config: &Config,
) -> Verdict {
    let clock = Clock::new(now);
    let nodes = Nodes::new(related.nodes.as_deref());
    let events = Events::new(related.events.as_deref());
    let scene = Scene::new(subject, related, &clock, config, &nodes, &events);
    let draft = rules::apply(&scene);
    assemble(draft, &scene)
}

fn assemble(mut draft: Draft, scene: &Scene<'_, '_>) -> Verdict {
    let subject = scene.subject;
    let evidence = evidence(scene);
    if evidence == Evidence::Object && says_pods_unseen(&draft, subject) {
        draft.message = draft.message.with(" (pods not visible)", "(Pod 不可见)");
    }
    if draft.causes.is_empty() && draft.severity >= Severity::Warning {
        // Nothing better is known than what the object itself says.
        draft = draft.own_cause(subject, "status", "");
    }
    let next_steps = next::steps(&draft, subject);
    let about = draft
        .causes
        .first()
        .filter(|cause| cause.kind == "Pod")
        .and_then(|cause| {
            scene
                .known_pods()
                .iter()
                .find(|health| field::name(health.pod) == cause.name)
        })
        .map_or(subject, |health| health.pod);
    Verdict {
        status: draft.status,
        reason: draft.reason,
        sub_reason: draft.sub_reason,
        severity: draft.severity,
        message: draft.message,
        cause: draft.causes.first().cloned(),
        causes: draft.causes,
        counts: draft.counts,
        next_steps,
        links: Links {
            logs: draft.log,
            events: Some(event_link(about, subject)),
        },
        since: draft.since,
        recheck_at: scene.clock.wake(),
        observed: Observed {
            generation: field::int(subject, "metadata.generation"),
            observed_generation: field::int(subject, "status.observedGeneration"),
        },
        evidence,
    }
}

fn event_link(about: &Value, subject: &Value) -> EventLink {
    let kind = match field::text(about, "kind") {
        // Items of a list response carry no kind; only pods are related that way.
        "" if !std::ptr::eq(about, subject) => "Pod",
        kind => kind,
    };
    EventLink {
        kind: kind.to_owned(),
        name: field::name(about).to_owned(),
        uid: field::uid(about).to_owned(),
    }
}

/// Whether the reader must be told that pods were not seen.
fn says_pods_unseen(draft: &Draft, subject: &Value) -> bool {
    let has_pods = rules::is_built_in(field::text(subject, "kind"), field::group(subject))
        && !matches!(field::text(subject, "kind"), "Pod" | "CronJob");
    let is_about_pods = matches!(
        draft.status,
        Status::Waiting | Status::NotReady | Status::Exception | Status::Executing
    ) && !matches!(
        draft.reason.as_str(),
        "NotObserved" | "StatusUnavailable" | "Paused" | "Suspended"
    );
    has_pods && is_about_pods && draft.severity > Severity::Ok
}

fn evidence(scene: &Scene<'_, '_>) -> Evidence {
    let is_pod = field::text(scene.subject, "kind") == "Pod";
    let related = scene.related;
    match (
        is_pod || related.pods.is_some(),
        related.nodes.is_some(),
        related.events.is_some(),
    ) {
        (false, _, _) => Evidence::Object,
        (true, true, true) => Evidence::PodsNodesEvents,
        (true, true, false) => Evidence::PodsNodes,
        (true, false, _) => Evidence::Pods,
    }
}
