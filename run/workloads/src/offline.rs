//! The offline command: a bundle of objects instead of a cluster.

use std::io::Read;
use std::path::Path;

use jiff::Timestamp;
use meta::ObjectExt;
use serde_json::Value;
use status::{Bundle, Config, evaluate};

use crate::board::Item;
use crate::discover::is_built_in_group;
use crate::error::StatusError;

/// Largest bundle, in bytes.
const BUNDLE_BYTES_MAX: u64 = 256 << 20;

/// Judges the first object of a bundle.
pub(crate) fn judge(path: &Path, now: Timestamp) -> Result<Item, StatusError> {
    let bundle =
        Bundle::new(parse(path, &read(path)?)?).ok_or_else(|| StatusError::BundleEmpty {
            path: path.to_owned(),
        })?;
    let subject = bundle.subject();
    if !is_workload(subject) {
        return Err(StatusError::BundleSubject {
            path: path.to_owned(),
            kind: subject.kind().to_owned(),
        });
    }
    let verdict = evaluate(subject, &bundle.related(), now, &Config::spec());
    Ok(Item::new(subject, verdict))
}

fn read(path: &Path) -> Result<String, StatusError> {
    let mut text = String::new();
    let outcome = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(BUNDLE_BYTES_MAX)
            .read_to_string(&mut text)
    } else {
        std::fs::File::open(path)
            .and_then(|file| file.take(BUNDLE_BYTES_MAX).read_to_string(&mut text))
    };
    outcome.map_err(|source| StatusError::BundleRead {
        path: path.to_owned(),
        source,
    })?;
    Ok(text)
}

fn parse(path: &Path, text: &str) -> Result<Vec<Value>, StatusError> {
    if text.trim_start().starts_with('{')
        && let Ok(object) = serde_json::from_str(text)
    {
        return Ok(vec![object]);
    }
    // Real manifests repeat keys now and then; the last one counts, as in kubectl.
    let options = serde_saphyr::options! {
        duplicate_keys: serde_saphyr::options::DuplicateKeyPolicy::LastWins,
        with_snippet: false,
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let said = error.to_string();
        StatusError::BundleSyntax {
            path: path.to_owned(),
            why: said.lines().next().unwrap_or_default().to_owned(),
        }
    })
}

/// Whether an object can have a state: a built-in workload, or a custom resource.
fn is_workload(object: &Value) -> bool {
    let (group, _) = meta::id::split_api_version(object.api_version()).unwrap_or_default();
    let is_known = matches!(
        object.kind(),
        "Deployment"
            | "StatefulSet"
            | "DaemonSet"
            | "ReplicaSet"
            | "ReplicationController"
            | "Job"
            | "CronJob"
            | "Pod"
    );
    is_known || !is_built_in_group(group)
}
