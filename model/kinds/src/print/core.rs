//! The tables of the core group.

use std::collections::BTreeSet;

use jiff::Timestamp;
use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::{AGE, Col, EVERYTHING, NAME, Printer, age, number, since, text_or};
use crate::kind::Cell;

const ROLE_PREFIX: &str = "node-role.kubernetes.io/";
const ROLE_LABEL: &str = "kubernetes.io/role";

/// ConfigMaps.
pub(crate) static CONFIG_MAP: Printer = Printer {
    columns: &[
        NAME,
        Col("Data", "string", "@io.k8s.api.core.v1.ConfigMap.data", 0),
        AGE,
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "data.*",
        "binaryData.*",
    ],
    cells: |object, now| {
        let size = |field: &str| {
            object
                .at(&[field])
                .and_then(Value::as_object)
                .map_or(0, serde_json::Map::len)
        };
        vec![
            object.name().into(),
            (size("data") + size("binaryData")).into(),
            age(object, now),
        ]
    },
};

/// Secrets.
pub(crate) static SECRET: Printer = Printer {
    columns: &[
        NAME,
        Col("Type", "string", "@io.k8s.api.core.v1.Secret.type", 0),
        Col("Data", "string", "@io.k8s.api.core.v1.Secret.data", 0),
        AGE,
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "type",
        "data.*",
    ],
    cells: |object, now| {
        let size = object
            .at(&["data"])
            .and_then(Value::as_object)
            .map_or(0, serde_json::Map::len);
        vec![
            object.name().into(),
            text_or(object, &["type"], ""),
            size.into(),
            age(object, now),
        ]
    },
};

/// Namespaces.
pub(crate) static NAMESPACE: Printer = Printer {
    columns: &[
        NAME,
        Col("Status", "string", "The status of the namespace", 0),
        AGE,
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "status.phase",
    ],
    cells: |object, now| {
        vec![
            object.name().into(),
            text_or(object, &["status", "phase"], ""),
            age(object, now),
        ]
    },
};

/// ComponentStatuses.
pub(crate) static COMPONENT_STATUS: Printer = Printer {
    columns: &[
        NAME,
        Col("Status", "string", "Status of the component conditions", 0),
        Col(
            "Message",
            "string",
            "Message of the component conditions",
            0,
        ),
        Col("Error", "string", "Error of the component conditions", 0),
    ],
    reads: EVERYTHING,
    cells: |object, _now| {
        let conditions = object.list_at(&["conditions"]).iter();
        let healthy = conditions
            .into_iter()
            .find(|one| one.str_at(&["type"]) == Some("Healthy"));
        let status = match healthy.map(|one| one.str_at(&["status"])) {
            None => "Unknown",
            Some(Some("True")) => "Healthy",
            Some(_) => "Unhealthy",
        };
        let text = |field: &str| {
            healthy
                .and_then(|one| one.str_at(&[field]))
                .unwrap_or_default()
        };
        vec![
            object.name().into(),
            status.into(),
            text("message").into(),
            text("error").into(),
        ]
    },
};

/// Nodes.
pub(crate) static NODE: Printer = Printer {
    columns: &[
        NAME,
        Col("Status", "string", "The status of the node", 0),
        Col("Roles", "string", "The roles of the node", 0),
        AGE,
        Col(
            "Version",
            "string",
            "@io.k8s.api.core.v1.NodeSystemInfo.kubeletVersion",
            0,
        ),
        Col(
            "Internal-IP",
            "string",
            "@io.k8s.api.core.v1.NodeStatus.addresses",
            1,
        ),
        Col(
            "External-IP",
            "string",
            "@io.k8s.api.core.v1.NodeStatus.addresses",
            1,
        ),
        Col(
            "OS-Image",
            "string",
            "@io.k8s.api.core.v1.NodeSystemInfo.osImage",
            1,
        ),
        Col(
            "Kernel-Version",
            "string",
            "@io.k8s.api.core.v1.NodeSystemInfo.kernelVersion",
            1,
        ),
        Col(
            "Container-Runtime",
            "string",
            "@io.k8s.api.core.v1.NodeSystemInfo.containerRuntimeVersion",
            1,
        ),
    ],
    reads: &[
        "metadata.name",
        "metadata.creationTimestamp",
        "metadata.labels",
        "spec.unschedulable",
        "status.nodeInfo",
        "status.addresses",
        "status.conditions.type",
        "status.conditions.status",
    ],
    cells: node,
};

