//! Decisions in the runtime's words.

use cri::v1;
use node::container::{ContainerConfig, Mount, Propagation};
use node::resources::Limits;
use node::sandbox::{Namespace, Namespaces, SandboxConfig};
use node::security::{Seccomp, Security};

/// A sandbox configuration; `logs_dir` is the root of all logs.
pub(crate) fn sandbox(config: SandboxConfig, logs_dir: &std::path::Path) -> v1::PodSandboxConfig {
    let log_directory = logs_dir.join(&config.log_directory);
    let ports = config.ports.iter().map(|port| v1::PortMapping {
        protocol: protocol(&port.protocol).into(),
        container_port: port.container_port,
        host_port: port.host_port,
        host_ip: port.host_ip.clone(),
    });
    v1::PodSandboxConfig {
        metadata: Some(v1::PodSandboxMetadata {
            name: config.name,
            uid: config.uid,
            namespace: config.namespace,
            attempt: config.attempt,
        }),
        hostname: config.hostname,
        log_directory: log_directory.to_string_lossy().into_owned(),
        dns_config: Some(v1::DnsConfig {
            servers: config.dns.servers,
            searches: config.dns.searches,
            options: config.dns.options,
        }),
        port_mappings: ports.collect(),
        labels: config.labels.into_iter().collect(),
        annotations: config.annotations.into_iter().collect(),
        linux: Some(v1::LinuxPodSandboxConfig {
            cgroup_parent: config.cgroup_parent,
            security_context: Some(v1::LinuxSandboxSecurityContext {
                namespace_options: Some(namespaces(config.namespaces)),
                run_as_user: config.run_as_user.map(number),
                run_as_group: config.run_as_group.map(number),
                supplemental_groups: config.supplemental_groups,
                privileged: config.is_privileged,
                seccomp: Some(seccomp(&config.seccomp)),
                ..v1::LinuxSandboxSecurityContext::default()
            }),
            sysctls: config.sysctls.into_iter().collect(),
            ..v1::LinuxPodSandboxConfig::default()
        }),
        ..v1::PodSandboxConfig::default()
    }
}

/// A container configuration.
pub(crate) fn container(config: ContainerConfig) -> v1::ContainerConfig {
    let env = config.env.into_iter().map(|(key, value)| v1::KeyValue {
        key,
        value: value.into_bytes(),
    });
    let stop_signal = config.stop_signal.as_deref().map(signal_name);
    let stop_signal = stop_signal.and_then(|name| v1::Signal::from_str_name(&name));
    v1::ContainerConfig {
        metadata: Some(v1::ContainerMetadata {
            name: config.name,
            attempt: config.attempt,
        }),
        image: Some(v1::ImageSpec {
            image: config.image_id,
            user_specified_image: config.image,
            ..v1::ImageSpec::default()
        }),
        command: config.command,
        args: config.args,
        working_dir: config.working_dir,
        envs: env.collect(),
        mounts: config.mounts.into_iter().map(mount).collect(),
        labels: config.labels.into_iter().collect(),
        annotations: config.annotations.into_iter().collect(),
        log_path: config.log_path,
        stdin: config.has_stdin,
        stdin_once: config.is_stdin_once,
        tty: config.has_tty,
        linux: Some(v1::LinuxContainerConfig {
            resources: Some(resources(config.limits)),
            security_context: Some(security(config.security, config.namespaces)),
        }),
        stop_signal: stop_signal.unwrap_or_default().into(),
        ..v1::ContainerConfig::default()
    }
}

/// `SIGRTMIN+3` is `SIGRTMINPLUS3` in CRI.
fn signal_name(name: &str) -> String {
    name.replace('+', "PLUS").replace('-', "MINUS")
}

fn protocol(name: &str) -> v1::Protocol {
    match name {
        "UDP" => v1::Protocol::Udp,
        "SCTP" => v1::Protocol::Sctp,
        _ => v1::Protocol::Tcp,
    }
}

fn mount(mount: Mount) -> v1::Mount {
    let propagation = match mount.propagation {
        Propagation::Private => v1::MountPropagation::PropagationPrivate,
        Propagation::HostToContainer => v1::MountPropagation::PropagationHostToContainer,
        Propagation::Bidirectional => v1::MountPropagation::PropagationBidirectional,
    };
    v1::Mount {
        container_path: mount.container_path,
        host_path: mount.host_path,
        readonly: mount.is_read_only,
        propagation: propagation.into(),
        ..v1::Mount::default()
    }
}

fn resources(limits: Limits) -> v1::LinuxContainerResources {
    v1::LinuxContainerResources {
        cpu_period: limits.cpu_period_us,
        cpu_quota: limits.cpu_quota_us,
        cpu_shares: limits.cpu_shares,
        memory_limit_in_bytes: limits.memory_bytes,
        oom_score_adj: limits.oom_score,
        ..v1::LinuxContainerResources::default()
    }
}

fn security(security: Security, spaces: Namespaces) -> v1::LinuxContainerSecurityContext {
    let groups_policy = if security.is_strict_groups {
        v1::SupplementalGroupsPolicy::Strict
    } else {
        v1::SupplementalGroupsPolicy::Merge
    };
    v1::LinuxContainerSecurityContext {
        capabilities: Some(v1::Capability {
            add_capabilities: security.add_capabilities,
            drop_capabilities: security.drop_capabilities,
            ..v1::Capability::default()
        }),
        privileged: security.is_privileged,
        namespace_options: Some(namespaces(spaces)),
        run_as_user: security.run_as_user.map(number),
        run_as_group: security.run_as_group.map(number),
        readonly_rootfs: security.is_read_only_root,
        supplemental_groups: security.supplemental_groups,
        supplemental_groups_policy: groups_policy.into(),
        no_new_privs: security.no_new_privileges,
        masked_paths: security.masked_paths,
        readonly_paths: security.read_only_paths,
        seccomp: Some(seccomp(&security.seccomp)),
        ..v1::LinuxContainerSecurityContext::default()
    }
}

fn namespaces(spaces: Namespaces) -> v1::NamespaceOption {
    let mode = |space: Namespace| -> i32 {
        let mode = match space {
            Namespace::Pod => v1::NamespaceMode::Pod,
            Namespace::Container => v1::NamespaceMode::Container,
            Namespace::Node => v1::NamespaceMode::Node,
        };
        mode.into()
    };
    v1::NamespaceOption {
        network: mode(spaces.network),
        pid: mode(spaces.pid),
        ipc: mode(spaces.ipc),
        ..v1::NamespaceOption::default()
    }
}

fn seccomp(profile: &Seccomp) -> v1::SecurityProfile {
    use v1::security_profile::ProfileType;
    let (kind, file) = match profile {
        Seccomp::Unconfined => (ProfileType::Unconfined, String::new()),
        Seccomp::RuntimeDefault => (ProfileType::RuntimeDefault, String::new()),
        Seccomp::Localhost(file) => (ProfileType::Localhost, file.clone()),
    };
    v1::SecurityProfile {
        profile_type: kind.into(),
        localhost_ref: file,
    }
}

fn number(value: i64) -> v1::Int64Value {
    v1::Int64Value { value }
}
