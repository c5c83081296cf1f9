//! OpenAPI documents over HTTP: made when first asked for, kept compressed, cached by clients for good.
//!
//! Only the compressed form is kept: it is what nearly all clients ask for, and a tenth of the plain one.

use std::collections::BTreeMap;
use std::io::{self, Read as _, Write as _};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::buf::Reader;
use bytes::{Buf as _, Bytes};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, EXPIRES,
    IF_NONE_MATCH, LOCATION, VARY,
};
use http::response::Builder;
use http::{HeaderMap, HeaderName, Response, StatusCode};
use http_body::{Frame, SizeHint};
use jiff::{Span, Timestamp};
use kinds::{Kind, Registry};
use serde_json::{Map, json};
use wire::openapi;

use crate::held::Streamed;

const JSON: &str = "application/json";

/// What clients ask for when they want version 2 in protobuf. Source: kube-openapi `handler`.
const V2_PROTOBUF: [&str; 2] = [
    "application/com.github.proto-openapi.spec.v2@v1.0+protobuf",
    "application/com.github.proto-openapi.spec.v2.v1.0+protobuf",
];

/// How long a client may keep a document that it asked for by hash, in hours. Source: kube-openapi `handler3`.
const KEEP_HOURS: i64 = 365 * 24;

/// Answers below `/openapi`.
pub trait OpenApi: Send + Sync {
    /// The answer to a GET of `path` (which starts with `/openapi/`) with its raw query; `None` when there is no such
    /// document. `registry` is what is served now.
    fn answer(
        &self,
        registry: &Registry,
        path: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Body>>;
}

/// The documents of a registry. A document is made anew when rows of its group version changed.
pub struct Documents {
    clock: fn() -> Timestamp,
    kept: Mutex<BTreeMap<String, Arc<Document>>>,
    /// Held while a document is made, so that clients who ask at once wait for one rather than make one each.
    making: Mutex<()>,
}

/// One document and the rows that it was made from.
struct Document {
    rows: Vec<Arc<Kind>>,
    /// SHA-512 of the content, in upper-case hex.
    hash: String,
    compressed: Bytes,
    plain_bytes: u64,
}

/// The name under which the protobuf form of version 2 is kept.
const V2_PROTOBUF_NAME: &str = "v2.pb";

impl Documents {
    /// No documents yet. `clock` says the time, for the `Expires` header.
    pub fn new(clock: fn() -> Timestamp) -> Self {
        Self {
            clock,
            kept: Mutex::default(),
            making: Mutex::default(),
        }
    }

    /// The document of that name, kept or made.
    fn document(
        &self,
        name: &str,
        registry: &Registry,
        concerns: impl Fn(&Kind) -> bool,
        make: impl FnOnce() -> Option<Vec<u8>>,
    ) -> Option<Arc<Document>> {
        let concerned = registry.rows().filter(|row| concerns(row));
        let rows: Vec<Arc<Kind>> = concerned.map(Arc::clone).collect();
        if let Some(document) = self.kept(name, &rows) {
            return Some(document);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(document) = self.kept(name, &rows) {
            return Some(document);
        }
        let document = Arc::new(Document::new(rows, &make()?)?);
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.insert(name.to_owned(), Arc::clone(&document));
        Some(document)
    }

    /// The document of that name, if it was made of these rows.
    fn kept(&self, name: &str, rows: &[Arc<Kind>]) -> Option<Arc<Document>> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let document = kept.get(name).filter(|document| document.is_of(rows))?;
        Some(Arc::clone(document))
    }

    fn v3(&self, registry: &Registry, name: &str) -> Option<Arc<Document>> {
        let concerns = |row: &Kind| {
            name == root(row)
                || name == "apis"
                || name == "api"
                || name == format!("apis/{}", row.group)
        };
        let make = || openapi::v3(registry, name);
        self.document(name, registry, concerns, make)
    }

