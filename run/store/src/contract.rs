//! The suite every store passes: one fresh store per case.
//!
//! Values here are no JSON but `rv=REVISION;TERM=VALUE;...`, which [`options`] indexes: the store must
//! not care. Failures panic with the broken claim, so this is for tests only (feature `contract`).

mod history_check;
mod reads;
mod watches;
mod writes;

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use crate::{
    Durability, Encoded, Entry, Event, Indexer, Key, Precondition, Range, Revision, Store,
    StoreError, Term, Watch, WatchItem, WatchScope,
};

pub use history_check::check_history;

/// Longest wait for something that must happen.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// A store under test.
pub type Subject = Arc<dyn Store>;
/// One case of the suite.
pub type Case = fn(Subject) -> Pin<Box<dyn Future<Output = ()> + Send>>;

macro_rules! cases {
    ($($module:ident :: $name:ident),* $(,)?) => {
        &[$((stringify!($name), |store| Box::pin($module::$name(store)))),*]
    };
}

/// Every case with the claim it checks.
pub const CASES: &[(&str, Case)] = cases![
    writes::empty_store_is_at_the_first_revision,
    writes::created_object_carries_its_revision,
    writes::creation_fails_where_an_object_is,
    writes::update_needs_the_present_revision,
    writes::deletion_needs_the_present_revision,
    writes::deleted_object_can_be_created_anew,
    writes::failed_writes_take_no_revision,
    writes::revisions_rise_over_all_resources,
    writes::one_of_several_racing_writers_wins,
    writes::impossible_keys_and_values_are_refused,
    writes::relaxed_writes_are_visible_too,
    reads::ranges_are_ordered_and_keep_to_their_namespace,
    reads::a_name_narrows_a_range_to_its_object,
    reads::a_name_is_found_in_every_namespace,
    reads::several_terms_narrow_together,
    reads::terms_can_be_ruled_out_and_asked_for_by_name,
    reads::pages_follow_each_other_at_one_revision,
    reads::older_revisions_can_be_read,
    reads::future_revisions_are_refused,
    reads::terms_follow_updates_and_deletions,
    reads::term_ranges_page_and_keep_to_their_namespace,
    reads::older_revisions_have_their_terms,
    reads::resources_are_counted,
    reads::snapshot_holds_everything,
    reads::waiting_for_a_revision_ends_with_it,
    watches::resumed_watch_has_no_gap_and_no_duplicate,
    watches::watch_keeps_to_its_namespace,
    watches::watch_of_a_term_sees_objects_enter_and_leave,
    watches::watch_of_several_terms_sees_each_event_once,
    watches::deletion_carries_the_last_state_and_its_own_revision,
    watches::compacted_revisions_are_refused,
    watches::future_start_is_refused,
    watches::slow_watcher_is_ended_and_hurts_nobody,
    watches::progress_moves_while_the_scope_is_quiet,
    watches::random_traffic_matches_a_map,
];

/// Runs every case, each on a fresh store from `open`, which must open it with [`options`].
///
/// # Panics
/// When a claim does not hold.
pub async fn run<F: Future<Output = Subject>>(mut open: impl FnMut() -> F) {
    for (name, case) in CASES {
        let store = open().await;
        let ran = tokio::time::timeout(WAIT_MAX, tokio::spawn(case(store))).await;
        match ran {
            Ok(Ok(())) => {}
            Ok(Err(error)) => unreachable!("case {name} failed: {error}"),
            Err(_) => unreachable!("case {name} did not end within {WAIT_MAX:?}"),
        }
    }
}

/// What a store under test is opened with.
pub fn indexer() -> Arc<Indexer> {
    Arc::new(|_, value| terms(value))
}

/// The index terms of what the cases store.
pub(crate) fn terms(value: &[u8]) -> Vec<Term> {
    let text = String::from_utf8_lossy(value);
    let pairs = text
        .split(';')
        .skip(1)
        .filter_map(|pair| pair.split_once('='));
    pairs.map(|(name, value)| Term::new(name, value)).collect()
}

/// A value with these terms, such as `"app=web;tier=front"`.
fn value(terms: &str) -> Encoded {
    Encoded {
        bytes: format!("rv=;{terms}").into_bytes(),
        revision_at: 3,
    }
}

/// The wire form of [`value`] at a revision.
fn wire(terms: &str, revision: Revision) -> String {
    format!("rv={revision};{terms}")
}

fn key(namespace: &str, name: &str) -> Key {
    Key::new("pods", namespace, name)
}

async fn create(store: &Subject, key: Key, terms: &str) -> Entry {
    put(store, key, Precondition::Absent, terms)
        .await
        .expect("create of an absent object")
}

async fn update(store: &Subject, old: &Entry, terms: &str) -> Entry {
    let precondition = Precondition::Revision(old.revision);
    put(store, old.key.clone(), precondition, terms)
        .await
        .expect("update of the present version")
}

async fn delete(store: &Subject, old: &Entry, terms: &str) -> Entry {
    let deleted = store
        .delete(
            old.key.clone(),
            old.revision,
            value(terms),
            Durability::Synced,
        )
        .await;
    deleted.expect("deletion of the present version")
}

async fn put(
    store: &Subject,
    key: Key,
    precondition: Precondition,
    terms: &str,
) -> Result<Entry, StoreError> {
    store
        .put(key, precondition, value(terms), Durability::Synced)
        .await
}

/// The names a range finds, in order.
async fn names(store: &Subject, range: Range) -> Vec<String> {
    let page = store.range(range).await.expect("a range");
    page.entries
        .iter()
        .map(|entry| entry.key.name.to_string())
        .collect()
}

async fn watch(store: &Subject, scope: WatchScope, from: Revision) -> Watch {
    store
        .watch(scope, from)
        .await
        .expect("a watch from a known revision")
}

/// The next event, passing over progress.
async fn next_event(watch: &mut Watch) -> Arc<Event> {
    loop {
        let next = tokio::time::timeout(WAIT_MAX, watch.next()).await;
        match next
            .expect("an event in time")
            .expect("an open watch")
            .expect("a live watch")
        {
            WatchItem::Event(event) => return event,
            WatchItem::Progress(_) => {}
        }
    }
}

/// Reads until everything in scope up to `revision` was delivered.
async fn events_up_to(watch: &mut Watch, revision: Revision) -> Vec<Arc<Event>> {
    let mut events: Vec<Arc<Event>> = Vec::new();
    loop {
        while let Some(item) = watch.try_next() {
            if let WatchItem::Event(event) = item.expect("a live watch") {
                events.push(event);
            }
        }
        if watch
            .progress()
            .is_some_and(|progress| progress >= revision)
        {
            return events;
        }
        tokio::task::yield_now().await;
    }
}
