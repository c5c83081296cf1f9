//! How many requests run at once. Reads and writes are held back by their seats (`crate::flow_control`); long-running
//! requests have none, and a bound of their own.
//!
//! Source: apiserver `server/filters/maxinflight.go`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the requests in flight.
#[derive(Clone)]
pub(crate) struct InFlight {
    reads: Arc<Bound>,
    writes: Arc<Bound>,
    long_running: Arc<Bound>,
}

/// What a request counts as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// Changes nothing and ends soon.
    Read,
    /// May change something.
    Write,
    /// Watches and streams.
    LongRunning,
}

struct Bound {
    max: usize,
    current: AtomicUsize,
}

/// Held while a request runs.
pub(crate) struct Permit(Arc<Bound>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.current.fetch_sub(1, Ordering::AcqRel);
    }
}

impl InFlight {
    /// A bound for those that are long-running.
    pub(crate) fn new(long_running_max: usize) -> Self {
        let bound = |max| {
            Arc::new(Bound {
                max,
                current: AtomicUsize::new(0),
            })
        };
        Self {
            reads: bound(usize::MAX),
            writes: bound(usize::MAX),
            long_running: bound(long_running_max),
        }
    }

    /// Admits a request; `None` when its class is full.
    pub(crate) fn enter(&self, class: Class) -> Option<Permit> {
        let bound = self.bound(class);
        let before = bound.current.fetch_add(1, Ordering::AcqRel);
        let permit = Permit(Arc::clone(bound));
        (before < bound.max).then_some(permit)
    }

    /// How many requests of a class run now.
    pub(crate) fn current(&self, class: Class) -> usize {
        self.bound(class).current.load(Ordering::Acquire)
    }

    fn bound(&self, class: Class) -> &Arc<Bound> {
        match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            Class::LongRunning => &self.long_running,
        }
    }
}

/// Subresources whose requests stay open. Source: `genericapifilters.BasicLongRunningRequestCheck` in kube-apiserver.
const STREAMS: [&str; 5] = ["attach", "exec", "proxy", "log", "portforward"];

/// The class of a request for a resource.
pub(crate) fn class(verb: &str, subresource: &str) -> Class {
    if verb == "watch" || verb == "proxy" || STREAMS.contains(&subresource) {
        return Class::LongRunning;
    }
    match verb {
        "get" | "list" | "head" | "options" => Class::Read,
        _ => Class::Write,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_class_refuses_until_a_request_ends() {
        let in_flight = InFlight::new(1);
        let first = in_flight.enter(Class::LongRunning).unwrap();
        assert!(in_flight.enter(Class::LongRunning).is_none());
        assert_eq!(in_flight.current(Class::LongRunning), 1);
        assert!(in_flight.enter(Class::Write).is_some());
        drop(first);
        assert!(in_flight.enter(Class::LongRunning).is_some());
    }

    #[test]
    fn streams_and_watches_are_long_running() {
        assert_eq!(class("watch", ""), Class::LongRunning);
        assert_eq!(class("get", "log"), Class::LongRunning);
        assert_eq!(class("create", ""), Class::Write);
        assert_eq!(class("list", ""), Class::Read);
    }
}
