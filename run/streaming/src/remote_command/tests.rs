//! A command over each protocol, and through the bridge between them.

use tokio::io::{AsyncReadExt as _, duplex};
use tokio_tungstenite::{WebSocketStream, tungstenite::protocol::Role as SocketRole};

use super::*;
use crate::spdy::{Role, start};

fn all() -> Channels {
    Channels::default()
        .with(Channel::Stdin, true)
        .with(Channel::Stdout, true)
        .with(Channel::Stderr, true)
}

/// A command that upper-cases its input and then says that it is done.
async fn shout(serving: Serving) {
    let Serving {
        stdin,
        stdout,
        mut error,
        ..
    } = serving;
    let mut text = String::new();
    stdin.unwrap().read_to_string(&mut text).await.unwrap();
    let mut stdout = stdout.unwrap();
    stdout
        .write_all(text.to_uppercase().as_bytes())
        .await
        .unwrap();
    stdout.shutdown().await.unwrap();
    error.write_all(b"done").await.unwrap();
    error.shutdown().await.unwrap();
}

async fn read(reader: Reader) -> String {
    let (mut reader, mut text) = (reader, String::new());
    reader.read_to_string(&mut text).await.unwrap();
    text
}

#[test]
fn channels_are_a_set_that_always_has_the_error_channel() {
    let order: Vec<Channel> = all().in_opening_order().collect();
    assert_eq!(
        order,
        [
            Channel::Error,
            Channel::Stdin,
            Channel::Stdout,
            Channel::Stderr
        ]
    );
    assert!(!all().has(Channel::Resize));
    assert_eq!(Channel::from_number(9), None);
    assert_eq!(Channel::from_name("stdbad"), None);
}

#[tokio::test]
async fn a_command_is_called_and_served_over_spdy() {
    let (near, far) = duplex(1 << 16);
    let (client, _incoming) = start(near, Role::Client).unwrap();
    let (_server, incoming) = start(far, Role::Server).unwrap();
    let (calling, serving) = tokio::join!(call(&client, all()), serve(incoming, all()));
    let calling = calling.unwrap();
    let command = tokio::spawn(shout(serving.unwrap()));
    let mut stdin = calling.stdin.unwrap();
    stdin.write_all(b"hello").await.unwrap();
    stdin.shutdown().await.unwrap();
    assert_eq!(read(calling.stdout.unwrap()).await, "HELLO");
    assert_eq!(read(calling.error).await, "done");
    command.await.unwrap();
}

#[tokio::test]
async fn a_client_that_opens_a_channel_it_did_not_ask_for_is_refused() {
    let (near, far) = duplex(1 << 16);
    let (client, _incoming) = start(near, Role::Client).unwrap();
    let (_server, incoming) = start(far, Role::Server).unwrap();
    let wanted = Channels::default().with(Channel::Stdout, true);
    let (_, serving) = tokio::join!(call(&client, all()), serve(incoming, wanted));
    assert!(serving.is_err());
}

#[tokio::test]
async fn a_websocket_client_is_taken_to_a_spdy_server() {
    use futures::{SinkExt as _, StreamExt as _};
    use tokio_tungstenite::tungstenite::Message;

    let (near, far) = duplex(1 << 16);
    let (client, _incoming) = start(near, Role::Client).unwrap();
    let (_server, incoming) = start(far, Role::Server).unwrap();
    let (calling, serving) = tokio::join!(call(&client, all()), serve(incoming, all()));
    tokio::spawn(shout(serving.unwrap()));

    let (user, kubelet) = duplex(1 << 16);
    let mut user = WebSocketStream::from_raw_socket(user, SocketRole::Client, None).await;
    let kubelet = WebSocketStream::from_raw_socket(kubelet, SocketRole::Server, None).await;
    let bridge = tokio::spawn(join(
        serve_websocket(kubelet, all(), "v5.channel.k8s.io"),
        calling.unwrap(),
    ));
    for message in [
        b"\x00hel".as_slice(),
        b"\x00lo",
        b"\x09?",
        b"",
        b"\xff\x00",
        b"\xff",
    ] {
        user.send(Message::Binary(message.to_vec().into()))
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    while let Some(Ok(Message::Binary(bytes))) = user.next().await {
        seen.push(bytes);
    }
    assert_eq!(seen, [b"\x01".as_slice(), b"\x01HELLO", b"\x03done"]);
    bridge.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_client_that_hangs_up_ends_the_bridge() {
    let (near, far) = duplex(1 << 16);
    let (client, _incoming) = start(near, Role::Client).unwrap();
    let (_server, incoming) = start(far, Role::Server).unwrap();
    let (calling, serving) = tokio::join!(call(&client, all()), serve(incoming, all()));
    let (user, kubelet) = duplex(1 << 16);
    let kubelet = WebSocketStream::from_raw_socket(kubelet, SocketRole::Server, None).await;
    let bridge = join(
        serve_websocket(kubelet, all(), "v5.channel.k8s.io"),
        calling.unwrap(),
    );
    drop(user);
    bridge.await.unwrap();
    drop(client);
    assert_eq!(read(serving.unwrap().stdin.unwrap()).await, "");
}

/// What a client of a protocol sees of a command that fails.
async fn seen_of_a_failure(protocol: &str) -> Vec<tokio_tungstenite::tungstenite::Message> {
    use futures::StreamExt as _;

    let (user, kubelet) = duplex(1 << 16);
    let kubelet = WebSocketStream::from_raw_socket(kubelet, SocketRole::Server, None).await;
    let user = WebSocketStream::from_raw_socket(user, SocketRole::Client, None).await;
    let channels = Channels::default().with(Channel::Stdout, true);
    let mut serving = serve_websocket(kubelet, channels, protocol);
    let status = br#"{"status":"Failure","message":"exit code 3"}"#;
    serving.error.write_all(status).await.unwrap();
    drop(serving);
    let messages = user.filter_map(async |message| message.ok().filter(|one| !one.is_close()));
    messages.collect().await
}

#[tokio::test]
async fn old_clients_are_told_of_a_failure_in_words() {
    use tokio_tungstenite::tungstenite::Message;

    let binary = |bytes: &'static [u8]| Message::Binary(bytes.into());
    let words = [binary(b"\x01"), binary(b"\x03exit code 3")];
    assert_eq!(seen_of_a_failure("channel.k8s.io").await, words);
    assert_eq!(seen_of_a_failure("").await, words);
    let texts = [
        Message::Text("1".into()),
        Message::Text("3ZXhpdCBjb2RlIDM=".into()),
    ];
    assert_eq!(seen_of_a_failure("base64.channel.k8s.io").await, texts);
    let status = seen_of_a_failure("v4.channel.k8s.io").await;
    assert_eq!(
        status[1],
        binary(b"\x03{\"status\":\"Failure\",\"message\":\"exit code 3\"}")
    );
}
