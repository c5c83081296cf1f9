//! Figures that are looked up for one scrape and not kept: of things that come and go, such as containers.

use std::collections::BTreeMap;

use crate::number;
use crate::registry::Stability;

/// What every sample of a family has in common.
#[derive(Clone, Copy, Debug)]
pub struct Heading {
    /// The name that it is served by.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// Whether it only ever grows.
    pub is_counter: bool,
    /// How far it may be relied on.
    pub stability: Stability,
}

/// Figures of one scrape.
#[derive(Default)]
pub struct Sheet {
    families: BTreeMap<&'static str, (Heading, Vec<String>)>,
}

impl Sheet {
    /// Writes down a figure, with its labels by name; `at_ms` is when it was read, in milliseconds since the epoch.
    pub fn put(
        &mut self,
        heading: Heading,
        labels: &[(&str, &str)],
        value: f64,
        at_ms: Option<i64>,
    ) {
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{}\"", escaped(value)))
            .collect();
        let mut line = heading.name.to_owned();
        if !labels.is_empty() {
            line.extend(["{", &labels.join(","), "}"]);
        }
        line.extend([" ", &number::go(value)]);
        if let Some(at) = at_ms {
            line.extend([" ", &at.to_string()]);
        }
        let family = self.families.entry(heading.name);
        let (_, lines) = family.or_insert_with(|| (heading, Vec::new()));
        lines.push(line);
    }

    /// The text of the scrape.
    pub fn text(self) -> String {
        let mut text = String::new();
        for (name, (heading, mut lines)) in self.families {
            lines.sort();
            let help = heading.stability.described(heading.help);
            let kind = if heading.is_counter {
                "counter"
            } else {
                "gauge"
            };
            text.extend(["# HELP ", name, " ", &help, ".\n"]);
            text.extend(["# TYPE ", name, " ", kind, "\n"]);
            for line in lines {
                text.extend([&line, "\n"]);
            }
        }
        text
    }
}

/// Source: Prometheus' exposition formats, the text-based format.
fn escaped(value: &str) -> String {
    let value = value.replace('\\', "\\\\").replace('"', "\\\"");
    value.replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ALPHA;

    #[test]
    fn figures_stand_below_their_heading() {
        let heading = Heading {
            name: "container_ends",
            help: "How many",
            is_counter: true,
            stability: ALPHA,
        };
        let mut sheet = Sheet::default();
        sheet.put(heading, &[("name", "b\"")], 1e6, Some(7));
        sheet.put(heading, &[("name", "a")], 0.5, None);
        let wanted = "# HELP container_ends [ALPHA] How many.\n# TYPE container_ends counter\ncontainer_ends{name=\"a\"} 0.5\ncontainer_ends{name=\"b\\\"\"} 1e+06 7\n";
        assert_eq!(sheet.text(), wanted);
    }
}
