//! The embedded store under restarts, tears, cuts, flips, missing files, full and failing disks.

mod missing;

use std::{
    collections::BTreeMap,
    fs,
    io::ErrorKind,
    ops::Range as Span,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use tempfile::TempDir;

use super::{faults::Operation, *};
use crate::{WatchItem, WatchScope, contract};

/// Longest wait for something that another thread does.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Small files, so that a few writes fill several of them.
const SMALL: Sizes = Sizes {
    first_segment_bytes: 4096,
    segment_bytes: 8192,
    checkpoint_bytes_min: 1 << 30,
};

fn open_small(path: &Path, sizes: Sizes) -> Result<Embedded, OpenError> {
    Embedded::open_with(path, contract::indexer(), sizes, Faults::default())
}

fn value(text: &str) -> Encoded {
    Encoded {
        bytes: format!("rv=;n={text}").into_bytes(),
        revision_at: 3,
    }
}

async fn put(store: &Embedded, name: &str, text: &str) -> Result<Entry, StoreError> {
    let key = Key::new("pods", "a", name);
    let precondition = match store.get(&key).await? {
        Some(old) => Precondition::Revision(old.revision),
        None => Precondition::Absent,
    };
    store
        .put(key, precondition, value(text), Durability::Synced)
        .await
}

async fn remove(store: &Embedded, name: &str) -> Result<Entry, StoreError> {
    let key = Key::new("pods", "a", name);
    let old = store.get(&key).await?.expect("an object to delete");
    store
        .delete(key, old.revision, value("gone"), Durability::Synced)
        .await
}

async fn objects(store: &Embedded) -> Vec<Entry> {
    store.snapshot().await.unwrap().entries
}

/// The directory as a crash at this moment would leave it.
fn crash(dir: &Path) -> TempDir {
    let image = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), image.path().join(entry.file_name())).unwrap();
    }
    image
}

fn files(dir: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap());
    let mut files: Vec<_> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(prefix))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}

/// Where the frames of a segment stand.
fn frames(bytes: &[u8], id: u64) -> Vec<Span<usize>> {
    let mut spans = Vec::new();
    let mut offset = segment::SEGMENT_HEAD_BYTES;
    while let frame::Parsed::Frame { bytes: size, .. } = frame::parse(&bytes[offset..], id) {
        spans.push(offset..offset + size);
        offset += size;
    }
    spans
}

