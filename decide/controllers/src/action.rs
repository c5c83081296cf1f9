//! Everything a decision may ask for, as data.

use std::sync::Arc;

use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Map, Value, json};

/// One write to the API, or one event. The driver performs them in order and stops at the first that fails.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Creates an object. Neighbouring creates go out in slow-start batches.
    Create {
        /// What it is.
        resource: Resource,
        /// The object; `generateName` is welcome.
        object: Object,
        /// What to say about it; `None` says nothing.
        report: Option<Report>,
    },
    /// Sends a JSON merge patch. Preconditions stand in `metadata.uid` and `metadata.resourceVersion` of the patch.
    Patch {
        /// What it is.
        resource: Resource,
        /// Where it is.
        key: Key,
        /// The subresource to send it to; `None` is the object itself.
        subresource: Option<&'static str>,
        /// The patch.
        patch: Value,
    },
    /// Deletes an object. One that is gone already counts as deleted.
    Delete {
        /// What it is.
        resource: Resource,
        /// Where it is.
        key: Key,
        /// The uid it must have; empty asks nothing.
        uid: String,
        /// The version it must have; `None` asks nothing.
        resource_version: Option<String>,
        /// Seconds of grace; `None` leaves it to the object.
        grace_seconds: Option<i64>,
        /// What happens to its dependents; `None` leaves it to the kind.
        propagation: Option<Propagation>,
        /// What to say about it; `None` says nothing.
        report: Option<Report>,
    },
    /// Records an event.
    Event(Event),
}

/// What happens to the dependents of a deleted object. Source: `metav1.DeletionPropagation`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted after it.
    Background,
    /// They are deleted before it.
    Foreground,
    /// They stay and lose their owner.
    Orphan,
}

impl Propagation {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Background => "Background",
            Self::Foreground => "Foreground",
            Self::Orphan => "Orphan",
        }
    }
}

/// What an event or an owner reference points at.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// `apiVersion`.
    pub api_version: String,
    /// `kind`.
    pub kind: String,
    /// Namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// Version of the object when the event was decided.
    pub resource_version: String,
}

impl Reference {
    /// A reference to an object of a resource.
    pub fn new(resource: &Resource, object: &Object) -> Self {
        Self {
            api_version: resource.api_version(),
            kind: resource.kind.to_string(),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            uid: object.uid().to_owned(),
            resource_version: object.resource_version().to_owned(),
        }
    }
}

/// An event to record, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it is about.
    pub regarding: Reference,
    /// Whether it is a warning.
    pub is_warning: bool,
    /// One word.
    pub reason: &'static str,
    /// A sentence.
    pub message: String,
}

impl Event {
    /// Something went as it should.
    pub fn normal(regarding: Reference, reason: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            regarding,
            is_warning: false,
            reason,
            message,
        }
    }
    /// Something a person may want to look at.
    pub fn warning(regarding: Reference, reason: &'static str, message: impl Into<String>) -> Self {
        Self {
            is_warning: true,
            ..Self::normal(regarding, reason, message)
        }
    }
}

/// What to say on the owner when a create or a delete went well or failed. `{}` stands for the object's name, or
/// for the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// What the event is about.
    pub regarding: Reference,
    /// Reason and message when it went well.
    pub done: (&'static str, String),
    /// Reason and message when it failed.
    pub failed: (&'static str, String),
}

impl Report {
    /// Upstream's words for a pod that was created. Source: `controller_utils.go`.
    pub fn pod_created(regarding: Reference) -> Self {
        Self {
            regarding,
            done: ("SuccessfulCreate", "Created pod: {}".to_owned()),
            failed: ("FailedCreate", "Error creating: {}".to_owned()),
        }
    }
    /// Upstream's words for a pod that was deleted. Source: `controller_utils.go`.
    pub fn pod_deleted(regarding: Reference) -> Self {
        Self {
            regarding,
            done: ("SuccessfulDelete", "Deleted pod: {}".to_owned()),
            failed: ("FailedDelete", "Error deleting: {}".to_owned()),
        }
    }
    /// The event after success.
    pub fn done(&self, name: &str) -> Event {
        let message = self.done.1.replace("{}", name);
        Event::normal(self.regarding.clone(), self.done.0, message)
    }
    /// The event after a failure.
    pub fn failed(&self, error: &str) -> Event {
        let message = self.failed.1.replace("{}", error);
        Event::warning(self.regarding.clone(), self.failed.0, message)
    }
}

/// What an edited object asks for: a patch that fails when the object has changed since. `None`: nothing differs.
pub fn update(resource: &Resource, old: &Object, new: &Object) -> Option<Action> {
    update_at(resource, None, old, new)
}

/// As [`update`], to a subresource.
pub fn update_at(
    resource: &Resource,
    subresource: Option<&'static str>,
    old: &Object,
    new: &Object,
) -> Option<Action> {
    let mut patch = merge_diff(old, new)?;
    require(&mut patch, old);
    Some(Action::Patch {
        resource: resource.clone(),
        key: old.key(),
        subresource,
        patch,
    })
}

/// A status write: `status` replaces the object's. `None`: nothing differs.
pub fn update_status(resource: &Resource, old: &Object, status: &Value) -> Option<Action> {
    let nothing = Value::Object(Map::new());
    let diff = merge_diff(old.get("status").unwrap_or(&nothing), status)?;
    let mut patch = json!({ "status": diff });
    require(&mut patch, old);
    Some(Action::Patch {
        resource: resource.clone(),
        key: old.key(),
        subresource: Some("status"),
        patch,
    })
}

/// Deletes what was seen, and nothing that took its name since.
pub fn delete(resource: &Resource, object: &Object) -> Action {
    Action::Delete {
        resource: resource.clone(),
        key: object.key(),
        uid: object.uid().to_owned(),
        resource_version: None,
        grace_seconds: None,
        propagation: None,
        report: None,
    }
}

/// An owner reference that marks `owner` as the controller. Source: `metav1.NewControllerRef`.
pub fn controller_reference(resource: &Resource, owner: &Object) -> Value {
    json!({
        "apiVersion": resource.api_version(), "kind": resource.kind, "name": owner.name(), "uid": owner.uid(),
        "controller": true, "blockOwnerDeletion": true,
    })
}

fn require(patch: &mut Value, seen: &Object) {
    let metadata = patch.metadata_mut();
    if !seen.uid().is_empty() {
        metadata.insert("uid".to_owned(), seen.uid().into());
    }
    if !seen.resource_version().is_empty() {
        metadata.insert("resourceVersion".to_owned(), seen.resource_version().into());
    }
}

/// The merge patch that makes `old` into `new`; `None` when they are equal.
pub fn merge_diff(old: &Value, new: &Value) -> Option<Value> {
    let (Value::Object(old_map), Value::Object(new_map)) = (old, new) else {
        return (old != new).then(|| new.clone());
    };
    let mut patch = Map::new();
    for (field, value) in new_map {
        match old_map.get(field) {
            None if value.is_null() => {}
            None => {
                patch.insert(field.clone(), value.clone());
            }
            Some(before) => {
                if let Some(diff) = merge_diff(before, value) {
                    patch.insert(field.clone(), diff);
                }
            }
        }
    }
    for field in old_map.keys().filter(|field| !new_map.contains_key(*field)) {
        patch.insert(field.clone(), Value::Null);
    }
    (!patch.is_empty()).then_some(Value::Object(patch))
}

/// A shared object, edited.
pub fn edited(object: &Arc<Object>, edit: impl FnOnce(&mut Object)) -> Object {
    let mut copy = Object::clone(object);
    edit(&mut copy);
    copy
}
