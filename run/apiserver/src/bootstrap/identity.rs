//! The Lease that tells that an API server runs, on which machine, and since when it may have run no more.
//!
//! Source: kube-apiserver `pkg/controlplane/apiserver/server.go`, component-helpers `apimachinery/lease`, `leasegc`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use data_encoding::BASE32_NOPAD;
use http::Method;
use jiff::Timestamp;
use meta::{Object, ObjectExt, StatusError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use super::{JSON, MERGE_PATCH};
use crate::server::ApiServer;

/// Where these leases stand.
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const LABEL: &str = "apiserver.kubernetes.io/identity";
const PEER_ADDRESS: &str = "kubernetes.io/peer-advertise-address";
const COMPONENT: &str = "kube-apiserver";
/// Time for which a lease is good, and between two looks for those that are so no more. Source: `IdentityLeaseDurationSeconds`.
const LEASE_SECONDS: u32 = 3600;
/// Time between two renewals. Source: `IdentityLeaseRenewIntervalPeriod`.
const RENEWED_EVERY: Duration = Duration::from_secs(10);
/// Renewals after which old leases are looked for.
const RENEWALS_PER_LOOK: u32 = LEASE_SECONDS / 10;
/// Bytes of a digest that stand in a name.
const DIGEST_BYTES: usize = 16;

/// An API server, as its lease tells of it.
pub struct IdentityLease {
    server: ApiServer,
    hostname: String,
    /// Where others reach it.
    address: Option<SocketAddr>,
    name: String,
    holder: String,
}

impl IdentityLease {
    /// The identity of a server on the machine of that name.
    pub fn new(server: ApiServer, hostname: String, address: Option<SocketAddr>) -> Self {
        let name = name(&hostname);
        let holder = format!("{name}_{}", uuid::Uuid::new_v4());
        Self {
            server,
            hostname,
            address,
            name,
            holder,
        }
    }

    /// Tells it until the server ends, and takes it back then. A lease that an earlier run left is gone first.
    pub async fn tell(self, shutdown: CancellationToken) {
        self.take_back().await;
        let mut renewals = 0;
        loop {
            if let Err(error) = self.renew().await {
                tracing::warn!(%error, "the lease of the API server was not renewed");
            }
            if renewals % RENEWALS_PER_LOOK == 0
                && let Err(error) = self.remove_old().await
            {
                tracing::warn!(%error, "old leases of API servers were not removed");
            }
            renewals += 1;
            tokio::select! {
                () = tokio::time::sleep(RENEWED_EVERY) => {}
                () = shutdown.cancelled() => return self.take_back().await,
            }
        }
    }

    fn path(&self) -> String {
        format!("{LEASES}/{}", self.name)
    }

    fn now(&self) -> Timestamp {
        (self.server.config().clock)()
    }

    /// Writes that the server still runs.
    async fn renew(&self) -> Result<(), StatusError> {
        let (server, path) = (&self.server, self.path());
        let renewed = self.renewed();
        let sent = server.send(Method::PATCH, &path, MERGE_PATCH, Some(&renewed));
        match sent.await {
            Err(error) if error.code() == 404 => {
                let lease = self.lease(&renewed);
                let made = server.send(Method::POST, LEASES, JSON, Some(&lease));
                made.await.map(drop)
            }
            sent => sent.map(drop),
        }
    }

    /// What changes with each renewal, or may have been changed by somebody.
    fn renewed(&self) -> Object {
        let mut annotations = BTreeMap::new();
        if let Some(address) = self.address {
            annotations.insert(PEER_ADDRESS, address.to_string());
        }
        json!({
            "metadata": {
                "annotations": annotations,
                "labels": {LABEL: COMPONENT, "kubernetes.io/hostname": self.hostname},
            },
            "spec": {"renewTime": meta::time::to_rfc3339_micro(self.now())},
        })
    }

    fn lease(&self, renewed: &Object) -> Object {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self.name, "namespace": "kube-system"},
            "spec": {"holderIdentity": self.holder, "leaseDurationSeconds": LEASE_SECONDS},
        });
        patch::merge(&lease, renewed)
    }

    /// Removes the lease, so that nobody looks for a server that is gone.
    async fn take_back(&self) {
        match self.delete(&self.path()).await {
            Ok(()) => {}
            Err(error) => tracing::warn!(%error, "the lease of the API server was not removed"),
        }
    }

    async fn delete(&self, path: &str) -> Result<(), StatusError> {
        match self.server.send(Method::DELETE, path, JSON, None).await {
            Err(error) if error.code() != 404 => Err(error),
            _ => Ok(()),
        }
    }

    /// Removes what servers left that did not end well.
    async fn remove_old(&self) -> Result<(), StatusError> {
        let path = format!("{LEASES}?labelSelector={LABEL}%3D{COMPONENT}");
        let list = self.server.send(Method::GET, &path, "", None).await?;
        let now = self.now();
        for lease in list.list_at(&["items"]) {
            if is_old(lease, now) {
                self.delete(&format!("{LEASES}/{}", lease.name())).await?;
            }
        }
        Ok(())
    }
}

/// Whether a lease has run out, or says not when it does.
fn is_old(lease: &Object, now: Timestamp) -> bool {
    let renewed = lease.str_at(&["spec", "renewTime"]);
    let renewed = renewed.and_then(|text| text.parse::<Timestamp>().ok());
    let seconds = lease.at(&["spec", "leaseDurationSeconds"]);
    let seconds = seconds.and_then(Value::as_i64);
    match (renewed, seconds) {
        (Some(renewed), Some(seconds)) => now.duration_since(renewed).as_secs() > seconds,
        _ => true,
    }
}

/// The name of the server's lease: one for each machine.
///
/// Source: apiserver `server.NewConfig`.
fn name(hostname: &str) -> String {
    let mut digested = Vec::new();
    for part in [hostname, COMPONENT] {
        let length = u16::try_from(part.len()).unwrap_or(u16::MAX);
        digested.extend(length.to_be_bytes());
        digested.extend(part.bytes());
    }
    let digest = ring::digest::digest(&ring::digest::SHA256, &digested);
    let (digest, _) = digest.as_ref().split_at(DIGEST_BYTES);
    let digest = BASE32_NOPAD.encode(digest).to_ascii_lowercase();
    format!("apiserver-{digest}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_of_the_machine() {
        // What a stock server on a machine of this name calls itself.
        assert_eq!(name("vm"), "apiserver-wlv32tlttr4jl3gtroqexyxapa");
    }

    #[test]
    fn a_lease_is_old_once_its_time_has_passed() {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        for (renewed, is_so) in [
            ("2026-01-01T00:30:00.000000Z", false),
            ("2025-12-31T23:59:59.000000Z", true),
            ("", true),
        ] {
            let lease = json!({"spec": {"renewTime": renewed, "leaseDurationSeconds": 3600}});
            assert_eq!(is_old(&lease, now), is_so, "{renewed}");
        }
        assert!(is_old(&json!({}), now));
    }
}
