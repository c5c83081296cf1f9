//! Service-account tokens: the claims that are signed, and the user that valid claims stand for.
//!
//! Source: `pkg/serviceaccount/claims.go`: claim names, checks and their order.

use jiff::Timestamp;
use kinds::strategy::{Lookup, User};
use meta::field::quote;
use meta::{Object, ObjectExt};
use serde_json::{Value, json};

use crate::user;

/// Who signs the cluster's tokens. Source: kubeadm's default `--service-account-issuer`.
pub const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Shortest lifetime that may be asked for, in seconds. Source: `pkg/apis/authentication/validation`.
pub const EXPIRATION_SECONDS_MIN: i64 = 600;
/// Longest lifetime that may be asked for, in seconds.
pub const EXPIRATION_SECONDS_MAX: i64 = 1 << 32;
/// Lifetime when none is asked for, in seconds. Source: `pkg/apis/authentication/v1/defaults.go`.
pub const EXPIRATION_SECONDS_DEFAULT: i64 = 3600;
/// The lifetime that pods' own volumes ask for, in seconds: by it upstream knows tokens whose readers may be too old to read
/// them again. Source: `pkg/serviceaccount` `WarnOnlyBoundTokenExpirationSeconds`.
pub const EXTENDED_SECONDS: i64 = 3607;
/// How long such a token is good for, in seconds. Source: `pkg/serviceaccount` `ExpirationExtensionSeconds`.
const EXTENSION_SECONDS: i64 = 365 * 24 * 60 * 60;
/// How far clocks may be apart, and how long a token outlives the end of what it is bound to, in seconds. Source: go-jose
/// `jwt.DefaultLeeway`.
const LEEWAY_SECONDS: i64 = 60;

/// The object a token is bound to: it stops working when that is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// `Pod`, `Secret` or `Node`.
    pub kind: String,
    /// Name.
    pub name: String,
    /// Uid.
    pub uid: String,
    /// The node of a bound pod, as name and uid.
    pub node: Option<(String, String)>,
}

/// How long a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetime {
    seconds: i64,
    /// After how many seconds its reader should have read another; `None` when it is not good any more by then.
    warn_seconds: Option<i64>,
}

impl Lifetime {
    /// The lifetime of a token for which so many seconds were asked: a pod's own is good for a year, as a program that never
    /// reads it again would stop working otherwise.
    ///
    /// Source: `pkg/registry/core/serviceaccount/storage/token.go`, with the default of
    /// `--service-account-extend-token-expiration`.
    pub fn of(asked_seconds: i64, bound: Option<&Bound>, audiences: &[String]) -> Self {
        let is_pods = bound.is_some_and(|bound| bound.kind == "Pod");
        let is_for_us = audiences.iter().all(|audience| audience == ISSUER);
        if is_pods && is_for_us && asked_seconds == EXTENDED_SECONDS {
            return Self {
                seconds: EXTENSION_SECONDS,
                warn_seconds: Some(asked_seconds),
            };
        }
        Self {
            seconds: asked_seconds,
            warn_seconds: None,
        }
    }
}

/// Whether a token is used for longer than its reader asked for; `None` when it is not good for longer anyway.
pub fn is_stale(claims: &Value, now: Timestamp) -> Option<bool> {
    let warned = claims.int_at(&["kubernetes.io", "warnafter"])?;
    Some(now.as_second() > warned)
}

/// The claims of a token for a service account.
pub fn claims(
    account: &Object,
    bound: Option<&Bound>,
    audiences: &[String],
    lifetime: Lifetime,
    id: &str,
    now: Timestamp,
) -> Value {
    let mut private = json!({"namespace": account.namespace(),
        "serviceaccount": {"name": account.name(), "uid": account.uid()}});
    if let Some(bound) = bound {
        let field = bound.kind.to_lowercase();
        private.set(&[&field], json!({"name": bound.name, "uid": bound.uid}));
        if let Some((name, uid)) = &bound.node {
            private.set(&["node", "name"], name.as_str().into());
            // A node that is not there has no uid to tell.
            if !uid.is_empty() {
                private.set(&["node", "uid"], uid.as_str().into());
            }
        }
    }
    let issued = now.as_second();
    if let Some(seconds) = lifetime.warn_seconds {
        private.set(&["warnafter"], (issued + seconds).into());
    }
    json!({
        "aud": audiences,
        "exp": issued + lifetime.seconds,
        "iat": issued,
        "nbf": issued,
        "iss": ISSUER,
        "jti": id,
        "kubernetes.io": private,
        "sub": format!("system:serviceaccount:{}:{}", account.namespace(), account.name()),
    })
}

