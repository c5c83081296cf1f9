//! Loads images from archive files, for machines that reach no registry.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use cri::{CallError, Runtime};
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use crate::{Layout, Missing, Programs, archive};

/// Namespace in which containerd keeps what belongs to CRI.
///
/// Source: containerd, `pkg/cri/constants`, `K8sContainerdNamespace`.
const NAMESPACE: &str = "k8s.io";

/// How long the runtime may take to know an image that was imported.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);
/// How long to wait before it is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(20);

/// Why an archive could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// A file cannot be read or written.
    #[error("cannot use {}", path.display())]
    Read {
        /// The archive, its directory, or the note of what was loaded.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The importing program is missing.
    #[error("{}", .0.iter().map(Missing::to_string).collect::<Vec<_>>().join("; "))]
    Missing(Vec<Missing>),
    /// The importing program did not run.
    #[error("cannot run ctr")]
    Run(#[source] io::Error),
    /// The file is no image archive.
    #[error("{} is no image archive ({flaw}): make one with `docker save -o FILE NAME:TAG` or `skopeo copy docker://NAME:TAG oci-archive:FILE`", path.display())]
    NoArchive {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// There is no such directory of archives.
    #[error("{} is no directory of image archives", .0.display())]
    NoDirectory(PathBuf),
    /// The file is no archive that containerd understands.
    #[error("{} cannot be imported; is it an OCI or docker image archive (`docker save`, `skopeo copy ... oci-archive:FILE`)? containerd says: {message}", path.display())]
    Refused {
        /// The archive.
        path: PathBuf,
        /// What containerd said.
        message: String,
    },
    /// The archive holds images without names.
    #[error("{} names no image: save it with a name, such as `docker save NAME:TAG`", .0.display())]
    Nameless(PathBuf),
    /// The runtime does not show an image that was loaded.
    #[error("image {reference} was imported, but the runtime does not know it")]
    Lost {
        /// The image.
        reference: String,
    },
    /// The runtime could not be asked.
    #[error("cannot ask the runtime for image {reference}")]
    Ask {
        /// The image.
        reference: String,
        /// What the runtime said.
        #[source]
        source: CallError,
    },
}

/// Checks that a file can be read and is an image archive, as far as can be told without containerd.
///
/// # Errors
/// [`ImportError::Read`] or [`ImportError::NoArchive`].
pub fn check(archive: &Path) -> Result<(), ImportError> {
    let path = archive.to_owned();
    match archive::flaw(archive) {
        Ok(None) => Ok(()),
        Ok(Some(flaw)) => Err(ImportError::NoArchive {
            path,
            flaw: flaw.as_str(),
        }),
        Err(source) => Err(ImportError::Read { path, source }),
    }
}

/// Checks all archives (`*.tar`) of a directory.
///
/// # Errors
/// There is no such directory, or one of the files is no image archive.
pub fn check_dir(dir: &Path) -> Result<(), ImportError> {
    if !dir.is_dir() {
        return Err(ImportError::NoDirectory(dir.to_owned()));
    }
    archives(dir)?.iter().try_for_each(|path| check(path))
}

/// The archives (`*.tar`) of a directory, in order of names.
fn archives(dir: &Path) -> Result<Vec<PathBuf>, ImportError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let entries = std::fs::read_dir(dir)?;
        entries.map(|entry| Ok(entry?.path())).collect()
    };
    let mut archives = list().map_err(|source| ImportError::Read {
        path: dir.to_owned(),
        source,
    })?;
    archives.retain(|path| path.extension().is_some_and(|extension| extension == "tar"));
    archives.sort();
    Ok(archives)
}

/// Loads all images of an archive and gives their references.
///
/// # Errors
/// When the file is missing or no image archive, or when containerd does not take it.
pub async fn import(
    layout: &Layout,
    runtime: &Runtime,
    archive: &Path,
) -> Result<Vec<String>, ImportError> {
    let read = |source| ImportError::Read {
        path: archive.to_owned(),
        source,
    };
    let checked = archive.to_owned();
    let checking = tokio::task::spawn_blocking(move || check(&checked)).await;
    checking.map_err(|error| read(error.into()))??;
    let programs = Programs::find().map_err(ImportError::Missing)?;
    let output = Command::new(&programs.ctr)
        .arg("--address")
        .arg(layout.socket())
        .args(["--namespace", NAMESPACE, "images", "import"])
        .arg(archive)
        .output()
        .await
        .map_err(ImportError::Run)?;
    if !output.status.success() {
        let message = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(ImportError::Refused {
            path: archive.to_owned(),
            message,
        });
    }
    let references = unpacked(&String::from_utf8_lossy(&output.stdout));
    if references.is_empty() {
        return Err(ImportError::Nameless(archive.to_owned()));
    }
    for reference in &references {
        let asking = || async move { Ok(runtime.image_status(reference).await?.is_some()) };
        let known = comes_true(asking).await;
        let ask = |source| ImportError::Ask {
            reference: reference.clone(),
            source,
        };
        if !known.map_err(ask)? {
            return Err(ImportError::Lost {
                reference: reference.clone(),
            });
        }
    }
    Ok(references)
}

