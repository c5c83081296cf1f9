//! One segment of the log: a file written with zeros in advance, then overwritten with frames.
//!
//! A sync after overwriting written blocks needs no journal commit of the file system: it is several times
//! cheaper than one after growing a file, and it can never meet a full disk.
//!
//! ```text
//! head  "SAMPANLG" | checksum u64 | id u64 | size u64 | first u64 | durable u64 | zeros up to 64 bytes
//! ```

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FallocateFlags, fallocate},
    io::Errno,
};
use xxhash_rust::xxh3::xxh3_64;

use super::{directory::Directory, frame::Cursor};

/// Bytes of a segment before its first frame.
pub(super) const SEGMENT_HEAD_BYTES: usize = 64;
const MAGIC: &[u8; 8] = b"SAMPANLG";
/// Zeros written at a time.
const ZEROS_BYTES: usize = 256 << 10;

/// What a segment says about itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) id: u64,
    /// Size of the file, which never changes.
    pub(super) size: u64,
    /// The number of its first frame. Frames from this number on in older segments never happened.
    pub(super) first: u64,
    /// Every frame in older segments up to this number was on the medium.
    pub(super) durable: u64,
}

impl SegmentHead {
    fn encode(self) -> [u8; SEGMENT_HEAD_BYTES] {
        let mut fields = Vec::with_capacity(SEGMENT_HEAD_BYTES);
        for field in [self.id, self.size, self.first, self.durable] {
            fields.extend_from_slice(&field.to_le_bytes());
        }
        let mut bytes = [0; SEGMENT_HEAD_BYTES];
        let checksum = xxh3_64(&fields).to_le_bytes();
        let all = MAGIC.iter().chain(&checksum).chain(&fields);
        for (to, from) in bytes.iter_mut().zip(all) {
            *to = *from;
        }
        bytes
    }

    /// Reads the head off a segment's bytes; `None` if it is damaged.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut cursor = Cursor(bytes.get(..SEGMENT_HEAD_BYTES)?);
        let magic = cursor.take(MAGIC.len())?;
        let checksum = cursor.u64()?;
        let fields = cursor.0.get(..32)?;
        let (id, size, first, durable) =
            (cursor.u64()?, cursor.u64()?, cursor.u64()?, cursor.u64()?);
        let is_whole = magic == MAGIC && checksum == xxh3_64(fields);
        is_whole.then_some(Self {
            id,
            size,
            first,
            durable,
        })
    }
}

/// A file full of zeros that waits to become a segment.
#[derive(Debug)]
pub(super) struct Blank {
    path: PathBuf,
    file: File,
    size: u64,
}

/// The segment frames are appended to.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) head: SegmentHead,
    file: File,
    /// Offset of the next frame.
    end: u64,
}

impl Blank {
    /// Makes a blank file. A full disk fails here, and leaves nothing behind.
    pub(super) fn create(path: PathBuf, size: u64) -> io::Result<Self> {
        let filled = Self::fill(&path, size);
        if filled.is_err()
            && let Err(error) = std::fs::remove_file(&path)
        {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "blank segment not removed"
            );
        }
        Ok(Self {
            file: filled?,
            path,
            size,
        })
    }

    fn fill(path: &Path, size: u64) -> io::Result<File> {
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        match fallocate(&file, FallocateFlags::empty(), 0, size) {
            // Where it is not supported, the zeros do the same, only slower on a full disk.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::NOSYS) => {}
            Err(error) => return Err(error.into()),
        }
        let zeros = vec![0; ZEROS_BYTES];
        let mut left = size;
        while left > 0 {
            let part = usize::try_from(left).map_or(ZEROS_BYTES, |left| left.min(ZEROS_BYTES));
            file.write_all(zeros.get(..part).unwrap_or_default())?;
            left -= part as u64;
            // In steps, so that commits meanwhile wait behind a little and not behind all of it.
            file.sync_data()?;
        }
        file.sync_all()?;
        Ok(file)
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// Removes the file, which is no longer wanted.
    pub(super) fn discard(self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::debug!(
                error = &error as &dyn std::error::Error,
                "blank segment not removed"
            );
        }
    }

    /// Turns the blank into a segment, durably.
    pub(super) fn start(self, directory: &Directory, head: SegmentHead) -> io::Result<Segment> {
        let head = SegmentHead {
            size: self.size,
            ..head
        };
        let path = directory.segment(head.id);
        self.file.write_all_at(&head.encode(), 0)?;
        self.file.sync_data()?;
        directory.finish(&self.path, &path)?;
        Ok(Segment {
            head,
            file: self.file,
            end: SEGMENT_HEAD_BYTES as u64,
        })
    }
}

impl Segment {
    /// Takes up a segment whose frames end at `end`, and syncs what is in it.
    pub(super) fn resume(path: &Path, head: SegmentHead, end: u64) -> io::Result<Self> {
        let file = File::options().read(true).write(true).open(path)?;
        file.sync_data()?;
        Ok(Self { head, file, end })
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.end + bytes as u64 <= self.head.size
    }

    pub(super) fn is_half_full(&self) -> bool {
        self.end > self.head.size / 2
    }

    /// Writes a frame at the end. After an error the segment must be given up.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        self.file.write_all_at(frame, self.end)?;
        self.end += frame.len() as u64;
        Ok(())
    }

    /// Returns once everything appended is on the medium. After an error the segment must be given up:
    /// the kernel may have dropped what it could not write.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_is_read_back_and_damage_is_seen() {
        let head = SegmentHead {
            id: 7,
            size: 4096,
            first: 12,
            durable: 11,
        };
        let bytes = head.encode();
        assert_eq!(SegmentHead::parse(&bytes), Some(head));
        for at in 0..48 {
            let mut bytes = bytes;
            bytes[at] ^= 1;
            assert_eq!(SegmentHead::parse(&bytes), None, "byte {at}");
        }
        assert_eq!(SegmentHead::parse(&bytes[..63]), None);
    }
}