fn node(object: &Object, now: Timestamp) -> Vec<Cell<'_>> {
    let info = |field: &str, nothing: &'static str| {
        text_or(object, &["status", "nodeInfo", field], nothing)
    };
    let address = |name: &str| {
        let mut addresses = object.list_at(&["status", "addresses"]).iter();
        let found = addresses.find(|address| address.str_at(&["type"]) == Some(name));
        found.map_or_else(
            || "<none>".into(),
            |address| text_or(address, &["address"], ""),
        )
    };
    let kernel = match object.str_at(&["status", "nodeInfo", "architecture"]) {
        Some(name) if !name.is_empty() => {
            let kernel = object.str_at(&["status", "nodeInfo", "kernelVersion"]);
            let kernel = kernel.filter(|kernel| !kernel.is_empty());
            format!("{} ({name})", kernel.unwrap_or("<unknown>")).into()
        }
        _ => info("kernelVersion", "<unknown>"),
    };
    vec![
        object.name().into(),
        node_status(object).into(),
        node_roles(object).into(),
        age(object, now),
        info("kubeletVersion", ""),
        address("InternalIP"),
        address("ExternalIP"),
        info("osImage", "<unknown>"),
        kernel,
        info("containerRuntimeVersion", "<unknown>"),
    ]
}

fn node_status(object: &Object) -> String {
    let mut conditions = object.list_at(&["status", "conditions"]).iter();
    let ready = conditions.find(|one| one.str_at(&["type"]) == Some("Ready"));
    let status = match ready.map(|one| one.str_at(&["status"])) {
        None => "Unknown",
        Some(Some("True")) => "Ready",
        Some(_) => "NotReady",
    };
    match object.bool_at(&["spec", "unschedulable"]) {
        Some(true) => format!("{status},SchedulingDisabled"),
        _ => status.to_owned(),
    }
}

fn node_roles(object: &Object) -> String {
    let mut roles = BTreeSet::new();
    for (key, value) in object.labels() {
        match key.strip_prefix(ROLE_PREFIX) {
            Some(role) if !role.is_empty() => {
                roles.insert(role.to_owned());
            }
            None if key == ROLE_LABEL && !value.is_empty() => {
                roles.insert(value);
            }
            _ => {}
        }
    }
    let roles: Vec<String> = roles.into_iter().collect();
    if roles.is_empty() {
        "<none>".into()
    } else {
        roles.join(",")
    }
}

/// Events.
pub(crate) static EVENT: Printer = Printer {
    columns: &[
        Col(
            "Last Seen",
            "string",
            "@io.k8s.api.core.v1.Event.lastTimestamp",
            0,
        ),
        Col("Type", "string", "@io.k8s.api.core.v1.Event.type", 0),
        Col("Reason", "string", "@io.k8s.api.core.v1.Event.reason", 0),
        Col(
            "Object",
            "string",
            "@io.k8s.api.core.v1.Event.involvedObject",
            0,
        ),
        Col(
            "Subobject",
            "string",
            "@io.k8s.api.core.v1.ObjectReference.fieldPath",
            1,
        ),
        Col("Source", "string", "@io.k8s.api.core.v1.Event.source", 1),
        Col("Message", "string", "@io.k8s.api.core.v1.Event.message", 0),
        Col(
            "First Seen",
            "string",
            "@io.k8s.api.core.v1.Event.firstTimestamp",
            1,
        ),
        Col("Count", "string", "@io.k8s.api.core.v1.Event.count", 1),
        Col(
            "Name",
            "string",
            "@io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta.name",
            1,
        ),
    ],
    reads: EVERYTHING,
    cells: event,
};

