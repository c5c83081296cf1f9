//! The tables of workloads.

use jiff::Timestamp;
use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::{
    AGE, CONTAINERS, Col, EVERYTHING, IMAGES, NAME, Printer, age, containers, count, human, labels,
    number, selector, selector_text, since, text_or,
};
use crate::kind::Cell;

const READY: Col = Col("Ready", "string", "Number of the pod with ready state", 0);

fn template(object: &Value) -> (Cell<'static>, Cell<'static>) {
    containers(object.list_at(&["spec", "template", "spec", "containers"]))
}

/// Deployments.
pub(crate) static DEPLOYMENT: Printer = Printer {
    columns: &[
        NAME,
        READY,
        Col(
            "Up-to-date",
            "string",
            "@io.k8s.api.apps.v1.DeploymentStatus.updatedReplicas",
            0,
        ),
        Col(
            "Available",
            "string",
            "@io.k8s.api.apps.v1.DeploymentStatus.availableReplicas",
            0,
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.apps.v1.DeploymentSpec.selector",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.template.spec.containers.name",
        "spec.template.spec.containers.image",
        "spec.replicas",
        "spec.selector",
        "status.updatedReplicas",
        "status.availableReplicas",
        "status.readyReplicas",
    ],
    cells: |object, now| {
        let (names, images) = template(object);
        vec![
            object.name().into(),
            ready(object),
            number(object, &["status", "updatedReplicas"]),
            number(object, &["status", "availableReplicas"]),
            age(object, now),
            names,
            images,
            selector_text(object.at(&["spec", "selector"])).into(),
        ]
    },
};

fn ready(object: &Value) -> Cell<'static> {
    let ready = object
        .int_at(&["status", "readyReplicas"])
        .unwrap_or_default();
    let desired = object.int_at(&["spec", "replicas"]).unwrap_or_default();
    format!("{ready}/{desired}").into()
}

/// StatefulSets.
pub(crate) static STATEFUL_SET: Printer = Printer {
    columns: &[NAME, READY, AGE, CONTAINERS, IMAGES],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.template.spec.containers.name",
        "spec.template.spec.containers.image",
        "spec.replicas",
        "status.readyReplicas",
    ],
    cells: |object, now| {
        let (names, images) = template(object);
        vec![
            object.name().into(),
            ready(object),
            age(object, now),
            names,
            images,
        ]
    },
};

fn replicas(object: &Object, now: Timestamp, selector: String) -> Vec<Cell<'_>> {
    let (names, images) = template(object);
    vec![
        object.name().into(),
        number(object, &["spec", "replicas"]),
        number(object, &["status", "replicas"]),
        number(object, &["status", "readyReplicas"]),
        age(object, now),
        names,
        images,
        selector.into(),
    ]
}

/// ReplicaSets.
pub(crate) static REPLICA_SET: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Desired",
            "integer",
            "@io.k8s.api.apps.v1.ReplicaSetSpec.replicas",
            0,
        ),
        Col(
            "Current",
            "integer",
            "@io.k8s.api.apps.v1.ReplicaSetStatus.replicas",
            0,
        ),
        Col(
            "Ready",
            "integer",
            "@io.k8s.api.apps.v1.ReplicaSetStatus.readyReplicas",
            0,
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.apps.v1.ReplicaSetSpec.selector",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.template.spec.containers.name",
        "spec.template.spec.containers.image",
        "spec.replicas",
        "spec.selector",
        "status.replicas",
        "status.readyReplicas",
    ],
    cells: |object, now| replicas(object, now, selector(object.at(&["spec", "selector"]))),
};

