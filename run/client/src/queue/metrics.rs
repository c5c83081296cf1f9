//! How much work queues have, and how long it waits and takes. Source: component-base `metrics/prometheus/workqueue`.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use scrape::{BETA, Registry};

/// Bounds of the histograms, in seconds, as repeated multiplication makes them: they are compared as text.
///
/// Source: `queueLatency`, `workDuration`.
const SECONDS: [f64; 10] = [
    1e-8,
    1e-7,
    1e-6,
    9.999_999_999_999_999e-6,
    9.999_999_999_999_999e-5,
    0.001,
    0.01,
    0.1,
    1.0,
    10.0,
];

type Histograms = Family<Named, Histogram, fn() -> Histogram>;
type Seconds = Family<Named, Gauge<f64, AtomicU64>>;

/// Metrics of work queues. Clones share them.
#[derive(Clone, Debug)]
pub struct QueueMetrics {
    depth: Family<Named, Gauge>,
    adds: Family<Named, Counter>,
    retries: Family<Named, Counter>,
    waited_seconds: Histograms,
    worked_seconds: Histograms,
    unfinished_seconds: Seconds,
    longest_seconds: Seconds,
    queues: Arc<Mutex<Vec<Watched>>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    name: &'static str,
}

/// A queue whose work is looked at for each scrape.
#[derive(Debug)]
struct Watched {
    name: &'static str,
    queue: Weak<dyn Busy>,
}

/// What a queue tells when it is looked at.
pub(super) trait Busy: Send + Sync {
    /// Keys that wait to be handed out.
    fn depth(&self) -> usize;
    /// Since how long each key is worked on.
    fn running(&self) -> Vec<Duration>;
}

/// Where one queue is counted.
pub(super) struct Series {
    adds: Counter,
    retries: Counter,
    waited_seconds: Histogram,
    worked_seconds: Histogram,
}

impl Series {
    pub(super) fn added(&self) {
        self.adds.inc();
    }
    pub(super) fn retried(&self) {
        self.retries.inc();
    }
    pub(super) fn handed_out(&self, waited: Duration) {
        self.waited_seconds.observe(waited.as_secs_f64());
    }
    pub(super) fn done(&self, took: Duration) {
        self.worked_seconds.observe(took.as_secs_f64());
    }
}

impl QueueMetrics {
    /// Adds the metrics.
    pub fn register(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(SECONDS);
        let metrics = Self {
            depth: Family::default(),
            adds: Family::default(),
            retries: Family::default(),
            waited_seconds: Family::new_with_constructor(seconds),
            worked_seconds: Family::new_with_constructor(seconds),
            unfinished_seconds: Family::default(),
            longest_seconds: Family::default(),
            queues: Arc::default(),
        };
        registry.register(
            BETA,
            "workqueue_depth",
            "Keys that wait to be handed out",
            metrics.depth.clone(),
        );
        for (name, help, counter) in [
            (
                "workqueue_adds_total",
                "Keys that were added",
                &metrics.adds,
            ),
            (
                "workqueue_retries_total",
                "Keys that were added again after a failure",
                &metrics.retries,
            ),
        ] {
            registry.register(BETA, name, help, counter.clone());
        }
        for (name, help, histogram) in [
            (
                "workqueue_queue_duration_seconds",
                "How long keys wait before they are handed out, in seconds",
                &metrics.waited_seconds,
            ),
            (
                "workqueue_work_duration_seconds",
                "How long keys are worked on, in seconds",
                &metrics.worked_seconds,
            ),
        ] {
            registry.register(BETA, name, help, histogram.clone());
        }
        for (name, help, gauge) in [
            (
                "workqueue_unfinished_work_seconds",
                "Since how long keys are worked on that are not done, all together, in seconds",
                &metrics.unfinished_seconds,
            ),
            (
                "workqueue_longest_running_processor_seconds",
                "Since how long the key is worked on that takes longest, in seconds",
                &metrics.longest_seconds,
            ),
        ] {
            registry.register(BETA, name, help, gauge.clone());
        }
        let looked_at = metrics.clone();
        registry.before_scrape(move || looked_at.look());
        metrics
    }

    pub(super) fn series(&self, name: &'static str) -> Series {
        let named = Named { name };
        Series {
            adds: self.adds.get_or_create(&named).clone(),
            retries: self.retries.get_or_create(&named).clone(),
            waited_seconds: self.waited_seconds.get_or_create(&named).clone(),
            worked_seconds: self.worked_seconds.get_or_create(&named).clone(),
        }
    }

    pub(super) fn watch(&self, name: &'static str, queue: Weak<dyn Busy>) {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        queues.push(Watched { name, queue });
    }

    /// Looks at every queue.
    fn look(&self) {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        for Watched { name, queue } in queues.iter() {
            let Some(queue) = queue.upgrade() else {
                continue;
            };
            let (named, running) = (Named { name }, queue.running());
            let depth = i64::try_from(queue.depth()).unwrap_or(i64::MAX);
            self.depth.get_or_create(&named).set(depth);
            let unfinished: Duration = running.iter().sum();
            let longest = running.into_iter().max().unwrap_or_default();
            let seconds = |family: &Seconds, value: Duration| {
                family.get_or_create(&named).set(value.as_secs_f64());
            };
            seconds(&self.unfinished_seconds, unfinished);
            seconds(&self.longest_seconds, longest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WorkQueue;

    #[tokio::test(start_paused = true)]
    async fn a_queue_tells_of_its_work() {
        let mut registry = Registry::default();
        let metrics = QueueMetrics::register(&mut registry);
        let queue = WorkQueue::counted("deployment", &metrics);
        for key in ["a", "a", "b", "c"] {
            queue.add(key);
        }
        tokio::time::advance(Duration::from_millis(50)).await;
        let done = queue.next().await.unwrap();
        queue.retry(done);
        queue.done(&done);
        queue.next().await.unwrap();
        tokio::time::advance(Duration::from_millis(500)).await;
        let text = scrape::text(&[&registry]);
        for wanted in [
            "workqueue_depth{name=\"deployment\"} 1",
            "workqueue_adds_total{name=\"deployment\"} 3",
            "workqueue_retries_total{name=\"deployment\"} 1",
            "workqueue_queue_duration_seconds_sum{name=\"deployment\"} 0.1",
            "workqueue_work_duration_seconds_count{name=\"deployment\"} 1",
            "workqueue_unfinished_work_seconds{name=\"deployment\"} 0.5",
            "workqueue_longest_running_processor_seconds{name=\"deployment\"} 0.5",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
    }
}
