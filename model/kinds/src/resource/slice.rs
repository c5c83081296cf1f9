//! What a slice tells of the devices of a node or pool. Source: `validateResourceSliceSpec`.

use jiff::Timestamp;
use meta::{FieldError, Object, Quantity, names};
use serde_json::Value;

use super::claim::EFFECTS;
use super::names::{fits, label, name_of, pool, qualified, unique};
use crate::check::{Errors, Node};
use crate::core::csi_driver_name;
use crate::core::pod_spec::validate::node_selector;
use crate::edit::Edit as _;

/// Source: `ResourceSliceMaxDevices`.
const DEVICES_MAX: usize = 128;
/// Most devices when one has taints, counters or lists. Source: `ResourceSliceMaxDevicesWithAdvancedFeatures`.
const DEVICES_ADVANCED_MAX: usize = 64;
/// Source: `ResourceSliceMaxCounterSets`.
const COUNTER_SETS_MAX: usize = 8;
/// Source: `ResourceSliceMaxCountersPerCounterSet` and `ResourceSliceMaxCountersPerDeviceCounterConsumption`.
const COUNTERS_MAX: usize = 32;
/// Source: `ResourceSliceMaxDeviceCounterConsumptionsPerDevice`.
const CONSUMPTIONS_MAX: usize = 2;
/// Source: `ResourceSliceMaxAttributesAndCapacitiesPerDevice`.
const FACTS_MAX: usize = 32;
/// Source: `ResourceSliceMaxAttributeValuesPerDevice`.
const VALUES_MAX: usize = 48;
/// Source: `DeviceAttributeMaxValueLength`.
const VALUE_BYTES_MAX: usize = 64;
/// Source: `DeviceTaintsMaxLength`.
const TAINTS_MAX: usize = 16;
/// Source: `BindingConditionsMaxSize` and `BindingFailureConditionsMaxSize`.
const CONDITIONS_MAX: usize = 4;
/// Attributes that have many values.
const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];

/// Goes through the spec.
pub(super) fn spec(spec: &Node<'_>, old: Option<&Node<'_>>, errors: &mut Errors) {
    csi_driver_name(spec, "driver", errors);
    pool_of(&spec.child("pool"), errors);
    if let Some(old) = old {
        spec.child("pool")
            .immutable(&old.child("pool"), "name", errors);
        spec.immutable(old, "driver", errors);
        spec.immutable(old, "nodeName", errors);
    }
    nodes(spec, errors);
    if spec.has("sharedCounters") && spec.has("devices") {
        let why = "only one of `sharedCounters` or `devices` is allowed";
        errors.push(FieldError::invalid(&spec.path, "", why));
    }
    let devices = spec.items("devices");
    let most = if devices.iter().any(is_advanced) {
        DEVICES_ADVANCED_MAX
    } else {
        DEVICES_MAX
    };
    if fits(spec, "devices", most, errors) {
        let is_per_device = spec.flag("perDeviceNodeSelection");
        for device in &devices {
            self::device(device, is_per_device, errors);
        }
        unique(spec, "devices", name_of, errors);
    }
    if fits(spec, "sharedCounters", COUNTER_SETS_MAX, errors) {
        for set in spec.items("sharedCounters") {
            counters(&set, "name", errors);
        }
        unique(spec, "sharedCounters", name_of, errors);
    }
}

/// Taints say since when they are there. Source: `SetDefaults_DeviceTaint`.
pub(super) fn taint_times(slice: &mut Object, now: Timestamp) {
    for device in slice.child_mut("spec").items_mut("devices") {
        for taint in device.items_mut("taints") {
            if taint.lacks("timeAdded") {
                taint.put("timeAdded", meta::time::to_rfc3339(now));
            }
        }
    }
}

/// What clients are warned of. Source: `resourceSliceStrategy` `WarningsOnCreate`.
pub(super) fn warnings(new: &Object, _old: Option<&Object>) -> Vec<String> {
    let driver = Node::root(new).child("spec").text("driver");
    if driver == driver.to_lowercase() {
        return Vec::new();
    }
    let driver = meta::field::quote(driver);
    vec![format!(
        "spec.driver: driver names should be lowercase; {driver} contains uppercase characters"
    )]
}

