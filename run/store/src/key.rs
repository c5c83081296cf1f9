//! What is stored: keys, revisions and versions. Says nothing about where or how durably.

use std::{fmt, sync::Arc};

use bytes::Bytes;

/// A point in the store's history: store-wide and monotonic.
///
/// An empty store is at revision 1 and the first write makes 2, as in etcd. A revision is never given
/// twice, also after a crash; after a restart numbers may be skipped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

impl Revision {
    /// The revision of a store nobody has written to.
    pub const FIRST: Self = Self(1);

    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where an object lives. Ordered by resource, then namespace, then name.
///
/// No part may hold a NUL byte; `resource` and `name` are not empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// The plural and, outside the core group, a dot and the group: `pods`, `deployments.apps`.
    pub resource: Arc<str>,
    /// The namespace; empty for a cluster-scoped object.
    pub namespace: Arc<str>,
    /// The object's name.
    pub name: Arc<str>,
}

impl Key {
    /// A key from its three parts; `namespace` is empty for a cluster-scoped object.
    pub fn new(
        resource: impl Into<Arc<str>>,
        namespace: impl Into<Arc<str>>,
        name: impl Into<Arc<str>>,
    ) -> Self {
        Self {
            resource: resource.into(),
            namespace: namespace.into(),
            name: name.into(),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(f, "{}/{}", self.resource, self.name)
        } else {
            write!(f, "{}/{}/{}", self.resource, self.namespace, self.name)
        }
    }
}

/// Canonical JSON of an object with a hole for its revision.
///
/// The object is encoded once by the caller; the store writes the decimal revision at `revision_at`
/// (inside the quotes of `metadata.resourceVersion`) when it commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The object's bytes, without the revision's digits.
    pub bytes: Vec<u8>,
    /// Offset in `bytes` at which the digits go; at most `bytes.len()`.
    pub revision_at: usize,
}

impl Encoded {
    /// The complete wire form at `revision`. An offset past the end appends the digits.
    pub fn complete(&self, revision: Revision) -> Bytes {
        let digits = revision.to_string();
        let (head, tail) = self
            .bytes
            .split_at_checked(self.revision_at)
            .unwrap_or((self.bytes.as_slice(), &[]));
        let mut wire = Vec::with_capacity(self.bytes.len() + digits.len());
        wire.extend_from_slice(head);
        wire.extend_from_slice(digits.as_bytes());
        wire.extend_from_slice(tail);
        Bytes::from(wire)
    }
}

/// One committed version of one object. Cloning it copies four pointers, never the value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where the object lives.
    pub key: Key,
    /// The revision that wrote this version.
    pub revision: Revision,
    /// The complete wire form, revision included: one buffer shared by everyone who holds the version.
    pub value: Bytes,
}

/// What must hold at the moment of a put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precondition {
    /// No object lives at the key.
    Absent,
    /// The object's present version is this one.
    Revision(Revision),
}

/// What an acknowledged write survives. A property of the resource, chosen by the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// Survives kill -9 and power loss: synced to the medium before the acknowledgement.
    Synced,
    /// Survives kill -9 of this process; the last moments may be lost with the machine. For leases and
    /// events, which are the majority of writes and are renewed or aged out anyway.
    Relaxed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn revision_goes_into_the_hole() {
        let encoded = Encoded {
            bytes: br#"{"resourceVersion":""}"#.to_vec(),
            revision_at: 20,
        };
        assert_eq!(
            encoded.complete(Revision(42)),
            r#"{"resourceVersion":"42"}"#
        );
    }

    #[test]
    fn offset_past_the_end_appends() {
        let encoded = Encoded {
            bytes: b"x".to_vec(),
            revision_at: 9,
        };
        assert_eq!(encoded.complete(Revision(7)), "x7");
    }
}
