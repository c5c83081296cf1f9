//! Which objects a list, a watch or a delete of many is about.

use kinds::Kind;
use meta::selector::{FieldSelector, LabelSelector};
use meta::{Object, ObjectExt, StatusError};
use store::Term;

use crate::cluster::NODE_NAME;
use crate::options::ListOptions;

/// A selection by labels and fields.
#[derive(Clone)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
}

impl Selection {
    /// Reads the options; `name` pins one object (a watch of `.../NAME`).
    pub(crate) fn read(
        options: &ListOptions,
        kind: &Kind,
        name: &str,
    ) -> Result<Self, StatusError> {
        let known = kind.strategy.selectable_fields();
        for term in &options.fields.0 {
            let field = term.field.as_str();
            if !matches!(field, "metadata.name" | "metadata.namespace") && !known.contains(&field) {
                return Err(StatusError::bad_request(unknown_field(field, known)));
            }
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        Ok(Self {
            labels: options.labels.clone(),
            fields: options.fields.clone(),
            name,
        })
    }

    /// Whether everything is selected, so that no object need be looked into.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything() && self.fields.is_everything() && self.name.is_none()
    }

    /// Whether an object is selected.
    pub(crate) fn matches(&self, kind: &Kind, object: &Object) -> bool {
        self.name
            .as_deref()
            .is_none_or(|name| object.name() == name)
            && (self.labels.is_everything() || self.labels.matches(&object.labels()))
            && self.fields.matches(|field| match field {
                "metadata.name" => object.name().to_owned(),
                "metadata.namespace" => object.namespace().to_owned(),
                field => kind.strategy.selectable_value(object, field),
            })
    }

    /// The one object that can match, by name.
    pub(crate) fn exact_name(&self) -> Option<&str> {
        self.name
            .as_deref()
            .or_else(|| self.fields.exact("metadata.name"))
    }

    /// The index term that narrows the selection.
    pub(crate) fn term(&self, kind: &Kind) -> Option<Term> {
        let is_pods = kind.group.is_empty() && kind.plural == "pods";
        let node = self
            .fields
            .exact(NODE_NAME)
            .filter(|node| is_pods && !node.is_empty())?;
        Some(Term::new(NODE_NAME, node))
    }
}

/// Upstream has two sentences: one for kinds with fields of their own, one for the rest.
fn unknown_field(field: &str, known: &[&str]) -> String {
    if known.is_empty() {
        let quoted = meta::field::quote(field);
        format!(
            "{quoted} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        )
    } else {
        format!("field label not supported: {field}")
    }
}
