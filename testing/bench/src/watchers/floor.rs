//! How soon the last of many sockets has what a program that does nothing else writes to them all: no server on this machine
//! is much sooner, whatever it does.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use anyhow::{Context, Result};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinSet;

use super::{Seen, UPDATES, WAIT_MAX, WATCHED_BYTES};
use crate::report::{Figure, percentile};

/// Writes so many bytes to so many sockets, again and again.
pub(super) async fn measure(sockets: usize, bytes: usize) -> Result<Figure> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot listen")?;
    let address = listener.local_addr().context("no address")?;
    let (go, told) = mpsc::channel();
    let writer = std::thread::spawn(move || write(&listener, sockets, bytes, &told));
    let seen = Arc::new(Seen::default());
    let mut tasks = JoinSet::new();
    for _ in 0..sockets {
        let stream = tokio::net::TcpStream::connect(address).await;
        let mut stream = stream.context("no connection")?;
        let seen = Arc::clone(&seen);
        tasks.spawn(async move {
            let mut buffer = vec![0; WATCHED_BYTES];
            while let Ok(read @ 1..) = stream.read(&mut buffer).await {
                seen.add(read);
            }
        });
    }
    let mut times = Vec::new();
    for update in 1..=UPDATES {
        let all = sockets * bytes * usize::try_from(update)?;
        seen.wanted.store(all, Ordering::Release);
        let begun = Instant::now();
        go.send(()).context("the writer ended")?;
        let all_seen = tokio::time::timeout(WAIT_MAX, seen.all.notified()).await;
        all_seen.context("what was written did not arrive")?;
        times.push(begun.elapsed());
    }
    drop(go);
    let ended = tokio::task::spawn_blocking(|| writer.join()).await?;
    ended.map_err(|_| anyhow::anyhow!("the writer broke"))??;
    tasks.shutdown().await;
    let (value, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    let text = format!("p50 {value:.2} ms, p99 {p99:.2} ms");
    Ok(Figure { text, value })
}

fn write(listener: &TcpListener, sockets: usize, bytes: usize, told: &Receiver<()>) -> Result<()> {
    let accept = |_| listener.accept().map(|(stream, _)| stream);
    let mut streams: Vec<TcpStream> = (0..sockets).map(accept).collect::<Result<_, _>>()?;
    for stream in &streams {
        stream.set_nodelay(true)?;
    }
    let block = vec![b'x'; bytes];
    while told.recv().is_ok() {
        for stream in &mut streams {
            stream.write_all(&block)?;
        }
    }
    Ok(())
}
