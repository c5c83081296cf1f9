//! Acting as somebody else: what the caller must be allowed, and who it then is.
//!
//! Since 1.36 there are ways that are narrower than the old one: each for one sort of user, and for one sort of request.
//!
//! Source: apiserver `endpoints/filters/impersonation`.

use std::collections::BTreeMap;

use kinds::strategy::User;
use meta::{StatusError, names};

use crate::attributes::Attributes;
use crate::user;

/// What the `Impersonate-*` headers ask for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wanted {
    /// `Impersonate-User`.
    pub user: String,
    /// `Impersonate-Uid`; empty when absent.
    pub uid: String,
    /// `Impersonate-Group`, each.
    pub groups: Vec<String>,
    /// `Impersonate-Extra-KEY`, keys in lower case and unescaped.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Wanted {
    /// Whether anything is asked for.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// As Go prints the user that is asked for.
    fn as_go(&self) -> String {
        let quote = meta::field::quote;
        let list = |texts: &[String]| {
            let quoted: Vec<String> = texts.iter().map(|text| quote(text)).collect();
            format!("[]string{{{}}}", quoted.join(", "))
        };
        let groups = match self.groups.as_slice() {
            [] => "[]string(nil)".to_owned(),
            groups => list(groups),
        };
        let extra: Vec<String> = self
            .extra
            .iter()
            .map(|(key, values)| format!("{}:{}", quote(key), list(values)))
            .collect();
        let extra = if extra.is_empty() {
            "map[string][]string(nil)".to_owned()
        } else {
            format!("map[string][]string{{{}}}", extra.join(", "))
        };
        format!(
            "&user.DefaultInfo{{Name:\"\", UID:{}, Groups:{groups}, Extra:{extra}}}",
            quote(&self.uid)
        )
    }

    /// The ways that lead to who is asked for, in the order in which they are tried; `request` is what the caller asks
    /// for as somebody else.
    ///
    /// # Errors
    /// Something is asked for, but no user.
    pub fn ways(&self, request: &Attributes) -> Result<Vec<Way>, StatusError> {
        if self.user.is_empty() {
            return Err(StatusError::bad_request(format!(
                "requested {} without impersonating a user name",
                self.as_go()
            )));
        }
        let modes = Mode::ALL.into_iter();
        let modes = modes.filter(|mode| mode.leads_to(self, &request.user));
        Ok(modes.map(|mode| self.way(mode, request)).collect())
    }

    fn is_name_alone(&self) -> bool {
        self.uid.is_empty() && self.groups.is_empty() && self.extra.is_empty()
    }

    fn way(&self, mode: Mode, request: &Attributes) -> Way {
        let mut caller = request.user.clone();
        if mode == Mode::AssociatedNode {
            caller.extra.clear();
        }
        let mut checks = Vec::new();
        if mode != Mode::Legacy {
            checks.push(Attributes {
                user: caller.clone(),
                verb: format!("impersonate-on:{}:{}", mode.name(), request.verb),
                ..request.clone()
            });
        }
        let asks = Asks { mode, caller };
        let name_group = asks.name_group();
        checks.push(match (mode, user::service_account_of(&self.user)) {
            (Mode::AssociatedNode, _) => asks.check(name_group, "nodes", "", "*"),
            (Mode::ArbitraryNode, _) => {
                let node = node_name(&self.user).unwrap_or_default();
                asks.check(name_group, "nodes", "", node)
            }
            (_, Some((namespace, name))) => Attributes {
                namespace: namespace.to_owned(),
                ..asks.check(name_group, "serviceaccounts", "", name)
            },
            (_, None) => asks.check(name_group, "users", "", &self.user),
        });
        if !self.uid.is_empty() {
            checks.push(asks.check(GROUP, "uids", "", &self.uid));
        }
        let groups = self.groups.iter();
        checks.extend(groups.map(|group| asks.check(name_group, "groups", "", group)));
        for (key, values) in &self.extra {
            let values = values.iter();
            checks.extend(values.map(|value| asks.check(GROUP, "userextras", key, value)));
        }
        let never = (mode == Mode::UserInfo)
            .then(|| self.never(&asks))
            .flatten();
        Way {
            checks,
            user: never.map_or_else(|| Ok(self.user_by(mode)), Err),
            constraint: match mode {
                Mode::Legacy => String::new(),
                narrow => narrow.verb(),
            },
        }
    }

    /// Who cannot be impersonated but in the old way, whatever the caller may do.
    fn never(&self, asks: &Asks) -> Option<StatusError> {
        let refuse = |resource: &str, name: &str, why: &str| {
            Some(asks.check(GROUP, resource, "", name).forbidden(why))
        };
        if self.groups.iter().any(String::is_empty) {
            return refuse(
                "groups",
                "",
                "impersonating the empty string group is not allowed",
            );
        }
        if self.groups.iter().any(|group| group == user::MASTERS) {
            let why = "impersonating the system:masters group is not allowed";
            return refuse("groups", user::MASTERS, why);
        }
        if self.extra.values().flatten().any(String::is_empty) {
            let why = "impersonating the empty string value in extra is not allowed";
            return refuse("userextras", "", why);
        }
        None
    }

    /// Who the caller is once every check passed.
    fn user_by(&self, mode: Mode) -> User {
        let mut groups = self.groups.clone();
        if matches!(mode, Mode::AssociatedNode | Mode::ArbitraryNode) {
            groups = vec![user::NODES.to_owned()];
        } else if groups.is_empty()
            && let Some((namespace, name)) = user::service_account_of(&self.user)
        {
            groups = user::service_account(namespace, name).groups;
        }
        let implied = if self.user == user::ANONYMOUS {
            user::UNAUTHENTICATED
        } else {
            user::AUTHENTICATED
        };
        if !groups
            .iter()
            .any(|group| group == implied || group == user::UNAUTHENTICATED)
        {
            groups.push(implied.to_owned());
        }
        User {
            name: self.user.clone(),
            uid: self.uid.clone(),
            groups,
            extra: self.extra.clone(),
        }
    }
}

