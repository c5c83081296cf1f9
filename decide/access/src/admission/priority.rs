//! Priority: a pod's priority and preemption policy come from its priority class.
//!
//! Source: `plugin/pkg/admission/priority`.

use std::sync::Arc;

use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};

use super::{Plugin, Request};

const CLASSES: &str = "priorityclasses.scheduling.k8s.io";
/// Source: `SystemPriorityClasses`.
const SYSTEM: [&str; 2] = ["system-node-critical", "system-cluster-critical"];
const PREEMPT: &str = "PreemptLowerPriority";

pub(super) struct Priority;

impl Plugin for Priority {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if request.is_for("pods", &[Operation::Update]) {
            keep_on_update(request);
            return Ok(());
        }
        if !request.is_for("pods", &[Operation::Create]) {
            return Ok(());
        }
        let Some(mut pod) = request.object.take() else {
            return Ok(());
        };
        let result = admit_pod(&mut pod, request, cluster);
        request.object = Some(pod);
        result
    }

    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        // Source: `registry/scheduling/priorityclass/storage` `Delete`.
        if request.is_for(CLASSES, &[Operation::Delete]) && SYSTEM.contains(&request.name.as_str())
        {
            let why = "this is a system priority class and cannot be deleted";
            return Err(request.forbidden(why));
        }
        let writes = [Operation::Create, Operation::Update];
        let Some(class) = request
            .object
            .as_ref()
            .filter(|_| request.is_for(CLASSES, &writes))
        else {
            return Ok(());
        };
        if class.bool_at(&["globalDefault"]) != Some(true) {
            return Ok(());
        }
        match default_class(cluster) {
            Some(other)
                if request.operation == Operation::Create || other.name() != class.name() =>
            {
                Err(request.forbidden(&format!(
                    "PriorityClass {} is already marked as default. Only one default can exist",
                    other.name()
                )))
            }
            _ => Ok(()),
        }
    }
}

/// An update that leaves the resolved fields out keeps them.
fn keep_on_update(request: &mut Request<'_>) {
    let (Some(pod), Some(old)) = (&mut request.object, &request.old) else {
        return;
    };
    for field in ["priority", "preemptionPolicy"] {
        if let (None, Some(kept)) = (pod.at(&["spec", field]), old.at(&["spec", field])) {
            pod.set(&["spec", field], kept.clone());
        }
    }
}

fn admit_pod(
    pod: &mut Object,
    request: &Request<'_>,
    cluster: &dyn Lookup,
) -> Result<(), StatusError> {
    let wanted = pod
        .str_at(&["spec", "priorityClassName"])
        .unwrap_or_default()
        .to_owned();
    let class = if wanted.is_empty() {
        default_class(cluster)
    } else {
        let missing =
            || request.forbidden(&format!("no PriorityClass with name {wanted} was found"));
        Some(cluster.get(CLASSES, "", &wanted).ok_or_else(missing)?)
    };
    let priority = class
        .as_ref()
        .and_then(|class| class.int_at(&["value"]))
        .unwrap_or_default();
    let policy = class
        .as_ref()
        .and_then(|class| class.str_at(&["preemptionPolicy"]))
        .unwrap_or(PREEMPT)
        .to_owned();
    if let Some(given) = pod
        .int_at(&["spec", "priority"])
        .filter(|given| *given != priority)
    {
        return Err(request.forbidden(&format!(
            "the integer value of priority ({given}) must not be provided in pod spec; priority admission controller computed {priority} from the given PriorityClass name"
        )));
    }
    if let Some(given) = pod
        .str_at(&["spec", "preemptionPolicy"])
        .filter(|given| *given != policy)
    {
        return Err(request.forbidden(&format!(
            "the string value of PreemptionPolicy ({given}) must not be provided in pod spec; priority admission controller computed {policy} from the given PriorityClass name"
        )));
    }
    if let Some(class) = &class {
        pod.set(&["spec", "priorityClassName"], class.name().into());
    }
    pod.set(&["spec", "priority"], priority.into());
    pod.set(&["spec", "preemptionPolicy"], policy.into());
    Ok(())
}

/// The class marked as the global default; with several, the one of lowest value.
fn default_class(cluster: &dyn Lookup) -> Option<Arc<Object>> {
    let classes = cluster.list(CLASSES, "").into_iter();
    classes
        .filter(|class| class.bool_at(&["globalDefault"]) == Some(true))
        .min_by_key(|class| class.int_at(&["value"]))
}
