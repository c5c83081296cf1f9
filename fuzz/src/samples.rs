//! Real objects and situations, read once from the folder that `SAMPAN_FUZZ_DATA` names.

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use jiff::Timestamp;
use kinds::schema::{Schema, builtin_kind};
use meta::{Gvk, ObjectExt};
use serde_json::Value;

/// Objects as a stock server completed them, with the schema of their kind.
pub static OBJECTS: LazyLock<Vec<(Gvk, Schema, Value)>> = LazyLock::new(objects);

/// Situations: the subject, what is around it, and the time to judge at.
pub static SITUATIONS: LazyLock<Vec<(Vec<Value>, Timestamp)>> = LazyLock::new(situations);

/// The sample that the first two bytes name, and the rest of the input.
pub fn pick<'a, T>(samples: &'a [T], input: &'a [u8]) -> Option<(&'a T, &'a [u8])> {
    let [high, low, rest @ ..] = input else {
        return None;
    };
    let at = usize::from(u16::from_be_bytes([*high, *low])) % samples.len();
    Some((&samples[at], rest))
}

/// The kind that an object says it is of.
pub fn kind_of(object: &Value) -> Option<Gvk> {
    let (group, version) = meta::id::split_api_version(object.api_version())?;
    Some(Gvk {
        group: group.to_owned(),
        version: version.to_owned(),
        kind: object.kind().to_owned(),
    })
}

fn folder() -> PathBuf {
    let given = std::env::var_os("SAMPAN_FUZZ_DATA").map(PathBuf::from);
    given.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"))
}

fn objects() -> Vec<(Gvk, Schema, Value)> {
    let path = folder().join("recordings/objects.jsonl");
    let text = fs::read_to_string(&path).expect("the recordings are where SAMPAN_FUZZ_DATA says");
    let recorded = text.lines().filter_map(|line| {
        let mut line: Value = serde_json::from_str(line).expect("a recording is JSON");
        let object = line.get_mut("object")?.take();
        let kind = kind_of(&object)?;
        let schema = builtin_kind(&kind)?;
        Some((kind, schema, object))
    });
    recorded.collect()
}

fn situations() -> Vec<(Vec<Value>, Timestamp)> {
    let mut found = Vec::new();
    for part in ["corpus", "scenarios"] {
        let folder = folder().join("status").join(part);
        let index =
            fs::read_to_string(folder.join("index.tsv")).expect("the samples have an index");
        let mut lines = index
            .lines()
            .map(|line| line.split('\t').collect::<Vec<_>>());
        let head = lines.next().expect("an index has a head");
        let now = head
            .iter()
            .position(|name| *name == "now")
            .expect("an index names a time");
        for line in lines {
            let text = fs::read_to_string(folder.join(line[0])).expect("an index names files");
            let Ok(objects) = wire::yaml::read_all(&text) else {
                continue;
            };
            found.push((objects, line[now].parse().expect("a time")));
        }
    }
    assert!(!found.is_empty(), "no situation could be read");
    found
}
