//! What is asked: ranges within one resource, index terms, and their answers.

use std::sync::Arc;

use crate::{Entry, Key, Revision, Shared};

/// One index term of an object, such as `("spec.nodeName", "node-1")` or `("label:app", "web")`.
///
/// The store compares terms and knows nothing of their meaning.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// What is indexed.
    pub name: Arc<str>,
    /// The object's value of it.
    pub value: Arc<str>,
}

impl Term {
    /// A term from its two parts.
    pub fn new(name: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            value: value.into(),
        }
    }
}

/// Terms of which an object must have one; no object has one of none. In order, for there may be thousands.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AnyOf(Vec<Term>);

impl AnyOf {
    /// Any of these terms.
    pub fn new(mut terms: Vec<Term>) -> Self {
        terms.sort();
        terms.dedup();
        Self(terms)
    }

    /// The terms, each once.
    pub fn terms(&self) -> &[Term] {
        &self.0
    }

    /// Whether one of these terms is this.
    pub fn contains(&self, term: &Term) -> bool {
        self.0.binary_search(term).is_ok()
    }

    /// Whether one of an object's terms is among these.
    pub(crate) fn is_met_by(&self, terms: &[Arc<Term>]) -> bool {
        terms.iter().any(|term| self.contains(term))
    }
}

impl From<Term> for AnyOf {
    fn from(term: Term) -> Self {
        Self(vec![term])
    }
}

/// What is asked of an object's terms.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TermTest {
    /// One of these is among them.
    AnyOf(AnyOf),
    /// None of these is.
    NoneOf(AnyOf),
    /// One has this name.
    Named(Arc<str>),
    /// None has this name.
    Unnamed(Arc<str>),
}

impl TermTest {
    pub(crate) fn is_met_by(&self, terms: &[Arc<Term>]) -> bool {
        let has = |name: &Arc<str>| terms.iter().any(|term| term.name == *name);
        match self {
            Self::AnyOf(any) => any.is_met_by(terms),
            Self::NoneOf(any) => !any.is_met_by(terms),
            Self::Named(name) => has(name),
            Self::Unnamed(name) => !has(name),
        }
    }
}

impl From<AnyOf> for TermTest {
    fn from(any: AnyOf) -> Self {
        Self::AnyOf(any)
    }
}

impl From<Term> for TermTest {
    fn from(term: Term) -> Self {
        Self::AnyOf(term.into())
    }
}

/// Computes the index terms of an object from its wire form; injected when the store is opened.
///
/// Must be a pure function of its arguments: the index is rebuilt with it at every start. The value
/// it sees at a put has no revision in its hole yet; unreadable bytes have no terms.
pub type Indexer = dyn Fn(&Key, &[u8]) -> Vec<Term> + Send + Sync;

/// A question for the objects of one resource, in key order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// The resource, as in [`Key::resource`]. One nobody has written to is empty, not an error.
    pub resource: Arc<str>,
    /// Only this namespace; `None` is all of them.
    pub namespace: Option<Arc<str>>,
    /// Only objects of this name, of which each namespace has one at most; `None` is every name.
    pub name: Option<Arc<str>>,
    /// Only objects that meet every one of these; none is all objects.
    pub terms: Vec<TermTest>,
    /// Only keys after this (namespace, name); `None` starts at the beginning.
    pub after: Option<(Arc<str>, Arc<str>)>,
    /// At most this many entries; `None` is all of them.
    pub limit: Option<usize>,
    /// The state at this revision instead of the latest. For continue tokens and exact matches.
    pub at: Option<Revision>,
}

impl Range {
    /// Everything of one resource, at the latest revision.
    pub fn all(resource: impl Into<Arc<str>>) -> Self {
        Self {
            resource: resource.into(),
            namespace: None,
            name: None,
            terms: Vec::new(),
            after: None,
            limit: None,
            at: None,
        }
    }
}

/// The answer to a [`Range`]: the state at exactly one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The entries, ordered by namespace and name.
    pub entries: Vec<Shared>,
    /// The revision at which this page is the truth; `Range::at` of the pages that continue it.
    pub revision: Revision,
    /// Whether entries were left off because of the limit.
    pub more: bool,
    /// How many entries were left off.
    pub remaining: u64,
}

/// How many objects of a resource there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceCount {
    /// The resource, as in [`Key::resource`].
    pub resource: Arc<str>,
    /// Objects of it at present; resources that once had objects stay listed with 0.
    pub objects: u64,
    /// Bytes of their present values.
    pub bytes: u64,
}

/// Every object of the store at one revision, for backups. Ordered by key.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The revision at which this is the truth.
    pub revision: Revision,
    /// Every object.
    pub entries: Vec<Entry>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_of_many_terms_is_found_whatever_their_order() {
        let terms = |values: &[&str]| values.iter().map(|value| Term::new("a", *value)).collect();
        let any = AnyOf::new(terms(&["c", "a", "b", "a"]));
        assert_eq!(any, AnyOf::new(terms(&["a", "b", "c"])));
        assert!(
            ["a", "b", "c"]
                .iter()
                .all(|value| any.contains(&Term::new("a", *value)))
        );
        assert!(!any.contains(&Term::new("a", "d")) && !any.contains(&Term::new("b", "a")));
    }
}
