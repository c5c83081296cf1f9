//! Who gets a seat, who waits and who is refused: a state machine of arrivals, ends and waits that are given up.
//!
//! A level may always use what it lends to nobody. What all lend lies in one pool, from which any takes that needs more,
//! up to its own bound; so no more seats are taken than there are, but for those of the level that is exempt. Of a seat
//! that falls free, and of one that lies there, those have the first claim who use less than their nominal number.
//!
//! Time is an argument: since when does not matter, as long as it is always the same. It may go back a little.

use std::collections::BTreeMap;
use std::time::Duration;

use super::dropped::{DroppedRequests, SECONDS_MIN};
use super::hand::Hand;
use super::level::{self, CATCH_ALL, Configuration, Limits, Response};
use super::queues::{Queues, Served, Spot};

/// All seats of a server, and who waits for one: `W` is what is known of those.
pub struct Seats<W> {
    /// How many there are.
    server: u32,
    levels: BTreeMap<LevelId, Level<W>>,
    catch_all: LevelId,
    next_id: u64,
    pool: Pool,
    /// Requests that wait, in all levels.
    waiting: usize,
}

/// A level, as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LevelId(u64);

/// What one request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seat {
    level: LevelId,
    /// How many seats it is.
    pub width: u32,
    served: Option<Served>,
}

/// Where a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    level: LevelId,
    spot: Spot,
}

/// What becomes of a request that arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It runs.
    Seated(Seat),
    /// It waits.
    Waits(Place),
    /// It is refused.
    Refused(Refusal),
}

/// Why a request is refused, by upstream's words. Source: apiserver `util/flowcontrol/fairqueuing/queueset`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// There is no seat, and its level knows no queues.
    ConcurrencyLimit,
    /// There is no seat, and its queue is full.
    QueueFull,
    /// It waited as long as it may.
    TimeOut,
    /// Nobody waits for it any more.
    Cancelled,
}

/// What a level has, for those who watch over it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LevelState {
    /// Its name.
    pub name: String,
    /// Its seats by configuration.
    pub limits: Limits,
    /// What it could use now.
    pub current: u32,
    /// What is taken.
    pub taken: u32,
    /// Requests that wait.
    pub waiting: usize,
}

struct Level<W> {
    configuration: Configuration,
    limits: Limits,
    width_max: u32,
    taken: u32,
    queues: Queues<W>,
    dropped: DroppedRequests,
    /// Its object is gone: it is there as long as it has requests.
    is_retired: bool,
}

/// What all levels lend, and what is taken of it.
// DIFFERS: upstream adjusts every level's limit each ten seconds by what it asked for lately.
#[derive(Clone, Copy, Default)]
struct Pool {
    size: u32,
    taken: u32,
}

impl Refusal {
    /// Upstream's word.
    pub fn reason(self) -> &'static str {
        match self {
            Self::ConcurrencyLimit => "concurrency-limit",
            Self::QueueFull => "queue-full",
            Self::TimeOut => "time-out",
            Self::Cancelled => "cancelled",
        }
    }
}

impl<W> Level<W> {
    fn new(configuration: Configuration) -> Self {
        Self {
            configuration,
            limits: Limits::default(),
            width_max: 1,
            taken: 0,
            queues: Queues::default(),
            dropped: DroppedRequests::default(),
            is_retired: false,
        }
    }

    fn is_exempt(&self) -> bool {
        self.configuration.response == Response::Exempt
    }

    fn is_over(&self) -> bool {
        self.is_retired && self.taken == 0 && self.queues.waiting() == 0
    }

    /// What it takes of the pool when it takes so much in all.
    fn pooled(&self, taken: u32) -> u32 {
        taken.saturating_sub(self.limits.lower)
    }

    /// How much it has of what it may claim: the least of all has the first claim.
    fn fullness(&self) -> (bool, u64) {
        let nominal = self.limits.nominal.max(1);
        let part = (u64::from(self.taken) << u32::BITS) / u64::from(nominal);
        (self.taken >= self.limits.nominal, part)
    }
}

