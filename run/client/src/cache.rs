//! The objects of one kind as last seen, with indexes.
//!
//! They are kept as bytes, which take a tenth of the memory of decoded objects. What is read is decoded, and a bounded
//! number of those stay so while their kind is busy.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use meta::{Key, Object, ObjectExt, Resource, raw};
use tokio::time::{Duration, Instant};

use crate::rest::Detail;

/// Most objects of a kind that stay decoded after they were read; a pod takes 30 to 40 KB so.
const DECODED_MAX: usize = 512;
/// The same where only metadata is kept: nothing reads it over and over.
const DECODED_METADATA_MAX: usize = 256;
/// The kind whose objects say by their changes that somebody is alive.
const HEARTBEAT: &str = "Lease";
/// Separates namespace and name in a slot; sorts before every other character.
const SEPARATOR: char = '\0';

/// Where an object is, as `namespace NUL name`: sorts like the pair.
pub(crate) type Slot = Arc<str>;

/// What happened to an object.
#[derive(Clone, Debug)]
pub struct Change {
    /// The object before; `None` when it is new.
    pub old: Option<Arc<Object>>,
    /// The object now; `None` when it is gone.
    pub new: Option<Arc<Object>>,
}

/// An object in few bytes: without managed fields, and without what is the same for all of its kind.
#[derive(Clone, Debug)]
pub(crate) struct Packed(Arc<[u8]>);

/// A change whose objects are not decoded yet.
#[derive(Debug)]
pub(crate) struct PackedChange {
    old: Option<Packed>,
    new: Option<Packed>,
}

/// Objects by key, by the uid of their controller, and by node.
#[derive(Debug)]
pub struct Cache {
    resource: Resource,
    detail: Detail,
    objects: BTreeMap<Slot, Packed>,
    by_controller: BTreeMap<String, BTreeSet<Slot>>,
    by_node: BTreeMap<String, BTreeSet<Slot>>,
    /// When heartbeats came.
    came: BTreeMap<Slot, Instant>,
    decoded: Mutex<Decoded>,
}

/// Objects that were read, the first of them first.
#[derive(Debug, Default)]
struct Decoded {
    objects: BTreeMap<Slot, Arc<Object>>,
    order: VecDeque<Slot>,
}

impl Packed {
    /// Packs an object's bytes.
    pub(crate) fn new(object: &[u8], detail: Detail) -> Self {
        let trimmed = raw::without_metadata(object, &["managedFields"]);
        let kept = raw::members(&trimmed).filter(|(key, _)| match detail {
            Detail::Whole => !matches!(*key, b"apiVersion" | b"kind"),
            Detail::Metadata => *key == b"metadata",
        });
        let mut bytes = Vec::with_capacity(trimmed.len());
        raw::write_members(&mut bytes, kept, |bytes, _, value| {
            bytes.extend_from_slice(value);
        });
        Self(bytes.into())
    }

    /// The object. Bytes that are none decode to nothing, which no server sends.
    fn decode(&self, resource: &Resource) -> Arc<Object> {
        let mut object: Object = serde_json::from_slice(&self.0).unwrap_or_default();
        object.set(&["apiVersion"], resource.api_version().into());
        object.set(&["kind"], (*resource.kind).into());
        Arc::new(object)
    }

    fn text(&self, path: &[&str]) -> String {
        let text = raw::text_at(&self.0, path);
        text.unwrap_or_default().into_owned()
    }
    /// Its version.
    pub(crate) fn version(&self) -> String {
        self.text(&["metadata", "resourceVersion"])
    }
    /// Where it is.
    pub(crate) fn slot(&self) -> Slot {
        let text = |field: &str| self.text(&["metadata", field]);
        slot(&text("namespace"), &text("name"))
    }
    fn is_same_version(&self, other: &Self) -> bool {
        let same = |field: &str| {
            let path = ["metadata", field];
            raw::at(&self.0, &path) == raw::at(&other.0, &path)
        };
        same("resourceVersion") && same("uid")
    }
    /// The uid of its controller; empty when it has none.
    fn controller(&self) -> String {
        let owners = raw::at(&self.0, &["metadata", "ownerReferences"]).unwrap_or_default();
        let controller =
            raw::items(owners).find(|owner| raw::at(owner, &["controller"]) == Some(b"true"));
        let uid = controller.and_then(|owner| raw::text_at(owner, &["uid"]));
        uid.unwrap_or_default().into_owned()
    }
    /// `spec.nodeName`; `None` for kinds that have no node at all, so that they take no room in the index.
    fn node(&self, resource: &Resource) -> Option<String> {
        let node = raw::text_at(&self.0, &["spec", "nodeName"]);
        let is_pod = resource.kind == "Pod";
        node.map(std::borrow::Cow::into_owned)
            .or_else(|| is_pod.then(String::new))
    }
}

