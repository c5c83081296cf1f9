//! CronJob.

use meta::{FieldError, Object, ObjectExt as _};

use super::validate;
use crate::check;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `batch/v1 CronJob`.
pub(crate) struct CronJob;

impl Strategy for CronJob {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("concurrencyPolicy", "Allow");
        spec.default_to("suspend", false);
        spec.default_to("successfulJobsHistoryLimit", 3);
        spec.default_to("failedJobsHistoryLimit", 1);
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::cron_job(new, None)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        validate::cron_job(new, Some(old))
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        // Nothing is said again of what did not change. Source: `WarningsOnUpdate`.
        if old.is_some_and(|old| old.generation() == new.generation()) {
            return Vec::new();
        }
        let spec = check::Node::root(new).child("spec");
        let spec = spec.child("jobTemplate").child("spec");
        let of_spec = validate::high_completions_warning(&spec);
        let at = ["spec", "jobTemplate", "spec", "template"];
        warnings::named_workload_with(new, old, &at, of_spec)
    }
    print_with!(print::apps::CRON_JOB);
}
