//! A queue of keys that holds each key once, delays it when asked, and never hands it out twice at a time.

mod metrics;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

pub use metrics::QueueMetrics;
use metrics::{Busy, Series};

/// First wait after a failure. Source: client-go `DefaultControllerRateLimiter`.
pub const RETRY_MIN: Duration = Duration::from_millis(5);
/// Longest wait after failures. Source: client-go `DefaultControllerRateLimiter`.
pub const RETRY_MAX: Duration = Duration::from_secs(1000);

/// The queue. Clones share it.
#[derive(Clone)]
pub struct WorkQueue<K> {
    shared: Arc<Shared<K>>,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
}

struct State<K> {
    /// Keys to hand out, in order.
    ready: VecDeque<K>,
    /// The same keys, and those that came again while they run, with when they came.
    dirty: BTreeMap<K, Instant>,
    /// Keys handed out and not done, with when they were.
    running: BTreeMap<K, Instant>,
    /// Keys to hand out later.
    delayed: BTreeSet<(Instant, K)>,
    due: BTreeMap<K, Instant>,
    /// Failures in a row.
    failures: BTreeMap<K, u32>,
    is_closed: bool,
    /// Where it is counted; `None` where nobody counts.
    series: Option<Series>,
}

impl<K: Ord + Clone> Default for WorkQueue<K> {
    fn default() -> Self {
        Self::with(None)
    }
}

impl<K> Busy for Shared<K>
where
    K: Ord + Clone + Send + Sync,
{
    fn depth(&self) -> usize {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.ready.len()
    }
    fn running(&self) -> Vec<Duration> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.running.values().map(Instant::elapsed).collect()
    }
}

impl<K: Ord + Clone + Send + Sync + 'static> WorkQueue<K> {
    /// A queue that is counted, under upstream's name for it.
    pub fn counted(name: &'static str, metrics: &QueueMetrics) -> Self {
        let queue = Self::with(Some(metrics.series(name)));
        let shared = Arc::downgrade(&queue.shared);
        metrics.watch(name, shared);
        queue
    }
}

impl<K: Ord + Clone> WorkQueue<K> {
    fn with(series: Option<Series>) -> Self {
        let state = State {
            ready: VecDeque::new(),
            dirty: BTreeMap::new(),
            running: BTreeMap::new(),
            delayed: BTreeSet::new(),
            due: BTreeMap::new(),
            failures: BTreeMap::new(),
            is_closed: false,
            series,
        };
        Self {
            shared: Arc::new(Shared {
                state: Mutex::new(state),
                changed: Notify::new(),
            }),
        }
    }
}

impl<K: Ord + Clone> State<K> {
    fn add(&mut self, key: K) -> bool {
        if self.is_closed || self.dirty.contains_key(&key) {
            return false;
        }
        self.dirty.insert(key.clone(), Instant::now());
        if let Some(series) = &self.series {
            series.added();
        }
        if self.running.contains_key(&key) {
            return false;
        }
        self.ready.push_back(key);
        true
    }

    /// Moves keys whose time has come; returns when the next one is due.
    fn ripen(&mut self, now: Instant) -> Option<Instant> {
        while let Some((at, key)) = self.delayed.pop_first() {
            if at > now {
                self.delayed.insert((at, key));
                return Some(at);
            }
            self.due.remove(&key);
            self.add(key);
        }
        None
    }

    fn take(&mut self) -> Option<K> {
        let key = self.ready.pop_front()?;
        let since = self.dirty.remove(&key);
        if let (Some(series), Some(since)) = (&self.series, since) {
            series.handed_out(since.elapsed());
        }
        self.running.insert(key.clone(), Instant::now());
        Some(key)
    }
}

impl<K: Ord + Clone> WorkQueue<K> {
    fn state(&self) -> MutexGuard<'_, State<K>> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a key to be handed out as soon as possible.
    pub fn add(&self, key: K) {
        if self.state().add(key) {
            self.shared.changed.notify_one();
        }
    }

    /// Asks for a key to be handed out at a time; of several times the earliest counts.
    pub fn add_at(&self, key: K, at: Instant) {
        {
            let mut state = self.state();
            if let Some(due) = state.due.get(&key).copied() {
                if due <= at {
                    return;
                }
                state.delayed.remove(&(due, key.clone()));
            }
            state.due.insert(key.clone(), at);
            state.delayed.insert((at, key));
        }
        self.shared.changed.notify_one();
    }

