//! Pod templates, alone and under a controller.

use meta::{FieldError, ObjectExt as _, selector::LabelSelector};
use serde_json::Value;

use super::Holder;
use crate::check::{Errors, Node};
use crate::metadata::{annotations, labels};

/// What a controller selects pods by.
#[derive(Clone, Copy)]
pub(crate) enum Selector<'a> {
    /// Labels that must be equal.
    Labels(Option<&'a Value>),
    /// A label selector; unset, it matches nothing.
    Expressions(Option<&'a Value>),
}

impl Selector<'_> {
    /// Whether the template's pods are selected.
    pub(crate) fn matches(self, template: &Node<'_>) -> bool {
        let marks = template
            .value
            .at(&["metadata", "labels"])
            .cloned()
            .unwrap_or_default();
        let holder = serde_json::json!({"metadata": {"labels": marks}});
        let marks = holder.labels();
        match self {
            Self::Labels(map) => crate::metadata::texts(map)
                .iter()
                .all(|(key, value)| marks.get(*key).is_some_and(|mark| mark == value)),
            Self::Expressions(None | Some(Value::Null)) => false,
            Self::Expressions(selector) => {
                LabelSelector::from_object(selector).is_none_or(|selector| selector.matches(&marks))
            }
        }
    }
}

/// A template as it stands. Source: `ValidatePodTemplateSpec`.
pub(crate) fn template(template: &Node<'_>, errors: &mut Errors) {
    let metadata = template.child("metadata");
    // Upstream's paths leave `metadata` out here.
    errors.extend(labels(metadata.value.get("labels"), &template.at("labels")));
    errors.extend(annotations(
        metadata.value.get("annotations"),
        &template.at("annotations"),
    ));
    let spec = template.child("spec");
    super::specific_annotations(template.value, &spec, &template.at("annotations"), errors);
    super::spec(&spec, Holder::Template, errors);
    super::agreement(template.value, &spec, errors);
    if spec.has_items("ephemeralContainers") {
        let why = "ephemeral containers not allowed in pod template";
        errors.push(FieldError::forbidden(&spec.at("ephemeralContainers"), why));
    }
}

/// The template of a controller that keeps its pods running.
pub(crate) fn template_for_controller(
    template: &Node<'_>,
    selector: Selector<'_>,
    kind: &str,
    errors: &mut Errors,
) {
    let is_empty = match selector {
        Selector::Labels(map) => crate::metadata::texts(map).is_empty(),
        Selector::Expressions(None | Some(Value::Null)) => false,
        Selector::Expressions(Some(value)) => {
            LabelSelector::from_object(Some(value)).is_some_and(|selector| selector.is_everything())
        }
    };
    if !is_empty && !selector.matches(template) {
        let marks = template.child("metadata").child("labels");
        let why = "`selector` does not match template `labels`";
        errors.push(FieldError::invalid(&marks.path, marks.value.clone(), why));
    }
    self::template(template, errors);
    let spec = template.child("spec");
    // A pod spec without containers is reported alone, as upstream's defaulting stops there too.
    if spec.text("restartPolicy") != "Always" {
        let path = spec.at("restartPolicy");
        errors.push(FieldError::not_supported(
            &path,
            spec.text("restartPolicy"),
            &["Always"],
        ));
    }
    if spec.has("activeDeadlineSeconds") {
        let why = format!("activeDeadlineSeconds in {kind} is not Supported");
        errors.push(FieldError::forbidden(
            &spec.at("activeDeadlineSeconds"),
            why,
        ));
    }
}
