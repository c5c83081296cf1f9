//! What the fake runtime remembers.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{SystemTime, UNIX_EPOCH},
};

use tonic::Status;

use crate::v1::{
    ContainerConfig, ContainerState, ExecSyncResponse, Image, PodSandboxConfig, PodSandboxState,
};

/// A sandbox of the fake runtime.
#[derive(Clone, Debug)]
pub struct FakeSandbox {
    /// What it was run with.
    pub config: PodSandboxConfig,
    /// Whether it runs.
    pub state: PodSandboxState,
    /// Its address; empty when it is on the node's network.
    pub ip: String,
    /// When it was made, in nanoseconds since 1970.
    pub created_at: i64,
}

/// A container of the fake runtime.
#[derive(Clone, Debug)]
pub struct FakeContainer {
    /// What it was made with.
    pub config: ContainerConfig,
    /// The sandbox it is in.
    pub sandbox: String,
    /// Whether it runs.
    pub state: ContainerState,
    /// When it was made, in nanoseconds since 1970.
    pub created_at: i64,
    /// When it was started; 0 before.
    pub started_at: i64,
    /// When it ended; 0 before.
    pub finished_at: i64,
    /// How it ended; 0 before.
    pub exit_code: i32,
    /// Why it ended, as containerd says it.
    pub reason: String,
}

impl FakeContainer {
    /// The name in its metadata.
    pub fn name(&self) -> &str {
        self.config
            .metadata
            .as_ref()
            .map_or("", |metadata| &metadata.name)
    }

    pub(super) fn end(&mut self, code: i32, reason: &str, now: i64) {
        self.state = ContainerState::ContainerExited;
        self.exit_code = code;
        reason.clone_into(&mut self.reason);
        self.finished_at = now;
    }

    /// The code with which it ends at once, from a command such as `sh -c "exit 3"`.
    pub(super) fn scripted_exit(&self) -> Option<i32> {
        let last = self
            .config
            .args
            .last()
            .or_else(|| self.config.command.last())?;
        let (_, code) = last.rsplit_once("exit ")?;
        code.trim().parse().ok()
    }
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) sandboxes: BTreeMap<String, FakeSandbox>,
    pub(super) containers: BTreeMap<String, FakeContainer>,
    pub(super) images: BTreeMap<String, Image>,
    pub(super) registry: BTreeMap<String, Result<(), Status>>,
    pub(super) failures: BTreeMap<String, VecDeque<Status>>,
    pub(super) execs: BTreeMap<String, ExecSyncResponse>,
    pub(super) calls: Vec<String>,
    made: u64,
    last_now: i64,
}

impl State {
    /// The time in nanoseconds since 1970; later at every call.
    pub(super) fn now(&mut self) -> i64 {
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now = i64::try_from(since.as_nanos()).unwrap_or(i64::MAX);
        self.last_now = now.max(self.last_now + 1);
        self.last_now
    }

    /// How many things were made before, for ids and addresses.
    pub(super) fn count(&mut self) -> u64 {
        self.made += 1;
        self.made
    }

    pub(super) fn put_image(&mut self, reference: &str) {
        let id = format!("sha256:{:064x}", self.count());
        let image = Image {
            id: id.clone(),
            repo_tags: vec![reference.to_owned()],
            repo_digests: vec![format!("{}@{id}", without_tag(reference))],
            size: 1 << 20,
            ..Image::default()
        };
        self.images.insert(reference.to_owned(), image);
    }

    /// Finds an image as runtimes do: by reference, with or without `latest` and host, or by id.
    pub(super) fn image(&self, reference: &str) -> Option<&Image> {
        let full = full_name(reference);
        let is_it = |(name, image): &(&String, &Image)| {
            full_name(name) == full
                || image.id == reference
                || image.repo_digests.iter().any(|digest| digest == reference)
        };
        self.images.iter().find(is_it).map(|(_, image)| image)
    }

    /// Notes a call that changes something; fails when a failure was ordered for it.
    pub(super) fn begin(&mut self, operation: &str, about: &str) -> Result<(), Status> {
        self.calls.push(format!("{operation} {about}"));
        self.failure(operation)
    }

    pub(super) fn failure(&mut self, operation: &str) -> Result<(), Status> {
        match self
            .failures
            .get_mut(operation)
            .and_then(VecDeque::pop_front)
        {
            Some(status) => Err(status),
            None => Ok(()),
        }
    }
}

/// A reference with everything that may be left out: `busybox` is `docker.io/library/busybox:latest`.
///
/// Source: distribution reference, `ParseNormalizedNamed` and `TagNameOnly`.
pub(super) fn full_name(reference: &str) -> String {
    let tagged = if without_tag(reference) == reference && !reference.contains('@') {
        format!("{reference}:latest")
    } else {
        reference.to_owned()
    };
    match tagged.split_once('/') {
        Some((host, _)) if host.contains(['.', ':']) || host == "localhost" => tagged,
        Some(_) => format!("docker.io/{tagged}"),
        None => format!("docker.io/library/{tagged}"),
    }
}

fn without_tag(reference: &str) -> &str {
    match reference.rsplit_once(':') {
        // A colon before a slash is one of a port.
        Some((name, tag)) if !tag.contains('/') => name,
        _ => reference,
    }
}
