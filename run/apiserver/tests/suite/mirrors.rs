//! Clients that mirror a server under load, each compared with what really happened.
//!
//! Writers change objects while history is compacted away under lists in pages and under watches that resume at random
//! revisions, with selections that objects enter and leave, in every shape. What each was told must be exactly what a
//! plain map says.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use futures::future::join_all;
use serde_json::{Value, json};
use store::{Revision, Store, Watch, WatchItem, WatchScope};
use tokio::sync::watch;

use crate::server::{Answer, Talk};
use crate::watches::Events;
use sampan_apiserver::config::Limits;

const SEED: u64 = 11;
const WRITERS: u64 = 16;
const READERS: u64 = 8;
const ROUNDS: u64 = 20;
const NAMES: u64 = 12;
const NAMESPACES: [&str; 3] = ["web", "webs", "a"];
/// How far behind the present history is compacted, at most.
const KEPT_MAX: u64 = 300;
/// Changes that others make between two pages of a list, at most.
const BETWEEN_PAGES_MAX: u64 = 10;
/// Changes between two compactions, at most.
const BETWEEN_COMPACTIONS_MAX: u64 = 30;
/// So many changes writers may be ahead of who writes them down, who would be told too late otherwise.
const AHEAD_MAX: u64 = 100;
/// Written last.
const LAST: &str = "last";
/// Longest wait for an event that may not come.
const LULL: Duration = Duration::from_millis(20);

/// What is selected: the query, and whether an object is.
type Selection = (&'static str, fn(&Value) -> bool);

const SELECTIONS: [Selection; 9] = [
    ("", |_| true),
    ("labelSelector=app%3Dx", |it| label(it) == Some("x")),
    ("labelSelector=app+in+(x,y)", |it| {
        matches!(label(it), Some("x" | "y"))
    }),
    ("labelSelector=app!%3Dx", |it| label(it) != Some("x")),
    ("labelSelector=app", |it| label(it).is_some()),
    ("labelSelector=!app", |it| label(it).is_none()),
    ("fieldSelector=metadata.name%3Dm3", |it| {
        it["metadata"]["name"] == "m3"
    }),
    ("fieldSelector=metadata.namespace!%3Dweb", |it| {
        it["metadata"]["namespace"] != "web"
    }),
    ("labelSelector=app%3Dy&fieldSelector=type!%3Da%2Fb", |it| {
        label(it) == Some("y") && it["type"] != "a/b"
    }),
];

const SHAPES: [&str; 3] = [
    "application/json",
    "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
];

fn label(object: &Value) -> Option<&str> {
    object["metadata"]["labels"]["app"].as_str()
}

fn revision(object: &Value) -> u64 {
    let text = object["metadata"]["resourceVersion"].as_str().unwrap();
    text.parse().unwrap()
}

fn place(object: &Value) -> (String, String) {
    let part = |name: &str| object["metadata"][name].as_str().unwrap().to_owned();
    (part("namespace"), part("name"))
}

/// Draws: each task its own.
struct Random(fastrand::Rng);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0.u64(..bound)
    }
    fn of<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.0.usize(..from.len())]
    }
    /// The path of all Secrets or of those of a namespace, which is also given.
    fn scope(&mut self) -> (String, Option<&'static str>) {
        if self.below(2) == 0 {
            return ("/api/v1/secrets".to_owned(), None);
        }
        let namespace = *self.of(&NAMESPACES);
        (secrets(namespace), Some(namespace))
    }
}

fn secrets(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/secrets")
}

/// One change, as the store told it: what was, and what is.
#[derive(Clone, Debug)]
struct Changed {
    was: Option<Value>,
    is: Option<Value>,
}

/// Everything that happened, by revision.
type Truth = BTreeMap<u64, Changed>;

/// The objects there were after a revision.
fn state(truth: &Truth, at: u64) -> BTreeMap<(String, String), Value> {
    let mut objects = BTreeMap::new();
    for changed in truth.range(..=at).map(|(_, changed)| changed) {
        match (&changed.is, &changed.was) {
            (Some(is), _) => drop(objects.insert(place(is), is.clone())),
            (None, Some(was)) => drop(objects.remove(&place(was))),
            (None, None) => {}
        }
    }
    objects
}

struct World {
    talk: Talk,
    is_over: AtomicBool,
    /// The last revision that was written down; closed when all were.
    recorded: watch::Receiver<u64>,
    /// Revisions before this one may be refused.
    compacted: AtomicU64,
}

