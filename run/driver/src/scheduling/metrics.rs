//! How scheduling goes. Source: kube-scheduler `pkg/scheduler/metrics`.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use scrape::{ALPHA, BETA, Registry, STABLE};

use super::NAME;

type Histograms<Label> = Family<Label, Histogram, fn() -> Histogram>;

/// Attempts from which on pods are told together. Source: `getAttemptsLabel`.
const ATTEMPTS_TOGETHER: u32 = 15;

/// Metrics of scheduling. Clones share them.
#[derive(Clone)]
pub(crate) struct Attempts {
    total: Family<Attempted, Counter>,
    seconds: Histograms<Attempted>,
    algorithm_seconds: Histogram,
    of_pods: Histogram,
    of_pods_seconds: Histograms<Tried>,
    /// Asked how many pods wait, once there is a scheduler.
    waiting: Arc<Mutex<Option<Count>>>,
}

type Count = Box<dyn Fn() -> Waiting + Send + Sync>;

/// How an attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Scheduled,
    Unschedulable,
    Error,
}

/// Pods that wait, by where they stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Waiting {
    pub(super) active: usize,
    pub(super) backoff: usize,
    pub(super) unschedulable: usize,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Attempted {
    profile: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Tried {
    attempts: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Queue {
    queue: &'static str,
}

impl Attempts {
    /// Adds the metrics.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let seconds: fn() -> Histogram = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let attempts = Self {
            total: Family::default(),
            seconds: Family::new_with_constructor(seconds),
            algorithm_seconds: seconds(),
            of_pods: Histogram::new(exponential_buckets(1.0, 2.0, 5)),
            of_pods_seconds: Family::new_with_constructor(|| {
                Histogram::new(exponential_buckets(0.01, 2.0, 20))
            }),
            waiting: Arc::default(),
        };
        registry.register(
            STABLE,
            "scheduler_schedule_attempts_total",
            "Attempts to schedule pods, by result: unschedulable is what fits nowhere, error is what could not be bound",
            attempts.total.clone(),
        );
        registry.register(
            STABLE,
            "scheduler_scheduling_attempt_duration_seconds",
            "How long attempts take in seconds, binding included",
            attempts.seconds.clone(),
        );
        registry.register(
            ALPHA,
            "scheduler_scheduling_algorithm_duration_seconds",
            "How long it takes to find a node, in seconds",
            attempts.algorithm_seconds.clone(),
        );
        registry.register(
            STABLE,
            "scheduler_pod_scheduling_attempts",
            "Attempts that it took until a pod was scheduled",
            attempts.of_pods.clone(),
        );
        registry.register(
            BETA,
            "scheduler_pod_scheduling_sli_duration_seconds",
            "How long pods waited from when they came until they were scheduled, in seconds, by attempts",
            attempts.of_pods_seconds.clone(),
        );
        attempts.register_pending(registry);
        attempts
    }

    fn register_pending(&self, registry: &mut Registry) {
        let pending = Family::<Queue, Gauge>::default();
        registry.register(
            STABLE,
            "scheduler_pending_pods",
            "Pods that wait for a node: in line, for their back-off to end, or for something to change",
            pending.clone(),
        );
        let waiting = Arc::clone(&self.waiting);
        registry.before_scrape(move || {
            let count = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(now) = count.as_ref().map(|count| count()) else {
                return;
            };
            for (queue, count) in [
                ("active", now.active),
                ("backoff", now.backoff),
                ("unschedulable", now.unschedulable),
            ] {
                let count = i64::try_from(count).unwrap_or(i64::MAX);
                pending.get_or_create(&Queue { queue }).set(count);
            }
        });
    }

    /// Counts the pods that wait by asking for each scrape.
    pub(super) fn ask(&self, count: impl Fn() -> Waiting + Send + Sync + 'static) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        *waiting = Some(Box::new(count));
    }

    /// Notes how long it took to find a node, or to find none.
    pub(super) fn looked(&self, took: Duration) {
        self.algorithm_seconds.observe(took.as_secs_f64());
    }

    /// Notes an attempt that ended.
    pub(super) fn ended(&self, outcome: Outcome, took: Duration) {
        let attempted = Attempted {
            profile: NAME,
            result: match outcome {
                Outcome::Scheduled => "scheduled",
                Outcome::Unschedulable => "unschedulable",
                Outcome::Error => "error",
            },
        };
        self.total.get_or_create(&attempted).inc();
        let seconds = self.seconds.get_or_create(&attempted);
        seconds.observe(took.as_secs_f64());
    }

    /// Notes a pod that was scheduled, so long after it came and with so many attempts.
    pub(super) fn scheduled(&self, attempts: u32, waited: Duration) {
        self.of_pods.observe(attempts.into());
        let tried = Tried {
            attempts: told(attempts),
        };
        let seconds = self.of_pods_seconds.get_or_create(&tried);
        seconds.observe(waited.as_secs_f64());
    }
}

fn told(attempts: u32) -> String {
    if attempts >= ATTEMPTS_TOGETHER {
        return format!("{ATTEMPTS_TOGETHER}+");
    }
    attempts.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scrape_tells_how_scheduling_goes() {
        let mut registry = Registry::default();
        let attempts = Attempts::register(&mut registry);
        let took = Duration::from_millis(3);
        attempts.looked(took);
        attempts.ended(Outcome::Unschedulable, took);
        attempts.scheduled(2, took);
        attempts.scheduled(40, took);
        attempts.ask(|| Waiting {
            unschedulable: 4,
            ..Waiting::default()
        });
        let text = scrape::text(&[&registry]);
        for wanted in [
            "scheduler_schedule_attempts_total{profile=\"default-scheduler\",result=\"unschedulable\"} 1",
            "scheduler_scheduling_algorithm_duration_seconds_count 1",
            "scheduler_pod_scheduling_attempts_sum 42",
            "scheduler_pod_scheduling_sli_duration_seconds_count{attempts=\"15+\"} 1",
            "scheduler_pending_pods{queue=\"unschedulable\"} 4",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert_eq!(scrape::facts::foreign(&text), Vec::<String>::new());
    }
}
