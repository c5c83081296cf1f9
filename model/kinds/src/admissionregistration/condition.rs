//! Conditions that say which requests a policy or a webhook is for.
//! Source: pkg/apis/admissionregistration/validation, `validateMatchConditions`.

use std::collections::BTreeSet;

use meta::{FieldError, names};

use super::expression::{Expressions, Named, Wanted};
use crate::check::{Errors, Node};

const CONDITIONS_MAX: usize = 64;

/// The conditions of a policy's spec or of a webhook.
pub(super) fn conditions(holder: &Node<'_>, has_params: bool, errors: &mut Errors) {
    let conditions = holder.items("matchConditions");
    if conditions.len() > CONDITIONS_MAX {
        let path = holder.at("matchConditions");
        let count = conditions.len();
        errors.push(FieldError::too_many(&path, count, CONDITIONS_MAX));
    }
    let mut known = BTreeSet::new();
    for condition in conditions {
        expression(&condition, has_params, errors);
        let name = condition.text("name");
        if name.is_empty() {
            condition.needs("name", errors);
            continue;
        }
        condition.complain("name", names::qualified_name(name), errors);
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&condition.at("name"), name));
        }
    }
}

fn expression(condition: &Node<'_>, has_params: bool, errors: &mut Errors) {
    let text = condition.text("expression").trim();
    if text.is_empty() {
        errors.push(FieldError::required(&condition.at("expression"), ""));
        return;
    }
    let named = Named {
        params: has_params,
        authorizer: true,
        patches: false,
    };
    let field = (condition, "expression");
    Expressions::default().compile(field, (text, text), named, Wanted::Bool, errors);
}
