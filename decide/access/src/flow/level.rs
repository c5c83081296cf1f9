//! Priority levels: what one is configured to do, and how many seats each gets of the server's.
//!
//! A seat is the right to run one request of ordinary size.
//!
//! Source: apiserver `util/flowcontrol/apf_controller.go`.

use meta::{Object, ObjectExt};
use serde::Deserialize;

/// The level of those who are never held back.
pub(super) const EXEMPT: &str = "exempt";
/// The level of whatever falls under no other.
pub(super) const CATCH_ALL: &str = "catch-all";

/// Shares of a limited level that says none. Source: api `flowcontrol/v1` defaults.
const SHARES: u32 = 30;
/// Shares of the level `catch-all` when there is no such object. Source: apis `flowcontrol/bootstrap`.
const CATCH_ALL_SHARES: u32 = 5;
/// A request takes this part of its level's seats at most, in percent. Source: `priorityLevelMaxSeatsPercent`.
const WIDTH_PERCENT_MAX: u32 = 15;
/// Most cards that one hash deals. Source: apiserver `util/shufflesharding`.
pub(super) const HAND_MAX: u32 = 15;
/// Bits of a hash that deal cards. Source: `shufflesharding.MaxHashBits`.
const HASH_BITS_MAX: u32 = 60;

/// A PriorityLevelConfiguration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// The name of the object.
    pub name: String,
    /// What it gets of the server's seats is in proportion to this.
    pub shares: u32,
    /// This part of its seats others may use while it does not.
    pub lendable_percent: u32,
    /// So much of its own number of seats it may use of others'; `None` is any number.
    pub borrowing_percent: Option<u32>,
    /// What becomes of a request for which there is no seat.
    pub response: Response,
}

/// What becomes of a request for which there is no seat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Response {
    /// There always is one.
    Exempt,
    /// It is refused.
    Reject,
    /// It waits in a queue.
    Queue(Queuing),
}

/// In which queue a request waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Queuing {
    /// How many there are.
    pub queues: u32,
    /// One flow waits in so many of them.
    pub hand: u32,
    /// So many requests wait in each at most.
    pub length: u32,
}

