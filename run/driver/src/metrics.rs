//! What controllers and scheduler count, to be served with what the API server counts: they share its process.

use client::QueueMetrics;
use scrape::Registry;

use crate::scheduling::Attempts;

/// All metrics of one driver. Clones share them.
#[derive(Clone)]
pub struct Metrics {
    pub(crate) queues: QueueMetrics,
    pub(crate) attempts: Attempts,
}

impl Metrics {
    /// Adds the metrics, which start at zero.
    pub fn register(registry: &mut Registry) -> Self {
        Self {
            queues: QueueMetrics::register(registry),
            attempts: Attempts::register(registry),
        }
    }
}
