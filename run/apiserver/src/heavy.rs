//! Work on what is large, which takes a processor for longer than others should wait for it, and much memory.

use std::future::Future;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use futures::FutureExt;
use kinds::Kind;
use store::Store;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use crate::call::Call;
use crate::config::Limits;
use crate::limits::{self, Class};
use crate::options::Query;
use crate::request::RequestInfo;
use crate::stored;

/// A request that brings, or changes, no more bytes than this is over soon.
const BYTES_MAX: usize = 64 << 10;
/// A list of no more objects than this is begun soon.
const OBJECTS_MAX: u64 = 1000;
/// A selector of no more bytes than this is soon read.
const SELECTOR_BYTES_MAX: usize = 4 << 10;
/// So much runs at once at least, so that one does not stop all others.
const AT_ONCE_MIN: usize = 2;
/// So much runs at once at most, however many processors there are: a body of 3 MiB takes a hundred as an object.
const AT_ONCE_MAX: usize = 8;

/// This part of a class of requests may be heavy, so that there is a place left for what is not.
const PART: usize = 2;

/// Lets so much run at once, reads, writes and watches apart; so much more waits its turn.
pub(crate) struct Heavy {
    reads: Turns,
    writes: Turns,
    /// To open watches.
    watches: Turns,
}

struct Turns {
    running: Semaphore,
    /// Those that wait have one as well.
    places: Semaphore,
}

impl Turns {
    fn new(at_once: usize, class_max: usize) -> Self {
        Self {
            running: Semaphore::new(at_once),
            places: Semaphore::new((class_max / PART).max(1)),
        }
    }
}

impl Heavy {
    /// As much at once as there are processors, within bounds, of classes with room for so many requests.
    pub(crate) fn new(limits: &Limits) -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        let turns = |class_max| Turns::new(at_once(processors), class_max);
        Self {
            reads: turns(limits.reads_max),
            writes: turns(limits.writes_max),
            watches: turns(limits.long_running_max),
        }
    }

    /// Runs heavy work on this thread when its turn comes, but lets another thread take over what else would wait for this.
    /// `None` when too much waits already.
    pub(crate) async fn run<T>(&self, class: Class, work: impl Future<Output = T>) -> Option<T> {
        let turns = match class {
            Class::Read => &self.reads,
            Class::Write => &self.writes,
            Class::LongRunning => &self.watches,
        };
        let _place = turns.places.try_acquire().ok()?;
        // Nobody closes them.
        let _turn = turns.running.acquire().await;
        let handle = Handle::current();
        if handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return Some(work.await);
        }
        Some(block_in_place(|| handle.block_on(work)))
    }
}

fn at_once(processors: usize) -> usize {
    processors.clamp(AT_ONCE_MIN, AT_ONCE_MAX)
}

/// Whether a call may take a processor for long: by its body, by the object that it changes, or by how many it reads.
pub(crate) fn is_heavy(call: &Call) -> bool {
    match call.info.verb.as_str() {
        "list" | "watch" => {
            let is_of_all =
                call.info.name.is_empty() && begins_with_all(&call.info.verb, &call.query);
            let is_large = || stored_objects(call) > OBJECTS_MAX;
            selector_bytes(call) > SELECTOR_BYTES_MAX || (is_of_all && is_large())
        }
        verb if limits::class(verb, &call.info.subresource) == Class::Write => {
            call.body.len() > BYTES_MAX || repeats(call) || call.changed_bytes > BYTES_MAX
        }
        _ => false,
    }
}

/// Whether a body may say something once and mean it thousands of times, as YAML with anchors does, and patches that copy.
fn repeats(call: &Call) -> bool {
    may_repeat(call.header(http::header::CONTENT_TYPE), &call.body)
}

fn may_repeat(content_type: &str, body: &[u8]) -> bool {
    let is_patch = content_type.contains("json-patch");
    let copies = || body.windows(COPY.len()).any(|word| word == COPY);
    (content_type.contains("yaml") && body.contains(&b'&')) || (is_patch && copies())
}

/// The operation of a JSON patch that doubles what there is.
const COPY: &[u8] = b"copy";

/// Whether a list, or a watch, tells of all that is there: a watch that goes on from a revision does not.
pub(crate) fn begins_with_all(verb: &str, query: &Query) -> bool {
    let from = query.text("resourceVersion");
    verb == "list" || matches!(from, "" | "0") || query.flag("sendInitialEvents")
}

/// Bytes of the text of a call's selectors.
pub(crate) fn selector_bytes(call: &Call) -> usize {
    let bytes = |name: &str| call.query.text(name).len();
    bytes("labelSelector") + bytes("fieldSelector")
}

fn stored_objects(call: &Call) -> u64 {
    let store = call.server.config().store.as_ref();
    stored::count(store, &call.kind).map_or(0, |count| count.objects)
}

/// Bytes of the stored object that a request changes; 0 if there is none.
pub(crate) fn changed_bytes(store: &dyn Store, kind: &Kind, info: &RequestInfo) -> usize {
    if !matches!(info.verb.as_str(), "update" | "patch") {
        return 0;
    }
    let key = stored::key(kind, &info.namespace, &info.name);
    let entry = store.get(&key).now_or_never();
    let entry = entry.and_then(Result::ok).flatten();
    entry.map_or(0, |entry| entry.value.len())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn as_much_runs_at_once_as_there_are_processors_within_bounds() {
        assert_eq!([1, 4, 64].map(at_once), [AT_ONCE_MIN, 4, AT_ONCE_MAX]);
    }

    #[test]
    fn few_bytes_may_mean_many() {
        assert!(may_repeat("application/yaml", b"a: &a [x]\nb: [*a, *a]"));
        assert!(may_repeat("application/apply-patch+yaml; x", b"a: &a x"));
        assert!(may_repeat(
            "application/json-patch+json",
            br#"[{"op": "copy"}]"#
        ));
        assert!(!may_repeat("application/json-patch+json", b"[]"));
        assert!(!may_repeat("application/json", br#"{"a": "copy & paste"}"#));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn heavy_writes_wait_for_each_other_and_not_for_reads() {
        let heavy = Arc::new(Heavy {
            reads: Turns::new(1, 2 * PART),
            writes: Turns::new(1, 16 * PART),
            watches: Turns::new(1, PART),
        });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..16).map(|_| {
            let (heavy, now, most) = (Arc::clone(&heavy), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let work = async {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    assert!(heavy.run(Class::Read, async {}).await.is_some());
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                heavy.run(Class::Write, work).await
            })
        });
        let done = futures::future::join_all(tasks).await;
        assert!(done.iter().all(|done| matches!(done, Ok(Some(())))));
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn more_than_may_wait_is_sent_away() {
        let heavy = Heavy {
            reads: Turns::new(1, 2 * PART),
            writes: Turns::new(1, 2 * PART),
            watches: Turns::new(1, PART),
        };
        let endless = || heavy.run(Class::Write, std::future::pending::<()>());
        let (mut running, mut waiting) = (Box::pin(endless()), Box::pin(endless()));
        assert!(running.as_mut().now_or_never().is_none());
        assert!(waiting.as_mut().now_or_never().is_none());
        assert_eq!(endless().now_or_never(), Some(None));
        assert_eq!(heavy.run(Class::Read, async {}).await, Some(()));
        drop(waiting);
        assert_eq!(endless().now_or_never(), None);
    }
}
