//! What a container is made from: image, command, environment, mounts, limits, security.
//!
//! Source: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `pkg/kubelet/kubelet_pods.go`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, Pod, VolumeMount};

use crate::env::EnvError;
use crate::expand::expand;
use crate::resources::{self, Limits};
use crate::sandbox::{self, Namespaces};
use crate::security::{self, ImageUser, RootError, Security};
use crate::{names, pod::grace_seconds, pod::spec};

/// Where containers find the hosts file.
pub const HOSTS_PATH: &str = "/etc/hosts";
/// Where containers leave their last words unless they say otherwise.
pub const TERMINATION_PATH_DEFAULT: &str = "/dev/termination-log";

/// How mounts below a mount travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Propagation {
    /// Not at all.
    #[default]
    Private,
    /// From the node into the container.
    HostToContainer,
    /// Both ways.
    Bidirectional,
}

/// A mount in a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mount {
    /// Path inside.
    pub container_path: String,
    /// Path on the node.
    pub host_path: String,
    /// Whether it cannot be written.
    pub is_read_only: bool,
    /// How mounts below it travel.
    pub propagation: Propagation,
}

/// What a container is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContainerConfig {
    /// Its name.
    pub name: String,
    /// Number of restarts before this instance.
    pub attempt: u32,
    /// The image's id on the node.
    pub image_id: String,
    /// The reference in the spec.
    pub image: String,
    /// Instead of the image's entry point; empty for that.
    pub command: Vec<String>,
    /// Arguments.
    pub args: Vec<String>,
    /// Working directory; empty for the image's.
    pub working_dir: String,
    /// Environment.
    pub env: BTreeMap<String, String>,
    /// Mounts.
    pub mounts: Vec<Mount>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// Log file, below the pod's log directory.
    pub log_path: String,
    /// Whether it has an input.
    pub has_stdin: bool,
    /// Whether the input closes after the first session.
    pub is_stdin_once: bool,
    /// Whether it has a terminal.
    pub has_tty: bool,
    /// Limits.
    pub limits: Limits,
    /// Security context.
    pub security: Security,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Name of the signal that asks it to end; `None` for the runtime's choice.
    pub stop_signal: Option<String>,
}

/// What a configuration is made from, besides the pod.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// Number of restarts before this instance.
    pub attempt: u32,
    /// Crashes in a row before this instance.
    pub crashes: u32,
    /// The image's id on the node.
    pub image_id: String,
    /// The user the image runs as.
    pub image_user: ImageUser,
    /// The environment, as [`crate::env::environment`] made it.
    pub env: BTreeMap<String, String>,
    /// Where each volume is on the node, by name.
    pub volumes: BTreeMap<String, String>,
    /// The hosts file on the node; `None` if the container gets none.
    pub hosts_file: Option<String>,
    /// The file on the node for last words; `None` if the container gets none.
    pub termination_file: Option<String>,
    /// The node's memory, in bytes.
    pub memory_capacity_bytes: i64,
}

