//! Checks of kernel profiles: AppArmor, SELinux, seccomp, sysctls.

use std::collections::BTreeSet;

use meta::{Object, ObjectExt};
use serde_json::Value;

use super::{
    Violation, containers, is_windows, join, name, plural, quote, setters, subject, violation,
    which,
};

const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io";
const SECCOMP_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
const SECCOMP_CONTAINER: &str = "container.seccomp.security.alpha.kubernetes.io/";
/// Sysctls that are safe, with the first minor version that says so.
const SYSCTLS: [(&str, u32); 12] = [
    ("kernel.shm_rmid_forced", 0),
    ("net.ipv4.ip_local_port_range", 0),
    ("net.ipv4.tcp_syncookies", 0),
    ("net.ipv4.ping_group_range", 0),
    ("net.ipv4.ip_unprivileged_port_start", 0),
    ("net.ipv4.ip_local_reserved_ports", 27),
    ("net.ipv4.tcp_keepalive_time", 29),
    ("net.ipv4.tcp_fin_timeout", 29),
    ("net.ipv4.tcp_keepalive_intvl", 29),
    ("net.ipv4.tcp_keepalive_probes", 29),
    ("net.ipv4.tcp_rmem", 32),
    ("net.ipv4.tcp_wmem", 32),
];

/// `securityContext.FIELD.type`, of a pod's spec or a container.
fn profile<'a>(of: &'a Value, field: &str) -> Option<&'a str> {
    let profile = of.at(&["securityContext", field])?;
    Some(profile.str_at(&["type"]).unwrap_or_default())
}

fn is_confined(kind: &str) -> bool {
    matches!(kind, "RuntimeDefault" | "Localhost")
}

/// Who sets a profile that confines nothing, and to what.
fn unconfined<'a>(pod: &'a Object, field: &str) -> (bool, Vec<&'a str>, BTreeSet<&'a str>) {
    let bad = |of: &'a Value| profile(of, field).filter(|kind| !is_confined(kind));
    let of_pod = pod.get("spec").and_then(bad);
    let names = which(pod, |container| bad(container).is_some());
    let kinds = containers(pod).filter_map(bad).chain(of_pod).collect();
    (of_pod.is_some(), names, kinds)
}

fn annotations(pod: &Object) -> impl Iterator<Item = (&String, &str)> {
    let annotations = pod.at(&["metadata", "annotations"]);
    let entries = annotations.and_then(Value::as_object).into_iter().flatten();
    entries.map(|(key, value)| (key, value.as_str().unwrap_or_default()))
}

pub(super) fn app_armor(pod: &Object, _minor: u32) -> Option<Violation> {
    let (of_pod, names, kinds) = unconfined(pod, "appArmorProfile");
    let is_bad = |value: &str| {
        !value.is_empty() && value != "runtime/default" && !value.starts_with("localhost/")
    };
    let notes: BTreeSet<String> = annotations(pod)
        .filter(|(key, value)| key.starts_with(APP_ARMOR) && is_bad(value))
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    let word = plural("annotation", "annotations", notes.len());
    let mut who: Vec<String> = setters(of_pod, &names).into_iter().collect();
    if !notes.is_empty() {
        who.push(word.to_owned());
    }
    if who.is_empty() {
        return None;
    }
    let mut values: Vec<&str> = kinds.into_iter().collect();
    values.extend(notes.iter().map(String::as_str));
    violation(
        plural(
            "forbidden AppArmor profile",
            "forbidden AppArmor profiles",
            values.len(),
        ),
        format!(
            "{} must not set AppArmor profile type to {}",
            who.join(" and "),
            join(values)
        ),
    )
}

