//! Which objects a list, a watch or a delete of many is about.

use std::collections::BTreeMap;
use std::sync::Arc;

use kinds::Kind;
use kinds::strategy::{Told, User};
use meta::raw::{self, Fields};
use meta::selector::{FieldSelector, FieldTerm, LabelSelector, Operator, Requirement};
use meta::{Object, StatusError};
use store::{AnyOf, Key, Term, TermTest};

use crate::auth;
use crate::call::Call;
use crate::cluster::{self, NODE_NAME};
use crate::options::ListOptions;
use crate::server::ApiServer;

/// A watch of more values than this looks at every change: to be told of each value takes a place in an index.
const WATCHED_TERMS_MAX: usize = 64;

/// A selection by labels, fields, and what the reader may know.
pub(crate) struct Selection {
    labels: LabelSelector,
    fields: FieldSelector,
    name: Option<String>,
    /// What must be read of an object besides its key to judge its fields; `None` is nothing.
    read: Option<Fields>,
    reader: Option<Reader>,
}

/// Who reads objects that tell about others.
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
        // Source: apiserver `handlers/get.go` `ListResource`.
        let is_another = options.fields.exact("metadata.name") != Some(name);
        if !name.is_empty() && !options.fields.is_everything() && is_another {
            let why = "fieldSelector metadata.name doesn't match requested name";
            return Err(StatusError::bad_request(why));
        }
        let known = kind.strategy.selectable_fields();
        let mut is_read = false;
        for term in &options.fields.0 {
            let field = term.field.as_str();
            // Kinds with fields of their own name every field there is: those of the cluster no namespace.
            let has_namespace = kind.is_namespaced() || known.is_empty();
            if field == "metadata.name" || (field == "metadata.namespace" && has_namespace) {
                continue;
            }
            if !known.contains(&field) {
                return Err(StatusError::bad_request(unknown_field(field, kind)));
            }
            is_read = true;
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
            read: is_read.then(|| Fields::new(kind.strategy.selected_fields())),
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

    /// Whether an object is selected, given its key and its bytes in the row's version.
    pub(crate) fn selects(&self, kind: &Kind, key: &Key, object: &[u8]) -> bool {
        if self.exact_name().is_some_and(|name| *name != *key.name) {
            return false;
        }
        if !self.labels.is_everything() && !self.labels.matches(&labels(object)) {
            return false;
        }
        let read = self.read.as_ref().and_then(|read| read.decode(object));
        let read = read.unwrap_or_default();
        self.fields.matches(|field| match field {
            "metadata.name" => key.name.to_string(),
            "metadata.namespace" => key.namespace.to_string(),
            field => kind.strategy.selectable_value(&read, field),
        }) && self.reader.as_ref().is_none_or(|reader| {
            serde_json::from_slice(object).is_ok_and(|object| reader.may_see(&object))
        })
    }

    /// The one object that can match, by name.
    pub(crate) fn exact_name(&self) -> Option<&str> {
        self.name
            .as_deref()
            .or_else(|| self.fields.exact("metadata.name"))
    }

    /// Namespace and name that narrow the selection; `namespace` is the request's, empty for all.
    pub(crate) fn place(
        &self,
        kind: &Kind,
        namespace: &str,
    ) -> (Option<Arc<str>>, Option<Arc<str>>) {
        let is_narrowed = kind.is_namespaced() && !namespace.is_empty();
        let namespace = is_narrowed.then(|| Arc::from(namespace));
        (namespace, self.exact_name().map(Arc::from))
    }

    /// What the selection asks of index terms: an object that is selected meets every one of these.
    pub(crate) fn terms(&self, kind: &Kind) -> Vec<TermTest> {
        let mut terms = self.field_terms(kind);
        terms.extend(self.labels.0.iter().map(test));
        terms
    }

    /// Those of the terms that upstream has an index for, too.
    pub(crate) fn field_terms(&self, kind: &Kind) -> Vec<TermTest> {
        let fields = self.fields.0.iter().filter(|term| is_indexed(kind, term));
        fields
            .map(|term| Term::new(NODE_NAME, term.value.as_str()).into())
            .collect()
    }

    /// The terms of which what is selected has one, now or before a change; `None` when there are no such, or too many to
    /// be told of each.
    pub(crate) fn any_of(&self, kind: &Kind) -> Option<AnyOf> {
        let labels = self.labels.0.iter();
        let few = labels.filter(|asked| asked.values.len() <= WATCHED_TERMS_MAX);
        let mut tests = self.field_terms(kind).into_iter().chain(few.map(test));
        tests.find_map(|test| match test {
            TermTest::AnyOf(any) => Some(any),
            TermTest::NoneOf(_) | TermTest::Named(_) | TermTest::Unnamed(_) => None,
        })
    }

    /// Whether [`Self::terms`] say it all: what meets them is selected.
    pub(crate) fn is_indexed(&self, kind: &Kind) -> bool {
        let is_compared = |asked: &Requirement| {
            matches!(asked.operator, Operator::GreaterThan | Operator::LessThan)
        };
        self.name.is_none()
            && self.reader.is_none()
            && !self.labels.0.iter().any(is_compared)
            && self.fields.0.iter().all(|term| is_indexed(kind, term))
    }
}

/// What a requirement asks of index terms.
fn test(asked: &Requirement) -> TermTest {
    let values = || {
        let values = asked.values.iter();
        let terms = values.map(|value| cluster::label(&asked.key, value));
        AnyOf::new(terms.collect())
    };
    let name = || cluster::label_name(&asked.key).into();
    match asked.operator {
        Operator::In => TermTest::AnyOf(values()),
        Operator::NotIn => TermTest::NoneOf(values()),
        // Values are compared by reading them, of those that have any.
        Operator::Exists | Operator::GreaterThan | Operator::LessThan => TermTest::Named(name()),
        Operator::DoesNotExist => TermTest::Unnamed(name()),
    }
}

/// Whether the store has an index term for what is asked of a field.
fn is_indexed(kind: &Kind, term: &FieldTerm) -> bool {
    let is_pods = kind.group.is_empty() && kind.plural == "pods";
    is_pods && term.field == NODE_NAME && term.equal && !term.value.is_empty()
}

/// The labels in an object's bytes.
fn labels(object: &[u8]) -> BTreeMap<String, String> {
    let labels = raw::at(object, &["metadata", "labels"]);
    labels
        .and_then(|labels| serde_json::from_slice(labels).ok())
        .unwrap_or_default()
}

/// Upstream has two sentences: one for kinds with fields of their own, which two kinds put in their own words, and one
/// for the rest. Source: the calls of `AddFieldLabelConversionFunc`.
fn unknown_field(field: &str, kind: &Kind) -> String {
    let quoted = meta::field::quote(field);
    match kind.kind.as_ref() {
        _ if kind.strategy.selectable_fields().is_empty() => format!(
            "{quoted} is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        ),
        "Job" => format!("field label {quoted} not supported for Job"),
        "ResourceSlice" => {
            format!("field label not supported for resource.k8s.io/v1, Kind=ResourceSlice: {field}")
        }
        _ => format!("field label not supported: {field}"),
    }
}
