//! What puts and deletes promise.

use crate::{Durability, Encoded, Key, Precondition, Range, Revision, StoreError, WatchScope};

use super::{Subject, create, delete, events_up_to, key, names, put, update, value, watch, wire};

pub(super) async fn empty_store_is_at_the_first_revision(store: Subject) {
    assert_eq!(store.revision(), Revision::FIRST);
    assert_eq!(store.get(&key("a", "web")).await.expect("get"), None);
    let page = store.range(Range::all("pods")).await.expect("range");
    assert_eq!(
        (page.entries.len(), page.revision, page.more),
        (0, Revision::FIRST, false)
    );
}

pub(super) async fn created_object_carries_its_revision(store: Subject) {
    let created = create(&store, key("a", "web"), "app=web").await;
    assert_eq!(created.revision, Revision(2));
    assert_eq!(created.value, wire("app=web", Revision(2)));
    assert_eq!(store.get(&created.key).await.expect("get"), Some(created));
    assert_eq!(store.revision(), Revision(2));
}

pub(super) async fn creation_fails_where_an_object_is(store: Subject) {
    let first = create(&store, key("a", "web"), "n=1").await;
    match put(&store, key("a", "web"), Precondition::Absent, "n=2").await {
        Err(StoreError::Exists { current }) => assert_eq!(current, first),
        other => unreachable!("{other:?}"),
    }
    create(&store, key("b", "web"), "n=3").await;
    create(&store, Key::new("services", "a", "web"), "n=4").await;
}

pub(super) async fn update_needs_the_present_revision(store: Subject) {
    let absent = Precondition::Revision(Revision::FIRST);
    match put(&store, key("a", "web"), absent, "n=0").await {
        Err(StoreError::Missing { key: missing }) => assert_eq!(missing, key("a", "web")),
        other => unreachable!("{other:?}"),
    }
    let first = create(&store, key("a", "web"), "n=1").await;
    let second = update(&store, &first, "n=2").await;
    assert!(second.revision > first.revision);
    match put(
        &store,
        key("a", "web"),
        Precondition::Revision(first.revision),
        "n=3",
    )
    .await
    {
        Err(StoreError::Conflict { current }) => assert_eq!(current, second),
        other => unreachable!("{other:?}"),
    }
    assert_eq!(store.get(&second.key).await.expect("get"), Some(second));
}

pub(super) async fn deletion_needs_the_present_revision(store: Subject) {
    let missing = store
        .delete(
            key("a", "web"),
            Revision::FIRST,
            value("n=0"),
            Durability::Synced,
        )
        .await;
    assert!(
        matches!(missing, Err(StoreError::Missing { .. })),
        "{missing:?}"
    );
    let first = create(&store, key("a", "web"), "n=1").await;
    let second = update(&store, &first, "n=2").await;
    let stale = store
        .delete(
            key("a", "web"),
            first.revision,
            value("n=1"),
            Durability::Synced,
        )
        .await;
    match stale {
        Err(StoreError::Conflict { current }) => assert_eq!(current, second),
        other => unreachable!("{other:?}"),
    }
    let deleted = delete(&store, &second, "last=1").await;
    assert!(deleted.revision > second.revision);
    assert_eq!(deleted.value, wire("last=1", deleted.revision));
    assert_eq!(store.revision(), deleted.revision);
    assert_eq!(store.get(&second.key).await.expect("get"), None);
}

pub(super) async fn deleted_object_can_be_created_anew(store: Subject) {
    let first = create(&store, key("a", "web"), "n=1").await;
    let deleted = delete(&store, &first, "n=1").await;
    let second = create(&store, key("a", "web"), "n=2").await;
    assert!(second.revision > deleted.revision);
    assert_eq!(names(&store, Range::all("pods")).await, ["web"]);
}

