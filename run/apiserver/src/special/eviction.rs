//! `pods/eviction`: deletes a pod unless that would break its disruption budget.
//!
//! Source: `pkg/registry/core/pod/storage/eviction.go`.

use std::sync::Arc;

use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use kinds::Lookup;
use kinds::strategy::Operation;
use meta::selector::LabelSelector;
use meta::status::Cause;
use meta::{GroupResource, Gvk, Object, ObjectExt, Status, StatusError};
use serde_json::{Value, json};

use super::binding::set_condition;
use super::{BodyType, Special, check_namespace, created};
use crate::call::Call;
use crate::options::{DeleteOptions, WriteOptions};
use crate::{body, cluster, ownership, respond, write};

/// Serves the subresource.
pub(super) struct Eviction;

const BUDGETS: &str = "poddisruptionbudgets.policy";
/// Most evictions that the disruption controller has not confirmed yet. Source: `MaxDisruptedPodSize`.
const DISRUPTED_PODS_MAX: usize = 2000;
/// Seconds until a client may try again while a budget is being processed.
const RETRY_AFTER_SECONDS: u16 = 10;
const REFUSAL: &str = "Cannot evict pod as it would violate the pod's disruption budget.";

/// What the budgets say of one eviction.
enum Verdict {
    /// No budget stands against it.
    Free,
    /// The pod has not begun to run, so that no budget counts it; it must still be so when it is deleted.
    Waiting { version: String },
    /// The pod is not ready and the budget did not count it; it must still be so when it is deleted.
    Unready { version: String, budget: String },
    /// The budget of that name allows it and must be told.
    Counted { budget: String },
    /// More than one budget matches.
    Ambiguous,
}

#[async_trait]
impl Special for Eviction {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let write_options = WriteOptions::read(&call.query, "CreateOptions")?;
        let (eviction, warnings) = read(call, &write_options)?;
        let name = call.info.name.as_str();
        if eviction.name() != name {
            return Err(StatusError::bad_request(
                "name in URL does not match name in Eviction object",
            ));
        }
        check_dry_run(call, &eviction)?;
        let mut options = DeleteOptions::read(&call.query, eviction.at(&["deleteOptions"]))?;
        options.dry_run |= write_options.dry_run;
        let mut request = call.admission(
            Operation::Create,
            name,
            Some(eviction),
            None,
            options.dry_run,
        );
        call.admit(&mut request)?;
        call.validate(&request)?;
        let mut response = settle(call, name, &options).await?;
        respond::warn(&mut response, &warnings);
        Ok(response)
    }
}

/// Judges until the pod stays what it was judged as, then evicts it.
async fn settle(
    call: &Call,
    name: &str,
    options: &DeleteOptions,
) -> Result<Response<Body>, StatusError> {
    let is_free = options.resource_version.is_none();
    let as_of = |version: String| {
        let mut options = options.clone();
        options.resource_version.get_or_insert(version);
        options
    };
    let mut last = None;
    for _ in 0..call.server.config().limits.write_tries_max {
        let pod = call
            .cluster()
            .get("pods", &call.info.namespace, name)
            .ok_or_else(|| call.not_found(name))?;
        let (evicted, unready) = match judge(call, &pod) {
            Verdict::Ambiguous => return ambiguous(call),
            Verdict::Waiting { version } => (evict(call, name, as_of(version)).await, None),
            Verdict::Unready { version, budget } => {
                (evict(call, name, as_of(version)).await, Some(budget))
            }
            Verdict::Free => return done(call, evict(call, name, options.clone()).await),
            Verdict::Counted { budget } => {
                count(call, &budget, name, options.dry_run).await?;
                return done(call, evict(call, name, options.clone()).await);
            }
        };
        match (evicted, unready) {
            // It may be ready by now: the client shall try again.
            (Err(error), Some(budget)) if error.code() == 409 && is_free => {
                return Err(processed(&budget));
            }
            // It may run by now, and count.
            (Err(error), None) if error.code() == 409 && is_free => last = Some(error),
            (evicted, _) => return done(call, evicted),
        }
    }
    let modified = || StatusError::modified(&call.kind.group_resource(), name);
    Err(last.unwrap_or_else(modified))
}

fn done(call: &Call, evicted: Result<(), StatusError>) -> Result<Response<Body>, StatusError> {
    evicted.and_then(|()| created(call))
}

