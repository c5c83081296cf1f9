//! Protobuf: reading bodies as typed Go clients send them for built-in kinds, and writing answers.
//!
//! Field numbers are facts of the schema; nothing is generated per type. A field that JSON inlines and protobuf nests
//! has a way of several numbers. Source: apimachinery `runtime/serializer/protobuf` for the envelope.

mod discovery;
mod write;

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use kinds::schema::{Field, StructType, Type, TypeGraph};
use serde_json::{Map, Value, json};

pub use discovery::discovery;
pub use write::{
    ENVELOPE_END, FRAME_HEAD_BYTES, frame, has_form, open_envelope, open_list, push_item, write,
};

/// What every enveloped body starts with.
const MAGIC: &[u8] = b"k8s\0";
/// Deepest nesting that is followed.
const DEPTH_MAX: usize = 64;

/// The media type of enveloped protobuf.
pub const MEDIA_TYPE: &str = "application/vnd.kubernetes.protobuf";

/// The bytes are no protobuf, or none that fits the type.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProtobufError {
    /// The body does not start as Kubernetes' protobuf bodies do.
    #[error(
        "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]"
    )]
    Prefix,
    /// The bytes end too early or are no protobuf.
    #[error("unexpected EOF")]
    Malformed,
    /// Messages nest too deeply.
    #[error("the message nests too deeply")]
    TooDeep,
}

/// A body out of its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope<'a> {
    /// `apiVersion` of the object inside.
    pub api_version: String,
    /// `kind` of the object inside.
    pub kind: String,
    /// The object's message.
    pub raw: &'a [u8],
}

/// Takes a body out of its envelope.
///
/// # Errors
/// The body is no enveloped protobuf.
pub fn open(body: &[u8]) -> Result<Envelope<'_>, ProtobufError> {
    let message = body.strip_prefix(MAGIC).ok_or(ProtobufError::Prefix)?;
    let mut envelope = Envelope {
        api_version: String::new(),
        kind: String::new(),
        raw: &[],
    };
    for part in Parts(message) {
        match part? {
            (1, Wire::Bytes(type_meta)) => {
                for part in Parts(type_meta) {
                    match part? {
                        (1, Wire::Bytes(text)) => envelope.api_version = text_of(text),
                        (2, Wire::Bytes(text)) => envelope.kind = text_of(text),
                        _ => {}
                    }
                }
            }
            (2, Wire::Bytes(raw)) => envelope.raw = raw,
            _ => {}
        }
    }
    Ok(envelope)
}

/// Reads a message of a struct type into JSON as a client would have written it.
///
/// # Errors
/// The bytes are no protobuf, or nest too deeply.
pub fn read(message: &[u8], graph: &TypeGraph, item: &StructType) -> Result<Value, ProtobufError> {
    let reader = Reader { graph };
    reader.message(message, item, 0).map(Value::Object)
}

/// The fields of a message by number; inlined structs are messages of their own.
enum Slot<'a> {
    Field(&'a Field),
    Inlined(BTreeMap<u32, Slot<'a>>),
}

fn slots(item: &StructType) -> BTreeMap<u32, Slot<'_>> {
    let mut slots = BTreeMap::new();
    for (_, field) in numbered(item) {
        place(&mut slots, &field.numbers, field);
    }
    slots
}

/// The fields that a message has, with their index. `kind` and `apiVersion` of an object are in its envelope alone:
/// their numbers are other fields'.
fn numbered(item: &StructType) -> impl Iterator<Item = (usize, &Field)> {
    let is_type = |field: &Field| matches!(field.name.as_str(), "kind" | "apiVersion");
    let is_taken = |field: &Field| {
        let mut others = item.fields.iter().filter(|other| !is_type(other));
        is_type(field) && others.any(|other| other.numbers.first() == field.numbers.first())
    };
    let has_envelope = item.fields.iter().any(is_taken);
    let fields = item.fields.iter().enumerate();
    fields.filter(move |(_, field)| !(has_envelope && is_type(field)))
}

fn place<'a>(slots: &mut BTreeMap<u32, Slot<'a>>, way: &[u32], field: &'a Field) {
    match way {
        [] => {}
        [number] => {
            slots.insert(*number, Slot::Field(field));
        }
        [number, rest @ ..] => {
            if let Slot::Inlined(inner) = slots
                .entry(*number)
                .or_insert_with(|| Slot::Inlined(BTreeMap::new()))
            {
                place(inner, rest, field);
            }
        }
    }
}

struct Reader<'a> {
    graph: &'a TypeGraph,
}

