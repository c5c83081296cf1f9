//! Checkpoints: the whole state in one file, which makes the log before it superfluous.
//!
//! `state-SEQUENCE` holds the state after frame SEQUENCE as frames of puts, seeded with SEQUENCE and
//! numbered from 1; the last one is marked and carries the reserved revisions. The file is synced before
//! it gets its name, so one with the name is whole or damaged, never half written.

use std::{
    fs::{self, File},
    io::{self, Read, Write},
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
};

use tracing::warn;

use crate::{Entry, Indexer, Revision, state::State};

use super::{
    OpenError,
    directory::Directory,
    frame::{self, FLAG_LAST, HEAD_BYTES, Head, Parsed, Record},
};

/// Records are gathered into frames of about this size.
const FRAME_BYTES: usize = 256 << 10;
/// The file is synced each time so much was written, so that no commit waits behind all of it.
const SYNC_BYTES: usize = 8 << 20;
/// Longest frame read. No batch and no value comes near it.
const FRAME_BYTES_MAX: usize = 64 << 20;

/// Writes the state after frame `sequence`; gives up when `stop` is set.
pub(super) fn write(
    directory: &Directory,
    sequence: u64,
    reserved: Revision,
    state: &State,
    stop: &AtomicBool,
) -> io::Result<()> {
    let path = directory.checkpoint(sequence);
    let unfinished = Directory::unfinished(&path);
    let written = fill(&unfinished, sequence, reserved, state, stop)
        .and_then(|()| directory.finish(&unfinished, &path));
    if written.is_err()
        && let Err(error) = fs::remove_file(&unfinished)
    {
        warn!(
            error = &error as &dyn std::error::Error,
            "unfinished checkpoint not removed"
        );
    }
    written
}

fn fill(
    path: &Path,
    sequence: u64,
    reserved: Revision,
    state: &State,
    stop: &AtomicBool,
) -> io::Result<()> {
    let mut out = Writer {
        file: File::create(path)?,
        buffer: Vec::with_capacity(FRAME_BYTES * 2),
        seed: sequence,
        frames: 0,
        unsynced: 0,
    };
    frame::begin(&mut out.buffer);
    for version in state
        .resources
        .values()
        .flat_map(|resource| resource.versions())
    {
        frame::push(&mut out.buffer, &version.entry, false);
        if out.buffer.len() >= FRAME_BYTES {
            if stop.load(Ordering::Relaxed) {
                return Err(io::ErrorKind::Interrupted.into());
            }
            out.frame(0, reserved)?;
            frame::begin(&mut out.buffer);
        }
    }
    out.frame(FLAG_LAST, reserved)?;
    out.file.sync_all()
}

struct Writer {
    file: File,
    buffer: Vec<u8>,
    seed: u64,
    frames: u64,
    unsynced: usize,
}

impl Writer {
    fn frame(&mut self, flags: u32, reserved: Revision) -> io::Result<()> {
        self.frames += 1;
        let records = self.buffer.len() - HEAD_BYTES;
        let head = Head {
            flags,
            sequence: self.frames,
            durable: 0,
            reserved,
        };
        frame::seal(&mut self.buffer, records, head, self.seed);
        self.file.write_all(&self.buffer)?;
        self.unsynced += self.buffer.len();
        if self.unsynced >= SYNC_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        self.buffer.clear();
        Ok(())
    }
}

/// Reads the checkpoint of frame `sequence`: the state and the revisions reserved then.
pub(super) fn read(
    directory: &Directory,
    sequence: u64,
    indexer: &Indexer,
) -> Result<(State, Revision), OpenError> {
    let path = directory.checkpoint(sequence);
    let file = File::open(&path).map_err(OpenError::io("open", &path))?;
    let mut reader = Reader {
        path: &path,
        file: io::BufReader::new(file),
        offset: 0,
    };
    let mut state = State::empty(Revision::FIRST);
    let mut buffer = Vec::new();
    for number in 1.. {
        reader.frame(&mut buffer)?;
        let Parsed::Frame { head, records, .. } = frame::parse(&buffer, sequence) else {
            return Err(reader.corrupt("a frame does not match its checksum"));
        };
        if head.sequence != number {
            return Err(reader.corrupt("a frame is out of order"));
        }
        for record in frame::records(records) {
            let Some(Record::Put(entry)) = record else {
                return Err(reader.corrupt("a record makes no sense"));
            };
            restore(&mut state, entry, indexer);
        }
        if head.flags & FLAG_LAST != 0 {
            return Ok((state, head.reserved));
        }
        reader.offset += buffer.len() as u64;
    }
    Err(reader.corrupt("it has no end"))
}

fn restore(state: &mut State, entry: Entry, indexer: &Indexer) {
    let terms = indexer(&entry.key, &entry.value);
    state.replay_put(entry, terms);
}

struct Reader<'a> {
    path: &'a Path,
    file: io::BufReader<File>,
    offset: u64,
}

impl Reader<'_> {
    /// Reads the bytes of the next frame, whole or not.
    fn frame(&mut self, buffer: &mut Vec<u8>) -> Result<(), OpenError> {
        buffer.clear();
        buffer.resize(HEAD_BYTES, 0);
        self.fill(buffer)?;
        let records = frame::claimed_length(buffer).unwrap_or(usize::MAX);
        if records > FRAME_BYTES_MAX {
            return Err(self.corrupt("a frame has an impossible length"));
        }
        let mut rest = vec![0; frame::padded(HEAD_BYTES + records) - HEAD_BYTES];
        self.fill(&mut rest)?;
        buffer.extend_from_slice(&rest);
        Ok(())
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), OpenError> {
        match self.file.read_exact(buffer) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(self.corrupt("it is cut off"))
            }
            Err(error) => Err(OpenError::io("read", self.path)(error)),
        }
    }

    fn corrupt(&self, detail: &str) -> OpenError {
        OpenError::Corrupt {
            file: self.path.to_owned(),
            offset: self.offset,
            detail: detail.to_owned(),
        }
    }
}

/// Removes the checkpoints that the one of frame `sequence` replaces.
pub(super) fn remove_before(directory: &Directory, sequence: u64) {
    let files = match directory.checkpoints() {
        Ok(files) => files,
        Err(error) => return warn!(error = &error as &dyn std::error::Error, "cannot list"),
    };
    for old in files.into_iter().filter(|old| *old < sequence) {
        if let Err(error) = fs::remove_file(directory.checkpoint(old)) {
            warn!(
                error = &error as &dyn std::error::Error,
                "old checkpoint not removed"
            );
        }
    }
}