/// The user behind signed claims.
///
/// # Errors
/// Why the token is not valid (any more); for logs and TokenReview, not for the client. Source: `pkg/serviceaccount`
/// `jwt.go` and `claims.go`.
pub fn user_of(
    claims: &Value,
    audiences: &[String],
    cluster: &dyn Lookup,
    now: Timestamp,
) -> Result<User, String> {
    if claims.str_at(&["iss"]) != Some(ISSUER) {
        return Err("service account token has another issuer".to_owned());
    }
    let given: Vec<&str> = claims
        .list_at(&["aud"])
        .iter()
        .filter_map(Value::as_str)
        .collect();
    if !audiences
        .iter()
        .any(|known| given.contains(&known.as_str()))
    {
        let given: Vec<String> = given.into_iter().map(str::to_owned).collect();
        return Err(format!(
            "token audiences {} is invalid for the target audiences {}",
            quoted(&given),
            quoted(audiences)
        ));
    }
    check_time(claims, now)?;
    let private = claims
        .at(&["kubernetes.io"])
        .ok_or("service account token has no kubernetes.io claims")?;
    let namespace = private.str_at(&["namespace"]).unwrap_or_default();
    let (name, uid) = reference(private, "serviceaccount")
        .ok_or("service account token names no service account")?;
    let account = cluster
        .get("serviceaccounts", namespace, name)
        .ok_or_else(|| format!("serviceaccounts {} not found", quote(name)))?;
    if account.uid() != uid {
        return Err(format!(
            "service account UID ({}) does not match claim ({uid})",
            account.uid()
        ));
    }
    if is_over(&account, now) {
        return Err(format!(
            "service account {namespace}/{name} has been deleted"
        ));
    }
    check_bound(private, "secret", namespace, cluster, now)?;
    check_bound(private, "pod", namespace, cluster, now)?;
    // Of a pod's token the node is said only; it does not end with it.
    if private.get("pod").is_none() {
        check_bound(private, "node", "", cluster, now)?;
    }
    let mut user = user::service_account(namespace, name);
    uid.clone_into(&mut user.uid);
    add_extra(&mut user, claims, private);
    Ok(user)
}

/// Texts as Go prints a list of them quoted: with spaces between.
fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", texts.join(" "))
}

fn check_time(claims: &Value, now: Timestamp) -> Result<(), &'static str> {
    let second = now.as_second();
    let at = |claim: &str| claims.int_at(&[claim]);
    if at("nbf").is_some_and(|start| start > second + LEEWAY_SECONDS) {
        return Err("service account token is not valid yet");
    }
    if at("exp").is_none_or(|end| end < second - LEEWAY_SECONDS) {
        return Err("service account token has expired");
    }
    if at("iat").is_some_and(|issued| issued > second + LEEWAY_SECONDS) {
        return Err("service account token is issued in the future");
    }
    Ok(())
}

fn reference<'a>(private: &'a Value, field: &str) -> Option<(&'a str, &'a str)> {
    Some((
        private.str_at(&[field, "name"])?,
        private.str_at(&[field, "uid"])?,
    ))
}

/// What a token is bound to must still be there, and still be the same.
fn check_bound(
    private: &Value,
    field: &str,
    namespace: &str,
    cluster: &dyn Lookup,
    now: Timestamp,
) -> Result<(), String> {
    let Some((name, uid)) = reference(private, field) else {
        return Ok(());
    };
    let gone = "service account token has been invalidated";
    let object = cluster
        .get(&format!("{field}s"), namespace, name)
        .ok_or(gone)?;
    if object.uid() != uid {
        return Err(format!(
            "{field} UID ({}) does not match service account {field} ref claim ({uid})",
            object.uid()
        ));
    }
    if is_over(&object, now) {
        return Err(gone.to_owned());
    }
    Ok(())
}

/// Whether an object was to be gone for longer than clocks may be apart.
fn is_over(object: &Object, now: Timestamp) -> bool {
    let deleted = object
        .deletion_timestamp()
        .and_then(meta::time::from_rfc3339);
    deleted.is_some_and(|deleted| deleted.as_second() < now.as_second() - LEEWAY_SECONDS)
}

