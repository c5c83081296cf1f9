//! A cluster made of a few objects, for this crate's tests.

use kinds::strategy::Lookup;
use meta::{Object, ObjectExt};

pub(crate) struct Cluster(Vec<(String, Object)>);

impl Cluster {
    pub(crate) fn of<const N: usize>(objects: [(&str, Object); N]) -> Self {
        Self(
            objects
                .into_iter()
                .map(|(resource, object)| (resource.to_owned(), object))
                .collect(),
        )
    }
}

impl Lookup for Cluster {
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Object> {
        let found = self.0.iter().find(|(known, object)| {
            known == resource && object.namespace() == namespace && object.name() == name
        });
        found.map(|(_, object)| object.clone())
    }
    fn list(&self, resource: &str, namespace: &str) -> Vec<Object> {
        let of_resource = self
            .0
            .iter()
            .filter(|(known, _)| known == resource)
            .map(|(_, object)| object);
        of_resource
            .filter(|object| namespace.is_empty() || object.namespace() == namespace)
            .cloned()
            .collect()
    }
}
