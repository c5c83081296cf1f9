//! Drives recorded requests through the kind table and compares with a stock server's answers.
//!
//! The counts of equal answers stand in `recordings.ratchet` and may only grow (`UPDATE=1` rewrites them). Admission
//! and managed fields belong to other crates: what they add is taken away before comparing.

mod addresses;
mod cases;
mod expressions;
mod harness;
mod order;
mod rules;

use std::collections::BTreeMap;

use harness::{
    Outcome, Recording, compare_change, compare_object, compare_refusal, compare_warnings,
};

fn data(file: &str) -> String {
    let path = format!(
        "{}/../../../shared/data/recordings/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read_to_string(path).unwrap()
}

fn ratchet_path() -> String {
    format!("{}/tests/recordings.ratchet", env!("CARGO_MANIFEST_DIR"))
}

fn ratchet() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(ratchet_path()).unwrap_or_default();
    let lines = text.lines().filter_map(|line| line.split_once(' '));
    lines
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .collect()
}

fn check(name: &str, outcomes: &[(String, Outcome)]) {
    let count = outcomes
        .iter()
        .filter(|(_, outcome)| outcome.is_equal())
        .count();
    println!("{name}: {count} of {}", outcomes.len());
    for (id, outcome) in outcomes {
        if let Outcome::Differs(why) = outcome {
            println!("  {id}: {why}");
        }
    }
    let mut known = ratchet();
    let least = known.get(name).copied().unwrap_or_default();
    if std::env::var_os("UPDATE").is_some() && count > least {
        known.insert(name.to_owned(), count);
        let lines: Vec<String> = known
            .iter()
            .map(|(name, count)| format!("{name} {count}\n"))
            .collect();
        std::fs::write(ratchet_path(), lines.concat()).unwrap();
    }
    assert!(
        count >= least,
        "{name}: {count} equal answers, there were {least}"
    );
}

#[test]
fn recordings_are_answered_as_a_stock_server_does() {
    let registry = crate::builtin();
    let recordings: Vec<Recording> = data("objects.jsonl")
        .lines()
        .map(|line| Recording::read(line).unwrap())
        .collect();
    let outcomes: Vec<(String, Outcome)> = recordings
        .iter()
        .filter(|recording| recording.is_in_scope())
        .map(|recording| (recording.id.clone(), compare_object(&registry, recording)))
        .collect();
    check("objects", &outcomes);
    let warnings: Vec<(String, Outcome)> = recordings
        .iter()
        .filter(|recording| recording.is_in_scope())
        .filter_map(|one| Some((one.id.clone(), compare_warnings(&registry, one)?)))
        .collect();
    check("warnings", &warnings);

    let refused = data("refused.jsonl");
    let mut exact = Vec::new();
    let mut causes = Vec::new();
    for line in refused.lines() {
        // `NS` stands for a fresh namespace.
        let mut line = line.to_owned();
        for (placeholder, name) in [
            ("/NS/", "/ns1/"),
            ("-NS", "-ns1"),
            (".NS.", ".ns1."),
            ("\"NS\"", "\"ns1\""),
        ] {
            line = line.replace(placeholder, name);
        }
        let line: serde_json::Value = serde_json::from_str(&line).unwrap();
        if let Some((by_cause, by_text)) =
            compare_refusal(&registry, &line).or_else(|| compare_change(&registry, &line))
        {
            let id = line["id"].as_str().unwrap().to_owned();
            causes.push((id.clone(), by_cause));
            exact.push((id, by_text));
        }
    }
    check("refused.causes", &causes);
    check("refused.text", &exact);
}

#[test]
fn expressions_are_answered_as_a_stock_server_does() {
    check("expressions", &expressions::outcomes(&crate::builtin()));
}

#[test]
fn what_a_stock_server_makes_at_start_is_sound_and_stays_as_it_is() {
    let registry = crate::builtin();
    let lists: BTreeMap<String, Vec<serde_json::Value>> =
        serde_json::from_str(&data("bootstrap-objects.json")).unwrap();
    for (path, objects) in lists {
        let kind = registry
            .resource(&harness::resource_of(&path).unwrap())
            .unwrap();
        for object in objects {
            let why = harness::is_settled(kind, &object);
            assert!(why.is_none(), "{path}: {}", why.unwrap_or_default());
        }
    }
}
