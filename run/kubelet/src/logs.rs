//! Container logs in the CRI format: whole, the last lines, since a time, and followed.
//!
//! Source: `pkg/kubelet/kuberuntime/logs`, `staging/src/k8s.io/cri-client/pkg/logs`.

use std::path::Path;

use jiff::Timestamp;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};

pub(crate) mod follow;
pub(crate) mod rotate;

/// Most bytes of last words taken from a log.
///
/// Source: `pkg/kubelet/container`, `MaxContainerTerminationMessageLogLength`.
const LAST_WORDS_BYTES_MAX: usize = 2048;
/// Most lines of last words taken from a log.
///
/// Source: `pkg/kubelet/container`, `MaxContainerTerminationMessageLogLines`.
const LAST_WORDS_LINES_MAX: usize = 80;
/// Bytes read at once when a log is read from its end.
const BLOCK_BYTES: usize = 64 << 10;

/// One entry of a log file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry<'a> {
    /// The time as it stands in the file.
    pub(crate) time: &'a str,
    /// Whether it came from the standard error.
    pub(crate) is_stderr: bool,
    /// Whether the line goes on in the next entry.
    pub(crate) is_partial: bool,
    /// The bytes, without the line's end.
    pub(crate) text: &'a [u8],
}

/// Reads one line of a log file; `None` for one that is not in the CRI format.
pub(crate) fn parse(line: &[u8]) -> Option<Entry<'_>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let mut parts = line.splitn(4, |&byte| byte == b' ');
    let time = std::str::from_utf8(parts.next()?).ok()?;
    let is_stderr = match parts.next()? {
        b"stdout" => false,
        b"stderr" => true,
        _ => return None,
    };
    let is_partial = parts.next()?.starts_with(b"P");
    let text = parts.next().unwrap_or_default();
    Some(Entry {
        time,
        is_stderr,
        is_partial,
        text,
    })
}

/// Which part of a log is wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Options {
    /// Only this many of the last lines.
    pub(crate) tail_lines: Option<usize>,
    /// Only what came at this time or later.
    pub(crate) since: Option<Timestamp>,
    /// No more bytes than these.
    pub(crate) limit_bytes: Option<usize>,
    /// Whether each line starts with its time.
    pub(crate) with_times: bool,
    /// Whether only the standard error (`true`) or output (`false`) is wanted.
    pub(crate) only_stderr: Option<bool>,
}

/// Turns log lines into what a client is sent, until the limit is reached.
#[derive(Debug)]
pub(crate) struct Formatter {
    options: Options,
    left_bytes: usize,
    is_in_line: bool,
}

impl Formatter {
    pub(crate) fn new(options: Options) -> Self {
        Self {
            left_bytes: options.limit_bytes.unwrap_or(usize::MAX),
            is_in_line: false,
            options,
        }
    }

    /// Whether the limit is reached.
    pub(crate) fn is_full(&self) -> bool {
        self.left_bytes == 0
    }

    /// Adds what one line of the file gives to `out`.
    pub(crate) fn add(&mut self, line: &[u8], out: &mut Vec<u8>) {
        let Some(entry) = parse(line) else { return };
        if self
            .options
            .only_stderr
            .is_some_and(|wanted| wanted != entry.is_stderr)
        {
            return;
        }
        if let Some(since) = self.options.since
            && entry
                .time
                .parse::<Timestamp>()
                .is_ok_and(|time| time < since)
        {
            return;
        }
        let mut text = Vec::with_capacity(entry.text.len() + 40);
        if self.options.with_times && !self.is_in_line {
            text.extend_from_slice(entry.time.as_bytes());
            text.push(b' ');
        }
        text.extend_from_slice(entry.text);
        if !entry.is_partial {
            text.push(b'\n');
        }
        self.is_in_line = entry.is_partial;
        text.truncate(self.left_bytes);
        self.left_bytes -= text.len();
        out.extend_from_slice(&text);
    }
}

