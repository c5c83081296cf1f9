//! The body of a list, made piece by piece while the client reads it.

use std::pin::Pin;
use std::sync::Arc;

use axum::body::Body;
use bytes::Bytes;
use futures::FutureExt;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};
use http::{Response, StatusCode};
use jiff::Timestamp;
use kinds::Kind;
use meta::{Object, StatusError};
use tokio::task::JoinError;
use wire::json::Indenter;
use wire::list::{self, Head};
use wire::media::{Format, Shape};
use wire::present::Presentation;
use wire::protobuf;

use super::Selected;
use crate::call::Call;
use crate::held::Kept;
use crate::limits::{self, Class};
use crate::respond;
use crate::room::{STREAM_BYTES, Share};
use crate::stored::Item;

/// A piece is made of objects of so many bytes together; one that is larger is a piece of its own.
///
/// Source: none; large enough for few writes, small enough to start early.
const PIECE_BYTES: usize = 64 * 1024;
/// The same where a piece is made aside: the way to another thread and back should be a small part of it.
const PIECE_ASIDE_BYTES: usize = 128 * 1024;
/// Pieces that are in the making at once, of forms that take longer to make than to send. Source: none; bounds what one
/// list takes of memory and processors.
const PIECES_AHEAD: usize = 2;
/// What an answer in YAML takes while it is made, for each byte of its objects: they are read as values, then written.
const YAML_BYTES: usize = 16;

/// A list of items that are not stored.
pub(crate) async fn answer_items(
    call: &Call,
    items: Vec<Bytes>,
) -> Result<Response<Body>, StatusError> {
    let head = Head {
        api_version: call.api_version.clone(),
        kind: call.kind.list_kind.to_string(),
        ..Head::default()
    };
    let items = items.into_iter().map(Item::Made).collect();
    answer(call, Selected { items, head }).await
}

/// The selected objects in the form the client asked for.
pub(in crate::verbs) async fn answer(
    call: &Call,
    mut selected: Selected,
) -> Result<Response<Body>, StatusError> {
    let presentation = respond::presentation(call, &call.kind)?;
    respond::check_list(call)?;
    let (format, head) = (call.answer.format, presentation.head(&selected.head));
    let (room, held) = (call.server.room(), bytes_held(call, &selected.items));
    let Ok(room) = room.take_beyond(0, &call.user.name, held) else {
        return Ok(respond::too_many());
    };
    if matches!(presentation.shape(), Shape::Table(_)) {
        order(&mut selected.items, call.kind.strategy.row_order());
    }
    let is_partial = matches!(presentation.shape(), Shape::PartialList(_));
    if selected.items.is_empty() && is_partial && format != Format::Protobuf {
        return respond::json(call, StatusCode::OK, list::without_items(&head));
    }
    // What costs little more than to copy is not worth a task.
    let is_costly = format == Format::Protobuf || matches!(presentation.shape(), Shape::Table(_));
    let opening = match format {
        Format::Protobuf => protobuf::open_list(&head).ok_or_else(respond::without_form)?,
        _ => presentation.open_list(&selected.head, &call.kind.strategy.columns()),
    };
    let writer = Arc::new(Writer {
        presentation,
        kind: Arc::clone(&call.kind),
        format,
        now: call.now,
    });
    let mut pieces = Pieces {
        bytes: if is_costly {
            PIECE_ASIDE_BYTES
        } else {
            PIECE_BYTES
        },
        opening,
        items: selected.items.into_iter(),
        is_first: true,
        is_over: false,
    };
    let first = pieces.next().unwrap_or_default();
    if pieces.is_over && format != Format::Protobuf {
        let whole = writer.write(first).map_err(refusal)?;
        return respond::json(call, StatusCode::OK, whole);
    }
    let rest = begun(&writer, pieces, is_costly);
    let first = writer.write(first).map_err(refusal)?;
    let first = stream::iter(std::iter::once(Ok(first)));
    let pieces = first.chain(rest).boxed();
    respond_with(call, &head, pieces, room).await
}