impl World {
    fn store(&self) -> &Arc<dyn Store> {
        &self.talk.server.config().store
    }

    /// Waits until everything up to a revision was written down; false when nothing more will be.
    async fn reaches(&self, revision: u64) -> bool {
        let mut recorded = self.recorded.clone();
        recorded.wait_for(|at| *at >= revision).await.is_ok()
    }
}

async fn write(world: &World, mut random: Random) {
    let mut number = 0;
    while !world.is_over.load(Ordering::Acquire) {
        number += 1;
        let (namespace, name) = (*random.of(&NAMESPACES), random.below(NAMES));
        let labels = [
            json!({"app": "x"}),
            json!({"app": "y"}),
            json!({"app": null}),
        ];
        let labels = random.of(&labels);
        let path = format!("{}/m{name}", secrets(namespace));
        let answer: Answer = match random.below(4) {
            0 => world.talk.delete(&path, json!({})).await,
            1 => {
                let kind = random.of(&["a/b", "c/d"]);
                let made = json!({"metadata": {"name": format!("m{name}"), "labels": labels}, "type": kind});
                world.talk.post(&secrets(namespace), made).await
            }
            _ => {
                let told = json!({"metadata": {"labels": labels, "annotations": {"n": number.to_string()}}});
                world.talk.patch("merge", &path, told).await
            }
        };
        assert!(
            matches!(answer.code, 200 | 201 | 404 | 409),
            "{}",
            answer.body
        );
        let written = world.store().revision().0;
        world.reaches(written.saturating_sub(AHEAD_MAX)).await;
    }
}

/// Compacts to just behind the present, over and over.
async fn compact(world: &World, mut random: Random) {
    loop {
        let now = world.store().revision().0;
        let to = now.saturating_sub(random.below(KEPT_MAX)).max(1);
        world.compacted.fetch_max(to, Ordering::AcqRel);
        world.store().compact(Revision(to)).await.unwrap();
        let next = now + 1 + random.below(BETWEEN_COMPACTIONS_MAX);
        if !world.reaches(next).await {
            return;
        }
    }
}

/// Writes down everything that happens, to the last change.
async fn record(mut watch: Watch, recorded: watch::Sender<u64>) -> Truth {
    let mut truth = Truth::new();
    loop {
        let event = match watch.next().await {
            Some(Ok(WatchItem::Event(event))) => event,
            Some(Ok(WatchItem::Progress(_))) => continue,
            ended => unreachable!("the recorder's watch ended: {ended:?}"),
        };
        let read = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
        let is = (event.change != store::Change::Deleted).then(|| read(&event.entry.value));
        let was = event.previous.as_ref().map(|was| read(&was.value));
        truth.insert(event.entry.revision.0, Changed { was, is });
        if *event.entry.key.name == *LAST {
            return truth;
        }
        recorded.send_replace(event.entry.revision.0);
    }
}

/// What one watch was told.
struct Watched {
    namespace: Option<&'static str>,
    selection: Selection,
    from: u64,
    /// The state it began with, at `from`.
    initial: Option<BTreeMap<(String, String), u64>>,
    told: Vec<(u64, String, (String, String))>,
    /// The latest revision it was told of, by events or bookmarks.
    reached: u64,
}

/// The object of an event, whatever its shape.
fn object(event: &Value) -> &Value {
    let object = &event["object"];
    if object["kind"] == "Table" {
        &object["rows"][0]["object"]
    } else {
        object
    }
}

