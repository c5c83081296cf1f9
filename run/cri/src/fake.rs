//! A runtime without containers: a state machine that answers CRI, for tests of its callers.
//!
//! Everything a runtime may do to a pod can be made to happen: pulls that fail in a registry's words,
//! containers that end, are killed for memory or do not start, calls that fail, a restart that is
//! forgotten. Nothing is random and nothing waits; addresses and ids are counted.
//!
//! A container whose command ends in `exit N` ends with that code as soon as it is started; every
//! other one runs until it is told to stop, and then ends with [`EXIT_ON_TERM`].

mod images;
mod sandboxes;
mod serve;
mod state;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use tonic::{Code, Status};

pub use serve::Served;
pub use state::{FakeContainer, FakeSandbox};

use crate::v1::{ContainerState, ExecSyncResponse, Image};
use state::State;

/// Exit code of a container that is told to stop: killed by the signal TERM.
pub const EXIT_ON_TERM: i32 = 143;

/// Exit code of a container that used too much memory: killed by the signal KILL.
pub const EXIT_ON_OOM: i32 = 137;

/// A runtime without containers; clones are the same runtime.
#[derive(Clone, Debug)]
pub struct Fake {
    state: Arc<Mutex<State>>,
    changes: watch::Sender<u64>,
}

impl Default for Fake {
    fn default() -> Self {
        Self {
            state: Arc::default(),
            changes: watch::Sender::new(0),
        }
    }
}

impl Fake {
    /// Answers on a unix socket until the result is dropped.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn serve(&self, socket: &Path) -> std::io::Result<Served> {
        Served::start(self.clone(), socket)
    }

    /// Puts an image on the node.
    pub fn add_image(&self, reference: &str) {
        self.change(|state| state.put_image(reference));
    }

    /// Puts an image into the registry, so that it can be pulled.
    pub fn publish(&self, reference: &str) {
        self.change(|state| {
            state.registry.insert(reference.to_owned(), Ok(()));
        });
    }

    /// Makes every pull of an image fail with a code and the registry's words.
    pub fn fail_pulls(&self, reference: &str, code: Code, message: &str) {
        let status = Status::new(code, message);
        self.change(|state| {
            state.registry.insert(reference.to_owned(), Err(status));
        });
    }

    /// Makes the next call of an operation, such as `RunPodSandbox`, fail.
    pub fn fail_next(&self, operation: &str, code: Code, message: &str) {
        let status = Status::new(code, message);
        self.change(|state| {
            state
                .failures
                .entry(operation.to_owned())
                .or_default()
                .push_back(status);
        });
    }

    /// Sets what commands in containers of a name answer; an exit code of 0 and no output otherwise.
    pub fn set_exec(&self, container_name: &str, answer: ExecSyncResponse) {
        self.change(|state| {
            state.execs.insert(container_name.to_owned(), answer);
        });
    }

    /// Ends all running containers of a name with a code; gives how many there were.
    pub fn exit(&self, container_name: &str, code: i32) -> usize {
        let reason = if code == 0 { "Completed" } else { "Error" };
        self.end(container_name, code, reason)
    }

    /// Kills all running containers of a name for using too much memory; gives how many there were.
    pub fn kill_for_memory(&self, container_name: &str) -> usize {
        self.end(container_name, EXIT_ON_OOM, "OOMKilled")
    }

    /// All sandboxes, by id.
    pub fn sandboxes(&self) -> BTreeMap<String, FakeSandbox> {
        self.lock().sandboxes.clone()
    }

    /// All containers, by id.
    pub fn containers(&self) -> BTreeMap<String, FakeContainer> {
        self.lock().containers.clone()
    }

    /// All images on the node.
    pub fn images(&self) -> Vec<Image> {
        self.lock().images.values().cloned().collect()
    }

    /// The calls that were answered so far, but for those that only look: `StartContainer main`.
    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    /// Waits until something is true of this runtime, looking again after every change.
    pub async fn until(&self, mut is_so: impl FnMut(&Self) -> bool) {
        let mut changes = self.changes.subscribe();
        while !is_so(self) {
            // This runtime holds a sender itself, so waiting cannot fail.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn end(&self, container_name: &str, code: i32, reason: &str) -> usize {
        let mut count = 0;
        self.change(|state| {
            let now = state.now();
            for container in state.containers.values_mut() {
                if container.name() == container_name
                    && container.state == ContainerState::ContainerRunning
                {
                    container.end(code, reason, now);
                    count += 1;
                }
            }
        });
        count
    }

    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let result = change(&mut self.lock());
        self.changes.send_modify(|version| *version += 1);
        result
    }

    /// Every change is whole by the time the lock is free, so a panic elsewhere does not spoil it.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