impl PackedChange {
    /// The change as handlers are told of it.
    pub(crate) fn decode(&self, resource: &Resource) -> Change {
        let decode = |packed: &Packed| packed.decode(resource);
        Change {
            old: self.old.as_ref().map(decode),
            new: self.new.as_ref().map(decode),
        }
    }
    /// That an object is there.
    pub(crate) fn found(packed: Packed) -> Self {
        Self {
            old: None,
            new: Some(packed),
        }
    }
}

/// The slot of a key.
pub(crate) fn slot(namespace: &str, name: &str) -> Slot {
    let mut slot = String::with_capacity(namespace.len() + SEPARATOR.len_utf8() + name.len());
    slot.push_str(namespace);
    slot.push(SEPARATOR);
    slot.push_str(name);
    slot.into()
}

impl Cache {
    /// Nothing of this kind yet.
    pub(crate) fn new(resource: Resource, detail: Detail) -> Self {
        Self {
            resource,
            detail,
            objects: BTreeMap::new(),
            by_controller: BTreeMap::new(),
            by_node: BTreeMap::new(),
            came: BTreeMap::new(),
            decoded: Mutex::default(),
        }
    }
    /// One object.
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        let slot = slot(&key.namespace, &key.name);
        let (slot, packed) = self.objects.get_key_value(&slot)?;
        Some(self.read(slot, packed))
    }
    /// How long a heartbeat is ago, whatever its sender's clock says and ours was set to; `None` for kinds that are none.
    pub fn unchanged_for(&self, key: &Key) -> Option<Duration> {
        let came = self.came.get(&slot(&key.namespace, &key.name))?;
        Some(came.elapsed())
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
        let objects = self.within(namespace);
        objects
            .map(|(slot, packed)| self.read(slot, packed))
            .collect()
    }
    /// How many objects a namespace has, or all when it is empty; decodes none.
    pub fn count(&self, namespace: &str) -> usize {
        self.within(namespace).count()
    }
    fn within(&self, namespace: &str) -> impl Iterator<Item = (&Slot, &Packed)> {
        let first = match namespace {
            "" => Slot::from(""),
            namespace => slot(namespace, ""),
        };
        self.objects
            .range(Arc::clone(&first)..)
            .take_while(move |(slot, _)| slot.starts_with(&*first))
    }
    /// The objects with this controller; an empty uid asks for those without. None where only metadata is kept.
    pub fn controlled_by(&self, uid: &str) -> Vec<Arc<Object>> {
        self.indexed(self.by_controller.get(uid))
    }
    /// The objects on this node; an empty name asks for pods without one. None where only metadata is kept.
    pub fn on_node(&self, node: &str) -> Vec<Arc<Object>> {
        self.indexed(self.by_node.get(node))
    }
    /// Lets go of what stayed decoded.
    pub(crate) fn forget_decoded(&self) {
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        *decoded = Decoded::default();
    }
    /// Every object, packed.
    pub(crate) fn packed(&self) -> Vec<Packed> {
        self.objects.values().cloned().collect()
    }

    fn indexed(&self, slots: Option<&BTreeSet<Slot>>) -> Vec<Arc<Object>> {
        let slots = slots.into_iter().flatten();
        slots
            .filter_map(|slot| Some(self.read(slot, self.objects.get(slot)?)))
            .collect()
    }

    /// An object that is there, decoded.
    fn read(&self, slot: &Slot, packed: &Packed) -> Arc<Object> {
        let mut decoded = self.decoded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = decoded.objects.get(slot) {
            return Arc::clone(object);
        }
        let object = packed.decode(&self.resource);
        let at_most = match self.detail {
            Detail::Whole => DECODED_MAX,
            Detail::Metadata => DECODED_METADATA_MAX,
        };
        decoded.keep(slot, &object, at_most);
        object
    }

    /// Puts an object in its place; `None` when it is the version that is there.
    pub(crate) fn apply(&mut self, object: Packed) -> Option<PackedChange> {
        let slot = object.slot();
        if let Some(known) = self.objects.get(&slot)
            && known.is_same_version(&object)
        {
            return None;
        }
        let taken = self.take(&slot);
        // One string is shared by all that hold it.
        let slot = taken.as_ref().map_or(slot, |(slot, _)| Arc::clone(slot));
        if self.detail == Detail::Whole {
            let of_controller = self.by_controller.entry(object.controller()).or_default();
            of_controller.insert(Arc::clone(&slot));
            if let Some(node) = object.node(&self.resource) {
                let on_node = self.by_node.entry(node).or_default();
                on_node.insert(Arc::clone(&slot));
            }
        }
        if self.resource.kind == HEARTBEAT {
            self.came.insert(Arc::clone(&slot), Instant::now());
        }
        self.objects.insert(slot, object.clone());
        Some(PackedChange {
            old: taken.map(|(_, old)| old),
            new: Some(object),
        })
    }

    /// Takes an object out; `None` when it was not there.
    pub(crate) fn delete(&mut self, slot: &Slot) -> Option<PackedChange> {
        let (_, old) = self.take(slot)?;
        Some(PackedChange {
            old: Some(old),
            new: None,
        })
    }

    /// Replaces everything; returns what that changes.
    pub(crate) fn replace(&mut self, objects: BTreeMap<Slot, Packed>) -> Vec<PackedChange> {
        let known = self.objects.keys();
        let gone: Vec<Slot> = known
            .filter(|slot| !objects.contains_key(*slot))
            .cloned()
            .collect();
        let mut changes: Vec<_> = gone.iter().filter_map(|slot| self.delete(slot)).collect();
        changes.extend(
            objects
                .into_values()
                .filter_map(|object| self.apply(object)),
        );
        changes
    }

    fn take(&mut self, slot: &Slot) -> Option<(Slot, Packed)> {
        let (slot, old) = self.objects.remove_entry(slot)?;
        self.came.remove(&slot);
        unindex(&mut self.by_controller, &old.controller(), &slot);
        if let Some(node) = old.node(&self.resource) {
            unindex(&mut self.by_node, &node, &slot);
        }
        let decoded = self.decoded.get_mut();
        decoded
            .unwrap_or_else(PoisonError::into_inner)
            .objects
            .remove(&slot);
        Some((slot, old))
    }
}

