//! Which kernel settings pods may have: those that concern nobody else.
//!
//! Source: `pkg/kubelet/sysctl`, its `allowlist.go` and `safe_sysctls.go`.

use meta::{Object, ObjectExt};

use super::Rejection;

/// Settings of a namespace that a pod has for itself.
const SAFE: [(&str, Namespace); 12] = [
    ("kernel.shm_rmid_forced", Namespace::Ipc),
    ("net.ipv4.ip_local_port_range", Namespace::Net),
    ("net.ipv4.ip_local_reserved_ports", Namespace::Net),
    ("net.ipv4.ip_unprivileged_port_start", Namespace::Net),
    ("net.ipv4.ping_group_range", Namespace::Net),
    ("net.ipv4.tcp_fin_timeout", Namespace::Net),
    ("net.ipv4.tcp_keepalive_intvl", Namespace::Net),
    ("net.ipv4.tcp_keepalive_probes", Namespace::Net),
    ("net.ipv4.tcp_keepalive_time", Namespace::Net),
    ("net.ipv4.tcp_rmem", Namespace::Net),
    ("net.ipv4.tcp_syncookies", Namespace::Net),
    ("net.ipv4.tcp_wmem", Namespace::Net),
];

#[derive(Clone, Copy)]
enum Namespace {
    Ipc,
    Net,
}

/// Refuses a pod that asks for others, or for these while it shares the machine's.
pub(super) fn check(pod: &Object) -> Result<(), Rejection> {
    let asked = pod.list_at(&["spec", "securityContext", "sysctls"]).iter();
    let mut names = asked.filter_map(|sysctl| sysctl.str_at(&["name"]));
    match names.find_map(|name| wrong(pod, name)) {
        None => Ok(()),
        Some(why) => Err(Rejection {
            reason: "SysctlForbidden".to_owned(),
            message: format!("forbidden sysctl: {why}"),
        }),
    }
}

fn wrong(pod: &Object, name: &str) -> Option<String> {
    let name = dotted(name);
    let quoted = meta::field::quote(&name);
    let Some((_, namespace)) = SAFE.iter().find(|(safe, _)| *safe == name) else {
        return Some(format!("{quoted} not allowlisted"));
    };
    let (field, shared) = match namespace {
        Namespace::Ipc => ("hostIPC", "ipc"),
        Namespace::Net => ("hostNetwork", "net"),
    };
    let is_shared = pod.bool_at(&["spec", field]) == Some(true);
    is_shared.then(|| format!("{quoted} not allowed with host {shared} enabled"))
}

/// The name with dots between its parts, however it is written: the first of `.` and `/` says which of them parts.
fn dotted(name: &str) -> String {
    let is_slashed = name
        .find(['.', '/'])
        .is_some_and(|at| name.get(at..=at) == Some("/"));
    if !is_slashed {
        return name.to_owned();
    }
    let swap = |character| match character {
        '/' => '.',
        '.' => '/',
        other => other,
    };
    name.chars().map(swap).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(name: &str, field: &str) -> String {
        let pod = json!({"spec": {field: true, "securityContext": {"sysctls": [{"name": name, "value": "1"}]}}});
        check(&pod)
            .err()
            .map_or_else(String::new, |why| why.message)
    }

    #[test]
    fn pods_set_what_concerns_nobody_else() {
        assert_eq!(told("net.ipv4.tcp_syncookies", "hostIPC"), "");
        assert_eq!(told("net/ipv4/tcp_syncookies", "hostIPC"), "");
        assert_eq!(told("kernel.shm_rmid_forced", "hostNetwork"), "");
        assert_eq!(
            told("kernel/msgmax", "x"),
            "forbidden sysctl: \"kernel.msgmax\" not allowlisted"
        );
        assert_eq!(
            told("net.ipv4.conf.eth0/100.forwarding", "x"),
            "forbidden sysctl: \"net.ipv4.conf.eth0/100.forwarding\" not allowlisted"
        );
        assert_eq!(
            told("net.ipv4.tcp_rmem", "hostNetwork"),
            "forbidden sysctl: \"net.ipv4.tcp_rmem\" not allowed with host net enabled"
        );
        assert_eq!(
            told("kernel.shm_rmid_forced", "hostIPC"),
            "forbidden sysctl: \"kernel.shm_rmid_forced\" not allowed with host ipc enabled"
        );
        assert_eq!(check(&json!({"spec": {}})), Ok(()));
    }
}
