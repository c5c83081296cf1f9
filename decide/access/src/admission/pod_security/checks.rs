//! The checks of the Pod Security Standards, in upstream's order: baseline by name, then restricted by name.
//!
//! Source: `staging/src/k8s.io/pod-security-admission/policy`.

use std::collections::BTreeSet;
use std::fmt;

use meta::field::quote;
use meta::{Object, ObjectExt};
use serde_json::Value;

use super::{Level, LevelVersion};

mod profiles;
mod volumes;

use profiles::{app_armor, se_linux, seccomp_baseline, seccomp_restricted, sysctls};
use volumes::{host_path, restricted_volumes};

/// The newest minor version that a check knows of.
const LATEST: u32 = 35;
const DEFAULT_CAPABILITIES: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// What a pod does that it should not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Violation {
    /// In a few words.
    pub(super) reason: String,
    /// Who does it.
    pub(super) detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.detail.is_empty() {
            return f.write_str(&self.reason);
        }
        write!(f, "{} ({})", self.reason, self.detail)
    }
}

/// One check: what of a pod (or template) breaks it, as of a minor version.
type Check = fn(&Object, u32) -> Option<Violation>;

/// A check with the first version it is in, and the first in which a restricted check takes its place.
struct Row {
    level: Level,
    since: u32,
    replaced: Option<u32>,
    check: Check,
}

const fn baseline(since: u32, replaced: Option<u32>, check: Check) -> Row {
    Row {
        level: Level::Baseline,
        since,
        replaced,
        check,
    }
}

const fn restricted(since: u32, check: Check) -> Row {
    Row {
        level: Level::Restricted,
        since,
        replaced: None,
        check,
    }
}

static ROWS: [Row; 19] = [
    baseline(0, None, app_armor),
    baseline(0, Some(22), capabilities_baseline),
    baseline(0, None, host_namespaces),
    baseline(0, Some(0), host_path),
    baseline(0, None, host_ports),
    baseline(34, None, host_probes),
    baseline(0, None, privileged),
    baseline(0, Some(35), proc_mount_baseline),
    baseline(0, None, se_linux),
    baseline(0, Some(19), seccomp_baseline),
    baseline(0, None, sysctls),
    baseline(0, None, windows_host_process),
    restricted(8, privilege_escalation),
    restricted(22, capabilities_restricted),
    restricted(35, |pod, _| proc_mount(pod)),
    restricted(0, restricted_volumes),
    restricted(0, run_as_non_root),
    restricted(23, run_as_user),
    restricted(19, seccomp_restricted),
];

/// What a pod breaks of a policy.
pub(super) fn run(policy: LevelVersion, pod: &Object) -> Vec<Violation> {
    if policy.level == Level::Privileged {
        return Vec::new();
    }
    let minor = policy.minor.unwrap_or(LATEST).min(LATEST);
    let applies = |row: &&Row| {
        let is_replaced = policy.level == Level::Restricted
            && row.replaced.is_some_and(|replaced| minor >= replaced);
        row.level <= policy.level && row.since <= minor && !is_replaced
    };
    ROWS.iter()
        .filter(applies)
        .filter_map(|row| (row.check)(pod, minor))
        .collect()
}

#[expect(clippy::unnecessary_wraps, reason = "every check ends with it")]
fn violation(reason: impl Into<String>, detail: impl Into<String>) -> Option<Violation> {
    Some(Violation {
        reason: reason.into(),
        detail: detail.into(),
    })
}

/// All containers in upstream's order.
fn containers(pod: &Object) -> impl Iterator<Item = &Object> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| pod.list_at(&["spec", list]))
}

fn name(of: &Value) -> &str {
    of.str_at(&["name"]).unwrap_or_default()
}

/// The names of the containers that a test holds for.
fn which<'a>(pod: &'a Object, test: impl Fn(&'a Object) -> bool) -> Vec<&'a str> {
    containers(pod)
        .filter(|container| test(container))
        .map(name)
        .collect()
}

fn join<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let quoted: Vec<String> = items
        .into_iter()
        .map(|item| format!("\"{}\"", item.as_ref()))
        .collect();
    quoted.join(", ")
}

fn plural<'a>(one: &'a str, many: &'a str, count: usize) -> &'a str {
    if count == 1 { one } else { many }
}

/// `container "a"` or `containers "a", "b"`.
fn subject(names: &[&str]) -> String {
    let word = plural("container", "containers", names.len());
    format!("{word} {}", join(names))
}

