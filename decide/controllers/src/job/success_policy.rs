//! Whether a job has succeeded before all of its indexes have.
//!
//! Source: `success_policy.go`.

use std::collections::BTreeSet;

use meta::{Object, ObjectExt};
use serde_json::Value;

use super::indexes;

/// The message of the first rule that is met; `None` while none is.
pub(super) fn met(job: &Object, succeeded: &BTreeSet<i64>) -> Option<String> {
    if succeeded.is_empty() {
        return None;
    }
    let completions = job.int_at(&["spec", "completions"]).unwrap_or_default();
    let rules = job.list_at(&["spec", "successPolicy", "rules"]).iter();
    let at = rules
        .enumerate()
        .find(|(_, rule)| is_met(rule, completions, succeeded))?
        .0;
    Some(format!("Matched rules at index {at}"))
}

fn is_met(rule: &Value, completions: i64, succeeded: &BTreeSet<i64>) -> bool {
    let wanted = rule
        .int_at(&["succeededCount"])
        .and_then(|count| usize::try_from(count).ok());
    let is_enough = |count: usize| wanted.is_some_and(|wanted| count >= wanted);
    let Some(text) = rule.str_at(&["succeededIndexes"]) else {
        return is_enough(succeeded.len());
    };
    let asked = indexes::parse(text, completions);
    let there = asked.intersection(succeeded).count();
    !asked.is_empty() && (there == asked.len() || is_enough(there))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_asks_for_indexes_or_a_number_or_both() {
        let job = json!({ "spec": { "completions": 6, "successPolicy": { "rules": [
            { "succeededIndexes": "0,2-3" },
            { "succeededIndexes": "3-9", "succeededCount": 2 },
            { "succeededCount": 4 },
        ] } } });
        let of = |text| met(&job, &indexes::parse(text, 6));
        let rule = |at| Some(format!("Matched rules at index {at}"));
        assert_eq!(of(""), None);
        assert_eq!(of("0,2,5"), None);
        assert_eq!(of("0,2-3"), rule(0));
        assert_eq!(of("3,5"), rule(1));
        assert_eq!(of("0-2,5"), rule(2));
    }
}
