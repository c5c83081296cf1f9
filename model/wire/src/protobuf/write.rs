//! Writing protobuf answers from the JSON of objects, byte for byte as upstream's generated code does.
//!
//! The JSON is canonical, as objects are stored: keys in order, no white space. It is read by the schema, value by value.
//!
//! What Go holds by value is always written, zero or not; what it holds by pointer is written when it is there. Fields
//! stand in the order of their numbers, map entries in that of their keys. Source: gogo/protobuf, which generates
//! upstream's marshalling; apimachinery `time_proto.go`, `quantity_proto.go`, `util/intstr/generated.proto`.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinds::schema::{Field, Presence, StructType, Type, builtin, builtin_graph, builtin_kind};
use meta::{Gvk, raw};

use super::{MAGIC, numbered};
use crate::list::Head;

const NULL: &[u8] = b"null";
const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// The group whose messages are no image of their JSON: schemas hold fields that are one of several types.
const UNLIKE_JSON: &str = "apiextensions.k8s.io";

/// Whether objects of a kind have a protobuf form here.
pub fn has_form(gvk: &Gvk) -> bool {
    gvk.group != UNLIKE_JSON && builtin_kind(gvk).is_some()
}

/// An object's JSON as a message in its envelope; `None` when its kind has no protobuf form.
pub fn write(object: &[u8]) -> Option<Vec<u8>> {
    let mut raw = Vec::with_capacity(object.len());
    Writer::new(&mut raw).object(object)?;
    let text = |field| raw::text_at(object, &[field]).unwrap_or_default();
    Some(seal(&text("apiVersion"), &text("kind"), &raw))
}

/// A message in the envelope that says what it is.
pub(super) fn seal(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let mut out = open_envelope(api_version, kind, raw.len());
    out.reserve_exact(raw.len() + ENVELOPE_END.len());
    out.extend_from_slice(raw);
    out.extend_from_slice(ENVELOPE_END);
    out
}

/// What stands before a message of so many bytes, and says what it is; [`ENVELOPE_END`] stands behind it.
pub fn open_envelope(api_version: &str, kind: &str, raw_bytes: usize) -> Vec<u8> {
    let mut type_meta = Vec::with_capacity(api_version.len() + kind.len() + 4);
    bytes(&mut type_meta, 1, api_version.as_bytes());
    bytes(&mut type_meta, 2, kind.as_bytes());
    let mut out = Vec::with_capacity(MAGIC.len() + type_meta.len() + 24);
    out.extend_from_slice(MAGIC);
    bytes(&mut out, 1, &type_meta);
    tag(&mut out, 2, 2);
    varint(&mut out, raw_bytes as u64);
    out
}

/// What stands behind an enveloped message: the content's encoding and type, which are not said.
pub const ENVELOPE_END: &[u8] = &[3 << 3 | 2, 0, 4 << 3 | 2, 0];

/// The message of a list up to its first item; [`push_item`] adds those.
pub fn open_list(head: &Head) -> Option<Vec<u8>> {
    let list = serde_json::json!({ "metadata": head.metadata() });
    let mut out = Vec::new();
    Writer::new(&mut out).metadata(LIST_META, list.to_string().as_bytes())?;
    Some(out)
}

/// Adds an item, given as its JSON, to a list; `None` when its kind has no protobuf form.
pub fn push_item(list: &mut Vec<u8>, item: &[u8]) -> Option<()> {
    Writer::new(list).nested(2, |writer| writer.object(item))
}

/// What stands before an event: its length, in four bytes.
pub const FRAME_HEAD_BYTES: usize = 4;

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

/// Writes the messages of JSON values, whose bytes it goes through without decoding more than single values.
struct Writer<'o, 'j> {
    out: &'o mut Vec<u8>,
    /// The values of the fields of the structs that are being written, outermost first; `None` for what is not given.
    given: Vec<Option<&'j [u8]>>,
}

impl<'o, 'j> Writer<'o, 'j> {
    fn new(out: &'o mut Vec<u8>) -> Self {
        let given = Vec::new();
        Self { out, given }
    }

    /// Writes a message in a field.
    fn nested<T>(&mut self, number: u32, write: impl FnOnce(&mut Self) -> T) -> T {
        tag(self.out, number, 2);
        let start = self.out.len();
        let written = write(self);
        insert_length(self.out, start);
        written
    }

