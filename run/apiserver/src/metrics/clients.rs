//! What clients in this process ask of this server. Source: component-base `metrics/prometheus/restclient`.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use scrape::{ALPHA, Registry};

use super::Histograms;
use super::requests::method_name;

/// Bounds of the latency histogram, in seconds. Source: `requestLatency`.
const LATENCY_SECONDS: [f64; 12] = [
    0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 30.0, 60.0,
];

/// Metrics of the clients of this process.
pub(crate) struct Clients {
    /// The server that is asked.
    host: Arc<String>,
    total: Family<Answered, Counter>,
    seconds: Histograms<Timed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    code: u16,
    host: Arc<String>,
    method: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Timed {
    host: Arc<String>,
    verb: &'static str,
}

impl Clients {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry, host: &str) -> Self {
        let clients = Self {
            host: Arc::new(host.to_owned()),
            total: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(LATENCY_SECONDS)),
        };
        registry.register(
            ALPHA,
            "rest_client_requests_total",
            "Number of requests of clients in this process, by status code, method and host",
            clients.total.clone(),
        );
        registry.register(
            ALPHA,
            "rest_client_request_duration_seconds",
            "How long requests of clients in this process took, in seconds, by verb and host",
            clients.seconds.clone(),
        );
        clients
    }

    /// Notes a request that was answered.
    pub(crate) fn answered(&self, asked: &Method, code: u16, took: Duration) {
        let (host, verb) = (Arc::clone(&self.host), method_name(asked));
        let timed = Timed {
            host: Arc::clone(&host),
            verb,
        };
        let answered = Answered {
            code,
            host,
            method: verb,
        };
        self.total.get_or_create(&answered).inc();
        let seconds = self.seconds.get_or_create(&timed);
        seconds.observe(took.as_secs_f64());
    }
}
