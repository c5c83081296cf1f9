//! What the status of a job may say, and what of it may not be taken back. Source: `ValidateJobUpdateStatus`, with the
//! options of `getStatusValidationOptions`: a rule is asked only where what it is about changes.

use std::collections::BTreeSet;

use jiff::Timestamp;
use meta::{FieldError, Object};
use serde_json::Value;

use super::policies::count_indexes;
use crate::check::{Errors, Node};

/// A job's status with the conditions that are true.
struct Told<'a> {
    spec: Node<'a>,
    status: Node<'a>,
    conditions: BTreeSet<&'a str>,
}

impl<'a> Told<'a> {
    fn new(job: &'a Object) -> Self {
        let status = Node::root(job).child("status");
        let conditions = status.items("conditions").into_iter();
        let conditions = conditions.filter(|one| one.text("status") == "True");
        Self {
            spec: Node::root(job).child("spec"),
            conditions: conditions.map(|one| one.text("type")).collect(),
            status,
        }
    }
    fn is_complete(&self) -> bool {
        self.conditions.contains("Complete")
    }
    fn is_failed(&self) -> bool {
        self.conditions.contains("Failed")
    }
    fn fails(&self) -> bool {
        self.conditions.contains("FailureTarget")
    }
    fn succeeds(&self) -> bool {
        self.conditions.contains("SuccessCriteriaMet")
    }
    fn is_finished(&self) -> bool {
        self.is_complete() || self.is_failed()
    }
    fn count(&self, field: &str) -> i64 {
        self.status.int(field).unwrap_or_default()
    }
    fn is_suspended(&self, wanted: &str) -> bool {
        let mut conditions = self.status.items("conditions").into_iter();
        conditions.any(|one| one.text("type") == "Suspended" && one.text("status") == wanted)
    }
}

/// Goes through a changed status.
pub(crate) fn check(new: &Object, old: &Object, errors: &mut Errors) {
    let (new, old) = (Told::new(new), Told::new(old));
    for field in ["active", "succeeded", "failed", "ready", "terminating"] {
        new.status.not_negative(field, errors);
    }
    uncounted(&new.status, errors);
    let changes = |field: &str| new.status.child(field).value != old.status.child(field).value;
    completion(&new, &old, &changes, errors);
    finish(&new, &old, &changes, errors);
    indexes(&new, &changes, errors);
    if (new.is_finished() != old.is_finished() || changes("terminating"))
        && new.count("terminating") > 0
        && new.is_finished()
    {
        let why = "terminating>0 is invalid for finished job";
        refuse(&new, "terminating", why, errors);
    }
    if (changes("ready") || changes("active"))
        && new.status.has("ready")
        && new.count("ready") > new.count("active")
    {
        refuse(
            &new,
            "ready",
            "cannot set more ready pods than active",
            errors,
        );
    }
    let conditions = &mut |is_wrong: bool, why: &str| {
        if is_wrong {
            errors.push(of_conditions(&new, why));
        }
    };
    conditions(
        new.succeeds() && new.is_failed(),
        "cannot set SuccessCriteriaMet=True and Failed=true conditions",
    );
    conditions(
        new.succeeds() && new.fails(),
        "cannot set SuccessCriteriaMet=True and FailureTarget=true conditions",
    );
    conditions(
        new.spec.has("successPolicy") && !new.succeeds() && new.is_complete(),
        "cannot set Complete=True for Job with SuccessPolicy unless SuccessCriteriaMet=True",
    );
    taken_back(&new, &old, &changes, errors);
}

/// The value of a field, refused.
fn refuse(told: &Told<'_>, field: &str, why: &str, errors: &mut Errors) {
    let value = told.status.child(field).value.clone();
    errors.push(FieldError::invalid(&told.status.at(field), value, why));
}

/// Conditions are not shown.
fn of_conditions(told: &Told<'_>, why: &str) -> FieldError {
    let mut error = FieldError::invalid(&told.status.at("conditions"), Value::Null, why);
    error.bad_value = None;
    error
}

/// Pods that wait for being counted are told once.
fn uncounted(status: &Node<'_>, errors: &mut Errors) {
    let pods = status.child("uncountedTerminatedPods");
    let mut seen = BTreeSet::new();
    for uid in ["succeeded", "failed"]
        .iter()
        .flat_map(|list| pods.items(list))
    {
        let text = uid.value.as_str().unwrap_or_default();
        if text.is_empty() {
            errors.push(FieldError::invalid(&uid.path, "", "must not be empty"));
        } else if !seen.insert(text) {
            errors.push(FieldError::duplicate(&uid.path, text));
        }
    }
}

type Changes<'a> = &'a dyn Fn(&str) -> bool;

