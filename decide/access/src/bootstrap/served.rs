//! Objects that tell how the API is served: flow schemas, priority levels, APIServices, the service range and Service.
//!
//! Source: apiserver `apis/flowcontrol/bootstrap/default.go`, `pkg/controlplane/apiserver/aggregator.go`,
//! `pkg/controlplane/controller`.

use kinds::flowcontrol::mandatory;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use super::Facts;

/// Group, version, `groupPriorityMinimum`, `versionPriority`.
const API_SERVICES: [(&str, &str, u32, u32); 21] = [
    ("", "v1", 18_000, 1),
    ("admissionregistration.k8s.io", "v1", 16_700, 15),
    ("apiextensions.k8s.io", "v1", 16_700, 15),
    ("apps", "v1", 17_800, 15),
    ("authentication.k8s.io", "v1", 17_700, 15),
    ("authorization.k8s.io", "v1", 17_600, 15),
    ("autoscaling", "v1", 17_500, 15),
    ("autoscaling", "v2", 17_500, 30),
    ("batch", "v1", 17_400, 15),
    ("certificates.k8s.io", "v1", 17_300, 15),
    ("coordination.k8s.io", "v1", 16_500, 15),
    ("discovery.k8s.io", "v1", 16_200, 15),
    ("events.k8s.io", "v1", 17_750, 15),
    ("flowcontrol.apiserver.k8s.io", "v1", 16_100, 21),
    ("networking.k8s.io", "v1", 17_200, 15),
    ("node.k8s.io", "v1", 16_300, 15),
    ("policy", "v1", 17_100, 15),
    ("rbac.authorization.k8s.io", "v1", 17_000, 15),
    ("resource.k8s.io", "v1", 16_200, 21),
    ("scheduling.k8s.io", "v1", 16_600, 15),
    ("storage.k8s.io", "v1", 16_800, 15),
];
/// A priority level: name, shares, lendable percent, and queues with hand size.
type Level = (&'static str, u32, u32, (u32, u32));
const LEVELS: [Level; 6] = [
    ("global-default", 20, 50, (128, 6)),
    ("leader-election", 10, 0, (16, 4)),
    ("node-high", 40, 25, (64, 6)),
    ("system", 30, 33, (64, 6)),
    ("workload-high", 40, 50, (128, 6)),
    ("workload-low", 100, 90, (128, 6)),
];
/// Name, priority level, precedence, distinguisher, subjects, rules.
const SCHEMAS: [(&str, &str, u32, &str, &str, &str); 9] = [
    (
        "global-default",
        "global-default",
        9_900,
        "ByUser",
        EVERYBODY,
        ALL,
    ),
    (
        "kube-controller-manager",
        "workload-high",
        800,
        "ByNamespace",
        "u:system:kube-controller-manager",
        ALL,
    ),
    (
        "kube-scheduler",
        "workload-high",
        800,
        "ByNamespace",
        "u:system:kube-scheduler",
        ALL,
    ),
    (
        "kube-system-service-accounts",
        "workload-high",
        900,
        "ByNamespace",
        "s:kube-system",
        ALL,
    ),
    ("probes", "exempt", 2, "", EVERYBODY, "probes"),
    (
        "service-accounts",
        "workload-low",
        9_000,
        "ByUser",
        "g:system:serviceaccounts",
        ALL,
    ),
    (
        "system-leader-election",
        "leader-election",
        100,
        "ByUser",
        "u:system:kube-controller-manager u:system:kube-scheduler s:kube-system",
        "leases",
    ),
    (
        "system-node-high",
        "node-high",
        400,
        "ByUser",
        "g:system:nodes",
        "nodes",
    ),
    (
        "system-nodes",
        "system",
        500,
        "ByUser",
        "g:system:nodes",
        ALL,
    ),
];
const EVERYBODY: &str = "g:system:unauthenticated g:system:authenticated";
const ALL: &str = "all";
const FLOW_API: &str = "flowcontrol.apiserver.k8s.io/v1";

/// The APIServices of the groups served here.
pub(super) fn api_services(now: &str) -> impl Iterator<Item = Object> {
    API_SERVICES.iter().map(move |(group, version, minimum, priority)| {
        let mut service = json!({"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
            "metadata": {"name": format!("{version}.{group}"),
                "labels": {"kube-aggregator.kubernetes.io/automanaged": "onstart"}},
            "spec": {"version": version, "groupPriorityMinimum": minimum, "versionPriority": priority}});
        if !group.is_empty() {
            service.set(&["spec", "group"], (*group).into());
        }
        let why = "Local APIServices are always available";
        service.set(&["status"], condition("Available", "True", "Local", why, now));
        service
    })
}

/// What a control plane's other parts read to know whom the API server knows: the authority of client certificates,
/// in PEM, and the day from which on the use of stored tokens is noted, `2026-11-27`.
///
/// Source: `pkg/controlplane/controller/clusterauthenticationtrust`, `legacytokentracking`.
pub fn trust(authority: &str, today: &str) -> [Object; 2] {
    let map = |name: &str, data: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": "kube-system"}, "data": data});
    [
        map(
            "extension-apiserver-authentication",
            json!({"client-ca-file": authority}),
        ),
        map(
            "kube-apiserver-legacy-service-account-token-tracking",
            json!({"since": today}),
        ),
    ]
}

/// A status of one condition.
fn condition(name: &str, status: &str, reason: &str, message: &str, now: &str) -> Value {
    json!({"conditions": [{"type": name, "status": status, "reason": reason, "message": message, "lastTransitionTime": now}]})
}

/// Schemas and levels that are always there, each schema's requests under the level of its name.
const MANDATORY: [&str; 2] = ["catch-all", "exempt"];

/// Priority levels, then flow schemas.
pub(super) fn flow_control(now: &str) -> impl Iterator<Item = Object> {
    let mandatory_levels = MANDATORY.iter().filter_map(|name| {
        let mut spec = mandatory::priority_level(name)?;
        if spec.str_at(&["type"]) == Some("Exempt") {
            spec.set(
                &["exempt"],
                json!({"nominalConcurrencyShares": 0, "lendablePercent": 0}),
            );
        }
        Some(level(name, &spec))
    });
    let limited = LEVELS.iter().map(|(name, shares, lendable, queues)| {
        let (queues, hand) = queues;
        let queuing = json!({"queues": queues, "handSize": hand, "queueLengthLimit": 50});
        let response = json!({"type": "Queue", "queuing": queuing});
        level(
            name,
            &json!({"type": "Limited", "limited": {"nominalConcurrencyShares": shares,
                "lendablePercent": lendable, "limitResponse": response}}),
        )
    });
    let mandatory_schemas = MANDATORY.iter().filter_map(move |name| {
        let spec = mandatory::flow_schema(name)?;
        Some(schema(name, name, &spec, now))
    });
    let schemas = SCHEMAS.iter().map(move |(name, level, precedence, by, subjects, rules)| {
        let mut spec = json!({"priorityLevelConfiguration": {"name": level}, "matchingPrecedence": precedence,
            "rules": [rule(subjects, rules)]});
        if !by.is_empty() {
            spec.set(&["distinguisherMethod"], json!({"type": by}));
        }
        schema(name, level, &spec, now)
    });
    let levels = mandatory_levels.chain(limited);
    levels.chain(mandatory_schemas).chain(schemas)
}

/// A flow schema whose level is there.
fn schema(name: &str, level: &str, spec: &Value, now: &str) -> Object {
    let mut schema = object("FlowSchema", name, spec);
    let why = format!(
        "This FlowSchema references the PriorityLevelConfiguration object named \"{level}\" and it exists"
    );
    schema.set(
        &["status"],
        condition("Dangling", "False", "Found", &why, now),
    );
    schema
}

fn level(name: &str, spec: &Value) -> Object {
    object("PriorityLevelConfiguration", name, spec)
}

fn object(kind: &str, name: &str, spec: &Value) -> Object {
    json!({"apiVersion": FLOW_API, "kind": kind, "spec": spec,
        "metadata": {"name": name, "annotations": {"apf.kubernetes.io/autoupdate-spec": "true"}}})
}

fn rule(subjects: &str, rules: &str) -> Value {
    let subjects = subjects.split(' ').map(|subject| match subject.split_once(':') {
        Some(("g", name)) => json!({"kind": "Group", "group": {"name": name}}),
        Some(("s", namespace)) => {
            json!({"kind": "ServiceAccount", "serviceAccount": {"namespace": namespace, "name": "*"}})
        }
        Some((_, name)) => json!({"kind": "User", "user": {"name": name}}),
        None => Value::Null,
    });
    let subjects: Vec<Value> = subjects.collect();
    let leases = |verbs: &[&str]| json!({"verbs": verbs, "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "namespaces": ["*"]});
    match rules {
        "probes" => json!({"subjects": subjects,
            "nonResourceRules": [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/readyz", "/livez"]}]}),
        "leases" => {
            json!({"subjects": subjects, "resourceRules": [leases(&["get", "create", "update"])]})
        }
        "nodes" => json!({"subjects": subjects, "resourceRules": [
            {"verbs": ["*"], "apiGroups": [""], "resources": ["nodes", "nodes/status"], "clusterScope": true, "namespaces": ["*"]},
            leases(&["*"])]}),
        _ => json!({"subjects": subjects,
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true, "namespaces": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}]}),
    }
}

/// The range of cluster IPs, and the Service that stands for this server.
pub(super) fn service(facts: &Facts) -> [Object; 2] {
    let ready = condition(
        "Ready",
        "True",
        "",
        "Kubernetes default Service CIDR is ready",
        &facts.now,
    );
    let range = json!({"apiVersion": "networking.k8s.io/v1", "kind": "ServiceCIDR", "metadata": {"name": "kubernetes",
        "finalizers": ["networking.k8s.io/service-cidr-finalizer"]}, "spec": {"cidrs": facts.service_cidrs}, "status": ready});
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "kubernetes", "namespace": "default",
            "labels": {"component": "apiserver", "provider": "kubernetes"}},
        "spec": {"clusterIP": facts.service_ip, "clusterIPs": [facts.service_ip], "type": "ClusterIP", "sessionAffinity": "None",
            "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster",
            "ports": [{"name": "https", "protocol": "TCP", "port": 443, "targetPort": facts.port}]}});
    [range, service]
}
