//! Containers of every sort. Source: `validateContainers`, `validateInitContainers`, `validateEphemeralContainers`.

use std::collections::BTreeSet;

use meta::{FieldError, names};

use super::{Surroundings, env, image_blanks, probes, resources, security};
use crate::check::{Errors, Node, descending_path};

/// Source: `supportedContainerRestartPolicies`, as a sorted set.
const RESTART_POLICIES: [&str; 3] = ["Always", "Never", "OnFailure"];
const NO_PROBES: &str = "may not be set for init containers without restartPolicy=Always";
/// What an ephemeral container may not say, in the order of upstream's internal type.
///
/// Source: `validateFieldAllowList`, `core.EphemeralContainerCommon`.
const NOT_EPHEMERAL: [&str; 9] = [
    "ports",
    "resources",
    "resizePolicy",
    "restartPolicy",
    "restartPolicyRules",
    "livenessProbe",
    "readinessProbe",
    "startupProbe",
    "lifecycle",
];
const EPHEMERAL_ONLY: &str = "cannot be set for an Ephemeral Container";

/// The containers that make up the pod.
pub(super) fn app_containers(pod: &Surroundings<'_>, errors: &mut Errors) {
    let containers = pod.spec.items("containers");
    if containers.is_empty() {
        errors.push(FieldError::required(&pod.spec.at("containers"), ""));
        return;
    }
    let mut known = BTreeSet::new();
    for container in &containers {
        common(pod, container, errors);
        if !known.insert(container.text("name")) {
            errors.push(FieldError::duplicate(
                &container.at("name"),
                container.text("name"),
            ));
        }
        probes::lifecycle(pod, container, errors);
        probes::all(pod, container, errors);
        restart_policy(container, errors);
    }
    host_ports(&containers, errors);
}

/// Source: `validateContainerRestartPolicy`.
fn restart_policy(container: &Node<'_>, errors: &mut Errors) {
    const RULES_MAX: usize = 20;
    const EXIT_CODES_MAX: usize = 255;
    let rules = container.items("restartPolicyRules");
    if container.has("restartPolicy") {
        container.one_of("restartPolicy", &RESTART_POLICIES, errors);
    } else if rules.is_empty() {
        return;
    } else {
        let path = container.at("restartPolicy");
        let why = "must specify restartPolicy when restart rules are used";
        errors.push(FieldError::required(&path, why));
    }
    if rules.len() > RULES_MAX {
        let path = container.at("restartPolicyRules");
        errors.push(FieldError::too_many(&path, rules.len(), RULES_MAX));
    }
    for rule in rules {
        rule.one_of("action", &["Restart", "RestartAllContainers"], errors);
        let Some(codes) = rule.get("exitCodes") else {
            errors.push(FieldError::required(
                &rule.at("exitCodes"),
                "must be specified",
            ));
            continue;
        };
        codes.one_of("operator", &["In", "NotIn"], errors);
        let count = codes.items("values").len();
        if count > EXIT_CODES_MAX {
            errors.push(FieldError::too_many(
                &codes.at("values"),
                count,
                EXIT_CODES_MAX,
            ));
        }
    }
}