    fn v3_index(&self, registry: &Registry) -> Option<Arc<Document>> {
        let mut paths = Map::new();
        for name in openapi::v3_names(registry) {
            let url = versioned_url(&name, &self.v3(registry, &name)?.hash);
            paths.insert(name, json!({ "serverRelativeURL": url }));
        }
        let make = || Some(json!({ "paths": paths }).to_string().into());
        self.document("v3", registry, |_| true, make)
    }

    fn v2(&self, registry: &Registry, headers: &HeaderMap) -> Option<Response<Body>> {
        let document = |name: &str, form: fn(Vec<u8>) -> Option<Vec<u8>>| {
            let make = || form(openapi::v2(registry));
            self.document(name, registry, |_| true, make)
        };
        match accepted(headers, &V2_PROTOBUF)? {
            Form::Json => {
                let document = document("v2", Some)?;
                document.respond(headers, JSON, Response::builder())
            }
            Form::Protobuf => {
                let protobuf = |json: Vec<u8>| openapi::v2_protobuf(&json).ok();
                let document = document(V2_PROTOBUF_NAME, protobuf)?;
                document.respond(headers, V2_PROTOBUF[1], Response::builder())
            }
            Form::None => not_acceptable(),
        }
    }

    /// A document of version 3. Asked for by its hash it may be kept for good; by an old hash, the client is sent on.
    fn v3_answer(
        &self,
        registry: &Registry,
        name: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Body>> {
        let document = self.v3(registry, name)?;
        let mut builder = Response::builder();
        let hash = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "hash");
        if let Some((_, hash)) = hash.filter(|(_, hash)| !hash.is_empty()) {
            if hash != document.hash {
                return builder
                    .status(StatusCode::MOVED_PERMANENTLY)
                    .header(LOCATION, versioned_url(name, &document.hash))
                    .body(Body::empty())
                    .ok();
            }
            builder = builder.header(CACHE_CONTROL, "public, immutable");
            if let Ok(until) = (self.clock)().checked_add(Span::new().hours(KEEP_HOURS)) {
                let until = until.strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
                builder = builder.header(EXPIRES, until);
            }
        }
        match accepted(headers, &[])? {
            Form::None => not_acceptable(),
            _ => document.respond(headers, JSON, builder),
        }
    }
}

impl OpenApi for Documents {
    fn answer(
        &self,
        registry: &Registry,
        path: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Body>> {
        match path.strip_prefix("/openapi/")? {
            "v2" => self.v2(registry, headers),
            "v3" => self.v3_index(registry)?.index(),
            rest => {
                let name = rest.strip_prefix("v3/")?;
                let found = self.v3_answer(registry, name, query, headers);
                found.or_else(nothing)
            }
        }
    }
}

fn root(row: &Kind) -> String {
    if row.group.is_empty() {
        format!("api/{}", row.version)
    } else {
        format!("apis/{}/{}", row.group, row.version)
    }
}

fn versioned_url(name: &str, hash: &str) -> String {
    format!("/openapi/v3/{name}?hash={hash}")
}

/// The form that a client gets.
enum Form {
    Json,
    Protobuf,
    None,
}

/// The first accepted form that is there; JSON when the client does not say.
fn accepted(headers: &HeaderMap, protobuf: &[&str]) -> Option<Form> {
    let Some(accept) = headers.get(ACCEPT) else {
        return Some(Form::Json);
    };
    let clauses = accept.to_str().ok()?.split(',');
    let mut media_types = clauses.map(|clause| clause.split(';').next().unwrap_or_default().trim());
    let found = media_types.find_map(|media_type| match media_type {
        JSON | "*/*" | "application/*" | "" => Some(Form::Json),
        other if protobuf.contains(&other) => Some(Form::Protobuf),
        _ => None,
    });
    Some(found.unwrap_or(Form::None))
}

fn not_acceptable() -> Option<Response<Body>> {
    let builder = Response::builder().status(StatusCode::NOT_ACCEPTABLE);
    builder.body(Body::empty()).ok()
}

/// What is told of a document of version 3 that is not there.
fn nothing() -> Option<Response<Body>> {
    let builder = Response::builder().status(StatusCode::NOT_FOUND);
    builder.body(Body::empty()).ok()
}

fn has(headers: &HeaderMap, name: &HeaderName, wanted: &str) -> bool {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.is_some_and(|value| value.split(',').any(|part| part.trim() == wanted))
}

impl Document {
    /// Compresses a document; `None` when that fails, which in memory it does not.
    fn new(rows: Vec<Arc<Kind>>, plain: &[u8]) -> Option<Self> {
        let digest = ring::digest::digest(&ring::digest::SHA512, plain);
        let hex: Vec<String> = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02X}"))
            .collect();
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(plain).ok()?;
        let mut compressed = encoder.finish().ok()?;
        compressed.shrink_to_fit();
        Some(Self {
            rows,
            hash: hex.concat(),
            compressed: compressed.into(),
            plain_bytes: plain.len() as u64,
        })
    }

