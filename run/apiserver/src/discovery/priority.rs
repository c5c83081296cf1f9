//! The order in which groups and versions are listed.

use std::cmp::Ordering;

/// Built-in groups in the order of a stock server's `/apis`; others follow by name.
///
/// Source: `pkg/controlplane/apiserver/aggregator.go`, `DefaultGenericAPIServicePriorities`.
const GROUPS: &[&str] = &[
    "",
    "apiregistration.k8s.io",
    "apps",
    "events.k8s.io",
    "authentication.k8s.io",
    "authorization.k8s.io",
    "autoscaling",
    "batch",
    "certificates.k8s.io",
    "networking.k8s.io",
    "policy",
    "rbac.authorization.k8s.io",
    "storage.k8s.io",
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "scheduling.k8s.io",
    "coordination.k8s.io",
    "node.k8s.io",
    "discovery.k8s.io",
    "resource.k8s.io",
    "flowcontrol.apiserver.k8s.io",
];

/// Orders groups as `/apis` lists them.
pub(super) fn groups(left: &str, right: &str) -> Ordering {
    let rank = |group: &str| GROUPS.iter().position(|known| *known == group);
    match (rank(left), rank(right)) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// Orders versions, the preferred one first: stable before beta before alpha, newer before older, then by text.
///
/// Source: apimachinery `version.CompareKubeAwareVersionStrings`.
pub(super) fn versions(left: &str, right: &str) -> Ordering {
    match (rank(left), rank(right)) {
        (Some(left), Some(right)) => right.cmp(&left),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => left.cmp(right),
    }
}

/// Stability (3 stable, 2 beta, 1 alpha), major, minor; `None` when it is no Kubernetes version.
fn rank(version: &str) -> Option<(u8, u64, u64)> {
    let rest = version.strip_prefix('v')?;
    let digits = rest
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(rest.len());
    let (major, rest) = rest.split_at(digits);
    let major = major.parse().ok()?;
    if rest.is_empty() {
        return Some((3, major, 0));
    }
    let (stability, minor) = match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
        (Some(minor), _) => (2, minor),
        (_, Some(minor)) => (1, minor),
        (None, None) => return None,
    };
    Some((stability, major, minor.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_come_first_and_newer_before_older() {
        let mut shown = ["v1beta1", "foo", "v1", "v2", "v2alpha1", "v1beta2", "v10"];
        shown.sort_by(|left, right| versions(left, right));
        assert_eq!(
            shown,
            ["v10", "v2", "v1", "v1beta2", "v1beta1", "v2alpha1", "foo"]
        );
    }

    #[test]
    fn unknown_groups_follow_the_built_in_ones() {
        let mut shown = ["zoo.io", "apps", "example.com", "batch"];
        shown.sort_by(|left, right| groups(left, right));
        assert_eq!(shown, ["apps", "batch", "example.com", "zoo.io"]);
    }
}
