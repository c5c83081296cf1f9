use serde_json::json;

use super::*;
use crate::user;

/// What a policy says about requests, as upstream's documentation explains it.
fn documented() -> Policy {
    let document = json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [
            {"level": "RequestResponse", "resources": [{"group": "", "resources": ["pods"]}]},
            {"level": "Metadata", "resources": [{"group": "", "resources": ["pods/log", "pods/status"]}]},
            {"level": "None", "resources": [{"group": "", "resources": ["configmaps"], "resourceNames": ["controller-leader"]}]},
            {"level": "None", "users": ["system:kube-proxy"], "verbs": ["watch"],
             "resources": [{"group": "", "resources": ["endpoints", "services"]}]},
            {"level": "None", "userGroups": ["system:authenticated"], "nonResourceURLs": ["/api*", "/version"]},
            {"level": "Request", "resources": [{"group": "", "resources": ["configmaps"]}], "namespaces": ["kube-system"]},
            {"level": "Metadata", "resources": [{"group": "", "resources": ["secrets", "configmaps"]}]},
            {"level": "Request", "resources": [{"group": ""}, {"group": "extensions"}],
             "omitManagedFields": true},
            {"level": "Metadata", "omitStages": ["ResponseStarted"]}
        ]
    });
    Policy::read(document).unwrap().0
}

fn request(verb: &str, path: &str) -> Attributes {
    let mut parts = path.split('/');
    let mut next = || parts.next().unwrap_or_default().to_owned();
    Attributes {
        user: user::user("jo", &[]),
        verb: verb.to_owned(),
        group: next(),
        namespace: next(),
        resource: next(),
        name: next(),
        subresource: next(),
        is_resource: true,
        ..Attributes::default()
    }
}

#[test]
fn the_first_rule_that_selects_a_request_says_its_level() {
    let policy = documented();
    let level = |verb, path| policy.evaluate(&request(verb, path)).level;
    for (verb, path, wanted) in [
        ("create", "/web/pods/p", Level::RequestResponse),
        ("get", "/web/pods/p/log", Level::Metadata),
        ("get", "/web/pods/p/exec", Level::Request),
        ("get", "/web/configmaps/controller-leader", Level::None),
        ("get", "/kube-system/configmaps/c", Level::Request),
        ("get", "/web/configmaps/c", Level::Metadata),
        ("get", "/web/secrets/s", Level::Metadata),
        ("list", "/web/services", Level::Request),
        ("list", "apps/web/deployments", Level::Metadata),
    ] {
        assert_eq!(level(verb, path), wanted, "{verb} {path}");
    }
    let mut watch = request("watch", "//services");
    watch.user.name = "system:kube-proxy".into();
    assert_eq!(policy.evaluate(&watch).level, Level::None);
    let asks = |path: &str, user| Attributes {
        user,
        verb: "get".into(),
        path: path.into(),
        ..Attributes::default()
    };
    let known = user::user("jo", &[]);
    assert_eq!(
        policy.evaluate(&asks("/apis", known.clone())).level,
        Level::None
    );
    assert_eq!(
        policy.evaluate(&asks("/versions", known)).level,
        Level::Metadata
    );
    assert_eq!(
        policy.evaluate(&asks("/api", user::anonymous())).level,
        Level::Metadata
    );
}

#[test]
fn stages_and_managed_fields_are_of_the_policy_and_of_the_rule() {
    let policy = documented();
    let audited = policy.evaluate(&request("list", "apps/web/deployments"));
    let omitted = Stage::ALL.map(|stage| audited.omit_stages.contains(stage));
    assert_eq!(omitted, [true, true, false, false]);
    assert!(!audited.omit_managed_fields);
    let audited = policy.evaluate(&request("list", "/web/services"));
    assert!(audited.omit_managed_fields);
    assert!(!audited.omit_stages.contains(Stage::ResponseStarted));
}