async fn watch_on(world: &World, random: &mut Random) -> Option<Watched> {
    let (path, namespace) = random.scope();
    let selection = *random.of(&SELECTIONS);
    let begins_with_state = random.below(3) == 0;
    let now = world.store().revision().0;
    let mut from = now.saturating_sub(random.below(KEPT_MAX / 2)).max(1);
    let start = if begins_with_state {
        let at = [
            "",
            "&resourceVersion=0",
            &format!("&resourceVersion={from}"),
        ][random.0.usize(..3)]
        .to_owned();
        format!(
            "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true{at}"
        )
    } else {
        format!("resourceVersion={from}")
    };
    let shape = random.of(&SHAPES);
    let query = format!("{start}&{}", selection.0);
    let mut events = Events::at(&world.talk, &path, &query, shape).await;
    let mut initial = begins_with_state.then(BTreeMap::new);
    let mut is_initial = begins_with_state;
    let mut watched = Vec::new();
    let events_max = random.below(200);
    let mut reached = from;
    while (watched.len() as u64) < events_max || is_initial {
        let Some(event) = events.next_within(LULL).await else {
            if is_initial {
                continue;
            }
            break;
        };
        let kind = event["type"].as_str().unwrap().to_owned();
        if kind == "ERROR" {
            assert_eq!(event["object"]["code"], 410, "{event}");
            assert!(!begins_with_state);
            let compacted = world.compacted.load(Ordering::Acquire);
            assert!(from < compacted, "{from} was refused, {compacted} is kept");
            return None;
        }
        let it = object(&event);
        let at = revision(it);
        if kind == "BOOKMARK" {
            assert!(
                is_initial && it["metadata"]["annotations"]["k8s.io/initial-events-end"] == "true"
            );
            assert!(at >= from, "the state is older than asked for");
            (is_initial, from, reached) = (false, at, at);
        } else if let (true, Some(initial)) = (is_initial, &mut initial) {
            assert_eq!(kind, "ADDED");
            assert!(initial.insert(place(it), at).is_none(), "shown twice");
        } else {
            reached = at;
            watched.push((at, kind, place(it)));
        }
    }
    Some(Watched {
        namespace,
        selection,
        from,
        initial,
        told: watched,
        reached,
    })
}

impl Watched {
    fn check(&self, truth: &Truth) {
        let (query, is_selected) = self.selection;
        let in_scope = |object: &Value| {
            let is_here = |namespace: &str| object["metadata"]["namespace"] == namespace;
            self.namespace.is_none_or(is_here) && is_selected(object)
        };
        if let Some(initial) = &self.initial {
            let state = state(truth, self.from)
                .into_iter()
                .filter(|(_, it)| in_scope(it));
            let state: BTreeMap<_, _> = state.map(|(place, it)| (place, revision(&it))).collect();
            assert_eq!(*initial, state, "state at {} of {query}", self.from);
        }
        let happened = truth
            .range(self.from + 1..)
            .filter(|(at, _)| **at <= self.reached);
        let expected = happened.filter_map(|(at, changed)| {
            let was = changed.was.as_ref().filter(|was| in_scope(was));
            let is = changed.is.as_ref().filter(|is| in_scope(is));
            let kind = match (was, is) {
                (None, None) => return None,
                (None, Some(_)) => "ADDED",
                (Some(_), Some(_)) => "MODIFIED",
                (Some(_), None) => "DELETED",
            };
            Some((*at, kind.to_owned(), place(is.or(was).unwrap())))
        });
        assert_eq!(
            self.told,
            expected.collect::<Vec<_>>(),
            "{query} in {:?} from {}",
            self.namespace,
            self.from
        );
    }
}

/// A list in pages, each with the revision it was of, and how many were said to remain.
struct Listed {
    namespace: Option<&'static str>,
    selection: Selection,
    pages: Vec<(u64, Vec<Value>, Option<u64>, bool)>,
    /// Where it went on inconsistently: the number of pages before.
    broken_at: Option<usize>,
}

