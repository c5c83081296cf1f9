//! The append side of the log: one frame per commit, segments in a row, checkpoints that free them.
//!
//! A failure never poisons the log. A segment that could not be written or synced is given up: the next
//! commit starts a new one, whose head says that the failed frame never happened.

use std::{
    collections::VecDeque,
    fs, io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use tracing::{debug, warn};

use crate::{
    Change, Revision,
    state::{Applied, State},
};

use super::{
    checkpoint,
    directory::Directory,
    faults::{Faults, Operation},
    frame::{self, HEAD_BYTES, Head},
    segment::{Blank, SEGMENT_HEAD_BYTES, Segment, SegmentHead},
};

/// Revisions reserved at a time. A crash skips at most so many.
const RESERVED_REVISIONS: u64 = 1 << 16;
/// Buffer kept between commits.
const BUFFER_BYTES_KEPT: usize = 1 << 20;

/// Sizes of files; tests use small ones.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Size of a segment made at start, when time matters.
    pub(super) first_segment_bytes: u64,
    /// Size of the segments after it.
    pub(super) segment_bytes: u64,
    /// A checkpoint is made when the log is larger than this and than the live objects.
    pub(super) checkpoint_bytes_min: u64,
}

impl Default for Sizes {
    fn default() -> Self {
        Self {
            first_segment_bytes: 1 << 20,
            segment_bytes: 16 << 20,
            checkpoint_bytes_min: 64 << 20,
        }
    }
}

/// A full segment that is still needed to recover.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    pub(super) head: SegmentHead,
}

/// Where the log stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Position {
    /// The number of the next frame.
    pub(super) next: u64,
    /// Every frame up to this number is on the medium.
    pub(super) durable: u64,
    /// No revision above this one may be given out before more are reserved.
    pub(super) reserved: Revision,
}

/// The log, open for appending.
#[derive(Debug)]
pub(super) struct Log {
    directory: Directory,
    sizes: Sizes,
    faults: Faults,
    current: Segment,
    /// The current segment failed and must not be appended to.
    gave_up: bool,
    sealed: VecDeque<Sealed>,
    position: Position,
    buffer: Vec<u8>,
    blank: Option<JoinHandle<io::Result<Blank>>>,
    checkpoint: Option<JoinHandle<io::Result<u64>>>,
    stop: Arc<AtomicBool>,
}

impl Log {
    pub(super) fn new(
        directory: Directory,
        sizes: Sizes,
        faults: Faults,
        sealed: VecDeque<Sealed>,
        current: Segment,
        position: Position,
    ) -> Self {
        Self {
            directory,
            sizes,
            faults,
            current,
            gave_up: false,
            sealed,
            position,
            buffer: Vec::new(),
            blank: None,
            checkpoint: None,
            stop: Arc::default(),
        }
    }

    /// Makes changes durable, or with `sync` unset at least independent of this process.
    ///
    /// `after` is the state they lead to. After an error none of them happened.
    pub(super) fn commit(
        &mut self,
        applied: &[Applied],
        after: &State,
        sync: bool,
    ) -> io::Result<()> {
        self.buffer.clear();
        self.buffer.shrink_to(BUFFER_BYTES_KEPT);
        frame::begin(&mut self.buffer);
        for one in applied {
            let is_deletion = one.event.change == Change::Deleted;
            frame::push(&mut self.buffer, &one.event.entry, is_deletion);
        }
        let reserved = self.position.reserved;
        let must_reserve = after.revision > reserved;
        let sync = sync || must_reserve;
        let is_short = reserved.0.saturating_sub(after.revision.0) < RESERVED_REVISIONS / 2;
        let reserved = if must_reserve || (sync && is_short) {
            Revision(after.revision.0 + RESERVED_REVISIONS)
        } else {
            reserved
        };
        let rotated = self.append(0, reserved, sync)?;
        self.reap_checkpoint();
        if rotated {
            self.start_checkpoint(after);
        }
        if self.blank.is_none() && self.current.is_half_full() {
            self.prepare_blank();
        }
        Ok(())
    }

    /// Writes down that the store was closed after `last`, so that no revision is skipped.
    pub(super) fn close(mut self, last: Revision) {
        self.stop.store(true, Ordering::Relaxed);
        self.buffer.clear();
        frame::begin(&mut self.buffer);
        if let Err(error) = self.append(frame::FLAG_CLOSED, last, true) {
            debug!(
                error = &error as &dyn std::error::Error,
                "store closed without saying so"
            );
        }
        if let Some(checkpoint) = self.checkpoint.take()
            && checkpoint.join().is_err()
        {
            warn!("checkpoint thread panicked");
        }
        if let Some(Ok(Ok(blank))) = self.blank.take().map(JoinHandle::join) {
            blank.discard();
        }
    }

    /// Appends the frame in the buffer; returns whether it begins a new segment.
    fn append(&mut self, flags: u32, reserved: Revision, sync: bool) -> io::Result<bool> {
        let records = self.buffer.len() - HEAD_BYTES;
        let bytes = frame::padded(self.buffer.len());
        let rotates = self.gave_up || !self.current.has_room(bytes);
        if rotates {
            self.rotate(bytes)?;
        }
        let Position {
            next: sequence,
            durable,
            ..
        } = self.position;
        let head = Head {
            flags,
            sequence,
            durable,
            reserved,
        };
        frame::seal(&mut self.buffer, records, head, self.current.head.id);
        if let Err(error) = self.write(sync) {
            self.gave_up = true;
            return Err(error);
        }
        self.position.next = sequence + 1;
        self.position.reserved = reserved;
        if sync {
            self.position.durable = sequence;
        }
        Ok(rotates)
    }

