//! When the pods of a job count as failed, and when enough of them have succeeded. Source: `validatePodFailurePolicy`,
//! `validateSuccessPolicy`.

use std::collections::BTreeSet;

use meta::{FieldError, names};

use crate::check::{Errors, NEGATIVE, Node};

const FAILURE_RULES_MAX: usize = 20;
const EXIT_CODES_MAX: usize = 255;
const POD_CONDITIONS_MAX: usize = 20;
const SUCCESS_RULES_MAX: usize = 20;
const SUCCEEDED_INDEXES_BYTES_MAX: usize = 64 * 1024;
const OPERATORS: [&str; 2] = ["In", "NotIn"];
const STATUSES: [&str; 3] = ["False", "True", "Unknown"];

/// Goes through the pod failure policy.
pub(super) fn failure(spec: &Node<'_>, policy: &Node<'_>, errors: &mut Errors) {
    const ACTIONS: [&str; 4] = ["Count", "FailIndex", "FailJob", "Ignore"];
    let rules = policy.items("rules");
    if rules.len() > FAILURE_RULES_MAX {
        let path = policy.at("rules");
        errors.push(FieldError::too_many(&path, rules.len(), FAILURE_RULES_MAX));
    }
    let pod = spec.child("template").child("spec");
    let containers: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| pod.items(list))
        .map(|container| container.text("name"))
        .collect();
    for rule in rules {
        let action = rule.text("action");
        if action.is_empty() {
            let why = "valid values: [\"Count\" \"FailIndex\" \"FailJob\" \"Ignore\"]";
            errors.push(FieldError::required(&rule.at("action"), why));
        } else if action == "FailIndex" && !spec.has("backoffLimitPerIndex") {
            let why = "requires the backoffLimitPerIndex to be set";
            errors.push(FieldError::invalid(&rule.at("action"), action, why));
        } else {
            rule.one_of("action", &ACTIONS, errors);
        }
        if let Some(codes) = rule.get("onExitCodes") {
            exit_codes(&codes, &containers, errors);
        }
        pod_conditions(&rule, errors);
        let both = (rule.has("onExitCodes"), rule.has_items("onPodConditions"));
        let why = match both {
            (true, true) => "specifying both OnExitCodes and OnPodConditions is not supported",
            (false, false) => "specifying one of OnExitCodes and OnPodConditions is required",
            _ => continue,
        };
        let mut error = FieldError::invalid(&rule.path, "", why);
        error.bad_value = None;
        errors.push(error);
    }
}

fn exit_codes(codes: &Node<'_>, containers: &BTreeSet<&str>, errors: &mut Errors) {
    if codes.text("operator").is_empty() {
        let why = "valid values: [\"In\" \"NotIn\"]";
        errors.push(FieldError::required(&codes.at("operator"), why));
    } else {
        codes.one_of("operator", &OPERATORS, errors);
    }
    let container = codes.text("containerName");
    if codes.has("containerName") && !containers.contains(container) {
        let why = "must be one of the container or initContainer names in the pod template";
        errors.push(FieldError::invalid(
            &codes.at("containerName"),
            container,
            why,
        ));
    }
    let path = codes.at("values");
    let list = codes.child("values").value;
    let values: Vec<i64> = codes
        .items("values")
        .iter()
        .map(|item| item.value.as_i64().unwrap_or_default())
        .collect();
    if values.is_empty() {
        let why = "at least one value is required";
        errors.push(FieldError::invalid(&path, list.clone(), why));
    } else if values.len() > EXIT_CODES_MAX {
        errors.push(FieldError::too_many(&path, values.len(), EXIT_CODES_MAX));
    }
    let mut known = BTreeSet::new();
    for (index, value) in values.iter().enumerate() {
        if codes.text("operator") == "In" && *value == 0 {
            let why = "must not be 0 for the In operator";
            errors.push(FieldError::invalid(&path.index(index), 0, why));
        }
        if !known.insert(*value) {
            errors.push(FieldError::duplicate(&path.index(index), *value));
        }
    }
    if !values.is_sorted() {
        errors.push(FieldError::invalid(&path, list.clone(), "must be ordered"));
    }
}

fn pod_conditions(rule: &Node<'_>, errors: &mut Errors) {
    let patterns = rule.items("onPodConditions");
    if patterns.len() > POD_CONDITIONS_MAX {
        let path = rule.at("onPodConditions");
        errors.push(FieldError::too_many(
            &path,
            patterns.len(),
            POD_CONDITIONS_MAX,
        ));
    }
    for pattern in patterns {
        pattern.complain("type", names::qualified_name(pattern.text("type")), errors);
        pattern.one_of("status", &STATUSES, errors);
    }
}

