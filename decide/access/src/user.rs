//! Names of the users and groups that mean something to the server. Source: apiserver `authentication/user`.

use kinds::strategy::User;
use meta::names;

/// Members may do everything.
pub const MASTERS: &str = "system:masters";
/// Everybody who was authenticated.
pub const AUTHENTICATED: &str = "system:authenticated";
/// Everybody who was not.
pub const UNAUTHENTICATED: &str = "system:unauthenticated";
/// The user name of those who were not authenticated.
pub const ANONYMOUS: &str = "system:anonymous";
/// All kubelets.
pub const NODES: &str = "system:nodes";
/// All service accounts; those of one namespace add `:NAMESPACE`.
pub const SERVICE_ACCOUNTS: &str = "system:serviceaccounts";
/// Extra attribute that says which credential was shown. Source: apiserver `user.CredentialIDKey`.
pub const CREDENTIAL_ID: &str = "authentication.kubernetes.io/credential-id";
/// The API server's own identity in process.
pub const API_SERVER: &str = "system:apiserver";
/// The controllers' identity.
pub const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";
/// The scheduler's identity.
pub const SCHEDULER: &str = "system:kube-scheduler";
/// Prefix of kubelets' user names.
pub const NODE_PREFIX: &str = "system:node:";
/// Prefix of service accounts' user names, which go on with namespace, colon and name.
pub(crate) const SERVICE_ACCOUNT_PREFIX: &str = "system:serviceaccount:";

/// A user by name and groups; `system:authenticated` is added.
pub fn user(name: &str, groups: &[&str]) -> User {
    let mut groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    if !groups
        .iter()
        .any(|group| group == AUTHENTICATED || group == UNAUTHENTICATED)
    {
        groups.push(AUTHENTICATED.to_owned());
    }
    User {
        name: name.to_owned(),
        groups,
        ..User::default()
    }
}

/// Whoever shows no credentials.
pub fn anonymous() -> User {
    user(ANONYMOUS, &[UNAUTHENTICATED])
}

/// A kubelet.
pub fn node(name: &str) -> User {
    user(&format!("{NODE_PREFIX}{name}"), &[NODES])
}

/// A service account.
pub fn service_account(namespace: &str, name: &str) -> User {
    let of_namespace = format!("{SERVICE_ACCOUNTS}:{namespace}");
    user(
        &format!("{SERVICE_ACCOUNT_PREFIX}{namespace}:{name}"),
        &[SERVICE_ACCOUNTS, &of_namespace],
    )
}

/// Namespace and name behind a service account's user name; `None` for other users.
pub fn service_account_of(user_name: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user_name
        .strip_prefix(SERVICE_ACCOUNT_PREFIX)?
        .split_once(':')?;
    let is_one =
        names::dns1123_label(namespace).is_empty() && names::dns1123_subdomain(name).is_empty();
    is_one.then_some((namespace, name))
}

/// The node behind a kubelet's identity; `None` for other users.
pub fn node_of(user: &User) -> Option<&str> {
    let is_node = user.groups.iter().any(|group| group == NODES);
    user.name
        .strip_prefix(NODE_PREFIX)
        .filter(|name| is_node && !name.is_empty())
}

/// Whether the user is a kubelet that does not say of which node.
pub fn is_nameless_node(user: &User) -> bool {
    user.name == NODE_PREFIX && user.groups.iter().any(|group| group == NODES)
}