/// The body, in either of the two versions that say the same.
fn read(call: &Call, options: &WriteOptions) -> Result<(Object, Vec<String>), StatusError> {
    let document = body::document(call)?;
    let version = match document.value.api_version() {
        "policy/v1beta1" => "v1beta1",
        _ => "v1",
    };
    let gvk = Gvk::new("policy", version, "Eviction");
    let BodyType { gvk, schema } = BodyType::of(gvk, "io.k8s.api.policy.v1.Eviction")?;
    let validation = options.field_validation;
    let decoded = body::decode_as(document, &gvk, &schema, validation, &call.body)?;
    call.warn_if_refused(&decoded.warnings);
    if let Some(audit) = &call.audit {
        audit.requested(&decoded.object, |_| {});
    }
    check_namespace(call, &decoded.object)?;
    Ok((decoded.object, decoded.warnings))
}

/// A dry run may be asked for in the query, in the body, or in both alike. Source: `propagateDryRun`.
fn check_dry_run(call: &Call, eviction: &Object) -> Result<(), StatusError> {
    let listed = eviction.list_at(&["deleteOptions", "dryRun"]).iter();
    let inside: Vec<&str> = listed.filter_map(Value::as_str).collect();
    let asked = call.query.texts("dryRun");
    if inside.is_empty() || asked.is_empty() || asked == inside {
        return Ok(());
    }
    let why = format!(
        "Non-matching dry-run options in request and content: [{}] and [{}]",
        asked.join(" "),
        inside.join(" ")
    );
    Err(StatusError::new(500, "", why))
}

fn judge(call: &Call, pod: &Object) -> Verdict {
    let phase = pod.str_at(&["status", "phase"]).unwrap_or_default();
    if matches!(phase, "Succeeded" | "Failed") || pod.deletion_timestamp().is_some() {
        return Verdict::Free;
    }
    let version = || pod.resource_version().to_owned();
    if phase == "Pending" {
        return Verdict::Waiting { version: version() };
    }
    let labels = pod.labels();
    let budgets: Vec<Arc<Object>> = call
        .cluster()
        .list(BUDGETS, &call.info.namespace)
        .into_iter()
        .filter(|budget| {
            let selector = LabelSelector::from_object(budget.at(&["spec", "selector"]));
            selector.is_some_and(|selector| selector.matches(&labels))
        })
        .collect();
    let budget = match budgets.as_slice() {
        [] => return Verdict::Free,
        [budget] => budget,
        _ => return Verdict::Ambiguous,
    };
    let number = |field: &str| budget.int_at(&["status", field]).unwrap_or_default();
    let policy = budget.str_at(&["spec", "unhealthyPodEvictionPolicy"]);
    let is_application_well =
        number("currentHealthy") >= number("desiredHealthy") && number("desiredHealthy") > 0;
    if !is_ready(pod) && (policy == Some("AlwaysAllow") || is_application_well) {
        return Verdict::Unready {
            version: version(),
            budget: budget.name().to_owned(),
        };
    }
    Verdict::Counted {
        budget: budget.name().to_owned(),
    }
}

fn is_ready(pod: &Object) -> bool {
    let mut conditions = pod.list_at(&["status", "conditions"]).iter();
    conditions.any(|condition| {
        condition.str_at(&["type"]) == Some("Ready")
            && condition.str_at(&["status"]) == Some("True")
    })
}

/// Upstream answers with a Status object of code 500 that is no error.
fn ambiguous(call: &Call) -> Result<Response<Body>, StatusError> {
    let mut status = Status::success();
    status.status = Some("Failure".into());
    status.message = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support.".into();
    status.code = StatusCode::INTERNAL_SERVER_ERROR.as_u16();
    respond::status(call, &status)
}

/// Takes one disruption from the budget.
async fn count(call: &Call, budget: &str, pod: &str, dry_run: bool) -> Result<(), StatusError> {
    let resource = GroupResource::new("policy", "poddisruptionbudgets");
    write::below(call, &resource, budget, dry_run, |budget| {
        check(budget)?;
        let allowed = budget
            .int_at(&["status", "disruptionsAllowed"])
            .unwrap_or_default()
            - 1;
        let mut counted = budget.clone();
        counted.set(&["status", "disruptionsAllowed"], allowed.into());
        let now = meta::time::to_rfc3339(call.now);
        counted.set(&["status", "disruptedPods", pod], now.clone().into());
        if allowed == 0 {
            exhaust(&mut counted, &now);
        }
        ownership::record_own(call, &resource, "status", budget, &mut counted);
        Ok(counted)
    })
    .await?;
    Ok(())
}

