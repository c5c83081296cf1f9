//! What a pod may keep on the node's disk, and what it is told when it keeps more.
//!
//! Left out: volumes in memory, which the kernel holds to their size, and the node's own shortages.
//!
//! Source: `pkg/kubelet/eviction/eviction_manager.go`, `localStorageEviction`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, Volume};
use kinds::amounts;
use meta::Quantity;
use serde_json::json;

use crate::resources;

/// The resource that the limits are of.
const RESOURCE: &str = "ephemeral-storage";
/// Annotation of pods that the node runs of its own accord.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What a pod has on the node's disk, in bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Its volumes that are directories on that disk, by name.
    pub volumes: BTreeMap<String, u64>,
    /// What containers wrote beside volumes, and their logs, by name.
    pub containers: BTreeMap<String, u64>,
    /// What belongs to no container: its hosts file.
    pub other: u64,
}

impl Usage {
    /// All of it.
    fn total(&self) -> u64 {
        let parts = self.volumes.values().chain(self.containers.values());
        parts.fold(self.other, |sum, part| sum.saturating_add(*part))
    }
}

/// A limit that a pod exceeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excess {
    /// Upstream's word for the limit, for metrics.
    pub signal: &'static str,
    /// What the pod is told; it ends with a space, as upstream's does.
    pub message: String,
}

/// Whether a pod has any such limit, so that it is worth measuring, and may be ended for it.
pub fn is_limited(pod: &Pod) -> bool {
    if is_critical(pod) {
        return false;
    }
    let spec = pod.spec.as_ref();
    let volumes = spec
        .into_iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    let mut sizes = volumes.filter_map(size_limit);
    sizes.next().is_some() || pod_limit(pod).is_some()
}

/// The kind of a volume that counts, as the names of directories have it; `None` for one that does not.
///
/// Source: `pkg/volume/util/util.go`, `IsLocalEphemeralVolume`.
pub fn counted(volume: &Volume) -> Option<&'static str> {
    if let Some(empty) = &volume.empty_dir {
        let is_on_disk = empty.medium.as_deref().unwrap_or_default().is_empty();
        return is_on_disk.then_some("empty-dir");
    }
    volume.config_map.as_ref().map(|_| "configmap")
}

/// The first limit that a pod exceeds: of a volume, of the pod as a whole, of a container.
pub fn excess(pod: &Pod, usage: &Usage) -> Option<Excess> {
    let spec = pod.spec.as_ref()?;
    let volumes = spec.volumes.iter().flatten();
    volumes
        .filter(|volume| counted(volume).is_some())
        .find_map(|volume| of_volume(volume, usage))
        .or_else(|| of_pod(pod, usage))
        .or_else(|| {
            spec.containers
                .iter()
                .find_map(|one| of_container(one, usage))
        })
}

fn of_volume(volume: &Volume, usage: &Usage) -> Option<Excess> {
    let limit = size_limit(volume)?;
    exceeds(*usage.volumes.get(&volume.name)?, &limit).then(|| Excess {
        signal: "emptydirfs.limit",
        message: format!(
            "Usage of EmptyDir volume {:?} exceeds the limit \"{limit}\". ",
            volume.name
        ),
    })
}

fn of_pod(pod: &Pod, usage: &Usage) -> Option<Excess> {
    let limit = pod_limit(pod)?;
    exceeds(usage.total(), &limit).then(|| Excess {
        signal: "ephemeralpodfs.limit",
        message: format!(
            "Pod ephemeral local storage usage exceeds the total limit of containers {limit}. "
        ),
    })
}

fn of_container(container: &Container, usage: &Usage) -> Option<Excess> {
    let limits = container.resources.as_ref()?.limits.as_ref();
    let limit = resources::named(limits, RESOURCE).filter(|limit| !limit.is_zero())?;
    exceeds(*usage.containers.get(&container.name)?, &limit).then(|| Excess {
        signal: "ephemeralcontainerfs.limit",
        message: format!(
            "Container {} exceeded its local ephemeral storage limit \"{limit}\". ",
            container.name
        ),
    })
}

