//! Large answers: so many bytes wait in memory to be read, and clients that read slowly are given up.
//!
//! Source: apiserver, whose handlers write their answers before they end, within the time that a request may take. Here
//! they have room of their own, so that who reads nothing keeps nobody from small answers.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;

use crate::flow_control::Permit;
use crate::room::{Room, STREAM_BYTES, Share};

/// Handed on in one piece, and so held no longer: what the buffers of a stream take anyway.
const PIECE_BYTES: usize = 64 << 10;
/// So many pieces are handed on before others get their turn on the thread: each took a while to make.
const PIECES_A_TURN: usize = 4;

/// What an answer keeps until it is read, as an extension of the response.
#[derive(Clone)]
pub(crate) enum Kept {
    /// Room that was taken for it.
    Room(#[expect(dead_code, reason = "dropped with the answer")] Arc<Share>),
    /// The seats of a write, and the room that it took before: what is done is not refused for want of room.
    Write(#[expect(dead_code, reason = "dropped with the answer")] Arc<(Permit, Option<Share>)>),
}

/// Marks an answer of known size that is made while it is read, or shared; as an extension of the response.
#[derive(Clone, Copy)]
pub(crate) struct Streamed;

/// Whether an answer is handed on as a whole, and so takes no room.
pub(crate) fn is_small(response: &Response<Body>) -> bool {
    let size = response.body().size_hint().exact();
    size.is_some_and(|size| size <= PIECE_BYTES as u64)
}

/// Takes room for a large answer that has none yet. `None` when there is not enough.
pub(crate) fn kept(
    mut response: Response<Body>,
    room: &Room,
    user: &str,
) -> Option<Response<Body>> {
    let extensions = response.extensions_mut();
    let is_streamed = extensions.remove::<Streamed>().is_some();
    if extensions.get::<Kept>().is_some() {
        return Some(response);
    }
    if is_small(&response) {
        return Some(response);
    }
    let bytes = match response.body().size_hint().exact() {
        Some(size) if !is_streamed => usize::try_from(size).unwrap_or(usize::MAX),
        _ => STREAM_BYTES,
    };
    let share = Arc::new(room.take(user, bytes)?);
    response.extensions_mut().insert(Kept::Room(share));
    Some(response)
}

/// Lets a large answer keep what it took until it is read, or for `longest`: then it breaks off.
pub(crate) fn held(mut response: Response<Body>, longest: Duration) -> Response<Body> {
    let Some(kept) = response.extensions_mut().remove::<Kept>() else {
        return response;
    };
    if is_small(&response) {
        return response;
    }
    let giving_up = GivingUp::After(longest);
    response.map(|body| Body::new(Held::new(body, Some(kept), giving_up)))
}

/// The beginning of an answer that goes on for long: it takes room, and is given up when it is not read in time.
pub(crate) struct Beginning {
    _share: Share,
    is_over: Arc<AtomicBool>,
}

impl Beginning {
    /// A beginning for which room was taken. It is over when it is dropped.
    pub(crate) fn new(share: Share) -> Self {
        Self {
            _share: share,
            is_over: Arc::default(),
        }
    }

    /// What gives the whole answer up when this is not over after `longest`.
    pub(crate) fn giving_up(&self, longest: Duration) -> GivingUp {
        GivingUp::Unless(Arc::clone(&self.is_over), longest)
    }
}

impl Drop for Beginning {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Release);
    }
}

/// When an answer is given up.
pub(crate) enum GivingUp {
    After(Duration),
    /// After a time, unless this was said until then.
    Unless(Arc<AtomicBool>, Duration),
}

/// A body that is given up.
pub(crate) struct Held {
    /// `None` once it was given up.
    unread: Arc<Mutex<Option<Unread>>>,
    giving_up: AbortHandle,
    /// Pieces that were handed on since others had their turn.
    pieces: usize,
}

struct Unread {
    body: Body,
    /// The rest of the piece that the body gave last.
    rest: Bytes,
    /// Ends with the answer.
    _kept: Option<Kept>,
}

