//! Somebody else, who reads and writes a small object all the while and takes the time of each request.
//!
//! On a thread of its own, so that it does not wait for those who flood on this side of the connection.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use http::Request;
use serde_json::json;
use testkit::connection::{Body, Dialer};
use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinHandle, spawn_blocking};

use super::attack::{MAPS, Made};

/// Who that is.
pub(super) const NEIGHBOUR: &str = "neighbour";
const OWN: &str = "own";

/// Asks until it is stopped.
pub(super) struct Neighbour {
    /// How often it was answered.
    answered: watch::Receiver<usize>,
    /// Closed to stop it.
    goes_on: watch::Sender<()>,
    asking: JoinHandle<Result<Told>>,
}

/// What it has to tell.
pub(super) struct Told {
    pub(super) p99: Duration,
    pub(super) slowest: Duration,
    /// What its last write made.
    pub(super) made: Made,
}

impl Neighbour {
    /// Starts to ask the server of a kubeconfig.
    pub(super) fn start(kubeconfig: PathBuf) -> Self {
        let (answers, answered) = watch::channel(0);
        let (goes_on, stop) = watch::channel(());
        let asking = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let dialer = Dialer::read(&kubeconfig).await?;
                ask(&dialer, &answers, &stop).await
            })
        });
        Self {
            answered,
            goes_on,
            asking,
        }
    }

    /// Waits until it was answered so often from now on, or fails.
    pub(super) async fn asks_more(&mut self, times: usize) {
        let wanted = *self.answered.borrow() + times;
        // It ends by itself only to tell why, when it is stopped.
        drop(self.answered.wait_for(|answered| *answered >= wanted).await);
    }

    /// Stops it.
    pub(super) async fn stop(self) -> Result<Told> {
        drop(self.goes_on);
        self.asking.await?.context("somebody else was not served")
    }
}

async fn ask(
    dialer: &Dialer,
    answers: &watch::Sender<usize>,
    stop: &watch::Receiver<()>,
) -> Result<Told> {
    let (mut connection, path) = (dialer.open().await?, format!("{MAPS}/{OWN}"));
    let (mut times, mut text) = (Vec::new(), String::new());
    while stop.has_changed().is_ok() {
        let turn = times.len();
        let request = Request::builder().uri(&path);
        let request = request.header("impersonate-user", NEIGHBOUR);
        let request = if turn.is_multiple_of(2) {
            text = turn.to_string();
            let body = json!({"metadata": {"name": OWN}, "data": {"turn": text}}).to_string();
            let request = request.method("PUT");
            request
                .header("content-type", "application/json")
                .body(body.into())?
        } else {
            request.body(Body::default())?
        };
        let begun = Instant::now();
        let (code, _) = connection.answer(request).await?;
        times.push(begun.elapsed());
        ensure!(code == 200, "answered {code}");
        answers.send_replace(times.len());
    }
    times.sort_unstable();
    let part = |hundredth: usize| times.get((times.len() - 1) * hundredth / 100).copied();
    Ok(Told {
        p99: part(99).context("nothing was asked")?,
        slowest: part(100).context("nothing was asked")?,
        made: Made {
            path,
            field: "/data/turn".to_owned(),
            text,
        },
    })
}

/// What it writes, to begin with.
pub(super) fn own() -> serde_json::Value {
    json!({"metadata": {"name": OWN}})
}
