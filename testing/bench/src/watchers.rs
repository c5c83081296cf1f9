//! How soon the last of many watchers knows of a change, and what a watcher costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::AsyncReadExt;
use futures::future::try_join_all;
use http::Request;
use meta::ObjectExt;
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::Server;
use crate::report::{Better, Figure, compare, median, percentile};
use crate::request::{self, answer, map, maps, send};

const WATCHERS: [usize; 2] = [100, 1_000];
/// Changes whose way to the last watcher is timed, over all rounds.
const UPDATES: usize = 500;
/// The servers take turns so often.
const ROUNDS: usize = 5;
/// Longest wait for a change to arrive everywhere.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Events that came to any of the watchers.
#[derive(Default)]
struct Seen {
    events: AtomicUsize,
    changed: Notify,
}

/// Watches of one server.
struct Watches {
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
    watchers: usize,
}

/// Times changes on every server.
pub(crate) async fn measure(servers: &[Server]) -> Result<()> {
    for watchers in WATCHERS {
        let (mut opened, namespace) = (Vec::new(), format!("watched-{watchers}"));
        for server in servers {
            request::namespace(&server.client, &namespace).await?;
            let create = send(
                "POST",
                &maps(&namespace),
                "application/json",
                &map("watched"),
            )?;
            answer(&server.client, create).await?;
            let before = server.rss()?;
            let watches = Watches::open(server, &namespace, watchers).await?;
            let after = server.rss()?;
            let count = u64::try_from(watchers).unwrap_or(u64::MAX);
            opened.push((watches, after.saturating_sub(before) / count / 1000));
        }
        let mut figures: Vec<Vec<Figure>> = vec![Vec::new(); servers.len()];
        for _ in 0..ROUNDS {
            for ((server, (watches, _)), figures) in
                servers.iter().zip(&mut opened).zip(&mut figures)
            {
                figures.push(watches.time(server, &namespace).await?);
            }
        }
        let what = format!("update to the last of {watchers} watchers");
        let mut middles = figures.into_iter().filter_map(median);
        if let Some(ours) = middles.next() {
            compare(&what, Better::Less, &ours, middles.next().as_ref());
        }
        let mut sizes = opened.iter().map(|(_, kilobytes)| Figure {
            text: format!("{kilobytes} KB"),
            value: f64::from(u32::try_from(*kilobytes).unwrap_or(u32::MAX)),
        });
        let what = format!("memory for each of {watchers} watchers and its connection");
        if let Some(ours) = sizes.next() {
            let peer = sizes.next().filter(|peer| peer.value > 0.0);
            compare(&what, Better::Less, &ours, peer.as_ref());
        }
        for (watches, _) in &mut opened {
            watches.tasks.shutdown().await;
        }
    }
    Ok(())
}

impl Watches {
    async fn open(server: &Server, namespace: &str, watchers: usize) -> Result<Self> {
        let get = request::get(&format!("{}/watched", maps(namespace)), "application/json")?;
        let (parts, _) = get.into_parts();
        let watched = Request::from_parts(parts, Vec::new());
        let watched: Value = server.client.request(watched).await?;
        let version = watched.str_at(&["metadata", "resourceVersion"]);
        let path = format!(
            "{}?watch=true&timeoutSeconds=3000&resourceVersion={}",
            maps(namespace),
            version.context("no version")?
        );
        let seen = Arc::new(Seen::default());
        let open = |_| {
            let path = path.as_str();
            async move {
                let request = Request::get(path).body(Vec::new()).context("no request")?;
                let stream = server.client.request_stream(request).await;
                anyhow::Ok(stream.context("no watch")?)
            }
        };
        let streams = try_join_all((0..watchers).map(open)).await?;
        let mut tasks = JoinSet::new();
        for stream in streams {
            let seen = Arc::clone(&seen);
            tasks.spawn(async move {
                let (mut stream, mut bytes) = (Box::pin(stream), vec![0; 16 * 1024]);
                while let Ok(count @ 1..) = stream.read(&mut bytes).await {
                    // Every event is a line.
                    let read = bytes.iter().take(count);
                    let events = read.filter(|byte| **byte == b'\n').count();
                    seen.events.fetch_add(events, Ordering::AcqRel);
                    seen.changed.notify_one();
                }
            });
        }
        Ok(Self {
            seen,
            tasks,
            watchers,
        })
    }

    /// Changes the object a number of times, and times each change to the last watcher.
    async fn time(&mut self, server: &Server, namespace: &str) -> Result<Figure> {
        let mut times = Vec::new();
        for index in 0..UPDATES / ROUNDS {
            let mut object = map("watched");
            let different = format!("{:?} {index}", Instant::now());
            object.set(&["data", "index"], different.into());
            let path = format!("{}/watched", maps(namespace));
            let request = send("PUT", &path, "application/json", &object)?;
            let wanted = self.seen.events.load(Ordering::Acquire) + self.watchers;
            let begun = Instant::now();
            let all_seen = async {
                while self.seen.events.load(Ordering::Acquire) < wanted {
                    self.seen.changed.notified().await;
                }
                begun.elapsed()
            };
            let all_seen = tokio::time::timeout(WAIT_MAX, all_seen);
            let (answered, took) = tokio::join!(answer(&server.client, request), all_seen);
            let (code, _) = answered?;
            anyhow::ensure!(code == 200, "the update answered {code}");
            times.push(took.context("a watcher did not hear of a change")?);
        }
        let (value, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
        let text = format!("p50 {value:.2} ms, p99 {p99:.2} ms");
        Ok(Figure { text, value })
    }
}
