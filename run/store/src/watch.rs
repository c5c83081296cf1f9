//! What a watcher receives, and the bounded queue between the fan-out and one watcher.

use std::{
    collections::VecDeque,
    future::poll_fn,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
};

use crate::{AnyOf, Entry, Revision};

/// Most live events one watcher may leave unread before it is ended. A resumed backlog does not count.
pub(crate) const WATCH_EVENTS_MAX: usize = 4096;
/// Most bytes of live events one watcher may leave unread before it is ended.
pub(crate) const WATCH_BYTES_MAX: usize = 32 << 20;

/// What happened to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The object was created.
    Added,
    /// The object was written anew.
    Modified,
    /// The object was deleted.
    Deleted,
}

/// One committed change. Shared by the history and all watchers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub change: Change,
    /// The new version; for a deletion the last state, carrying the deletion's revision in its bytes.
    pub entry: Entry,
    /// The version before; `None` for a creation.
    pub previous: Option<Entry>,
}

/// Which events a watcher wants. An event is in scope when every given part matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatchScope {
    /// The resource, as in `Key::resource`.
    pub resource: Arc<str>,
    /// Only this namespace; `None` is all of them.
    pub namespace: Option<Arc<str>>,
    /// Only objects that have one of these index terms, or had one before the change; `None` is all of them.
    /// A kubelet that watches its own pods costs nothing when others' pods change.
    pub terms: Option<AnyOf>,
}

impl WatchScope {
    /// Everything of one resource.
    pub fn all(resource: impl Into<Arc<str>>) -> Self {
        Self {
            resource: resource.into(),
            namespace: None,
            terms: None,
        }
    }
}

/// What [`Watch::next`] yields.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchItem {
    /// A change in scope.
    Event(Arc<Event>),
    /// Every event in scope up to this revision was delivered. Yielded once, when the watch has caught
    /// up with the moment it was opened; later ask [`Watch::progress`].
    Progress(Revision),
}

/// Why a watch ended. The watcher may resume from the last revision it saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WatchEnd {
    /// The watcher left too many events unread.
    #[error("the watcher fell too far behind")]
    Lagged,
    /// The store closed.
    #[error("the store closed")]
    Closed,
}

/// The receiving end of one watch. Dropping it ends the watch.
pub struct Watch {
    queue: Arc<Queue>,
    /// The revision up to which the fan-out has delivered everything, store-wide.
    delivered: Arc<AtomicU64>,
    on_drop: Option<Box<dyn FnOnce() + Send + Sync>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}

impl Watch {
    pub(crate) fn new(
        queue: Arc<Queue>,
        delivered: Arc<AtomicU64>,
        on_drop: Box<dyn FnOnce() + Send + Sync>,
    ) -> Self {
        Self {
            queue,
            delivered,
            on_drop: Some(on_drop),
        }
    }

    /// The next item; an error is the last one before `None`. Cancel safe.
    pub async fn next(&mut self) -> Option<Result<WatchItem, WatchEnd>> {
        poll_fn(|context| self.poll_next(context)).await
    }

