//! HTTP/2 as it is on the wire, where a client library would hide what the server does to a connection.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::connections::Listening;
use crate::server::Talk;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;
/// The end of a stream, or that a ping or settings are acknowledged.
const END: u8 = 1;
const END_HEADERS: u8 = 4;
/// `GET /` of the authority `a` in HPACK.
const REQUEST: &[u8] = &[0x82, 0x87, 0x84, 0x41, 1, b'a'];
const CANCEL: &[u8] = &8_u32.to_be_bytes();

/// A frame: what it is, its flags, its stream and what it carries.
type Frame = (u8, u8, u32, Vec<u8>);

fn frame(sort: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[sort, flags], &stream.to_be_bytes(), payload].concat()
}

async fn next(stream: &mut TlsStream<TcpStream>) -> std::io::Result<Frame> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await?;
    let number = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    Ok((head[3], head[4], number, payload))
}

/// The frames up to one of this sort, of any stream or of none.
async fn until(stream: &mut TlsStream<TcpStream>, wanted: (u8, u8)) -> Vec<Frame> {
    let mut frames = Vec::new();
    loop {
        let frame = next(stream).await.unwrap();
        let is_last = frame.0 == wanted.0 && frame.1 & wanted.1 == wanted.1;
        frames.push(frame);
        if is_last {
            return frames;
        }
    }
}

async fn open(listening: &Listening) -> TlsStream<TcpStream> {
    let mut stream = listening.shake_for("h2").await;
    let opening = [PREFACE, &frame(SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&opening).await.unwrap();
    until(&mut stream, (SETTINGS, END)).await;
    stream
}

#[tokio::test]
async fn who_cancels_many_requests_at_once_keeps_the_connection() {
    let listening = Listening::start().await;
    let mut stream = open(&listening).await;
    let mut said = Vec::new();
    for number in (1..400).step_by(2) {
        said.extend(frame(HEADERS, END | END_HEADERS, number, REQUEST));
        said.extend(frame(RST_STREAM, 0, number, CANCEL));
    }
    said.extend(frame(PING, 0, 0, b"12345678"));
    stream.write_all(&said).await.unwrap();
    let told = until(&mut stream, (PING, END)).await;
    assert!(told.iter().all(|(sort, ..)| *sort != GOAWAY));
    drop(stream);
    listening.end().await;
}

#[tokio::test]
async fn what_is_in_flight_is_answered_before_the_end_and_the_end_is_told() {
    let listening = Listening::start().await;
    let mut stream = open(&listening).await;
    let ask = |number| frame(HEADERS, END | END_HEADERS, number, REQUEST);
    stream.write_all(&ask(1)).await.unwrap();
    until(&mut stream, (DATA, END)).await;
    stream.write_all(&[ask(3), ask(5)].concat()).await.unwrap();
    let ending = tokio::spawn(listening.end());
    let mut told = Vec::new();
    while let Ok(frame) = next(&mut stream).await {
        // The second ends the connection once the first, which lets all streams be, was acknowledged.
        if frame.0 == PING && frame.1 & END == 0 {
            let pong = self::frame(PING, END, 0, &frame.3);
            stream.write_all(&pong).await.unwrap();
        }
        told.push(frame);
    }
    let goaway = told.iter().rfind(|(sort, ..)| *sort == GOAWAY).unwrap();
    assert_eq!(goaway.3[4..8], [0; 4], "without an error");
    let last = u32::from_be_bytes([goaway.3[0], goaway.3[1], goaway.3[2], goaway.3[3]]);
    for number in (3..=last).step_by(2) {
        let is_end =
            |(sort, flags, of, _): &&Frame| (*sort, flags & END, *of) == (DATA, END, number);
        assert_eq!(told.iter().filter(is_end).count(), 1, "stream {number}");
    }
    ending.await.unwrap();
}

#[tokio::test]
async fn a_list_that_is_being_read_is_given_whole_though_the_server_ends() {
    const MAPS: &str = "/api/v1/namespaces/web/configmaps";
    let talk = Talk::new().await;
    let group = "rbac.authorization.k8s.io";
    let binding = json!({"metadata": {"name": "all"},
        "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "all"},
        "subjects": [{"apiGroup": group, "kind": "User", "name": "system:anonymous"}]});
    let role = json!({"metadata": {"name": "all"},
        "rules": [{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list"]}]});
    let rbac = format!("/apis/{group}/v1");
    talk.post(&format!("{rbac}/clusterroles"), role)
        .await
        .expect(201);
    talk.post(&format!("{rbac}/clusterrolebindings"), binding)
        .await
        .expect(201);
    for number in 0..40 {
        let map =
            json!({"metadata": {"name": format!("m{number}")}, "data": {"a": "x".repeat(10_000)}});
        talk.post(MAPS, map).await.expect(201);
    }
    let listening = Listening::of(&talk).await;
    let mut stream = open(&listening).await;
    let path = [&[4, u8::try_from(MAPS.len()).unwrap()], MAPS.as_bytes()].concat();
    let request = [&[0x82, 0x87], &path[..], &[0x41, 1, b'a']].concat();
    let ask = frame(HEADERS, END | END_HEADERS, 1, &request);
    stream.write_all(&ask).await.unwrap();
    let mut told = until(&mut stream, (DATA, 0)).await;
    let ending = tokio::spawn(listening.end());
    told.extend(until(&mut stream, (GOAWAY, 0)).await);
    for number in [0, 1] {
        let more = frame(WINDOW_UPDATE, 0, number, &(1_u32 << 20).to_be_bytes());
        stream.write_all(&more).await.unwrap();
    }
    told.extend(until(&mut stream, (DATA, END)).await);
    let data = told.into_iter().filter(|(sort, ..)| *sort == DATA);
    let list: Vec<u8> = data.flat_map(|(.., payload)| payload).collect();
    let list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["items"].as_array().unwrap().len(), 40);
    drop(stream);
    ending.await.unwrap();
}
