//! Names that agree between the agent, the runtime and other kubelets: labels, annotations, paths, cgroups.
//!
//! Source: `pkg/kubelet/types/labels.go`, `pkg/kubelet/kuberuntime/labels.go`,
//! `pkg/kubelet/kuberuntime/helpers.go`, `pkg/kubelet/cm`.

use k8s_openapi::api::core::v1::{Container, Pod};

use crate::qos::Qos;

/// Label: name of the pod.
pub const POD_NAME: &str = "io.kubernetes.pod.name";
/// Label: namespace of the pod.
pub const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
/// Label: uid of the pod.
pub const POD_UID: &str = "io.kubernetes.pod.uid";
/// Label: name of the container.
pub const CONTAINER_NAME: &str = "io.kubernetes.container.name";
/// Annotation: hash of what a container was made from.
pub const CONTAINER_HASH: &str = "io.kubernetes.container.hash";
/// Annotation: number of restarts before this instance.
pub const RESTART_COUNT: &str = "io.kubernetes.container.restartCount";
/// Annotation: where the container leaves its last words.
pub const TERMINATION_PATH: &str = "io.kubernetes.container.terminationMessagePath";
/// Annotation: how last words are found.
pub const TERMINATION_POLICY: &str = "io.kubernetes.container.terminationMessagePolicy";
/// Annotation: grace period of the pod, in seconds.
pub const POD_GRACE: &str = "io.kubernetes.pod.terminationGracePeriod";
/// Annotation of our own: crashes in a row before this instance, from which back-off follows.
pub const CRASHES: &str = "sampan.io/crashes";

/// Name, namespace and uid as events and messages show a pod: `web_default(1234)`.
///
/// Source: `pkg/kubelet/util/format/pod.go`.
pub fn pod_format(pod: &Pod) -> String {
    let meta = &pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    format!(
        "{}_{}({})",
        text(&meta.name),
        text(&meta.namespace),
        text(&meta.uid)
    )
}

/// Directory of a pod's logs below the log root: `NAMESPACE_NAME_UID`.
pub fn pod_log_directory(namespace: &str, name: &str, uid: &str) -> String {
    format!("{namespace}_{name}_{uid}")
}

/// Log file of one container instance, below its pod's directory.
pub fn container_log_path(name: &str, attempt: u32) -> String {
    format!("{name}/{attempt}.log")
}

/// Cgroup that holds a pod, below the root of all pods, in the form of the cgroupfs driver.
///
/// Source: `pkg/kubelet/cm/pod_container_manager_linux.go`; upstream's root is `/kubepods`.
pub fn cgroup_parent(root: &str, qos: Qos, uid: &str) -> String {
    match qos {
        Qos::Guaranteed => format!("{root}/pod{uid}"),
        Qos::Burstable => format!("{root}/burstable/pod{uid}"),
        Qos::BestEffort => format!("{root}/besteffort/pod{uid}"),
    }
}

/// Hash of the part of a container's spec that, once changed, asks for a new instance: name and image.
///
/// Source: `pkg/kubelet/container/helpers.go`, `HashContainer`; the value itself differs, since
/// upstream's depends on how Go prints a structure.
pub fn container_hash(container: &Container) -> String {
    let image = container.image.as_deref().unwrap_or_default();
    let bytes = container.name.bytes().chain([0]).chain(image.bytes());
    let hash = bytes.fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    format!("{hash:x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_follows_the_image_and_nothing_else() {
        let one = Container {
            name: "web".to_owned(),
            image: Some("nginx:1".to_owned()),
            ..Container::default()
        };
        let mut other = one.clone();
        other.tty = Some(true);
        assert_eq!(container_hash(&one), container_hash(&other));
        other.image = Some("nginx:2".to_owned());
        assert_ne!(container_hash(&one), container_hash(&other));
    }
}
