//! Watches over WebSocket, as browsers ask for them: each event is a message. Nothing that the client says is read.
//!
//! Source: apiserver `endpoints/handlers/watch.go` `HandleWS`.

use std::ops::ControlFlow;

use axum::body::Body;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::header::{self, HeaderValue};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::upgrade::OnUpgrade;
use streaming::upgrade::{self, Offer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};
use wire::protobuf;

use crate::auth;

/// What a request needs to become a WebSocket.
pub(crate) struct Socket {
    accept: String,
    protocol: Option<HeaderValue>,
    upgrade: OnUpgrade,
}

/// How an event's bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    /// With its length before it, which a message does not need.
    Framed,
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
        let mut protocols = protocols.iter().filter(|name| !auth::is_token(name));
        let protocol = protocols.next();
        Some(Self {
            accept,
            protocol: protocol.and_then(|name| HeaderValue::from_str(name).ok()),
            upgrade,
        })
    }

    /// Turns the answer to a watch into one that goes on over the socket; a refusal stays what it is.
    pub(crate) fn carry(self, response: Response<Body>) -> Response<Body> {
        if response.status() != StatusCode::OK {
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
        let answer = upgrade::websocket_answer(&self.accept, self.protocol);
        let (events, upgrade) = (response.into_body(), self.upgrade);
        tokio::spawn(async move {
            match upgrade::upgraded_websocket(upgrade).await {
                Ok(socket) => send(socket, events, form).await,
                Err(error) => {
                    tracing::debug!(%error, "a watcher hung up before its socket was there");
                }
            }
        });
        answer.map(|()| Body::empty())
    }
}

/// Sends events until there are no more, or the client goes.
async fn send<IO>(mut socket: WebSocketStream<IO>, mut events: Body, form: Form)
where
    IO: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
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
    }
}