    /// Writes an object's message; `None` when its kind has none.
    fn object(&mut self, object: &'j [u8]) -> Option<()> {
        let text = |field| raw::text_at(object, &[field]).unwrap_or_default();
        let gvk = Gvk::from_api_version(&text("apiVersion"), &text("kind"))?;
        match (gvk.group.as_str(), gvk.kind.as_str()) {
            ("" | "meta.k8s.io", "Status") => self.status(object),
            ("meta.k8s.io", "PartialObjectMetadata") => self.metadata(OBJECT_META, object),
            ("meta.k8s.io", "PartialObjectMetadataList") => self.items(object),
            (UNLIKE_JSON, _) => None,
            (_, kind) => match builtin_kind(&gvk).map(|schema| schema.ty) {
                Some(Type::Struct(index)) => {
                    self.structure(object, index);
                    Some(())
                }
                _ if kind.ends_with("List") => self.items(object),
                _ => None,
            },
        }
    }

    fn metadata(&mut self, of: &str, object: &'j [u8]) -> Option<()> {
        let Type::Struct(index) = builtin(of)?.ty else {
            return None;
        };
        let fields = raw::at(object, &["metadata"]).unwrap_or(NULL);
        self.nested(1, |writer| writer.structure(fields, index));
        Some(())
    }

    fn items(&mut self, list: &'j [u8]) -> Option<()> {
        self.metadata(LIST_META, list)?;
        let mut items = raw::items(raw::at(list, &["items"]).unwrap_or(NULL));
        items.try_for_each(|item| self.nested(2, |writer| writer.object(item)))
    }

    /// Source: apimachinery `meta/v1/generated.proto`.
    fn status(&mut self, status: &'j [u8]) -> Option<()> {
        let field = |object, name| raw::at(object, &[name]).unwrap_or(NULL);
        self.metadata(LIST_META, status)?;
        for (way, name) in [(2, "status"), (3, "message"), (4, "reason")] {
            self.text(way, field(status, name));
        }
        if let Some(details) = raw::at(status, &["details"]) {
            self.nested(5, |writer| {
                for (way, name) in [(1, "name"), (2, "group"), (3, "kind")] {
                    writer.text(way, field(details, name));
                }
                for cause in raw::items(field(details, "causes")) {
                    writer.nested(4, |writer| {
                        for (way, name) in [(1, "reason"), (2, "message"), (3, "field")] {
                            writer.text(way, field(cause, name));
                        }
                    });
                }
                varint_field(writer.out, 5, integer(field(details, "retryAfterSeconds")));
                writer.text(6, field(details, "uid"));
            });
        }
        varint_field(self.out, 6, integer(field(status, "code")));
        Some(())
    }

    fn text(&mut self, number: u32, json: &[u8]) {
        bytes(
            self.out,
            number,
            raw::text(json).unwrap_or_default().as_bytes(),
        );
    }

    /// Writes the message of a built-in struct; of what is no object, the zero message.
    fn structure(&mut self, object: &'j [u8], index: usize) {
        let types = &builtin_graph().types;
        let (Some(item), Some(slots)) = (types.get(index), LAYOUTS.get(index)) else {
            return;
        };
        let base = self.given.len();
        self.given.resize(base + item.fields.len(), None);
        // Fields and keys stand in the same order.
        let mut fields = item.fields.iter().enumerate();
        for (key, value) in raw::members(object) {
            let found = fields
                .clone()
                .find(|(_, field)| field.name.as_bytes() == key);
            let Some((index, _)) = found else {
                continue;
            };
            fields.nth(index - (item.fields.len() - fields.len()));
            if let Some(place) = self.given.get_mut(base + index).filter(|_| value != NULL) {
                *place = Some(value);
            }
        }
        self.fill(item, slots, base);
        self.given.truncate(base);
    }

    fn fill(&mut self, item: &StructType, slots: &[(u32, Slot)], base: usize) {
        for (number, slot) in slots {
            match slot {
                Slot::Field(index) => {
                    if let Some(field) = item.fields.get(*index) {
                        let given = self.given.get(base + index).copied().flatten();
                        self.field(*number, given, field);
                    }
                }
                Slot::Inlined(inner) => {
                    self.nested(*number, |writer| writer.fill(item, inner, base));
                }
            }
        }
    }