fn pool_of(node: &Node<'_>, errors: &mut Errors) {
    pool(node, "name", errors);
    let count = node.int("resourceSliceCount").unwrap_or_default();
    if count <= 0 {
        let path = node.at("resourceSliceCount");
        errors.push(FieldError::invalid(
            &path,
            count,
            "must be greater than zero",
        ));
    }
    let generation = node.int("generation").unwrap_or_default();
    if generation < 0 {
        let why = "must be greater than or equal to zero";
        errors.push(FieldError::invalid(&node.at("generation"), generation, why));
    }
}

/// Where the devices are: said in exactly one way.
fn nodes(spec: &Node<'_>, errors: &mut Errors) {
    const WAYS: &str = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    let mut ways = Vec::new();
    let unnamed = "must be either unset or set to a non-empty string";
    node_name(spec, unnamed, &mut ways, errors);
    if let Some(selector) = spec.get("nodeSelector") {
        ways.push("`nodeSelector`");
        node_selector(&selector, errors);
        let terms = selector.child("nodeSelectorTerms");
        if selector.items("nodeSelectorTerms").len() != 1 {
            let why = "must have exactly one node selector term";
            errors.push(FieldError::invalid(&terms.path, terms.value.clone(), why));
        }
    }
    only_true(spec, "allNodes", "`allNodes`", &mut ways, errors);
    let each = "perDeviceNodeSelection";
    only_true(spec, each, "`perDeviceNodeSelection`", &mut ways, errors);
    match ways.as_slice() {
        [] => errors.push(FieldError::required(&spec.path, WAYS)),
        [_] => {}
        many => {
            let shown = format!("{{{}}}", many.join(", "));
            let why = format!("{WAYS}, but multiple fields are set");
            errors.push(FieldError::invalid(&spec.path, shown, why));
        }
    }
}

fn node_name(node: &Node<'_>, unnamed: &str, ways: &mut Vec<&str>, errors: &mut Errors) {
    if !node.has("nodeName") {
        return;
    }
    match node.text("nodeName") {
        "" => errors.push(FieldError::invalid(&node.at("nodeName"), "", unnamed)),
        name => {
            ways.push("`nodeName`");
            node.complain("nodeName", names::dns1123_subdomain(name), errors);
        }
    }
}

fn only_true(
    node: &Node<'_>,
    field: &str,
    shown: &'static str,
    ways: &mut Vec<&str>,
    errors: &mut Errors,
) {
    if node.flag(field) {
        ways.push(shown);
    } else if node.has(field) {
        let why = "must be either unset or set to true";
        errors.push(FieldError::invalid(&node.at(field), false, why));
    }
}

fn is_advanced(device: &Node<'_>) -> bool {
    let mut attributes = device.entries("attributes").into_iter();
    device.has_items("taints")
        || device.has_items("consumesCounters")
        || attributes.any(|(_, attribute)| LISTS.iter().any(|list| attribute.has(list)))
}

/// Source: `validateDevice`.
fn device(device: &Node<'_>, is_per_device: bool, errors: &mut Errors) {
    label(device, "name", errors);
    let facts = device.entries("attributes").len() + device.entries("capacity").len();
    too_many_facts(device, facts, errors);
    for (name, attribute) in device.entries("attributes") {
        qualified(name, &device.at("attributes"), errors);
        self::attribute(&attribute, errors);
    }
    let is_shared = device.flag("allowMultipleAllocations");
    for (name, capacity) in device.entries("capacity") {
        qualified(name, &device.at("capacity"), errors);
        match capacity.get("requestPolicy") {
            Some(policy) if is_shared => request_policy(&capacity, &policy, errors),
            Some(policy) => {
                let why = "allowMultipleAllocations must be true";
                errors.push(FieldError::forbidden(&policy.path, why));
            }
            None => {}
        }
    }
    if fits(device, "taints", TAINTS_MAX, errors) {
        for taint in device.items("taints") {
            self::taint(&taint, errors);
        }
    }
    if fits(device, "consumesCounters", CONSUMPTIONS_MAX, errors) {
        for consumption in device.items("consumesCounters") {
            counters(&consumption, "counterSet", errors);
        }
        let set = |one: &Node<'_>| Value::from(one.text("counterSet"));
        unique(device, "consumesCounters", set, errors);
    }
    place(device, is_per_device, errors);
    binding_conditions(device, errors);
}