impl Held {
    pub(crate) fn new(body: Body, kept: Option<Kept>, giving_up: GivingUp) -> Self {
        let unread = Arc::new(Mutex::new(Some(Unread {
            body,
            rest: Bytes::new(),
            _kept: kept,
        })));
        let held = Arc::downgrade(&unread);
        let giving_up = tokio::spawn(async move {
            let (longest, is_over) = match giving_up {
                GivingUp::After(longest) => (longest, None),
                GivingUp::Unless(is_over, longest) => (longest, Some(is_over)),
            };
            tokio::time::sleep(longest).await;
            let is_over = is_over.is_some_and(|is_over| is_over.load(Ordering::Acquire));
            if let Some(held) = held.upgrade().filter(|_| !is_over) {
                drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        });
        Self {
            unread,
            giving_up: giving_up.abort_handle(),
            pieces: 0,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.giving_up.abort();
    }
}

impl Unread {
    fn poll(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.rest.is_empty() {
            let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn size(&self) -> SizeHint {
        let (inner, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut size = SizeHint::new();
        size.set_lower(inner.lower() + rest);
        if let Some(upper) = inner.upper() {
            size.set_upper(upper + rest);
        }
        size
    }
}

impl http_body::Body for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if self.pieces == PIECES_A_TURN {
            self.pieces = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(body) = unread.as_mut() else {
            let why = std::io::Error::from(std::io::ErrorKind::TimedOut);
            return Poll::Ready(Some(Err(axum::Error::new(why))));
        };
        let frame = body.poll(context);
        drop(unread);
        self.pieces = if frame.is_ready() { self.pieces + 1 } else { 0 };
        frame
    }

    fn is_end_stream(&self) -> bool {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = |unread: &Unread| unread.rest.is_empty() && unread.body.is_end_stream();
        unread.as_ref().is_some_and(is_over)
    }

    fn size_hint(&self) -> SizeHint {
        let unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        unread.as_ref().map(Unread::size).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use http_body_util::BodyExt as _;

    use super::*;
    const LONGEST: Duration = Duration::from_mins(1);

    fn answer(room: &Room, body: Body) -> Option<Body> {
        let response = kept(Response::new(body), room, "jo")?;
        Some(held(response, LONGEST).into_body())
    }

    fn whole(bytes: usize) -> Body {
        Body::from(vec![b'x'; bytes])
    }

    fn endless() -> Body {
        let pieces = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from("x")));
        Body::from_stream(pieces)
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_takes_room_until_it_is_read() {
        let room = Room::new(4 * PIECE_BYTES + 2);
        let mut body = answer(&room, whole(2 * PIECE_BYTES + 1)).unwrap();
        assert!(answer(&room, whole(PIECE_BYTES + 1)).is_none());
        assert_eq!(body.size_hint().exact(), Some(2 * PIECE_BYTES as u64 + 1));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(first.len(), PIECE_BYTES);
        assert_eq!(room.bytes_taken(), 2 * PIECE_BYTES + 1);
        assert_eq!(body.size_hint().exact(), Some(PIECE_BYTES as u64 + 1));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!((rest.len(), room.bytes_taken()), (PIECE_BYTES + 1, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_given_up() {
        let room = Room::new(1 << 20);
        let mut body = answer(&room, whole(2 * PIECE_BYTES)).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(LONGEST * 2).await;
        assert_eq!(room.bytes_taken(), 0);
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_answer_takes_no_room() {
        let room = Room::new(1 << 20);
        let body = answer(&room, whole(PIECE_BYTES)).unwrap();
        assert_eq!(room.bytes_taken(), 0);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), PIECE_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_takes_what_its_pieces_take_and_is_given_up_too() {
        let room = Room::new(4 * STREAM_BYTES);
        let mut body = answer(&room, endless()).unwrap();
        let second = answer(&room, endless()).unwrap();
        assert!(answer(&room, endless()).is_none());
        drop(second);
        assert_eq!(room.bytes_taken(), STREAM_BYTES);
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(LONGEST * 2).await;
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn others_get_their_turn_between_pieces() {
        let room = Room::new(1 << 20);
        let mut body = answer(&room, endless()).unwrap();
        for _ in 0..PIECES_A_TURN {
            assert!(body.frame().now_or_never().is_some());
        }
        assert!(body.frame().now_or_never().is_none());
        assert!(body.frame().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_goes_on_whose_beginning_was_read_and_no_other() {
        let room = Room::new(1 << 20);
        let open = |beginning: &Beginning| Held::new(endless(), None, beginning.giving_up(LONGEST));
        let begin = || Beginning::new(room.take("jo", 10).unwrap());
        let (unread, read) = (begin(), begin());
        let (mut lost, mut kept) = (open(&unread), open(&read));
        drop(read);
        assert_eq!(room.bytes_taken(), 10);
        tokio::time::sleep(LONGEST * 2).await;
        assert!(lost.frame().await.unwrap().is_err());
        assert!(kept.frame().await.unwrap().is_ok());
    }
}
