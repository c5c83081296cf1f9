//! Cases of authorization and of escalation.

use serde_json::json;

use super::*;
use crate::user::{service_account, user};

fn policy() -> Policy {
    Policy::read(&Objects {
        cluster_roles: &[json!({"metadata": {"name": "reader"}, "rules": [
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "pods/log"]},
            {"verbs": ["get"], "nonResourceURLs": ["/healthz", "/api/*"]}]})],
        cluster_role_bindings: &[json!({"metadata": {"name": "readers"},
            "roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": [{"kind": "Group", "name": "readers"}]})],
        roles: &[
            json!({"metadata": {"name": "writer", "namespace": "web"}, "rules": [
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["hello"]},
            {"verbs": ["update"], "apiGroups": ["apps"], "resources": ["*/scale"]}]}),
        ],
        role_bindings: &[
            json!({"metadata": {"name": "writers", "namespace": "web"}, "roleRef": {"kind": "Role", "name": "writer"},
                "subjects": [{"kind": "ServiceAccount", "name": "bot"}]}),
            json!({"metadata": {"name": "lost", "namespace": "web"}, "roleRef": {"kind": "Role", "name": "gone"},
                "subjects": [{"kind": "User", "name": "ann"}]}),
        ],
    })
}

fn ask(
    user: User,
    verb: &str,
    group: &str,
    namespace: &str,
    resource: &str,
    name: &str,
) -> Attributes {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    Attributes {
        user,
        verb: verb.into(),
        group: group.into(),
        namespace: namespace.into(),
        resource: resource.into(),
        subresource: subresource.into(),
        name: name.into(),
        is_resource: true,
        ..Attributes::default()
    }
}

#[test]
fn a_rule_covers_its_verbs_resources_and_names_only() {
    let (policy, reader, bot) = (
        policy(),
        user("bob", &["readers"]),
        service_account("web", "bot"),
    );
    let allowed = [
        ask(reader.clone(), "list", "", "any", "pods", ""),
        ask(reader.clone(), "get", "", "", "pods/log", "x"),
        ask(bot.clone(), "delete", "apps", "web", "deployments", "hello"),
        ask(
            bot.clone(),
            "update",
            "apps",
            "web",
            "statefulsets/scale",
            "db",
        ),
    ];
    for request in allowed {
        assert_eq!(policy.authorize(&request), Decision::Allow, "{request:?}");
    }
    let refused = [
        ask(reader.clone(), "delete", "", "any", "pods", ""),
        ask(reader, "get", "", "", "pods/exec", "x"),
        ask(bot.clone(), "delete", "apps", "web", "deployments", "other"),
        ask(bot.clone(), "delete", "apps", "db", "deployments", "hello"),
        ask(bot, "update", "apps", "web", "deployments/status", "x"),
    ];
    for request in refused {
        assert_ne!(policy.authorize(&request), Decision::Allow, "{request:?}");
    }
}

#[test]
fn what_lets_a_request_pass_is_told_but_for_masters() {
    let told = |user: User, namespace: &str, verb: &str| {
        let request = ask(user, verb, "", namespace, "pods", "");
        policy().allowed_by(&request)
    };
    let reason = told(user("bob", &["readers"]), "any", "list").unwrap();
    let (binding, role) = reason.split_once(" of ClusterRole ").unwrap();
    assert!(
        binding.starts_with("RBAC: allowed by ClusterRoleBinding \""),
        "{reason}"
    );
    assert!(role.ends_with(" to Group \"readers\""), "{reason}");
    assert_eq!(told(user("bob", &["readers"]), "any", "delete"), None);
    assert_eq!(told(user("ann", &[user::MASTERS]), "any", "list"), None);
}

#[test]
fn paths_match_whole_or_by_prefix() {
    let request = |path: &str| Attributes {
        user: user("bob", &["readers"]),
        verb: "get".into(),
        path: path.into(),
        ..Attributes::default()
    };
    assert_eq!(policy().authorize(&request("/api/v1")), Decision::Allow);
    assert_ne!(
        policy().authorize(&request("/healthz/etcd")),
        Decision::Allow
    );
}

#[test]
fn a_refusal_reads_as_upstreams() {
    let request = ask(user("ann", &[]), "list", "apps", "web", "deployments", "");
    let Decision::NoOpinion { reason } = policy().authorize(&request) else {
        panic!("ann holds nothing")
    };
    assert_eq!(
        request.forbidden(&reason).to_string(),
        "deployments.apps is forbidden: User \"ann\" cannot list resource \"deployments\" in API group \"apps\" in the namespace \"web\": RBAC: role.rbac.authorization.k8s.io \"gone\" not found"
    );
}

#[test]
fn masters_may_do_everything() {
    let request = ask(user("root", &[user::MASTERS]), "delete", "x", "y", "z", "");
    assert_eq!(Policy::default().authorize(&request), Decision::Allow);
}

#[test]
fn only_held_rules_can_be_handed_out() {
    let rule = |verbs: &[&str], resources: &[&str]| Rule {
        verbs: verbs.iter().map(|v| (*v).to_owned()).collect(),
        api_groups: vec![String::new()],
        resources: resources.iter().map(|r| (*r).to_owned()).collect(),
        ..Rule::default()
    };
    let held = [
        rule(&["get", "list"], &["pods"]),
        rule(&["get"], &["secrets"]),
    ];
    assert!(uncovered(&held, &[rule(&["get"], &["pods", "secrets"])]).is_empty());
    let missing = uncovered(&held, &[rule(&["list"], &["pods", "secrets"])]);
    assert_eq!(
        missing.iter().map(compact).collect::<Vec<_>>(),
        [r#"{APIGroups:[""], Resources:["secrets"], Verbs:["list"]}"#]
    );
    assert!(!uncovered(&held, &[rule(&["*"], &["*"])]).is_empty());
}
