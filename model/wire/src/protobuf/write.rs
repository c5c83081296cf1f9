//! Writing protobuf answers, byte for byte as upstream's generated code does.
//!
//! What Go holds by value is always written, zero or not; what it holds by pointer is written when it is there. Fields
//! stand in the order of their numbers, map entries in that of their keys. Source: gogo/protobuf, which generates
//! upstream's marshalling; apimachinery `time_proto.go`, `quantity_proto.go`, `util/intstr/generated.proto`.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinds::schema::{
    Field, Presence, StructType, Type, TypeGraph, builtin, builtin_graph, builtin_kind,
};
use meta::{Gvk, Object, ObjectExt};
use serde_json::{Map, Value};

use super::{MAGIC, numbered};
use crate::list::Head;

const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// The group whose messages are no image of their JSON: schemas hold fields that are one of several types.
const UNLIKE_JSON: &str = "apiextensions.k8s.io";

/// Whether objects of a kind have a protobuf form here.
pub fn has_form(gvk: &Gvk) -> bool {
    gvk.group != UNLIKE_JSON && builtin_kind(gvk).is_some()
}

/// An object in its envelope; `None` when its kind has no protobuf form.
pub fn write(object: &Object) -> Option<Vec<u8>> {
    let raw = message(object)?;
    Some(seal(object.api_version(), object.kind(), &raw))
}

/// An object's message without its envelope; `None` when its kind has no protobuf form.
pub fn message(object: &Object) -> Option<Vec<u8>> {
    let fields = object.as_object()?;
    let gvk = Gvk::from_api_version(object.api_version(), object.kind())?;
    let mut out = Vec::new();
    match (gvk.group.as_str(), gvk.kind.as_str()) {
        ("" | "meta.k8s.io", "Status") => status(&mut out, object),
        ("meta.k8s.io", "PartialObjectMetadata") => {
            bytes(&mut out, 1, &metadata(OBJECT_META, object)?);
        }
        ("meta.k8s.io", "PartialObjectMetadataList") => items(&mut out, object)?,
        (UNLIKE_JSON, _) => return None,
        _ => match builtin_kind(&gvk) {
            Some(schema) => struct_message(&mut out, fields, schema.as_struct()?),
            None if gvk.kind.ends_with("List") => items(&mut out, object)?,
            None => return None,
        },
    }
    Some(out)
}

/// A message in the envelope that says what it is.
pub fn seal(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut type_meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    bytes(&mut type_meta, 1, api_version.as_bytes());
    bytes(&mut type_meta, 2, kind.as_bytes());
    let mut out = Vec::with_capacity(raw.len() + type_meta.len() + 24);
    out.extend_from_slice(MAGIC);
    bytes(&mut out, 1, &type_meta);
    bytes(&mut out, 2, raw);
    // The content's encoding and type: not said.
    bytes(&mut out, 3, b"");
    bytes(&mut out, 4, b"");
    out
}

/// The message of a list up to its first item; [`push_item`] adds those.
pub fn open_list(head: &Head) -> Option<Vec<u8>> {
    let list = serde_json::json!({ "metadata": head.metadata() });
    let mut out = Vec::new();
    bytes(&mut out, 1, &metadata(LIST_META, &list)?);
    Some(out)
}

/// Adds an item's message to a list.
pub fn push_item(list: &mut Vec<u8>, item: &[u8]) {
    bytes(list, 2, item);
}

