//! Reads one kind from a cluster: all of it once, or all of it and then every change.

use std::time::Duration;

use client::rest::{Detail, Rest, WatchEvent};
use client::{ClientError, rest};
use meta::{Key, ObjectExt, Resource};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::world::Reading;

/// Objects per page of a list.
const PAGE_OBJECTS: &str = "500";
/// Seconds after which the server ends a quiet watch.
const WATCH_SECONDS: &str = "1740";
/// First wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(30);

/// What a follower tells.
#[derive(Debug)]
pub(crate) enum News {
    /// These are all objects of a kind.
    All(usize, Vec<Value>),
    /// An object is new or has changed.
    Applied(usize, Box<Value>),
    /// An object is gone.
    Deleted(usize, Key),
    /// The kind cannot be read now.
    Failed(usize, Reading),
}

/// One kind to read.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) rest: Rest,
    pub(crate) resource: Resource,
    /// Empty: everywhere.
    pub(crate) namespace: String,
    /// Index in the plan.
    pub(crate) kind: usize,
}

/// How a failure to read is told.
pub(crate) fn reading_of(error: &ClientError) -> Reading {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    if error.code() == 403 {
        Reading::Forbidden(text)
    } else {
        Reading::Failed(text)
    }
}

impl Source {
    /// Reads every object, page by page; with the version to watch from.
    pub(crate) async fn list(&self) -> Result<(Vec<Value>, String), ClientError> {
        let (mut objects, mut token) = (Vec::new(), String::new());
        loop {
            let query = [("limit", PAGE_OBJECTS), ("continue", token.as_str())];
            let page = self
                .rest
                .list(&self.resource, &self.namespace, Detail::Whole, &query)
                .await;
            let page = match page {
                // The list took so long that its version is gone: begin again.
                Err(error) if error.is_gone() && !token.is_empty() => {
                    objects.clear();
                    token.clear();
                    continue;
                }
                page => page?,
            };
            objects.extend(page.items.into_iter().map(|object| self.named(object)));
            token = page.continue_token;
            if token.is_empty() {
                return Ok((objects, page.resource_version));
            }
        }
    }

    /// Items of a list carry no kind.
    fn named(&self, mut object: Value) -> Value {
        object.set(&["apiVersion"], self.resource.api_version().into());
        object.set(&["kind"], (*self.resource.kind).into());
        object
    }

    /// Tells everything and then every change, until nobody listens. A watch that breaks off is no news:
    /// what is known stays known while the kind is read anew, and only if that fails too is it told.
    pub(crate) async fn follow(self, news: mpsc::Sender<News>) {
        let mut wait = BACKOFF_MIN;
        let mut version = String::new();
        loop {
            let outcome = self.step(&mut version, &news).await;
            match outcome {
                Ok(()) => wait = BACKOFF_MIN,
                Err(error) => {
                    if error.is_gone() {
                        version.clear();
                        continue;
                    }
                    let was_reading = !version.is_empty();
                    version.clear();
                    let failed = News::Failed(self.kind, reading_of(&error));
                    if !was_reading && news.send(failed).await.is_err() {
                        return;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = news.closed() => return,
                    }
                    wait = (wait * 2).min(BACKOFF_MAX);
                }
            }
            if news.is_closed() {
                return;
            }
        }
    }

    /// Lists if there is no version to go on from, then watches until the server ends it.
    async fn step(
        &self,
        version: &mut String,
        news: &mpsc::Sender<News>,
    ) -> Result<(), ClientError> {
        if version.is_empty() {
            let (objects, at) = self.list().await?;
            if news.send(News::All(self.kind, objects)).await.is_err() {
                return Ok(());
            }
            *version = at;
        }
        let query = [
            ("watch", "true"),
            ("allowWatchBookmarks", "true"),
            ("timeoutSeconds", WATCH_SECONDS),
            ("resourceVersion", version.as_str()),
        ];
        let mut watching: rest::Watching<_> = self
            .rest
            .watch(&self.resource, &self.namespace, Detail::Whole, &query)
            .await?;
        loop {
            let event = tokio::select! {
                event = watching.next() => event?,
                () = news.closed() => return Ok(()),
            };
            let Some(event) = event else { return Ok(()) };
            let told = match event {
                WatchEvent::Error(status) => return Err(ClientError::Refused(status)),
                WatchEvent::Bookmark(object) => {
                    object.resource_version().clone_into(version);
                    continue;
                }
                WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                    object.resource_version().clone_into(version);
                    News::Applied(self.kind, Box::new(self.named(object)))
                }
                WatchEvent::Deleted(object) => {
                    object.resource_version().clone_into(version);
                    News::Deleted(self.kind, object.key())
                }
            };
            if news.send(told).await.is_err() {
                return Ok(());
            }
        }
    }
}
