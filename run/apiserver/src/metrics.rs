//! `/metrics`: requests, who sends them, watches, stored objects and the process, under upstream's names.
//!
//! Source: apiserver `endpoints/metrics`, `storage/etcd3/metrics`, component-base `metrics`.

mod access;
mod admission;
mod process;
mod requests;
mod text;
mod watches;

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use store::Store;

use self::access::Access;
use self::admission::Admission;
use self::process::Process;
use self::requests::Requests;
use self::watches::Watches;
use crate::limits::{Class, InFlight};

pub(crate) use self::admission::Step;
pub(crate) use self::requests::{Asked, Sized};
pub(crate) use self::text::negotiate;
pub(crate) use self::watches::Events;

type Histograms<Label> = Family<Label, Histogram, fn() -> Histogram>;

/// All metrics of one API server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Requests,
    pub(crate) access: Access,
    pub(crate) admission: Admission,
    pub(crate) watches: Watches,
    handshake_errors: Counter,
    in_flight: Family<RequestKind, Gauge>,
    objects: Family<Stored, Gauge>,
    object_bytes: Family<Stored, Gauge>,
    stored: Family<StoredKind, Gauge>,
    process: Process,
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

/// The resource as `plural` or `plural.group`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoredKind {
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    major: &'static str,
    minor: &'static str,
    git_version: &'static str,
    platform: String,
}

impl Metrics {
    /// Metrics that start at zero.
    pub(crate) fn new() -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            requests: Requests::register(&mut registry),
            access: Access::register(&mut registry),
            admission: Admission::register(&mut registry),
            watches: Watches::register(&mut registry),
            process: Process::register(&mut registry),
            handshake_errors: Counter::default(),
            in_flight: Family::default(),
            objects: Family::default(),
            object_bytes: Family::default(),
            stored: Family::default(),
            registry,
        };
        metrics.registered()
    }

    /// Adds the metrics that stand alone.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            "apiserver_tls_handshake_errors",
            "Number of connections that ended with a TLS handshake error",
            self.handshake_errors.clone(),
        );
        registry.register(
            "apiserver_current_inflight_requests",
            "Currently used inflight request limit of this apiserver per request kind",
            self.in_flight.clone(),
        );
        registry.register(
            "apiserver_resource_objects",
            "Number of stored objects at the time of the scrape, by kind",
            self.objects.clone(),
        );
        registry.register(
            "apiserver_resource_size_estimate_bytes",
            "Size of stored objects at the time of the scrape, by kind",
            self.object_bytes.clone(),
        );
        registry.register(
            "apiserver_storage_objects",
            "Number of stored objects at the time of the scrape, by kind; apiserver_resource_objects says the same",
            self.stored.clone(),
        );
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&this_build()).set(1);
        registry.register(
            "kubernetes_build_info",
            "Kubernetes version that is served, and what serves it",
            build,
        );
        self
    }

    /// Notes a connection that got no further than its handshake.
    pub(crate) fn handshake_failed(&self) {
        self.handshake_errors.inc();
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
            let resource = count.resource.to_string();
            self.stored
                .get_or_create(&StoredKind { resource })
                .set(number(count.objects));
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

/// A gauge of a measured quantity.
type Quantity = Gauge<f64, AtomicU64>;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::access::attributes::Decision;
    use http::{HeaderMap, Method};
    use jiff::Timestamp;
    use kinds::strategy::{Operation, User};
    use store::MemoryStore;

    use super::*;
    use crate::options::Query;
    use crate::request::RequestInfo;

    #[test]
    fn a_scrape_has_upstreams_names() {
        let metrics = Metrics::new();
        let info = RequestInfo::read(&Method::GET, "/api/v1/namespaces/web/pods", false);
        let (headers, query) = (HeaderMap::new(), Query::read(""));
        let asked = Asked::read(&info, &Method::GET, &headers, &query, false);
        let took = Duration::from_millis(3);
        let Metrics {
            requests,
            access,
            admission,
            watches,
            ..
        } = &metrics;
        requests.terminated(&asked, 429);
        requests.read(&info, 7);
        let _open = requests.long_running(&asked);
        requests.observe(asked, 200, took).unwrap().add(70);
        access.authenticated(&Ok(User::default()), took);
        access.certificate(Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        access.authorized(&Decision::Allow, took);
        admission.stepped(Step::Admit, Operation::Create, false, took);
        watches.events(&info).sent(9);
        let text = metrics.render(&MemoryStore::new(), &InFlight::new(1, 1, 1));
        let (_, text) = negotiate(text, "");
        let target = "verb=\"LIST\",group=\"\",version=\"v1\",resource=\"pods\",subresource=\"\",scope=\"namespace\",component=\"apiserver\"";
        for wanted in [
            &format!(
                "apiserver_request_total{{dry_run=\"\",code=\"200\",system_client=\"\",{target}}} 1"
            ),
            &format!(
                "apiserver_request_duration_seconds_bucket{{le=\"0.005\",dry_run=\"\",{target}}} 1"
            ),
            &format!("apiserver_longrunning_requests{{{target}}} 1"),
            &format!("apiserver_request_terminations_total{{code=\"429\",{target}}} 1"),
            &format!("apiserver_response_sizes_sum{{{target}}} 70.0"),
            "apiserver_request_body_size_bytes_sum{group=\"\",resource=\"pods\",verb=\"list\"} 7.0",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} 0",
            "authenticated_user_requests{username=\"other\"} 1",
            "authentication_attempts{result=\"success\"} 1",
            "authorization_attempts_total{result=\"allowed\"} 1",
            "apiserver_client_certificate_expiration_seconds_bucket{le=\"0.0\"} 1",
            "apiserver_admission_step_admission_duration_seconds_count{operation=\"CREATE\",rejected=\"false\",type=\"admit\"} 1",
            "apiserver_watch_events_total{group=\"\",version=\"v1\",resource=\"pods\"} 1",
            "apiserver_tls_handshake_errors_total 0",
            "process_cpu_seconds_total ",
            "process_resident_memory_bytes ",
            "process_open_fds ",
            "kubernetes_build_info{",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }
}
