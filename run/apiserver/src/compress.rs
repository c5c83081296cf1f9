//! Large answers are gzipped for clients that read it.
//!
//! Source: apiserver `endpoints/handlers/responsewriters/writers.go` `deferredResponseWriter`.

use std::io::Write;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use axum::body::{Body, BodyDataStream};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures::stream::{self, BoxStream, StreamExt};
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body::{Body as _, Frame};

/// Smaller answers go as they are. Source: `defaultGzipThresholdBytes`.
const THRESHOLD_BYTES: u64 = 128 * 1024;
/// Fast rather than small. Source: `defaultGzipContentEncodingLevel`.
const LEVEL: u32 = 1;
/// Compressed in one go, so that nobody else waits for long.
const PIECE_BYTES: usize = 64 << 10;

/// Whether a client reads gzip.
pub(crate) fn accepts(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT_ENCODING).iter();
    values.any(|value| {
        let text = value.to_str().unwrap_or_default();
        // By itself: upstream does not weigh what is liked how much.
        text.split(',').any(|coding| coding.trim() == "gzip")
    })
}

/// The same answer, gzipped while it is read when it is large and complete. What is made while it is read is looked at as
/// far as it takes to know that it is large.
pub(crate) async fn gzip(response: Response<Body>) -> Response<Body> {
    let size = response.body().size_hint().exact();
    let is_small = size.is_some_and(|bytes| bytes < THRESHOLD_BYTES);
    if is_small || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let mut pieces = body.into_data_stream();
    let ahead = match size {
        Some(_) => Vec::new(),
        None => look_ahead(&mut pieces).await,
    };
    let seen: u64 = ahead.iter().flatten().map(|piece| piece.len() as u64).sum();
    let pieces = stream::iter(ahead).chain(pieces);
    if size.is_none() && seen < THRESHOLD_BYTES {
        return Response::from_parts(parts, Body::from_stream(pieces));
    }
    let headers = &mut parts.headers;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::new(Gzip::new(pieces.boxed())))
}

/// The first pieces, as many as make an answer large, or all there are.
async fn look_ahead(pieces: &mut BodyDataStream) -> Vec<Result<Bytes, axum::Error>> {
    let (mut ahead, mut seen) = (Vec::new(), 0);
    while seen < THRESHOLD_BYTES
        && let Some(piece) = pieces.next().await
    {
        seen += piece
            .as_ref()
            .map_or(THRESHOLD_BYTES, |piece| piece.len() as u64);
        ahead.push(piece);
    }
    ahead
}

/// A body that is compressed as it is read, so that it is never there as a whole.
struct Gzip {
    pieces: BoxStream<'static, Result<Bytes, axum::Error>>,
    /// What is not compressed yet of the last piece.
    rest: Bytes,
    /// `None` once all was compressed.
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Gzip {
    fn new(pieces: BoxStream<'static, Result<Bytes, axum::Error>>) -> Self {
        Self {
            pieces,
            rest: Bytes::new(),
            encoder: Some(GzEncoder::new(Vec::new(), Compression::new(LEVEL))),
        }
    }

    /// What the next piece is compressed to; `None` when the encoder keeps it for now, or when all is over.
    fn compress(&mut self) -> std::io::Result<Option<Bytes>> {
        let Some(encoder) = &mut self.encoder else {
            return Ok(None);
        };
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        encoder.write_all(&piece)?;
        let compressed = std::mem::take(encoder.get_mut());
        Ok((!compressed.is_empty()).then(|| compressed.into()))
    }

    fn finish(&mut self) -> std::io::Result<Option<Bytes>> {
        let encoder = self.encoder.take();
        let last = encoder.map(GzEncoder::finish).transpose()?;
        Ok(last.map(Bytes::from))
    }
}

impl http_body::Body for Gzip {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        while self.encoder.is_some() {
            let compressed = if self.rest.is_empty() {
                match ready!(self.pieces.poll_next_unpin(context)) {
                    Some(Ok(piece)) => {
                        self.rest = piece;
                        continue;
                    }
                    Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                    None => self.finish(),
                }
            } else {
                self.compress()
            };
            match compressed.map_err(axum::Error::new) {
                Ok(Some(bytes)) => return Poll::Ready(Some(Ok(Frame::data(bytes)))),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Some(Err(error))),
            }
        }
        Poll::Ready(None)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use http_body_util::BodyExt;

    use super::*;

    fn streamed(pieces: Vec<Result<&'static [u8], std::io::Error>>) -> Response<Body> {
        Response::new(Body::from_stream(stream::iter(pieces)))
    }

    #[tokio::test]
    async fn what_is_made_while_it_is_read_is_compressed_while_it_is_read() {
        const PIECE: &[u8] = &[b'x'; PIECE_BYTES];
        let small = gzip(streamed(vec![Ok(PIECE)])).await;
        assert!(!small.headers().contains_key(CONTENT_ENCODING));
        let small = small.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(small, PIECE);
        let large = gzip(streamed(vec![Ok(PIECE), Ok(PIECE), Ok(PIECE)])).await;
        assert_eq!(large.headers()[CONTENT_ENCODING], "gzip");
        let large = large.into_body().collect().await.unwrap().to_bytes();
        let mut read = Vec::new();
        let mut decoder = flate2::read::GzDecoder::new(large.as_ref());
        decoder.read_to_end(&mut read).unwrap();
        assert_eq!(read, PIECE.repeat(3));
        // Only as much is made before the answer begins as tells that it is large.
        let endless = stream::repeat_with(|| Ok::<_, std::io::Error>(PIECE));
        let endless = gzip(Response::new(Body::from_stream(endless))).await;
        let mut frames = endless.into_body();
        assert!(frames.frame().await.unwrap().is_ok());
        let broken = vec![Ok(PIECE), Err(std::io::ErrorKind::Other.into())];
        let broken = gzip(streamed(broken)).await;
        assert!(broken.into_body().collect().await.is_err());
    }

    #[tokio::test]
    async fn large_answers_shrink_and_read_back() {
        let text = "sampan ".repeat(40_000);
        let small = gzip(Response::new(Body::from("small"))).await;
        assert!(!small.headers().contains_key(CONTENT_ENCODING));
        let large = gzip(Response::new(Body::from(text.clone()))).await;
        assert_eq!(large.headers()[CONTENT_ENCODING], "gzip");
        let bytes = large.into_body().collect().await.unwrap().to_bytes();
        assert!(bytes.len() < text.len() / 10);
        let mut read = String::new();
        flate2::read::GzDecoder::new(bytes.as_ref())
            .read_to_string(&mut read)
            .unwrap();
        assert_eq!(read, text);
    }

    #[test]
    fn clients_say_that_they_read_gzip() {
        let mut headers = HeaderMap::new();
        assert!(!accepts(&headers));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip;q=0"));
        assert!(!accepts(&headers));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("br, gzip"));
        assert!(accepts(&headers));
    }
}
