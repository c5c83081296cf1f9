//! Keeps what streams tell, each with the moment at which it came.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use client::rest::{Detail, Rest, WatchEvent};
use meta::Resource;
use sampan_e2e::cluster::WAIT;
use serde_json::Value;
use tokio::io::{BufReader, Lines};
use tokio::process::{Child, ChildStdout};
use tokio::sync::watch;
use tokio::time::timeout;

/// What one stream has told so far.
pub(crate) struct Record<T> {
    told: Arc<Mutex<Vec<(Instant, T)>>>,
    count: watch::Receiver<usize>,
}

/// The end that writes.
struct Writer<T> {
    told: Arc<Mutex<Vec<(Instant, T)>>>,
    count: watch::Sender<usize>,
}

impl<T> Writer<T> {
    fn write(&self, what: T) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.push((Instant::now(), what));
        self.count.send_replace(told.len());
    }
}

impl<T: Clone> Record<T> {
    fn new() -> (Writer<T>, Self) {
        let (sender, count) = watch::channel(0);
        let told = Arc::default();
        let writer = Writer {
            told: Arc::clone(&told),
            count: sender,
        };
        (writer, Self { told, count })
    }

    /// When something was first told.
    pub(crate) async fn first(&self, what: &str, holds: impl Fn(&T) -> bool) -> Result<Instant> {
        self.find(what, |_, told| holds(told)).await
    }

    /// When something was first told after a moment.
    pub(crate) async fn after(
        &self,
        from: Instant,
        what: &str,
        holds: impl Fn(&T) -> bool,
    ) -> Result<Instant> {
        self.find(what, |at, told| at >= from && holds(told)).await
    }

    /// When something was first told after a moment. What has been told just before counts as told at
    /// that moment: streams overtake each other, and times in objects have whole seconds.
    pub(crate) async fn around(
        &self,
        from: Instant,
        what: &str,
        holds: impl Fn(&T) -> bool,
    ) -> Result<Instant> {
        let early = from.checked_sub(EARLY).unwrap_or(from);
        let found = self.find(what, |at, told| at >= early && holds(told));
        Ok(found.await?.max(from))
    }

    /// What was told that holds, so far.
    pub(crate) fn all(&self, holds: impl Fn(&T) -> bool) -> Vec<T> {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let told = told.iter().map(|(_, told)| told);
        told.filter(|told| holds(told)).cloned().collect()
    }

    async fn find(&self, what: &str, holds: impl Fn(Instant, &T) -> bool) -> Result<Instant> {
        let mut count = self.count.clone();
        let found = async {
            loop {
                let told = self
                    .told
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .clone();
                if let Some((at, _)) = told.iter().find(|(at, told)| holds(*at, told)) {
                    return Ok(*at);
                }
                count.changed().await.context("the stream has ended")?;
            }
        };
        timeout(WAIT, found)
            .await
            .with_context(|| format!("nobody tells of {what}"))?
    }
}

/// How far one stream may run ahead of another.
const EARLY: Duration = Duration::from_millis(1500);

impl Record<String> {
    /// The lines that a program prints; it ends with the record.
    pub(crate) fn of_lines((child, mut lines): (Child, Lines<BufReader<ChildStdout>>)) -> Self {
        let (writer, record) = Self::new();
        tokio::spawn(async move {
            let _child = child;
            while let Ok(Some(line)) = lines.next_line().await {
                writer.write(line);
            }
        });
        record
    }
}

impl Record<Value> {
    /// Every version of the objects of a kind.
    pub(crate) async fn of_objects(rest: &Rest, resource: &Resource) -> Result<Self> {
        let (writer, record) = Self::new();
        let query = [("watch", "true"), ("timeoutSeconds", "600")];
        let mut watching = rest.watch(resource, "", Detail::Whole, &query).await?;
        tokio::spawn(async move {
            while let Ok(Some(event)) = watching.next().await {
                if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                    writer.write(object);
                }
            }
        });
        Ok(record)
    }
}
