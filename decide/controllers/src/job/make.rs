//! The pods of a job, made from its template.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::index_limit::{self, INDEX, index_of};
use super::tally::Tally;
use super::{FINALIZER, is_indexed, replaces_only_failed, retry};
use crate::action::{Action, Reference, Report};
use crate::claim;
use crate::controller::Decision;
use crate::pod;
use crate::resources::{JOBS, PODS};

/// Longest prefix of a generated name. Source: `names.MaxGeneratedNameLength`.
const PREFIX_BYTES_MAX: usize = 58;

/// Makes so many pods, or says when.
pub(super) fn create(
    job: &Arc<Object>,
    tally: &Tally,
    count: usize,
    decision: &mut Decision,
    now: Timestamp,
) {
    let nothing = json!({});
    let template = job.at(&["spec", "template"]).unwrap_or(&nothing);
    let mut pod = pod::from_template(&JOBS, job, template);
    claim::hold(&mut pod, FINALIZER);
    let report = Report::pod_created(Reference::new(&JOBS, job));
    let action = |object: Object| Action::Create {
        resource: PODS,
        object,
        report: Some(report.clone()),
    };
    if !is_indexed(job) {
        decision.actions.extend(vec![action(pod); count]);
        return;
    }
    add_variable(&mut pod);
    for index in free(job, tally).take(count) {
        let mut pod = indexed(&pod, job.name(), index);
        if index_limit::limit(job).is_some() {
            let last = tally.delayed.get(&index);
            if let Some(at) = last.and_then(|last| retry::of_index(last, now)) {
                decision.wake(at);
                continue;
            }
            index_limit::inherit(job, &mut pod, last);
        }
        decision.actions.push(action(pod));
    }
}

/// The indexes that want a pod, in order.
fn free(job: &Object, tally: &Tally) -> impl Iterator<Item = i64> {
    let index = |pod: &Arc<Object>| index_of(job, pod);
    let mut taken: BTreeSet<i64> = tally.active.iter().filter_map(index).collect();
    if replaces_only_failed(job) {
        taken.extend(tally.terminating.iter().filter_map(index));
    }
    taken.extend(&tally.completed);
    taken.extend(tally.failed_indexes.iter().flatten());
    let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
    (0..completions).filter(move |index| !taken.contains(index))
}

/// The pod of one completion index. Source: `podGenerateNameWithIndex`.
fn indexed(pod: &Object, job: &str, index: i64) -> Object {
    let mut pod = pod.clone();
    let text = index.to_string();
    let end = format!("-{text}-");
    let room = PREFIX_BYTES_MAX.saturating_sub(end.len());
    let prefix = format!("{}{end}", job.get(..room).unwrap_or(job));
    pod.set(&["metadata", "generateName"], prefix.into());
    pod.set(&["metadata", "annotations", INDEX], text.clone().into());
    pod.set(&["metadata", "labels", INDEX], text.into());
    pod.set(&["spec", "hostname"], format!("{job}-{index}").into());
    pod
}

/// Tells the containers their index.
fn add_variable(pod: &mut Object) {
    let variable = json!({
        "name": "JOB_COMPLETION_INDEX",
        "valueFrom": { "fieldRef": { "fieldPath": format!("metadata.labels['{INDEX}']") } },
    });
    for field in ["containers", "initContainers"] {
        let mut containers = pod.list_at(&["spec", field]).to_vec();
        if containers.is_empty() {
            continue;
        }
        for container in &mut containers {
            let mut env = container.list_at(&["env"]).to_vec();
            if env
                .iter()
                .all(|known| known.get("name") != variable.get("name"))
            {
                env.push(variable.clone());
            }
            container.set(&["env"], Value::Array(env));
        }
        pod.set(&["spec", field], Value::Array(containers));
    }
}
