//! Drives the namespace controller: empties namespaces that are being deleted, and lets them go.

use std::collections::BTreeMap;
use std::sync::Arc;

use client::rest::{DeleteOptions, Detail};
use client::{ClientError, Rest};
use controllers::namespace::{self, Observed};
use controllers::resources::{NAMESPACES, PODS};
use futures::future::join_all;
use jiff::Timestamp;
use meta::{Key, ObjectExt, Resource};
use tracing::{debug, warn};

use crate::act::Actor;
use crate::everything::Everything;

/// Namespaces worked on at once. Source: `--concurrent-namespace-syncs`.
const WORKERS: usize = 10;

/// Works until the queue is closed.
pub(crate) async fn run(everything: &Arc<Everything>) {
    join_all((0..WORKERS).map(|_| work(everything))).await;
}

async fn work(everything: &Everything) {
    while let Some(key) = everything.namespaces.next().await {
        match empty(everything, &key).await {
            Ok(true) => everything.namespaces.forget(&key),
            Ok(false) => {
                everything.namespaces.retry(key.clone());
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(error, namespace = key.name, "namespace not emptied");
                everything.namespaces.retry(key.clone());
            }
        }
        everything.namespaces.done(&key);
    }
}

/// What is left of one resource.
#[derive(Default)]
struct Left {
    count: usize,
    finalizers: BTreeMap<String, usize>,
}

/// Empties a namespace; true when nothing is left for us to do.
async fn empty(everything: &Everything, key: &Key) -> Result<bool, ClientError> {
    let rest = everything.shared.informers.rest();
    let namespace = match rest.get(&NAMESPACES, key).await {
        Ok(namespace) => Arc::new(namespace),
        Err(error) if error.is_not_found() => return Ok(true),
        Err(error) => return Err(error),
    };
    if !namespace::is_ours(&namespace) {
        return Ok(true);
    }
    let (served, undiscovered) = everything.served();
    let mut seen = Observed {
        namespace,
        remaining: BTreeMap::new(),
        finalizers: BTreeMap::new(),
        errors: Vec::new(),
        undiscovered,
    };
    // Pods go before what they use: their last words may still need it.
    clear(rest, &key.name, vec![(PODS, true)], &mut seen).await;
    if seen.remaining.is_empty() {
        let others = served.iter().filter(|served| {
            served.resource.is_namespaced
                && served.resource != PODS
                && served.can("delete")
                && served.can("list")
        });
        let others = others.map(|served| (served.resource.clone(), served.can("deletecollection")));
        clear(rest, &key.name, others.collect(), &mut seen).await;
    }
    let step = namespace::decide(&seen, Timestamp::now());
    let recorder = everything.shared.recorder.speaking_for(namespace::NAME);
    let decision = controllers::Decision {
        status: Some(step.status),
        ..Default::default()
    };
    if let Err(stopped) = Actor::new(rest, &recorder).perform(&decision).await {
        debug!(
            namespace = key.name,
            ?stopped,
            "namespace status not written"
        );
    }
    let Some(mut finalized) = step.finalized else {
        return Ok(false);
    };
    // The status was written a moment ago; only the finalizer matters here, and uids do not come back.
    finalized.remove(&["metadata", "resourceVersion"]);
    match rest
        .replace(&NAMESPACES, Some("finalize"), &finalized)
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.is_not_found() => Ok(true),
        Err(error) if error.is_conflict() => Ok(false),
        Err(error) => Err(error),
    }
}

async fn clear(
    rest: &Rest,
    namespace: &str,
    resources: Vec<(Resource, bool)>,
    seen: &mut Observed,
) {
    let outcomes = resources
        .iter()
        .map(|(resource, by_collection)| async move {
            (
                resource,
                delete_all(rest, namespace, resource, *by_collection).await,
            )
        });
    for (resource, outcome) in join_all(outcomes).await {
        match outcome {
            Ok(left) if left.count == 0 => {}
            Ok(left) => {
                seen.remaining.insert(resource.clone(), left.count);
                for (finalizer, count) in left.finalizers {
                    *seen.finalizers.entry(finalizer).or_default() += count;
                }
            }
            // A kind that is served no more has nothing left to delete.
            Err(error) if matches!(error.code(), 404 | 405) => {}
            Err(error) => seen.errors.push(error.to_string()),
        }
    }
}

/// Deletes all objects of a resource and counts those that are left.
async fn delete_all(
    rest: &Rest,
    namespace: &str,
    resource: &Resource,
    by_collection: bool,
) -> Result<Left, ClientError> {
    let list = || rest.list(resource, namespace, Detail::Metadata, &[]);
    let before = list().await?;
    if before.items.is_empty() {
        return Ok(Left::default());
    }
    let options = DeleteOptions {
        propagation: Some("Background"),
        ..DeleteOptions::default()
    };
    if by_collection {
        rest.delete_collection(resource, namespace, &options)
            .await?;
    } else {
        for object in &before.items {
            match rest.delete(resource, &object.key(), &options).await {
                Err(error) if !error.is_not_found() => return Err(error),
                _ => {}
            }
        }
    }
    let mut left = Left::default();
    for object in list().await?.items {
        left.count += 1;
        for finalizer in object.finalizers() {
            *left.finalizers.entry(finalizer.to_owned()).or_default() += 1;
        }
    }
    Ok(left)
}
