//! Shuffle sharding: the few queues, of many, in which one flow may wait.
//!
//! Two flows rarely share all of theirs, so that a flow which fills its queues leaves others a place.
//!
//! Source: apiserver `util/shufflesharding`.

use super::level::{HAND_MAX, Queuing};

/// The queues of one flow.
pub(super) struct Hand {
    cards: [u32; HAND_MAX as usize],
    len: usize,
}

impl Hand {
    /// Deals so many different queues by a hash.
    pub(super) fn deal(mut hash: u64, queuing: Queuing) -> Self {
        let mut drawn = [0; HAND_MAX as usize];
        let mut cards = drawn;
        let len = queuing.hand.min(HAND_MAX).min(queuing.queues) as usize;
        for (at, left) in (0..len).zip((1..=queuing.queues).rev()) {
            // Which of those that are left.
            let place = u32::try_from(hash % u64::from(left)).unwrap_or_default();
            hash /= u64::from(left);
            let before = drawn.iter().take(at).rev();
            let card = before.fold(place, |card, earlier| card + u32::from(card >= *earlier));
            if let (Some(drawn), Some(dealt)) = (drawn.get_mut(at), cards.get_mut(at)) {
                (*drawn, *dealt) = (place, card);
            }
        }
        Self { cards, len }
    }

    /// All of them, from the one at `first` on.
    pub(super) fn from(&self, first: usize) -> impl Iterator<Item = u32> {
        let cards = self.cards.iter().take(self.len);
        cards
            .cycle()
            .skip(first % self.len.max(1))
            .take(self.len)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn hand(hash: u64, queues: u32, hand: u32) -> Vec<u32> {
        let queuing = Queuing {
            queues,
            hand,
            length: 1,
        };
        Hand::deal(hash, queuing).from(0).collect()
    }

    #[test]
    fn a_hand_has_different_queues_and_every_hand_is_dealt() {
        let all: BTreeSet<Vec<u32>> = (0..5 * 4 * 3).map(|hash| hand(hash, 5, 3)).collect();
        assert_eq!(all.len(), 5 * 4 * 3);
        for hand in all {
            assert!(hand.iter().all(|queue| *queue < 5));
            assert_eq!(hand.iter().collect::<BTreeSet<_>>().len(), 3, "{hand:?}");
        }
    }

    #[test]
    fn any_part_of_the_queues_can_be_dealt() {
        assert_eq!(hand(u64::MAX, 1, 1), [0]);
        let mut whole = hand(u64::MAX, 15, 15);
        whole.sort_unstable();
        assert_eq!(whole, (0..15).collect::<Vec<u32>>());
        assert_eq!(hand(7, 3, 9).len(), 3);
        assert!(hand(7, 0, 1).is_empty());
        assert!(
            hand(u64::MAX, 10_000_000, 2)
                .iter()
                .all(|queue| *queue < 10_000_000)
        );
    }
}