/// Where the last `lines` whole lines of a file begin.
///
/// # Errors
/// The file cannot be read.
pub(crate) async fn tail_offset(file: &mut tokio::fs::File, lines: usize) -> std::io::Result<u64> {
    let length = file.seek(std::io::SeekFrom::End(0)).await?;
    if lines == 0 {
        return Ok(length);
    }
    let mut wanted = lines;
    let mut end = length;
    let mut is_last = true;
    while end > 0 {
        let size = end.min(BLOCK_BYTES as u64);
        let start = end - size;
        file.seek(std::io::SeekFrom::Start(start)).await?;
        let mut block = vec![0; usize::try_from(size).unwrap_or(BLOCK_BYTES)];
        file.read_exact(&mut block).await?;
        for (index, _) in block
            .iter()
            .enumerate()
            .rev()
            .filter(|(_, byte)| **byte == b'\n')
        {
            let after = start + index as u64 + 1;
            // The newline that ends the file begins no line.
            if is_last && after == length {
                is_last = false;
                continue;
            }
            is_last = false;
            wanted -= 1;
            if wanted == 0 {
                return Ok(after);
            }
        }
        end = start;
    }
    Ok(0)
}

/// The last words of a container, from its log; empty if it has none.
pub(crate) async fn last_lines(path: &Path) -> String {
    let Ok(mut file) = tokio::fs::File::open(path).await else {
        return String::new();
    };
    let read = async {
        let offset = tail_offset(&mut file, LAST_WORDS_LINES_MAX).await?;
        file.seek(std::io::SeekFrom::Start(offset)).await?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).await?;
        Ok::<_, std::io::Error>(bytes)
    };
    let bytes = read.await.unwrap_or_default();
    let mut out = Vec::new();
    let mut formatter = Formatter::new(Options::default());
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        formatter.add(line, &mut out);
    }
    let start = out.len().saturating_sub(LAST_WORDS_BYTES_MAX);
    String::from_utf8_lossy(out.get(start..).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    const LINES: &str = "2026-11-21T00:00:01Z stdout F one\n2026-11-21T00:00:02Z stderr P tw\n2026-11-21T00:00:03Z stderr F o\n";

    fn formatted(options: Options) -> String {
        let mut out = Vec::new();
        let mut formatter = Formatter::new(options);
        for line in LINES.as_bytes().split_inclusive(|&byte| byte == b'\n') {
            formatter.add(line, &mut out);
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn entries_are_read_and_partial_lines_are_joined() {
        assert_eq!(formatted(Options::default()), "one\ntwo\n");
        let timed = Options {
            with_times: true,
            ..Options::default()
        };
        assert_eq!(
            formatted(timed),
            "2026-11-21T00:00:01Z one\n2026-11-21T00:00:02Z two\n"
        );
        assert_eq!(parse(b"nonsense\n"), None);
    }

    #[test]
    fn a_log_is_cut_by_time_stream_and_size() {
        let since = Some("2026-11-21T00:00:02Z".parse().unwrap());
        assert_eq!(
            formatted(Options {
                since,
                ..Options::default()
            }),
            "two\n"
        );
        assert_eq!(
            formatted(Options {
                only_stderr: Some(false),
                ..Options::default()
            }),
            "one\n"
        );
        assert_eq!(
            formatted(Options {
                limit_bytes: Some(5),
                ..Options::default()
            }),
            "one\nt"
        );
    }

    #[tokio::test]
    async fn the_last_lines_are_found_from_the_end() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        write!(file, "{LINES}").unwrap();
        let mut open = tokio::fs::File::open(file.path()).await.unwrap();
        let length = LINES.len() as u64;
        assert_eq!(tail_offset(&mut open, 0).await.unwrap(), length);
        assert_eq!(tail_offset(&mut open, 3).await.unwrap(), 0);
        assert_eq!(tail_offset(&mut open, 9).await.unwrap(), 0);
        let last = tail_offset(&mut open, 1).await.unwrap();
        assert_eq!(
            &LINES[usize::try_from(last).unwrap()..],
            "2026-11-21T00:00:03Z stderr F o\n"
        );
        assert_eq!(last_lines(file.path()).await, "one\ntwo\n");
    }
}
