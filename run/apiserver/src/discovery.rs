//! What is served, told in upstream's forms: `/api`, `/apis`, one group, one version, and all at once (aggregated).
//!
//! Every document is made once for a registry; a request picks one. Says nothing of OpenAPI.
//!
//! Source: apiserver `endpoints/discovery`, `endpoints/discovery/aggregated`.

mod documents;
mod priority;

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use http::{HeaderMap, Response, StatusCode};
use kinds::Registry;
use meta::StatusError;
use serde_json::Value;
use wire::{media, protobuf};

/// Media type of the aggregated documents.
const AGGREGATED: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
/// What can be produced, for refusals.
const PRODUCED: &[&str] = &["application/json", "application/yaml", protobuf::MEDIA_TYPE];

/// The discovery documents of one registry.
pub(crate) struct Discovery {
    /// Plain documents by path, without a trailing slash.
    plain: BTreeMap<String, Document>,
    /// Aggregated documents of `/api` and `/apis`.
    aggregated: BTreeMap<&'static str, Document>,
}

struct Document {
    json: Bytes,
    yaml: Bytes,
    /// Empty for the aggregated form.
    protobuf: Bytes,
    etag: String,
}

/// What a client prefers among what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Json,
    Yaml,
    Protobuf,
    Aggregated,
}

impl Discovery {
    /// Makes the documents. `address` is where clients reach the server, as `host:port`.
    pub(crate) fn new(registry: &Registry, address: &str) -> Self {
        let plain = documents::plain(registry, address);
        let aggregated = documents::aggregated(registry);
        Self {
            plain: plain
                .into_iter()
                .map(|(path, value)| (path, Document::new(&value)))
                .collect(),
            aggregated: aggregated
                .into_iter()
                .map(|(path, value)| (path, Document::new(&value)))
                .collect(),
        }
    }

    /// The paths of all documents.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.plain.keys().map(String::as_str)
    }

    /// The answer to a GET of `path`; `None` when it is no discovery path.
    pub(crate) fn answer(
        &self,
        path: &str,
        headers: &HeaderMap,
    ) -> Option<Result<Response<Bytes>, StatusError>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let plain = self.plain.get(path)?;
        let aggregated = self.aggregated.get(path);
        let accept = headers.get(ACCEPT).and_then(|value| value.to_str().ok());
        let accept = accept.unwrap_or_default();
        // Neither the list of groups nor the page of one is a route. Source: kube-aggregator `apisHandler`, `apiGroupHandler`.
        let is_routed = path != "/apis" && !is_group(path);
        if is_routed && !media::is_accepted(accept, PRODUCED) {
            return Some(Err(StatusError::no_representation(PRODUCED)));
        }
        let form = choose(accept, aggregated.is_some());
        Some(match (form, aggregated) {
            (Some(Form::Aggregated), Some(document)) => document.conditional(headers),
            (Some(Form::Yaml), _) => respond("application/yaml", plain.yaml.clone()),
            (Some(Form::Protobuf), _) => respond(protobuf::MEDIA_TYPE, plain.protobuf.clone()),
            (Some(_), _) => respond("application/json", plain.json.clone()),
            (None, _) => Err(StatusError::not_acceptable(PRODUCED)),
        })
    }
}

/// Whether the path is `/apis/GROUP`.
fn is_group(path: &str) -> bool {
    let group = path.strip_prefix("/apis/");
    group.is_some_and(|group| !group.contains('/'))
}

impl Document {
    fn new(value: &Value) -> Self {
        let json = value.to_string();
        let digest = ring::digest::digest(&ring::digest::SHA512, json.as_bytes());
        let hex: Vec<String> = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        Self {
            protobuf: protobuf::discovery(value).unwrap_or_default().into(),
            yaml: wire::yaml::write(value).unwrap_or_default().into(),
            json: format!("{json}\n").into(),
            etag: format!("\"{}\"", hex.concat()),
        }
    }

    /// The document, or 304 when the client has it.
    fn conditional(&self, headers: &HeaderMap) -> Result<Response<Bytes>, StatusError> {
        let known = headers
            .get(IF_NONE_MATCH)
            .and_then(|value| value.to_str().ok());
        let builder = Response::builder()
            .header(ETAG, &self.etag)
            .header(VARY, "Accept")
            .header(CACHE_CONTROL, "public");
        let response = if known == Some(self.etag.as_str()) {
            builder.status(StatusCode::NOT_MODIFIED).body(Bytes::new())
        } else {
            builder
                .header(CONTENT_TYPE, AGGREGATED)
                .body(self.json.clone())
        };
        response.map_err(StatusError::internal)
    }
}

fn respond(media_type: &str, body: Bytes) -> Result<Response<Bytes>, StatusError> {
    Response::builder()
        .header(CONTENT_TYPE, media_type)
        .header(CACHE_CONTROL, "no-cache, private")
        .body(body)
        .map_err(StatusError::internal)
}

/// The clause of an `Accept` header that is liked best and can be served; an absent header means JSON.
///
/// Upstream 1.36 no longer serves `v2beta1` of the aggregated form; neither is it here.
fn choose(accept: &str, has_aggregated: bool) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form::Json);
    }
    let mut clauses = media::by_liking(accept).into_iter();
    clauses.find_map(|clause| form(clause, has_aggregated))
}

fn form(clause: &str, has_aggregated: bool) -> Option<Form> {
    let mut parts = clause.split(';').map(str::trim);
    let format = match parts.next()? {
        "application/json" | "application/*" | "*/*" => Form::Json,
        "application/yaml" => Form::Yaml,
        protobuf::MEDIA_TYPE => Form::Protobuf,
        _ => return None,
    };
    let parameters: BTreeMap<&str, &str> = parts.filter_map(|part| part.split_once('=')).collect();
    match parameters.get("as") {
        None => Some(format),
        Some(&"APIGroupDiscoveryList") if has_aggregated && format == Form::Json => {
            let is_v2 = parameters.get("g") == Some(&"apidiscovery.k8s.io")
                && parameters.get("v") == Some(&"v2");
            is_v2.then_some(Form::Aggregated)
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests;
