//! From a request's body to an object of its kind.

use kinds::schema::{Schema, builtin_kind, decode};
use meta::{Gvk, Object, ObjectExt, StatusError};
use wire::json::Document;
use wire::media::{self, Format};
use wire::protobuf;

use crate::call::Call;
use crate::options::FieldValidation;

/// A decoded body and the warnings it earned.
pub(crate) struct Body {
    pub(crate) object: Object,
    pub(crate) warnings: Vec<String>,
}

/// Reads the body in the format its content type names.
pub(crate) fn document(call: &Call) -> Result<Document, StatusError> {
    let content_type = call.header(http::header::CONTENT_TYPE);
    if media::media_type(content_type) == protobuf::MEDIA_TYPE {
        return enveloped(call);
    }
    let format = media::body_format(content_type)
        .ok_or_else(|| StatusError::unsupported_media_type(media::READ))?;
    let read = match format {
        Format::Json => wire::json::read(&call.body),
        Format::Yaml => wire::yaml::read(&call.body),
    };
    read.map_err(|why| undecodable(&call.kind.gvk(), &call.kind.gvk(), &why))
}

/// Reads a protobuf body; its envelope says which built-in kind it holds.
fn enveloped(call: &Call) -> Result<Document, StatusError> {
    let expected = call.kind.gvk();
    let refused = |why: &dyn std::fmt::Display| undecodable(&expected, &expected, &why.to_string());
    let envelope = protobuf::open(&call.body).map_err(|error| refused(&error))?;
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
    decode_as(
        document,
        &call.kind.gvk(),
        &call.kind.schema,
        validation,
        &call.body,
    )
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
    fit(document, gvk, schema, validation, source).map_err(|misfit| misfit.refusal(gvk))
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

/// Decodes a document as an object of a kind.
///
/// Complaints come in the order of `source`, when that is the JSON the document was read from.
pub(crate) fn fit(
    mut document: Document,
    gvk: &Gvk,
    schema: &Schema,
    validation: FieldValidation,
    source: &[u8],
) -> Result<Body, Misfit> {
    let misfit = |said: &Gvk, why: String| Misfit::Undecodable {
        said: said.clone(),
        why,
    };
    if !document.value.is_object() {
        let why = "json: cannot unmarshal into Go value of type struct";
        return Err(misfit(gvk, why.to_owned()));
    }
    let said = (
        document.value.api_version().to_owned(),
        document.value.kind().to_owned(),
    );
    let named = named(&said, gvk).map_err(Misfit::Malformed)?;
    if named != *gvk {
        let go = |gvk: &Gvk| format!("{}.{}", gvk.version, gvk.kind);
        let group = if gvk.group.is_empty() {
            "core"
        } else {
            gvk.group.split('.').next().unwrap_or_default()
        };
        let why = if named.kind == gvk.kind {
            format!(
                "no kind {} is registered for version {} in scheme \"pkg/api/legacyscheme/scheme.go:30\"",
                meta::field::quote(&named.kind),
                meta::field::quote(&named.api_version())
            )
        } else {
            format!(
                "converting ({}) to ({group}.{}): unknown conversion",
                go(&named),
                gvk.kind
            )
        };
        let shown = if named.kind == gvk.kind { gvk } else { &named };
        return Err(misfit(shown, why));
    }
    document
        .value
        .set(&["apiVersion"], gvk.api_version().into());
    document.value.set(&["kind"], gvk.kind.clone().into());
    let decoded = decode(document.value, schema).map_err(|error| misfit(gvk, error.to_string()))?;
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
        complaints.sort_by_key(place);
    }
    match validation {
        FieldValidation::Strict if !complaints.is_empty() => {
            let why = format!("strict decoding error: {}", complaints.join(", "));
            Err(misfit(gvk, why))
        }
        FieldValidation::Warn => Ok(Body {
            object: decoded.object,
            warnings: complaints,
        }),
        _ => Ok(Body {
            object: decoded.object,
            warnings: Vec::new(),
        }),
    }
}

/// The kind a body names, filled up from the expected one.
fn named((api_version, kind): &(String, String), expected: &Gvk) -> Result<Gvk, StatusError> {
    let kind = if kind.is_empty() {
        &expected.kind
    } else {
        kind
    };
    if api_version.is_empty() {
        return Ok(Gvk::new(&expected.group, &expected.version, kind));
    }
    let malformed =
        || StatusError::bad_request(format!("unexpected GroupVersion string: {api_version}"));
    Gvk::from_api_version(api_version, kind).ok_or_else(malformed)
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
