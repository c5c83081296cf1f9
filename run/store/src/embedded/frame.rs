//! Frames: how a batch of changes is laid out in bytes, and how damaged ones are told from whole ones.
//!
//! A frame is a head of [`HEAD_BYTES`], records, and zeros up to a multiple of [`ALIGNMENT`]. Integers are
//! little endian. Pure: no file is touched here.
//!
//! ```text
//! head    checksum u64 | length u32 | flags u32 | sequence u64 | durable u64 | reserved u64
//! record  kind u8 | 0 u8 | resource u16 | namespace u16 | name u16 | value u32 | revision u64 | the four texts
//! ```
//! `length` counts the records; the checksum (XXH3, seeded by the file's number) covers all after itself.

use std::sync::Arc;

use bytes::Bytes;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::{Entry, Key, Revision};

/// Bytes of a frame before its records.
pub(crate) const HEAD_BYTES: usize = 40;
/// Frames start at multiples of this.
pub(crate) const ALIGNMENT: usize = 8;
/// Offset of the first checksummed byte.
const CHECKED_FROM: usize = 8;

const KIND_PUT: u8 = 1;
const KIND_DELETE: u8 = 2;

/// The store was closed after this frame.
pub(crate) const FLAG_CLOSED: u32 = 1;
/// The last frame of a checkpoint.
pub(crate) const FLAG_LAST: u32 = 2;

/// What a frame says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) flags: u32,
    /// The number of the frame; consecutive over all segments.
    pub(crate) sequence: u64,
    /// Every frame up to this number was on the medium when this one was written.
    pub(crate) durable: u64,
    /// No revision above this one was given out before this frame.
    pub(crate) reserved: Revision,
}

/// What stands at an offset.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// A whole frame that takes `bytes` bytes of the file.
    Frame {
        head: Head,
        records: &'a [u8],
        bytes: usize,
    },
    /// Nothing was ever written here.
    Blank,
    /// Something that is no whole frame.
    Broken,
}

/// One change as it is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// The object's new version.
    Put(Entry),
    /// The object's last state, carrying the revision of the deletion.
    Delete(Entry),
}

/// Starts a frame at the end of `buffer`; [`seal`] ends it.
pub(crate) fn begin(buffer: &mut Vec<u8>) {
    buffer.resize(buffer.len() + HEAD_BYTES, 0);
}

/// Adds a record to the frame begun last.
pub(crate) fn push(buffer: &mut Vec<u8>, entry: &Entry, is_deletion: bool) {
    let Key {
        resource,
        namespace,
        name,
    } = &entry.key;
    buffer.push(if is_deletion { KIND_DELETE } else { KIND_PUT });
    buffer.push(0);
    for part in [resource, namespace, name] {
        let length = u16::try_from(part.len()).expect("keys are checked before they are written");
        buffer.extend_from_slice(&length.to_le_bytes());
    }
    let length = u32::try_from(entry.value.len()).expect("values are checked before");
    buffer.extend_from_slice(&length.to_le_bytes());
    buffer.extend_from_slice(&entry.revision.0.to_le_bytes());
    for part in [resource, namespace, name] {
        buffer.extend_from_slice(part.as_bytes());
    }
    buffer.extend_from_slice(&entry.value);
}

/// Fills in the head of the one frame in `buffer`, which may have been sealed before.
pub(crate) fn seal(buffer: &mut Vec<u8>, records: usize, head: Head, seed: u64) {
    buffer.resize(padded(HEAD_BYTES + records), 0);
    let length = u32::try_from(records).expect("batches are bounded");
    let mut bytes = Vec::with_capacity(HEAD_BYTES - CHECKED_FROM);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&head.flags.to_le_bytes());
    bytes.extend_from_slice(&head.sequence.to_le_bytes());
    bytes.extend_from_slice(&head.durable.to_le_bytes());
    bytes.extend_from_slice(&head.reserved.0.to_le_bytes());
    let (checksum_at, rest) = buffer.split_at_mut(CHECKED_FROM);
    let (head_at, _) = rest.split_at_mut(HEAD_BYTES - CHECKED_FROM);
    head_at.copy_from_slice(&bytes);
    let (checked, _) = rest.split_at(HEAD_BYTES - CHECKED_FROM + records);
    checksum_at.copy_from_slice(&xxh3_64_with_seed(checked, seed).to_le_bytes());
}

/// Bytes that a frame with so many bytes of records takes.
pub(crate) fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGNMENT)
}

/// Reads what stands at the beginning of `bytes`.
pub(crate) fn parse(bytes: &[u8], seed: u64) -> Parsed<'_> {
    let Some((head, _)) = bytes.split_at_checked(HEAD_BYTES) else {
        let is_blank = bytes.iter().all(|byte| *byte == 0);
        return if is_blank {
            Parsed::Blank
        } else {
            Parsed::Broken
        };
    };
    if head.iter().all(|byte| *byte == 0) {
        return Parsed::Blank;
    }
    parse_frame(bytes, seed).unwrap_or(Parsed::Broken)
}