    fn is_of(&self, rows: &[Arc<Kind>]) -> bool {
        self.rows.len() == rows.len()
            && self
                .rows
                .iter()
                .zip(rows)
                .all(|(kept, row)| Arc::ptr_eq(kept, row))
    }

    /// The index, which upstream writes without a word on what it is.
    ///
    /// Source: kube-openapi `handler3.HandleDiscovery`, Go's `http.DetectContentType`.
    fn index(&self) -> Option<Response<Body>> {
        let builder = Response::builder().header(CONTENT_TYPE, "text/plain; charset=utf-8");
        let builder = builder.extension(Streamed);
        builder.body(Body::new(Plain::new(self))).ok()
    }

    /// The document, compressed if the client can read that; 304 when it has it.
    fn respond(
        &self,
        headers: &HeaderMap,
        media_type: &str,
        builder: Builder,
    ) -> Option<Response<Body>> {
        let etag = format!("\"{}\"", self.hash);
        let builder = builder
            .header(VARY, "Accept, Accept-Encoding")
            .header(ETAG, &etag);
        if has(headers, &IF_NONE_MATCH, &etag) {
            return builder
                .status(StatusCode::NOT_MODIFIED)
                .body(Body::empty())
                .ok();
        }
        let builder = builder.header(CONTENT_TYPE, media_type);
        // Neither form is there once more for each answer.
        let builder = builder.extension(Streamed);
        if has(headers, &ACCEPT_ENCODING, "gzip") {
            let builder = builder.header(CONTENT_ENCODING, "gzip");
            return builder.body(Body::from(self.compressed.clone())).ok();
        }
        builder.body(Body::new(Plain::new(self))).ok()
    }
}

/// Bytes of a document that are there uncompressed at once.
const PLAIN_PIECE_BYTES: usize = 64 << 10;

/// A document as it was before it was compressed, made while it is read.
struct Plain {
    decoder: GzDecoder<Reader<Bytes>>,
    bytes_left: u64,
}

impl Plain {
    fn new(document: &Document) -> Self {
        Self {
            decoder: GzDecoder::new(document.compressed.clone().reader()),
            bytes_left: document.plain_bytes,
        }
    }

    fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut piece = Vec::with_capacity(PLAIN_PIECE_BYTES);
        let most = PLAIN_PIECE_BYTES as u64;
        (&mut self.decoder).take(most).read_to_end(&mut piece)?;
        self.bytes_left = self.bytes_left.saturating_sub(piece.len() as u64);
        Ok((!piece.is_empty()).then(|| piece.into()))
    }
}

impl http_body::Body for Plain {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.next().transpose().map(|piece| piece.map(Frame::data)))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes_left)
    }
}

#[cfg(test)]
mod tests;
