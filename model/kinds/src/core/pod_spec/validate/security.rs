//! Security contexts.

use std::collections::BTreeSet;

use meta::{FieldError, Path, names};

use super::windows;
use crate::check::{Errors, Node, descending_path};

const ID_MAX: i64 = i32::MAX as i64;
/// Longest name of an AppArmor profile: that of a path, without its end. Source: `maxLocalhostProfileLength`.
const PROFILE_BYTES_MAX: usize = 4095;
const SYSCTL_BYTES_MAX: usize = 253;
const SYSCTL_REGEX: &str =
    r"^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";

/// `spec.securityContext`. Source: `validatePodSpecSecurityContext`.
pub(super) fn pod(spec: &Node<'_>, errors: &mut Errors) {
    let Some(context) = spec.get("securityContext") else {
        return;
    };
    for field in ["fsGroup", "runAsUser", "runAsGroup"] {
        context.in_range(field, 0, ID_MAX, errors);
    }
    for group in context.items("supplementalGroups") {
        let id = group.value.as_i64().unwrap_or_default();
        if !(0..=ID_MAX).contains(&id) {
            errors.push(FieldError::invalid(
                &group.path,
                id,
                names::in_range(0, ID_MAX),
            ));
        }
    }
    if spec.flag("shareProcessNamespace") && spec.flag("hostPID") {
        let why = "ShareProcessNamespace and HostPID cannot both be enabled";
        errors.push(FieldError::invalid(
            &context.at("shareProcessNamespace"),
            true,
            why,
        ));
    }
    sysctls(spec, &context, errors);
    // `MountOption` belongs to a feature that is off.
    let policies: [(&str, &[&str]); 3] = [
        ("fsGroupChangePolicy", &["Always", "OnRootMismatch"]),
        ("supplementalGroupsPolicy", &["Merge", "Strict"]),
        ("seLinuxChangePolicy", &["Recursive"]),
    ];
    for (field, valid) in policies {
        if field == "supplementalGroupsPolicy" {
            profile(&context, "seccompProfile", errors);
            windows::options(&context.child("windowsOptions"), errors);
            profile(&context, "appArmorProfile", errors);
        }
        if context.has(field) {
            context.one_of(field, valid, errors);
        }
    }
}

fn sysctls(spec: &Node<'_>, context: &Node<'_>, errors: &mut Errors) {
    let mut known = BTreeSet::new();
    for sysctl in context.items("sysctls") {
        let name = sysctl.text("name");
        let path = sysctl.at("name");
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        } else if !is_sysctl(name) {
            let why = format!(
                "must have at most {SYSCTL_BYTES_MAX} characters and match regex {SYSCTL_REGEX}"
            );
            errors.push(FieldError::invalid(&path, name, why));
        } else if known.contains(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        if let Some(host) = host_namespace(name).filter(|host| spec.flag(host)) {
            let why = format!("may not be specified when '{host}' is true");
            errors.push(FieldError::invalid(&path, name, why));
        }
        known.insert(name);
    }
}

/// The field by which a pod shares with the node what a sysctl is about. Source: component-helpers `sysctl.GetNamespace`.
fn host_namespace(name: &str) -> Option<&'static str> {
    const IPC: [&str; 4] = ["kernel.sem", "kernel.shm", "kernel.msg", "fs.mqueue."];
    // Slashes may stand for dots.
    let name = match name.find(['.', '/']) {
        Some(at) if name.get(at..).is_some_and(|rest| rest.starts_with('/')) => {
            name.replace('/', ".")
        }
        _ => name.to_owned(),
    };
    if name.starts_with("net.") {
        Some("hostNetwork")
    } else if IPC.iter().any(|prefix| name.starts_with(prefix)) {
        Some("hostIPC")
    } else {
        None
    }
}

fn is_sysctl(name: &str) -> bool {
    let is_end = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let is_part = |part: &str| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(is_end)
            && bytes.last().copied().is_some_and(is_end)
            && bytes
                .iter()
                .all(|b| is_end(*b) || matches!(*b, b'-' | b'_'))
    };
    name.len() <= SYSCTL_BYTES_MAX && name.split(['.', '/']).all(is_part)
}

/// The name of an AppArmor profile on the node. Source: `ValidateAppArmorProfileField`.
fn app_armor_local(path: &Path, name: &str, errors: &mut Errors) {
    if name.trim() != name {
        let why = "must not be padded with whitespace";
        errors.push(FieldError::invalid(path, name, why));
    } else if name.is_empty() {
        let why = "must be set when AppArmor type is Localhost";
        errors.push(FieldError::required(path, why));
    }
    if name.len() > PROFILE_BYTES_MAX {
        errors.push(FieldError::too_long(path, PROFILE_BYTES_MAX));
    }
}

