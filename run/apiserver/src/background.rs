//! Futures that are hardly ever ready, beside something that is polled all the time.
//!
//! A watch has an alarm and an end of the server beside its events. Polling those for every event would register anew,
//! under locks that all watches share, what is registered already.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// A future that is polled only when it may be ready or does not know whom to wake.
pub(crate) struct Background<F> {
    future: Pin<Box<F>>,
    /// Who is to be woken, as the future was told.
    told: Option<Waker>,
}

impl<F: Future> Background<F> {
    pub(crate) fn new(future: F) -> Self {
        Self {
            future: Box::pin(future),
            told: None,
        }
    }

    /// Changes the future, which then has to be told again whom to wake.
    pub(crate) fn change(&mut self, change: impl FnOnce(Pin<&mut F>)) {
        self.told = None;
        change(self.future.as_mut());
    }

    /// Whether it is ready; it is not polled while `may_be_ready` says no, which has to be said before a wake-up.
    pub(crate) fn poll(
        &mut self,
        context: &mut Context<'_>,
        may_be_ready: impl FnOnce(&F) -> bool,
    ) -> Poll<F::Output> {
        let is_told = |told: &Waker| told.will_wake(context.waker());
        if self.told.as_ref().is_some_and(is_told) && !may_be_ready(&self.future) {
            return Poll::Pending;
        }
        self.told = Some(context.waker().clone());
        self.future.as_mut().poll(context)
    }
}

/// The end of a listener, which its connections and their bodies are told of.
#[derive(Default)]
pub(crate) struct Ending {
    has_begun: AtomicBool,
    begun: CancellationToken,
}

impl Ending {
    pub(crate) fn begin(&self) {
        // Before anybody is woken, for they look here first.
        self.has_begun.store(true, Ordering::Release);
        self.begun.cancel();
    }
}

/// Waits for an end.
pub(crate) struct Ended {
    ending: Arc<Ending>,
    begun: Background<WaitForCancellationFutureOwned>,
}

impl Ended {
    pub(crate) fn new(ending: &Arc<Ending>) -> Self {
        Self {
            ending: Arc::clone(ending),
            begun: Background::new(ending.begun.clone().cancelled_owned()),
        }
    }

    /// Whether the end has begun. Not to be polled again once it has.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let has_begun = || self.ending.has_begun.load(Ordering::Acquire);
        self.begun.poll(context, |_| has_begun())
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::atomic::AtomicU32;
    use std::time::Duration;

    use futures::FutureExt;
    use tokio::time::{Instant, Sleep};

    use super::*;

    #[tokio::test]
    async fn a_future_is_polled_once_until_it_may_be_ready() {
        let polls = Arc::new(AtomicU32::new(0));
        let polled = Arc::clone(&polls);
        let mut counted = Background::new(poll_fn(move |_| {
            polled.fetch_add(1, Ordering::Relaxed);
            Poll::<()>::Pending
        }));
        let mut look = |may_be_ready, wanted| {
            let look = poll_fn(|context| {
                assert!(counted.poll(context, |_| may_be_ready).is_pending());
                Poll::Ready(())
            });
            look.now_or_never();
            assert_eq!(polls.load(Ordering::Relaxed), wanted);
        };
        look(false, 1);
        look(false, 1);
        look(true, 2);
    }

    #[tokio::test]
    async fn what_was_changed_is_told_anew_whom_to_wake() {
        let mut sleep = Background::new(tokio::time::sleep(Duration::from_hours(1)));
        let poll = |sleep: &mut Background<Sleep>| {
            poll_fn(|context| Poll::Ready(sleep.poll(context, Sleep::is_elapsed))).now_or_never()
        };
        assert_eq!(poll(&mut sleep), Some(Poll::Pending));
        sleep.change(|sleep| sleep.reset(Instant::now()));
        poll_fn(|context| sleep.poll(context, Sleep::is_elapsed)).await;
    }

    #[tokio::test]
    async fn who_waits_for_an_end_is_woken() {
        let ending = Arc::new(Ending::default());
        let mut ended = Ended::new(&ending);
        let waits = tokio::spawn(async move { poll_fn(|context| ended.poll(context)).await });
        tokio::task::yield_now().await;
        ending.begin();
        waits.await.unwrap();
    }
}
