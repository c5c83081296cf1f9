//! Workloads: the kinds of `apps`.

mod controller_revision;
mod daemon_set;
mod deployment;
mod replica_set;
mod stateful_set;
mod validate;

use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "apps",
    version: "v1",
    types: "io.k8s.api.apps.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "ControllerRevision",
            "controllerrevisions",
            Checked::new(
                &print::apps::CONTROLLER_REVISION,
                controller_revision::check,
            )
            .changes(controller_revision::change)
            .fixed(),
        )
        .build(),
        V1.namespaced("DaemonSet", "daemonsets", daemon_set::DaemonSet)
            .short(&["ds"])
            .in_all()
            .status()
            .build(),
        V1.namespaced("Deployment", "deployments", deployment::Deployment)
            .short(&["deploy"])
            .in_all()
            .scale()
            .status()
            .build(),
        V1.namespaced("ReplicaSet", "replicasets", replica_set::ReplicaSet)
            .short(&["rs"])
            .in_all()
            .scale()
            .status()
            .build(),
        V1.namespaced("StatefulSet", "statefulsets", stateful_set::StatefulSet)
            .short(&["sts"])
            .in_all()
            .scale()
            .status()
            .build(),
    ]
}
