//! The cluster as decisions read it: the store's committed state, parsed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use access::node::PodsByNode;
use futures::FutureExt;
use kinds::strategy::Lookup;
use meta::Object;
use meta::raw;
use store::{Entry, Key, Range, Revision, Shared, Store, Term, TermTest};

/// Index term of pods by the node they are bound to.
pub(crate) const NODE_NAME: &str = "spec.nodeName";
/// What the name of the index term of a label starts with; no field's name has a colon.
const LABEL: &str = "label:";

/// The index term of a label.
pub(crate) fn label(key: &str, value: &str) -> Term {
    Term::new(label_name(key), value)
}

/// The name of the index terms of a label.
pub(crate) fn label_name(key: &str) -> String {
    [LABEL, key].concat()
}

/// Reads objects for decisions. Reads of an embedded store are complete at once; one that would wait reads as absent.
pub(crate) struct Cluster<'a> {
    store: &'a dyn Store,
    parsed: &'a Parsed,
}

/// What admission reads at nearly every write, and what is seldom written.
const OFTEN_READ: [&str; 5] = [
    "limitranges",
    "namespaces",
    "priorityclasses.scheduling.k8s.io",
    "resourcequotas",
    "serviceaccounts",
];
/// Most objects that are kept parsed.
const PARSED_MAX: usize = 64;

/// Objects that are read often, parsed. Each is good for the revision it was parsed from and for no other, so that none
/// can be out of date.
#[derive(Default)]
pub(crate) struct Parsed(Mutex<HashMap<Key, (Revision, Arc<Object>)>>);

impl Parsed {
    /// An entry's object.
    fn object(&self, entry: &Entry) -> Option<Arc<Object>> {
        if !OFTEN_READ.contains(&&*entry.key.resource) {
            return parse(entry).map(Arc::new);
        }
        let mut parsed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((revision, object)) = parsed.get(&entry.key)
            && *revision == entry.revision
        {
            return Some(Arc::clone(object));
        }
        let object = Arc::new(parse(entry)?);
        if parsed.len() >= PARSED_MAX {
            parsed.clear();
        }
        parsed.insert(entry.key.clone(), (entry.revision, Arc::clone(&object)));
        Some(object)
    }
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(store: &'a dyn Store, parsed: &'a Parsed) -> Self {
        Self { store, parsed }
    }

    fn page(&self, resource: &str, namespace: &str, terms: Vec<TermTest>) -> Vec<Shared> {
        let namespace = (!namespace.is_empty()).then(|| namespace.into());
        let range = Range {
            namespace,
            terms,
            ..Range::all(resource)
        };
        let page = self.store.range(range).now_or_never().and_then(Result::ok);
        page.map(|page| page.entries).unwrap_or_default()
    }

    fn range(&self, resource: &str, namespace: &str, terms: Vec<TermTest>) -> Vec<Arc<Object>> {
        let entries = self.page(resource, namespace, terms);
        let objects = entries.iter().map(|entry| self.parsed.object(entry));
        objects.flatten().collect()
    }
}

impl Lookup for Cluster<'_> {
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let key = Key::new(resource, namespace, name);
        let entry = self.store.get(&key).now_or_never()?.ok()??;
        self.parsed.object(&entry)
    }
    fn list(&self, resource: &str, namespace: &str) -> Vec<Arc<Object>> {
        self.range(resource, namespace, Vec::new())
    }
    fn count(&self, resource: &str, namespace: &str) -> Option<usize> {
        Some(self.page(resource, namespace, Vec::new()).len())
    }
}

impl PodsByNode for Cluster<'_> {
    fn pods_on(&self, node: &str) -> Vec<Arc<Object>> {
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
    use meta::ObjectExt as _;
    use serde_json::json;
    use store::{Durability, Encoded, MemoryStore, Precondition};

    use super::*;

    /// Writes a namespace with this label; over the one that is there, if any.
    fn label_namespace(store: &MemoryStore, value: &str) {
        let key = Key::new("namespaces", "", "web");
        let present = store.get(&key).now_or_never().unwrap().unwrap();
        let wanted = present.map_or(Precondition::Absent, |entry| {
            Precondition::Revision(entry.revision)
        });
        let object = json!({"metadata": {"name": "web", "labels": {"a": value}}});
        let holed = wire::encode::encode(&object);
        let encoded = Encoded {
            bytes: holed.bytes,
            revision_at: holed.revision_at,
        };
        let written = store.put(key, wanted, encoded, Durability::Synced);
        written.now_or_never().unwrap().unwrap();
    }

    #[test]
    fn what_is_read_often_is_parsed_once_for_each_revision() {
        let (store, parsed) = (MemoryStore::new(), Parsed::default());
        let cluster = Cluster::new(&store, &parsed);
        let read = || cluster.get("namespaces", "", "web").unwrap();
        label_namespace(&store, "1");
        let first = read();
        assert!(Arc::ptr_eq(&first, &read()));
        label_namespace(&store, "2");
        assert_eq!(
            (first.label("a"), read().label("a")),
            (Some("1"), Some("2"))
        );
    }

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
