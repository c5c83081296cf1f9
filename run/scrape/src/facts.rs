//! Which families upstream's components serve, to hold a scrape against.
//!
//! Source: a scrape of a stock API server of Kubernetes 1.36, and for what it did not show upstream's list of metrics,
//! `test/instrumentation/documentation`.

use std::collections::{BTreeMap, BTreeSet};

use crate::text::split;

/// Name, type, stability and labels of each family; a dash stands for none.
const UPSTREAM: &str = include_str!("../upstream-metrics.tsv");

/// Labels that come with a type.
const OF_TYPES: [&str; 2] = ["le", "quantile"];

struct Fact {
    kind: &'static str,
    stability: &'static str,
    labels: BTreeSet<&'static str>,
}

/// What of a scrape is not as upstream serves it: names, types, stability and labels.
pub fn foreign(text: &str) -> Vec<String> {
    let facts: BTreeMap<&str, Fact> = UPSTREAM.lines().filter_map(fact).collect();
    let (mut wrong, mut known) = (Vec::new(), None);
    for line in text.lines() {
        if let Some((name, help)) = line
            .strip_prefix("# HELP ")
            .and_then(|line| line.split_once(' '))
        {
            known = facts.get(name);
            match known {
                Some(fact) if said(help) == fact.stability => {}
                Some(fact) => wrong.push(format!("{name} is {}, not {help}", fact.stability)),
                None => wrong.push(format!("{name} is none of upstream's")),
            }
        } else if let (Some(fact), Some((name, kind))) = (
            known,
            line.strip_prefix("# TYPE ")
                .and_then(|line| line.split_once(' ')),
        ) {
            if kind != fact.kind {
                wrong.push(format!("{name} is a {}, not a {kind}", fact.kind));
            }
        } else if let Some(fact) = known
            && labels(line) != fact.labels
        {
            wrong.push(format!("{line} has other labels than {:?}", fact.labels));
        }
    }
    wrong
}

fn fact(line: &'static str) -> Option<(&'static str, Fact)> {
    let mut columns = line.split('\t');
    let name = columns.next()?;
    let (kind, stability) = (columns.next()?, columns.next()?);
    let labels = columns.next().filter(|labels| *labels != "-");
    let labels = labels.into_iter().flat_map(|labels| labels.split(','));
    let labels = labels.collect();
    Some((
        name,
        Fact {
            kind,
            stability,
            labels,
        },
    ))
}

/// The stability that a description names.
fn said(help: &str) -> &str {
    let level = help.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    level.map_or("-", |(level, _)| level)
}

fn labels(sample: &str) -> BTreeSet<&str> {
    let labels = sample
        .split_once('{')
        .and_then(|(_, rest)| rest.rsplit_once('}'));
    let labels = labels.map_or_else(Vec::new, |(labels, _)| split(labels));
    let names = labels.into_iter().filter_map(|label| label.split_once('='));
    let names = names.map(|(name, _)| name);
    names.filter(|name| !OF_TYPES.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_upstream_does_not_serve_is_told() {
        let known = "# HELP workqueue_depth [BETA] How many.\n# TYPE workqueue_depth gauge\nworkqueue_depth{name=\"a\"} 1\n";
        assert!(foreign(known).is_empty());
        for (from, to) in [
            ("gauge", "counter"),
            ("name=", "names="),
            ("BETA", "ALPHA"),
            ("depth", "width"),
        ] {
            assert_eq!(foreign(&known.replace(from, to)).len(), 1, "{to}");
        }
    }

    #[test]
    fn the_process_is_told_of_as_upstream_does() {
        let mut registry = crate::Registry::default();
        crate::Process::register(&mut registry).refresh();
        let text = crate::text(&[&registry]);
        assert_eq!(foreign(&text), Vec::<String>::new());
        assert!(!text.contains("process_start_time_seconds 0\n"));
    }
}
