//! Watches that share a connection over HTTP/2, as those of one client of Kubernetes do.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::future::{join_all, try_join_all};
use http::Request;
use http_body_util::{BodyExt, Empty};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::pki_types::ServerName;
use sampan_apiserver::config::Limits;
use serde_json::json;
use store::MemoryStore;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::connections::Listening;
use crate::server::{Talk, config};

const MAPS: &str = "/api/v1/namespaces/web/configmaps";
const WATCHES: usize = 50;
/// Bytes before each record of TLS; the last two are its length. Source: RFC 8446, 5.1.
const RECORD_HEAD: usize = 5;

/// A socket that counts the records of TLS that come.
struct Records {
    stream: TcpStream,
    head: Vec<u8>,
    /// Bytes of the present record that are still to come.
    rest: usize,
    seen: Arc<AtomicUsize>,
}

impl Records {
    fn count(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if self.rest > 0 {
                self.rest -= 1;
                continue;
            }
            self.head.push(*byte);
            if self.head.len() == RECORD_HEAD {
                self.rest = usize::from(u16::from_be_bytes([self.head[3], self.head[4]]));
                self.head.clear();
                self.seen.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

impl AsyncRead for Records {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.count(&buffer.filled()[before..]);
        read
    }
}

impl AsyncWrite for Records {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }
    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

/// A connection over HTTP/2, whose records are counted.
async fn connect(listening: &Listening, seen: &Arc<AtomicUsize>) -> SendRequest<Empty<Bytes>> {
    let records = Records {
        stream: listening.connect().await,
        head: Vec::new(),
        rest: 0,
        seen: Arc::clone(seen),
    };
    let mut tls = listening.connector.config().as_ref().clone();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, records);
    let stream = TokioIo::new(stream.await.unwrap());
    let (sender, connection) = handshake(TokioExecutor::new(), stream).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(sender: &SendRequest<Empty<Bytes>>, path: &str) -> Incoming {
    let uri = format!("https://localhost{path}");
    let request = Request::get(uri).header("authorization", "Bearer admins");
    let request = request.body(Empty::new()).unwrap();
    let mut sender = sender.clone();
    sender.ready().await.unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), 200);
    response.into_body()
}

/// A server that knows the administrator by a token, with a map to watch.
async fn talk() -> Talk {
    let admin = access::user::user("admin", &[access::user::MASTERS]);
    let store = MemoryStore::indexed_by(sampan_apiserver::index);
    let mut config = config(Arc::new(store), Limits::upstream());
    config.static_tokens = vec![("admins".to_owned(), admin)];
    let talk = Talk::of(config).await;
    let map = json!({"metadata": {"name": "a"}, "data": {"k": "x".repeat(400)}});
    talk.post(MAPS, map).await.expect(201);
    talk
}

#[tokio::test]
async fn what_the_watches_of_one_connection_hear_comes_together() {
    let talk = talk().await;
    let listening = Listening::of(&talk).await;
    let seen = Arc::default();
    let sender = connect(&listening, &seen).await;
    let path = format!(
        "{MAPS}?watch=true&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
    );
    let mut watches = join_all((0..WATCHES).map(|_| ask(&sender, &path))).await;
    let before = seen.load(Ordering::Relaxed);
    let change = json!({"data": {"changed": "yes"}});
    talk.patch("merge", &format!("{MAPS}/a"), change)
        .await
        .expect(200);
    let heard = try_join_all(
        watches
            .iter_mut()
            .map(|watch| watch.frame())
            .map(async |frame| frame.await.unwrap()),
    );
    for event in heard.await.unwrap() {
        let event = event.into_data().unwrap();
        assert!(event.starts_with(b"{\"type\":\"MODIFIED\""), "{event:?}");
    }
    let records = seen.load(Ordering::Relaxed) - before;
    assert!(
        records < WATCHES / 5,
        "{records} records for {WATCHES} events"
    );
    drop(sender);
    listening.end().await;
}
