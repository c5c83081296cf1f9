//! Watching a collection: events from a revision on, as a stream of JSON lines.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use http_body::Frame;
use meta::{StatusError, raw};
use store::{
    Change, Entry, Event, Range, Revision, Shared, StoreError, Watch, WatchEnd, WatchItem,
    WatchScope,
};
use tokio::time::{Instant, Sleep};
use wire::frame;
use wire::list::Head;
use wire::media::{Format, Shape};
use wire::present::Presentation;
use wire::protobuf;
use wire::table::{self, Carried};

use super::list::settle;
use crate::background::Background;
use crate::call::Call;
use crate::held::{Beginning, Held};
use crate::metrics::Events;
use crate::options::{ListOptions, parse_revision};
use crate::room::Share;
use crate::selection::Selection;
use crate::{heavy, respond, stored};

pub(super) async fn watch(mut call: Call) -> Result<Response<Body>, StatusError> {
    let options = ListOptions::read(&call.query, true)?;
    let selection = Selection::read(&options, &call, &call.info.name)?;
    let presentation = respond::presentation(&call, &call.kind)?;
    // Read by now, and up to a megabyte: not kept for hours.
    call.headers = HeaderMap::new();
    let format = call.answer.format;
    let limits = call.server.config().limits;
    let kept = heavy::selector_bytes(&call) * SELECTOR_BYTES_KEPT;
    let room = call.server.room();
    let Ok(selector) = room.take_beyond(SELECTOR_BYTES, &call.user.name, kept) else {
        return Ok(respond::too_many());
    };
    let presenter = Presenter {
        presentation,
        is_first: true,
        selection,
        events: call.server.metrics().watches.events(&call.info),
        call,
    };
    let opened = match open(&presenter.call, &options, &presenter.selection).await {
        // A request that is understood gets a stream, and this as its only event.
        Err(error) if matches!(error.0.reason.as_str(), "Expired" | "Timeout") => {
            let end = presenter.ended(&error).unwrap_or_default();
            return Ok(answer(format, end.into()));
        }
        opened => opened?,
    };
    let seconds = options
        .timeout_seconds
        .unwrap_or_else(|| limits.watch_seconds + rand::random_range(0..=limits.watch_seconds / 2));
    let (room, user) = (presenter.call.server.room(), &presenter.call.user);
    let Ok(share) = room.take_beyond(BEGINNING_BYTES, &user.name, bytes_kept(&opened)) else {
        return Ok(respond::too_many());
    };
    let beginning = share.map(Beginning::new);
    let longest = Duration::from_secs(limits.request_seconds);
    let giving_up = beginning
        .as_ref()
        .map(|beginning| beginning.giving_up(longest));
    let mut state = Running {
        presenter,
        _selector: selector,
        beginning,
        initial: opened.initial.into_iter(),
        ends_initial_events: options.sends_initial_events && options.allows_bookmarks,
        watch: opened.watch,
        revision: opened.revision,
        behind: opened.behind,
        end: Instant::now() + Duration::from_secs(seconds),
        bookmark_every: options
            .allows_bookmarks
            .then(|| Duration::from_secs(limits.bookmark_seconds)),
        alarm: Background::new(tokio::time::sleep(Duration::ZERO)),
        is_over: false,
    };
    state.set_alarm();
    let body = Body::new(state);
    Ok(answer(
        format,
        match giving_up {
            Some(giving_up) => Body::new(Held::new(body, None, giving_up)),
            None => body,
        },
    ))
}

/// A watch that begins with less than this, some 250 objects, takes no room: what any watch takes.
const BEGINNING_BYTES: usize = 2 << 10;

/// A selector keeps so many bytes for each of its text: its values, and their places in the store's index.
///
/// Measured: 534 KB for one of 10,000 values in 49 KB.
const SELECTOR_BYTES_KEPT: usize = 11;
/// A selector that keeps less than this takes no room: what any watch takes.
const SELECTOR_BYTES: usize = 16 << 10;

/// What a watch keeps until it has told what was there when it was opened.
fn bytes_kept(opened: &Opened) -> usize {
    size_of_val(opened.initial.as_slice()) + opened.watch.backlog_bytes()
}

fn answer(format: Format, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::OK;
    let headers = response.headers_mut();
    headers.insert(
        http::header::CONTENT_TYPE,
        http::HeaderValue::from_static(format.stream_type()),
    );
    headers.insert(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-cache, private"),
    );
    response
}

struct Opened {
    initial: Vec<Shared>,
    watch: Watch,
    revision: Revision,
    /// What happens up to here is not told: a revision that is still to come was asked for.
    behind: Revision,
}