/// A crashed store of one segment with ten commits, and the state after each of them.
async fn ten_commits() -> (TempDir, Vec<Vec<Entry>>) {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    let mut states = vec![Vec::new()];
    for n in 0..10 {
        match n {
            6 => remove(&store, "web-2").await.unwrap(),
            _ => put(&store, &format!("web-{}", n % 4), &n.to_string())
                .await
                .unwrap(),
        };
        states.push(objects(&store).await);
    }
    (crash(dir.path()), states)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fulfils_the_contract() {
    let dir = tempfile::tempdir().unwrap();
    let mut opened = 0;
    contract::run(|| {
        opened += 1;
        let path = dir.path().join(opened.to_string());
        async move { Arc::new(Embedded::open(path, contract::indexer()).unwrap()) as _ }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_histories_match_a_map_over_restarts_and_checkpoints() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = Sizes {
        checkpoint_bytes_min: 32 << 10,
        ..SMALL
    };
    let mut before = Vec::new();
    for seed in 0..8 {
        let store = Arc::new(open_small(dir.path(), sizes).unwrap());
        assert_eq!(objects(&store).await, before, "seed {seed}");
        let subject: contract::Subject = Arc::clone(&store) as _;
        contract::check_history(&subject, seed, 200).await;
        before = objects(&store).await;
    }
    let segments = files(dir.path(), "log-").len();
    assert!(segments < 30, "{segments} segments were kept");
    // A close may fall between a finished checkpoint and the removal of the one it replaces, which the next one then
    // removes too.
    let checkpoints = files(dir.path(), "state-").len();
    assert!(
        (1..=2).contains(&checkpoints),
        "{checkpoints} checkpoints were kept"
    );
}

#[tokio::test]
async fn closed_store_opens_as_it_was_and_skips_no_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    let first = put(&store, "web", "1").await.unwrap();
    let second = put(&store, "web", "2").await.unwrap();
    let gone = put(&store, "db", "1").await.unwrap();
    let deleted = remove(&store, "db").await.unwrap();
    drop(store);
    let store = open_small(dir.path(), SMALL).unwrap();
    assert_eq!(store.repairs(), []);
    assert_eq!(objects(&store).await, std::slice::from_ref(&second));
    assert_eq!(store.revision(), deleted.revision);
    let mut watch = store
        .watch(WatchScope::all("pods"), first.revision)
        .await
        .unwrap();
    let mut seen = Vec::new();
    while let Some(Ok(WatchItem::Event(event))) = watch.next().await {
        seen.push(event.entry.clone());
    }
    assert_eq!(seen, [second, gone, deleted.clone()]);
    assert_eq!(
        put(&store, "web", "3").await.unwrap().revision,
        deleted.revision.next()
    );
}

#[tokio::test]
async fn crashed_store_keeps_everything_and_repeats_no_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    put(&store, "web", "1").await.unwrap();
    let last = put(&store, "db", "1").await.unwrap();
    let image = crash(dir.path());
    let unseen = put(&store, "web", "2").await.unwrap();
    let store = open_small(image.path(), SMALL).unwrap();
    assert_eq!(store.repairs(), []);
    assert_eq!(objects(&store).await.len(), 2);
    assert!(store.revision() > unseen.revision);
    store
        .watch(WatchScope::all("pods"), last.revision)
        .await
        .unwrap();
    store
        .watch(WatchScope::all("pods"), store.revision())
        .await
        .unwrap();
    // Whoever saw what the crash took must list anew.
    let lost = store.watch(WatchScope::all("pods"), unseen.revision).await;
    assert!(
        matches!(lost, Err(StoreError::Compacted { .. })),
        "{lost:?}"
    );
    let lost = store
        .range(Range {
            at: Some(unseen.revision),
            ..Range::all("pods")
        })
        .await;
    assert!(
        matches!(lost, Err(StoreError::Compacted { .. })),
        "{lost:?}"
    );
    assert!(put(&store, "web", "3").await.unwrap().revision > unseen.revision);
}

#[tokio::test]
async fn torn_last_commit_is_named_and_cut_off() {
    let (image, states) = ten_commits().await;
    let log = files(image.path(), "log-").remove(0);
    let mut bytes = fs::read(&log).unwrap();
    let last = frames(&bytes, 1).pop().unwrap();
    for (cut, tear) in [
        (last.end - 9, 0),
        (last.start + 50, 0xff),
        (last.start + 1, 0),
    ] {
        bytes[cut..last.end].fill(tear);
        fs::write(&log, &bytes).unwrap();
        let image = crash(image.path());
        let store = open_small(image.path(), SMALL).unwrap();
        assert_eq!(objects(&store).await, states[9]);
        let [repair] = store.repairs() else {
            panic!("{:?}", store.repairs())
        };
        assert_eq!(
            (&*repair.file, repair.offset),
            (&*files(image.path(), "log-")[0], last.start as u64)
        );
        assert_eq!(repair.detail, "the last commit is torn");
        // What is written after the repair is there next time, and the tear is no news any more.
        put(&store, "after", "1").await.unwrap();
        let before = objects(&store).await;
        drop(store);
        let store = open_small(image.path(), SMALL).unwrap();
        assert_eq!(store.repairs(), []);
        assert_eq!(objects(&store).await, before);
    }
}

#[tokio::test]
async fn cut_file_is_recovered_to_its_last_whole_commit() {
    let (image, states) = ten_commits().await;
    let log = files(image.path(), "log-").remove(0);
    let bytes = fs::read(&log).unwrap();
    let spans = frames(&bytes, 1);
    for length in (0..bytes.len()).step_by(41) {
        let image = crash(image.path());
        let log = files(image.path(), "log-").remove(0);
        fs::write(&log, &bytes[..length]).unwrap();
        match open_small(image.path(), SMALL) {
            Ok(store) => {
                let whole = spans.iter().filter(|span| span.end <= length).count();
                assert_eq!(objects(&store).await, states[whole], "cut at {length}");
                assert_eq!(store.repairs().len(), 1, "cut at {length}");
            }
            Err(OpenError::Corrupt { file, .. }) => {
                assert_eq!(file, log);
                assert!(length < segment::SEGMENT_HEAD_BYTES, "cut at {length}");
            }
            Err(error) => panic!("cut at {length}: {error}"),
        }
    }
}

#[tokio::test]
async fn damage_to_durable_commits_is_refused_by_name() {
    let (image, states) = ten_commits().await;
    let log = files(image.path(), "log-").remove(0);
    let bytes = fs::read(&log).unwrap();
    let spans = frames(&bytes, 1);
    let durable = spans[0].start..spans[8].end;
    for at in (0..durable.end).step_by(7) {
        let image = crash(image.path());
        let log = files(image.path(), "log-").remove(0);
        let mut bytes = bytes.clone();
        bytes[at] ^= 0x10;
        fs::write(&log, &bytes).unwrap();
        match open_small(image.path(), SMALL) {
            Err(OpenError::Corrupt { file, offset, .. }) => {
                let begin = spans
                    .iter()
                    .find(|span| span.contains(&at))
                    .map_or(0, |s| s.start);
                assert_eq!((file, offset), (log, begin as u64), "byte {at}");
            }
            // Padding carries nothing.
            Ok(store) => assert_eq!(objects(&store).await, states[10], "byte {at}"),
            Err(error) => panic!("byte {at}: {error}"),
        }
    }
}

#[tokio::test]
async fn power_loss_takes_only_relaxed_commits() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    let mut states = vec![Vec::new()];
    let mut synced = 0;
    for n in 0..24 {
        let durability = if n % 8 < 3 {
            Durability::Synced
        } else {
            Durability::Relaxed
        };
        let key = Key::new("pods", "a", format!("web-{n}"));
        store
            .put(key, Precondition::Absent, value("1"), durability)
            .await
            .unwrap();
        states.push(objects(&store).await);
        if durability == Durability::Synced {
            synced = states.len() - 1;
        }
    }
    let image = crash(dir.path());
    let log = files(image.path(), "log-").remove(0);
    let bytes = fs::read(&log).unwrap();
    let spans = frames(&bytes, 1);
    let safe = spans[synced - 1].end;
    for lost in 0..1 << 8 {
        // The medium writes back what was not synced in pieces, in any order, or not at all.
        let mut bytes = bytes.clone();
        for (piece, chunk) in bytes[safe..spans[23].end].chunks_mut(64).enumerate() {
            if lost >> (piece % 8) & 1 == 1 {
                chunk.fill(0);
            }
        }
        let image = crash(image.path());
        fs::write(files(image.path(), "log-").remove(0), &bytes).unwrap();
        let store = open_small(image.path(), SMALL).unwrap();
        let found = objects(&store).await;
        assert!(
            states[synced..].contains(&found),
            "lost {lost:b}: {} objects",
            found.len()
        );
        assert!(store.revision().0 > 24);
    }
}