fn parse_frame(bytes: &[u8], seed: u64) -> Option<Parsed<'_>> {
    let mut cursor = Cursor(bytes);
    let checksum = cursor.u64()?;
    let length = usize::try_from(cursor.u32()?).ok()?;
    let head = Head {
        flags: cursor.u32()?,
        sequence: cursor.u64()?,
        durable: cursor.u64()?,
        reserved: Revision(cursor.u64()?),
    };
    let records = cursor.take(length)?;
    let checked = bytes.get(CHECKED_FROM..HEAD_BYTES + length)?;
    let is_whole = xxh3_64_with_seed(checked, seed) == checksum;
    is_whole.then(|| Parsed::Frame {
        head,
        records,
        bytes: padded(HEAD_BYTES + length),
    })
}

/// The sequence number a frame at the beginning of `bytes` would have, whole or not.
pub(crate) fn claimed_sequence(bytes: &[u8]) -> Option<u64> {
    let mut cursor = Cursor(bytes);
    cursor.take(16)?;
    cursor.u64()
}

/// The bytes of records a frame with this head would have, whole or not.
pub(crate) fn claimed_length(head: &[u8]) -> Option<usize> {
    let mut cursor = Cursor(head);
    cursor.take(CHECKED_FROM)?;
    usize::try_from(cursor.u32()?).ok()
}

/// The records of a whole frame; `None` stands for one that makes no sense, and ends them.
pub(crate) fn records(bytes: &[u8]) -> impl Iterator<Item = Option<Record>> {
    let mut cursor = Cursor(bytes);
    let mut failed = false;
    std::iter::from_fn(move || {
        if failed || cursor.0.is_empty() {
            return None;
        }
        let record = cursor.record();
        failed = record.is_none();
        Some(record)
    })
}

/// Reads fixed fields off the front of bytes.
pub(crate) struct Cursor<'a>(pub(crate) &'a [u8]);

impl<'a> Cursor<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn fixed<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.fixed().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.fixed().map(u64::from_le_bytes)
    }

    fn u16(&mut self) -> Option<usize> {
        self.fixed().map(u16::from_le_bytes).map(usize::from)
    }

    fn text(&mut self, length: usize) -> Option<Arc<str>> {
        std::str::from_utf8(self.take(length)?).ok().map(Arc::from)
    }

    fn record(&mut self) -> Option<Record> {
        let [kind, _] = self.fixed()?;
        let (resource, namespace, name) = (self.u16()?, self.u16()?, self.u16()?);
        let value = usize::try_from(self.u32()?).ok()?;
        let revision = Revision(self.u64()?);
        let key = Key {
            resource: self.text(resource)?,
            namespace: self.text(namespace)?,
            name: self.text(name)?,
        };
        let value = Bytes::copy_from_slice(self.take(value)?);
        let entry = Entry {
            key,
            revision,
            value,
        };
        match kind {
            KIND_PUT => Some(Record::Put(entry)),
            KIND_DELETE => Some(Record::Delete(entry)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(revision: u64) -> Entry {
        Entry {
            key: Key::new("pods", "a", "web"),
            revision: Revision(revision),
            value: Bytes::from_static(b"{}"),
        }
    }

    fn head(sequence: u64) -> Head {
        Head {
            flags: 0,
            sequence,
            durable: sequence - 1,
            reserved: Revision(100),
        }
    }

    fn frame(sequence: u64, seed: u64) -> Vec<u8> {
        let mut buffer = Vec::new();
        begin(&mut buffer);
        push(&mut buffer, &entry(5), false);
        push(&mut buffer, &entry(6), true);
        let records = buffer.len() - HEAD_BYTES;
        seal(&mut buffer, records, head(sequence), seed);
        buffer
    }

    #[test]
    fn frame_is_read_back() {
        let bytes = frame(3, 9);
        let Parsed::Frame {
            head: read,
            records: data,
            bytes: size,
        } = parse(&bytes, 9)
        else {
            panic!("no frame")
        };
        assert_eq!((read, size), (head(3), bytes.len()));
        let data: Vec<_> = records(data).collect();
        assert_eq!(
            data,
            [Some(Record::Put(entry(5))), Some(Record::Delete(entry(6)))]
        );
        assert_eq!(claimed_sequence(&bytes), Some(3));
    }

    #[test]
    fn any_flipped_bit_breaks_a_frame() {
        let bytes = frame(3, 9);
        let used = bytes.len() - 7;
        for at in 0..used {
            for bit in 0..8 {
                let mut bytes = bytes.clone();
                bytes[at] ^= 1 << bit;
                let parsed = parse(&bytes, 9);
                // The last bytes may be padding, which carries nothing.
                assert!(
                    parsed == Parsed::Broken || at >= used - ALIGNMENT,
                    "byte {at} bit {bit}"
                );
            }
        }
    }

    #[test]
    fn any_cut_breaks_a_frame() {
        let bytes = frame(3, 9);
        for length in 1..bytes.len() - ALIGNMENT {
            assert_eq!(
                parse(&bytes[..length], 9),
                Parsed::Broken,
                "cut at {length}"
            );
        }
    }

    #[test]
    fn frame_of_another_file_is_broken() {
        assert_eq!(parse(&frame(3, 9), 8), Parsed::Broken);
    }

    #[test]
    fn zeros_are_blank() {
        assert_eq!(parse(&[0; 100], 1), Parsed::Blank);
        assert_eq!(parse(&[], 1), Parsed::Blank);
    }

    #[test]
    fn malformed_records_end_the_frame() {
        let data: Vec<_> = records(&[7; 30]).collect();
        assert_eq!(data, [None]);
    }
}