/// Whether a question is answered with yes before long.
///
/// The part of containerd that CRI reaches hears of an imported image by an event, and nobody is told when it has.
///
/// # Errors
/// The first failure to ask.
async fn comes_true<E, F>(mut ask: impl FnMut() -> F) -> Result<bool, E>
where
    F: Future<Output = Result<bool, E>>,
{
    let deadline = Instant::now() + KNOWN_WITHIN;
    while !ask().await? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        sleep(ASK_AGAIN).await;
    }
    Ok(true)
}

/// Loads all archives (`*.tar`) of a directory that are new or changed since they were last loaded.
///
/// Gives the references of what was loaded.
///
/// # Errors
/// When the directory cannot be read, or at the first archive that cannot be loaded.
pub async fn import_dir(
    layout: &Layout,
    runtime: &Runtime,
    dir: &Path,
) -> Result<Vec<String>, ImportError> {
    let mut loaded = Vec::new();
    for archive in archives(dir)? {
        loaded.extend(import_if_new(layout, runtime, &archive).await?);
    }
    Ok(loaded)
}

/// Loads an archive unless a note says that it was, and its images are still there.
async fn import_if_new(
    layout: &Layout,
    runtime: &Runtime,
    archive: &Path,
) -> Result<Vec<String>, ImportError> {
    let read = |source| ImportError::Read {
        path: archive.to_owned(),
        source,
    };
    let data = std::fs::metadata(archive).map_err(read)?;
    let version = format!(
        "{} bytes, changed {:?}",
        data.len(),
        data.modified().map_err(read)?
    );
    let name = archive.file_stem().unwrap_or_default();
    let note = layout.persistent().join("imported").join(name);
    let old = std::fs::read_to_string(&note).unwrap_or_default();
    let mut lines = old.lines();
    if lines.next() == Some(version.as_str()) {
        let mut are_there = true;
        for reference in lines {
            let ask = |source| ImportError::Ask {
                reference: reference.to_owned(),
                source,
            };
            are_there &= runtime
                .image_status(reference)
                .await
                .map_err(ask)?
                .is_some();
        }
        if are_there {
            return Ok(Vec::new());
        }
    }
    let references = import(layout, runtime, archive).await?;
    let text = format!("{version}\n{}\n", references.join("\n"));
    let write = |source| ImportError::Read {
        path: note.clone(),
        source,
    };
    if let Some(dir) = note.parent() {
        std::fs::create_dir_all(dir).map_err(write)?;
    }
    std::fs::write(&note, text).map_err(write)?;
    Ok(references)
}

/// The references that `ctr images import` says it unpacked: `unpacking NAME (sha256:...)...done`.
fn unpacked(output: &str) -> Vec<String> {
    output
        .lines()
        .filter_map(|line| {
            let (name, _) = line.trim().strip_prefix("unpacking ")?.split_once(" (")?;
            Some(name.to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_read_from_what_the_importer_prints() {
        let output = "unpacking docker.io/library/busybox:1.36 (sha256:0011)...done\n";
        assert_eq!(unpacked(output), ["docker.io/library/busybox:1.36"]);
        assert_eq!(unpacked("something else\n"), Vec::<String>::new());
    }

    #[tokio::test(start_paused = true)]
    async fn the_runtime_may_take_a_moment_to_know_an_image() {
        let mut asked = 0;
        let ask = || {
            asked += 1;
            std::future::ready(Ok::<_, ()>(asked == 3))
        };
        assert_eq!(comes_true(ask).await, Ok(true));
        assert_eq!(comes_true(|| async { Ok::<_, ()>(false) }).await, Ok(false));
        assert_eq!(comes_true(|| async { Err(()) }).await, Err(()));
    }
}