/// Host ports are taken once.
fn host_ports(containers: &[Node<'_>], errors: &mut Errors) {
    let mut taken = BTreeSet::new();
    for port in containers
        .iter()
        .flat_map(|container| container.items("ports"))
    {
        let Some(number) = port.int("hostPort").filter(|number| *number != 0) else {
            continue;
        };
        let key = format!("{}/{}/{number}", port.text("protocol"), port.text("hostIP"));
        if taken.contains(&key) {
            errors.push(FieldError::duplicate(&port.at("hostPort"), key));
        } else {
            taken.insert(key);
        }
    }
}

/// The containers that run before, and sidecars.
pub(super) fn init_containers(pod: &Surroundings<'_>, errors: &mut Errors) {
    let app = pod.spec.items("containers");
    let mut known: BTreeSet<&str> = app.iter().map(|container| container.text("name")).collect();
    for container in pod.spec.items("initContainers") {
        common(pod, &container, errors);
        if container.has("restartPolicy") {
            restart_policy(&container, errors);
        } else if container.has_items("restartPolicyRules") {
            let why = "must specify restartPolicy when restart rules are used";
            errors.push(FieldError::required(&container.at("restartPolicy"), why));
        }
        let name = container.text("name");
        if known.contains(name) {
            errors.push(FieldError::duplicate(&container.at("name"), name));
        } else if !name.is_empty() {
            known.insert(name);
        }
        host_ports(std::slice::from_ref(&container), errors);
        if container.text("restartPolicy") == "Always" {
            probes::lifecycle(pod, &container, errors);
            probes::all(pod, &container, errors);
            continue;
        }
        for field in [
            "lifecycle",
            "livenessProbe",
            "readinessProbe",
            "startupProbe",
        ] {
            if container.has(field) {
                errors.push(FieldError::forbidden(&container.at(field), NO_PROBES));
            }
        }
        for policy in container.items("resizePolicy") {
            if policy.text("restartPolicy") == "RestartContainer" {
                let why = "must not be set to 'RestartContainer' for non-sidecar initContainers";
                errors.push(FieldError::invalid(
                    &policy.at("restartPolicy"),
                    "RestartContainer",
                    why,
                ));
            }
        }
    }
}

/// The containers that people add to look around.
pub(super) fn ephemeral_containers(pod: &Surroundings<'_>, errors: &mut Errors) {
    let others: BTreeSet<&str> = ["containers", "initContainers"]
        .iter()
        .flat_map(|list| pod.spec.items(list))
        .map(|container| container.text("name"))
        .collect();
    let mut known = others.clone();
    for container in pod.spec.items("ephemeralContainers") {
        common(pod, &container, errors);
        image_blanks(&container, errors);
        if !known.insert(container.text("name")) {
            errors.push(FieldError::duplicate(
                &container.at("name"),
                container.text("name"),
            ));
        }
        let target = container.text("targetContainerName");
        if !target.is_empty() && !others.contains(target) {
            errors.push(FieldError::not_found(
                &container.at("targetContainerName"),
                target,
            ));
        }
        for field in NOT_EPHEMERAL {
            let value = container.child(field).value;
            // All others are pointers upstream, or lists: what is empty is there.
            let is_empty =
                field == "resources" && value.as_object().is_some_and(serde_json::Map::is_empty);
            if !value.is_null() && !is_empty {
                errors.push(FieldError::forbidden(&container.at(field), EPHEMERAL_ONLY));
            }
        }
        for mount in container.items("volumeMounts") {
            for field in ["subPath", "subPathExpr"] {
                if !mount.text(field).is_empty() {
                    errors.push(FieldError::forbidden(&mount.at(field), EPHEMERAL_ONLY));
                }
            }
        }
    }
}

/// What holds for every container. Source: `validateContainerCommon`.
fn common(pod: &Surroundings<'_>, container: &Node<'_>, errors: &mut Errors) {
    let name = container.text("name");
    if name.is_empty() {
        errors.push(FieldError::required(&container.at("name"), ""));
    } else {
        container.complain("name", names::dns1123_label(name), errors);
    }
    container.needs("image", errors);
    container.needs_one_of(
        "terminationMessagePolicy",
        &["File", "FallbackToLogsOnError"],
        errors,
    );
    ports(container, errors);
    env::variables(container, errors);
    env::sources(container, errors);
    mounts(pod, container, errors);
    devices(pod, container, errors);
    container.needs_one_of(
        "imagePullPolicy",
        &["Always", "IfNotPresent", "Never"],
        errors,
    );
    resources::requirements(&container.child("resources"), &pod.claims, errors);
    resize_policies(pod, container, errors);
    security::container(container, pod.has_host_users, errors);
}

fn ports(container: &Node<'_>, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for port in container.items("ports") {
        let name = port.text("name");
        if !name.is_empty() {
            let complaints = names::port_name(name);
            if complaints.is_empty() && !known.insert(name) {
                errors.push(FieldError::duplicate(&port.at("name"), name));
            }
            port.complain("name", complaints, errors);
        }
        for field in ["containerPort", "hostPort"] {
            let number = port.int(field).unwrap_or_default();
            if number != 0 {
                let complaints = names::port_number(number).into_iter();
                errors.extend(
                    complaints.map(|why| FieldError::invalid(&port.at(field), number, why)),
                );
            } else if field == "containerPort" {
                errors.push(FieldError::required(&port.at(field), ""));
            }
        }
        port.needs_one_of("protocol", &["SCTP", "TCP", "UDP"], errors);
    }
}

fn mounts(pod: &Surroundings<'_>, container: &Node<'_>, errors: &mut Errors) {
    let devices = container.items("volumeDevices");
    let mut known = BTreeSet::new();
    let list = container.at("volumeMounts");
    for mount in container.items("volumeMounts") {
        let (name, target) = (mount.text("name"), mount.text("mountPath"));
        mount.needs("name", errors);
        if !pod.volumes.contains_key(name) {
            errors.push(FieldError::not_found(&mount.at("name"), name));
        }
        mount.needs("mountPath", errors);
        if !known.insert(target) {
            errors.push(FieldError::invalid(
                &mount.at("mountPath"),
                target,
                "must be unique",
            ));
        }
        if devices.iter().any(|device| device.text("name") == name) {
            let why = "must not already exist in volumeDevices";
            errors.push(FieldError::invalid(&mount.at("name"), name, why));
        }
        if devices
            .iter()
            .any(|device| device.text("devicePath") == target)
        {
            let why = "must not already exist as a path in volumeDevices";
            errors.push(FieldError::invalid(&mount.at("mountPath"), target, why));
        }
        let (sub, expression) = (mount.text("subPath"), mount.text("subPathExpr"));
        if !sub.is_empty() {
            descending_path(sub, &list.child("subPath"), errors);
        }
        if !expression.is_empty() {
            if !sub.is_empty() {
                let why = "subPathExpr and subPath are mutually exclusive";
                errors.push(FieldError::invalid(
                    &mount.at("subPathExpr"),
                    expression,
                    why,
                ));
            }
            descending_path(expression, &list.child("subPathExpr"), errors);
        }
        propagation(container, &mount, &list, errors);
    }
}

