//! What the fields of a Workload mean, as `kubectl explain workload` shows it.

use serde_json::{Map, Value, json};

const WORKLOAD: &str = "Workload is the status layer's verdict on one workload: what state it is in, why, and what to do. \
    Workloads are derived from the objects of the cluster; they are read, listed and watched, and nobody writes them.";

/// Path, type (`[]` before it for a list) and meaning of every field, parents first.
const FIELDS: &[(&str, &str, &str)] = &[
    ("subject", "object", "The object that the verdict is about."),
    ("subject.apiVersion", "string", "Its apiVersion."),
    ("subject.kind", "string", "Its kind."),
    (
        "subject.resource",
        "string",
        "The resource under which its kind is served: the plural name.",
    ),
    (
        "subject.name",
        "string",
        "Its name; it lives in the namespace of the workload.",
    ),
    (
        "subject.ready",
        "string",
        "Ready instances of those that are wanted, such as 2/3. For a Job: succeeded of wanted. For a Pod: its containers.",
    ),
    (
        "subject.creationTimestamp",
        "date-time",
        "When it was created.",
    ),
    ("status", "object", "The verdict."),
    (
        "status.status",
        "string",
        "The state, from a closed set. Replicated workloads: Waiting, Running, NotReady, Exception, Deleting. Jobs: Waiting, \
         Executing, ExecutionComplete, Exception, Deleting. CronJobs: Waiting, Started, Stopped, Deleting. Pods: Waiting, \
         Running, NotReady, Succeeded, Failed, Exception, Deleting.",
    ),
    (
        "status.reason",
        "string",
        "Why it is in that state, as one CamelCase word, such as ImagePullBackOff or AllReplicasReady.",
    ),
    (
        "status.subReason",
        "string",
        "The cause behind a crash loop or a failed pull, such as OOMKilled or ImageNotFound.",
    ),
    (
        "status.severity",
        "string",
        "How much it matters: ok (as it should be), info (on its way, or held on purpose), warning (serves, but needs a look) \
         or error (needs a person now).",
    ),
    (
        "status.message",
        "object",
        "One sentence that names the root cause.",
    ),
    ("status.message.en", "string", "In English."),
    ("status.message.zh", "string", "In Simplified Chinese."),
    (
        "status.cause",
        "object",
        "The first of the causes; null when nothing is wrong.",
    ),
    (
        "status.causes",
        "[]object",
        "Everything that is wrong, worst first. Pods with the same trouble in the same container are one entry.",
    ),
    (
        "status.counts",
        "object",
        "The numbers behind the verdict. A number that the kind does not have is null.",
    ),
    (
        "status.counts.desired",
        "integer",
        "Instances asked for; for a Job its completions.",
    ),
    (
        "status.counts.current",
        "integer",
        "Instances that exist; for a Job its active pods.",
    ),
    (
        "status.counts.updated",
        "integer",
        "Instances of the newest revision.",
    ),
    (
        "status.counts.ready",
        "integer",
        "Instances that are ready.",
    ),
    (
        "status.counts.available",
        "integer",
        "Instances that are available; for a Job its succeeded pods.",
    ),
    (
        "status.counts.unavailable",
        "integer",
        "Instances asked for of which it is not certain that they serve.",
    ),
    ("status.nextSteps", "[]object", "What to do, best first."),
    (
        "status.nextSteps.code",
        "string",
        "The reason that the step answers.",
    ),
    ("status.nextSteps.en", "string", "The step in English."),
    (
        "status.nextSteps.zh",
        "string",
        "The step in Simplified Chinese.",
    ),
    (
        "status.nextSteps.command",
        "string",
        "A command to begin with.",
    ),
    ("status.links", "object", "Where the evidence can be read."),
    (
        "status.links.logs",
        "object",
        "The log to read; absent when no container has one.",
    ),
    ("status.links.logs.pod", "string", "The pod."),
    ("status.links.logs.container", "string", "The container."),
    (
        "status.links.logs.previous",
        "boolean",
        "Whether the log of the previous run is the one to read.",
    ),
    (
        "status.links.events",
        "object",
        "The object whose events tell more.",
    ),
    ("status.links.events.kind", "string", "Its kind."),
    ("status.links.events.name", "string", "Its name."),
    ("status.links.events.uid", "string", "Its uid."),
    (
        "status.since",
        "date-time",
        "When the state began, if that is known.",
    ),
    (
        "status.observed",
        "object",
        "Which version of the spec the numbers belong to.",
    ),
    (
        "status.observed.generation",
        "integer",
        "The subject's metadata.generation.",
    ),
    (
        "status.observed.observedGeneration",
        "integer",
        "The generation that its controller has processed.",
    ),
    (
        "status.evidence",
        "string",
        "How much was known: object (the subject alone), pods, pods+nodes or pods+nodes+events.",
    ),
];

