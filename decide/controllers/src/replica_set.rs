//! Replica sets: as many pods as asked for, no more and no fewer.
//!
//! Source: `pkg/controller/replicaset`. The older replication controllers share everything but their names.

use jiff::Timestamp;
use meta::{Key, Object, Resource};

use crate::claim;
use crate::controller::{Controller, Decision, Failure};
use crate::resources::{PODS, REPLICA_SETS, REPLICATION_CONTROLLERS};
use crate::snapshot::Snapshot;

mod manage;
mod rank;
#[cfg(test)]
mod tests;

pub use manage::Observed;

/// The replica set controller.
#[derive(Debug)]
pub struct ReplicaSet;

/// The replication controller controller.
#[derive(Debug)]
pub struct ReplicationController;

impl Controller for ReplicaSet {
    type Observed = Observed;
    const NAME: &'static str = "replicaset-controller";
    const SUBJECT: Resource = REPLICA_SETS;
    const WATCHES: &'static [Resource] = &[REPLICA_SETS, PODS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        manage::concerns(snapshot, &Self::SUBJECT, resource, object)
    }
    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        manage::observe(snapshot, &Self::SUBJECT, key)
    }
    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        manage::decide(seen, &Self::SUBJECT, now)
    }
    fn failed(seen: &Observed, failure: &Failure, now: Timestamp) -> Option<Decision> {
        manage::failed(seen, &Self::SUBJECT, failure, now)
    }
}

impl Controller for ReplicationController {
    type Observed = Observed;
    const NAME: &'static str = "replication-controller";
    const SUBJECT: Resource = REPLICATION_CONTROLLERS;
    const WATCHES: &'static [Resource] = &[REPLICATION_CONTROLLERS, PODS];

    fn concerns(snapshot: &dyn Snapshot, resource: &Resource, object: &Object) -> Vec<Key> {
        manage::concerns(snapshot, &Self::SUBJECT, resource, object)
    }
    fn observe(snapshot: &dyn Snapshot, key: &Key) -> Option<Observed> {
        manage::observe(snapshot, &Self::SUBJECT, key)
    }
    fn decide(seen: &Observed, now: Timestamp) -> Decision {
        manage::decide(seen, &Self::SUBJECT, now)
    }
    fn failed(seen: &Observed, failure: &Failure, now: Timestamp) -> Option<Decision> {
        manage::failed(seen, &Self::SUBJECT, failure, now)
    }
}
