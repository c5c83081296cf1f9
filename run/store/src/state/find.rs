//! Answers ranges from the state of one resource: by a walk, by its index, or by name.

use std::ops::Bound::{self, Excluded, Included, Unbounded};
use std::sync::Arc;

use super::{Posting, Resource, SEPARATOR, Shared, Slot, Version, slot};
use crate::{Range, Term, TermTest};

/// The character after [`SEPARATOR`]: behind every name of a namespace, before those of the next.
const BEHIND: char = '\u{1}';

/// To tell which terms narrow most, no more than so many of their objects are counted.
const COUNTED_MAX: usize = 1024;

/// What a range found.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) entries: Vec<Shared>,
    pub(crate) remaining: u64,
}

/// The part of a resource's order that a range is about.
struct Part {
    start: Bound<Slot>,
    end: Bound<Slot>,
    /// What every slot starts with.
    prefix: Option<Slot>,
}

impl Part {
    fn of(range: &Range) -> Self {
        let namespace = range.namespace.as_deref();
        let prefix = namespace.map(|namespace| slot(namespace, ""));
        let after = range.after.as_ref();
        let after = after.map(|(namespace, name)| slot(namespace, name));
        let start = match (after, &prefix) {
            (Some(after), Some(prefix)) if after < *prefix => Included(Arc::clone(prefix)),
            (Some(after), _) => Excluded(after),
            (None, Some(prefix)) => Included(Arc::clone(prefix)),
            (None, None) => Unbounded,
        };
        let end = namespace.map_or(Unbounded, |namespace| {
            Excluded(format!("{namespace}{BEHIND}").into())
        });
        Self { start, end, prefix }
    }

    fn has_started(&self, slot: &Slot) -> bool {
        match &self.start {
            Included(start) => slot >= start,
            Excluded(start) => slot > start,
            Unbounded => true,
        }
    }

    /// From where to where it goes, so that nobody looks at what lies within; `None` when nothing can.
    fn places(&self) -> Option<(Bound<&str>, Bound<&str>)> {
        let start = self.start.as_ref().map(|slot| &**slot);
        let end = self.end.as_ref().map(|slot| &**slot);
        match (start, end) {
            (Included(start) | Excluded(start), Excluded(end)) if start >= end => None,
            places => Some(places),
        }
    }

    fn has_prefix(&self, slot: &Slot) -> bool {
        let prefix = self.prefix.as_ref();
        prefix.is_none_or(|prefix| slot.starts_with(&**prefix))
    }
}

impl Resource {
    /// Answers a range from this state of the resource; `range.at` was seen to by the caller.
    pub(crate) fn find(&self, range: &Range) -> Found {
        let part = Part::of(range);
        let is_met = |version: &&Arc<Version>| {
            let mut tests = range.terms.iter();
            tests.all(|test| test.is_met_by(&version.terms))
        };
        if let Some(name) = &range.name {
            let named = self.named(range.namespace.as_deref(), name);
            let named = named.filter(|version| part.has_started(&version.slot));
            return take(named.filter(is_met), range.limit);
        }
        let counted = |test| Some((self.count(test)?, test));
        let narrowest = range.terms.iter().filter_map(counted);
        match narrowest.min_by_key(|(count, _)| *count) {
            Some((_, TermTest::AnyOf(any))) => {
                let terms = any.terms();
                if let [term] = terms {
                    let versions = self.with_term(term, &part).filter(is_met);
                    return take(versions, range.limit);
                }
                let versions = terms.iter().flat_map(|term| self.with_term(term, &part));
                in_order(versions.filter(is_met), range.limit)
            }
            // Of more than that a walk finds them sooner, for they need not be put in order.
            Some((..COUNTED_MAX, TermTest::Named(name))) => {
                let versions = self.with_name(name).filter(|version| {
                    part.has_started(&version.slot) && part.has_prefix(&version.slot)
                });
                in_order(versions.filter(is_met), range.limit)
            }
            _ => {
                let Some(places) = part.places() else {
                    return Found::default();
                };
                let objects = self.objects.range::<_, str>(places);
                take(
                    objects.map(|(_, version)| version).filter(is_met),
                    range.limit,
                )
            }
        }
    }