pub(super) fn se_linux(pod: &Object, minor: u32) -> Option<Violation> {
    let text =
        |options: &Value, field: &str| options.str_at(&[field]).unwrap_or_default().to_owned();
    let is_type_ok = |kind: &str| {
        matches!(
            kind,
            "" | "container_t" | "container_init_t" | "container_kvm_t"
        ) || (minor >= 31 && kind == "container_engine_t")
    };
    let is_bad = |options: &Value| {
        !is_type_ok(&text(options, "type"))
            || !text(options, "user").is_empty()
            || !text(options, "role").is_empty()
    };
    let options = |of: &Value| of.at(&["securityContext", "seLinuxOptions"]).cloned();
    let of_pod = pod.get("spec").and_then(options);
    let all: Vec<Value> = containers(pod)
        .filter_map(options)
        .chain(of_pod.clone())
        .collect();
    let names = which(pod, |container| {
        options(container).is_some_and(|options| is_bad(&options))
    });
    let who = setters(of_pod.is_some_and(|options| is_bad(&options)), &names)?;
    let mut wrong = Vec::new();
    let types: BTreeSet<String> = all
        .iter()
        .map(|options| text(options, "type"))
        .filter(|kind| !is_type_ok(kind))
        .collect();
    if !types.is_empty() {
        let word = plural("type", "types", types.len());
        wrong.push(format!("{word} {}", join(types)));
    }
    for field in ["user", "role"] {
        if all.iter().any(|options| !text(options, field).is_empty()) {
            wrong.push(format!("{field} may not be set"));
        }
    }
    violation(
        "seLinuxOptions",
        format!(
            "{who} set forbidden securityContext.seLinuxOptions: {}",
            wrong.join("; ")
        ),
    )
}

fn seccomp_set(pod: &Object) -> Option<Violation> {
    let (of_pod, names, kinds) = unconfined(pod, "seccompProfile");
    let who = setters(of_pod, &names)?;
    violation(
        "seccompProfile",
        format!(
            "{who} must not set securityContext.seccompProfile.type to {}",
            join(kinds)
        ),
    )
}

pub(super) fn seccomp_baseline(pod: &Object, minor: u32) -> Option<Violation> {
    if minor >= 19 {
        return seccomp_set(pod);
    }
    let is_bad = |value: &str| {
        value != "runtime/default" && value != "docker/default" && !value.starts_with("localhost/")
    };
    let is_ours = |key: &str| {
        key == SECCOMP_POD
            || key
                .strip_prefix(SECCOMP_CONTAINER)
                .is_some_and(|of| containers(pod).any(|container| name(container) == of))
    };
    let notes: BTreeSet<String> = annotations(pod)
        .filter(|(key, value)| is_ours(key) && is_bad(value))
        .map(|(key, value)| format!("{key}={}", quote(value)))
        .collect();
    if notes.is_empty() {
        return None;
    }
    let word = plural("annotation", "annotations", notes.len());
    let notes: Vec<String> = notes.into_iter().collect();
    violation(
        "seccompProfile",
        format!("forbidden {word} {}", notes.join(", ")),
    )
}

pub(super) fn seccomp_restricted(pod: &Object, minor: u32) -> Option<Violation> {
    if minor >= 25 && is_windows(pod) {
        return None;
    }
    let set = seccomp_set(pod);
    if set.is_some() {
        return set;
    }
    let of_pod = pod
        .get("spec")
        .and_then(|spec| profile(spec, "seccompProfile"));
    let silent = which(pod, |container| {
        profile(container, "seccompProfile").is_none()
    });
    if of_pod.is_some() || silent.is_empty() {
        return None;
    }
    violation(
        "seccompProfile",
        format!(
            "pod or {} must set securityContext.seccompProfile.type to \"RuntimeDefault\" or \"Localhost\"",
            subject(&silent)
        ),
    )
}

pub(super) fn sysctls(pod: &Object, minor: u32) -> Option<Violation> {
    let is_safe = |sysctl: &str| {
        SYSCTLS
            .iter()
            .any(|(known, since)| *known == sysctl && *since <= minor)
    };
    let set = pod.list_at(&["spec", "securityContext", "sysctls"]).iter();
    let bad: Vec<&str> = set.map(name).filter(|sysctl| !is_safe(sysctl)).collect();
    if bad.is_empty() {
        return None;
    }
    violation("forbidden sysctls", bad.join(", "))
}
