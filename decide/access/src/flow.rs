//! Priority and fairness: under which FlowSchema a request falls, which is the first that matches, by precedence; and who
//! gets a seat of its priority level ([`seats`]).
//!
//! Source: apiserver `util/flowcontrol/rule.go`, `apf_controller.go`; apis `flowcontrol/bootstrap`.

mod dropped;
mod hand;
pub mod level;
mod queues;
pub mod seats;
#[cfg(test)]
mod simulation;
pub mod width;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use kinds::strategy::User;
use meta::{Object, ObjectExt};
use serde::Deserialize;

use self::level::{CATCH_ALL, Configuration, EXEMPT};
use crate::attributes::Attributes;
use crate::user;

/// Where the schema `catch-all` stands when there is no such object.
const LAST: i32 = 10_000;
/// Stands for every user, verb, group, resource, namespace or path.
const ALL: &str = "*";

/// All flow schemas, read once and kept until one of them changes.
#[derive(Clone, Debug)]
pub struct Flows {
    /// In the order in which they are tried.
    all: Vec<Flow>,
    /// Where the one stands for what no other matches.
    catch_all: usize,
}

/// A FlowSchema whose priority level exists.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// The name of the FlowSchema.
    pub schema: String,
    /// Its uid; empty when there is no such object.
    pub schema_uid: String,
    /// The name of its PriorityLevelConfiguration.
    pub level: String,
    /// The uid of that; empty when there is no such object.
    pub level_uid: String,
    precedence: i32,
    by: Option<By>,
    rules: Vec<Rule>,
}

/// By what the requests of one schema are different flows. Source: api `flowcontrol/v1` `FlowDistinguisherMethod`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(tag = "type")]
enum By {
    #[serde(rename = "ByUser")]
    User,
    #[serde(rename = "ByNamespace")]
    Namespace,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    matching_precedence: i32,
    priority_level_configuration: Named,
    distinguisher_method: Option<By>,
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
    /// Reads flow schemas and priority levels. A schema that cannot be read or whose level is missing matches nothing;
    /// the schemas `exempt` and `catch-all` are there in any case.
    pub fn read<O: Borrow<Object>>(schemas: &[O], levels: &[O]) -> Self {
        let levels = levels.iter().map(Borrow::borrow);
        let sound = levels.filter(|level| Configuration::read(level).is_some());
        let levels: BTreeMap<&str, &str> = sound.map(|level| (level.name(), level.uid())).collect();
        let read = schemas.iter().filter_map(|schema| {
            let schema: &Object = schema.borrow();
            let spec: Spec = serde_json::from_value(schema.get("spec")?.clone()).ok()?;
            let level = spec.priority_level_configuration.name;
            Some(Flow {
                schema: schema.name().to_owned(),
                schema_uid: schema.uid().to_owned(),
                level_uid: (*levels.get(level.as_str())?).to_owned(),
                level,
                precedence: spec.matching_precedence,
                by: spec.distinguisher_method,
                rules: spec.rules,
            })
        });
        let mut all: Vec<Flow> = read.collect();
        for (name, precedence, by, groups) in [
            (EXEMPT, 1, None, &[user::MASTERS][..]),
            (
                CATCH_ALL,
                LAST,
                Some(By::User),
                &[user::UNAUTHENTICATED, user::AUTHENTICATED],
            ),
        ] {
            if !all.iter().any(|flow| flow.schema == name) {
                all.push(Flow {
                    schema: name.to_owned(),
                    level: name.to_owned(),
                    level_uid: levels.get(name).copied().unwrap_or_default().to_owned(),
                    precedence,
                    by,
                    rules: vec![Rule::everything(groups)],
                    ..Flow::default()
                });
            }
        }
        all.sort_by(|one, other| {
            (one.precedence, &one.schema).cmp(&(other.precedence, &other.schema))
        });
        let is_catch_all = |flow: &Flow| flow.schema == CATCH_ALL;
        let catch_all = all.iter().position(is_catch_all).unwrap_or_default();
        Self { all, catch_all }
    }

    /// All of them, in the order in which they are tried.
    pub fn all(&self) -> &[Flow] {
        &self.all
    }

    /// Where among [`all`](Self::all) the one stands that a request falls under.
    pub fn find(&self, request: &Attributes) -> usize {
        let found = self
            .all
            .iter()
            .position(|flow| flow.rules.iter().any(|rule| rule.is_of(request)));
        found.unwrap_or(self.catch_all)
    }
}

impl Flow {
    /// What tells the flow of a request from the others of the server.
    pub fn hash(&self, request: &Attributes) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.schema.hash(&mut hasher);
        match self.by {
            Some(By::User) => request.user.name.hash(&mut hasher),
            Some(By::Namespace) => request.namespace.hash(&mut hasher),
            None => {}
        }
        hasher.finish()
    }
}

impl Rule {
    /// Whatever somebody of these groups asks for.
    fn everything(groups: &[&str]) -> Self {
        let all = || vec![ALL.to_owned()];
        let group = |name: &&str| Subject::Group {
            group: Named {
                name: (*name).to_owned(),
            },
        };
        Self {
            subjects: groups.iter().map(group).collect(),
            resource_rules: vec![ResourceRule {
                verbs: all(),
                api_groups: all(),
                resources: all(),
                cluster_scope: true,
                namespaces: all(),
            }],
            non_resource_rules: vec![PathRule {
                verbs: all(),
                urls: all(),
            }],
        }
    }

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
        let level = json!({"metadata": {"name": "level", "uid": "level-uid"}, "spec":
            {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}});
        Flows::read(schemas, &[serde_json::from_value(level).unwrap()])
    }

    fn found(flows: &Flows, request: &Attributes) -> String {
        let found = &flows.all()[flows.find(request)];
        if found.schema_uid.is_empty() {
            return String::new();
        }
        format!("{} {}", found.schema_uid, found.level_uid)
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
    fn what_nothing_matches_is_caught_and_the_first_of_all_are_exempt() {
        let flows = flows(&[]);
        let schema = |user| {
            let request = lists(user, "pods", "", "a");
            flows.all()[flows.find(&request)].schema.clone()
        };
        assert_eq!(schema(user::user("root", &[user::MASTERS])), EXEMPT);
        assert_eq!(schema(user::user("jo", &[])), CATCH_ALL);
        assert_eq!(schema(User::default()), CATCH_ALL);
    }

    #[test]
    fn flows_are_told_apart_by_what_the_schema_says() {
        let rules = any_pod(&json!({"kind": "Group", "group": {"name": "*"}}));
        let same = |method: Value| {
            let mut schema = schema("s", 1, &rules);
            schema["spec"]["distinguisherMethod"] = method;
            let flows = flows(&[schema]);
            let hash = |user: &str, namespace: &str| {
                let request = lists(user::user(user, &[]), "pods", "", namespace);
                flows.all()[flows.find(&request)].hash(&request)
            };
            let one = hash("jo", "a");
            [hash("jo", "a"), hash("bo", "a"), hash("jo", "")].map(|other| one == other)
        };
        assert_eq!(same(json!({"type": "ByUser"})), [true, false, true]);
        assert_eq!(same(json!({"type": "ByNamespace"})), [true, true, false]);
        assert_eq!(same(Value::Null), [true; 3]);
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
