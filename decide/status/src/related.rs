//! Which objects belong to a subject: the inputs of an evaluation, and the joining function that
//! the offline command and the tests share.
//!
//! A bundle is a list of objects of which the first is the subject. Ownership is followed by
//! `ownerReferences[controller=true].uid`, never by label. A bundle is often cut out of a cluster
//! by hand, so the chain may be broken (a Deployment's pods without its ReplicaSet). Then, and only
//! when no object of that kind joins exactly, the bundle is taken at its word, most specific claim
//! first: objects whose controller has the subject's kind and name (for a Deployment's pods: a
//! ReplicaSet whose name continues the Deployment's), else objects of the same namespace whose
//! controller is not in the bundle and that the subject's selector selects, or whose name or controller's
//! name continues the subject's. For Jobs and CronJobs also what nobody controls.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::field;

/// What is known besides the subject. `None` is *unknown*, which is not the same as *empty*.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Related<'a> {
    /// All Pods controlled by the subject, directly or through a ReplicaSet or Job.
    pub pods: Option<Vec<&'a Value>>,
    /// The `ReplicaSets` of a Deployment.
    pub replica_sets: Option<Vec<&'a Value>>,
    /// The Jobs of a CronJob.
    pub jobs: Option<Vec<&'a Value>>,
    /// The Nodes; at least those that the pods name, as far as they exist.
    pub nodes: Option<Vec<&'a Value>>,
    /// Events of the subject, its pods and its `ReplicaSets`.
    pub events: Option<Vec<&'a Value>>,
    /// Why reading pods failed, if it failed for another reason than "forbidden".
    pub pods_error: Option<String>,
    /// Why the subject itself can be read no longer; what is given of it is out of date.
    pub subject_error: Option<String>,
}

/// A subject with the objects around it.
#[derive(Debug, Clone, PartialEq)]
pub struct Bundle {
    subject: Value,
    others: Vec<Value>,
}

impl Bundle {
    /// Reads a bundle: lists are opened, empty documents skipped, the first object is the subject.
    /// `None` when there is no object with a kind.
    #[must_use]
    pub fn new(documents: Vec<Value>) -> Option<Self> {
        let mut objects = Vec::new();
        for document in documents {
            open(document, &mut objects);
        }
        let first = objects.iter().position(|object| !is_input(object))?;
        let subject = objects.remove(first);
        Some(Self {
            subject,
            others: objects,
        })
    }

    /// The object to evaluate.
    pub fn subject(&self) -> &Value {
        &self.subject
    }

    /// What belongs to it.
    pub fn related(&self) -> Related<'_> {
        relate(&self.subject, &self.others)
    }
}

fn open(document: Value, objects: &mut Vec<Value>) {
    let is_list = field::text(&document, "kind").ends_with("List");
    match document {
        Value::Object(mut map) if is_list => {
            if let Some(Value::Array(items)) = map.remove("items") {
                objects.extend(items.into_iter().filter(Value::is_object));
            }
        }
        Value::Object(map) if map.contains_key("kind") => objects.push(Value::Object(map)),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_) => {}
    }
}

/// The document that says what a bundle knows.
fn is_input(object: &Value) -> bool {
    field::text(object, "kind") == "EvaluationInput"
}

/// Joins a subject with a list of objects.
///
/// A kind that does not occur among the objects is unknown, unless a document of kind
/// `EvaluationInput` lists it under `knows`; its `podsError` says that reading pods failed, its
/// `subjectError` that reading the subject did.
#[must_use]
pub fn relate<'a>(subject: &'a Value, objects: &'a [Value]) -> Related<'a> {
    let input = objects.iter().find(|object| is_input(object));
    let join = Join::new(subject, objects, input);
    let replica_sets = join.owned("ReplicaSet", "replicaSets");
    let jobs = join.owned("Job", "jobs");
    Related {
        pods: join.owned("Pod", "pods"),
        replica_sets,
        jobs,
        nodes: join.all("Node", "nodes"),
        events: join.all("Event", "events"),
        pods_error: input
            .and_then(|input| field::some_text(input, "podsError"))
            .map(str::to_owned),
        subject_error: input
            .and_then(|input| field::some_text(input, "subjectError"))
            .map(str::to_owned),
    }
}

