//! Work on large objects, which takes a processor for longer than others should wait for it.

use std::future::Future;

use futures::FutureExt as _;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

use crate::call::Call;
use crate::limits::{self, Class};
use crate::stored;

/// A request that brings, or changes, no more bytes than this is over soon.
const BYTES_MAX: usize = 64 << 10;

/// Whether a call may take a processor for long: by its body, or by the object that it changes.
pub(crate) fn is_heavy(call: &Call) -> bool {
    let writes = limits::class(&call.info.verb, &call.info.subresource) == Class::Write;
    writes && (call.body.len() > BYTES_MAX || stored_bytes(call) > BYTES_MAX)
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

/// Runs heavy work on this thread, but lets another one take over what else would wait for the thread.
pub(crate) async fn run<T>(work: impl Future<Output = T>) -> T {
    let handle = Handle::current();
    if handle.runtime_flavor() == RuntimeFlavor::CurrentThread {
        return work.await;
    }
    block_in_place(|| handle.block_on(work))
}
