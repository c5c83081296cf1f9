//! In what form a request is answered, and for whom.

use http::HeaderMap;
use kinds::Kind;
use meta::StatusError;
use wire::media::{self, Answer, Format, Offer};
use wire::protobuf;

use crate::options::Query;
use crate::request::RequestInfo;

/// What a client reads; empty when it does not say.
pub(crate) fn accept(headers: &HeaderMap) -> &str {
    let accept = headers.get(http::header::ACCEPT);
    accept
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// In what form a resource is answered. What no route produces is refused before what cannot be produced.
pub(crate) fn negotiate(
    accept: &str,
    kind: &Kind,
    info: &RequestInfo,
) -> Result<Answer, StatusError> {
    let routed = match info.verb.as_str() {
        "list" | "watch" => media::LISTED,
        _ => media::PRODUCED,
    };
    if !media::is_accepted(accept, routed) {
        return Err(StatusError::no_representation(routed));
    }
    let offer = Offer {
        // Only a client that names protobuf gets it.
        protobuf: accept.contains("protobuf") && protobuf::has_form(&kind.gvk()),
        has_table: has_table(kind, info),
    };
    let answer = media::negotiate(accept, offer)
        .ok_or_else(|| StatusError::not_acceptable(media::PRODUCED))?;
    // What is liked best of objects must do for events too, of which there is no stream in YAML.
    if info.verb == "watch" && answer.format == Format::Yaml {
        return Err(StatusError::not_acceptable(media::STREAMED));
    }
    Ok(answer)
}

/// Whether what a request names can be shown as a Table: not what is only posted, nor most subresources.
///
/// Source: the storages in kube-apiserver `pkg/registry` that are a `rest.TableConvertor`.
fn has_table(kind: &Kind, info: &RequestInfo) -> bool {
    match info.subresource.as_str() {
        "" => kind.verbs.iter().any(|verb| *verb == "get"),
        "status" => kind.kind != "ResourceClaim",
        "scale" => true,
        _ => false,
    }
}

/// Programs that people look at answers with, by the start of their name. Source: apiserver `isPrettyPrint`.
const SHOWING: [&str; 3] = ["curl", "Wget", "Mozilla/5.0"];

/// Whether a request is of a program that shows answers to people.
pub(crate) fn is_for_people(headers: &HeaderMap) -> bool {
    let agent = headers.get(http::header::USER_AGENT);
    let agent = agent.and_then(|agent| agent.to_str().ok());
    let agent = agent.unwrap_or_default();
    SHOWING.iter().any(|name| agent.starts_with(name))
}

/// Whether an answer is indented because the request says so, or comes from a program that shows it to people.
///
/// Source: apiserver `isPrettyPrint`, with Go's `strconv.ParseBool`.
pub(crate) fn asks_for_indented(query: &Query, headers: &HeaderMap) -> bool {
    match query.text("pretty") {
        "" => is_for_people(headers),
        text => ["1", "t", "T", "TRUE", "true", "True"].contains(&text),
    }
}

/// In what form a request is refused.
pub(crate) fn refused_in(query: &Query, headers: &HeaderMap) -> Answer {
    let mut answer = media::refused_in(accept(headers));
    answer.is_indented |= asks_for_indented(query, headers);
    answer
}
