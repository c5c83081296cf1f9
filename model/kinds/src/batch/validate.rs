//! What is wrong with jobs. Source: pkg/apis/batch/validation.

mod policies;
mod schedule;
pub(crate) mod status;

use std::collections::BTreeMap;

use meta::{FieldError, Object, ObjectExt as _, names};
use serde_json::{Value, json};

use crate::check::{Errors, IMMUTABLE, Node, label_selector};
use crate::core::pod_spec::validate::{Selector, template};
use crate::edit::Edit as _;

/// Longest name of a CronJob: its jobs' names are eleven characters longer.
const CRON_NAME_BYTES_MAX: usize = 52;
const INDEXED_PARALLELISM_MAX: i64 = 100_000;
/// Above so many completions a job must set limits. Source: `completionsSoftLimit`.
const HIGH_COMPLETIONS: i64 = 100_000;
/// How many pods such a job may have at a time, and how many failed indexes. Source: `parallelismLimitForHighCompletions`.
const HIGH_PARALLELISM: i64 = 10_000;
const MANAGED_BY_BYTES_MAX: usize = 63;

/// A new or changed Job.
pub(super) fn job(object: &Object, old: Option<&Object>) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    generated_selector(object, old, &spec, &mut errors);
    chosen_job_spec(&spec, &mut errors);
    let last = spec.int("completions").unwrap_or_default() - 1;
    let hostname = format!("{}-{last}", object.name());
    if spec.text("completionMode") == "Indexed"
        && last >= 0
        && !names::dns1123_label(&hostname).is_empty()
    {
        let path = meta::Path::new("metadata").child("name");
        let why = format!("will not able to create pod with invalid DNS label: {hostname}");
        errors.push(FieldError::invalid(&path, object.name(), why));
    }
    errors
}

/// Source: `ValidateJobSpec`.
fn chosen_job_spec(spec: &Node<'_>, errors: &mut Errors) {
    job_spec(spec, errors);
    match spec.get("selector") {
        None => errors.push(FieldError::required(&spec.at("selector"), "")),
        Some(selector) => label_selector(&selector, errors),
    }
    let pods = spec.child("template");
    let selector = spec.child("selector");
    if is_valid(&selector) && !Selector::Expressions(spec.value.get("selector")).matches(&pods) {
        let marks = pods.child("metadata").child("labels");
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&marks.path, marks.value.clone(), why));
    }
}

/// Whether the selector can be read at all; only then upstream asks what it matches.
fn is_valid(selector: &Node<'_>) -> bool {
    let mut errors = Errors::new();
    label_selector(selector, &mut errors);
    errors.is_empty()
}

/// Labels that the pods of a job have, with whether they hold its uid (else its name).
const LABELS: [(&str, bool); 4] = [
    ("controller-uid", true),
    ("job-name", false),
    ("batch.kubernetes.io/controller-uid", true),
    ("batch.kubernetes.io/job-name", false),
];

/// The labels that were generated must not be something else already. Source: `validateGeneratedSelector`.
fn generated_selector(object: &Object, old: Option<&Object>, spec: &Node<'_>, errors: &mut Errors) {
    if spec.flag("manualSelector") || !spec.has("selector") {
        return;
    }
    // Jobs from before the prefixed labels need not have them.
    let has_prefixed = old.is_none_or(|old| {
        let labels = old.at(&["spec", "template", "metadata", "labels"]);
        let has = |key: &str| labels.is_some_and(|labels| labels.get(key).is_some());
        LABELS.iter().skip(2).all(|(key, _)| has(key))
    });
    let needed = if has_prefixed { 4 } else { 2 };
    let metadata = spec.child("template").child("metadata");
    let labels = metadata.child("labels");
    let mut expected = BTreeMap::new();
    for (key, is_uid) in LABELS.into_iter().take(needed) {
        let wanted = if is_uid { object.uid() } else { object.name() };
        expected.insert(key, wanted);
        let path = labels.path.key(key);
        let why = format!("must be '{wanted}'");
        match labels.value.get(key).and_then(Value::as_str) {
            None => errors.push(FieldError::required(&path, why)),
            Some(actual) if actual != wanted => {
                errors.push(FieldError::invalid(&path, labels.value.clone(), why));
            }
            Some(_) => {}
        }
    }
    let selector = spec.child("selector");
    let pods = json!({"metadata": {"labels": expected}});
    if is_valid(&selector)
        && !Selector::Expressions(Some(selector.value)).matches(&Node::root(&pods))
    {
        let why = "`selector` not auto-generated";
        errors.push(FieldError::invalid(
            &selector.path,
            selector.value.clone(),
            why,
        ));
    }
}

