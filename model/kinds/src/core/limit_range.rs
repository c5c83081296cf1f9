//! LimitRange.

use serde_json::{Value, json};

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::Strategy;

/// Rules of `v1 LimitRange`.
pub(crate) struct LimitRange;

impl Strategy for LimitRange {
    fn has_generation(&self) -> bool {
        false
    }
    print_with!(print::CREATED_AT);
}

/// For containers, the default limit follows the maximum, the default request the default limit, then the minimum.
pub(super) fn default_item(item: &mut Value) {
    if item.get("type").and_then(Value::as_str) != Some("Container") {
        return;
    }
    for (from, to) in [
        ("max", "default"),
        ("default", "defaultRequest"),
        ("min", "defaultRequest"),
    ] {
        let Some(Value::Object(amounts)) = item.get(from).cloned() else {
            continue;
        };
        if item.get(to).is_none() {
            item.put(to, json!({}));
        }
        let target = item.child_mut(to);
        for (name, amount) in amounts {
            if target.get(&name).is_none() {
                target.put(&name, amount);
            }
        }
    }
}
