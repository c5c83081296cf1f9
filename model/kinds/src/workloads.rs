//! Workloads: the kind of `status.sampan.io`, in which the status layer publishes its verdicts.
//!
//! It is no kind of upstream's, so it is not among [`crate::builtin()`]; a server that has a status
//! layer adds [`rows`] to its registry. Workloads are derived: one user writes them, everybody else
//! reads, and what is lost in a crash is made anew.

mod described;

use jiff::Timestamp;
use meta::{GroupResource, Object, ObjectExt as _, Path};
use serde_json::Value;

use crate::kind::{Cell, Column, Kind};
use crate::print::{Col, EVERYTHING, NAME, Printer, since, text_or};
use crate::row::Group;
use crate::strategy::{Strategy, Told};

/// The user as which the status layer writes.
pub const WRITER: &str = "system:sampan:status";

const V1: Group = Group {
    name: "status.sampan.io",
    version: "v1",
    types: "io.sampan.status.v1",
};

/// The rows of the group.
pub fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced("Workload", "workloads", Workload)
            .short(&["wl"])
            .verbs(&["get", "list", "watch"])
            .relaxed()
            .build(),
    ]
}

/// The rules of Workloads.
struct Workload;

impl Strategy for Workload {
    fn has_generation(&self) -> bool {
        false
    }
    fn writer(&self) -> Option<&'static str> {
        Some(WRITER)
    }
    fn open_api(&self) -> Option<Value> {
        Some(described::workload())
    }
    fn columns(&self) -> Vec<Column> {
        PRINTER.columns()
    }
    fn cells<'a>(&self, object: &'a Object, now: Timestamp) -> Vec<Cell<'a>> {
        (PRINTER.cells)(object, now)
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &["kind", "reason", "severity", "status"]
    }
    fn selected_fields(&self) -> &'static [&'static str] {
        &["subject.kind", "status"]
    }
    fn selectable_value(&self, object: &Object, field: &str) -> String {
        let path: &[&str] = if field == "kind" {
            &["subject", "kind"]
        } else {
            &["status", field]
        };
        object.str_at(path).unwrap_or_default().to_owned()
    }
    fn told_about(&self) -> Option<fn(&Object) -> Told> {
        Some(subject)
    }
    fn reset_fields(&self, _subresource: Option<&str>) -> Vec<Path> {
        Vec::new()
    }
}

/// The workload behind a verdict: who may read it may read the verdict.
fn subject(object: &Object) -> Told {
    let text = |field: &str| object.str_at(&["subject", field]).unwrap_or_default();
    let group = text("apiVersion")
        .split_once('/')
        .map_or("", |(group, _)| group);
    Told {
        resource: GroupResource::new(group, text("resource")),
        namespace: object.namespace().to_owned(),
        name: text("name").to_owned(),
    }
}

static PRINTER: Printer = Printer {
    columns: &[
        NAME,
        Col("Kind", "string", "Kind of the workload.", 0),
        Col(
            "Ready",
            "string",
            "Ready instances of those that are wanted.",
            0,
        ),
        Col("Status", "string", "What state the workload is in.", 0),
        Col("Reason", "string", "Why, as a token.", 0),
        Col(
            "Severity",
            "string",
            "How much it matters: ok, info, warning or error.",
            0,
        ),
        Col("Age", "string", "How long ago the workload was created.", 0),
        Col("Message", "string", "The root cause in one sentence.", 1),
        Col("Next", "string", "What to do.", 1),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let age = since(object.str_at(&["subject", "creationTimestamp"]), now);
        let next = object
            .list_at(&["status", "nextSteps"])
            .first()
            .and_then(|step| step.str_at(&["en"]))
            .unwrap_or("<none>");
        vec![
            object.name().into(),
            text_or(object, &["subject", "kind"], "<none>"),
            text_or(object, &["subject", "ready"], "<none>"),
            text_or(object, &["status", "status"], "<none>"),
            text_or(object, &["status", "reason"], "<none>"),
            text_or(object, &["status", "severity"], "<none>"),
            age.into(),
            text_or(object, &["status", "message", "en"], "<none>"),
            next.into(),
        ]
    },
};