/// `pod and container "a"`, of those that set something; `None` when nobody does.
fn setters(pod_sets: bool, names: &[&str]) -> Option<String> {
    let mut parts = Vec::new();
    if pod_sets {
        parts.push("pod".to_owned());
    }
    if !names.is_empty() {
        parts.push(subject(names));
    }
    (!parts.is_empty()).then(|| parts.join(" and "))
}

fn is_windows(pod: &Object) -> bool {
    pod.str_at(&["spec", "os", "name"]) == Some("windows")
}

/// Whether the pod has user IDs of its own. Source: `relaxPolicyForUserNamespacePod`.
fn has_own_users(pod: &Object) -> bool {
    pod.bool_at(&["spec", "hostUsers"]) == Some(false)
}

fn capabilities<'a>(container: &'a Object, field: &str) -> impl Iterator<Item = &'a str> {
    let list = container.list_at(&["securityContext", "capabilities", field]);
    list.iter().filter_map(Value::as_str)
}

fn capabilities_baseline(pod: &Object, _minor: u32) -> Option<Violation> {
    let is_more = |capability: &&str| !DEFAULT_CAPABILITIES.contains(capability);
    let added = containers(pod).flat_map(|container| capabilities(container, "add"));
    let added: BTreeSet<&str> = added.filter(is_more).collect();
    let bad = which(pod, |container| {
        capabilities(container, "add").any(|capability| is_more(&capability))
    });
    if bad.is_empty() {
        return None;
    }
    let (who, what) = (subject(&bad), join(added));
    violation(
        "non-default capabilities",
        format!("{who} must not include {what} in securityContext.capabilities.add"),
    )
}

fn capabilities_restricted(pod: &Object, minor: u32) -> Option<Violation> {
    if minor >= 25 && is_windows(pod) {
        return None;
    }
    let is_more = |capability: &&str| *capability != "NET_BIND_SERVICE";
    let keeping = which(pod, |container| {
        !capabilities(container, "drop").any(|capability| capability == "ALL")
    });
    let adding = which(pod, |container| {
        capabilities(container, "add").any(|capability| is_more(&capability))
    });
    let mut details = Vec::new();
    if !keeping.is_empty() {
        let who = subject(&keeping);
        details.push(format!(
            "{who} must set securityContext.capabilities.drop=[\"ALL\"]"
        ));
    }
    if !adding.is_empty() {
        let added = containers(pod).flat_map(|container| capabilities(container, "add"));
        let (who, what) = (
            subject(&adding),
            join(added.filter(is_more).collect::<BTreeSet<_>>()),
        );
        details.push(format!(
            "{who} must not include {what} in securityContext.capabilities.add"
        ));
    }
    if details.is_empty() {
        return None;
    }
    violation("unrestricted capabilities", details.join("; "))
}

fn host_namespaces(pod: &Object, _minor: u32) -> Option<Violation> {
    let used: Vec<String> = ["hostNetwork", "hostPID", "hostIPC"]
        .iter()
        .filter(|field| pod.bool_at(&["spec", field]) == Some(true))
        .map(|field| format!("{field}=true"))
        .collect();
    if used.is_empty() {
        return None;
    }
    violation("host namespaces", used.join(", "))
}

fn host_ports(pod: &Object, _minor: u32) -> Option<Violation> {
    let ports = |container: &Object| -> Vec<String> {
        let ports = container.list_at(&["ports"]).iter();
        ports
            .filter_map(|port| port.int_at(&["hostPort"]).filter(|port| *port != 0))
            .map(|port| port.to_string())
            .collect()
    };
    let used: BTreeSet<String> = containers(pod).flat_map(ports).collect();
    let bad = which(pod, |container| !ports(container).is_empty());
    if bad.is_empty() {
        return None;
    }
    let detail = format!(
        "{} {} {} {}",
        subject(&bad),
        plural("uses", "use", bad.len()),
        plural("hostPort", "hostPorts", used.len()),
        used.into_iter().collect::<Vec<_>>().join(", ")
    );
    violation("hostPort", detail)
}

/// Hosts that probes and lifecycle hooks of a container call.
fn hosts(container: &Object) -> BTreeSet<&str> {
    const HANDLERS: [&[&str]; 5] = [
        &["livenessProbe"],
        &["readinessProbe"],
        &["startupProbe"],
        &["lifecycle", "postStart"],
        &["lifecycle", "preStop"],
    ];
    let handlers = HANDLERS.iter().filter_map(|path| container.at(path));
    handlers
        .flat_map(|handler| {
            ["httpGet", "tcpSocket"]
                .into_iter()
                .filter_map(|action| handler.str_at(&[action, "host"]))
        })
        .filter(|host| !host.is_empty())
        .collect()
}