    fn field(&mut self, number: u32, given: Option<&'j [u8]>, field: &Field) {
        let is_pointer = matches!(field.presence, Presence::Pointer | Presence::Nullable);
        match (&field.ty, given) {
            (Type::List(list), given) => {
                for item in raw::items(given.unwrap_or(NULL)) {
                    self.value(number, item, &list.item);
                }
            }
            (Type::Map { value, .. }, given) => {
                for (key, item) in raw::members(given.unwrap_or(NULL)) {
                    self.nested(number, |writer| writer.entry(key, item, value));
                }
            }
            (ty, Some(given)) => self.value(number, given, ty),
            (Type::Bytes, None) => {}
            (_, None) if is_pointer => {}
            (ty, None) => self.value(number, NULL, ty),
        }
    }

    /// Writes an entry of a map.
    fn entry(&mut self, key: &'j [u8], item: &'j [u8], ty: &Type) {
        let key = raw::name(key).unwrap_or_default();
        bytes(self.out, 1, key.as_bytes());
        match ty {
            Type::List(list) => self.nested(2, |writer| {
                for item in raw::items(item) {
                    writer.value(1, item, &list.item);
                }
            }),
            ty => self.value(2, item, ty),
        }
    }

    /// Writes a value that is there; null is the zero value.
    fn value(&mut self, number: u32, given: &'j [u8], ty: &Type) {
        let text = || raw::text(given).unwrap_or_default();
        match ty {
            Type::Bool => varint_field(self.out, number, i64::from(given == b"true")),
            Type::Int32 | Type::Int64 => varint_field(self.out, number, integer(given)),
            Type::Float64 => {
                tag(self.out, number, 1);
                let bits = float(given).to_bits();
                self.out.extend_from_slice(&bits.to_le_bytes());
            }
            Type::String => self.text(number, given),
            Type::Bytes => {
                let decoded = STANDARD.decode(text().as_bytes());
                bytes(self.out, number, &decoded.unwrap_or_default());
            }
            // A quantity is written as text, and zero as such.
            Type::Quantity => self.nested(number, |writer| match given {
                NULL => bytes(writer.out, 1, b"0"),
                given => writer.text(1, given),
            }),
            Type::IntOrString => self.nested(number, |writer| {
                varint_field(writer.out, 1, i64::from(given.starts_with(b"\"")));
                varint_field(writer.out, 2, integer(given));
                writer.text(3, given);
            }),
            Type::Time | Type::MicroTime => self.nested(number, |writer| {
                if let Some(time) = meta::time::from_rfc3339(&text()) {
                    varint_field(writer.out, 1, time.as_second());
                    varint_field(writer.out, 2, time.subsec_nanosecond().into());
                }
            }),
            Type::Duration => {
                let nanoseconds = nanoseconds(&text());
                self.nested(number, |writer| varint_field(writer.out, 1, nanoseconds));
            }
            Type::Any => self.nested(number, |writer| {
                if given != NULL {
                    bytes(writer.out, 1, given);
                }
            }),
            Type::Struct(index) => self.nested(number, |writer| writer.structure(given, *index)),
            // Lists of lists and of maps have no protobuf form, and no built-in type has them.
            Type::List(_) | Type::Map { .. } => {}
        }
    }
}

/// A JSON integer; zero when it is something else.
fn integer(json: &[u8]) -> i64 {
    let text = std::str::from_utf8(json).ok();
    text.and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// A JSON number; zero when it is something else.
fn float(json: &[u8]) -> f64 {
    serde_json::from_slice(json).unwrap_or_default()
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

pub(super) fn varint_field(out: &mut Vec<u8>, number: u32, value: i64) {
    tag(out, number, 0);
    varint(out, value.cast_unsigned());
}

pub(super) fn bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    tag(out, number, 2);
    varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Puts before everything from `start` on how long that is.
fn insert_length(out: &mut Vec<u8>, start: usize) {
    let end = out.len();
    varint(out, (end - start) as u64);
    if let Some(message) = out.get_mut(start..) {
        // The length was written behind the message: it goes to the front.
        let length = message.len() - (end - start);
        message.rotate_right(length);
    }
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
    use meta::ObjectExt;
    use serde_json::{Value, json};

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
            let Some(bytes) = write(object.to_string().as_bytes()) else {
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
        let mut message = Vec::new();
        let object = object.to_string();
        Writer::new(&mut message).object(object.as_bytes()).unwrap();
        assert_eq!(message, wanted);
        let sealed = seal("v1", "ConfigMap", b"x");
        let wanted = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09ConfigMap\x12\x01x\x1a\x00\x22\x00";
        assert_eq!(sealed, wanted);
    }
}