fn job_spec(spec: &Node<'_>, errors: &mut Errors) {
    let counts = [
        "parallelism",
        "completions",
        "activeDeadlineSeconds",
        "backoffLimit",
        "ttlSecondsAfterFinished",
        "backoffLimitPerIndex",
        "maxFailedIndexes",
    ];
    for field in counts {
        spec.not_negative(field, errors);
    }
    if spec.has("maxFailedIndexes") && !spec.has("backoffLimitPerIndex") {
        let why = "when maxFailedIndexes is specified";
        errors.push(FieldError::required(&spec.at("backoffLimitPerIndex"), why));
    }
    if spec.has("managedBy") {
        crate::networking::domain_path(spec, "managedBy", errors);
        if spec.text("managedBy").len() > MANAGED_BY_BYTES_MAX {
            errors.push(FieldError::too_long(
                &spec.at("managedBy"),
                MANAGED_BY_BYTES_MAX,
            ));
        }
    }
    completion_mode(spec, errors);
    if let Some(policy) = spec.get("podFailurePolicy") {
        policies::failure(spec, &policy, errors);
    }
    if let Some(policy) = spec.get("successPolicy") {
        if spec.text("completionMode") == "Indexed" {
            policies::success(spec, &policy, errors);
        } else {
            let why = "requires indexed completion mode";
            errors.push(FieldError::invalid(&policy.path, policy.value.clone(), why));
        }
    }
    if spec.has("podReplacementPolicy") {
        if spec.has("podFailurePolicy") {
            spec.one_of("podReplacementPolicy", &["Failed"], errors);
        } else {
            spec.one_of(
                "podReplacementPolicy",
                &["Failed", "TerminatingOrFailed"],
                errors,
            );
        }
    }
    let pods = spec.child("template");
    template(&pods, errors);
    let restart = pods.child("spec").text("restartPolicy");
    let path = pods.child("spec").at("restartPolicy");
    match restart {
        "Always" | "" => {
            errors.push(FieldError::required(
                &path,
                "valid values: \"OnFailure\", \"Never\"",
            ));
        }
        "OnFailure" if spec.has("podFailurePolicy") => {
            let why = "only \"Never\" is supported when podFailurePolicy is specified";
            errors.push(FieldError::invalid(&path, restart, why));
        }
        "OnFailure" | "Never" => {}
        other => errors.push(FieldError::not_supported(
            &path,
            other,
            &["OnFailure", "Never"],
        )),
    }
}

