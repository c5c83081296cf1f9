//! Answers: objects and statuses in the form the client asked for.

use std::collections::HashSet;

use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderValue};
use http::{Response, StatusCode};
use kinds::{Kind, Strategy};
use meta::{Status, StatusError};
use serde_json::Value;
use wire::json::Indenter;
use wire::media::{Answer, Format, Shape};
use wire::present::Presentation;
use wire::protobuf;
use wire::table::IncludeObject;

use crate::call::Call;

/// An answer of bytes.
pub(crate) fn bytes(
    code: StatusCode,
    media_type: &'static str,
    bytes: impl Into<Bytes>,
) -> Response<Body> {
    let mut response = Response::new(Body::from(bytes.into()));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    headers.insert(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-cache, private"),
    );
    response
}

/// A refusal in this form.
pub(crate) fn refusal(error: &StatusError, form: &Answer) -> Response<Body> {
    let code = StatusCode::from_u16(error.code()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = serde_json::to_value(&error.0).unwrap_or_default();
    let written = value(code, form, &body);
    let mut response = written
        .unwrap_or_else(|_| bytes(code, Format::Json.media_type(), wire::encode::bytes(&body)));
    let retry = error
        .0
        .details
        .as_ref()
        .map_or(0, |details| details.retry_after_seconds);
    if retry > 0 {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(retry));
    }
    response
}

/// Marks an answer to who was not let in; as an extension of the response, which nobody outside sees.
#[derive(Clone, Copy)]
pub(crate) struct TurnedAway;

/// Marks an answer that ends with the server, such as a watch or a followed log: all others are given whole.
///
/// Source: apiserver `WithWaitGroup`, which waits for what is not long-running.
#[derive(Clone, Copy)]
pub(crate) struct LongRunning;

/// The refusal of a request whose sender is not known, or may not send it.
///
/// Source: apiserver `handlers/responsewriters` `Forbidden`, `RespondWithError`; `filters` `Unauthorized`.
pub(crate) fn turned_away(error: &StatusError, form: &Answer) -> Response<Body> {
    let mut response = refusal(error, form);
    response.extensions_mut().insert(TurnedAway);
    if error.code() != 401 {
        response.headers_mut().insert(
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        );
    }
    response
}

/// What paths get that nobody serves.
pub(crate) fn no_page() -> Response<Body> {
    plain(StatusCode::NOT_FOUND, "404 page not found\n")
}

/// What paths get that start as one of a resource does and name none.
///
/// Source: apiserver `filters/requestinfo.go`, `responsewriters.InternalError`.
pub(crate) fn unreadable(path: &str) -> Response<Body> {
    let quoted = meta::field::quote(path);
    let mut response = plain(
        StatusCode::INTERNAL_SERVER_ERROR,
        format!(
            "Internal Server Error: {quoted}: failed to create RequestInfo: unable to determine kind and namespace from url, {path}\n"
        ),
    );
    response.headers_mut().remove(header::CACHE_CONTROL);
    response
}

/// Seconds after which a refused client may try again. Source: apiserver `server/filters` `retryAfter`.
const RETRY_AFTER_SECONDS: u16 = 1;

/// What requests get that are too many at once.
pub(crate) fn too_many() -> Response<Body> {
    too_many_requests(RETRY_AFTER_SECONDS)
}

/// The same when it is known how long others are sent away. Source: apiserver `server/filters` `tooManyRequests`.
pub(crate) fn too_many_requests(retry_after_seconds: u16) -> Response<Body> {
    let mut response = plain(
        StatusCode::TOO_MANY_REQUESTS,
        "Too many requests, please try again later.\n",
    );
    let headers = response.headers_mut();
    headers.insert(header::RETRY_AFTER, retry_after_seconds.into());
    response
}

