//! What becomes of a bootstrap object that is there already when a server starts: what upstream's policy gives is given
//! again, what somebody added stays.
//!
//! Source: `k8s.io/component-helpers/auth/rbac/reconciliation`, `pkg/registry/flowcontrol/ensurer`,
//! `k8s.io/kube-aggregator/pkg/controllers/autoregister`.

use kinds::flowcontrol::mandatory;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use crate::rbac::{rules_of, uncovered};

/// Says `false` on a role or binding that is left as it is.
const POLICY_ANNOTATION: &str = "rbac.authorization.kubernetes.io/autoupdate";
/// Says whether the server keeps the spec of a flow schema or priority level.
const FLOW_ANNOTATION: &str = "apf.kubernetes.io/autoupdate-spec";
/// Says that the server keeps an API service. Source: `kube-aggregator` `autoregister`.
const MANAGED_LABEL: &str = "kube-aggregator.kubernetes.io/automanaged";

/// How an object is mended.
#[derive(Clone, Debug, PartialEq)]
pub enum Mend {
    /// This is written in its place.
    Update(Object),
    /// It is deleted and made anew: a binding is bound to another role for good.
    Recreate,
}

/// How an object becomes again what is `expected` of it, with all defaults; `None` when it is.
pub fn mend(existing: &Object, expected: &Object) -> Option<Mend> {
    let mended = match expected.kind() {
        "ClusterRole" | "Role" | "ClusterRoleBinding" | "RoleBinding" => {
            if existing.annotation(POLICY_ANNOTATION) == Some("false") {
                return None;
            }
            if existing.at(&["roleRef"]) != expected.at(&["roleRef"]) {
                return Some(Mend::Recreate);
            }
            policy(existing, expected)
        }
        "FlowSchema" | "PriorityLevelConfiguration" => flow(existing, expected),
        "APIService" => {
            let mut mended = existing.clone();
            let spec = expected
                .at(&["spec"])
                .filter(|_| existing.label(MANAGED_LABEL).is_some());
            if let Some(spec) = spec {
                mended.set(&["spec"], spec.clone());
            }
            mended
        }
        _ => return None,
    };
    (mended != *existing).then_some(Mend::Update(mended))
}

/// A role or binding with all that is expected of it.
fn policy(existing: &Object, expected: &Object) -> Object {
    let mut mended = existing.clone();
    for field in ["annotations", "labels"] {
        let wanted = expected.at(&["metadata", field]).and_then(Value::as_object);
        for (key, value) in wanted.into_iter().flatten() {
            if existing.at(&["metadata", field, key]).is_none() {
                mended.set(&["metadata", field, key], value.clone());
            }
        }
    }
    add_missing(&mut mended, expected, &["subjects"]);
    if expected.at(&["aggregationRule"]).is_none() {
        mended.remove(&["aggregationRule"]);
        // The rules of an aggregated role are another controller's.
        let missing = uncovered(&rules_of(existing), &rules_of(expected));
        let missing: Vec<Value> = missing.iter().map(|rule| json!(rule)).collect();
        append(&mut mended, &["rules"], &missing);
    } else {
        add_missing(
            &mut mended,
            expected,
            &["aggregationRule", "clusterRoleSelectors"],
        );
    }
    mended
}

/// Appends the items of a list that an object lacks.
fn add_missing(object: &mut Object, expected: &Object, path: &[&str]) {
    let there = object.list_at(path);
    let missing = expected.list_at(path).iter();
    let missing = missing.filter(|item| !there.contains(item)).cloned();
    let missing: Vec<Value> = missing.collect();
    append(object, path, &missing);
}

fn append(object: &mut Object, path: &[&str], items: &[Value]) {
    if !items.is_empty() {
        let all = [object.list_at(path), items].concat();
        object.set(path, all.into());
    }
}

