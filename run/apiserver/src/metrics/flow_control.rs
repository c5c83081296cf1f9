//! Who gets a seat, who waits and who is refused, by priority level and flow schema.
//!
//! Source: apiserver `util/flowcontrol/metrics/metrics.go`.

use std::time::Duration;

use access::flow::seats::{LevelState, Refusal};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use scrape::{ALPHA, BETA, Registry, STABLE, Stability};

use super::{Histograms, READS, RequestKind, WRITES};
use crate::flow_control::What;

/// Bounds of the histograms, in seconds. Source: `requestDurationSecondsBuckets`.
const SECONDS: [f64; 13] = [
    0.0, 0.005, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0,
];

/// Metrics of priority and fairness.
#[derive(Clone)]
pub(crate) struct FlowControl {
    rejected: Family<Rejected, Counter>,
    dispatched: Family<Schema, Counter>,
    waiting: Family<Schema, Gauge>,
    executing: Family<Schema, Gauge>,
    seats: Family<Schema, Gauge>,
    waited: Histograms<Waited>,
    executed: Histograms<Executed>,
    levels: [Family<Level, Gauge>; 4],
    /// By kind of request, whatever its schema.
    waiting_by_kind: Kinds,
    executing_by_kind: Kinds,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Level {
    priority_level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Schema {
    flow_schema: String,
    priority_level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Rejected {
    flow_schema: String,
    priority_level: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Waited {
    execute: &'static str,
    flow_schema: String,
    priority_level: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Executed {
    flow_schema: String,
    priority_level: String,
    r#type: &'static str,
}

/// A number for each kind of request.
#[derive(Clone)]
struct Kinds {
    reads: Gauge,
    writes: Gauge,
}

/// The metrics of one flow schema, found once.
pub(crate) struct Meter {
    schema: Schema,
    rejected: Family<Rejected, Counter>,
    dispatched: Counter,
    waiting: Gauge,
    waiting_by_kind: Kinds,
    executing_by_kind: Kinds,
    executing: Gauge,
    seats: Gauge,
    waited: Histogram,
    refused: Histogram,
    executed: Histogram,
    opened: Histogram,
}

type Told = (
    Stability,
    &'static str,
    &'static str,
    fn(&LevelState) -> u32,
);

/// What is told of each level's seats.
const LEVELS: [Told; 4] = [
    (
        BETA,
        "apiserver_flowcontrol_nominal_limit_seats",
        "Seats of each priority level by its shares",
        |level| level.limits.nominal,
    ),
    (
        ALPHA,
        "apiserver_flowcontrol_lower_limit_seats",
        "Seats of each priority level that it lends to nobody",
        |level| level.limits.lower,
    ),
    (
        ALPHA,
        "apiserver_flowcontrol_upper_limit_seats",
        "Seats of each priority level with all that it may borrow",
        |level| level.limits.upper,
    ),
    (
        ALPHA,
        "apiserver_flowcontrol_current_limit_seats",
        "Seats that each priority level could use now",
        |level| level.current,
    ),
];

impl FlowControl {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new(SECONDS);
        let by_kind = Family::<RequestKind, Gauge>::default;
        let (waiting_by_kind, executing_by_kind) = (by_kind(), by_kind());
        let metrics = Self {
            rejected: Family::default(),
            dispatched: Family::default(),
            waiting: Family::default(),
            executing: Family::default(),
            seats: Family::default(),
            waited: Family::new_with_constructor(seconds),
            executed: Family::new_with_constructor(seconds),
            levels: Default::default(),
            waiting_by_kind: Kinds::of(&waiting_by_kind),
            executing_by_kind: Kinds::of(&executing_by_kind),
        };
        registry.register(
            ALPHA,
            "apiserver_current_inqueue_requests",
            "Requests that wait in this apiserver until others end, per request kind",
            waiting_by_kind,
        );
        registry.register(
            STABLE,
            "apiserver_current_inflight_requests",
            "Currently used inflight request limit of this apiserver per request kind",
            executing_by_kind,
        );
        metrics.register_requests(registry);
        metrics.register_seats(registry);
        metrics
    }

    /// What is told of each request by its flow schema and level.
    fn register_requests(&self, registry: &mut Registry) {
        registry.register(
            BETA,
            "apiserver_flowcontrol_rejected_requests_total",
            "Requests that were refused, by reason",
            self.rejected.clone(),
        );
        registry.register(
            BETA,
            "apiserver_flowcontrol_dispatched_requests_total",
            "Requests that were let in",
            self.dispatched.clone(),
        );
        registry.register(
            BETA,
            "apiserver_flowcontrol_request_wait_duration_seconds",
            "How long requests waited for a seat, by whether they got one",
            self.waited.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_flowcontrol_request_execution_seconds",
            "How long requests had a seat",
            self.executed.clone(),
        );
    }

    /// What is told of the seats and those who wait for one.
    fn register_seats(&self, registry: &mut Registry) {
        for (name, help, gauge) in [
            (
                "apiserver_flowcontrol_current_inqueue_requests",
                "Requests that wait in queues",
                &self.waiting,
            ),
            (
                "apiserver_flowcontrol_current_executing_requests",
                "Requests that have seats",
                &self.executing,
            ),
            (
                "apiserver_flowcontrol_current_executing_seats",
                "Seats that are taken",
                &self.seats,
            ),
        ] {
            registry.register(BETA, name, help, gauge.clone());
        }
        for ((stability, name, help, _), gauge) in LEVELS.iter().zip(&self.levels) {
            registry.register(*stability, name, help, gauge.clone());
        }
    }

    /// The metrics of a flow schema of a level.
    pub(crate) fn meter(&self, schema: &str, level: &str) -> Meter {
        let (flow_schema, priority_level) = (schema.to_owned(), level.to_owned());
        let waited = |execute| {
            self.waited.get_or_create_owned(&Waited {
                execute,
                flow_schema: flow_schema.clone(),
                priority_level: priority_level.clone(),
            })
        };
        let executed = |r#type| {
            self.executed.get_or_create_owned(&Executed {
                flow_schema: flow_schema.clone(),
                priority_level: priority_level.clone(),
                r#type,
            })
        };
        let (waited, refused) = (waited("true"), waited("false"));
        let (executed, opened) = (executed("regular"), executed("watch"));
        let schema = Schema {
            flow_schema,
            priority_level,
        };
        Meter {
            rejected: self.rejected.clone(),
            dispatched: self.dispatched.get_or_create_owned(&schema),
            waiting: self.waiting.get_or_create_owned(&schema),
            waiting_by_kind: self.waiting_by_kind.clone(),
            executing_by_kind: self.executing_by_kind.clone(),
            executing: self.executing.get_or_create_owned(&schema),
            seats: self.seats.get_or_create_owned(&schema),
            waited,
            refused,
            executed,
            opened,
            schema,
        }
    }

    /// Takes note of what every level has.
    pub(crate) fn see(&self, levels: &[LevelState]) {
        for ((.., seats), gauge) in LEVELS.iter().zip(&self.levels) {
            gauge.clear();
            for level in levels {
                let label = Level {
                    priority_level: level.name.clone(),
                };
                gauge.get_or_create(&label).set(seats(level).into());
            }
        }
    }
}

impl Kinds {
    fn of(family: &Family<RequestKind, Gauge>) -> Self {
        Self {
            reads: family.get_or_create_owned(&READS),
            writes: family.get_or_create_owned(&WRITES),
        }
    }

    fn of_waiting(&self, what: What) -> &Gauge {
        match what {
            What::Read | What::Watch => &self.reads,
            What::Write => &self.writes,
        }
    }

    /// `None` for what is long-running, which upstream does not count.
    fn of_executing(&self, what: What) -> Option<&Gauge> {
        match what {
            What::Read => Some(&self.reads),
            What::Write => Some(&self.writes),
            What::Watch => None,
        }
    }
}

impl Meter {
    /// A request waits.
    pub(crate) fn waits(&self, what: What) {
        self.waiting.inc();
        self.waiting_by_kind.of_waiting(what).inc();
    }

    /// A request waits no longer.
    pub(crate) fn waits_no_longer(&self, what: What) {
        self.waiting.dec();
        self.waiting_by_kind.of_waiting(what).dec();
    }

    /// A request gets seats.
    pub(crate) fn dispatched(&self, seats: u32, what: What, waited: Duration) {
        self.dispatched.inc();
        self.executing.inc();
        if let Some(kind) = self.executing_by_kind.of_executing(what) {
            kind.inc();
        }
        self.seats.inc_by(seats.into());
        self.waited.observe(waited.as_secs_f64());
    }

    /// A request gives its seats back.
    pub(crate) fn finished(&self, seats: u32, what: What, had: Duration) {
        self.executing.dec();
        if let Some(kind) = self.executing_by_kind.of_executing(what) {
            kind.dec();
        }
        self.seats.dec_by(seats.into());
        let executed = match what {
            What::Watch => &self.opened,
            What::Read | What::Write => &self.executed,
        };
        executed.observe(had.as_secs_f64());
    }

    /// A request is refused.
    pub(crate) fn rejected(&self, why: Refusal, waited: Duration) {
        let label = Rejected {
            flow_schema: self.schema.flow_schema.clone(),
            priority_level: self.schema.priority_level.clone(),
            reason: why.reason(),
        };
        self.rejected.get_or_create(&label).inc();
        self.refused.observe(waited.as_secs_f64());
    }
}
