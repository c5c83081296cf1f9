//! ServiceAccount.

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Set to `true` on an account whose pods may only use the secrets it lists.
const ENFORCE_SECRETS: &str = "kubernetes.io/enforce-mountable-secrets";

/// Rules of `v1 ServiceAccount`.
pub(crate) struct ServiceAccount;

impl Strategy for ServiceAccount {
    fn has_generation(&self) -> bool {
        false
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        names_alone(new);
    }
    fn prepare_update(&self, new: &mut Object, _old: &Object, _cx: &Context<'_>) {
        names_alone(new);
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        let is_newly = new.annotation(ENFORCE_SECRETS).is_some()
            && old.is_none_or(|old| old.annotation(ENFORCE_SECRETS).is_none());
        let why =
            "deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets";
        is_newly
            .then(|| format!("metadata.annotations[{ENFORCE_SECRETS}]: {why}"))
            .into_iter()
            .collect()
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    print_with!(print::NAME_AND_AGE);
}

/// Of the secrets of an account the names are kept. Source: `cleanSecretReferences`.
fn names_alone(account: &mut Object) {
    for secret in account.items_mut("secrets") {
        if let Value::Object(fields) = secret {
            fields.retain(|name, _| name == "name");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_old_way_to_fence_secrets_in_is_warned_of_once() {
        let fenced = json!({"metadata": {"annotations": {ENFORCE_SECRETS: "true"}}});
        let warned = |old| ServiceAccount.warnings(&fenced, old).len();
        assert_eq!(
            (
                warned(None),
                warned(Some(&json!({}))),
                warned(Some(&fenced))
            ),
            (1, 1, 0)
        );
    }

    #[test]
    fn secrets_are_named_and_no_more() {
        let mut account = json!({"secrets": [{"name": "s", "namespace": "n", "kind": "Secret"}]});
        names_alone(&mut account);
        assert_eq!(account, json!({"secrets": [{"name": "s"}]}));
    }
}