fn too_many_facts(device: &Node<'_>, facts: usize, errors: &mut Errors) {
    let mut refuse = |count: usize, max: usize, what: &str| {
        if count > max {
            let why = format!("the total number of {what} must not exceed {max}");
            errors.push(FieldError::invalid(&device.path, count, why));
        }
    };
    refuse(facts, FACTS_MAX, "attributes and capacities");
    let values = device
        .entries("attributes")
        .into_iter()
        .map(|(_, attribute)| {
            let items: usize = LISTS.iter().map(|list| attribute.items(list).len()).sum();
            items.max(1)
        });
    refuse(values.sum(), VALUES_MAX, "attribute values");
}

/// Source: `validateDeviceAttribute`.
fn attribute(attribute: &Node<'_>, errors: &mut Errors) {
    let text = |node: &Node<'_>, errors: &mut Errors| {
        if node
            .value
            .as_str()
            .is_some_and(|text| text.len() > VALUE_BYTES_MAX)
        {
            errors.push(FieldError::too_long(&node.path, VALUE_BYTES_MAX));
        }
    };
    let version = |node: &Node<'_>, errors: &mut Errors| {
        let value = node.value.as_str().unwrap_or_default();
        if !is_semantic_version(value) {
            let why = "must be a string compatible with semver.org spec 2.0.0";
            errors.push(FieldError::invalid(&node.path, value, why));
        }
        text(node, errors);
    };
    if let Some(value) = attribute.get("string") {
        text(&value, errors);
    }
    if let Some(value) = attribute.get("version") {
        version(&value, errors);
    }
    for list in LISTS {
        let items = attribute.items(list);
        if attribute.has(list) && items.is_empty() {
            let why = "must not be empty if specified";
            let path = attribute.at(list);
            errors.push(FieldError::invalid(&path, Value::Array(Vec::new()), why));
        }
        for item in &items {
            match list {
                "strings" => text(item, errors),
                "versions" => version(item, errors),
                _ => {}
            }
        }
    }
    let fields = ["bool", "int", "string", "version"].iter().chain(&LISTS);
    let why = "exactly one value must be specified";
    match fields.filter(|field| attribute.has(field)).count() {
        0 => errors.push(FieldError::invalid(&attribute.path, "", why)),
        1 => {}
        _ => errors.push(FieldError::invalid(
            &attribute.path,
            attribute.value.clone(),
            why,
        )),
    }
}

/// Source: semver.org, as upstream's `semverRe` reads it.
fn is_semantic_version(text: &str) -> bool {
    let (text, build) = match text.split_once('+') {
        Some((text, build)) => (text, Some(build)),
        None => (text, None),
    };
    let (core, pre_release) = match text.split_once('-') {
        Some((core, pre_release)) => (core, Some(pre_release)),
        None => (text, None),
    };
    let is_word = |part: &str| {
        let is_known = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !part.is_empty() && part.chars().all(is_known)
    };
    let is_number = |part: &str| {
        let is_digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        is_digits && (part == "0" || !part.starts_with('0'))
    };
    let is_identifier = |part: &str| {
        let is_numeric = part.bytes().all(|byte| byte.is_ascii_digit());
        is_word(part) && (!is_numeric || is_number(part))
    };
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre_release.is_none_or(|parts| parts.split('.').all(is_identifier))
        && build.is_none_or(|parts| parts.split('.').all(is_word))
}