#[test]
fn resources_are_named_with_their_subresources() {
    let selects = |known: &str, path: &str| {
        let resource = GroupResources {
            resources: vec![known.to_owned()],
            ..GroupResources::default()
        };
        resource.selects(&request("get", path))
    };
    for (known, path, wanted) in [
        ("*", "/web/pods/p/log", true),
        ("pods", "/web/pods/p/log", false),
        ("pods/*", "/web/pods/p/log", true),
        ("pods/*", "/web/pods/p", true),
        ("pods/*", "/web/services/p/proxy", false),
        ("*/scale", "/web/replicationcontrollers/r/scale", true),
        ("*/scale", "/web/replicationcontrollers/r", false),
        ("pods/log", "/web/pods/p/log", true),
        ("pods", "apps/web/pods", false),
    ] {
        assert_eq!(selects(known, path), wanted, "{known} {path}");
    }
}

fn refused(rules: &Value) -> String {
    let document = json!({"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": rules});
    Policy::read(document).unwrap_err().to_string()
}

#[test]
fn what_is_wrong_is_told_in_upstreams_words() {
    let stages = "allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic";
    for (rule, wanted) in [
        (json!({}), "rules[0].level: Required value".to_owned()),
        (
            json!({"level": "All"}),
            "rules[0].level: Unsupported value: \"All\": supported values: \"None\", \"Metadata\", \"Request\", \"RequestResponse\"".to_owned(),
        ),
        (
            json!({"level": "None", "nonResourceURLs": ["logs", "*", "/a*b", "/a*"]}),
            "[rules[0].nonResourceURLs[0]: Invalid value: \"logs\": non-resource URL rules must begin with a '/' character, rules[0].nonResourceURLs[2]: Invalid value: \"/a*b\": non-resource URL wildcards '*' must be the final character of the rule]".to_owned(),
        ),
        (
            json!({"level": "None", "nonResourceURLs": ["/x"], "namespaces": ["web"]}),
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: rules cannot apply to both regular resources and non-resource URLs".to_owned(),
        ),
        (
            json!({"level": "None", "resources": [{"resourceNames": ["x"]}]}),
            "rules[0].resources.resourceNames: Invalid value: [\"x\"]: using resourceNames requires at least one resource".to_owned(),
        ),
        (
            json!({"level": "None", "omitStages": ["Begun"]}),
            format!("rules[0].omitStages[0]: Invalid value: \"Begun\": {stages}"),
        ),
    ] {
        assert_eq!(refused(&json!([rule])), wanted);
    }
    let group = refused(&json!([{"level": "None", "resources": [{"group": "a/v1"}]}]));
    assert!(
        group.starts_with("rules[0].resources.group: Invalid value: \"a/v1\": "),
        "{group}"
    );
    assert_eq!(refused(&json!([])), "loaded illegal policy with 0 rules");
    assert_eq!(refused(&Value::Null), "loaded illegal policy with 0 rules");
    assert!(refused(&json!("x")).starts_with("failed decoding: "));
}

#[test]
fn what_is_no_policy_is_refused_and_unknown_fields_are_told() {
    let refused = |document| Policy::read(document).unwrap_err().to_string();
    assert_eq!(
        refused(json!({"kind": "Policy"})),
        "failed decoding: Object 'apiVersion' is missing in '{\"kind\":\"Policy\"}'"
    );
    assert!(refused(json!([])).starts_with("failed decoding: Object 'Kind' is missing"));
    let other = refused(json!({"apiVersion": "audit.k8s.io/v1beta1", "kind": "Policy"}));
    assert!(
        other.contains("no kind \"Policy\" is registered for version \"audit.k8s.io/v1beta1\"")
    );
    let document = json!({
        "apiVersion": "audit.k8s.io/v1", "kind": "Policy", "metadata": {"name": "x"}, "levels": 1,
        "rules": [{"level": "None", "user": "x", "users": null, "resources": [{"name": "y"}]}]
    });
    let (_, unknown) = Policy::read(document).unwrap();
    assert_eq!(
        unknown,
        [
            "unknown field \"levels\"",
            "unknown field \"rules[0].user\"",
            "unknown field \"rules[0].resources[0].name\""
        ]
    );
}
