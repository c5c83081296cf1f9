//! Random concurrent traffic, recorded, then compared with a plain map replayed in order of revision.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fastrand::Rng;
use tokio::task::JoinSet;

use crate::{
    AnyOf, Change, Durability, Entry, Event, Key, Page, Precondition, Range, Revision, StoreError,
    Term, TermTest, WatchScope,
};

use super::{Subject, events_up_to, terms, value};

const WRITERS: u64 = 4;
const READERS: u64 = 2;
const WATCHERS: u64 = 4;
const NAMES: u64 = 6;
const RESOURCES: [&str; 2] = ["pods", "leases"];
const NAMESPACES: [&str; 3] = ["a", "ab", ""];

/// The objects as they were after each revision.
type Model = BTreeMap<Revision, BTreeMap<Key, Entry>>;

/// What one task saw.
#[derive(Default)]
struct Record {
    /// Successful writes; for a deletion the tombstone.
    writes: Vec<(Change, Entry)>,
    /// The versions that refused a write.
    refusals: Vec<Entry>,
    pages: Vec<(Range, Page)>,
    watches: Vec<Watched>,
}

/// The events of one scope after `from`, up to and including `reached`.
struct Watched {
    scope: WatchScope,
    from: Revision,
    reached: Revision,
    events: Vec<Arc<Event>>,
}

/// What the traffic draws: reproducible from a seed.
struct Random(Rng);

impl Random {
    fn seeded(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        self.0.choice(from).copied().unwrap_or_default()
    }

    fn key(&mut self) -> Key {
        let name = format!("web-{}", self.below(NAMES));
        Key::new(self.pick(&RESOURCES), self.pick(&NAMESPACES), name)
    }

    fn terms(&mut self) -> Option<AnyOf> {
        let mut term = || Term::new("node", self.below(3).to_string());
        let terms = [term(), term()];
        let count = usize::try_from(self.below(3)).unwrap_or_default();
        (count > 0).then(|| AnyOf::new(terms.into_iter().take(count).collect()))
    }

    fn test(&mut self) -> Option<TermTest> {
        let name = self.pick(&["node", "zone"]).into();
        match self.below(4) {
            0 => Some(TermTest::Named(name)),
            1 => Some(TermTest::Unnamed(name)),
            2 => self.terms().map(TermTest::NoneOf),
            _ => self.terms().map(TermTest::AnyOf),
        }
    }

    fn namespace(&mut self) -> Option<Arc<str>> {
        (self.below(3) == 0).then(|| self.pick(&NAMESPACES).into())
    }
}

/// Runs `steps` steps of random traffic per task and checks everything that was seen.
///
/// Nobody else may write to the store meanwhile; what was in it before is taken as given.
///
/// # Panics
/// When anything seen differs from the model; the message names the seed.
pub async fn check_history(store: &Subject, seed: u64, steps: u64) {
    let before = store.snapshot().await.expect("a snapshot");
    let mut tasks = JoinSet::new();
    for task in 0..WRITERS {
        tasks.spawn(write(
            store.clone(),
            Random::seeded(seed ^ (task << 32)),
            steps,
        ));
    }
    for task in 0..READERS {
        tasks.spawn(read(
            store.clone(),
            Random::seeded(seed ^ ((task + 100) << 32)),
            steps,
        ));
    }
    for task in 0..WATCHERS {
        let random = Random::seeded(seed ^ ((task + 200) << 32));
        tasks.spawn(observe(store.clone(), random, before.revision, steps / 10));
    }
    let mut seen = Record::default();
    while let Some(record) = tasks.join_next().await {
        let record = record.expect("a traffic task");
        seen.writes.extend(record.writes);
        seen.refusals.extend(record.refusals);
        seen.pages.extend(record.pages);
        seen.watches.extend(record.watches);
    }
    seen.writes.sort_by_key(|(_, entry)| entry.revision);
    let model = replay(before.revision, before.entries, &seen.writes, seed);
    check_refusals(&model, &seen.refusals, seed);
    check_pages(&model, &seen.pages, seed);
    check_watches(&model, &seen.writes, &seen.watches, seed);
}

