//! The objects that exist from the first start: namespaces, roles and bindings, priority classes, and how the API is served.
//!
//! Source: `plugin/pkg/auth/authorizer/rbac/bootstrappolicy`, `pkg/controlplane`, `pkg/apis/scheduling`.

mod mend;
mod served;

use meta::{Object, ObjectExt};
use serde_json::{Map, Value, json};

pub use mend::{Mend, mend};
pub use served::trust;

const POLICY: &str = include_str!("bootstrap/policy.txt");
const RBAC_API: &str = "rbac.authorization.k8s.io/v1";
const RBAC_GROUP: &str = "rbac.authorization.k8s.io";
/// Namespaces that always exist and may not be deleted by anyone, but for `kube-node-lease`.
pub const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// The service accounts that upstream's controllers act as, in `kube-system`.
///
/// Source: `pkg/controller/.../client_builder_dynamic.go`, which makes one for each controller that starts.
const CONTROLLERS: [&str; 37] = [
    "attachdetach-controller",
    "bootstrap-signer",
    "certificate-controller",
    "clusterrole-aggregation-controller",
    "cronjob-controller",
    "daemon-set-controller",
    "deployment-controller",
    "device-taint-eviction-controller",
    "disruption-controller",
    "endpoint-controller",
    "endpointslice-controller",
    "endpointslicemirroring-controller",
    "ephemeral-volume-controller",
    "expand-controller",
    "generic-garbage-collector",
    "horizontal-pod-autoscaler",
    "job-controller",
    "legacy-service-account-token-cleaner",
    "namespace-controller",
    "node-controller",
    "persistent-volume-binder",
    "pod-garbage-collector",
    "pv-protection-controller",
    "pvc-protection-controller",
    "replicaset-controller",
    "replication-controller",
    "resource-claim-controller",
    "resourcequota-controller",
    "root-ca-cert-publisher",
    "service-account-controller",
    "service-cidrs-controller",
    "statefulset-controller",
    "token-cleaner",
    "ttl-after-finished-controller",
    "ttl-controller",
    "validatingadmissionpolicy-status-controller",
    "volumeattributesclass-protection-controller",
];

/// What the objects depend on.
#[derive(Clone, Debug)]
pub struct Facts {
    /// The blocks of cluster IPs, `address/bits`, the primary family first.
    pub service_cidrs: Vec<String>,
    /// Cluster IP of the Service `kubernetes`: the first of the first block.
    pub service_ip: String,
    /// Port that the API server listens on.
    pub port: u16,
    /// Now, as objects write it.
    pub now: String,
}

/// Every bootstrap object, namespaces first, each complete but for what the server assigns. A status is written apart.
pub fn objects(facts: &Facts) -> Vec<Object> {
    let namespaces = NAMESPACES
        .iter()
        .map(|name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    let accounts = CONTROLLERS.iter().map(|name| {
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": name, "namespace": "kube-system"}})
    });
    namespaces
        .chain(roles_and_bindings())
        .chain(priority_classes())
        .chain(served::flow_control(&facts.now))
        .chain(served::api_services(&facts.now))
        .chain(served::service(facts))
        .chain(accounts)
        .collect()
}

/// The roles and bindings of the bootstrap policy; aggregated roles come with the rules they gather.
pub fn roles_and_bindings() -> Vec<Object> {
    let mut objects: Vec<Object> = Vec::new();
    for line in POLICY.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix("  ") {
            None => objects.push(open(line)),
            Some(detail) => {
                if let Some(object) = objects.last_mut() {
                    add(object, detail);
                }
            }
        }
    }
    aggregate(&mut objects);
    objects
}

/// The priority classes of system components.
fn priority_classes() -> [Object; 2] {
    let class = |name: &str, value: i64, description: &str| {
        json!({"apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name}, "value": value,
            "description": description, "preemptionPolicy": "PreemptLowerPriority"})
    };
    [
        class(
            "system-node-critical",
            2_000_001_000,
            "Used for system critical pods that must not be moved from their current node.",
        ),
        class(
            "system-cluster-critical",
            2_000_000_000,
            "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
        ),
    ]
}

/// Starts an object from its heading line.
fn open(line: &str) -> Object {
    let words: Vec<&str> = line.split(' ').collect();
    let (kind, namespace, rest) = match words.as_slice() {
        ["clusterrole", rest @ ..] => ("ClusterRole", "", rest),
        ["clusterbinding", rest @ ..] => ("ClusterRoleBinding", "", rest),
        ["role", namespace, rest @ ..] => ("Role", *namespace, rest),
        ["binding", namespace, rest @ ..] => ("RoleBinding", *namespace, rest),
        _ => ("", "", [].as_slice()),
    };
    let name = rest.first().copied().unwrap_or_default();
    let mut object = json!({"apiVersion": RBAC_API, "kind": kind, "metadata": {"name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"}}});
    if !namespace.is_empty() {
        object.set(&["metadata", "namespace"], namespace.into());
    }
    let role_kind = match kind {
        "ClusterRoleBinding" => "ClusterRole",
        "RoleBinding" => "Role",
        _ => return object,
    };
    let role = if let [_, "of", role] = rest {
        role
    } else {
        name
    };
    object.set(
        &["roleRef"],
        json!({"apiGroup": RBAC_GROUP, "kind": role_kind, "name": role}),
    );
    object
}

