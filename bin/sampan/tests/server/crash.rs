//! The real server killed without a warning under a load of writes and watches, over and over.
//!
//! After every start each acknowledged write is there, no revision means two things, and a watch that goes on where
//! it was has neither gap nor duplicate. `SAMPAN_SERVER_CRASH_ROUNDS` sets the number of rounds,
//! `SAMPAN_SERVER_CRASH_SEED` the seed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use client::ClientError;
use client::rest::{DeleteOptions, Detail, Rest, WatchEvent};
use fastrand::Rng;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{Server, WAIT};

const CONFIG_MAPS: Resource = Resource::namespaced("", "v1", "ConfigMap", "configmaps");
const NAMESPACE: &str = "default";
const SELECTOR: (&str, &str) = ("labelSelector", "sort=crash");
const ROUNDS: u64 = 3;
const WRITERS: u64 = 4;
const NAMES: u64 = 4;

/// What a write leaves: the number it wrote, or nothing.
type State = Option<u64>;

/// What is known of one object: the state acknowledged last, and what was tried and not answered since.
#[derive(Clone, Debug, Default)]
struct Known {
    acknowledged: State,
    tried: Vec<State>,
}

/// What clients have been told, over all rounds.
#[derive(Debug, Default)]
struct Told {
    /// Where the first watch began.
    from: u64,
    objects: BTreeMap<String, Known>,
    /// The revision of each acknowledged write that left an object.
    acknowledged: BTreeMap<u64, (String, u64)>,
    /// Every event the watch delivered, by revision.
    events: BTreeMap<u64, (String, State)>,
}

impl Told {
    /// The revision that a watch goes on from.
    fn reached(&self) -> u64 {
        self.events.keys().next_back().copied().unwrap_or(self.from)
    }
}

fn number(object: &Object) -> u64 {
    object.str_at(&["data", "n"]).unwrap().parse().unwrap()
}

fn revision(object: &Object) -> u64 {
    let text = object.str_at(&["metadata", "resourceVersion"]).unwrap();
    text.parse().unwrap()
}

fn config_map(name: &str, n: u64) -> Object {
    json!({ "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": NAMESPACE, "labels": { "sort": "crash" } },
        "data": { "n": n.to_string() } })
}

/// Writes until the server is gone; each writer has names of its own, so that it knows what to expect.
async fn write(rest: Rest, told: Arc<Mutex<Told>>, mut random: Rng, writer: u64, first: u64) {
    for n in first.. {
        let name = format!("web-{writer}-{}", random.u64(..NAMES));
        let known = told
            .lock()
            .unwrap()
            .objects
            .entry(name.clone())
            .or_default()
            .clone();
        let is_there = known.acknowledged.is_some();
        let removes = is_there && random.u64(..4) == 0;
        let wanted = (!removes).then_some(n);
        let update = |change: &dyn Fn(&mut Known)| {
            change(told.lock().unwrap().objects.get_mut(&name).unwrap());
        };
        update(&|known| known.tried.push(wanted));
        let key = Key::new(NAMESPACE, &name);
        let object = config_map(&name, n);
        let answer = if removes {
            let options = DeleteOptions::default();
            rest.delete(&CONFIG_MAPS, &key, &options)
                .await
                .map(|_| None)
        } else if is_there {
            rest.replace(&CONFIG_MAPS, None, &object).await.map(Some)
        } else {
            rest.create(&CONFIG_MAPS, &object).await.map(Some)
        };
        let written = match answer {
            Ok(written) => written,
            Err(error) => {
                let is_refused = matches!(error, ClientError::Refused(_));
                assert!(!is_refused, "{name}: {error:?}");
                return;
            }
        };
        update(&|known| {
            known.acknowledged = wanted;
            known.tried.clear();
        });
        if let Some(written) = written {
            let at = revision(&written);
            told.lock().unwrap().acknowledged.insert(at, (name, n));
        }
    }
}

/// Notes what a watch delivers from a revision on, until the server is gone or `until` is reached.
async fn watch(
    rest: Rest,
    told: Arc<Mutex<Told>>,
    from: u64,
    until: Option<u64>,
) -> Result<(), String> {
    let from = from.to_string();
    let query = [
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("resourceVersion", from.as_str()),
        SELECTOR,
    ];
    let watching = rest
        .watch(&CONFIG_MAPS, NAMESPACE, Detail::Whole, &query)
        .await;
    let mut watching = match watching {
        Ok(watching) => watching,
        Err(error) => {
            // The server may have been killed before the watch began.
            let is_refused = matches!(error, ClientError::Refused(_));
            let is_expected = until.is_none() && !is_refused;
            return if is_expected {
                Ok(())
            } else {
                Err(error.to_string())
            };
        }
    };
    while until.is_none_or(|until| told.lock().unwrap().reached() < until) {
        let (object, is_gone) = match watching.next().await {
            Ok(Some(WatchEvent::Added(object) | WatchEvent::Modified(object))) => (object, false),
            Ok(Some(WatchEvent::Deleted(object))) => (object, true),
            Ok(Some(WatchEvent::Bookmark(_))) => continue,
            Ok(Some(WatchEvent::Error(status))) => {
                return Err(format!("the watch ended: {status:?}"));
            }
            Ok(None) | Err(_) => return Ok(()),
        };
        let (at, name) = (revision(&object), object.name().to_owned());
        let state = (!is_gone).then(|| number(&object));
        let mut told = told.lock().unwrap();
        let newest = told.reached();
        if at <= newest {
            return Err(format!("revision {at} of {name} came after {newest}"));
        }
        told.events.insert(at, (name, state));
    }
    Ok(())
}

