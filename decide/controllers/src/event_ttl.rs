//! Events go an hour after they were last written.
//!
//! DIFFERS: upstream has the store drop them (`--event-ttl`, a lease in etcd); here a controller deletes them, so a watch
//! and an audit see who did it.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use meta::{Key, Object, ObjectExt, Resource};

use crate::action::Action;
use crate::controller::{Controller, Decision};
use crate::resources::EVENTS;
use crate::snapshot::Snapshot;

/// How long an event stays. Source: kube-apiserver `--event-ttl`.
const EVENT_TTL: SignedDuration = SignedDuration::from_hours(1);

/// The controller of old events.
#[derive(Debug)]
pub struct EventTtl;

impl Controller for EventTtl {
    type Observed = Arc<Object>;
    const NAME: &'static str = "event-ttl-controller";
    const SUBJECT: Resource = EVENTS;
    const WATCHES: &'static [Resource] = &[EVENTS];

    fn concerns(_: &dyn Snapshot, _: &Resource, object: &Object) -> Vec<Key> {
        vec![object.key()]
    }

    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Arc<Object>> {
        snapshot.get(&EVENTS, key)
    }

    fn decide(event: &Arc<Object>, now: Timestamp) -> Decision {
        let mut decision = Decision::default();
        let Some(at) = last_write(event).and_then(|at| at.checked_add(EVENT_TTL).ok()) else {
            return decision;
        };
        if at > now {
            decision.wake(at);
            return decision;
        }
        decision.actions.push(Action::Delete {
            resource: EVENTS,
            key: event.key(),
            uid: event.uid().to_owned(),
            resource_version: Some(event.resource_version().to_owned()),
            grace_seconds: None,
            propagation: None,
            report: None,
        });
        decision
    }
}

/// When an object was last written, as far as it says; `None` when it says nothing.
fn last_write(object: &Object) -> Option<Timestamp> {
    let managed = object.list_at(&["metadata", "managedFields"]).iter();
    let managed = managed.filter_map(|entry| entry.str_at(&["time"]));
    let created = object.str_at(&["metadata", "creationTimestamp"]);
    created
        .into_iter()
        .chain(managed)
        .filter_map(meta::time::from_rfc3339)
        .max()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::time;

    const HOUR: i64 = 3600;

    fn decide(now: i64) -> Decision {
        let event = json!({ "metadata": {
            "name": "web.1", "namespace": "a", "uid": "u", "resourceVersion": "7",
            "creationTimestamp": time(0).to_string(),
            "managedFields": [{ "manager": "kubelet", "time": time(600).to_string() }],
        }});
        EventTtl::decide(&Arc::new(event), time(now))
    }

    #[test]
    fn an_event_goes_an_hour_after_its_last_write_and_not_before() {
        assert_eq!(decide(HOUR).wake_at, Some(time(600 + HOUR)));
        assert!(decide(HOUR).actions.is_empty());
        assert_eq!(decide(600 + HOUR).actions.len(), 1);
    }

    #[test]
    fn an_event_that_does_not_say_when_it_was_written_stays() {
        let event = Arc::new(json!({ "metadata": { "name": "web.1" } }));
        assert_eq!(
            EventTtl::decide(&event, time(HOUR * 9)),
            Decision::default()
        );
    }
}
