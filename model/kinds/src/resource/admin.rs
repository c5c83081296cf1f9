//! Administrative access to devices is for namespaces that are labelled for it.
//!
//! Source: `pkg/registry/resource/utils.go`.

use meta::field::Path;
use meta::{FieldError, Object, ObjectExt as _};
use serde_json::Value;

use crate::check::Errors;
use crate::strategy::Lookup;

/// The label that a namespace must have. Source: `DRAAdminNamespaceLabelKey`.
const LABEL: &str = "resource.kubernetes.io/admin-access";

/// What a claim asks for, and what its status says it was given.
pub(super) fn of_claim(
    new: &Object,
    old: Option<&Object>,
    cluster: &dyn Lookup,
    errors: &mut Errors,
) {
    let Some(old) = old else {
        let wanted = first(
            new.list_at(&["spec", "devices", "requests"]),
            &["exactly", "adminAccess"],
        );
        return check(new, "spec.devices.requests", wanted, cluster, errors);
    };
    let results = ["status", "allocation", "devices", "results"];
    let given = |claim: &Object| first(claim.list_at(&results), &["adminAccess"]);
    // What was given stays as it was, whatever became of the namespace.
    if given(old).is_none() {
        check(new, &results.join("."), given(new), cluster, errors);
    }
}

/// What claims made of a template ask for. Upstream names the path as in a claim.
pub(super) fn of_template(
    new: &Object,
    _old: Option<&Object>,
    cluster: &dyn Lookup,
    errors: &mut Errors,
) {
    let requests = new.list_at(&["spec", "spec", "devices", "requests"]);
    let wanted = first(requests, &["exactly", "adminAccess"]);
    check(new, "spec.devices.requests", wanted, cluster, errors);
}

fn first(list: &[Value], field: &[&str]) -> Option<usize> {
    list.iter().position(|one| one.bool_at(field) == Some(true))
}

fn check(
    object: &Object,
    list: &str,
    wanted: Option<usize>,
    cluster: &dyn Lookup,
    errors: &mut Errors,
) {
    let Some(index) = wanted else {
        return;
    };
    let path = Path::new(list).index(index).child("adminAccess");
    let name = object.namespace();
    let error = match cluster.get("namespaces", "", name) {
        None => FieldError::internal(
            &path,
            format!(
                "could not retrieve namespace to verify admin access: namespaces \"{name}\" not found"
            ),
        ),
        Some(namespace) if namespace.label(LABEL) == Some("true") => return,
        Some(_) => FieldError::forbidden(
            &path,
            format!(
                "admin access to devices requires the `{LABEL}: true` label on the containing namespace"
            ),
        ),
    };
    errors.push(error);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;

    use super::*;

    /// Namespaces `web`, which has no label, and `admin`, which has it.
    struct Cluster;

    impl Lookup for Cluster {
        fn get(&self, _resource: &str, _namespace: &str, name: &str) -> Option<Arc<Object>> {
            let labels = match name {
                "admin" => json!({ LABEL: "true" }),
                "web" => json!({ LABEL: "yes" }),
                _ => return None,
            };
            Some(Arc::new(
                json!({"metadata": {"name": name, "labels": labels}}),
            ))
        }
        fn list(&self, _resource: &str, _namespace: &str) -> Vec<Arc<Object>> {
            Vec::new()
        }
    }

    fn said(new: &Object, old: Option<&Object>) -> String {
        let mut errors = Errors::new();
        of_claim(new, old, &Cluster, &mut errors);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    }

    fn asking(namespace: &str, is_admin: bool) -> Object {
        let requests = json!([{"exactly": {}}, {"exactly": {"adminAccess": is_admin}}]);
        json!({"metadata": {"namespace": namespace}, "spec": {"devices": {"requests": requests}}})
    }

    fn given(is_admin: bool) -> Object {
        let results = json!([{"adminAccess": is_admin}]);
        json!({"metadata": {"namespace": "web"},
            "status": {"allocation": {"devices": {"results": results}}}})
    }

    const WHY: &str = "Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace";

    #[test]
    fn only_labelled_namespaces_may_ask() {
        let path = "spec.devices.requests[1].adminAccess";
        assert_eq!(said(&asking("admin", true), None), "");
        assert_eq!(said(&asking("web", false), None), "");
        assert_eq!(said(&asking("web", true), None), format!("{path}: {WHY}"));
        assert_eq!(
            said(&asking("gone", true), None),
            format!(
                "{path}: Internal error: could not retrieve namespace to verify admin access: namespaces \"gone\" not found"
            )
        );
    }

    #[test]
    fn only_labelled_namespaces_are_given_it_and_what_was_given_stays() {
        let path = "status.allocation.devices.results[0].adminAccess";
        assert_eq!(
            said(&given(true), Some(&given(false))),
            format!("{path}: {WHY}")
        );
        assert_eq!(said(&given(true), Some(&given(true))), "");
    }
}
