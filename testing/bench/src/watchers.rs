//! How soon the last of many watchers knows of a change, and what a watcher costs.

mod floor;

use std::process::id;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use http_body_util::BodyExt;
use meta::ObjectExt;
use serde_json::Value;
use testkit::connection::Connection;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::process::processor_time;
use crate::report::{Better, Figure, median, milliseconds, percentile, show};
use crate::request::{self, map, maps, send};
use crate::{Server, settle};

/// Who watches.
const WATCHERS: [Watchers; 4] = [
    Watchers::alone(100),
    Watchers::sharing(100),
    Watchers::alone(1_000),
    Watchers::sharing(1_000),
];
/// Watches of one client of Kubernetes, which share its connection.
const SHARED: usize = 100;
/// Changes whose way to the last watcher is timed, over all rounds.
const UPDATES: u32 = 500;
/// What is read of a watch at once.
const WATCHED_BYTES: usize = 16 << 10;
/// What an event has around its object, encryption and HTTP included.
const AROUND_BYTES: usize = 60;
/// The servers take turns so often.
const ROUNDS: u32 = 5;
/// Longest wait for a change to arrive everywhere.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Events that came to any of the watchers.
#[derive(Default)]
struct Seen {
    events: AtomicUsize,
    /// How many are waited for.
    wanted: AtomicUsize,
    /// Told when there are as many: a word for each would be measured as the server's time.
    all: Notify,
}

impl Seen {
    fn add(&self, events: usize) {
        let before = self.events.fetch_add(events, Ordering::AcqRel);
        let wanted = self.wanted.load(Ordering::Acquire);
        if before < wanted && wanted <= before + events {
            self.all.notify_one();
        }
    }
}

/// Watches of one server.
struct Watches {
    /// What changes the object.
    client: Connection,
    seen: Arc<Seen>,
    tasks: JoinSet<()>,
    watchers: Watchers,
    /// How large the object is that is watched.
    object_bytes: usize,
}

/// Some that watch the same.
#[derive(Clone, Copy)]
struct Watchers {
    number: usize,
    /// How many share a connection over HTTP/2; `None`: each has its own.
    shared: Option<usize>,
}

impl Watchers {
    const fn alone(number: usize) -> Self {
        Self {
            number,
            shared: None,
        }
    }

    const fn sharing(number: usize) -> Self {
        Self {
            number,
            shared: Some(SHARED),
        }
    }

    fn say(self) -> String {
        let Self { number, shared } = self;
        shared.map_or_else(
            || format!("{number} watchers"),
            |shared| format!("{number} watchers, {shared} to a connection"),
        )
    }

    fn namespace(self) -> String {
        let shared = self.shared.map_or("alone", |_| "shared");
        format!("watched-{}-{shared}", self.number)
    }
}

/// Times changes on every server.
pub(crate) async fn measure(servers: &[Server]) -> Result<()> {
    for watchers in WATCHERS {
        let (mut opened, mut sizes) = (Vec::new(), Vec::new());
        for server in servers {
            let before = server.rss()?;
            opened.push(Watches::open(server, watchers).await?);
            let grown = server.rss()?.saturating_sub(before);
            let each = grown / u64::try_from(watchers.number).unwrap_or(u64::MAX);
            sizes.push(kilobytes(each));
        }
        time(servers, &mut opened).await?;
        let bytes = opened.first().map_or(0, |watches| watches.object_bytes) + AROUND_BYTES;
        if watchers.shared.is_none() {
            let what = format!(
                "the last of {} sockets to which the {bytes} bytes of an event are written, by no server",
                watchers.number
            );
            let floor = floor::measure(watchers.number, bytes).await?;
            show(&what, Better::Less, [floor]);
        }
        let what = format!("memory for each of {}, with its connection", watchers.say());
        show(&what, Better::Less, sizes);
        for watches in &mut opened {
            watches.tasks.shutdown().await;
        }
    }
    Ok(())
}

