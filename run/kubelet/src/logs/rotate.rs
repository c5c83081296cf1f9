//! Putting large logs aside, as `decide/node` plans it.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use cri::v1::{ContainerFilter, ContainerState, ContainerStateValue};
use flate2::Compression;
use flate2::write::GzEncoder;
use node::logs::{BYTES_MAX, COMPRESSED, UNFINISHED, rotation};
use node::names;
use tokio::task::JoinHandle;
use tracing::{debug, warn};

use crate::agent::{Agent, now};

/// A log that has grown too large.
#[derive(Debug, PartialEq, Eq)]
struct Large {
    path: PathBuf,
    /// The pod, from the name of its directory.
    uid: String,
    container: String,
    attempt: String,
}

/// Puts large logs aside, and compresses those put aside before, one at a time and beside all else.
#[derive(Debug, Default)]
pub(crate) struct Rotator {
    compressing: Option<JoinHandle<()>>,
}

impl Rotator {
    /// Puts the large logs of all running containers aside.
    pub(crate) async fn rotate(&mut self, agent: &Agent) {
        let directory = agent.config.logs_dir.clone();
        let looking = tokio::task::spawn_blocking(move || large(&directory, BYTES_MAX));
        let mut old = Vec::new();
        for log in looking.await.unwrap_or_default() {
            match one(agent, &log).await {
                Ok(files) => old.extend(files),
                Err(error) => {
                    let path = log.path.display();
                    warn!(error, %path, "cannot put a log aside");
                }
            }
        }
        let is_free = self
            .compressing
            .as_ref()
            .is_none_or(JoinHandle::is_finished);
        // What is left out now is found again when the log is next put aside.
        if is_free && !old.is_empty() {
            self.compressing = Some(tokio::task::spawn_blocking(move || compress_all(&old)));
        }
    }
}

/// Puts one log aside; gives the older ones that are to be compressed.
async fn one(agent: &Agent, log: &Large) -> Result<Vec<PathBuf>, String> {
    let Some(id) = running(agent, log).await? else {
        return Ok(Vec::new());
    };
    let path = log.path.clone();
    let renamed = tokio::task::spawn_blocking(move || put_aside(&path)).await;
    let (renamed, old) = renamed
        .map_err(|error| error.to_string())?
        .map_err(|error| error.to_string())?;
    let reopened = agent.runtime.reopen_container_log(&id).await;
    let Err(error) = reopened else {
        debug!(path = %log.path.display(), "log put aside");
        return Ok(old);
    };
    // The container goes on writing to the file it has; that one must keep its name.
    let back = tokio::fs::rename(&renamed, &log.path).await;
    back.map_err(|error| error.to_string())?;
    Err(error.to_string())
}

/// The id of the container that writes a log; `None` when it has ended.
async fn running(agent: &Agent, log: &Large) -> Result<Option<String>, String> {
    let filter = ContainerFilter {
        label_selector: [
            (names::POD_UID.to_owned(), log.uid.clone()),
            (names::CONTAINER_NAME.to_owned(), log.container.clone()),
        ]
        .into(),
        state: Some(ContainerStateValue {
            state: ContainerState::ContainerRunning.into(),
        }),
        ..ContainerFilter::default()
    };
    let listed = agent.runtime.list_containers(Some(filter)).await;
    let listed = listed.map_err(|error| error.to_string())?;
    let is_its =
        |one: &&cri::v1::Container| one.annotations.get(names::RESTART_COUNT) == Some(&log.attempt);
    Ok(listed.iter().find(is_its).map(|one| one.id.clone()))
}

