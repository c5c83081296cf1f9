//! ServiceAccount.

use meta::Object;
use serde_json::Value;

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

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
    fn secrets_are_named_and_no_more() {
        let mut account = json!({"secrets": [{"name": "s", "namespace": "n", "kind": "Secret"}]});
        names_alone(&mut account);
        assert_eq!(account, json!({"secrets": [{"name": "s"}]}));
    }
}