/// Checks a server that has just started against everything clients were told before.
async fn check(server: &Server, told: &Arc<Mutex<Told>>, round: u64) {
    let rest = &server.rest;
    let list = rest
        .list(&CONFIG_MAPS, NAMESPACE, Detail::Whole, &[SELECTOR])
        .await
        .unwrap();
    let now: BTreeMap<String, u64> = list
        .items
        .iter()
        .map(|object| (object.name().to_owned(), number(object)))
        .collect();
    let from = told.lock().unwrap().reached();
    let newest = list.items.iter().map(revision).max().unwrap_or(0);
    // Deletions leave nothing to list: one more write is where the watch must get to.
    let mark = config_map(&format!("mark-{round}"), round);
    let mark = revision(&rest.create(&CONFIG_MAPS, &mark).await.unwrap());
    let watched = watch(rest.clone(), Arc::clone(told), from, Some(mark));
    tokio::time::timeout(WAIT, watched).await.unwrap().unwrap();
    let mut told = told.lock().unwrap();
    assert!(newest < mark, "revision {mark} was given out before");
    if let Some((last, _)) = told.acknowledged.last_key_value() {
        assert!(
            *last < mark,
            "revision {last} was acknowledged, and {mark} comes after the start"
        );
    }
    for (name, known) in &mut told.objects {
        let found = now.get(name).copied();
        let is_expected = found == known.acknowledged || known.tried.contains(&found);
        assert!(is_expected, "{name} is {found:?}, and {known:?} was told");
        // What the disk has now counts.
        *known = Known {
            acknowledged: found,
            tried: Vec::new(),
        };
    }
    for (at, (name, n)) in &told.acknowledged {
        let event = told.events.get(at);
        assert_eq!(
            event,
            Some(&(name.clone(), Some(*n))),
            "the event of revision {at}"
        );
    }
    let mut watched: BTreeMap<&str, u64> = BTreeMap::new();
    for (name, state) in told.events.values() {
        match state {
            Some(n) => watched.insert(name, *n),
            None => watched.remove(name.as_str()),
        };
    }
    watched.retain(|name, _| name.starts_with("web-"));
    let listed: BTreeMap<&str, u64> = now
        .iter()
        .filter(|(name, _)| name.starts_with("web-"))
        .map(|(name, n)| (name.as_str(), *n))
        .collect();
    assert_eq!(watched, listed, "what was watched is not what is there");
}

#[tokio::test]
async fn a_server_killed_at_any_moment_keeps_its_word() {
    let argument = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(default)
    };
    let rounds = argument("SAMPAN_SERVER_CRASH_ROUNDS", ROUNDS);
    let seed = argument("SAMPAN_SERVER_CRASH_SEED", 1);
    eprintln!("SAMPAN_SERVER_CRASH_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let data = tempfile::tempdir().unwrap();
    let told = Arc::new(Mutex::new(Told::default()));
    for round in 0..rounds {
        let mut server = Server::start(data.path()).await;
        if round == 0 {
            let list = server
                .rest
                .list(&CONFIG_MAPS, NAMESPACE, Detail::Whole, &[])
                .await;
            told.lock().unwrap().from = list.unwrap().resource_version.parse().unwrap();
        }
        check(&server, &told, round).await;
        let from = told.lock().unwrap().reached();
        let mut watching = JoinSet::new();
        watching.spawn(watch(server.rest.clone(), Arc::clone(&told), from, None));
        let mut writing = JoinSet::new();
        for writer in 0..WRITERS {
            let random = Rng::with_seed(seed ^ (round << 20) ^ (writer << 8));
            let first = (round * WRITERS + writer) * 1_000_000;
            writing.spawn(write(
                server.rest.clone(),
                Arc::clone(&told),
                random,
                writer,
                first,
            ));
        }
        tokio::time::sleep(Duration::from_millis(50 + random.u64(..600))).await;
        server.kill().await;
        while let Some(ended) = writing.join_next().await {
            ended.unwrap();
        }
        while let Some(ended) = watching.join_next().await {
            ended.unwrap().unwrap();
        }
    }
    let server = Server::start(data.path()).await;
    check(&server, &told, rounds).await;
    let told = told.lock().unwrap();
    eprintln!(
        "{} acknowledged, {} events",
        told.acknowledged.len(),
        told.events.len()
    );
    assert!(!told.acknowledged.is_empty());
}
