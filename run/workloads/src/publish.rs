//! Publishes verdicts as `Workload` objects of `status.sampan.io/v1`, so that `kubectl get workloads`
//! lists and watches them like anything else.
//!
//! The objects go through the API server's one write path; lists, watches, tables, selectors and
//! authorization are the server's. `recheckAt` is left out of what is published: it changes without
//! the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::time::{Duration, Instant};

use client::ClientError;
use client::rest::{DeleteOptions, Detail, Rest};
use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource, raw};
use serde::Serialize;
use serde_json::json;
use tracing::{debug, warn};

use crate::board::{Item, View};
use crate::discover::is_built_in_group;
use crate::session::Session;
use crate::world::Id;

/// Where verdicts are published.
pub const WORKLOADS: Resource =
    Resource::namespaced("status.sampan.io", "v1", "Workload", "workloads");

/// First wait after a failure.
const BACKOFF_MIN: Duration = Duration::from_millis(200);
/// Longest wait after a failure.
const BACKOFF_MAX: Duration = Duration::from_secs(30);
/// How long news are gathered after a round of writing, at least: what changes several times in a row is judged and
/// written once, and a burst of changes does not have its verdicts written in between.
const GATHERING_MIN: Duration = Duration::from_millis(100);
/// How long they are gathered at most, however many there were to write.
const GATHERING_MAX: Duration = Duration::from_secs(1);
/// Longest name of an object.
const NAME_BYTES_MAX: usize = 253;

/// What lets everybody who is known to the cluster read workloads. The API server shows each of them
/// only to those who may read the object behind it.
pub fn roles() -> Vec<Object> {
    let name = "system:sampan:workload-reader";
    let group = "rbac.authorization.k8s.io";
    let version = format!("{group}/v1");
    vec![
        json!({
            "apiVersion": version,
            "kind": "ClusterRole",
            "metadata": {"name": name},
            "rules": [{
                "apiGroups": [&*WORKLOADS.group],
                "resources": [&*WORKLOADS.plural],
                "verbs": ["get", "list", "watch"],
            }],
        }),
        json!({
            "apiVersion": version,
            "kind": "ClusterRoleBinding",
            "metadata": {"name": name},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": name},
            "subjects": [{"apiGroup": group, "kind": "Group", "name": "system:authenticated"}],
        }),
    ]
}

/// Publishes until the future is dropped. `client` must be allowed to read everything and to write
/// workloads (see `kinds::workloads::WRITER`).
pub async fn publish(client: kube::Client) {
    let rest = Rest::new(client);
    let mut wait = BACKOFF_MIN;
    loop {
        let outcome =
            Session::follow(&rest, &[], |_| Ok(View::everything(None)), Timestamp::now).await;
        match outcome {
            Ok(session) => {
                let mut publisher = Publisher::new(rest);
                publisher.begin(&session).await;
                return publisher.run(session).await;
            }
            Err(error) => {
                warn!(error = %error.sentence(), "cannot watch workloads yet, trying again");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(BACKOFF_MAX);
            }
        }
    }
}

struct Publisher {
    rest: Rest,
    /// What is to be written, as JSON; `None`: removed.
    pending: BTreeMap<Key, Option<Vec<u8>>>,
    wait: Duration,
}

impl Publisher {
    fn new(rest: Rest) -> Self {
        Self {
            rest,
            pending: BTreeMap::new(),
            wait: BACKOFF_MIN,
        }
    }

    /// Plans to write what is known, and to remove what an earlier run left.
    async fn begin(&mut self, session: &Session) {
        for (id, item) in session.board.by_id() {
            self.plan(item, plural(session, id));
        }
        let kept: BTreeSet<Key> = self.pending.keys().cloned().collect();
        match self.rest.list(&WORKLOADS, "", Detail::Metadata, &[]).await {
            Ok(page) => {
                let left = page
                    .items
                    .iter()
                    .map(ObjectExt::key)
                    .filter(|key| !kept.contains(key));
                self.pending.extend(left.map(|key| (key, None)));
            }
            Err(error) => debug!(error = &error as &dyn Error, "cannot list workloads"),
        }
    }

    fn plan(&mut self, item: &Item, plural: &str) {
        let Some(key) = key(item) else { return };
        match object(&key, item, plural) {
            Ok(object) => {
                self.pending.insert(key, Some(object));
            }
            Err(error) => warn!(error = &error as &dyn Error, %key, "a verdict is no JSON"),
        }
    }

    async fn run(&mut self, mut session: Session) {
        let mut names: BTreeMap<Id, Key> = BTreeMap::new();
        for (id, item) in session.board.by_id() {
            names.extend(key(item).map(|key| (id.clone(), key)));
        }
        loop {
            let begun = Instant::now();
            self.write().await;
            tokio::time::sleep(gathering(begun.elapsed())).await;
            let changes = if self.pending.is_empty() {
                session.changed(Timestamp::now).await
            } else {
                tokio::select! {
                    changes = session.changed(Timestamp::now) => changes,
                    () = tokio::time::sleep(self.wait) => Vec::new(),
                }
            };
            for change in changes {
                if let Some(item) = &change.item {
                    self.plan(item, plural(&session, &change.id));
                    names.extend(key(item).map(|key| (change.id, key)));
                } else {
                    let key = names.remove(&change.id);
                    self.pending.extend(key.map(|key| (key, None)));
                }
            }
        }
    }

