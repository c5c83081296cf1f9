//! Reads one kind from a cluster: all of it once, or all of it and then every change.

use std::time::Duration;

use client::rest::{Detail, Happened, Rest};
use client::{ClientError, rest};
use meta::{Key, ObjectExt, Resource, raw};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

use crate::discover::{Followed, Role};
use crate::lean::lean_bytes;
use crate::world::{Lean, Reading};

/// Objects per page of a list.
const PAGE_OBJECTS: &str = "500";
/// Seconds after which the server ends a quiet watch.
const WATCH_SECONDS: &str = "1740";
/// Longest time without a word from a watch, bookmarks included: its connection may be dead without a
/// sign, so it is begun anew.
const QUIET_MAX: Duration = Duration::from_mins(5);
/// First wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_millis(250);
/// Longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// How long what is known may be out of date before that is told: a server that starts anew takes as long.
const STALE_MAX: Duration = Duration::from_secs(2);
/// Longest time to the first answer to a request.
pub(crate) const ANSWER_MAX: Duration = Duration::from_secs(30);

/// What a follower tells.
#[derive(Debug)]
pub(crate) enum News {
    /// A kind is being read.
    Page,
    /// These are all objects of a kind.
    All(usize, Vec<Lean>),
    /// An object is new or has changed.
    Applied(usize, Box<Lean>),
    /// An object is gone, or verdicts do not depend on it.
    Deleted(usize, Key),
    /// The kind cannot be read now.
    Failed(usize, Reading),
    /// These are the kinds of custom workloads now, and the groups that did not answer.
    Kinds(Vec<Followed>, Vec<String>),
    /// The cluster does not answer at all, or does so again.
    Silent(Option<String>),
}

/// One kind to read.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) rest: Rest,
    pub(crate) resource: Resource,
    pub(crate) role: Role,
    /// Empty: everywhere.
    pub(crate) namespace: String,
    /// Index in the plan.
    pub(crate) kind: usize,
}