/// Goes through the success policy of an indexed job.
pub(super) fn success(spec: &Node<'_>, policy: &Node<'_>, errors: &mut Errors) {
    let rules = policy.items("rules");
    let path = policy.at("rules");
    if rules.is_empty() {
        let why = "at least one rules must be specified when the successPolicy is specified";
        errors.push(FieldError::required(&path, why));
    }
    if rules.len() > SUCCESS_RULES_MAX {
        errors.push(FieldError::too_many(&path, rules.len(), SUCCESS_RULES_MAX));
    }
    let completions = spec.int("completions").unwrap_or_default();
    for rule in rules {
        success_rule(&rule, completions, errors);
    }
}

fn success_rule(rule: &Node<'_>, completions: i64, errors: &mut Errors) {
    let (has_count, has_indexes) = (rule.has("succeededCount"), rule.has("succeededIndexes"));
    if !has_count && !has_indexes {
        let why = "at least one of succeededCount or succeededIndexes must be specified";
        errors.push(FieldError::required(&rule.path, why));
    }
    let mut total = 0;
    if has_indexes {
        let (text, path) = (rule.text("succeededIndexes"), rule.at("succeededIndexes"));
        if text.len() > SUCCEEDED_INDEXES_BYTES_MAX {
            errors.push(FieldError::too_long(&path, SUCCEEDED_INDEXES_BYTES_MAX));
        }
        match count_indexes(text, completions) {
            Ok(count) => total = count,
            Err(why) => {
                let why = format!("error parsing succeededIndexes: {why}");
                errors.push(FieldError::invalid(&path, text, why));
            }
        }
    }
    let Some(count) = rule.int("succeededCount") else {
        return;
    };
    let path = rule.at("succeededCount");
    let mut refuse = |why: String| errors.push(FieldError::invalid(&path, count, why));
    if count < 0 {
        refuse(NEGATIVE.to_owned());
    }
    if count > completions {
        refuse(format!(
            "must be less than or equal to {completions} (the number of specified completions)"
        ));
    }
    if has_indexes && count > total {
        refuse(format!(
            "must be less than or equal to {total} (the number of indexes in the specified succeededIndexes field)"
        ));
    }
}

/// How many indexes a text such as `0-3,5` names, all below `completions`. Source: `validateIndexesFormat`.
pub(super) fn count_indexes(text: &str, completions: i64) -> Result<i64, String> {
    let mut total = 0;
    let mut last: Option<i64> = None;
    if text.is_empty() {
        return Ok(0);
    }
    let quote = meta::field::quote;
    let number = |part: &str| {
        let value: i64 = part.parse().map_err(|_| {
            format!(
                "cannot convert string to integer for index: {}",
                quote(part)
            )
        })?;
        if value >= completions {
            return Err(format!("too large index: {}", quote(part)));
        }
        Ok(value)
    };
    for interval in text.split(',') {
        let limits: Vec<&str> = interval.split('-').collect();
        let (start, end) = match limits.as_slice() {
            [one] => (*one, None),
            [start, end] => (*start, Some(*end)),
            _ => {
                return Err(format!(
                    "the fragment {} violates the requirement that an index interval can have at most two parts separated by '-'",
                    quote(interval)
                ));
            }
        };
        let first = number(start)?;
        if let Some(last) = last.filter(|last| *last >= first) {
            return Err(format!(
                "non-increasing order, previous: {last}, current: {first}"
            ));
        }
        total += 1;
        last = Some(first);
        if let Some(end) = end {
            let end = number(end)?;
            if first >= end {
                return Err(format!(
                    "non-increasing order, previous: {first}, current: {end}"
                ));
            }
            total += end - first;
            last = Some(end);
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::count_indexes;

    #[test]
    fn intervals_of_indexes_grow_and_stay_below_the_completions() {
        assert_eq!(count_indexes("0-2,4", 5), Ok(4));
        assert_eq!(count_indexes("", 5), Ok(0));
        assert_eq!(
            count_indexes("0-5", 5).unwrap_err(),
            "too large index: \"5\""
        );
        let order = "non-increasing order, previous: 3, current: 3";
        assert_eq!(count_indexes("1-3,3", 5).unwrap_err(), order);
        let word = "cannot convert string to integer for index: \"x\"";
        assert_eq!(count_indexes("x", 5).unwrap_err(), word);
    }
}
