//! Events in the newer form, which are stored in the older one.

use meta::{FieldError, Object, ObjectExt as _, Path};
use serde_json::Value;

use crate::check::{Errors, IMMUTABLE, Node};
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Names of the same fields, in the newer form and in the stored one.
const FIELDS: [(&str, &str); 7] = [
    ("regarding", "involvedObject"),
    ("note", "message"),
    ("reportingController", "reportingComponent"),
    ("deprecatedSource", "source"),
    ("deprecatedFirstTimestamp", "firstTimestamp"),
    ("deprecatedLastTimestamp", "lastTimestamp"),
    ("deprecatedCount", "count"),
];

/// Rules of `events.k8s.io/v1 Event`.
pub(super) struct Event;

/// A series has happened at least twice. Source: `legacyValidateEvent`, `ValidateEventCreate`.
fn series_errors(series: &Node<'_>, errors: &mut Errors) {
    if series.int("count").unwrap_or_default() < 2 {
        let why = "should be at least 2";
        errors.push(FieldError::invalid(&series.at("count"), "", why));
    }
    if series.text("lastObservedTime").is_empty() {
        errors.push(FieldError::required(&series.at("lastObservedTime"), ""));
    }
}

/// The type of a field that holds a struct.
fn struct_of(field: &str) -> Option<&'static str> {
    match field {
        "involvedObject" | "related" => Some("io.k8s.api.core.v1.ObjectReference"),
        "source" => Some("io.k8s.api.core.v1.EventSource"),
        _ => None,
    }
}

impl Strategy for Event {
    fn is_cached(&self) -> bool {
        false
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn store_form(&self, object: &mut Object) {
        for (newer, stored) in FIELDS {
            if let Some(value) = object.drop_field(newer) {
                object.put(stored, value);
            }
        }
        for field in ["reportingComponent", "reportingInstance"] {
            object.default_to(field, "");
        }
        for field in ["involvedObject", "source"] {
            object.child_mut(field);
        }
        for field in ["firstTimestamp", "lastTimestamp", "eventTime"] {
            if object.get(field).is_none() {
                object.put(field, Value::Null);
            }
        }
    }
    fn served_form(&self, object: &mut Object) {
        for (newer, stored) in FIELDS {
            if let Some(value) = object.drop_field(stored) {
                object.put(newer, value);
            }
        }
        // The older form always shows them, this one never when they are empty.
        for field in ["reportingController", "reportingInstance"] {
            if object.str_at(&[field]) == Some("") {
                object.drop_field(field);
            }
        }
    }
    /// Source: `ValidateEventCreate`, which begins with `legacyValidateEvent`.
    fn validate_first(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut stored = new.clone();
        self.store_form(&mut stored);
        let mut errors = Errors::new();
        crate::core::check_event(&stored, "reportingController", &mut errors);
        errors
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut stored = new.clone();
        self.store_form(&mut stored);
        let mut errors = Errors::new();
        let root = Node::root(&stored);
        if root.text("eventTime").is_empty() {
            errors.push(FieldError::required(&Path::new("eventTime"), ""));
        }
        if let Some(series) = root.get("series") {
            series_errors(&series, &mut errors);
        }
        if !matches!(root.text("type"), "Normal" | "Warning") {
            let why = format!("has invalid value: {}", root.text("type"));
            errors.push(FieldError::invalid(&Path::new("type"), "", why));
        }
        for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
            let is_set = match root.child(field).value {
                Value::Object(map) => map.values().any(|value| value != ""),
                Value::Number(number) => number.as_i64() != Some(0),
                value => !value.is_null(),
            };
            if is_set {
                errors.push(FieldError::invalid(
                    &Path::new(field),
                    "",
                    "needs to be unset",
                ));
            }
        }
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let (mut stored, mut was) = (new.clone(), old.clone());
        self.store_form(&mut stored);
        self.store_form(&mut was);
        let mut errors = Errors::new();
        crate::core::check_event(&stored, "reportingController", &mut errors);
        let (new, old) = (Node::root(&stored), Node::root(&was));
        let fields = [
            "involvedObject",
            "reason",
            "message",
            "source",
            "firstTimestamp",
            "lastTimestamp",
            "count",
            "reason",
            "type",
            "eventTime",
            "action",
            "related",
            "reportingComponent",
            "reportingInstance",
        ];
        if new.child("series").value != old.child("series").value
            && let Some(series) = new.get("series")
        {
            series_errors(&series, &mut errors);
        }
        for field in fields {
            if new.child(field).value == old.child(field).value {
                continue;
            }
            let value = new.child(field).value.clone();
            let name = if field == "reportingComponent" {
                "reportingController"
            } else {
                field
            };
            let text = match (field, &value) {
                ("firstTimestamp" | "lastTimestamp" | "eventTime", Value::Null) => Value::Null,
                ("count", Value::Null) => 0.into(),
                (_, Value::Null) => "".into(),
                _ => value.clone(),
            };
            let shown = struct_of(field).and_then(|name| {
                let whole = if value.is_null() {
                    serde_json::json!({})
                } else {
                    value
                };
                crate::schema::internal::named(name, &whole)
            });
            let mut error = FieldError::invalid(&Path::new(name), text, IMMUTABLE);
            error.shown = shown;
            errors.push(error);
        }
        errors
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &[
            "reason",
            "type",
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reportingController",
        ]
    }
    print_with!(print::core::EVENT);
}
