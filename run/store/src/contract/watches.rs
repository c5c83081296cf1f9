//! What watches promise.

use std::sync::Arc;

use crate::{AnyOf, Change, Key, Range, StoreError, Term, WatchEnd, WatchItem, WatchScope, watch};

use super::{
    Subject, WAIT_MAX, create, delete, events_up_to, key, next_event, update, watch as open, wire,
};

pub(super) async fn resumed_watch_has_no_gap_and_no_duplicate(store: Subject) {
    let mut last = create(&store, key("a", "web"), "n=0").await;
    let start = last.revision;
    for n in 1..10 {
        last = update(&store, &last, &format!("n={n}")).await;
    }
    for resume_at in 0..9 {
        let from = crate::Revision(start.0 + resume_at);
        let mut events = open(&store, WatchScope::all("pods"), from).await;
        let seen = events_up_to(&mut events, last.revision).await;
        let revisions: Vec<_> = seen.iter().map(|event| event.entry.revision.0).collect();
        assert_eq!(
            revisions,
            (from.0 + 1..=last.revision.0).collect::<Vec<_>>()
        );
    }
    let mut events = open(&store, WatchScope::all("pods"), start).await;
    let backlog = events_up_to(&mut events, last.revision).await;
    let live = update(&store, &last, "n=live").await;
    assert_eq!(backlog.len(), 9);
    let event = next_event(&mut events).await;
    assert_eq!((event.change, &event.entry), (Change::Modified, &live));
    assert_eq!(event.previous.as_ref(), Some(&last));
    assert!(events.try_next().is_none());
}

pub(super) async fn watch_keeps_to_its_namespace(store: Subject) {
    let from = store.revision();
    create(&store, key("a", "before"), "n=1").await;
    create(&store, key("ab", "before"), "n=1").await;
    let scope = WatchScope {
        namespace: Some("a".into()),
        ..WatchScope::all("pods")
    };
    let mut events = open(&store, scope, from).await;
    create(&store, key("ab", "after"), "n=1").await;
    create(&store, Key::new("services", "a", "after"), "n=1").await;
    create(&store, key("a", "after"), "n=1").await;
    let seen = events_up_to(&mut events, store.revision()).await;
    let seen: Vec<_> = seen.iter().map(|event| event.entry.key.clone()).collect();
    assert_eq!(seen, [key("a", "before"), key("a", "after")]);
}

pub(super) async fn watch_of_a_term_sees_objects_enter_and_leave(store: Subject) {
    let from = store.revision();
    let other = create(&store, key("a", "other"), "node=2").await;
    let web = create(&store, key("a", "web"), "n=1").await;
    let scope = WatchScope {
        terms: Some(Term::new("node", "1").into()),
        ..WatchScope::all("pods")
    };
    let mut backlog_and_live = open(&store, scope.clone(), from).await;
    let web = update(&store, &web, "node=1").await;
    update(&store, &other, "node=2;n=2").await;
    let web = update(&store, &web, "node=1;n=2").await;
    let web = update(&store, &web, "node=2").await;
    update(&store, &web, "node=2;n=3").await;
    let db = create(&store, key("b", "db"), "node=1").await;
    delete(&store, &db, "node=1").await;
    let mut backlog = open(&store, scope, from).await;
    let expected = [
        ("web", Change::Modified),
        ("web", Change::Modified),
        ("web", Change::Modified),
        ("db", Change::Added),
        ("db", Change::Deleted),
    ];
    for events in [&mut backlog_and_live, &mut backlog] {
        let seen = events_up_to(events, store.revision()).await;
        let seen: Vec<_> = seen
            .iter()
            .map(|event| (&*event.entry.key.name, event.change))
            .collect();
        assert_eq!(seen, expected);
    }
}

pub(super) async fn watch_of_several_terms_sees_each_event_once(store: Subject) {
    let from = store.revision();
    let scope = WatchScope {
        terms: Some(AnyOf::new(vec![
            Term::new("node", "1"),
            Term::new("node", "2"),
        ])),
        ..WatchScope::all("pods")
    };
    let mut live = open(&store, scope.clone(), from).await;
    let web = create(&store, key("a", "web"), "node=1").await;
    let web = update(&store, &web, "node=2").await;
    let web = update(&store, &web, "node=3").await;
    update(&store, &web, "node=4").await;
    let mut backlog = open(&store, scope, from).await;
    for events in [&mut live, &mut backlog] {
        let seen = events_up_to(events, store.revision()).await;
        assert_eq!(seen.len(), 3);
    }
}