#[tokio::test]
async fn random_damage_never_panics_nor_invents() {
    let (image, states) = ten_commits().await;
    let log = files(image.path(), "log-").remove(0);
    let bytes = fs::read(&log).unwrap();
    let mut random = fastrand::Rng::with_seed(0x5a3b_11d7);
    let mut next = |bound: usize| random.usize(..bound);
    for round in 0..300 {
        let mut bytes = bytes.clone();
        for _ in 0..=next(3) {
            let start = next(1400);
            let end = start + 1 + next(200);
            match next(3) {
                0 => bytes[start..end].fill(0),
                1 => bytes[start..end].reverse(),
                _ => bytes.copy_within(start..end, next(1400)),
            }
        }
        let image = crash(image.path());
        fs::write(files(image.path(), "log-").remove(0), &bytes).unwrap();
        if let Ok(store) = open_small(image.path(), SMALL) {
            let found = objects(&store).await;
            assert!(states.contains(&found), "round {round}: {found:?}");
        }
    }
}

#[tokio::test]
async fn checkpoint_bounds_the_log_and_damage_to_it_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let sizes = Sizes {
        checkpoint_bytes_min: 20_000,
        ..SMALL
    };
    let store = open_small(dir.path(), sizes).unwrap();
    // Checkpoints are another thread's work, which a busy machine may put off for long.
    let bounded = async {
        let mut n = 0;
        while n < 3000 || files(dir.path(), "log-").len() >= 12 {
            put(&store, &format!("web-{}", n % 50), &n.to_string())
                .await
                .unwrap();
            n += 1;
        }
    };
    tokio::time::timeout(WAIT_MAX, bounded)
        .await
        .expect("the log is bounded");
    let before = objects(&store).await;
    drop(store);
    let store = open_small(dir.path(), sizes).unwrap();
    assert_eq!(objects(&store).await, before);
    drop(store);
    let checkpoint = files(dir.path(), "state-").pop().expect("a checkpoint");
    let bytes = fs::read(&checkpoint).unwrap();
    for at in (0..bytes.len() - frame::ALIGNMENT).step_by(97) {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(&checkpoint, &damaged).unwrap();
        let refused = open_small(dir.path(), sizes).unwrap_err();
        assert!(matches!(&refused, OpenError::Corrupt { file, .. } if *file == checkpoint));
        fs::write(&checkpoint, &bytes[..at]).unwrap();
        let refused = open_small(dir.path(), sizes).unwrap_err();
        assert!(matches!(&refused, OpenError::Corrupt { file, .. } if *file == checkpoint));
    }
    fs::remove_file(&checkpoint).unwrap();
    let refused = open_small(dir.path(), sizes).unwrap_err();
    assert!(matches!(refused, OpenError::Corrupt { .. }), "{refused}");
}

