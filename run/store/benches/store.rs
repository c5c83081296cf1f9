//! Measures the embedded store: commits, ranges, watch fan-out, memory and start.
//!
//! `cargo bench -p sampan-store [-- NAME]`; the data directory is made under `SAMPAN_BENCH_DIR`, by default
//! the directory for temporary files. Numbers and the machine they are from: `docs/performance.md`.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sampan_store::{
    Durability, Embedded, Encoded, Indexer, Key, Precondition, Range, Store, Term, WatchItem,
    WatchScope,
};
use tokio::task::JoinSet;

/// Size of a value: a small Pod, or a ConfigMap with its managed fields.
const VALUE_BYTES: usize = 1500;
const OBJECTS: usize = 100_000;
const NODES: usize = 1000;

type Bench = fn(&tokio::runtime::Runtime);

fn main() {
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .expect("runtime");
    let benches: [(&str, Bench); 3] = [("objects", objects), ("commit", commit), ("watch", watch)];
    for (name, bench) in benches {
        if wanted.is_empty() || wanted.iter().any(|wanted| wanted == name) {
            bench(&runtime);
        }
    }
}

fn indexer() -> Arc<Indexer> {
    let (node, app, owner): (Arc<str>, Arc<str>, Arc<str>) = (
        "spec.nodeName".into(),
        "label:app".into(),
        "ownerUid".into(),
    );
    // The name ends in the object's number.
    Arc::new(move |key: &Key, _: &[u8]| {
        let n: usize = key
            .name
            .rsplit('-')
            .next()
            .and_then(|n| n.parse().ok())
            .unwrap_or(0);
        vec![
            Term::new(Arc::clone(&node), format!("node-{}", n % NODES)),
            Term::new(Arc::clone(&app), format!("web-{}", n % 500)),
            Term::new(
                Arc::clone(&owner),
                format!("9f0c3c7e-7a0e-4d7b-a2f4-{:012}", n / 3),
            ),
        ]
    })
}

fn directory() -> tempfile::TempDir {
    match std::env::var_os("SAMPAN_BENCH_DIR") {
        Some(parent) => tempfile::tempdir_in(parent),
        None => tempfile::tempdir(),
    }
    .expect("a directory")
}

fn value() -> Encoded {
    let mut bytes = br#"{"metadata":{"resourceVersion":""},"data":""#.to_vec();
    bytes.resize(VALUE_BYTES - 2, b'x');
    bytes.extend_from_slice(br#""}"#);
    Encoded {
        bytes,
        revision_at: 32,
    }
}

fn report(name: &str, operations: usize, elapsed: Duration, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let at = |share: usize| {
        latencies
            .get(latencies.len() * share / 1000)
            .copied()
            .unwrap_or_default()
    };
    let rate = operations as u128 * 1_000_000 / elapsed.as_micros().max(1);
    eprintln!(
        "{name:<28} {rate:>9}/s  p50 {:>10.1?}  p99 {:>10.1?}",
        at(500),
        at(990)
    );
}

fn commit(runtime: &tokio::runtime::Runtime) {
    for (durability, writers) in [
        (Durability::Synced, 1),
        (Durability::Synced, 16),
        (Durability::Synced, 64),
        (Durability::Relaxed, 16),
    ] {
        let dir = directory();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(dir.path(), indexer()).expect("open"));
        let each = if writers == 1 { 4000 } else { 40_000 / writers };
        let start = Instant::now();
        let latencies = runtime.block_on(async {
            let mut tasks = JoinSet::new();
            for writer in 0..writers {
                let store = Arc::clone(&store);
                tasks.spawn(async move {
                    let mut latencies = Vec::with_capacity(each);
                    for n in 0..each {
                        let key = Key::new("pods", format!("ns-{writer}"), format!("web-{n}"));
                        let start = Instant::now();
                        let put = store
                            .put(key, Precondition::Absent, value(), durability)
                            .await;
                        put.expect("a put");
                        latencies.push(start.elapsed());
                    }
                    latencies
                });
            }
            tasks.join_all().await.concat()
        });
        let name = format!("commit {durability:?} {writers} writers");
        report(&name, each * writers, start.elapsed(), latencies);
    }
}

