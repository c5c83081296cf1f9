//! Version 2 in protobuf, for clients that read nothing else.
//!
//! Source: the messages of gnostic's `OpenAPIv2.proto`; only the members that these documents have are written.

use serde_json::{Map, Value};

/// A version 2 document, as `openapi::v2` makes it, in protobuf.
///
/// # Errors
/// The bytes are no JSON.
pub fn v2_protobuf(document: &[u8]) -> Result<Vec<u8>, serde_json::Error> {
    serde_json::from_slice(document).map(|document| encode(&document))
}

fn encode(document: &Value) -> Vec<u8> {
    let info = &document["info"];
    let info = Message::default()
        .text(1, &info["title"])
        .text(2, &info["version"]);
    Message::default()
        .text(1, &document["swagger"])
        .message(2, &info)
        .message(8, &named(2, &document["paths"], path))
        .message(9, &named(1, &document["definitions"], schema))
        .each(12, &document["security"], |item| {
            named(1, item, |scopes| Message::default().texts(1, scopes))
        })
        .message(13, &named(1, &document["securityDefinitions"], security))
        .0
}

/// A message in the making. Absent and null members are left out.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn number(&mut self, mut number: u64) {
        while number >= 0x80 {
            self.0
                .push(u8::try_from(number & 0x7f).unwrap_or_default() | 0x80);
            number >>= 7;
        }
        self.0.push(u8::try_from(number).unwrap_or_default());
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.number(field << 3 | 2);
        self.number(u64::try_from(bytes.len()).unwrap_or_default());
        self.0.extend_from_slice(bytes);
        self
    }

    fn message(self, field: u64, message: &Self) -> Self {
        self.bytes(field, &message.0)
    }

    fn text(self, field: u64, value: &Value) -> Self {
        match value.as_str() {
            Some(text) => self.bytes(field, text.as_bytes()),
            None => self,
        }
    }

    fn texts(self, field: u64, values: &Value) -> Self {
        let values = values.as_array().into_iter().flatten();
        values.fold(self, |message, value| message.text(field, value))
    }

    fn flag(mut self, field: u64, value: &Value) -> Self {
        if value.as_bool() == Some(true) {
            self.number(field << 3);
            self.number(1);
        }
        self
    }

    fn one(self, field: u64, value: &Value, encode: impl Fn(&Value) -> Self) -> Self {
        if value.is_null() {
            return self;
        }
        self.message(field, &encode(value))
    }

    fn each(self, field: u64, values: &Value, encode: impl Fn(&Value) -> Self) -> Self {
        let values = values.as_array().into_iter().flatten();
        values.fold(self, |message, value| {
            message.message(field, &encode(value))
        })
    }

    /// The members whose names start with `x-`, as name and YAML.
    fn extensions(self, field: u64, value: &Value) -> Self {
        entries(value)
            .filter(|(name, _)| name.starts_with("x-"))
            .fold(self, |message, (name, value)| {
                let named = Self::default()
                    .bytes(1, name.as_bytes())
                    .message(2, &any(value));
                message.message(field, &named)
            })
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flat_map(Map::iter)
}

/// A message that is a list of names with values.
fn named(field: u64, value: &Value, encode: impl Fn(&Value) -> Message) -> Message {
    entries(value).fold(Message::default(), |message, (name, value)| {
        let item = Message::default()
            .bytes(1, name.as_bytes())
            .message(2, &encode(value));
        message.message(field, &item)
    })
}

/// Any value, as YAML.
fn any(value: &Value) -> Message {
    Message::default().bytes(2, value.to_string().as_bytes())
}

fn security(value: &Value) -> Message {
    let key = Message::default()
        .text(1, &value["type"])
        .text(2, &value["name"])
        .text(3, &value["in"])
        .text(4, &value["description"]);
    Message::default().message(2, &key)
}

