//! Service.

mod allocate;
mod change;
mod families;
pub(crate) mod validate;
mod warnings;

use meta::{FieldError, Object, ObjectExt as _, Path, StatusError, names};
use serde_json::{Value, json};

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// How long a client sticks to an endpoint, in seconds.
const CLIENT_IP_SECONDS: i64 = 10_800;

/// Rules of `v1 Service`.
pub(crate) struct Service;

impl Strategy for Service {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("sessionAffinity", "None");
        match text(spec, "sessionAffinity") {
            "None" => {
                spec.drop_field("sessionAffinityConfig");
            }
            "ClientIP"
                if spec
                    .int_at(&["sessionAffinityConfig", "clientIP", "timeoutSeconds"])
                    .is_none() =>
            {
                spec.put(
                    "sessionAffinityConfig",
                    json!({"clientIP": {"timeoutSeconds": CLIENT_IP_SECONDS}}),
                );
            }
            _ => {}
        }
        spec.default_to("type", "ClusterIP");
        for port in spec.items_mut("ports") {
            port.default_to("protocol", "TCP");
            let target = port.get("targetPort");
            if target.is_none_or(|target| {
                *target == json!(0) || *target == json!("") || target.is_null()
            }) {
                let number = port.get("port").cloned().unwrap_or_default();
                port.put("targetPort", number);
            }
        }
        if is_externally_accessible(spec) {
            spec.default_to("externalTrafficPolicy", "Cluster");
        }
        if text(spec, "type") != "ExternalName" {
            spec.default_unset("internalTrafficPolicy", "Cluster");
        }
        if text(spec, "type") == "LoadBalancer" {
            spec.default_to("allocateLoadBalancerNodePorts", true);
            for ingress in new
                .child_mut("status")
                .child_mut("loadBalancer")
                .items_mut("ingress")
            {
                if !ingress.lacks("ip") {
                    ingress.default_to("ipMode", "VIP");
                }
            }
        }
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::dns1123_label(name)
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        families::normalize(new.child_mut("spec"), None);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        let none = Value::Null;
        let old_spec = old.get("spec").unwrap_or(&none);
        let spec = new.child_mut("spec");
        families::keep_allocated(spec, old_spec);
        families::normalize(spec, Some(old_spec));
        families::drop_by_type(spec, old_spec);
        if text(spec, "type") != "LoadBalancer" {
            new.child_mut("status").put("loadBalancer", json!({}));
        }
    }
    fn allocate(
        &self,
        new: &mut Object,
        old: Option<&Object>,
        cx: &Context<'_>,
    ) -> Result<(), StatusError> {
        allocate::allocate(new, old, cx)
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["spec.clusterIP", "spec.type"]
    }
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        match subresource {
            None => vec![Path::new("status")],
            Some(_) => vec![Path::new("spec")],
        }
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn allocates(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::service(new, None)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        change::check(new, old)
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        warnings::check(new)
    }
    print_with!(print::service::SERVICE);
}

/// The text of a field; empty when absent.
fn text<'a>(spec: &'a Value, field: &str) -> &'a str {
    spec.get(field).and_then(Value::as_str).unwrap_or_default()
}

fn is_externally_accessible(spec: &Value) -> bool {
    match text(spec, "type") {
        "LoadBalancer" | "NodePort" => true,
        "ClusterIP" => !spec.list_at(&["externalIPs"]).is_empty(),
        _ => false,
    }
}

/// Whether nodes answer health checks of an outside load balancer.
fn needs_health_check(spec: &Value) -> bool {
    text(spec, "type") == "LoadBalancer" && text(spec, "externalTrafficPolicy") == "Local"
}

fn needs_node_ports(spec: &Value) -> bool {
    matches!(text(spec, "type"), "NodePort" | "LoadBalancer")
}
