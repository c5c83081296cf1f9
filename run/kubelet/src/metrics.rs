//! What the agent counts, under upstream's names. Source: `pkg/kubelet/metrics`.

pub(crate) mod usage;

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use scrape::{ALPHA, Process, Registry};

/// Bounds of histograms that choose none, in seconds. Source: Prometheus' client for Go, `DefBuckets`.
const USUAL_SECONDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Metrics of one agent.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) operations: Arc<Operations>,
    started_pods: Counter,
    failed_pods: Counter,
    started_containers: Family<Typed, Counter>,
    failed_containers: Family<FailedStart, Counter>,
    running_pods: Gauge,
    containers: Family<InState, Gauge>,
    relist_seconds: Histogram,
    evictions: Family<Signal, Counter>,
    process: Process,
}

/// Calls to the runtime.
#[derive(Debug)]
pub(crate) struct Operations {
    total: Family<Operation, Counter>,
    failed: Family<Operation, Counter>,
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    operation_type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    node: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Typed {
    container_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FailedStart {
    code: String,
    container_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    container_state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Signal {
    eviction_signal: &'static str,
}

/// What the runtime has, to be counted.
pub(crate) struct Inventory {
    /// Sandboxes that run.
    pub(crate) running_pods: usize,
    /// Containers by their state.
    pub(crate) containers: Vec<cri::v1::ContainerState>,
}

impl cri::Observer for Operations {
    fn answered(&self, operation: &'static str, took: Duration, is_well: bool) {
        let operation = Operation {
            operation_type: operation_type(operation),
        };
        self.total.get_or_create(&operation).inc();
        if !is_well {
            self.failed.get_or_create(&operation).inc();
        }
        let seconds = self.seconds.get_or_create(&operation);
        seconds.observe(took.as_secs_f64());
    }
}

impl Operations {
    fn register(registry: &mut Registry) -> Self {
        let operations = Self {
            total: Family::default(),
            failed: Family::default(),
            seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.005, 2.5, 14))
            }),
        };
        registry.register(
            ALPHA,
            "kubelet_runtime_operations_total",
            "Calls to the runtime, by operation",
            operations.total.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_runtime_operations_errors_total",
            "Calls to the runtime that failed, by operation",
            operations.failed.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_runtime_operations_duration_seconds",
            "How long calls to the runtime took in seconds, by operation",
            operations.seconds.clone(),
        );
        operations
    }
}

impl Metrics {
    /// Metrics that start at zero.
    pub(crate) fn new(node: &str) -> Self {
        let mut registry = Registry::default();
        let named = Family::<Named, Gauge>::default();
        let node = node.to_owned();
        named.get_or_create(&Named { node }).set(1);
        registry.register(
            ALPHA,
            "kubelet_node_name",
            "The node's name; always 1",
            named,
        );
        let metrics = Self {
            operations: Arc::new(Operations::register(&mut registry)),
            started_pods: Counter::default(),
            failed_pods: Counter::default(),
            started_containers: Family::default(),
            failed_containers: Family::default(),
            running_pods: Gauge::default(),
            containers: Family::default(),
            relist_seconds: Histogram::new(USUAL_SECONDS),
            evictions: Family::default(),
            process: Process::register(&mut registry),
            registry,
        };
        metrics.registered()
    }