/// One way to become somebody else.
#[derive(Debug)]
pub struct Way {
    /// Every permission the caller needs.
    pub checks: Vec<Attributes>,
    /// Who the caller is once every check passed; else why nobody may go this way.
    pub user: Result<User, StatusError>,
    /// The verb of a narrow way, which the audit log names; empty for the old one.
    pub constraint: String,
}

/// The group of what is impersonated, but for names in the old way.
const GROUP: &str = "authentication.k8s.io";

/// How a caller may become somebody else: as a certain sort of user for a certain request, or in the old way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    AssociatedNode,
    ArbitraryNode,
    ServiceAccount,
    UserInfo,
    Legacy,
}

impl Mode {
    const ALL: [Self; 5] = [
        Self::AssociatedNode,
        Self::ArbitraryNode,
        Self::ServiceAccount,
        Self::UserInfo,
        Self::Legacy,
    ];

    fn name(self) -> &'static str {
        match self {
            Self::AssociatedNode => "associated-node",
            Self::ArbitraryNode => "arbitrary-node",
            Self::ServiceAccount => "serviceaccount",
            Self::UserInfo => "user-info",
            Self::Legacy => "",
        }
    }

    /// What the caller must be allowed to do with every part of the user.
    fn verb(self) -> String {
        match self {
            Self::Legacy => "impersonate".to_owned(),
            narrow => format!("impersonate:{}", narrow.name()),
        }
    }

    /// Whether this is a way to such a user for this caller.
    fn leads_to(self, wanted: &Wanted, caller: &User) -> bool {
        let node = node_name(&wanted.user);
        let is_account = user::service_account_of(&wanted.user).is_some();
        match self {
            Self::AssociatedNode => {
                let own = caller.extra.get(NODE_NAME).map(Vec::as_slice);
                wanted.is_name_alone()
                    && user::service_account_of(&caller.name).is_some()
                    && node.is_some_and(|node| matches!(own, Some([own]) if own == node))
            }
            Self::ArbitraryNode => wanted.is_name_alone() && node.is_some(),
            Self::ServiceAccount => wanted.is_name_alone() && is_account,
            Self::UserInfo => node.is_none() && !is_account,
            Self::Legacy => true,
        }
    }
}

/// Extra attribute of service accounts: the node of the pod their token is bound to. Source: apiserver
/// `serviceaccount.NodeNameKey`.
const NODE_NAME: &str = "authentication.kubernetes.io/node-name";

/// The node of a kubelet's user name.
fn node_name(user: &str) -> Option<&str> {
    let name = user.strip_prefix(user::NODE_PREFIX)?;
    names::dns1123_subdomain(name).is_empty().then_some(name)
}

/// Who asks in which mode.
struct Asks {
    mode: Mode,
    caller: User,
}

impl Asks {
    /// The group of users and groups.
    fn name_group(&self) -> &'static str {
        if self.mode == Mode::Legacy { "" } else { GROUP }
    }

    fn check(&self, group: &str, resource: &str, subresource: &str, name: &str) -> Attributes {
        Attributes {
            user: self.caller.clone(),
            verb: self.mode.verb(),
            namespace: String::new(),
            group: group.into(),
            version: "v1".into(),
            resource: resource.into(),
            subresource: subresource.into(),
            name: name.into(),
            is_resource: true,
            ..Attributes::default()
        }
    }
}

#[cfg(test)]
mod tests;
