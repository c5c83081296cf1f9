//! Autoscaling: the kinds of `autoscaling`, in both served versions.

pub(crate) mod horizontal_pod_autoscaler;
mod validate;

use crate::kind::Kind;
use crate::row::Group;
use horizontal_pod_autoscaler::{V1Form, V2Form};

const V1: Group = Group {
    name: "autoscaling",
    version: "v1",
    types: "io.k8s.api.autoscaling.v1",
};
const V2: Group = Group {
    name: "autoscaling",
    version: "v2",
    types: "io.k8s.api.autoscaling.v2",
};

pub(crate) fn rows() -> Vec<Kind> {
    let name = ("HorizontalPodAutoscaler", "horizontalpodautoscalers");
    vec![
        V1.namespaced(name.0, name.1, V1Form)
            .short(&["hpa"])
            .in_all()
            .status()
            .stored_in("v2")
            .build(),
        V2.namespaced(name.0, name.1, V2Form)
            .short(&["hpa"])
            .in_all()
            .status()
            .build(),
    ]
}