fn propagation(container: &Node<'_>, mount: &Node<'_>, list: &meta::Path, errors: &mut Errors) {
    let mode = mount.text("mountPropagation");
    let path = list.child("mountPropagation");
    let modes = ["Bidirectional", "HostToContainer", "None"];
    if mount.has("mountPropagation") && !modes.contains(&mode) {
        errors.push(FieldError::not_supported(&path, mode, &modes));
    }
    if mode == "Bidirectional" && !container.child("securityContext").flag("privileged") {
        let why = "Bidirectional mount propagation is available only to privileged containers";
        errors.push(FieldError::forbidden(&path, why));
    }
    let path = list.child("recursiveReadOnly");
    match mount.text("recursiveReadOnly") {
        "Enabled" | "IfPossible" => {
            if !mount.flag("readOnly") {
                errors.push(FieldError::forbidden(
                    &path,
                    "may only be specified when readOnly is true",
                ));
            }
            if !matches!(mode, "" | "None") {
                let why = "may only be specified when mountPropagation is None or not specified";
                errors.push(FieldError::forbidden(&path, why));
            }
        }
        "Disabled" => {}
        other if mount.has("recursiveReadOnly") => {
            errors.push(FieldError::not_supported(
                &path,
                other,
                &["Disabled", "Enabled", "IfPossible"],
            ));
        }
        _ => {}
    }
}

fn devices(pod: &Surroundings<'_>, container: &Node<'_>, errors: &mut Errors) {
    let mounts = container.items("volumeMounts");
    let (mut paths, mut known) = (BTreeSet::new(), BTreeSet::new());
    for device in container.items("volumeDevices") {
        let (name, target) = (device.text("name"), device.text("devicePath"));
        let at = |field: &str, value: &str, why: &str| {
            FieldError::invalid(&device.at(field), value, why)
        };
        device.needs("name", errors);
        if known.contains(name) {
            errors.push(at("name", name, "must be unique"));
        }
        match pod.volumes.get(name) {
            None => errors.push(FieldError::not_found(&device.at("name"), name)),
            Some(volume) if !volume.has("persistentVolumeClaim") && !volume.has("ephemeral") => {
                let why = "can only use volume source type of PersistentVolumeClaim or Ephemeral for block mode";
                errors.push(at("name", name, why));
            }
            Some(_) => {}
        }
        device.needs("devicePath", errors);
        if paths.contains(target) {
            errors.push(at("devicePath", target, "must be unique"));
        }
        if target.split('/').any(|part| part == "..") {
            errors.push(at("devicePath", target, "can not contain backsteps ('..')"));
        } else {
            paths.insert(target);
        }
        if mounts.iter().any(|mount| mount.text("name") == name) {
            errors.push(at("name", name, "must not already exist in volumeMounts"));
        }
        if mounts.iter().any(|mount| mount.text("mountPath") == target) {
            errors.push(at(
                "devicePath",
                target,
                "must not already exist as a path in volumeMounts",
            ));
        }
        if !name.is_empty() {
            known.insert(name);
        }
    }
}

fn resize_policies(pod: &Surroundings<'_>, container: &Node<'_>, errors: &mut Errors) {
    let path = container.at("resizePolicy");
    let mut known = BTreeSet::new();
    for policy in container.items("resizePolicy") {
        let (name, restart) = (policy.text("resourceName"), policy.text("restartPolicy"));
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&policy.path, name));
        }
        for (value, valid) in [
            (name, ["cpu", "memory"]),
            (restart, ["NotRequired", "RestartContainer"]),
        ] {
            if value.is_empty() {
                errors.push(FieldError::required(&path, ""));
            } else if !valid.contains(&value) {
                errors.push(FieldError::not_supported(&path, value, &valid));
            }
        }
        if pod.spec.text("restartPolicy") == "Never" && restart != "NotRequired" {
            let why = "must be 'NotRequired' when pod `restartPolicy` is 'Never'";
            errors.push(FieldError::invalid(&path, restart, why));
        }
    }
}