fn completion_mode(spec: &Node<'_>, errors: &mut Errors) {
    if spec.has("completionMode") {
        spec.one_of("completionMode", &["NonIndexed", "Indexed"], errors);
    }
    if spec.text("completionMode") == "Indexed" {
        let completions = spec.int("completions");
        if completions.is_none() {
            let why = "when completion mode is Indexed";
            errors.push(FieldError::required(&spec.at("completions"), why));
        }
        if let Some(count) = spec
            .int("parallelism")
            .filter(|count| *count > INDEXED_PARALLELISM_MAX)
        {
            let why = format!(
                "must be less than or equal to {INDEXED_PARALLELISM_MAX} when completion mode is Indexed"
            );
            errors.push(FieldError::invalid(&spec.at("parallelism"), count, why));
        }
        let failed = spec.int("maxFailedIndexes");
        if let Some((failed, _)) = failed.zip(completions).filter(|(failed, all)| failed > all) {
            let why = "must be less than or equal to completions";
            errors.push(FieldError::invalid(
                &spec.at("maxFailedIndexes"),
                failed,
                why,
            ));
        }
        if let Some(failed) = failed.filter(|failed| *failed > INDEXED_PARALLELISM_MAX) {
            let why = format!("must be less than or equal to {INDEXED_PARALLELISM_MAX}");
            errors.push(FieldError::invalid(
                &spec.at("maxFailedIndexes"),
                failed,
                why,
            ));
        }
        high_completions(spec, errors);
        return;
    }
    if !matches!(spec.text("completionMode"), "" | "NonIndexed") {
        return;
    }
    for field in ["backoffLimitPerIndex", "maxFailedIndexes"] {
        if let Some(value) = spec.int(field) {
            let why = "requires indexed completion mode";
            errors.push(FieldError::invalid(&spec.at(field), value, why));
        }
    }
}

/// A job of very many indexes that counts the failures of each may not lose track of them. Source: `validateJobSpec`.
fn high_completions(spec: &Node<'_>, errors: &mut Errors) {
    let completions = spec.int("completions").unwrap_or_default();
    if completions <= HIGH_COMPLETIONS || !spec.has("backoffLimitPerIndex") {
        return;
    }
    if !spec.has("maxFailedIndexes") {
        let why = format!("must be specified when completions is above {HIGH_COMPLETIONS}");
        errors.push(FieldError::required(&spec.at("maxFailedIndexes"), why));
    }
    for field in ["parallelism", "maxFailedIndexes"] {
        let count = spec.int(field).unwrap_or_default();
        if count > HIGH_PARALLELISM {
            let why = format!(
                "must be less than or equal to {HIGH_PARALLELISM} when completions are above {HIGH_COMPLETIONS} and used with backoff limit per index"
            );
            errors.push(FieldError::invalid(&spec.at(field), count, why));
        }
    }
}

/// A warning about a job of so many indexes that not all that fail are told. Source: `WarningsForJobSpec`.
pub(super) fn high_completions_warning(spec: &Node<'_>) -> Option<String> {
    let is_indexed = spec.text("completionMode") == "Indexed";
    let is_above = |field: &str, most: i64| spec.int(field).is_some_and(|count| count > most);
    let is_high = is_indexed
        && is_above("completions", HIGH_COMPLETIONS)
        && is_above("parallelism", HIGH_PARALLELISM);
    is_high.then(|| {
        format!(
            "{}: In Indexed Jobs with a number of completions higher than 10^5 and a parallelism higher than 10^4, Kubernetes might not be able to track completedIndexes when a big number of indexes fail",
            spec.path
        )
    })
}

/// Whether a suspended job has nothing running: it never started, or is done with suspending.
///
/// Source: `registry/batch/job` `shouldAllowMutablePodTemplate`.
fn runs_nothing(status: &Node<'_>) -> bool {
    let is_suspended = status.items("conditions").iter().any(|condition| {
        condition.text("type") == "Suspended" && condition.text("status") == "True"
    });
    (!status.has("startTime") || is_suspended) && status.int("active").unwrap_or_default() == 0
}

/// A template's spec without what those containers ask for that stand under the same name in another one.
fn without_resources(pods: &Value, other: &Value) -> Value {
    let mut spec = pods.get("spec").cloned().unwrap_or_default();
    for list in ["containers", "initContainers"] {
        let others = other.list_at(&["spec", list]);
        let count = spec.list_at(&[list]).len();
        for (container, other) in spec.items_mut(list).zip(others) {
            if count == others.len() && container.get("name") == other.get("name") {
                container.drop_field("resources");
            }
        }
    }
    spec
}

