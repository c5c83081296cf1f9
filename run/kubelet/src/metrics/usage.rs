//! What pods and containers use, as the runtime reads it, in upstream's two forms.
//!
//! Source: `pkg/kubelet/metrics/collectors` for `/metrics/resource`, which metrics servers read, and for
//! `/metrics/cadvisor`, which dashboards do. What CRI does not tell, such as throttling, is in neither.

use std::collections::HashMap;

use cri::v1::{Container, ContainerStats, NetworkInterfaceUsage, PodSandboxStats, UInt64Value};
use node::names;
use scrape::{Heading, STABLE, Sheet, Stability, UNRATED};

const NANOS_PER_SECOND: f64 = 1e9;
const NANOS_PER_MILLI: i64 = 1_000_000;

/// What was read for one scrape.
#[derive(Default)]
pub(crate) struct Usage {
    pub(crate) containers: Vec<ContainerStats>,
    pub(crate) sandboxes: Vec<PodSandboxStats>,
    /// The containers themselves, which figures do not tell all of.
    pub(crate) known: Vec<Container>,
    /// Whether the runtime could not be asked.
    pub(crate) is_missing: bool,
    pub(crate) node: NodeUsage,
    /// Image of the containers that hold sandboxes.
    pub(crate) sandbox_image: String,
}

/// What the whole machine uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct NodeUsage {
    pub(crate) cpu_seconds: f64,
    pub(crate) memory_bytes: f64,
}

impl NodeUsage {
    /// Reads `/proc/stat` and `/proc/meminfo`.
    ///
    /// What is not free but for pages of files that nobody touched of late is in use, as cAdvisor has it.
    pub(crate) fn read(stat: &str, meminfo: &str) -> Self {
        // Source: proc_stat(5): user, nice, system, idle, iowait, irq, softirq, steal; hundredths of a second.
        let total = stat.lines().find_map(|line| line.strip_prefix("cpu "));
        let ticks = total.unwrap_or_default().split_whitespace();
        let busy = ticks
            .take(8)
            .enumerate()
            .filter(|(at, _)| !matches!(at, 3 | 4));
        let busy: f64 = busy
            .filter_map(|(_, ticks)| ticks.parse::<f64>().ok())
            .sum();
        let bytes = |label: &str| {
            let rest = meminfo.lines().find_map(|line| line.strip_prefix(label));
            let number = rest.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
            number.unwrap_or_default() * 1024.0
        };
        let used = bytes("MemTotal:") - bytes("MemFree:") - bytes("Inactive(file):");
        Self {
            cpu_seconds: busy / 100.0,
            memory_bytes: used.max(0.0),
        }
    }
}

/// Whose figures they are.
struct Owner<'a> {
    namespace: &'a str,
    pod: &'a str,
    container: &'a str,
}

impl<'a> Owner<'a> {
    fn of(labels: &'a HashMap<String, String>) -> Self {
        let text = |name: &str| labels.get(name).map(String::as_str).unwrap_or_default();
        Self {
            namespace: text(names::POD_NAMESPACE),
            pod: text(names::POD_NAME),
            container: text(names::CONTAINER_NAME),
        }
    }
}

