//! The Node object: made at the start, its status kept true, its lease renewed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::api::core::v1::{Node, NodeStatus};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta, OwnerReference};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use node::events::{self, Event};
use node::node_status::{self, Image};
use serde_json::json;
use tokio::sync::watch;
use tracing::{debug, warn};

use crate::agent::{Agent, now};
use crate::machine::architecture;

/// How often the lease is renewed.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`: a quarter of the duration.
const LEASE_EVERY: Duration = Duration::from_secs(10);
/// How long a lease holds, in seconds.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`, `nodeLeaseDurationSeconds`.
const LEASE_SECONDS: i32 = 40;
/// Where leases of nodes are.
const LEASE_NAMESPACE: &str = "kube-node-lease";
/// How often the status is written though nothing changed.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`, `nodeStatusReportFrequency`.
const REPORT_EVERY: Duration = Duration::from_mins(5);
/// How often a runtime that is ready is asked whether it still is.
const HEALTH_EVERY: Duration = Duration::from_secs(10);
/// How often one that is not ready is asked.
const HEALTH_EVERY_WHILE_DOWN: Duration = Duration::from_millis(500);
/// How long the runtime may take to answer for the first time before it counts as down.
const FIRST_ANSWER_MAX: Duration = Duration::from_secs(5);
/// Wait before a failed write is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Whether the runtime can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RuntimeHealth {
    /// Name of the runtime.
    pub(crate) name: String,
    /// Name and version, as `containerd://1.6.20`.
    pub(crate) version: String,
    /// Why it cannot run containers.
    pub(crate) error: Option<String>,
    /// Why it cannot give containers a network.
    pub(crate) network_error: Option<String>,
}

impl RuntimeHealth {
    /// Before the runtime was asked.
    pub(crate) fn unknown() -> Self {
        Self {
            error: Some("runtime status check may not have completed yet".to_owned()),
            network_error: Some("runtime status check may not have completed yet".to_owned()),
            ..Self::default()
        }
    }
}