/// What goes with being complete or failed.
fn completion(new: &Told<'_>, old: &Told<'_>, changes: Changes<'_>, errors: &mut Errors) {
    let completes = new.is_complete() != old.is_complete();
    let has_failed = new.is_failed() != old.is_failed();
    if (completes || has_failed) && new.is_complete() && new.is_failed() {
        let why = "cannot set Complete=True and Failed=true conditions";
        errors.push(of_conditions(new, why));
    }
    if (completes || new.fails() != old.fails()) && new.is_complete() && new.fails() {
        let why = "cannot set Complete=True and FailureTarget=true conditions";
        errors.push(of_conditions(new, why));
    }
    let has_time = new.status.has("completionTime");
    if completes || changes("completionTime") {
        if has_time && !new.is_complete() {
            let why = "cannot set completionTime when there is no Complete=True condition";
            refuse(new, "completionTime", why, errors);
        }
        if !has_time && new.is_complete() {
            let path = new.status.at("completionTime");
            let why = "completionTime is required for Complete jobs";
            errors.push(FieldError::required(&path, why));
        }
    }
    if changes("startTime") || changes("completionTime") {
        let time =
            |field: &str| -> Option<Timestamp> { meta::time::from_rfc3339(new.status.text(field)) };
        if let (Some(start), Some(end)) = (time("startTime"), time("completionTime"))
            && end < start
        {
            let why = "must be equal to or after `startTime`";
            refuse(new, "completionTime", why, errors);
        }
    }
    if (has_failed || changes("failedIndexes")) && new.is_failed() && !new.fails() {
        let why = "cannot set Failed=True condition without the FailureTarget=true condition";
        errors.push(of_conditions(new, why));
    }
    if (completes || new.succeeds() != old.succeeds()) && new.is_complete() && !new.succeeds() {
        let why =
            "cannot set Complete=True condition without the SuccessCriteriaMet=true condition";
        errors.push(of_conditions(new, why));
    }
}

/// What a finished job has and has not.
fn finish(new: &Told<'_>, old: &Told<'_>, changes: Changes<'_>, errors: &mut Errors) {
    if !new.is_finished() {
        return;
    }
    let finishes = new.is_finished() != old.is_finished();
    if (finishes || changes("active")) && new.count("active") > 0 {
        refuse(
            new,
            "active",
            "active>0 is invalid for finished job",
            errors,
        );
    }
    let is_nothing = new.spec.flag("suspend") && new.spec.int("completions") == Some(0);
    if (finishes || changes("startTime")) && !is_nothing && !new.status.has("startTime") {
        let why = "startTime is required for finished job";
        errors.push(FieldError::required(&new.status.at("startTime"), why));
    }
    let pods = new.status.child("uncountedTerminatedPods");
    let has_pods = pods.has_items("succeeded") || pods.has_items("failed");
    if (finishes || changes("uncountedTerminatedPods")) && has_pods {
        let why = "must be empty for finished job";
        refuse(new, "uncountedTerminatedPods", why, errors);
    }
}

/// Which indexes are done and which have failed.
fn indexes(new: &Told<'_>, changes: Changes<'_>, errors: &mut Errors) {
    let (done, failed) = ("completedIndexes", "failedIndexes");
    let completions = new.spec.int("completions");
    let has_limit = new.spec.has("backoffLimitPerIndex");
    for (field, is_read) in [(done, true), (failed, has_limit && new.status.has(failed))] {
        let read = completions.filter(|_| is_read && changes(field));
        let read = read.map(|completions| count_indexes(new.status.text(field), completions));
        if let Some(Err(why)) = read {
            let why = format!("error parsing {field}: {why}");
            errors.push(FieldError::invalid(
                &new.status.at(field),
                new.status.text(field),
                why,
            ));
        }
    }
    let is_indexed = new.spec.text("completionMode") == "Indexed";
    if changes(done) && !new.status.text(done).is_empty() && !is_indexed {
        let why = "cannot set non-empty completedIndexes when non-indexed completion mode";
        refuse(new, done, why, errors);
    }
    if changes(failed) && !has_limit && new.status.has(failed) {
        let why = "cannot set non-null failedIndexes when backoffLimitPerIndex is null";
        refuse(new, failed, why, errors);
    }
    if let Some(completions) = completions
        && (changes(done) || changes(failed))
        && let Some(index) = overlap(new.status.text(done), new.status.text(failed), completions)
    {
        let why = format!("failedIndexes and completedIndexes overlap at index: {index}");
        refuse(new, failed, &why, errors);
    }
}

/// The first index that is done and has failed; intervals that cannot be read are passed over.
fn overlap(done: &str, failed: &str, completions: i64) -> Option<i64> {
    let intervals = |text: &str| -> Vec<(i64, i64)> {
        let read = |interval: &str| {
            count_indexes(interval, completions)
                .ok()
                .filter(|count| *count > 0)?;
            let (start, end) = interval.split_once('-').unwrap_or((interval, interval));
            Some((start.parse().ok()?, end.parse().ok()?))
        };
        text.split(',').filter_map(read).collect()
    };
    let failed = intervals(failed);
    let hits = intervals(done).into_iter().flat_map(|(start, end)| {
        let hits = failed
            .iter()
            .filter(move |(from, to)| start <= *to && *from <= end);
        hits.map(move |(from, _)| start.max(*from))
            .collect::<Vec<_>>()
    });
    hits.min()
}

