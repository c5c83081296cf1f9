//! How long admission takes. Source: apiserver `admission/metrics/metrics.go`.

use std::time::Duration;

use kinds::strategy::Operation;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use scrape::{Registry, STABLE};

use super::Histograms;

/// Bounds of the histogram, in seconds. Source: `step_admission_duration_seconds`.
const SECONDS: [f64; 6] = [0.005, 0.025, 0.1, 0.5, 1.0, 2.5];

/// The halves of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// What changes objects.
    Admit,
    /// What refuses them.
    Validate,
}

/// Metrics of admission.
pub(crate) struct Admission {
    steps: Histograms<Taken>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Taken {
    operation: &'static str,
    rejected: &'static str,
    r#type: &'static str,
}

impl Admission {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let admission = Self {
            steps: Family::new_with_constructor(|| Histogram::new(SECONDS)),
        };
        registry.register(
            STABLE,
            "apiserver_admission_step_admission_duration_seconds",
            "How long each half of admission took, by operation and whether it refused",
            admission.steps.clone(),
        );
        admission
    }

    /// Notes a half that was gone through.
    pub(crate) fn stepped(
        &self,
        step: Step,
        operation: Operation,
        is_rejected: bool,
        took: Duration,
    ) {
        let taken = Taken {
            operation: match operation {
                Operation::Create => "CREATE",
                Operation::Update => "UPDATE",
                Operation::Delete => "DELETE",
                Operation::Connect => "CONNECT",
            },
            rejected: if is_rejected { "true" } else { "false" },
            r#type: match step {
                Step::Admit => "admit",
                Step::Validate => "validate",
            },
        };
        let seconds = self.steps.get_or_create(&taken);
        seconds.observe(took.as_secs_f64());
    }
}
