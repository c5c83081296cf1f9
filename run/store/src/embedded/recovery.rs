//! What a start makes of the files: the last checkpoint, then every whole commit after it.
//!
//! A crash may leave the end of the log torn; that is named and cut off, for nobody was told of what is
//! missing. Damage to what was durable once is told apart by the later frames and segments that vouch for
//! it, and is refused.

use std::{collections::VecDeque, fs, path::PathBuf};

use tracing::warn;

use crate::{Indexer, Revision, hub::Hub, state::State};

use super::{
    OpenError, Repair, checkpoint,
    directory::{Directory, Files},
    faults::Faults,
    frame::{self, ALIGNMENT, FLAG_CLOSED, Parsed, Record},
    log::{Log, Position, Sealed, Sizes},
    segment::{Blank, SEGMENT_HEAD_BYTES, Segment, SegmentHead},
};

/// Frame numbers further ahead than this are not believed.
const SEQUENCE_AHEAD_MAX: u64 = 1 << 20;

/// A store as it was found.
pub(super) struct Recovered {
    pub(super) state: State,
    pub(super) hub: Hub,
    pub(super) log: Log,
    pub(super) repairs: Vec<Repair>,
}

/// The replay of a log.
struct Replay<'a> {
    indexer: &'a Indexer,
    state: State,
    hub: Hub,
    /// Frames up to this number are in the checkpoint.
    covered: u64,
    /// The number of the next frame.
    next: u64,
    reserved: Revision,
    repairs: Vec<Repair>,
}

/// How the frames of one segment end.
struct Ending {
    offset: usize,
    /// Nothing was ever written after them.
    is_clean: bool,
}

/// Recovers the store in a directory; an empty one becomes an empty store.
pub(super) fn recover(
    directory: &Directory,
    indexer: &Indexer,
    sizes: Sizes,
    faults: Faults,
) -> Result<Recovered, OpenError> {
    let files = directory.files()?;
    let covered = files.checkpoints.last().copied().unwrap_or(0);
    let (state, reserved) = match files.checkpoints.last() {
        Some(sequence) => checkpoint::read(directory, *sequence, indexer)?,
        None => (State::empty(Revision::FIRST), Revision::FIRST),
    };
    let hub = Hub::since(state.revision);
    let mut replay = Replay {
        indexer,
        state,
        hub,
        covered,
        next: covered + 1,
        reserved,
        repairs: Vec::new(),
    };
    let heads = segments(directory, &files, covered)?;
    let Some((last, older)) = heads.split_last() else {
        if !directory.is_new() {
            return Err(corrupt(directory.segment(1), 0, "it is missing"));
        }
        let current = new_segment(directory, 1, &replay, sizes)?;
        directory.write_format()?;
        return Ok(replay.finish(directory, sizes, faults, VecDeque::new(), current));
    };
    replay.next = heads.first().map_or(1, |head| head.first);
    for (head, following) in older.iter().zip(heads.iter().skip(1)) {
        replay.sealed(directory, head, following)?;
    }
    let ending = replay.last(directory, last)?;
    if directory.is_new() {
        // Killed before the format was written, nothing can have been written behind it.
        if replay.next > 1 || covered > 0 || !ending.is_clean {
            return Err(directory.without_format());
        }
        directory.write_format()?;
    }
    let path = directory.segment(last.id);
    let resumed =
        Segment::resume(&path, *last, ending.offset as u64).map_err(OpenError::io("sync", path))?;
    let mut sealed: VecDeque<Sealed> = older.iter().map(|head| Sealed { head: *head }).collect();
    let current = if ending.is_clean {
        resumed
    } else {
        sealed.push_back(Sealed { head: *last });
        new_segment(directory, last.id + 1, &replay, sizes)?
    };
    checkpoint::remove_before(directory, covered);
    Ok(replay.finish(directory, sizes, faults, sealed, current))
}

/// The heads of the segments needed after frame `covered`, in order.
fn segments(
    directory: &Directory,
    files: &Files,
    covered: u64,
) -> Result<Vec<SegmentHead>, OpenError> {
    let mut heads: Vec<SegmentHead> = Vec::new();
    for id in &files.segments {
        let head = read_head(directory, *id)?;
        if let Some(before) = heads.last()
            && before.id + 1 != head.id
        {
            return Err(corrupt(
                directory.segment(before.id + 1),
                0,
                "it is missing",
            ));
        }
        // A crash between a checkpoint and the removal of what it covers leaves segments behind.
        if head.first <= covered + 1 {
            for old in heads.drain(..) {
                let path = directory.segment(old.id);
                fs::remove_file(&path).map_err(OpenError::io("remove", path))?;
            }
        }
        heads.push(head);
    }
    match heads.first() {
        Some(first) if first.first > covered + 1 => {
            let before = directory.segment(first.id.saturating_sub(1));
            Err(corrupt(before, 0, "it is missing"))
        }
        None if covered > 0 => Err(corrupt(
            directory.path().to_owned(),
            0,
            "the log beside the checkpoint is missing",
        )),
        Some(_) | None => Ok(heads),
    }
}

fn read_head(directory: &Directory, id: u64) -> Result<SegmentHead, OpenError> {
    let path = directory.segment(id);
    let mut bytes = Vec::with_capacity(SEGMENT_HEAD_BYTES);
    let file = fs::File::open(&path).map_err(OpenError::io("open", &path))?;
    std::io::Read::read_to_end(
        &mut std::io::Read::take(file, SEGMENT_HEAD_BYTES as u64),
        &mut bytes,
    )
    .map_err(OpenError::io("read", &path))?;
    match SegmentHead::parse(&bytes) {
        Some(head) if head.id == id => Ok(head),
        _ => Err(corrupt(path, 0, "its head is damaged")),
    }
}

