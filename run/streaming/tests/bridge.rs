//! The whole way over real sockets: a client, the bridge of a kubelet, and a runtime's server.

use std::{convert::Infallible, future::Future, net::SocketAddr};

use anyhow::Context as _;
use bytes::Bytes;
use futures::{SinkExt as _, StreamExt as _};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use sampan_streaming::{
    bridge,
    dial::{DialError, dial},
    remote_command::{Channel, Channels, call, serve},
    spdy::{Headers, Role, start},
    upgrade::{Offer, offer, spdy_answer, upgraded},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::tungstenite::{Message, client::IntoClientRequest as _};

/// Serves HTTP on a free port of loopback.
async fn server<F, A>(answer: F) -> anyhow::Result<SocketAddr>
where
    F: Fn(Request<Incoming>) -> A + Clone + Send + 'static,
    A: Future<Output = Response<String>> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let answer = answer.clone();
            let service = service_fn(move |request| {
                let answer = answer.clone();
                async move {
                    let response = answer(request).await;
                    Ok::<_, Infallible>(response.map(|text| Full::new(Bytes::from(text))))
                }
            });
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(tcp), service)
                .with_upgrades();
            tokio::spawn(connection);
        }
    });
    Ok(address)
}

fn channels() -> Channels {
    Channels::default()
        .with(Channel::Stdin, true)
        .with(Channel::Stdout, true)
}

/// A runtime whose commands shout, and whose ports echo.
async fn runtime(request: Request<Incoming>) -> Response<String> {
    let is_command = request.uri().path() == "/exec";
    let Ok(Offer::Spdy { upgrade, protocols }) = offer(request) else {
        let mut refusal = Response::new("unable to upgrade".to_owned());
        *refusal.status_mut() = StatusCode::BAD_REQUEST;
        return refusal;
    };
    let protocol = protocols
        .first()
        .and_then(|name| HeaderValue::from_str(name).ok());
    tokio::spawn(async move {
        let (_connection, mut incoming) = start(upgraded(upgrade).await?, Role::Server)?;
        if !is_command {
            while let Some(stream) = incoming.accept().await {
                let (mut from, mut to) = tokio::io::split(stream);
                tokio::spawn(async move { tokio::io::copy(&mut from, &mut to).await });
            }
            return Ok(());
        }
        let mut serving = serve(incoming, channels()).await?;
        let (stdin, stdout) = (serving.stdin.take(), serving.stdout.take());
        let mut text = String::new();
        stdin.context("stdin")?.read_to_string(&mut text).await?;
        stdout
            .context("stdout")?
            .write_all(text.to_uppercase().as_bytes())
            .await?;
        serving.error.write_all(b"done").await?;
        anyhow::Ok(())
    });
    spdy_answer(protocol.as_ref()).map(|()| String::new())
}

/// A kubelet in front of it.
async fn kubelet(request: Request<Incoming>, runtime: SocketAddr) -> Response<String> {
    let path = request.uri().path().to_owned();
    let url = format!("http://{runtime}{path}");
    let bridged = if path == "/exec" {
        bridge::command(request, channels(), &url).await
    } else {
        bridge::port_forward(request, &["80".to_owned()], &url).await
    };
    match bridged {
        Ok(bridged) => {
            tokio::spawn(bridged.run);
            bridged.answer.map(|()| String::new())
        }
        Err(error) => {
            let mut refusal = Response::new(error.to_string());
            *refusal.status_mut() = error.status();
            refusal
        }
    }
}

async fn start_both() -> anyhow::Result<SocketAddr> {
    let runtime = server(runtime).await?;
    server(move |request| kubelet(request, runtime)).await
}

#[tokio::test]
async fn a_websocket_command_reaches_the_runtime() -> anyhow::Result<()> {
    let kubelet = start_both().await?;
    let mut request = format!("ws://{kubelet}/exec").into_client_request()?;
    let protocols = HeaderValue::from_static("v5.channel.k8s.io,v4.channel.k8s.io");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocols);
    let tcp = TcpStream::connect(kubelet).await?;
    let (mut socket, answer) = tokio_tungstenite::client_async(request, tcp).await?;
    assert_eq!(
        answer.headers()["sec-websocket-protocol"],
        "v5.channel.k8s.io"
    );
    socket
        .send(Message::Binary(Bytes::from_static(b"\x00hello")))
        .await?;
    socket
        .send(Message::Binary(Bytes::from_static(b"\xff\x00")))
        .await?;
    let mut seen = Vec::new();
    while let Some(Ok(Message::Binary(bytes))) = socket.next().await {
        seen.push(bytes);
    }
    assert_eq!(seen, [b"\x01".as_slice(), b"\x01HELLO", b"\x03done"]);
    Ok(())
}

