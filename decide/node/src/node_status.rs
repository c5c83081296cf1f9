//! What the node says about itself: capacity, conditions, addresses, images.
//!
//! Source: `pkg/kubelet/nodestatus/setters.go`, `pkg/kubelet/kubelet_node_status.go`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{
    ContainerImage, DaemonEndpoint, NodeAddress, NodeCondition, NodeDaemonEndpoints, NodeStatus,
    NodeSystemInfo,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

/// The version of Kubernetes this agent follows.
pub const KUBELET_VERSION: &str = "v1.36.2";
/// Most pods on a node.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`.
pub const PODS_MAX: u32 = 110;
/// Most images listed.
///
/// Source: `pkg/kubelet/apis/config/v1beta1/defaults.go`, `nodeStatusMaxImages`.
const IMAGES_MAX: usize = 50;
/// Most names listed per image.
///
/// Source: `pkg/kubelet/nodestatus/setters.go`, `MaxNamesPerImageInNodeStatus`.
const IMAGE_NAMES_MAX: usize = 5;
/// Memory kept back for the node itself, in bytes.
///
/// Source: default hard eviction threshold `memory.available<100Mi`.
const MEMORY_KEPT_BYTES: u64 = 100 << 20;
/// Share of the disk that pods may use, in per cent.
///
/// Source: default hard eviction threshold `nodefs.available<10%`.
const DISK_SHARE_PERCENT: u64 = 90;

/// Conditions with the events that tell of their being true and false.
const NEWS: [(&str, &str, &str); 3] = [
    (
        "MemoryPressure",
        "NodeHasInsufficientMemory",
        "NodeHasSufficientMemory",
    ),
    (
        "DiskPressure",
        "NodeHasDiskPressure",
        "NodeHasNoDiskPressure",
    ),
    (
        "PIDPressure",
        "NodeHasInsufficientPID",
        "NodeHasSufficientPID",
    ),
];

/// An image on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// Digests and tags.
    pub names: Vec<String>,
    /// Size in bytes.
    pub size_bytes: u64,
}

/// What is known of the machine and the runtime.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Host name.
    pub hostname: String,
    /// Addresses, the preferred family first.
    pub ips: Vec<String>,
    /// Number of CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Size of the disk in bytes.
    pub disk_bytes: u64,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The machine's uuid.
    pub system_uuid: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// The kernel's version.
    pub kernel_version: String,
    /// Name of the distribution.
    pub os_image: String,
    /// `amd64` or `arm64`.
    pub architecture: String,
    /// Name and version of the runtime, as `containerd://1.6.20`.
    pub runtime_version: String,
    /// Why the runtime cannot be used; `None` when it can.
    pub runtime_error: Option<String>,
    /// Why the network cannot be used; `None` when it can.
    pub network_error: Option<String>,
    /// Whether memory is short.
    pub is_memory_short: bool,
    /// Whether disk is short.
    pub is_disk_short: bool,
    /// Whether process ids are short.
    pub is_pid_short: bool,
    /// Images on the node.
    pub images: Vec<Image>,
    /// The agent's HTTPS port.
    pub port: u16,
    /// Most pods.
    pub pods_max: u32,
}

/// Resources of the machine.
pub fn capacity(facts: &Facts) -> BTreeMap<String, Quantity> {
    list(facts, facts.memory_bytes, facts.disk_bytes, "Ki")
}

/// Resources pods may use.
pub fn allocatable(facts: &Facts) -> BTreeMap<String, Quantity> {
    let memory = facts.memory_bytes.saturating_sub(MEMORY_KEPT_BYTES);
    list(
        facts,
        memory,
        facts.disk_bytes / 100 * DISK_SHARE_PERCENT,
        "",
    )
}