/// The pieces; what is made aside is begun at once.
fn begun(writer: &Arc<Writer>, pieces: Pieces, is_costly: bool) -> PieceStream {
    let (writer, pieces) = (Arc::clone(writer), stream::iter(pieces));
    if !is_costly {
        return pieces.map(move |piece| writer.write(piece)).boxed();
    }
    let pieces = pieces.map(move |piece| made_aside(&writer, piece));
    let mut pieces = pieces.buffered(PIECES_AHEAD).peekable();
    Pin::new(&mut pieces).peek().now_or_never();
    pieces.boxed()
}

/// The response of pieces, in the format the client asked for.
async fn respond_with(
    call: &Call,
    head: &Head,
    pieces: PieceStream,
    mut room: Option<Share>,
) -> Result<Response<Body>, StatusError> {
    let format = call.answer.format;
    let pieces = match format {
        Format::Json if call.answer.is_indented => indented(pieces),
        Format::Json => pieces,
        Format::Yaml => {
            let whole: Vec<Bytes> = pieces.try_collect().await.map_err(refusal)?;
            return respond::json(call, StatusCode::OK, whole.concat());
        }
        Format::Protobuf => {
            let pieces = pieces.try_collect().await.map_err(refusal)?;
            let (pieces, bytes) = enveloped(head, pieces);
            if bytes <= PIECE_BYTES {
                let whole = pieces.concat();
                return Ok(respond::bytes(StatusCode::OK, format.media_type(), whole));
            }
            if let Some(room) = &mut room {
                room.shrink_to(bytes);
            }
            stream::iter(pieces.into_iter().map(Ok)).boxed()
        }
    };
    let mut response = respond::bytes(StatusCode::OK, format.media_type(), Bytes::new());
    *response.body_mut() = Body::from_stream(pieces);
    if let Some(room) = room {
        response.extensions_mut().insert(Kept::Room(Arc::new(room)));
    }
    Ok(response)
}

/// What an answer with these objects takes of memory until it is read; nothing where that is hardly worth counting.
fn bytes_held(call: &Call, items: &[Item]) -> usize {
    let bytes: usize = items.iter().map(|item| item.len()).sum();
    // What was done is not refused for want of room.
    let is_write = limits::class(&call.info.verb, &call.info.subresource) == Class::Write;
    if is_write || bytes <= PIECE_BYTES {
        return 0;
    }
    match call.answer.format {
        // Made while it is read, of objects that others share.
        Format::Json => size_of_val(items) + STREAM_BYTES,
        Format::Yaml => bytes * YAML_BYTES,
        Format::Protobuf => bytes,
    }
}

type PieceStream = BoxStream<'static, Result<Bytes, PieceError>>;

/// JSON that is indented while it is read.
fn indented(pieces: PieceStream) -> PieceStream {
    let mut indenter = Indenter::default();
    let pieces = pieces.map_ok(move |piece| {
        let mut out = Vec::new();
        indenter.push(&piece, &mut out);
        Bytes::from(out)
    });
    pieces.boxed()
}

/// The pieces of a message in the envelope, which says how long it is; and their bytes together.
fn enveloped(head: &Head, mut pieces: Vec<Bytes>) -> (Vec<Bytes>, usize) {
    let bytes: usize = pieces.iter().map(Bytes::len).sum();
    let opening = protobuf::open_envelope(&head.api_version, &head.kind, bytes);
    let around = opening.len() + protobuf::ENVELOPE_END.len();
    pieces.insert(0, opening.into());
    pieces.push(Bytes::from_static(protobuf::ENVELOPE_END));
    (pieces, bytes + around)
}

/// Orders the items of a Table as upstream prints them; what is equal stays in the order of names.
fn order(items: &mut [Item], by: Option<fn(&Object) -> i64>) {
    if let Some(by) = by {
        items.sort_by_cached_key(|item| serde_json::from_slice(item).as_ref().map_or(0, by));
    }
}

/// What a piece of a list is made from.
#[derive(Default)]
struct Piece {
    /// What stands before its objects.
    opening: Vec<u8>,
    items: Vec<Item>,
    is_first: bool,
    is_last: bool,
}

/// A list, cut into pieces.
struct Pieces {
    /// How large pieces are, as far as their objects can be cut.
    bytes: usize,
    /// What the first one starts with.
    opening: Vec<u8>,
    items: std::vec::IntoIter<Item>,
    is_first: bool,
    is_over: bool,
}