async fn list(world: &World, random: &mut Random) -> Listed {
    let (path, namespace) = random.scope();
    let selection = *random.of(&SELECTIONS);
    let limit = 1 + random.below(9);
    let mut listed = Listed {
        namespace,
        selection,
        pages: Vec::new(),
        broken_at: None,
    };
    let mut next = String::new();
    loop {
        let query = format!("{path}?limit={limit}&{}&continue={next}", selection.0);
        let answer = world.talk.get(&query).await;
        if answer.code == 410 {
            let at = listed.pages.last().map_or(0, |page| page.0);
            assert!(at < world.compacted.load(Ordering::Acquire), "{at} is kept");
            assert_eq!(answer.body["reason"], "Expired");
            let token = &answer.body["metadata"]["continue"];
            token.as_str().unwrap().clone_into(&mut next);
            listed.broken_at.get_or_insert(listed.pages.len());
            continue;
        }
        let page = answer.expect(200);
        let items = page["items"].as_array().unwrap().clone();
        next = page["metadata"]["continue"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        let remaining = page["metadata"]["remainingItemCount"].as_u64();
        listed
            .pages
            .push((revision(&page), items, remaining, !next.is_empty()));
        if next.is_empty() {
            return listed;
        }
        let now = world.store().revision().0;
        world.reaches(now + random.below(BETWEEN_PAGES_MAX)).await;
    }
}

impl Listed {
    fn check(&self, truth: &Truth) {
        let mut last: Option<(String, String)> = None;
        let consistent = self.broken_at.unwrap_or(self.pages.len());
        for (number, (at, items, remaining, has_more)) in self.pages.iter().enumerate() {
            assert!(
                number >= consistent || *at == self.pages[0].0,
                "pages of two revisions"
            );
            let state = state(truth, *at);
            let is_here = |place: &(String, String)| self.namespace.is_none_or(|it| it == place.0);
            let behind = |place: &(String, String)| last.as_ref().is_none_or(|last| place > last);
            let left = state.iter().filter(|(at, _)| is_here(at) && behind(at));
            let left: Vec<_> = left
                .filter(|(_, it)| (self.selection.1)(it))
                .map(|(_, it)| it)
                .collect();
            let shown: Vec<_> = items.iter().map(|it| (place(it), revision(it))).collect();
            let expected = left
                .iter()
                .take(items.len())
                .map(|it| (place(it), revision(it)));
            assert_eq!(
                shown,
                expected.collect::<Vec<_>>(),
                "page {number} of {}",
                self.selection.0
            );
            let rest = (left.len() - items.len()) as u64;
            assert!(*has_more || rest == 0, "the list ends too early");
            if self.selection.0.is_empty() {
                assert_eq!(*remaining, (rest > 0).then_some(rest));
            }
            last = shown.last().map(|(place, _)| place.clone()).or(last);
        }
    }
}

async fn read(world: &World, mut random: Random) -> (Vec<Watched>, Vec<Listed>) {
    let (mut watched, mut listed) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        watched.extend(watch_on(world, &mut random).await);
        listed.push(list(world, &mut random).await);
    }
    (watched, listed)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn mirrors_agree_with_what_happened() {
    let random = |task: u64| Random(fastrand::Rng::with_seed(SEED ^ (task << 32)));
    let dir = tempfile::tempdir().unwrap();
    let store = store::Embedded::open(dir.path(), Arc::new(sampan_apiserver::index)).unwrap();
    let talk = Talk::over(Arc::new(store), Limits::upstream()).await;
    for namespace in NAMESPACES.iter().skip(1) {
        talk.namespace(namespace).await;
    }
    let (recorder, recorded) = watch::channel(0);
    let world = World {
        talk,
        is_over: AtomicBool::new(false),
        recorded,
        compacted: AtomicU64::new(0),
    };
    let world = Arc::new(world);
    let all = WatchScope::all("secrets");
    let watch = world.store().watch(all, world.store().revision());
    let watch = watch.await.unwrap();
    let on = |task: u64| (Arc::clone(&world), random(task));
    let spawn = |task: u64| {
        let (world, random) = on(task);
        tokio::spawn(async move { write(&world, random).await })
    };
    let writers: Vec<_> = (0..WRITERS).map(spawn).collect();
    let spawn = |task: u64| {
        let (world, random) = on(task);
        tokio::spawn(async move { read(&world, random).await })
    };
    let readers: Vec<_> = (WRITERS..WRITERS + READERS).map(spawn).collect();
    let (over, random) = on(WRITERS + READERS);
    let compactor = tokio::spawn(async move { compact(&over, random).await });
    let recording = tokio::spawn(record(watch, recorder));
    let seen = join_all(readers).await;
    world.is_over.store(true, Ordering::Release);
    let written = join_all(writers).await;
    written.into_iter().for_each(Result::unwrap);
    let last = json!({"metadata": {"name": LAST}});
    world.talk.post(&secrets("web"), last).await.expect(201);
    let truth = recording.await.unwrap();
    compactor.await.unwrap();
    let (watched, listed): (Vec<_>, Vec<_>) = seen.into_iter().map(Result::unwrap).unzip();
    let is_broken = |listed: &Listed| listed.broken_at.is_some();
    let broken = listed.iter().flatten().filter(|listed| is_broken(listed));
    let went_on = watched.iter().flatten().count() as u64;
    let was_short = broken.count() > 0 || went_on < READERS * ROUNDS;
    assert!(was_short, "no history was too short");
    for watched in watched.iter().flatten() {
        watched.check(&truth);
    }
    for listed in listed.iter().flatten() {
        listed.check(&truth);
    }
}
