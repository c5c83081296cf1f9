//! What must hold for every input (specification, section 13, items 4 to 6), tried on all samples and
//! cases with random damage. The seeds of failures are kept beside this file by the test library.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::LazyLock;

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use sampan_status::{
    Bundle, Config, Related, Status, Verdict, evaluate, pod_column, ready_column, relate,
    restarts_column,
};
use serde_json::{Value, json};

#[path = "cases/read.rs"]
mod read;

/// Damaged copies to try per property.
const CASES: u32 = 1500;

struct Sample {
    objects: Vec<Value>,
    now: Timestamp,
}

static SAMPLES: LazyLock<Vec<Sample>> = LazyLock::new(|| {
    let mut samples = Vec::new();
    for folder in ["corpus", "scenarios"] {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
            .join("../../../shared/data/status")
            .join(folder);
        let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
        let names: Vec<_> = index.lines().next().unwrap().split('\t').collect();
        let now = names.iter().position(|name| *name == "now").unwrap();
        for line in index.lines().skip(1) {
            let cells: Vec<_> = line.split('\t').collect();
            let text = fs::read_to_string(folder.join(cells[0])).unwrap();
            let options = serde_saphyr::options! {
                duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
            };
            samples.push(Sample {
                objects: serde_saphyr::from_multiple_with_options(&text, options).unwrap(),
                now: cells[now].parse().unwrap(),
            });
        }
    }
    let noon: Timestamp = "2026-01-15T12:00:00Z".parse().unwrap();
    for (_, objects) in read::FILES.into_iter().flat_map(read::cases) {
        samples.push(Sample { objects, now: noon });
    }
    assert!(samples.len() > 300, "{}", samples.len());
    samples
});

fn judge(objects: &[Value], now: Timestamp) -> Verdict {
    let (subject, others) = objects.split_first().unwrap();
    evaluate(subject, &relate(subject, others), now, &Config::spec())
}

/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(map) => map
            .iter()
            .map(|(key, child)| (key.clone(), child))
            .collect(),
        Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, child)| (index.to_string(), child))
            .collect(),
        _ => Vec::new(),
    };
    for (key, child) in children {
        let place = format!("{at}/{}", key.replace('~', "~0").replace('/', "~1"));
        places(child, &place, found);
        found.push(place);
    }
}

/// What a field may be turned into.
fn absurd(choice: usize) -> Option<Value> {
    [
        None,
        Some(Value::Null),
        Some(json!("")),
        Some(json!("wrong")),
        Some(json!(-1)),
        Some(json!(u64::MAX)),
        Some(json!(i64::MIN)),
        Some(json!(2_147_483_647)),
        Some(json!(0.5)),
        Some(json!(true)),
        Some(json!([])),
        Some(json!({})),
        Some(json!([null, 7, "x", {"type": "Ready"}])),
        Some(json!("9999-12-31T23:59:59Z")),
        Some(json!("0001-01-01T00:00:00Z")),
        Some(json!("\u{0} \u{202e}\n'; rm -rf \u{1f6a2}")),
    ]
    .into_iter()
    .cycle()
    .nth(choice)
    .flatten()
}

fn damage(objects: &mut [Value], hits: &[(Index, Index, usize)]) {
    for (which, place, choice) in hits {
        let object = which.get_mut(objects);
        let mut found = Vec::new();
        places(object, "", &mut found);
        if found.is_empty() {
            continue;
        }
        let place = place.get(&found);
        if let Some(value) = absurd(*choice) {
            *object.pointer_mut(place).unwrap() = value;
        } else {
            let (parent, key) = place.rsplit_once('/').unwrap();
            let key = key.replace("~1", "/").replace("~0", "~");
            match object.pointer_mut(parent).unwrap() {
                Value::Object(map) => {
                    map.remove(&key);
                }
                Value::Array(list) => {
                    list.remove(key.parse().unwrap());
                }
                _ => {}
            }
        }
    }
}

fn hits() -> impl Strategy<Value = Vec<(Index, Index, usize)>> {
    prop::collection::vec((any::<Index>(), any::<Index>(), 0..32usize), 0..9)
}

/// A sample with some damage.
fn damaged() -> impl Strategy<Value = (Vec<Value>, Timestamp)> {
    (0..SAMPLES.len(), hits()).prop_map(|(index, hits)| {
        let sample = &SAMPLES[index];
        let mut objects = sample.objects.clone();
        damage(&mut objects, &hits);
        (objects, sample.now)
    })
}

fn is_bad(verdict: &Verdict) -> bool {
    matches!(verdict.status, Status::NotReady | Status::Exception)
}