/// What was said stays said.
fn taken_back(new: &Told<'_>, old: &Told<'_>, changes: Changes<'_>, errors: &mut Errors) {
    for (was, is, name) in [
        (old.is_failed(), new.is_failed(), "Failed"),
        (old.is_complete(), new.is_complete(), "Complete"),
        (old.fails(), new.fails(), "FailureTarget"),
    ] {
        if was && !is {
            let why = format!("cannot disable the terminal {name}=True condition");
            errors.push(of_conditions(new, &why));
        }
    }
    let path = |field: &str| new.status.at(field);
    if new.count("failed") < old.count("failed") {
        let why = "cannot decrease the failed counter";
        errors.push(FieldError::invalid(
            &path("failed"),
            new.count("failed"),
            why,
        ));
    }
    // A job of as many pods as completions may be scaled down.
    let is_elastic = new.spec.text("completionMode") == "Indexed"
        && new.spec.int("completions") == new.spec.int("parallelism");
    if !is_elastic && new.count("succeeded") < old.count("succeeded") {
        let why = "cannot decrease the succeeded counter";
        let count = new.count("succeeded");
        errors.push(FieldError::invalid(&path("succeeded"), count, why));
    }
    let both = |field: &str| new.status.has(field) && old.status.has(field);
    if both("completionTime") && changes("completionTime") {
        refuse(new, "completionTime", "field is immutable", errors);
    }
    let resumes = old.is_suspended("True") && new.is_suspended("False");
    let starts_anew = old.status.has("startTime") && changes("startTime");
    if starts_anew && !resumes && !new.spec.flag("suspend") {
        let why = "field is immutable for unsuspended job once set";
        refuse(new, "startTime", why, errors);
    }
    if old.succeeds() && !new.succeeds() {
        let why = "cannot disable the SuccessCriteriaMet=True condition";
        errors.push(of_conditions(new, why));
    }
    if old.is_complete() && !old.succeeds() && new.succeeds() {
        let why = "cannot set SuccessCriteriaMet=True for Job already has Complete=true conditions";
        errors.push(of_conditions(new, why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(new: &Value, old: &Value) -> String {
        let job = |status: &Value| json!({"spec": {"completions": 3, "parallelism": 1, "completionMode": "Indexed"}, "status": status});
        let mut errors = Errors::new();
        check(&job(new), &job(old), &mut errors);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    }

    #[test]
    fn a_job_ends_once_and_with_everything_that_belongs_to_it() {
        let is = |name: &str| json!({"type": name, "status": "True"});
        let start = "2026-01-01T00:00:00Z";
        let whole = json!({"conditions": [is("SuccessCriteriaMet"), is("Complete")], "startTime": start,
            "completionTime": start, "succeeded": 3});
        let cases = [
            (whole.clone(), json!({}), ""),
            (
                json!({"conditions": [is("Complete")], "startTime": start}),
                json!({}),
                "status.completionTime: Required value: completionTime is required for Complete jobs; status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition",
            ),
            (
                json!({"conditions": [is("Failed")], "startTime": start, "active": 1}),
                json!({}),
                "status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition; status.active: Invalid value: 1: active>0 is invalid for finished job",
            ),
            (
                json!({"succeeded": 2, "startTime": start}),
                json!({"succeeded": 3, "startTime": "2025-01-01T00:00:00Z"}),
                "status.succeeded: Invalid value: 2: cannot decrease the succeeded counter; status.startTime: Invalid value: \"2026-01-01T00:00:00Z\": field is immutable for unsuspended job once set",
            ),
            (
                json!({"completedIndexes": "0,5"}),
                json!({}),
                "status.completedIndexes: Invalid value: \"0,5\": error parsing completedIndexes: too large index: \"5\"",
            ),
            (
                json!({"completedIndexes": "0-1", "failedIndexes": "1"}),
                json!({}),
                "status.failedIndexes: Invalid value: \"1\": cannot set non-null failedIndexes when backoffLimitPerIndex is null; status.failedIndexes: Invalid value: \"1\": failedIndexes and completedIndexes overlap at index: 1",
            ),
            (
                json!({"ready": 1}),
                json!({}),
                "status.ready: Invalid value: 1: cannot set more ready pods than active",
            ),
        ];
        for (new, old, wanted) in cases {
            assert_eq!(said(&new, &old), wanted);
        }
        let undone = said(&json!({"startTime": start, "succeeded": 3}), &whole);
        assert!(undone.contains("cannot disable the terminal Complete=True condition"));
    }
}
