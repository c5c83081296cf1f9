//! How long admission takes. Source: apiserver `admission/metrics/metrics.go`.

use std::time::Duration;

use ::access::admission::Half;
use kinds::strategy::Operation;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use scrape::{Registry, STABLE};

use super::Histograms;

/// Bounds of the histogram, in seconds. Source: `step_admission_duration_seconds`.
const SECONDS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];

/// Metrics of admission.
pub(crate) struct Admission {
    steps: Histograms<Taken>,
    plugins: Histograms<TakenBy>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Taken {
    operation: &'static str,
    rejected: &'static str,
    r#type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TakenBy {
    name: &'static str,
    operation: &'static str,
    rejected: &'static str,
    r#type: &'static str,
}

impl Admission {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new(SECONDS);
        let admission = Self {
            steps: Family::new_with_constructor(seconds),
            plugins: Family::new_with_constructor(seconds),
        };
        registry.register(
            STABLE,
            "apiserver_admission_step_admission_duration_seconds",
            "How long each half of admission took, by operation and whether it refused",
            admission.steps.clone(),
        );
        registry.register(
            STABLE,
            "apiserver_admission_controller_admission_duration_seconds",
            "How long each plugin of admission took, by operation, half and whether it refused",
            admission.plugins.clone(),
        );
        admission
    }

    /// Notes a half that was gone through.
    pub(crate) fn stepped(
        &self,
        half: Half,
        operation: Operation,
        is_rejected: bool,
        took: Duration,
    ) {
        let taken = taken(half, operation, is_rejected);
        let seconds = self.steps.get_or_create(&taken);
        seconds.observe(took.as_secs_f64());
    }

    /// Notes a plugin that was asked.
    pub(crate) fn plugin(
        &self,
        name: &'static str,
        half: Half,
        operation: Operation,
        is_rejected: bool,
        took: Duration,
    ) {
        let Taken {
            operation,
            rejected,
            r#type,
        } = taken(half, operation, is_rejected);
        let taken = TakenBy {
            name,
            operation,
            rejected,
            r#type,
        };
        let seconds = self.plugins.get_or_create(&taken);
        seconds.observe(took.as_secs_f64());
    }
}

fn taken(half: Half, operation: Operation, is_rejected: bool) -> Taken {
    Taken {
        operation: match operation {
            Operation::Create => "CREATE",
            Operation::Update => "UPDATE",
            Operation::Delete => "DELETE",
            Operation::Connect => "CONNECT",
        },
        rejected: if is_rejected { "true" } else { "false" },
        r#type: match half {
            Half::Admit => "admit",
            Half::Validate => "validate",
        },
    }
}
