//! What somebody deletes of the bootstrap objects, or changes though it is the server's, comes back while the server runs.
//!
//! DIFFERS: at once, where upstream looks every ten seconds or every minute (`pkg/controlplane/controller`,
//! `pkg/registry/flowcontrol/rest`). Roles and bindings are mended at the next start alone, as upstream's.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::{self, BoxStream, SelectAll};
use meta::{Object, ObjectExt, StatusError};
use store::{Change, Key, Watch, WatchEnd, WatchItem, WatchScope};

use super::{Bootstrapped, kind};

/// Kinds of the objects that come back.
const KEPT: [&str; 6] = [
    "ConfigMap",
    "FlowSchema",
    "Namespace",
    "PriorityLevelConfiguration",
    "Service",
    "ServiceCIDR",
];
/// Wait after an object could not be made, such as on a full disk.
const RETRY: Duration = Duration::from_secs(5);

/// What happens to the objects of several watches.
type Items = SelectAll<BoxStream<'static, Result<WatchItem, WatchEnd>>>;

impl Bootstrapped {
    /// Makes anew what is deleted, until the future is dropped or the store closes.
    pub async fn keep(self) {
        loop {
            match self.watched().await {
                Ok(WatchEnd::Closed) => return,
                Ok(WatchEnd::Lagged) => {}
                Err(error) => {
                    tracing::warn!(%error, "an object that every cluster has is not as it should be");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }

    /// Keeps the objects until they can be watched no more.
    async fn watched(&self) -> Result<WatchEnd, StatusError> {
        let mut items = self.watch().await?;
        for (_, object) in self.kept()? {
            self.server.ensure(&object).await?;
        }
        while let Some(item) = items.next().await {
            let event = match item {
                Ok(WatchItem::Event(event)) if event.change != Change::Added => event,
                Ok(_) => continue,
                Err(end) => return Ok(end),
            };
            // Told apart anew each time: the time stands in some.
            let mut kept = self.kept()?.into_iter();
            if let Some((_, object)) = kept.find(|(key, _)| *key == event.entry.key) {
                self.server.ensure(&object).await?;
            }
        }
        Ok(WatchEnd::Closed)
    }

    /// Watches where objects are kept, from now on.
    async fn watch(&self) -> Result<Items, StatusError> {
        let kept = self.kept()?.into_iter();
        let places: BTreeSet<_> = kept.map(|(key, _)| (key.resource, key.namespace)).collect();
        let store = &self.server.config().store;
        let mut items = Items::new();
        for (resource, namespace) in places {
            let scope = WatchScope {
                namespace: (!namespace.is_empty()).then_some(namespace),
                ..WatchScope::all(resource)
            };
            let watch = store.watch(scope, store.revision()).await;
            let watch = watch.map_err(StatusError::internal)?;
            let next = async |mut watch: Watch| Some((watch.next().await?, watch));
            items.push(stream::unfold(watch, next).boxed());
        }
        Ok(items)
    }

    /// The objects that come back, and where they are stored.
    fn kept(&self) -> Result<Vec<(Key, Object)>, StatusError> {
        let objects = self.objects().into_iter();
        let kept = objects.filter(|object| KEPT.contains(&object.kind()));
        kept.map(|object| {
            let resource = kind(&self.server, &object)?.storage_resource();
            let resource: Arc<str> = resource.to_string().into();
            Ok((
                Key::new(resource, object.namespace(), object.name()),
                object,
            ))
        })
        .collect()
    }
}