/// The cells of an event in either version.
fn event(object: &Object, now: Timestamp) -> Vec<Cell<'_>> {
    let pick = |old: &[&str], new: &[&str]| {
        let text = |path: &[&str]| object.str_at(path).filter(|text| !text.is_empty());
        text(old).or_else(|| text(new))
    };
    let first = pick(&["firstTimestamp"], &["deprecatedFirstTimestamp"]);
    let first = first.or_else(|| pick(&["eventTime"], &["eventTime"]));
    let first = since(first, now);
    let last = pick(&["lastTimestamp"], &["deprecatedLastTimestamp"]);
    let mut last = last.map_or_else(|| first.clone(), |time| since(Some(time), now));
    let mut count = object
        .int_at(&["count"])
        .or_else(|| object.int_at(&["deprecatedCount"]))
        .unwrap_or_default();
    if let Some(series) = object.at(&["series"]) {
        last = since(series.str_at(&["lastObservedTime"]), now);
        count = series.int_at(&["count"]).unwrap_or_default();
    } else if count == 0 {
        count = 1;
    }
    let about =
        |field: &str| pick(&["involvedObject", field], &["regarding", field]).unwrap_or_default();
    let kind = about("kind").to_lowercase();
    let name = about("name");
    let target = if name.is_empty() {
        kind
    } else {
        format!("{kind}/{name}")
    };
    let component = pick(&["source", "component"], &["reportingComponent"])
        .or_else(|| pick(&["deprecatedSource", "component"], &["reportingController"]))
        .unwrap_or_default();
    let host = pick(&["source", "host"], &["reportingInstance"]);
    let source = host.map_or_else(
        || component.into(),
        |host| format!("{component}, {host}").into(),
    );
    let message = pick(&["message"], &["note"]).unwrap_or_default();
    vec![
        last.into(),
        text_or(object, &["type"], ""),
        text_or(object, &["reason"], ""),
        target.into(),
        about("fieldPath").into(),
        source,
        message.trim().into(),
        first.into(),
        count.into(),
        object.name().into(),
    ]
}

/// ResourceQuotas.
pub(crate) static RESOURCE_QUOTA: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Request",
            "string",
            "Request represents a minimum amount of cpu/memory that a container may consume.",
            0,
        ),
        Col(
            "Limit",
            "string",
            "Limits control the maximum amount of cpu/memory that a container may use independent of contention on the node.",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let mut requests = Vec::new();
        let mut limits = Vec::new();
        for (name, hard) in object
            .at(&["status", "hard"])
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let used = object.str_at(&["status", "used", name]).unwrap_or("0");
            let text = format!("{name}: {used}/{}", hard.as_str().unwrap_or("0"));
            if name.starts_with("limits.") {
                limits.push(text);
            } else {
                requests.push(text);
            }
        }
        vec![
            object.name().into(),
            requests.join(", ").into(),
            limits.join(", ").into(),
            age(object, now),
        ]
    },
};

/// Leases.
pub(crate) static LEASE: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Holder",
            "string",
            "@io.k8s.api.coordination.v1.LeaseSpec.holderIdentity",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            text_or(object, &["spec", "holderIdentity"], ""),
            age(object, now),
        ]
    },
};

/// PriorityClasses.
pub(crate) static PRIORITY_CLASS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Value",
            "integer",
            "@io.k8s.api.scheduling.v1.PriorityClass.value",
            0,
        ),
        Col(
            "Global-Default",
            "boolean",
            "@io.k8s.api.scheduling.v1.PriorityClass.globalDefault",
            0,
        ),
        AGE,
        Col(
            "PreemptionPolicy",
            "string",
            "@io.k8s.api.scheduling.v1.PriorityClass.preemptionPolicy",
            0,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            number(object, &["value"]),
            super::flag(object, &["globalDefault"], false),
            age(object, now),
            text_or(object, &["preemptionPolicy"], ""),
        ]
    },
};

/// RuntimeClasses.
pub(crate) static RUNTIME_CLASS: Printer = Printer {
    columns: &[NAME, Col("Handler", "string", "", 0), AGE],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            text_or(object, &["handler"], ""),
            age(object, now),
        ]
    },
};
