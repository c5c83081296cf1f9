//! From a request's body to an object of its kind.

use kinds::schema::{DecodeError, Decoded, Emptied, Schema, builtin_kind, decode};
use meta::{Gvk, Object, ObjectExt, StatusError};
use serde_json::Value;
use wire::json::Document;
use wire::media::{self, Format};
use wire::protobuf::{self, ProtobufError};

use crate::call::Call;
use crate::options::FieldValidation;

/// A decoded body and the warnings it earned.
pub(crate) struct Body {
    pub(crate) object: Object,
    pub(crate) warnings: Vec<String>,
    /// Empty lists and maps that it had.
    pub(crate) emptied: Vec<Emptied>,
}

/// Reads the body in the format its content type names.
pub(crate) fn document(call: &Call) -> Result<Document, StatusError> {
    let content_type = call.header(http::header::CONTENT_TYPE);
    let format = media::body_format(content_type)
        .ok_or_else(|| StatusError::unsupported_media_type(media::READ))?;
    let read = match format {
        Format::Json => wire::json::read(&call.body).map_err(|why| unparsable(&why)),
        Format::Yaml => wire::yaml::read(&call.body),
        Format::Protobuf => return enveloped(call),
    };
    read.map_err(|why| unrecognized(expected(call), &why, &call.body))
}

/// The kind that a request's body should be of.
fn expected(call: &Call) -> &str {
    let subresource = call
        .subresource()
        .and_then(|name| call.kind.subresource(name));
    let body = subresource.and_then(|subresource| subresource.body.as_ref());
    body.map_or(&call.kind.kind, |gvk| &gvk.kind)
}

/// Upstream's complaint about bytes that do not even say what they are.
pub(crate) fn unparsable(why: &str) -> String {
    format!("couldn't get version/kind; json parse error: {why}")
}

/// Characters of a body that a refusal shows. Source: apiserver `transformDecodeError`.
const SHOWN_BYTES_MAX: usize = 30;

/// Upstream's 400 for a body that does not say what it is.
fn unrecognized(kind: &str, why: &str, body: &[u8]) -> StatusError {
    let start = body.get(..SHOWN_BYTES_MAX).unwrap_or(body);
    let more = if body.len() > SHOWN_BYTES_MAX {
        " ..."
    } else {
        ""
    };
    let summary = match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(start)),
        Some(_) => {
            let hex: Vec<String> = start.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}{more}", hex.concat())
        }
    };
    StatusError::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {why} ({summary})"
    ))
}

/// What keeps a value from saying its version and kind. Source: `meta.Interpret`.
pub(crate) fn untyped(value: &Value) -> Option<String> {
    let sort = match value {
        Value::Object(_) | Value::Null => {
            let field = |name: &str| {
                let value = value.get(name).filter(|value| !value.is_string())?;
                let sort = go_sort(value)?;
                Some(format!(
                    "json: cannot unmarshal {sort} into Go struct field .{name} of type string"
                ))
            };
            return field("apiVersion")
                .or_else(|| field("kind"))
                .map(|why| unparsable(&why));
        }
        other => go_sort(other)?,
    };
    Some(unparsable(&format!(
        r#"json: cannot unmarshal {sort} into Go value of type struct {{ APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }}"#
    )))
}

/// Go's name for the sort of a JSON value; `None` for null, which fits everywhere.
pub(crate) fn go_sort(value: &Value) -> Option<&'static str> {
    (!value.is_null()).then(|| meta::go::json_kind(value))
}

/// Reads a protobuf body; its envelope says which built-in kind it holds.
fn enveloped(call: &Call) -> Result<Document, StatusError> {
    let expected = call.kind.gvk();
    let refused = |why: &dyn std::fmt::Display| undecodable(&expected, &expected, &why.to_string());
    let envelope = protobuf::open(&call.body).map_err(|error| match error {
        ProtobufError::Prefix => unrecognized(self::expected(call), &error.to_string(), &call.body),
        _ => refused(&error),
    })?;
    let gvk = Gvk::from_api_version(&envelope.api_version, &envelope.kind);
    let schema = gvk.as_ref().and_then(builtin_kind);
    let item = schema
        .as_ref()
        .and_then(|schema| Some((&schema.graph, schema.as_struct()?)));
    let Some((graph, item)) = item else {
        let (version, kind) = (
            meta::field::quote(&envelope.api_version),
            meta::field::quote(&envelope.kind),
        );
        return Err(refused(&format!(
            "no kind {kind} is registered for version {version}"
        )));
    };
    let mut value = protobuf::read(envelope.raw, graph, item).map_err(|error| refused(&error))?;
    value.set(&["apiVersion"], envelope.api_version.into());
    value.set(&["kind"], envelope.kind.into());
    Ok(Document {
        value,
        duplicates: Vec::new(),
    })
}

/// Decodes the body as an object of the request's kind.
pub(crate) fn object(call: &Call, validation: FieldValidation) -> Result<Body, StatusError> {
    let document = document(call)?;
    let mut body = decode_as(
        document,
        &call.kind.gvk(),
        &call.kind.schema,
        validation,
        &call.body,
    )?;
    call.keep_emptied(std::mem::take(&mut body.emptied));
    if let Some(audit) = &call.audit {
        audit.requested(&body.object, |object| call.kind.apply_defaults(object));
    }
    Ok(body)
}

/// Why a document is no object of the kind asked for.
pub(crate) enum Misfit {
    /// It names its kind in no way that can be read.
    Malformed(StatusError),
    /// It does not fit the kind that it names.
    Undecodable {
        /// The kind that it names.
        said: Gvk,
        /// What does not fit, as Go's decoder says it.
        why: String,
    },
}

