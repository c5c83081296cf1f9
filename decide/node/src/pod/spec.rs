//! Questions to a pod's spec.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Container, EphemeralContainer, Pod, PodSpec};

use crate::seen::{Container as Instance, Doing, State, Subject};

/// Where a container stands in the spec.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An init container that runs to its end.
    Init,
    /// An init container that keeps running beside the app containers.
    Sidecar,
    /// An app container.
    App,
    /// A container added to a running pod for debugging.
    Ephemeral,
}

/// Init and app containers, in order of start.
pub fn all(spec: &PodSpec) -> impl Iterator<Item = &Container> {
    spec.init_containers
        .iter()
        .flatten()
        .chain(&spec.containers)
}

/// An init or app container by name.
pub fn find<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a Container> {
    all(spec).find(|one| one.name == name)
}

/// Any container by name, ephemeral ones in the form of the others.
pub fn find_any(spec: &PodSpec, name: &str) -> Option<Container> {
    let ephemeral = || {
        let mut list = spec.ephemeral_containers.iter().flatten();
        list.find(|one| one.name == name).map(as_container)
    };
    find(spec, name).cloned().or_else(ephemeral)
}

/// The role of a container; `None` for a name the spec does not have.
pub fn role(spec: &PodSpec, name: &str) -> Option<Role> {
    if spec.containers.iter().any(|one| one.name == name) {
        return Some(Role::App);
    }
    if let Some(one) = spec
        .init_containers
        .iter()
        .flatten()
        .find(|one| one.name == name)
    {
        return Some(if is_sidecar(one) {
            Role::Sidecar
        } else {
            Role::Init
        });
    }
    let mut ephemeral = spec.ephemeral_containers.iter().flatten();
    ephemeral
        .any(|one| one.name == name)
        .then_some(Role::Ephemeral)
}

/// Whether an init container keeps running beside the app containers.
pub fn is_sidecar(init: &Container) -> bool {
    init.restart_policy.as_deref() == Some("Always")
}

/// Where in the pod a container stands, as events name it.
pub fn field_path(spec: &PodSpec, name: &str) -> Option<String> {
    let list = match role(spec, name)? {
        Role::Init | Role::Sidecar => "initContainers",
        Role::App => "containers",
        Role::Ephemeral => "ephemeralContainers",
    };
    Some(format!("spec.{list}{{{name}}}"))
}

/// Whether an ended container is to run again.
///
/// Source: `pkg/api/v1/pod/util.go`, `ContainerShouldRestart`.
pub fn restarts(spec: &PodSpec, container: &Container, exit_code: i32) -> bool {
    if container.restart_policy.is_some() {
        for rule in container.restart_policy_rules.iter().flatten() {
            let Some(on) = &rule.exit_codes else { continue };
            let is_listed = on.values.iter().flatten().any(|&code| code == exit_code);
            let matches = match on.operator.as_str() {
                "In" => is_listed,
                "NotIn" => !is_listed,
                _ => false,
            };
            if matches && rule.action == "Restart" {
                return true;
            }
        }
    }
    match container
        .restart_policy
        .as_deref()
        .or(spec.restart_policy.as_deref())
    {
        Some("Never") => false,
        Some("OnFailure") => exit_code != 0,
        _ => true,
    }
}

/// Whether a running instance is still being started by its hook.
///
/// Source: `pkg/kubelet/kuberuntime/kuberuntime_container.go`, `startContainer`, which ends with the hook.
pub fn is_in_hook(
    in_flight: &BTreeMap<Subject, Doing>,
    container: &Container,
    instance: &Instance,
) -> bool {
    let hook = container
        .lifecycle
        .as_ref()
        .and_then(|one| one.post_start.as_ref());
    let doing = in_flight.get(&Subject::Container(container.name.clone()));
    hook.is_some() && instance.state == State::Running && doing == Some(&Doing::Starting)
}

/// Whether a container that had to be killed is to run again.
pub fn restarts_after_kill(spec: &PodSpec, container: &Container) -> bool {
    let policy = container
        .restart_policy
        .as_deref()
        .or(spec.restart_policy.as_deref());
    policy != Some("Never")
}

/// The spec of a pod; an empty one where it is missing.
pub fn of(pod: &Pod) -> PodSpec {
    pod.spec.clone().unwrap_or_default()
}

fn as_container(one: &EphemeralContainer) -> Container {
    let one = one.clone();
    Container {
        args: one.args,
        command: one.command,
        env: one.env,
        env_from: one.env_from,
        image: one.image,
        image_pull_policy: one.image_pull_policy,
        name: one.name,
        resources: one.resources,
        security_context: one.security_context,
        stdin: one.stdin,
        stdin_once: one.stdin_once,
        termination_message_path: one.termination_message_path,
        termination_message_policy: one.termination_message_policy,
        tty: one.tty,
        volume_mounts: one.volume_mounts,
        working_dir: one.working_dir,
        ..Container::default()
    }
}

/// The ephemeral containers of a spec, in the form of the others.
pub fn ephemeral(spec: &PodSpec) -> Vec<Container> {
    spec.ephemeral_containers
        .iter()
        .flatten()
        .map(as_container)
        .collect()
}

/// The container whose process namespace an ephemeral container joins.
pub fn ephemeral_target<'a>(spec: &'a PodSpec, name: &str) -> Option<&'a str> {
    let mut list = spec.ephemeral_containers.iter().flatten();
    let one = list.find(|one| one.name == name)?;
    one.target_container_name
        .as_deref()
        .filter(|target| !target.is_empty())
}
