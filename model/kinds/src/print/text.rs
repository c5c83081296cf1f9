//! Durations, selectors and lists as upstream prints them.

use jiff::Timestamp;
use meta::ObjectExt as _;
use serde_json::Value;

use crate::kind::Cell;

/// Most items of a list that are printed.
const ITEMS_MAX: usize = 3;

/// How long ago the object was made.
pub(crate) fn age(object: &Value, now: Timestamp) -> Cell<'static> {
    since(object.str_at(&["metadata", "creationTimestamp"]), now).into()
}

/// How long ago a time was; `<unknown>` when unset.
pub(crate) fn since(time: Option<&str>, now: Timestamp) -> String {
    match time.and_then(meta::time::from_rfc3339) {
        Some(time) => human(now.as_second() - time.as_second()),
        None => "<unknown>".into(),
    }
}

/// A duration in seconds, to the two greatest units that matter.
///
/// Source: apimachinery `util/duration`, `HumanDuration`.
pub(crate) fn human(seconds: i64) -> String {
    let two = |big: i64, big_unit: &str, small: i64, small_unit: &str| match small {
        0 => format!("{big}{big_unit}"),
        _ => format!("{big}{big_unit}{small}{small_unit}"),
    };
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..-1 => "<invalid>".into(),
        -1 => "0s".into(),
        _ if seconds < 120 => format!("{seconds}s"),
        _ if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        _ if minutes < 180 => format!("{minutes}m"),
        _ if hours < 8 => two(hours, "h", minutes % 60, "m"),
        _ if hours < 48 => format!("{hours}h"),
        _ if hours < 24 * 8 => two(hours / 24, "d", hours % 24, "h"),
        _ if hours < 24 * 365 * 2 => format!("{}d", hours / 24),
        _ if hours < 24 * 365 * 8 => two(hours / 24 / 365, "y", hours / 24 % 365, "d"),
        _ => format!("{}y", hours / 24 / 365),
    }
}

/// The first few texts, and how many more there are; `nothing` when there are none.
pub(crate) fn join(items: &[String], total: usize, nothing: &str) -> String {
    let shown: Vec<&str> = items.iter().take(ITEMS_MAX).map(String::as_str).collect();
    let text = shown.join(",");
    if total > ITEMS_MAX {
        return format!("{text} + {} more...", total - ITEMS_MAX);
    }
    if text.is_empty() {
        nothing.to_owned()
    } else {
        text
    }
}

/// Labels as `a=b,c=d`; `<none>` when there are none. The texts are sorted, not the keys: `.` comes before `=`.
///
/// Source: apimachinery `labels.Set.String`.
pub(crate) fn labels(map: Option<&Value>) -> String {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    let mut texts: Vec<String> = entries
        .map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default()))
        .collect();
    texts.sort();
    if texts.is_empty() {
        "<none>".into()
    } else {
        texts.join(",")
    }
}

/// A label selector as `a=b,c in (d,e),!f`; `<none>` when unset or empty.
pub(crate) fn selector(selector: Option<&Value>) -> String {
    let text = selector_text(selector);
    if text.is_empty() {
        "<none>".into()
    } else {
        text
    }
}

/// A label selector, empty when it selects everything.
pub(crate) fn selector_text(selector: Option<&Value>) -> String {
    let Some(selector) = selector else {
        return String::new();
    };
    let mut parts: Vec<(String, String)> = Vec::new();
    for (key, value) in selector
        .at(&["matchLabels"])
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        parts.push((
            key.clone(),
            format!("{key}={}", value.as_str().unwrap_or_default()),
        ));
    }
    for expression in selector.list_at(&["matchExpressions"]) {
        let key = expression.str_at(&["key"]).unwrap_or_default();
        let mut values: Vec<&str> = expression
            .list_at(&["values"])
            .iter()
            .filter_map(Value::as_str)
            .collect();
        values.sort_unstable();
        let values = values.join(",");
        let text = match expression.str_at(&["operator"]).unwrap_or_default() {
            "In" => format!("{key} in ({values})"),
            "NotIn" => format!("{key} notin ({values})"),
            "Exists" => key.to_owned(),
            "DoesNotExist" => format!("!{key}"),
            _ => return "<error>".into(),
        };
        parts.push((key.to_owned(), text));
    }
    parts.sort();
    parts
        .into_iter()
        .map(|(_, text)| text)
        .collect::<Vec<_>>()
        .join(",")
}

/// Names and images of containers.
pub(crate) fn containers(containers: &[Value]) -> (Cell<'static>, Cell<'static>) {
    let column = |field: &str| {
        let texts: Vec<&str> = containers
            .iter()
            .map(|container| container.str_at(&[field]).unwrap_or_default())
            .collect();
        texts.join(",").into()
    };
    (column("name"), column("image"))
}
