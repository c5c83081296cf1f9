//! Turns: of writes that give out something unique, or that count against a quota, one runs at a time.

use std::sync::Arc;

use kinds::strategy::Operation;
use kinds::{Kind, Lookup};
use tokio::sync::{Mutex, OwnedMutexGuard};

use crate::cluster::Cluster;
use crate::request::RequestInfo;

/// Held by the one write that runs.
pub(crate) type Turn = OwnedMutexGuard<()>;

/// Gives turns.
#[derive(Default)]
pub(crate) struct Turns(Arc<Mutex<()>>);

impl Turns {
    /// The turn to write; `None` where none is needed.
    pub(crate) async fn take(
        &self,
        cluster: &Cluster<'_>,
        kind: &Kind,
        info: &RequestInfo,
        operation: Operation,
    ) -> Option<Turn> {
        let is_counted = || {
            let resource = kind.group_resource().to_string();
            kind.is_namespaced()
                && access::quota::may_raise(&resource, &info.subresource, operation)
                && !cluster.list("resourcequotas", &info.namespace).is_empty()
        };
        let is_given = kind.strategy.allocates() && info.subresource.is_empty();
        if !is_given && !is_counted() {
            return None;
        }
        Some(Arc::clone(&self.0).lock_owned().await)
    }
}
