//! Terms that select pods.

use std::collections::BTreeMap;

use meta::ObjectExt;
use meta::selector::{LabelSelector, Operator, Requirement};
use serde_json::Value;

/// One term of a pod affinity or anti-affinity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodTerm {
    /// The label that says which nodes are one place.
    pub topology_key: String,
    selector: Option<LabelSelector>,
    namespaces: Vec<String>,
    namespace_selector: Option<LabelSelector>,
    /// Weight of a preferred term; 0 for a required one.
    pub weight: i64,
}

impl PodTerm {
    /// Reads a term of a pod that lives in `namespace` and has `labels`.
    pub fn read(
        term: &Value,
        weight: i64,
        namespace: &str,
        labels: &BTreeMap<String, String>,
    ) -> Self {
        let mut selector = LabelSelector::from_object(term.get("labelSelector"));
        let namespace_selector = LabelSelector::from_object(term.get("namespaceSelector"));
        let names = term.list_at(&["namespaces"]).iter();
        let mut namespaces: Vec<String> =
            names.filter_map(Value::as_str).map(str::to_owned).collect();
        if namespaces.is_empty() && namespace_selector.is_none() {
            namespaces.push(namespace.to_owned());
        }
        if let Some(LabelSelector(requirements)) = &mut selector {
            let own = [
                ("matchLabelKeys", Operator::In),
                ("mismatchLabelKeys", Operator::NotIn),
            ];
            for (field, operator) in own {
                for key in term.list_at(&[field]).iter().filter_map(Value::as_str) {
                    if let Some(value) = labels.get(key) {
                        let values = vec![value.clone()];
                        let key = key.to_owned();
                        let requirement = Requirement {
                            key,
                            operator,
                            values,
                        };
                        if !requirements.contains(&requirement) {
                            requirements.push(requirement);
                        }
                    }
                }
            }
        }
        Self {
            topology_key: term.str_at(&["topologyKey"]).unwrap_or_default().to_owned(),
            selector,
            namespaces,
            namespace_selector,
            weight,
        }
    }
    /// Whether a pod is selected; `namespace_labels` are those of its namespace.
    pub fn matches(
        &self,
        namespace: &str,
        namespace_labels: Option<&BTreeMap<String, String>>,
        labels: &BTreeMap<String, String>,
    ) -> bool {
        let by_selector = self.namespace_selector.as_ref().is_some_and(|selector| {
            selector.is_everything()
                || namespace_labels.is_some_and(|labels| selector.matches(labels))
        });
        (by_selector || self.namespaces.iter().any(|known| known == namespace))
            && self
                .selector
                .as_ref()
                .is_some_and(|selector| selector.matches(labels))
    }
}

/// A wish to spread pods evenly over places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpreadConstraint {
    /// The label that says which nodes are one place.
    pub topology_key: String,
    /// How uneven it may become.
    pub max_skew: i64,
    /// How many places there must be before the emptiest counts as such.
    pub min_domains: i64,
    /// Whether it must hold (`DoNotSchedule`).
    pub is_hard: bool,
    /// Whether nodes that the pod's affinity rules out are left out of the count.
    pub honors_affinity: bool,
    /// Whether nodes with taints that the pod does not tolerate are left out of the count.
    pub honors_taints: bool,
    selector: Option<LabelSelector>,
}

impl SpreadConstraint {
    /// Reads a constraint of a pod with `labels`.
    pub fn read(constraint: &Value, labels: &BTreeMap<String, String>) -> Self {
        let mut selector = LabelSelector::from_object(constraint.get("labelSelector"));
        if let Some(LabelSelector(requirements)) = &mut selector {
            let keys = constraint
                .list_at(&["matchLabelKeys"])
                .iter()
                .filter_map(Value::as_str);
            requirements.extend(keys.filter_map(|key| {
                Some(Requirement {
                    key: key.to_owned(),
                    operator: Operator::In,
                    values: vec![labels.get(key)?.clone()],
                })
            }));
        }
        Self {
            topology_key: constraint
                .str_at(&["topologyKey"])
                .unwrap_or_default()
                .to_owned(),
            max_skew: constraint.int_at(&["maxSkew"]).unwrap_or(1),
            min_domains: constraint.int_at(&["minDomains"]).unwrap_or(1),
            is_hard: constraint.str_at(&["whenUnsatisfiable"]) != Some("ScheduleAnyway"),
            honors_affinity: constraint.str_at(&["nodeAffinityPolicy"]) != Some("Ignore"),
            honors_taints: constraint.str_at(&["nodeTaintsPolicy"]) == Some("Honor"),
            selector,
        }
    }
    /// Whether a pod counts.
    pub fn counts(&self, labels: &BTreeMap<String, String>) -> bool {
        self.selector
            .as_ref()
            .is_some_and(|selector| selector.matches(labels))
    }
}