#[tokio::test]
async fn failed_commit_never_happened_and_the_next_one_does() {
    for operation in [Operation::Append, Operation::Sync] {
        let dir = tempfile::tempdir().unwrap();
        let faults = Faults::default();
        let store =
            Embedded::open_with(dir.path(), contract::indexer(), SMALL, faults.clone()).unwrap();
        let first = put(&store, "web", "1").await.unwrap();
        faults.plan(Some((operation, ErrorKind::Other)));
        for _ in 0..3 {
            let failed = put(&store, "web", "2").await;
            assert!(
                matches!(failed, Err(StoreError::Commit { .. })),
                "{failed:?}"
            );
        }
        assert_eq!(objects(&store).await, std::slice::from_ref(&first));
        assert_eq!(store.revision(), first.revision);
        faults.plan(None);
        let second = put(&store, "web", "3").await.unwrap();
        assert!(
            second.revision > first.revision.next(),
            "the failed revisions are burnt"
        );
        let image = crash(dir.path());
        let store = open_small(image.path(), SMALL).unwrap();
        assert_eq!(objects(&store).await, [second], "{operation:?}");
        assert_eq!(store.repairs(), []);
    }
}

#[tokio::test]
async fn full_disk_refuses_writes_until_there_is_room() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let store =
        Embedded::open_with(dir.path(), contract::indexer(), SMALL, faults.clone()).unwrap();
    faults.plan(Some((Operation::Create, ErrorKind::StorageFull)));
    let mut acknowledged = BTreeMap::new();
    let full = loop {
        let name = format!("web-{}", acknowledged.len());
        match put(&store, &name, "1").await {
            Ok(entry) => acknowledged.insert(name, entry),
            Err(error) => break error,
        };
    };
    assert!(matches!(full, StoreError::Full { .. }), "{full}");
    assert!(
        acknowledged.len() > 10,
        "the present segment is used up first"
    );
    assert!(matches!(
        put(&store, "more", "1").await,
        Err(StoreError::Full { .. })
    ));
    assert_eq!(objects(&store).await.len(), acknowledged.len());
    let held: Vec<_> = {
        let image = crash(dir.path());
        objects(&open_small(image.path(), SMALL).unwrap()).await
    };
    assert_eq!(held, objects(&store).await);
    faults.plan(None);
    put(&store, "more", "1").await.unwrap();
    let before = objects(&store).await;
    drop(store);
    assert_eq!(
        objects(&open_small(dir.path(), SMALL).unwrap()).await,
        before
    );
}

