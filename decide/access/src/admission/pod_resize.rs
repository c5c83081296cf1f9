//! PodResizeValidator: a pod grows in place only on a Linux node that could hold it.
//!
//! Source: `plugin/pkg/admission/podresize`.

use kinds::amounts::{Amounts, add, amounts, of_pod};
use kinds::strategy::{Lookup, Operation};
use meta::field::quote;
use meta::quantity::Quantity;
use meta::status::{Cause, Details};
use meta::{Object, ObjectExt, StatusError};

use super::{Plugin, Request};

/// Where a node says what it runs.
const OS_LABEL: &str = "kubernetes.io/os";

pub(super) struct PodResize;

impl Plugin for PodResize {
    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_resize = request.is_of("pods")
            && request.subresource == "resize"
            && request.operation == Operation::Update;
        let (true, Some(pod), Some(old)) = (is_resize, &request.object, request.old) else {
            return Ok(());
        };
        let node_name = pod.str_at(&["spec", "nodeName"]).unwrap_or_default();
        if node_name.is_empty() || pod.get("spec") == old.get("spec") {
            return Ok(());
        }
        let Some(node) = cluster.get("nodes", "", node_name) else {
            return Err(request.forbidden(&format!("node {} not found", quote(node_name))));
        };
        if let Some(os) = node.labels().get(OS_LABEL).filter(|os| *os != "linux") {
            let why = format!(
                "pod resize is only supported on linux nodes, node {} is {}",
                quote(node_name),
                quote(os)
            );
            return Err(refused(request, &why, "UnsupportedPlatform"));
        }
        match beyond(pod, &node) {
            Some(why) => Err(refused(request, &why, "NodeCapacity")),
            None => Ok(()),
        }
    }
}

/// What of a pod's requests its node could not hold, were it empty.
fn beyond(pod: &Object, node: &Object) -> Option<String> {
    let allocatable = amounts(node.at(&["status", "allocatable"]));
    let mut requests = of_pod(pod, "requests");
    add(&mut requests, &amounts(pod.at(&["spec", "overhead"])));
    let pair = |name: &str| {
        let of = |amounts: &Amounts| {
            amounts
                .get(name)
                .copied()
                .unwrap_or_else(|| Quantity::from_milli(0))
        };
        (of(&requests), of(&allocatable))
    };
    let (cpu, cpu_most) = pair("cpu");
    let (memory, memory_most) = pair("memory");
    let mut words = Vec::new();
    if cpu.nanos() > cpu_most.nanos() {
        let (asked, most) = (cpu.milli_value(), cpu_most.milli_value());
        words.push(format!("cpu, requested: {asked}, allocatable: {most}"));
    }
    if memory.nanos() > memory_most.nanos() {
        let (asked, most) = (memory.value(), memory_most.value());
        words.push(format!("memory, requested: {asked}, allocatable: {most}"));
    }
    let words = words.join("; ");
    let why = format!("node didn't have enough allocatable resources: {words}");
    (!words.is_empty()).then_some(why)
}

fn refused(request: &Request<'_>, why: &str, reason: &str) -> StatusError {
    let mut error = request.forbidden(why);
    let details = error.0.details.get_or_insert_with(Details::default);
    details.causes.push(Cause {
        reason: reason.to_owned(),
        message: String::new(),
        field: String::new(),
    });
    error
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    fn resize(cpu: &str, node: serde_json::Value) -> Result<(), StatusError> {
        let pod = |cpu: &str| {
            json!({"metadata": {"name": "p", "namespace": "web"}, "spec": {"nodeName": "n1",
                "containers": [{"name": "c", "resources": {"requests": {"cpu": cpu}}}]}})
        };
        let cluster = Cluster::of([("nodes", node)]);
        let user = user("ann", &[]);
        let mut request = request(&user, "", "pods", pod(cpu));
        request.operation = Operation::Update;
        request.subresource = "resize".into();
        let old = pod("1");
        request.old = Some(&old);
        PodResize.validate(&request, &cluster)
    }

    #[test]
    fn a_pod_grows_only_on_a_node_that_could_hold_it() {
        let node = |name: &str, os: &str| {
            json!({"metadata": {"name": name, "labels": {OS_LABEL: os}},
                "status": {"allocatable": {"cpu": "2", "memory": "1Gi"}}})
        };
        let why = |cpu, node| resize(cpu, node).unwrap_err().to_string();
        assert!(resize("2", node("n1", "linux")).is_ok());
        assert!(resize("1", node("n2", "linux")).is_ok());
        assert_eq!(
            why("2", node("n2", "linux")),
            "pods \"p\" is forbidden: node \"n1\" not found"
        );
        assert_eq!(
            why("3", node("n1", "linux")),
            "pods \"p\" is forbidden: node didn't have enough allocatable resources: cpu, requested: 3000, allocatable: 2000"
        );
        assert!(why("2", node("n1", "windows")).ends_with("node \"n1\" is \"windows\""));
    }
}