/// What `/metrics/resource` answers.
pub(crate) fn resource(usage: &Usage) -> Sheet {
    let mut sheet = Sheet::default();
    let error = if usage.is_missing { 1.0 } else { 0.0 };
    let stable = |name, help| heading(STABLE, name, help);
    let help = "1 if what is used could not be read";
    sheet.put(stable("resource_scrape_error", help), &[], error, None);
    if usage.is_missing {
        return sheet;
    }
    let cpu = stable(
        "node_cpu_usage_seconds_total",
        "Processor time that the node used",
    );
    sheet.put(cpu, &[], usage.node.cpu_seconds, None);
    let memory = stable("node_memory_working_set_bytes", "Memory that the node uses");
    sheet.put(memory, &[], usage.node.memory_bytes, None);
    for one in &usage.containers {
        let Some(attributes) = &one.attributes else {
            continue;
        };
        let owner = Owner::of(&attributes.labels);
        let labels = [
            ("container", owner.container),
            ("namespace", owner.namespace),
            ("pod", owner.pod),
        ];
        let started = stable(
            "container_start_time_seconds",
            "When the container was made",
        );
        if let Some(at) = made_at(usage, &attributes.id) {
            sheet.put(started, &labels, at, None);
        }
        let figures = Figures::of_container(one);
        let cpu = stable(CONTAINER_CPU, "Processor time that the container used");
        figures.put_cpu(&mut sheet, cpu, &labels);
        let memory = stable(CONTAINER_MEMORY, "Memory that the container uses");
        figures.put_memory(&mut sheet, memory, &labels);
    }
    for one in &usage.sandboxes {
        let Some(attributes) = &one.attributes else {
            continue;
        };
        let owner = Owner::of(&attributes.labels);
        let labels = [("namespace", owner.namespace), ("pod", owner.pod)];
        let figures = Figures::of_sandbox(one);
        let cpu = stable(
            "pod_cpu_usage_seconds_total",
            "Processor time that the pod used",
        );
        figures.put_cpu(&mut sheet, cpu, &labels);
        let memory = stable("pod_memory_working_set_bytes", "Memory that the pod uses");
        figures.put_memory(&mut sheet, memory, &labels);
    }
    sheet
}

const CONTAINER_CPU: &str = "container_cpu_usage_seconds_total";
const CONTAINER_MEMORY: &str = "container_memory_working_set_bytes";

/// What `/metrics/cadvisor` answers.
pub(crate) fn cadvisor(usage: &Usage) -> Sheet {
    let mut sheet = Sheet::default();
    for one in &usage.containers {
        let Some(attributes) = &one.attributes else {
            continue;
        };
        let owner = Owner::of(&attributes.labels);
        let id = attributes.id.as_str();
        let known = usage.known.iter().find(|known| known.id == id);
        let image = known.and_then(|known| known.image.as_ref());
        let image = image.map(|image| image.image.as_str()).unwrap_or_default();
        let labels = labels(&owner, image, id);
        put_usage(&mut sheet, &Figures::of_container(one), &labels);
        if let Some(at) = made_at(usage, id) {
            let started = "When the container was made";
            let started = heading(UNRATED, "container_start_time_seconds", started);
            sheet.put(started, &labels, at, None);
        }
    }
    for one in &usage.sandboxes {
        let (Some(attributes), Some(linux)) = (&one.attributes, &one.linux) else {
            continue;
        };
        let owner = Owner::of(&attributes.labels);
        let Some(network) = &linux.network else {
            continue;
        };
        let at = Some(network.timestamp / NANOS_PER_MILLI);
        let own = labels(&owner, &usage.sandbox_image, &attributes.id);
        let usual = network.default_interface.as_ref();
        let is_other =
            |one: &&NetworkInterfaceUsage| usual.is_none_or(|usual| usual.name != one.name);
        let others = network.interfaces.iter().filter(is_other);
        for interface in usual.into_iter().chain(others) {
            put_network(&mut sheet, interface, own, at);
        }
    }
    sheet
}

type Labels<'a, const N: usize> = [(&'static str, &'a str); N];

fn labels<'a>(owner: &Owner<'a>, image: &'a str, id: &'a str) -> Labels<'a, 5> {
    [
        ("container", owner.container),
        ("image", image),
        ("name", id),
        ("namespace", owner.namespace),
        ("pod", owner.pod),
    ]
}

fn put_usage(sheet: &mut Sheet, figures: &Figures<'_>, own: &Labels<'_, 5>) {
    let [container, image, name, namespace, pod] = *own;
    let all = [container, ("cpu", "total"), image, name, namespace, pod];
    let cpu = heading(UNRATED, CONTAINER_CPU, "Processor time that was used");
    figures.put_cpu(sheet, cpu, &all);
    let working_set = heading(
        UNRATED,
        CONTAINER_MEMORY,
        "Memory that cannot be had back at once",
    );
    figures.put_memory(sheet, working_set, own);
    let Some(memory) = figures.memory else {
        return;
    };
    let at = Some(memory.timestamp / NANOS_PER_MILLI);
    for (name, help, value) in [
        (
            "container_memory_usage_bytes",
            "Memory in use, all of it",
            memory.usage_bytes,
        ),
        (
            "container_memory_rss",
            "Memory that is no page of a file",
            memory.rss_bytes,
        ),
    ] {
        if let Some(value) = value {
            sheet.put(heading(UNRATED, name, help), own, float(value), at);
        }
    }
}

