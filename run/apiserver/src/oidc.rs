//! An issuer of tokens elsewhere: its keys are fetched, kept, and fetched again for a token that none of them signed.
//!
//! One task fetches, at most so often. Of the requests that want newer keys a few wait for it, for a while; the others are
//! refused, and none holds up another. What a token says is decided in `access`.

mod fetch;
mod signature;

use std::sync::Arc;
use std::time::Duration;

use access::authn::oidc::{Issuer, Key};
use futures::FutureExt;
use jiff::Timestamp;
use kinds::strategy::User;
use thiserror::Error;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::time::MissedTickBehavior;

use fetch::Source;

/// Bounds of what is fetched from an issuer, and of who waits for it.
#[derive(Clone, Copy, Debug)]
pub struct FetchLimits {
    /// Shortest time between two fetches, and between two tries while nothing is known of the issuer.
    pub pause: Duration,
    /// Longest time for one answer of the issuer.
    pub answer: Duration,
    /// Largest answer, in bytes.
    pub bytes_max: usize,
    /// Longest time that a request waits for newer keys.
    pub wait: Duration,
    /// Most requests that wait.
    pub waiting_max: usize,
}

impl FetchLimits {
    /// The times are upstream's (apiserver `oidc.New`); there is no bound of the others there.
    pub const fn upstream() -> Self {
        Self {
            pause: Duration::from_secs(10),
            answer: Duration::from_secs(30),
            bytes_max: 1 << 20,
            wait: Duration::from_secs(10),
            waiting_max: 32,
        }
    }
}

/// What can go wrong before anything is fetched.
#[derive(Debug, Error)]
pub enum OidcError {
    /// The URL is none.
    #[error("cannot use the issuer's URL")]
    Url(#[source] http::uri::InvalidUri),
    /// The authority that signed the issuer's certificate cannot be used.
    #[error("cannot use the issuer's certificate authority: {0}")]
    Authority(String),
    /// The TLS settings are refused.
    #[error("cannot set up TLS")]
    Tls(#[source] rustls::Error),
}

/// An issuer, and what is known of its keys.
pub struct Oidc {
    issuer: Issuer,
    source: Source,
    limits: FetchLimits,
    known: watch::Sender<Known>,
    wanted: Notify,
    waiting: Semaphore,
}

#[derive(Clone, Default)]
struct Known {
    /// `None` until they were fetched once.
    keys: Option<Arc<[Key]>>,
    /// Whether they were asked for so short a time ago that they are not asked for again.
    is_fresh: bool,
}

impl Oidc {
    /// Knows no keys until [`Self::keep`] runs. `authority` (PEM) signed the issuer's certificate; `None` trusts whom the
    /// machine trusts.
    ///
    /// # Errors
    /// The URL or the authority cannot be used.
    pub fn new(
        issuer: Issuer,
        authority: Option<&str>,
        limits: FetchLimits,
    ) -> Result<Self, OidcError> {
        Ok(Self {
            source: Source::new(&issuer.url, authority, limits)?,
            issuer,
            limits,
            known: watch::Sender::default(),
            wanted: Notify::new(),
            waiting: Semaphore::new(limits.waiting_max),
        })
    }

    /// Fetches the keys until they are there, and again when they are wanted; never ends.
    pub async fn keep(&self) {
        let mut pause = tokio::time::interval(self.limits.pause);
        pause.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut keys_at = None;
        loop {
            pause.tick().await;
            let mut is_known = false;
            self.known.send_if_modified(|known| {
                known.is_fresh = false;
                is_known = known.keys.is_some();
                false
            });
            if is_known {
                self.wanted.notified().await;
            }
            pause.reset();
            let fetched = self.source.keys(&mut keys_at).await;
            if let Err(error) = &fetched {
                let error = error as &dyn std::error::Error;
                tracing::warn!(
                    error,
                    issuer = self.issuer.url,
                    "cannot fetch the issuer's keys"
                );
            }
            // Who wanted keys meanwhile wanted these.
            self.wanted.notified().now_or_never();
            self.known.send_modify(|known| {
                known.is_fresh = true;
                if let Ok(keys) = fetched {
                    known.keys = Some(keys.into());
                }
            });
        }
    }

    /// The user whom a token of the issuer names.
    ///
    /// # Errors
    /// It is no token of this issuer; or this is what is wrong with it.
    pub(crate) async fn user_of(
        &self,
        token: &str,
        clock: fn() -> Timestamp,
    ) -> Result<User, Option<String>> {
        let token = self.issuer.read(token).ok_or(None)??;
        let mut known = self.known.subscribe();
        let seen = known.borrow_and_update().clone();
        let keys = seen
            .keys
            .ok_or_else(|| "oidc: authenticator not initialized".to_owned())?;
        let mut claims = token.verify(keys.iter(), signature::fits);
        if claims.is_none() && !seen.is_fresh {
            let keys = self.newer(known).await;
            let keys = keys.iter().flat_map(|keys| keys.iter());
            claims = token.verify(keys, signature::fits);
        }
        let claims = claims.ok_or_else(|| {
            "oidc: verify token: failed to verify signature: failed to verify id token signature"
                .to_owned()
        })?;
        Ok(self.issuer.user_of(&claims, clock())?)
    }

    /// Keys that are newer than those that were seen last; `None` when they do not come, or too many wait for them.
    async fn newer(&self, mut known: watch::Receiver<Known>) -> Option<Arc<[Key]>> {
        let _waiting = self.waiting.try_acquire().ok()?;
        self.wanted.notify_one();
        let changed = tokio::time::timeout(self.limits.wait, known.changed());
        changed.await.ok()?.ok()?;
        known.borrow().keys.clone()
    }
}