impl<W> Seats<W> {
    /// So many seats, with the levels that are always there.
    pub fn new(server: u32) -> Self {
        let mut seats = Self {
            server,
            levels: BTreeMap::new(),
            catch_all: LevelId(0),
            next_id: 0,
            pool: Pool::default(),
            waiting: 0,
        };
        seats.configure(Vec::new(), Duration::ZERO, &mut Vec::new());
        seats
    }

    /// Lets these be the levels, besides those that are always there. Answers with all, by name.
    ///
    /// A level that is no more keeps its seats as long as it has requests. Whoever is seated by the change is added to
    /// `seated`.
    pub fn configure(
        &mut self,
        levels: Vec<Configuration>,
        now: Duration,
        seated: &mut Vec<(W, Seat)>,
    ) -> BTreeMap<String, LevelId> {
        let mut named: BTreeMap<String, LevelId> = BTreeMap::new();
        for (id, level) in &mut self.levels {
            level.is_retired = true;
            named.insert(level.configuration.name.clone(), *id);
        }
        let mut ids = BTreeMap::new();
        for configuration in level::with_mandatory(levels) {
            let name = configuration.name.clone();
            let id = named.get(&name).copied().unwrap_or(LevelId(self.next_id));
            self.next_id = self.next_id.max(id.0 + 1);
            let entry = self.levels.entry(id);
            let level = entry.or_insert_with(|| Level::new(configuration.clone()));
            level.configuration = configuration;
            level.is_retired = false;
            ids.insert(name, id);
        }
        if let Some(id) = ids.get(CATCH_ALL) {
            self.catch_all = *id;
        }
        self.share_out();
        self.dispatch(now, seated);
        ids
    }

    /// Computes the seats of every level that is there.
    fn share_out(&mut self) {
        self.levels.retain(|_, level| !level.is_over());
        let shares = self
            .levels
            .values()
            .map(|level| u64::from(level.configuration.shares));
        let shares = shares.sum();
        self.pool = Pool::default();
        for level in self.levels.values_mut() {
            level.limits = level.configuration.limits(self.server, shares);
            level.width_max = level.configuration.width_max(level.limits.nominal);
            let lent = level.limits.nominal - level.limits.lower;
            self.pool.size = self.pool.size.saturating_add(lent);
            self.pool.taken = self.pool.taken.saturating_add(level.pooled(level.taken));
        }
    }

    /// A request arrives that would take so many seats. Only when it must wait is it asked of which `flow` it is, by a
    /// hash, and who waits for it.
    pub fn arrive(
        &mut self,
        level: LevelId,
        width: u32,
        now: Duration,
        flow: impl FnOnce() -> u64,
        waiter: impl FnOnce() -> W,
    ) -> Arrival {
        let id = self.standing(level);
        let Some(level) = self.levels.get(&id) else {
            return Arrival::Refused(Refusal::ConcurrencyLimit);
        };
        let width = width.clamp(1, level.width_max);
        if level.queues.waiting() == 0 && self.fits(id, level, width) {
            self.take(id, width);
            return Arrival::Seated(Seat {
                level: id,
                width,
                served: None,
            });
        }
        let Response::Queue(queuing) = level.configuration.response else {
            return Arrival::Refused(Refusal::ConcurrencyLimit);
        };
        let hand = Hand::deal(flow(), queuing);
        let Some(level) = self.levels.get_mut(&id) else {
            return Arrival::Refused(Refusal::ConcurrencyLimit);
        };
        match level.queues.enqueue(&hand, queuing, width, now, waiter) {
            Some(spot) => {
                self.waiting += 1;
                Arrival::Waits(Place { level: id, spot })
            }
            None => Arrival::Refused(Refusal::QueueFull),
        }
    }

    /// Somebody is told of a refusal. Answers with the seconds after which it may come again.
    pub fn refuse(&mut self, level: LevelId, now: Duration) -> u16 {
        let level = self.standing(level);
        let level = self.levels.get_mut(&level);
        level.map_or(SECONDS_MIN, |level| level.dropped.record(now))
    }

