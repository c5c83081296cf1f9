//! Large answers: so many wait whole in memory to be read, and clients that read slowly are given up.
//!
//! Source: apiserver, whose handlers write their answers before they end, within the time that a request may take. Here
//! they have a bound of their own, so that who reads nothing keeps nobody from small answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::Response;
use http_body::{Body as _, Frame, SizeHint};
use tokio::task::AbortHandle;

use crate::limits::{self, Class, InFlight, Permit};
use crate::request::RequestInfo;
use crate::respond;

/// Handed on in one piece, and so held no longer: what the buffers of a stream take anyway.
const PIECE_BYTES: usize = 64 << 10;

/// An answer that is given up when nobody reads it; a refusal when too many wait already.
pub(crate) fn held(
    response: Response<Body>,
    info: &RequestInfo,
    in_flight: &InFlight,
    longest: Duration,
) -> Response<Body> {
    if !info.is_resource || limits::class(&info.verb, &info.subresource) == Class::LongRunning {
        return response;
    }
    until_read(response, in_flight, longest).unwrap_or_else(respond::too_many)
}

/// Counts a large answer until it is read, or for `longest`: then it breaks off. `None` when too many wait already.
fn until_read(
    response: Response<Body>,
    in_flight: &InFlight,
    longest: Duration,
) -> Option<Response<Body>> {
    let permit = match response.body().size_hint().exact() {
        Some(size) if size <= PIECE_BYTES as u64 => return Some(response),
        Some(_) => Some(in_flight.enter(Class::Unread)?),
        // What is made while it is read takes little room, but keeps what it is made of.
        None => None,
    };
    Some(response.map(|body| Body::new(Held::new(body, permit, longest))))
}

struct Held {
    /// `None` once it was given up.
    unread: Arc<Mutex<Option<Unread>>>,
    giving_up: AbortHandle,
}

struct Unread {
    body: Body,
    /// The rest of the piece that the body gave last.
    rest: Bytes,
    /// Ends with the answer.
    _permit: Option<Permit>,
}

impl Held {
    fn new(body: Body, permit: Option<Permit>, longest: Duration) -> Self {
        let unread = Arc::new(Mutex::new(Some(Unread {
            body,
            rest: Bytes::new(),
            _permit: permit,
        })));
        let held = Arc::downgrade(&unread);
        let giving_up = tokio::spawn(async move {
            tokio::time::sleep(longest).await;
            if let Some(held) = held.upgrade() {
                drop(held.lock().unwrap_or_else(PoisonError::into_inner).take());
            }
        });
        Self {
            unread,
            giving_up: giving_up.abort_handle(),
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
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unread) = unread.as_mut() {
            return unread.poll(context);
        }
        let why = std::io::Error::from(std::io::ErrorKind::TimedOut);
        Poll::Ready(Some(Err(axum::Error::new(why))))
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
    use http_body_util::BodyExt as _;

    use super::*;
    const LONGEST: Duration = Duration::from_mins(1);

    fn answer(in_flight: &InFlight, bytes: usize) -> Option<Body> {
        let response = Response::new(Body::from(vec![b'x'; bytes]));
        until_read(response, in_flight, LONGEST).map(Response::into_body)
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_answer_counts_until_it_is_read() {
        let in_flight = InFlight::new(2, 1, 1);
        let mut body = answer(&in_flight, 2 * PIECE_BYTES + 1).unwrap();
        assert!(answer(&in_flight, PIECE_BYTES + 1).is_none());
        assert_eq!(body.size_hint().exact(), Some(2 * PIECE_BYTES as u64 + 1));
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(
            (first.len(), in_flight.current(Class::Unread)),
            (PIECE_BYTES, 1)
        );
        assert_eq!(body.size_hint().exact(), Some(PIECE_BYTES as u64 + 1));
        let rest = body.collect().await.unwrap().to_bytes();
        assert_eq!(
            (rest.len(), in_flight.current(Class::Unread)),
            (PIECE_BYTES + 1, 0)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_given_up() {
        let in_flight = InFlight::new(2, 1, 1);
        let mut body = answer(&in_flight, 2 * PIECE_BYTES).unwrap();
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(LONGEST * 2).await;
        assert_eq!(in_flight.current(Class::Unread), 0);
        assert!(body.frame().await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_small_answer_counts_no_longer() {
        let in_flight = InFlight::new(2, 1, 1);
        let body = answer(&in_flight, PIECE_BYTES).unwrap();
        assert_eq!(in_flight.current(Class::Unread), 0);
        assert_eq!(body.collect().await.unwrap().to_bytes().len(), PIECE_BYTES);
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_that_nobody_reads_is_given_up_too() {
        let in_flight = InFlight::new(0, 1, 1);
        let endless = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from("x")));
        let response = Response::new(Body::from_stream(endless));
        let mut body = until_read(response, &in_flight, LONGEST)
            .unwrap()
            .into_body();
        assert!(body.frame().await.unwrap().is_ok());
        tokio::time::sleep(LONGEST * 2).await;
        assert!(body.frame().await.unwrap().is_err());
    }
}
