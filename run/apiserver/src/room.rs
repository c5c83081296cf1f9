//! Room for answers that are made or wait to be read, and for large changes: how many bytes of memory they take together.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What an answer takes that is made while it is read: the piece that is made, the one that is sent, and what compresses.
pub(crate) const STREAM_BYTES: usize = 256 << 10;

/// One user may take this part of the room.
const PART_OF_ONE: usize = 2;

// DIFFERS: upstream bounds how many requests run and lets each take what it takes; a small machine has less to give.
/// Room of so many bytes.
#[derive(Clone)]
pub(crate) struct Room(Arc<Inner>);

struct Inner {
    bytes_max: usize,
    taken: Mutex<Taken>,
}

#[derive(Default)]
struct Taken {
    all: usize,
    by_user: HashMap<Arc<str>, usize>,
}

/// There is not enough room.
#[derive(Debug)]
pub(crate) struct NoRoom;

/// What one answer takes; given back when it is dropped.
pub(crate) struct Share {
    room: Room,
    user: Arc<str>,
    bytes: usize,
}

/// Whether so many more bytes may be taken by somebody who has `own` of the `all` that are taken.
///
/// What is larger than the room is let in when it is alone there: it could never be answered otherwise.
fn fits(bytes_max: usize, all: usize, own: usize, more: usize) -> bool {
    let is_within =
        |taken: usize, max: usize| taken.checked_add(more).is_some_and(|sum| sum <= max);
    let is_fair = own == 0 || is_within(own, bytes_max / PART_OF_ONE);
    all == 0 || (is_fair && is_within(all, bytes_max))
}

impl Room {
    /// Room for `bytes_max` bytes, of which one user may take half.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Inner {
            bytes_max,
            taken: Mutex::default(),
        }))
    }

    /// Takes room for a user's answer; `None` when there is not enough.
    pub(crate) fn take(&self, user: &str, bytes: usize) -> Option<Share> {
        let mut taken = self.taken();
        let own = taken.by_user.get(user).copied().unwrap_or_default();
        fits(self.0.bytes_max, taken.all, own, bytes).then(|| {
            let user: Arc<str> = Arc::from(user);
            taken.all += bytes;
            *taken.by_user.entry(Arc::clone(&user)).or_default() += bytes;
            Share {
                room: self.clone(),
                user,
                bytes,
            }
        })
    }

    /// Takes room as [`Self::take`] does, but none, which is `None`, for no more bytes than `free`.
    pub(crate) fn take_beyond(
        &self,
        free: usize,
        user: &str,
        bytes: usize,
    ) -> Result<Option<Share>, NoRoom> {
        if bytes <= free {
            return Ok(None);
        }
        self.take(user, bytes).map(Some).ok_or(NoRoom)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.0.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn bytes_taken(&self) -> usize {
        self.taken().all
    }
}

impl Share {
    /// Gives back what is not needed after all.
    pub(crate) fn shrink_to(&mut self, bytes: usize) {
        let surplus = self.bytes.saturating_sub(bytes);
        self.bytes -= surplus;
        self.room.taken().give_back(&self.user, surplus);
    }
}

impl Taken {
    fn give_back(&mut self, user: &str, bytes: usize) {
        self.all -= bytes;
        if let Some(own) = self.by_user.get_mut(user) {
            *own -= bytes;
            if *own == 0 {
                self.by_user.remove(user);
            }
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.room.taken().give_back(&self.user, self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_leaves_room_for_others() {
        assert!(fits(100, 40, 40, 10));
        assert!(!fits(100, 40, 40, 11));
        assert!(fits(100, 50, 0, 50));
        assert!(!fits(100, 50, 0, 51));
        // A first answer may be larger than a user's part; any answer is let in when nobody else has one.
        assert!(fits(100, 10, 0, 90));
        assert!(fits(100, 0, 0, 1000));
        assert!(!fits(100, 1000, 0, 1) && !fits(100, 1, 0, usize::MAX));
    }

    #[test]
    fn what_is_given_back_can_be_taken_again() {
        let room = Room::new(100);
        let mut first = room.take("jo", 50).unwrap();
        assert!(room.take("jo", 1).is_none());
        let other = room.take("bo", 50).unwrap();
        assert!(room.take("jim", 1).is_none());
        first.shrink_to(20);
        let second = room.take("jo", 30).unwrap();
        drop((first, second, other));
        assert_eq!(room.bytes_taken(), 0);
        assert!(room.taken().by_user.is_empty());
    }
}
