//! Events by object, in time order (rule G10). Both the core and the `events.k8s.io` form are read.

use jiff::Timestamp;
use serde_json::Value;

use crate::field;

/// Harmless events that tell how far a pod has come.
pub(crate) const STEPS: [&str; 4] = ["Pulling", "Pulled", "Created", "Started"];

/// Whether a verdict can depend on an event: warnings, and the steps of a starting pod (rule G10).
///
/// Whoever keeps the events of a whole cluster may leave out the others.
pub fn is_evidence(event: &Value) -> bool {
    field::text(event, "type") == "Warning" || STEPS.contains(&field::text(event, "reason"))
}

/// The events that came with a subject.
pub(crate) struct Events<'a> {
    /// Oldest first; ties settled by content, so that the order of the input does not matter.
    sorted: Vec<Event<'a>>,
}

/// One event.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Event<'a> {
    /// Last occurrence.
    pub(crate) at: Option<Timestamp>,
    /// CamelCase reason.
    pub(crate) reason: &'a str,
    /// Text.
    pub(crate) message: &'a str,
    is_warning: bool,
    object: &'a Value,
}

impl<'a> Events<'a> {
    pub(crate) fn new(events: Option<&[&'a Value]>) -> Self {
        let mut sorted: Vec<_> = events
            .unwrap_or_default()
            .iter()
            .filter_map(|event| read(event))
            .collect();
        sorted.sort_by_key(|event| (event.at, event.reason, event.message));
        Self { sorted }
    }

    /// The newest warning about an object with one of these reasons.
    pub(crate) fn warning(&self, object: &Value, reasons: &[&str]) -> Option<Event<'a>> {
        self.newest(object, true, reasons)
    }

    /// The newest harmless event about an object with one of these reasons.
    pub(crate) fn normal(&self, object: &Value, reasons: &[&str]) -> Option<Event<'a>> {
        self.newest(object, false, reasons)
    }

    fn newest(&self, object: &Value, is_warning: bool, reasons: &[&str]) -> Option<Event<'a>> {
        self.sorted
            .iter()
            .rev()
            .find(|event| {
                event.is_warning == is_warning
                    && reasons.contains(&event.reason)
                    && is_about(event.object, object)
            })
            .copied()
    }
}

fn read(event: &Value) -> Option<Event<'_>> {
    let object = field::at(event, "involvedObject").or_else(|| field::at(event, "regarding"))?;
    let at = [
        "series.lastObservedTime",
        "lastTimestamp",
        "deprecatedLastTimestamp",
        "eventTime",
        "firstTimestamp",
        "deprecatedFirstTimestamp",
    ]
    .iter()
    .filter_map(|path| field::time(event, path))
    .max()
    .or_else(|| field::time(event, "metadata.creationTimestamp"));
    let message = match field::text(event, "message") {
        "" => field::text(event, "note"),
        message => message,
    };
    Some(Event {
        at,
        reason: field::text(event, "reason"),
        message,
        is_warning: field::text(event, "type") == "Warning",
        object,
    })
}

/// Whether an event's object reference means this object: by uid; by kind and name when the event
/// has no uid. Events of a static pod carry its configuration hash as uid.
fn is_about(reference: &Value, object: &Value) -> bool {
    let uid = field::text(reference, "uid");
    if uid.is_empty() {
        return field::text(reference, "kind") == field::text(object, "kind")
            && field::text(reference, "namespace") == field::namespace(object)
            && field::text(reference, "name") == field::name(object);
    }
    uid == field::uid(object) || uid == field::annotation(object, "kubernetes.io/config.hash")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn g10_only_warnings_of_the_right_uid_count_in_both_forms() {
        let pod = json!({"kind": "Pod", "metadata": {"name": "a", "namespace": "n", "uid": "u"}});
        let stored = [
            json!({"type": "Warning", "reason": "Failed", "message": "old", "lastTimestamp":
                "2026-01-01T00:00:01Z", "involvedObject": {"uid": "u"}}),
            json!({"type": "Warning", "reason": "Failed", "note": "new", "eventTime":
                "2026-01-01T00:00:02.000001Z", "regarding": {"uid": "u"}}),
            json!({"type": "Normal", "reason": "Failed", "message": "normal", "involvedObject":
                {"uid": "u"}, "lastTimestamp": "2026-01-01T00:00:09Z"}),
            json!({"type": "Warning", "reason": "Failed", "message": "other", "involvedObject":
                {"uid": "x"}, "lastTimestamp": "2026-01-01T00:00:09Z"}),
            json!({"type": "Warning", "reason": 7, "involvedObject": []}),
        ];
        let events = Events::new(Some(&stored.iter().collect::<Vec<_>>()));
        assert_eq!(events.warning(&pod, &["Failed"]).unwrap().message, "new");
        assert_eq!(events.normal(&pod, &["Failed"]).unwrap().message, "normal");
    }
}