    /// Adds what is counted of pods and containers.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            ALPHA,
            "kubelet_started_pods_total",
            "Sandboxes that were made",
            self.started_pods.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_started_pods_errors_total",
            "Sandboxes that could not be made",
            self.failed_pods.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_started_containers_total",
            "Containers that were started, by type",
            self.started_containers.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_started_containers_errors_total",
            "Containers that could not be started, by type and reason",
            self.failed_containers.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_running_pods",
            "Pods whose sandbox runs",
            self.running_pods.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_running_containers",
            "Containers that the runtime has, by state",
            self.containers.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_pleg_relist_duration_seconds",
            "How long it took to ask the runtime for all its pods, in seconds",
            self.relist_seconds.clone(),
        );
        registry.register(
            ALPHA,
            "kubelet_evictions",
            "Pods that were ended for what they took, by limit",
            self.evictions.clone(),
        );
        self
    }

    /// Notes a sandbox that was made, or not.
    pub(crate) fn sandbox(&self, is_made: bool) {
        let counter = if is_made {
            &self.started_pods
        } else {
            &self.failed_pods
        };
        counter.inc();
    }

    /// Notes a container that was started, or why it was not.
    pub(crate) fn container(&self, container_type: &'static str, failed: Option<&str>) {
        match failed {
            None => {
                let typed = Typed { container_type };
                self.started_containers.get_or_create(&typed).inc();
            }
            Some(code) => {
                let failed = FailedStart {
                    code: code.to_owned(),
                    container_type,
                };
                self.failed_containers.get_or_create(&failed).inc();
            }
        }
    }

    /// Notes a pod that was ended for exceeding a limit.
    pub(crate) fn evicted(&self, signal: &'static str) {
        let signal = Signal {
            eviction_signal: signal,
        };
        self.evictions.get_or_create(&signal).inc();
    }

    /// Notes that the runtime was asked for all its pods.
    pub(crate) fn relisted(&self, took: Duration) {
        self.relist_seconds.observe(took.as_secs_f64());
    }

    /// The text of a scrape; `None` leaves what the runtime has as it was.
    pub(crate) fn render(&self, inventory: Option<&Inventory>) -> String {
        use cri::v1::ContainerState;

        if let Some(inventory) = inventory {
            let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
            self.running_pods.set(number(inventory.running_pods));
            for (state, container_state) in [
                (ContainerState::ContainerCreated, "created"),
                (ContainerState::ContainerRunning, "running"),
                (ContainerState::ContainerExited, "exited"),
                (ContainerState::ContainerUnknown, "unknown"),
            ] {
                let are_so = inventory.containers.iter().filter(|one| **one == state);
                let of_state = self.containers.get_or_create(&InState { container_state });
                of_state.set(number(are_so.count()));
            }
        }
        self.process.refresh();
        scrape::text(&[&self.registry])
    }
}

/// Upstream's word for a call of CRI: `RunPodSandbox` is `run_podsandbox`.
///
/// Source: `pkg/kubelet/kuberuntime/instrumented_services.go`.
fn operation_type(operation: &str) -> String {
    let operation = operation.replace("PodSandbox", "Podsandbox");
    let mut word = String::with_capacity(operation.len() + 4);
    for letter in operation.chars() {
        if letter.is_ascii_uppercase() && !word.is_empty() {
            word.push('_');
        }
        word.push(letter.to_ascii_lowercase());
    }
    word
}

#[cfg(test)]
mod tests {
    use cri::Observer as _;
    use cri::v1::ContainerState;

    use super::*;

    #[test]
    fn calls_have_upstreams_words() {
        for (call, wanted) in [
            ("RunPodSandbox", "run_podsandbox"),
            ("PodSandboxStatus", "podsandbox_status"),
            ("ListContainers", "list_containers"),
            ("ImageFsInfo", "image_fs_info"),
        ] {
            assert_eq!(operation_type(call), wanted);
        }
    }

    #[test]
    fn a_scrape_tells_of_pods_and_containers() {
        let metrics = Metrics::new("node-1");
        metrics.sandbox(true);
        metrics.sandbox(false);
        metrics.container("init_container", None);
        metrics.container("container", Some("CreateContainerError"));
        metrics.relisted(Duration::from_millis(3));
        metrics.evicted("emptydirfs.limit");
        metrics
            .operations
            .answered("StartContainer", Duration::from_millis(3), false);
        let text = metrics.render(Some(&Inventory {
            running_pods: 2,
            containers: vec![ContainerState::ContainerRunning; 3],
        }));
        for wanted in [
            "kubelet_node_name{node=\"node-1\"} 1",
            "kubelet_running_pods 2",
            "kubelet_evictions{eviction_signal=\"emptydirfs.limit\"} 1",
            "kubelet_running_containers{container_state=\"running\"} 3",
            "kubelet_started_containers_errors_total{code=\"CreateContainerError\",container_type=\"container\"} 1",
            "kubelet_runtime_operations_errors_total{operation_type=\"start_container\"} 1",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
    }
}