/// Reads the state the watch starts with, if it starts with one, and opens the watch right behind it.
async fn open(
    call: &Call,
    options: &ListOptions,
    selection: &Selection,
) -> Result<Opened, StatusError> {
    let kind = &call.kind;
    let store = &call.server.config().store;
    let resource = kind.storage_resource().to_string();
    let namespace = (kind.is_namespaced() && !call.info.namespace.is_empty())
        .then(|| Arc::from(call.info.namespace.as_str()));
    let asked = match options.resource_version.as_str() {
        "" => 0,
        text => parse_revision(text)?,
    };
    let refusal = |error: StoreError| match error {
        StoreError::Compacted { asked, oldest } => {
            StatusError::expired(format!("too old resource version: {asked} ({oldest})"))
        }
        error => stored::refusal(kind, &error),
    };
    let (initial, revision) = if options.sends_initial_events {
        settle(call, asked).await?;
        let (namespace, name) = selection.place(kind, &call.info.namespace);
        let range = Range {
            namespace,
            name,
            terms: selection.terms(kind),
            ..Range::all(resource.clone())
        };
        let page = store.range(range).await.map_err(refusal)?;
        (page.entries, page.revision)
    } else if asked == 0 {
        (Vec::new(), store.revision())
    } else {
        (Vec::new(), Revision(asked).min(store.revision()))
    };
    let scope = WatchScope {
        namespace,
        terms: selection.any_of(kind),
        ..WatchScope::all(resource)
    };
    let watch = store.watch(scope, revision).await.map_err(refusal)?;
    Ok(Opened {
        initial,
        watch,
        revision,
        behind: Revision(asked),
    })
}

/// A running watch.
struct Running {
    presenter: Presenter,
    /// Takes room for a large selector as long as the watch runs.
    _selector: Option<Share>,
    /// Takes room until all was told that was there when the watch was opened.
    beginning: Option<Beginning>,
    initial: std::vec::IntoIter<Shared>,
    ends_initial_events: bool,
    watch: Watch,
    /// The revision everything up to which was sent.
    revision: Revision,
    /// What happens up to here is not told.
    behind: Revision,
    end: Instant,
    bookmark_every: Option<Duration>,
    /// When the next bookmark is due, or the end.
    alarm: Background<Sleep>,
    is_over: bool,
}

impl http_body::Body for Running {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let next = ready!(self.poll_next(context));
        self.is_over |= next.is_none();
        Poll::Ready(next.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Running {
    fn set_alarm(&mut self) {
        let bookmark_at = self.bookmark_every.map(|every| Instant::now() + every);
        let at = bookmark_at.map_or(self.end, |at| at.min(self.end));
        self.alarm.change(|sleep| sleep.reset(at));
    }

    /// The next frame; `None` at the end of the watch.
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if self.is_over {
            return Poll::Ready(None);
        }
        for entry in self.initial.by_ref() {
            if let Some(frame) = self.presenter.initial(&entry) {
                return Poll::Ready(self.presenter.sent(frame));
            }
        }
        if self.ends_initial_events {
            self.ends_initial_events = false;
            let bookmark = self.presenter.bookmark(self.revision, true);
            return Poll::Ready(bookmark.and_then(|frame| self.presenter.sent(frame)));
        }
        loop {
            // Checked first, for a busy watch ends in time too.
            if self.alarm.poll(context, Sleep::is_elapsed).is_ready() {
                return Poll::Ready(self.alarmed());
            }
            match ready!(self.watch.poll_next(context)) {
                None => return Poll::Ready(None),
                Some(Ok(WatchItem::Event(event))) => {
                    self.revision = event.entry.revision;
                    if self.revision <= self.behind {
                        continue;
                    }
                    if let Some(frame) = self.presenter.event(&event) {
                        return Poll::Ready(self.presenter.sent(frame));
                    }
                }
                Some(Ok(WatchItem::Progress(revision))) => {
                    self.initial = Vec::new().into_iter();
                    self.beginning = None;
                    self.revision = self.revision.max(revision);
                }
                Some(Err(end)) => {
                    self.is_over = true;
                    return Poll::Ready(self.presenter.over(end));
                }
            }
        }
    }

    /// What is due when the alarm goes off: a bookmark, or the end.
    fn alarmed(&mut self) -> Option<Bytes> {
        if Instant::now() >= self.end {
            return None;
        }
        self.set_alarm();
        if let Some(revision) = self.watch.progress() {
            self.revision = self.revision.max(revision);
        }
        let bookmark = self.presenter.bookmark(self.revision, false);
        bookmark.and_then(|frame| self.presenter.sent(frame))
    }
}

/// Turns store events into frames of the form the client asked for.
struct Presenter {
    call: Call,
    selection: Selection,
    presentation: Presentation,
    /// The first Table of a watch carries the columns.
    is_first: bool,
    /// Where what is sent is counted.
    events: Events,
}

impl Presenter {
    fn initial(&mut self, entry: &Entry) -> Option<Bytes> {
        self.selects(entry)
            .then(|| self.show("ADDED", entry))
            .flatten()
    }