/// ReplicationControllers.
pub(crate) static REPLICATION_CONTROLLER: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Desired",
            "integer",
            "@io.k8s.api.core.v1.ReplicationControllerSpec.replicas",
            0,
        ),
        Col(
            "Current",
            "integer",
            "@io.k8s.api.core.v1.ReplicationControllerStatus.replicas",
            0,
        ),
        Col(
            "Ready",
            "integer",
            "@io.k8s.api.core.v1.ReplicationControllerStatus.readyReplicas",
            0,
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.core.v1.ReplicationControllerSpec.selector",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.template.spec.containers.name",
        "spec.template.spec.containers.image",
        "spec.replicas",
        "spec.selector",
        "status.replicas",
        "status.readyReplicas",
    ],
    cells: |object, now| replicas(object, now, labels(object.at(&["spec", "selector"]))),
};

/// DaemonSets.
pub(crate) static DAEMON_SET: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Desired",
            "integer",
            "@io.k8s.api.apps.v1.DaemonSetStatus.desiredNumberScheduled",
            0,
        ),
        Col(
            "Current",
            "integer",
            "@io.k8s.api.apps.v1.DaemonSetStatus.currentNumberScheduled",
            0,
        ),
        Col(
            "Ready",
            "integer",
            "@io.k8s.api.apps.v1.DaemonSetStatus.numberReady",
            0,
        ),
        Col(
            "Up-to-date",
            "integer",
            "@io.k8s.api.apps.v1.DaemonSetStatus.updatedNumberScheduled",
            0,
        ),
        Col(
            "Available",
            "integer",
            "@io.k8s.api.apps.v1.DaemonSetStatus.numberAvailable",
            0,
        ),
        Col(
            "Node Selector",
            "string",
            "@io.k8s.api.core.v1.PodSpec.nodeSelector",
            0,
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.apps.v1.DaemonSetSpec.selector",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "spec.template.spec.containers.name",
        "spec.template.spec.containers.image",
        "spec.template.spec.nodeSelector",
        "spec.selector",
        "status",
    ],
    cells: |object, now| {
        let (names, images) = template(object);
        vec![
            object.name().into(),
            number(object, &["status", "desiredNumberScheduled"]),
            number(object, &["status", "currentNumberScheduled"]),
            number(object, &["status", "numberReady"]),
            number(object, &["status", "updatedNumberScheduled"]),
            number(object, &["status", "numberAvailable"]),
            labels(object.at(&["spec", "template", "spec", "nodeSelector"])).into(),
            age(object, now),
            names,
            images,
            selector(object.at(&["spec", "selector"])).into(),
        ]
    },
};

