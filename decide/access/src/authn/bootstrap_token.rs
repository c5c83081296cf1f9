//! Bootstrap tokens: secrets in `kube-system` that let new nodes introduce themselves.
//!
//! Source: `plugin/pkg/auth/authenticator/token/bootstrap`.

use jiff::Timestamp;
use kinds::strategy::{Lookup, User};
use meta::{Object, ObjectExt};

use crate::user;

const GROUP: &str = "system:bootstrappers";
const SECRET_TYPE: &str = "bootstrap.kubernetes.io/token";
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
    let extra = extra
        .split(',')
        .map(str::trim)
        .filter(|group| group.starts_with("system:bootstrappers:"));
    let groups: Vec<&str> = std::iter::once(GROUP).chain(extra).collect();
    Some(user::user(&format!("system:bootstrap:{id}"), &groups))
}

/// A secret whose end cannot be read counts as expired.
fn has_expired(secret: &Object, now: Timestamp) -> bool {
    let Some(end) = field(secret, "expiration").filter(|end| !end.is_empty()) else {
        return false;
    };
    meta::time::from_rfc3339(&end).is_none_or(|end| end <= now)
}

fn field(secret: &Object, key: &str) -> Option<String> {
    use base64::Engine;
    let encoded = secret.str_at(&["data", key])?;
    String::from_utf8(
        base64::engine::general_purpose::STANDARD
            .decode(encoded)
            .ok()?,
    )
    .ok()
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
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        Cluster::of([(
            "secrets",
            json!({"metadata": {"name": "bootstrap-token-abcdef", "namespace": "kube-system"},
            "type": SECRET_TYPE, "data": {"token-id": encode("abcdef"), "token-secret": encode("0123456789abcdef"),
                "usage-bootstrap-authentication": encode("true"), "expiration": encode(expiration),
                "auth-extra-groups": encode("system:bootstrappers:edge,system:masters")}}),
        )])
    }

    #[test]
    fn a_token_joins_its_groups_but_no_powerful_ones() {
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        let user = user_of("abcdef.0123456789abcdef", &cluster(""), now).unwrap();
        assert_eq!(user.name, "system:bootstrap:abcdef");
        assert_eq!(
            user.groups,
            [
                "system:bootstrappers",
                "system:bootstrappers:edge",
                "system:authenticated"
            ]
        );
    }

    #[test]
    fn wrong_expired_and_malformed_tokens_are_nobody() {
        let now = "2026-11-21T00:00:00Z".parse().unwrap();
        assert_eq!(user_of("abcdef.0123456789abcdeX", &cluster(""), now), None);
        assert_eq!(user_of("abcdef.0123456789abcdee", &cluster(""), now), None);
        assert_eq!(
            user_of(
                "abcdef.0123456789abcdef",
                &cluster("2026-11-20T00:00:00Z"),
                now
            ),
            None
        );
    }
}
