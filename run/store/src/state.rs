//! The state at one revision: ordered copy-on-write maps. Pure: no lock, no disk, no watcher.

pub(crate) mod find;

use std::{
    ops::{
        Bound::{Included, Unbounded},
        Deref,
    },
    sync::Arc,
};

use imbl::{OrdMap, OrdSet};

use crate::{
    Change, Durability, Encoded, Entry, Event, Key, Precondition, Revision, StoreError, Term,
};

/// Largest value the store takes, in bytes.
///
/// More than the API server's largest request body, so that its limit is the one clients meet.
pub(crate) const VALUE_BYTES_MAX: usize = 8 << 20;

/// Longest part of a key, in bytes. Names of Kubernetes have at most 253.
const KEY_PART_BYTES_MAX: usize = 1024;

/// Separates namespace and name in a slot; sorts before every other character.
const SEPARATOR: char = '\0';

/// Place of an object within its resource, `namespace NUL name`: sorts like the pair.
type Slot = Arc<str>;

/// One committed version with what the indexes need. Shared by the states that contain it.
#[derive(Debug)]
pub(crate) struct Version {
    pub(crate) entry: Entry,
    pub(crate) terms: Box<[Arc<Term>]>,
    slot: Slot,
}

/// A committed version as a range finds it, shared with the states that contain it: cloning it copies one pointer.
#[derive(Debug, Clone)]
pub struct Shared(Arc<Version>);

impl Deref for Shared {
    type Target = Entry;

    fn deref(&self) -> &Entry {
        &self.0.entry
    }
}

impl PartialEq for Shared {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Shared {}

impl PartialEq<Entry> for Shared {
    fn eq(&self, other: &Entry) -> bool {
        **self == *other
    }
}

/// An object under a term.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Posting {
    term: Arc<Term>,
    slot: Slot,
}

/// The objects of one resource. Cloning is O(1).
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    pub(crate) name: Arc<str>,
    /// The revision of the latest change to any object of the resource.
    pub(crate) changed: Revision,
    /// Bytes of all present values.
    pub(crate) bytes: u64,
    objects: OrdMap<Slot, Arc<Version>>,
    postings: OrdSet<Posting>,
}

/// Everything committed at one revision. Cloning is O(1).
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    pub(crate) resources: OrdMap<Arc<str>, Arc<Resource>>,
}

/// A write as its caller asked for it, with the terms of the new value.
#[derive(Debug)]
pub(crate) struct Write {
    pub(crate) key: Key,
    pub(crate) intent: Intent,
    pub(crate) value: Encoded,
    pub(crate) durability: Durability,
}

/// What a write is to do.
#[derive(Debug)]
pub(crate) enum Intent {
    Put {
        precondition: Precondition,
        terms: Vec<Term>,
    },
    Delete {
        expected: Revision,
    },
}

/// A write that took effect on a state.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) event: Arc<Event>,
    /// The version now present; `None` after a deletion.
    pub(crate) now: Option<Arc<Version>>,
    /// The version before; `None` for a creation.
    pub(crate) was: Option<Arc<Version>>,
}

impl Key {
    fn slot(&self) -> Slot {
        slot(&self.namespace, &self.name)
    }

    fn check(&self) -> Result<(), StoreError> {
        let clean = [&self.resource, &self.namespace, &self.name]
            .iter()
            .all(|part| part.len() <= KEY_PART_BYTES_MAX && !part.contains(SEPARATOR));
        if clean && !self.resource.is_empty() && !self.name.is_empty() {
            Ok(())
        } else {
            Err(StoreError::InvalidKey { key: self.clone() })
        }
    }
}

fn slot(namespace: &str, name: &str) -> Slot {
    let mut slot = String::with_capacity(namespace.len() + 1 + name.len());
    slot.push_str(namespace);
    slot.push(SEPARATOR);
    slot.push_str(name);
    slot.into()
}

impl State {
    pub(crate) fn empty(revision: Revision) -> Self {
        Self {
            revision,
            resources: OrdMap::new(),
        }
    }

    pub(crate) fn resource(&self, name: &str) -> Option<&Arc<Resource>> {
        self.resources.get(name)
    }

    pub(crate) fn get(&self, key: &Key) -> Option<&Arc<Version>> {
        self.resource(&key.resource)?.objects.get(&*key.slot())
    }