/// ControllerRevisions.
pub(crate) static CONTROLLER_REVISION: Printer = Printer {
    columns: &[
        NAME,
        Col("Controller", "string", "Controller of the object", 0),
        Col(
            "Revision",
            "string",
            "@io.k8s.api.apps.v1.ControllerRevision.revision",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let owner = object.controller().map_or_else(
            || "<none>".to_owned(),
            |owner| {
                let version = owner.str_at(&["apiVersion"]).unwrap_or_default();
                let group = version.split_once('/').map_or("", |(group, _)| group);
                let kind = owner.str_at(&["kind"]).unwrap_or_default();
                let kind = meta::id::qualified(kind, group).to_lowercase();
                format!("{kind}/{}", owner.str_at(&["name"]).unwrap_or_default())
            },
        );
        vec![
            object.name().into(),
            owner.into(),
            number(object, &["revision"]),
            age(object, now),
        ]
    },
};

/// Jobs.
pub(crate) static JOB: Printer = Printer {
    columns: &[
        NAME,
        Col("Status", "string", "Status of the job.", 0),
        Col(
            "Completions",
            "string",
            "@io.k8s.api.batch.v1.JobStatus.succeeded",
            0,
        ),
        Col(
            "Duration",
            "string",
            "Time required to complete the job.",
            0,
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.batch.v1.JobSpec.selector",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.deletionTimestamp",
        "spec.template.spec.containers.name",
        "spec.template.spec.containers.image",
        "spec.selector",
        "spec.completions",
        "spec.parallelism",
        "status",
    ],
    cells: |object, now| {
        let (names, images) = template(object);
        vec![
            object.name().into(),
            job_status(object).into(),
            completions(object).into(),
            job_duration(object, now).into(),
            age(object, now),
            names,
            images,
            selector(object.at(&["spec", "selector"])).into(),
        ]
    },
};

fn completions(job: &Object) -> String {
    let done = job.int_at(&["status", "succeeded"]).unwrap_or_default();
    if let Some(wanted) = job.int_at(&["spec", "completions"]) {
        return format!("{done}/{wanted}");
    }
    match job.int_at(&["spec", "parallelism"]).unwrap_or_default() {
        parallelism if parallelism > 1 => format!("{done}/1 of {parallelism}"),
        _ => format!("{done}/1"),
    }
}

fn job_duration(job: &Object, now: Timestamp) -> String {
    let time = |field: &str| {
        job.str_at(&["status", field])
            .and_then(meta::time::from_rfc3339)
    };
    match (time("startTime"), time("completionTime")) {
        (None, _) => String::new(),
        (Some(start), end) => human(end.unwrap_or(now).as_second() - start.as_second()),
    }
}

fn job_status(job: &Object) -> &'static str {
    let has = |name: &str| {
        let condition = job
            .list_at(&["status", "conditions"])
            .iter()
            .find(|one| one.str_at(&["type"]) == Some(name));
        condition.is_some_and(|condition| condition.str_at(&["status"]) == Some("True"))
    };
    if has("Complete") {
        return "Complete";
    }
    if has("Failed") {
        return "Failed";
    }
    if job.deletion_timestamp().is_some() {
        return "Terminating";
    }
    ["Suspended", "FailureTarget", "SuccessCriteriaMet"]
        .into_iter()
        .find(|name| has(name))
        .unwrap_or("Running")
}

/// CronJobs.
pub(crate) static CRON_JOB: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Schedule",
            "string",
            "@io.k8s.api.batch.v1.CronJobSpec.schedule",
            0,
        ),
        Col(
            "Timezone",
            "string",
            "@io.k8s.api.batch.v1.CronJobSpec.timeZone",
            0,
        ),
        Col(
            "Suspend",
            "boolean",
            "@io.k8s.api.batch.v1.CronJobSpec.suspend",
            0,
        ),
        Col(
            "Active",
            "integer",
            "@io.k8s.api.batch.v1.CronJobStatus.active",
            0,
        ),
        Col(
            "Last Schedule",
            "string",
            "@io.k8s.api.batch.v1.CronJobStatus.lastScheduleTime",
            0,
        ),
        AGE,
        CONTAINERS,
        IMAGES,
        Col(
            "Selector",
            "string",
            "@io.k8s.api.batch.v1.JobSpec.selector",
            1,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let spec = ["spec", "jobTemplate", "spec"];
        let job = object.at(&spec).cloned().unwrap_or_default();
        let (names, images) = containers(job.list_at(&["template", "spec", "containers"]));
        let suspend = match object.bool_at(&["spec", "suspend"]) {
            Some(true) => "True",
            Some(false) => "False",
            None => "<unset>",
        };
        let last = object.str_at(&["status", "lastScheduleTime"]);
        let last = last.map_or_else(|| "<none>".to_owned(), |time| since(Some(time), now));
        vec![
            object.name().into(),
            text_or(object, &["spec", "schedule"], ""),
            text_or(object, &["spec", "timeZone"], "<none>"),
            suspend.into(),
            count(object, &["status", "active"]),
            last.into(),
            age(object, now),
            names,
            images,
            selector(job.at(&["selector"])).into(),
        ]
    },
};

/// PodTemplates.
pub(crate) static POD_TEMPLATE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Containers",
            "string",
            "Names of each container in the template.",
            0,
        ),
        Col(
            "Images",
            "string",
            "Images referenced by each container in the template.",
            0,
        ),
        Col(
            "Pod Labels",
            "string",
            "The labels for the pod template.",
            0,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, _now| {
        let (names, images) = containers(object.list_at(&["template", "spec", "containers"]));
        let marks = labels(object.at(&["template", "metadata", "labels"]));
        vec![object.name().into(), names, images, marks.into()]
    },
};