    /// The frame of an event; `None` when the client does not select the object, now or before.
    ///
    /// What is selected no more is gone for the client, and shown as it knew it. Source: apiserver `storage/cacher`
    /// `convertToWatchEvent`.
    fn event(&mut self, event: &Event) -> Option<Bytes> {
        let was = event
            .previous
            .as_ref()
            .filter(|previous| self.selects(previous));
        let is = event.change != Change::Deleted && self.selects(&event.entry);
        match (was, is) {
            (None, false) => None,
            (None, true) => self.show("ADDED", &event.entry),
            (Some(_), true) => self.show("MODIFIED", &event.entry),
            (Some(_), false) if event.change == Change::Deleted => {
                self.show("DELETED", &event.entry)
            }
            (Some(known), false) => {
                let revision = event.entry.revision;
                let value = raw::with_resource_version(&known.value, revision.0);
                let known = Entry {
                    revision,
                    value: value.into(),
                    ..known.clone()
                };
                self.show("DELETED", &known)
            }
        }
    }

    /// The frame, unless it was asked for in a shape that no single object has: that ends the watch, as upstream's.
    fn sent(&self, frame: Bytes) -> Option<Bytes> {
        let is_list = matches!(self.presentation.shape(), Shape::PartialList(_));
        self.events.sent(frame.len());
        (!is_list).then_some(frame)
    }

    fn selects(&self, entry: &Entry) -> bool {
        let kind = &self.call.kind;
        self.selection.is_everything()
            || stored::bytes(kind, entry)
                .is_ok_and(|bytes| self.selection.selects(kind, &entry.key, &bytes))
    }

    fn show(&mut self, event_type: &str, entry: &Entry) -> Option<Bytes> {
        let strategy = &*self.call.kind.strategy;
        // Ages are counted from when the row is shown.
        let now = (self.call.server.config().clock)();
        let columns = (self.is_first && matches!(self.presentation.shape(), Shape::Table(_)))
            .then(|| strategy.columns());
        self.is_first = false;
        let mut frame = match self.call.answer.format {
            Format::Protobuf => Vec::new(),
            _ => frame::open(event_type, entry.value.len()),
        };
        let shown = stored::bytes(&self.call.kind, entry).and_then(|bytes| {
            let columns = columns.as_deref();
            self.presentation
                .write_single(&mut frame, &bytes, strategy, columns, now)
                .map_err(StatusError::internal)?;
            if self.call.answer.format == Format::Protobuf {
                return enveloped(event_type, &frame);
            }
            frame.extend_from_slice(frame::CLOSE);
            Ok(frame)
        });
        shown
            .inspect_err(|error| {
                tracing::error!(key = %entry.key, %error, "an event could not be shown");
            })
            .ok()
            .map(Bytes::from)
    }

    /// The frame around the JSON of an object that is not stored.
    fn frame(&self, event_type: &str, object: &[u8]) -> Option<Bytes> {
        match self.call.answer.format {
            Format::Protobuf => enveloped(event_type, object).ok().map(Bytes::from),
            _ => Some(frame::frame(event_type, object).into()),
        }
    }

    /// A watcher that fell behind is told to list again; a closing server just ends the stream.
    fn over(&self, end: WatchEnd) -> Option<Bytes> {
        let why = "too old resource version: the watcher fell too far behind";
        match end {
            WatchEnd::Lagged => {
                let watches = &self.call.server.metrics().watches;
                watches.terminated(&self.call.info);
                self.ended(&StatusError::expired(why))
            }
            WatchEnd::Closed => None,
        }
    }

    /// The event that ends a watch.
    fn ended(&self, error: &StatusError) -> Option<Bytes> {
        let status = serde_json::to_vec(&error.0).unwrap_or_default();
        self.frame("ERROR", &status)
    }

    fn bookmark(&self, revision: Revision, ends_initial_events: bool) -> Option<Bytes> {
        let kind = &self.call.kind;
        let (api_version, name) = match &self.call.answer.shape {
            Shape::Object => (kind.api_version(), kind.kind.to_string()),
            Shape::Partial(version) | Shape::PartialList(version) => (
                format!("meta.k8s.io/{version}"),
                "PartialObjectMetadata".to_owned(),
            ),
            Shape::Table(version) => (format!("meta.k8s.io/{version}"), "Table".to_owned()),
        };
        let object = frame::bookmark(&api_version, &name, revision.0, ends_initial_events);
        let Shape::Table(version) = &self.call.answer.shape else {
            return self.frame("BOOKMARK", &wire::encode::bytes(&object));
        };
        let inner = frame::bookmark(
            &format!("meta.k8s.io/{version}"),
            "PartialObjectMetadata",
            revision.0,
            ends_initial_events,
        );
        let head = Head {
            revision: revision.0,
            ..Head::default()
        };
        let mut object = table::open(&head, version, None);
        let inner = wire::encode::bytes(&inner);
        table::write_row(&mut object, &[], Carried::Object(&inner), version);
        object.extend_from_slice(b"]}");
        self.frame("BOOKMARK", &object)
    }
}

/// The protobuf frame around an object's JSON.
fn enveloped(event_type: &str, object: &[u8]) -> Result<Vec<u8>, StatusError> {
    let object = protobuf::write(object).ok_or_else(respond::without_form)?;
    Ok(protobuf::frame(event_type, &object))
}