fn list(facts: &Facts, memory: u64, disk: u64, disk_suffix: &str) -> BTreeMap<String, Quantity> {
    let disk = if disk_suffix.is_empty() {
        disk
    } else {
        disk / 1024
    };
    [
        ("cpu", facts.cpus.to_string()),
        ("ephemeral-storage", format!("{disk}{disk_suffix}")),
        ("hugepages-1Gi", "0".to_owned()),
        ("hugepages-2Mi", "0".to_owned()),
        ("memory", format!("{}Ki", memory / 1024)),
        ("pods", facts.pods_max.to_string()),
    ]
    .map(|(name, amount)| (name.to_owned(), Quantity(amount)))
    .into()
}

/// The status of the node, starting from the one the API server has.
///
/// What somebody else gave the node as capacity may be used by pods. Source: `nodestatus.MachineInfo`.
pub fn status(facts: &Facts, old: &NodeStatus, now: Timestamp) -> NodeStatus {
    let (mut capacity, mut allocatable) = (capacity(facts), allocatable(facts));
    for (name, amount) in old.capacity.iter().flatten() {
        if !capacity.contains_key(name) {
            capacity.insert(name.clone(), amount.clone());
            allocatable.insert(name.clone(), amount.clone());
        }
    }
    NodeStatus {
        addresses: Some(addresses(facts)),
        allocatable: Some(allocatable),
        capacity: Some(capacity),
        conditions: Some(conditions(facts, old, now)),
        daemon_endpoints: Some(NodeDaemonEndpoints {
            kubelet_endpoint: Some(DaemonEndpoint {
                port: i32::from(facts.port),
            }),
        }),
        images: Some(images(facts)),
        node_info: Some(info(facts)),
        volumes_attached: old.volumes_attached.clone(),
        volumes_in_use: old.volumes_in_use.clone(),
        ..NodeStatus::default()
    }
}

/// Whether somebody gave the node a capacity, or took one from it, that pods do not know of yet.
pub fn is_behind(status: &NodeStatus) -> bool {
    let extended = |list: &Option<BTreeMap<String, Quantity>>| -> BTreeMap<String, Quantity> {
        let others = list.iter().flatten().filter(|(name, _)| name.contains('/'));
        others
            .map(|(name, amount)| (name.clone(), amount.clone()))
            .collect()
    };
    extended(&status.capacity) != extended(&status.allocatable)
}

/// Reasons of the events that tell of conditions which are new or have changed, `Ready` left out.
///
/// Source: `pkg/kubelet/nodestatus/setters.go`.
pub fn news(old: &NodeStatus, new: &NodeStatus) -> Vec<&'static str> {
    let status_of = |status: &NodeStatus, type_: &str| {
        let mut all = status.conditions.iter().flatten();
        all.find(|one| one.type_ == type_)
            .map(|one| one.status.clone())
    };
    let told = NEWS.iter().filter_map(|(type_, bad, good)| {
        let now = status_of(new, type_)?;
        let is_new = status_of(old, type_).as_ref() != Some(&now);
        is_new.then_some(if now == "True" { *bad } else { *good })
    });
    told.collect()
}

/// Whether two statuses differ in more than the times of heartbeats.
pub fn differs(one: &NodeStatus, other: &NodeStatus) -> bool {
    let still = |status: &NodeStatus| {
        let mut status = status.clone();
        for condition in status.conditions.iter_mut().flatten() {
            condition.last_heartbeat_time = None;
        }
        status
    };
    still(one) != still(other)
}

fn addresses(facts: &Facts) -> Vec<NodeAddress> {
    let ips = facts.ips.iter().map(|ip| ("InternalIP", ip));
    let all = ips.chain([("Hostname", &facts.hostname)]);
    all.map(|(type_, address)| NodeAddress {
        type_: type_.to_owned(),
        address: address.clone(),
    })
    .collect()
}

