//! Loads images from archive files, for machines that reach no registry.

use std::{
    io,
    path::{Path, PathBuf},
};

use cri::{CallError, Runtime};
use tokio::process::Command;

use crate::{Layout, Missing, Programs};

/// Namespace in which containerd keeps what belongs to CRI.
///
/// Source: containerd, `pkg/cri/constants`, `K8sContainerdNamespace`.
const NAMESPACE: &str = "k8s.io";

/// Why an archive could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The archive.
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
    let data = tokio::fs::File::open(archive).await.map_err(read)?;
    if data.metadata().await.map_err(read)?.is_dir() {
        return Err(read(io::ErrorKind::IsADirectory.into()));
    }
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
        let known = runtime.image_status(reference).await;
        let ask = |source| ImportError::Ask {
            reference: reference.clone(),
            source,
        };
        if known.map_err(ask)?.is_none() {
            return Err(ImportError::Lost {
                reference: reference.clone(),
            });
        }
    }
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
}