/// Logs below `NAMESPACE_NAME_UID/CONTAINER/ATTEMPT.log` that are larger than `bytes_max`.
fn large(logs_dir: &Path, bytes_max: u64) -> Vec<Large> {
    let below = |path: &Path| {
        let entries = fs::read_dir(path).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    let name = |path: &Path| {
        path.file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned()
    };
    let mut found = Vec::new();
    for pod in below(logs_dir) {
        for container in below(&pod) {
            for path in below(&container) {
                let file = name(&path);
                let Some(attempt) = file.strip_suffix(".log") else {
                    continue;
                };
                if fs::metadata(&path).is_ok_and(|data| data.len() > bytes_max) {
                    found.push(Large {
                        uid: name(&pod).rsplit('_').next().unwrap_or_default().to_owned(),
                        container: name(&container),
                        attempt: attempt.to_owned(),
                        path,
                    });
                }
            }
        }
    }
    found
}

/// Makes room among the old logs, and gives a log the name of an old one; gives those to be compressed, too.
fn put_aside(path: &Path) -> io::Result<(PathBuf, Vec<PathBuf>)> {
    let directory = path.parent().unwrap_or_else(|| Path::new("."));
    let name = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let entries = fs::read_dir(directory)?;
    let beside: Vec<String> = entries
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    let plan = rotation(&name, &beside, now());
    for file in &plan.remove {
        fs::remove_file(directory.join(file))?;
    }
    let target = directory.join(&plan.rename);
    fs::rename(path, &target)?;
    let old = plan.compress.iter().map(|file| directory.join(file));
    Ok((target, old.collect()))
}

fn compress_all(files: &[PathBuf]) {
    for path in files {
        if let Err(error) = compress(path) {
            let path = path.display();
            debug!(error = &error as &dyn std::error::Error, %path, "an old log stays as it is");
        }
    }
}

/// Puts a compressed file in a file's place.
fn compress(path: &Path) -> io::Result<()> {
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    let (whole, unfinished) = (with(COMPRESSED), with(&format!("{COMPRESSED}{UNFINISHED}")));
    let mut encoder = GzEncoder::new(File::create(&unfinished)?, Compression::default());
    io::copy(&mut File::open(path)?, &mut encoder)?;
    encoder.finish()?;
    fs::rename(&unfinished, &whole)?;
    fs::remove_file(path)
}

/// Removes the log of a container instance and what was put aside of it.
pub(crate) async fn remove(container_dir: PathBuf, attempt: u32) {
    let removing = tokio::task::spawn_blocking(move || {
        let log = format!("{attempt}.log");
        let entries = fs::read_dir(&container_dir).into_iter().flatten().flatten();
        for entry in entries {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_its = name
                .strip_prefix(&log)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
            if is_its && let Err(error) = fs::remove_file(entry.path()) {
                debug!(
                    error = &error as &dyn std::error::Error,
                    name, "a log stays"
                );
            }
        }
    });
    if let Err(error) = removing.await {
        debug!(error = &error as &dyn std::error::Error, "logs stay");
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;

    use super::*;

    #[test]
    fn only_large_logs_are_found_with_what_they_belong_to() {
        let directory = tempfile::tempdir().unwrap();
        let container = directory.path().join("default_web_u-1/main");
        fs::create_dir_all(&container).unwrap();
        fs::write(container.join("2.log"), "0123456789").unwrap();
        fs::write(container.join("1.log"), "01234").unwrap();
        fs::write(container.join("2.log.20261121-000001"), "0123456789").unwrap();
        let expected = Large {
            path: container.join("2.log"),
            uid: "u-1".to_owned(),
            container: "main".to_owned(),
            attempt: "2".to_owned(),
        };
        assert_eq!(large(directory.path(), 5), [expected]);
    }

    #[test]
    fn old_logs_are_compressed_when_the_next_one_is_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let (log, old) = (
            directory.path().join("0.log"),
            directory.path().join("0.log.20261121-000001"),
        );
        fs::write(&log, "new").unwrap();
        fs::write(&old, "old").unwrap();
        let (target, plain) = put_aside(&log).unwrap();
        assert_eq!(plain, std::slice::from_ref(&old));
        compress_all(&plain);
        assert_eq!(fs::read_to_string(target).unwrap(), "new");
        assert!(!log.exists() && !old.exists());
        let mut text = String::new();
        let file = File::open(directory.path().join("0.log.20261121-000001.gz")).unwrap();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "old");
    }
}
