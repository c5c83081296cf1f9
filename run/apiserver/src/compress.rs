//! Large answers are gzipped for clients that read it.
//!
//! Source: apiserver `endpoints/handlers/responsewriters/writers.go` `deferredResponseWriter`.

use std::io::Write;

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, VARY};
use http::{HeaderMap, HeaderValue, Response};
use http_body::Body as _;
use http_body_util::BodyExt;

/// Smaller answers go as they are. Source: `defaultGzipThresholdBytes`.
const THRESHOLD_BYTES: u64 = 128 * 1024;
/// Fast rather than small. Source: `defaultGzipContentEncodingLevel`.
const LEVEL: u32 = 1;

/// Whether a client reads gzip.
pub(crate) fn accepts(headers: &HeaderMap) -> bool {
    let mut values = headers.get_all(ACCEPT_ENCODING).iter();
    values.any(|value| {
        let text = value.to_str().unwrap_or_default();
        // By itself: upstream does not weigh what is liked how much.
        text.split(',').any(|coding| coding.trim() == "gzip")
    })
}

/// The same answer, gzipped when it is large and complete. Streams are left alone.
pub(crate) async fn gzip(response: Response<Body>) -> Response<Body> {
    let is_large = response
        .body()
        .size_hint()
        .exact()
        .is_some_and(|bytes| bytes >= THRESHOLD_BYTES);
    if !is_large || response.headers().contains_key(CONTENT_ENCODING) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // The size is known, so the body is here already.
    let Ok(body) = body.collect().await else {
        return Response::from_parts(parts, Body::empty());
    };
    let whole = body.to_bytes();
    let input = whole.clone();
    let compressed = tokio::task::spawn_blocking(move || compress(&input)).await;
    let Ok(Some(compressed)) = compressed else {
        return Response::from_parts(parts, Body::from(whole));
    };
    let headers = &mut parts.headers;
    headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    headers.append(VARY, HeaderValue::from_static("Accept-Encoding"));
    headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(compressed))
}

fn compress(bytes: &Bytes) -> Option<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::new(LEVEL));
    encoder.write_all(bytes).ok()?;
    encoder.finish().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

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
