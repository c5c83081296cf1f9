//! RuntimeClass: a pod's runtime class must exist; its overhead and placement become the pod's.
//!
//! Source: `plugin/pkg/admission/runtimeclass`.

use std::sync::Arc;

use kinds::amounts::amounts;
use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};
use serde_json::Value;

use super::{Plugin, Request};

const MISMATCH: &str = "pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead";

pub(super) struct RuntimeClass;

impl Plugin for RuntimeClass {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_for("pods", &[Operation::Create]) {
            return Ok(());
        }
        let Some(mut pod) = request.object.take() else {
            return Ok(());
        };
        let result = class_of(&pod, request, cluster).and_then(|class| match class {
            Some(class) => apply(&mut pod, &class, request),
            None => Ok(()),
        });
        request.object = Some(pod);
        result
    }

    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_pod = request.is_for("pods", &[Operation::Create]);
        let Some(pod) = request.object.as_ref().filter(|_| is_pod) else {
            return Ok(());
        };
        let class = class_of(pod, request, cluster)?;
        let wanted = class
            .as_ref()
            .and_then(|class| class.at(&["overhead", "podFixed"]));
        let given = pod.at(&["spec", "overhead"]);
        match (wanted, given) {
            (Some(_), _) if amounts(wanted) != amounts(given) => Err(request.forbidden(MISMATCH)),
            (None, Some(_)) => Err(request.forbidden(
                "pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead",
            )),
            _ => Ok(()),
        }
    }
}

fn class_of(
    pod: &Object,
    request: &Request<'_>,
    cluster: &dyn Lookup,
) -> Result<Option<Arc<Object>>, StatusError> {
    let Some(name) = pod.str_at(&["spec", "runtimeClassName"]) else {
        return Ok(None);
    };
    let missing = || {
        let name = meta::field::quote(name);
        request.forbidden(&format!("pod rejected: RuntimeClass {name} not found"))
    };
    let class = cluster.get("runtimeclasses.node.k8s.io", "", name);
    Ok(Some(class.ok_or_else(missing)?))
}

fn apply(pod: &mut Object, class: &Object, request: &Request<'_>) -> Result<(), StatusError> {
    if let Some(overhead) = class.at(&["overhead", "podFixed"]) {
        let given = amounts(pod.at(&["spec", "overhead"]));
        if !given.is_empty() && given != amounts(Some(overhead)) {
            return Err(request.forbidden(MISMATCH));
        }
        pod.set(&["spec", "overhead"], overhead.clone());
    }
    let selector = class.at(&["scheduling", "nodeSelector"]);
    for (key, wanted) in selector.and_then(Value::as_object).into_iter().flatten() {
        let wanted = wanted.as_str().unwrap_or_default();
        match pod.str_at(&["spec", "nodeSelector", key]) {
            Some(given) if given != wanted => {
                return Err(request.forbidden(&format!(
                    "conflict: runtimeClass.scheduling.nodeSelector[{key}] = {wanted}; pod.spec.nodeSelector[{key}] = {given}"
                )));
            }
            _ => pod.set(&["spec", "nodeSelector", key], wanted.into()),
        }
    }
    let more = class.list_at(&["scheduling", "tolerations"]);
    if !more.is_empty() {
        let mut tolerations = pod.list_at(&["spec", "tolerations"]).to_vec();
        for toleration in more {
            if !tolerations.contains(toleration) {
                tolerations.push(toleration.clone());
            }
        }
        pod.set(&["spec", "tolerations"], tolerations.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    fn run(pod: Object) -> Result<Object, StatusError> {
        let cluster = Cluster::of([(
            "runtimeclasses.node.k8s.io",
            json!({"metadata": {"name": "box"}, "overhead": {"podFixed": {"cpu": "100m"}},
                "scheduling": {"nodeSelector": {"box": "yes"}, "tolerations": [{"key": "box"}]}}),
        )]);
        let user = user("ann", &[]);
        let mut request = request(&user, "", "pods", pod);
        RuntimeClass.admit(&mut request, &cluster)?;
        RuntimeClass.validate(&request, &cluster)?;
        Ok(request.object.unwrap_or_default())
    }

    fn pod(spec: &Value) -> Object {
        json!({"metadata": {"name": "p", "namespace": "web"}, "spec": spec})
    }

    #[test]
    fn overhead_and_placement_come_from_the_class() {
        let made = run(pod(&json!({"runtimeClassName": "box"}))).unwrap();
        assert_eq!(
            made["spec"],
            json!({"runtimeClassName": "box", "overhead": {"cpu": "100m"}, "nodeSelector": {"box": "yes"},
                "tolerations": [{"key": "box"}]})
        );
    }

    #[test]
    fn a_class_must_exist_and_agree() {
        let text = |spec: &Value| run(pod(spec)).unwrap_err().to_string();
        assert_eq!(
            text(&json!({"runtimeClassName": "nope"})),
            "pods \"p\" is forbidden: pod rejected: RuntimeClass \"nope\" not found"
        );
        assert_eq!(
            text(&json!({"runtimeClassName": "box", "nodeSelector": {"box": "no"}})),
            "pods \"p\" is forbidden: conflict: runtimeClass.scheduling.nodeSelector[box] = yes; pod.spec.nodeSelector[box] = no"
        );
        assert!(text(&json!({"overhead": {"cpu": "1"}})).contains("without corresponding"));
    }
}
