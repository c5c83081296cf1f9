//! The cluster as decisions read it: the store's committed state, parsed.

use access::node::PodsByNode;
use futures::FutureExt;
use kinds::strategy::Lookup;
use meta::Object;
use meta::raw;
use store::{AnyOf, Entry, Key, Range, Store, Term};

/// Index term of pods by the node they are bound to.
pub(crate) const NODE_NAME: &str = "spec.nodeName";
/// What the name of the index term of a label starts with; no field's name has a colon.
const LABEL: &str = "label:";

/// The index term of a label.
pub(crate) fn label(key: &str, value: &str) -> Term {
    Term::new([LABEL, key].concat(), value)
}

/// Reads objects for decisions. Reads of an embedded store are complete at once; one that would wait reads as absent.
pub(crate) struct Cluster<'a> {
    store: &'a dyn Store,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Self { store }
    }

    fn range(&self, resource: &str, namespace: &str, terms: Vec<AnyOf>) -> Vec<Object> {
        let namespace = (!namespace.is_empty()).then(|| namespace.into());
        let range = Range {
            namespace,
            terms,
            ..Range::all(resource)
        };
        let page = self.store.range(range).now_or_never().and_then(Result::ok);
        page.into_iter()
            .flat_map(|page| page.entries)
            .filter_map(|entry| parse(&entry))
            .collect()
    }
}

impl Lookup for Cluster<'_> {
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Object> {
        let key = Key::new(resource, namespace, name);
        let entry = self.store.get(&key).now_or_never()?.ok()??;
        parse(&entry)
    }
    fn list(&self, resource: &str, namespace: &str) -> Vec<Object> {
        self.range(resource, namespace, Vec::new())
    }
}

impl PodsByNode for Cluster<'_> {
    fn pods_on(&self, node: &str) -> Vec<Object> {
        self.range("pods", "", vec![Term::new(NODE_NAME, node).into()])
    }
}

/// An entry's object; `None` for bytes that are no JSON, which the server never writes.
pub(crate) fn parse(entry: &Entry) -> Option<Object> {
    serde_json::from_slice(&entry.value).ok()
}

/// The index terms the store keeps for an object: its labels, and the node of a pod.
pub fn index(key: &Key, value: &[u8]) -> Vec<Term> {
    let labels = raw::at(value, &["metadata", "labels"]).unwrap_or_default();
    let labels = raw::members(labels).filter_map(|(key, value)| {
        let key = std::str::from_utf8(key).ok()?;
        Some(label(key, &raw::text(value)?))
    });
    let mut terms: Vec<Term> = labels.collect();
    if key.resource.as_ref() == "pods"
        && let Some(node) = raw::text_at(value, &["spec", "nodeName"])
    {
        terms.push(Term::new(NODE_NAME, node.as_ref()));
    }
    terms
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_the_node_of_a_pod_are_indexed() {
        let value =
            br#"{"metadata":{"labels":{"a.b/app":"web","empty":""}},"spec":{"nodeName":"n"}}"#;
        let labels = vec![label("a.b/app", "web"), label("empty", "")];
        let node = vec![Term::new(NODE_NAME, "n")];
        assert_eq!(index(&Key::new("services", "a", "x"), value), labels);
        assert_eq!(
            index(&Key::new("pods", "a", "x"), value),
            [labels, node].concat()
        );
        assert_eq!(index(&Key::new("pods", "a", "x"), b"{\"metadata\":{}}"), []);
    }
}
