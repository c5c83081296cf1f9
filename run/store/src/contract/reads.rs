//! What ranges, counts and snapshots promise.

use std::sync::Arc;

use crate::{AnyOf, Key, Range, Revision, StoreError, Term, TermTest};

use super::{Subject, create, delete, key, names, update};

fn in_namespace(namespace: &str) -> Range {
    Range {
        namespace: Some(namespace.into()),
        ..Range::all("pods")
    }
}

fn with_term(name: &str, value: &str) -> Range {
    Range {
        terms: vec![Term::new(name, value).into()],
        ..Range::all("pods")
    }
}

fn at(revision: Revision) -> Range {
    Range {
        at: Some(revision),
        ..Range::all("pods")
    }
}

pub(super) async fn ranges_are_ordered_and_keep_to_their_namespace(store: Subject) {
    let places = [
        ("ab", "z"),
        ("a", "web-10"),
        ("a", "web-2"),
        ("a-b", "x"),
        ("a", "db"),
        ("", "root"),
    ];
    for (namespace, name) in places {
        create(&store, key(namespace, name), "n=1").await;
    }
    create(&store, Key::new("services", "a", "other"), "n=1").await;
    let all = names(&store, Range::all("pods")).await;
    assert_eq!(all, ["root", "db", "web-10", "web-2", "x", "z"]);
    assert_eq!(
        names(&store, in_namespace("a")).await,
        ["db", "web-10", "web-2"]
    );
    assert_eq!(names(&store, in_namespace("")).await, ["root"]);
    assert_eq!(names(&store, in_namespace("b")).await, Vec::<String>::new());
    assert_eq!(names(&store, Range::all("pod")).await, Vec::<String>::new());
}

pub(super) async fn a_name_narrows_a_range_to_its_object(store: Subject) {
    create(&store, key("a", "web"), "app=web").await;
    create(&store, key("b", "web"), "app=web").await;
    let named = |namespace: &str, name: &str| Range {
        name: Some(name.into()),
        ..in_namespace(namespace)
    };
    assert_eq!(names(&store, named("a", "web")).await, ["web"]);
    assert_eq!(names(&store, named("a", "we")).await, Vec::<String>::new());
    assert_eq!(names(&store, named("", "web")).await, Vec::<String>::new());
    let with_term = |value| Range {
        terms: vec![Term::new("app", value).into()],
        ..named("a", "web")
    };
    assert_eq!(names(&store, with_term("web")).await, ["web"]);
    assert_eq!(names(&store, with_term("db")).await, Vec::<String>::new());
    let after = Range {
        after: Some(("a".into(), "web".into())),
        ..named("a", "web")
    };
    assert_eq!(names(&store, after).await, Vec::<String>::new());
}

pub(super) async fn a_name_is_found_in_every_namespace(store: Subject) {
    for namespace in ["a", "a-b", "ab", ""] {
        create(&store, key(namespace, "web"), "app=web").await;
        create(&store, key(namespace, "web-2"), "app=web").await;
    }
    create(&store, key("b", "db"), "app=db").await;
    let named = Range {
        name: Some("web".into()),
        ..Range::all("pods")
    };
    let found = async |range| {
        let page = store.range(range).await.expect("a page");
        let namespaces = page
            .entries
            .iter()
            .map(|entry| entry.key.namespace.to_string());
        (namespaces.collect::<Vec<_>>(), page.remaining)
    };
    let all = ["", "a", "a-b", "ab"].map(str::to_owned).to_vec();
    assert_eq!(found(named.clone()).await, (all, 0));
    let page = Range {
        after: Some(("a".into(), "web".into())),
        limit: Some(1),
        ..named
    };
    assert_eq!(found(page).await, (vec!["a-b".to_owned()], 1));
}

pub(super) async fn several_terms_narrow_together(store: Subject) {
    for (name, terms) in [
        ("a", "app=web;tier=front"),
        ("b", "app=web;tier=back"),
        ("c", "app=db;tier=back"),
        ("d", "app=cache"),
        ("e", "app=db;tier=front"),
    ] {
        create(&store, key("n", name), terms).await;
    }
    let any = |name: &str, values: &[&str]| {
        AnyOf::new(values.iter().map(|value| Term::new(name, *value)).collect())
    };
    let asked = |terms: &[AnyOf]| Range {
        terms: terms.iter().cloned().map(Into::into).collect(),
        ..Range::all("pods")
    };
    let either = any("app", &["web", "db", "no"]);
    assert_eq!(
        names(&store, asked(std::slice::from_ref(&either))).await,
        ["a", "b", "c", "e"]
    );
    let back = any("tier", &["back"]);
    assert_eq!(
        names(&store, asked(&[either.clone(), back])).await,
        ["b", "c"]
    );
    let both = any("tier", &["back", "front"]);
    assert_eq!(
        names(&store, asked(&[any("app", &["db"]), both])).await,
        ["c", "e"]
    );
    let nothing = asked(&[either.clone(), AnyOf::new(Vec::new())]);
    assert_eq!(names(&store, nothing).await, Vec::<String>::new());
    let page = Range {
        after: Some(("n".into(), "a".into())),
        limit: Some(2),
        ..asked(&[either])
    };
    let page = store.range(page).await.expect("a page");
    assert_eq!((page.entries.len(), page.remaining), (2, 1));
}