fn new_segment(
    directory: &Directory,
    id: u64,
    replay: &Replay<'_>,
    sizes: Sizes,
) -> Result<Segment, OpenError> {
    let path = directory.segment(id);
    let head = SegmentHead {
        id,
        size: 0,
        first: replay.next,
        durable: replay.next - 1,
    };
    Blank::create(Directory::unfinished(&path), sizes.first_segment_bytes)
        .and_then(|blank| blank.start(directory, head))
        .map_err(OpenError::io("create", path))
}

fn corrupt(file: PathBuf, offset: usize, detail: &str) -> OpenError {
    OpenError::Corrupt {
        file,
        offset: offset as u64,
        detail: detail.to_owned(),
    }
}

impl Replay<'_> {
    /// Replays a segment that another one follows: it must reach it.
    fn sealed(
        &mut self,
        directory: &Directory,
        head: &SegmentHead,
        following: &SegmentHead,
    ) -> Result<(), OpenError> {
        let path = directory.segment(head.id);
        let bytes = fs::read(&path).map_err(OpenError::io("read", &path))?;
        let offset = self.frames(&path, head, &bytes, following.first)?;
        if self.next == following.first {
            return Ok(());
        }
        if self.next <= following.durable {
            return Err(corrupt(path, offset, "a durable commit is missing"));
        }
        // Relaxed commits in a segment that was given up. Whoever saw them must list anew.
        self.repair(path, offset, "the last relaxed commits are missing");
        self.next = following.first;
        self.hub.raise(self.reserved);
        Ok(())
    }

    /// Replays the newest segment up to its last whole frame.
    fn last(&mut self, directory: &Directory, head: &SegmentHead) -> Result<Ending, OpenError> {
        let path = directory.segment(head.id);
        let bytes = fs::read(&path).map_err(OpenError::io("read", &path))?;
        let offset = self.frames(&path, head, &bytes, u64::MAX)?;
        let rest = bytes.get(offset..).unwrap_or_default();
        if self.is_vouched_for(rest, head.id) {
            return Err(corrupt(path, offset, "a durable commit is damaged"));
        }
        let is_cut = (bytes.len() as u64) < head.size;
        let is_blank = rest.iter().all(|byte| *byte == 0);
        if is_cut {
            self.repair(path, offset, "the file is cut off");
        } else if !is_blank {
            self.repair(path, offset, "the last commit is torn");
        }
        Ok(Ending {
            offset,
            is_clean: is_blank && !is_cut,
        })
    }

    /// Replays whole frames below `end` in a row; returns the offset after the last one.
    fn frames(
        &mut self,
        path: &std::path::Path,
        segment: &SegmentHead,
        bytes: &[u8],
        end: u64,
    ) -> Result<usize, OpenError> {
        let mut offset = SEGMENT_HEAD_BYTES;
        while self.next < end {
            let rest = bytes.get(offset..).unwrap_or_default();
            let Parsed::Frame {
                head,
                records,
                bytes,
            } = frame::parse(rest, segment.id)
            else {
                break;
            };
            if head.sequence != self.next {
                break;
            }
            if head.sequence > self.covered {
                self.records(records)
                    .ok_or_else(|| corrupt(path.to_owned(), offset, "a record makes no sense"))?;
                self.reserved = head.reserved;
                if head.flags & FLAG_CLOSED != 0 {
                    self.state.revision = head.reserved;
                }
            }
            self.next += 1;
            offset += bytes;
        }
        Ok(offset)
    }

    fn records(&mut self, records: &[u8]) -> Option<()> {
        for record in frame::records(records) {
            let applied = match record? {
                Record::Put(entry) => {
                    let terms = (self.indexer)(&entry.key, &entry.value);
                    Some(self.state.replay_put(entry, terms))
                }
                Record::Delete(entry) => self.state.replay_delete(entry),
            };
            if let Some(applied) = applied {
                self.hub.remember(&[applied]);
            }
        }
        Some(())
    }

    /// Whether a later whole frame says that the one missing here was on the medium.
    fn is_vouched_for(&self, rest: &[u8], seed: u64) -> bool {
        let mut offset = 0;
        while let Some(candidate) = rest.get(offset..)
            && !candidate.is_empty()
        {
            let claimed = frame::claimed_sequence(candidate).unwrap_or(0);
            if claimed > self.next
                && claimed - self.next < SEQUENCE_AHEAD_MAX
                && let Parsed::Frame { head, .. } = frame::parse(candidate, seed)
                && head.durable >= self.next
            {
                return true;
            }
            offset += ALIGNMENT;
        }
        false
    }

    fn repair(&mut self, file: PathBuf, offset: usize, detail: &'static str) {
        warn!(file = %file.display(), offset, detail, "store recovered to its last whole commit");
        self.repairs.push(Repair {
            file,
            offset: offset as u64,
            detail,
        });
    }

    fn finish(
        mut self,
        directory: &Directory,
        sizes: Sizes,
        faults: Faults,
        sealed: VecDeque<Sealed>,
        current: Segment,
    ) -> Recovered {
        // Revisions up to the reserved one may have been given out and lost: they are not given again,
        // and whoever saw one of them must list anew.
        let last = self.state.revision;
        self.state.revision = last.max(self.reserved);
        self.hub.start(last, self.state.revision);
        let position = Position {
            next: self.next,
            durable: self.next - 1,
            reserved: self.state.revision,
        };
        let log = Log::new(directory.clone(), sizes, faults, sealed, current, position);
        Recovered {
            state: self.state,
            hub: self.hub,
            log,
            repairs: self.repairs,
        }
    }
}
