//! Which replica set carries the deployment's template, its name, its revision, and the annotations that go with it.

use std::sync::Arc;

use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::plan::{DESIRED_REPLICAS, MAX_REPLICAS, Plan, Set};
use super::spec::Strategy;
use super::status;
use crate::action::{self, Action, Event, controller_reference};
use crate::controller::Decision;
use crate::hash::template_hash;
use crate::resources::{DEPLOYMENTS, REPLICA_SETS};

/// The revision of a deployment or of a replica set. Source: `deployment_util.go`.
pub const REVISION_ANNOTATION: &str = "deployment.kubernetes.io/revision";
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";
const HASH_LABEL: &str = "pod-template-hash";
/// Longest revision history, in characters. Source: `sync.go`.
const REVISION_HISTORY_CHARS_MAX: usize = 2000;
/// Annotations that a replica set does not take over. Source: `deployment_util.go`.
const NOT_COPIED: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION_ANNOTATION,
    REVISION_HISTORY,
    DESIRED_REPLICAS,
    MAX_REPLICAS,
    "deprecated.deployment.rollback.to",
];

/// Whether a replica set has the deployment's template, the hash label aside.
pub(super) fn has_template(set: &Object, deployment: &Object) -> bool {
    let nothing = Value::Null;
    let ours = deployment.at(&["spec", "template"]).unwrap_or(&nothing);
    let its = set.at(&["spec", "template"]).unwrap_or(&nothing);
    ours.get("spec") == its.get("spec") && template_metadata(ours) == template_metadata(its)
}

fn template_metadata(template: &Value) -> Value {
    let mut metadata = template
        .get("metadata")
        .cloned()
        .unwrap_or_else(|| json!({}));
    metadata.remove(&["labels", HASH_LABEL]);
    if let Value::Object(fields) = &mut metadata {
        let is_empty = |value: &Value| value.as_object().is_some_and(serde_json::Map::is_empty);
        fields.retain(|_, value| !value.is_null() && !is_empty(value));
    }
    metadata
}

fn hash_of(deployment: &Object) -> String {
    let nothing = Value::Null;
    let template = deployment.at(&["spec", "template"]).unwrap_or(&nothing);
    template_hash(template, deployment.int_at(&["status", "collisionCount"]))
}

/// The name a new replica set would have.
pub(super) fn new_name(deployment: &Object) -> String {
    let hash = hash_of(deployment);
    let room = meta::names::DNS1123_SUBDOMAIN_BYTES_MAX.saturating_sub(hash.len() + 1);
    let name = deployment.name();
    let name = name.get(..room.min(name.len())).unwrap_or(name);
    format!("{name}-{hash}")
}

fn revision_of(object: &Object) -> Option<i64> {
    object.annotation(REVISION_ANNOTATION)?.parse().ok()
}

/// Brings revision and annotations of the new replica set and of the deployment up to date. A decision comes back
/// when the deployment itself must be written before anything else.
pub(super) fn sync(plan: &mut Plan<'_>) -> Option<Decision> {
    let next = plan
        .old
        .iter()
        .filter_map(|set| revision_of(&set.seen))
        .max()
        .unwrap_or_default()
        + 1;
    let deployment = Arc::clone(plan.deployment());
    let min_ready_seconds = plan.spec.min_ready_seconds;
    let new = plan.new.as_mut()?;
    annotate(new, &deployment, next);
    if new
        .seen
        .int_at(&["spec", "minReadySeconds"])
        .unwrap_or_default()
        != min_ready_seconds
    {
        new.wanted
            .set(&["spec", "minReadySeconds"], min_ready_seconds.into());
    }
    let revision = new
        .wanted
        .annotation(REVISION_ANNOTATION)
        .unwrap_or_default()
        .to_owned();
    if plan.spec.progress_deadline_seconds.is_some()
        && crate::condition::find(&plan.status, "Progressing").is_none()
    {
        let message = format!("Found new replica set {}", meta::field::quote(new.name()));
        let reason = "FoundNewReplicaSet";
        status::set(
            &mut plan.status,
            "Progressing",
            "True",
            reason,
            &message,
            plan.now,
        );
    }
    if deployment.annotation(REVISION_ANNOTATION) == Some(&revision) {
        return None;
    }
    let noted = action::edited(&deployment, |deployment| {
        deployment.set(
            &["metadata", "annotations", REVISION_ANNOTATION],
            revision.into(),
        );
    });
    let mut decision = Decision {
        actions: plan.decision.actions.clone(),
        ..Decision::default()
    };
    decision
        .actions
        .extend(action::update(&REPLICA_SETS, &new.seen, &new.wanted));
    // Source: `sync.go`: the revision goes with a write of the status, whose field manager then has it.
    let noted = action::update_at(&DEPLOYMENTS, Some("status"), &deployment, &noted);
    decision.actions.extend(noted);
    decision
        .why
        .push("the deployment takes the revision of its new replica set".to_owned());
    Some(decision)
}

