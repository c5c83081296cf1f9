//! What is asked, how it is answered, and how long that takes. Source: apiserver `endpoints/metrics/metrics.go`.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use http::{HeaderMap, Method};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets, linear_buckets};
use scrape::{ALPHA, Registry, STABLE};

use super::Histograms;
use crate::options::Query;
use crate::request::RequestInfo;

/// Bounds of the latency histogram, in seconds. Source: `requestLatencies`.
const LATENCY_SECONDS: [f64; 23] = [
    0.005, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0,
    10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// Bounds of the histogram that error budgets are judged by, in seconds. Source: `requestSliLatencies`.
const SLI_SECONDS: [f64; 21] = [
    0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0, 20.0,
    30.0, 45.0, 60.0,
];

/// Methods that are told apart. Source: `validRequestMethods`.
const METHODS: [&str; 5] = ["DELETE", "GET", "PATCH", "POST", "PUT"];

/// Subresources that connect to something. Source: `validConnectRequests`.
const CONNECTS: [&str; 5] = ["attach", "exec", "log", "portforward", "proxy"];

/// Content type of server-side apply. Source: apimachinery `types.ApplyYAMLPatchType`.
const APPLY: &str = "application/apply-patch+yaml";

/// Programs whose requests are told apart. Source: `MonitorRequest`.
const SYSTEM_CLIENTS: [&str; 3] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
];

/// Metrics of requests.
pub(crate) struct Requests {
    /// The series of requests that were answered before, found by one look for each request.
    known: RwLock<HashMap<Outcome, Series>>,
    total: Family<Outcome, Counter>,
    seconds: Histograms<Timed>,
    sli_seconds: Histograms<Target>,
    response_bytes: Histograms<Target>,
    body_bytes: Histograms<Written>,
    long_running: Family<Target, Gauge>,
    terminated: Family<Terminated, Counter>,
    deprecated: Family<Deprecated, Gauge>,
}

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Target {
    verb: &'static str,
    group: String,
    version: String,
    resource: String,
    subresource: String,
    scope: &'static str,
    component: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    dry_run: &'static str,
    #[prometheus(flatten)]
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    dry_run: &'static str,
    code: u16,
    system_client: &'static str,
    #[prometheus(flatten)]
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Terminated {
    code: u16,
    #[prometheus(flatten)]
    target: Target,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Written {
    group: String,
    resource: String,
    verb: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Deprecated {
    group: String,
    version: String,
    resource: String,
    subresource: String,
    removed_release: &'static str,
}

/// Where answers with one outcome are counted.
#[derive(Clone)]
struct Series {
    total: Counter,
    seconds: Histogram,
    /// `None` of dry runs.
    sli_seconds: Option<Histogram>,
    /// `None` of what is not read, or has no end.
    response_bytes: Option<Histogram>,
}

/// A request as metrics name it, but for its code.
pub(crate) struct Asked {
    outcome: Outcome,
    is_deprecated: bool,
}

impl Asked {
    /// Reads a request. `info` names nothing that is not served: each name a client thinks of would be a series.
    pub(crate) fn read(
        info: &RequestInfo,
        method: &Method,
        headers: &HeaderMap,
        query: &Query,
        is_deprecated: bool,
    ) -> Self {
        let scope = scope(info);
        let target = Target {
            verb: verb(info, method, headers, scope),
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
            subresource: info.subresource.clone(),
            scope,
            component: "apiserver",
        };
        let outcome = Outcome::of(target, headers, query);
        Self {
            outcome,
            is_deprecated,
        }
    }

    /// Reads a request for a path that is no resource; `None` for those that upstream does not count.
    pub(crate) fn fixed(info: &RequestInfo, headers: &HeaderMap, query: &Query) -> Option<Self> {
        let (subresource, component) = counted(&info.path, headers)?;
        let target = Target {
            verb: "GET",
            group: String::new(),
            version: String::new(),
            resource: String::new(),
            subresource: subresource.to_owned(),
            scope: "",
            component,
        };
        Some(Self {
            outcome: Outcome::of(target, headers, query),
            is_deprecated: false,
        })
    }
}

impl Outcome {
    /// An outcome without its code.
    fn of(target: Target, headers: &HeaderMap, query: &Query) -> Self {
        let agent = headers.get(http::header::USER_AGENT);
        let agent = agent.and_then(|agent| agent.to_str().ok());
        let program = agent
            .and_then(|agent| agent.split_once('/'))
            .map(|(program, _)| program);
        let known = SYSTEM_CLIENTS.iter().find(|name| program == Some(**name));
        Self {
            dry_run: match query.text("dryRun") {
                "" => "",
                "All" => "All",
                _ => "invalid",
            },
            code: 0,
            system_client: known.copied().unwrap_or_default(),
            target,
        }
    }
}

/// What a path that is no resource is counted as: its subresource and its component.
///
/// Source: `InstrumentHandlerFunc` as apiserver `server/healthz`, `endpoints/discovery/aggregated` and kube-aggregator
/// `controllers/openapiv3` call it.
fn counted(path: &str, headers: &HeaderMap) -> Option<(&'static str, &'static str)> {
    let is_aggregated = || {
        let accept = headers.get(http::header::ACCEPT);
        let accept = accept.and_then(|accept| accept.to_str().ok());
        accept.is_some_and(|accept| accept.contains("as=APIGroupDiscoveryList"))
    };
    match path {
        "/healthz" => Some(("/healthz", "")),
        "/livez" => Some(("/livez", "")),
        "/readyz" => Some(("/readyz", "")),
        "/openapi/v3" => Some(("openapi/v3", "")),
        "/api" if is_aggregated() => Some(("/api", "apiserver")),
        "/apis" if is_aggregated() => Some(("/apis", "apiserver")),
        _ if path.starts_with("/openapi/v3/") => Some(("openapi/v3/", "")),
        _ => None,
    }
}

/// Source: `CleanScope`.
fn scope(info: &RequestInfo) -> &'static str {
    match (info.name.is_empty(), info.namespace.is_empty()) {
        (false, _) => "resource",
        _ if info.verb == "create" => "resource",
        (true, false) => "namespace",
        (true, true) if info.is_resource => "cluster",
        (true, true) => "",
    }
}

/// Source: `CanonicalVerb` and `CleanVerb`.
fn verb(info: &RequestInfo, method: &Method, headers: &HeaderMap, scope: &str) -> &'static str {
    if info.is_resource && CONNECTS.contains(&info.subresource.as_str()) {
        return "CONNECT";
    }
    if info.verb == "watch" {
        return "WATCH";
    }
    let is_apply = || {
        let content_type = headers.get(http::header::CONTENT_TYPE);
        content_type.is_some_and(|content_type| content_type == APPLY)
    };
    match method.as_str() {
        "GET" | "HEAD" if matches!(scope, "namespace" | "cluster") => "LIST",
        "HEAD" => "GET",
        "PATCH" if is_apply() => "APPLY",
        _ => method_name(method),
    }
}

/// A method by its name, of those that are told apart.
pub(super) fn method_name(method: &Method) -> &'static str {
    let known = METHODS.into_iter().find(|known| *known == method.as_str());
    known.unwrap_or("other")
}

