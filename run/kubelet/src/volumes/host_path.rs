//! Paths of the node that pods ask for by kind.
//!
//! Source: `pkg/volume/hostpath/host_path.go`.

use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;

/// Checks that a path is of the kind asked for, and makes it where the kind says so.
///
/// # Errors
/// It is of another kind, or cannot be made.
pub(super) async fn check(path: &Path, kind: &str) -> Result<(), String> {
    if kind.is_empty() {
        // The runtime makes a directory of what is missing; upstream leaves it to it.
        return Ok(());
    }
    let found = tokio::fs::metadata(path)
        .await
        .ok()
        .map(|meta| meta.file_type());
    let shown = path.display();
    match kind {
        "DirectoryOrCreate" if found.is_none() => {
            let made = tokio::fs::create_dir_all(path).await;
            return made.map_err(|error| error.to_string());
        }
        "FileOrCreate" if found.is_none() => {
            let made = tokio::fs::write(path, b"").await;
            return made.map_err(|error| error.to_string());
        }
        _ => {}
    }
    let (is_right, noun) = match (kind, found) {
        ("Directory" | "DirectoryOrCreate", found) => {
            (found.is_some_and(|found| found.is_dir()), "directory")
        }
        ("File" | "FileOrCreate", found) => (found.is_some_and(|found| found.is_file()), "file"),
        ("Socket", found) => (found.is_some_and(|found| found.is_socket()), "socket file"),
        ("CharDevice", found) => (
            found.is_some_and(|found| found.is_char_device()),
            "character device",
        ),
        ("BlockDevice", found) => (
            found.is_some_and(|found| found.is_block_device()),
            "block device",
        ),
        _ => return Err(format!("{kind} is an invalid volume type")),
    };
    if is_right {
        return Ok(());
    }
    Err(format!(
        "hostPath type check failed: {shown} is not a {noun}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_path_must_be_what_it_is_asked_for() {
        let directory = tempfile::tempdir().unwrap();
        let new = directory.path().join("new");
        let error = check(&new, "Directory").await.unwrap_err();
        assert_eq!(
            error,
            format!(
                "hostPath type check failed: {} is not a directory",
                new.display()
            )
        );
        check(&new, "DirectoryOrCreate").await.unwrap();
        check(&new, "Directory").await.unwrap();
        assert!(check(&new, "File").await.is_err());
        check(&directory.path().join("file"), "FileOrCreate")
            .await
            .unwrap();
    }
}