    /// Applies a write at the next revision, or says why its precondition does not hold.
    pub(crate) fn apply(&mut self, write: Write) -> Result<Applied, StoreError> {
        write.check()?;
        let Write {
            key, intent, value, ..
        } = write;
        let was = self.get(&key).cloned();
        let revision = self.revision.next();
        let applied = match intent {
            Intent::Put {
                precondition,
                terms,
            } => {
                check_put(&key, precondition, was.as_deref())?;
                let value = value.complete(revision);
                let resource = self.resource_mut(&key.resource);
                resource.put(
                    Entry {
                        key,
                        revision,
                        value,
                    },
                    terms,
                    was,
                )
            }
            Intent::Delete { expected } => {
                let was = Arc::clone(check_delete(&key, expected, was.as_ref())?);
                let entry = Entry {
                    key: was.entry.key.clone(),
                    revision,
                    value: value.complete(revision),
                };
                self.resource_mut(&key.resource).delete(entry, was)
            }
        };
        self.revision = revision;
        Ok(applied)
    }

    /// Applies a put that was committed before, as found on disk.
    pub(crate) fn replay_put(&mut self, entry: Entry, terms: Vec<Term>) -> Applied {
        let was = self.get(&entry.key).cloned();
        self.revision = self.revision.max(entry.revision);
        self.resource_mut(&Arc::clone(&entry.key.resource))
            .put(entry, terms, was)
    }

    /// Applies a deletion that was committed before; `None` if there is nothing to delete.
    pub(crate) fn replay_delete(&mut self, mut entry: Entry) -> Option<Applied> {
        let was = self.get(&entry.key).cloned()?;
        entry.key = was.entry.key.clone();
        self.revision = self.revision.max(entry.revision);
        Some(
            self.resource_mut(&Arc::clone(&entry.key.resource))
                .delete(entry, was),
        )
    }

    /// Says why a write cannot succeed any more, whatever is being committed meanwhile.
    pub(crate) fn check(&self, write: &Write) -> Result<(), StoreError> {
        write.check()?;
        let was = self.get(&write.key);
        match write.intent {
            Intent::Put { precondition, .. } => {
                check_put(&write.key, precondition, was.map(|was| &**was))
            }
            Intent::Delete { expected } => check_delete(&write.key, expected, was).map(|_| ()),
        }
    }

    fn resource_mut(&mut self, name: &Arc<str>) -> &mut Resource {
        let resource = self
            .resources
            .entry(Arc::clone(name))
            .or_insert_with(|| Arc::new(Resource::empty(Arc::clone(name))));
        Arc::make_mut(resource)
    }
}

impl Write {
    /// Refuses what no state could take.
    pub(crate) fn check(&self) -> Result<(), StoreError> {
        self.key.check()?;
        let bytes = self.value.bytes.len();
        if bytes > VALUE_BYTES_MAX {
            let key = self.key.clone();
            return Err(StoreError::TooLarge {
                key,
                bytes,
                bytes_max: VALUE_BYTES_MAX,
            });
        }
        Ok(())
    }
}

fn check_put(key: &Key, wanted: Precondition, was: Option<&Version>) -> Result<(), StoreError> {
    match (wanted, was) {
        (Precondition::Absent, None) => Ok(()),
        (Precondition::Absent, Some(was)) => Err(StoreError::Exists {
            current: was.entry.clone(),
        }),
        (Precondition::Revision(_), None) => Err(StoreError::Missing { key: key.clone() }),
        (Precondition::Revision(wanted), Some(was)) if wanted == was.entry.revision => Ok(()),
        (Precondition::Revision(_), Some(was)) => Err(StoreError::Conflict {
            current: was.entry.clone(),
        }),
    }
}

fn check_delete<'a>(
    key: &Key,
    expected: Revision,
    was: Option<&'a Arc<Version>>,
) -> Result<&'a Arc<Version>, StoreError> {
    match was {
        None => Err(StoreError::Missing { key: key.clone() }),
        Some(was) if was.entry.revision == expected => Ok(was),
        Some(was) => Err(StoreError::Conflict {
            current: was.entry.clone(),
        }),
    }
}

