//! Certificates that the process itself uses, replaced before they end, while it runs.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use crate::authority::{Authority, Identity, KeyedCertificate, LEAF_LIFE, PkiError};

/// Part of a certificate's life, at its end, in which it is due: a third, as in upstream's kubelet at its latest.
const DUE_PART: i32 = 3;
/// Longest sleep. A timer does not notice that the machine slept or that its clock was set.
const SLEEP_MAX: Duration = Duration::from_hours(12);
/// Wait after a renewal that failed.
const RETRY: Duration = Duration::from_mins(10);

/// Renews certificates of one authority.
#[derive(Clone)]
pub struct Renewal {
    /// Who signs.
    pub authority: Arc<Authority>,
    /// The time.
    pub clock: fn() -> Timestamp,
}

impl Renewal {
    /// Keeps the certificate of an identity fresh for ever; `take` puts each new one to use.
    ///
    /// `current` ends at `not_after`. What fails is logged and tried again; the old certificate stays in use meanwhile.
    pub async fn keep(
        self,
        identity: Identity,
        mut not_after: Timestamp,
        take: impl Fn(&KeyedCertificate) -> Result<(), Box<dyn Error + Send + Sync>> + Send,
    ) -> Infallible {
        loop {
            while let Some(wait) = wait(not_after, (self.clock)()) {
                tokio::time::sleep(wait).await;
            }
            let name = identity.common_name.as_str();
            match self.renew(&identity, &take) {
                Ok(end) => {
                    info!(name, until = %end, "certificate renewed");
                    not_after = end;
                }
                Err(error) => {
                    warn!(
                        name,
                        error = &*error as &dyn Error,
                        "certificate not renewed"
                    );
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    fn renew(
        &self,
        identity: &Identity,
        take: impl Fn(&KeyedCertificate) -> Result<(), Box<dyn Error + Send + Sync>>,
    ) -> Result<Timestamp, Box<dyn Error + Send + Sync>> {
        let next = self.issue(identity)?;
        take(&next)?;
        Ok(next.not_after)
    }

    /// A certificate for the identity, good from now.
    ///
    /// # Errors
    /// See [`Authority::issue`].
    pub fn issue(&self, identity: &Identity) -> Result<KeyedCertificate, PkiError> {
        self.authority.issue(identity, (self.clock)())
    }
}

/// How long to sleep before looking again; `None` when the certificate is due.
fn wait(not_after: Timestamp, now: Timestamp) -> Option<Duration> {
    let due = not_after - LEAF_LIFE / DUE_PART;
    let left: SignedDuration = now.duration_until(due);
    let left = Duration::try_from(left)
        .ok()
        .filter(|left| !left.is_zero())?;
    Some(left.min(SLEEP_MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc;

    use super::*;

    static NOW: Mutex<Timestamp> = Mutex::new(Timestamp::UNIX_EPOCH);

    fn clock() -> Timestamp {
        *NOW.lock().unwrap()
    }

    #[test]
    fn a_certificate_is_due_in_the_last_third_of_its_life() {
        let end = Timestamp::UNIX_EPOCH + LEAF_LIFE;
        assert_eq!(wait(end, Timestamp::UNIX_EPOCH), Some(SLEEP_MAX));
        let due = end - LEAF_LIFE / 3;
        let minute = SignedDuration::from_mins(1);
        assert_eq!(wait(end, due - minute), Some(Duration::from_mins(1)));
        assert_eq!(wait(end, due), None);
        assert_eq!(wait(end, end + minute), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_was_set_ahead_is_noticed_and_failures_are_tried_again() {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::open(directory.path(), clock()).unwrap();
        let renewal = Renewal {
            authority: Arc::new(authority),
            clock,
        };
        let (sender, taken) = mpsc::channel();
        let failures = Mutex::new(1);
        let take = move |next: &KeyedCertificate| {
            let mut failures = failures.lock().unwrap();
            if *failures > 0 {
                *failures -= 1;
                return Err("the disk is full".into());
            }
            sender.send(next.not_after).map_err(Into::into)
        };
        let identity = Identity::client("test", "testers");
        let task = tokio::spawn(renewal.keep(identity, clock() + LEAF_LIFE, take));
        tokio::time::sleep(SLEEP_MAX * 2).await;
        assert!(taken.try_recv().is_err(), "nothing is due on the first day");
        *NOW.lock().unwrap() += LEAF_LIFE;
        tokio::time::sleep(SLEEP_MAX * 2).await;
        assert_eq!(taken.try_recv().unwrap(), clock() + LEAF_LIFE);
        assert!(taken.try_recv().is_err(), "one is enough");
        task.abort();
    }
}