/// How a failure to read is told.
fn reading_of(error: &ClientError) -> Reading {
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

/// Why a step of following ended before its time.
#[derive(Debug)]
pub(crate) enum Broken {
    Client(ClientError),
    /// No answer in time.
    Slow,
}

impl From<ClientError> for Broken {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

impl Broken {
    fn is_gone(&self) -> bool {
        matches!(self, Self::Client(error) if error.is_gone())
    }

    /// How it is told.
    pub(crate) fn reading(&self) -> Reading {
        match self {
            Self::Client(error) => reading_of(error),
            Self::Slow => unanswered(),
        }
    }
}

/// The reading of what gives no answer.
fn unanswered() -> Reading {
    Reading::Failed(format!("no answer within {} s", ANSWER_MAX.as_secs()))
}

impl Source {
    /// Reads every object, page by page; with the version to watch from.
    /// `news` hears of every page.
    pub(crate) async fn list(
        &self,
        news: Option<&mpsc::Sender<News>>,
    ) -> Result<(Vec<Lean>, String), Broken> {
        let (mut objects, mut token) = (Vec::new(), String::new());
        loop {
            let query = [("limit", PAGE_OBJECTS), ("continue", token.as_str())];
            let page = self.rest.list_raw(&self.resource, &self.namespace, &query);
            let page = match timeout(ANSWER_MAX, page).await.map_err(|_| Broken::Slow)? {
                // The list took so long that its version is gone: begin again.
                Err(error) if error.is_gone() && !token.is_empty() => {
                    objects.clear();
                    token.clear();
                    continue;
                }
                page => page?,
            };
            if let Some(news) = news
                && news.send(News::Page).await.is_err()
            {
                return Ok((objects, String::new()));
            }
            for object in page.items() {
                objects.extend(self.read(object)?);
            }
            page.continue_token().clone_into(&mut token);
            if token.is_empty() {
                return Ok((objects, page.resource_version().to_owned()));
            }
        }
    }

    fn read(&self, object: &[u8]) -> Result<Option<Lean>, ClientError> {
        let object = lean_bytes(self.role, object).map_err(|source| self.unreadable(source))?;
        Ok(self.named(object))
    }

    /// Items of a list carry no kind.
    fn named(&self, mut object: Value) -> Option<Lean> {
        object.set(&["apiVersion"], self.resource.api_version().into());
        object.set(&["kind"], (*self.resource.kind).into());
        Lean::new(self.role, &object)
    }

    /// Tells everything and then every change, until nobody listens. A watch that breaks off is no news:
    /// what is known stays known while the kind is read anew; only if that fails for too long is it told.
    /// `renew` begins the watch anew, whatever its state.
    pub(crate) async fn follow(self, news: mpsc::Sender<News>, mut renew: watch::Receiver<()>) {
        let mut wait = BACKOFF_MIN;
        let mut version = String::new();
        let mut broken_at: Option<Instant> = None;
        loop {
            // Dropped midway, a step loses nothing: the version moves on after the news is told.
            let outcome = tokio::select! {
                outcome = self.step(&mut version, &news) => outcome,
                _ = renew.changed() => Ok(()),
            };
            match outcome {
                Ok(()) => (wait, broken_at) = (BACKOFF_MIN, None),
                Err(error) => {
                    // What was never known is told at once; a version that is gone is no fault.
                    let since = *broken_at.get_or_insert_with(Instant::now);
                    let is_fault = version.is_empty() || !error.is_gone();
                    let is_late = version.is_empty() || since.elapsed() >= STALE_MAX;
                    if is_late || error.is_gone() {
                        version.clear();
                    }
                    let failed = News::Failed(self.kind, error.reading());
                    if is_fault && is_late && news.send(failed).await.is_err() {
                        return;
                    }
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        _ = renew.changed() => {}
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
    async fn step(&self, version: &mut String, news: &mpsc::Sender<News>) -> Result<(), Broken> {
        if version.is_empty() {
            let (objects, at) = self.list(Some(news)).await?;
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
        let begin = self
            .rest
            .watch(&self.resource, &self.namespace, Detail::Whole, &query);
        let mut watching: rest::Watching<_> = timeout(ANSWER_MAX, begin)
            .await
            .map_err(|_| Broken::Slow)??;
        loop {
            let event = tokio::select! {
                event = timeout(QUIET_MAX, watching.next_bytes()) => event.unwrap_or(Ok(None))?,
                () = news.closed() => None,
            };
            let Some(event) = event else { return Ok(()) };
            let (happened, object) = event;
            let told = match happened {
                Happened::Error => return Err(self.refusal(object).into()),
                Happened::Bookmark | Happened::Other => None,
                Happened::Added | Happened::Modified => Some(match self.read(object)? {
                    Some(lean) => News::Applied(self.kind, Box::new(lean)),
                    None => News::Deleted(self.kind, key_of(object)),
                }),
                Happened::Deleted => Some(News::Deleted(self.kind, key_of(object))),
            };
            let at = metadata_text(object, "resourceVersion");
            if let Some(told) = told
                && news.send(told).await.is_err()
            {
                return Ok(());
            }
            *version = at;
        }
    }

    /// What a watch ends with.
    fn refusal(&self, status: &[u8]) -> ClientError {
        match serde_json::from_slice(status) {
            Ok(status) => ClientError::Refused(status),
            Err(source) => self.unreadable(source),
        }
    }

    fn unreadable(&self, source: serde_json::Error) -> ClientError {
        let path = self.resource.group_resource().to_string();
        ClientError::Answer { path, source }
    }
}

/// A text of an object's metadata, empty when it is not there.
fn metadata_text(object: &[u8], field: &str) -> String {
    let text = raw::text_at(object, &["metadata", field]);
    text.unwrap_or_default().into_owned()
}

fn key_of(object: &[u8]) -> Key {
    let (namespace, name) = (
        metadata_text(object, "namespace"),
        metadata_text(object, "name"),
    );
    Key::new(&namespace, &name)
}