pub(super) async fn terms_can_be_ruled_out_and_asked_for_by_name(store: Subject) {
    for (namespace, name, terms) in [
        ("n", "a", "tier=front;app=web"),
        ("n", "b", "tier=back"),
        ("n", "c", "app=db;tier=back"),
        ("n", "d", ""),
        ("m", "e", "app=cache"),
        ("n", "f", "app=;apps=x"),
    ] {
        create(&store, key(namespace, name), terms).await;
    }
    let none = |values: &[&str]| {
        let terms = values.iter().map(|value| Term::new("app", *value));
        TermTest::NoneOf(AnyOf::new(terms.collect()))
    };
    let asked = |terms: &[TermTest]| Range {
        terms: terms.to_vec(),
        ..Range::all("pods")
    };
    let (named, unnamed) = (
        TermTest::Named("app".into()),
        TermTest::Unnamed("app".into()),
    );
    let back = TermTest::from(Term::new("tier", "back"));
    for (tests, wanted) in [
        (vec![none(&["web"])], vec!["e", "b", "c", "d", "f"]),
        (vec![none(&["web", "db", "cache"])], vec!["b", "d", "f"]),
        (vec![none(&[])], vec!["e", "a", "b", "c", "d", "f"]),
        (vec![named.clone()], vec!["e", "a", "c", "f"]),
        (vec![unnamed.clone()], vec!["b", "d"]),
        (vec![named.clone(), none(&["cache", ""])], vec!["a", "c"]),
        (vec![unnamed.clone(), back.clone()], vec!["b"]),
        (vec![back, named.clone()], vec!["c"]),
        (vec![named.clone(), unnamed.clone()], vec![]),
    ] {
        let range = asked(&tests);
        assert_eq!(names(&store, range).await, wanted, "{tests:?}");
    }
    let within = Range {
        namespace: Some("n".into()),
        ..asked(std::slice::from_ref(&named))
    };
    assert_eq!(names(&store, within).await, ["a", "c", "f"]);
    for test in [named, none(&["web", "x"])] {
        let page = Range {
            after: Some(("n".into(), "a".into())),
            limit: Some(1),
            ..asked(&[test, TermTest::Unnamed("apps".into())])
        };
        let page = store.range(page).await.expect("a page");
        assert_eq!(page.entries.len(), 1);
        assert_eq!(
            (page.more, page.remaining > 0),
            (page.remaining > 0, page.more)
        );
    }
}

pub(super) async fn pages_follow_each_other_at_one_revision(store: Subject) {
    let mut entries = Vec::new();
    for n in 0..10 {
        entries.push(create(&store, key("a", &format!("web-{n}")), "n=1").await);
    }
    let revision = store.revision();
    let mut range = Range {
        limit: Some(4),
        ..in_namespace("a")
    };
    let mut seen = Vec::new();
    for (expected, remaining) in [(4, 6), (4, 2), (2, 0)] {
        let page = store.range(range.clone()).await.expect("a page");
        assert_eq!(page.entries.len(), expected);
        assert_eq!((page.revision, page.remaining), (revision, remaining));
        assert_eq!(page.more, remaining > 0);
        let last = page.entries.last().expect("an entry").key.clone();
        range.after = Some((last.namespace, last.name));
        range.at = Some(page.revision);
        seen.extend(page.entries);
        // What comes between the pages is not in them.
        if let Some(old) = entries.pop() {
            delete(&store, &old, "n=1").await;
        }
        create(&store, key("a", &format!("web-9-{remaining}")), "n=1").await;
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|entry| entry.key.name.to_string())
        .collect();
    let expected: Vec<_> = (0..10).map(|n| format!("web-{n}")).collect();
    assert_eq!(seen, expected);
}

pub(super) async fn older_revisions_can_be_read(store: Subject) {
    let first = create(&store, key("a", "web"), "n=1").await;
    let second = update(&store, &first, "n=2").await;
    let db = create(&store, key("a", "db"), "n=3").await;
    let gone = delete(&store, &second, "n=2").await;
    create(&store, Key::new("services", "a", "web"), "n=4").await;
    for (revision, expected) in [
        (Revision::FIRST, vec![]),
        (first.revision, vec![first.clone()]),
        (second.revision, vec![second.clone()]),
        (db.revision, vec![db.clone(), second.clone()]),
        (gone.revision, vec![db.clone()]),
        (gone.revision.next(), vec![db.clone()]),
    ] {
        let page = store.range(at(revision)).await.expect("an older state");
        assert_eq!(page.revision, revision);
        assert_eq!(page.entries, expected);
    }
}