#[tokio::test]
async fn large_values_get_a_segment_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    put(&store, "small", "1").await.unwrap();
    let large = put(&store, "large", &"x".repeat(100_000)).await.unwrap();
    put(&store, "small", "2").await.unwrap();
    drop(store);
    let store = open_small(dir.path(), SMALL).unwrap();
    assert_eq!(store.get(&large.key).await.unwrap(), Some(large));
}

#[tokio::test]
async fn second_instance_is_refused_while_the_first_runs() {
    let dir = tempfile::tempdir().unwrap();
    let store = open_small(dir.path(), SMALL).unwrap();
    let refused = open_small(dir.path(), SMALL).unwrap_err();
    assert!(
        matches!(refused, OpenError::Owned { pid: Some(_), .. }),
        "{refused}"
    );
    drop(store);
    open_small(dir.path(), SMALL).unwrap();
}

#[tokio::test]
async fn relaxed_writes_sync_only_to_reserve_revisions() {
    let dir = tempfile::tempdir().unwrap();
    let faults = Faults::default();
    let store =
        Embedded::open_with(dir.path(), contract::indexer(), SMALL, faults.clone()).unwrap();
    let renew = async |name: &str| {
        let key = Key::new("leases", "a", name);
        store
            .put(key, Precondition::Absent, value("1"), Durability::Relaxed)
            .await
    };
    faults.plan(Some((Operation::Sync, ErrorKind::Other)));
    let unreserved = renew("node-1").await;
    assert!(
        matches!(unreserved, Err(StoreError::Commit { .. })),
        "{unreserved:?}"
    );
    faults.plan(None);
    renew("node-1").await.unwrap();
    faults.plan(Some((Operation::Sync, ErrorKind::Other)));
    renew("node-2").await.unwrap();
    let image = crash(dir.path());
    assert_eq!(
        objects(&open_small(image.path(), SMALL).unwrap()).await,
        objects(&store).await
    );
}

/// Runs on the small file system that `SAMPAN_SMALL_DISK` names, such as
/// `mount -t tmpfs -o size=90m tmpfs DIR`; without it there is nothing to fill.
#[tokio::test]
async fn really_full_disk_refuses_writes_until_there_is_room() {
    let Some(disk) = std::env::var_os("SAMPAN_SMALL_DISK") else {
        return;
    };
    let dir = tempfile::tempdir_in(&disk).unwrap();
    let ballast: Vec<_> = (0..3)
        .map(|n| dir.path().join(format!("ballast-{n}")))
        .collect();
    for file in &ballast {
        fs::write(file, vec![1; 5 << 20]).unwrap();
    }
    let store = Embedded::open(dir.path().join("store"), contract::indexer()).unwrap();
    let text = "x".repeat(10_000);
    let mut written = 0;
    for file in &ballast {
        let full = loop {
            match put(&store, &format!("web-{written}"), &text).await {
                Ok(_) => written += 1,
                Err(error) => break error,
            }
        };
        assert!(matches!(full, StoreError::Full { .. }), "{full:?}");
        assert_eq!(objects(&store).await.len(), written);
        fs::remove_file(file).unwrap();
        put(&store, &format!("web-{written}"), &text).await.unwrap();
        written += 1;
    }
    let before = objects(&store).await;
    drop(store);
    let store = Embedded::open(dir.path().join("store"), contract::indexer()).unwrap();
    assert_eq!(objects(&store).await, before);
}
