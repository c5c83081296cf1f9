//! Damaged store files: refused by name or recovered to a commit; never a panic, never a state that no commit left.

#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use store::{Durability, Embedded, Encoded, Key, Precondition, Range, Store as _, contract};
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

/// Keys in the store, each written this often.
const KEYS: u64 = 5;
const ROUNDS: u64 = 8;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    Builder::new_current_thread()
        .build()
        .expect("a runtime starts")
});

/// The files of a store that was closed in order, with their bytes.
static FILES: LazyLock<Vec<(PathBuf, Vec<u8>)>> = LazyLock::new(|| {
    let directory = directory();
    let opened = Embedded::open(directory.path(), contract::indexer()).expect("a new store opens");
    RUNTIME.block_on(async {
        for number in 0..KEYS * ROUNDS {
            let before = opened.get(&key(number)).await.expect("a key is read");
            let precondition = before.map_or(Precondition::Absent, |entry| {
                Precondition::Revision(entry.revision)
            });
            let value = Encoded {
                bytes: format!("rv=;n={number}").into_bytes(),
                revision_at: 3,
            };
            let put = opened
                .put(key(number), precondition, value, Durability::Synced)
                .await;
            put.expect("a value is written");
        }
    });
    drop(opened);
    let mut files = Vec::new();
    for entry in fs::read_dir(directory.path()).expect("a directory is read") {
        let path = entry.expect("an entry is read").path();
        if path.is_file() {
            let mut bytes = fs::read(&path).expect("a file is read");
            // What was zeroed ahead of the log says nothing and costs time.
            let end = bytes
                .iter()
                .rposition(|byte| *byte != 0)
                .map_or(0, |at| at + 1);
            bytes.truncate(end + 4096);
            files.push((
                path.file_name()
                    .map(PathBuf::from)
                    .expect("a file has a name"),
                bytes,
            ));
        }
    }
    files.sort();
    files
});

fuzz_target!(|input: &[u8]| {
    let Some((file, edits)) = input.split_first() else {
        return;
    };
    let directory = directory();
    for (at, (name, bytes)) in FILES.iter().enumerate() {
        let mut bytes = bytes.clone();
        if at == usize::from(*file) % FILES.len() {
            for edit in edits.chunks_exact(4) {
                damage(&mut bytes, edit);
            }
        }
        fs::write(directory.path().join(name), bytes).expect("a file is written");
    }
    let Some(first) = state(directory.path()) else {
        return;
    };
    assert_eq!(
        state(directory.path()),
        Some(first),
        "opening again finds the same"
    );
});

/// One edit: cut the file, or change a byte.
fn damage(bytes: &mut Vec<u8>, edit: &[u8]) {
    let [action, high, low, byte] = *edit else {
        return;
    };
    if bytes.is_empty() {
        return;
    }
    let at = usize::from(u16::from_be_bytes([high, low])) % bytes.len();
    match action % 4 {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= byte,
        2 => bytes[at] = byte,
        _ => bytes.insert(at, byte),
    }
}

/// What a store holds when it opens: values in order. `None` when it refuses.
fn state(directory: &Path) -> Option<Vec<Vec<u8>>> {
    let opened = Embedded::open(directory, contract::indexer()).ok()?;
    let page = RUNTIME
        .block_on(opened.range(Range::all("things")))
        .expect("a range is read");
    let values: Vec<Vec<u8>> = page
        .entries
        .iter()
        .map(|entry| entry.value.to_vec())
        .collect();
    let written: Vec<u64> = values.iter().map(|value| number(value)).collect();
    let newest = written.iter().copied().max().unwrap_or(0);
    // After write N, key K holds the newest number up to N that falls on K.
    for (key, number) in written.iter().enumerate() {
        let key = u64::try_from(key).expect("few keys");
        let expected = (0..=newest).rev().find(|number| number % KEYS == key);
        assert_eq!(Some(*number), expected, "no commit left {written:?}");
    }
    Some(values)
}

fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).expect("a value is text");
    let (_, number) = text.split_once("n=").expect("a value has a number");
    number.parse().expect("a number")
}

fn key(number: u64) -> Key {
    Key::new("things", "default", format!("key-{}", number % KEYS))
}

fn directory() -> TempDir {
    // Memory rather than disk where there is some: a store syncs its files.
    let memory = Path::new("/dev/shm");
    if memory.is_dir() {
        TempDir::new_in(memory)
    } else {
        TempDir::new()
    }
    .expect("a directory is made")
}