/// Copies the deployment's annotations and raises the revision, keeping the history of earlier ones.
fn annotate(set: &mut Set, deployment: &Object, next: i64) {
    copy_annotations(&mut set.wanted, deployment);
    let before = set.seen.annotation(REVISION_ANNOTATION).map(str::to_owned);
    let known = match before.as_deref().unwrap_or_default() {
        "" => 0,
        text => match text.parse::<i64>() {
            Ok(revision) => revision,
            // Somebody else's annotation is left alone, as upstream does.
            Err(_) => return,
        },
    };
    if known >= next {
        return;
    }
    set.set_annotation(REVISION_ANNOTATION, &next.to_string());
    if let Some(before) = before {
        let history = set
            .seen
            .annotation(REVISION_HISTORY)
            .unwrap_or_default()
            .to_owned();
        if let Some(history) = append_history(&history, &before) {
            set.set_annotation(REVISION_HISTORY, &history);
        }
    }
}

fn copy_annotations(set: &mut Object, deployment: &Object) {
    let annotations = deployment
        .at(&["metadata", "annotations"])
        .and_then(Value::as_object);
    for (name, value) in annotations.into_iter().flatten() {
        if !NOT_COPIED.contains(&name.as_str()) {
            set.set(&["metadata", "annotations", name], value.clone());
        }
    }
}

/// The history with one more revision; the oldest fall out when it grows too long. `None`: it would not fit at all.
fn append_history(history: &str, revision: &str) -> Option<String> {
    if history.is_empty() {
        return Some(revision.to_owned());
    }
    let mut kept: Vec<&str> = history.split(',').collect();
    let mut total = history.len() + revision.len() + 1;
    while total > REVISION_HISTORY_CHARS_MAX && !kept.is_empty() {
        total -= kept.remove(0).len() + 1;
    }
    kept.push(revision);
    (total <= REVISION_HISTORY_CHARS_MAX).then(|| kept.join(","))
}

/// Decides to create the new replica set with as many replicas as the strategy allows at once.
pub(super) fn create(mut plan: Plan<'_>) -> Decision {
    let deployment = Arc::clone(plan.deployment());
    if plan.seen.is_name_taken {
        let count = deployment
            .int_at(&["status", "collisionCount"])
            .unwrap_or_default();
        plan.status.set(&["collisionCount"], (count + 1).into());
        plan.note("the name of the new replica set is taken: counting a collision");
        return plan.finish();
    }
    let replicas = match plan.spec.strategy {
        Strategy::Recreate => plan.spec.replicas,
        Strategy::RollingUpdate { max_surge, .. } => {
            (plan.spec.replicas + max_surge - plan.total()).clamp(0, plan.spec.replicas)
        }
    };
    let object = new_set(&plan, replicas);
    let name = object.name().to_owned();
    let regarding = plan.reference();
    plan.decision.actions.push(Action::Create {
        resource: REPLICA_SETS,
        object,
        report: None,
    });
    if replicas > 0 {
        let message = format!("Scaled up replica set {name} from 0 to {replicas}");
        let event = Event::normal(regarding, "ScalingReplicaSet", message);
        plan.decision.actions.push(Action::Event(event));
    }
    if plan.spec.progress_deadline_seconds.is_some() {
        let message = format!("Created new replica set {}", meta::field::quote(&name));
        let reason = "NewReplicaSetCreated";
        status::set(
            &mut plan.status,
            "Progressing",
            "True",
            reason,
            &message,
            plan.now,
        );
    }
    plan.note("no replica set has the template: creating one");
    plan.status = status::calculate(&plan);
    plan.finish()
}

fn new_set(plan: &Plan<'_>, replicas: i64) -> Object {
    let deployment = plan.deployment();
    let hash = hash_of(deployment);
    let mut template = deployment
        .at(&["spec", "template"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    template.set(&["metadata", "labels", HASH_LABEL], hash.clone().into());
    let mut selector = deployment
        .at(&["spec", "selector"])
        .cloned()
        .unwrap_or_else(|| json!({}));
    selector.set(&["matchLabels", HASH_LABEL], hash.into());
    let mut set = json!({
        "apiVersion": "apps/v1", "kind": "ReplicaSet",
        "metadata": {
            "name": new_name(deployment), "namespace": deployment.namespace(),
            "labels": template.at(&["metadata", "labels"]),
            "ownerReferences": [controller_reference(&DEPLOYMENTS, deployment)],
        },
        "spec": { "replicas": replicas, "selector": selector, "template": template },
    });
    if plan.spec.min_ready_seconds != 0 {
        set.set(
            &["spec", "minReadySeconds"],
            plan.spec.min_ready_seconds.into(),
        );
    }
    copy_annotations(&mut set, deployment);
    let revisions = plan.old.iter().filter_map(|set| revision_of(&set.seen));
    let revision = revisions.max().unwrap_or_default() + 1;
    let sizes = [
        (REVISION_ANNOTATION, revision),
        (DESIRED_REPLICAS, plan.spec.replicas),
        (MAX_REPLICAS, plan.spec.replicas + plan.spec.max_surge()),
    ];
    for (name, value) in sizes {
        set.set(&["metadata", "annotations", name], value.to_string().into());
    }
    set
}