fn add_extra(user: &mut User, claims: &Value, private: &Value) {
    let mut add = |key: &str, value: Option<&str>| {
        if let Some(value) = value {
            user.extra.insert(
                format!("authentication.kubernetes.io/{key}"),
                vec![value.to_owned()],
            );
        }
    };
    let id = claims.str_at(&["jti"]).map(|id| format!("JTI={id}"));
    add("credential-id", id.as_deref());
    for field in ["node", "pod"] {
        add(&format!("{field}-name"), private.str_at(&[field, "name"]));
        add(&format!("{field}-uid"), private.str_at(&[field, "uid"]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Cluster;

    fn now() -> Timestamp {
        "2026-11-21T00:00:00Z".parse().unwrap()
    }
    fn api() -> Vec<String> {
        vec![ISSUER.to_owned()]
    }
    fn account() -> Object {
        json!({"metadata": {"name": "web", "namespace": "default", "uid": "u1"}})
    }
    fn bound() -> Bound {
        Bound {
            kind: "Pod".into(),
            name: "p".into(),
            uid: "u2".into(),
            node: Some(("n".into(), "u3".into())),
        }
    }

    fn short() -> Lifetime {
        Lifetime::of(600, None, &api())
    }

    #[test]
    fn a_pods_own_token_is_good_for_a_year_and_stale_after_an_hour() {
        let pod = bound();
        let lifetime = Lifetime::of(EXTENDED_SECONDS, Some(&pod), &api());
        let claims = claims(&account(), Some(&pod), &api(), lifetime, "id", now());
        let second = now().as_second();
        assert_eq!(claims["exp"], second + 31_536_000);
        assert_eq!(claims["kubernetes.io"]["warnafter"], second + 3607);
        let after = |seconds| now() + jiff::SignedDuration::from_secs(seconds);
        assert_eq!(is_stale(&claims, after(3607)), Some(false));
        assert_eq!(is_stale(&claims, after(3608)), Some(true));
    }

    #[test]
    fn no_other_token_is_good_for_longer_than_was_asked() {
        let (pod, node) = (
            bound(),
            Bound {
                kind: "Node".into(),
                ..bound()
            },
        );
        let elsewhere = vec![ISSUER.to_owned(), "vault".to_owned()];
        for (seconds, bound, audiences) in [
            (3600, Some(&pod), &api()),
            (EXTENDED_SECONDS, Some(&node), &api()),
            (EXTENDED_SECONDS, None, &api()),
            (EXTENDED_SECONDS, Some(&pod), &elsewhere),
        ] {
            let lifetime = Lifetime::of(seconds, bound, audiences);
            let claims = claims(&account(), bound, audiences, lifetime, "id", now());
            assert_eq!(claims["exp"], now().as_second() + seconds);
            assert_eq!(is_stale(&claims, now()), None);
        }
    }

    #[test]
    fn a_bound_token_stands_for_its_account_while_the_pod_lives() {
        let claims = claims(&account(), Some(&bound()), &api(), short(), "id", now());
        let pod = json!({"metadata": {"name": "p", "namespace": "default", "uid": "u2"}});
        let cluster = Cluster::of([("serviceaccounts", account()), ("pods", pod)]);
        let user = user_of(&claims, &api(), &cluster, now()).unwrap();
        assert_eq!(
            (user.name.as_str(), user.uid.as_str()),
            ("system:serviceaccount:default:web", "u1")
        );
        assert_eq!(user.extra["authentication.kubernetes.io/pod-name"], ["p"]);
        let without_pod = Cluster::of([("serviceaccounts", account())]);
        assert!(user_of(&claims, &api(), &without_pod, now()).is_err());
    }

    #[test]
    fn tokens_end_and_keep_to_their_audience_and_account() {
        let claims = claims(&account(), None, &api(), short(), "id", now());
        let cluster = Cluster::of([("serviceaccounts", account())]);
        let later = now() + jiff::SignedDuration::from_secs(661);
        assert_eq!(
            user_of(&claims, &api(), &cluster, later),
            Err("service account token has expired".to_owned())
        );
        let others = ["a".to_owned(), "b".to_owned()];
        assert_eq!(
            user_of(&claims, &others, &cluster, now()).unwrap_err(),
            "token audiences [\"https://kubernetes.default.svc.cluster.local\"] is invalid for the target audiences [\"a\" \"b\"]"
        );
        let mut anew = account();
        anew.set(&["metadata", "uid"], "u9".into());
        assert!(
            user_of(
                &claims,
                &api(),
                &Cluster::of([("serviceaccounts", anew)]),
                now()
            )
            .is_err()
        );
    }

    #[test]
    fn a_token_ends_with_the_node_secret_or_account_behind_it() {
        let object = |uid: &str, deleted: i64| {
            let end = now() + jiff::SignedDuration::from_secs(deleted);
            json!({"metadata": {"name": "x", "namespace": "default", "uid": uid,
                "deletionTimestamp": meta::time::to_rfc3339(end)}})
        };
        for (kind, resource) in [("Node", "nodes"), ("Secret", "secrets"), ("Pod", "pods")] {
            let bound = Bound {
                kind: kind.into(),
                name: "x".into(),
                uid: "u2".into(),
                node: None,
            };
            let claims = claims(&account(), Some(&bound), &api(), short(), "id", now());
            let is_good = |resource: &str, mut object: Object| {
                if kind == "Node" {
                    object.remove(&["metadata", "namespace"]);
                }
                let cluster = Cluster::of([(resource, object), ("serviceaccounts", account())]);
                user_of(&claims, &api(), &cluster, now()).is_ok()
            };
            assert!(is_good(resource, object("u2", -60)), "{kind}");
            assert!(!is_good(resource, object("u2", -61)), "{kind} deleted");
            assert!(!is_good(resource, object("u3", 0)), "{kind} made anew");
            assert!(!is_good("others", object("u2", 0)), "{kind} gone");
        }
        let claims = claims(&account(), None, &api(), short(), "id", now());
        let mut deleted = account();
        deleted.set(
            &["metadata", "deletionTimestamp"],
            "2026-11-20T00:00:00Z".into(),
        );
        let cluster = Cluster::of([("serviceaccounts", deleted)]);
        assert_eq!(
            user_of(&claims, &api(), &cluster, now()).unwrap_err(),
            "service account default/web has been deleted"
        );
    }
}
