//! What is derived from stored objects for every request: the RBAC policy, and the flow schemas with their priority
//! levels. Each is kept until an object of its API group is written.

use std::sync::{Arc, Mutex, PoisonError};

use access::Policy;
use access::flow::level::Configuration;
use access::flow::{Flow, Flows};
use access::rbac::Objects;
use http::HeaderValue;
use kinds::strategy::Lookup;

use crate::cluster::Cluster;
use crate::flow_control::{Asking, FlowControl, What};
use crate::metrics;

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

    /// The flow schemas as of the last committed write; their levels then hold.
    pub(crate) fn flows(
        &self,
        cluster: &Cluster<'_>,
        control: &FlowControl,
        metrics: &metrics::FlowControl,
    ) -> Arc<MarkedFlows> {
        self.flows
            .get(|| MarkedFlows::read(cluster, control, metrics))
    }

    /// To be called after every commit. Answers whether the flow schemas have to be derived again.
    pub(crate) fn committed(&self, resource: &str) -> bool {
        if resource.ends_with(RBAC) {
            self.policy.drop();
        }
        let is_flow = resource.ends_with(FLOW_CONTROL);
        if is_flow {
            self.flows.drop();
        }
        is_flow
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

/// The flow schemas, and what belongs to each.
pub(crate) struct MarkedFlows {
    flows: Flows,
    marks: Vec<Option<Marked>>,
}

/// What belongs to a flow schema.
struct Marked {
    asking: Asking,
    /// `None` for one that is there although there is no such object.
    mark: Option<FlowMark>,
}

/// The uids of the FlowSchema and the priority level that a request falls under, as headers of its answer.
#[derive(Clone)]
pub(crate) struct FlowMark {
    pub(crate) schema: HeaderValue,
    pub(crate) level: HeaderValue,
}

/// Under which flow schema a request falls.
pub(crate) struct Found<'a> {
    pub(crate) flow: &'a Flow,
    pub(crate) asking: &'a Asking,
    pub(crate) mark: Option<&'a FlowMark>,
}

impl MarkedFlows {
    fn read(cluster: &Cluster<'_>, control: &FlowControl, metrics: &metrics::FlowControl) -> Self {
        let all = |plural: &str| cluster.list(&format!("{plural}{FLOW_CONTROL}"), "");
        let levels = all("prioritylevelconfigurations");
        let flows = Flows::read(&all("flowschemas"), &levels);
        let levels = levels.iter().filter_map(|level| Configuration::read(level));
        let levels = control.configure(levels.collect());
        let marked = |flow: &Flow| {
            Some(Marked {
                asking: Asking {
                    level: *levels.get(&flow.level)?,
                    meter: Arc::new(metrics.meter(&flow.schema, &flow.level)),
                    what: What::Read,
                },
                mark: FlowMark::new(flow),
            })
        };
        let marks = flows.all().iter().map(marked).collect();
        Self { flows, marks }
    }

    /// Under which one a request falls. Each has a level, for a schema without one is none.
    pub(crate) fn find(&self, request: &access::Attributes) -> Option<Found<'_>> {
        let at = self.flows.find(request);
        let (flow, marked) = (self.flows.all().get(at)?, self.marks.get(at)?.as_ref()?);
        Some(Found {
            flow,
            asking: &marked.asking,
            mark: marked.mark.as_ref(),
        })
    }
}

impl FlowMark {
    fn new(flow: &Flow) -> Option<Self> {
        if flow.schema_uid.is_empty() {
            return None;
        }
        // What is no text for a header is no uid that the server gave.
        let value = |uid: &str| HeaderValue::from_str(uid).unwrap_or(HeaderValue::from_static(""));
        Some(Self {
            schema: value(&flow.schema_uid),
            level: value(&flow.level_uid),
        })
    }
}
