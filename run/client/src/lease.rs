//! Leader election by a Lease: one of several processes works, the others wait.

use std::time::Duration;

use jiff::Timestamp;
use meta::time::{from_rfc3339, to_rfc3339_micro};
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info};

use crate::error::ClientError;
use crate::rest::Rest;

/// Leases.
pub const LEASES: Resource = Resource::namespaced("coordination.k8s.io", "v1", "Lease", "leases");
/// How long a lease holds without renewal. Source: client-go leader election, kube-controller-manager's defaults.
const LEASE_SECONDS: i64 = 15;
/// How long the holder tries before it gives up.
const RENEW_DEADLINE: Duration = Duration::from_secs(10);
/// Wait between attempts.
const RETRY_PERIOD: Duration = Duration::from_secs(2);

/// A candidate for a lease.
#[derive(Clone)]
pub struct Elector {
    rest: Rest,
    key: Key,
    identity: String,
}

impl Elector {
    /// A candidate named `identity` for the lease `name` in `kube-system`.
    pub fn new(rest: Rest, name: &str, identity: &str) -> Self {
        Self {
            rest,
            key: Key::new("kube-system", name),
            identity: identity.to_owned(),
        }
    }

    /// Waits until this candidate leads; false when `shutdown` came first.
    pub async fn acquire(&self, shutdown: &CancellationToken) -> bool {
        loop {
            match self.try_hold().await {
                Ok(true) => {
                    info!(lease = %self.key, identity = self.identity, "became leader");
                    return true;
                }
                Ok(false) => {}
                Err(error) => {
                    debug!(error = &error as &dyn std::error::Error, lease = %self.key, "lease not acquired");
                }
            }
            tokio::select! {
                () = shutdown.cancelled() => return false,
                () = tokio::time::sleep(RETRY_PERIOD) => {}
            }
        }
    }

    /// Renews the lease until it is lost or `shutdown` comes; on shutdown the lease is given up.
    pub async fn keep(&self, shutdown: &CancellationToken) {
        let mut renewed = tokio::time::Instant::now();
        loop {
            tokio::select! {
                () = shutdown.cancelled() => {
                    if let Err(error) = self.release().await {
                        debug!(error = &error as &dyn std::error::Error, "lease not given up");
                    }
                    return;
                }
                () = tokio::time::sleep(RETRY_PERIOD) => {}
            }
            match self.try_hold().await {
                Ok(true) => renewed = tokio::time::Instant::now(),
                Ok(false) => return,
                Err(_) if renewed.elapsed() > RENEW_DEADLINE => return,
                Err(_) => {}
            }
        }
    }

    async fn try_hold(&self) -> Result<bool, ClientError> {
        let now = Timestamp::now();
        let lease = match self.rest.get(&LEASES, &self.key).await {
            Ok(lease) => lease,
            Err(error) if error.is_not_found() => {
                let lease = claimed(
                    &json!({ "metadata": {
                        "namespace": self.key.namespace, "name": self.key.name,
                    }}),
                    &self.identity,
                    now,
                );
                self.rest.create(&LEASES, &lease).await?;
                return Ok(true);
            }
            Err(error) => return Err(error),
        };
        if holder(&lease) != self.identity && !is_expired(&lease, now) {
            return Ok(false);
        }
        match self
            .rest
            .replace(&LEASES, None, &claimed(&lease, &self.identity, now))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_conflict() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn release(&self) -> Result<(), ClientError> {
        let mut lease = self.rest.get(&LEASES, &self.key).await?;
        if holder(&lease) == self.identity {
            lease.set(&["spec", "holderIdentity"], "".into());
            lease.set(&["spec", "leaseDurationSeconds"], 1.into());
            self.rest.replace(&LEASES, None, &lease).await?;
        }
        Ok(())
    }
}

fn holder(lease: &Object) -> &str {
    lease
        .str_at(&["spec", "holderIdentity"])
        .unwrap_or_default()
}

fn is_expired(lease: &Object, now: Timestamp) -> bool {
    let seconds = lease
        .int_at(&["spec", "leaseDurationSeconds"])
        .unwrap_or(LEASE_SECONDS);
    let renewed = lease.str_at(&["spec", "renewTime"]).and_then(from_rfc3339);
    holder(lease).is_empty()
        || renewed.is_none_or(|renewed| now.duration_since(renewed).as_secs() >= seconds)
}

/// The lease held by `identity` from now on.
fn claimed(lease: &Object, identity: &str, now: Timestamp) -> Object {
    let mut lease = lease.clone();
    let is_new_holder = holder(&lease) != identity;
    let text = to_rfc3339_micro(now);
    lease.set(&["apiVersion"], "coordination.k8s.io/v1".into());
    lease.set(&["kind"], "Lease".into());
    if is_new_holder {
        let transitions = lease.int_at(&["spec", "leaseTransitions"]);
        let transitions = transitions.map_or(0, |transitions| transitions + 1);
        lease.set(&["spec", "leaseTransitions"], transitions.into());
        lease.set(&["spec", "acquireTime"], text.clone().into());
        lease.set(&["spec", "holderIdentity"], identity.into());
    }
    lease.set(&["spec", "leaseDurationSeconds"], LEASE_SECONDS.into());
    lease.set(&["spec", "renewTime"], text.into());
    lease
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    #[test]
    fn a_lease_expires_and_changes_hands() {
        let lease = claimed(&json!({}), "a", at(0));
        assert!(!is_expired(&lease, at(14)) && is_expired(&lease, at(15)));
        assert_eq!(lease.int_at(&["spec", "leaseTransitions"]), Some(0));
        let taken = claimed(&lease, "b", at(20));
        assert_eq!(
            (holder(&taken), taken.int_at(&["spec", "leaseTransitions"])),
            ("b", Some(1))
        );
        let renewed = claimed(&taken, "b", at(30));
        assert_eq!(renewed["spec"]["acquireTime"], taken["spec"]["acquireTime"]);
    }
}