/// The words that must not differ between two evaluations.
fn words(verdict: &Verdict) -> String {
    let mut value = serde_json::to_value(verdict).unwrap();
    value.as_object_mut().unwrap().remove("recheckAt");
    value.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: CASES, ..ProptestConfig::default() })]

    #[test]
    fn any_damage_gets_a_lawful_verdict((objects, now) in damaged()) {
        let verdict = judge(&objects, now);
        prop_assert!(!verdict.reason.is_empty());
        prop_assert!(!verdict.reason.contains(char::is_whitespace), "{}", verdict.reason);
        prop_assert!(!verdict.message.en.is_empty());
        prop_assert!(!verdict.message.zh.is_empty());
        prop_assert_eq!(verdict.cause.as_ref(), verdict.causes.first());
        prop_assert!(verdict.recheck_at.is_none_or(|at| at > now));
        for object in &objects {
            let _ = (pod_column(object), ready_column(object), restarts_column(object));
        }
    }

    #[test]
    fn the_order_of_related_objects_does_not_matter(
        ((objects, now), order) in damaged().prop_flat_map(|(objects, now)| {
            let others: Vec<_> = (1..objects.len()).collect();
            (Just((objects, now)), Just(others).prop_shuffle())
        })
    ) {
        let mut shuffled = vec![objects[0].clone()];
        shuffled.extend(order.into_iter().map(|index| objects[index].clone()));
        prop_assert_eq!(words(&judge(&objects, now)), words(&judge(&shuffled, now)));
    }

    #[test]
    fn evaluating_twice_gives_the_same((objects, now) in damaged()) {
        prop_assert_eq!(judge(&objects, now), judge(&objects, now));
    }

    #[test]
    fn losing_events_never_heals((objects, now) in damaged(), keep in any::<u64>()) {
        let before = judge(&objects, now);
        let mut position = 0;
        let fewer: Vec<_> = objects.iter().enumerate().filter(|(index, object)| {
            position += 1;
            *index == 0 || object["kind"] != "Event" || keep & (1 << (position % 64)) != 0
        }).map(|(_, object)| object.clone()).collect();
        let after = judge(&fewer, now);
        prop_assert!(
            !is_bad(&before) || !matches!(after.status, Status::Running | Status::Succeeded),
            "{} became {}", before.message.en, after.message.en
        );
    }

    #[test]
    fn nothing_changes_until_the_recheck((objects, now) in damaged(), share in 0.0..1.0f64) {
        let verdict = judge(&objects, now);
        let end = verdict.recheck_at.map_or_else(
            || now + SignedDuration::from_hours(24 * 365),
            |at| at - SignedDuration::from_secs(1),
        );
        prop_assert_eq!(words(&verdict), words(&judge(&objects, end.max(now))));
        let between = now + SignedDuration::from_secs_f64((end.duration_since(now)).as_secs_f64() * share);
        prop_assert_eq!(words(&verdict), words(&judge(&objects, between.clamp(now, end.max(now)))));
    }

    #[test]
    fn unrelated_objects_change_nothing(index in 0..SAMPLES.len()) {
        let sample = &SAMPLES[index];
        let mut more = sample.objects.clone();
        let (subject, others) = sample.objects.split_first().unwrap();
        let related = relate(subject, others);
        if related.nodes.is_some() {
            more.push(json!({"kind": "Node", "metadata": {"name": "elsewhere"}}));
        }
        if related.events.is_some() {
            more.push(json!({"kind": "Event", "type": "Warning", "reason": "FailedCreate",
                "involvedObject": {"kind": "Pod", "uid": "nobody"}}));
        }
        if related.pods.is_some() {
            more.push(json!({"kind": "Pod", "metadata": {"name": "stranger", "namespace": "elsewhere"},
                "status": {"phase": "Failed"}}));
        }
        more.push(json!({"kind": "Secret", "metadata": {"name": "s"}}));
        prop_assert_eq!(words(&judge(&sample.objects, sample.now)), words(&judge(&more, sample.now)));
    }
}

#[test]
fn every_single_deletion_is_survived() {
    for sample in SAMPLES.iter() {
        for (index, object) in sample.objects.iter().enumerate() {
            let mut found = Vec::new();
            places(object, "", &mut found);
            let step = found.len().div_ceil(40).max(1);
            for place in found.iter().step_by(step) {
                let mut objects = sample.objects.clone();
                *objects[index].pointer_mut(place).unwrap() = Value::Null;
                judge(&objects, sample.now);
            }
        }
    }
}

#[test]
fn a_bundle_of_anything_is_read_or_refused() {
    for documents in [
        vec![],
        vec![Value::Null],
        vec![json!(1)],
        vec![json!({"a": 1})],
    ] {
        assert_eq!(Bundle::new(documents), None);
    }
    let verdict = evaluate(
        &json!({"kind": "Deployment"}),
        &Related::default(),
        Timestamp::UNIX_EPOCH,
        &Config::spec(),
    );
    assert_eq!(verdict.status, Status::Waiting);
}
