//! What is wrong with an autoscaler. Source: `validateHorizontalPodAutoscalerSpec`.

use meta::{FieldError, Object, names};

use crate::check::{Errors, NEGATIVE, Node, quantity};

const WINDOW_SECONDS_MAX: i64 = 3600;
const PERIOD_SECONDS_MAX: i64 = 1800;
/// Metric types and the field that holds each, in the order in which upstream looks at them.
const SOURCES: [(&str, &str); 5] = [
    ("Object", "object"),
    ("External", "external"),
    ("Pods", "pods"),
    ("Resource", "resource"),
    ("ContainerResource", "containerResource"),
];
const TYPES: [&str; 5] = [
    "ContainerResource",
    "External",
    "Object",
    "Pods",
    "Resource",
];

/// An autoscaler in its v2 form.
pub(super) fn autoscaler(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let spec = Node::root(object).child("spec");
    let (least, most) = (
        spec.int("minReplicas"),
        spec.int("maxReplicas").unwrap_or_default(),
    );
    if let Some(least) = least.filter(|least| *least < 1) {
        let why = "must be greater than or equal to 1";
        errors.push(FieldError::invalid(&spec.at("minReplicas"), least, why));
    }
    if most == 0 {
        let why = "must be set and greater than 0";
        errors.push(FieldError::required(&spec.at("maxReplicas"), why));
    } else if most < 0 {
        let why = "must be greater than or equal to 1";
        errors.push(FieldError::invalid(&spec.at("maxReplicas"), most, why));
    }
    if least.is_some_and(|least| most < least) {
        let why = "must be greater than or equal to `minReplicas`";
        errors.push(FieldError::invalid(&spec.at("maxReplicas"), most, why));
    }
    reference(&spec.child("scaleTargetRef"), &mut errors);
    for metric in spec.items("metrics") {
        self::metric(&metric, &mut errors);
    }
    let mut metrics = spec.items("metrics").into_iter();
    let is_outside = |metric: &Node<'_>| matches!(metric.text("type"), "Object" | "External");
    if least == Some(0) && !metrics.any(|metric| is_outside(&metric)) {
        let why = "must specify at least one Object or External metric to support scaling to zero replicas";
        errors.push(FieldError::forbidden(&spec.at("metrics"), why));
    }
    for direction in ["scaleUp", "scaleDown"] {
        if let Some(rules) = spec.child("behavior").get(direction) {
            scaling(&rules, &mut errors);
        }
    }
    errors
}

/// What is scaled: of a group, but for the controllers of the core group.
fn reference(reference: &Node<'_>, errors: &mut Errors) {
    kind_and_name(reference, errors);
    let version = reference.text("apiVersion");
    let has_group = version
        .split_once('/')
        .is_some_and(|(group, _)| !group.is_empty());
    let is_core = version == "v1" && reference.text("kind") == "ReplicationController";
    if !malformed_version(reference, errors) && !has_group && !is_core {
        let why = "apiVersion must specify API group";
        errors.push(FieldError::invalid(
            &reference.at("apiVersion"),
            version,
            why,
        ));
    }
}

/// An object that a metric describes, of any group.
fn object_reference(reference: &Node<'_>, errors: &mut Errors) {
    kind_and_name(reference, errors);
    malformed_version(reference, errors);
}

fn kind_and_name(reference: &Node<'_>, errors: &mut Errors) {
    for field in ["kind", "name"] {
        if reference.text(field).is_empty() {
            reference.needs(field, errors);
        } else {
            reference.complain(field, names::path_segment(reference.text(field)), errors);
        }
    }
}

/// Whether the version of a reference cannot be read.
fn malformed_version(reference: &Node<'_>, errors: &mut Errors) -> bool {
    let version = reference.text("apiVersion");
    let is_malformed = version.matches('/').count() > 1;
    if is_malformed {
        let why = format!("unexpected GroupVersion string: {version}");
        errors.push(FieldError::invalid(
            &reference.at("apiVersion"),
            version,
            why,
        ));
    }
    is_malformed
}

fn metric(metric: &Node<'_>, errors: &mut Errors) {
    let kind = metric.text("type");
    if kind.is_empty() {
        errors.push(FieldError::required(
            &metric.at("type"),
            "must specify a metric source type",
        ));
    }
    if !TYPES.contains(&kind) {
        // Upstream finds an unknown type twice and reports it once.
        errors.push(FieldError::not_supported(&metric.at("type"), kind, &TYPES));
    }
    let present: Vec<(&str, &str)> = SOURCES
        .into_iter()
        .filter(|(_, field)| metric.has(field))
        .collect();
    if let Some((_, field)) = present.first() {
        source(field, &metric.child(field), errors);
    }
    let expected = SOURCES
        .iter()
        .find(|(name, _)| *name == kind)
        .map(|(_, field)| *field);
    match expected {
        Some(field) if !metric.has(field) => {
            let why = "must populate information for the given metric source";
            errors.push(FieldError::required(&metric.at(field), why));
        }
        Some(_) => {}
        None => errors.push(FieldError::not_supported(&metric.at("type"), kind, &TYPES)),
    }
    if present.len() != 1 {
        for (_, field) in present.iter().filter(|(_, field)| Some(*field) != expected) {
            let why = "must populate the given metric source only";
            errors.push(FieldError::forbidden(&metric.at(field), why));
        }
    }
}

