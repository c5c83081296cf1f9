//! Sets of owned fields in the order in which upstream writes them.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::{Shape, plain};

/// A `fieldsV1` with its steps in order, at every level.
pub(super) fn shape(value: &Value) -> Shape {
    let Value::Object(map) = value else {
        return plain(value);
    };
    let mut steps: Vec<(&String, &Value)> = map.iter().collect();
    steps.sort_by(|(left, _), (right, _)| compare(left, right));
    let steps = steps.into_iter();
    Shape::Map(
        steps
            .map(|(step, below)| (step.clone(), shape(below)))
            .collect(),
    )
}

/// Source: structured-merge-diff `PathElement.Compare`.
fn compare(left: &str, right: &str) -> Ordering {
    let rank = |step: &str| match step.get(..2) {
        None => 0,
        Some("f:") => 1,
        Some("k:") => 2,
        Some("v:") => 3,
        _ => 4,
    };
    let parsed = |step: &str| -> Value {
        let json = step.get(2..).unwrap_or_default();
        serde_json::from_str(json).unwrap_or_default()
    };
    let by_rank = rank(left).cmp(&rank(right));
    if by_rank.is_ne() || matches!(rank(left), 0 | 1) {
        return by_rank.then_with(|| left.cmp(right));
    }
    match (parsed(left), parsed(right)) {
        (Value::Object(left), Value::Object(right)) => keys(&left, &right),
        (left, right) => scalars(&left, &right),
    }
}

fn keys(left: &Map<String, Value>, right: &Map<String, Value>) -> Ordering {
    let pairs = left.iter().zip(right);
    pairs
        .map(|((left, value), (right, other))| left.cmp(right).then_with(|| scalars(value, other)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| left.len().cmp(&right.len()))
}

fn scalars(left: &Value, right: &Value) -> Ordering {
    match (left.as_i64(), right.as_i64()) {
        (Some(left), Some(right)) => left.cmp(&right),
        _ => left.to_string().cmp(&right.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_are_numbers_are_in_the_order_of_numbers() {
        let fields = json!({".": {}, "f:ports": {"k:{\"port\":443}": {}, "k:{\"port\":80}": {}, ".": {}}, "v:10": {}, "v:9": {}});
        let mut text = String::new();
        shape(&fields).compact(&mut text);
        assert_eq!(
            text,
            r#"{".":{},"f:ports":{".":{},"k:{\"port\":80}":{},"k:{\"port\":443}":{}},"v:9":{},"v:10":{}}"#
        );
    }
}
