//! Label and field selectors: what can be read is written so that it selects the same.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use meta::selector::{FieldSelector, LabelSelector};

fuzz_target!(|text: &str| {
    if let Ok(selector) = FieldSelector::parse(text) {
        selector.matches(|field| field.to_owned());
    }
    let Ok(selector) = LabelSelector::parse(text) else {
        return;
    };
    let written = selector.to_string();
    let again = LabelSelector::parse(&written).expect("what is written can be read");
    let labels = [("app", "web"), ("tier", ""), ("n", "7")];
    let labels: BTreeMap<String, String> = labels
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    for labels in [&labels, &BTreeMap::new()] {
        assert_eq!(
            selector.matches(labels),
            again.matches(labels),
            "{text} became {written}"
        );
    }
});
