//! A damaged situation still gets a verdict: the same one twice, with words in both languages, and never a panic.

#![no_main]

use libfuzzer_sys::fuzz_target;
use sampan_fuzz::{damage::damage, samples};
use serde_json::Value;
use status::{Bundle, Config, evaluate, pod_column};

fuzz_target!(|input: &[u8]| {
    let Some(((objects, now), edits)) = samples::pick(&samples::SITUATIONS, input) else {
        return;
    };
    let mut all = Value::Array(objects.clone());
    damage(&mut all, edits);
    let Value::Array(objects) = all else {
        return;
    };
    for object in &objects {
        pod_column(object);
    }
    let Some(bundle) = Bundle::new(objects) else {
        return;
    };
    let judge = || evaluate(bundle.subject(), &bundle.related(), *now, &Config::spec());
    let verdict = judge();
    assert_eq!(verdict, judge(), "the same objects, another verdict");
    assert!(!verdict.message.en.is_empty() && !verdict.message.zh.is_empty());
    assert!(
        !verdict.reason.contains(' '),
        "a reason is a token: {}",
        verdict.reason
    );
    assert!(
        verdict.recheck_at.is_none_or(|at| at > *now),
        "a recheck lies ahead"
    );
});
