//! What a sandbox is made from: names, network, DNS, namespaces.
//!
//! Source: `pkg/kubelet/kuberuntime/kuberuntime_sandbox.go`, `kuberuntime_sandbox_linux.go`,
//! `pkg/kubelet/network/dns`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{HostAlias, Pod, PodSpec};

use crate::pod::spec;
use crate::security::{self, Seccomp};
use crate::{names, qos};

/// Longest host name, in bytes.
const HOSTNAME_BYTES_MAX: usize = 63;
/// Most name servers that resolvers read.
const NAMESERVERS_MAX: usize = 3;
/// Most search domains.
const SEARCHES_MAX: usize = 32;
/// Options of pods that use the cluster's DNS.
const CLUSTER_OPTIONS: [&str; 1] = ["ndots:5"];
/// First line of a hosts file this agent wrote.
const HOSTS_HEADER: &str = "# Kubernetes-managed hosts file.\n";
/// First line of a hosts file that was the node's.
const HOSTS_HEADER_NODE: &str = "# Kubernetes-managed hosts file (host network).\n";

/// A resolver configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Name servers.
    pub servers: Vec<String>,
    /// Search domains.
    pub searches: Vec<String>,
    /// Options such as `ndots:5`.
    pub options: Vec<String>,
}

/// DNS of the cluster and of the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DnsFacts {
    /// Addresses of the cluster's DNS; empty when there is none.
    pub cluster_servers: Vec<String>,
    /// The cluster's domain, such as `cluster.local`; empty when it has none.
    pub cluster_domain: String,
    /// The node's own configuration.
    pub node: Dns,
}

/// What the node lends to its sandboxes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxFacts {
    /// DNS of the cluster and of the node.
    pub dns: DnsFacts,
    /// The cgroup that holds all pods, such as `/kubepods`.
    pub cgroup_root: String,
}

/// A port of the node that leads into the sandbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortMapping {
    /// `TCP`, `UDP` or `SCTP`.
    pub protocol: String,
    /// The port inside.
    pub container_port: i32,
    /// The port of the node; 0 for none.
    pub host_port: i32,
    /// The address of the node; empty for all.
    pub host_ip: String,
}

/// Where a namespace comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Namespace {
    /// The pod has one.
    #[default]
    Pod,
    /// Each container has one.
    Container,
    /// The node's.
    Node,
}

/// Namespaces of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Network.
    pub network: Namespace,
    /// Processes.
    pub pid: Namespace,
    /// Shared memory and message queues.
    pub ipc: Namespace,
}

/// What a sandbox is made from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// The pod's name.
    pub name: String,
    /// Its namespace.
    pub namespace: String,
    /// Its uid.
    pub uid: String,
    /// How many sandboxes it had before.
    pub attempt: u32,
    /// Host name; empty on the node's network.
    pub hostname: String,
    /// Directory of its logs, below the log root.
    pub log_directory: String,
    /// Its resolver configuration.
    pub dns: Dns,
    /// Ports of the node that lead into it.
    pub ports: Vec<PortMapping>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Annotations.
    pub annotations: BTreeMap<String, String>,
    /// The cgroup that holds it.
    pub cgroup_parent: String,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Whether one of its containers is privileged.
    pub is_privileged: bool,
    /// User id of its first process.
    pub run_as_user: Option<i64>,
    /// Group id of its first process.
    pub run_as_group: Option<i64>,
    /// Further groups of its first process.
    pub supplemental_groups: Vec<i64>,
    /// Its seccomp profile.
    pub seccomp: Seccomp,
}

/// Why a sandbox must not be made as it is asked for: it would be less apart from the node than its pod wants.
///
/// `handler` is that of the pod's runtime class. Source: `pkg/kubelet/userns/userns_manager.go`.
pub fn refusal(pod: &Pod, handler: &str) -> Option<String> {
    let host_users = pod.spec.as_ref().and_then(|spec| spec.host_users);
    let runtime = if handler.is_empty() {
        "runtime".to_owned()
    } else {
        format!("RuntimeClass handler {handler:?}")
    };
    (host_users == Some(false)).then(|| {
        format!("can't set `spec.hostUsers: false`, {runtime} does not support user namespaces")
    })
}

