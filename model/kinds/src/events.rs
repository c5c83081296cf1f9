//! Events, in their newer version: the kinds of `events.k8s.io`.

mod event;

use crate::kind::Kind;
use crate::row::Group;

const V1: Group = Group {
    name: "events.k8s.io",
    version: "v1",
    types: "io.k8s.api.events.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced("Event", "events", event::Event)
            .short(&["ev"])
            .stored_as("", "events")
            .relaxed()
            .build(),
    ]
}