/// Source: `validateDeviceTaint`.
fn taint(taint: &Node<'_>, errors: &mut Errors) {
    taint.complain("key", names::qualified_name(taint.text("key")), errors);
    if !taint.text("value").is_empty() {
        taint.complain("value", names::label_value(taint.text("value")), errors);
    }
    taint.needs_one_of("effect", &EFFECTS, errors);
}

/// A set of counters, or what is taken from one; `field` names the set.
fn counters(set: &Node<'_>, field: &str, errors: &mut Errors) {
    if set.text(field).is_empty() {
        errors.push(FieldError::required(&set.at(field), ""));
    } else {
        label(set, field, errors);
    }
    let (path, counters) = (set.at("counters"), set.entries("counters"));
    if counters.is_empty() {
        errors.push(FieldError::required(&path, ""));
    } else if counters.len() > COUNTERS_MAX {
        errors.push(FieldError::too_many(&path, counters.len(), COUNTERS_MAX));
    } else {
        for (name, _) in counters {
            let complaints = names::dns1123_label(name).into_iter();
            errors.extend(complaints.map(|why| FieldError::invalid(&path, name, why)));
        }
    }
}

/// Where one device is.
fn place(device: &Node<'_>, is_per_device: bool, errors: &mut Errors) {
    const WAYS: &str = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    if !is_per_device {
        let fields = ["nodeName", "nodeSelector", "allNodes"];
        if fields.iter().any(|field| device.has(field)) {
            let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            errors.push(FieldError::invalid(&device.path, Value::Null, why));
        }
        return;
    }
    let mut ways = Vec::new();
    node_name(device, "must not be empty", &mut ways, errors);
    if let Some(selector) = device.get("nodeSelector") {
        ways.push("`nodeSelector`");
        node_selector(&selector, errors);
    }
    only_true(device, "allNodes", "`allNodes`", &mut ways, errors);
    match ways.as_slice() {
        [] => errors.push(FieldError::required(&device.path, WAYS)),
        [_] => {}
        many => {
            let shown = format!("{{{}}}", many.join(", "));
            errors.push(FieldError::invalid(&device.path, shown, WAYS));
        }
    }
}

/// Source: `validateDeviceBindingParameters`.
pub(super) fn binding_conditions(device: &Node<'_>, errors: &mut Errors) {
    const FIELDS: [&str; 2] = ["bindingConditions", "bindingFailureConditions"];
    for field in FIELDS {
        if fits(device, field, CONDITIONS_MAX, errors) {
            for one in device.items(field) {
                let name = one.value.as_str().unwrap_or_default();
                let complaints = names::qualified_name(name).into_iter();
                errors.extend(complaints.map(|why| FieldError::invalid(&one.path, name, why)));
            }
        }
    }
    let good = device.texts("bindingConditions");
    for field in FIELDS {
        let mut seen = Vec::new();
        for one in device.items(field) {
            let name = one.value.as_str().unwrap_or_default();
            if seen.contains(&name) {
                errors.push(FieldError::duplicate(&one.path, name));
            }
            seen.push(name);
            if field == "bindingFailureConditions" && good.contains(&name) {
                let why = "bindingFailureConditions must not overlap with bindingConditions";
                errors.push(FieldError::invalid(&one.path, name, why));
            }
        }
    }
    for (lacking, present) in [(FIELDS[0], FIELDS[1]), (FIELDS[1], FIELDS[0])] {
        if !device.has_items(lacking) && device.has_items(present) {
            let why = format!("{lacking} are required to use {present}");
            errors.push(FieldError::invalid(&device.at(lacking), Value::Null, why));
        }
    }
}