/// A flow schema or priority level whose spec is the server's, unless somebody took it over.
fn flow(existing: &Object, expected: &Object) -> Object {
    let mut mended = existing.clone();
    let is_mandatory = match expected.kind() {
        "FlowSchema" => mandatory::flow_schema(expected.name()).is_some(),
        _ => mandatory::priority_level(expected.name()).is_some(),
    };
    let is_ours = is_mandatory || is_kept(existing);
    let said = existing.annotation(FLOW_ANNOTATION).and_then(boolean);
    if said != Some(is_ours) {
        let value = is_ours.to_string().into();
        mended.set(&["metadata", "annotations", FLOW_ANNOTATION], value);
    }
    let spec = spec(existing, expected);
    if is_ours && existing.at(&["spec"]) != Some(&spec) {
        mended.set(&["spec"], spec);
    }
    mended
}

/// The spec that is expected; how large the exempt level is may be chosen.
fn spec(existing: &Object, expected: &Object) -> Value {
    let mut spec = expected.at(&["spec"]).cloned().unwrap_or_default();
    if expected.name() == "exempt" && expected.kind() == "PriorityLevelConfiguration" {
        for field in ["nominalConcurrencyShares", "lendablePercent"] {
            if let Some(chosen) = existing.at(&["spec", "exempt", field]) {
                spec.set(&["exempt", field], chosen.clone());
            }
        }
    }
    spec
}

/// Whether the spec follows the server's: as it says itself, or as long as nobody changed it.
fn is_kept(existing: &Object) -> bool {
    existing
        .annotation(FLOW_ANNOTATION)
        .and_then(boolean)
        .unwrap_or_else(|| existing.generation() == 1)
}

