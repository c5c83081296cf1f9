//! Work on what is large, which takes a processor for longer than others should wait for it, and much memory.

use std::future::Future;
use std::num::NonZeroUsize;
use std::thread::available_parallelism;

use futures::FutureExt;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::Semaphore;
use tokio::task::block_in_place;

use crate::call::Call;
use crate::limits::{self, Class};
use crate::stored;

/// A request that brings, or changes, no more bytes than this is over soon.
const BYTES_MAX: usize = 64 << 10;
/// A list of no more objects than this is begun soon.
const OBJECTS_MAX: u64 = 1000;
/// So much runs at once at least, so that one does not stop all others.
const AT_ONCE_MIN: usize = 2;
/// So much runs at once at most, however many processors there are: a body of 3 MiB takes a hundred as an object.
const AT_ONCE_MAX: usize = 8;

/// Lets so much run at once, reads and writes apart; the rest waits its turn.
pub(crate) struct Heavy {
    reads: Semaphore,
    writes: Semaphore,
}

impl Heavy {
    /// As much at once as there are processors, within bounds.
    pub(crate) fn new() -> Self {
        let processors = available_parallelism().map_or(1, NonZeroUsize::get);
        let turns = || Semaphore::new(at_once(processors));
        Self {
            reads: turns(),
            writes: turns(),
        }
    }

    /// Runs heavy work on this thread when its turn comes, but lets another thread take over what else would wait for this.
    pub(crate) async fn run<T>(&self, class: Class, work: impl Future<Output = T>) -> T {
        let turns = if class == Class::Write {
            &self.writes
        } else {
            &self.reads
        };
        // Nobody closes them.
        let _turn = turns.acquire().await;
        let handle = Handle::current();
        if handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
            return work.await;
        }
        block_in_place(|| handle.block_on(work))
    }
}

fn at_once(processors: usize) -> usize {
    processors.clamp(AT_ONCE_MIN, AT_ONCE_MAX)
}

/// Whether a call may take a processor for long: by its body, by the object that it changes, or by how many it reads.
pub(crate) fn is_heavy(call: &Call) -> bool {
    match call.info.verb.as_str() {
        "list" | "watch" => call.info.name.is_empty() && stored_objects(call) > OBJECTS_MAX,
        verb if limits::class(verb, &call.info.subresource) == Class::Write => {
            call.body.len() > BYTES_MAX || stored_bytes(call) > BYTES_MAX
        }
        _ => false,
    }
}

fn stored_objects(call: &Call) -> u64 {
    let resource = call.kind.storage_resource().to_string();
    let counts = call.server.config().store.resources();
    let mut counts = counts.iter().filter(|count| *count.resource == *resource);
    counts.next().map_or(0, |count| count.objects)
}

fn stored_bytes(call: &Call) -> usize {
    if !matches!(call.info.verb.as_str(), "update" | "patch") {
        return 0;
    }
    let key = stored::key(&call.kind, &call.info.namespace, &call.info.name);
    let entry = call.server.config().store.get(&key).now_or_never();
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

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn heavy_writes_wait_for_each_other_and_not_for_reads() {
        let heavy = Arc::new(Heavy {
            reads: Semaphore::new(1),
            writes: Semaphore::new(1),
        });
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let tasks = (0..16).map(|_| {
            let (heavy, now, most) = (Arc::clone(&heavy), Arc::clone(&now), Arc::clone(&most));
            tokio::spawn(async move {
                let work = async {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    tokio::task::yield_now().await;
                    heavy.run(Class::Read, async {}).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                };
                heavy.run(Class::Write, work).await;
            })
        });
        futures::future::join_all(tasks).await;
        assert_eq!(most.load(Ordering::SeqCst), 1);
    }
}
