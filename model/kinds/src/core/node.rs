//! Node.

mod validate;

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::Value;

use crate::check;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `v1 Node`.
pub(crate) struct Node;

impl Strategy for Node {
    fn default(&self, new: &mut Object) {
        pod_cidrs(new.child_mut("spec"));
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn keeps_status_on_create(&self) -> bool {
        true
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        new.child_mut("spec").drop_field("configSource");
        new.child_mut("status").drop_field("config");
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        if old.at(&["spec", "configSource"]).is_none() {
            new.child_mut("spec").drop_field("configSource");
        }
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        if old.at(&["status", "config"]).is_none() {
            new.child_mut("status").drop_field("config");
        }
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.unschedulable"]
    }
    fn selectable_value(&self, object: &Object, field: &str) -> String {
        match crate::kind::value_at(object, field).as_str() {
            "" => "false".into(),
            value => value.to_owned(),
        }
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::create(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        validate::update(new, old, cx.subresource)
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        if new.at(&["spec", "configSource"]).is_some() {
            warnings.push("spec.configSource: the feature is removed".to_owned());
        }
        if new.str_at(&["spec", "externalID"]).is_some() {
            let words = "spec.externalID: this field is deprecated, and is unused by Kubernetes";
            warnings.push(words.to_owned());
        }
        let spec = check::Node::root(new).child("spec");
        for (index, block) in spec.texts("podCIDRs").into_iter().enumerate() {
            let path = spec.at("podCIDRs").index(index);
            warnings.extend(check::cidr_warnings(&path, block));
        }
        warnings
    }
    print_with!(print::core::NODE);
}

/// The first block stands in two fields, which follow each other. Source: conversion of `NodeSpec`.
fn pod_cidrs(spec: &mut Value) {
    let first = spec
        .get("podCIDR")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let first = first.filter(|first| !first.is_empty());
    let blocks = spec.list_at(&["podCIDRs"]);
    match first {
        Some(first) if blocks.first().and_then(Value::as_str) != Some(first.as_str()) => {
            spec.put("podCIDRs", serde_json::json!([first]));
        }
        None if !blocks.is_empty() => {
            let block = blocks.first().cloned().unwrap_or_default();
            spec.put("podCIDR", block);
        }
        _ => {}
    }
}

/// What may be allocated is, unless said otherwise, all there is.
pub(super) fn default_status(status: &mut Value) {
    if status.get("allocatable").is_none()
        && let Some(capacity) = status.get("capacity").cloned()
    {
        status.put("allocatable", capacity);
    }
}