/// Makes the configuration of a pod's sandbox.
pub fn config(pod: &Pod, attempt: u32, facts: &SandboxFacts) -> SandboxConfig {
    let pod_spec = spec::of(pod);
    let meta = pod.metadata.clone();
    let name = meta.name.unwrap_or_default();
    let namespace = meta.namespace.unwrap_or_default();
    let uid = meta.uid.unwrap_or_default();
    let security = security::of_pod(pod);
    let is_host_network = pod_spec.host_network == Some(true);
    let mut labels = meta.labels.unwrap_or_default();
    labels.insert(names::POD_NAME.to_owned(), name.clone());
    labels.insert(names::POD_NAMESPACE.to_owned(), namespace.clone());
    labels.insert(names::POD_UID.to_owned(), uid.clone());
    let sysctls = security.sysctls.clone().unwrap_or_default();
    let mut groups = security.supplemental_groups.clone().unwrap_or_default();
    groups.extend(security.fs_group);
    SandboxConfig {
        hostname: if is_host_network {
            String::new()
        } else {
            hostname(pod).0
        },
        log_directory: names::pod_log_directory(&namespace, &name, &uid),
        dns: dns(pod, &facts.dns),
        ports: if is_host_network {
            Vec::new()
        } else {
            ports(&pod_spec)
        },
        labels,
        annotations: meta.annotations.unwrap_or_default(),
        cgroup_parent: names::cgroup_parent(&facts.cgroup_root, qos::class(pod), &uid),
        sysctls: sysctls
            .into_iter()
            .map(|one| (one.name, one.value))
            .collect(),
        namespaces: namespaces(&pod_spec),
        is_privileged: is_any_privileged(&pod_spec),
        run_as_user: security.run_as_user,
        run_as_group: security.run_as_group,
        supplemental_groups: groups,
        seccomp: Seccomp::RuntimeDefault,
        name,
        namespace,
        uid,
        attempt,
    }
}

/// Namespaces a pod's spec asks for.
pub fn namespaces(pod_spec: &PodSpec) -> Namespaces {
    let node_or = |wanted: Option<bool>, other| {
        if wanted == Some(true) {
            Namespace::Node
        } else {
            other
        }
    };
    let shared = if pod_spec.share_process_namespace == Some(true) {
        Namespace::Pod
    } else {
        Namespace::Container
    };
    Namespaces {
        network: node_or(pod_spec.host_network, Namespace::Pod),
        pid: node_or(pod_spec.host_pid, shared),
        ipc: node_or(pod_spec.host_ipc, Namespace::Pod),
    }
}

fn is_any_privileged(pod_spec: &PodSpec) -> bool {
    let own = |one: &k8s_openapi::api::core::v1::Container| {
        one.security_context
            .as_ref()
            .and_then(|context| context.privileged)
            == Some(true)
    };
    spec::all(pod_spec).any(own) || spec::ephemeral(pod_spec).iter().any(own)
}

fn ports(pod_spec: &PodSpec) -> Vec<PortMapping> {
    let all = spec::all(pod_spec).flat_map(|one| one.ports.iter().flatten());
    let mapped = all.map(|port| PortMapping {
        protocol: port.protocol.clone().unwrap_or_else(|| "TCP".to_owned()),
        container_port: port.container_port,
        host_port: port.host_port.unwrap_or(0),
        host_ip: port.host_ip.clone().unwrap_or_default(),
    });
    mapped.collect()
}

/// Host name and domain of a pod; the domain is empty without a subdomain.
pub fn hostname(pod: &Pod) -> (String, String) {
    let pod_spec = spec::of(pod);
    let name = pod.metadata.name.clone().unwrap_or_default();
    let stated = pod_spec.hostname.filter(|name| !name.is_empty());
    let mut hostname = stated.unwrap_or(name);
    if hostname.len() > HOSTNAME_BYTES_MAX {
        hostname.truncate(HOSTNAME_BYTES_MAX);
        let kept = hostname.trim_end_matches(['-', '.']).len();
        hostname.truncate(kept);
    }
    if let Some(other) = pod_spec.hostname_override.filter(|name| !name.is_empty()) {
        return (other, String::new());
    }
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    let domain = pod_spec.subdomain.filter(|name| !name.is_empty());
    let domain = domain.map(|sub| format!("{sub}.{namespace}.svc.cluster.local"));
    (hostname, domain.unwrap_or_default())
}

