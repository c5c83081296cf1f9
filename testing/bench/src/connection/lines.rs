//! A watch as bytes: of a hundred watchers on two processors each one's share of taking an answer apart counts.

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::Dialer;

/// What is read at once: a TLS record.
const READ_MAX: usize = 16 * 1024;
/// The longest head of an answer.
const HEAD_MAX: usize = 8 * 1024;
const HEAD_END: &[u8] = b"\r\n\r\n";

/// The lines of an answer that comes in chunks; each event of a watch is one.
pub(crate) struct Lines {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
    /// The byte before what is read next.
    last: u8,
}

impl Lines {
    /// Opens a watch on a connection of its own.
    pub(crate) async fn watch(dialer: &Dialer, path: &str) -> Result<Self> {
        let mut stream = dialer.connect().await?;
        let head = format!(
            "GET {path} HTTP/1.1\r\nHost: {}\r\nAccept: application/json\r\n\r\n",
            dialer.authority
        );
        stream
            .write_all(head.as_bytes())
            .await
            .context("not sent")?;
        let mut head = Vec::new();
        while !head.ends_with(HEAD_END) && head.len() < HEAD_MAX {
            head.push(stream.read_u8().await.context("no answer")?);
        }
        let head = String::from_utf8_lossy(&head);
        anyhow::ensure!(head.starts_with("HTTP/1.1 200 "), "no watch: {head}");
        Ok(Self {
            stream,
            read: vec![0; READ_MAX],
            last: b'\n',
        })
    }

    /// How many lines came; 0 at the end.
    pub(crate) async fn next(&mut self) -> Result<usize> {
        loop {
            let size = self.stream.read(&mut self.read).await;
            let read = self.read.get(..size.context("the watch broke off")?);
            let read = read.unwrap_or_default();
            let lines = count(self.last, read);
            if read.is_empty() || lines > 0 {
                return Ok(lines);
            }
            self.last = read.last().copied().unwrap_or(self.last);
        }
    }
}

/// How many lines end. Those of chunks end with a carriage return too, which JSON never holds as such.
fn count(before: u8, read: &[u8]) -> usize {
    let before = std::iter::once(&before).chain(read);
    let pairs = before.zip(read);
    pairs
        .filter(|(before, byte)| **byte == b'\n' && **before != b'\r')
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_events_count_and_those_of_chunks_do_not() {
        assert_eq!(count(b'\n', b"5\r\n{\"a\"}\n\r\n"), 1);
        assert_eq!(count(b'\r', b"\n5\r\n{\"a\"}\n\r\n5\r\n{\"b\"}\n\r"), 2);
        assert_eq!(count(b'}', b"\n\r\n"), 1);
    }
}