    /// Writes what is pending; what fails for a reason that may pass stays.
    async fn write(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for (key, object) in pending {
            let outcome = if let Some(object) = &object {
                let object = object.clone();
                self.rest.overwrite(&WORKLOADS, &key, object).await
            } else {
                let options = DeleteOptions::default();
                self.rest
                    .delete(&WORKLOADS, &key, &options)
                    .await
                    .map(|_| ())
            };
            if let Err(error) = outcome
                && may_pass(&error)
            {
                debug!(error = &error as &dyn Error, %key, "cannot publish a verdict yet");
                self.pending.entry(key).or_insert(object);
            }
        }
        self.wait = if self.pending.is_empty() {
            BACKOFF_MIN
        } else {
            (self.wait * 2).min(BACKOFF_MAX)
        };
    }
}

/// How long news are gathered after writing took so long: as long again, so that who makes many changes at once has
/// half the time for them.
fn gathering(took: Duration) -> Duration {
    took.clamp(GATHERING_MIN, GATHERING_MAX)
}

/// Whether trying again can help: not when the namespace goes away, the object is gone already, or
/// the server finds it wrong.
fn may_pass(error: &ClientError) -> bool {
    !error.is_not_found() && !error.is_namespace_terminating() && !matches!(error.code(), 400 | 422)
}

/// The resource of a workload's kind.
fn plural<'s>(session: &'s Session, id: &Id) -> &'s str {
    session
        .world
        .followed()
        .get(id.0)
        .map_or("", |followed| &followed.resource.plural)
}

/// Where a verdict is published; `None` for what cannot be named: objects outside namespaces, or too
/// long names.
fn key(item: &Item) -> Option<Key> {
    let (group, _) = meta::id::split_api_version(&item.api_version).unwrap_or_default();
    let kind = item.kind.to_lowercase();
    // A custom kind keeps its group, so that it cannot take the name of a built-in one.
    let name = if is_built_in_group(group) {
        format!("{kind}.{}", item.name)
    } else {
        format!("{kind}.{group}.{}", item.name)
    };
    let is_fit = !item.namespace.is_empty() && name.len() <= NAME_BYTES_MAX;
    is_fit.then(|| Key::new(&item.namespace, &name))
}

/// The published form but for the verdict.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Published<'i> {
    api_version: String,
    kind: &'i str,
    metadata: Metadata<'i>,
    subject: Subject<'i>,
}

#[derive(Serialize)]
struct Metadata<'i> {
    namespace: &'i str,
    name: &'i str,
    labels: Labels<'i>,
}

#[derive(Serialize)]
struct Labels<'i> {
    #[serde(rename = "status.sampan.io/kind")]
    kind: &'i str,
}

/// The workload that a verdict is about.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Subject<'i> {
    api_version: &'i str,
    kind: &'i str,
    resource: &'i str,
    name: &'i str,
    ready: &'i str,
    creation_timestamp: Option<String>,
}

/// The published form as JSON.
fn object(key: &Key, item: &Item, plural: &str) -> Result<Vec<u8>, serde_json::Error> {
    let mut object = serde_json::to_vec(&Published {
        api_version: WORKLOADS.api_version(),
        kind: &WORKLOADS.kind,
        metadata: Metadata {
            namespace: &key.namespace,
            name: &key.name,
            labels: Labels { kind: &item.kind },
        },
        subject: Subject {
            api_version: &item.api_version,
            kind: &item.kind,
            resource: plural,
            name: &item.name,
            ready: &item.ready,
            creation_timestamp: item.created.map(meta::time::to_rfc3339),
        },
    })?;
    let verdict = serde_json::to_vec(&item.verdict)?;
    let kept = raw::members(&verdict).filter(|(field, _)| *field != b"recheckAt");
    object.pop();
    object.extend_from_slice(b",\"status\":");
    raw::write_members(&mut object, kept, |object, _, value| {
        object.extend_from_slice(value);
    });
    object.push(b'}');
    Ok(object)
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use status::{Bundle, Config, evaluate};

    use super::*;

    #[test]
    fn what_takes_long_to_write_is_gathered_longer() {
        let gathered = |took| gathering(Duration::from_millis(took)).as_millis();
        assert_eq!([0, 300, 5_000].map(gathered), [100, 300, 1_000]);
    }

    #[test]
    fn what_is_published_is_the_subject_and_the_verdict_without_its_next_look() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop",
            "uid": "u", "creationTimestamp": "2026-01-15T10:00:00Z"}, "spec": {}, "status": {"phase": "Pending"}});
        let bundle = Bundle::new(vec![pod.clone()]).unwrap();
        let now = "2026-01-15T10:00:05Z".parse().unwrap();
        let verdict = evaluate(bundle.subject(), &bundle.related(), now, &Config::spec());
        let mut status = serde_json::to_value(&verdict).unwrap();
        assert!(verdict.recheck_at.is_some());
        status.as_object_mut().unwrap().remove("recheckAt");
        let item = Item::new(&pod, verdict);
        let key = key(&item).unwrap();
        let published: serde_json::Value =
            serde_json::from_slice(&object(&key, &item, "pods").unwrap()).unwrap();
        assert_eq!(
            published,
            json!({
                "apiVersion": "status.sampan.io/v1",
                "kind": "Workload",
                "metadata": {"namespace": "shop", "name": "pod.web", "labels": {"status.sampan.io/kind": "Pod"}},
                "subject": {"apiVersion": "v1", "kind": "Pod", "resource": "pods", "name": "web", "ready": item.ready,
                    "creationTimestamp": "2026-01-15T10:00:00Z"},
                "status": status,
            })
        );
    }
}
