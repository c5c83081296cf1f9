//! Which custom kinds are served, asked again whenever their definitions change.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use client::ClientError;
use client::rest::{Detail, Rest, WatchEvent};
use meta::{GroupResource, ObjectExt, Resource};
use tokio::sync::mpsc;
use tracing::debug;

use crate::discover::{self, Followed, Role, Served};
use crate::follow::News;
use crate::session::in_time;

/// What adds kinds to a cluster.
const DEFINITIONS: [Resource; 2] = [
    Resource::cluster(
        "apiextensions.k8s.io",
        "v1",
        "CustomResourceDefinition",
        "customresourcedefinitions",
    ),
    Resource::cluster("apiregistration.k8s.io", "v1", "APIService", "apiservices"),
];
/// Seconds after which the server ends a quiet watch.
const WATCH_SECONDS: &str = "1740";
/// Wait before definitions are watched again, and before kinds are asked for again where nobody may
/// watch definitions.
const AGAIN: Duration = Duration::from_mins(1);
/// First wait for a definition to show in what is served.
const SHOW_MIN: Duration = Duration::from_millis(200);
/// How often that is waited for, twice as long each time: a definition may serve nothing at all.
const SHOW_TRIES: u32 = 6;
/// Definitions read at once.
const BATCH_MAX: usize = 1024;

/// What is known about a definition: its resource, when it is one of a custom kind, and whether it is there.
type Told = Option<(GroupResource, bool)>;

/// Tells the kinds of custom workloads whenever they may have changed, until nobody listens.
pub(crate) async fn follow(rest: Rest, news: mpsc::Sender<News>) {
    let (sender, mut told) = mpsc::channel(BATCH_MAX);
    for resource in DEFINITIONS {
        tokio::spawn(definitions(rest.clone(), resource, sender.clone()));
    }
    drop(sender);
    let mut batch = Vec::new();
    loop {
        tokio::select! {
            count = told.recv_many(&mut batch, BATCH_MAX) => if count == 0 { return },
            () = news.closed() => return,
        }
        let expected: BTreeMap<GroupResource, bool> = batch.drain(..).flatten().collect();
        if tell(&rest, &expected, &news).await.is_none() {
            return;
        }
    }
}

/// Asks what is served until it shows what is expected, or has had its time; `None`: nobody listens.
async fn tell(
    rest: &Rest,
    expected: &BTreeMap<GroupResource, bool>,
    news: &mpsc::Sender<News>,
) -> Option<()> {
    let mut wait = SHOW_MIN;
    for _ in 0..SHOW_TRIES {
        match in_time(discover::served(rest)).await.flatten() {
            Ok((served, silent)) => {
                let is_shown = shows(&served, expected);
                let kinds = News::Kinds(discover::custom(&served), silent);
                news.send(kinds).await.ok()?;
                if is_shown {
                    break;
                }
            }
            Err(error) => debug!(error = %error.sentence(), "cannot ask for the kinds"),
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    Some(())
}

fn shows(served: &[Served], expected: &BTreeMap<GroupResource, bool>) -> bool {
    let there: BTreeSet<GroupResource> = served.iter().map(Served::group_resource).collect();
    expected
        .iter()
        .all(|(resource, is_there)| there.contains(resource) == *is_there)
}

/// Tells every definition that comes, changes or goes.
async fn definitions(rest: Rest, resource: Resource, told: mpsc::Sender<Told>) {
    while !told.is_closed() {
        let outcome = watch(&rest, &resource, &told).await;
        if let Err(error) = outcome {
            debug!(
                error = &error as &dyn std::error::Error,
                "cannot watch definitions"
            );
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            () = told.closed() => return,
        }
        if told.send(None).await.is_err() {
            return;
        }
    }
}

/// Watches from now on; what changed before is told as unknown.
async fn watch(
    rest: &Rest,
    resource: &Resource,
    told: &mpsc::Sender<Told>,
) -> Result<(), ClientError> {
    let page = rest.list(resource, "", Detail::Metadata, &[]).await?;
    if told.send(None).await.is_err() {
        return Ok(());
    }
    let query = [
        ("watch", "true"),
        ("allowWatchBookmarks", "true"),
        ("timeoutSeconds", WATCH_SECONDS),
        ("resourceVersion", page.resource_version.as_str()),
    ];
    let mut watching = rest.watch(resource, "", Detail::Metadata, &query).await?;
    loop {
        let event = tokio::select! {
            event = watching.next() => event?,
            () = told.closed() => None,
        };
        let (object, is_there) = match event {
            Some(WatchEvent::Added(object) | WatchEvent::Modified(object)) => (object, true),
            Some(WatchEvent::Deleted(object)) => (object, false),
            Some(WatchEvent::Bookmark(_)) => continue,
            Some(WatchEvent::Error(status)) => return Err(ClientError::Refused(status)),
            None => return Ok(()),
        };
        let is_custom = *resource.kind == *"CustomResourceDefinition";
        let is_there = is_there && object.deletion_timestamp().is_none();
        let named = is_custom
            .then(|| object.name().split_once('.'))
            .flatten()
            .map(|(plural, group)| (GroupResource::new(group, plural), is_there));
        if told.send(named).await.is_err() {
            return Ok(());
        }
    }
}

/// Whether a kind comes and goes with its definition.
pub(crate) fn is_custom(followed: &Followed) -> bool {
    followed.role == Role::Workload
        && followed.is_shown
        && !discover::is_built_in_group(&followed.resource.group)
}