/// A seccomp or AppArmor profile.
fn profile(context: &Node<'_>, field: &str, errors: &mut Errors) {
    let Some(profile) = context.get(field) else {
        return;
    };
    let what = if field == "seccompProfile" {
        "seccomp"
    } else {
        "AppArmor"
    };
    let path = profile.at("localhostProfile");
    let kinds = ["Localhost", "RuntimeDefault", "Unconfined"];
    match profile.text("type") {
        "" => {
            let why = format!("type is required when {field} is set");
            errors.push(FieldError::required(&profile.at("type"), why));
        }
        other if !kinds.contains(&other) => {
            errors.push(FieldError::not_supported(
                &profile.at("type"),
                other,
                &kinds,
            ));
        }
        _ => {}
    }
    let local = profile.text("localhostProfile");
    if profile.text("type") == "Localhost" {
        if !profile.has("localhostProfile") {
            let why = format!("must be set when {what} type is Localhost");
            errors.push(FieldError::required(&path, why));
        } else if what == "seccomp" {
            descending_path(local, &path, errors);
        } else {
            app_armor_local(&path, local, errors);
        }
    } else if profile.has("localhostProfile")
        && (what == "seccomp" || kinds.contains(&profile.text("type")))
    {
        let why = format!("can only be set when {what} type is Localhost");
        let mut error = FieldError::invalid(&path, local, why);
        if what == "seccomp" {
            // Upstream shows the whole profile here.
            let schema = crate::schema::builtin("io.k8s.api.core.v1.SeccompProfile");
            error.shown = schema.and_then(|schema| {
                crate::schema::internal::print(&schema.graph, &schema.ty, profile.value)
            });
        }
        errors.push(error);
    }
}

/// A container's `securityContext`. Source: `ValidateSecurityContext`.
pub(super) fn container(container: &Node<'_>, has_host_users: bool, errors: &mut Errors) {
    let Some(context) = container.get("securityContext") else {
        return;
    };
    for field in ["runAsUser", "runAsGroup"] {
        context.in_range(field, 0, ID_MAX, errors);
    }
    if context.has("procMount") {
        context.one_of("procMount", &["Default", "Unmasked"], errors);
        if has_host_users && context.text("procMount") == "Unmasked" {
            let why = "`hostUsers` must be false to use `Unmasked`";
            errors.push(FieldError::invalid(
                &context.at("procMount"),
                "Unmasked",
                why,
            ));
        }
    }
    profile(&context, "seccompProfile", errors);
    if context.value.get("allowPrivilegeEscalation") == Some(&false.into()) {
        if context.flag("privileged") {
            let why = "cannot set `allowPrivilegeEscalation` to false and `privileged` to true";
            errors.push(FieldError::invalid(
                &context.path,
                context.value.clone(),
                why,
            ));
        }
        for _ in context
            .child("capabilities")
            .texts("add")
            .iter()
            .filter(|name| **name == "CAP_SYS_ADMIN")
        {
            let why = "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN";
            errors.push(FieldError::invalid(
                &context.path,
                context.value.clone(),
                why,
            ));
        }
    }
    windows::options(&context.child("windowsOptions"), errors);
    profile(&context, "appArmorProfile", errors);
}

fn contexts<'a>(spec: &Node<'a>) -> Vec<Node<'a>> {
    let lists = ["initContainers", "containers", "ephemeralContainers"];
    let containers = lists.iter().flat_map(|list| spec.items(list));
    containers
        .map(|container| container.child("securityContext"))
        .collect()
}

/// What Linux pods may not say.
pub(super) fn for_linux(spec: &Node<'_>, errors: &mut Errors) {
    let why = "windows options cannot be set for a linux pod";
    for context in [spec.child("securityContext")]
        .into_iter()
        .chain(contexts(spec))
    {
        if context.has("windowsOptions") {
            errors.push(FieldError::forbidden(&context.at("windowsOptions"), why));
        }
    }
}

/// What Windows pods may not say. Source: `validateWindows`.
pub(super) fn for_windows(spec: &Node<'_>, errors: &mut Errors) {
    let why = "cannot be set for a windows pod";
    let context = spec.child("securityContext");
    let of_pod = [
        "appArmorProfile",
        "seLinuxOptions",
        "hostUsers",
        "hostPID",
        "hostIPC",
        "seccompProfile",
        "fsGroup",
        "fsGroupChangePolicy",
        "sysctls",
        "shareProcessNamespace",
        "runAsUser",
        "runAsGroup",
        "supplementalGroups",
        "supplementalGroupsPolicy",
    ];
    for field in of_pod {
        let holder = if spec.has(field) { spec } else { &context };
        if holder.has(field) {
            errors.push(FieldError::forbidden(&holder.at(field), why));
        }
    }
    let of_container = [
        "appArmorProfile",
        "seLinuxOptions",
        "seccompProfile",
        "capabilities",
        "readOnlyRootFilesystem",
        "privileged",
        "allowPrivilegeEscalation",
        "procMount",
        "runAsUser",
        "runAsGroup",
    ];
    for context in contexts(spec) {
        for field in of_container {
            if context.has(field) {
                errors.push(FieldError::forbidden(&context.at(field), why));
            }
        }
    }
}