    /// The objects of a name, by namespace.
    fn named<'a>(
        &'a self,
        namespace: Option<&str>,
        name: &'a str,
    ) -> Box<dyn Iterator<Item = &'a Arc<Version>> + 'a> {
        if let Some(namespace) = namespace {
            return Box::new(self.objects.get(&*slot(namespace, name)).into_iter());
        }
        let namespaces = std::iter::successors(self.namespace_from(""), |namespace| {
            self.namespace_from(&format!("{namespace}{BEHIND}"))
        });
        Box::new(namespaces.filter_map(move |namespace| self.objects.get(&*slot(namespace, name))))
    }

    /// The namespace of the first object at or behind a place.
    fn namespace_from(&self, start: &str) -> Option<&str> {
        let start = (Included(start), Unbounded);
        let (first, _) = self.objects.range::<_, str>(start).next()?;
        first.split_once(SEPARATOR).map(|(namespace, _)| namespace)
    }

    /// The objects with a term, in order.
    fn with_term<'a>(
        &'a self,
        term: &Term,
        part: &'a Part,
    ) -> impl Iterator<Item = &'a Arc<Version>> + use<'a> {
        let term = Arc::new(term.clone());
        let posting = |slot: &Slot| Posting {
            term: Arc::clone(&term),
            slot: Arc::clone(slot),
        };
        let start = match &part.start {
            Included(slot) => Included(posting(slot)),
            Excluded(slot) => Excluded(posting(slot)),
            Unbounded => Included(posting(&Arc::from(""))),
        };
        self.postings
            .range((start, Unbounded))
            .take_while(move |posting| posting.term == term && part.has_prefix(&posting.slot))
            .filter_map(|posting| self.objects.get(&*posting.slot))
    }

    /// The objects with a term of a name, by its value.
    fn with_name<'a>(&'a self, name: &'a Arc<str>) -> impl Iterator<Item = &'a Arc<Version>> {
        let start = Posting {
            term: Arc::new(Term::new(Arc::clone(name), "")),
            slot: Arc::from(""),
        };
        self.postings
            .range((Included(start), Unbounded))
            .take_while(|posting| posting.term.name == *name)
            .filter_map(|posting| self.objects.get(&*posting.slot))
    }

    /// How many objects the index finds for a test, as far as that is counted; `None` when it finds none by it.
    fn count(&self, test: &TermTest) -> Option<usize> {
        let whole = Part {
            start: Unbounded,
            end: Unbounded,
            prefix: None,
        };
        match test {
            TermTest::AnyOf(any) => {
                let terms = any.terms();
                let versions = terms.iter().flat_map(|term| self.with_term(term, &whole));
                Some(versions.take(COUNTED_MAX).count())
            }
            TermTest::Named(name) => Some(self.with_name(name).take(COUNTED_MAX).count()),
            TermTest::NoneOf(_) | TermTest::Unnamed(_) => None,
        }
    }
}

/// Takes from objects that come in the order of their terms, and perhaps for several of these.
fn in_order<'a>(versions: impl Iterator<Item = &'a Arc<Version>>, limit: Option<usize>) -> Found {
    let mut versions: Vec<_> = versions.collect();
    versions.sort_unstable_by(|left, right| left.slot.cmp(&right.slot));
    versions.dedup_by(|left, right| Arc::ptr_eq(left, right));
    take(versions.into_iter(), limit)
}

/// Takes at most `limit` entries and counts what is left.
fn take<'a>(mut versions: impl Iterator<Item = &'a Arc<Version>>, limit: Option<usize>) -> Found {
    let entries = versions
        .by_ref()
        .take(limit.unwrap_or(usize::MAX))
        .map(|version| Shared(Arc::clone(version)))
        .collect();
    Found {
        entries,
        remaining: versions.count() as u64,
    }
}
