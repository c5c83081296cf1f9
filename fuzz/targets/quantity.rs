//! Quantities: what can be read is written so that it reads the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use meta::Quantity;

fuzz_target!(|text: &str| {
    let Ok(quantity) = Quantity::parse(text) else {
        return;
    };
    let written = quantity.to_string();
    let again = Quantity::parse(&written).expect("what is written can be read");
    assert_eq!(again.nanos(), quantity.nanos(), "{text} became {written}");
    assert_eq!(again.to_string(), written, "canonical form is canonical");
    let sum = quantity.add(&again).sub(&again);
    assert!(sum.nanos() == quantity.nanos());
});
