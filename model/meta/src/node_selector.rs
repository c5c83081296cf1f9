//! Which nodes a pod may run on: its node selector and its required node affinity.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::object::{Object, ObjectExt};
use crate::selector::{LabelSelector, Operator, Requirement};

const REQUIRED: [&str; 4] = [
    "spec",
    "affinity",
    "nodeAffinity",
    "requiredDuringSchedulingIgnoredDuringExecution",
];

/// The terms of a pod's required node affinity, one of which must hold; `None` asks nothing.
pub fn required_terms(pod: &Object) -> Option<Vec<NodeTerm>> {
    let terms = pod.at(&REQUIRED)?.list_at(&["nodeSelectorTerms"]);
    Some(terms.iter().filter_map(NodeTerm::read).collect())
}

/// Whether a pod's node selector and required node affinity allow a node.
pub fn allows(pod: &Object, name: &str, labels: &BTreeMap<String, String>) -> bool {
    let selector = pod.at(&["spec", "nodeSelector"]).and_then(Value::as_object);
    let selects =
        |(key, value): (&String, &Value)| labels.get(key).map(String::as_str) == value.as_str();
    selector.into_iter().flatten().all(selects)
        && required_terms(pod)
            .is_none_or(|terms| terms.iter().any(|term| term.matches(name, labels)))
}

/// One term of a node affinity: labels and fields, all of which must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodeTerm {
    labels: LabelSelector,
    fields: LabelSelector,
}

impl NodeTerm {
    /// Reads a term; `None` when it is empty or malformed: such a term selects nothing.
    pub fn read(term: &Value) -> Option<Self> {
        let labels = expressions(term.list_at(&["matchExpressions"]))?;
        let fields = expressions(term.list_at(&["matchFields"]))?;
        let is_empty = labels.is_everything() && fields.is_everything();
        (!is_empty).then_some(Self { labels, fields })
    }
    /// Whether a node is selected.
    pub fn matches(&self, name: &str, labels: &BTreeMap<String, String>) -> bool {
        let fields = BTreeMap::from([("metadata.name".to_owned(), name.to_owned())]);
        self.labels.matches(labels) && (self.fields.is_everything() || self.fields.matches(&fields))
    }
}

fn expressions(list: &[Value]) -> Option<LabelSelector> {
    let read = |expression: &Value| {
        let operator = match expression.str_at(&["operator"])? {
            "In" => Operator::In,
            "NotIn" => Operator::NotIn,
            "Exists" => Operator::Exists,
            "DoesNotExist" => Operator::DoesNotExist,
            "Gt" => Operator::GreaterThan,
            "Lt" => Operator::LessThan,
            _ => return None,
        };
        let values = expression.list_at(&["values"]).iter();
        Some(Requirement {
            key: expression.str_at(&["key"])?.to_owned(),
            operator,
            values: values
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
        })
    };
    Some(LabelSelector(list.iter().map(read).collect::<Option<_>>()?))
}
