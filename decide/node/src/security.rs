//! Security contexts: what pod and container state together.
//!
//! Source: `pkg/securitycontext/util.go`, `pkg/kubelet/kuberuntime/security_context.go`.

use k8s_openapi::api::core::v1::{Container, Pod, PodSecurityContext, SeccompProfile};

use crate::names::pod_format;

/// Paths hidden from unprivileged containers.
pub const MASKED_PATHS: [&str; 12] = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];
/// Paths unprivileged containers cannot write.
pub const READ_ONLY_PATHS: [&str; 5] = [
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
];

/// A seccomp profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Seccomp {
    /// None.
    #[default]
    Unconfined,
    /// The runtime's own.
    RuntimeDefault,
    /// A file on the node.
    Localhost(String),
}

/// The security context a container runs under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the runtime takes four independent switches"
)]
pub struct Security {
    /// User id; `None` for the image's own.
    pub run_as_user: Option<i64>,
    /// Group id; `None` for the image's own.
    pub run_as_group: Option<i64>,
    /// Further groups.
    pub supplemental_groups: Vec<i64>,
    /// Whether groups of the image's `/etc/group` are left out.
    pub is_strict_groups: bool,
    /// Whether it may do anything.
    pub is_privileged: bool,
    /// Whether its root filesystem cannot be written.
    pub is_read_only_root: bool,
    /// Whether it can gain no privileges.
    pub no_new_privileges: bool,
    /// Capabilities added.
    pub add_capabilities: Vec<String>,
    /// Capabilities taken away.
    pub drop_capabilities: Vec<String>,
    /// Its seccomp profile.
    pub seccomp: Seccomp,
    /// Paths hidden from it.
    pub masked_paths: Vec<String>,
    /// Paths it cannot write.
    pub read_only_paths: Vec<String>,
}

/// A container that must not run as root would, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RootError {
    /// Its own user id is 0.
    #[error(
        "container's runAsUser breaks non-root policy (pod: \"{pod}\", container: {container})"
    )]
    Stated {
        /// The pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// Its image's user is root.
    #[error(
        "container has runAsNonRoot and image will run as root (pod: \"{pod}\", container: {container})"
    )]
    Image {
        /// The pod.
        pod: String,
        /// The container.
        container: String,
    },
    /// Its image names a user that may be root.
    #[error(
        "container has runAsNonRoot and image has non-numeric user ({user}), cannot verify user is non-root (pod: \"{pod}\", container: {container})"
    )]
    Name {
        /// The image's user.
        user: String,
        /// The pod.
        pod: String,
        /// The container.
        container: String,
    },
}

/// The user an image runs as.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageUser {
    /// Its number, if the image states one.
    pub uid: Option<i64>,
    /// Its name, if the image states one.
    pub name: String,
}

/// The pod's own security context; an empty one where it states none.
pub fn of_pod(pod: &Pod) -> PodSecurityContext {
    let spec = pod.spec.as_ref();
    spec.and_then(|spec| spec.security_context.clone())
        .unwrap_or_default()
}

/// Puts pod and container contexts together.
pub fn effective(pod: &Pod, container: &Container) -> Security {
    let of_pod = of_pod(pod);
    let own = container.security_context.clone().unwrap_or_default();
    let is_privileged = own.privileged.unwrap_or(false);
    let capabilities = own.capabilities.unwrap_or_default();
    let mut groups = of_pod.supplemental_groups.clone().unwrap_or_default();
    groups.extend(of_pod.fs_group);
    let is_masked = !is_privileged && own.proc_mount.as_deref() != Some("Unmasked");
    let paths = |list: &[&str]| -> Vec<String> {
        let shown = list.iter().filter(|_| is_masked);
        shown.map(|&path| path.to_owned()).collect()
    };
    let profile = own
        .seccomp_profile
        .as_ref()
        .or(of_pod.seccomp_profile.as_ref());
    Security {
        run_as_user: own.run_as_user.or(of_pod.run_as_user),
        run_as_group: own.run_as_group.or(of_pod.run_as_group),
        supplemental_groups: groups,
        is_strict_groups: of_pod.supplemental_groups_policy.as_deref() == Some("Strict"),
        is_privileged,
        is_read_only_root: own.read_only_root_filesystem.unwrap_or(false),
        no_new_privileges: own.allow_privilege_escalation == Some(false),
        add_capabilities: capabilities.add.unwrap_or_default(),
        drop_capabilities: capabilities.drop.unwrap_or_default(),
        seccomp: if is_privileged {
            Seccomp::Unconfined
        } else {
            seccomp(profile)
        },
        masked_paths: paths(&MASKED_PATHS),
        read_only_paths: paths(&READ_ONLY_PATHS),
    }
}