/// An event of a watch around an enveloped object. Source: `serializer/protobuf` with its length-delimited framer.
pub fn frame(event_type: &str, object: &[u8]) -> Vec<u8> {
    let mut raw = Vec::with_capacity(object.len() + 8);
    bytes(&mut raw, 1, object);
    let mut event = Vec::with_capacity(raw.len() + 24);
    bytes(&mut event, 1, event_type.as_bytes());
    bytes(&mut event, 2, &raw);
    let length = u32::try_from(event.len()).unwrap_or(u32::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.append(&mut event);
    out
}

fn metadata(of: &str, object: &Object) -> Option<Vec<u8>> {
    let none = Map::new();
    let fields = object.at(&["metadata"]).and_then(Value::as_object);
    let mut out = Vec::new();
    struct_message(&mut out, fields.unwrap_or(&none), builtin(of)?.as_struct()?);
    Some(out)
}

fn items(out: &mut Vec<u8>, list: &Object) -> Option<()> {
    bytes(out, 1, &metadata(LIST_META, list)?);
    for item in list.list_at(&["items"]) {
        bytes(out, 2, &message(item)?);
    }
    Some(())
}

/// Source: apimachinery `meta/v1/generated.proto`.
fn status(out: &mut Vec<u8>, status: &Object) {
    let text = |object: &Value, field: &str| object.str_at(&[field]).unwrap_or_default().to_owned();
    let number = |out: &mut Vec<u8>, way: u32, object: &Value, field: &str| {
        varint_field(out, way, object.int_at(&[field]).unwrap_or_default());
    };
    bytes(out, 1, &metadata(LIST_META, status).unwrap_or_default());
    for (way, field) in [(2, "status"), (3, "message"), (4, "reason")] {
        bytes(out, way, text(status, field).as_bytes());
    }
    if let Some(details) = status.at(&["details"]) {
        let mut message = Vec::new();
        for (way, field) in [(1, "name"), (2, "group"), (3, "kind")] {
            bytes(&mut message, way, text(details, field).as_bytes());
        }
        for cause in details.list_at(&["causes"]) {
            let mut inner = Vec::new();
            for (way, field) in [(1, "reason"), (2, "message"), (3, "field")] {
                bytes(&mut inner, way, text(cause, field).as_bytes());
            }
            bytes(&mut message, 4, &inner);
        }
        number(&mut message, 5, details, "retryAfterSeconds");
        bytes(&mut message, 6, text(details, "uid").as_bytes());
        bytes(out, 5, &message);
    }
    number(out, 6, status, "code");
}

/// A field of a message, or the message of what JSON inlines, by number.
enum Slot {
    Field(usize),
    Inlined(Vec<(u32, Slot)>),
}

/// The slots of every built-in struct, each in the order of its numbers.
static LAYOUTS: LazyLock<Vec<Vec<(u32, Slot)>>> = LazyLock::new(|| {
    let types = &builtin_graph().types;
    types.iter().map(layout).collect()
});

fn layout(item: &StructType) -> Vec<(u32, Slot)> {
    let mut slots = Vec::new();
    for (index, field) in numbered(item) {
        place(&mut slots, &field.numbers, index);
    }
    sort(&mut slots);
    slots
}

fn place(slots: &mut Vec<(u32, Slot)>, way: &[u32], field: usize) {
    match way {
        [] => {}
        [number] => slots.push((*number, Slot::Field(field))),
        [number, rest @ ..] => {
            let inner = slots.iter_mut().find_map(|(known, slot)| match slot {
                Slot::Inlined(inner) if known == number => Some(inner),
                _ => None,
            });
            if let Some(inner) = inner {
                return place(inner, rest, field);
            }
            let mut inner = Vec::new();
            place(&mut inner, rest, field);
            slots.push((*number, Slot::Inlined(inner)));
        }
    }
}

fn sort(slots: &mut [(u32, Slot)]) {
    slots.sort_by_key(|(number, _)| *number);
    for (_, slot) in slots {
        if let Slot::Inlined(inner) = slot {
            sort(inner);
        }
    }
}

/// Writes the message of a built-in struct.
fn struct_message(out: &mut Vec<u8>, object: &Map<String, Value>, item: &StructType) {
    let graph = builtin_graph();
    let index = graph
        .types
        .binary_search_by(|known| known.name.cmp(&item.name));
    if let Some(slots) = index.ok().and_then(|index| LAYOUTS.get(index)) {
        fill(out, object, item, slots, graph);
    }
}

fn fill(
    out: &mut Vec<u8>,
    object: &Map<String, Value>,
    item: &StructType,
    slots: &[(u32, Slot)],
    graph: &TypeGraph,
) {
    for (number, slot) in slots {
        match slot {
            Slot::Field(index) => {
                if let Some(known) = item.fields.get(*index) {
                    field(out, *number, object.get(&known.name), known, graph);
                }
            }
            Slot::Inlined(inner) => {
                let mut message = Vec::new();
                fill(&mut message, object, item, inner, graph);
                bytes(out, *number, &message);
            }
        }
    }
}

fn field(out: &mut Vec<u8>, number: u32, given: Option<&Value>, field: &Field, graph: &TypeGraph) {
    let given = given.filter(|value| !value.is_null());
    let is_pointer = matches!(field.presence, Presence::Pointer | Presence::Nullable);
    match (&field.ty, given) {
        (Type::List(list), given) => {
            for item in given.and_then(Value::as_array).into_iter().flatten() {
                value(out, number, item, &list.item, graph);
            }
        }
        (Type::Map { value: ty, .. }, given) => {
            for (key, item) in given.and_then(Value::as_object).into_iter().flatten() {
                let mut entry = Vec::new();
                bytes(&mut entry, 1, key.as_bytes());
                match (&**ty, item) {
                    (Type::List(list), items) => {
                        let mut message = Vec::new();
                        for item in items.as_array().into_iter().flatten() {
                            value(&mut message, 1, item, &list.item, graph);
                        }
                        bytes(&mut entry, 2, &message);
                    }
                    (ty, item) => value(&mut entry, 2, item, ty, graph),
                }
                bytes(out, number, &entry);
            }
        }
        (ty, Some(given)) => value(out, number, given, ty, graph),
        (Type::Bytes, None) => {}
        (_, None) if is_pointer => {}
        (ty, None) => value(out, number, &Value::Null, ty, graph),
    }
}

/// Writes a value that is there; null is the zero value.
fn value(out: &mut Vec<u8>, number: u32, given: &Value, ty: &Type, graph: &TypeGraph) {
    let text = || given.as_str().unwrap_or_default();
    match ty {
        Type::Bool => varint_field(out, number, i64::from(given.as_bool().unwrap_or_default())),
        Type::Int32 | Type::Int64 => varint_field(out, number, given.as_i64().unwrap_or_default()),
        Type::Float64 => {
            tag(out, number, 1);
            let bits = given.as_f64().unwrap_or_default().to_bits();
            out.extend_from_slice(&bits.to_le_bytes());
        }
        Type::String => bytes(out, number, text().as_bytes()),
        Type::Bytes => bytes(out, number, &STANDARD.decode(text()).unwrap_or_default()),
        Type::Quantity => {
            // A quantity is written as text, and zero as such.
            let text = if given.is_null() { "0" } else { text() };
            let mut message = Vec::new();
            bytes(&mut message, 1, text.as_bytes());
            bytes(out, number, &message);
        }
        Type::IntOrString => {
            let mut message = Vec::new();
            varint_field(&mut message, 1, i64::from(given.is_string()));
            varint_field(&mut message, 2, given.as_i64().unwrap_or_default());
            bytes(&mut message, 3, text().as_bytes());
            bytes(out, number, &message);
        }
        Type::Time | Type::MicroTime => {
            let mut message = Vec::new();
            if let Some(time) = meta::time::from_rfc3339(text()) {
                varint_field(&mut message, 1, time.as_second());
                varint_field(&mut message, 2, time.subsec_nanosecond().into());
            }
            bytes(out, number, &message);
        }
        Type::Duration => {
            let mut message = Vec::new();
            varint_field(&mut message, 1, nanoseconds(text()));
            bytes(out, number, &message);
        }
        Type::Any => {
            let mut message = Vec::new();
            if !given.is_null() {
                bytes(&mut message, 1, &crate::encode::bytes(given));
            }
            bytes(out, number, &message);
        }
        Type::Struct(index) => {
            let none = Map::new();
            let mut message = Vec::new();
            if let (Some(item), Some(slots)) = (graph.types.get(*index), LAYOUTS.get(*index)) {
                let object = given.as_object().unwrap_or(&none);
                fill(&mut message, object, item, slots, graph);
            }
            bytes(out, number, &message);
        }
        // Lists of lists and of maps have no protobuf form, and no built-in type has them.
        Type::List(_) | Type::Map { .. } => {}
    }
}

/// Go's text of a duration, such as `1h30m` or `-1.5s`, in nanoseconds.
fn nanoseconds(text: &str) -> i64 {
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|duration| i64::try_from(duration.as_nanos()).ok())
        .unwrap_or_default()
}