struct Join<'a> {
    subject: &'a Value,
    objects: &'a [Value],
    input: Option<&'a Value>,
    by_uid: BTreeMap<&'a str, &'a Value>,
}

impl<'a> Join<'a> {
    fn new(subject: &'a Value, objects: &'a [Value], input: Option<&'a Value>) -> Self {
        let by_uid = objects
            .iter()
            .filter(|object| !field::uid(object).is_empty())
            .map(|object| (field::uid(object), object))
            .collect();
        Self {
            subject,
            objects,
            input,
            by_uid,
        }
    }

    fn knows(&self, list: &str) -> bool {
        self.input.is_some_and(|input| {
            field::list(input, "knows")
                .iter()
                .any(|known| known.as_str() == Some(list))
        })
    }

    fn of_kind(&self, kind: &str) -> Vec<&'a Value> {
        self.objects
            .iter()
            .filter(|object| field::text(object, "kind") == kind)
            .collect()
    }

    /// Every object of a kind, or unknown when there is none and nobody says so.
    fn all(&self, kind: &str, list: &str) -> Option<Vec<&'a Value>> {
        let found = self.of_kind(kind);
        (!found.is_empty() || self.knows(list)).then_some(found)
    }

    /// The objects of a kind that belong to the subject.
    fn owned(&self, kind: &str, list: &str) -> Option<Vec<&'a Value>> {
        let mut found = self.all(kind, list)?;
        let best = found.iter().map(|object| self.claim(object)).max();
        found.retain(|object| {
            let claim = self.claim(object);
            claim > Claim::None && Some(claim) == best
        });
        Some(found)
    }

    fn claim(&self, object: &'a Value) -> Claim {
        if field::namespace(object) != field::namespace(self.subject) {
            return Claim::None;
        }
        let uid = field::uid(self.subject);
        let mut current = object;
        // A chain has at most two links below the subject; more is a cycle.
        for _ in 0..4 {
            let owner = field::controller_uid(current);
            if !owner.is_empty() && owner == uid {
                return Claim::Exact;
            }
            match self.by_uid.get(owner) {
                Some(next) if !owner.is_empty() => current = next,
                _ => return self.broken_claim(current),
            }
        }
        Claim::None
    }

    /// What an object claims whose controller is not in the bundle.
    fn broken_claim(&self, object: &Value) -> Claim {
        let Some(owner) = field::controller(object) else {
            return self.company(object, field::name(object));
        };
        let (kind, name) = (field::text(owner, "kind"), field::text(owner, "name"));
        let subject_kind = field::text(self.subject, "kind");
        let subject_name = field::name(self.subject);
        let continues = name
            .strip_prefix(subject_name)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|rest| !rest.is_empty() && !rest.contains('-'));
        let by_name = match (subject_kind, kind) {
            ("Deployment", "ReplicaSet") | ("CronJob", "Job") => continues,
            _ => kind == subject_kind && name == subject_name,
        };
        if by_name {
            Claim::Name
        } else {
            self.company(object, name)
        }
    }

    /// Whether an object that only stands beside the subject may be taken for its own. `namesake` is
    /// what may be called like the subject: the controller, or the object itself.
    fn company(&self, object: &Value, namesake: &str) -> Claim {
        let subject = self.subject;
        let continues = |name: &str| {
            name.strip_prefix(field::name(subject))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        };
        let selector = field::at(subject, "spec.selector.matchLabels")
            .or_else(|| field::at(subject, "spec.selector"))
            .and_then(Value::as_object)
            .filter(|selector| !selector.is_empty() && selector.values().all(Value::is_string));
        let is_selected = selector.is_some_and(|selector| {
            selector
                .iter()
                .all(|(key, value)| value.as_str() == Some(field::label(object, key)))
        });
        // Jobs and what they make are often written down without their links.
        let is_loose = field::controller(object).is_none()
            && matches!(field::text(subject, "kind"), "Job" | "CronJob");
        if is_selected || is_loose || continues(field::name(object)) || continues(namesake) {
            Claim::Company
        } else {
            Claim::None
        }
    }
}