impl Reader<'_> {
    fn message(
        &self,
        message: &[u8],
        item: &StructType,
        depth: usize,
    ) -> Result<Map<String, Value>, ProtobufError> {
        let mut object = Map::new();
        self.fill(message, &slots(item), &mut object, depth)?;
        Ok(object)
    }

    fn fill(
        &self,
        message: &[u8],
        slots: &BTreeMap<u32, Slot<'_>>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        if depth > DEPTH_MAX {
            return Err(ProtobufError::TooDeep);
        }
        for part in Parts(message) {
            let (number, wire) = part?;
            match (slots.get(&number), wire) {
                (Some(Slot::Inlined(inner)), Wire::Bytes(message)) => {
                    self.fill(message, inner, object, depth + 1)?;
                }
                (Some(Slot::Field(field)), wire) => self.field(field, &wire, object, depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn field(
        &self,
        field: &Field,
        wire: &Wire<'_>,
        object: &mut Map<String, Value>,
        depth: usize,
    ) -> Result<(), ProtobufError> {
        match &field.ty {
            Type::List(list) => {
                let value = self.value(&list.item, wire, depth)?;
                if let Some(items) = object
                    .entry(&field.name)
                    .or_insert_with(|| json!([]))
                    .as_array_mut()
                {
                    items.push(value);
                }
            }
            Type::Map { value: ty, .. } => {
                let (key, value) = self.entry(ty, wire, depth)?;
                if let Some(entries) = object
                    .entry(&field.name)
                    .or_insert_with(|| json!({}))
                    .as_object_mut()
                {
                    entries.insert(key, value);
                }
            }
            ty => {
                let value = self.value(ty, wire, depth)?;
                object.insert(field.name.clone(), value);
            }
        }
        Ok(())
    }

    /// A map's entry: a message of key and value. A list as value is a message that repeats its first field.
    fn entry(
        &self,
        ty: &Type,
        wire: &Wire<'_>,
        depth: usize,
    ) -> Result<(String, Value), ProtobufError> {
        let Wire::Bytes(message) = wire else {
            return Err(ProtobufError::Malformed);
        };
        let (mut key, mut value) = (String::new(), Value::Null);
        for part in Parts(message) {
            match part? {
                (1, Wire::Bytes(text)) => key = text_of(text),
                (2, Wire::Bytes(items)) if matches!(ty, Type::List(_)) => {
                    let Type::List(list) = ty else { continue };
                    let items = Parts(items).map(|part| {
                        part.and_then(|(_, wire)| self.value(&list.item, &wire, depth))
                    });
                    value = items.collect::<Result<Vec<_>, _>>()?.into();
                }
                (2, wire) => value = self.value(ty, &wire, depth)?,
                _ => {}
            }
        }
        if value.is_null() {
            value = self.value(ty, &Wire::Bytes(&[]), depth).unwrap_or_default();
        }
        Ok((key, value))
    }

    fn value(&self, ty: &Type, wire: &Wire<'_>, depth: usize) -> Result<Value, ProtobufError> {
        match (ty, wire) {
            (Type::Bool, Wire::Varint(number)) => Ok((*number != 0).into()),
            (Type::Int32 | Type::Int64, Wire::Varint(number)) => Ok(number.cast_signed().into()),
            (Type::Float64, Wire::Fixed64(bits)) => Ok(f64::from_bits(*bits).into()),
            (Type::String, Wire::Bytes(text)) => Ok(text_of(text).into()),
            (Type::Bytes, Wire::Bytes(bytes)) => Ok(STANDARD.encode(bytes).into()),
            (Type::Quantity, Wire::Bytes(message)) => Ok(first_text(message)?.into()),
            (Type::IntOrString, Wire::Bytes(message)) => int_or_string(message),
            (Type::Time, Wire::Bytes(message)) => time(message, meta::time::to_rfc3339),
            (Type::MicroTime, Wire::Bytes(message)) => time(message, meta::time::to_rfc3339_micro),
            (Type::Duration, Wire::Bytes(message)) => duration(message),
            (Type::Any, Wire::Bytes(message)) => any(message),
            (Type::Struct(index), Wire::Bytes(message)) => match self.graph.types.get(*index) {
                Some(item) => self.message(message, item, depth + 1).map(Value::Object),
                None => Ok(Value::Null),
            },
            _ => Err(ProtobufError::Malformed),
        }
    }
}

fn text_of(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn first_text(message: &[u8]) -> Result<String, ProtobufError> {
    for part in Parts(message) {
        if let (1, Wire::Bytes(text)) = part? {
            return Ok(text_of(text));
        }
    }
    Ok(String::new())
}

/// Source: apimachinery `util/intstr/generated.proto`: type 0 is a number, 1 a text.
fn int_or_string(message: &[u8]) -> Result<Value, ProtobufError> {
    let (mut is_text, mut number, mut text) = (false, 0, String::new());
    for part in Parts(message) {
        match part? {
            (1, Wire::Varint(kind)) => is_text = kind == 1,
            (2, Wire::Varint(value)) => number = value.cast_signed(),
            (3, Wire::Bytes(value)) => text = text_of(value),
            _ => {}
        }
    }
    Ok(if is_text { text.into() } else { number.into() })
}

/// Seconds and nanoseconds since 1970; an empty message is Go's zero time, which JSON writes as null.
fn time(message: &[u8], show: fn(Timestamp) -> String) -> Result<Value, ProtobufError> {
    let (mut seconds, mut nanos) = (None, 0);
    for part in Parts(message) {
        match part? {
            (1, Wire::Varint(value)) => seconds = Some(value.cast_signed()),
            (2, Wire::Varint(value)) => {
                nanos = i32::try_from(value.cast_signed()).unwrap_or_default();
            }
            _ => {}
        }
    }
    let Some(seconds) = seconds else {
        return Ok(Value::Null);
    };
    let time = Timestamp::new(seconds, nanos).map_err(|_| ProtobufError::Malformed)?;
    Ok(show(time).into())
}

/// Nanoseconds, as Go prints durations in seconds.
fn duration(message: &[u8]) -> Result<Value, ProtobufError> {
    let mut nanos = 0;
    for part in Parts(message) {
        if let (1, Wire::Varint(value)) = part? {
            nanos = value.cast_signed();
        }
    }
    Ok(format!("{nanos}ns").into())
}

/// Raw JSON in the first field.
fn any(message: &[u8]) -> Result<Value, ProtobufError> {
    for part in Parts(message) {
        if let (1, Wire::Bytes(raw)) = part? {
            return serde_json::from_slice(raw).map_err(|_| ProtobufError::Malformed);
        }
    }
    Ok(Value::Null)
}

/// One field's value as it stands on the wire.
enum Wire<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32,
    Bytes(&'a [u8]),
}

/// The fields of a message, in order.
struct Parts<'a>(&'a [u8]);

impl<'a> Iterator for Parts<'a> {
    type Item = Result<(u32, Wire<'a>), ProtobufError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let part = self.part();
        if part.is_none() {
            self.0 = &[];
        }
        Some(part.ok_or(ProtobufError::Malformed))
    }
}

impl<'a> Parts<'a> {
    fn part(&mut self) -> Option<(u32, Wire<'a>)> {
        let tag = self.varint()?;
        let number = u32::try_from(tag >> 3).ok()?;
        let wire = match tag & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.take(8)?.try_into().ok()?)),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            _ => return None,
        };
        Some((number, wire))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use kinds::schema::builtin;

    use super::*;

    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [
            &[number << 3 | 2, u8::try_from(bytes.len()).unwrap()],
            bytes,
        ]
        .concat()
    }
    fn read_as(name: &str, message: &[u8]) -> Result<Value, ProtobufError> {
        let schema = builtin(name).unwrap();
        read(message, &schema.graph, schema.as_struct().unwrap())
    }

    #[test]
    fn fields_maps_lists_and_inlined_messages_are_read() {
        let labels = field(11, &[field(1, b"app"), field(2, b"web")].concat());
        let meta = field(1, &[field(1, b"a"), labels].concat());
        let data = field(2, &[field(1, b"k"), field(2, b"v")].concat());
        let read = read_as("io.k8s.api.core.v1.ConfigMap", &[meta, data].concat()).unwrap();
        assert_eq!(
            read,
            json!({"metadata": {"name": "a", "labels": {"app": "web"}}, "data": {"k": "v"}})
        );
        let selector = [field(1, &field(1, b"secret")), field(2, b"key")].concat();
        let read = read_as("io.k8s.api.core.v1.SecretKeySelector", &selector).unwrap();
        assert_eq!(read, json!({"name": "secret", "key": "key"}));
    }

    #[test]
    fn options_are_read() {
        let read = |message: &[u8]| {
            read_as(
                "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions",
                message,
            )
        };
        assert_eq!(read(&[8, 0]), Ok(json!({"gracePeriodSeconds": 0})));
        let uid = field(2, &field(1, b"u-1"));
        assert_eq!(read(&uid), Ok(json!({"preconditions": {"uid": "u-1"}})));
        let policy = field(4, b"Background");
        assert_eq!(
            read(&policy),
            Ok(json!({"propagationPolicy": "Background"}))
        );
    }

    #[test]
    fn a_reference_has_a_kind_of_its_own() {
        let bound = [field(1, b"Pod"), field(2, b"v1")].concat();
        let name = "io.k8s.api.authentication.v1.BoundObjectReference";
        let read = read_as(name, &bound).unwrap();
        assert_eq!(read, json!({"kind": "Pod", "apiVersion": "v1"}));
    }

    #[test]
    fn cut_off_bytes_are_refused() {
        let whole = field(1, &field(1, b"name"));
        for length in 1..whole.len() {
            assert_eq!(
                read_as("io.k8s.api.core.v1.ConfigMap", &whole[..length]),
                Err(ProtobufError::Malformed)
            );
        }
        assert_eq!(open(b"{}"), Err(ProtobufError::Prefix));
    }
}