/// Times changes on every server in turns, and shows how long they took.
async fn time(servers: &[Server], opened: &mut [Watches]) -> Result<()> {
    let who = opened.first().context("a server")?.watchers.say();
    let mut times: Vec<Vec<Figure>> = vec![Vec::new(); servers.len()];
    let mut worked = vec![Duration::ZERO; servers.len()];
    let mut client_worked = vec![Duration::ZERO; servers.len()];
    for _ in 0..ROUNDS {
        for (index, (server, watches)) in servers.iter().zip(&mut *opened).enumerate() {
            settle(servers).await?;
            let before = (server.processor_time()?, processor_time(id())?);
            let figure = watches.time().await?;
            times.get_mut(index).context("a server")?.push(figure);
            let worked = worked.get_mut(index).context("a server")?;
            *worked += server.processor_time()?.saturating_sub(before.0);
            let worked = client_worked.get_mut(index).context("a server")?;
            *worked += processor_time(id())?.saturating_sub(before.1);
        }
    }
    let what = format!("update to the last of {who}");
    show(&what, Better::Less, times.into_iter().filter_map(median));
    for (whose, worked) in [("server", worked), ("client", client_worked)] {
        let what = format!("processor time of the {whose} for an update to {who}");
        let each = worked.into_iter();
        let each = each.map(|worked| milliseconds(worked / UPDATES));
        show(&what, Better::Less, each);
    }
    Ok(())
}

fn kilobytes(bytes: u64) -> Figure {
    let kilobytes = bytes / 1000;
    Figure {
        text: format!("{kilobytes} KB"),
        value: f64::from(u32::try_from(kilobytes).unwrap_or(u32::MAX)),
    }
}

impl Watches {
    async fn open(server: &Server, watchers: Watchers) -> Result<Self> {
        let namespace = watchers.namespace();
        let mut client = server.dialer.open().await?;
        request::namespace(&mut client, &namespace).await?;
        let create = send(
            "POST",
            &maps(&namespace),
            "application/json",
            &map("watched"),
        )?;
        client.answer(create).await?;
        let get = request::get(&format!("{}/watched", maps(&namespace)), "application/json")?;
        let watched = client.send(get).await?.into_body().collect().await;
        let watched = watched.context("the answer broke off")?.to_bytes();
        let size = watched.len();
        let watched: Value = serde_json::from_slice(&watched).context("no object")?;
        let version = watched.str_at(&["metadata", "resourceVersion"]);
        let path = format!(
            "{}?watch=true&timeoutSeconds=3000&resourceVersion={}",
            maps(&namespace),
            version.context("no version")?
        );
        let seen = Arc::new(Seen::default());
        let Watchers { number, shared } = watchers;
        let opened = if let Some(shared) = shared {
            let opened = (0..number / shared).map(|_| server.dialer.watch_shared(&path, shared));
            try_join_all(opened).await?.into_iter().flatten().collect()
        } else {
            let opened = (0..number).map(|_| server.dialer.watch(&path));
            try_join_all(opened).await?
        };
        let mut tasks = JoinSet::new();
        for mut watch in opened {
            let seen = Arc::clone(&seen);
            // A watch that breaks off is missed by who waits for its events.
            tasks.spawn(async move {
                while let Ok(Some(events)) = watch.events().await {
                    seen.add(events);
                }
            });
        }
        Ok(Self {
            client,
            seen,
            tasks,
            watchers,
            object_bytes: size,
        })
    }

    /// Changes the object a number of times, and times each change to the last watcher.
    async fn time(&mut self) -> Result<Figure> {
        let namespace = self.watchers.namespace();
        let mut times = Vec::new();
        for index in 0..UPDATES / ROUNDS {
            let mut object = map("watched");
            let different = format!("{:?} {index}", Instant::now());
            object.set(&["data", "index"], different.into());
            let path = format!("{}/watched", maps(&namespace));
            let request = send("PUT", &path, "application/json", &object)?;
            let wanted = self.seen.events.load(Ordering::Acquire) + self.watchers.number;
            self.seen.wanted.store(wanted, Ordering::Release);
            let begun = Instant::now();
            let all_seen = async {
                self.seen.all.notified().await;
                begun.elapsed()
            };
            let all_seen = tokio::time::timeout(WAIT_MAX, all_seen);
            let (answered, took) = tokio::join!(self.client.answer(request), all_seen);
            let (code, _) = answered?;
            anyhow::ensure!(code == 200, "the update answered {code}");
            times.push(took.context("a watcher did not hear of a change")?);
        }
        let (value, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
        let text = format!("p50 {value:.2} ms, p99 {p99:.2} ms");
        Ok(Figure { text, value })
    }
}
