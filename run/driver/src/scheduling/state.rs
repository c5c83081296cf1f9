//! Pods that wait for a node, and the cluster as it will be once everything decided is bound.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use meta::{Key, Object, ObjectExt};
use scheduler::rejection::Plugin;
use scheduler::wake::{Event, may_help};
use scheduler::{Cluster, Pod, Rejections, schedule};
use tokio::time::Instant;

use super::{NAME, backoff};

/// Wait after which a pod is tried again though nothing that could help was seen. Source:
/// `podMaxInUnschedulablePodsDuration`.
const RETRY_ANYWAY: Duration = Duration::from_mins(5);

/// Order of pods: higher priority first, then who came first.
type Rank = (Reverse<i64>, u64);

/// What to do next.
pub(super) enum Next {
    /// Bind a pod.
    Placed {
        pod: Arc<Pod>,
        node: String,
        tried: Tried,
    },
    /// Say why a pod waits.
    Rejected {
        pod: Arc<Pod>,
        rejections: Rejections,
    },
    /// Wait for a change, or until a time.
    Wait(Option<Instant>),
}

/// What it took to place a pod.
pub(super) struct Tried {
    /// When this attempt began.
    pub(super) begun: Instant,
    /// Attempts, this one included.
    pub(super) attempts: u32,
    /// When the pod came.
    pub(super) since: Instant,
}

/// Where a waiting pod stands.
enum Place {
    /// In line.
    Active(Rank),
    /// To be put in line at a time.
    Later(Instant),
    /// Decided; the binding is under way.
    Binding,
}

struct Waiting {
    pod: Arc<Pod>,
    place: Place,
    attempts: u32,
    since: Instant,
    tried_at: Instant,
    /// Who rejected it last; `None` before the first attempt.
    rejected_by: Option<BTreeSet<Plugin>>,
}

/// All of it.
#[derive(Default)]
pub(super) struct State {
    cluster: Cluster,
    waiting: BTreeMap<Key, Waiting>,
    active: BTreeMap<Rank, Key>,
    later: BTreeSet<(Instant, Key)>,
    sequence: u64,
    start: usize,
}

impl State {
    /// Takes the next pod and decides about it.
    pub(super) fn next(&mut self, now: Instant) -> Next {
        while let Some((at, key)) = self.later.first().cloned() {
            if at > now {
                break;
            }
            self.activate(&key);
        }
        let Some((_, key)) = self.active.pop_first() else {
            return Next::Wait(self.later.first().map(|(at, _)| *at));
        };
        let Some(waiting) = self.waiting.get_mut(&key) else {
            return Next::Wait(Some(now));
        };
        let pod = Arc::clone(&waiting.pod);
        waiting.attempts += 1;
        waiting.tried_at = now;
        let tried = Tried {
            begun: now,
            attempts: waiting.attempts,
            since: waiting.since,
        };
        match schedule(&pod, &self.cluster, self.start, self.sequence) {
            Ok(placement) => {
                waiting.place = Place::Binding;
                self.start = self.start.wrapping_add(placement.looked_at);
                self.sequence += 1;
                self.cluster.set_pod(&pod, &placement.node);
                Next::Placed {
                    pod,
                    node: placement.node,
                    tried,
                }
            }
            Err(rejections) => {
                waiting.rejected_by = Some(rejections.plugins.clone());
                let at = now + RETRY_ANYWAY;
                waiting.place = Place::Later(at);
                self.later.insert((at, key));
                Next::Rejected { pod, rejections }
            }
        }
    }

    /// How many pods wait, by where they stand.
    pub(super) fn count(&self) -> super::metrics::Waiting {
        let mut count = super::metrics::Waiting::default();
        for waiting in self.waiting.values() {
            match waiting.place {
                Place::Active(_) => count.active += 1,
                Place::Binding => {}
                // A binding that failed is tried again by itself, a pod that fits nowhere when something changes.
                Place::Later(at) if at < waiting.tried_at + RETRY_ANYWAY => count.backoff += 1,
                Place::Later(_) => count.unschedulable += 1,
            }
        }
        count
    }

    /// Puts a pod in line.
    fn activate(&mut self, key: &Key) {
        let Some(waiting) = self.waiting.get_mut(key) else {
            self.later.retain(|(_, known)| known != key);
            return;
        };
        if let Place::Later(at) = waiting.place {
            self.later.remove(&(at, key.clone()));
        }
        if matches!(waiting.place, Place::Later(_)) {
            self.sequence += 1;
            let rank = (Reverse(waiting.pod.priority), self.sequence);
            waiting.place = Place::Active(rank);
            self.active.insert(rank, key.clone());
        }
    }

    fn forget(&mut self, key: &Key) {
        match self.waiting.remove(key).map(|waiting| waiting.place) {
            Some(Place::Active(rank)) => {
                self.active.remove(&rank);
            }
            Some(Place::Later(at)) => {
                self.later.remove(&(at, key.clone()));
            }
            Some(Place::Binding) | None => {}
        }
    }