    fn write(&mut self, sync: bool) -> io::Result<()> {
        self.faults.check(Operation::Append)?;
        self.current.append(&self.buffer)?;
        if sync {
            self.faults.check(Operation::Sync)?;
            self.current.sync()?;
        }
        Ok(())
    }

    /// Starts a new segment with room for a frame of so many bytes.
    fn rotate(&mut self, frame_bytes: usize) -> io::Result<()> {
        if !self.gave_up {
            let synced = self
                .faults
                .check(Operation::Sync)
                .and_then(|()| self.current.sync());
            if let Err(error) = synced {
                self.gave_up = true;
                return Err(error);
            }
            self.position.durable = self.position.next - 1;
        }
        let blank = self.take_blank((frame_bytes + SEGMENT_HEAD_BYTES) as u64)?;
        let head = SegmentHead {
            id: self.current.head.id + 1,
            size: blank.size(),
            first: self.position.next,
            durable: self.position.durable,
        };
        // From here the new segment may exist, which takes the present one out of use.
        self.gave_up = true;
        let old = std::mem::replace(&mut self.current, blank.start(&self.directory, head)?);
        self.sealed.push_back(Sealed { head: old.head });
        self.gave_up = false;
        Ok(())
    }

    /// A blank of at least `bytes`: the prepared one, or one made now, if need be a small one.
    fn take_blank(&mut self, bytes: u64) -> io::Result<Blank> {
        if let Some(Ok(Ok(blank))) = self.blank.take().map(JoinHandle::join)
            && blank.size() >= bytes
        {
            return Ok(blank);
        }
        self.faults.check(Operation::Create)?;
        let path = self.blank_path();
        match Blank::create(path.clone(), self.sizes.segment_bytes.max(bytes)) {
            Err(error) if is_full(&error) => {
                Blank::create(path, self.sizes.first_segment_bytes.max(bytes))
            }
            other => other,
        }
    }

    fn prepare_blank(&mut self) {
        let (path, size) = (self.blank_path(), self.sizes.segment_bytes);
        let faults = self.faults.clone();
        let spawned = thread::Builder::new()
            .name("store-blank".to_owned())
            .spawn(move || {
                faults.check(Operation::Create)?;
                Blank::create(path, size)
            });
        match spawned {
            Ok(blank) => self.blank = Some(blank),
            Err(error) => debug!(
                error = &error as &dyn std::error::Error,
                "no thread for a blank"
            ),
        }
    }

    fn blank_path(&self) -> std::path::PathBuf {
        Directory::unfinished(&self.directory.segment(self.current.head.id + 1))
    }

    /// Starts a checkpoint if the log outgrew the live objects. `state` is as of the last frame.
    fn start_checkpoint(&mut self, state: &State) {
        let log: u64 = self.sealed.iter().map(|sealed| sealed.head.size).sum();
        let live: u64 = state
            .resources
            .values()
            .map(|resource| resource.bytes)
            .sum();
        if self.checkpoint.is_some() || log <= live.max(self.sizes.checkpoint_bytes_min) {
            return;
        }
        let directory = self.directory.clone();
        let stop = Arc::clone(&self.stop);
        let (state, reserved) = (state.clone(), self.position.reserved);
        let sequence = self.position.next - 1;
        let spawned = thread::Builder::new()
            .name("store-checkpoint".to_owned())
            .spawn(move || {
                checkpoint::write(&directory, sequence, reserved, &state, &stop).map(|()| sequence)
            });
        match spawned {
            Ok(checkpoint) => self.checkpoint = Some(checkpoint),
            Err(error) => warn!(
                error = &error as &dyn std::error::Error,
                "no thread to checkpoint"
            ),
        }
    }

    /// Removes what a finished checkpoint made superfluous.
    fn reap_checkpoint(&mut self) {
        let is_finished = self
            .checkpoint
            .as_ref()
            .is_some_and(JoinHandle::is_finished);
        let Some(checkpoint) = self.checkpoint.take_if(|_| is_finished) else {
            return;
        };
        let sequence = match checkpoint.join() {
            Ok(Ok(sequence)) => sequence,
            Ok(Err(error)) => {
                let error = &error as &dyn std::error::Error;
                return warn!(error, "checkpoint failed, the log grows until the next one");
            }
            Err(_) => return warn!("checkpoint thread panicked"),
        };
        while let Some(first) = self.sealed.front() {
            let following = self
                .sealed
                .get(1)
                .map_or(self.current.head.first, |s| s.head.first);
            if following > sequence + 1 {
                break;
            }
            if let Err(error) = fs::remove_file(self.directory.segment(first.head.id)) {
                let error = &error as &dyn std::error::Error;
                return warn!(error, "a superfluous log segment cannot be removed");
            }
            self.sealed.pop_front();
        }
        checkpoint::remove_before(&self.directory, sequence);
    }
}

/// Whether the disk, or what this user may use of it, is full.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}
