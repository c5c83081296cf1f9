//! Server-side apply of damaged objects: applied or refused; applying the same again changes nothing.

#![no_main]

use jiff::Timestamp;
use kinds::schema::decode;
use libfuzzer_sys::fuzz_target;
use patch::managed::{Manager, apply, update};
use sampan_fuzz::{damage::damage, samples};

const CREATOR: Manager<'_> = manager("creator");
const APPLIER: Manager<'_> = manager("applier");

const fn manager(name: &str) -> Manager<'_> {
    Manager {
        name,
        api_version: "v1",
        subresource: "",
        time: Timestamp::UNIX_EPOCH,
    }
}

fuzz_target!(|input: &[u8]| {
    let Some(((kind, schema, object), edits)) = samples::pick(&samples::OBJECTS, input) else {
        return;
    };
    let mut live = object.clone();
    update(None, &mut live, &CREATOR, schema, &[]);
    let mut config = object.clone();
    if let Some(metadata) = config
        .get_mut("metadata")
        .and_then(|value| value.as_object_mut())
    {
        metadata.remove("managedFields");
    }
    damage(&mut config, edits);
    let Ok(config) = decode(config, schema).map(|decoded| decoded.object) else {
        return;
    };
    let force = input.len() % 2 == 0;
    let Ok(applied) = apply(Some(&live), &config, kind, &APPLIER, force, schema, &[]) else {
        return;
    };
    let again = apply(Some(&applied), &config, kind, &APPLIER, false, schema, &[]);
    assert_eq!(
        again.ok().as_ref(),
        Some(&applied),
        "the same again is no change"
    );
});
