//! Dynamic resource allocation: the kinds of `resource.k8s.io`.

use meta::Object;
use serde_json::Value;

use crate::check::{Errors, Node};
use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::{Checked, anything};
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
            Checked::new(&print::NAME_AND_AGE, anything).counted(),
        )
        .build(),
        V1.namespaced(
            "ResourceClaim",
            "resourceclaims",
            Checked::new(&print::other::RESOURCE_CLAIM, anything).changes(fixed_spec),
        )
        .status()
        .build(),
        V1.namespaced(
            "ResourceClaimTemplate",
            "resourceclaimtemplates",
            Checked::new(&print::NAME_AND_AGE, anything).changes(fixed_spec),
        )
        .build(),
        V1.cluster(
            "ResourceSlice",
            "resourceslices",
            Checked::new(&print::other::RESOURCE_SLICE, anything)
                .counted()
                .selects(&["spec.nodeName", "spec.driver"]),
        )
        .build(),
    ]
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