/// How surely an object belongs to the subject, least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// It belongs to something else.
    None,
    /// It came in the same bundle.
    Company,
    /// Its controller has the right kind and name.
    Name,
    /// Its controllers lead to the subject's uid.
    Exact,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, owner: &Value) -> Value {
        json!({"kind": "Pod", "metadata": {"name": name, "namespace": "shop", "uid": name,
            "ownerReferences": [owner]}})
    }

    fn names(list: Option<Vec<&Value>>) -> Vec<&str> {
        list.unwrap().into_iter().map(field::name).collect()
    }

    #[test]
    fn pods_are_followed_through_the_replica_set_and_others_left_out() {
        let subject = json!({"kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "d"}});
        let objects = [
            json!({"kind": "ReplicaSet", "metadata": {"name": "web-1", "namespace": "shop", "uid": "r",
                "ownerReferences": [{"kind": "Deployment", "uid": "d", "controller": true}]}}),
            pod(
                "mine",
                &json!({"kind": "ReplicaSet", "uid": "r", "controller": true}),
            ),
            pod(
                "other",
                &json!({"kind": "ReplicaSet", "name": "web-2", "uid": "x", "controller": true}),
            ),
            pod("released", &json!({"kind": "ReplicaSet", "uid": "r"})),
        ];
        let related = relate(&subject, &objects);
        assert_eq!(names(related.pods), ["mine"]);
        assert_eq!(names(related.replica_sets), ["web-1"]);
        assert_eq!(related.nodes, None);
    }

    #[test]
    fn a_broken_chain_falls_back_to_the_name_of_the_controller() {
        let subject = json!({"kind": "Deployment",
            "metadata": {"name": "web", "namespace": "shop", "uid": "d"}});
        let objects = [
            pod(
                "mine",
                &json!({"kind": "ReplicaSet", "name": "web-1", "uid": "r", "controller": true}),
            ),
            pod(
                "api",
                &json!({"kind": "ReplicaSet", "name": "web-api-1", "uid": "x", "controller": true}),
            ),
        ];
        assert_eq!(names(relate(&subject, &objects).pods), ["mine"]);
    }

    #[test]
    fn strangers_in_a_bundle_are_not_taken_for_its_own() {
        let subject = json!({"kind": "Deployment", "spec": {"selector": {"matchLabels": {"app": "web"}}},
            "metadata": {"name": "web", "namespace": "shop", "uid": "d"}});
        let labelled = |name: &str, app: &str| json!({"kind": "Pod", "metadata": {"name": name, "namespace": "shop", "labels": {"app": app}}});
        let foreign =
            json!({"kind": "ReplicaSet", "name": "api-1", "uid": "x", "controller": true});
        let objects = [
            labelled("mine", "web"),
            labelled("bare", "bare"),
            pod("theirs", &foreign),
        ];
        assert_eq!(names(relate(&subject, &objects).pods), ["mine"]);
        assert_eq!(names(relate(&subject, &objects[1..]).pods), [""; 0]);
        let rollout = json!({"kind": "Rollout", "metadata": {"name": "api", "namespace": "shop"}});
        assert_eq!(names(relate(&rollout, &objects[1..]).pods), ["theirs"]);
    }

    #[test]
    fn a_bundle_opens_lists_and_knows_empty_kinds() {
        let bundle = Bundle::new(vec![
            Value::Null,
            json!({"kind": "EvaluationInput", "knows": ["pods"], "podsError": "timeout"}),
            json!({"kind": "List", "items": [{"kind": "Deployment"}, {"kind": "Node"}]}),
        ])
        .unwrap();
        assert_eq!(bundle.subject(), &json!({"kind": "Deployment"}));
        let related = bundle.related();
        assert_eq!(related.pods, Some(Vec::new()));
        assert_eq!(related.nodes.map(|nodes| nodes.len()), Some(1));
        assert_eq!(related.pods_error.as_deref(), Some("timeout"));
        assert_eq!(Bundle::new(vec![json!([1]), json!("x")]), None);
    }
}