fn exceeds(bytes: u64, limit: &Quantity) -> bool {
    i64::try_from(bytes).unwrap_or(i64::MAX) > limit.value()
}

/// The size of a volume, if it is bound.
fn size_limit(volume: &Volume) -> Option<Quantity> {
    let limit = volume.empty_dir.as_ref()?.size_limit.as_ref()?;
    let limit = Quantity::parse(&limit.0).ok()?;
    (!limit.is_zero() && !limit.is_negative()).then_some(limit)
}

/// What all containers may have together; `None` if none of them is bound.
fn pod_limit(pod: &Pod) -> Option<Quantity> {
    amounts::of_pod(&json!(pod), "limits")
        .get(RESOURCE)
        .copied()
}

/// Whether a pod must not be ended for what it takes. Source: `pkg/kubelet/types/pod_update.go`, `IsCriticalPod`.
fn is_critical(pod: &Pod) -> bool {
    let annotations = pod.metadata.annotations.as_ref();
    annotations.is_some_and(|all| all.contains_key(MIRROR)) || resources::is_critical(pod)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    const MIB: u64 = 1 << 20;

    #[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({ "spec": spec })).unwrap()
    }

    fn container(name: &str, limit: &str) -> Value {
        json!({ "name": name, "resources": { "limits": { "ephemeral-storage": limit } } })
    }

    fn usage(volumes: &[(&str, u64)], containers: &[(&str, u64)]) -> Usage {
        let map = |pairs: &[(&str, u64)]| {
            let named = pairs
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), *bytes));
            named.collect()
        };
        Usage {
            volumes: map(volumes),
            containers: map(containers),
            other: 0,
        }
    }

    fn told(pod: &Pod, usage: &Usage) -> String {
        excess(pod, usage).map_or_else(String::new, |excess| excess.message)
    }

    #[test]
    fn a_volume_is_held_to_its_size() {
        let one = pod(json!({
            "containers": [{ "name": "a" }],
            "volumes": [{ "name": "v", "emptyDir": { "sizeLimit": "1Mi" } }],
        }));
        assert!(is_limited(&one));
        assert_eq!(told(&one, &usage(&[("v", MIB)], &[])), "");
        assert_eq!(
            told(&one, &usage(&[("v", MIB + 1)], &[])),
            "Usage of EmptyDir volume \"v\" exceeds the limit \"1Mi\". "
        );
    }

    #[test]
    fn volumes_in_memory_do_not_count() {
        let one = pod(json!({
            "containers": [{ "name": "a" }],
            "volumes": [{ "name": "v", "emptyDir": { "sizeLimit": "1Mi", "medium": "Memory" } }],
        }));
        assert_eq!(told(&one, &usage(&[("v", 2 * MIB)], &[])), "");
    }

    #[test]
    fn a_pod_is_held_to_what_its_containers_may_have_together() {
        let one = pod(json!({ "containers": [container("a", "1Mi"), container("b", "1Mi")] }));
        let all = usage(&[("v", MIB)], &[("a", MIB), ("b", 1)]);
        assert_eq!(
            told(&one, &all),
            "Pod ephemeral local storage usage exceeds the total limit of containers 2Mi. "
        );
    }

    #[test]
    fn a_container_is_held_to_its_own_limit() {
        let one = pod(json!({ "containers": [container("a", "1Mi"), container("b", "4Mi")] }));
        assert_eq!(told(&one, &usage(&[], &[("b", 3 * MIB)])), "");
        assert_eq!(
            told(&one, &usage(&[], &[("a", MIB + 1)])),
            "Container a exceeded its local ephemeral storage limit \"1Mi\". "
        );
    }

    #[test]
    fn pods_without_limits_and_critical_ones_are_let_be() {
        assert!(!is_limited(&pod(
            json!({ "containers": [{ "name": "a" }] })
        )));
        let spec = json!({ "containers": [container("a", "1Mi")], "priority": 2_000_000_000 });
        assert!(!is_limited(&pod(spec)));
    }
}
