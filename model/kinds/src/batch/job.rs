//! Job.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::Value;

use super::validate;
use crate::check;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Labels with the name of the job, old and new.
const NAME_LABELS: [&str; 2] = ["job-name", "batch.kubernetes.io/job-name"];
/// Labels with the uid of the job, old and new.
const UID_LABELS: [&str; 2] = ["controller-uid", "batch.kubernetes.io/controller-uid"];

/// Rules of `batch/v1 Job`.
pub(crate) struct Job;

impl Strategy for Job {
    fn default(&self, new: &mut Object) {
        labels_from_template(new);
        let spec = new.child_mut("spec");
        if spec.lacks("completions") && spec.lacks("parallelism") {
            spec.put("completions", 1);
        }
        spec.default_to("parallelism", 1);
        let limit = if spec.lacks("backoffLimitPerIndex") {
            6
        } else {
            i64::from(i32::MAX)
        };
        spec.default_to("backoffLimit", limit);
        spec.default_unset("completionMode", "NonIndexed");
        spec.default_to("suspend", false);
        let replacement = if spec.lacks("podFailurePolicy") {
            "TerminatingOrFailed"
        } else {
            "Failed"
        };
        spec.default_unset("podReplacementPolicy", replacement);
        spec.default_to("manualSelector", false);
    }
    fn prepare_create(&self, new: &mut Object, cx: &Context<'_>) {
        // Upstream's defaults let the job and its template share one map, to which the generated labels are added.
        let shares_labels = !cx.is_labelled && new.metadata_mut().remove("labels").is_some();
        if new.bool_at(&["spec", "manualSelector"]) != Some(true) {
            generate_selector(new);
        }
        if shares_labels {
            labels_from_template(new);
        }
    }
    /// Upstream defaults once more when it reads the object back from the store.
    fn fill_stored(&self, new: &mut Object) {
        labels_from_template(new);
    }
    /// A status that comes without labels takes none away: they are those of the template where there are none.
    fn prepare_subresource(&self, new: &mut Object, _old: &Object, _cx: &Context<'_>) {
        labels_from_template(new);
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["status.successful"]
    }
    fn selected_fields(&self) -> &'static [&'static str] {
        &["status.succeeded"]
    }
    fn selectable_value(&self, object: &Object, _field: &str) -> String {
        object
            .int_at(&["status", "succeeded"])
            .unwrap_or_default()
            .to_string()
    }
    fn orphans_by_default(&self) -> bool {
        true
    }
    /// Source: `registry/batch/job/storage` `deleteOptionWarnings`.
    fn deletion_warning(&self) -> Option<&'static str> {
        Some(
            "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
        )
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::job(new, None)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        validate::job_update(new, old)
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        // Nothing is said again of what did not change. Source: `WarningsOnUpdate`.
        if old.is_some_and(|old| old.generation() == new.generation()) {
            return Vec::new();
        }
        let spec = check::Node::root(new).child("spec");
        let of_spec = validate::high_completions_warning(&spec);
        warnings::named_workload_with(new, old, &["spec", "template"], of_spec)
    }
    print_with!(print::apps::JOB);
}

fn labels_from_template(job: &mut Object) {
    let template = job.at(&["spec", "template", "metadata", "labels"]).cloned();
    let own = job.at(&["metadata", "labels"]).and_then(Value::as_object);
    if let Some(labels) = template
        && own.is_none_or(serde_json::Map::is_empty)
    {
        job.child_mut("metadata").put("labels", labels);
    }
}

fn generate_selector(job: &mut Object) {
    let (name, uid) = (job.name().to_owned(), job.uid().to_owned());
    let spec = job.child_mut("spec");
    let labels = spec
        .child_mut("template")
        .child_mut("metadata")
        .child_mut("labels");
    for (keys, value) in [(NAME_LABELS, &name), (UID_LABELS, &uid)] {
        for key in keys {
            if labels.get(key).is_none() {
                labels.put(key, value.as_str());
            }
        }
    }
    let selector = spec.child_mut("selector").child_mut("matchLabels");
    let [_, key] = UID_LABELS;
    if selector.get(key).is_none() {
        selector.put(key, uid);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_job_without_labels_has_those_of_its_template() {
        let spec = json!({"template": {"metadata": {"labels": {"job-name": "x"}}}});
        let mut job = json!({"metadata": {"name": "x"}, "spec": spec});
        labels_from_template(&mut job);
        assert_eq!(job["metadata"]["labels"], json!({"job-name": "x"}));
        let mut own = json!({"metadata": {"labels": {"a": "b"}}, "spec": spec});
        labels_from_template(&mut own);
        assert_eq!(own["metadata"]["labels"], json!({"a": "b"}));
    }
}