/// Asks the runtime for its health, seldom while it is well.
pub(crate) async fn watch_runtime(agent: Arc<Agent>) {
    loop {
        let health = health(&agent).await;
        let is_well = health.error.is_none() && health.network_error.is_none();
        let changed = agent.health.send_if_modified(|known| {
            let is_new = *known != health;
            *known = health;
            is_new
        });
        if changed {
            agent.pods.wake_all();
        }
        let wait = if is_well {
            HEALTH_EVERY
        } else {
            HEALTH_EVERY_WHILE_DOWN
        };
        tokio::select! {
            () = agent.shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn health(agent: &Agent) -> RuntimeHealth {
    let mut health = agent.health.borrow().clone();
    if health.name.is_empty()
        && let Ok(version) = agent.runtime.version().await
    {
        health.version = format!("{}://{}", version.runtime_name, version.runtime_version);
        health.name = version.runtime_name;
    }
    match agent.runtime.status(false).await {
        Ok(answer) => {
            let conditions = answer
                .status
                .map(|status| status.conditions)
                .unwrap_or_default();
            let problem = |type_: &str| match conditions.iter().find(|one| one.r#type == type_) {
                Some(one) if one.status => None,
                Some(one) => Some(format!(
                    "{type_}=false reason:{} message:{}",
                    one.reason, one.message
                )),
                None => Some(format!("{type_} is not reported")),
            };
            health.error = problem("RuntimeReady");
            health.network_error = problem("NetworkReady");
        }
        Err(error) => health.error = Some(error.to_string()),
    }
    health
}

/// Makes the Node object and keeps its status true.
pub(crate) async fn keep(agent: Arc<Agent>) {
    let api: Api<Node> = Api::all(agent.client.clone());
    let mut health = agent.health.subscribe();
    let mut shortages = agent.shortages.subscribe();
    let mut node = agent.node.subscribe();
    // A node that was ready stays so while its agent restarts: nothing is said before it is known.
    let known = health.wait_for(|health| !health.name.is_empty());
    tokio::select! {
        () = agent.shutdown.cancelled() => return,
        _ = tokio::time::timeout(FIRST_ANSWER_MAX, known) => {}
    }
    loop {
        health.mark_unchanged();
        node.mark_unchanged();
        let wait = match report(&agent, &api).await {
            Ok(()) => REPORT_EVERY,
            Err(error) => {
                warn!(
                    error = &error as &dyn std::error::Error,
                    "cannot report the node's status, trying again"
                );
                RETRY
            }
        };
        tokio::select! {
            () = agent.shutdown.cancelled() => return,
            changed = health.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            changed = shortages.changed() => {
                if changed.is_err() {
                    return;
                }
            }
            () = falls_behind(&mut node) => {}
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Waits until somebody changed the node's capacity.
async fn falls_behind(node: &mut watch::Receiver<Option<Arc<Node>>>) {
    while node.changed().await.is_ok() {
        let node = node.borrow_and_update();
        let status = node.as_ref().and_then(|node| node.status.as_ref());
        if status.is_some_and(node_status::is_behind) {
            return;
        }
    }
    // Nobody follows it any more: the agent ends.
    std::future::pending::<()>().await;
}

/// Keeps what the agent knows of the Node object as the API server has it.
pub(crate) async fn follow(agent: Arc<Agent>) {
    let name = format!("metadata.name={}", agent.config.node_name);
    let config = watcher::Config::default().fields(&name);
    let api: Api<Node> = Api::all(agent.client.clone());
    let mut events = watcher(api, config).default_backoff().boxed();
    loop {
        let event = tokio::select! {
            () = agent.shutdown.cancelled() => return,
            event = events.next() => event,
        };
        let node = match event {
            None => return,
            Some(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                debug!(error, "cannot watch the node, trying again");
                continue;
            }
            Some(Ok(watcher::Event::Init | watcher::Event::InitDone)) => continue,
            Some(Ok(watcher::Event::InitApply(node) | watcher::Event::Apply(node))) => {
                Some(Arc::new(node))
            }
            Some(Ok(watcher::Event::Delete(_))) => None,
        };
        agent.node.send_replace(node);
    }
}

/// The node as it is now; where it cannot be read, as it would be made.
pub(crate) async fn node(agent: &Agent) -> Node {
    let api: Api<Node> = Api::all(agent.client.clone());
    if let Ok(Some(node)) = api.get_opt(&agent.config.node_name).await {
        return node;
    }
    let facts = facts(agent).await;
    let status = node_status::status(&facts, &NodeStatus::default(), now());
    new_node(agent, status)
}

fn tell(agent: &Agent, reason: &'static str) {
    let name = &agent.config.node_name;
    agent.record_node(Event::normal(
        reason,
        format!("Node {name} status is now: {reason}"),
    ));
}

/// Writes the status, and makes the object where there is none.
async fn report(agent: &Agent, api: &Api<Node>) -> Result<(), kube::Error> {
    let name = agent.config.node_name.as_str();
    let found = api.get_opt(name).await?;
    let old = found
        .as_ref()
        .and_then(|node| node.status.clone())
        .unwrap_or_default();
    let facts = facts(agent).await;
    let status = node_status::status(&facts, &old, now());
    let is_ready = facts.runtime_error.is_none() && facts.network_error.is_none();
    let conditions = old.conditions.iter().flatten();
    let mut before = conditions
        .filter(|one| one.type_ == "Ready")
        .map(|one| one.status == "True");
    let is_news = before.next_back() != Some(is_ready);
    match found {
        None => {
            let node = new_node(agent, status.clone());
            api.create(&PostParams::default(), &node).await?;
        }
        Some(found) => {
            let wanted = labels(agent);
            let has = found.metadata.labels.unwrap_or_default();
            if wanted
                .iter()
                .any(|(key, value)| has.get(key) != Some(value))
            {
                let patch = Patch::Merge(json!({ "metadata": { "labels": wanted } }));
                api.patch(name, &PatchParams::default(), &patch).await?;
            }
            let patch = Patch::Strategic(json!({ "status": patch_of(&old, &status) }));
            api.patch_status(name, &PatchParams::default(), &patch)
                .await?;
        }
    }
    for reason in node_status::news(&old, &status) {
        tell(agent, reason);
    }
    if is_news {
        tell(
            agent,
            if is_ready {
                events::NODE_READY
            } else {
                events::NODE_NOT_READY
            },
        );
    }
    Ok(())
}

/// The new status as a patch; addresses would be merged by type, so they are replaced, and so are resources that are gone.
fn patch_of(old: &NodeStatus, status: &NodeStatus) -> serde_json::Value {
    let mut patch = json!(status);
    let same = old.addresses == status.addresses;
    let addresses = patch
        .get_mut("addresses")
        .and_then(serde_json::Value::as_array_mut);
    if let (Some(addresses), false) = (addresses, same || old.addresses.is_none()) {
        addresses.push(json!({ "$patch": "replace" }));
    }
    let allocatable = patch.get_mut("allocatable");
    if let Some(allocatable) = allocatable.and_then(serde_json::Value::as_object_mut) {
        for name in old.allocatable.iter().flat_map(BTreeMap::keys) {
            allocatable.entry(name).or_insert(serde_json::Value::Null);
        }
    }
    patch
}

async fn facts(agent: &Agent) -> node_status::Facts {
    let health = agent.health.borrow().clone();
    let images = agent.runtime.list_images().await.unwrap_or_default();
    let images = images.into_iter().map(|image| Image {
        names: image
            .repo_digests
            .into_iter()
            .chain(image.repo_tags)
            .collect(),
        size_bytes: image.size,
    });
    let shortages = *agent.shortages.borrow();
    node_status::Facts {
        is_memory_short: shortages.memory.is_some(),
        is_disk_short: shortages.disk.is_some(),
        runtime_version: health.version,
        runtime_error: health.error,
        network_error: health.network_error,
        images: images.collect(),
        port: agent.port,
        ..agent.machine.facts(&agent.config)
    }
}

fn labels(agent: &Agent) -> BTreeMap<String, String> {
    let arch = architecture().to_owned();
    let linux = || "linux".to_owned();
    let mut labels: BTreeMap<String, String> = [
        ("beta.kubernetes.io/arch", arch.clone()),
        ("beta.kubernetes.io/os", linux()),
        ("kubernetes.io/arch", arch),
        ("kubernetes.io/hostname", agent.config.node_name.clone()),
        ("kubernetes.io/os", linux()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into();
    labels.extend(agent.config.labels.iter().cloned());
    labels
}

fn new_node(agent: &Agent, status: NodeStatus) -> Node {
    Node {
        metadata: ObjectMeta {
            name: Some(agent.config.node_name.clone()),
            labels: Some(labels(agent)),
            ..ObjectMeta::default()
        },
        status: Some(status),
        ..Node::default()
    }
}

/// Renews the node's lease.
pub(crate) async fn keep_lease(agent: Arc<Agent>) {
    let api: Api<Lease> = Api::namespaced(agent.client.clone(), LEASE_NAMESPACE);
    loop {
        let wait = match renew(&agent, &api).await {
            Ok(()) => LEASE_EVERY,
            Err(error) => {
                debug!(
                    error = &error as &dyn std::error::Error,
                    "cannot renew the lease, trying again"
                );
                RETRY
            }
        };
        tokio::select! {
            () = agent.shutdown.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

async fn renew(agent: &Agent, api: &Api<Lease>) -> Result<(), kube::Error> {
    let name = agent.config.node_name.as_str();
    let moment = MicroTime(Timestamp::now());
    let patch = json!({ "spec": {
        "holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": moment } });
    match api
        .patch(name, &PatchParams::default(), &Patch::Merge(patch))
        .await
    {
        // It may have been made before the node was.
        Ok(lease) if lease.metadata.owner_references.is_none() => {
            let Some(owner) = owner(agent) else {
                return Ok(());
            };
            let patch = Patch::Merge(json!({ "metadata": { "ownerReferences": [owner] } }));
            let params = PatchParams::default();
            return api.patch(name, &params, &patch).await.map(drop);
        }
        Ok(_) => return Ok(()),
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error),
    }
    let lease = Lease {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(LEASE_NAMESPACE.to_owned()),
            owner_references: owner(agent).map(|owner| vec![owner]),
            ..ObjectMeta::default()
        },
        spec: Some(LeaseSpec {
            holder_identity: Some(name.to_owned()),
            lease_duration_seconds: Some(LEASE_SECONDS),
            renew_time: Some(moment),
            ..LeaseSpec::default()
        }),
    };
    api.create(&PostParams::default(), &lease).await.map(|_| ())
}

/// The node as the owner of its lease; `None` before it is known.
fn owner(agent: &Agent) -> Option<OwnerReference> {
    let node = agent.node.borrow().clone()?;
    Some(OwnerReference {
        api_version: "v1".to_owned(),
        kind: "Node".to_owned(),
        name: agent.config.node_name.clone(),
        uid: node.metadata.uid.clone()?,
        ..OwnerReference::default()
    })
}
