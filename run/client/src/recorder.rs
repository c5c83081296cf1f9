//! Events for people: alike ones are counted instead of repeated, and a flood about one object is cut off.
//!
//! Source: client-go `tools/record/events_cache.go`. A lost event is no error: they are best effort.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use meta::time::to_rfc3339;
use meta::{Object, ObjectExt, Resource};
use serde_json::json;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use crate::rest::Rest;

/// Events.
pub const EVENTS: Resource = Resource::namespaced("", "v1", "Event", "events");
/// Events that may wait to be written.
const QUEUE_MAX: usize = 1000;
/// Entries remembered for counting. Source: `maxLruCacheEntries`.
const REMEMBERED_MAX: usize = 4096;
/// Alike events within the interval before they are merged into one. Source: `defaultAggregateMaxEvents`.
const ALIKE_MAX: usize = 10;
/// Seconds in which alike events are merged. Source: `defaultAggregateIntervalInSeconds`.
const ALIKE_SECONDS: i64 = 600;
/// Events about one object that may come at once. Source: `defaultSpamBurst`.
const BURST: f64 = 25.0;
/// Events about one object that may follow, per second. Source: `defaultSpamQPS`.
const PER_SECOND: f64 = 1.0 / 300.0;

/// What happened to what.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Note {
    /// `apiVersion` of the object.
    pub api_version: String,
    /// `kind` of the object.
    pub kind: String,
    /// Its namespace; empty for cluster-scoped objects.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub resource_version: String,
    /// The part of it, such as `spec.containers{web}`; empty for the whole.
    pub field_path: String,
    /// Whether it is a warning.
    pub is_warning: bool,
    /// One word.
    pub reason: String,
    /// A sentence.
    pub message: String,
}

/// Writes events in the background. Clones share it.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<(Arc<str>, Note, Timestamp)>,
    component: Arc<str>,
}

impl Recorder {
    /// A recorder for one component; its task ends with `shutdown`. `host` may be empty.
    pub fn new(rest: Rest, component: &str, host: &str, shutdown: CancellationToken) -> Self {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        tokio::spawn(write(rest, host.to_owned(), receiver, shutdown));
        Self {
            sender,
            component: component.into(),
        }
    }
    /// The same recorder speaking for another component.
    #[must_use]
    pub fn speaking_for(&self, component: &str) -> Self {
        Self {
            sender: self.sender.clone(),
            component: component.into(),
        }
    }
    /// Records an event.
    pub fn record(&self, note: Note) {
        let reason = note.reason.clone();
        let event = (Arc::clone(&self.component), note, Timestamp::now());
        if self.sender.try_send(event).is_err() {
            debug!(reason, "event dropped");
        }
    }
}

async fn write(
    rest: Rest,
    host: String,
    mut receiver: mpsc::Receiver<(Arc<str>, Note, Timestamp)>,
    shutdown: CancellationToken,
) {
    let mut correlator = Correlator::default();
    loop {
        let (component, note, now) = tokio::select! {
            () = shutdown.cancelled() => return,
            received = receiver.recv() => match received {
                Some(received) => received,
                None => return,
            },
        };
        let Some(write) = correlator.correlate(&component, note, now) else {
            continue;
        };
        let object = write.object(&component, &host, now);
        let outcome = match write.count {
            1 => rest.create(&EVENTS, &object).await,
            _ => recount(&rest, &object).await,
        };
        if let Err(error) = outcome {
            debug!(error = &error as &dyn std::error::Error, "event dropped");
        }
    }
}

/// Raises the count of a known event; one that has expired is made anew.
async fn recount(rest: &Rest, object: &Object) -> Result<Object, crate::ClientError> {
    let patch = json!({
        "count": object.get("count"), "lastTimestamp": object.get("lastTimestamp"),
        "message": object.get("message"),
    });
    match rest.patch(&EVENTS, &object.key(), None, &patch).await {
        Err(error) if error.is_not_found() => rest.create(&EVENTS, object).await,
        outcome => outcome,
    }
}

/// An event to write, as a new one or as a higher count.
#[derive(Debug, PartialEq)]
struct Write {
    note: Note,
    name: String,
    count: u64,
    first: Timestamp,
}

impl Write {
    fn object(&self, component: &str, host: &str, now: Timestamp) -> Object {
        let note = &self.note;
        let namespace = if note.namespace.is_empty() {
            "default"
        } else {
            &note.namespace
        };
        let mut involved = json!({
            "apiVersion": note.api_version, "kind": note.kind, "name": note.name, "uid": note.uid,
        });
        for (field, value) in [
            ("namespace", &note.namespace),
            ("resourceVersion", &note.resource_version),
            ("fieldPath", &note.field_path),
        ] {
            if !value.is_empty() {
                involved.set(&[field], value.clone().into());
            }
        }
        let mut source = json!({ "component": component });
        if !host.is_empty() {
            source.set(&["host"], host.into());
        }
        json!({
            "apiVersion": "v1", "kind": "Event",
            "metadata": { "namespace": namespace, "name": self.name },
            "involvedObject": involved, "reason": note.reason, "message": note.message,
            "type": if note.is_warning { "Warning" } else { "Normal" },
            "source": source, "reportingComponent": component, "reportingInstance": host,
            "firstTimestamp": to_rfc3339(self.first), "lastTimestamp": to_rfc3339(now), "count": self.count,
        })
    }
}

