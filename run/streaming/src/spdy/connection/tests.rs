//! Two ends of one connection, and ends that talk nonsense.

use tokio::io::{AsyncReadExt as _, duplex};

use super::*;
use crate::spdy::frame::Head;

fn pair() -> ((Connection, Incoming), (Connection, Incoming)) {
    let (near, far) = duplex(1 << 16);
    (
        start(near, Role::Client).unwrap(),
        start(far, Role::Server).unwrap(),
    )
}

#[tokio::test]
async fn bytes_pass_both_ways_and_each_way_ends_by_itself() {
    let ((client, _), (_, mut incoming)) = pair();
    let (opened, accepted) = tokio::join!(
        client.open(Headers::new([("streamtype", "stdin")])),
        incoming.accept()
    );
    let (mut near, mut far) = (opened.unwrap(), accepted.unwrap());
    assert_eq!(far.headers().get("StreamType"), Some("stdin"));

    near.write_all(b"in").await.unwrap();
    near.shutdown().await.unwrap();
    let mut text = String::new();
    far.read_to_string(&mut text).await.unwrap();
    assert_eq!(text, "in");

    let long = vec![b'x'; 1 << 20];
    let (written, mut read) = (async { far.write_all(&long).await }, Vec::new());
    let (written, ()) = tokio::join!(written, async {
        near.read_buf(&mut read).await.unwrap();
        while read.len() < long.len() {
            near.read_buf(&mut read).await.unwrap();
        }
    });
    written.unwrap();
    assert_eq!(read.len(), long.len());
    drop(far);
    assert_eq!(near.read(&mut [0; 1]).await.unwrap(), 0);
}

#[tokio::test]
async fn the_server_opens_streams_too() {
    let ((_client, mut incoming), (server, _)) = pair();
    let (opened, accepted) = tokio::join!(server.open(Headers::default()), incoming.accept());
    assert!(opened.is_ok() && accepted.is_some());
}

#[tokio::test]
async fn a_stream_nobody_waits_for_is_refused() {
    let ((client, _), (server, incoming)) = pair();
    drop(incoming);
    let error = client.open(Headers::default()).await.unwrap_err();
    assert!(matches!(error, SpdyError::Refused), "{error}");
    drop(server);
}

#[tokio::test]
async fn when_one_side_goes_the_other_sees_the_end() {
    let ((client, first), (server, mut incoming)) = pair();
    let (opened, accepted) = tokio::join!(client.open(Headers::default()), incoming.accept());
    let mut far = accepted.unwrap();
    drop((client, first, opened));
    assert_eq!(far.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(incoming.accept().await.is_none());
    assert!(matches!(
        server.open(Headers::default()).await,
        Err(SpdyError::Closed)
    ));
}

#[tokio::test]
async fn nonsense_ends_the_connection() {
    let cases: [&[u8]; 4] = [
        b"GET / HTTP/1.1\r\n\r\n\x00\x00\x00\x00\x00\x00\x00\x00",
        &[0x80, 2, 0, 1, 0, 0, 0, 0],
        &[0x80, 3, 0, 1, 0, 0xff, 0xff, 0xff],
        &[0x80, 3, 0, 1, 0, 0, 0, 2, 0, 0],
    ];
    for bytes in cases {
        let (mut near, far) = duplex(1 << 16);
        let (_server, mut incoming) = start(far, Role::Server).unwrap();
        near.write_all(bytes).await.unwrap();
        near.shutdown().await.unwrap();
        assert!(incoming.accept().await.is_none(), "{bytes:?}");
    }
}

#[tokio::test]
async fn pings_are_answered_with_their_number() {
    let (mut near, far) = duplex(1 << 16);
    let _server = start(far, Role::Server).unwrap();
    near.write_all(&[0x80, 3, 0, 6, 0, 0, 0, 4, 0, 0, 0, 9])
        .await
        .unwrap();
    let head = Head::read(&mut near).await.unwrap().unwrap();
    assert_eq!(
        head,
        Head::Control {
            kind: 6,
            flags: 0,
            length: 4
        }
    );
    assert_eq!(near.read_u32().await.unwrap(), 9);
}