/// What of a Job stays. Source: `ValidateJobSpecUpdate`.
pub(super) fn job_update(new: &Object, old: &Object) -> Errors {
    let mut errors = job(new, Some(old));
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    // The rules of the spec are looked at for the job and once more for its change.
    chosen_job_spec(&spec, &mut errors);
    let completions = spec.int("completions");
    if spec.text("completionMode") != "Indexed" {
        spec.immutable(&was, "completions", &mut errors);
    } else if let Some(count) = completions
        && completions != was.int("completions")
        && completions != spec.int("parallelism")
    {
        // Indexed jobs grow and shrink together with their parallelism.
        let why = "can only be modified in tandem with spec.parallelism";
        errors.push(FieldError::invalid(&spec.at("completions"), count, why));
    }
    spec.immutable(&was, "selector", &mut errors);
    let is_open = was.flag("suspend") && runs_nothing(&Node::root(old).child("status"));
    let rest = |spec: &Node<'_>| {
        let mut pods = spec.child("template").value.clone();
        if is_open {
            pods.drop_field("metadata");
            let inner = pods.child_mut("spec");
            for field in ["nodeSelector", "tolerations", "schedulingGates"] {
                inner.drop_field(field);
            }
            // Of the affinity only what it says of nodes may change; without that nothing is left of most.
            if let Some(affinity) = inner.get_mut("affinity") {
                affinity.drop_field("nodeAffinity");
                if affinity.as_object().is_none_or(serde_json::Map::is_empty) {
                    inner.drop_field("affinity");
                }
            }
        }
        pods
    };
    let (pods, had) = (rest(&spec), rest(&was));
    if is_open {
        // What its containers ask for may change. Source: `validatePodResourceUpdatesOnly`.
        if without_resources(&pods, &had) != without_resources(&had, &pods) {
            let inner = spec.child("template").child("spec");
            errors.push(FieldError::invalid(
                &inner.path,
                inner.value.clone(),
                IMMUTABLE,
            ));
        }
    } else if pods != had {
        spec.immutable(&was, "template", &mut errors);
    }
    for field in [
        "completionMode",
        "podFailurePolicy",
        "backoffLimitPerIndex",
        "managedBy",
        "successPolicy",
    ] {
        spec.immutable(&was, field, &mut errors);
    }
    errors
}

/// A CronJob; the name is checked when it is new.
pub(super) fn cron_job(object: &Object, old: Option<&Object>) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    let text = spec.text("schedule");
    if text.is_empty() {
        errors.push(FieldError::required(&spec.at("schedule"), ""));
    } else {
        if let Err(why) = schedule::parse(text) {
            errors.push(FieldError::invalid(&spec.at("schedule"), text, why));
        }
        if text.contains("TZ") {
            let why = "cannot use TZ or CRON_TZ in schedule, use timeZone field instead";
            errors.push(FieldError::invalid(&spec.at("schedule"), text, why));
        }
    }
    spec.not_negative("startingDeadlineSeconds", &mut errors);
    let zone_before = old.and_then(|old| old.str_at(&["spec", "timeZone"]));
    if spec.has("timeZone") && zone_before != Some(spec.text("timeZone")) {
        time_zone(&spec, &mut errors);
    }
    spec.needs_one_of(
        "concurrencyPolicy",
        &["Allow", "Forbid", "Replace"],
        &mut errors,
    );
    let job = spec.child("jobTemplate").child("spec");
    job_template(&job, &mut errors);
    for field in ["successfulJobsHistoryLimit", "failedJobsHistoryLimit"] {
        spec.not_negative(field, &mut errors);
    }
    if old.is_none() && object.name().len() > CRON_NAME_BYTES_MAX {
        let path = meta::Path::new("metadata").child("name");
        let why = names::max_len_error(CRON_NAME_BYTES_MAX);
        errors.push(FieldError::invalid(&path, object.name(), why));
    }
    errors
}

