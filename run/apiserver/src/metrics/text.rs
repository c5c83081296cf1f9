//! The text in which metrics are read: OpenMetrics, or the older format that clients get which do not ask for it.

use std::collections::BTreeMap;

/// OpenMetrics.
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// Source: Prometheus' exposition formats, the text-based format.
const PLAIN: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Counters that upstream calls without the ending that OpenMetrics gives to all.
const BARE: [&str; 2] = ["authenticated_user_requests", "authentication_attempts"];

/// A text of OpenMetrics as a client with this `Accept` header reads it, and its media type.
pub(crate) fn negotiate(open_metrics: String, accept: &str) -> (&'static str, String) {
    if accept.contains("application/openmetrics-text") {
        return (OPEN_METRICS, open_metrics);
    }
    (PLAIN, plain(&open_metrics))
}

/// The same in the older format: what a family is called there is what its samples are called.
fn plain(open_metrics: &str) -> String {
    let described = |line: &str, what: &str| -> Option<(String, String)> {
        let (name, rest) = line.strip_prefix(what)?.split_once(' ')?;
        Some((name.to_owned(), rest.to_owned()))
    };
    let types = open_metrics.lines();
    let types: BTreeMap<_, _> = types
        .filter_map(|line| described(line, "# TYPE "))
        .collect();
    let mut text = String::with_capacity(open_metrics.len());
    for line in open_metrics.lines() {
        let help = described(line, "# HELP ").map(|described| ("# HELP ", described));
        let head =
            help.or_else(|| described(line, "# TYPE ").map(|described| ("# TYPE ", described)));
        if let Some((what, (name, rest))) = head {
            let (suffix, plain_type) = match types.get(&name).map_or("", String::as_str) {
                "counter" if BARE.contains(&name.as_str()) => ("", "counter"),
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                other => ("", other),
            };
            let rest = if what == "# TYPE " { plain_type } else { &rest };
            text.extend([what, &name, suffix, " ", rest, "\n"]);
        } else if !line.starts_with("# ") {
            text.extend([bare(line).as_str(), "\n"]);
        }
    }
    text
}

/// A sample under the name that upstream gives it.
fn bare(line: &str) -> String {
    let named = BARE.iter().find_map(|name| {
        let rest = line.strip_prefix(name)?.strip_prefix("_total")?;
        Some(format!("{name}{rest}"))
    });
    named.unwrap_or_else(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# HELP requests All.\n# TYPE requests counter\nrequests_total{a=\"# b\"} 1\n# HELP build It.\n# TYPE build info\nbuild_info{v=\"1\"} 1\n# HELP age_seconds How old.\n# TYPE age_seconds gauge\n# UNIT age_seconds seconds\nage_seconds 2\n# EOF\n";

    #[test]
    fn families_are_called_what_their_samples_are_called() {
        let wanted = "# HELP requests_total All.\n# TYPE requests_total counter\nrequests_total{a=\"# b\"} 1\n# HELP build_info It.\n# TYPE build_info gauge\nbuild_info{v=\"1\"} 1\n# HELP age_seconds How old.\n# TYPE age_seconds gauge\nage_seconds 2\n";
        assert_eq!(
            negotiate(TEXT.to_owned(), "*/*"),
            (PLAIN, wanted.to_owned())
        );
    }

    #[test]
    fn who_asks_for_open_metrics_gets_it() {
        let accept = "application/openmetrics-text;version=1.0.0,text/plain;q=0.5";
        assert_eq!(
            negotiate(TEXT.to_owned(), accept),
            (OPEN_METRICS, TEXT.to_owned())
        );
    }
}