/// Remembers what was said lately.
#[derive(Default)]
struct Correlator {
    /// Tokens left per component and object, and when they were counted.
    spam: BTreeMap<(String, String), (f64, Timestamp)>,
    /// The different messages of alike events, and when the last came.
    alike: BTreeMap<Note, (Vec<String>, Timestamp)>,
    /// The event that counts equal ones.
    seen: BTreeMap<Note, (String, u64, Timestamp)>,
}

impl Correlator {
    /// What to write about an event; `None` when there were too many.
    fn correlate(&mut self, component: &str, mut note: Note, now: Timestamp) -> Option<Write> {
        self.bound();
        if !self.has_token(component, &note, now) {
            return None;
        }
        let mut key = Note {
            resource_version: String::new(),
            ..note.clone()
        };
        let group = Note {
            message: String::new(),
            ..key.clone()
        };
        let entry = self
            .alike
            .entry(group.clone())
            .or_insert_with(|| (Vec::new(), now));
        if now.duration_since(entry.1).as_secs() > ALIKE_SECONDS {
            entry.0.clear();
        }
        entry.1 = now;
        if !entry.0.contains(&note.message) && entry.0.len() < ALIKE_MAX {
            entry.0.push(note.message.clone());
        }
        if entry.0.len() >= ALIKE_MAX {
            note.message = format!("(combined from similar events): {}", note.message);
            key = group;
        }
        let name = format!("{}.{:x}", note.name, now.as_nanosecond());
        let seen = self.seen.entry(key).or_insert_with(|| (name, 0, now));
        seen.1 += 1;
        let (name, count, first) = seen.clone();
        Some(Write {
            note,
            name,
            count,
            first,
        })
    }

    fn has_token(&mut self, component: &str, note: &Note, now: Timestamp) -> bool {
        let object = format!(
            "{}/{}/{}/{}",
            note.kind, note.namespace, note.name, note.uid
        );
        let (tokens, counted) = self
            .spam
            .entry((component.to_owned(), object))
            .or_insert((BURST, now));
        let elapsed = now.duration_since(*counted).as_secs_f64();
        *tokens = (*tokens + elapsed * PER_SECOND).min(BURST);
        *counted = now;
        let is_left = *tokens >= 1.0;
        if is_left {
            *tokens -= 1.0;
        }
        is_left
    }

    /// Forgets everything when there is too much of it: counting starts over, which costs a few extra events.
    fn bound(&mut self) {
        if self.spam.len() > REMEMBERED_MAX {
            self.spam.clear();
        }
        if self.alike.len() > REMEMBERED_MAX || self.seen.len() > REMEMBERED_MAX {
            self.alike.clear();
            self.seen.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }
    fn note(message: &str) -> Note {
        Note {
            kind: "Pod".into(),
            namespace: "default".into(),
            name: "web".into(),
            uid: "1".into(),
            reason: "BackOff".into(),
            message: message.into(),
            ..Note::default()
        }
    }

    #[test]
    fn equal_events_are_counted() {
        let mut correlator = Correlator::default();
        let first = correlator.correlate("kubelet", note("a"), at(0)).unwrap();
        let second = correlator.correlate("kubelet", note("a"), at(5)).unwrap();
        assert_eq!((first.count, second.count), (1, 2));
        assert_eq!((&second.name, second.first), (&first.name, at(0)));
    }

    #[test]
    fn many_alike_events_are_combined() {
        let mut correlator = Correlator::default();
        let mut last = None;
        for n in 0..12 {
            last = correlator.correlate("kubelet", note(&format!("message {n}")), at(n));
        }
        let last = last.unwrap();
        assert_eq!(
            last.note.message,
            "(combined from similar events): message 11"
        );
        assert_eq!(last.count, 3);
    }

    #[test]
    fn a_flood_about_one_object_is_cut_off_and_recovers() {
        let mut correlator = Correlator::default();
        let written =
            (0..40).filter(|_| correlator.correlate("kubelet", note("a"), at(0)).is_some());
        assert_eq!(written.count(), 25);
        assert!(
            correlator
                .correlate("kubelet", note("a"), at(200))
                .is_none()
        );
        assert!(
            correlator
                .correlate("kubelet", note("a"), at(301))
                .is_some()
        );
        assert!(
            correlator
                .correlate("scheduler", note("a"), at(0))
                .is_some()
        );
    }

    #[test]
    fn events_of_cluster_scoped_objects_live_in_default() {
        let mut correlator = Correlator::default();
        let node = Note {
            namespace: String::new(),
            kind: "Node".into(),
            ..note("a")
        };
        let write = correlator
            .correlate("node-controller", node, at(0))
            .unwrap();
        let object = write.object("node-controller", "", at(0));
        assert_eq!(object.namespace(), "default");
        assert_eq!(object.at(&["involvedObject", "namespace"]), None);
    }
}
