//! Acting as somebody else: what the caller must be allowed, and who it then is.
//!
//! Source: apiserver `endpoints/filters/impersonation.go`.

use std::collections::BTreeMap;

use kinds::strategy::User;
use meta::StatusError;

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

    /// Every permission the caller needs, all with the verb `impersonate`.
    ///
    /// # Errors
    /// Something is asked for, but no user.
    pub fn checks(&self, caller: &User) -> Result<Vec<Attributes>, StatusError> {
        if self.user.is_empty() {
            return Err(StatusError::bad_request(format!(
                "requested {} without impersonating a user name",
                self.as_go()
            )));
        }
        let check =
            |group: &str, resource: &str, subresource: &str, namespace: &str, name: &str| {
                Attributes {
                    user: caller.clone(),
                    verb: "impersonate".into(),
                    namespace: namespace.into(),
                    group: group.into(),
                    version: "v1".into(),
                    resource: resource.into(),
                    subresource: subresource.into(),
                    name: name.into(),
                    path: String::new(),
                    is_resource: true,
                }
            };
        let mut checks = vec![match user::service_account_of(&self.user) {
            Some((namespace, name)) => check("", "serviceaccounts", "", namespace, name),
            None => check("", "users", "", "", &self.user),
        }];
        checks.extend(
            self.groups
                .iter()
                .map(|group| check("", "groups", "", "", group)),
        );
        for (key, values) in &self.extra {
            checks.extend(
                values
                    .iter()
                    .map(|value| check("authentication.k8s.io", "userextras", key, "", value)),
            );
        }
        if !self.uid.is_empty() {
            checks.push(check("authentication.k8s.io", "uids", "", "", &self.uid));
        }
        Ok(checks)
    }

    /// Who the caller is once every check passed.
    pub fn user(&self) -> User {
        let mut groups = self.groups.clone();
        if groups.is_empty()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_a_permission_of_its_own() {
        let wanted = Wanted {
            user: "system:serviceaccount:web:bot".into(),
            groups: vec!["dev".into()],
            uid: "u".into(),
            extra: BTreeMap::from([("scopes".into(), vec!["a".into()])]),
        };
        let checks = wanted.checks(&user::user("ann", &[])).unwrap();
        let asked: Vec<String> = checks
            .iter()
            .map(|check| format!("{} {}", check.combined_resource(), check.name))
            .collect();
        assert_eq!(
            asked,
            [
                "serviceaccounts bot",
                "groups dev",
                "userextras/scopes a",
                "uids u"
            ]
        );
        assert_eq!(wanted.user().groups, ["dev", "system:authenticated"]);
    }

    #[test]
    fn a_group_alone_cannot_be_impersonated() {
        let wanted = Wanted {
            groups: vec!["dev".into()],
            ..Wanted::default()
        };
        assert_eq!(wanted.checks(&user::anonymous()).unwrap_err().code(), 400);
    }
}