/// A refusal that is no Status. Source: `net/http` `Error`.
fn plain(code: StatusCode, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = bytes(code, "text/plain; charset=utf-8", text);
    response.headers_mut().insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// A value in this form. What is indented has no end of line behind it.
pub(crate) fn value(
    code: StatusCode,
    form: &Answer,
    value: &Value,
) -> Result<Response<Body>, StatusError> {
    let format = form.format;
    let text = match format {
        Format::Json if form.is_indented => format!("{value:#}").into(),
        Format::Json => lined(wire::encode::bytes(value).into()),
        Format::Yaml => Bytes::from(wire::yaml::write(value).map_err(StatusError::internal)?),
        Format::Protobuf => return envelope(code, &wire::encode::bytes(value)),
    };
    Ok(bytes(code, format.media_type(), text))
}

/// JSON with the end of line that upstream's encoder puts behind it.
fn lined(json: Bytes) -> Bytes {
    if json.ends_with(b"\n") {
        return json;
    }
    let mut line = Vec::with_capacity(json.len() + 1);
    line.extend_from_slice(&json);
    line.push(b'\n');
    line.into()
}

/// An object, given as its JSON, in protobuf.
fn envelope(code: StatusCode, json: &[u8]) -> Result<Response<Body>, StatusError> {
    let body = protobuf::write(json).ok_or_else(without_form)?;
    Ok(bytes(code, Format::Protobuf.media_type(), body))
}

/// For an object that has no protobuf form although its kind has one.
pub(crate) fn without_form() -> StatusError {
    StatusError::internal("the object has no protobuf form")
}

/// A Status that is no refusal.
pub(crate) fn status(call: &Call, status: &Status) -> Result<Response<Body>, StatusError> {
    let code = match status.code {
        0 => StatusCode::OK,
        code => StatusCode::from_u16(code).unwrap_or(StatusCode::OK),
    };
    let body = serde_json::to_value(status).map_err(StatusError::internal)?;
    value(code, &call.answer, &body)
}

/// One object, given as the bytes of the row's version.
pub(crate) fn object(
    call: &Call,
    kind: &Kind,
    code: StatusCode,
    object: Bytes,
) -> Result<Response<Body>, StatusError> {
    let presentation = presentation(call, kind)?;
    match call.answer.shape {
        Shape::Object => return json(call, code, object),
        Shape::PartialList(_) => {
            let go_type = format!("*{}.{}", kind.go_package(), kind.kind);
            return Err(no_list(&go_type));
        }
        Shape::Partial(_) | Shape::Table(_) => {}
    }
    let strategy = &*kind.strategy;
    let (columns, mut shown) = (strategy.columns(), Vec::new());
    presentation
        .write_single(&mut shown, &object, strategy, Some(&columns), call.now)
        .map_err(StatusError::internal)?;
    json(call, code, shown)
}

/// 406 for a single object that should be shown as a list.
fn no_list(go_type: &str) -> StatusError {
    StatusError::not_convertible(&format!(
        "you requested PartialObjectMetadataList, but the requested object is not a list ({go_type})"
    ))
}

/// A scale.
pub(crate) fn scale(
    call: &Call,
    scale: &Value,
    warnings: &[String],
) -> Result<Response<Body>, StatusError> {
    let mut shown = wire::encode::bytes(scale);
    match &call.answer.shape {
        Shape::Object => {}
        Shape::PartialList(_) => return Err(no_list("*autoscaling.Scale")),
        Shape::Partial(_) | Shape::Table(_) => {
            let include = include(call)?;
            let presentation = Presentation::new(call.answer.shape.clone(), include, &kinds::Scale);
            let (object, columns) = (std::mem::take(&mut shown), kinds::Scale.columns());
            presentation
                .write_single(&mut shown, &object, &kinds::Scale, Some(&columns), call.now)
                .map_err(StatusError::internal)?;
        }
    }
    let mut response = json(call, StatusCode::OK, shown)?;
    warn(&mut response, warnings);
    Ok(response)
}

/// Refuses to show a list as what a single object can be turned into.
pub(crate) fn check_list(call: &Call) -> Result<(), StatusError> {
    if !matches!(call.answer.shape, Shape::Partial(_)) {
        return Ok(());
    }
    Err(StatusError::not_convertible(&format!(
        "you requested PartialObjectMetadata, but the requested object is a list (*{}.{})",
        call.kind.go_package(),
        call.kind.list_kind
    )))
}

/// How the client of a call wants to see objects of a kind.
pub(crate) fn presentation(call: &Call, kind: &Kind) -> Result<Presentation, StatusError> {
    let shape = call.answer.shape.clone();
    let include = match shape {
        Shape::Table(_) => include(call)?,
        _ => IncludeObject::None,
    };
    Ok(Presentation::new(shape, include, &*kind.strategy))
}

/// An answer of JSON, in the format the client asked for.
pub(crate) fn json(
    call: &Call,
    code: StatusCode,
    json: impl Into<Bytes>,
) -> Result<Response<Body>, StatusError> {
    let json = json.into();
    match call.answer.format {
        Format::Json => {
            let text = if call.answer.is_indented {
                Indenter::document(&json).into()
            } else {
                lined(json)
            };
            Ok(bytes(code, Format::Json.media_type(), text))
        }
        Format::Protobuf => envelope(code, &json),
        Format::Yaml => {
            let parsed: Value = serde_json::from_slice(&json).map_err(StatusError::internal)?;
            value(code, &call.answer, &parsed)
        }
    }
}

/// The `includeObject` policy of a Table request.
fn include(call: &Call) -> Result<IncludeObject, StatusError> {
    let text = call.query.text("includeObject");
    IncludeObject::parse(text).ok_or_else(|| {
        StatusError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', 'None', or empty",
            meta::field::quote(text)
        ))
    })
}

