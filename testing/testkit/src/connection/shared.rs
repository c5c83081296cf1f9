//! Watches that share a connection, as those of one client of Kubernetes do.

use std::sync::Arc;

use anyhow::{Context, Result};
use futures::future::try_join_all;
use http::header::ACCEPT;
use http::{Request, Uri};
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::BufReader;
use tokio_rustls::TlsConnector;

use super::{Body, Dialer, READ_BYTES, Source, Watch, driven};

/// What may come unread on a connection and on each of its streams. Source: `golang.org/x/net/http2`, its transport.
const CONNECTION_WINDOW: u32 = 1 << 30;
const STREAM_WINDOW: u32 = 4 << 20;

impl Dialer {
    /// Opens so many watches of one address, which is a path, on one connection over HTTP/2.
    ///
    /// # Errors
    /// Nobody answers, or with something else.
    pub async fn watch_shared(&self, path: &str, watches: usize) -> Result<Vec<Watch>> {
        let mut config = self.tls.config().as_ref().clone();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let stream = BufReader::with_capacity(READ_BYTES, self.plain().await?);
        let stream = TlsConnector::from(Arc::new(config)).connect(self.name.clone(), stream);
        let stream = stream.await.context("no encrypted connection")?;
        let (sender, connection) = Builder::new(TokioExecutor::new())
            .initial_connection_window_size(CONNECTION_WINDOW)
            .initial_stream_window_size(STREAM_WINDOW)
            .handshake(TokioIo::new(stream))
            .await
            .context("no HTTP/2 spoken")?;
        tokio::spawn(driven(connection));
        let uri = format!("https://{}{path}", self.authority);
        let uri: Uri = uri.parse().context("no address")?;
        try_join_all((0..watches).map(|_| open(sender.clone(), uri.clone()))).await
    }
}

async fn open(mut sender: SendRequest<Body>, uri: Uri) -> Result<Watch> {
    let request = Request::get(uri).header(ACCEPT, "application/json");
    let request = request.body(Body::default()).context("no request")?;
    sender.ready().await.context("the connection broke")?;
    let response = sender.send_request(request).await.context("no answer")?;
    anyhow::ensure!(response.status() == 200, "no watch: {}", response.status());
    Ok(Watch {
        source: Source::Shared(response.into_body()),
        last: None,
    })
}