fn put_network(
    sheet: &mut Sheet,
    interface: &NetworkInterfaceUsage,
    own: Labels<'_, 5>,
    at: Option<i64>,
) {
    let [container, image, name, namespace, pod] = own;
    let interface_name = ("interface", interface.name.as_str());
    let all = [container, image, interface_name, name, namespace, pod];
    for (name, help, value) in [
        (
            "container_network_receive_bytes_total",
            "Bytes that were received",
            interface.rx_bytes,
        ),
        (
            "container_network_receive_errors_total",
            "Errors while receiving",
            interface.rx_errors,
        ),
        (
            "container_network_transmit_bytes_total",
            "Bytes that were sent",
            interface.tx_bytes,
        ),
        (
            "container_network_transmit_errors_total",
            "Errors while sending",
            interface.tx_errors,
        ),
    ] {
        if let Some(value) = value {
            sheet.put(heading(UNRATED, name, help), &all, float(value), at);
        }
    }
}

/// Processor and memory, of a container or of a pod.
struct Figures<'a> {
    cpu: Option<&'a cri::v1::CpuUsage>,
    memory: Option<&'a cri::v1::MemoryUsage>,
}

impl<'a> Figures<'a> {
    fn of_container(stats: &'a ContainerStats) -> Self {
        Self {
            cpu: stats.cpu.as_ref(),
            memory: stats.memory.as_ref(),
        }
    }

    fn of_sandbox(stats: &'a PodSandboxStats) -> Self {
        let linux = stats.linux.as_ref();
        Self {
            cpu: linux.and_then(|linux| linux.cpu.as_ref()),
            memory: linux.and_then(|linux| linux.memory.as_ref()),
        }
    }

    fn put_cpu(&self, sheet: &mut Sheet, heading: Heading, labels: &[(&str, &str)]) {
        if let Some(cpu) = self.cpu
            && let Some(used) = cpu.usage_core_nano_seconds
        {
            let at = cpu.timestamp / NANOS_PER_MILLI;
            sheet.put(heading, labels, float(used) / NANOS_PER_SECOND, Some(at));
        }
    }

    fn put_memory(&self, sheet: &mut Sheet, heading: Heading, labels: &[(&str, &str)]) {
        if let Some(memory) = self.memory
            && let Some(used) = memory.working_set_bytes
        {
            let at = memory.timestamp / NANOS_PER_MILLI;
            sheet.put(heading, labels, float(used), Some(at));
        }
    }
}

/// When a container was made, in seconds since the epoch.
fn made_at(usage: &Usage, id: &str) -> Option<f64> {
    let known = usage.known.iter().find(|known| known.id == id)?;
    let millis = u64::try_from(known.created_at / NANOS_PER_MILLI).ok()?;
    Some(as_f64(millis) / 1e3)
}

fn heading(stability: Stability, name: &'static str, help: &'static str) -> Heading {
    Heading {
        name,
        help,
        is_counter: name.ends_with("_total"),
        stability,
    }
}

fn float(value: UInt64Value) -> f64 {
    as_f64(value.value)
}

/// A number as metrics have it; what is beyond 2^53 is rounded.
#[expect(clippy::cast_precision_loss, reason = "metrics are floats")]
fn as_f64(value: u64) -> f64 {
    value as f64
}

#[cfg(test)]
mod tests {
    use cri::v1::{
        ContainerAttributes, CpuUsage, ImageSpec, LinuxPodSandboxStats, MemoryUsage, NetworkUsage,
        PodSandboxAttributes,
    };

    use super::*;

    const AT: i64 = 5_000_000_000;

    fn number(value: u64) -> UInt64Value {
        UInt64Value { value }
    }