impl Decoded {
    /// Keeps an object, and forgets the first ones past the bound.
    fn keep(&mut self, slot: &Slot, object: &Arc<Object>, at_most: usize) {
        if self
            .objects
            .insert(Arc::clone(slot), Arc::clone(object))
            .is_none()
        {
            self.order.push_back(Arc::clone(slot));
        }
        while self.order.len() > at_most {
            if let Some(first) = self.order.pop_front() {
                self.objects.remove(&first);
            }
        }
    }
}

fn unindex(index: &mut BTreeMap<String, BTreeSet<Slot>>, value: &str, slot: &Slot) {
    if let Some(slots) = index.get_mut(value) {
        slots.remove(slot);
        if slots.is_empty() {
            index.remove(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PODS: Resource = Resource::namespaced("", "v1", "Pod", "pods");

    fn pods() -> Cache {
        Cache::new(PODS, Detail::Whole)
    }

    fn pod(name: &str, version: &str, node: &str, controller: &str) -> Packed {
        let pod = json!({
            "kind": "Pod",
            "metadata": {
                "namespace": "default", "name": name, "resourceVersion": version,
                "ownerReferences": [{ "controller": true, "uid": controller }],
                "managedFields": [{ "manager": "test" }],
            },
            "spec": { "nodeName": node },
        });
        Packed::new(pod.to_string().as_bytes(), Detail::Whole)
    }

    #[test]
    fn indexes_follow_changes() {
        let mut cache = pods();
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
        cache.delete(&slot("default", "a"));
        assert!(cache.by_controller.is_empty() && cache.by_node.is_empty() && cache.is_empty());
    }

    #[test]
    fn the_same_version_is_no_change() {
        let mut cache = pods();
        assert!(cache.apply(pod("a", "1", "", "x")).is_some());
        assert!(cache.apply(pod("a", "1", "", "x")).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn a_heartbeat_ages_until_the_next_one() {
        const LEASES: Resource =
            Resource::namespaced("coordination.k8s.io", "v1", "Lease", "leases");
        let mut cache = Cache::new(LEASES, Detail::Whole);
        let key = Key::new("default", "a");
        cache.apply(pod("a", "1", "", ""));
        tokio::time::advance(Duration::from_secs(7)).await;
        let same = pod("a", "1", "", "");
        cache.replace(BTreeMap::from([(same.slot(), same)]));
        assert_eq!(cache.unchanged_for(&key), Some(Duration::from_secs(7)));
        cache.apply(pod("a", "2", "", ""));
        assert_eq!(cache.unchanged_for(&key), Some(Duration::ZERO));
        cache.delete(&slot("default", "a"));
        assert_eq!(cache.unchanged_for(&key), None);
    }

    #[test]
    fn replacing_tells_what_went_and_what_came() {
        let mut cache = pods();
        cache.apply(pod("a", "1", "", "x"));
        cache.apply(pod("b", "2", "", "x"));
        let now = [pod("b", "2", "", "x"), pod("c", "3", "", "x")];
        let changes = cache.replace(now.into_iter().map(|pod| (pod.slot(), pod)).collect());
        let names: Vec<_> = changes
            .iter()
            .map(|change| change.decode(&PODS))
            .map(|change| {
                let name = |object: Option<Arc<Object>>| object.map(|o| o.name().to_owned());
                (name(change.old), name(change.new))
            })
            .collect();
        let name = |name: &str| Some(name.to_owned());
        assert_eq!(names, [(name("a"), None), (None, name("c"))]);
    }

    #[test]
    fn a_namespace_is_a_range() {
        let mut cache = pods();
        cache.apply(pod("a", "1", "", "x"));
        assert_eq!(cache.list("default").len(), 1);
        assert_eq!(cache.list("defaul").len(), 0);
        assert_eq!(cache.list("").len(), 1);
    }

    #[test]
    fn what_is_read_is_whole_but_for_managed_fields() {
        let mut cache = pods();
        cache.apply(pod("a", "1", "n", "x"));
        let read = cache.get(&Key::new("default", "a")).unwrap();
        assert_eq!((read.kind(), read.api_version()), ("Pod", "v1"));
        assert_eq!(read.str_at(&["spec", "nodeName"]), Some("n"));
        assert!(read.at(&["metadata", "managedFields"]).is_none());
        cache.apply(pod("a", "2", "m", "x"));
        let read = cache.get(&Key::new("default", "a")).unwrap();
        assert_eq!(
            read.str_at(&["spec", "nodeName"]),
            Some("m"),
            "not the old one"
        );
    }

    #[test]
    fn few_objects_stay_decoded() {
        let mut cache = Cache::new(PODS, Detail::Metadata);
        for index in 0..2 * DECODED_METADATA_MAX {
            cache.apply(pod(&format!("pod-{index}"), "1", "", "x"));
        }
        for _ in 0..2 {
            assert_eq!(cache.list("").len(), 2 * DECODED_METADATA_MAX);
            let decoded = cache.decoded.lock().unwrap();
            assert_eq!(decoded.objects.len(), DECODED_METADATA_MAX);
            assert_eq!(decoded.order.len(), DECODED_METADATA_MAX);
        }
    }
}
