//! The cluster as decisions read it: the store's committed state, parsed.

use access::node::PodsByNode;
use futures::FutureExt;
use kinds::strategy::Lookup;
use meta::Object;
use store::{Entry, Key, Range, Store, Term};

/// Index term of pods by the node they are bound to.
pub(crate) const NODE_NAME: &str = "spec.nodeName";

/// Reads objects for decisions. Reads of an embedded store are complete at once; one that would wait reads as absent.
pub(crate) struct Cluster<'a> {
    store: &'a dyn Store,
}

impl<'a> Cluster<'a> {
    pub(crate) fn new(store: &'a dyn Store) -> Self {
        Self { store }
    }

    fn range(&self, resource: &str, namespace: &str, term: Option<Term>) -> Vec<Object> {
        let namespace = (!namespace.is_empty()).then(|| namespace.into());
        let range = Range {
            namespace,
            term,
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
        self.range(resource, namespace, None)
    }
}

impl PodsByNode for Cluster<'_> {
    fn pods_on(&self, node: &str) -> Vec<Object> {
        self.range("pods", "", Some(Term::new(NODE_NAME, node)))
    }
}

/// An entry's object; `None` for bytes that are no JSON, which the server never writes.
pub(crate) fn parse(entry: &Entry) -> Option<Object> {
    serde_json::from_slice(&entry.value).ok()
}

/// The index terms the store keeps for an object.
pub fn index(key: &Key, value: &[u8]) -> Vec<Term> {
    if key.resource.as_ref() != "pods" {
        return Vec::new();
    }
    let pod: Option<PodTerms<'_>> = serde_json::from_slice(value).ok();
    let node = pod.and_then(|pod| pod.spec).and_then(|spec| spec.node_name);
    node.map(|node| Term::new(NODE_NAME, node.as_ref()))
        .into_iter()
        .collect()
}

#[derive(serde::Deserialize)]
struct PodTerms<'a> {
    #[serde(borrow)]
    spec: Option<SpecTerms<'a>>,
}

#[derive(serde::Deserialize)]
struct SpecTerms<'a> {
    #[serde(borrow, rename = "nodeName")]
    node_name: Option<std::borrow::Cow<'a, str>>,
}
