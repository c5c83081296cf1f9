//! Tables: one line per workload, the cause below it when something is wrong.

use jiff::Timestamp;
use status::{Severity, explain};

use super::{Style, age};
use crate::args::OutputForm;
use crate::board::Item;

/// Blanks between columns.
const GAP: usize = 3;

/// A table; without its head where it continues one.
pub(super) fn table(items: &[&Item], style: Style, now: Timestamp, has_head: bool) -> String {
    if items.is_empty() {
        return String::new();
    }
    let is_wide = style.form == OutputForm::Wide;
    let mut rows = Vec::new();
    if has_head {
        rows.push((None, head(style)));
    }
    rows.extend(
        items
            .iter()
            .map(|item| (Some(*item), cells(item, style, now))),
    );
    let columns = rows.iter().map(|(_, cells)| cells.len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|(_, cells)| cells.get(column));
            cells.map(|cell| width(cell)).max().unwrap_or(0)
        })
        .collect();
    let mut out = String::new();
    for (item, cells) in rows {
        out.push_str(&line(&cells, &widths, item, style));
        if let Some(item) = item.filter(|item| item.is_not_ok() && !is_wide) {
            out.push_str("  ");
            out.push_str(&paint(
                style.lang.of(&item.verdict.message),
                item.verdict.severity,
                style,
            ));
            out.push('\n');
        }
    }
    out
}

fn head(style: Style) -> Vec<String> {
    let (mut en, mut zh) = (
        vec![
            "NAMESPACE",
            "KIND",
            "NAME",
            "READY",
            "STATUS",
            "REASON",
            "AGE",
        ],
        vec!["命名空间", "类型", "名称", "就绪", "状态", "原因", "时长"],
    );
    if style.form == OutputForm::Wide {
        en.extend(["SEVERITY", "MESSAGE", "NEXT"]);
        zh.extend(["级别", "说明", "下一步"]);
    }
    let names = match style.lang {
        crate::Lang::En => en,
        crate::Lang::Zh => zh,
    };
    names.into_iter().map(str::to_owned).collect()
}

/// The index of the STATUS cell, which carries the colour.
const STATUS_CELL: usize = 4;

fn cells(item: &Item, style: Style, now: Timestamp) -> Vec<String> {
    let verdict = &item.verdict;
    let namespace = if item.namespace.is_empty() {
        "-"
    } else {
        &item.namespace
    };
    let mut cells = vec![
        namespace.to_owned(),
        item.kind.clone(),
        item.name.clone(),
        item.ready.clone(),
        style.lang.of(&verdict.status.words()).to_owned(),
        reason(item, style),
        age::between(item.created, now),
    ];
    if style.form == OutputForm::Wide {
        let next = verdict.next_steps.first();
        cells.push(verdict.severity.token().to_owned());
        cells.push(style.lang.of(&verdict.message).to_owned());
        cells.push(next.map_or_else(
            || "-".to_owned(),
            |step| style.lang.pick(&step.en, &step.zh).to_owned(),
        ));
    }
    cells.into_iter().map(|cell| printable(&cell)).collect()
}

/// The reason; in Chinese its label, if it has one.
fn reason(item: &Item, style: Style) -> String {
    let verdict = &item.verdict;
    let named = |reason: &str| match (style.lang, explain(reason, style.lang.of_engine())) {
        (crate::Lang::Zh, Some(known)) => known.label.to_owned(),
        _ => reason.to_owned(),
    };
    match &verdict.sub_reason {
        Some(sub) => format!("{} ({})", named(&verdict.reason), named(sub)),
        None => named(&verdict.reason),
    }
}

/// Names and messages come from a cluster; none of them may steer the terminal.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|each| if each.is_control() { ' ' } else { each })
        .collect()
}

fn line(cells: &[String], widths: &[usize], item: Option<&Item>, style: Style) -> String {
    let mut out = String::new();
    for (index, (cell, column)) in cells.iter().zip(widths).enumerate() {
        let is_last = index + 1 == cells.len();
        match item {
            Some(item) if index == STATUS_CELL => {
                out.push_str(&paint(cell, item.verdict.severity, style));
            }
            _ => out.push_str(cell),
        }
        if !is_last {
            let blanks = column.saturating_sub(width(cell)) + GAP;
            out.extend(std::iter::repeat_n(' ', blanks));
        }
    }
    out.push('\n');
    out
}

/// Green, blue, amber, red; never colour alone, since the words stand there too.
pub(super) fn paint(text: &str, severity: Severity, style: Style) -> String {
    let text = printable(text);
    if !style.has_color {
        return text;
    }
    let code = match severity {
        Severity::Ok => 32,
        Severity::Info => 34,
        Severity::Warning => 33,
        Severity::Error => 31,
    };
    format!("\u{1b}[{code}m{text}\u{1b}[0m")
}

/// Terminal cells of a text: Chinese letters take two.
fn width(text: &str) -> usize {
    text.chars()
        .map(|each| match u32::from(each) {
            0x1100..=0x115f
            | 0x2e80..=0xa4cf
            | 0xac00..=0xd7a3
            | 0xf900..=0xfaff
            | 0xfe30..=0xfe6f
            | 0xff00..=0xff60
            | 0xffe0..=0xffe6
            | 0x1_f300..=0x1_f64f
            | 0x2_0000..=0x3_fffd => 2,
            _ => 1,
        })
        .sum()
}
