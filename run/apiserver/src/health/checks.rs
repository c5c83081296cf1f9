//! What is asked for, by upstream's names and in its order.
//!
//! Upstream's server starts while it serves: a check for each thing that it starts says whether that is done. Here all of
//! it is there before the first request is taken, so that the same names are always well.
//!
//! Source: apiserver `server/config.go`, `server/hooks.go`; kube-apiserver `pkg/controlplane`; kube-aggregator.

use std::sync::Arc;

use futures::FutureExt as _;
use store::{Key, Store};

use super::{Check, Endpoint};

/// Asked by all three endpoints, in the order of their names.
pub const ALL: &[Endpoint] = &[Endpoint::Healthz, Endpoint::Livez, Endpoint::Readyz];
const LIVE: &[Endpoint] = &[Endpoint::Healthz, Endpoint::Livez];
const READY: &[Endpoint] = &[Endpoint::Readyz];

/// What upstream's server starts, in the order in which it tells.
const STARTED: [&str; 31] = [
    "poststarthook/start-apiserver-admission-initializer",
    "poststarthook/generic-apiserver-start-informers",
    "poststarthook/priority-and-fairness-config-consumer",
    "poststarthook/priority-and-fairness-filter",
    "poststarthook/storage-object-count-tracker-hook",
    "poststarthook/start-apiextensions-informers",
    "poststarthook/start-apiextensions-controllers",
    "poststarthook/crd-informer-synced",
    "poststarthook/start-system-namespaces-controller",
    "poststarthook/peer-endpoint-reconciler-controller",
    "poststarthook/start-cluster-authentication-info-controller",
    "poststarthook/start-kube-apiserver-identity-lease-controller",
    "poststarthook/start-kube-apiserver-identity-lease-garbage-collector",
    "poststarthook/storage-readiness",
    "poststarthook/start-legacy-token-tracking-controller",
    "poststarthook/start-service-ip-repair-controllers",
    "poststarthook/rbac/bootstrap-roles",
    "poststarthook/scheduling/bootstrap-system-priority-classes",
    "poststarthook/priority-and-fairness-config-producer",
    "poststarthook/bootstrap-controller",
    "poststarthook/start-kubernetes-service-cidr-controller",
    "poststarthook/start-kube-aggregator-informers",
    "poststarthook/apiservice-status-local-available-controller",
    "poststarthook/apiservice-status-remote-available-controller",
    "poststarthook/apiservice-registration-controller",
    "poststarthook/apiservice-wait-for-first-sync",
    "poststarthook/apiservice-discovery-controller",
    "poststarthook/kube-apiserver-autoregistration",
    "autoregister-completion",
    "poststarthook/apiservice-openapi-controller",
    "poststarthook/apiservice-openapiv3-controller",
];

/// Every check of a server that keeps its objects in `store` and whose process may be about to end.
pub fn all(
    store: &Arc<dyn Store>,
    is_ending: impl Fn() -> bool + Send + Sync + 'static,
) -> Vec<Check> {
    let there = |name, asked_by| Check::new(name, asked_by, || Ok(()));
    let first = [
        ping(),
        there("log", ALL),
        // Calls from within the process need no certificate that could run out.
        there("loopback-serving-certificate", LIVE),
        answers("etcd", ALL, store),
        answers("etcd-readiness", READY, store),
        there("informer-sync", READY),
    ];
    let started = STARTED.iter().map(|name| there(name, ALL));
    let checks = first.into_iter().chain(started);
    checks.chain([shutdown(is_ending)]).collect()
}

/// The check that is always there: whoever answers is alive.
pub fn ping() -> Check {
    Check::new("ping", ALL, || Ok(()))
}

/// Whether the store answers. It has upstream's names, whatever engine stands behind it.
fn answers(name: &'static str, asked_by: &'static [Endpoint], store: &Arc<dyn Store>) -> Check {
    let store = Arc::clone(store);
    Check::new(name, asked_by, move || {
        match store.get(&Key::new("health", "", "")).now_or_never() {
            Some(answer) => answer.map(drop).map_err(|error| error.to_string()),
            None => Err("the store does not answer at once".to_owned()),
        }
    })
}

/// Fails once the process is about to end, so that no more requests are sent to it.
fn shutdown(is_ending: impl Fn() -> bool + Send + Sync + 'static) -> Check {
    Check::new("shutdown", READY, move || {
        if is_ending() {
            return Err("process is shutting down".to_owned());
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::health::answer;

    #[test]
    fn an_ending_server_is_alive_but_not_ready() {
        let store: Arc<dyn Store> = Arc::new(store::MemoryStore::new());
        let code = |path, is_ending: bool| {
            let checks = all(&store, move || is_ending);
            answer(path, "", &checks).unwrap().status().as_u16()
        };
        assert_eq!([code("/livez", false), code("/readyz", false)], [200, 200]);
        assert_eq!([code("/livez", true), code("/readyz", true)], [200, 500]);
        assert_eq!(code("/readyz/etcd-readiness", true), 200);
        assert_eq!(code("/livez/etcd-readiness", true), 404);
        assert_eq!(code("/livez/poststarthook/rbac/bootstrap-roles", true), 200);
    }
}
