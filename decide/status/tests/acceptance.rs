//! The samples of the specification's section 13: real objects of other projects, and situations of
//! our own. Each has an evaluation time and the expected verdict.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "the helpers of tests fail as tests do"
)]

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use jiff::Timestamp;
use sampan_status::{Bundle, Config, Verdict, evaluate, pod_column};
use serde_json::Value;

/// Share of scenarios whose English message holds the expected phrase, in percent.
const PHRASES_PERCENT_MIN: usize = 95;

struct Sample {
    bundle: Bundle,
    row: BTreeMap<String, String>,
}

impl Sample {
    fn cell(&self, name: &str) -> &str {
        self.row.get(name).map_or("", String::as_str)
    }

    fn now(&self) -> Timestamp {
        self.cell("now").parse().unwrap()
    }

    fn evaluate(&self) -> Verdict {
        evaluate(
            self.bundle.subject(),
            &self.bundle.related(),
            self.now(),
            &Config::spec(),
        )
    }
}

fn data(folder: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/data/status")
        .join(folder)
}

fn documents(text: &str) -> Vec<Value> {
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
    };
    serde_saphyr::from_multiple_with_options(text, options).unwrap()
}

fn samples(folder: &str) -> Vec<Sample> {
    let folder = data(folder);
    let index = fs::read_to_string(folder.join("index.tsv")).unwrap();
    let mut lines = index.lines();
    let names: Vec<_> = lines.next().unwrap().split('\t').collect();
    lines
        .map(|line| {
            let row: BTreeMap<_, _> = names
                .iter()
                .map(|name| (*name).to_owned())
                .zip(line.split('\t').map(str::to_owned))
                .collect();
            let text = fs::read_to_string(folder.join(&row["file"])).unwrap();
            let bundle = Bundle::new(documents(&text)).unwrap();
            Sample { bundle, row }
        })
        .collect()
}

fn differences(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    for sample in samples(folder) {
        if sample.cell("our_status") == "-" {
            continue;
        }
        let verdict = sample.evaluate();
        let mut expected = format!(
            "{} {} {}",
            sample.cell("our_status"),
            sample.cell("our_reason"),
            sample.cell("our_severity")
        );
        let mut actual = format!(
            "{} {} {}",
            verdict.status.token(),
            verdict.reason,
            verdict.severity.token()
        );
        if sample.row.contains_key("our_subReason") {
            expected = format!("{expected} {}", sample.cell("our_subReason"));
            let sub_reason = verdict.sub_reason.as_deref().unwrap_or_default();
            actual = format!("{actual} {sub_reason}");
        }
        if expected != actual {
            found.push(format!(
                "{}: expected {expected}, got {actual} ({})",
                sample.cell("file"),
                verdict.message.en
            ));
        }
    }
    found
}

#[test]
fn corpus_verdicts_are_equal() {
    assert_eq!(differences("corpus"), Vec::<String>::new());
}

#[test]
fn scenario_verdicts_are_equal() {
    assert_eq!(differences("scenarios"), Vec::<String>::new());
}

#[test]
fn the_status_column_is_what_kubectl_shows() {
    let mut compared = 0;
    for sample in samples("corpus") {
        if sample.cell("kind") != "Pod" || sample.cell("kubectl_status_column").is_empty() {
            continue;
        }
        compared += 1;
        assert_eq!(
            pod_column(sample.bundle.subject()),
            sample.cell("kubectl_status_column"),
            "{}",
            sample.cell("file")
        );
    }
    assert!(compared > 20, "{compared}");
}

#[test]
fn messages_name_the_cause_in_both_languages() {
    let template_words = [
        " replicas",
        "unavailable",
        " of ",
        "container ",
        "cannot",
        "not ready",
        " is ",
        "image ",
        "restarts",
        "node ",
        "The ",
        "Waiting",
        "rollout",
        "last exit",
    ];
    let (mut named, mut all, mut missing) = (0, 0, Vec::new());
    for sample in samples("scenarios") {
        let verdict = sample.evaluate();
        let phrase = sample.cell("message_must_contain");
        if !phrase.is_empty() {
            all += 1;
            if verdict.message.en.contains(phrase) {
                named += 1;
            } else {
                missing.push(format!(
                    "{}: {phrase}: {}",
                    sample.cell("file"),
                    verdict.message.en
                ));
            }
        }
        let file = sample.cell("file");
        assert!(!verdict.message.zh.is_empty(), "{file}");
        // Quotations from the cluster stay as they are; the words around them must not be English.
        let ours: String = verdict
            .causes
            .iter()
            .fold(verdict.message.zh.clone(), |text, cause| {
                text.replace(&cause.raw, "")
            });
        let is_quotation_free = verdict.causes.iter().all(|cause| cause.raw.is_empty());
        for word in template_words {
            assert!(
                !is_quotation_free || !ours.contains(word),
                "{file}: {word}: {ours}"
            );
        }
    }
    assert!(
        named * 100 >= all * PHRASES_PERCENT_MIN,
        "{named} of {all}: {missing:#?}"
    );
}
