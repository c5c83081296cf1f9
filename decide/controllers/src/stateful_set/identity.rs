//! The names, labels and claims of one ordinal.

use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use crate::history::REVISION_LABEL;
use crate::pod;
use crate::resources::STATEFUL_SETS;

const POD_NAME: &str = "statefulset.kubernetes.io/pod-name";
const POD_INDEX: &str = "apps.kubernetes.io/pod-index";

/// The ordinal in a pod's name; `None` when the name is not of this set.
pub(super) fn ordinal(set: &Object, pod: &str) -> Option<i64> {
    let ordinal = pod.strip_prefix(set.name())?.strip_prefix('-')?;
    let is_number = !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| ordinal.parse().ok()).flatten()
}

/// The name of an ordinal's pod.
pub(super) fn pod_name(set: &Object, ordinal: i64) -> String {
    format!("{}-{ordinal}", set.name())
}

/// The claim templates of a set with their names.
fn templates(set: &Object) -> impl Iterator<Item = (&str, &Value)> {
    set.list_at(&["spec", "volumeClaimTemplates"])
        .iter()
        .map(|template| (template.name(), template))
}

/// The claims of an ordinal.
pub(super) fn claims(set: &Object, ordinal: i64) -> Vec<Object> {
    let claim = |(name, template): (&str, &Value)| {
        let mut claim = template.clone();
        claim.set(&["apiVersion"], "v1".into());
        claim.set(&["kind"], "PersistentVolumeClaim".into());
        claim.set(
            &["metadata", "name"],
            format!("{name}-{}-{ordinal}", set.name()).into(),
        );
        claim.set(&["metadata", "namespace"], set.namespace().into());
        claim.remove(&["metadata", "creationTimestamp"]);
        claim.remove(&["status"]);
        let labels = set
            .at(&["spec", "selector", "matchLabels"])
            .and_then(Value::as_object);
        for (key, value) in labels.into_iter().flatten() {
            claim.set(&["metadata", "labels", key], value.clone());
        }
        claim
    };
    templates(set).map(claim).collect()
}

/// The pod of an ordinal, made from a revision's template.
pub(super) fn pod_for(set: &Object, ordinal: i64, revision: &str, template: &Value) -> Object {
    let mut pod = pod::from_template(&STATEFUL_SETS, set, template);
    let name = pod_name(set, ordinal);
    pod.remove(&["metadata", "generateName"]);
    pod.set(&["metadata", "name"], name.clone().into());
    pod.set(&["metadata", "labels", POD_NAME], name.clone().into());
    pod.set(
        &["metadata", "labels", POD_INDEX],
        ordinal.to_string().into(),
    );
    pod.set(&["metadata", "labels", REVISION_LABEL], revision.into());
    pod.set(&["spec", "hostname"], name.into());
    if let Some(service) = set
        .str_at(&["spec", "serviceName"])
        .filter(|name| !name.is_empty())
    {
        pod.set(&["spec", "subdomain"], service.into());
    }
    let own: Vec<&str> = templates(set).map(|(name, _)| name).collect();
    let mut volumes: Vec<Value> = own
        .iter()
        .map(|name| {
            let claim = format!("{name}-{}-{ordinal}", set.name());
            json!({ "name": name, "persistentVolumeClaim": { "claimName": claim } })
        })
        .collect();
    let others = pod.list_at(&["spec", "volumes"]).iter();
    volumes.extend(
        others
            .filter(|volume| {
                !volume
                    .str_at(&["name"])
                    .is_some_and(|name| own.contains(&name))
            })
            .cloned(),
    );
    if !volumes.is_empty() {
        pod.set(&["spec", "volumes"], Value::Array(volumes));
    }
    pod
}
