//! The text of a scrape, as Prometheus' client for Go writes it: families by name, labels by name, bounds last.
//!
//! Upstream answers in this text alone, also to who would rather read OpenMetrics: there some of its counters would
//! be called otherwise, and rules that name them would find nothing.

use std::collections::BTreeMap;

use crate::number;
use crate::registry::Registry;

/// Counts the families of other names. Source: component-base `metrics/metric.go`.
const REGISTERED: &str = "registered_metrics_total";

/// The text, with names that it cannot hold written in one of four ways; ours are all plain.
///
/// Source: Prometheus' common `model.EscapingScheme`.
const MEDIA_TYPES: [&str; 4] = [
    "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
    "text/plain; version=0.0.4; charset=utf-8; escaping=allow-utf-8",
    "text/plain; version=0.0.4; charset=utf-8; escaping=dots",
    "text/plain; version=0.0.4; charset=utf-8; escaping=values",
];

/// A family as it is served.
#[derive(Default)]
struct Family {
    help: String,
    kind: String,
    samples: Vec<Sample>,
}

struct Sample {
    /// Labels but the bound: what is the same stands together.
    series: String,
    is_bucket: bool,
    line: String,
}

impl Sample {
    /// Where it stands in its family: buckets come before the sum and the count of their series.
    fn place(&self) -> (&str, bool) {
        (&self.series, !self.is_bucket)
    }
}

/// The media type of a text, for a client with this `Accept` header.
///
/// Source: Prometheus' common `expfmt.Negotiate`.
pub fn media_type(accept: &str) -> &'static str {
    let parts = accept.split([',', ';']).map(str::trim);
    let mut asked = parts.filter(|part| part.starts_with("escaping="));
    let [usual, ..] = MEDIA_TYPES;
    asked
        .find_map(|asked| MEDIA_TYPES.into_iter().find(|known| known.ends_with(asked)))
        .unwrap_or(usual)
}

/// What registries hold, families of one name as one.
pub fn text(registries: &[&Registry]) -> String {
    let mut families = BTreeMap::new();
    for registry in registries {
        for refresh in &registry.refreshes {
            refresh();
        }
        let mut encoded = String::new();
        let wrote = prometheus_client::encoding::text::encode(&mut encoded, &registry.families);
        if let Err(error) = wrote {
            tracing::error!(%error, "metrics cannot be written");
        }
        read(&encoded, &registry.names, &mut families);
    }
    families.insert(REGISTERED.to_owned(), registered(registries));
    let mut text = String::new();
    for (name, mut family) in families {
        family
            .samples
            .sort_by(|one, other| one.place().cmp(&other.place()));
        text.extend(["# HELP ", &name, " ", &family.help, "\n"]);
        text.extend(["# TYPE ", &name, " ", &family.kind, "\n"]);
        for sample in &family.samples {
            text.extend([sample.line.as_str(), "\n"]);
        }
    }
    text
}

/// Reads what the library wrote, which is OpenMetrics.
fn read(
    encoded: &str,
    names: &BTreeMap<String, &'static str>,
    families: &mut BTreeMap<String, Family>,
) {
    let (mut known, mut name, mut is_counter) = ("", "", false);
    for line in encoded.lines() {
        let described = |what: &str| line.strip_prefix(what)?.split_once(' ');
        if let Some((family, help)) = described("# HELP ") {
            known = family;
            name = names.get(family).copied().unwrap_or(family);
            let family = families.entry(name.to_owned()).or_default();
            help.clone_into(&mut family.help);
            continue;
        }
        let family = families.entry(name.to_owned()).or_default();
        if let Some((_, kind)) = described("# TYPE ") {
            is_counter = kind == "counter";
            kind.clone_into(&mut family.kind);
        } else if !line.starts_with("# ")
            && let Some(mut rest) = line.strip_prefix(known)
        {
            if is_counter {
                rest = rest.strip_prefix("_total").unwrap_or(rest);
            }
            family.samples.extend(sample(name, rest));
        }
    }
}

/// A sample with its labels in order, from what follows the family's name.
fn sample(name: &str, rest: &str) -> Option<Sample> {
    let (head, value) = rest.rsplit_once(' ')?;
    let value = number::rewritten(value);
    let Some((suffix, labels)) = head.split_once('{') else {
        return Some(Sample {
            series: String::new(),
            is_bucket: false,
            line: format!("{name}{head} {value}"),
        });
    };
    let mut labels = split(labels.strip_suffix('}')?);
    labels.sort_unstable();
    let bound = labels.iter().position(|label| label.starts_with("le=\""));
    let bound = bound.map(|at| labels.remove(at));
    let series = labels.join(",");
    let bound = bound.and_then(|bound| bound.strip_prefix("le=\"")?.strip_suffix('"'));
    let bound = bound.map(|bound| format!("le=\"{}\"", number::rewritten(bound)));
    let separator = match &bound {
        Some(_) if !series.is_empty() => ",",
        _ => "",
    };
    let bound = bound.unwrap_or_default();
    Some(Sample {
        is_bucket: suffix == "_bucket",
        line: format!("{name}{suffix}{{{series}{separator}{bound}}} {value}"),
        series,
    })
}

