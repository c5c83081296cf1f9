//! The verdicts of a world, kept up to date; pure, the time is an argument.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use meta::ObjectExt;
use meta::selector::LabelSelector;
use serde_json::Value;
use status::{Config, Severity, Verdict, evaluate, ready_column};

use crate::discover::Target;
use crate::world::{Id, World};

/// Which workloads are wanted.
#[derive(Clone, Debug)]
pub struct View {
    /// `None`: all namespaces.
    pub namespace: Option<String>,
    /// Labels of the workloads.
    pub selector: LabelSelector,
    /// What was named; empty: everything.
    pub targets: Vec<Target>,
    /// Whether only what needs a look is wanted.
    pub is_only_not_ok: bool,
}

impl View {
    /// Everything in a namespace, or everywhere.
    pub fn everything(namespace: Option<String>) -> Self {
        Self {
            namespace,
            selector: LabelSelector::default(),
            targets: Vec::new(),
            is_only_not_ok: false,
        }
    }

    /// Whether a workload is wanted, as far as its identity tells.
    fn wants(&self, world: &World, id: &Id) -> bool {
        let in_namespace = self
            .namespace
            .as_ref()
            .is_none_or(|namespace| id.1.namespace.is_empty() || *namespace == id.1.namespace);
        if !in_namespace {
            return false;
        }
        if self.targets.is_empty() {
            let is_shown = world
                .followed()
                .get(id.0)
                .is_some_and(|followed| followed.is_shown);
            return is_shown && !world.is_part(id);
        }
        self.targets.iter().any(|target| {
            let is_named = target.name.as_ref().is_none_or(|name| *name == id.1.name);
            // Named alone, a kind means all of it, parts of other workloads included.
            target.kind == id.0 && is_named
        })
    }
}

/// A workload with its verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// Its `apiVersion`.
    pub api_version: String,
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty for cluster-wide ones.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The READY cell: ready of wanted; for Jobs succeeded of wanted.
    pub ready: String,
    /// When it was created.
    pub created: Option<Timestamp>,
    /// What the engine says.
    pub verdict: Verdict,
}

impl Item {
    /// A workload and its verdict.
    pub fn new(object: &Value, verdict: Verdict) -> Self {
        Self {
            api_version: object.api_version().to_owned(),
            kind: object.kind().to_owned(),
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            ready: ready_cell(object, &verdict),
            created: object
                .str_at(&["metadata", "creationTimestamp"])
                .and_then(meta::time::from_rfc3339),
            verdict,
        }
    }

    /// Whether it needs a look.
    pub fn is_not_ok(&self) -> bool {
        self.verdict.severity >= Severity::Warning
    }

    /// The item as data: identity first, then the verdict.
    pub fn to_value(&self) -> Value {
        let mut value = serde_json::json!({
            "apiVersion": self.api_version,
            "kind": self.kind,
            "namespace": self.namespace,
            "name": self.name,
        });
        if let (Some(into), Ok(Value::Object(verdict))) =
            (value.as_object_mut(), serde_json::to_value(&self.verdict))
        {
            into.extend(verdict);
        }
        value
    }
}

fn ready_cell(object: &Value, verdict: &Verdict) -> String {
    let counts = &verdict.counts;
    if object.kind() == "Pod" {
        return ready_column(object);
    }
    let reached = if object.kind() == "Job" {
        counts.available
    } else {
        counts.ready
    };
    match (reached, counts.desired) {
        (Some(reached), Some(desired)) => format!("{reached}/{desired}"),
        _ => "-".to_owned(),
    }
}

/// What changed on a board.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BoardChange {
    /// The workload.
    pub id: Id,
    /// How it stands now; `None`: it is gone, or not wanted any more.
    pub item: Option<Item>,
}

/// The wanted workloads with their verdicts.
#[derive(Debug)]
pub struct Board {
    view: View,
    config: Config,
    items: BTreeMap<Id, Item>,
    wakes: BTreeSet<(Timestamp, Id)>,
    wake_of: BTreeMap<Id, Timestamp>,
}

impl Board {
    /// An empty board.
    pub fn new(view: View, config: Config) -> Self {
        Self {
            view,
            config,
            items: BTreeMap::new(),
            wakes: BTreeSet::new(),
            wake_of: BTreeMap::new(),
        }
    }

    /// What it shows, by namespace, kind and name.
    pub fn items(&self) -> Vec<&Item> {
        let mut items: Vec<_> = self.items.iter().collect();
        items.sort_by(|(a, _), (b, _)| {
            (&a.1.namespace, a.0, &a.1.name).cmp(&(&b.1.namespace, b.0, &b.1.name))
        });
        items.into_iter().map(|(_, item)| item).collect()
    }

    /// The namespace that it shows; `None`: all.
    pub fn namespace(&self) -> Option<&str> {
        self.view.namespace.as_deref()
    }

    /// Whether workloads of a kind belong on it.
    pub fn shows(&self, world: &World, kind: usize) -> bool {
        if self.view.targets.is_empty() {
            let followed = world.followed().get(kind);
            return followed.is_some_and(|followed| followed.is_shown);
        }
        self.view.targets.iter().any(|target| target.kind == kind)
    }

    /// What it shows, by identity.
    pub fn by_id(&self) -> impl Iterator<Item = (&Id, &Item)> {
        self.items.iter()
    }

    /// One item.
    pub fn get(&self, id: &Id) -> Option<&Item> {
        self.items.get(id)
    }

