//! The body of a list, made piece by piece while the client reads it.

use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use jiff::Timestamp;
use kinds::Kind;
use meta::StatusError;
use wire::list::{self, Head};
use wire::media::{Format, Shape};
use wire::present::Presentation;
use wire::protobuf;

use super::Selected;
use crate::call::Call;
use crate::{compress, respond};

/// How large a piece grows before it is sent. Source: none; large enough for few writes, small enough to start early.
const PIECE_BYTES: usize = 64 * 1024;

/// A list of items that are not stored.
pub(crate) fn answer_items(call: &Call, items: Vec<Bytes>) -> Result<Response<Body>, StatusError> {
    let head = Head {
        api_version: call.api_version.clone(),
        kind: call.kind.list_kind.to_string(),
        ..Head::default()
    };
    answer(call, Selected { items, head })
}

/// The selected objects in the form the client asked for.
pub(in crate::verbs) fn answer(
    call: &Call,
    selected: Selected,
) -> Result<Response<Body>, StatusError> {
    let presentation = respond::presentation(call, &call.kind)?;
    respond::check_list(call)?;
    if call.answer.format == Format::Protobuf {
        return enveloped(call, &presentation, &selected);
    }
    if selected.items.is_empty() && matches!(presentation.shape(), Shape::PartialList(_)) {
        let list = list::without_items(&presentation.head(&selected.head));
        return respond::json(call, StatusCode::OK, list);
    }
    let columns = call.kind.strategy.columns();
    let mut pieces = Pieces {
        next: Some(presentation.open_list(&selected.head, &columns)),
        presentation,
        kind: Arc::clone(&call.kind),
        now: call.now,
        items: selected.items.into_iter(),
        is_first: true,
    };
    let is_plain = call.answer.format == Format::Json && !call.query.flag("pretty");
    if !is_plain || compress::accepts(&call.headers) {
        // What is formatted or compressed is so as a whole.
        let whole: Result<Vec<Bytes>, _> = pieces.collect();
        let whole = whole.map_err(StatusError::internal)?.concat();
        return respond::json(call, StatusCode::OK, whole);
    }
    let media_type = Format::Json.media_type();
    let first = pieces.next().transpose().map_err(StatusError::internal)?;
    let first = first.unwrap_or_default();
    if pieces.next.is_none() {
        return Ok(respond::bytes(StatusCode::OK, media_type, first));
    }
    let pieces = stream::iter(std::iter::once(Ok(first)).chain(pieces));
    let mut response = respond::bytes(StatusCode::OK, media_type, Bytes::new());
    *response.body_mut() = Body::from_stream(pieces);
    Ok(response)
}

/// The list as protobuf. Its envelope says how long it is, so it is made as a whole.
fn enveloped(
    call: &Call,
    presentation: &Presentation,
    selected: &Selected,
) -> Result<Response<Body>, StatusError> {
    let head = presentation.head(&selected.head);
    let mut list = protobuf::open_list(&head).ok_or_else(respond::without_form)?;
    let mut shown = Vec::new();
    for item in &selected.items {
        shown.clear();
        let strategy = &*call.kind.strategy;
        presentation
            .write_item(&mut shown, item, strategy, call.now)
            .map_err(StatusError::internal)?;
        protobuf::push_item(&mut list, &shown).ok_or_else(respond::without_form)?;
    }
    let body = protobuf::seal(&head.api_version, &head.kind, &list);
    Ok(respond::bytes(
        StatusCode::OK,
        Format::Protobuf.media_type(),
        body,
    ))
}

/// The bytes of a list, in pieces.
struct Pieces {
    presentation: Presentation,
    kind: Arc<Kind>,
    now: Timestamp,
    items: std::vec::IntoIter<Bytes>,
    is_first: bool,
    /// What the next piece starts with; `None` after the last.
    next: Option<Vec<u8>>,
}

impl Iterator for Pieces {
    type Item = Result<Bytes, serde_json::Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut piece = self.next.take()?;
        while piece.len() < PIECE_BYTES {
            let Some(item) = self.items.next() else {
                piece.extend_from_slice(list::CLOSE);
                return Some(Ok(piece.into()));
            };
            if !std::mem::take(&mut self.is_first) {
                piece.push(b',');
            }
            let strategy = &*self.kind.strategy;
            let written = self
                .presentation
                .write_item(&mut piece, &item, strategy, self.now);
            if let Err(error) = written {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a stored object cannot be shown"
                );
                return Some(Err(error));
            }
        }
        self.next = Some(Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
        Some(Ok(piece.into()))
    }
}