fn source(field: &str, source: &Node<'_>, errors: &mut Errors) {
    let target = source.child("target");
    let name_needed = |errors: &mut Errors| {
        if source.text("name").is_empty() {
            errors.push(FieldError::required(
                &source.at("name"),
                "must specify a resource name",
            ));
        }
    };
    match field {
        "object" => {
            object_reference(&source.child("describedObject"), errors);
            identifier(&source.child("metric"), errors);
        }
        "external" | "pods" => identifier(&source.child("metric"), errors),
        "containerResource" => {
            name_needed(errors);
            if source.text("container").is_empty() {
                errors.push(FieldError::required(
                    &source.at("container"),
                    "must specify a container",
                ));
            }
        }
        _ => name_needed(errors),
    }
    self::target(&target, errors);
    let (has_value, has_average, has_percent) = (
        target.has("value"),
        target.has("averageValue"),
        target.has("averageUtilization"),
    );
    match field {
        "resource" | "containerResource" if !has_average && !has_percent => {
            let why = "must set either a target raw value or a target utilization";
            errors.push(FieldError::required(&target.at("averageUtilization"), why));
        }
        "resource" | "containerResource" if has_average && has_percent => {
            let why = "may not set both a target raw value and a target utilization";
            errors.push(FieldError::forbidden(&target.at("averageValue"), why));
        }
        "object" if !has_value && !has_average => {
            let why = "must set either a target value or averageValue";
            errors.push(FieldError::required(&target.at("averageValue"), why));
        }
        "external" if !has_value && !has_average => {
            let why = "must set either a target value for metric or a per-pod target";
            errors.push(FieldError::required(&target.at("averageValue"), why));
        }
        "external" if has_value && has_average => {
            let why = "may not set both a target value for metric and a per-pod target";
            errors.push(FieldError::forbidden(&target.at("value"), why));
        }
        "pods" if !has_average => {
            let why = "must specify a positive target averageValue";
            errors.push(FieldError::required(&target.at("averageValue"), why));
        }
        _ => {}
    }
}

fn identifier(metric: &Node<'_>, errors: &mut Errors) {
    if metric.text("name").is_empty() {
        errors.push(FieldError::required(
            &metric.at("name"),
            "must specify a metric name",
        ));
    } else {
        metric.complain("name", names::path_segment(metric.text("name")), errors);
    }
}

fn target(target: &Node<'_>, errors: &mut Errors) {
    let kind = target.text("type");
    if kind.is_empty() {
        errors.push(FieldError::required(
            &target.at("type"),
            "must specify a metric target type",
        ));
    }
    if !matches!(kind, "Utilization" | "Value" | "AverageValue") {
        let why = "must be either Utilization, Value, or AverageValue";
        errors.push(FieldError::invalid(&target.at("type"), kind, why));
    }
    for field in ["value", "averageValue"] {
        let amount = target.get(field).map(|value| quantity(value.value));
        if let Some(amount) = amount.filter(|amount| amount.nanos() <= 0) {
            errors.push(FieldError::invalid(
                &target.at(field),
                amount.to_string(),
                "must be positive",
            ));
        }
    }
    if let Some(percent) = target
        .int("averageUtilization")
        .filter(|percent| *percent < 1)
    {
        let path = target.at("averageUtilization");
        errors.push(FieldError::invalid(
            &path,
            percent,
            "must be greater than 0",
        ));
    }
}

fn scaling(rules: &Node<'_>, errors: &mut Errors) {
    let path = rules.at("stabilizationWindowSeconds");
    if let Some(seconds) = rules.int("stabilizationWindowSeconds") {
        if seconds < 0 {
            errors.push(FieldError::invalid(
                &path,
                seconds,
                "must be greater than or equal to zero",
            ));
        } else if seconds > WINDOW_SECONDS_MAX {
            let why = format!("must be less than or equal to {WINDOW_SECONDS_MAX}");
            errors.push(FieldError::invalid(&path, seconds, why));
        }
    }
    if rules.has("selectPolicy") {
        rules.one_of("selectPolicy", &["Disabled", "Max", "Min"], errors);
    }
    if !rules.has_items("policies") {
        errors.push(FieldError::required(
            &rules.at("policies"),
            "must specify at least one Policy",
        ));
    }
    for policy in rules.items("policies") {
        policy.one_of("type", &["Percent", "Pods"], errors);
        for field in ["value", "periodSeconds"] {
            let number = policy.int(field).unwrap_or_default();
            if number <= 0 {
                errors.push(FieldError::invalid(
                    &policy.at(field),
                    number,
                    "must be greater than zero",
                ));
            } else if field == "periodSeconds" && number > PERIOD_SECONDS_MAX {
                let why = format!("must be less than or equal to {PERIOD_SECONDS_MAX}");
                errors.push(FieldError::invalid(&policy.at(field), number, why));
            }
        }
    }
    if let Some(tolerance) = rules.get("tolerance")
        && quantity(tolerance.value).is_negative()
    {
        let shown = tolerance.value.clone();
        errors.push(FieldError::invalid(&tolerance.path, shown, NEGATIVE));
    }
}
