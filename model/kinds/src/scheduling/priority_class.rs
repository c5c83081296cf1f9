//! PriorityClass.

use meta::{FieldError, Object, ObjectExt as _};

use crate::check::{Errors, Node};
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Highest priority that people may give. Source: `HighestUserDefinablePriority`.
const VALUE_MAX: i64 = 1_000_000_000;
const SYSTEM: [(&str, i64); 2] = [
    ("system-node-critical", 2_000_001_000),
    ("system-cluster-critical", 2_000_000_000),
];

/// Rules of `scheduling.k8s.io/v1 PriorityClass`.
pub(crate) struct PriorityClass;

impl Strategy for PriorityClass {
    fn default(&self, new: &mut Object) {
        new.default_unset("preemptionPolicy", "PreemptLowerPriority");
    }
    fn is_respecified(&self, _new: &Object, _old: &Object) -> bool {
        false
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let root = Node::root(new);
        let (name, value) = (new.name(), root.int("value").unwrap_or_default());
        if name.starts_with("system-") {
            let is_known = SYSTEM.contains(&(name, value)) && !root.flag("globalDefault");
            if !is_known {
                let why = "priority class names with 'system-' prefix are reserved for system use only. error: ";
                let problem = match SYSTEM.iter().find(|(known, _)| *known == name) {
                    None => format!("{name} is not a known system priority class"),
                    Some((_, known)) => format!("value of {name} PriorityClass must be {known}"),
                };
                let path = meta::Path::new("metadata").child("name");
                errors.push(FieldError::forbidden(&path, format!("{why}{problem}")));
            }
        } else if value > VALUE_MAX {
            let why = format!("maximum allowed value of a user defined priority is {VALUE_MAX}");
            errors.push(FieldError::forbidden(&root.at("value"), why));
        }
        root.needs_one_of(
            "preemptionPolicy",
            &["PreemptLowerPriority", "Never"],
            &mut errors,
        );
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        let (new, old) = (Node::root(new), Node::root(old));
        if new.int("value") != old.int("value") {
            errors.push(FieldError::forbidden(
                &new.at("value"),
                "may not be changed in an update.",
            ));
        }
        new.immutable(&old, "preemptionPolicy", &mut errors);
        errors
    }
    print_with!(print::core::PRIORITY_CLASS);
}
