//! Families of metrics: under which name each is served, and how far it may be relied on.

use std::collections::BTreeMap;

use prometheus_client::registry::Metric;

/// How far upstream promises that a family stays as it is.
///
/// Source: component-base `metrics/opts.go`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stability {
    level: &'static str,
    /// The release that called it outdated; empty when none did.
    deprecated_since: &'static str,
}

/// May change at any time.
pub const ALPHA: Stability = Stability::of("ALPHA");
/// May change with notice.
pub const BETA: Stability = Stability::of("BETA");
/// Stays.
pub const STABLE: Stability = Stability::of("STABLE");
/// Is not upstream's but of every program's client library.
pub const UNRATED: Stability = Stability::of("");

/// Families of metrics.
#[derive(Default)]
pub struct Registry {
    pub(crate) families: prometheus_client::registry::Registry,
    /// Names that are served by the names that the library knows, which gives counters their ending itself.
    pub(crate) names: BTreeMap<String, &'static str>,
    pub(crate) registered: BTreeMap<Stability, u64>,
    /// What brings families to the present before they are read.
    pub(crate) refreshes: Vec<Box<dyn Fn() + Send + Sync>>,
}

impl Stability {
    const fn of(level: &'static str) -> Self {
        Self {
            level,
            deprecated_since: "",
        }
    }

    /// The same of what a release called outdated.
    #[must_use]
    pub const fn deprecated(self, since: &'static str) -> Self {
        Self {
            deprecated_since: since,
            ..self
        }
    }

    /// What a description says first. Source: component-base `metrics/opts.go`, `annotateStabilityLevel`.
    pub(crate) fn described(self, help: &str) -> String {
        match self {
            Self { level: "", .. } => help.to_owned(),
            Self {
                level,
                deprecated_since: "",
            } => format!("[{level}] {help}"),
            Self {
                level,
                deprecated_since,
            } => format!("[{level}] (Deprecated since {deprecated_since}) {help}"),
        }
    }

    /// Its labels in the count of families; `None` of what is not upstream's.
    pub(crate) fn labels(self) -> Option<String> {
        let Self {
            level,
            deprecated_since,
        } = self;
        let is_rated = !level.is_empty();
        is_rated.then(|| {
            format!("deprecated_version=\"{deprecated_since}\",stability_level=\"{level}\"")
        })
    }
}

impl Registry {
    /// Runs something before each scrape, for what is looked up and not counted.
    pub fn before_scrape(&mut self, refresh: impl Fn() + Send + Sync + 'static) {
        self.refreshes.push(Box::new(refresh));
    }

    /// Adds a family under the name that it is served by.
    pub fn register(
        &mut self,
        stability: Stability,
        name: &'static str,
        help: &str,
        metric: impl Metric,
    ) {
        let known = name.strip_suffix("_total").unwrap_or(name);
        self.names.insert(known.to_owned(), name);
        *self.registered.entry(stability).or_default() += 1;
        self.families
            .register(known, stability.described(help), metric);
    }
}