impl Resource {
    fn empty(name: Arc<str>) -> Self {
        Self {
            name,
            changed: Revision::FIRST,
            bytes: 0,
            objects: OrdMap::new(),
            postings: OrdSet::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.objects.len()
    }

    pub(crate) fn versions(&self) -> impl Iterator<Item = &Arc<Version>> {
        self.objects.values()
    }

    fn put(&mut self, mut entry: Entry, terms: Vec<Term>, was: Option<Arc<Version>>) -> Applied {
        let slot = if let Some(was) = &was {
            entry.key = was.entry.key.clone();
            Arc::clone(&was.slot)
        } else {
            entry.key.resource = Arc::clone(&self.name);
            self.share_namespace(&mut entry.key);
            entry.key.slot()
        };
        let terms = self.index(&slot, terms, was.as_deref());
        self.changed = self.changed.max(entry.revision);
        self.bytes += entry.value.len() as u64;
        self.bytes -= was.as_ref().map_or(0, |was| was.entry.value.len() as u64);
        let event = Event {
            change: if was.is_some() {
                Change::Modified
            } else {
                Change::Added
            },
            entry: entry.clone(),
            previous: was.as_ref().map(|was| was.entry.clone()),
        };
        let now = Arc::new(Version {
            entry,
            terms,
            slot: Arc::clone(&slot),
        });
        self.objects.insert(slot, Arc::clone(&now));
        Applied {
            event: Arc::new(event),
            now: Some(now),
            was,
        }
    }

    fn delete(&mut self, entry: Entry, was: Arc<Version>) -> Applied {
        self.index(&was.slot, Vec::new(), Some(&was));
        self.objects.remove(&*was.slot);
        self.changed = self.changed.max(entry.revision);
        self.bytes -= was.entry.value.len() as u64;
        let event = Event {
            change: Change::Deleted,
            entry,
            previous: Some(was.entry.clone()),
        };
        Applied {
            event: Arc::new(event),
            now: None,
            was: Some(was),
        }
    }

    /// Makes the key hold the same namespace string as its neighbours.
    fn share_namespace(&self, key: &mut Key) {
        let first = slot(&key.namespace, "");
        let neighbour = self
            .objects
            .range::<_, str>((Included(&*first), Unbounded))
            .next();
        if let Some((_, version)) = neighbour
            && version.entry.key.namespace == key.namespace
        {
            key.namespace = Arc::clone(&version.entry.key.namespace);
        }
    }

    /// Moves the postings of one object from its old terms to its new ones.
    fn index(&mut self, slot: &Slot, terms: Vec<Term>, was: Option<&Version>) -> Box<[Arc<Term>]> {
        let old = was.map_or(&[] as &[_], |was| &*was.terms);
        let mut new: Vec<Arc<Term>> = Vec::with_capacity(terms.len());
        for term in terms {
            let known = old.iter().find(|known| ***known == term).map(Arc::clone);
            new.push(known.unwrap_or_else(|| self.share_term(term)));
        }
        new.sort_unstable();
        new.dedup();
        for term in old.iter().filter(|term| new.binary_search(term).is_err()) {
            self.postings.remove(&Posting {
                term: Arc::clone(term),
                slot: Arc::clone(slot),
            });
        }
        for term in new.iter().filter(|term| old.binary_search(term).is_err()) {
            self.postings.insert(Posting {
                term: Arc::clone(term),
                slot: Arc::clone(slot),
            });
        }
        new.into_boxed_slice()
    }

    /// The term itself, or its equal that another object holds already; at least the name is held once.
    fn share_term(&self, term: Term) -> Arc<Term> {
        let mut first = Posting {
            term: Arc::new(term),
            slot: Arc::from(""),
        };
        let next = self.postings.range::<_, Posting>(&first..).next();
        if let Some(posting) = next
            && posting.term == first.term
        {
            return Arc::clone(&posting.term);
        }
        let before = self.postings.range::<_, Posting>(..&first).next_back();
        let neighbours = next.into_iter().chain(before);
        let mut names = neighbours.map(|posting| &posting.term.name);
        if let Some(name) = names.find(|name| **name == first.term.name) {
            let value = Arc::clone(&first.term.value);
            first.term = Arc::new(Term::new(Arc::clone(name), value));
        }
        first.term
    }

    /// Undoes events, newest first, to reach the state before the oldest of them.
    pub(crate) fn undo<'a>(&mut self, applied: impl Iterator<Item = &'a Applied>) {
        for Applied { now, was, .. } in applied {
            let Some(slot) = now
                .as_ref()
                .or(was.as_ref())
                .map(|version| Arc::clone(&version.slot))
            else {
                continue;
            };
            let terms = was
                .iter()
                .flat_map(|was| was.terms.iter().map(|term| Term::clone(term)));
            self.index(&slot, terms.collect(), now.as_deref());
            match was {
                Some(was) => self.objects.insert(slot, Arc::clone(was)),
                None => self.objects.remove(&*slot),
            };
        }
    }
}