/// Labels apart, each with its value, which may hold anything.
pub(crate) fn split(labels: &str) -> Vec<&str> {
    let (mut found, mut start) = (Vec::new(), 0);
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, letter) in labels.char_indices() {
        match letter {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => {
                found.extend(labels.get(start..at));
                start = at + 1;
            }
            _ => {}
        }
    }
    found.extend(labels.get(start..).filter(|last| !last.is_empty()));
    found
}

fn registered(registries: &[&Registry]) -> Family {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for (stability, count) in registries.iter().flat_map(|registry| &registry.registered) {
        if let Some(labels) = stability.labels() {
            *counts.entry(labels).or_default() += count;
        }
    }
    let samples = counts.into_iter().map(|(series, count)| Sample {
        line: format!("{REGISTERED}{{{series}}} {count}"),
        is_bucket: false,
        series,
    });
    Family {
        help: "[BETA] Families of metrics that can be served, by stability level and deprecation."
            .to_owned(),
        kind: "counter".to_owned(),
        samples: samples.collect(),
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::metrics::counter::Counter;
    use prometheus_client::metrics::family::Family;
    use prometheus_client::metrics::gauge::Gauge;
    use prometheus_client::metrics::histogram::Histogram;

    use super::*;
    use crate::{ALPHA, STABLE, UNRATED};

    type Labels = Vec<(&'static str, &'static str)>;

    #[test]
    fn what_is_looked_up_is_looked_up_for_each_scrape() {
        let mut registry = Registry::default();
        let (asked, count) = (Gauge::<i64>::default(), Gauge::<i64>::default());
        registry.register(ALPHA, "asked", "How often", asked.clone());
        registry.before_scrape(move || {
            count.inc();
            asked.set(count.get());
        });
        text(&[&registry]);
        assert!(text(&[&registry]).contains("\nasked 2\n"));
    }

    #[test]
    fn families_and_labels_stand_in_order_as_go_writes_them() {
        let mut registry = Registry::default();
        let counts = Family::<Labels, Counter>::default();
        counts
            .get_or_create(&vec![("verb", "b,\"}\\"), ("code", "2")])
            .inc();
        counts
            .get_or_create(&vec![("verb", "a"), ("code", "1")])
            .inc();
        registry.register(STABLE, "requests_total", "All", counts);
        let sizes =
            Family::<Labels, Histogram>::new_with_constructor(|| Histogram::new([1.0, 1e6]));
        sizes.get_or_create(&vec![("verb", "a")]).observe(7.0);
        registry.register(ALPHA.deprecated("1.34.0"), "sizes", "How large", sizes);
        registry.register(ALPHA, "attempts", "Bare", Counter::<u64>::default());
        registry.register(UNRATED, "age_seconds", "How old", Gauge::<i64>::default());
        let wanted = r#"# HELP age_seconds How old.
# TYPE age_seconds gauge
age_seconds 0
# HELP attempts [ALPHA] Bare.
# TYPE attempts counter
attempts 0
# HELP registered_metrics_total [BETA] Families of metrics that can be served, by stability level and deprecation.
# TYPE registered_metrics_total counter
registered_metrics_total{deprecated_version="",stability_level="ALPHA"} 1
registered_metrics_total{deprecated_version="",stability_level="STABLE"} 1
registered_metrics_total{deprecated_version="1.34.0",stability_level="ALPHA"} 1
# HELP requests_total [STABLE] All.
# TYPE requests_total counter
requests_total{code="1",verb="a"} 1
requests_total{code="2",verb="b,\"}\\"} 1
# HELP sizes [ALPHA] (Deprecated since 1.34.0) How large.
# TYPE sizes histogram
sizes_bucket{verb="a",le="1"} 0
sizes_bucket{verb="a",le="1e+06"} 1
sizes_bucket{verb="a",le="+Inf"} 1
sizes_sum{verb="a"} 7
sizes_count{verb="a"} 1
"#;
        assert_eq!(text(&[&registry]), wanted);
    }

    #[test]
    fn text_is_all_there_is_but_names_may_be_escaped_otherwise() {
        let plain = "text/plain; version=0.0.4; charset=utf-8; escaping=underscores";
        let open = "application/openmetrics-text;version=1.0.0";
        assert_eq!((media_type(""), media_type(open)), (plain, plain));
        let asked = media_type("text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1");
        assert_eq!(asked, plain.replace("underscores", "allow-utf-8"));
    }
}