/// Seats of a level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Its share of the server's.
    pub nominal: u32,
    /// What it lends to nobody.
    pub lower: u32,
    /// What it may use with all that it may borrow.
    pub upper: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    r#type: String,
    exempt: Option<Shares>,
    limited: Option<Limited>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Shares {
    nominal_concurrency_shares: Option<u32>,
    lendable_percent: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limited {
    #[serde(flatten)]
    shares: Shares,
    borrowing_limit_percent: Option<u32>,
    limit_response: LimitResponse,
}

#[derive(Deserialize)]
struct LimitResponse {
    r#type: String,
    queuing: Option<QueuingConfiguration>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct QueuingConfiguration {
    queues: u32,
    hand_size: u32,
    queue_length_limit: u32,
}

impl Configuration {
    /// Reads one; `None` when it is broken, and so counts as not there.
    pub fn read(object: &Object) -> Option<Self> {
        let spec: Spec = serde_json::from_value(object.get("spec")?.clone()).ok()?;
        let name = object.name().to_owned();
        match (spec.r#type.as_str(), spec.limited) {
            ("Exempt", None) if name == EXEMPT => {
                let shares = spec.exempt.unwrap_or_default();
                Some(Self {
                    shares: shares.nominal_concurrency_shares.unwrap_or(0),
                    ..Self::exempt(shares.lendable_percent.unwrap_or(0))
                })
            }
            ("Limited", Some(limited)) if name != EXEMPT => Some(Self {
                name,
                shares: limited.shares.nominal_concurrency_shares.unwrap_or(SHARES),
                lendable_percent: limited.shares.lendable_percent.unwrap_or(0).min(100),
                borrowing_percent: limited.borrowing_limit_percent,
                response: limited.limit_response.read()?,
            }),
            _ => None,
        }
    }

    /// The level `exempt` as it is when there is no such object. Source: apis `flowcontrol/bootstrap`.
    fn exempt(lendable_percent: u32) -> Self {
        Self {
            name: EXEMPT.to_owned(),
            shares: 0,
            lendable_percent: lendable_percent.min(100),
            borrowing_percent: None,
            response: Response::Exempt,
        }
    }

    /// The level `catch-all` as it is when there is no such object. Source: apis `flowcontrol/bootstrap`.
    fn catch_all() -> Self {
        Self {
            name: CATCH_ALL.to_owned(),
            shares: CATCH_ALL_SHARES,
            lendable_percent: 0,
            borrowing_percent: None,
            response: Response::Reject,
        }
    }

    /// The seats of this level, when all have `shares` together of a server's.
    pub(super) fn limits(&self, server: u32, shares: u64) -> Limits {
        let all = u64::from(server) * u64::from(self.shares);
        let nominal = all
            .checked_div(shares)
            .map_or(0, |whole| whole + u64::from(!all.is_multiple_of(shares)));
        let nominal = u32::try_from(nominal).unwrap_or(u32::MAX);
        let borrowed = match (self.response, self.borrowing_percent) {
            (Response::Exempt, _) => u32::MAX,
            (_, Some(percent)) => part(nominal, percent),
            (_, None) => server,
        };
        Limits {
            nominal,
            lower: nominal - part(nominal, self.lendable_percent).min(nominal),
            upper: nominal.saturating_add(borrowed),
        }
    }

    /// So many seats one request takes at most, of a level with `nominal` of them.
    ///
    /// No more than there are: what is wider would wait for all of them, as upstream's does.
    pub(super) fn width_max(&self, nominal: u32) -> u32 {
        let most = match self.response {
            Response::Exempt | Response::Reject => nominal,
            Response::Queue(queuing) => {
                let part = (u64::from(nominal) * u64::from(WIDTH_PERCENT_MAX)).div_ceil(100);
                let part = u32::try_from(part).unwrap_or(u32::MAX);
                part.min(nominal / queuing.hand.max(1))
            }
        };
        most.max(1)
    }
}

/// So many percent of a number, rounded.
fn part(of: u32, percent: u32) -> u32 {
    let hundredfold = u64::from(of) * u64::from(percent);
    u32::try_from((hundredfold + 50) / 100).unwrap_or(u32::MAX)
}

impl LimitResponse {
    fn read(self) -> Option<Response> {
        match (self.r#type.as_str(), self.queuing) {
            ("Reject", None) => Some(Response::Reject),
            ("Queue", Some(read)) => {
                let queuing = Queuing {
                    queues: read.queues,
                    hand: read.hand_size,
                    length: read.queue_length_limit,
                };
                queuing.is_sound().then_some(Response::Queue(queuing))
            }
            _ => None,
        }
    }
}

impl Queuing {
    /// Whether hands can be dealt. Source: `shufflesharding.NewDealer`.
    fn is_sound(self) -> bool {
        let hands = u128::from(self.queues).checked_pow(self.hand);
        let is_dealt = hands.is_some_and(|hands| hands <= 1 << HASH_BITS_MAX);
        let is_hand = (1..=self.queues.min(HAND_MAX)).contains(&self.hand);
        is_dealt && is_hand && self.length > 0
    }
}

/// What is configured, with the levels that are there even if nothing says so.
pub(super) fn with_mandatory(mut levels: Vec<Configuration>) -> Vec<Configuration> {
    for mandatory in [Configuration::exempt(0), Configuration::catch_all()] {
        if !levels.iter().any(|level| level.name == mandatory.name) {
            levels.push(mandatory);
        }
    }
    levels
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(name: &str, spec: &Value) -> Option<Configuration> {
        let object = json!({"metadata": {"name": name}, "spec": spec});
        Configuration::read(&serde_json::from_value(object).unwrap())
    }

    fn queuing(queues: u64, hand: u64, length: u64) -> Value {
        json!({"type": "Limited", "limited": {"nominalConcurrencyShares": 1, "limitResponse":
            {"type": "Queue", "queuing":
                {"queues": queues, "handSize": hand, "queueLengthLimit": length}}}})
    }

    #[test]
    fn the_seats_of_the_first_levels_are_upstreams() {
        let levels = [
            ("system", 30, 33, [74, 50]),
            ("node-high", 40, 25, [98, 73]),
            ("leader-election", 10, 0, [25, 25]),
            ("workload-high", 40, 50, [98, 49]),
            ("workload-low", 100, 90, [245, 24]),
            ("global-default", 20, 50, [49, 24]),
            ("catch-all", 5, 0, [13, 13]),
        ];
        for (name, shares, lendable, seats) in levels {
            let spec = json!({"type": "Limited", "limited": {"nominalConcurrencyShares": shares,
                "lendablePercent": lendable, "limitResponse": {"type": "Reject"}}});
            let limits = read(name, &spec).unwrap().limits(600, 245);
            assert_eq!([limits.nominal, limits.lower], seats, "{name}");
            assert_eq!(limits.upper, limits.nominal + 600);
        }
    }

    #[test]
    fn no_shares_are_no_seats() {
        let level = Configuration {
            shares: 0,
            ..Configuration::catch_all()
        };
        assert_eq!(level.limits(600, 0).nominal, 0);
        let all = Configuration {
            shares: u32::MAX,
            borrowing_percent: Some(u32::MAX),
            ..Configuration::catch_all()
        };
        assert_eq!(all.limits(u32::MAX, u64::from(u32::MAX)).upper, u32::MAX);
    }

    #[test]
    fn what_is_broken_is_not_there() {
        assert!(read("a", &queuing(64, 8, 50)).is_some());
        for broken in [
            queuing(4, 5, 50),
            queuing(0, 0, 50),
            queuing(64, 0, 50),
            queuing(64, 8, 0),
            queuing(10_000_000, 8, 50),
            queuing(1, u64::MAX, 1),
            json!({"type": "Exempt"}),
            json!({"type": "Limited"}),
            json!({"type": "Limited", "limited": {"limitResponse": {"type": "Queue"}}}),
            json!({"type": "Limited", "limited": {"nominalConcurrencyShares": -1,
                "limitResponse": {"type": "Reject"}}}),
            json!("Limited"),
        ] {
            assert_eq!(read("a", &broken), None, "{broken}");
        }
        assert_eq!(read("exempt", &queuing(64, 8, 50)), None);
        assert!(read("exempt", &json!({"type": "Exempt"})).is_some());
    }

    #[test]
    fn a_request_takes_a_part_of_its_levels_seats() {
        let level = read("a", &queuing(64, 6, 50)).unwrap();
        assert_eq!(
            [0, 1, 49, 245].map(|nominal| level.width_max(nominal)),
            [1, 1, 8, 37]
        );
        assert_eq!(Configuration::catch_all().width_max(13), 13);
    }
}
