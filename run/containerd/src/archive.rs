//! Whether a file is an image archive, told from the names of what is in it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Bytes of a tar block; headers are one block, contents whole blocks.
const BLOCK_BYTES: usize = 512;
/// Most entries looked at, which bounds the time that a strange file can take.
const ENTRIES_MAX: usize = 100_000;
/// First bytes of files compressed by gzip and zstd, which containerd unpacks by itself.
const COMPRESSED: [&[u8]; 2] = [&[0x1f, 0x8b], &[0x28, 0xb5, 0x2f, 0xfd]];
/// Files that one of must be there: the index of OCI archives, the manifest of docker ones.
const INDEXES: [&str; 2] = ["index.json", "manifest.json"];

/// Why a file cannot hold images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It is no tar archive.
    NotTar,
    /// It is one, and has neither index nor manifest.
    NoIndex,
}

impl Flaw {
    /// The flaw in words.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotTar => "it is no tar archive",
            Self::NoIndex => "it is a tar archive without index.json or manifest.json",
        }
    }
}

/// Looks for what makes a tar archive an image archive; `None` when it is there or cannot be told.
pub(crate) fn flaw(path: &Path) -> io::Result<Option<Flaw>> {
    let mut file = File::open(path)?;
    let mut header = [0; BLOCK_BYTES];
    for entry in 0..ENTRIES_MAX {
        let read = read_block(&mut file, &mut header)?;
        if entry == 0 && COMPRESSED.iter().any(|magic| header.starts_with(magic)) {
            return Ok(None);
        }
        let is_end = !read || header.iter().all(|byte| *byte == 0);
        if is_end {
            return Ok(Some(if entry == 0 {
                Flaw::NotTar
            } else {
                Flaw::NoIndex
            }));
        }
        let Some((name, bytes)) = parse(&header) else {
            return Ok(Some(Flaw::NotTar));
        };
        if INDEXES.contains(&name.trim_start_matches("./")) {
            return Ok(None);
        }
        let block = BLOCK_BYTES as u64;
        let skipped = bytes.div_ceil(block).saturating_mul(block);
        let skipped = i64::try_from(skipped).map_err(io::Error::other)?;
        file.seek(SeekFrom::Current(skipped))?;
    }
    Ok(None)
}

/// Fills the block; false at the end of the file.
fn read_block(file: &mut File, block: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(block) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Name and size of an entry; `None` when its checksum is wrong.
fn parse(header: &[u8]) -> Option<(String, u64)> {
    let octal = |field: &[u8]| {
        let text = std::str::from_utf8(field).ok()?;
        let digits = text.trim_matches(|one: char| one == '\0' || one == ' ');
        if digits.is_empty() {
            Some(0)
        } else {
            u64::from_str_radix(digits, 8).ok()
        }
    };
    let sum: u64 = header
        .iter()
        .enumerate()
        .map(|(index, byte)| {
            if (148..156).contains(&index) {
                32
            } else {
                u64::from(*byte)
            }
        })
        .sum();
    if octal(header.get(148..156)?)? != sum {
        return None;
    }
    let name = header.get(..100)?.split(|byte| *byte == 0).next()?;
    let size = header.get(124..136)?;
    let bytes = match size.split_first() {
        // Sizes that octal digits cannot hold are binary, as GNU tar marks by the first bit.
        Some((first, rest)) if first & 0x80 != 0 => {
            u64::from_be_bytes(rest.get(3..)?.try_into().ok()?)
        }
        _ => octal(size)?,
    };
    Some((String::from_utf8_lossy(name).into_owned(), bytes))
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn entry(name: &str, content: &[u8]) -> Vec<u8> {
        let mut header = vec![0_u8; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{:011o}", content.len()).as_bytes());
        header[148..156].copy_from_slice(b"        ");
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..154].copy_from_slice(format!("{sum:06o}").as_bytes());
        header[154] = 0;
        header.extend_from_slice(content);
        header.resize(header.len().next_multiple_of(512), 0);
        header
    }

    fn flaw_of(content: &[u8]) -> Option<Flaw> {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(content).unwrap();
        flaw(file.path()).unwrap()
    }

    #[test]
    fn indexes_of_either_format_are_found_behind_other_files() {
        for index in ["index.json", "manifest.json", "./index.json"] {
            let archive = [entry("blobs/sha256/1", &[1; 700]), entry(index, b"{}")].concat();
            assert_eq!(flaw_of(&archive), None, "{index}");
        }
        assert_eq!(flaw_of(&[0x1f, 0x8b, 8]), None);
    }

    #[test]
    fn what_is_no_image_archive_says_why() {
        assert_eq!(flaw_of(b""), Some(Flaw::NotTar));
        assert_eq!(flaw_of(&[b'x'; 2000]), Some(Flaw::NotTar));
        let tar = [entry("README", b"no image"), vec![0; 1024]].concat();
        assert_eq!(flaw_of(&tar), Some(Flaw::NoIndex));
    }
}