/// Counts a long-running request while it lives.
pub(crate) struct LongRunning(Gauge);

impl Drop for LongRunning {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// Adds up the size of an answer, and notes it at its end.
pub(crate) struct Sized {
    bytes: u64,
    noted_in: Histogram,
}

impl Sized {
    pub(crate) fn add(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }
}

impl Drop for Sized {
    fn drop(&mut self) {
        self.noted_in.observe(as_f64(self.bytes));
    }
}

/// A number of bytes as histograms count; what is beyond 2^53 is rounded.
#[expect(clippy::cast_precision_loss, reason = "no answer has that many bytes")]
fn as_f64(bytes: u64) -> f64 {
    bytes as f64
}

impl Requests {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let requests = Self {
            known: RwLock::default(),
            total: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
            sli_seconds: Family::new_with_constructor(|| Histogram::new(SLI_SECONDS)),
            response_bytes: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(1000.0, 10.0, 7))
            }),
            body_bytes: Family::new_with_constructor(|| {
                Histogram::new(linear_buckets(50_000.0, 100_000.0, 31))
            }),
            long_running: Family::default(),
            terminated: Family::default(),
            deprecated: Family::default(),
        };
        registry.register(
            STABLE,
            "apiserver_request_total",
            "Counter of apiserver requests broken out for each verb, dry run value, group, version, resource, scope, component, HTTP response code and system client",
            requests.total.clone(),
        );
        registry.register(
            STABLE,
            "apiserver_request_duration_seconds",
            "Response latency distribution in seconds for each verb, dry run value, group, version, resource, subresource, scope and component",
            requests.seconds.clone(),
        );
        // Nothing is waited for outside, so this is as long; alerts on error budgets ask for it.
        registry.register(
            ALPHA,
            "apiserver_request_sli_duration_seconds",
            "Response latency distribution in seconds, not counting webhooks, for each verb, group, version, resource, subresource, scope and component",
            requests.sli_seconds.clone(),
        );
        registry.register(
            STABLE,
            "apiserver_response_sizes",
            "Sizes of answers to reads in bytes for each group, version, verb, resource, subresource, scope and component",
            requests.response_bytes.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_request_body_size_bytes",
            "Sizes of request bodies in bytes by resource and verb",
            requests.body_bytes.clone(),
        );
        registry.register(
            STABLE,
            "apiserver_longrunning_requests",
            "Gauge of all active long-running apiserver requests",
            requests.long_running.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_request_terminations_total",
            "Number of requests that the server ended to protect itself",
            requests.terminated.clone(),
        );
        registry.register(
            STABLE,
            "apiserver_requested_deprecated_apis",
            "Deprecated APIs that were requested, by API group, version, resource, subresource, and removed_release",
            requests.deprecated.clone(),
        );
        requests
    }

    /// Notes a request that was answered; answers with what notes the size of its answer, when that is of interest.
    pub(crate) fn observe(&self, asked: Asked, code: u16, took: Duration) -> Option<Sized> {
        let outcome = Outcome {
            code,
            ..asked.outcome
        };
        if asked.is_deprecated {
            self.deprecated(&outcome.target);
        }
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let series = known.get(&outcome).cloned();
        drop(known);
        let series = series.unwrap_or_else(|| self.meet(outcome));
        series.total.inc();
        let seconds = took.as_secs_f64();
        series.seconds.observe(seconds);
        if let Some(sli_seconds) = &series.sli_seconds {
            sli_seconds.observe(seconds);
        }
        series
            .response_bytes
            .map(|noted_in| Sized { bytes: 0, noted_in })
    }

    /// Makes the series of an outcome.
    fn meet(&self, outcome: Outcome) -> Series {
        let target = &outcome.target;
        let timed = Timed {
            dry_run: outcome.dry_run,
            target: target.clone(),
        };
        let is_real = outcome.dry_run.is_empty();
        let is_read = matches!(target.verb, "GET" | "LIST");
        let of_target = |family: &Histograms<Target>| family.get_or_create(target).clone();
        let series = Series {
            total: self.total.get_or_create(&outcome).clone(),
            seconds: self.seconds.get_or_create(&timed).clone(),
            sli_seconds: is_real.then(|| of_target(&self.sli_seconds)),
            response_bytes: is_read.then(|| of_target(&self.response_bytes)),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(outcome, series.clone());
        series
    }

    fn deprecated(&self, target: &Target) {
        let deprecated = Deprecated {
            group: target.group.clone(),
            version: target.version.clone(),
            resource: target.resource.clone(),
            subresource: target.subresource.clone(),
            removed_release: "",
        };
        self.deprecated.get_or_create(&deprecated).set(1);
    }

    /// Notes the size of a body that was read.
    pub(crate) fn read(&self, info: &RequestInfo, bytes: usize) {
        let written = Written {
            group: info.group.clone(),
            resource: info.resource.clone(),
            verb: info.verb.clone(),
        };
        let histogram = self.body_bytes.get_or_create(&written);
        histogram.observe(as_f64(bytes as u64));
    }

    /// Notes a request that was ended before it was answered.
    pub(crate) fn terminated(&self, asked: &Asked, code: u16) {
        let terminated = Terminated {
            code,
            target: asked.outcome.target.clone(),
        };
        self.terminated.get_or_create(&terminated).inc();
    }

    /// Counts a long-running request until the guard is dropped.
    pub(crate) fn long_running(&self, asked: &Asked) -> LongRunning {
        let gauge = self
            .long_running
            .get_or_create(&asked.outcome.target)
            .clone();
        gauge.inc();
        LongRunning(gauge)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn few_paths_are_counted_that_are_no_resource() {
        let mut discovers = HeaderMap::new();
        let aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        discovers.insert(http::header::ACCEPT, HeaderValue::from_static(aggregated));
        let plain = HeaderMap::new();
        for (path, headers, wanted) in [
            ("/readyz", &plain, Some(("/readyz", ""))),
            ("/readyz/ping", &plain, None),
            ("/openapi/v3/api/v1", &plain, Some(("openapi/v3/", ""))),
            ("/apis", &discovers, Some(("/apis", "apiserver"))),
            ("/apis", &plain, None),
            ("/metrics", &plain, None),
        ] {
            assert_eq!(counted(path, headers), wanted, "{path}");
        }
    }

    #[test]
    fn verbs_and_scopes_are_upstreams() {
        let mut apply = HeaderMap::new();
        apply.insert(http::header::CONTENT_TYPE, HeaderValue::from_static(APPLY));
        let plain = HeaderMap::new();
        let pods = "/api/v1/namespaces/web/pods";
        let pod = "/api/v1/namespaces/web/pods/a";
        for (method, path, watches, headers, wanted) in [
            (Method::GET, pod, false, &plain, ("GET", "resource")),
            (Method::HEAD, pod, false, &plain, ("GET", "resource")),
            (Method::GET, pods, false, &plain, ("LIST", "namespace")),
            (
                Method::GET,
                "/api/v1/pods",
                false,
                &plain,
                ("LIST", "cluster"),
            ),
            (Method::GET, pods, true, &plain, ("WATCH", "namespace")),
            (Method::POST, pods, false, &plain, ("POST", "resource")),
            (Method::PUT, pod, false, &plain, ("PUT", "resource")),
            (Method::PATCH, pod, false, &plain, ("PATCH", "resource")),
            (Method::PATCH, pod, false, &apply, ("APPLY", "resource")),
            (Method::DELETE, pods, false, &plain, ("DELETE", "namespace")),
            (Method::GET, "/healthz", false, &plain, ("GET", "")),
            (Method::TRACE, pod, false, &plain, ("other", "resource")),
        ] {
            let info = RequestInfo::read(&method, path, watches);
            let scope = scope(&info);
            assert_eq!(
                (verb(&info, &method, headers, scope), scope),
                wanted,
                "{method} {path}"
            );
        }
        let log = RequestInfo::read(&Method::GET, &format!("{pod}/log"), false);
        assert_eq!(verb(&log, &Method::GET, &plain, "resource"), "CONNECT");
    }
}
