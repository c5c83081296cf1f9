//! CronJob.

use meta::Object;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

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
    print_with!(print::apps::CRON_JOB);
}
