//! Several channels over one WebSocket: each message begins with the number of its channel.
//!
//! Source: Kubernetes, `streaming/pkg/httpstream/wsstream/conn.go`.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::{BufMut as _, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Message;

/// How a message says its channel and its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// A binary message: a byte of channel, then the bytes.
    Binary,
    /// A text: the channel as a character that counts on from `0`, then the bytes in base64.
    Base64,
}

impl Framing {
    /// The framing of a sub-protocol, by its name.
    pub fn of(protocol: &str) -> Self {
        if protocol.contains("base64.") {
            Self::Base64
        } else {
            Self::Binary
        }
    }

    /// Bytes of a channel, to be sent.
    pub(crate) fn message(self, channel: u8, bytes: &[u8]) -> Message {
        match self {
            Self::Binary => {
                let mut message = BytesMut::with_capacity(bytes.len() + 1);
                message.put_u8(channel);
                message.put(bytes);
                Message::Binary(message.freeze())
            }
            Self::Base64 => {
                let mut text = String::from(char::from(b'0'.wrapping_add(channel)));
                STANDARD.encode_string(bytes, &mut text);
                Message::Text(text.into())
            }
        }
    }

    /// The channel and the bytes of what was received; `None` for what makes no sense, which nobody is told of.
    pub(crate) fn read(self, message: Message) -> Option<(u8, Bytes)> {
        let bytes = match message {
            Message::Binary(bytes) => bytes,
            Message::Text(text) => Bytes::from(text),
            _ => return None,
        };
        let channel = *bytes.first()?;
        match self {
            Self::Binary => Some((channel, bytes.slice(1..))),
            Self::Base64 => {
                let decoded = STANDARD.decode(bytes.slice(1..)).ok()?;
                Some((channel.wrapping_sub(b'0'), decoded.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_counts_channels_from_the_character_zero() {
        let framing = Framing::of("v4.base64.channel.k8s.io");
        assert_eq!(framing.message(1, b"\n"), Message::Text("1Cg==".into()));
        let read = framing.read(Message::Text("0Zm9vCg==".into()));
        assert_eq!(read, Some((0, Bytes::from_static(b"foo\n"))));
        assert_eq!(framing.read(Message::Text("0Zm9".into())), None);
    }

    #[test]
    fn a_binary_message_begins_with_its_channel() {
        let framing = Framing::of("");
        let message = framing.message(2, b"oh");
        assert_eq!(message, Message::Binary(Bytes::from_static(b"\x02oh")));
        assert_eq!(framing.read(message), Some((2, Bytes::from_static(b"oh"))));
        assert_eq!(framing.read(Message::Binary(Bytes::new())), None);
    }
}
