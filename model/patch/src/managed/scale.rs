//! Ownership seen through the `scale` subresource: the one field it has, mapped to where the parent keeps it.

use serde_json::Value;

use super::element::Element;
use super::entries::{ManagerId, Managers, Owned, decode, encode};
use super::set::FieldSet;

const SCALE_API_VERSION: &str = "autoscaling/v1";

/// Where a kind keeps its count.
#[derive(Clone, Copy, Debug)]
pub struct Replicas<'a> {
    /// API version of the parent; entries of other versions are left out, as upstream does.
    pub api_version: &'a str,
    /// Field names from the parent's root to the desired count.
    pub path: &'a [String],
}

impl Replicas<'_> {
    fn elements(&self) -> Vec<Element> {
        self.path.iter().map(Element::field).collect()
    }
}

fn in_scale() -> Vec<Element> {
    vec![Element::field("spec"), Element::field("replicas")]
}

fn read(entries: &[Value]) -> Managers {
    decode(entries).unwrap_or_default()
}

/// The managed fields that a Scale shows, from those of its parent.
pub fn scale_fields(parent: &[Value], replicas: Replicas<'_>) -> Value {
    let path = replicas.elements();
    let owners = read(parent)
        .into_iter()
        .filter(|(_, owned)| owned.api_version == replicas.api_version && owned.set.has(&path));
    let managers: Managers = owners
        .map(|(id, owned)| {
            let set = FieldSet::of([in_scale().as_slice()]);
            let api_version = SCALE_API_VERSION.to_owned();
            (
                id,
                Owned {
                    set,
                    api_version,
                    time: owned.time,
                },
            )
        })
        .collect();
    encode(&managers)
}

/// The parent's managed fields after a write through `scale` left the Scale with these.
pub fn parent_fields(parent: &[Value], scale: &[Value], replicas: Replicas<'_>) -> Value {
    let path = replicas.elements();
    let here = FieldSet::of([path.as_slice()]);
    // DIFFERS: an updater's entry that went through the Scale is recognised again. Upstream compares API versions that
    // differ by then, and splits the parent's entry in two that have one identity.
    let mut scale: Managers = read(scale)
        .into_iter()
        .map(|(id, owned)| {
            let id = ManagerId::new(
                &id.name,
                id.operation,
                replicas.api_version,
                &id.subresource,
            );
            (id, owned)
        })
        .collect();
    let parent = read(parent);
    let mut managers = Managers::new();
    let of_version = parent
        .iter()
        .filter(|(_, owned)| owned.api_version == replicas.api_version);
    for (id, owned) in of_version {
        let set = if !owned.set.has(&path) || scale.remove(id).is_some() {
            owned.set.clone()
        } else {
            owned.set.clone().difference(&here)
        };
        if !set.is_empty() {
            let owned = owned.clone();
            managers.insert(id.clone(), Owned { set, ..owned });
        }
    }
    for (id, owned) in scale {
        if owned.set.has(&in_scale()) {
            let time = parent.get(&id).and_then(|owned| owned.time.clone());
            let api_version = replicas.api_version.to_owned();
            let set = here.clone();
            managers.insert(
                id,
                Owned {
                    set,
                    api_version,
                    time,
                },
            );
        }
    }
    encode(&managers)
}
