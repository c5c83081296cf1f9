//! Autoscaling: the kinds of `autoscaling`, in both served versions.

pub(crate) mod horizontal_pod_autoscaler;
mod older_form;
mod validate;

use jiff::Timestamp;
use meta::Object;

use crate::kind::{Cell, Column, Kind};
use crate::print::scaling;
use crate::row::Group;
use crate::strategy::Strategy;
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

/// How a Scale prints, which is no kind of its own.
pub struct Scale;

impl Strategy for Scale {
    fn columns(&self) -> Vec<Column> {
        // Upstream marks no column of this table as the name.
        let mut columns = scaling::SCALE.columns();
        for column in &mut columns {
            column.format = "".into();
        }
        columns
    }
    fn cells<'a>(&self, object: &'a Object, now: Timestamp) -> Vec<Cell<'a>> {
        (scaling::SCALE.cells)(object, now)
    }
}

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
