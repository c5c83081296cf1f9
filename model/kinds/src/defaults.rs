//! Defaulting by type: what upstream's generated defaulters do to every struct below an object.
//!
//! The kind's own rule ([`crate::Strategy::default`]) comes first, then each struct's rule, outermost first, together
//! with the defaults its fields declare.

use serde_json::{Map, Value};

use crate::edit::Edit as _;
use crate::schema::{Presence, Schema, StructType, Type, TypeGraph, zero};
use crate::{admissionregistration, core, discovery, flowcontrol, networking, rbac, resource};

/// A rule that fills in one struct.
pub(crate) type Rule = fn(&mut Value);

/// The rule of a built-in struct, by its OpenAPI name.
pub(crate) fn rule(name: &str) -> Option<Rule> {
    let (package, short) = name.rsplit_once('.')?;
    match package {
        "io.k8s.api.core.v1" => core::default_rule(short),
        "io.k8s.api.admissionregistration.v1" => admissionregistration::default_rule(short),
        "io.k8s.api.discovery.v1" if short == "EndpointPort" => Some(discovery::default_port),
        "io.k8s.api.flowcontrol.v1" => flowcontrol::default_rule(short),
        "io.k8s.api.networking.v1" if short == "NetworkPolicyPort" => {
            Some(networking::default_policy_port)
        }
        "io.k8s.api.rbac.v1" if short == "Subject" => Some(rbac::default_subject),
        "io.k8s.api.resource.v1" => match short {
            "ExactDeviceRequest" | "DeviceSubRequest" => Some(resource::default_request),
            _ => None,
        },
        "io.k8s.api.batch.v1" if short == "PodFailurePolicyOnPodConditionsPattern" => {
            Some(|pattern| pattern.default_to("status", "True"))
        }
        "io.k8s.api.authentication.v1" if short == "TokenRequestSpec" => {
            Some(|spec| spec.default_to("expirationSeconds", 3600))
        }
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1" if short == "ServiceReference" => {
            Some(|service| service.default_to("port", 443))
        }
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1"
            if short == "ServiceReference" =>
        {
            Some(|service| service.default_to("port", 443))
        }
        _ => None,
    }
}

/// Fills in the defaults of a canonical value by its schema.
pub(crate) fn apply(value: &mut Value, schema: &Schema) {
    walk(&schema.graph, &schema.ty, value);
}

fn walk(graph: &TypeGraph, ty: &Type, value: &mut Value) {
    match ty {
        Type::Struct(index) => {
            if let (Some(item), Value::Object(_)) = (graph.types.get(*index), &*value) {
                structure(graph, item, value);
            }
        }
        Type::List(list) if holds_structs(&list.item) => {
            for item in value.as_array_mut().into_iter().flatten() {
                walk(graph, &list.item, item);
            }
        }
        Type::Map { value: inner, .. } if holds_structs(inner) => {
            for (_, item) in value.as_object_mut().into_iter().flatten() {
                walk(graph, inner, item);
            }
        }
        _ => {}
    }
}

fn holds_structs(ty: &Type) -> bool {
    match ty {
        Type::Struct(_) => true,
        Type::List(list) => holds_structs(&list.item),
        Type::Map { value, .. } => holds_structs(value),
        _ => false,
    }
}

fn structure(graph: &TypeGraph, item: &StructType, value: &mut Value) {
    if let Some(rule) = rule_of(item) {
        rule(value);
    }
    let Value::Object(map) = value else {
        return;
    };
    for field in item.fields.iter().filter(|field| field.default.is_some()) {
        if let Some(default) = &field.default {
            declared(graph, field.presence, &field.ty, &field.name, default, map);
        }
    }
    for (name, child) in map.iter_mut() {
        if let Some(field) = item.field(name) {
            if field.go_type == "v1.ResourceList" {
                core::round_up(child);
            }
            walk(graph, &field.ty, child);
        }
    }
}

fn rule_of(item: &StructType) -> Option<Rule> {
    item.default_rule.as_ref().map(|rule| rule.0)
}

/// A declared default stands in for an unset pointer or a zero value.
fn declared(
    graph: &TypeGraph,
    presence: Presence,
    ty: &Type,
    name: &str,
    default: &Value,
    map: &mut Map<String, Value>,
) {
    let unset = zero(graph, ty);
    let is_unset = match map.get(name) {
        None | Some(Value::Null) => true,
        Some(value) => presence == Presence::Always && *value == unset,
    };
    let is_pointless = presence == Presence::OmitEmpty && *default == unset;
    if is_unset && !is_pointless {
        map.insert(name.to_owned(), default.clone());
    }
}