/// Source: `checkAndDecrement`.
fn check(budget: &Object) -> Result<(), StatusError> {
    let name = budget.name();
    let number = |field: &str| budget.int_at(&["status", field]).unwrap_or_default();
    let forbid = |why: &str| {
        StatusError::forbidden(
            &GroupResource::new("policy", "poddisruptionbudget"),
            name,
            why,
        )
    };
    if number("observedGeneration") < budget.generation() {
        return Err(processed(name));
    }
    if number("disruptionsAllowed") < 0 {
        return Err(forbid("pdb disruptions allowed is negative"));
    }
    let disrupted = budget
        .at(&["status", "disruptedPods"])
        .and_then(serde_json::Value::as_object);
    if disrupted.is_some_and(|pods| pods.len() > DISRUPTED_PODS_MAX) {
        return Err(forbid(
            "DisruptedPods map too big - too many evictions not confirmed by PDB controller",
        ));
    }
    if number("disruptionsAllowed") > 0 {
        return Ok(());
    }
    let condition = budget
        .list_at(&["status", "conditions"])
        .iter()
        .find(|condition| condition.str_at(&["type"]) == Some("DisruptionAllowed"))
        .filter(|condition| condition.str_at(&["status"]) == Some("False"));
    let text = |field: &str| {
        condition
            .and_then(|found| found.str_at(&[field]))
            .unwrap_or_default()
    };
    let (reason, message) = (text("reason"), text("message"));
    let why = if !message.is_empty() && reason == "SyncFailed" {
        format!(
            "The disruption budget {name} does not allow evicting pods currently because it failed sync: {message}"
        )
    } else if number("currentHealthy") <= number("desiredHealthy") {
        format!(
            "The disruption budget {name} needs {} healthy pods and has {} currently",
            number("desiredHealthy"),
            number("currentHealthy")
        )
    } else if !message.is_empty() {
        format!(
            "The disruption budget {name} does not allow evicting pods currently ({reason}): {message}"
        )
    } else {
        format!("The disruption budget {name} does not allow evicting pods currently")
    };
    Err(refusal(&why, 0))
}

/// Source: `createTooManyRequestsError`.
fn processed(budget: &str) -> StatusError {
    let why = format!("The disruption budget {budget} is still being processed by the server.");
    refusal(&why, RETRY_AFTER_SECONDS)
}

fn refusal(why: &str, retry_after_seconds: u16) -> StatusError {
    let mut error = StatusError::too_many_requests(REFUSAL, retry_after_seconds);
    let details = error.0.details.get_or_insert_default();
    details.causes.push(Cause {
        reason: "DisruptionBudget".into(),
        message: why.to_owned(),
        field: String::new(),
    });
    error
}

/// Says that nothing more may be disrupted. Source: `pdbhelper.UpdateDisruptionAllowedCondition`.
fn exhaust(budget: &mut Object, now: &str) {
    let generation = budget
        .int_at(&["status", "observedGeneration"])
        .unwrap_or_default();
    let condition = json!({"type": "DisruptionAllowed", "status": "False", "reason": "InsufficientPods",
        "message": "", "observedGeneration": generation, "lastTransitionTime": now});
    let mut conditions = budget.list_at(&["status", "conditions"]).to_vec();
    conditions.retain(|known| known.str_at(&["type"]) != Some("DisruptionAllowed"));
    conditions.push(condition);
    budget.set(&["status", "conditions"], conditions.into());
}

/// Marks the pod as disrupted and deletes it.
async fn evict(call: &Call, name: &str, mut options: DeleteOptions) -> Result<(), StatusError> {
    let pods = GroupResource::new("", "pods");
    let wanted = (options.uid.clone(), options.resource_version.clone());
    let marked = write::below(call, &pods, name, options.dry_run, |pod| {
        let conflicts = [("UID", &wanted.0, pod.uid()), ("ResourceVersion", &wanted.1, pod.resource_version())];
        for (what, wanted, found) in conflicts {
            if let Some(wanted) = wanted.as_deref().filter(|wanted| *wanted != found) {
                let how = if what == "UID" { "deleted and then recreated" } else { "modified" };
                let why = format!("the {what} in the precondition ({wanted}) does not match the {what} in record ({found}). The object might have been {how}");
                return Err(StatusError::conflict(&GroupResource::new("", "Pod"), name, &why));
            }
        }
        let mut marked = pod.clone();
        let condition = json!({"type": "DisruptionTarget", "status": "True",
            "reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"});
        set_condition(&mut marked, condition, call.now);
        Ok(marked)
    })
    .await?;
    // What goes is what was marked, and no other pod that has its name by now.
    if let Some(marked) = marked {
        let version = marked.revision.to_string();
        options.resource_version = options.resource_version.map(|_| version);
        options.uid = cluster::parse(&marked).map(|pod| pod.uid().to_owned());
    }
    write::delete(call, name, &options).await?;
    Ok(())
}
