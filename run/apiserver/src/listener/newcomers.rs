//! Connections on which nothing was asked yet: so many may be open, and the oldest gives way to the next.
//!
//! Whoever opens thousands and says nothing, or says it slowly, so keeps nobody out who has something to say.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio_util::sync::CancellationToken;

/// The newcomers of one listener.
#[derive(Clone)]
pub(super) struct Newcomers(Arc<Inner>);

struct Inner {
    max: usize,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    next_id: u64,
    by_age: BTreeMap<u64, CancellationToken>,
}

/// One of them, until it asks for something or is gone.
pub(super) struct Newcomer {
    id: u64,
    newcomers: Newcomers,
    has_asked: AtomicBool,
    gives_way: CancellationToken,
}

impl Newcomers {
    /// Room for so many.
    pub(super) fn new(max: usize) -> Self {
        Self(Arc::new(Inner {
            max,
            waiting: Mutex::default(),
        }))
    }

    /// Lets one in; where there are too many, the oldest has to give way.
    pub(super) fn enter(&self) -> Newcomer {
        let gives_way = CancellationToken::new();
        let mut waiting = self.waiting();
        let id = waiting.next_id;
        waiting.next_id += 1;
        waiting.by_age.insert(id, gives_way.clone());
        let oldest = (waiting.by_age.len() > self.0.max)
            .then(|| waiting.by_age.pop_first())
            .flatten();
        drop(waiting);
        if let Some((_, oldest)) = oldest {
            oldest.cancel();
        }
        Newcomer {
            id,
            newcomers: self.clone(),
            has_asked: AtomicBool::new(false),
            gives_way,
        }
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Newcomer {
    /// What says that it has to give way.
    pub(super) fn gives_way(&self) -> CancellationToken {
        self.gives_way.clone()
    }

    /// It asks for something, and is no newcomer any more.
    pub(super) fn asks(&self) {
        if !self.has_asked.swap(true, Ordering::Relaxed) {
            self.newcomers.waiting().by_age.remove(&self.id);
        }
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        self.asks();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_asked_for_nothing_gives_way() {
        let newcomers = Newcomers::new(2);
        let [first, second] = [newcomers.enter(), newcomers.enter()];
        first.asks();
        let third = newcomers.enter();
        let ways = |all: &[&Newcomer]| -> Vec<bool> {
            all.iter()
                .map(|one| one.gives_way().is_cancelled())
                .collect()
        };
        assert_eq!(ways(&[&first, &second, &third]), [false, false, false]);
        let fourth = newcomers.enter();
        let all = [&first, &second, &third, &fourth];
        assert_eq!(ways(&all), [false, true, false, false]);
        drop((second, third));
        let fifth = newcomers.enter();
        assert_eq!(ways(&[&fourth, &fifth]), [false, false]);
    }
}
