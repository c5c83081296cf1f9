//! The audit log. Source: apiserver `audit/metrics.go`.

use access::audit::Level;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use scrape::{ALPHA, Registry};

/// Metrics of the audit log.
pub(crate) struct Audit {
    events: Counter,
    errors: Family<Plugin, Counter>,
    levels: Family<OfLevel, Counter>,
    rejected: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Plugin {
    plugin: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLevel {
    level: &'static str,
}

impl Audit {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let audit = Self {
            events: Counter::default(),
            errors: Family::default(),
            levels: Family::default(),
            rejected: Counter::default(),
        };
        registry.register(
            ALPHA,
            "apiserver_audit_event_total",
            "Audit events that were made and given to the log",
            audit.events.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_audit_error_total",
            "Audit events that were lost, by the part that lost them",
            audit.errors.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_audit_level_total",
            "Requests by the level at which the policy wants them audited",
            audit.levels.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_audit_requests_rejected_total",
            "Requests that were rejected because they could not be audited",
            audit.rejected.clone(),
        );
        audit
    }

    /// Notes an event.
    pub(crate) fn event(&self) {
        self.events.inc();
    }

    /// Notes an event that is lost.
    pub(crate) fn error(&self, plugin: &'static str) {
        self.errors.get_or_create(&Plugin { plugin }).inc();
    }

    /// Notes what the policy says about a request.
    pub(crate) fn level(&self, level: Level) {
        let level = level.name();
        self.levels.get_or_create(&OfLevel { level }).inc();
    }

    /// Notes a request that does not go on.
    pub(crate) fn rejected(&self) {
        self.rejected.inc();
    }
}