    fn labels_of(container: &str) -> HashMap<String, String> {
        let pairs = [
            (names::POD_NAMESPACE, "shop"),
            (names::POD_NAME, "web"),
            (names::CONTAINER_NAME, container),
        ];
        let set = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        set.map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    fn cpu() -> CpuUsage {
        CpuUsage {
            timestamp: AT,
            usage_core_nano_seconds: Some(number(1_500_000_000)),
            ..CpuUsage::default()
        }
    }

    fn memory() -> MemoryUsage {
        MemoryUsage {
            timestamp: AT,
            working_set_bytes: Some(number(4096)),
            ..MemoryUsage::default()
        }
    }

    fn usage() -> Usage {
        let container = ContainerStats {
            attributes: Some(ContainerAttributes {
                id: "c1".to_owned(),
                labels: labels_of("app"),
                ..ContainerAttributes::default()
            }),
            cpu: Some(cpu()),
            memory: Some(memory()),
            ..ContainerStats::default()
        };
        let eth0 = NetworkInterfaceUsage {
            name: "eth0".to_owned(),
            rx_bytes: Some(number(7)),
            ..NetworkInterfaceUsage::default()
        };
        let sandbox = PodSandboxStats {
            attributes: Some(PodSandboxAttributes {
                id: "s1".to_owned(),
                labels: labels_of(""),
                ..PodSandboxAttributes::default()
            }),
            linux: Some(LinuxPodSandboxStats {
                cpu: Some(cpu()),
                memory: Some(memory()),
                network: Some(NetworkUsage {
                    timestamp: AT,
                    default_interface: Some(eth0.clone()),
                    interfaces: vec![eth0],
                }),
                ..LinuxPodSandboxStats::default()
            }),
            ..PodSandboxStats::default()
        };
        Usage {
            containers: vec![container],
            sandboxes: vec![sandbox],
            known: vec![Container {
                id: "c1".to_owned(),
                image: Some(ImageSpec {
                    image: "web:1".to_owned(),
                    ..ImageSpec::default()
                }),
                created_at: 2_500_000_000,
                ..Container::default()
            }],
            sandbox_image: "pause:1".to_owned(),
            ..Usage::default()
        }
    }

    fn has(text: &str, wanted: &[&str]) {
        for line in wanted {
            assert!(
                text.lines().any(|known| known == *line),
                "{line} is missing in\n{text}"
            );
        }
    }

    #[test]
    fn metrics_servers_read_what_containers_pods_and_the_node_use() {
        let text = resource(&usage()).text();
        let container = "{container=\"app\",namespace=\"shop\",pod=\"web\"}";
        let pod = "{namespace=\"shop\",pod=\"web\"}";
        has(
            &text,
            &[
                &format!("container_cpu_usage_seconds_total{container} 1.5 5000"),
                &format!("container_memory_working_set_bytes{container} 4096 5000"),
                &format!("container_start_time_seconds{container} 2.5"),
                &format!("pod_cpu_usage_seconds_total{pod} 1.5 5000"),
                "node_cpu_usage_seconds_total 0",
                "resource_scrape_error 0",
            ],
        );
        assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
    }

    #[test]
    fn a_runtime_that_does_not_answer_is_an_error_alone() {
        let missing = Usage {
            is_missing: true,
            ..usage()
        };
        let text = resource(&missing).text();
        has(&text, &["resource_scrape_error 1"]);
        assert!(!text.contains("container_"));
    }

    #[test]
    fn dashboards_read_images_and_interfaces_too() {
        let text = cadvisor(&usage()).text();
        has(
            &text,
            &[
                "container_cpu_usage_seconds_total{container=\"app\",cpu=\"total\",image=\"web:1\",name=\"c1\",namespace=\"shop\",pod=\"web\"} 1.5 5000",
                "container_network_receive_bytes_total{container=\"\",image=\"pause:1\",interface=\"eth0\",name=\"s1\",namespace=\"shop\",pod=\"web\"} 7 5000",
            ],
        );
        assert_eq!(text.matches("interface=\"eth0\"").count(), 1);
    }

    #[test]
    fn the_node_uses_what_is_not_idle_and_not_free() {
        let stat = "cpu  100 0 50 900 70 0 0 0 0 0\ncpu0 1 1 1 1\n";
        let meminfo = "MemTotal: 10 kB\nMemFree: 4 kB\nInactive(file): 2 kB\n";
        let used = NodeUsage::read(stat, meminfo);
        let wanted = NodeUsage {
            cpu_seconds: 1.5,
            memory_bytes: 4096.0,
        };
        assert_eq!(used, wanted);
    }
}
