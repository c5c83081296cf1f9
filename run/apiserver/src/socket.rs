//! Watches and logs over WebSocket, as browsers ask for them: each event, and each piece of a log, is a message. Nothing
//! that the client says is read.
//!
//! Source: apiserver `endpoints/handlers/watch.go` `HandleWS`, `responsewriters/writers.go` `StreamObject`.

use std::ops::ControlFlow;

use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use meta::StatusError;
use streaming::upgrade::{self, Offer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wire::protobuf;

use crate::auth;

/// The forms of a log. A client that names none gets bytes. Source: `streaming/pkg/httpstream/wsstream/stream.go`.
const LOG_PROTOCOLS: [&str; 2] = ["binary.k8s.io", BASE64_LOG_PROTOCOL];
/// The form for clients that read text alone.
const BASE64_LOG_PROTOCOL: &str = "base64.binary.k8s.io";

/// What a request needs to become a WebSocket.
pub(crate) struct Socket {
    accept: String,
    /// What the client speaks, best first.
    protocols: Vec<String>,
    upgrade: OnUpgrade,
}

/// How the bytes of an event, or of a log, are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// With its length before it, which a message does not need.
    Framed,
    Binary,
    Base64,
}

impl Socket {
    /// The socket that a request asks for, if it asks for one.
    pub(crate) fn wanted(parts: &Parts) -> Option<Self> {
        if !auth::is_websocket(&parts.headers) {
            return None;
        }
        let offer = upgrade::offer(Request::from_parts(parts.clone(), ())).ok()?;
        let Offer::WebSocket {
            protocols,
            accept,
            upgrade,
        } = offer
        else {
            return None;
        };
        let protocols = protocols.into_iter().filter(|name| !auth::is_token(name));
        Some(Self {
            accept,
            protocols: protocols.collect(),
            upgrade,
        })
    }

    /// Turns the answer to a watch into one that goes on over the socket; a refusal stays what it is, and so is an offer of
    /// several protocols.
    pub(crate) fn carry(self, response: Response<Body>) -> Response<Body> {
        if response.status() != StatusCode::OK {
            return response;
        }
        // Nobody chooses among several: their meaning is the same. Source: `x/net/websocket` `AcceptHandshake`.
        if self.protocols.len() > 1 {
            let mut response = Response::default();
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return response;
        }
        let is_framed = response
            .headers()
            .get(header::CONTENT_TYPE)
            .is_some_and(|media_type| {
                media_type
                    .as_bytes()
                    .starts_with(protobuf::MEDIA_TYPE.as_bytes())
            });
        let form = if is_framed { Form::Framed } else { Form::Text };
        let protocol = self.protocols.first().cloned();
        self.go_on(protocol.as_deref(), response.into_body(), form, None)
    }

    /// Turns the answer with a log into one that goes on over the socket. An empty message comes first.
    ///
    /// # Errors
    /// 403 when the client speaks no form of a log.
    pub(crate) fn carry_log(self, response: Response<Body>) -> Result<Response<Body>, StatusError> {
        let protocol = match self.protocols.as_slice() {
            [] => None,
            wanted => Some(
                upgrade::negotiate(wanted, &LOG_PROTOCOLS)
                    .map_err(|error| StatusError::new(403, "Forbidden", error.to_string()))?,
            ),
        };
        let is_text = protocol == Some(BASE64_LOG_PROTOCOL);
        let form = if is_text { Form::Base64 } else { Form::Binary };
        let greeting = Some(message(Bytes::new(), form));
        Ok(self.go_on(protocol, response.into_body(), form, greeting))
    }

    fn go_on(
        self,
        protocol: Option<&str>,
        body: Body,
        form: Form,
        greeting: Option<Message>,
    ) -> Response<Body> {
        let protocol = protocol.and_then(|name| HeaderValue::from_str(name).ok());
        let answer = upgrade::websocket_answer(&self.accept, protocol);
        let upgrade = self.upgrade;
        tokio::spawn(async move {
            match upgrade::upgraded_websocket(upgrade).await {
                Ok(socket) => send(socket, body, form, greeting).await,
                Err(error) => {
                    tracing::debug!(%error, "a client hung up before its socket was there");
                }
            }
        });
        answer.map(|()| Body::empty())
    }
}

