//! What is derived from stored objects for every request: the RBAC policy and the flow schemas. Each is kept until an
//! object of its API group is written.

use std::sync::{Arc, Mutex, PoisonError};

use access::Policy;
use access::flow::{Flow, Flows};
use access::rbac::Objects;
use http::HeaderValue;
use kinds::strategy::Lookup;

use crate::cluster::Cluster;

const RBAC: &str = ".rbac.authorization.k8s.io";
const FLOW_CONTROL: &str = ".flowcontrol.apiserver.k8s.io";

/// Whether something kept here is derived from objects of this resource.
pub(crate) fn is_basis(resource: &str) -> bool {
    resource.ends_with(RBAC) || resource.ends_with(FLOW_CONTROL)
}

/// Keeps both.
#[derive(Default)]
pub(crate) struct PolicyCache {
    policy: Kept<Policy>,
    flows: Kept<MarkedFlows>,
}

/// A value that is derived again when it is asked for after it was dropped.
struct Kept<T>(Mutex<Option<Arc<T>>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    fn get(&self, derive: impl FnOnce() -> T) -> Arc<T> {
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(current.get_or_insert_with(|| Arc::new(derive())))
    }
    fn drop(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl PolicyCache {
    /// The policy as of the last committed write.
    pub(crate) fn get(&self, cluster: &Cluster<'_>) -> Arc<Policy> {
        self.policy.get(|| read(cluster))
    }

    /// The flow schemas as of the last committed write.
    pub(crate) fn flows(&self, cluster: &Cluster<'_>) -> Arc<MarkedFlows> {
        self.flows.get(|| MarkedFlows::read(cluster))
    }

    /// To be called after every commit.
    pub(crate) fn committed(&self, resource: &str) {
        if resource.ends_with(RBAC) {
            self.policy.drop();
        }
        if resource.ends_with(FLOW_CONTROL) {
            self.flows.drop();
        }
    }
}

fn read(cluster: &Cluster<'_>) -> Policy {
    let all = |plural: &str| cluster.list(&format!("{plural}{RBAC}"), "");
    Policy::read(&Objects {
        cluster_roles: &all("clusterroles"),
        cluster_role_bindings: &all("clusterrolebindings"),
        roles: &all("roles"),
        role_bindings: &all("rolebindings"),
    })
}

/// The flow schemas, and the headers that name each.
pub(crate) struct MarkedFlows {
    flows: Flows,
    marks: Vec<FlowMark>,
}

/// The uids of the FlowSchema and the priority level that a request falls under, as headers of its answer.
#[derive(Clone)]
pub(crate) struct FlowMark {
    pub(crate) schema: HeaderValue,
    pub(crate) level: HeaderValue,
}

impl MarkedFlows {
    fn read(cluster: &Cluster<'_>) -> Self {
        let all = |plural: &str| cluster.list(&format!("{plural}{FLOW_CONTROL}"), "");
        let flows = Flows::read(&all("flowschemas"), &all("prioritylevelconfigurations"));
        let marks = flows.all().iter().map(FlowMark::new).collect();
        Self { flows, marks }
    }

    /// What names the flow that a request falls under; `None` for one that falls under none.
    pub(crate) fn mark(&self, request: &access::Attributes) -> Option<FlowMark> {
        let mark = self.marks.get(self.flows.find(request));
        // A schema that is there although there is no such object has no uid.
        mark.filter(|mark| !mark.schema.is_empty()).cloned()
    }
}

impl FlowMark {
    fn new(flow: &Flow) -> Self {
        // What is no text for a header is no uid that the server gave.
        let value = |uid: &str| HeaderValue::from_str(uid).unwrap_or(HeaderValue::from_static(""));
        Self {
            schema: value(&flow.schema_uid),
            level: value(&flow.level_uid),
        }
    }
}