/// Of `status.cause`, and of each of `status.causes`.
const CAUSE: &[(&str, &str, &str)] = &[
    (
        "kind",
        "string",
        "Kind of the object that shows the trouble.",
    ),
    (
        "namespace",
        "string",
        "Its namespace; empty for cluster-wide objects.",
    ),
    (
        "name",
        "string",
        "Its name: the first by name of those that are alike.",
    ),
    (
        "container",
        "string",
        "The container at fault, if it is one.",
    ),
    ("init", "boolean", "Whether that is an init container."),
    ("node", "string", "The node of the pod."),
    ("field", "string", "Where in the object the trouble stands."),
    ("raw", "string", "The unedited text found there."),
    ("since", "date-time", "Since when, if that is known."),
    ("reason", "string", "The reason of this trouble."),
    ("message", "object", "What is said about that object."),
    ("message.en", "string", "In English."),
    ("message.zh", "string", "In Simplified Chinese."),
    (
        "count",
        "integer",
        "How many pods are alike; 1 for the subject itself.",
    ),
];

/// The schema of a Workload.
pub(super) fn workload() -> Value {
    let mut root = json!({"type": "object", "description": WORKLOAD});
    for (path, kind, description) in FIELDS {
        add(&mut root, path, kind, description);
    }
    for parent in ["status.cause", "status.causes"] {
        for (path, kind, description) in CAUSE {
            add(&mut root, &format!("{parent}.{path}"), kind, description);
        }
    }
    root
}

/// Adds a field below the parents that its path names.
fn add(root: &mut Value, path: &str, kind: &str, description: &str) {
    let (parents, name) = path.rsplit_once('.').unwrap_or(("", path));
    let mut pointer = String::new();
    for step in parents.split('.').filter(|step| !step.is_empty()) {
        pointer = format!("{pointer}/properties/{step}");
        let items = format!("{pointer}/items");
        if root.pointer(&items).is_some() {
            pointer = items;
        }
    }
    let Some(parent) = root.pointer_mut(&pointer).and_then(Value::as_object_mut) else {
        return;
    };
    let mut field = match kind.strip_prefix("[]") {
        Some(item) => json!({"type": "array", "items": typed(item)}),
        None => typed(kind),
    };
    if let Some(field) = field.as_object_mut() {
        field.insert("description".into(), description.into());
    }
    let properties = parent
        .entry("properties")
        .or_insert_with(|| Map::new().into());
    if let Some(properties) = properties.as_object_mut() {
        properties.insert(name.to_owned(), field);
    }
}

fn typed(kind: &str) -> Value {
    match kind {
        "date-time" => json!({"type": "string", "format": "date-time"}),
        "integer" => json!({"type": "integer", "format": "int64"}),
        kind => json!({ "type": kind }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_its_place_and_a_meaning() {
        let schema = workload();
        for pointer in [
            "/properties/status/properties/message/properties/zh",
            "/properties/status/properties/causes/items/properties/message/properties/en",
            "/properties/status/properties/cause/properties/raw",
            "/properties/status/properties/links/properties/logs/properties/previous",
        ] {
            let field = schema.pointer(pointer).unwrap();
            assert!(field["description"].is_string(), "{pointer}");
        }
        let properties = schema["properties"].as_object().unwrap();
        assert_eq!(properties.keys().collect::<Vec<_>>(), ["status", "subject"]);
    }
}
