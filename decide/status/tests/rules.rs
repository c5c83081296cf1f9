//! Hand-written cases for every rule, named by its id: `cases/*.yaml`.
//!
//! Each document is a case. `base` names a document of `cases/bases.yaml` that `subject` is merged
//! over (`null` removes a field); so do the entries of `related`. `expect` is "status reason severity",
//! then the sub-reason if there is one; `says` must stand in the English message, `zh` in the Chinese
//! one; `step` must be the code of the first next step, `command` stand in its command. The time is
//! noon of 15 January 2026. `scenarios.yaml` holds whole situations, after the numbers of
//! `status-faults.md` where it names them; `odd.yaml` what no sample shows.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

use std::collections::BTreeSet;

use sampan_status::{Bundle, Config, evaluate};

#[path = "cases/read.rs"]
mod read;

use read::{FILES, cases};

/// Runs a file of cases and answers with their differences.
fn differences(file: &str) -> Vec<String> {
    let now = "2026-01-15T12:00:00Z".parse().unwrap();
    let mut found = Vec::new();
    for (case, objects) in cases(file) {
        let id = case["rule"].as_str().unwrap();
        let bundle = Bundle::new(objects).unwrap();
        let verdict = evaluate(bundle.subject(), &bundle.related(), now, &Config::spec());
        let mut words = vec![
            verdict.status.token().to_owned(),
            verdict.reason.clone(),
            verdict.severity.token().to_owned(),
        ];
        words.extend(verdict.sub_reason.clone());
        let (actual, expected) = (words.join(" "), case["expect"].as_str().unwrap());
        let says = case["says"].as_str().unwrap_or_default();
        let step = case["step"].as_str().unwrap_or_default();
        let first = verdict
            .next_steps
            .first()
            .map_or("", |step| step.code.as_str());
        let command = case["command"].as_str().unwrap_or_default();
        let told = verdict
            .next_steps
            .first()
            .and_then(|step| step.command.clone());
        let zh = case["zh"].as_str().unwrap_or_default();
        let is_translated = verdict.message.zh.chars().any(|each| each >= '\u{4e00}');
        if actual != expected
            || !verdict.message.en.contains(says)
            || !verdict.message.zh.contains(zh)
            || !is_translated
            || !(step.is_empty() || step == first)
            || !(command.is_empty() || told.is_some_and(|told| told.contains(command)))
        {
            found.push(format!(
                "{id}: expected {expected} [{says}] [{step}], got {actual} [{}] [{}] [{first}]",
                verdict.message.en, verdict.message.zh
            ));
        }
    }
    found
}

#[test]
fn pods() {
    assert_eq!(differences("pods.yaml"), Vec::<String>::new());
}

#[test]
fn replicated() {
    assert_eq!(differences("replicated.yaml"), Vec::<String>::new());
}

#[test]
fn jobs() {
    assert_eq!(differences("jobs.yaml"), Vec::<String>::new());
}

#[test]
fn custom() {
    assert_eq!(differences("custom.yaml"), Vec::<String>::new());
}

#[test]
fn scenarios() {
    assert_eq!(differences("scenarios.yaml"), Vec::<String>::new());
}

#[test]
fn odd() {
    assert_eq!(differences("odd.yaml"), Vec::<String>::new());
}

#[test]
fn every_rule_has_a_case() {
    let ids = "C1a C1b C1c C2a C2b P1a P1b P1c P2 P3 P4 P4b P5 P6a P6b P6c P6d P6e P7a P7b P7c P7d \
               P8a P8b P8c P8d CB P9 P10 P11 P12 D1 D2 D3 D4 D5 D6 D7a D7b D7c D8 D9 D10 D11 D12 D13 G3 G6 G7 \
               RS S1 S4b S5 S6 S7a S7b S8 S9 S10 S11 S11b S12 S13 DS1 DS2 DS4 DS4b DS5 DS6 DS7 DS8 DS9 \
               DS10 DS11 J1 J2a J2b J2c J3 J3b J4 J5 J6 J7 J8 J9 J10 J11 J12 CJ1 CJ2 CJ3 CJ4 CJ5 CJ6 CJ7 \
               CJ8 CJ9 CJ10 CJ11 X1 X2 X3 X4 X5 X6 X7 X8 X9 X10";
    let tried: BTreeSet<String> = FILES
        .into_iter()
        .flat_map(cases)
        .flat_map(|(case, _)| {
            let ids = case["rule"]
                .as_str()
                .unwrap()
                .split(':')
                .next()
                .unwrap()
                .to_owned();
            ids.split(' ').map(str::to_owned).collect::<Vec<_>>()
        })
        .collect();
    let missing: Vec<_> = ids
        .split_whitespace()
        .filter(|id| !tried.contains(*id))
        .collect();
    assert_eq!(missing, Vec::<&str>::new());
}