fn job_template(job: &Node<'_>, errors: &mut Errors) {
    job_spec(job, errors);
    if job.flag("manualSelector") {
        errors.push(FieldError::not_supported(
            &job.at("manualSelector"),
            true,
            &["nil", "false"],
        ));
    }
    if job.has("selector") {
        let selector = job.child("selector");
        let why = "`selector` will be auto-generated";
        errors.push(FieldError::invalid(
            &selector.path,
            selector.value.clone(),
            why,
        ));
    }
}

/// Whether there is a time zone of that very name.
fn is_zone(name: &str) -> bool {
    let found = jiff::tz::TimeZone::get(name);
    found.is_ok_and(|zone| zone.iana_name() == Some(name))
}

fn time_zone(spec: &Node<'_>, errors: &mut Errors) {
    let zone = spec.text("timeZone");
    let path = spec.at("timeZone");
    let is_part = |part: &str| {
        !matches!(part, "" | "." | "..")
            && !part.starts_with('-')
            && part.len() <= 14
            && part
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"._-+".contains(&b))
    };
    let why = if zone.is_empty() {
        "timeZone must be nil or non-empty string".to_owned()
    } else if !zone.split('/').all(is_part) {
        format!("unknown time zone {zone}")
    } else if zone.eq_ignore_ascii_case("local") {
        "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"
            .to_owned()
    } else if !is_zone(zone) {
        format!("unknown time zone {zone}")
    } else {
        return;
    };
    errors.push(FieldError::invalid(&path, zone, why));
    // Upstream looks for the zone of the machine as for others, and finds it by its very name alone.
    if zone.eq_ignore_ascii_case("local") && zone != "Local" {
        let why = format!("unknown time zone {zone}");
        errors.push(FieldError::invalid(&path, zone, why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_containers_ask_for_is_left_out_where_both_have_them() {
        let pods = |name: &str, cpu: &str| json!({"spec": {"containers": [{"name": name, "resources": {"cpu": cpu}}]}});
        let left = |pods: &Value, other: &Value| without_resources(pods, other);
        let (one, two) = (pods("c", "1"), pods("c", "2"));
        assert_eq!(left(&one, &two), left(&two, &one));
        let other = pods("d", "2");
        assert_ne!(left(&one, &other), left(&other, &one));
    }

    #[test]
    fn a_selector_that_cannot_be_read_is_not_asked_what_it_matches() {
        let labels = json!({"controller-uid": "u", "job-name": "x"});
        let job = json!({"metadata": {"name": "x", "uid": "u"}, "spec": {
            "selector": {"matchLabels": {"Bad Key!": "x"}}, "template": {"metadata": {"labels": labels}}}});
        let mut errors = Errors::new();
        generated_selector(
            &job,
            Some(&job),
            &Node::root(&job).child("spec"),
            &mut errors,
        );
        assert!(errors.is_empty());
    }

    #[test]
    fn a_suspended_job_may_be_sent_to_other_nodes_but_not_to_other_pods() {
        let job = |affinity: Value| {
            json!({"metadata": {"name": "x"}, "spec": {"suspend": true, "manualSelector": true,
                "template": {"spec": {"affinity": affinity}}}})
        };
        let told = |new: &Value| {
            let errors = job_update(new, &job(json!(null)));
            errors
                .iter()
                .filter(|error| error.field == "spec.template.spec")
                .count()
        };
        assert_eq!(told(&job(json!({"nodeAffinity": {}}))), 0);
        assert_eq!(told(&job(json!({"podAffinity": {}}))), 1);
    }

    #[test]
    fn a_suspended_job_runs_nothing() {
        let says = |status: Value| runs_nothing(&Node::root(&status));
        assert!(says(json!({})));
        assert!(!says(json!({"startTime": "2025-01-01T00:00:00Z"})));
        assert!(says(json!({"startTime": "2025-01-01T00:00:00Z",
            "conditions": [{"type": "Suspended", "status": "True"}]})));
        assert!(!says(json!({"active": 1})));
    }
}