#[tokio::test]
async fn a_spdy_command_passes_byte_for_byte() -> anyhow::Result<()> {
    let kubelet = start_both().await?;
    let (io, protocol) = dial(&format!("http://{kubelet}/exec"), ["v4.channel.k8s.io"]).await?;
    assert_eq!(protocol.context("protocol")?, "v4.channel.k8s.io");
    let (connection, _incoming) = start(io, Role::Client)?;
    let calling = call(&connection, channels()).await?;
    let mut stdin = calling.stdin.context("stdin")?;
    stdin.write_all(b"hello").await?;
    stdin.shutdown().await?;
    let mut text = String::new();
    calling
        .stdout
        .context("stdout")?
        .read_to_string(&mut text)
        .await?;
    assert_eq!(text, "HELLO");
    Ok(())
}

#[tokio::test]
async fn a_tunnelled_port_forward_reaches_the_runtime() -> anyhow::Result<()> {
    let kubelet = start_both().await?;
    let mut request = format!("ws://{kubelet}/forward").into_client_request()?;
    let protocol = HeaderValue::from_static("SPDY/3.1+portforward.k8s.io");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let tcp = TcpStream::connect(kubelet).await?;
    let (socket, _) = tokio_tungstenite::client_async(request, tcp).await?;
    // The user's end of the tunnel: bytes of SPDY in the messages of the socket.
    let (near, far) = tokio::io::duplex(1 << 16);
    let (mut from_user, mut to_user) = tokio::io::split(far);
    let (mut sink, mut messages) = socket.split();
    tokio::spawn(async move {
        let mut buffer = vec![0; 1 << 12];
        while let Ok(length @ 1..) = from_user.read(&mut buffer).await {
            let bytes = Bytes::copy_from_slice(buffer.get(..length).unwrap_or_default());
            sink.send(Message::Binary(bytes)).await?;
        }
        sink.close().await
    });
    tokio::spawn(async move {
        while let Some(Ok(Message::Binary(bytes))) = messages.next().await {
            to_user.write_all(&bytes).await?;
        }
        to_user.shutdown().await
    });
    let (connection, _incoming) = start(near, Role::Client)?;
    let mut stream = connection
        .open(Headers::new([("streamtype", "data")]))
        .await?;
    stream.write_all(b"ping").await?;
    let mut bytes = [0; 4];
    stream.read_exact(&mut bytes).await?;
    assert_eq!(&bytes, b"ping");
    Ok(())
}

#[tokio::test]
async fn ports_are_forwarded_over_channels() -> anyhow::Result<()> {
    let kubelet = start_both().await?;
    let mut request = format!("ws://{kubelet}/forward").into_client_request()?;
    let protocol = HeaderValue::from_static("v4.channel.k8s.io");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let tcp = TcpStream::connect(kubelet).await?;
    let (mut socket, _) = tokio_tungstenite::client_async(request, tcp).await?;
    for channel in [b"\x00P\x00", b"\x01P\x00"] {
        let message = socket.next().await.context("hung up")??;
        assert_eq!(message.into_data(), channel.as_slice());
    }
    socket
        .send(Message::Binary(Bytes::from_static(b"\x00ping")))
        .await?;
    let message = socket.next().await.context("hung up")??;
    assert_eq!(message.into_data(), b"\x00ping".as_slice());
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_upgraded_is_refused_in_words() -> anyhow::Result<()> {
    let kubelet = start_both().await?;
    let mut request = format!("ws://{kubelet}/exec").into_client_request()?;
    let protocol = HeaderValue::from_static("v9.channel.k8s.io");
    request
        .headers_mut()
        .insert("sec-websocket-protocol", protocol);
    let tcp = TcpStream::connect(kubelet).await?;
    let error = tokio_tungstenite::client_async(request, tcp)
        .await
        .map(|_| ())
        .unwrap_err();
    assert!(error.to_string().contains("403"), "{error}");

    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let refused = dial(&format!("http://{closed}/exec"), []).await.map(|_| ());
    assert!(matches!(refused, Err(DialError::Connect { .. })));
    for url in ["", "https://127.0.0.1:1/", "/exec", "http://", "no url"] {
        let refused = dial(url, []).await.map(|_| ());
        assert!(matches!(refused, Err(DialError::Url(_))), "{url}");
    }
    Ok(())
}