    /// Asks for a key to be handed out after a wait that doubles with each failure in a row; returns the wait.
    pub fn retry(&self, key: K) -> Duration {
        let failures = {
            let mut state = self.state();
            let failures = state.failures.entry(key.clone()).or_default();
            *failures += 1;
            let failures = *failures;
            if let Some(series) = &state.series {
                series.retried();
            }
            failures
        };
        let factor = 1_u32.checked_shl(failures - 1).unwrap_or(u32::MAX);
        let wait = RETRY_MIN.saturating_mul(factor).min(RETRY_MAX);
        self.add_at(key, Instant::now() + wait);
        wait
    }

    /// Failures of a key in a row.
    pub fn failures(&self, key: &K) -> u32 {
        self.state().failures.get(key).copied().unwrap_or_default()
    }

    /// Forgets the failures of a key.
    pub fn forget(&self, key: &K) {
        self.state().failures.remove(key);
    }

    /// Waits for a key; `None` when the queue is closed. It must be given back with [`WorkQueue::done`].
    pub async fn next(&self) -> Option<K> {
        loop {
            // The future is made before the state is looked at, so that no notice is missed.
            let changed = self.shared.changed.notified();
            let due = {
                let mut state = self.state();
                let due = state.ripen(Instant::now());
                if let Some(key) = state.take() {
                    if !state.ready.is_empty() {
                        self.shared.changed.notify_one();
                    }
                    return Some(key);
                }
                if state.is_closed {
                    self.shared.changed.notify_one();
                    return None;
                }
                due
            };
            match due {
                Some(at) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(at) => {}
                },
                None => changed.await,
            }
        }
    }

    /// Gives a key back; it is handed out again if it was added meanwhile.
    pub fn done(&self, key: &K) {
        {
            let mut state = self.state();
            let since = state.running.remove(key);
            if let (Some(series), Some(since)) = (&state.series, since) {
                series.done(since.elapsed());
            }
            if !state.dirty.contains_key(key) {
                return;
            }
            state.ready.push_back(key.clone());
        }
        self.shared.changed.notify_one();
    }

    /// Hands out nothing more than what is ready.
    pub fn close(&self) {
        self.state().is_closed = true;
        self.shared.changed.notify_waiters();
        self.shared.changed.notify_one();
    }

    /// Keys that wait to be handed out now.
    pub fn depth(&self) -> usize {
        self.state().ready.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_key_is_held_once_and_never_runs_twice_at_a_time() {
        let queue = WorkQueue::default();
        queue.add("a");
        queue.add("a");
        assert_eq!(queue.next().await, Some("a"));
        queue.add("a");
        queue.add("b");
        assert_eq!(queue.next().await, Some("b"));
        assert_eq!(queue.depth(), 0);
        queue.done(&"a");
        assert_eq!(queue.next().await, Some("a"));
        queue.done(&"a");
        assert_eq!(queue.depth(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn of_several_times_the_earliest_counts() {
        let queue = WorkQueue::default();
        let start = Instant::now();
        queue.add_at("a", start + Duration::from_secs(5));
        queue.add_at("a", start + Duration::from_secs(1));
        queue.add_at("a", start + Duration::from_secs(9));
        assert_eq!(queue.next().await, Some("a"));
        assert_eq!(start.elapsed().as_secs(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_double_the_wait_up_to_the_bound() {
        let queue = WorkQueue::default();
        let waits: Vec<u128> = (0..3).map(|_| queue.retry("a").as_millis()).collect();
        assert_eq!(waits, [5, 10, 20]);
        for _ in 0..60 {
            queue.retry("a");
        }
        assert_eq!(queue.retry("a"), RETRY_MAX);
        queue.forget(&"a");
        assert_eq!(queue.retry("a"), RETRY_MIN);
    }

    #[tokio::test(start_paused = true)]
    async fn closing_ends_every_waiter() {
        let queue: WorkQueue<u8> = WorkQueue::default();
        let waiters: Vec<_> = (0..3)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        queue.close();
        for waiter in waiters {
            assert_eq!(waiter.await.unwrap(), None);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn every_worker_gets_work() {
        let queue = WorkQueue::default();
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let queue = queue.clone();
                tokio::spawn(async move { queue.next().await })
            })
            .collect();
        tokio::task::yield_now().await;
        for key in 0..4 {
            queue.add(key);
        }
        let mut got = Vec::new();
        for worker in workers {
            got.push(worker.await.unwrap().unwrap());
        }
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3]);
    }
}