/// A profile as the runtime is told of it.
pub fn seccomp(profile: Option<&SeccompProfile>) -> Seccomp {
    match profile {
        Some(one) if one.type_ == "RuntimeDefault" => Seccomp::RuntimeDefault,
        Some(one) if one.type_ == "Localhost" => {
            Seccomp::Localhost(one.localhost_profile.clone().unwrap_or_default())
        }
        _ => Seccomp::Unconfined,
    }
}

/// Refuses to run as root what states that it must not.
///
/// # Errors
/// The container would run as root, or may.
pub fn verify_non_root(
    pod: &Pod,
    container: &Container,
    image: &ImageUser,
) -> Result<(), RootError> {
    let own = container.security_context.clone().unwrap_or_default();
    let of_pod = of_pod(pod);
    if own.run_as_non_root.or(of_pod.run_as_non_root) != Some(true) {
        return Ok(());
    }
    let (pod, container) = (pod_format(pod), container.name.clone());
    match own.run_as_user.or(of_pod.run_as_user) {
        Some(0) => return Err(RootError::Stated { pod, container }),
        Some(_) => return Ok(()),
        None => {}
    }
    match image.uid {
        Some(0) => Err(RootError::Image { pod, container }),
        Some(_) => Ok(()),
        None if !image.name.is_empty() => Err(RootError::Name {
            user: image.name.clone(),
            pod,
            container,
        }),
        None => Err(RootError::Image { pod, container }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
    fn case(pod_context: Value, own: Value) -> (Pod, Container) {
        let pod = json!({ "metadata": { "name": "p", "namespace": "n", "uid": "u" },
            "spec": { "securityContext": pod_context, "containers": [{ "name": "c", "securityContext": own }] } });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let container = pod.spec.as_ref().unwrap().containers[0].clone();
        (pod, container)
    }

    #[test]
    fn the_container_wins_over_the_pod() {
        let (pod, container) = case(
            json!({ "runAsUser": 1, "runAsGroup": 2, "fsGroup": 3, "supplementalGroups": [4] }),
            json!({ "runAsUser": 9, "capabilities": { "drop": ["ALL"] }, "allowPrivilegeEscalation": false }),
        );
        let security = effective(&pod, &container);
        assert_eq!(
            (security.run_as_user, security.run_as_group),
            (Some(9), Some(2))
        );
        assert_eq!(security.supplemental_groups, [4, 3]);
        assert_eq!(security.drop_capabilities, ["ALL"]);
        assert!(security.no_new_privileges);
        assert_eq!(security.masked_paths.len(), MASKED_PATHS.len());
    }

    #[test]
    fn a_privileged_container_sees_everything() {
        let (pod, container) = case(
            json!({ "seccompProfile": { "type": "RuntimeDefault" } }),
            json!({ "privileged": true }),
        );
        let security = effective(&pod, &container);
        assert!(security.masked_paths.is_empty() && security.read_only_paths.is_empty());
        assert_eq!(security.seccomp, Seccomp::Unconfined);
    }

    #[test]
    fn root_is_refused_where_it_is_forbidden() {
        let image = |uid, name: &str| ImageUser {
            uid,
            name: name.to_owned(),
        };
        let (pod, container) = case(json!({ "runAsNonRoot": true }), json!({}));
        let error = verify_non_root(&pod, &container, &image(Some(0), "")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "container has runAsNonRoot and image will run as root (pod: \"p_n(u)\", container: c)"
        );
        assert!(
            verify_non_root(&pod, &container, &image(None, "www"))
                .unwrap_err()
                .to_string()
                .contains("non-numeric user (www)")
        );
        assert_eq!(
            verify_non_root(&pod, &container, &image(Some(7), "")),
            Ok(())
        );
        let (pod, container) = case(json!({ "runAsNonRoot": true }), json!({ "runAsUser": 0 }));
        assert!(verify_non_root(&pod, &container, &image(Some(7), "")).is_err());
    }
}