fn host_probes(pod: &Object, _minor: u32) -> Option<Violation> {
    let called: BTreeSet<&str> = containers(pod).flat_map(hosts).collect();
    let bad: BTreeSet<&str> = which(pod, |container| !hosts(container).is_empty())
        .into_iter()
        .collect();
    if bad.is_empty() {
        return None;
    }
    let bad: Vec<&str> = bad.into_iter().collect();
    let detail = format!(
        "{} {} {} {}",
        subject(&bad),
        plural("uses", "use", bad.len()),
        plural(
            "probe or lifecycle host",
            "probe or lifecycle hosts",
            called.len()
        ),
        join(called)
    );
    violation("probe or lifecycle host", detail)
}

fn privileged(pod: &Object, _minor: u32) -> Option<Violation> {
    let bad = which(pod, |container| {
        container.bool_at(&["securityContext", "privileged"]) == Some(true)
    });
    if bad.is_empty() {
        return None;
    }
    let detail = format!(
        "{} must not set securityContext.privileged=true",
        subject(&bad)
    );
    violation("privileged", detail)
}

fn proc_mount_baseline(pod: &Object, minor: u32) -> Option<Violation> {
    if minor >= 35 && has_own_users(pod) {
        return None;
    }
    proc_mount(pod)
}

fn proc_mount(pod: &Object) -> Option<Violation> {
    let other = |container: &Object| {
        let mount = container.str_at(&["securityContext", "procMount"]);
        mount.filter(|mount| *mount != "Default").map(str::to_owned)
    };
    let mounts: BTreeSet<String> = containers(pod).filter_map(other).collect();
    let bad = which(pod, |container| other(container).is_some());
    if bad.is_empty() {
        return None;
    }
    let (who, what) = (subject(&bad), join(mounts));
    violation(
        "procMount",
        format!("{who} must not set securityContext.procMount to {what}"),
    )
}

fn windows_host_process(pod: &Object, _minor: u32) -> Option<Violation> {
    const PATH: [&str; 3] = ["securityContext", "windowsOptions", "hostProcess"];
    let bad = which(pod, |container| container.bool_at(&PATH) == Some(true));
    let of_pod = pod.get("spec").and_then(|spec| spec.bool_at(&PATH)) == Some(true);
    let who = setters(of_pod, &bad)?;
    violation(
        "hostProcess",
        format!("{who} must not set securityContext.windowsOptions.hostProcess=true"),
    )
}

fn privilege_escalation(pod: &Object, minor: u32) -> Option<Violation> {
    if minor >= 25 && is_windows(pod) {
        return None;
    }
    let bad = which(pod, |container| {
        container.bool_at(&["securityContext", "allowPrivilegeEscalation"]) != Some(false)
    });
    if bad.is_empty() {
        return None;
    }
    let who = subject(&bad);
    violation(
        "allowPrivilegeEscalation != false",
        format!("{who} must set securityContext.allowPrivilegeEscalation=false"),
    )
}

fn run_as_non_root(pod: &Object, minor: u32) -> Option<Violation> {
    const PATH: [&str; 2] = ["securityContext", "runAsNonRoot"];
    const REASON: &str = "runAsNonRoot != true";
    if minor >= 35 && has_own_users(pod) {
        return None;
    }
    let of_pod = pod.get("spec").and_then(|spec| spec.bool_at(&PATH));
    let wrong = which(pod, |container| container.bool_at(&PATH) == Some(false));
    if let Some(who) = setters(of_pod == Some(false), &wrong) {
        let detail = format!("{who} must not set securityContext.runAsNonRoot=false");
        return violation(REASON, detail);
    }
    let silent = which(pod, |container| container.bool_at(&PATH).is_none());
    if of_pod == Some(true) || silent.is_empty() {
        return None;
    }
    let who = subject(&silent);
    let detail = format!("pod or {who} must set securityContext.runAsNonRoot=true");
    violation(REASON, detail)
}

fn run_as_user(pod: &Object, minor: u32) -> Option<Violation> {
    const PATH: [&str; 2] = ["securityContext", "runAsUser"];
    if minor >= 35 && has_own_users(pod) {
        return None;
    }
    let bad = which(pod, |container| container.int_at(&PATH) == Some(0));
    let of_pod = pod.get("spec").and_then(|spec| spec.int_at(&PATH)) == Some(0);
    let who = setters(of_pod, &bad)?;
    violation("runAsUser=0", format!("{who} must not set runAsUser=0"))
}
