//! Takes everything of an instance off the machine, but for its data directory.

use std::{
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use cri::v1::ContainerFilter;
use cri::{CallError, Runtime};
use dataplane::NetworkError;

use crate::{Layout, StartError, ensure, mounts, process};

/// How long containerd and its shims are given to end by themselves.
const END_GRACE: Duration = Duration::from_secs(10);

/// What could not be taken down.
#[derive(Debug, thiserror::Error)]
pub enum TeardownError {
    /// The process has no right to it.
    #[error("taking a node down needs root: run the command with sudo")]
    Root,
    /// Containers run, and the containerd that could stop them does not come up.
    #[error("cannot start containerd to stop the containers it left running")]
    Start(#[from] StartError),
    /// Pods could not be stopped or removed.
    #[error("cannot {operation}")]
    Pods {
        /// What was tried, as a verb and its object.
        operation: &'static str,
        /// What the runtime said.
        #[source]
        source: CallError,
    },
    /// A process could not be found or ended.
    #[error("cannot end {0}")]
    Process(&'static str, #[source] io::Error),
    /// A mount remains.
    #[error("cannot unmount what is below {} and {}", .0.display(), .1.display())]
    Unmount(PathBuf, PathBuf, #[source] io::Error),
    /// A cgroup or a run-time directory remains.
    #[error("cannot remove {}", .0.display())]
    Remove(PathBuf, #[source] io::Error),
    /// The bridge or its rules remain.
    #[error("cannot remove the network of the node")]
    Network(#[from] NetworkError),
}

/// Stops all pods and containerd, and removes mounts, network, cgroups and run-time directories.
///
/// Images and everything else in the data directory stay. Nothing happens where nothing runs.
///
/// # Errors
/// The first thing that could not be taken down; another call goes on from there.
pub async fn teardown(layout: &Layout) -> Result<(), TeardownError> {
    if !rustix::process::geteuid().is_root() {
        return Err(TeardownError::Root);
    }
    let io = |what| move |source| TeardownError::Process(what, source);
    let running = process::containerd(layout)
        .map_err(io("containerd"))?
        .is_some();
    let orphans = !process::shims(layout)
        .map_err(io("shims of containerd"))?
        .is_empty();
    if running || orphans {
        stop_pods(&ensure(layout).await?.runtime).await?;
    }
    end(layout).await
}

/// Takes a containerd that holds no pods off the machine, and what was made for it: after a start that failed.
///
/// Where pods run, nothing happens.
///
/// # Errors
/// The first thing that could not be taken down.
pub async fn undo(layout: &Layout) -> Result<(), TeardownError> {
    let shims = process::shims(layout);
    if shims.is_ok_and(|shims| shims.is_empty()) {
        end(layout).await?;
    }
    Ok(())
}

/// Ends containerd, and removes mounts, network, cgroups and run-time directories.
async fn end(layout: &Layout) -> Result<(), TeardownError> {
    let instance = layout.instance();
    let io = |what| move |source| TeardownError::Process(what, source);
    if let Some(process) = process::containerd(layout).map_err(io("containerd"))? {
        process.end(END_GRACE).await.map_err(io("containerd"))?;
    }
    for shim in process::shims(layout).map_err(io("shims of containerd"))? {
        shim.end(END_GRACE)
            .await
            .map_err(io("shims of containerd"))?;
    }
    let (run_dir, data_dir) = (instance.run_dir(), instance.data_dir());
    // What is mounted on these themselves, or elsewhere in the data directory, is the user's.
    let dirs = [&*run_dir, &layout.persistent(), &data_dir.join("kubelet")];
    mounts::unmount_below(&dirs)
        .map_err(|source| TeardownError::Unmount(run_dir.clone(), data_dir.to_owned(), source))?;
    let hierarchies = mounts::cgroup_hierarchies().map_err(io("cgroups"))?;
    for hierarchy in hierarchies {
        let group = hierarchy.join(instance.cgroup_root().trim_start_matches('/'));
        remove_cgroup(&group).map_err(|source| TeardownError::Remove(group, source))?;
    }
    dataplane::remove(instance).await?;
    match fs::remove_dir_all(&run_dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(TeardownError::Remove(run_dir, error))
        }
        _ => Ok(()),
    }
}

async fn stop_pods(runtime: &Runtime) -> Result<(), TeardownError> {
    let pods = |operation| move |source| TeardownError::Pods { operation, source };
    for sandbox in runtime
        .list_pod_sandboxes(None)
        .await
        .map_err(pods("list pods"))?
    {
        runtime
            .stop_pod_sandbox(&sandbox.id)
            .await
            .map_err(pods("stop a pod"))?;
        // One by one, as this removes those too whose start broke off.
        let filter = ContainerFilter {
            pod_sandbox_id: sandbox.id.clone(),
            ..ContainerFilter::default()
        };
        let containers = runtime.list_containers(Some(filter)).await;
        for container in containers.map_err(pods("list the containers of a pod"))? {
            let removed = runtime.remove_container(&container.id).await;
            removed.map_err(pods("remove a container"))?;
        }
        runtime
            .remove_pod_sandbox(&sandbox.id)
            .await
            .map_err(pods("remove a pod"))?;
    }
    Ok(())
}

/// Removes a cgroup and all below it; the kernel takes only directories, not the files in them.
fn remove_cgroup(group: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_cgroup(&entry.path())?;
        }
    }
    fs::remove_dir(group)
}