fn watch(runtime: &tokio::runtime::Runtime) {
    const UPDATES: usize = 500;
    for (watchers, term) in [(100, None), (1000, None), (5000, Some(()))] {
        let dir = directory();
        let store: Arc<dyn Store> = Arc::new(Embedded::open(dir.path(), indexer()).expect("open"));
        let latencies = runtime.block_on(async {
            let key = Key::new("pods", "a", "web-7");
            let put = store.put(
                key.clone(),
                Precondition::Absent,
                value(),
                Durability::Relaxed,
            );
            let mut last = put.await.expect("a put").revision;
            let mut tasks = JoinSet::new();
            let (seen, mut count) = tokio::sync::mpsc::unbounded_channel();
            for n in 0..watchers {
                let term = term.map(|()| Term::new("spec.nodeName", format!("node-{n}")));
                let scope = WatchScope {
                    terms: term.map(Into::into),
                    ..WatchScope::all("pods")
                };
                let mut watch = store.watch(scope, last).await.expect("a watch");
                let seen = seen.clone();
                tasks.spawn(async move {
                    while let Some(Ok(item)) = watch.next().await {
                        if let WatchItem::Event(_) = item {
                            seen.send(()).expect("a counter");
                        }
                    }
                });
            }
            let expected = if term.is_some() { 1 } else { watchers };
            let mut latencies = Vec::new();
            for _ in 0..UPDATES {
                let start = Instant::now();
                let precondition = Precondition::Revision(last);
                let put = store
                    .put(key.clone(), precondition, value(), Durability::Synced)
                    .await;
                last = put.expect("a put").revision;
                for _ in 0..expected {
                    count.recv().await.expect("a watcher");
                }
                latencies.push(start.elapsed());
            }
            latencies
        });
        let elapsed = latencies.iter().sum();
        let kind = if term.is_some() { "by node" } else { "all" };
        report(
            &format!("put to last of {watchers} ({kind})"),
            UPDATES,
            elapsed,
            latencies,
        );
    }
}

fn objects(runtime: &tokio::runtime::Runtime) {
    let dir = directory();
    let before = resident_kib();
    let store = Embedded::open(dir.path(), indexer()).expect("open");
    runtime.block_on(async {
        let store = &store;
        for batch in 0..OBJECTS / 100 {
            let puts = (0..100).map(|n| async move {
                let n = batch * 100 + n;
                let key = Key::new(
                    "pods",
                    format!("ns-{}", n % 100),
                    format!("web-7d4b9c6f5-{n}"),
                );
                store
                    .put(key, Precondition::Absent, value(), Durability::Relaxed)
                    .await
            });
            for put in futures::future::join_all(puts).await {
                put.expect("a put");
            }
        }
    });
    overhead("memory after writing", before, resident_kib());
    let in_one = Range {
        namespace: Some("ns-7".into()),
        ..Range::all("pods")
    };
    let on_node = Range {
        terms: vec![Term::new("spec.nodeName", "node-7").into()],
        ..Range::all("pods")
    };
    let page = Range {
        limit: Some(500),
        ..Range::all("pods")
    };
    for (name, range) in [
        ("list all 100,000", Range::all("pods")),
        ("list first 500", page),
        ("list namespace, 1,000", in_one),
        ("list node, 100", on_node),
    ] {
        runtime.block_on(async {
            let mut latencies = Vec::new();
            for _ in 0..20 {
                let start = Instant::now();
                store.range(range.clone()).await.expect("a page");
                latencies.push(start.elapsed());
            }
            report(name, 20, latencies.iter().sum(), latencies);
        });
    }
    let start = Instant::now();
    drop(store);
    eprintln!("close                        {:>10.1?}", start.elapsed());
    let before = resident_kib();
    let start = Instant::now();
    let store = Embedded::open(dir.path(), indexer()).expect("open");
    eprintln!("open with 100,000            {:>10.1?}", start.elapsed());
    overhead("memory after opening", before, resident_kib());
    drop(store);
}

fn overhead(name: &str, before: usize, after: usize) {
    let each = (after.saturating_sub(before) * 1024 / OBJECTS).saturating_sub(VALUE_BYTES);
    eprintln!("{name:<28} {after:>9} KiB  {each} bytes per object above its value");
}

/// Resident memory of this process.
fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}
