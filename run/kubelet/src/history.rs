//! What cannot be seen: attempts that failed and left no trace, and answers worth keeping for a moment.
//!
//! An agent that restarts starts without it and tries again; nothing is lost but a back-off.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::Timestamp;
use node::events::Event;
use node::seen::{Failure, ImageSeen, Volumes};

use crate::act::Failed;

/// What is remembered for one pod.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) images: BTreeMap<String, ImageSeen>,
    pub(crate) pulled_for: BTreeMap<String, u32>,
    pub(crate) pull_failures: BTreeMap<String, Failure>,
    pub(crate) start_failures: BTreeMap<String, Failure>,
    pub(crate) sandbox_failure: Option<Failure>,
    pub(crate) volumes: Volumes,
    recorded: BTreeMap<(Cow<'static, str>, String), Timestamp>,
}

/// The shortest time between two equal events, in seconds.
const EVENT_SECONDS_MIN: i64 = 10;
/// Most events remembered per pod.
const EVENTS_MAX: usize = 64;

impl History {
    /// Volumes could not be put in place. Those that are stay in use while they cannot be renewed.
    pub(crate) fn mount_failed(&mut self, message: String) {
        let before = match &self.volumes {
            Volumes::Ready => return,
            Volumes::Failed(failure) => Some(failure),
            Volumes::Missing | Volumes::Removed => None,
        };
        self.volumes = Volumes::Failed(failure(before, ("FailedMount".to_owned(), message)));
    }

    /// A sandbox was made, or not.
    pub(crate) fn sandbox(&mut self, result: Result<(), String>) {
        let before = self.sandbox_failure.take();
        let named = |message| ("FailedCreatePodSandBox".to_owned(), message);
        self.sandbox_failure = result
            .err()
            .map(|message| failure(before.as_ref(), named(message)));
    }

    /// An image was pulled, or not. One that was not is looked up again before the next attempt: somebody may import it.
    pub(crate) fn pulled(
        &mut self,
        name: String,
        image: String,
        attempt: u32,
        result: Result<String, Failed>,
    ) {
        match result {
            Ok(id) => {
                self.pull_failures.remove(&image);
                self.pulled_for.insert(name, attempt);
                self.images.insert(image, ImageSeen::Present { id });
            }
            Err(failed) => {
                let failure = failure(self.pull_failures.get(&image), failed);
                self.images.remove(&image);
                self.pull_failures.insert(image, failure);
            }
        }
    }

    /// A container was started, or not. Its image is looked up again before the next start.
    pub(crate) fn started(&mut self, name: String, image: &str, result: Result<(), Failed>) {
        self.images.remove(image);
        match result {
            Ok(()) => {
                self.start_failures.remove(&name);
            }
            Err(failed) => {
                let failure = failure(self.start_failures.get(&name), failed);
                self.start_failures.insert(name, failure);
            }
        }
    }

    /// Whether an event is worth recording: not one that was recorded a moment ago.
    pub(crate) fn is_new(&mut self, event: &Event, now: Timestamp) -> bool {
        self.recorded
            .retain(|_, at| now.duration_since(*at).as_secs() < EVENT_SECONDS_MIN);
        let key = (event.reason.clone(), event.message.clone());
        if self.recorded.contains_key(&key) || self.recorded.len() >= EVENTS_MAX {
            return false;
        }
        self.recorded.insert(key, now);
        true
    }
}

/// A failure, counted after the ones before.
fn failure(before: Option<&Failure>, (reason, message): Failed) -> Failure {
    Failure {
        reason,
        message,
        at: Timestamp::now(),
        count: before.map_or(1, |failure| failure.count.saturating_add(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_could_not_be_pulled_is_looked_up_again() {
        let mut history = History::default();
        let at = Timestamp::UNIX_EPOCH;
        let image = || "x:1".to_owned();
        history.images.insert(image(), ImageSeen::Absent { at });
        let failed = ("ErrImagePull".to_owned(), "no such host".to_owned());
        history.pulled("a".to_owned(), image(), 0, Err(failed));
        assert!(history.images.is_empty());
        assert_eq!(history.pull_failures["x:1"].count, 1);
    }
}
