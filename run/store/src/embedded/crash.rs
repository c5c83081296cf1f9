//! Kills a writing process with SIGKILL, over and over, and checks what the next one finds.
//!
//! The child is this test binary itself. It prints `try` before a write, `ack` once it is acknowledged, and
//! `event` for what its watch delivers; what reached the pipe before the kill is what counts.
//! `SAMPAN_CRASH_ROUNDS` sets the number of rounds, `SAMPAN_CRASH_SEED` the seed.

use std::{
    collections::BTreeMap,
    env, fs,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use fastrand::Rng;

use super::{Embedded, log::Sizes};
use crate::{
    Change, Durability, Encoded, Event, Key, Precondition, Revision, Store, StoreError, WatchItem,
    WatchScope, contract, embedded::Faults,
};

const ROUNDS: u64 = 10;
const WRITERS: u64 = 6;
const NAMES: u64 = 8;
const ACKS_MAX: u64 = 1500;
/// Small enough that every few rounds meet a new segment and a checkpoint.
const SIZES: Sizes = Sizes {
    first_segment_bytes: 32 << 10,
    segment_bytes: 128 << 10,
    checkpoint_bytes_min: 512 << 10,
};

fn open(path: &Path) -> Embedded {
    Embedded::open_with(path, contract::indexer(), SIZES, Faults::default()).unwrap()
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

/// The number a value was written with.
fn number(value: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(value);
    text.split(';')
        .find_map(|part| part.strip_prefix("n=")?.parse().ok())
        .expect("a number")
}

/// Not a test by itself: what the killed process does.
#[test]
fn child() {
    let Some(path) = env::var_os("SAMPAN_CRASH_DIR") else {
        return;
    };
    let argument = |name: &str| env::var(name).unwrap().parse::<u64>().unwrap();
    let (round, seed) = (
        argument("SAMPAN_CRASH_ROUND"),
        argument("SAMPAN_CRASH_SEED"),
    );
    let from = Revision(argument("SAMPAN_CRASH_FROM"));
    // Ends with its parent, should that die first.
    std::thread::spawn(|| {
        let mut nothing = Vec::new();
        if std::io::stdin().read_to_end(&mut nothing).is_ok() {
            std::process::abort();
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Arc::new(open(Path::new(&path)));
        let mut tasks = tokio::task::JoinSet::new();
        tasks.spawn(observe(Arc::clone(&store), from));
        for writer in 0..WRITERS {
            let random = Rng::with_seed(seed ^ (round << 20) ^ (writer << 8));
            tasks.spawn(write(Arc::clone(&store), random, writer, round));
        }
        tasks.join_next().await.unwrap().unwrap();
    });
}

async fn write(store: Arc<Embedded>, mut random: Rng, writer: u64, round: u64) {
    for step in 0.. {
        let name = format!("web-{writer}-{}", random.u64(..NAMES));
        let key = Key::new("pods", "a", &*name);
        let n = (round * WRITERS + writer) * 1_000_000 + step;
        let filler = random.usize(..2000);
        let value = Encoded {
            bytes: format!("rv=;n={n};{}", "x".repeat(filler)).into_bytes(),
            revision_at: 3,
        };
        let durability = if random.u64(..4) == 0 {
            Durability::Relaxed
        } else {
            Durability::Synced
        };
        let old = store.get(&key).await.unwrap();
        let written = match old {
            Some(old) if random.u64(..4) == 0 => {
                say(&format!("try {name} {n} delete"));
                store.delete(key, old.revision, value, durability).await
            }
            old => {
                say(&format!("try {name} {n} put"));
                let precondition = old.map_or(Precondition::Absent, |old| {
                    Precondition::Revision(old.revision)
                });
                store.put(key, precondition, value, durability).await
            }
        };
        say(&format!("ack {name} {n} {}", written.unwrap().revision));
    }
}

async fn observe(store: Arc<Embedded>, from: Revision) {
    let mut watch = match store.watch(WatchScope::all("pods"), from).await {
        Ok(watch) => watch,
        Err(StoreError::Compacted { .. }) => {
            let now = store.revision();
            say(&format!("relist {now}"));
            store.watch(WatchScope::all("pods"), now).await.unwrap()
        }
        Err(error) => panic!("{error}"),
    };
    while let Some(item) = watch.next().await {
        if let WatchItem::Event(event) = item.unwrap() {
            say(&event_line(&event));
        }
    }
}

fn event_line(event: &Event) -> String {
    let change = if event.change == Change::Deleted {
        "delete"
    } else {
        "put"
    };
    let entry = &event.entry;
    format!(
        "event {} {} {change} {}",
        entry.key.name,
        number(&entry.value),
        entry.revision
    )
}

/// A write as its writer or a watcher tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    name: String,
    n: u64,
    is_deletion: bool,
}

/// What the killed processes told, and what must follow from it.
#[derive(Default)]
struct Ledger {
    tried: BTreeMap<u64, Told>,
    /// By revision.
    acked: BTreeMap<u64, Told>,
    /// By revision, in the order they were delivered.
    events: Vec<(u64, Told)>,
    /// What is known of each name: the number of its last acknowledged put, `None` after a deletion.
    present: BTreeMap<String, Option<u64>>,
    /// The write of each name that was under way when the process was killed.
    pending: BTreeMap<String, Told>,
    /// Events up to this revision need not have been seen: the watch started after them.
    excused: u64,
    relists: u64,
}

impl Ledger {
    /// Takes a line; returns whether it was an acknowledgement.
    fn take(&mut self, line: &str) -> bool {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["try", name, n, kind] => {
                let told = Told {
                    name: name.to_owned(),
                    n: n.parse().unwrap(),
                    is_deletion: kind == "delete",
                };
                self.pending.insert(name.to_owned(), told.clone());
                self.tried.insert(told.n, told);
            }
            ["ack", name, _, revision] => {
                let told = self.pending.remove(name).unwrap();
                let n = (!told.is_deletion).then_some(told.n);
                self.present.insert(name.to_owned(), n);
                let twice = self.acked.insert(revision.parse().unwrap(), told);
                assert_eq!(twice, None, "revision {revision} was given twice");
                return true;
            }
            ["event", _, n, kind, revision] => {
                let told = self
                    .tried
                    .get(&n.parse().unwrap())
                    .expect("an event of a tried write");
                assert_eq!(told.is_deletion, kind == "delete");
                let revision = revision.parse().unwrap();
                let last = self.events.last().map_or(0, |(revision, _)| *revision);
                assert!(revision > last, "event {revision} came after {last}");
                self.events.push((revision, told.clone()));
            }
            ["relist", revision] => {
                self.excused = revision.parse().unwrap();
                self.relists += 1;
            }
            // What the test harness prints.
            _ => {}
        }
        false
    }

    fn seen_up_to(&self) -> u64 {
        self.events
            .last()
            .map_or(1, |(revision, _)| *revision)
            .max(self.excused)
    }

    /// Compares a reopened store with what was told, and takes over what it holds.
    async fn check_state(&mut self, store: &Embedded, round: u64) {
        let held = store.snapshot().await.unwrap();
        let held: BTreeMap<String, u64> = held
            .entries
            .iter()
            .map(|entry| (entry.key.name.to_string(), number(&entry.value)))
            .collect();
        let names: Vec<String> = self
            .present
            .keys()
            .chain(self.pending.keys())
            .cloned()
            .collect();
        for name in names {
            let found = held.get(&name).copied();
            let acked = self.present.get(&name).copied().flatten();
            let pending = self.pending.remove(&name);
            let tried = pending.map(|told| (!told.is_deletion).then_some(told.n));
            assert!(
                found == acked || Some(found) == tried,
                "round {round}: {name} is {found:?}, acknowledged was {acked:?}, under way {tried:?}"
            );
            self.present.insert(name, found);
        }
        let newest = self.acked.keys().next_back().copied().unwrap_or(1);
        assert!(
            store.revision().0 >= newest,
            "round {round}: revision went back"
        );
    }

    /// Checks that the watches, taken together, saw each acknowledged write once.
    fn check_events(&self, since: u64, round: u64) {
        let events: BTreeMap<u64, &Told> = self
            .events
            .iter()
            .map(|(revision, told)| (*revision, told))
            .collect();
        let first = since.max(self.excused) + 1;
        let end = first.max(self.seen_up_to() + 1);
        for (revision, told) in self.acked.range(first..end) {
            assert_eq!(
                events.get(revision),
                Some(&told),
                "round {round}: gap at {revision}"
            );
        }
        for (revision, told) in &self.events {
            let acked = self.acked.get(revision);
            assert!(
                acked.is_none_or(|acked| acked == told),
                "round {round}: {revision} twice"
            );
        }
    }
}

fn spawn(dir: &Path, round: u64, seed: u64, from: u64) -> Child {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", "embedded::crash::child", "--nocapture"])
        .env("SAMPAN_CRASH_DIR", dir)
        .env("SAMPAN_CRASH_ROUND", round.to_string())
        .env("SAMPAN_CRASH_SEED", seed.to_string())
        .env("SAMPAN_CRASH_FROM", from.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap()
}

/// Runs one process until it acknowledged `acks` writes, kills it, and notes what it told.
fn kill_under_load(ledger: &mut Ledger, dir: &Path, round: u64, seed: u64, acks: u64) {
    let mut child = spawn(dir, round, seed, ledger.seen_up_to());
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (mut line, mut seen) = (String::new(), 0);
    while out.read_line(&mut line).unwrap() > 0 {
        // The last line may be cut by the kill.
        if let Some(line) = line.strip_suffix('\n')
            && ledger.take(line)
        {
            seen += 1;
            if seen == acks {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    child.wait().unwrap();
    assert!(
        seen >= acks,
        "round {round}: the writing process ended by itself"
    );
}

/// A copy of the store as the kill left it, so that the next process starts from a crash as well.
fn copy(dir: &Path) -> tempfile::TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
    }
    image
}

#[test]
fn killed_writers_lose_nothing_and_watches_resume_without_gap() {
    let setting = |name: &str| {
        env::var(name)
            .ok()
            .map(|value| value.parse::<u64>().unwrap())
    };
    let rounds = setting("SAMPAN_CRASH_ROUNDS").unwrap_or(ROUNDS);
    let seed = setting("SAMPAN_CRASH_SEED").unwrap_or(1);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let (mut ledger, mut random) = (Ledger::default(), Rng::with_seed(seed));
    for round in 0..rounds {
        let since = ledger.seen_up_to();
        let acks = 1 + random.u64(..ACKS_MAX);
        kill_under_load(&mut ledger, dir.path(), round, seed, acks);
        ledger.check_events(since, round);
        let image = copy(dir.path());
        let store = open(image.path());
        runtime.block_on(ledger.check_state(&store, round));
        let from = Revision(ledger.seen_up_to());
        if let Ok(watch) = runtime.block_on(store.watch(WatchScope::all("pods"), from)) {
            check_resumed(watch, &mut ledger, round);
        }
    }
    println!(
        "{rounds} kills, {} acknowledged writes, {} events, {} lists made anew",
        ledger.acked.len(),
        ledger.events.len(),
        ledger.relists
    );
}

/// A watch resumed after the kill sees what the killed one had not seen yet.
fn check_resumed(mut watch: crate::Watch, ledger: &mut Ledger, round: u64) {
    let since = ledger.seen_up_to();
    while let Some(item) = watch.try_next() {
        if let WatchItem::Event(event) = item.unwrap() {
            ledger.take(&event_line(&event));
        }
    }
    let newest = ledger.acked.keys().next_back().copied().unwrap_or(1);
    assert!(
        ledger.seen_up_to() >= newest,
        "round {round}: the resumed watch ends too early"
    );
    ledger.check_events(since, round);
}
