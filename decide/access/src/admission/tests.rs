//! Cases of the admission plugins.

use kinds::strategy::{Operation, User};
use meta::{Object, ObjectExt, StatusError};
use serde_json::{Value, json};

use super::{Request, admit};
use crate::testing::{Cluster, request};

fn run(
    group: &str,
    resource: &str,
    operation: Operation,
    object: Object,
    cluster: &Cluster,
) -> Result<Object, StatusError> {
    let user = User::default();
    let mut request = Request {
        operation,
        ..request(&user, group, resource, object)
    };
    admit(&mut request, cluster, &mut |_, _| ())?;
    Ok(request.object.unwrap_or(Value::Null))
}

fn pod() -> Object {
    json!({"metadata": {"name": "p", "namespace": "web"}, "spec": {"containers": [{"name": "c"}]}})
}

fn cluster() -> Cluster {
    Cluster::of([
        ("namespaces", json!({"metadata": {"name": "web"}})),
        (
            "serviceaccounts",
            json!({"metadata": {"name": "default", "namespace": "web"}, "imagePullSecrets": [{"name": "s"}]}),
        ),
        (
            "priorityclasses.scheduling.k8s.io",
            json!({"metadata": {"name": "high"}, "value": 7, "preemptionPolicy": "Never"}),
        ),
    ])
}

#[test]
fn plugins_are_told_of_up_to_the_one_that_refuses() {
    let asked = |operation, cluster: &Cluster| {
        let user = User::default();
        let mut request = Request {
            operation,
            ..request(&user, "", "pods", pod())
        };
        let mut told = Vec::new();
        let outcome = admit(&mut request, cluster, &mut |plugin, is_rejected| {
            told.push((plugin, is_rejected));
        });
        (told, outcome.is_err())
    };
    let (told, _) = asked(Operation::Delete, &cluster());
    let plugins = ["NamespaceLifecycle", "NodeRestriction", "Priority"];
    assert_eq!(told, plugins.map(|plugin| (plugin, false)));
    let (told, is_rejected) = asked(Operation::Create, &Cluster::of([]));
    assert_eq!(
        (told, is_rejected),
        (vec![("NamespaceLifecycle", true)], true)
    );
    assert_eq!(asked(Operation::Connect, &cluster()).0, []);
}

#[test]
fn a_pod_gets_account_token_priority_and_tolerations() {
    let pod = run("", "pods", Operation::Create, pod(), &cluster()).unwrap();
    assert_eq!(pod.str_at(&["spec", "serviceAccountName"]), Some("default"));
    assert_eq!(
        pod["spec"]["containers"][0]["volumeMounts"][0]["name"],
        "kube-api-access-abcde"
    );
    assert_eq!(
        pod["spec"]["volumes"][0]["projected"]["sources"]
            .as_array()
            .unwrap()
            .len(),
        3
    );
    assert_eq!(pod.list_at(&["spec", "tolerations"]).len(), 2);
    assert_eq!(
        (
            pod.int_at(&["spec", "priority"]),
            pod.str_at(&["spec", "preemptionPolicy"])
        ),
        (Some(0), Some("PreemptLowerPriority"))
    );
    assert_eq!(pod["spec"]["imagePullSecrets"], json!([{"name": "s"}]));
}

#[test]
fn a_pod_that_asks_for_what_is_not_there_is_forbidden() {
    let mut lost = pod();
    lost.set(&["spec", "serviceAccountName"], "bot".into());
    let error = run("", "pods", Operation::Create, lost, &cluster()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pods \"p\" is forbidden: error looking up service account web/bot: serviceaccount \"bot\" not found"
    );
    let mut unknown = pod();
    unknown.set(&["spec", "priorityClassName"], "low".into());
    let error = run("", "pods", Operation::Create, unknown, &cluster()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "pods \"p\" is forbidden: no PriorityClass with name low was found"
    );
    let mut both = pod();
    both.set(&["spec", "priorityClassName"], "high".into());
    both.set(&["spec", "priority"], 9.into());
    assert!(
        run("", "pods", Operation::Create, both, &cluster())
            .unwrap_err()
            .to_string()
            .contains("computed 7")
    );
}

#[test]
fn nothing_is_made_in_a_namespace_that_is_missing_or_going() {
    let error = run(
        "",
        "configmaps",
        Operation::Create,
        json!({"metadata": {"name": "c", "namespace": "gone"}}),
        &cluster(),
    )
    .unwrap_err();
    assert_eq!(error.to_string(), "namespaces \"gone\" not found");
    let going = Cluster::of([(
        "namespaces",
        json!({"metadata": {"name": "web", "deletionTimestamp": "2026-11-20T00:00:00Z"}}),
    )]);
    let error = run(
        "",
        "configmaps",
        Operation::Create,
        json!({"metadata": {"name": "c", "namespace": "web"}}),
        &going,
    )
    .unwrap_err();
    assert_eq!(
        error.0.details.unwrap().causes[0].reason,
        "NamespaceTerminating"
    );
    let error = run(
        "",
        "namespaces",
        Operation::Delete,
        json!({"metadata": {"name": "default"}}),
        &cluster(),
    )
    .unwrap_err();
    assert_eq!(
        error.to_string(),
        "namespaces \"default\" is forbidden: this namespace may not be deleted"
    );
}
