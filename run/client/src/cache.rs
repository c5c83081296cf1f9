//! The objects of one kind as last seen, with indexes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use meta::{Key, Object, ObjectExt};

/// What happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object before; `None` when it is new.
    pub old: Option<Arc<Object>>,
    /// The object now; `None` when it is gone.
    pub new: Option<Arc<Object>>,
}

/// Objects by key, by the uid of their controller, and by node.
#[derive(Debug, Default)]
pub struct Cache {
    objects: BTreeMap<Key, Arc<Object>>,
    by_controller: BTreeMap<String, BTreeSet<Key>>,
    by_node: BTreeMap<String, BTreeSet<Key>>,
}

fn controller_of(object: &Object) -> &str {
    object
        .controller()
        .and_then(|owner| owner.str_at(&["uid"]))
        .unwrap_or_default()
}

/// `spec.nodeName`; `None` for kinds that have no node at all, so that they take no room in the index.
fn node_of(object: &Object) -> Option<&str> {
    let is_pod = object.kind() == "Pod";
    object
        .str_at(&["spec", "nodeName"])
        .or_else(|| is_pod.then_some(""))
}

impl Cache {
    /// One object.
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }
    /// Number of objects.
    pub fn len(&self) -> usize {
        self.objects.len()
    }
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }
    /// The objects of a namespace, or all when it is empty; sorted by key.
    pub fn list(&self, namespace: &str) -> Vec<Arc<Object>> {
        if namespace.is_empty() {
            return self.objects.values().cloned().collect();
        }
        self.objects
            .range(Key::new(namespace, "")..)
            .take_while(|(key, _)| key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }
    /// The objects with this controller; an empty uid asks for those without.
    pub fn controlled_by(&self, uid: &str) -> Vec<Arc<Object>> {
        self.indexed(self.by_controller.get(uid))
    }
    /// The objects on this node; an empty name asks for pods without one.
    pub fn on_node(&self, node: &str) -> Vec<Arc<Object>> {
        self.indexed(self.by_node.get(node))
    }

    fn indexed(&self, keys: Option<&BTreeSet<Key>>) -> Vec<Arc<Object>> {
        let keys = keys.into_iter().flatten();
        keys.filter_map(|key| self.objects.get(key).cloned())
            .collect()
    }

    /// Puts an object in its place; `None` when it is older than, or the same as, what is there.
    pub fn apply(&mut self, object: Arc<Object>) -> Option<Change> {
        let key = object.key();
        if let Some(known) = self.objects.get(&key)
            && known.resource_version() == object.resource_version()
            && known.uid() == object.uid()
        {
            return None;
        }
        let old = self.take(&key);
        self.by_controller
            .entry(controller_of(&object).to_owned())
            .or_default()
            .insert(key.clone());
        if let Some(node) = node_of(&object) {
            self.by_node
                .entry(node.to_owned())
                .or_default()
                .insert(key.clone());
        }
        self.objects.insert(key, Arc::clone(&object));
        Some(Change {
            old,
            new: Some(object),
        })
    }

    /// Takes an object out; `None` when it was not there.
    pub fn delete(&mut self, key: &Key) -> Option<Change> {
        let old = self.take(key)?;
        Some(Change {
            old: Some(old),
            new: None,
        })
    }

    /// Replaces everything; returns what that changes.
    pub fn replace(&mut self, objects: Vec<Arc<Object>>) -> Vec<Change> {
        let kept: BTreeSet<Key> = objects.iter().map(|object| object.key()).collect();
        let gone: Vec<Key> = self
            .objects
            .keys()
            .filter(|key| !kept.contains(*key))
            .cloned()
            .collect();
        let mut changes: Vec<Change> = gone.iter().filter_map(|key| self.delete(key)).collect();
        changes.extend(objects.into_iter().filter_map(|object| self.apply(object)));
        changes
    }

    fn take(&mut self, key: &Key) -> Option<Arc<Object>> {
        let old = self.objects.remove(key)?;
        unindex(&mut self.by_controller, controller_of(&old), key);
        if let Some(node) = node_of(&old) {
            unindex(&mut self.by_node, node, key);
        }
        Some(old)
    }
}

fn unindex(index: &mut BTreeMap<String, BTreeSet<Key>>, value: &str, key: &Key) {
    if let Some(keys) = index.get_mut(value) {
        keys.remove(key);
        if keys.is_empty() {
            index.remove(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(name: &str, version: &str, node: &str, controller: &str) -> Arc<Object> {
        Arc::new(json!({
            "kind": "Pod",
            "metadata": {
                "namespace": "default", "name": name, "resourceVersion": version,
                "ownerReferences": [{ "controller": true, "uid": controller }],
            },
            "spec": { "nodeName": node },
        }))
    }

    #[test]
    fn indexes_follow_changes() {
        let mut cache = Cache::default();
        cache.apply(pod("a", "1", "", "x"));
        cache.apply(pod("a", "2", "node-1", "y"));
        assert!(cache.controlled_by("x").is_empty() && cache.on_node("").is_empty());
        assert_eq!(
            (
                cache.controlled_by("y").len(),
                cache.on_node("node-1").len()
            ),
            (1, 1)
        );
        cache.delete(&Key::new("default", "a"));
        assert!(cache.by_controller.is_empty() && cache.by_node.is_empty() && cache.is_empty());
    }

    #[test]
    fn the_same_version_is_no_change() {
        let mut cache = Cache::default();
        assert!(cache.apply(pod("a", "1", "", "x")).is_some());
        assert!(cache.apply(pod("a", "1", "", "x")).is_none());
    }

    #[test]
    fn replacing_tells_what_went_and_what_came() {
        let mut cache = Cache::default();
        cache.apply(pod("a", "1", "", "x"));
        cache.apply(pod("b", "2", "", "x"));
        let changes = cache.replace(vec![pod("b", "2", "", "x"), pod("c", "3", "", "x")]);
        let names: Vec<_> = changes
            .iter()
            .map(|change| {
                (
                    change.old.as_ref().map(|o| o.name()),
                    change.new.as_ref().map(|o| o.name()),
                )
            })
            .collect();
        assert_eq!(names, [(Some("a"), None), (None, Some("c"))]);
    }

    #[test]
    fn a_namespace_is_a_range() {
        let mut cache = Cache::default();
        cache.apply(pod("a", "1", "", "x"));
        assert_eq!(cache.list("default").len(), 1);
        assert_eq!(cache.list("defaul").len(), 0);
        assert_eq!(cache.list("").len(), 1);
    }
}