fn tag(out: &mut Vec<u8>, number: u32, wire_type: u8) {
    varint(out, u64::from(number) << 3 | u64::from(wire_type));
}

fn varint_field(out: &mut Vec<u8>, number: u32, value: i64) {
    tag(out, number, 0);
    varint(out, value.cast_unsigned());
}

fn bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn varint(out: &mut Vec<u8>, mut value: u64) {
    loop {
        let [low, ..] = value.to_le_bytes();
        value >>= 7;
        if value == 0 {
            return out.push(low);
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use kinds::schema::decode;
    use serde_json::json;

    use super::super::{open, read};
    use super::*;

    fn read_back(bytes: &[u8]) -> Value {
        let envelope = open(bytes).unwrap();
        let gvk = Gvk::from_api_version(&envelope.api_version, &envelope.kind).unwrap();
        let schema = builtin_kind(&gvk).unwrap();
        let item = schema.as_struct().unwrap();
        let mut object = read(envelope.raw, &schema.graph, item).unwrap();
        object.set(&["apiVersion"], envelope.api_version.into());
        object.set(&["kind"], envelope.kind.into());
        decode(object, &schema).unwrap().object
    }

    #[test]
    fn every_recorded_object_survives_its_journey() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../../shared/data/recordings/objects.jsonl"
        );
        let (mut seen, mut wrong) = (0, Vec::new());
        for line in std::fs::read_to_string(path).unwrap().lines() {
            // What differs between runs is masked in the recording.
            let line = line
                .replace("\"TIME\"", "\"2026-01-01T00:00:00Z\"")
                .replace("\"clusterIPs\": \"*\"", "\"clusterIPs\": [\"*\"]")
                .replace("odePort\": \"*\"", "odePort\": 30000");
            let mut recording: Value = serde_json::from_str(&line).unwrap();
            let Some(object) = recording
                .get_mut("object")
                .filter(|object| object.is_object())
            else {
                continue;
            };
            // The type of an object inside another is in no envelope.
            let claims = object.pointer_mut("/spec/volumeClaimTemplates");
            for claim in claims.and_then(Value::as_array_mut).into_iter().flatten() {
                claim.remove(&["kind"]);
                claim.remove(&["apiVersion"]);
            }
            let object = &*object;
            let Some(bytes) = write(object) else {
                continue;
            };
            let read = read_back(&bytes);
            if read != *object {
                wrong.push(format!("{object}\n{read}"));
            }
            seen += 1;
        }
        assert!(seen > 600, "{seen}");
        assert!(wrong.is_empty(), "{} of {seen}: {}", wrong.len(), wrong[0]);
    }

    #[test]
    fn what_go_holds_by_value_is_written_also_when_it_is_zero() {
        let object = json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "a", "creationTimestamp": null}, "data": {"k": "v"}});
        let metadata = [
            b"\x0a\x01a".as_slice(),
            b"\x12\x00",
            b"\x1a\x00",
            b"\x22\x00",
            b"\x2a\x00",
            b"\x32\x00",
            b"\x38\x00",
            b"\x42\x00",
        ];
        let metadata = metadata.concat();
        let wanted = [&[0x0a, 17][..], &metadata, b"\x12\x06\x0a\x01k\x12\x01v"].concat();
        assert_eq!(message(&object).unwrap(), wanted);
        let sealed = seal("v1", "ConfigMap", b"x");
        let wanted = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x01x\x1a\x00\x22\x00";
        assert_eq!(sealed, wanted);
    }
}
