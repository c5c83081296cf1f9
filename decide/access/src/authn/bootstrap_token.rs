//! Bootstrap tokens: secrets in `kube-system` that let new nodes introduce themselves.
//!
//! Source: `plugin/pkg/auth/authenticator/token/bootstrap`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use kinds::strategy::{Lookup, User};
use meta::{Object, ObjectExt};

use crate::user;

const GROUP: &str = "system:bootstrappers";
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
/// Longest name of a group, behind the prefix. Source: `BootstrapGroupPattern`.
const GROUP_BYTES_MAX: usize = 256;
const ID_CHARS: usize = 6;
const SECRET_CHARS: usize = 16;

/// Splits `ID.SECRET`; `None` for any other text.
pub fn split(token: &str) -> Option<(&str, &str)> {
    let (id, secret) = token.split_once('.')?;
    let fits = |text: &str, chars: usize| {
        text.len() == chars
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    (fits(id, ID_CHARS) && fits(secret, SECRET_CHARS)).then_some((id, secret))
}

/// The user behind a bootstrap token; `None` when no valid secret stands behind it.
pub fn user_of(token: &str, cluster: &dyn Lookup, now: Timestamp) -> Option<User> {
    let (id, given) = split(token)?;
    let secret = cluster.get("secrets", "kube-system", &format!("bootstrap-token-{id}"))?;
    if secret.deletion_timestamp().is_some() || secret.str_at(&["type"]) != Some(SECRET_TYPE) {
        return None;
    }
    let matches =
        same(&field(&secret, "token-secret")?, given) && field(&secret, "token-id")? == id;
    let is_for_this = field(&secret, "usage-bootstrap-authentication").as_deref() == Some("true");
    if !matches || !is_for_this || has_expired(&secret, now) {
        return None;
    }
    let extra = field(&secret, "auth-extra-groups").unwrap_or_default();
    let groups: Vec<&str> = groups(&extra)?.into_iter().collect();
    Some(user::user(&format!("system:bootstrap:{id}"), &groups))
}

/// The groups of a token, sorted; `None` when one of those in its secret cannot be a bootstrapper's.
///
/// Source: `cluster-bootstrap` `GetGroups`.
fn groups(extra: &str) -> Option<BTreeSet<&str>> {
    let mut groups = BTreeSet::from([GROUP]);
    if !extra.is_empty() {
        let extra = extra.split(',');
        let extra: Option<Vec<&str>> = extra
            .map(|group| is_group(group).then_some(group))
            .collect();
        groups.extend(extra?);
    }
    Some(groups)
}

/// Source: `BootstrapGroupPattern`.
fn is_group(group: &str) -> bool {
    let Some(name) = group
        .strip_prefix(GROUP)
        .and_then(|rest| rest.strip_prefix(':'))
    else {
        return false;
    };
    let is_letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_inner = |byte: u8| is_letter(byte) || matches!(byte, b':' | b'-');
    name.len() <= GROUP_BYTES_MAX
        && name.bytes().all(is_inner)
        && name.bytes().next_back().is_some_and(is_letter)
}

/// A secret whose end cannot be read counts as expired.
fn has_expired(secret: &Object, now: Timestamp) -> bool {
    let Some(end) = field(secret, "expiration").filter(|end| !end.is_empty()) else {
        return false;
    };
    let end = meta::time::from_rfc3339(&end).filter(|_| kinds::schema::is_time(&end));
    end.is_none_or(|end| end <= now)
}

/// What is no text is kept as one that means nothing, so that an end that cannot be read is not taken for none.
fn field(secret: &Object, key: &str) -> Option<String> {
    use base64::Engine;
    let encoded = secret.str_at(&["data", key])?;
    let bytes = base64::engine::general_purpose::STANDARD.decode(encoded);
    bytes
        .ok()
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// Compares without stopping at the first difference.
fn same(a: &str, b: &str) -> bool {
    let difference = a
        .bytes()
        .zip(b.bytes())
        .fold(0, |all, (a, b)| all | (a ^ b));
    a.len() == b.len() && difference == 0
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use serde_json::json;

    use super::*;
    use crate::testing::Cluster;

    fn cluster(expiration: &str) -> Cluster {
        cluster_until(expiration.as_bytes())
    }

    fn cluster_until(expiration: &[u8]) -> Cluster {
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        Cluster::of([(
            "secrets",
            json!({"metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
            "type": SECRET_TYPE, "data": {"token-id": encode("abcdef"), "token-secret": encode("0123456789abcdef"),
                "usage-bootstrap-authentication": encode("true"), "expiration": base64::engine::general_purpose::STANDARD.encode(expiration),
                "auth-extra-groups": encode("system:bootstrappers:edge,system:bootstrappers:a")}}),
        )])
    }

    #[test]
    fn a_token_joins_its_groups() {
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let user = user_of("abcdef.0123456789abcdef", &cluster(""), now).unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert_eq!(
            user.groups,
            [
                "system:bootstrappers",
                "system:bootstrappers:a",
                "system:bootstrappers:edge",
                "system:authenticated"
            ]
        );
    }

    #[test]
    fn a_token_with_a_group_of_others_is_nobodys() {
        for odd in [
            "system:masters",
            "system:bootstrappers:",
            "system:bootstrappers:a,",
            " ",
        ] {
            assert_eq!(groups(odd), None, "{odd}");
        }
        assert!(groups("").is_some() && groups("system:bootstrappers:a-b:c").is_some());
    }

    #[test]
    fn wrong_expired_and_malformed_tokens_are_nobody() {
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(user_of("abcdef.0123456789abcdeX", &cluster(""), now), None);
        assert_eq!(user_of("abcdef.0123456789abcdee", &cluster(""), now), None);
        let is_good =
            |end: &[u8]| user_of("abcdef.0123456789abcdef", &cluster_until(end), now).is_some();
        assert!(is_good(b"2026-11-22T00:00:00Z") && is_good(b"2026-11-21T01:00:00.5+00:30"));
        for odd in [
            "2026-11-20T00:00:00Z",
            "2026-11-21T00:00:00Z",
            "2026-11-22T00:00:00z",
            "2026-11-22t00:00:00Z",
            "2026-11-22 00:00:00Z",
            "2026-11-22",
            "never",
        ] {
            assert!(!is_good(odd.as_bytes()), "{odd}");
        }
        assert!(!is_good(&[0xff]));
    }
}
