//! Priority and fairness at work: a request takes seats of its priority level, waits for them, or is refused.
//!
//! Who gets one is decided in [`access::flow::seats`]. Whoever finds a seat takes it and wakes nobody.
//!
//! Source: apiserver `server/filters/priority-and-fairness.go`, `util/flowcontrol/apf_filter.go`.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use access::flow::level::Configuration;
use access::flow::seats::{Arrival, LevelId, LevelState, Place, Refusal, Seat, Seats};
use tokio::sync::oneshot;

use crate::metrics::Meter;

/// A request waits for this part of the time it has. Source: `getRequestWaitContext`.
const WAIT_PART: u32 = 4;
/// No request waits longer than this. Source: `getRequestWaitContext`.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// All seats of a server; cheap to clone.
#[derive(Clone)]
pub(crate) struct FlowControl(Arc<Inner>);

struct Inner {
    /// Since when time is counted.
    begun: Instant,
    seats: Mutex<Seats<Waiter>>,
}

/// A request as its flow schema counts it.
#[derive(Clone)]
pub(crate) struct Asking {
    pub(crate) level: LevelId,
    pub(crate) meter: Arc<Meter>,
    pub(crate) what: What,
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Read,
    Write,
    /// To open a watch, which has a seat until it has read what it begins with.
    Watch,
}

/// Who waits for a seat.
struct Waiter {
    asking: Asking,
    since: Duration,
    permit: oneshot::Sender<Permit>,
}

/// Seats that a request has, until this is dropped.
pub(crate) struct Permit {
    control: FlowControl,
    asking: Asking,
    seat: Seat,
    since: Duration,
}

/// A request that waits; it gives up when this is dropped.
struct Waiting<'a> {
    control: &'a FlowControl,
    place: Place,
    why: Refusal,
}

impl FlowControl {
    /// So many seats.
    pub(crate) fn new(seats: usize) -> Self {
        Self(Arc::new(Inner {
            begun: Instant::now(),
            seats: Mutex::new(Seats::new(u32::try_from(seats).unwrap_or(u32::MAX))),
        }))
    }

    /// Lets these be the levels, besides those that are always there. Answers with all, by name.
    pub(crate) fn configure(&self, levels: Vec<Configuration>) -> BTreeMap<String, LevelId> {
        let (now, mut seated) = (self.now(), Vec::new());
        let ids = self.seats().configure(levels, now, &mut seated);
        self.seat(seated, now);
        ids
    }

    /// Takes seats for a request that has `longest` to be answered; waits for them if need be. Only then is it asked of
    /// which flow it is.
    ///
    /// # Errors
    /// Why there is none.
    pub(crate) async fn enter(
        &self,
        asking: Asking,
        width: u32,
        longest: Duration,
        flow: impl FnOnce() -> u64,
    ) -> Result<Permit, Refusal> {
        let now = self.now();
        let mut permit = None;
        let meter = Arc::clone(&asking.meter);
        let waiter = || {
            let (sender, receiver) = oneshot::channel();
            permit = Some(receiver);
            // Told before anybody can let it in.
            meter.waits(asking.what);
            Waiter {
                asking: asking.clone(),
                since: now,
                permit: sender,
            }
        };
        let arrival = self.seats().arrive(asking.level, width, now, flow, waiter);
        match (arrival, permit) {
            (Arrival::Seated(seat), _) => Ok(Permit::new(self, asking, seat, now, now)),
            (Arrival::Waits(place), Some(permit)) => {
                let longest = (longest / WAIT_PART).min(WAIT_MAX);
                let mut waiting = Waiting {
                    control: self,
                    place,
                    why: Refusal::Cancelled,
                };
                if let Ok(Ok(permit)) = tokio::time::timeout(longest, permit).await {
                    return Ok(permit);
                }
                waiting.why = Refusal::TimeOut;
                Err(Refusal::TimeOut)
            }
            (Arrival::Waits(_), None) => Err(Refusal::QueueFull),
            (Arrival::Refused(why), _) => {
                asking.meter.rejected(why, Duration::ZERO);
                Err(why)
            }
        }
    }

    /// A request of this level is told of its refusal. Answers with the seconds after which it may come again.
    pub(crate) fn refuse(&self, level: LevelId) -> u16 {
        self.seats().refuse(level, self.now())
    }

    /// What every level has.
    pub(crate) fn state(&self) -> Vec<LevelState> {
        self.seats().state().collect()
    }

    /// Tells those who waited; whoever does not wait any more gives the seats back at once.
    fn seat(&self, seated: Vec<(Waiter, Seat)>, now: Duration) {
        for (waiter, seat) in seated {
            waiter.asking.meter.waits_no_longer(waiter.asking.what);
            let permit = Permit::new(self, waiter.asking, seat, waiter.since, now);
            // Handed back when nobody takes it any more.
            drop(waiter.permit.send(permit));
        }
    }

    fn now(&self) -> Duration {
        self.0.begun.elapsed()
    }

    fn seats(&self) -> MutexGuard<'_, Seats<Waiter>> {
        self.0.seats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    fn new(
        control: &FlowControl,
        asking: Asking,
        seat: Seat,
        came: Duration,
        now: Duration,
    ) -> Self {
        let waited = now.saturating_sub(came);
        asking.meter.dispatched(seat.width, asking.what, waited);
        Self {
            control: control.clone(),
            asking,
            seat,
            since: now,
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (now, mut seated) = (self.control.now(), Vec::new());
        self.control.seats().finish(self.seat, now, &mut seated);
        let had = now.saturating_sub(self.since);
        let asking = &self.asking;
        asking.meter.finished(self.seat.width, asking.what, had);
        self.control.seat(seated, now);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let (now, mut seated) = (self.control.now(), Vec::new());
        let gone = self.control.seats().give_up(self.place, now, &mut seated);
        if let Some(gone) = gone {
            let meter = &gone.asking.meter;
            meter.waits_no_longer(gone.asking.what);
            meter.rejected(self.why, now.saturating_sub(gone.since));
        }
        self.control.seat(seated, now);
    }
}

#[cfg(test)]
mod tests {
    use access::flow::level::{Queuing, Response};
    use futures::FutureExt;
    use futures::future::join_all;

