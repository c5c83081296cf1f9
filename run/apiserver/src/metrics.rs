//! `/metrics`: requests, who sends them, watches, stored objects and the process, under upstream's names.
//!
//! Source: apiserver `endpoints/metrics`, `storage/etcd3/metrics`, component-base `metrics`.

mod access;
mod admission;
mod audit;
mod clients;
mod flow_control;
mod requests;
mod storage;
mod watches;

use std::sync::Arc;

use kinds::Lookup;
use meta::ObjectExt;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use scrape::{ALPHA, BETA, Process, Registry};
use serde_json::Value;
use store::Store;

use self::access::Access;
use self::admission::Admission;
use self::audit::Audit;
use self::clients::Clients;
use self::requests::Requests;
use self::storage::Storage;
use self::watches::Watches;
use crate::health;

pub(crate) use self::flow_control::{FlowControl, Meter};
pub(crate) use self::requests::{Asked, Sized};
pub(crate) use self::storage::Listed;
pub(crate) use self::watches::Events;

type Histograms<Label> = Family<Label, Histogram, fn() -> Histogram>;

/// All metrics of one API server.
pub(crate) struct Metrics {
    registry: Registry,
    pub(crate) requests: Requests,
    pub(crate) access: Access,
    pub(crate) admission: Admission,
    pub(crate) audit: Audit,
    pub(crate) clients: Clients,
    pub(crate) flow_control: FlowControl,
    pub(crate) storage: Storage,
    pub(crate) watches: Watches,
    handshake_errors: Counter,
    unavailable: Family<Service, Gauge>,
    process: Process,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestKind {
    request_kind: &'static str,
}

/// An APIService.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Service {
    name: String,
}

/// What `/version` says. Source: component-base `metrics/version.go`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Served {
    build_date: String,
    compiler: String,
    git_commit: String,
    git_tree_state: String,
    git_version: String,
    go_version: String,
    major: String,
    minor: String,
    platform: String,
}

/// Source: component-base `metrics/version.go`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Versions {
    binary: String,
    component: &'static str,
    emulation: String,
    min_compat: String,
}

impl Metrics {
    /// Metrics that start at zero, of a server that is reached at `host`.
    pub(crate) fn new(host: &str) -> Self {
        let mut registry = Registry::default();
        let metrics = Self {
            requests: Requests::register(&mut registry),
            access: Access::register(&mut registry),
            admission: Admission::register(&mut registry),
            audit: Audit::register(&mut registry),
            clients: Clients::register(&mut registry, host),
            flow_control: FlowControl::register(&mut registry),
            storage: Storage::register(&mut registry),
            watches: Watches::register(&mut registry),
            process: Process::register(&mut registry),
            handshake_errors: Counter::default(),
            unavailable: Family::default(),
            registry,
        };
        metrics.registered()
    }

    /// Adds the metrics that stand alone.
    fn registered(mut self) -> Self {
        let registry = &mut self.registry;
        registry.register(
            ALPHA,
            "apiserver_tls_handshake_errors_total",
            "Number of connections that ended with a TLS handshake error",
            self.handshake_errors.clone(),
        );
        registry.register(
            ALPHA,
            "aggregator_unavailable_apiservice",
            "Whether an APIService is unavailable; those of other servers are, since nothing is asked of these",
            self.unavailable.clone(),
        );
        let version = health::version();
        let said = |name: &str| {
            let said = version.get(name).and_then(Value::as_str);
            said.unwrap_or_default().to_owned()
        };
        let builds = Family::<Served, Gauge>::default();
        builds.get_or_create(&build(said)).set(1);
        registry.register(
            BETA,
            "kubernetes_build_info",
            "Kubernetes version that is served, and what serves it",
            builds,
        );
        let versions = Family::<Versions, Gauge>::default();
        versions.get_or_create(&compatible(said)).set(1);
        registry.register(
            ALPHA,
            "version_info",
            "Version that is served, and the oldest that it stays compatible with",
            versions,
        );
        self
    }

    /// Notes a connection that got no further than its handshake.
    pub(crate) fn handshake_failed(&self) {
        self.handshake_errors.inc();
    }

    /// Takes note of which APIServices are served.
    pub(crate) fn see_services(&self, cluster: &dyn Lookup) {
        self.unavailable.clear();
        for service in cluster.list("apiservices.apiregistration.k8s.io", "") {
            let name = service.name().to_owned();
            let is_elsewhere = service.at(&["spec", "service"]).is_some();
            let unavailable = self.unavailable.get_or_create(&Service { name });
            unavailable.set(is_elsewhere.into());
        }
    }

