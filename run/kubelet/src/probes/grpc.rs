//! gRPC probes: the standard health service, by hand, since its two messages have one field each.
//!
//! Source: `grpc.health.v1`, `pkg/probe/grpc/grpc.go`.

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

/// Most of an answer that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// Asks a server for its health.
///
/// # Errors
/// It does not answer, or is not serving.
pub(super) async fn check(ip: &str, port: u16, service: &str) -> Result<(), String> {
    let target = if ip.contains(':') {
        format!("[{ip}]:{port}")
    } else {
        format!("{ip}:{port}")
    };
    let stream = TcpStream::connect((ip, port)).await;
    let stream = stream.map_err(|error| {
        let words = super::errno_words(&error);
        format!("dial tcp {target}: connect: {words}")
    })?;
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(|error| error.to_string())?;
    let driving = tokio::spawn(connection);
    let request = Request::post(format!("http://{target}/grpc.health.v1.Health/Check"))
        .header(header::CONTENT_TYPE, "application/grpc")
        .header(header::TE, "trailers")
        .header(header::USER_AGENT, "kube-probe/1.36")
        .body(Full::new(Bytes::from(message(service))));
    let request = request.map_err(|error| error.to_string())?;
    let answer = sender
        .send_request(request)
        .await
        .map_err(|error| error.to_string())?;
    let early = answer.headers().get("grpc-status").cloned();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES_MAX)
        .collect()
        .await;
    driving.abort();
    let body = body.map_err(|error| error.to_string())?;
    let late = body
        .trailers()
        .and_then(|trailers| trailers.get("grpc-status").cloned());
    let code = early.or(late);
    let code = code
        .as_ref()
        .and_then(|code| code.to_str().ok())
        .unwrap_or("0");
    if code != "0" {
        return Err(format!("rpc error: code = {code}"));
    }
    match serving_status(&body.to_bytes()) {
        1 => Ok(()),
        other => Err(format!(
            "service unhealthy (responded with {:?})",
            word(other)
        )),
    }
}

/// A length-prefixed `HealthCheckRequest`.
fn message(service: &str) -> Vec<u8> {
    let mut body = Vec::new();
    if !service.is_empty() {
        body.push(0x0a);
        let mut length = service.len();
        while length >= 0x80 {
            body.push(u8::try_from(length & 0x7f).unwrap_or(0) | 0x80);
            length >>= 7;
        }
        body.push(u8::try_from(length).unwrap_or(0));
        body.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(body.len()).unwrap_or(0);
    let mut framed = vec![0];
    framed.extend_from_slice(&length.to_be_bytes());
    framed.extend_from_slice(&body);
    framed
}

/// The status in a length-prefixed `HealthCheckResponse`; 0 where it states none.
fn serving_status(framed: &[u8]) -> u8 {
    match framed.get(5..) {
        Some([0x08, status, ..]) => *status,
        _ => 0,
    }
}

fn word(status: u8) -> &'static str {
    match status {
        1 => "SERVING",
        2 => "NOT_SERVING",
        3 => "SERVICE_UNKNOWN",
        _ => "UNKNOWN",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_framed() {
        assert_eq!(message(""), [0, 0, 0, 0, 0]);
        assert_eq!(message("a"), [0, 0, 0, 0, 3, 0x0a, 1, b'a']);
        assert_eq!(serving_status(&[0, 0, 0, 0, 2, 8, 1]), 1);
        assert_eq!(serving_status(&[0, 0, 0, 0, 0]), 0);
    }
}