async fn write(store: Subject, mut random: Random, steps: u64) -> Record {
    let mut record = Record::default();
    for step in 0..steps {
        let key = random.key();
        let seen = store.get(&key).await.expect("get");
        let text = format!("node={};n={step}", random.below(3));
        let durability = if random.below(4) == 0 {
            Durability::Relaxed
        } else {
            Durability::Synced
        };
        let (change, written) = match (seen, random.below(4)) {
            (Some(old), 0) => {
                let deleted = store
                    .delete(key, old.revision, value(&text), durability)
                    .await;
                (Change::Deleted, deleted)
            }
            (Some(old), _) => {
                let precondition = Precondition::Revision(old.revision);
                (
                    Change::Modified,
                    store.put(key, precondition, value(&text), durability).await,
                )
            }
            (None, _) => {
                let put = store
                    .put(key, Precondition::Absent, value(&text), durability)
                    .await;
                (Change::Added, put)
            }
        };
        match written {
            Ok(entry) => record.writes.push((change, entry)),
            Err(StoreError::Exists { current } | StoreError::Conflict { current }) => {
                record.refusals.push(current);
            }
            Err(StoreError::Missing { .. }) => {}
            Err(error) => unreachable!("a write failed: {error}"),
        }
    }
    record
}

async fn read(store: Subject, mut random: Random, steps: u64) -> Record {
    let mut record = Record::default();
    for _ in 0..steps {
        let latest = store.revision();
        let range = Range {
            namespace: random.namespace(),
            terms: random.test().into_iter().collect(),
            at: (random.below(2) == 0).then(|| Revision(latest.0 - random.below(20).min(latest.0))),
            limit: (random.below(2) == 0).then_some(3),
            after: (random.below(4) == 0).then(|| ("a".into(), "web-2".into())),
            ..Range::all(random.pick(&RESOURCES))
        };
        match store.range(range.clone()).await {
            Ok(page) => {
                assert!(
                    range.at.is_some() || page.revision >= latest,
                    "a stale page"
                );
                record.pages.push((range, page));
            }
            Err(StoreError::Compacted { .. }) => {}
            Err(error) => unreachable!("a range failed: {error}"),
        }
        tokio::task::yield_now().await;
    }
    record
}

async fn observe(store: Subject, mut random: Random, from: Revision, rounds: u64) -> Record {
    let mut record = Record::default();
    let mut from = from;
    for _ in 0..rounds {
        let scope = WatchScope {
            namespace: random.namespace(),
            terms: random.terms(),
            ..WatchScope::all(random.pick(&RESOURCES))
        };
        let mut watch = store.watch(scope.clone(), from).await.expect("a watch");
        let until = Revision(store.revision().0 + random.below(3));
        if store.revision() < until {
            tokio::task::yield_now().await;
        }
        let until = store.revision().min(until);
        let mut events = events_up_to(&mut watch, until).await;
        let reached = loop {
            if let Some(progress) = watch.progress() {
                break progress;
            }
            if let Some(Ok(crate::WatchItem::Event(event))) = watch.try_next() {
                events.push(event);
            }
        };
        record.watches.push(Watched {
            scope,
            from,
            reached,
            events,
        });
        from = reached;
    }
    record
}

fn replay(start: Revision, entries: Vec<Entry>, writes: &[(Change, Entry)], seed: u64) -> Model {
    let mut objects: BTreeMap<Key, Entry> = entries
        .into_iter()
        .map(|entry| (entry.key.clone(), entry))
        .collect();
    let mut model = Model::from([(start, objects.clone())]);
    for (change, entry) in writes {
        let was = match change {
            Change::Deleted => objects.remove(&entry.key),
            Change::Added | Change::Modified => objects.insert(entry.key.clone(), entry.clone()),
        };
        let expected = !matches!(change, Change::Added);
        assert_eq!(
            was.is_some(),
            expected,
            "seed {seed}: {change:?} of {}",
            entry.key
        );
        let text = String::from_utf8_lossy(&entry.value);
        let head = format!("rv={};", entry.revision);
        assert!(
            text.starts_with(&head),
            "seed {seed}: {} holds {text}",
            entry.revision
        );
        let twice = model.insert(entry.revision, objects.clone());
        assert!(
            twice.is_none(),
            "seed {seed}: revision {} was given twice",
            entry.revision
        );
    }
    model
}

