//! Bodies of any format: read or refused, and what was read is the same when it is read again.

#![no_main]

use kinds::schema::{builtin, builtin_graph, builtin_kind, decode};
use libfuzzer_sys::fuzz_target;
use sampan_fuzz::damage::damage;
use sampan_fuzz::samples;
use serde_json::Value;

fuzz_target!(|input: &[u8]| {
    let Some((format, body)) = input.split_first() else {
        return;
    };
    let value = match format % 4 {
        0 => wire::json::read(body).ok().map(|document| document.value),
        1 => wire::yaml::read(body).ok().map(|document| document.value),
        2 => protobuf(body),
        _ => damaged(body),
    };
    let Some(value) = value else {
        return;
    };
    let bytes = wire::encode::bytes(&value);
    let again = wire::json::read(&bytes).expect("what is written can be read");
    assert_eq!(again.value, value);
    let Some(schema) = samples::kind_of(&value).and_then(|kind| builtin_kind(&kind)) else {
        return;
    };
    if let Ok(decoded) = decode(value, &schema) {
        let again = decode(decoded.object.clone(), &schema).expect("canonical form decodes");
        assert_eq!(again.object, decoded.object, "canonical form is canonical");
    }
});

/// A real object with damage, which YAML must carry unharmed.
fn damaged(body: &[u8]) -> Option<Value> {
    let ((_, _, object), edits) = samples::pick(&samples::OBJECTS, body)?;
    let mut value = object.clone();
    damage(&mut value, edits);
    if let Ok(text) = wire::yaml::write(&value) {
        let again = wire::yaml::read(text.as_bytes()).expect("what is written can be read");
        assert_eq!(again.value, value, "YAML carries it: {text}");
    }
    Some(value)
}

fn protobuf(body: &[u8]) -> Option<Value> {
    let pod = builtin("io.k8s.api.core.v1.Pod").expect("pods are built in");
    let item = pod.as_struct().expect("a pod is a struct");
    if let Ok(envelope) = wire::protobuf::open(body) {
        return wire::protobuf::read(envelope.raw, builtin_graph(), item).ok();
    }
    wire::protobuf::read(body, builtin_graph(), item).ok()
}