    /// Brings forward the pods that a change may help; says whether there are any.
    fn wake(&mut self, event: Event, now: Instant) -> bool {
        let helped = |waiting: &Waiting| {
            matches!(waiting.place, Place::Later(_))
                && waiting
                    .rejected_by
                    .as_ref()
                    .is_some_and(|plugins| may_help(event, plugins))
        };
        let keys: Vec<Key> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| helped(waiting))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            self.bring_forward(key, now);
        }
        !keys.is_empty()
    }

    /// Puts a pod in line now, or when its back-off ends.
    fn bring_forward(&mut self, key: &Key, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(key) else {
            return;
        };
        let ready_at = waiting.tried_at + backoff(waiting.attempts);
        if ready_at <= now {
            self.activate(key);
        } else if let Place::Later(at) = waiting.place
            && at > ready_at
        {
            waiting.place = Place::Later(ready_at);
            self.later.remove(&(at, key.clone()));
            self.later.insert((ready_at, key.clone()));
        }
    }

    /// Takes note of a pod; says whether there is something to do.
    pub(super) fn see_pod(
        &mut self,
        old: Option<&Arc<Object>>,
        new: Option<&Arc<Object>>,
        now: Instant,
    ) -> bool {
        let had_room = old.is_some_and(|pod| takes_room(pod));
        if let Some(old) = old
            && new.is_none_or(|new| new.uid() != old.uid())
        {
            self.forget(&old.key());
            self.cluster.remove_pod(old.uid());
            if new.is_none() {
                return had_room && self.wake(Event::PodGone, now);
            }
        }
        let Some(object) = new else {
            return false;
        };
        if is_done(object) {
            self.forget(&object.key());
            self.cluster.remove_pod(object.uid());
            return had_room && self.wake(Event::PodGone, now);
        }
        if takes_room(object) {
            self.forget(&object.key());
            let pod = Arc::new(Pod::read(object));
            let is_new = !had_room || old.is_some_and(|old| old.labels() != object.labels());
            self.cluster.set_pod(&pod, &pod.node_name);
            return is_new && self.wake(Event::PodPlaced, now);
        }
        self.see_waiting(object, now)
    }

    /// Takes note of a pod without a node.
    fn see_waiting(&mut self, object: &Arc<Object>, now: Instant) -> bool {
        let key = object.key();
        let pod = Pod::read(object);
        if pod.scheduler_name != NAME || pod.is_gated || object.deletion_timestamp().is_some() {
            let was_binding = self
                .waiting
                .get(&key)
                .is_some_and(|known| matches!(known.place, Place::Binding));
            if !was_binding {
                self.forget(&key);
            }
            return false;
        }
        if let Some(known) = self.waiting.get_mut(&key) {
            if *known.pod == pod || matches!(known.place, Place::Binding) {
                return false;
            }
            known.pod = Arc::new(pod);
            self.bring_forward(&key, now);
            return true;
        }
        self.waiting.insert(
            key.clone(),
            Waiting {
                pod: Arc::new(pod),
                place: Place::Later(now),
                attempts: 0,
                since: now,
                tried_at: now,
                rejected_by: None,
            },
        );
        self.activate(&key);
        true
    }

    /// Takes note of a node; says whether there is something to do.
    pub(super) fn see_node(
        &mut self,
        old: Option<&Arc<Object>>,
        new: Option<&Arc<Object>>,
        now: Instant,
    ) -> bool {
        let Some(node) = new else {
            if let Some(old) = old {
                self.cluster.remove_node(old.name());
            }
            return false;
        };
        let relevant = |node: &Object| {
            (
                node.labels(),
                node.at(&["spec", "taints"]).cloned(),
                node.bool_at(&["spec", "unschedulable"]),
                node.at(&["status", "allocatable"]).cloned(),
            )
        };
        self.cluster.set_node(node);
        let changed = old.is_none_or(|old| relevant(old) != relevant(node));
        changed && self.wake(Event::Node, now)
    }

    /// Takes note of a namespace; says whether there is something to do.
    pub(super) fn see_namespace(
        &mut self,
        old: Option<&Arc<Object>>,
        new: Option<&Arc<Object>>,
        now: Instant,
    ) -> bool {
        match new {
            Some(namespace) => self.cluster.set_namespace(namespace),
            None => {
                if let Some(old) = old {
                    self.cluster.remove_namespace(old.name());
                }
            }
        }
        let labels = |object: Option<&Arc<Object>>| object.map(|object| object.labels());
        labels(old) != labels(new) && self.wake(Event::Namespace, now)
    }

    /// A binding failed: the room is free again, and the pod waits its turn.
    pub(super) fn unbind(&mut self, pod: &Arc<Pod>, is_gone: bool, now: Instant) {
        let Some(waiting) = self.waiting.get_mut(&pod.key) else {
            // It was seen on a node meanwhile, or it is gone.
            return;
        };
        if waiting.pod.uid != pod.uid || !matches!(waiting.place, Place::Binding) {
            return;
        }
        self.cluster.remove_pod(&pod.uid);
        if is_gone {
            self.waiting.remove(&pod.key);
            self.wake(Event::PodGone, now);
            return;
        }
        let at = now + backoff(waiting.attempts);
        waiting.place = Place::Later(at);
        self.later.insert((at, pod.key.clone()));
        self.wake(Event::PodGone, now);
    }
}

fn is_done(pod: &Object) -> bool {
    matches!(
        pod.str_at(&["status", "phase"]),
        Some("Succeeded" | "Failed")
    )
}

fn takes_room(pod: &Object) -> bool {
    pod.str_at(&["spec", "nodeName"])
        .is_some_and(|node| !node.is_empty())
        && !is_done(pod)
}