pub(super) async fn future_revisions_are_refused(store: Subject) {
    let first = create(&store, key("a", "web"), "n=1").await;
    match store.range(at(first.revision.next())).await {
        Err(StoreError::Future { asked, latest }) => {
            assert_eq!((asked, latest), (first.revision.next(), first.revision));
        }
        other => unreachable!("{other:?}"),
    }
}

pub(super) async fn terms_follow_updates_and_deletions(store: Subject) {
    let web = create(&store, key("a", "web"), "app=web;node=1").await;
    let db = create(&store, key("b", "db"), "app=db;node=1").await;
    assert_eq!(names(&store, with_term("node", "1")).await, ["web", "db"]);
    assert_eq!(names(&store, with_term("app", "web")).await, ["web"]);
    assert_eq!(
        names(&store, with_term("app", "we")).await,
        Vec::<String>::new()
    );
    let web = update(&store, &web, "app=web;node=2").await;
    assert_eq!(names(&store, with_term("node", "1")).await, ["db"]);
    assert_eq!(names(&store, with_term("node", "2")).await, ["web"]);
    delete(&store, &db, "app=db;node=1").await;
    assert_eq!(
        names(&store, with_term("node", "1")).await,
        Vec::<String>::new()
    );
    update(&store, &web, "").await;
    assert_eq!(
        names(&store, with_term("node", "2")).await,
        Vec::<String>::new()
    );
    assert_eq!(names(&store, Range::all("pods")).await, ["web"]);
}

pub(super) async fn term_ranges_page_and_keep_to_their_namespace(store: Subject) {
    for namespace in ["a", "b"] {
        for n in 0..3 {
            create(&store, key(namespace, &format!("web-{n}")), "app=web").await;
            create(&store, key(namespace, &format!("db-{n}")), "app=db").await;
        }
    }
    let range = Range {
        namespace: Some("b".into()),
        limit: Some(2),
        ..with_term("app", "web")
    };
    let page = store.range(range.clone()).await.expect("a page");
    assert_eq!(
        (page.entries.len(), page.more, page.remaining),
        (2, true, 1)
    );
    let after: (Arc<str>, Arc<str>) = ("b".into(), "web-1".into());
    let range = Range {
        after: Some(after),
        at: Some(page.revision),
        ..range
    };
    assert_eq!(names(&store, range).await, ["web-2"]);
}

pub(super) async fn older_revisions_have_their_terms(store: Subject) {
    let first = create(&store, key("a", "web"), "node=1").await;
    let second = update(&store, &first, "node=2").await;
    delete(&store, &second, "node=2").await;
    let asked = |revision, node| Range {
        at: Some(revision),
        ..with_term("node", node)
    };
    assert_eq!(names(&store, asked(first.revision, "1")).await, ["web"]);
    assert_eq!(
        names(&store, asked(second.revision, "1")).await,
        Vec::<String>::new()
    );
    assert_eq!(names(&store, asked(second.revision, "2")).await, ["web"]);
    assert_eq!(
        names(&store, with_term("node", "2")).await,
        Vec::<String>::new()
    );
}

pub(super) async fn resources_are_counted(store: Subject) {
    let web = create(&store, key("a", "web"), "n=1").await;
    let db = create(&store, key("a", "db"), "n=1").await;
    let service = create(&store, Key::new("services", "a", "web"), "n=1").await;
    delete(&store, &db, "n=1").await;
    delete(&store, &service, "n=1").await;
    let counts = store.resources();
    let counts: Vec<_> = counts
        .iter()
        .map(|count| (&*count.resource, count.objects, count.bytes))
        .collect();
    assert_eq!(
        counts,
        [("pods", 1, web.value.len() as u64), ("services", 0, 0)]
    );
}

pub(super) async fn snapshot_holds_everything(store: Subject) {
    let service = create(&store, Key::new("services", "a", "web"), "n=1").await;
    let web = create(&store, key("a", "web"), "n=1").await;
    let snapshot = store.snapshot().await.expect("a snapshot");
    create(&store, key("a", "later"), "n=1").await;
    assert_eq!(snapshot.revision, web.revision);
    assert_eq!(snapshot.entries, [web, service]);
}

pub(super) async fn waiting_for_a_revision_ends_with_it(store: Subject) {
    store
        .wait_for(store.revision())
        .await
        .expect("the present is here");
    let target = store.revision().next().next();
    let waiter = tokio::spawn({
        let store = Arc::clone(&store);
        async move { store.wait_for(target).await.map(|()| store.revision()) }
    });
    create(&store, key("a", "web"), "n=1").await;
    create(&store, key("a", "db"), "n=1").await;
    let seen = waiter.await.expect("a waiter").expect("an open store");
    assert!(seen >= target);
}
