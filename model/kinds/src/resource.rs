//! Dynamic resource allocation: the kinds of `resource.k8s.io`.

mod admin;
mod claim;
mod names;
mod selector;
mod slice;
pub(crate) mod status;

use meta::Object;
use serde_json::Value;

use crate::check::{Errors, Node};
use crate::core::pod_spec::validate::template_metadata;
use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "resource.k8s.io",
    version: "v1",
    types: "io.k8s.api.resource.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "DeviceClass",
            "deviceclasses",
            Checked::new(&print::NAME_AND_AGE, device_class)
                .named(long_name)
                .prefixed_freely()
                .returned()
                .counted(),
        )
        .build(),
        V1.namespaced(
            "ResourceClaim",
            "resourceclaims",
            Checked::new(&print::other::RESOURCE_CLAIM, resource_claim)
                .changes(fixed_spec)
                .allowed(admin::of_claim)
                .returned()
                .fixed(),
        )
        .status()
        .build(),
        V1.namespaced(
            "ResourceClaimTemplate",
            "resourceclaimtemplates",
            Checked::new(&print::NAME_AND_AGE, template)
                .changes(fixed_spec)
                .allowed(admin::of_template)
                .returned(),
        )
        .build(),
        V1.cluster(
            "ResourceSlice",
            "resourceslices",
            Checked::new(&print::other::RESOURCE_SLICE, new_slice)
                .changes(changed_slice)
                .returned()
                .warns(slice::warnings)
                .prepares(slice::taint_times)
                .fixed()
                .counted()
                .selects(&["spec.nodeName", "spec.driver"]),
        )
        .build(),
    ]
}

/// Source: apimachinery `validate.LongName`, which counts the bytes of a name.
fn long_name(name: &str) -> Vec<String> {
    let complaints = meta::names::dns1123_subdomain(name).into_iter();
    complaints
        .map(|why| why.replace("253 characters", "253 bytes"))
        .collect()
}

fn device_class(class: &Object, errors: &mut Errors) {
    claim::class(&Node::root(class).child("spec"), errors);
}

fn resource_claim(object: &Object, errors: &mut Errors) {
    claim::devices(&Node::root(object).child("spec").child("devices"), errors);
}

/// Source: `validateResourceClaimTemplateSpec`.
fn template(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let metadata = spec.child("metadata");
    template_metadata(&metadata, errors);
    claim::devices(&spec.child("spec").child("devices"), errors);
}

fn new_slice(object: &Object, errors: &mut Errors) {
    slice::spec(&Node::root(object).child("spec"), None, errors);
}

fn changed_slice(new: &Object, old: &Object, errors: &mut Errors) {
    let old = Node::root(old).child("spec");
    slice::spec(&Node::root(new).child("spec"), Some(&old), errors);
}

/// What was claimed stays. Source: `ValidateResourceClaimUpdate`.
fn fixed_spec(new: &Object, old: &Object, errors: &mut Errors) {
    Node::root(new).immutable(&Node::root(old), "spec", errors);
}

pub(crate) fn default_request(request: &mut Value) {
    request.default_to("allocationMode", "ExactCount");
    if request.get("allocationMode").and_then(Value::as_str) == Some("ExactCount") {
        request.default_number("count", 1);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn said(check: fn(&Object, &mut Errors), spec: &Value) -> String {
        let mut errors = Errors::new();
        check(&json!({"spec": spec}), &mut errors);
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        errors.join("; ")
    }

    #[test]
    fn a_request_tolerates_as_much_as_it_likes() {
        let one = json!({"key": "a", "operator": "Exists"});
        let exactly =
            json!({"deviceClassName": "c", "allocationMode": "All", "tolerations": vec![one; 20]});
        let claim = json!({"devices": {"requests": [{"name": "r", "exactly": exactly}]}});
        assert_eq!(said(resource_claim, &claim), "");
    }

    #[test]
    fn claims_ask_for_named_devices_in_one_way() {
        let claim = |request: Value| json!({"devices": {"requests": [request]}});
        let both = json!({"name": "r", "exactly": {"deviceClassName": "c"}, "firstAvailable": [{"name": "s"}]});
        let exactly = |fields: Value| {
            let mut exactly =
                json!({"deviceClassName": "c", "allocationMode": "ExactCount", "count": 1});
            let given = fields.as_object().cloned().unwrap_or_default();
            exactly.as_object_mut().unwrap().extend(given);
            claim(json!({"name": "r", "exactly": exactly}))
        };
        let root = "spec.devices.requests[0]";
        for (spec, wanted) in [
            (exactly(json!({})), String::new()),
            (
                claim(json!({"name": "r"})),
                format!(
                    "{root}: Required value: exactly one of `exactly` or `firstAvailable` is required"
                ),
            ),
            (
                claim(both),
                format!(
                    "{root}: Invalid value: null: exactly one of `exactly` or `firstAvailable` is required, but multiple fields are set"
                ),
            ),
            (
                exactly(json!({"count": 0})),
                format!("{root}.exactly.count: Invalid value: 0: must be greater than zero"),
            ),
            (
                exactly(json!({"allocationMode": "All"})),
                format!(
                    "{root}.exactly.count: Invalid value: 1: must not be specified when allocationMode is 'All'"
                ),
            ),
            (
                exactly(
                    json!({"tolerations": [{"key": "a", "operator": "Exists", "value": "x", "effect": "Foo"}]}),
                ),
                format!(
                    "{root}.exactly.tolerations[0].value: Invalid value: \"x\": must be empty for operator `Exists`; {root}.exactly.tolerations[0].effect: Unsupported value: \"Foo\": supported values: \"NoExecute\", \"NoSchedule\", \"None\""
                ),
            ),
            (
                exactly(json!({"selectors": [{}]})),
                format!("{root}.exactly.selectors[0].cel: Required value"),
            ),
        ] {
            assert_eq!(said(resource_claim, &spec), wanted);
        }
        let class = json!({"config": [{"opaque": {"driver": "d.io", "parameters": "x"}}], "extendedResourceName": "cpu"});
        assert_eq!(
            said(device_class, &class),
            "spec.config[0].opaque.parameters: Invalid value: \"<value omitted>\": must be a valid JSON object; spec.extendedResourceName: Invalid value: \"cpu\": must be a valid extended resource name"
        );
    }

    #[test]
    fn slices_say_where_their_devices_are() {
        assert_eq!(
            said(new_slice, &json!({})),
            "spec.driver: Required value; spec.pool.name: Required value; spec.pool.resourceSliceCount: Invalid value: 0: must be greater than zero; spec: Required value: exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
        );
        let slice = |device: Value| json!({"driver": "d.io", "allNodes": true, "pool": {"name": "p", "resourceSliceCount": 1}, "devices": [device]});
        for (device, wanted) in [
            (json!({"name": "d", "attributes": {"a": {"int": 1}}}), ""),
            (
                json!({"name": "d", "attributes": {"a": {}}}),
                "spec.devices[0].attributes[a]: Invalid value: \"\": exactly one value must be specified",
            ),
            (
                json!({"name": "d", "capacity": {"m": {"value": "1", "requestPolicy": {}}}}),
                "spec.devices[0].capacity[m].requestPolicy: Forbidden: allowMultipleAllocations must be true",
            ),
            (
                json!({"name": "d", "nodeName": "n"}),
                "spec.devices[0]: Invalid value: null: `nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec",
            ),
            (
                json!({"name": "d", "taints": [{"key": "k"}]}),
                "spec.devices[0].taints[0].effect: Required value",
            ),
        ] {
            assert_eq!(said(new_slice, &slice(device)), wanted);
        }
    }
}