/// How much of a shared capacity one claim may take. Source: `validateRequestPolicy`.
fn request_policy(capacity: &Node<'_>, policy: &Node<'_>, errors: &mut Errors) {
    let most = crate::check::quantity(capacity.child("value").value);
    let has_values = policy.has_items("validValues");
    if has_values && policy.has("validRange") {
        let why = r#"exactly one policy can be specified, cannot specify "validValues" and "validRange" at the same time"#;
        errors.push(FieldError::forbidden(&policy.path, why));
        return;
    }
    let field = match (has_values, policy.has("validRange")) {
        (true, _) => "validValues",
        (_, true) => "validRange",
        _ => return,
    };
    let Some(default) = policy.get("default") else {
        let why = format!("required when {field} is defined");
        errors.push(FieldError::required(&policy.at("default"), why));
        return;
    };
    let default = crate::check::quantity(default.value);
    if has_values {
        valid_values(policy, &default, &most, errors);
    } else {
        valid_range(&policy.child("validRange"), &default, &most, errors);
    }
}

fn valid_values(policy: &Node<'_>, default: &Quantity, most: &Quantity, errors: &mut Errors) {
    /// Source: `CapacityRequestPolicyDiscreteMaxOptions`.
    const OPTIONS_MAX: usize = 10;
    let options: Vec<(Node<'_>, Quantity)> = policy
        .items("validValues")
        .into_iter()
        .map(|node| {
            let amount = crate::check::quantity(node.value);
            (node, amount)
        })
        .collect();
    for pair in options.windows(2) {
        if let [(_, before), (node, after)] = pair
            && before > after
        {
            let why = "values must be sorted in ascending order";
            errors.push(FieldError::invalid(&node.path, after.to_string(), why));
        }
    }
    let mut has_default = false;
    if fits(policy, "validValues", OPTIONS_MAX, errors) {
        for (node, option) in &options {
            if option > most {
                let why = format!("option is larger than capacity value: {most}");
                errors.push(FieldError::invalid(&node.path, option.to_string(), why));
            }
            has_default |= option == default;
        }
        let key = |one: &Node<'_>| {
            let value = crate::check::quantity(one.value).value();
            Value::from(value.to_string())
        };
        unique(policy, "validValues", key, errors);
    }
    if !has_default {
        let why = "default value is not valid according to the requestPolicy";
        let path = policy.at("validValues");
        errors.push(FieldError::invalid(&path, default.to_string(), why));
    }
}

fn valid_range(range: &Node<'_>, default: &Quantity, most: &Quantity, errors: &mut Errors) {
    let amount = |field: &str| {
        range
            .get(field)
            .map(|node| crate::check::quantity(node.value))
    };
    let Some(least) = amount("min") else {
        let why = "required when validRange is defined";
        errors.push(FieldError::required(&range.at("min"), why));
        return;
    };
    let mut refuse = |field: &str, shown: &Quantity, why: String| {
        let path = range.at(field);
        errors.push(FieldError::invalid(&path, shown.to_string(), why));
    };
    if least > *most {
        refuse(
            "min",
            &least,
            format!("min is larger than capacity value: {most}"),
        );
    }
    if *default < least {
        refuse("min", default, format!("default is less than min: {least}"));
    }
    let top = amount("max");
    if let Some(top) = &top {
        if least > *top {
            refuse("max", &least, format!("min is larger than max: {top}"));
        }
        if top > most {
            refuse(
                "max",
                top,
                format!("max is larger than capacity value: {most}"),
            );
        }
        if default > top {
            refuse("max", default, format!("default is more than max: {top}"));
        }
    }
    let Some(step) = amount("step") else { return };
    let first = least.add(&step);
    if first > *most {
        let why = format!("one step {first} is larger than capacity value: {most}");
        refuse("step", &step, why);
    }
    for value in std::iter::once(default).chain(&top) {
        let rest = (value.value() - least.value()).checked_rem(step.value());
        if rest != Some(0) {
            let why = format!("value is not a multiple of a given step ({step}) from ({least})");
            refuse("step", value, why);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic() {
        for text in ["1.2.3", "0.0.0-alpha.1", "1.0.0+build.01", "1.0.0--"] {
            assert!(is_semantic_version(text), "{text}");
        }
        for text in [
            "1.2", "1.02.3", "1.2.3-", "1.2.3-01", "1.2.3+", "v1.2.3", "",
        ] {
            assert!(!is_semantic_version(text), "{text}");
        }
    }
}