    use super::*;
    use crate::metrics::Metrics;

    const LONGEST: Duration = Duration::from_mins(1);

    /// A control with a level of so many seats and two places to wait.
    fn control(seats: usize) -> (FlowControl, Metrics, Asking) {
        let control = FlowControl::new(seats);
        let level = |name: &str, shares, response| Configuration {
            name: name.to_owned(),
            shares,
            lendable_percent: 0,
            borrowing_percent: None,
            response,
        };
        let queuing = Queuing {
            queues: 1,
            hand: 1,
            length: 2,
        };
        let ids = control.configure(vec![
            level("a", 1, Response::Queue(queuing)),
            level("catch-all", 0, Response::Reject),
        ]);
        let metrics = Metrics::new("127.0.0.1:6443");
        let asking = Asking {
            level: ids["a"],
            meter: Arc::new(metrics.flow_control.meter("s", "a")),
            what: What::Write,
        };
        (control, metrics, asking)
    }

    fn told(metrics: &Metrics, control: &FlowControl) -> String {
        let store = store::MemoryStore::new();
        metrics.flow_control.see(&control.state());
        metrics.render(&store, &[])
    }

    #[tokio::test]
    async fn who_waits_is_let_in_when_a_seat_falls_free() {
        let (control, metrics, asking) = control(1);
        let enter = || control.enter(asking.clone(), 1, LONGEST, || 0);
        let first = enter().await.unwrap();
        let (mut second, mut third) = (Box::pin(enter()), Box::pin(enter()));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(enter().await.err(), Some(Refusal::QueueFull));
        let text = told(&metrics, &control);
        let schema = "flow_schema=\"s\",priority_level=\"a\"";
        for wanted in [
            format!("current_inqueue_requests{{{schema}}} 2"),
            format!("current_executing_requests{{{schema}}} 1"),
            format!("current_executing_seats{{{schema}}} 1"),
            format!("rejected_requests_total{{{schema},reason=\"queue-full\"}} 1"),
            "nominal_limit_seats{priority_level=\"a\"} 1".to_owned(),
        ] {
            let wanted = format!("apiserver_flowcontrol_{wanted}\n");
            assert!(text.contains(&wanted), "{wanted} is missing in {text}");
        }
        for wanted in [
            "apiserver_current_inqueue_requests{request_kind=\"mutating\"} 2\n",
            "apiserver_current_inflight_requests{request_kind=\"mutating\"} 1\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in {text}");
        }
        drop(first);
        let second = second.now_or_never().unwrap().unwrap();
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        drop(third.now_or_never().unwrap().unwrap());
        let text = told(&metrics, &control);
        let wanted = format!("apiserver_flowcontrol_dispatched_requests_total{{{schema}}} 3\n");
        assert!(text.contains(&wanted), "{text}");
        assert_eq!(
            control.state().iter().map(|level| level.taken).sum::<u32>(),
            0
        );
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_a_quarter_of_the_time() {
        let (control, metrics, asking) = control(1);
        let enter = |longest| control.enter(asking.clone(), 1, longest, || 0);
        let _first = enter(LONGEST).await.unwrap();
        for (longest, waited) in [(LONGEST, 15), (LONGEST * 60, 60)] {
            let begun = tokio::time::Instant::now();
            assert_eq!(enter(longest).await.err(), Some(Refusal::TimeOut));
            assert_eq!(begun.elapsed().as_secs(), waited);
        }
        let text = told(&metrics, &control);
        assert!(text.contains("reason=\"time-out\"} 2\n"), "{text}");
    }

    #[tokio::test]
    async fn who_goes_leaves_the_place_and_the_seat_to_others() {
        let (control, metrics, asking) = control(1);
        let enter = || control.enter(asking.clone(), 1, LONGEST, || 0);
        let first = enter().await.unwrap();
        let (mut gone, mut late) = (Box::pin(enter()), Box::pin(enter()));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        assert!(late.as_mut().now_or_never().is_none());
        let mut last = Box::pin(enter());
        assert!(last.as_mut().now_or_never().is_none());
        // It has a seat by now, and never learns of it.
        drop(first);
        drop(late);
        drop(last.now_or_never().unwrap().unwrap());
        let text = told(&metrics, &control);
        assert!(text.contains("reason=\"cancelled\"} 1\n"), "{text}");
        assert_eq!(
            control.state().iter().map(|level| level.taken).sum::<u32>(),
            0
        );
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn all_who_may_wait_get_their_turn_on_many_threads() {
        let (control, _, asking) = control(3);
        let tasks = (0..2000_u64).map(|flow| {
            let (control, asking) = (control.clone(), asking.clone());
            tokio::spawn(async move {
                let permit = control.enter(asking, 1, LONGEST, || flow).await;
                tokio::task::yield_now().await;
                permit.map(drop).err()
            })
        });
        for done in join_all(tasks).await {
            assert!(matches!(done.unwrap(), None | Some(Refusal::QueueFull)));
        }
        assert_eq!(
            control.state().iter().map(|level| level.taken).sum::<u32>(),
            0
        );
        assert!(control.state().iter().all(|level| level.waiting == 0));
    }
}
