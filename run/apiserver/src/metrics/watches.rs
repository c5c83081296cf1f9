//! What watches are sent. Source: apiserver `endpoints/metrics/metrics.go`, `endpoints/handlers/watch.go`.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use scrape::{ALPHA, Registry};

use super::Histograms;
use crate::request::RequestInfo;

/// Metrics of watches.
pub(crate) struct Watches {
    events: Family<Watched, Counter>,
    bytes: Histograms<Watched>,
    terminated: Family<Ended, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Watched {
    group: String,
    version: String,
    resource: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Ended {
    group: String,
    resource: String,
}

/// Where the events of one watch are counted.
pub(crate) struct Events {
    events: Counter,
    bytes: Histogram,
}

impl Events {
    /// Notes an event of so many bytes.
    pub(crate) fn sent(&self, bytes: usize) {
        self.events.inc();
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.bytes.observe(f64::from(bytes));
    }
}

impl Watches {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let watches = Self {
            events: Family::default(),
            bytes: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(1024.0, 2.0, 8))
            }),
            terminated: Family::default(),
        };
        registry.register(
            ALPHA,
            "apiserver_watch_events_total",
            "Number of events that were sent to watches",
            watches.events.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_watch_events_sizes",
            "Sizes of events of watches in bytes",
            watches.bytes.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_terminated_watchers_total",
            "Watches that were ended because they did not read what they were sent",
            watches.terminated.clone(),
        );
        watches
    }

    /// Notes a watch that was ended because it fell behind.
    pub(crate) fn terminated(&self, info: &RequestInfo) {
        let ended = Ended {
            group: info.group.clone(),
            resource: info.resource.clone(),
        };
        self.terminated.get_or_create(&ended).inc();
    }

    /// Where the events of a watch are counted.
    pub(crate) fn events(&self, info: &RequestInfo) -> Events {
        let watched = Watched {
            group: info.group.clone(),
            version: info.version.clone(),
            resource: info.resource.clone(),
        };
        Events {
            events: self.events.get_or_create(&watched).clone(),
            bytes: self.bytes.get_or_create(&watched).clone(),
        }
    }
}