/// Source: Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(rules: &Value) -> Object {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "rules": rules,
            "metadata": {"name": "r", "labels": {"a": "1"}, "annotations": {POLICY_ANNOTATION: "true"}}})
    }

    fn rule(verbs: &[&str], resource: &str) -> Value {
        json!({"verbs": verbs, "apiGroups": [""], "resources": [resource]})
    }

    /// The object that is written.
    fn updated(existing: &Object, expected: &Object) -> Object {
        match mend(existing, expected) {
            Some(Mend::Update(object)) => {
                assert_eq!(mend(&object, expected), None, "mended once for all");
                object
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_role_gets_back_what_it_lacks_and_keeps_what_it_was_given() {
        let expected = role(&json!([rule(&["get", "list"], "pods")]));
        assert_eq!(mend(&expected, &expected), None);
        let mut existing = role(&json!([rule(&["get"], "pods"), rule(&["get"], "secrets")]));
        existing.set(&["metadata", "labels"], json!({"b": "2"}));
        existing.set(&["metadata", "resourceVersion"], "7".into());
        let object = updated(&existing, &expected);
        assert_eq!(
            object.list_at(&["rules"]),
            [
                rule(&["get"], "pods"),
                rule(&["get"], "secrets"),
                rule(&["list"], "pods")
            ]
        );
        assert_eq!(object.labels().len(), 2);
        assert_eq!(object.str_at(&["metadata", "resourceVersion"]), Some("7"));
        let wider = role(&json!([rule(&["*"], "*")]));
        assert_eq!(mend(&wider, &expected), None);
        let emptied = role(&Value::Null);
        let object = updated(&emptied, &expected);
        assert_eq!(object.list_at(&["rules"]).len(), 2);
    }

    #[test]
    fn a_role_that_says_so_is_left_alone() {
        let expected = role(&json!([rule(&["get"], "pods")]));
        let mut existing = role(&json!([]));
        existing.set(
            &["metadata", "annotations", POLICY_ANNOTATION],
            "false".into(),
        );
        assert_eq!(mend(&existing, &expected), None);
        existing.set(&["metadata", "annotations", POLICY_ANNOTATION], "no".into());
        assert!(mend(&existing, &expected).is_some());
    }

    #[test]
    fn what_a_role_gathers_is_mended_by_its_selectors() {
        let selector = |label: &str| json!({"matchLabels": {label: "true"}});
        let mut expected = role(&json!([rule(&["get"], "pods")]));
        expected.set(
            &["aggregationRule"],
            json!({"clusterRoleSelectors": [selector("a")]}),
        );
        let mut existing = expected.clone();
        existing.set(&["rules"], json!([]));
        assert_eq!(mend(&existing, &expected), None);
        existing.set(
            &["aggregationRule", "clusterRoleSelectors"],
            json!([selector("b")]),
        );
        let object = updated(&existing, &expected);
        assert_eq!(
            object.list_at(&["aggregationRule", "clusterRoleSelectors"]),
            [selector("b"), selector("a")]
        );
        let plain = role(&json!([rule(&["get"], "pods")]));
        let object = updated(&expected, &plain);
        assert_eq!(object.at(&["aggregationRule"]), None);
    }

    #[test]
    fn a_binding_gets_back_its_subjects_and_its_role() {
        let subject = |name: &str| json!({"kind": "Group", "apiGroup": "rbac.authorization.k8s.io", "name": name});
        let binding = |role: &str, subjects: Value| {
            json!({"kind": "ClusterRoleBinding", "metadata": {"name": "b"}, "subjects": subjects,
                "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}})
        };
        let expected = binding("r", json!([subject("a")]));
        assert_eq!(mend(&expected, &expected), None);
        let object = updated(&binding("r", json!([subject("b")])), &expected);
        assert_eq!(object.list_at(&["subjects"]), [subject("b"), subject("a")]);
        let object = updated(&binding("r", Value::Null), &expected);
        assert_eq!(object.list_at(&["subjects"]), [subject("a")]);
        assert_eq!(
            mend(&binding("x", json!([])), &expected),
            Some(Mend::Recreate)
        );
    }

    #[test]
    fn flow_schemas_follow_the_server_until_somebody_takes_them_over() {
        let schema = |name: &str, precedence: i64, said: Option<&str>, generation: i64| {
            let mut schema = json!({"kind": "FlowSchema", "metadata": {"name": name, "generation": generation},
                "spec": {"matchingPrecedence": precedence}});
            if let Some(said) = said {
                schema.set(&["metadata", "annotations"], json!({FLOW_ANNOTATION: said}));
            }
            schema
        };
        let expected = schema("global-default", 9, Some("true"), 0);
        let precedence = |object: &Object| object.int_at(&["spec", "matchingPrecedence"]);
        let said = |object: &Object| object.annotation(FLOW_ANNOTATION).map(str::to_owned);
        assert_eq!(
            mend(&schema("global-default", 9, Some("true"), 4), &expected),
            None
        );
        let cases = [
            (Some("true"), 4, Some(9), "true"),
            (Some("1"), 4, Some(9), "1"),
            (None, 1, Some(9), "true"),
            (None, 2, Some(5), "false"),
            (Some("perhaps"), 2, Some(5), "false"),
        ];
        for (annotation, generation, wanted, says) in cases {
            let existing = schema("global-default", 5, annotation, generation);
            let object = updated(&existing, &expected);
            assert_eq!(precedence(&object), wanted, "{annotation:?} {generation}");
            assert_eq!(said(&object).as_deref(), Some(says));
        }
        let taken = schema("global-default", 5, Some("false"), 2);
        assert_eq!(mend(&taken, &expected), None);
        let expected = schema("catch-all", 9, Some("true"), 0);
        let object = updated(&schema("catch-all", 5, Some("false"), 2), &expected);
        assert_eq!(precedence(&object), Some(9));
        assert_eq!(said(&object).as_deref(), Some("true"));
    }

    #[test]
    fn how_large_the_exempt_level_is_may_be_chosen() {
        let level = |spec: Value| {
            json!({"kind": "PriorityLevelConfiguration", "spec": spec,
                "metadata": {"name": "exempt", "annotations": {FLOW_ANNOTATION: "true"}}})
        };
        let expected = level(
            json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 0, "lendablePercent": 0}}),
        );
        let chosen = level(
            json!({"type": "Exempt", "exempt": {"nominalConcurrencyShares": 5, "lendablePercent": 50}}),
        );
        assert_eq!(mend(&chosen, &expected), None);
    }
}