/// The resolver configuration of a pod.
pub fn dns(pod: &Pod, facts: &DnsFacts) -> Dns {
    let pod_spec = spec::of(pod);
    let is_host_network = pod_spec.host_network == Some(true);
    let uses_cluster = match pod_spec.dns_policy.as_deref() {
        Some("None" | "Default") => false,
        Some("ClusterFirstWithHostNet") => true,
        _ => !is_host_network,
    };
    let mut dns = if pod_spec.dns_policy.as_deref() == Some("None") {
        Dns::default()
    } else if uses_cluster && !facts.cluster_servers.is_empty() {
        cluster_dns(pod, facts)
    } else {
        facts.node.clone()
    };
    if let Some(own) = pod_spec.dns_config {
        dns.servers.extend(own.nameservers.unwrap_or_default());
        dns.searches.extend(own.searches.unwrap_or_default());
        for option in own.options.unwrap_or_default() {
            let name = option.name.unwrap_or_default();
            let named = |text: &String| text.split(':').next() == Some(name.as_str());
            dns.options.retain(|text| !named(text));
            dns.options.push(match option.value {
                Some(value) => format!("{name}:{value}"),
                None => name,
            });
        }
    }
    dedup(&mut dns.servers);
    dedup(&mut dns.searches);
    dns.servers.truncate(NAMESERVERS_MAX);
    dns.searches.truncate(SEARCHES_MAX);
    dns
}

fn cluster_dns(pod: &Pod, facts: &DnsFacts) -> Dns {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let domain = &facts.cluster_domain;
    let mut searches = Vec::new();
    if !domain.is_empty() {
        searches = vec![
            format!("{namespace}.svc.{domain}"),
            format!("svc.{domain}"),
            domain.clone(),
        ];
    }
    searches.extend(facts.node.searches.iter().cloned());
    Dns {
        servers: facts.cluster_servers.clone(),
        searches,
        options: CLUSTER_OPTIONS.map(str::to_owned).to_vec(),
    }
}

fn dedup(list: &mut Vec<String>) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|one| seen.insert(one.clone()));
}

/// Reads a resolver configuration in the form of `/etc/resolv.conf`.
pub fn parse_resolv_conf(text: &str) -> Dns {
    let mut dns = Dns::default();
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let key = words.next();
        let rest = words.map(str::to_owned);
        match key {
            Some("nameserver") => dns.servers.extend(rest.take(1)),
            Some("search") => dns.searches = rest.map(|one| trim_dot(&one)).collect(),
            Some("options") => dns.options = rest.collect(),
            _ => {}
        }
    }
    dns
}

fn trim_dot(domain: &str) -> String {
    match domain.strip_suffix('.') {
        Some(rest) if !rest.is_empty() => rest.to_owned(),
        _ => domain.to_owned(),
    }
}

/// The hosts file of a pod; `node_file` is the node's, for pods on its network.
///
/// Source: `pkg/kubelet/kubelet_pods.go`, `managedHostsFileContent`.
pub fn hosts_file(pod: &Pod, pod_ips: &[String], node_file: &str) -> String {
    let pod_spec = spec::of(pod);
    let aliases = pod_spec.host_aliases.unwrap_or_default();
    if pod_spec.host_network == Some(true) {
        return format!("{HOSTS_HEADER_NODE}{node_file}{}", alias_lines(&aliases));
    }
    let (name, domain) = hostname(pod);
    let mut out = HOSTS_HEADER.to_owned();
    out.push_str("127.0.0.1\tlocalhost\n");
    out.push_str("::1\tlocalhost ip6-localhost ip6-loopback\n");
    out.push_str("fe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\n");
    out.push_str("fe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n");
    for ip in pod_ips {
        let line = if domain.is_empty() {
            format!("{ip}\t{name}\n")
        } else {
            format!("{ip}\t{name}.{domain}\t{name}\n")
        };
        out.push_str(&line);
    }
    out.push_str(&alias_lines(&aliases));
    out
}

