//! What of a Service may change. Source: `ValidateServiceUpdate`.

use meta::{FieldError, Object};
use serde_json::Value;

use super::{needs_health_check, validate};
use crate::check::{Errors, IMMUTABLE, Node};

const FIXED: &str = "may not change once set";

/// What is wrong with a changed Service.
pub(super) fn check(new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    if spec.text("type") != "ExternalName" && was.text("type") != "ExternalName" {
        let (is_headless, was_headless) = (is_headless(&spec), is_headless(&was));
        if !(is_headless && was_headless) {
            addresses(&spec, &was, &mut errors);
        }
        if !is_headless && !was_headless {
            families(&spec, &was, &mut errors);
        }
    }
    let class = |spec: &Node<'_>| spec.child("loadBalancerClass").value.clone();
    let is_balancer = |spec: &Node<'_>| spec.text("type") == "LoadBalancer";
    if is_balancer(&spec) && is_balancer(&was) && class(&spec) != class(&was) {
        let path = spec.at("loadBalancerClass");
        errors.push(FieldError::invalid(&path, class(&spec), FIXED));
    }
    validate::balancer_class(&spec, &mut errors);
    let port = "healthCheckNodePort";
    if needs_health_check(spec.value)
        && needs_health_check(was.value)
        && spec.int(port) != was.int(port)
    {
        errors.push(FieldError::forbidden(&spec.at(port), IMMUTABLE));
    }
    errors.extend(validate::service(new, Some(old)));
    errors
}

fn is_headless(spec: &Node<'_>) -> bool {
    spec.texts("clusterIPs") == ["None"]
}

/// Addresses that were given stay; the second one may come and go.
fn addresses(spec: &Node<'_>, was: &Node<'_>, errors: &mut Errors) {
    let (is, had) = (spec.texts("clusterIPs"), was.texts("clusterIPs"));
    let list = spec.child("clusterIPs");
    let mut wrong = |index: usize, why: &str| {
        let path = list.path.index(index);
        errors.push(FieldError::invalid(&path, list.value.clone(), why));
    };
    if is.len() == had.len() {
        for (index, _) in is
            .iter()
            .zip(&had)
            .enumerate()
            .filter(|(_, (is, had))| is != had)
        {
            wrong(index, FIXED);
        }
        return;
    }
    if is.is_empty() {
        wrong(0, "primary clusterIP can not be unset");
    } else if had.first().is_some_and(|first| is.first() != Some(first)) {
        wrong(0, FIXED);
    }
    if had.len() > is.len() && is.len() == 1 {
        released(spec, "clusterIP", errors);
    }
}

/// Families that were given stay likewise.
fn families(spec: &Node<'_>, was: &Node<'_>, errors: &mut Errors) {
    let (is, had) = (spec.texts("ipFamilies"), was.texts("ipFamilies"));
    let path = spec.at("ipFamilies").index(0);
    let shown = |field: &str| -> Value { spec.child(field).value.clone() };
    if is.len() == had.len() {
        for _ in is.iter().zip(&had).filter(|(is, had)| is != had) {
            errors.push(FieldError::invalid(&path, shown("ipFamilies"), FIXED));
        }
        return;
    }
    if had.len() > is.len() && !spec.has_items("clusterIPs") {
        let why = "primary ipFamily can not be unset";
        errors.push(FieldError::invalid(&path, shown("ipFamilies"), why));
    }
    if !is.is_empty() && had.first().is_some_and(|first| is.first() != Some(first)) {
        errors.push(FieldError::invalid(&path, shown("clusterIPs"), FIXED));
    }
    if had.len() > is.len() && is.len() == 1 {
        released(spec, "ipFamily", errors);
    }
}

/// Who gives the second one back must want one alone.
fn released(spec: &Node<'_>, what: &str, errors: &mut Errors) {
    let policy = spec.child("ipFamilyPolicy");
    if policy.value != "SingleStack" {
        let why = format!("must be set to 'SingleStack' when releasing the secondary {what}");
        errors.push(FieldError::invalid(&policy.path, policy.value.clone(), why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::check;

    fn said(new: serde_json::Value) -> Vec<String> {
        let service = |spec| {
            let mut service = json!({"spec": {"type": "ClusterIP", "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
                "sessionAffinity": "None", "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack",
                "clusterIPs": ["10.96.0.7"], "clusterIP": "10.96.0.7", "internalTrafficPolicy": "Cluster"}});
            let map = service["spec"].as_object_mut().unwrap();
            if let serde_json::Value::Object(more) = spec {
                map.extend(more);
            }
            service
        };
        let errors = check(&service(new), &service(json!({})));
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_cluster_ip_stays() {
        assert_eq!(said(json!({})), [""; 0]);
        assert_eq!(
            said(json!({"clusterIP": "10.96.0.8", "clusterIPs": ["10.96.0.8"]})),
            [r#"spec.clusterIPs[0]: Invalid value: ["10.96.0.8"]: may not change once set"#]
        );
    }
}
