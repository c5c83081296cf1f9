//! The RBAC policy, read from the store and kept until a role or binding is written.

use std::sync::{Arc, Mutex, PoisonError};

use access::Policy;
use access::rbac::Objects;
use kinds::strategy::Lookup;

use crate::cluster::Cluster;

const GROUP: &str = ".rbac.authorization.k8s.io";

/// Keeps the policy.
#[derive(Default)]
pub(crate) struct PolicyCache {
    current: Mutex<Option<Arc<Policy>>>,
}

impl PolicyCache {
    /// The policy as of the last committed write.
    pub(crate) fn get(&self, cluster: &Cluster<'_>) -> Arc<Policy> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(current.get_or_insert_with(|| Arc::new(read(cluster))))
    }

    /// To be called after every commit.
    pub(crate) fn committed(&self, resource: &str) {
        if resource.ends_with(GROUP) {
            *self.current.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

fn read(cluster: &Cluster<'_>) -> Policy {
    let all = |plural: &str| cluster.list(&format!("{plural}{GROUP}"), "");
    Policy::read(&Objects {
        cluster_roles: &all("clusterroles"),
        cluster_role_bindings: &all("clusterrolebindings"),
        roles: &all("roles"),
        role_bindings: &all("rolebindings"),
    })
}