fn info(facts: &Facts) -> NodeSystemInfo {
    NodeSystemInfo {
        architecture: facts.architecture.clone(),
        boot_id: facts.boot_id.clone(),
        container_runtime_version: facts.runtime_version.clone(),
        kernel_version: facts.kernel_version.clone(),
        kube_proxy_version: String::new(),
        kubelet_version: KUBELET_VERSION.to_owned(),
        machine_id: facts.machine_id.clone(),
        operating_system: "linux".to_owned(),
        os_image: facts.os_image.clone(),
        swap: None,
        system_uuid: facts.system_uuid.clone(),
    }
}

/// The largest images, each with its first names.
fn images(facts: &Facts) -> Vec<ContainerImage> {
    let mut all = facts.images.clone();
    all.sort_by(|one, other| {
        other
            .size_bytes
            .cmp(&one.size_bytes)
            .then_with(|| one.names.cmp(&other.names))
    });
    all.truncate(IMAGES_MAX);
    let listed = all.into_iter().map(|mut image| {
        image.names.truncate(IMAGE_NAMES_MAX);
        ContainerImage {
            names: Some(image.names),
            size_bytes: i64::try_from(image.size_bytes).ok(),
        }
    });
    listed.collect()
}

/// Conditions; `Ready` comes last, as old control planes expect.
fn conditions(facts: &Facts, old: &NodeStatus, now: Timestamp) -> Vec<NodeCondition> {
    const MEMORY: [&str; 4] = [
        "KubeletHasInsufficientMemory",
        "kubelet has insufficient memory available",
        "KubeletHasSufficientMemory",
        "kubelet has sufficient memory available",
    ];
    const DISK: [&str; 4] = [
        "KubeletHasDiskPressure",
        "kubelet has disk pressure",
        "KubeletHasNoDiskPressure",
        "kubelet has no disk pressure",
    ];
    const PIDS: [&str; 4] = [
        "KubeletHasInsufficientPID",
        "kubelet has insufficient PID available",
        "KubeletHasSufficientPID",
        "kubelet has sufficient PID available",
    ];
    let pressure = |is_short: bool, words: [&'static str; 4]| {
        let [bad_reason, bad, good_reason, good] = words;
        if is_short {
            (true, bad_reason, bad.to_owned())
        } else {
            (false, good_reason, good.to_owned())
        }
    };
    let own = [
        ("MemoryPressure", pressure(facts.is_memory_short, MEMORY)),
        ("DiskPressure", pressure(facts.is_disk_short, DISK)),
        ("PIDPressure", pressure(facts.is_pid_short, PIDS)),
        ("Ready", ready(facts)),
    ];
    let before = old.conditions.as_deref().unwrap_or_default();
    let is_own = |one: &&NodeCondition| own.iter().any(|(type_, _)| *type_ == one.type_);
    let mut all: Vec<NodeCondition> = before.iter().filter(|one| !is_own(one)).cloned().collect();
    for (type_, (is_true, reason, message)) in own {
        let status = if is_true { "True" } else { "False" };
        let same = before
            .iter()
            .find(|one| one.type_ == type_ && one.status == status);
        all.push(NodeCondition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: Some(reason.to_owned()),
            message: Some(message),
            last_heartbeat_time: Some(Time(now)),
            last_transition_time: same
                .and_then(|one| one.last_transition_time.clone())
                .or(Some(Time(now))),
        });
    }
    all
}