/// Why a container cannot be configured, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// Its environment cannot be made.
    #[error(transparent)]
    Env(#[from] EnvError),
    /// It would run as root.
    #[error(transparent)]
    Root(#[from] RootError),
    /// It mounts a volume that is not there.
    #[error("cannot find volume {name:?} to mount into container {container:?}")]
    Volume {
        /// The volume.
        name: String,
        /// The container.
        container: String,
    },
    /// It mounts a path that leads out of the volume.
    #[error("unable to provision SubPath `{path}`: must not contain '..'")]
    SubPath {
        /// The path.
        path: String,
    },
}

/// Makes the configuration of a container.
///
/// # Errors
/// Something it needs is missing or forbidden.
pub fn config(
    pod: &Pod,
    container: &Container,
    inputs: Inputs,
) -> Result<ContainerConfig, ConfigError> {
    security::verify_non_root(pod, container, &inputs.image_user)?;
    let pod_spec = spec::of(pod);
    let known = |name: &str| inputs.env.get(name).cloned();
    let expanded = |list: &Option<Vec<String>>| -> Vec<String> {
        list.iter()
            .flatten()
            .map(|text| expand(text, known))
            .collect()
    };
    let mounts = mounts(pod, container, &inputs)?;
    Ok(ContainerConfig {
        name: container.name.clone(),
        attempt: inputs.attempt,
        image: container.image.clone().unwrap_or_default(),
        command: expanded(&container.command),
        args: expanded(&container.args),
        working_dir: container.working_dir.clone().unwrap_or_default(),
        mounts,
        labels: labels(pod, container),
        annotations: annotations(pod, container, &inputs),
        log_path: names::container_log_path(&container.name, inputs.attempt),
        has_stdin: container.stdin.unwrap_or(false),
        is_stdin_once: container.stdin_once.unwrap_or(false),
        has_tty: container.tty.unwrap_or(false),
        limits: resources::container(pod, container, inputs.memory_capacity_bytes),
        security: security::effective(pod, container),
        namespaces: sandbox::namespaces(&pod_spec),
        stop_signal: container
            .lifecycle
            .as_ref()
            .and_then(|one| one.stop_signal.clone()),
        image_id: inputs.image_id,
        env: inputs.env,
    })
}

fn labels(pod: &Pod, container: &Container) -> BTreeMap<String, String> {
    let meta = &pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    [
        (names::POD_NAME, text(&meta.name)),
        (names::POD_NAMESPACE, text(&meta.namespace)),
        (names::POD_UID, text(&meta.uid)),
        (names::CONTAINER_NAME, container.name.clone()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

fn annotations(pod: &Pod, container: &Container, inputs: &Inputs) -> BTreeMap<String, String> {
    [
        (names::CONTAINER_HASH, names::container_hash(container)),
        (names::RESTART_COUNT, inputs.attempt.to_string()),
        (names::CRASHES, inputs.crashes.to_string()),
        (
            names::TERMINATION_PATH,
            termination_path(container).to_owned(),
        ),
        (
            names::TERMINATION_POLICY,
            termination_policy(container).to_owned(),
        ),
        (names::POD_GRACE, grace_seconds(pod).to_string()),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into()
}

/// Where a container leaves its last words.
pub fn termination_path(container: &Container) -> &str {
    let stated = container.termination_message_path.as_deref();
    stated.unwrap_or(TERMINATION_PATH_DEFAULT)
}

/// How last words are found: `File` or `FallbackToLogsOnError`.
pub fn termination_policy(container: &Container) -> &str {
    container
        .termination_message_policy
        .as_deref()
        .unwrap_or("File")
}

fn mounts(pod: &Pod, container: &Container, inputs: &Inputs) -> Result<Vec<Mount>, ConfigError> {
    let mut all = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let missing = || ConfigError::Volume {
            name: mount.name.clone(),
            container: container.name.clone(),
        };
        let volume = inputs.volumes.get(&mount.name).ok_or_else(missing)?;
        all.push(Mount {
            container_path: absolute(&mount.mount_path),
            host_path: with_sub_path(volume, mount, inputs)?,
            is_read_only: mount.read_only == Some(true),
            propagation: propagation(mount),
        });
    }
    let has = |all: &[Mount], path: &str| all.iter().any(|one| one.container_path == path);
    if let Some(file) = &inputs.hosts_file
        && !has(&all, HOSTS_PATH)
    {
        all.push(Mount {
            container_path: HOSTS_PATH.to_owned(),
            host_path: file.clone(),
            is_read_only: security::effective(pod, container).is_read_only_root,
            ..Mount::default()
        });
    }
    let last_words = termination_path(container);
    if let Some(file) = inputs
        .termination_file
        .as_ref()
        .filter(|_| !last_words.is_empty())
    {
        all.push(Mount {
            container_path: last_words.to_owned(),
            host_path: file.clone(),
            ..Mount::default()
        });
    }
    Ok(all)
}

/// The path on the node of a mount, sub-path included.
fn with_sub_path(
    volume: &str,
    mount: &VolumeMount,
    inputs: &Inputs,
) -> Result<String, ConfigError> {
    let known = |name: &str| inputs.env.get(name).cloned();
    let by_expression = mount
        .sub_path_expr
        .as_deref()
        .filter(|text| !text.is_empty());
    let sub = match by_expression {
        Some(expression) => expand(expression, known),
        None => mount.sub_path.clone().unwrap_or_default(),
    };
    if sub.is_empty() {
        return Ok(volume.to_owned());
    }
    if sub.starts_with('/') || sub.split('/').any(|part| part == "..") {
        return Err(ConfigError::SubPath { path: sub });
    }
    Ok(format!("{volume}/{sub}"))
}

/// Whether a mount names a path below its volume, and so one that may have to be made first.
pub fn has_sub_path(mount: &VolumeMount) -> bool {
    let is_stated = |text: &Option<String>| text.as_deref().is_some_and(|text| !text.is_empty());
    is_stated(&mount.sub_path) || is_stated(&mount.sub_path_expr)
}

fn propagation(mount: &VolumeMount) -> Propagation {
    match mount.mount_propagation.as_deref() {
        Some("HostToContainer") => Propagation::HostToContainer,
        Some("Bidirectional") => Propagation::Bidirectional,
        _ => Propagation::Private,
    }
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') {
        path.to_owned()
    } else {
        format!("/{path}")
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn made(
        container: &serde_json::Value,
        env: &[(&str, &str)],
    ) -> Result<ContainerConfig, ConfigError> {
        let pod: Pod = serde_json::from_value(json!({
            "metadata": { "name": "web", "namespace": "shop", "uid": "u1" },
            "spec": { "containers": [container] } }))
        .unwrap();
        let container = pod.spec.as_ref().unwrap().containers[0].clone();
        let inputs = Inputs {
            attempt: 2,
            crashes: 3,
            image_id: "sha256:1".to_owned(),
            env: env
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
            volumes: [("data".to_owned(), "/v/data".to_owned())].into(),
            hosts_file: Some("/p/hosts".to_owned()),
            termination_file: Some("/p/last".to_owned()),
            ..Inputs::default()
        };
        config(&pod, &container, inputs)
    }

    #[test]
    fn commands_expand_variables() {
        let config = made(
            &json!({ "name": "a", "image": "x:1", "command": ["$(BIN)"], "args": ["--to=$(TO)", "$$(TO)"] }),
            &[("BIN", "/run"), ("TO", "you")],
        )
        .unwrap();
        assert_eq!(config.command, ["/run"]);
        assert_eq!(config.args, ["--to=you", "$(TO)"]);
        assert_eq!(config.log_path, "a/2.log");
        assert_eq!(config.annotations[names::CRASHES], "3");
    }

    #[test]
    fn volumes_hosts_and_last_words_are_mounted() {
        let mount = json!([{ "name": "data", "mountPath": "srv", "subPathExpr": "$(POD)/x", "readOnly": true }]);
        let config = made(
            &json!({ "name": "a", "volumeMounts": mount }),
            &[("POD", "web")],
        )
        .unwrap();
        let paths: Vec<_> = config
            .mounts
            .iter()
            .map(|one| (one.container_path.as_str(), one.host_path.as_str()))
            .collect();
        assert_eq!(
            paths,
            [
                ("/srv", "/v/data/web/x"),
                ("/etc/hosts", "/p/hosts"),
                ("/dev/termination-log", "/p/last")
            ]
        );
    }

    #[test]
    fn a_mount_of_its_own_takes_the_place_of_the_hosts_file() {
        let mount = json!([{ "name": "data", "mountPath": "/etc/hosts" }]);
        let config = made(&json!({ "name": "a", "volumeMounts": mount }), &[]).unwrap();
        assert_eq!(
            config
                .mounts
                .iter()
                .filter(|one| one.container_path == HOSTS_PATH)
                .count(),
            1
        );
    }

    #[test]
    fn what_cannot_be_mounted_is_named() {
        let error = made(
            &json!({ "name": "a", "volumeMounts": [{ "name": "no", "mountPath": "/x" }] }),
            &[],
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot find volume \"no\" to mount into container \"a\""
        );
        let mount = json!([{ "name": "data", "mountPath": "/x", "subPath": "../y" }]);
        assert!(matches!(
            made(&json!({ "name": "a", "volumeMounts": mount }), &[]),
            Err(ConfigError::SubPath { .. })
        ));
    }
}
