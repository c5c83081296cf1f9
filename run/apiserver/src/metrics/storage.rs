//! What is stored, and what lists read of it. Source: apiserver `storage/etcd3/metrics`.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use scrape::{ALPHA, Registry, STABLE};
use store::Store;

/// Metrics of the store.
pub(crate) struct Storage {
    objects: Family<Stored, Gauge>,
    bytes: Family<Stored, Gauge>,
    objects_by_name: Family<StoredName, Gauge>,
    /// Where lists of a resource are counted, found by one look for each list.
    known: RwLock<HashMap<String, Lists>>,
    pages: Family<Stored, Counter>,
    fetched: Family<Stored, Counter>,
    evaluated: Family<Stored, Counter>,
    returned: Family<Stored, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stored {
    group: String,
    resource: String,
}

/// The resource as `plural` or `plural.group`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StoredName {
    resource: String,
}

/// Where lists of one resource are counted.
#[derive(Clone)]
struct Lists {
    pages: Counter,
    fetched: Counter,
    evaluated: Counter,
    returned: Counter,
}

/// What one page of a list read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listed {
    /// Objects that the store gave.
    pub(crate) fetched: usize,
    /// Those of them that were looked at.
    pub(crate) evaluated: usize,
    /// Those that stand in the answer.
    pub(crate) returned: usize,
}

impl Storage {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let storage = Self {
            objects: Family::default(),
            bytes: Family::default(),
            objects_by_name: Family::default(),
            known: RwLock::default(),
            pages: Family::default(),
            fetched: Family::default(),
            evaluated: Family::default(),
            returned: Family::default(),
        };
        registry.register(
            ALPHA,
            "apiserver_resource_objects",
            "Number of stored objects at the time of the scrape, by kind",
            storage.objects.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_resource_size_estimate_bytes",
            "Size of stored objects at the time of the scrape, by kind",
            storage.bytes.clone(),
        );
        registry.register(
            STABLE.deprecated("1.34.0"),
            "apiserver_storage_objects",
            "Number of stored objects at the time of the scrape, by kind; apiserver_resource_objects says the same",
            storage.objects_by_name.clone(),
        );
        for (name, help, counter) in [
            (
                "apiserver_storage_list_total",
                "Pages of lists that were read from the store",
                &storage.pages,
            ),
            (
                "apiserver_storage_list_fetched_objects_total",
                "Objects that the store gave for lists",
                &storage.fetched,
            ),
            (
                "apiserver_storage_list_evaluated_objects_total",
                "Objects that were looked at for lists",
                &storage.evaluated,
            ),
            (
                "apiserver_storage_list_returned_objects_total",
                "Objects that stand in lists that were answered",
                &storage.returned,
            ),
        ] {
            registry.register(ALPHA, name, help, counter.clone());
        }
        storage
    }

    /// Notes a page of a list of a stored resource: `plural` or `plural.group`.
    pub(crate) fn listed(&self, resource: &str, listed: Listed) {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let lists = known.get(resource).cloned();
        drop(known);
        let lists = lists.unwrap_or_else(|| self.meet(resource));
        lists.pages.inc();
        lists.fetched.inc_by(listed.fetched as u64);
        lists.evaluated.inc_by(listed.evaluated as u64);
        lists.returned.inc_by(listed.returned as u64);
    }

    /// Makes the series of a resource.
    fn meet(&self, resource: &str) -> Lists {
        let stored = stored(resource);
        let of = |family: &Family<Stored, Counter>| family.get_or_create(&stored).clone();
        let lists = Lists {
            pages: of(&self.pages),
            fetched: of(&self.fetched),
            evaluated: of(&self.evaluated),
            returned: of(&self.returned),
        };
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(resource.to_owned(), lists.clone());
        lists
    }

    /// Counts what is stored now.
    pub(super) fn refresh(&self, store: &dyn Store) {
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        for count in store.resources() {
            let stored = stored(&count.resource);
            let objects = number(count.objects);
            self.objects.get_or_create(&stored).set(objects);
            self.bytes.get_or_create(&stored).set(number(count.bytes));
            let resource = count.resource.to_string();
            let name = StoredName { resource };
            self.objects_by_name.get_or_create(&name).set(objects);
        }
    }
}

fn stored(name: &str) -> Stored {
    let (resource, group) = name.split_once('.').unwrap_or((name, ""));
    Stored {
        group: group.to_owned(),
        resource: resource.to_owned(),
    }
}