fn path(item: &Value) -> Message {
    let methods = ["get", "put", "post", "delete", "options", "head", "patch"];
    let path = methods
        .iter()
        .zip(2..)
        .fold(Message::default(), |message, (method, field)| {
            message.one(field, &item[method], operation)
        });
    path.each(9, &item["parameters"], parameter)
}

fn operation(value: &Value) -> Message {
    Message::default()
        .texts(1, &value["tags"])
        .text(3, &value["description"])
        .text(5, &value["operationId"])
        .texts(6, &value["produces"])
        .texts(7, &value["consumes"])
        .each(8, &value["parameters"], parameter)
        .message(9, &named(1, &value["responses"], response))
        .texts(10, &value["schemes"])
        .extensions(13, value)
}

fn response(value: &Value) -> Message {
    let item = |value: &Value| Message::default().message(1, &schema(value));
    let response = Message::default()
        .text(1, &value["description"])
        .one(2, &value["schema"], item);
    Message::default().message(1, &response)
}

fn parameter(value: &Value) -> Message {
    let parameter = match value["in"].as_str() {
        Some("body") => {
            let body = Message::default()
                .text(1, &value["description"])
                .text(2, &value["name"])
                .text(3, &value["in"])
                .flag(4, &value["required"])
                .one(5, &value["schema"], schema);
            Message::default().message(1, &body)
        }
        place => {
            // In paths, members after the name have one number less.
            let (kind, ty, unique) = if place == Some("path") {
                (4, 5, 19)
            } else {
                (3, 6, 20)
            };
            let other = Message::default()
                .flag(1, &value["required"])
                .text(2, &value["in"])
                .text(3, &value["description"])
                .text(4, &value["name"])
                .text(ty, &value["type"])
                .flag(unique, &value["uniqueItems"]);
            Message::default().message(2, &Message::default().message(kind, &other))
        }
    };
    Message::default().message(1, &parameter)
}

fn schema(value: &Value) -> Message {
    Message::default()
        .text(1, &value["$ref"])
        .text(2, &value["format"])
        .text(4, &value["description"])
        .texts(19, &value["required"])
        .each(20, &value["enum"], any)
        .one(21, &value["additionalProperties"], |value| {
            Message::default().message(1, &schema(value))
        })
        .one(22, &value["type"], |ty| Message::default().text(1, ty))
        .one(23, &value["items"], |items| {
            Message::default().message(1, &schema(items))
        })
        .one(25, &value["properties"], |properties| {
            named(1, properties, schema)
        })
        .extensions(31, value)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_written_by_their_numbers() {
        let property = json!({"type": "string", "x-kubernetes-a": "b"});
        let found = schema(&property).0;
        let extension = b"\x0a\x0ex-kubernetes-a\x12\x05\x12\x03\"b\"";
        let mut expected = b"\xb2\x01\x08\x0a\x06string\xfa\x01".to_vec();
        expected.push(u8::try_from(extension.len()).unwrap());
        expected.extend_from_slice(extension);
        assert_eq!(found, expected);
    }

    #[test]
    fn values_of_enumerations_are_yaml() {
        let found = schema(&json!({"enum": ["a", ""]})).0;
        assert_eq!(found, b"\xa2\x01\x05\x12\x03\"a\"\xa2\x01\x04\x12\x02\"\"");
    }

    #[test]
    fn parameters_of_paths_and_queries_differ() {
        let of_place =
            |place: &str| parameter(&json!({"in": place, "name": "n", "type": "string"})).0;
        let other = |ty: u8, place: &str| {
            let mut bytes = vec![0x12, u8::try_from(place.len()).unwrap()];
            bytes.extend_from_slice(place.as_bytes());
            bytes.extend_from_slice(b"\x22\x01n");
            bytes.extend_from_slice(&[ty << 3 | 2, 6]);
            bytes.extend_from_slice(b"string");
            bytes
        };
        assert!(of_place("path").ends_with(&other(5, "path")));
        assert!(of_place("query").ends_with(&other(6, "query")));
    }
}
