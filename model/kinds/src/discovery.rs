//! Endpoint slices: the kinds of `discovery.k8s.io`.

mod endpoint_slice;

use serde_json::Value;

use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "discovery.k8s.io",
    version: "v1",
    types: "io.k8s.api.discovery.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "EndpointSlice",
            "endpointslices",
            Checked::new(&print::other::ENDPOINT_SLICE, endpoint_slice::check)
                .counting_labels()
                .changes(endpoint_slice::change)
                .warns(endpoint_slice::warnings),
        )
        .build(),
    ]
}

pub(crate) fn default_port(port: &mut Value) {
    if port.get("name").is_none() {
        port.put("name", "");
    }
    if port.get("protocol").is_none() {
        port.put("protocol", "TCP");
    }
}
