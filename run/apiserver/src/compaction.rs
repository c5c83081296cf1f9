//! Forgetting history as time goes by: memory is given back, and old revisions expire as a stock server's do.

use std::error::Error;
use std::time::Duration;

use store::Store;
use tokio::time::{Instant, interval_at};
use tracing::warn;

/// How long what was superseded is kept at least; at most it is twice as long.
///
/// Source: kube-apiserver's `--etcd-compaction-interval`, after which its continue tokens expire.
pub const COMPACTION_INTERVAL: Duration = Duration::from_mins(5);

/// Compacts to where the store stood an interval ago, each interval, until the future is dropped.
pub async fn compact(store: &dyn Store) {
    let mut ticks = interval_at(Instant::now() + COMPACTION_INTERVAL, COMPACTION_INTERVAL);
    let mut before = store.revision();
    loop {
        ticks.tick().await;
        if let Err(error) = store.compact(before).await {
            warn!(error = &error as &dyn Error, "history not compacted");
        }
        before = store.revision();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use store::{Durability, Encoded, Key, MemoryStore, Precondition, Range, Revision, StoreError};
    use tokio::time::sleep;

    use super::*;

    async fn put(store: &MemoryStore, name: &str) -> Revision {
        let value = Encoded {
            bytes: Vec::new(),
            revision_at: 0,
        };
        let key = Key::new("pods", "a", name);
        let written = store
            .put(key, Precondition::Absent, value, Durability::Synced)
            .await;
        written.unwrap().revision
    }

    async fn at(store: &MemoryStore, revision: Revision) -> Result<usize, StoreError> {
        let range = Range {
            at: Some(revision),
            ..Range::all("pods")
        };
        store.range(range).await.map(|page| page.entries.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_is_kept_for_one_to_two_intervals() {
        let store = Arc::new(MemoryStore::new());
        let compacting = tokio::spawn({
            let store = Arc::clone(&store);
            async move { compact(&*store).await }
        });
        sleep(COMPACTION_INTERVAL / 2).await;
        let first = put(&store, "first").await;
        put(&store, "second").await;
        sleep(COMPACTION_INTERVAL).await;
        assert_eq!(
            at(&store, first).await.unwrap(),
            1,
            "superseded in the interval"
        );
        sleep(COMPACTION_INTERVAL).await;
        let gone = at(&store, first).await;
        assert!(
            matches!(gone, Err(StoreError::Compacted { .. })),
            "{gone:?}"
        );
        compacting.abort();
    }
}