fn state_at(model: &Model, revision: Revision) -> Option<&BTreeMap<Key, Entry>> {
    model
        .range(..=revision)
        .next_back()
        .map(|(_, objects)| objects)
}

fn check_refusals(model: &Model, refusals: &[Entry], seed: u64) {
    for current in refusals {
        let held = state_at(model, current.revision).and_then(|objects| objects.get(&current.key));
        assert_eq!(
            held,
            Some(current),
            "seed {seed}: a refusal showed what never was"
        );
    }
}

fn check_pages(model: &Model, pages: &[(Range, Page)], seed: u64) {
    for (range, page) in pages {
        let Some(objects) = state_at(model, page.revision) else {
            continue;
        };
        let after = range.after.as_ref();
        let expected: Vec<&Entry> = objects
            .values()
            .filter(|entry| entry.key.resource == range.resource)
            .filter(|entry| in_scope(range.namespace.as_ref(), None, entry))
            .filter(|entry| range.terms.iter().all(|test| meets(test, entry)))
            .filter(|entry| {
                let place = (entry.key.namespace.clone(), entry.key.name.clone());
                after.is_none_or(|after| place > *after)
            })
            .collect();
        let shown = range.limit.unwrap_or(usize::MAX).min(expected.len());
        let seen: Vec<&Entry> = page.entries.iter().map(|entry| &**entry).collect();
        assert_eq!(
            seen,
            expected.get(..shown).unwrap_or_default(),
            "seed {seed}: {range:?}"
        );
        assert_eq!(
            page.remaining,
            (expected.len() - shown) as u64,
            "seed {seed}: {range:?}"
        );
    }
}

fn check_watches(model: &Model, writes: &[(Change, Entry)], watches: &[Watched], seed: u64) {
    for Watched {
        scope,
        from,
        reached,
        events,
    } in watches
    {
        let expected: Vec<Event> = writes
            .iter()
            .filter(|(_, entry)| entry.revision > *from && entry.revision <= *reached)
            .filter(|(_, entry)| entry.key.resource == scope.resource)
            .map(|(change, entry)| {
                let before = state_at(model, Revision(entry.revision.0 - 1));
                let previous = before.and_then(|objects| objects.get(&entry.key)).cloned();
                Event {
                    change: *change,
                    entry: entry.clone(),
                    previous,
                }
            })
            .filter(|event| {
                let (namespace, any) = (scope.namespace.as_ref(), scope.terms.as_ref());
                let now = event.change != Change::Deleted && in_scope(namespace, any, &event.entry);
                now || event
                    .previous
                    .as_ref()
                    .is_some_and(|was| in_scope(namespace, any, was))
            })
            .collect();
        let seen: Vec<Event> = events.iter().map(|event| Event::clone(event)).collect();
        assert_eq!(
            seen, expected,
            "seed {seed}: watch of {scope:?} from {from}"
        );
    }
    let revisions: BTreeSet<_> = writes.iter().map(|(_, entry)| entry.revision).collect();
    assert_eq!(
        revisions.len(),
        writes.len(),
        "seed {seed}: a revision was given twice"
    );
}

fn in_scope(namespace: Option<&Arc<str>>, any: Option<&AnyOf>, entry: &Entry) -> bool {
    namespace.is_none_or(|namespace| *namespace == entry.key.namespace)
        && any.is_none_or(|any| terms(&entry.value).iter().any(|term| any.contains(term)))
}

fn meets(test: &TermTest, entry: &Entry) -> bool {
    let has = |wanted: &dyn Fn(&Term) -> bool| terms(&entry.value).iter().any(wanted);
    match test {
        TermTest::AnyOf(any) => has(&|term| any.contains(term)),
        TermTest::NoneOf(any) => !has(&|term| any.contains(term)),
        TermTest::Named(name) => has(&|term| term.name == *name),
        TermTest::Unnamed(name) => !has(&|term| term.name == *name),
    }
}
