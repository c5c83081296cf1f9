//! A cluster made of a few objects, for this crate's tests.

use std::sync::Arc;

use kinds::strategy::{Lookup, Operation, User};
use meta::{GroupResource, Object, ObjectExt};

use crate::Policy;
use crate::admission::Request;
use crate::node::PodsByNode;

/// A creation of an object, at a fixed time.
pub(crate) fn request<'a>(
    user: &'a User,
    group: &str,
    resource: &str,
    object: Object,
) -> Request<'a> {
    Request {
        user,
        operation: Operation::Create,
        resource: GroupResource::new(group, resource),
        version: "v1".into(),
        kind: object.kind().to_owned(),
        subresource: String::new(),
        namespace: object.namespace().into(),
        name: object.name().into(),
        object: Some(object),
        old: None,
        dry_run: false,
        policy: Arc::new(Policy::default()),
        now: jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(500_000),
        prefix: String::new(),
        suffix: "abcde".into(),
        warnings: Vec::new(),
    }
}

pub(crate) struct Cluster(Vec<(String, Arc<Object>)>);

impl Cluster {
    pub(crate) fn of<const N: usize>(objects: [(&str, Object); N]) -> Self {
        Self(
            objects
                .into_iter()
                .map(|(resource, object)| (resource.to_owned(), Arc::new(object)))
                .collect(),
        )
    }
}

impl PodsByNode for Cluster {
    fn pods_on(&self, node: &str) -> Vec<Arc<Object>> {
        let mut pods = self.list("pods", "");
        pods.retain(|pod| pod.str_at(&["spec", "nodeName"]) == Some(node));
        pods
    }
}

impl Lookup for Cluster {
    fn get(&self, resource: &str, namespace: &str, name: &str) -> Option<Arc<Object>> {
        let found = self.0.iter().find(|(known, object)| {
            known == resource && object.namespace() == namespace && object.name() == name
        });
        found.map(|(_, object)| Arc::clone(object))
    }
    fn list(&self, resource: &str, namespace: &str) -> Vec<Arc<Object>> {
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