    /// As [`Watch::next`], for readers that are polled themselves.
    pub fn poll_next(
        &mut self,
        context: &Context<'_>,
    ) -> Poll<Option<Result<WatchItem, WatchEnd>>> {
        // One lock for the look and for who is to be woken, so that no push falls in between.
        let mut queue = self.queue.lock();
        match queue.pop() {
            Popped::Item(item) => Poll::Ready(Some(item)),
            Popped::Ended => Poll::Ready(None),
            Popped::Empty => {
                queue.reader = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }

    /// Bytes that what happened before the watch was opened takes in its queue, beside the events, which others share.
    pub fn backlog_bytes(&self) -> usize {
        self.queue.lock().backlog * size_of::<WatchItem>()
    }

    /// The next item if it is there already. `None` also after the end.
    pub fn try_next(&mut self) -> Option<Result<WatchItem, WatchEnd>> {
        match self.queue.lock().pop() {
            Popped::Item(item) => Some(item),
            Popped::Empty | Popped::Ended => None,
        }
    }

    /// The revision up to which every event in scope was taken from this watch.
    ///
    /// `None` while something waits to be taken. For bookmarks: moves on also when the scope is quiet.
    pub fn progress(&self) -> Option<Revision> {
        // Read before the look: what was delivered by then is either taken or still in the queue.
        let delivered = Revision(self.delivered.load(Ordering::Acquire));
        let queue = self.queue.lock();
        queue.items.is_empty().then(|| delivered.max(queue.last))
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Some(on_drop) = self.on_drop.take() {
            on_drop();
        }
    }
}

/// The queue between the fan-out and one watcher.
pub(crate) struct Queue {
    inner: Mutex<Queued>,
}

struct Queued {
    items: VecDeque<WatchItem>,
    /// Events up to this revision were considered already; later pushes of them are ignored.
    last: Revision,
    /// Unread live events and their bytes, for the bounds.
    live: usize,
    live_bytes: usize,
    /// Items of the backlog still unread; they come before the live ones.
    backlog: usize,
    end: End,
    /// The one who waits for something to read.
    reader: Option<Waker>,
}

enum End {
    Open,
    Pending(WatchEnd),
    Told,
}

enum Popped {
    Item(Result<WatchItem, WatchEnd>),
    Empty,
    Ended,
}

impl Queued {
    fn pop(&mut self) -> Popped {
        if let Some(item) = self.items.pop_front() {
            if self.backlog > 0 {
                self.backlog -= 1;
            } else if let WatchItem::Event(event) = &item {
                self.live -= 1;
                self.live_bytes -= event.entry.value.len();
            }
            return Popped::Item(Ok(item));
        }
        match self.end {
            End::Open => Popped::Empty,
            End::Pending(end) => {
                self.end = End::Told;
                Popped::Item(Err(end))
            }
            End::Told => Popped::Ended,
        }
    }
}

impl Queue {
    /// A queue that first yields `backlog`, then [`WatchItem::Progress`] of `opened_at`.
    pub(crate) fn new(backlog: impl Iterator<Item = Arc<Event>>, opened_at: Revision) -> Self {
        let mut items: VecDeque<_> = backlog.map(WatchItem::Event).collect();
        items.push_back(WatchItem::Progress(opened_at));
        let queued = Queued {
            backlog: items.len(),
            items,
            last: opened_at,
            live: 0,
            live_bytes: 0,
            end: End::Open,
            reader: None,
        };
        Self {
            inner: Mutex::new(queued),
        }
    }

    /// Adds a live event; returns whether the watcher is still to be served.
    pub(crate) fn push(&self, event: &Arc<Event>) -> bool {
        let mut queue = self.lock();
        if !matches!(queue.end, End::Open) {
            return false;
        }
        if event.entry.revision <= queue.last {
            return true;
        }
        queue.last = event.entry.revision;
        let bytes = event.entry.value.len();
        if queue.live >= WATCH_EVENTS_MAX || queue.live_bytes + bytes > WATCH_BYTES_MAX {
            // What is unread is given up at once: a stalled watcher must not hold memory.
            queue.items.clear();
            queue.end = End::Pending(WatchEnd::Lagged);
            wake(queue);
            return false;
        }
        queue.live += 1;
        queue.live_bytes += bytes;
        queue.items.push_back(WatchItem::Event(Arc::clone(event)));
        wake(queue);
        true
    }

    /// Ends the watch after what is queued.
    pub(crate) fn end(&self, end: WatchEnd) {
        let mut queue = self.lock();
        if matches!(queue.end, End::Open) {
            queue.end = End::Pending(end);
        }
        wake(queue);
    }

    fn lock(&self) -> MutexGuard<'_, Queued> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes the reader, when the queue is free for it.
fn wake(mut queue: MutexGuard<'_, Queued>) {
    let reader = queue.reader.take();
    drop(queue);
    if let Some(reader) = reader {
        reader.wake();
    }
}