    /// A level that is there: what came with a configuration of before falls under none that is gone.
    fn standing(&self, level: LevelId) -> LevelId {
        if self.levels.contains_key(&level) {
            level
        } else {
            self.catch_all
        }
    }

    /// A request ends. Whoever gets its seats is added to `seated`.
    pub fn finish(&mut self, seat: Seat, now: Duration, seated: &mut Vec<(W, Seat)>) {
        let Some(level) = self.levels.get_mut(&seat.level) else {
            return;
        };
        let before = level.pooled(level.taken);
        level.taken -= seat.width;
        self.pool.taken -= before - level.pooled(level.taken);
        if let Some(served) = seat.served {
            level.queues.finish(served, now);
        }
        if level.taken == 0 && level.queues.waiting() == 0 {
            level.queues.rest();
        }
        if level.is_over() {
            self.share_out();
        }
        self.dispatch(now, seated);
    }

    /// A request waits no longer. `None` when it was seated before.
    ///
    /// Whoever waited behind it and is seated now is added to `seated`.
    pub fn give_up(
        &mut self,
        place: Place,
        now: Duration,
        seated: &mut Vec<(W, Seat)>,
    ) -> Option<W> {
        let level = self.levels.get_mut(&place.level)?;
        let gone = level.queues.give_up(place.spot)?;
        self.waiting -= 1;
        if level.is_over() {
            self.share_out();
        }
        self.dispatch(now, seated);
        Some(gone)
    }

    /// Seats as many as can be of those who wait.
    fn dispatch(&mut self, now: Duration, seated: &mut Vec<(W, Seat)>) {
        while self.waiting > 0 {
            let heads = self.levels.iter().filter_map(|(id, level)| {
                let (queue, width) = level.queues.next(level.width_max, now)?;
                let is_next = self.fits(*id, level, width);
                is_next.then(|| (level.fullness(), *id, queue, width))
            });
            let Some((_, id, queue, width)) = heads.min() else {
                return;
            };
            let level = self.levels.get_mut(&id);
            let served = level.and_then(|level| level.queues.serve(queue, width, now));
            let Some((waiter, served)) = served else {
                return;
            };
            self.waiting -= 1;
            self.take(id, width);
            let seat = Seat {
                level: id,
                width,
                served: Some(served),
            };
            seated.push((waiter, seat));
        }
    }

    fn take(&mut self, id: LevelId, width: u32) {
        if let Some(level) = self.levels.get_mut(&id) {
            let before = level.pooled(level.taken);
            level.taken += width;
            self.pool.taken += level.pooled(level.taken) - before;
        }
    }

    /// Whether a level may take so many seats more now.
    fn fits(&self, id: LevelId, level: &Level<W>, width: u32) -> bool {
        if level.is_exempt() {
            return true;
        }
        let after = level.taken + width;
        if after > level.limits.upper {
            return false;
        }
        let more = level.pooled(after) - level.pooled(level.taken);
        let is_there = more == 0 || self.pool.taken + more <= self.pool.size;
        is_there && (after <= level.limits.nominal || !self.is_claimed_by_another(id))
    }

    /// Whether another level waits for what is its own.
    fn is_claimed_by_another(&self, id: LevelId) -> bool {
        let claims =
            |level: &Level<W>| level.queues.waiting() > 0 && level.taken < level.limits.nominal;
        self.waiting > 0
            && self
                .levels
                .iter()
                .any(|(other, level)| *other != id && claims(level))
    }

    /// What every level has.
    pub fn state(&self) -> impl Iterator<Item = LevelState> {
        let free = self.pool.size.saturating_sub(self.pool.taken);
        self.levels.values().map(move |level| LevelState {
            name: level.configuration.name.clone(),
            limits: level.limits,
            current: level
                .taken
                .max(level.limits.lower)
                .saturating_add(free)
                .min(level.limits.upper),
            taken: level.taken,
            waiting: level.queues.waiting(),
        })
    }
}
