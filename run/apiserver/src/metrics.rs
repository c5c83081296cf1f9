//! `/metrics`: requests, watches, stored objects and the process, under upstream's names.
//!
//! Source: apiserver `endpoints/metrics`, `storage/etcd3/metrics`, component-base `metrics`.

mod process;
mod text;

use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::Store;

use self::process::Process;
use crate::limits::{Class, InFlight};
use crate::request::RequestInfo;

pub(crate) use self::text::negotiate;

/// Bounds of the latency histogram, in seconds. Source: `requestLatencies`.
const LATENCY_SECONDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Verbs that are told apart. Source: `validRequestMethods`.
const VERBS: [&str; 8] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "update",
    "watch",
];

type Histograms = Family<Target, Histogram, fn() -> Histogram>;

/// All metrics of one API server.
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<Outcome, Counter>,
    seconds: Histograms,
    long_running: Family<Target, Gauge>,
    in_flight: Family<RequestKind, Gauge>,
    objects: Family<Stored, Gauge>,
    object_bytes: Family<Stored, Gauge>,
    process: Process,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    verb: String,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    verb: String,
    dry_run: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    component: &'static str,
    code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestKind {
    request_kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stored {
    group: String,
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    major: &'static str,
    minor: &'static str,
    git_version: &'static str,
    platform: String,
}

/// Counts a long-running request while it lives.
pub(crate) struct LongRunning(Gauge);

impl Drop for LongRunning {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl Metrics {
    /// Metrics that start at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let requests = Family::<Outcome, Counter>::default();
        let histogram: fn() -> Histogram = || Histogram::new(LATENCY_SECONDS);
        let seconds: Histograms = Family::new_with_constructor(histogram);
        let long_running = Family::<Target, Gauge>::default();
        let in_flight = Family::<RequestKind, Gauge>::default();
        let objects = Family::<Stored, Gauge>::default();
        let object_bytes = Family::<Stored, Gauge>::default();
        registry.register(
            "apiserver_request",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, and HTTP response code",
            requests.clone(),
        );
        registry.register(
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, group, version, resource, subresource, scope and component",
            seconds.clone(),
        );
        // No webhooks are waited for, so this is the same; alerts on error budgets ask for it.
        registry.register(
            "apiserver_request_sli_duration_seconds",
            "Response latency distribution in seconds, not counting webhooks, for each verb, group, version, resource, subresource, scope and component",
            seconds.clone(),
        );
        registry.register(
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests",
            long_running.clone(),
        );
        registry.register(
            "apiserver_current_inflight_requests",
            "Currently used inflight request limit of this apiserver per request kind",
            in_flight.clone(),
        );
        registry.register(
            "apiserver_resource_objects",
            "Number of stored objects at the time of the scrape, by kind",
            objects.clone(),
        );
        registry.register(
            "apiserver_resource_size_estimate_bytes",
            "Size of stored objects at the time of the scrape, by kind",
            object_bytes.clone(),
        );
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&this_build()).set(1);
        registry.register(
            "kubernetes_build_info",
            "Kubernetes version that is served, and what serves it",
            build,
        );
        let process = Process::register(&mut registry);
        Self {
            registry,
            requests,
            seconds,
            long_running,
            in_flight,
            objects,
            object_bytes,
            process,
        }
    }

    /// Notes a request that was answered.
    pub(crate) fn observe(&self, info: &RequestInfo, is_dry_run: bool, code: u16, took: Duration) {
        let target = target(info);
        let outcome = Outcome {
            verb: target.verb.clone(),
            dry_run: if is_dry_run { "All" } else { "" },
            group: target.group.clone(),
            version: target.version.clone(),
            resource: target.resource.clone(),
            subresource: target.subresource.clone(),
            scope: target.scope,
            component: target.component,
            code,
        };
        self.requests.get_or_create(&outcome).inc();
        self.seconds
            .get_or_create(&target)
            .observe(took.as_secs_f64());
    }

    /// Counts a long-running request until the guard is dropped.
    pub(crate) fn long_running(&self, info: &RequestInfo) -> LongRunning {
        let gauge = self.long_running.get_or_create(&target(info)).clone();
        gauge.inc();
        LongRunning(gauge)
    }

    /// The text of a scrape.
    pub(crate) fn render(&self, store: &dyn Store, in_flight: &InFlight) -> String {
        for (request_kind, class) in [("readOnly", Class::Read), ("mutating", Class::Write)] {
            let current = i64::try_from(in_flight.current(class)).unwrap_or(i64::MAX);
            self.in_flight
                .get_or_create(&RequestKind { request_kind })
                .set(current);
        }
        for count in store.resources() {
            let (resource, group) = count
                .resource
                .split_once('.')
                .unwrap_or((&count.resource, ""));
            let stored = Stored {
                group: group.to_owned(),
                resource: resource.to_owned(),
            };
            let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
            self.objects
                .get_or_create(&stored)
                .set(number(count.objects));
            self.object_bytes
                .get_or_create(&stored)
                .set(number(count.bytes));
        }
        self.process.refresh();
        let mut text = String::new();
        if let Err(error) = prometheus_client::encoding::text::encode(&mut text, &self.registry) {
            tracing::error!(%error, "metrics cannot be written");
        }
        text
    }
}

fn this_build() -> Build {
    Build {
        major: "1",
        minor: "36",
        git_version: crate::health::GIT_VERSION,
        platform: format!("linux/{}", std::env::consts::ARCH),
    }
}

fn target(info: &RequestInfo) -> Target {
    let scope = match (
        info.is_resource,
        info.name.is_empty(),
        info.namespace.is_empty(),
    ) {
        (false, ..) => "",
        (true, false, _) => "resource",
        (true, true, false) => "namespace",
        (true, true, true) => "cluster",
    };
    // Paths that are no resource would make one series for each name a client thinks of.
    let verb = match info.verb.as_str() {
        verb if VERBS.contains(&verb) => verb,
        _ => "other",
    };
    Target {
        verb: verb.to_uppercase(),
        group: info.group.clone(),
        version: info.version.clone(),
        resource: info.resource.clone(),
        subresource: info.subresource.clone(),
        scope,
        component: "apiserver",
    }
}

/// A gauge of a measured quantity.
type Quantity = Gauge<f64, AtomicU64>;

#[cfg(test)]
mod tests {
    use http::Method;
    use store::MemoryStore;

    use super::*;

    #[test]
    fn a_scrape_has_upstreams_names() {
        let metrics = Metrics::new();
        let info = RequestInfo::read(&Method::GET, "/api/v1/namespaces/web/pods", false);
        metrics.observe(&info, false, 200, Duration::from_millis(3));
        let _open = metrics.long_running(&info);
        let text = metrics.render(&MemoryStore::new(), &InFlight::new(1, 1, 1));
        for wanted in [
            "apiserver_request_total{verb=\"LIST\",dry_run=\"\",group=\"\",version=\"v1\",resource=\"pods\",subresource=\"\",scope=\"namespace\",component=\"apiserver\",code=\"200\"} 1",
            "apiserver_request_duration_seconds_bucket{le=\"0.005\",verb=\"LIST\"",
            "apiserver_longrunning_requests{verb=\"LIST\"",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} 0",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "kubernetes_build_info{",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }
}