/// Puts warnings before those that an answer has.
pub(crate) fn warn_first(response: &mut Response<Body>, warnings: &[String]) {
    let present: Vec<HeaderValue> = response
        .headers()
        .get_all(header::WARNING)
        .iter()
        .cloned()
        .collect();
    response.headers_mut().remove(header::WARNING);
    warn(response, warnings);
    for warning in present {
        response.headers_mut().append(header::WARNING, warning);
    }
}

/// Most characters of warnings, and, where there are more, of each of them. Source: apiserver `filters/warning.go`.
const WARNINGS_CHARS_MAX: usize = 4096;
const WARNING_CHARS_MAX: usize = 256;

/// Adds Warning headers. Source: RFC 7234 5.5 and apiserver `warning`: code 299, agent `-`.
pub(crate) fn warn(response: &mut Response<Body>, warnings: &[String]) {
    for warning in bounded(warnings) {
        let text = format!("299 - {}", meta::field::quote(&warning));
        if let Ok(text) = HeaderValue::from_str(&text) {
            response.headers_mut().append(header::WARNING, text);
        }
    }
}

/// Warnings that say something, each once; where they are too long together, each is cut, and the last are left out.
fn bounded(warnings: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let said = warnings.iter().map(String::as_str);
    let said = said.filter(|warning| !warning.is_empty() && seen.insert(*warning));
    let (mut kept, mut chars, mut is_cut): (Vec<&str>, usize, bool) = (Vec::new(), 0, false);
    let cut = |warning: &str| warning.chars().take(WARNING_CHARS_MAX).collect::<String>();
    for warning in said {
        if is_cut && chars >= WARNINGS_CHARS_MAX {
            break;
        }
        kept.push(warning);
        let more = warning.chars().count();
        if is_cut {
            chars += more.min(WARNING_CHARS_MAX);
        } else if chars + more <= WARNINGS_CHARS_MAX {
            chars += more;
        } else {
            is_cut = true;
            chars = kept.iter().map(|kept| cut(kept).chars().count()).sum();
        }
    }
    let shown = kept.into_iter();
    if is_cut {
        shown.map(cut).collect()
    } else {
        shown.map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_stand_once_and_are_cut_when_they_are_too_many() {
        let texts = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(bounded(&texts(&["a", "", "b", "a"])), ["a", "b"]);
        let long = "\u{e9}".repeat(WARNINGS_CHARS_MAX);
        assert_eq!(bounded(std::slice::from_ref(&long)), [long.as_str()]);
        let cut = bounded(&texts(&["a", &long, "b"]));
        assert_eq!(cut, ["a", &"\u{e9}".repeat(WARNING_CHARS_MAX), "b"]);
        let many: Vec<String> = (0..100_000).map(|index| format!("{index:064}")).collect();
        assert_eq!(bounded(&many).len(), WARNINGS_CHARS_MAX / 64 + 1);
    }
}
