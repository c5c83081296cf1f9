//! Who depends on whom, among everything that is followed.

use std::collections::{BTreeMap, BTreeSet};

use meta::{Key, Object, ObjectExt, Resource};
use serde_json::Value;

use super::{FOREGROUND, ORPHAN, Subject};

/// The dependents of each owner, by the owner's uid.
#[derive(Debug, Default)]
pub struct Graph {
    dependents: BTreeMap<String, BTreeSet<Subject>>,
    /// The resource of each kind, by group and kind.
    kinds: BTreeMap<(String, String), Resource>,
    /// Namespaces of objects that own something, by uid.
    homes: BTreeMap<String, String>,
    /// Every served group and version, as references write them.
    versions: BTreeSet<String>,
}

impl Graph {
    /// Notes that objects of a resource are followed, so that owners of its kind can be found.
    pub fn follow(&mut self, resource: &Resource) {
        let kind = (resource.group.to_string(), resource.kind.to_string());
        self.kinds.insert(kind, resource.clone());
    }
    /// Notes which versions of which groups are served.
    pub fn serve(&mut self, versions: BTreeSet<String>) {
        self.versions = versions;
    }
    /// Notes that objects of a resource are followed no more.
    pub fn unfollow(&mut self, resource: &Resource) {
        self.kinds
            .remove(&(resource.group.to_string(), resource.kind.to_string()));
    }
    /// The objects that name an owner.
    pub fn dependents(&self, uid: &str) -> impl Iterator<Item = &Subject> {
        self.dependents.get(uid).into_iter().flatten()
    }
    /// Where an owner must be if it is anywhere; `None` when its kind is not followed, or not served in the version that
    /// is named.
    pub fn owner(&self, object: &Object, reference: &Value) -> Option<Subject> {
        let version = reference.str_at(&["apiVersion"])?;
        if !self.versions.contains(version) {
            return None;
        }
        let (group, _) = meta::id::split_api_version(version)?;
        let kind = (group.to_owned(), reference.str_at(&["kind"])?.to_owned());
        let resource = self.kinds.get(&kind)?;
        let namespace = if resource.is_namespaced {
            object.namespace()
        } else {
            ""
        };
        let key = Key::new(namespace, reference.str_at(&["name"])?);
        Some(Subject {
            resource: resource.clone(),
            key,
        })
    }
    /// Whether an owner is known to live in another namespace.
    pub(super) fn is_elsewhere(&self, uid: &str, namespace: &str) -> bool {
        self.homes.get(uid).is_some_and(|home| home != namespace)
    }

    /// Takes note of a change; returns what to decide anew.
    pub fn see(
        &mut self,
        resource: &Resource,
        old: Option<&Object>,
        new: Option<&Object>,
    ) -> BTreeSet<Subject> {
        let mut anew = BTreeSet::new();
        let Some(any) = new.or(old) else {
            return anew;
        };
        let subject = Subject {
            resource: resource.clone(),
            key: any.key(),
        };
        let owners = |object: Option<&Object>| -> Vec<Value> {
            object
                .map(|object| object.owner_references().to_vec())
                .unwrap_or_default()
        };
        let (before, after) = (owners(old), owners(new));
        if before != after {
            self.unlink(&before, &subject);
            self.link(&after, &subject);
            if let Some(old) = old {
                anew.extend(
                    before
                        .iter()
                        .filter_map(|reference| self.owner(old, reference)),
                );
            }
        }
        if before != after || (old.is_none() && !after.is_empty()) {
            anew.insert(subject.clone());
        }
        match new {
            None => {
                self.homes.remove(any.uid());
                anew.extend(self.dependents(any.uid()).cloned());
                anew.remove(&subject);
            }
            Some(new) => {
                if resource.is_namespaced && self.dependents.contains_key(new.uid()) {
                    self.homes
                        .insert(new.uid().to_owned(), new.namespace().to_owned());
                }
                let began = new.deletion_timestamp().is_some()
                    && old.is_none_or(|old| old.deletion_timestamp().is_none());
                let held = [ORPHAN, FOREGROUND];
                if began
                    && new
                        .finalizers()
                        .iter()
                        .any(|finalizer| held.contains(finalizer))
                {
                    anew.extend(self.dependents(new.uid()).cloned());
                    anew.insert(subject);
                }
            }
        }
        anew
    }

    fn link(&mut self, owners: &[Value], subject: &Subject) {
        for uid in owners.iter().filter_map(|owner| owner.str_at(&["uid"])) {
            self.dependents
                .entry(uid.to_owned())
                .or_default()
                .insert(subject.clone());
        }
    }
    fn unlink(&mut self, owners: &[Value], subject: &Subject) {
        for uid in owners.iter().filter_map(|owner| owner.str_at(&["uid"])) {
            if let Some(dependents) = self.dependents.get_mut(uid) {
                dependents.remove(subject);
                if dependents.is_empty() {
                    self.dependents.remove(uid);
                }
            }
        }
    }
}
