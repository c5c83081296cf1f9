//! Which objects a list, a watch or a delete of many is about.

use kinds::Kind;
use kinds::strategy::{Told, User};
use meta::selector::{FieldSelector, LabelSelector};
use meta::{Object, ObjectExt, StatusError};
use store::Term;

use crate::auth;
use crate::call::Call;
use crate::cluster::NODE_NAME;
use crate::options::ListOptions;
use crate::server::ApiServer;

/// A selection by labels, fields, and what the reader may know.
#[derive(Clone)]
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
    reader: Option<Reader>,
}

/// Who reads objects that tell about others.
#[derive(Clone)]
struct Reader {
    server: ApiServer,
    user: User,
    told_about: fn(&Object) -> Told,
}

impl Reader {
    fn may_see(&self, object: &Object) -> bool {
        auth::may_read(&self.server, &self.user, &(self.told_about)(object))
    }
}

impl Selection {
    /// Reads the options; `name` pins one object (a watch of `.../NAME`).
    pub(crate) fn read(
        options: &ListOptions,
        call: &Call,
        name: &str,
    ) -> Result<Self, StatusError> {
        let kind = &call.kind;
        let known = kind.strategy.selectable_fields();
        for term in &options.fields.0 {
            let field = term.field.as_str();
            if !matches!(field, "metadata.name" | "metadata.namespace") && !known.contains(&field) {
                return Err(StatusError::bad_request(unknown_field(field, known)));
            }
        }
        let name = (!name.is_empty()).then(|| name.to_owned());
        let reader = kind.strategy.told_about().map(|told_about| Reader {
            server: call.server.clone(),
            user: call.user.clone(),
            told_about,
        });
        Ok(Self {
            labels: options.labels.clone(),
            fields: options.fields.clone(),
            name,
            reader,
        })
    }

    /// Whether everything is selected, so that no object need be looked into.
    pub(crate) fn is_everything(&self) -> bool {
        self.labels.is_everything()
            && self.fields.is_everything()
            && self.name.is_none()
            && self.reader.is_none()
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
            && self
                .reader
                .as_ref()
                .is_none_or(|reader| reader.may_see(object))
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