    /// The earliest time at which a verdict can change by itself.
    pub fn next_wake(&self) -> Option<Timestamp> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// The workloads to judge again because their time has come.
    pub fn due(&self, now: Timestamp) -> Vec<Id> {
        self.wakes
            .iter()
            .take_while(|(at, _)| *at <= now)
            .map(|(_, id)| id.clone())
            .collect()
    }

    /// Judges everything, for a first picture.
    pub fn fill(&mut self, world: &World, now: Timestamp) {
        self.items.clear();
        for id in world.subjects() {
            if let Some(item) = self.judge(world, &id, now) {
                self.plan_wake(&id, item.verdict.recheck_at);
                if self.has_room_for(&item) {
                    self.items.insert(id, item);
                }
            }
        }
    }

    fn has_room_for(&self, item: &Item) -> bool {
        !self.view.is_only_not_ok || item.is_not_ok()
    }

    /// Judges workloads again; returns those whose verdict is another one. A new `recheckAt` alone is
    /// no change.
    pub fn settle(
        &mut self,
        world: &World,
        touched: impl IntoIterator<Item = Id>,
        now: Timestamp,
    ) -> Vec<BoardChange> {
        let mut changes = Vec::new();
        for id in touched {
            let item = self.judge(world, &id, now);
            self.plan_wake(&id, item.as_ref().and_then(|item| item.verdict.recheck_at));
            let item = item.filter(|item| self.has_room_for(item));
            let old = match &item {
                Some(item) => self.items.insert(id.clone(), item.clone()),
                None => self.items.remove(&id),
            };
            let is_same = match (old, &item) {
                (Some(old), Some(new)) => is_same(old, new),
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if !is_same {
                changes.push(BoardChange { id, item });
            }
        }
        changes
    }

    fn judge(&self, world: &World, id: &Id, now: Timestamp) -> Option<Item> {
        if !self.view.wants(world, id) {
            return None;
        }
        let around = world.around(id)?;
        let subject = around.subject();
        if !self.view.selector.matches(&subject.labels()) {
            return None;
        }
        let related = around.related();
        let verdict = evaluate(subject, &related, now, &self.config);
        let mut item = Item::new(subject, verdict);
        if related.subject_error.is_some() {
            "-".clone_into(&mut item.ready);
        }
        Some(item)
    }

    fn plan_wake(&mut self, id: &Id, at: Option<Timestamp>) {
        if let Some(old) = self.wake_of.remove(id) {
            self.wakes.remove(&(old, id.clone()));
        }
        if let Some(at) = at {
            self.wakes.insert((at, id.clone()));
            self.wake_of.insert(id.clone(), at);
        }
    }
}

fn is_same(mut old: Item, new: &Item) -> bool {
    old.verdict.recheck_at = new.verdict.recheck_at;
    old == *new
}

#[cfg(test)]
mod tests {
    use meta::{Key, Resource};
    use serde_json::json;

    use super::*;
    use crate::discover::{Followed, Role};

    fn world(generation: i64) -> World {
        let mut world = World::new(vec![Followed {
            resource: Resource::namespaced("apps", "v1", "Deployment", "deployments"),
            role: Role::Workload,
            is_shown: true,
        }]);
        let web = json!({"kind": "Deployment", "apiVersion": "apps/v1", "metadata": {
            "name": "web", "namespace": "shop", "uid": "d", "generation": generation,
            "creationTimestamp": "2026-01-15T10:00:00Z"},
            "spec": {"replicas": 0}, "status": {"observedGeneration": 1}});
        world.load(0, World::lean(Role::Workload, web).into_iter().collect());
        world
    }

    fn at(time: &str) -> Timestamp {
        format!("2026-01-15T{time}Z").parse().unwrap()
    }

    #[test]
    fn time_alone_changes_a_verdict_at_its_recheck() {
        let world = world(2);
        let mut board = Board::new(View::everything(None), Config::spec());
        let id = (0, Key::new("shop", "web"));
        let changes = board.settle(&world, [id.clone()], at("10:00:30"));
        assert_eq!(
            changes[0].item.as_ref().unwrap().verdict.reason,
            "NotObserved"
        );
        assert_eq!(board.next_wake(), Some(at("10:01:00")));
        assert!(board.due(at("10:00:59")).is_empty());
        let due = board.due(at("10:01:00"));
        let changes = board.settle(&world, due, at("10:01:00"));
        assert_eq!(
            changes[0].item.as_ref().unwrap().verdict.reason,
            "ControllerNotResponding"
        );
        assert_eq!(board.next_wake(), None);
    }

    #[test]
    fn the_same_verdict_is_no_change_and_views_leave_out() {
        let world = world(1);
        let id = (0, Key::new("shop", "web"));
        let mut board = Board::new(View::everything(Some("shop".into())), Config::spec());
        assert_eq!(board.settle(&world, [id.clone()], at("10:00:30")).len(), 1);
        assert!(
            board
                .settle(&world, [id.clone()], at("10:09:30"))
                .is_empty()
        );
        for view in [
            View::everything(Some("other".into())),
            View {
                is_only_not_ok: true,
                ..View::everything(None)
            },
            View {
                selector: LabelSelector::parse("app=web").unwrap(),
                ..View::everything(None)
            },
        ] {
            let mut board = Board::new(view, Config::spec());
            assert!(
                board
                    .settle(&world, [id.clone()], at("10:00:30"))
                    .is_empty()
            );
            assert!(board.items().is_empty());
        }
    }
}
