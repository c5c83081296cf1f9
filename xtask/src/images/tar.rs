//! Writes tar archives, in the plain form every reader knows (POSIX ustar).
//!
//! Owner is root and times are zero, so that equal content gives equal bytes.

use anyhow::ensure;

/// Size of a tar block, in bytes; headers and contents are padded to it.
const BLOCK_BYTES: usize = 512;

/// Longest name and link target that a header without extensions holds, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A tar archive that grows entry by entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// Adds a directory.
    pub(crate) fn directory(&mut self, name: &str, mode: u32) -> anyhow::Result<()> {
        self.header(&format!("{name}/"), mode, 0, b'5', "")
    }

    /// Adds a file.
    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
        self.header(name, mode, content.len(), b'0', "")?;
        self.bytes.extend(content);
        self.pad();
        Ok(())
    }

    /// Adds a file that everyone may run.
    pub(crate) fn program(&mut self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        self.file(name, 0o755, content)
    }

    /// Adds a symbolic link.
    pub(crate) fn symlink(&mut self, name: &str, target: &str) -> anyhow::Result<()> {
        self.header(name, 0o777, 0, b'2', target)
    }

    /// Ends the archive and gives its bytes.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.bytes.extend([0; 2 * BLOCK_BYTES]);
        self.bytes
    }

    /// Adds one header: fields of fixed width, numbers in octal, and a sum over all of it.
    fn header(
        &mut self,
        name: &str,
        mode: u32,
        size: usize,
        kind: u8,
        link: &str,
    ) -> anyhow::Result<()> {
        ensure!(
            name.len() <= NAME_BYTES_MAX && link.len() <= NAME_BYTES_MAX,
            "{name} is too long"
        );
        let mut header = Vec::with_capacity(BLOCK_BYTES);
        let mut field = |text: &str, width: usize| {
            header.extend(text.bytes().chain(std::iter::repeat(0)).take(width));
        };
        field(name, 100);
        field(&format!("{mode:07o}"), 8);
        field("0000000", 8);
        field("0000000", 8);
        field(&format!("{size:011o}"), 12);
        field("00000000000", 12);
        // The sum counts its own field as blanks.
        field("        ", 8);
        field(&char::from(kind).to_string(), 1);
        field(link, 100);
        field("ustar", 6);
        field("00", 2);
        field("root", 32);
        field("root", 32);
        field("", BLOCK_BYTES - 329);
        let sum: u32 = header.iter().copied().map(u32::from).sum();
        header.splice(148..156, format!("{sum:06o}\0 ").bytes());
        self.bytes.extend(header);
        Ok(())
    }

    fn pad(&mut self) {
        let padded = self.bytes.len().next_multiple_of(BLOCK_BYTES);
        self.bytes.resize(padded, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::{io::Write as _, process};

    use super::*;

    #[test]
    fn another_tar_reads_what_is_written() {
        let mut tar = Tar::default();
        tar.directory("bin", 0o755).unwrap();
        tar.file("bin/a", 0o644, &[b'x'; 513]).unwrap();
        tar.symlink("bin/b", "/bin/a").unwrap();
        let mut child = process::Command::new("tar")
            .args(["--utc", "-tv"])
            .stdin(process::Stdio::piped())
            .stdout(process::Stdio::piped())
            .spawn()
            .unwrap();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(&tar.finish())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(
            text.contains("drwxr-xr-x root/root         0 1970-01-01 00:00 bin/"),
            "{text}"
        );
        assert!(
            text.contains("-rw-r--r-- root/root       513 1970-01-01 00:00 bin/a"),
            "{text}"
        );
        assert!(text.contains("bin/b -> /bin/a"), "{text}");
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        assert!(Tar::default().file(&"n".repeat(101), 0o644, b"").is_err());
    }
}
