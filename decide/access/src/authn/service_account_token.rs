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
/// How long a deleted pod's token still works, in seconds. Source: `claims.go`.
const POD_DELETION_LEEWAY_SECONDS: i64 = 60;
/// How far the clock of who signed may be ahead, in seconds.
const LEEWAY_SECONDS: i64 = 10;

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

/// The claims of a token for a service account.
pub fn claims(
    account: &Object,
    bound: Option<&Bound>,
    audiences: &[String],
    seconds: i64,
    id: &str,
    now: Timestamp,
) -> Value {
    let mut private = json!({"namespace": account.namespace(),
        "serviceaccount": {"name": account.name(), "uid": account.uid()}});
    if let Some(bound) = bound {
        let field = bound.kind.to_lowercase();
        private.set(&[&field], json!({"name": bound.name, "uid": bound.uid}));
        if let Some((name, uid)) = &bound.node {
            private.set(&["node"], json!({"name": name, "uid": uid}));
        }
    }
    let issued = now.as_second();
    json!({
        "aud": audiences,
        "exp": issued + seconds,
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
    check_bound(private, "pods", "pod", namespace, cluster, now)?;
    check_bound(private, "secrets", "secret", namespace, cluster, now)?;
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
    if claims.int_at(&["exp"]).is_none_or(|end| end <= second) {
        return Err("service account token has expired");
    }
    let starts = claims.int_at(&["nbf"]);
    if starts.is_some_and(|start| start > second + LEEWAY_SECONDS) {
        return Err("service account token is not valid yet");
    }
    Ok(())
}

fn reference<'a>(private: &'a Value, field: &str) -> Option<(&'a str, &'a str)> {
    Some((
        private.str_at(&[field, "name"])?,
        private.str_at(&[field, "uid"])?,
    ))
}

fn check_bound(
    private: &Value,
    resource: &str,
    field: &str,
    namespace: &str,
    cluster: &dyn Lookup,
    now: Timestamp,
) -> Result<(), &'static str> {
    let Some((name, uid)) = reference(private, field) else {
        return Ok(());
    };
    let object = cluster
        .get(resource, namespace, name)
        .filter(|object| object.uid() == uid);
    let object = object.ok_or("service account token has been invalidated")?;
    let deleted = object
        .deletion_timestamp()
        .and_then(meta::time::from_rfc3339);
    let is_over = deleted
        .is_some_and(|deleted| now.as_second() > deleted.as_second() + POD_DELETION_LEEWAY_SECONDS);
    if is_over {
        Err("service account token has been invalidated")
    } else {
        Ok(())
    }
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

    #[test]
    fn a_bound_token_stands_for_its_account_while_the_pod_lives() {
        let claims = claims(&account(), Some(&bound()), &api(), 600, "id", now());
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
        let claims = claims(&account(), None, &api(), 600, "id", now());
        let cluster = Cluster::of([("serviceaccounts", account())]);
        let later = now() + jiff::SignedDuration::from_secs(601);
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
}