fn ready(facts: &Facts) -> (bool, &'static str, String) {
    let runtime = facts.runtime_error.as_ref();
    let runtime = runtime.map(|error| format!("container runtime is down: {error}"));
    let network = facts.network_error.as_ref();
    let network = network.map(|error| format!("container runtime network not ready: {error}"));
    let errors: Vec<String> = runtime.into_iter().chain(network).collect();
    match errors.as_slice() {
        [] => (
            true,
            "KubeletReady",
            "kubelet is posting ready status".to_owned(),
        ),
        [one] => (false, "KubeletNotReady", one.clone()),
        many => (false, "KubeletNotReady", format!("[{}]", many.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            hostname: "n1".to_owned(),
            ips: vec!["10.0.0.1".to_owned()],
            cpus: 2,
            memory_bytes: 1 << 30,
            disk_bytes: 100 << 30,
            pods_max: PODS_MAX,
            port: 10250,
            ..Facts::default()
        }
    }

    fn words(status: &NodeStatus) -> Vec<(String, String, String)> {
        let shown = |one: &NodeCondition| {
            (
                one.type_.clone(),
                one.status.clone(),
                one.message.clone().unwrap(),
            )
        };
        status.conditions.iter().flatten().map(shown).collect()
    }

    #[test]
    fn ready_comes_last_and_says_why_not() {
        let mut facts = facts();
        let good = status(&facts, &NodeStatus::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            words(&good)[3],
            (
                "Ready".to_owned(),
                "True".to_owned(),
                "kubelet is posting ready status".to_owned()
            )
        );
        facts.network_error =
            Some("NetworkReady=false reason:NetworkPluginNotReady message:x".to_owned());
        let bad = status(&facts, &good, Timestamp::UNIX_EPOCH);
        assert_eq!(words(&bad)[3].1, "False");
        assert!(
            words(&bad)[3]
                .2
                .starts_with("container runtime network not ready: NetworkReady=false")
        );
    }

    #[test]
    fn conditions_are_news_when_they_appear_and_when_they_change() {
        let mut facts = facts();
        let first = status(&facts, &NodeStatus::default(), Timestamp::UNIX_EPOCH);
        assert_eq!(
            news(&NodeStatus::default(), &first),
            [
                "NodeHasSufficientMemory",
                "NodeHasNoDiskPressure",
                "NodeHasSufficientPID"
            ]
        );
        facts.is_disk_short = true;
        let short = status(&facts, &first, Timestamp::UNIX_EPOCH);
        assert_eq!(news(&first, &short), ["NodeHasDiskPressure"]);
        assert!(news(&short, &short).is_empty());
    }

    #[test]
    fn a_heartbeat_alone_is_no_difference() {
        let facts = facts();
        let one = status(&facts, &NodeStatus::default(), Timestamp::UNIX_EPOCH);
        let later = Timestamp::from_second(60).unwrap();
        let other = status(&facts, &one, later);
        assert!(!differs(&one, &other));
        assert_eq!(
            other.conditions.as_ref().unwrap()[3].last_transition_time,
            Some(Time(Timestamp::UNIX_EPOCH))
        );
    }

    #[test]
    fn what_others_give_the_node_may_be_used() {
        let mut old = status(&facts(), &NodeStatus::default(), Timestamp::UNIX_EPOCH);
        assert!(!is_behind(&old));
        let thing = || "example.com/thing".to_owned();
        let given = old.capacity.as_mut().unwrap();
        given.insert(thing(), Quantity("3".to_owned()));
        assert!(is_behind(&old));
        let mut new = status(&facts(), &old, Timestamp::UNIX_EPOCH);
        assert_eq!(new.allocatable.as_ref().unwrap()[&thing()].0, "3");
        assert_eq!(new.capacity, old.capacity);
        assert!(!is_behind(&new));
        new.capacity.as_mut().unwrap().remove(&thing());
        assert!(is_behind(&new));
        let last = status(&facts(), &new, Timestamp::UNIX_EPOCH);
        assert!(!last.allocatable.unwrap().contains_key(&thing()));
    }

    #[test]
    fn the_node_keeps_a_share_for_itself() {
        let status = status(&facts(), &NodeStatus::default(), Timestamp::UNIX_EPOCH);
        let capacity = status.capacity.unwrap();
        let allocatable = status.allocatable.unwrap();
        assert_eq!(
            (
                capacity["memory"].0.as_str(),
                allocatable["memory"].0.as_str()
            ),
            ("1048576Ki", "946176Ki")
        );
        assert_eq!(capacity["pods"].0, "110");
    }
}