fn alias_lines(aliases: &[HostAlias]) -> String {
    if aliases.is_empty() {
        return String::new();
    }
    let line = |alias: &HostAlias| {
        let names = alias.hostnames.as_deref().unwrap_or_default().join("\t");
        format!("{}\t{names}\n", alias.ip)
    };
    let lines: String = aliases.iter().map(line).collect();
    format!("\n# Entries added by HostAliases.\n{lines}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "specs are written in place")]
    fn pod(spec: Value) -> Pod {
        serde_json::from_value(json!({
            "metadata": { "name": "web-0", "namespace": "shop", "uid": "u1", "labels": { "app": "web" } },
            "spec": spec }))
        .unwrap()
    }

    fn facts() -> DnsFacts {
        DnsFacts {
            cluster_servers: vec!["10.96.0.10".to_owned()],
            cluster_domain: "cluster.local".to_owned(),
            node: parse_resolv_conf("nameserver 1.1.1.1\nsearch corp.\noptions ndots:1\n"),
        }
    }

    fn sandbox_facts() -> SandboxFacts {
        SandboxFacts {
            dns: facts(),
            cgroup_root: "/kubepods".to_owned(),
        }
    }

    #[test]
    fn user_namespaces_are_refused() {
        let pod = |spec: serde_json::Value| -> Pod {
            serde_json::from_value(serde_json::json!({ "spec": spec })).unwrap()
        };
        let own = pod(serde_json::json!({ "containers": [], "hostUsers": false }));
        assert_eq!(
            refusal(&own, "").as_deref(),
            Some("can't set `spec.hostUsers: false`, runtime does not support user namespaces")
        );
        assert!(
            refusal(&own, "x")
                .unwrap()
                .contains("RuntimeClass handler \"x\" does")
        );
        let hosts = pod(serde_json::json!({ "containers": [], "hostUsers": true }));
        assert_eq!(refusal(&hosts, ""), None);
    }

    #[test]
    fn pods_use_the_clusters_dns_unless_they_say_otherwise() {
        let dns_of = |spec| dns(&pod(spec), &facts());
        let cluster = dns_of(json!({ "containers": [] }));
        assert_eq!(cluster.servers, ["10.96.0.10"]);
        assert_eq!(
            cluster.searches,
            [
                "shop.svc.cluster.local",
                "svc.cluster.local",
                "cluster.local",
                "corp"
            ]
        );
        assert_eq!(cluster.options, ["ndots:5"]);
        let host =
            dns_of(json!({ "containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirst" }));
        assert_eq!(host.servers, ["1.1.1.1"]);
        let with_host = json!({ "containers": [], "hostNetwork": true, "dnsPolicy": "ClusterFirstWithHostNet" });
        assert_eq!(dns_of(with_host).servers, ["10.96.0.10"]);
        let own = dns_of(
            json!({ "containers": [], "dnsPolicy": "None", "dnsConfig": { "nameservers": ["9.9.9.9"],
            "options": [{ "name": "ndots", "value": "2" }, { "name": "edns0" }] } }),
        );
        assert_eq!(
            (own.servers, own.options),
            (
                vec!["9.9.9.9".to_owned()],
                vec!["ndots:2".to_owned(), "edns0".to_owned()]
            )
        );
    }

    #[test]
    fn a_host_network_pod_has_no_host_name_and_no_ports_of_its_own() {
        let config = config(
            &pod(
                json!({ "hostNetwork": true, "containers": [{ "name": "a", "ports": [{ "containerPort": 80, "hostPort": 80 }] }] }),
            ),
            1,
            &sandbox_facts(),
        );
        assert_eq!(config.hostname, "");
        assert!(config.ports.is_empty());
        assert_eq!(config.namespaces.network, Namespace::Node);
        assert_eq!(config.cgroup_parent, "/kubepods/besteffort/podu1");
        assert_eq!(config.labels[names::POD_UID], "u1");
        assert_eq!(config.log_directory, "shop_web-0_u1");
    }

    #[test]
    fn one_privileged_container_makes_the_sandbox_privileged() {
        let spec =
            json!({ "containers": [{ "name": "a", "securityContext": { "privileged": true } }] });
        assert!(config(&pod(spec), 0, &sandbox_facts()).is_privileged);
    }

    #[test]
    fn the_hosts_file_names_the_pod_and_its_aliases() {
        let spec = json!({ "containers": [], "hostname": "db", "subdomain": "dbs",
            "hostAliases": [{ "ip": "1.2.3.4", "hostnames": ["a", "b"] }] });
        let text = hosts_file(&pod(spec), &["10.0.0.2".to_owned()], "");
        assert!(
            text.contains("10.0.0.2\tdb.dbs.shop.svc.cluster.local\tdb\n"),
            "{text}"
        );
        assert!(
            text.ends_with("\n# Entries added by HostAliases.\n1.2.3.4\ta\tb\n"),
            "{text}"
        );
    }

    #[test]
    fn a_long_name_is_cut_to_a_host_name() {
        let mut pod = pod(json!({ "containers": [] }));
        pod.metadata.name = Some(format!("{}-x", "a".repeat(62)));
        assert_eq!(hostname(&pod).0, "a".repeat(62));
    }
}
