//! Seats under load: nobody is lost, nobody takes more than there is, and who asks for little gets it.

use std::collections::BTreeMap;
use std::time::Duration;

use super::level::{Configuration, Queuing, Response};
use super::seats::{Arrival, LevelId, LevelState, Place, Refusal, Seat, Seats};

/// Numbers that look random, the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005);
        self.0 = self.0.wrapping_add(1_442_695_040_888_963_407);
        let high = u32::try_from(self.0 >> 33).unwrap();
        high % sides
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(u32::try_from(of.len()).unwrap()) as usize]
    }
}

fn index(flow: u64) -> usize {
    usize::try_from(flow).unwrap()
}

fn level(name: &str, shares: u32, lendable_percent: u32, response: Response) -> Configuration {
    Configuration {
        name: name.to_owned(),
        shares,
        lendable_percent,
        borrowing_percent: None,
        response,
    }
}

fn queues(queues: u32, hand: u32, length: u32) -> Response {
    Response::Queue(Queuing {
        queues,
        hand,
        length,
    })
}

const AT_ONCE: Response = Response::Reject;

fn at(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A server with these levels, and nothing for `catch-all`.
fn server(seats: u32, mut levels: Vec<Configuration>) -> (Seats<u64>, BTreeMap<String, LevelId>) {
    let mut server = Seats::new(seats);
    if !levels.iter().any(|level| level.name == "catch-all") {
        levels.push(level("catch-all", 0, 0, AT_ONCE));
    }
    let ids = server.configure(levels, Duration::ZERO, &mut Vec::new());
    (server, ids)
}

fn state(server: &Seats<u64>, name: &str) -> LevelState {
    server.state().find(|level| level.name == name).unwrap()
}

fn arrives(server: &mut Seats<u64>, id: LevelId, flow: u64) -> Arrival {
    server.arrive(id, 1, Duration::ZERO, || flow, || flow)
}

fn seated(server: &mut Seats<u64>, id: LevelId) -> Seat {
    match arrives(server, id, 0) {
        Arrival::Seated(seat) => seat,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_level_without_queues_refuses_what_it_has_no_seat_for() {
    let (mut server, ids) = server(2, vec![level("a", 1, 0, AT_ONCE)]);
    let (first, _second) = (seated(&mut server, ids["a"]), seated(&mut server, ids["a"]));
    let refused = Arrival::Refused(Refusal::ConcurrencyLimit);
    assert_eq!(arrives(&mut server, ids["a"], 0), refused);
    server.finish(first, at(1), &mut Vec::new());
    seated(&mut server, ids["a"]);
    // Nobody is held back who is exempt.
    for _ in 0..10 {
        seated(&mut server, ids["exempt"]);
    }
}

#[test]
fn a_level_without_shares_lets_nobody_in_unless_it_borrows() {
    let mut jail = level("jail", 0, 0, queues(4, 1, 1));
    jail.borrowing_percent = Some(100);
    let (mut server, ids) = server(
        10,
        vec![level("a", 1, 100, AT_ONCE), jail, level("b", 0, 0, AT_ONCE)],
    );
    assert!(matches!(
        arrives(&mut server, ids["jail"], 0),
        Arrival::Waits(_)
    ));
    assert_eq!(
        arrives(&mut server, ids["jail"], 0),
        Arrival::Refused(Refusal::QueueFull)
    );
    seated(&mut server, ids["b"]);
}

#[test]
fn lent_seats_come_back_as_they_fall_free() {
    let levels = vec![
        level("greedy", 1, 0, queues(1, 1, 100)),
        level("kind", 1, 50, queues(1, 1, 100)),
    ];
    let (mut server, ids) = server(8, levels);
    let (greedy, kind) = (ids["greedy"], ids["kind"]);
    let mut borrowed: Vec<Seat> = (0..6).map(|_| seated(&mut server, greedy)).collect();
    assert!(matches!(arrives(&mut server, greedy, 1), Arrival::Waits(_)));
    assert_eq!(state(&server, "greedy").current, 6);
    // What is lent to nobody is there at once, and the rest before anybody else gets one.
    seated(&mut server, kind);
    seated(&mut server, kind);
    for _ in 0..2 {
        assert!(matches!(arrives(&mut server, kind, 2), Arrival::Waits(_)));
    }
    for expected in [2, 2, 1] {
        let mut next = Vec::new();
        server.finish(borrowed.pop().unwrap(), at(1), &mut next);
        let who: Vec<u64> = next.iter().map(|(who, _)| *who).collect();
        assert_eq!(who, [expected]);
    }
    assert_eq!(
        (state(&server, "greedy").taken, state(&server, "kind").taken),
        (4, 4)
    );
}

#[test]
fn nobody_borrows_what_its_level_waits_for() {
    let levels = vec![
        level("greedy", 1, 0, queues(1, 1, 100)),
        level("kind", 1, 100, queues(1, 1, 100)),
    ];
    let (mut server, ids) = server(40, levels);
    for _ in 0..20 + 18 {
        seated(&mut server, ids["greedy"]);
    }
    let wide = server.arrive(ids["kind"], 3, at(1), || 0, || 2);
    assert!(matches!(wide, Arrival::Waits(_)));
    assert!(matches!(
        arrives(&mut server, ids["greedy"], 1),
        Arrival::Waits(_)
    ));
    let Arrival::Waits(place) = wide else { return };
    let mut next = Vec::new();
    assert_eq!(server.give_up(place, at(2), &mut next), Some(2));
    assert_eq!(next.len(), 1);
}

#[test]
fn who_asked_for_nothing_has_no_claim_to_more_later() {
    let (mut server, ids) = server(1, vec![level("a", 1, 0, queues(2, 1, 100))]);
    let mut running = seated(&mut server, ids["a"]);
    let mut served = Vec::new();
    for turn in 0..120 {
        let comes = match turn {
            100 => vec![1; 50],
            _ => vec![0],
        };
        for flow in comes {
            assert!(matches!(
                arrives(&mut server, ids["a"], flow),
                Arrival::Waits(_)
            ));
        }
        let mut next = Vec::new();
        server.finish(running, at(100 * (turn + 1)), &mut next);
        let (who, seat) = next[0];
        running = seat;
        served.push(who);
    }
    let late: u64 = served[100..].iter().sum();
    assert!((8..=12).contains(&late), "{served:?}");
}

#[test]
fn who_waits_for_a_level_that_is_gone_is_served_by_it() {
    let (mut server, ids) = server(2, vec![level("a", 1, 0, queues(4, 2, 10))]);
    let id = ids["a"];
    let (first, second) = (seated(&mut server, id), seated(&mut server, id));
    assert!(matches!(arrives(&mut server, id, 7), Arrival::Waits(_)));
    server.configure(
        vec![level("catch-all", 0, 0, AT_ONCE)],
        at(1),
        &mut Vec::new(),
    );
    let mut next = Vec::new();
    server.finish(first, at(1), &mut next);
    assert_eq!(next.len(), 1);
    server.finish(second, at(1), &mut Vec::new());
    assert!(server.state().any(|level| level.name == "a"));
    server.finish(next[0].1, at(1), &mut Vec::new());
    assert!(!server.state().any(|level| level.name == "a"));
    // Whoever comes with what was configured before falls under what there is.
    server.configure(Vec::new(), at(1), &mut Vec::new());
    seated(&mut server, id);
    assert_eq!(state(&server, "catch-all").taken, 1);
}

#[test]
fn more_seats_are_given_out_at_once() {
    let (mut server, ids) = server(
        10,
        vec![
            level("a", 1, 0, queues(4, 2, 10)),
            level("b", 9, 0, AT_ONCE),
        ],
    );
    seated(&mut server, ids["a"]);
    for flow in 0..4 {
        assert!(matches!(
            arrives(&mut server, ids["a"], flow),
            Arrival::Waits(_)
        ));
    }
    let mut next = Vec::new();
    let levels = vec![
        level("a", 4, 0, queues(1, 1, 1)),
        level("b", 6, 0, AT_ONCE),
        level("catch-all", 0, 0, AT_ONCE),
    ];
    assert_eq!(server.configure(levels, at(1), &mut next)["a"], ids["a"]);
    assert_eq!(next.len(), 3);
}

#[test]
fn what_is_wide_waits_for_room_and_keeps_others_behind_it() {
    let (mut server, ids) = server(20, vec![level("a", 1, 0, queues(1, 1, 10))]);
    let id = ids["a"];
    let narrow: Vec<Seat> = (0..18).map(|_| seated(&mut server, id)).collect();
    // 15 percent of the seats of its level are the most.
    let wide = server.arrive(id, 10, at(1), || 0, || 1);
    assert!(matches!(wide, Arrival::Waits(_)));
    assert!(matches!(arrives(&mut server, id, 2), Arrival::Waits(_)));
    let mut next = Vec::new();
    server.finish(narrow[0], at(2), &mut next);
    assert_eq!(
        next.iter()
            .map(|(who, seat)| (*who, seat.width))
            .collect::<Vec<_>>(),
        [(1, 3)]
    );
}

/// Flows that always have so many requests running or waiting, each of so many milliseconds, share a level with so many
/// seats for twenty seconds. Answers with the milliseconds for which each had one.
fn shared(seats: u32, flows: &[(u64, u64)]) -> Vec<u64> {
    // With as many queues, each flow has another.
    let count = u32::try_from(flows.len()).unwrap();
    let (mut server, ids) = server(seats, vec![level("a", 1, 0, queues(count, 1, 1000))]);
    let mut had = vec![0; flows.len()];
    let mut running: BTreeMap<(u64, u64), (u64, Seat)> = BTreeMap::new();
    let (mut serial, mut now) = (0, 0);
    let mut coming: Vec<u64> = (0..flows.len() as u64)
        .flat_map(|flow| std::iter::repeat_n(flow, usize::try_from(flows[index(flow)].0).unwrap()))
        .collect();
    while now < 20_000 {
        let mut started = Vec::new();
        for flow in std::mem::take(&mut coming) {
            match server.arrive(ids["a"], 1, at(now), || flow, || flow) {
                Arrival::Seated(seat) => started.push((flow, seat)),
                Arrival::Waits(_) => {}
                Arrival::Refused(why) => panic!("{why:?}"),
            }
        }
        loop {
            for (flow, seat) in started.drain(..) {
                serial += 1;
                running.insert((now + flows[index(flow)].1, serial), (flow, seat));
            }
            let ((end, _), (flow, seat)) = running.pop_first().unwrap();
            now = end;
            had[index(flow)] += flows[index(flow)].1;
            server.finish(seat, at(now), &mut started);
            coming.push(flow);
            if !started.is_empty() || running.is_empty() {
                for (flow, seat) in started.drain(..) {
                    serial += 1;
                    running.insert((now + flows[index(flow)].1, serial), (flow, seat));
                }
                break;
            }
        }
    }
    had
}

#[test]
fn flows_share_seats_whatever_they_ask_for() {
    for (seats, flows) in [
        (10, vec![(100, 10), (100, 10)]),
        (10, vec![(500, 10), (20, 10)]),
        // Long requests and short ones.
        (10, vec![(100, 1000), (100, 5)]),
        (1, vec![(50, 100), (2, 10)]),
        (8, vec![(400, 7), (50, 13), (50, 200), (50, 29)]),
    ] {
        let had = shared(seats, &flows);
        let (most, least) = (had.iter().max().unwrap(), had.iter().min().unwrap());
        assert!(most * 4 < least * 5, "{flows:?} had {had:?}");
    }
}

#[test]
fn who_asks_for_less_than_a_share_gets_it_and_leaves_the_rest() {
    let had = shared(10, &[(500, 10), (2, 10)]);
    // Two seats all the time, but for the waits until one falls free.
    assert!(had[1] > 36_000, "{had:?}");
    assert!(had[0] > 150_000, "{had:?}");
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Waits(Place),
    Runs(Seat),
    Over,
}

struct World {
    server: Seats<u64>,
    fates: BTreeMap<u64, Fate>,
    seated: Vec<(u64, Seat)>,
    refused: u64,
}

impl World {
    /// Nobody is seated twice, or after they gave up.
    fn settle(&mut self) {
        for (who, seat) in self.seated.drain(..) {
            let before = self.fates.insert(who, Fate::Runs(seat));
            assert!(matches!(before, Some(Fate::Waits(_))), "{who}: {before:?}");
        }
    }

    fn check(&self, is_steady: bool) {
        let states: Vec<LevelState> = self.server.state().collect();
        let running = |fate: &&Fate| matches!(fate, Fate::Runs(_));
        let waiting = |fate: &&Fate| matches!(fate, Fate::Waits(_));
        let widths = self.fates.values().map(|fate| match fate {
            Fate::Runs(seat) => seat.width,
            Fate::Waits(_) | Fate::Over => 0,
        });
        let taken: u32 = states.iter().map(|level| level.taken).sum();
        assert_eq!(taken, widths.sum::<u32>());
        assert!(self.fates.values().filter(running).count() <= taken as usize);
        let wait: usize = states.iter().map(|level| level.waiting).sum();
        assert_eq!(wait, self.fates.values().filter(waiting).count());
        if !is_steady {
            return;
        }
        let limited = states.iter().filter(|level| level.name != "exempt");
        let (mut taken, mut there) = (0, 0);
        for level in limited {
            taken += level.taken;
            there += level.limits.nominal;
            assert!(level.taken <= level.limits.upper, "{level:?}");
            // Nobody waits for a seat that is there for them alone: requests of this world are three seats wide at most.
            assert!(
                level.waiting == 0 || level.taken + 3 > level.limits.lower,
                "{level:?}"
            );
        }
        assert!(taken <= there, "{states:?}");
    }
}

fn levels_of(dice: &mut Dice) -> Vec<Configuration> {
    let names = ["a", "b", "c", "catch-all"];
    let mut levels = Vec::new();
    for name in names {
        let response = match dice.roll(3) {
            0 => AT_ONCE,
            1 => queues(8, 2, 5),
            _ => queues(10_000_000, 2, u32::MAX),
        };
        if dice.roll(5) > 0 {
            let percent = dice.pick(&[0, 50, 100]);
            let mut level = level(name, dice.roll(5), percent, response);
            level.borrowing_percent = dice.pick(&[None, Some(0), Some(100)]);
            levels.push(level);
        }
    }
    levels
}

fn live(seed: u64) -> u64 {
    let mut dice = Dice(seed);
    let mut world = World {
        server: Seats::new(16),
        fates: BTreeMap::new(),
        seated: Vec::new(),
        refused: 0,
    };
    let mut ids: Vec<LevelId> = Vec::new();
    let mut is_steady = false;
    for step in 0..1200_u64 {
        let now = at(step);
        if step % 300 == 0 {
            let levels = levels_of(&mut dice);
            let all = world.server.configure(levels, now, &mut world.seated);
            ids.extend(all.into_values());
            // What was taken before may be more than there is now.
            is_steady = step == 0;
            world.settle();
        }
        world.fates.retain(|_, fate| *fate != Fate::Over);
        let open: Vec<u64> = world.fates.keys().copied().collect();
        let anybody = (!open.is_empty()).then(|| dice.pick(&open));
        match (dice.roll(5), anybody.map(|who| (who, world.fates[&who]))) {
            (0 | 1, Some((who, Fate::Runs(seat)))) => {
                world.server.finish(seat, now, &mut world.seated);
                world.fates.insert(who, Fate::Over);
            }
            (0, Some((who, Fate::Waits(place)))) => {
                assert_eq!(
                    world.server.give_up(place, now, &mut world.seated),
                    Some(who)
                );
                assert_eq!(world.server.give_up(place, now, &mut world.seated), None);
                world.fates.insert(who, Fate::Over);
            }
            _ => {
                let id = dice.pick(&ids);
                let (width, flow) = (1 + dice.roll(3), u64::from(dice.roll(6)));
                let fate = match world.server.arrive(id, width, now, || flow, || step) {
                    Arrival::Seated(seat) => Fate::Runs(seat),
                    Arrival::Waits(place) => Fate::Waits(place),
                    Arrival::Refused(_) => Fate::Over,
                };
                world.refused += u64::from(fate == Fate::Over);
                world.fates.insert(step, fate);
            }
        }
        world.settle();
        world.check(is_steady);
    }
    end(&mut world);
    world.refused
}

/// When all that run have ended, all that waited and could be seated have run, and nothing is taken.
fn end(world: &mut World) {
    loop {
        let open = world.fates.iter().find_map(|(who, fate)| match fate {
            Fate::Runs(seat) => Some((*who, *seat)),
            Fate::Waits(_) | Fate::Over => None,
        });
        let Some((who, seat)) = open else { break };
        world.server.finish(seat, at(10_000), &mut world.seated);
        world.fates.insert(who, Fate::Over);
        world.settle();
        world.check(false);
    }
    for level in world.server.state() {
        assert_eq!(level.taken, 0);
        // Only where there is no seat to be had.
        assert!(level.waiting == 0 || level.limits.nominal == 0, "{level:?}");
    }
}

#[test]
fn nobody_is_lost_and_no_more_is_taken_than_there_is() {
    let refused: u64 = (0..12).map(live).sum();
    assert!(refused > 0);
}
