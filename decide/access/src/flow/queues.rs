//! The queues of one priority level: in which of them a request waits, and which is served next.
//!
//! Served is the queue that had the least: work is counted in seats and the time for which they were taken. A queue that
//! asked for nothing meanwhile has no claim to more now: it starts with as much as the one that was served last.
//!
//! Source: apiserver `util/flowcontrol/fairqueuing/queueset`, whose progress is this one but for its clock: there it is
//! that of a server which shares its seats equally at any time, here that of the queue which was served last.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::hand::Hand;
use super::level::Queuing;

/// How long a request that runs is thought to run on. Source: `estimatedServiceDuration`.
const EXPECTED_MICROS: u64 = 3_000;
/// So many requests wait in one level at most, however many queues it has: each is passed over whenever one is served.
// DIFFERS: upstream lets as many wait as the queues of a level hold.
pub(super) const WAITING_MAX: usize = 16 << 10;

/// The queues that matter: those in which somebody waits, and those that had more than others since the level was idle.
pub(super) struct Queues<W> {
    known: BTreeMap<u32, Queue<W>>,
    waiting: usize,
    /// What the queue had had that was served last; it never falls.
    progress: u64,
    served_last: u32,
    /// How many ever came, by which hands are looked through from another queue each time.
    came: usize,
    next_id: u64,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    queue: u32,
    id: u64,
}

/// What a request takes that was served from a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) queue: u32,
    pub(super) width: u32,
    pub(super) since_micros: u64,
}

struct Waiting<W> {
    id: u64,
    width: u32,
    waiter: W,
}

struct Queue<W> {
    waiting: VecDeque<Waiting<W>>,
    /// Widths of all that wait.
    wanted: u64,
    /// Work of the requests that have ended, in seats and microseconds.
    done: u64,
    /// Seats of the requests that run.
    running: u64,
    /// For each of these, when it was taken.
    since: u64,
}

impl<W> Default for Queue<W> {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            wanted: 0,
            done: 0,
            running: 0,
            since: 0,
        }
    }
}

impl<W> Queue<W> {
    /// What the queue has had, and will have had soon.
    fn had(&self, now: u64) -> u64 {
        // Those who ask for time may come in another order than it was.
        let running = (self.running * (now + EXPECTED_MICROS)).saturating_sub(self.since);
        self.done + running
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.running == 0
    }
}

impl<W> Default for Queues<W> {
    fn default() -> Self {
        Self {
            known: BTreeMap::new(),
            waiting: 0,
            progress: 0,
            served_last: 0,
            came: 0,
            next_id: 0,
        }
    }
}

pub(super) fn micros(now: Duration) -> u64 {
    u64::try_from(now.as_micros()).unwrap_or(u64::MAX)
}

impl<W> Queues<W> {
    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Lets a request wait in the queue of its hand in which the least is asked for; `None` when that is full.
    pub(super) fn enqueue(
        &mut self,
        hand: &Hand,
        queuing: Queuing,
        width: u32,
        now: Duration,
        waiter: impl FnOnce() -> W,
    ) -> Option<Spot> {
        let wanted = |queue: &u32| self.known.get(queue).map_or(0, |queue| queue.wanted);
        let at = hand.from(self.came).min_by_key(wanted)?;
        self.came = self.came.wrapping_add(1);
        let length = self.known.get(&at).map_or(0, |queue| queue.waiting.len());
        if length >= queuing.length as usize || self.waiting >= WAITING_MAX {
            return None;
        }
        let queue = self.known.entry(at).or_default();
        if queue.waiting.is_empty() {
            queue.done += self.progress.saturating_sub(queue.had(micros(now)));
        }
        let id = self.next_id;
        self.next_id += 1;
        queue.wanted += u64::from(width);
        queue.waiting.push_back(Waiting {
            id,
            width,
            waiter: waiter(),
        });
        self.waiting += 1;
        Some(Spot { queue: at, id })
    }

    /// The queue to be served next, and what the request takes that waits longest in it, `width_max` at most.
    pub(super) fn next(&self, width_max: u32, now: Duration) -> Option<(u32, u32)> {
        let now = micros(now);
        let heads = self.known.iter().filter_map(|(at, queue)| {
            let width = queue.waiting.front()?.width.min(width_max);
            // Of those that had the same, the next after the one that was served last.
            let turn = at.wrapping_sub(self.served_last).wrapping_sub(1);
            let will_have = queue.had(now) + u64::from(width) * EXPECTED_MICROS;
            Some(((will_have, turn), (*at, width)))
        });
        heads.min_by_key(|(order, _)| *order).map(|(_, head)| head)
    }

    /// Takes the first request out of a queue, to take so many seats from now on.
    pub(super) fn serve(&mut self, at: u32, width: u32, now: Duration) -> Option<(W, Served)> {
        let micros = micros(now);
        let queue = self.known.get_mut(&at)?;
        let first = queue.waiting.pop_front()?;
        self.progress = self.progress.max(queue.had(micros));
        self.served_last = at;
        self.waiting -= 1;
        queue.wanted -= u64::from(first.width);
        queue.running += u64::from(width);
        queue.since += u64::from(width) * micros;
        let served = Served {
            queue: at,
            width,
            since_micros: micros,
        };
        let progress = self.progress;
        // What had more than others must be known until they have caught up.
        self.known
            .retain(|_, queue| !queue.is_idle() || queue.done > progress);
        Some((first.waiter, served))
    }

    /// Notes the end of a request that was served from a queue.
    pub(super) fn finish(&mut self, served: Served, now: Duration) {
        let Some(queue) = self.known.get_mut(&served.queue) else {
            return;
        };
        let width = u64::from(served.width);
        queue.running -= width;
        queue.since -= width * served.since_micros;
        queue.done += width * micros(now).saturating_sub(served.since_micros);
    }

    /// Takes a request out that will not wait any longer; `None` when it was served already.
    pub(super) fn give_up(&mut self, spot: Spot) -> Option<W> {
        let queue = self.known.get_mut(&spot.queue)?;
        let at = queue.waiting.binary_search_by_key(&spot.id, |one| one.id);
        let gone = queue.waiting.remove(at.ok()?)?;
        queue.wanted -= u64::from(gone.width);
        self.waiting -= 1;
        if queue.is_idle() && queue.done <= self.progress {
            self.known.remove(&spot.queue);
        }
        Some(gone.waiter)
    }

    /// Forgets who had what, once nobody has or wants anything.
    pub(super) fn rest(&mut self) {
        if !self.known.is_empty() {
            self.known.clear();
            self.progress = 0;
        }
    }
}