/// Decodes a document as an object of a kind; a kind or version left out is taken from `gvk`.
pub(crate) fn decode_as(
    document: Document,
    gvk: &Gvk,
    schema: &Schema,
    validation: FieldValidation,
    source: &[u8],
) -> Result<Body, StatusError> {
    fit(document, gvk, schema, validation, source, decode).map_err(|misfit| misfit.refusal(gvk))
}

impl Misfit {
    /// The answer to a body that should have been an object of the kind.
    pub(crate) fn refusal(self, expected: &Gvk) -> StatusError {
        match self {
            Self::Malformed(status) => status,
            Self::Undecodable { said, why } => undecodable(&said, expected, &why),
        }
    }
}

/// Brings a value into the form of its type.
pub(crate) type Read = fn(Value, &Schema) -> Result<Decoded, DecodeError>;

/// Decodes a document as an object of a kind.
///
/// Complaints come in the order of `source`, when that is the JSON the document was read from.
pub(crate) fn fit(
    mut document: Document,
    gvk: &Gvk,
    schema: &Schema,
    validation: FieldValidation,
    source: &[u8],
    read: Read,
) -> Result<Body, Misfit> {
    let misfit = |said: &Gvk, why: String| Misfit::Undecodable {
        said: said.clone(),
        why,
    };
    if let Some(why) = untyped(&document.value) {
        return Err(Misfit::Malformed(unrecognized(&gvk.kind, &why, source)));
    }
    if document.value.is_null() {
        document.value = Value::Object(serde_json::Map::new());
    }
    let said = (
        document.value.api_version().to_owned(),
        document.value.kind().to_owned(),
    );
    let named = named(&said, gvk).ok_or_else(|| {
        let why = format!("unexpected GroupVersion string: {}", said.0);
        Misfit::Malformed(unrecognized(&gvk.kind, &why, source))
    })?;
    if named != *gvk {
        let why = not_convertible(&named, gvk);
        return Err(misfit(&named, why));
    }
    // An empty list means what an empty entry means, but would be lost like a list that was left out.
    let managers = ["metadata", "managedFields"];
    if document.value.at(&managers) == Some(&Value::Array(Vec::new())) {
        document.value.set(&managers, serde_json::json!([{}]));
    }
    document
        .value
        .set(&["apiVersion"], gvk.api_version().into());
    document.value.set(&["kind"], gvk.kind.clone().into());
    let decoded = read(document.value, schema).map_err(|error| {
        let why = error.in_order_of(&wire::json::paths(source));
        misfit(gvk, why.to_owned())
    })?;
    let mut complaints: Vec<String> = document
        .duplicates
        .into_iter()
        .chain(decoded.unknown)
        .collect();
    if complaints.len() > 1 {
        let order = wire::json::paths(source);
        // A complaint ends with the quoted path.
        let place = |complaint: &String| {
            let path = complaint.split('"').nth(1);
            order.iter().position(|known| Some(known.as_str()) == path)
        };
        complaints.sort_by_cached_key(place);
    }
    match validation {
        FieldValidation::Strict if !complaints.is_empty() => {
            let why = format!("strict decoding error: {}", joined(&complaints));
            Err(misfit(gvk, why))
        }
        FieldValidation::Warn => Ok(Body {
            object: decoded.object,
            warnings: complaints,
            emptied: decoded.emptied,
        }),
        _ => Ok(Body {
            object: decoded.object,
            warnings: Vec::new(),
            emptied: decoded.emptied,
        }),
    }
}

/// What keys that stand twice in YAML are told by. Source: go-yaml `decode.go`, `setMapIndex`.
const YAML_LINE: &str = "line ";

/// Complaints as a strict refusal lists them: those about YAML are one, of several lines.
pub(crate) fn joined(complaints: &[String]) -> String {
    let (yaml, rest): (Vec<&str>, Vec<&str>) = complaints
        .iter()
        .map(String::as_str)
        .partition(|complaint| complaint.starts_with(YAML_LINE));
    let yaml =
        (!yaml.is_empty()).then(|| format!("yaml: unmarshal errors:\n  {}", yaml.join("\n  ")));
    let all: Vec<&str> = yaml.as_deref().into_iter().chain(rest).collect();
    all.join(", ")
}

/// Why an object of one kind is none of another.
fn not_convertible(named: &Gvk, expected: &Gvk) -> String {
    let go = |gvk: &Gvk| format!("{}.{}", gvk.version, gvk.kind);
    let group = if expected.group.is_empty() {
        "core"
    } else {
        expected.group.split('.').next().unwrap_or_default()
    };
    if named.kind == expected.kind || builtin_kind(named).is_none() {
        format!(
            "no kind {} is registered for version {} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
            meta::field::quote(&named.kind),
            meta::field::quote(&named.api_version())
        )
    } else {
        format!(
            "converting ({}) to ({group}.{}): unknown conversion",
            go(named),
            expected.kind
        )
    }
}

/// The kind a body names, filled up from the expected one; `None` when its version cannot be read.
fn named((api_version, kind): &(String, String), expected: &Gvk) -> Option<Gvk> {
    let kind = if kind.is_empty() {
        &expected.kind
    } else {
        kind
    };
    if api_version.is_empty() {
        return Some(Gvk::new(&expected.group, &expected.version, kind));
    }
    Gvk::from_api_version(api_version, kind)
}

/// Upstream's 400 for a body that is no object of the kind.
fn undecodable(said: &Gvk, expected: &Gvk, why: &str) -> StatusError {
    StatusError::bad_request(format!(
        "{} in version {} cannot be handled as a {}: {why}",
        said.kind,
        meta::field::quote(&said.version),
        expected.kind
    ))
}
