//! Under which FlowSchema a request falls: the first that matches, by precedence. Nobody waits or is refused for it.
//!
//! Source: apiserver `util/flowcontrol/rule.go`, `apf_controller.go`.

use std::borrow::Borrow;
use std::collections::BTreeMap;

use kinds::strategy::User;
use meta::{Object, ObjectExt};
use serde::Deserialize;

use crate::attributes::Attributes;
use crate::user;

/// Stands for every user, verb, group, resource, namespace or path.
const ALL: &str = "*";

/// All flow schemas, read once and kept until one of them changes.
#[derive(Clone, Debug, Default)]
pub struct Flows(Vec<Flow>);

/// A FlowSchema whose priority level exists.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The uid of the FlowSchema.
    pub schema_uid: String,
    /// The uid of its PriorityLevelConfiguration.
    pub level_uid: String,
    rules: Vec<Rule>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    matching_precedence: i32,
    priority_level_configuration: Named,
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Rule {
    subjects: Vec<Subject>,
    resource_rules: Vec<ResourceRule>,
    non_resource_rules: Vec<PathRule>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind")]
enum Subject {
    User {
        user: Named,
    },
    Group {
        group: Named,
    },
    ServiceAccount {
        #[serde(rename = "serviceAccount")]
        account: Account,
    },
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Named {
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Account {
    namespace: String,
    name: String,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceRule {
    verbs: Vec<String>,
    api_groups: Vec<String>,
    resources: Vec<String>,
    cluster_scope: bool,
    namespaces: Vec<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PathRule {
    verbs: Vec<String>,
    #[serde(rename = "nonResourceURLs")]
    urls: Vec<String>,
}

impl Flows {
    /// Reads flow schemas and priority levels. A schema that cannot be read or whose level is missing matches nothing.
    pub fn read<O: Borrow<Object>>(schemas: &[O], levels: &[O]) -> Self {
        let levels: BTreeMap<&str, &str> = levels
            .iter()
            .map(|level| (level.borrow().name(), level.borrow().uid()))
            .collect();
        let mut flows: Vec<(i32, &str, Flow)> = schemas
            .iter()
            .filter_map(|schema| {
                let schema: &Object = schema.borrow();
                let spec: Spec = serde_json::from_value(schema.get("spec")?.clone()).ok()?;
                let level = spec.priority_level_configuration.name;
                let flow = Flow {
                    schema_uid: schema.uid().to_owned(),
                    level_uid: (*levels.get(level.as_str())?).to_owned(),
                    rules: spec.rules,
                };
                Some((spec.matching_precedence, schema.name(), flow))
            })
            .collect();
        flows.sort_by(|left, right| (left.0, left.1).cmp(&(right.0, right.1)));
        Self(flows.into_iter().map(|(.., flow)| flow).collect())
    }

    /// All of them, in the order in which they are tried.
    pub fn all(&self) -> &[Flow] {
        &self.0
    }

    /// Where among [`all`](Self::all) the one stands that a request falls under.
    pub fn find(&self, request: &Attributes) -> Option<usize> {
        self.0
            .iter()
            .position(|flow| flow.rules.iter().any(|rule| rule.is_of(request)))
    }
}

impl Rule {
    fn is_of(&self, request: &Attributes) -> bool {
        if !self
            .subjects
            .iter()
            .any(|subject| subject.is(&request.user))
        {
            return false;
        }
        if request.is_resource {
            self.resource_rules.iter().any(|rule| rule.is_of(request))
        } else {
            self.non_resource_rules
                .iter()
                .any(|rule| rule.is_of(request))
        }
    }
}

impl Subject {
    fn is(&self, user: &User) -> bool {
        match self {
            Self::User { user: named } => named.name == ALL || named.name == user.name,
            Self::Group { group } => group.name == ALL || user.groups.contains(&group.name),
            Self::ServiceAccount { account } => {
                let rest = user.name.strip_prefix(user::SERVICE_ACCOUNT_PREFIX);
                let rest = rest.and_then(|rest| rest.strip_prefix(&account.namespace));
                let name = rest.and_then(|rest| rest.strip_prefix(':'));
                name.is_some_and(|name| account.name == ALL || account.name == name)
            }
        }
    }
}

impl ResourceRule {
    fn is_of(&self, request: &Attributes) -> bool {
        has(&self.verbs, &request.verb)
            && self.has_resource(&request.resource, &request.subresource)
            && has(&self.api_groups, &request.group)
            && match request.namespace.as_str() {
                "" => self.cluster_scope,
                namespace => has(&self.namespaces, namespace),
            }
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        if subresource.is_empty() {
            return has(&self.resources, resource);
        }
        let is_it = |named: &String| named.split_once('/') == Some((resource, subresource));
        is_all(&self.resources) || self.resources.iter().any(is_it)
    }
}

impl PathRule {
    /// A path is matched by itself and, whether or not it ends in `*`, by what stands before a `/` in it.
    fn is_of(&self, request: &Attributes) -> bool {
        let path = request.path.as_str();
        let is_it = |url: &String| {
            let head = url.strip_suffix('*').unwrap_or(url);
            let head = head.strip_suffix('/').unwrap_or(head);
            let rest = path.strip_prefix(head);
            url == ALL || url == path || rest.is_some_and(|rest| rest.starts_with('/'))
        };
        has(&self.verbs, &request.verb) && self.urls.iter().any(is_it)
    }
}

fn is_all(list: &[String]) -> bool {
    matches!(list, [one] if one == ALL)
}

fn has(list: &[String], wanted: &str) -> bool {
    is_all(list) || list.iter().any(|one| one == wanted)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn schema(name: &str, precedence: i32, rules: &Value) -> Object {
        let spec = json!({"matchingPrecedence": precedence, "rules": rules,
            "priorityLevelConfiguration": {"name": "level"}});
        serde_json::from_value(json!({"metadata": {"name": name, "uid": name}, "spec": spec}))
            .unwrap()
    }

    fn flows(schemas: &[Object]) -> Flows {
        let level = json!({"metadata": {"name": "level", "uid": "level-uid"}});
        Flows::read(schemas, &[serde_json::from_value(level).unwrap()])
    }

    fn found(flows: &Flows, request: &Attributes) -> String {
        let found = flows.find(request).and_then(|at| flows.all().get(at));
        found.map_or_else(String::new, |flow| {
            format!("{} {}", flow.schema_uid, flow.level_uid)
        })
    }

    fn lists(user: User, resource: &str, subresource: &str, namespace: &str) -> Attributes {
        Attributes {
            user,
            verb: "list".to_owned(),
            namespace: namespace.to_owned(),
            resource: resource.to_owned(),
            subresource: subresource.to_owned(),
            is_resource: true,
            ..Attributes::default()
        }
    }

    fn any_pod(subject: &Value) -> Value {
        json!([{"subjects": [subject], "resourceRules": [{"verbs": ["*"], "apiGroups": [""],
            "resources": ["pods", "pods/status"], "namespaces": ["a"], "clusterScope": true}]}])
    }

    #[test]
    fn the_first_that_matches_wins_by_precedence_and_then_by_name() {
        let rules = any_pod(&json!({"kind": "Group", "group": {"name": "*"}}));
        let anna = user::user("anna", &[]);
        let found =
            |schemas: &[Object]| found(&flows(schemas), &lists(anna.clone(), "pods", "", ""));
        let [a, b, c] = [("b", 5), ("a", 5), ("c", 2)].map(|(name, at)| schema(name, at, &rules));
        assert_eq!(found(&[a.clone(), b.clone(), c]), "c level-uid");
        assert_eq!(found(&[a, b]), "a level-uid");
        let mut dangling = schema("d", 1, &rules);
        dangling["spec"]["priorityLevelConfiguration"]["name"] = "none".into();
        assert_eq!(found(&[dangling]), "");
    }

    #[test]
    fn resources_are_matched_with_subresource_namespace_and_scope() {
        let flows = flows(&[schema(
            "s",
            1,
            &any_pod(&json!({"kind": "User", "user": {"name": "anna"}})),
        )]);
        let found = |name: &str, resource, subresource, namespace| {
            let request = lists(user::user(name, &[]), resource, subresource, namespace);
            !found(&flows, &request).is_empty()
        };
        assert!(found("anna", "pods", "", "a") && found("anna", "pods", "status", ""));
        assert!(!found("anna", "pods", "", "b") && !found("anna", "pods", "log", "a"));
        assert!(!found("otto", "pods", "", "a") && !found("anna", "nodes", "", ""));
    }

    #[test]
    fn accounts_are_matched_by_namespace_and_perhaps_by_name() {
        let found = |account: &str| {
            let subject = json!({"kind": "ServiceAccount",
                "serviceAccount": {"namespace": "n", "name": account}});
            let flows = flows(&[schema("s", 1, &any_pod(&subject))]);
            ["n", "m"].map(|namespace| {
                let user = user::service_account(namespace, "x");
                !found(&flows, &lists(user, "pods", "", "a")).is_empty()
            })
        };
        assert_eq!(found("*"), [true, false]);
        assert_eq!(found("x"), [true, false]);
        assert_eq!(found("y"), [false, false]);
    }

    #[test]
    fn a_path_covers_what_lies_below_it() {
        let subject = json!({"kind": "Group", "group": {"name": "system:unauthenticated"}});
        let rules = json!([{"subjects": [subject], "nonResourceRules":
            [{"verbs": ["get"], "nonResourceURLs": ["/healthz", "/apis/*"]}]}]);
        let flows = flows(&[schema("s", 1, &rules)]);
        let found = |path: &str| {
            let request = Attributes {
                user: user::anonymous(),
                verb: "get".to_owned(),
                path: path.to_owned(),
                ..Attributes::default()
            };
            !found(&flows, &request).is_empty()
        };
        assert!(found("/healthz") && found("/healthz/ping") && found("/apis/x"));
        assert!(!found("/healthzz") && !found("/apis") && !found("/"));
    }
}
