//! `-o explain`: the chain of evidence, and what to do.

use status::{Cause, explain};

use super::Style;
use super::table::{paint, printable};
use crate::board::Item;
use crate::lang::Lang;

/// Every item, with a blank line between two.
pub(super) fn all(items: &[&Item], style: Style) -> String {
    let texts: Vec<_> = items.iter().map(|item| one(item, style)).collect();
    texts.join("\n")
}

fn one(item: &Item, style: Style) -> String {
    let (verdict, lang) = (&item.verdict, style.lang);
    let place = if item.namespace.is_empty() {
        String::new()
    } else {
        format!("{}/", item.namespace)
    };
    let words = verdict.status.words();
    let status = paint(lang.of(&words), verdict.severity, style);
    let mut lines = vec![
        format!("{} {place}{}: {status}", item.kind, item.name),
        format!("  {}", printable(lang.of(&verdict.message))),
    ];
    lines.extend(meaning(item, lang));
    lines.extend(facts(item, lang));
    if !verdict.causes.is_empty() {
        lines.push(format!("  {}", lang.pick("Evidence:", "依据:")));
        for (index, cause) in verdict.causes.iter().enumerate() {
            lines.extend(evidence(index + 1, cause, lang));
        }
    }
    if !verdict.next_steps.is_empty() {
        lines.push(format!("  {}", lang.pick("Next steps:", "下一步:")));
    }
    for (index, step) in verdict.next_steps.iter().enumerate() {
        lines.push(format!(
            "    {}. {}",
            index + 1,
            lang.pick(&step.en, &step.zh)
        ));
        let command = step.command.as_ref();
        lines.extend(command.map(|command| format!("       $ {}", printable(command))));
    }
    lines.push(String::new());
    lines.join("\n")
}

/// What the reason means, and the cause behind it.
fn meaning(item: &Item, lang: Lang) -> Vec<String> {
    let verdict = &item.verdict;
    let reasons = [Some(&verdict.reason), verdict.sub_reason.as_ref()];
    reasons
        .into_iter()
        .flatten()
        .map(|reason| match explain(reason, lang.of_engine()) {
            Some(known) => {
                let (label, text) = (known.label, known.explanation);
                let colon = if text.is_empty() {
                    ""
                } else {
                    lang.pick(": ", ":")
                };
                format!("  {reason} = {label}{colon}{text}")
            }
            None => format!("  {reason}"),
        })
        .collect()
}

/// Numbers, how much was known, and when the verdict may change.
fn facts(item: &Item, lang: Lang) -> Vec<String> {
    let verdict = &item.verdict;
    let counts = &verdict.counts;
    let numbers: Vec<_> = [
        (lang.pick("desired", "期望"), counts.desired),
        (lang.pick("current", "现有"), counts.current),
        (lang.pick("updated", "最新版本"), counts.updated),
        (lang.pick("ready", "就绪"), counts.ready),
        (lang.pick("available", "可用"), counts.available),
    ]
    .into_iter()
    .filter_map(|(name, count)| Some(format!("{name} {}", count?)))
    .collect();
    let evidence = serde_json::to_value(verdict.evidence).unwrap_or_default();
    let known = evidence.as_str().unwrap_or_default();
    let mut lines = Vec::new();
    if !numbers.is_empty() {
        lines.push(format!(
            "  {}: {}",
            lang.pick("Counts", "数量"),
            numbers.join(", ")
        ));
    }
    lines.push(format!("  {}: {known}", lang.pick("Known", "已知")));
    let since = verdict.since;
    lines.extend(since.map(|since| format!("  {}: {since}", lang.pick("Since", "始于"))));
    let label = lang.pick("May change by itself at", "可能自行变化于");
    lines.extend(verdict.recheck_at.map(|at| format!("  {label}: {at}")));
    lines
}

fn evidence(number: usize, cause: &Cause, lang: Lang) -> Vec<String> {
    let more = match (cause.count, lang) {
        (0 | 1, _) => String::new(),
        (count, Lang::En) => format!(" ({count} pods)"),
        (count, Lang::Zh) => format!("({count} 个 Pod)"),
    };
    let mut lines = vec![
        format!("    {number}. {}{more}", printable(lang.of(&cause.message))),
        format!(
            "       {} {}: {}",
            cause.kind,
            printable(&cause.name),
            printable(&cause.field)
        ),
    ];
    if !cause.raw.is_empty() {
        lines.push(format!("       \"{}\"", printable(&cause.raw)));
    }
    let node = cause.node.as_ref();
    lines.extend(node.map(|node| {
        format!(
            "       {} {}",
            lang.pick("on node", "节点"),
            printable(node)
        )
    }));
    lines
}
