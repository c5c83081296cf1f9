//! Jobs: the kinds of `batch`.

mod cron_job;
mod job;
pub(crate) mod validate;

use crate::kind::Kind;
use crate::row::Group;

const V1: Group = Group {
    name: "batch",
    version: "v1",
    types: "io.k8s.api.batch.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced("CronJob", "cronjobs", cron_job::CronJob)
            .short(&["cj"])
            .in_all()
            .status()
            .build(),
        V1.namespaced("Job", "jobs", job::Job)
            .in_all()
            .status()
            .build(),
    ]
}