/// Sends the greeting and what comes until there is no more, or the client goes.
async fn send<IO>(
    mut socket: WebSocketStream<IO>,
    mut events: Body,
    form: Form,
    greeting: Option<Message>,
) where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    if let Some(greeting) = greeting
        && let Err(error) = socket.send(greeting).await
    {
        tracing::debug!(%error, "a client hung up");
        return;
    }
    loop {
        let next = tokio::select! {
            event = events.frame() => match event {
                Some(Ok(frame)) => ControlFlow::Continue(frame.into_data().ok()),
                _ => ControlFlow::Break(()),
            },
            said = socket.next() => match said {
                Some(Ok(message)) if !message.is_close() => ControlFlow::Continue(None),
                _ => ControlFlow::Break(()),
            },
        };
        let message = match next {
            ControlFlow::Continue(Some(event)) => message(event, form),
            ControlFlow::Continue(None) => continue,
            ControlFlow::Break(()) => break,
        };
        if let Err(error) = socket.send(message).await {
            tracing::debug!(%error, "a watcher hung up");
            return;
        }
    }
    let end = CloseFrame {
        code: CloseCode::Normal,
        reason: Utf8Bytes::default(),
    };
    if let Err(error) = socket.close(Some(end)).await {
        tracing::debug!(%error, "a watcher hung up");
    }
}

fn message(event: Bytes, form: Form) -> Message {
    match form {
        Form::Binary => Message::Binary(event),
        Form::Base64 => Message::Text(STANDARD.encode(event).into()),
        Form::Framed => Message::Binary(event.slice(protobuf::FRAME_HEAD_BYTES.min(event.len())..)),
        // JSON is text.
        Form::Text => {
            Utf8Bytes::try_from(event).map_or_else(|_| Message::Text("".into()), Message::Text)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_json_is_text_and_one_of_protobuf_needs_no_length() {
        let text = message(Bytes::from_static(b"{}\n"), Form::Text);
        assert_eq!(text, Message::Text("{}\n".into()));
        let framed = message(
            Bytes::from(protobuf::frame("ADDED", b"object")),
            Form::Framed,
        );
        let Message::Binary(bytes) = framed else {
            panic!("protobuf is no text")
        };
        assert!(protobuf::frame("ADDED", b"object").ends_with(&bytes));
        assert_eq!(bytes.first(), Some(&0x0a));
        let log = |form| message(Bytes::from_static(b"\n"), form);
        assert_eq!(log(Form::Binary), Message::Binary("\n".into()));
        assert_eq!(log(Form::Base64), Message::Text("Cg==".into()));
    }

    /// The socket that is asked for with these protocols.
    fn socket(protocols: &str) -> Socket {
        let request = Request::get("/")
            .header(header::CONNECTION, "Upgrade")
            .header(header::UPGRADE, "websocket")
            .header(header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ==")
            .header(header::SEC_WEBSOCKET_PROTOCOL, protocols);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Socket::wanted(&parts).unwrap()
    }

    #[test]
    fn a_log_in_no_known_form_is_refused() {
        let refused = socket("channel.k8s.io").carry_log(Response::new(Body::empty()));
        assert_eq!(refused.unwrap_err().0.code, 403);
    }

    #[tokio::test]
    async fn a_watch_goes_on_in_the_one_protocol_that_is_offered() {
        let answer = |protocols: &str, code: StatusCode| {
            let mut watch = Response::new(Body::empty());
            *watch.status_mut() = code;
            socket(protocols).carry(watch)
        };
        let one = answer("a.example", StatusCode::OK);
        assert_eq!(one.status(), StatusCode::SWITCHING_PROTOCOLS);
        assert_eq!(one.headers()[header::SEC_WEBSOCKET_PROTOCOL], "a.example");
        let token = "base64url.bearer.authorization.k8s.io.eHk";
        let with_token = answer(&format!("{token}, a.example"), StatusCode::OK);
        assert_eq!(
            with_token.headers()[header::SEC_WEBSOCKET_PROTOCOL],
            "a.example"
        );
        let two = answer("a.example, b.example", StatusCode::OK);
        assert_eq!(two.status(), StatusCode::BAD_REQUEST);
        let refused = answer("a.example, b.example", StatusCode::FORBIDDEN);
        assert_eq!(refused.status(), StatusCode::FORBIDDEN);
    }
}
