//! How verdicts look: tables, explanations, data.

mod age;
mod explain;
mod table;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::args::OutputForm;
use crate::board::{BoardChange, Item};
use crate::error::StatusError;
use crate::lang::Lang;
use crate::session::Notice;

/// How to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    pub(crate) lang: Lang,
    pub(crate) has_color: bool,
    pub(crate) form: OutputForm,
}

impl Style {
    /// Whether the form is one of the tables.
    pub(crate) fn is_table(self) -> bool {
        matches!(self.form, OutputForm::Table | OutputForm::Wide)
    }
}

/// Everything, in the form asked for.
pub(crate) fn whole(items: &[&Item], style: Style, now: Timestamp) -> Result<String, StatusError> {
    match style.form {
        OutputForm::Table | OutputForm::Wide => Ok(table::table(items, style, now, true)),
        OutputForm::Explain => Ok(explain::all(items, style)),
        OutputForm::Json => Ok(format!("{:#}\n", list(items))),
        OutputForm::Yaml => serde_saphyr::to_string(&list(items))
            .map_err(|error| StatusError::Output(std::io::Error::other(error.to_string()))),
    }
}

fn list(items: &[&Item]) -> Value {
    let items: Vec<_> = items.iter().map(|item| item.to_value()).collect();
    json!({ "items": items })
}

/// What has changed, as lines that follow a first picture.
pub(crate) fn changes(
    changes: &[BoardChange],
    style: Style,
    now: Timestamp,
) -> Result<String, StatusError> {
    let there: Vec<_> = changes
        .iter()
        .filter_map(|change| change.item.as_ref())
        .collect();
    let gone = changes.iter().filter(|change| change.item.is_none());
    if style.is_table() {
        let mut text = table::table(&there, style, now, false);
        for change in gone {
            let word = style.lang.pick("is gone", "已删除");
            text = format!("{text}{} {word}\n", change.id.1);
        }
        return Ok(text);
    }
    if there.is_empty() {
        Ok(String::new())
    } else {
        whole(&there, style, now)
    }
}

/// What could not be read, as a sentence.
pub(crate) fn notice(notice: &Notice, lang: Lang) -> String {
    let Notice { what, why, .. } = notice;
    match lang {
        Lang::En => format!("cannot read {what}, what follows from them is not known: {why}"),
        Lang::Zh => format!("无法读取 {what},由其得出的结论未知:{why}"),
    }
}

/// That something can be read again.
pub(crate) fn heard(what: &str, lang: Lang) -> String {
    match lang {
        Lang::En => format!("{what} can be read again"),
        Lang::Zh => format!("{what} 已恢复读取"),
    }
}