pub(super) async fn deletion_carries_the_last_state_and_its_own_revision(store: Subject) {
    let web = create(&store, key("a", "web"), "n=1").await;
    let mut events = open(&store, WatchScope::all("pods"), web.revision).await;
    let deleted = delete(&store, &web, "n=last").await;
    let event = next_event(&mut events).await;
    assert_eq!((event.change, &event.entry), (Change::Deleted, &deleted));
    assert_eq!(event.entry.value, wire("n=last", deleted.revision));
    assert_eq!(event.previous.as_ref(), Some(&web));
}

pub(super) async fn compacted_revisions_are_refused(store: Subject) {
    let first = create(&store, key("a", "web"), "n=1").await;
    let second = update(&store, &first, "n=2").await;
    let third = update(&store, &second, "n=3").await;
    store.compact(second.revision).await.expect("a compaction");
    match store.watch(WatchScope::all("pods"), first.revision).await {
        Err(StoreError::Compacted { asked, oldest }) => {
            assert_eq!((asked, oldest), (first.revision, second.revision));
        }
        other => unreachable!("{other:?}"),
    }
    let older = store
        .range(Range {
            at: Some(first.revision),
            ..Range::all("pods")
        })
        .await;
    assert!(
        matches!(older, Err(StoreError::Compacted { .. })),
        "{older:?}"
    );
    // Nobody missed anything of what did not change, but its state then is gone like any other.
    let quiet = WatchScope::all("services");
    let _quiet = open(&store, quiet, first.revision).await;
    let unchanged = store
        .range(Range {
            at: Some(first.revision),
            ..Range::all("services")
        })
        .await;
    assert!(
        matches!(unchanged, Err(StoreError::Compacted { .. })),
        "{unchanged:?}"
    );
    let mut events = open(&store, WatchScope::all("pods"), second.revision).await;
    assert_eq!(next_event(&mut events).await.entry, third);
    let kept = store
        .range(Range {
            at: Some(second.revision),
            ..Range::all("pods")
        })
        .await;
    assert_eq!(kept.expect("the oldest kept state").entries, [second]);
}

pub(super) async fn future_start_is_refused(store: Subject) {
    let future = store.revision().next();
    let refused = store.watch(WatchScope::all("pods"), future).await;
    assert!(
        matches!(refused, Err(StoreError::Future { .. })),
        "{refused:?}"
    );
}

pub(super) async fn slow_watcher_is_ended_and_hurts_nobody(store: Subject) {
    let mut last = create(&store, key("a", "web"), "n=0").await;
    let mut slow = open(&store, WatchScope::all("pods"), last.revision).await;
    let mut quick = open(&store, WatchScope::all("pods"), last.revision).await;
    let mut seen = 0;
    for n in 0..=watch::WATCH_EVENTS_MAX {
        last = update(&store, &last, &format!("n={n}")).await;
        if n % 100 == 0 {
            seen += events_up_to(&mut quick, last.revision).await.len();
        }
    }
    seen += events_up_to(&mut quick, last.revision).await.len();
    assert_eq!(seen, watch::WATCH_EVENTS_MAX + 1);
    let mut end = None;
    while let Some(item) = tokio::time::timeout(WAIT_MAX, slow.next())
        .await
        .expect("in time")
    {
        end = item.err();
    }
    assert_eq!(end, Some(WatchEnd::Lagged));
    assert!(slow.next().await.is_none());
}

pub(super) async fn progress_moves_while_the_scope_is_quiet(store: Subject) {
    let web = create(&store, key("a", "web"), "n=1").await;
    let mut events = open(&store, WatchScope::all("pods"), web.revision).await;
    assert_eq!(
        events.progress(),
        None,
        "the first progress is not yet taken"
    );
    let first = events.next().await;
    assert_eq!(first, Some(Ok(WatchItem::Progress(web.revision))));
    let service = create(&store, Key::new("services", "a", "web"), "n=1").await;
    assert!(events_up_to(&mut events, service.revision).await.is_empty());
    update(&store, &web, "n=2").await;
    let event = next_event(&mut events).await;
    assert!(
        events
            .progress()
            .is_some_and(|progress| progress >= event.entry.revision)
    );
}

pub(super) async fn random_traffic_matches_a_map(store: Subject) {
    super::check_history(&Arc::clone(&store), 7, 400).await;
}