impl Iterator for Pieces {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        if self.is_over {
            return None;
        }
        let (mut items, mut bytes) = (Vec::new(), 0);
        while bytes < self.bytes
            && let Some(item) = self.items.next()
        {
            bytes += item.len();
            items.push(item);
        }
        self.is_over = self.items.as_slice().is_empty();
        Some(Piece {
            opening: std::mem::take(&mut self.opening),
            items,
            is_first: std::mem::take(&mut self.is_first),
            is_last: self.is_over,
        })
    }
}

/// Why a list breaks off.
#[derive(Debug, thiserror::Error)]
enum PieceError {
    #[error("a stored object cannot be read")]
    Read(#[source] serde_json::Error),
    #[error("a stored object has no protobuf form")]
    Form,
    #[error("a piece of a list was not finished")]
    Task(#[source] JoinError),
}

/// What a client is told of a list that cannot be begun.
fn refusal(error: PieceError) -> StatusError {
    match error {
        PieceError::Read(error) => StatusError::internal(error),
        PieceError::Form => respond::without_form(),
        PieceError::Task(error) => StatusError::internal(error),
    }
}

/// Makes the bytes of pieces.
struct Writer {
    presentation: Presentation,
    kind: Arc<Kind>,
    format: Format,
    now: Timestamp,
}

impl Writer {
    fn write(&self, piece: Piece) -> Result<Bytes, PieceError> {
        let Self {
            presentation, now, ..
        } = self;
        let (strategy, now) = (&*self.kind.strategy, *now);
        let is_text = self.format != Format::Protobuf;
        let (mut bytes, mut shown, mut read) = (piece.opening, Vec::new(), Object::Null);
        bytes.reserve(PIECE_BYTES + PIECE_BYTES / 4);
        for (index, item) in piece.items.iter().enumerate() {
            if is_text {
                if index > 0 || !piece.is_first {
                    bytes.push(b',');
                }
                let written = presentation.write_item(&mut bytes, item, strategy, now, &mut read);
                written.map_err(unreadable)?;
                continue;
            }
            // Protobuf is written from JSON that says what it is.
            let message = if *presentation.shape() == Shape::Object {
                item
            } else {
                shown.clear();
                let written = presentation.write_item(&mut shown, item, strategy, now, &mut read);
                written.map_err(unreadable)?;
                shown.as_slice()
            };
            protobuf::push_item(&mut bytes, message).ok_or(PieceError::Form)?;
        }
        if is_text && piece.is_last {
            bytes.extend_from_slice(list::CLOSE);
        }
        Ok(bytes.into())
    }
}

fn unreadable(error: serde_json::Error) -> PieceError {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "a stored object cannot be shown"
    );
    PieceError::Read(error)
}

/// Makes a piece in a task of its own, beside the one that encrypts and sends what was made before.
fn made_aside(
    writer: &Arc<Writer>,
    piece: Piece,
) -> impl Future<Output = Result<Bytes, PieceError>> + use<> {
    let writer = Arc::clone(writer);
    let task = tokio::spawn(async move { writer.write(piece) });
    async { task.await.map_err(PieceError::Task)? }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_where_enough_bytes_are_together() {
        let sizes = |sizes: &[usize]| {
            let made = |size: &usize| Item::Made(vec![0; *size].into());
            let items: Vec<Item> = sizes.iter().map(made).collect();
            let pieces = Pieces {
                bytes: PIECE_BYTES,
                opening: b"[".to_vec(),
                items: items.into_iter(),
                is_first: true,
                is_over: false,
            };
            let shape = |piece: Piece| {
                let sizes: Vec<usize> = piece.items.iter().map(|item| item.len()).collect();
                (piece.is_first, sizes, piece.is_last)
            };
            pieces.map(shape).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&[]), [(true, vec![], true)]);
        assert_eq!(sizes(&[1, 2]), [(true, vec![1, 2], true)]);
        let half = PIECE_BYTES / 2;
        assert_eq!(
            sizes(&[half, half, PIECE_BYTES * 3, 1]),
            [
                (true, vec![half, half], false),
                (false, vec![PIECE_BYTES * 3], false),
                (false, vec![1], true),
            ]
        );
    }
}