pub(super) async fn failed_writes_take_no_revision(store: Subject) {
    let first = create(&store, key("a", "web"), "n=1").await;
    let mut events = watch(&store, WatchScope::all("pods"), first.revision).await;
    for _ in 0..3 {
        put(&store, key("a", "web"), Precondition::Absent, "n=2")
            .await
            .expect_err("exists");
        let stale = Precondition::Revision(Revision::FIRST);
        put(&store, key("a", "web"), stale, "n=2")
            .await
            .expect_err("conflict");
    }
    assert_eq!(store.revision(), first.revision);
    let next = create(&store, key("a", "db"), "n=3").await;
    assert_eq!(next.revision, first.revision.next());
    let events = events_up_to(&mut events, next.revision).await;
    assert_eq!(events.len(), 1);
}

pub(super) async fn revisions_rise_over_all_resources(store: Subject) {
    let mut last = store.revision();
    for resource in ["pods", "services", "deployments.apps", "pods", "leases"] {
        let name = format!("web-{last}");
        let entry = create(&store, Key::new(resource, "a", name), "n=1").await;
        assert_eq!(entry.revision, last.next());
        last = entry.revision;
    }
}

pub(super) async fn one_of_several_racing_writers_wins(store: Subject) {
    const WRITERS: usize = 8;
    const STEPS: usize = 20;
    create(&store, key("a", "counter"), "n=0").await;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let store = store.clone();
        writers.spawn(async move {
            for _ in 0..STEPS {
                loop {
                    let old = store
                        .get(&key("a", "counter"))
                        .await
                        .expect("get")
                        .expect("there");
                    let text = String::from_utf8_lossy(&old.value).into_owned();
                    let count: usize = text
                        .rsplit('=')
                        .next()
                        .and_then(|n| n.parse().ok())
                        .expect("a count");
                    let next = format!("n={}", count + 1);
                    let precondition = Precondition::Revision(old.revision);
                    match put(&store, old.key, precondition, &next).await {
                        Ok(_) => break,
                        Err(StoreError::Conflict { .. }) => {}
                        Err(error) => unreachable!("{error}"),
                    }
                }
            }
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("a writer");
    }
    let last = store
        .get(&key("a", "counter"))
        .await
        .expect("get")
        .expect("there");
    assert_eq!(
        last.value,
        wire(&format!("n={}", WRITERS * STEPS), last.revision)
    );
}

pub(super) async fn impossible_keys_and_values_are_refused(store: Subject) {
    for bad in [
        Key::new("", "a", "web"),
        Key::new("pods", "a", ""),
        Key::new("pods", "a\0b", "web"),
        Key::new("pods", "a", "w\0b"),
    ] {
        let refused = put(&store, bad, Precondition::Absent, "n=1").await;
        assert!(
            matches!(refused, Err(StoreError::InvalidKey { .. })),
            "{refused:?}"
        );
    }
    let huge = Encoded {
        bytes: vec![b'x'; 64 << 20],
        revision_at: 0,
    };
    let refused = store
        .put(
            key("a", "web"),
            Precondition::Absent,
            huge,
            Durability::Synced,
        )
        .await;
    assert!(
        matches!(refused, Err(StoreError::TooLarge { .. })),
        "not refused"
    );
    assert_eq!(store.revision(), Revision::FIRST);
}

pub(super) async fn relaxed_writes_are_visible_too(store: Subject) {
    let lease = Key::new("leases", "a", "node-1");
    let renewed = store
        .put(
            lease.clone(),
            Precondition::Absent,
            value("n=1"),
            Durability::Relaxed,
        )
        .await
        .expect("a relaxed create");
    assert_eq!(store.get(&lease).await.expect("get"), Some(renewed.clone()));
    store
        .delete(
            lease.clone(),
            renewed.revision,
            value("n=1"),
            Durability::Relaxed,
        )
        .await
        .expect("a relaxed deletion");
    assert_eq!(store.get(&lease).await.expect("get"), None);
}
