//! Whether an applied configuration fits its schema, in structured-merge-diff's words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::atom::{Atom, ListAtom, MapAtom, Node, ScalarKind, shown};
use super::element::{Element, path_text};
use crate::go;

/// Checks a configuration.
///
/// # Errors
/// What does not fit, with paths.
pub(super) fn check(config: &Value, at: Node<'_>) -> Result<(), String> {
    let mut walk = Walk {
        path: Vec::new(),
        errors: Vec::new(),
    };
    walk.value(config, at);
    match walk.errors.as_slice() {
        [] => Ok(()),
        [error] => Err(error.clone()),
        errors => {
            let lines: Vec<String> = errors.iter().map(|error| format!("  {error}")).collect();
            Err(format!("errors:\n{}", lines.join("\n")))
        }
    }
}

struct Walk {
    path: Vec<Element>,
    errors: Vec<String>,
}

impl Walk {
    fn report(&mut self, message: &str) {
        let path = path_text(&self.path);
        self.errors.push(if path.is_empty() {
            message.to_owned()
        } else {
            format!("{path}: {message}")
        });
    }

    fn value(&mut self, value: &Value, at: Node<'_>) {
        if value.is_null() {
            return;
        }
        match (at.atom(Some(value)), value) {
            (Atom::Scalar(kind), value) => self.scalar(kind, value),
            (Atom::List(list), Value::Array(items)) => self.list(&list, items),
            (Atom::List(_), other) => self.report(&format!("expected list, got {}", shown(other))),
            (Atom::Map(map), Value::Object(_)) => self.map(&map, value),
            (Atom::Map(_), other) => self.report(&format!("expected map, got {}", shown(other))),
        }
    }

    fn scalar(&mut self, kind: ScalarKind, value: &Value) {
        let is_scalar = !value.is_array() && !value.is_object();
        let complaint = match kind {
            ScalarKind::Numeric if !value.is_number() => {
                format!(
                    "expected numeric (int or float), got {}",
                    go::type_name(value)
                )
            }
            ScalarKind::Text if !value.is_string() => {
                let value = go::go_syntax(value);
                format!("expected string, got &value.valueUnstructured{{Value:{value}}}")
            }
            ScalarKind::Boolean if !value.is_boolean() => {
                format!("expected boolean, got {}", shown(value))
            }
            ScalarKind::Any if !is_scalar => format!("expected any scalar, got {}", shown(value)),
            _ => return,
        };
        self.report(&complaint);
    }

    fn list(&mut self, list: &ListAtom<'_>, items: &[Value]) {
        let mut seen = BTreeSet::new();
        for (index, item) in items.iter().enumerate() {
            let element = if list.is_atomic() {
                Element::Index(index)
            } else {
                match list.element(item) {
                    Ok(element) => element,
                    Err(why) => return self.report(&format!("element {index}: {why}")),
                }
            };
            if !seen.insert(element.clone()) {
                self.report(&format!("duplicate entries for key {element}"));
            }
            self.path.push(element);
            self.value(item, list.item);
            self.path.pop();
        }
    }

    /// Stops at the first field that is not declared, as upstream does.
    fn map(&mut self, map: &MapAtom<'_>, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            self.path.push(Element::field(key));
            let at = map.at(key);
            match at {
                Some(at) => self.value(value, at),
                None => self.report("field not declared in schema"),
            }
            self.path.pop();
            if at.is_none() {
                return;
            }
        }
    }
}
