//! What is wrong with what containers report of their users and their devices.

use std::collections::BTreeSet;

use meta::{FieldError, names};

use crate::check::{Errors, Node};

/// Source: `core/v1 ResourceHealthStatus`.
const HEALTH: [&str; 3] = ["Healthy", "Unhealthy", "Unknown"];
/// Source: `core/v1 ResourceHealthMessageMaxLength`.
const MESSAGE_BYTES_MAX: usize = 1024;
/// Source: apimachinery `IsValidUserID`.
const ID_MAX: i64 = i32::MAX as i64;
const BY_CLAIM: &str = "must match one of the container's resource claims in a format 'claim:<claimName>/<request>' or 'claim:<claimName>' if request is empty";
const BY_REQUEST: &str = "must match one of the container's resource requests";

/// Source: `validateContainerStatusUsers`.
pub(super) fn users(status: &Node<'_>, spec: &Node<'_>, errors: &mut Errors) {
    let os = spec.child("os");
    let os = os
        .get("name")
        .map_or("linux", |name| name.value.as_str().unwrap_or_default());
    for list in [
        "containerStatuses",
        "initContainerStatuses",
        "ephemeralContainerStatuses",
    ] {
        for container in status.items(list) {
            let Some(user) = container.child("user").get("linux") else {
                continue;
            };
            match os {
                "windows" => {
                    let why = "cannot be set for a windows pod";
                    errors.push(FieldError::forbidden(&user.path, why));
                }
                "linux" => linux_user(&user, errors),
                _ => {}
            }
        }
    }
}

fn linux_user(user: &Node<'_>, errors: &mut Errors) {
    let mut check = |id: &Node<'_>| {
        let number = id.value.as_i64().unwrap_or_default();
        if !(0..=ID_MAX).contains(&number) {
            let why = names::in_range(0, ID_MAX);
            errors.push(FieldError::invalid(&id.path, number, why));
        }
    };
    check(&user.child("uid"));
    check(&user.child("gid"));
    for group in user.items("supplementalGroups") {
        check(&group);
    }
}

/// Source: `validateContainerStatusAllocatedResourcesStatus`.
pub(super) fn devices(status: &Node<'_>, spec: &Node<'_>, errors: &mut Errors) {
    for (list, containers) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
    ] {
        let containers = spec.items(containers);
        for reported in status.items(list) {
            let name = reported.text("name");
            let container = containers.iter().find(|one| one.text("name") == name);
            for resource in reported.items("allocatedResourcesStatus") {
                if let Some(container) = container {
                    named(&resource, container, errors);
                }
                health(&resource, errors);
            }
        }
    }
    for reported in status.items("ephemeralContainerStatuses") {
        if reported.has_items("allocatedResourcesStatus") {
            let path = reported.at("allocatedResourcesStatus");
            let why = "must not be specified in container status";
            errors.push(FieldError::forbidden(&path, why));
        }
    }
}

/// A resource must be one that the container asks for, or claims.
fn named(resource: &Node<'_>, container: &Node<'_>, errors: &mut Errors) {
    let name = resource.text("name");
    let resources = container.child("resources");
    let (is_asked, why) = if name.starts_with("claim:") {
        let is_claim = resources.items("claims").iter().any(|claim| {
            let request = claim.text("request");
            let slash = if request.is_empty() { "" } else { "/" };
            format!("claim:{}{slash}{request}", claim.text("name")) == name
        });
        (is_claim, BY_CLAIM)
    } else {
        (resources.child("requests").has(name), BY_REQUEST)
    };
    if !is_asked {
        errors.push(FieldError::invalid(&resource.at("name"), name, why));
    }
}

fn health(resource: &Node<'_>, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for device in resource.items("resources") {
        if !HEALTH.contains(&device.text("health")) {
            let path = device.at("health");
            errors.push(FieldError::not_supported(
                &path,
                device.text("health"),
                &HEALTH,
            ));
        }
        let message = device.get("message");
        match message.as_ref().and_then(|message| message.value.as_str()) {
            Some("") => {
                let why = "must be non-empty if specified";
                errors.push(FieldError::required(&device.at("message"), why));
            }
            Some(text) if text.len() > MESSAGE_BYTES_MAX => {
                errors.push(FieldError::too_long(
                    &device.at("message"),
                    MESSAGE_BYTES_MAX,
                ));
            }
            _ => {}
        }
        if !known.insert(device.text("resourceID")) {
            let path = device.at("resourceID");
            errors.push(FieldError::duplicate(&path, device.text("resourceID")));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn devices_are_of_what_was_asked_for() {
        let pod = json!({"spec": {"containers": [{"name": "c", "resources": {
                "requests": {"a.b/c": "1"}, "claims": [{"name": "d", "request": "r"}]}}]},
            "status": {"containerStatuses": [{"name": "c", "allocatedResourcesStatus": [
                {"name": "a.b/c", "resources": [{"resourceID": "x", "health": "Healthy"}, {"resourceID": "x", "health": "Sick"}]},
                {"name": "claim:d/r"}, {"name": "claim:d"}, {"name": "x.y/z"}]}]}});
        let root = Node::root(&pod);
        let mut errors = Errors::new();
        devices(&root.child("status"), &root.child("spec"), &mut errors);
        let texts: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let at = "status.containerStatuses[0].allocatedResourcesStatus";
        assert_eq!(
            texts,
            [
                format!(
                    "{at}[0].resources[1].health: Unsupported value: \"Sick\": supported values: \"Healthy\", \"Unhealthy\", \"Unknown\""
                ),
                format!("{at}[0].resources[1].resourceID: Duplicate value: \"x\""),
                format!("{at}[2].name: Invalid value: \"claim:d\": {BY_CLAIM}"),
                format!("{at}[3].name: Invalid value: \"x.y/z\": {BY_REQUEST}"),
            ]
        );
    }

    #[test]
    fn users_have_numbers_in_range() {
        let pod = json!({"status": {"containerStatuses": [
            {"user": {"linux": {"uid": -1, "gid": 1, "supplementalGroups": [-2]}}}]}});
        let root = Node::root(&pod);
        let mut errors = Errors::new();
        users(&root.child("status"), &root.child("spec"), &mut errors);
        let paths: Vec<String> = errors.iter().map(|error| error.field.clone()).collect();
        assert_eq!(
            paths,
            [
                "status.containerStatuses[0].user.linux.uid",
                "status.containerStatuses[0].user.linux.supplementalGroups[0]"
            ]
        );
    }
}
