//! Which bound holds a request back: reads and writes have seats (`crate::flow_control`), long-running requests a number of
//! their own.
//!
//! Source: apiserver `server/filters/maxinflight.go`.

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
    fn streams_and_watches_are_long_running() {
        assert_eq!(class("watch", ""), Class::LongRunning);
        assert_eq!(class("get", "log"), Class::LongRunning);
        assert_eq!(class("create", ""), Class::Write);
        assert_eq!(class("list", ""), Class::Read);
    }
}
