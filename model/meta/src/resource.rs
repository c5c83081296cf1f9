//! A served resource with everything a client needs to address it and to name its objects.

use std::borrow::Cow;

use crate::id::{GroupResource, Gvk, Gvr, api_version};

/// One version of one resource: where it is served and what its objects are called.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Resource {
    /// API group; empty for the core group.
    pub group: Cow<'static, str>,
    /// Plural resource name, such as `deployments`.
    pub plural: Cow<'static, str>,
    /// API version, such as `v1`.
    pub version: Cow<'static, str>,
    /// Kind of its objects, such as `Deployment`.
    pub kind: Cow<'static, str>,
    /// Whether its objects live in namespaces.
    pub is_namespaced: bool,
}

impl Resource {
    /// A namespaced resource that is known when the program is built.
    pub const fn namespaced(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            plural: Cow::Borrowed(plural),
            version: Cow::Borrowed(version),
            kind: Cow::Borrowed(kind),
            is_namespaced: true,
        }
    }

    /// A cluster-scoped resource that is known when the program is built.
    pub const fn cluster(
        group: &'static str,
        version: &'static str,
        kind: &'static str,
        plural: &'static str,
    ) -> Self {
        Self {
            group: Cow::Borrowed(group),
            plural: Cow::Borrowed(plural),
            version: Cow::Borrowed(version),
            kind: Cow::Borrowed(kind),
            is_namespaced: false,
        }
    }

    /// The `apiVersion` of its objects.
    pub fn api_version(&self) -> String {
        api_version(&self.group, &self.version)
    }

    /// Group, version and kind of its objects.
    pub fn gvk(&self) -> Gvk {
        Gvk::new(&self.group, &self.version, &self.kind)
    }

    /// Group, version and plural.
    pub fn gvr(&self) -> Gvr {
        Gvr::new(&self.group, &self.version, &self.plural)
    }

    /// Group and plural.
    pub fn group_resource(&self) -> GroupResource {
        GroupResource::new(&self.group, &self.plural)
    }
}
