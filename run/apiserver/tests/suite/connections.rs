//! Connections on which nothing is asked.

use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use sampan_apiserver::config::Limits;
use sampan_apiserver::listener;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::server::Talk;

/// Has no certificate: no handshake gets as far.
#[derive(Debug)]
struct Nameless;

impl ResolvesServerCert for Nameless {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        None
    }
}

#[tokio::test]
async fn who_connects_and_says_nothing_gives_way() {
    let talk = Talk::with(Limits {
        newcomers_max: 2,
        ..Limits::upstream()
    })
    .await;
    let authority = rcgen::generate_simple_self_signed(["clients".to_owned()]).unwrap();
    let tls = listener::tls(Arc::new(Nameless), &authority.cert.pem()).unwrap();
    let listening = listener::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let address = listening.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let serving = listener::serve(listening, tls, talk.server.clone(), shutdown.clone());
    let serving = tokio::spawn(serving);
    let mut silent = Vec::new();
    for _ in 0..4 {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    // The two oldest are gone, the two newest are there.
    let mut byte = [0];
    for gone in &mut silent[..2] {
        assert_eq!(gone.read(&mut byte).await.unwrap_or_default(), 0);
    }
    for there in &silent[2..] {
        let silence = there.try_read(&mut byte).unwrap_err();
        assert_eq!(silence.kind(), std::io::ErrorKind::WouldBlock);
    }
    shutdown.cancel();
    serving.await.unwrap();
}
