//! LimitRange.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, Quantity, names};
use serde_json::{Value, json};

use super::pod_spec::validate::resource_name;
use crate::check::{Errors, Node, quantity};
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

const LISTS: [&str; 5] = [
    "max",
    "min",
    "default",
    "defaultRequest",
    "maxLimitRequestRatio",
];

const TYPES: [&str; 3] = ["Container", "PersistentVolumeClaim", "Pod"];

/// Rules of `v1 LimitRange`.
pub(crate) struct LimitRange;

impl Strategy for LimitRange {
    fn has_generation(&self) -> bool {
        false
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let mut known = BTreeSet::new();
        for item in Node::root(new).child("spec").items("limits") {
            let kind = item.text("type");
            let complaints = names::qualified_name(kind);
            if complaints.is_empty() && !kind.contains('/') && !TYPES.contains(&kind) {
                let why = "must be a standard limit type or fully qualified";
                errors.push(FieldError::invalid(&item.at("type"), kind, why));
            }
            item.complain("type", complaints, &mut errors);
            if !known.insert(kind) {
                errors.push(FieldError::duplicate(&item.at("type"), kind));
            }
            self::item(&item, &mut errors);
        }
        errors
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        // A range without a name is called by its uid.
        if new.name().is_empty() {
            let uid = new.uid().to_owned();
            new.metadata_mut().insert("name".into(), uid.into());
        }
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

/// Claims are limited in their storage, and upstream asks for that before it looks at ratios.
fn storage(item: &Node<'_>, errors: &mut Errors) {
    let has_storage = |list: &str| item.child(list).has("storage");
    let is_claim = item.text("type") == "PersistentVolumeClaim";
    if is_claim && !has_storage("min") && !has_storage("max") {
        let why = "either minimum or maximum storage value is required, but neither was provided";
        errors.push(FieldError::required(&item.at("limits"), why));
    }
}

/// Source: `ValidateLimitRange`.
fn item(item: &Node<'_>, errors: &mut Errors) {
    let kind = item.text("type");
    let mut names = BTreeSet::new();
    for list in LISTS {
        if list == "maxLimitRequestRatio" {
            storage(item, errors);
        }
        if kind == "Pod" && list.starts_with("default") {
            if item.has_items(list) {
                let why = "may not be specified when `type` is 'Pod'";
                errors.push(FieldError::forbidden(&item.at(list), why));
            }
            continue;
        }
        for (name, value) in item.entries(list) {
            if matches!(kind, "Pod" | "Container") {
                let is_known = matches!(name, "cpu" | "memory" | "ephemeral-storage")
                    || name.starts_with("hugepages-");
                resource_name(name, &value.path, errors);
                if !is_known && !name.contains('/') {
                    let why = "must be a standard resource for containers";
                    errors.push(FieldError::invalid(&value.path, name, why));
                }
            } else {
                resource_name(name, &value.path, errors);
            }
            names.insert(name);
        }
    }
    for name in names {
        compare(item, name, errors);
    }
}

/// How the amounts of one resource must relate: the list of the smaller one, of the greater one, and where and how a
/// breach is reported.
const RELATIONS: [(&str, &str, &str, &str, &str); 6] = [
    (
        "min",
        "max",
        "min",
        "min value",
        "is greater than max value",
    ),
    (
        "min",
        "defaultRequest",
        "defaultRequest",
        "min value",
        "is greater than default request value",
    ),
    (
        "defaultRequest",
        "max",
        "defaultRequest",
        "default request value",
        "is greater than max value",
    ),
    (
        "defaultRequest",
        "default",
        "defaultRequest",
        "default request value",
        "is greater than default limit value",
    ),
    (
        "min",
        "default",
        "default",
        "min value",
        "is greater than default value",
    ),
    (
        "default",
        "max",
        "default",
        "default value",
        "is greater than max value",
    ),
];

/// Reports the amounts of one resource that contradict each other.
fn compare(item: &Node<'_>, name: &str, errors: &mut Errors) {
    let is_pod = item.text("type") == "Pod";
    let amount = |list: &str| {
        item.child(list)
            .get(name)
            .filter(|_| !(is_pod && list.starts_with("default")))
            .map(|value| quantity(value.value))
    };
    for (small, great, at, what, words) in RELATIONS {
        let Some((less, more)) = amount(small)
            .zip(amount(great))
            .filter(|(less, more)| less > more)
        else {
            continue;
        };
        let shown = match (small, at) {
            ("min", "defaultRequest") | ("default", "default") => more,
            _ => less,
        };
        let why = format!("{what} {less} {words} {more}");
        errors.push(FieldError::invalid(
            &item.at(at).key(name),
            shown.to_string(),
            why,
        ));
    }
    if let Some(ratio) = amount("maxLimitRequestRatio") {
        let path = item.at("maxLimitRequestRatio").key(name);
        if ratio < Quantity::from_milli(1000) {
            let why = format!("ratio {ratio} is less than 1");
            errors.push(FieldError::invalid(&path, ratio.to_string(), why));
        }
        if let Some((least, most)) = amount("min").zip(amount("max")) {
            let limit_micros = (most.nanos() * 1_000_000).checked_div(least.nanos());
            if let Some(micros) = limit_micros.filter(|micros| ratio.nanos() / 1_000 > *micros) {
                let sign = if micros < 0 { "-" } else { "" };
                let (most, least) = (most.nanos().abs(), least.nanos().abs());
                // Shown as Go shows a float: rounded.
                let shown = (most * 2_000_000 + least) / (2 * least);
                let (whole, rest) = (shown / 1_000_000, shown % 1_000_000);
                let why =
                    format!("ratio {ratio} is greater than max/min = {sign}{whole}.{rest:06}");
                errors.push(FieldError::invalid(&path, ratio.to_string(), why));
            }
        }
    }
    let may_overcommit = !name.starts_with("hugepages-") && !name.contains('/');
    if let Some((default, request)) = amount("default").zip(amount("defaultRequest"))
        && !may_overcommit
        && default != request
    {
        let path = item.at("defaultRequest").key(name);
        let why = format!(
            "default value {default} must equal to defaultRequest value {request} in {name}"
        );
        errors.push(FieldError::invalid(&path, request.to_string(), why));
    }
}