/// Adds one indented line to its object: a label, an aggregation, a subject or a rule.
fn add(object: &mut Object, detail: &str) {
    let (head, rest) = detail.split_once(' ').unwrap_or((detail, ""));
    match head {
        "label" => {
            let (key, value) = rest.split_once('=').unwrap_or((rest, ""));
            object.set(&["metadata", "labels", key], value.into());
        }
        "aggregate" => {
            let selector =
                json!({"matchLabels": Map::from_iter([(rest.to_owned(), Value::from("true"))])});
            object.set(
                &["aggregationRule"],
                json!({"clusterRoleSelectors": [selector]}),
            );
        }
        "u" => push(
            object,
            "subjects",
            json!({"kind": "User", "apiGroup": RBAC_GROUP, "name": rest}),
        ),
        "g" => push(
            object,
            "subjects",
            json!({"kind": "Group", "apiGroup": RBAC_GROUP, "name": rest}),
        ),
        "s" => {
            let (namespace, name) = rest.split_once('/').unwrap_or(("", rest));
            push(
                object,
                "subjects",
                json!({"kind": "ServiceAccount", "namespace": namespace, "name": name}),
            );
        }
        verbs => push(object, "rules", rule(verbs, rest)),
    }
}

/// A rule from `VERBS GROUPS:RESOURCES [names NAMES]` or `VERBS url PATHS`.
fn rule(verbs: &str, rest: &str) -> Value {
    let list = |text: &str| Value::from(text.split(',').collect::<Vec<_>>());
    if let Some(paths) = rest.strip_prefix("url ") {
        return json!({"verbs": list(verbs), "nonResourceURLs": list(paths)});
    }
    let (scope, names) = rest.split_once(" names ").unwrap_or((rest, ""));
    let (groups, resources) = scope.split_once(':').unwrap_or((scope, ""));
    let groups: Vec<&str> = groups
        .split(',')
        .map(|group| if group == "-" { "" } else { group })
        .collect();
    let mut rule = json!({"verbs": list(verbs), "apiGroups": groups, "resources": list(resources)});
    if !names.is_empty() {
        rule.set(&["resourceNames"], list(names));
    }
    rule
}

fn push(object: &mut Object, field: &str, item: Value) {
    let mut items = object.list_at(&[field]).to_vec();
    items.push(item);
    object.set(&[field], items.into());
}

/// Fills aggregated roles with the rules of the roles they select, again until nothing is added.
fn aggregate(objects: &mut [Object]) {
    loop {
        let gathered: Vec<(usize, Vec<Value>)> = (0..objects.len())
            .filter_map(|index| Some((index, aggregated_rules(objects.get(index)?, objects)?)))
            .collect();
        let mut changed = false;
        for (index, rules) in gathered {
            if let Some(role) = objects.get_mut(index)
                && role.list_at(&["rules"]) != rules
            {
                role.set(&["rules"], rules.into());
                changed = true;
            }
        }
        if !changed {
            return;
        }
    }
}

/// The rules an aggregated ClusterRole gathers from `roles`, in role order, each once; `None` when it aggregates nothing.
///
/// Source: `pkg/controller/clusterroleaggregation`.
pub fn aggregated_rules(role: &Object, roles: &[Object]) -> Option<Vec<Value>> {
    role.at(&["aggregationRule"])?;
    let mut rules: Vec<Value> = Vec::new();
    for selector in role.list_at(&["aggregationRule", "clusterRoleSelectors"]) {
        let Some(selector) = meta::selector::LabelSelector::from_object(Some(selector)) else {
            continue;
        };
        let selected = roles.iter().filter(|other| {
            other.kind() == "ClusterRole"
                && other.name() != role.name()
                && selector.matches(&other.labels())
        });
        for rule in selected.flat_map(|other| other.list_at(&["rules"])) {
            if !rules.contains(rule) {
                rules.push(rule.clone());
            }
        }
    }
    Some(rules)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORDED: &str = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/recordings/bootstrap-objects.json"
    );

    #[test]
    fn roles_and_bindings_are_those_of_a_stock_server() {
        let recorded: Value =
            serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
        let ours = roles_and_bindings();
        let mut compared = 0;
        for (plural, kind) in [
            ("clusterroles", "ClusterRole"),
            ("clusterrolebindings", "ClusterRoleBinding"),
            ("roles", "Role"),
            ("rolebindings", "RoleBinding"),
        ] {
            let theirs = recorded[format!("/apis/rbac.authorization.k8s.io/v1/{plural}")]
                .as_array()
                .unwrap();
            assert_eq!(
                theirs.len(),
                ours.iter().filter(|object| object.kind() == kind).count(),
                "{plural}"
            );
            for theirs in theirs {
                let mut theirs = theirs.clone();
                theirs.set(&["apiVersion"], RBAC_API.into());
                theirs.set(&["kind"], kind.into());
                let ours = ours
                    .iter()
                    .find(|object| object.kind() == kind && object.key() == theirs.key());
                assert_eq!(ours, Some(&theirs));
                compared += 1;
            }
        }
        assert_eq!(compared, 135);
    }
}