    /// The text of a scrape, with what others count.
    pub(crate) fn render(&self, store: &dyn Store, others: &[Arc<Registry>]) -> String {
        self.storage.refresh(store);
        self.process.refresh();
        let others = others.iter().map(Arc::as_ref);
        let registries: Vec<&Registry> = others.chain([&self.registry]).collect();
        scrape::text(&registries)
    }
}

/// Kinds of requests, by upstream's names. Source: apiserver `endpoints/metrics`.
const READS: RequestKind = RequestKind {
    request_kind: "readOnly",
};
const WRITES: RequestKind = RequestKind {
    request_kind: "mutating",
};

fn build(said: impl Fn(&str) -> String) -> Served {
    Served {
        build_date: said("buildDate"),
        compiler: said("compiler"),
        git_commit: said("gitCommit"),
        git_tree_state: said("gitTreeState"),
        git_version: said("gitVersion"),
        go_version: said("goVersion"),
        major: said("major"),
        minor: said("minor"),
        platform: said("platform"),
    }
}

fn compatible(said: impl Fn(&str) -> String) -> Versions {
    let of = |name: &str| {
        let (major, minor) = (format!("{name}Major"), format!("{name}Minor"));
        format!("{}.{}", said(&major), said(&minor))
    };
    Versions {
        binary: health::binary_version(),
        component: "kube",
        emulation: of("emulation"),
        min_compat: of("minCompatibility"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use ::access::admission::Half;
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
        let metrics = Metrics::new("127.0.0.1:6443");
        let info = RequestInfo::read(&Method::GET, "/api/v1/namespaces/web/pods", false);
        let (headers, query) = (HeaderMap::new(), Query::read(""));
        let asked = Asked::read(&info, &Method::GET, &headers, &query, false);
        let took = Duration::from_millis(3);
        let Metrics {
            requests,
            access,
            admission,
            clients,
            storage,
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
        admission.stepped(Half::Admit, Operation::Create, false, took);
        admission.plugin("Priority", Half::Validate, Operation::Delete, true, took);
        watches.events(&info).sent(9);
        watches.terminated(&info);
        clients.answered(&Method::POST, 201, took);
        let listed = Listed {
            fetched: 3,
            evaluated: 2,
            returned: 1,
        };
        storage.listed("pods", listed);
        let text = metrics.render(&MemoryStore::new(), &[]);
        let group = "group=\"\",resource=\"pods\"";
        let place = format!("{group},scope=\"namespace\",subresource=\"\"");
        let target = format!("component=\"apiserver\",{place},verb=\"LIST\",version=\"v1\"");
        for wanted in [
            &format!(
                "apiserver_request_total{{code=\"200\",component=\"apiserver\",dry_run=\"\",{place},system_client=\"\",verb=\"LIST\",version=\"v1\"}} 1"
            ),
            &format!(
                "apiserver_request_duration_seconds_bucket{{component=\"apiserver\",dry_run=\"\",{place},verb=\"LIST\",version=\"v1\",le=\"0.005\"}} 1"
            ),
            &format!("apiserver_longrunning_requests{{{target}}} 1"),
            &format!("apiserver_request_terminations_total{{code=\"429\",{target}}} 1"),
            &format!("apiserver_response_sizes_sum{{{target}}} 70"),
            "apiserver_request_body_size_bytes_sum{group=\"\",resource=\"pods\",verb=\"list\"} 7",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} 0",
            "authenticated_user_requests{username=\"other\"} 1",
            "authentication_attempts{result=\"success\"} 1",
            "authorization_attempts_total{result=\"allowed\"} 1",
            "apiserver_client_certificate_expiration_seconds_bucket{le=\"0\"} 1",
            "apiserver_admission_step_admission_duration_seconds_count{operation=\"CREATE\",rejected=\"false\",type=\"admit\"} 1",
            "apiserver_admission_controller_admission_duration_seconds_count{name=\"Priority\",operation=\"DELETE\",rejected=\"true\",type=\"validate\"} 1",
            "apiserver_watch_events_total{group=\"\",resource=\"pods\",version=\"v1\"} 1",
            "rest_client_requests_total{code=\"201\",host=\"127.0.0.1:6443\",method=\"POST\"} 1",
            &format!("apiserver_storage_list_evaluated_objects_total{{{group}}} 2"),
            &format!("apiserver_terminated_watchers_total{{{group}}} 1"),
            "version_info{binary=\"1.36\",component=\"kube\",emulation=\"1.36\",min_compat=\"1.35\"} 1",
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
