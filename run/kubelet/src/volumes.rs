//! The volumes of a pod on the node's disk.
//!
//! Paths are upstream's: `pods/UID/volumes/kubernetes.io~KIND/NAME`.

pub(crate) mod atomic;
mod host_path;
pub(crate) mod sub_path;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolume, PersistentVolumeClaim, Volume};
use kube::Api;
use node::events::{self, Event};
use node::volume::{self, Files, Inputs, TokenRequest};
use node::{downward, node_status, security};
use tracing::warn;

use crate::act::Scene;
use crate::agent::Agent;
use crate::config::KubeletConfig;
use crate::{cgroups, mounts};

/// Volumes that are in place.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mounted {
    /// Where each is, by name.
    pub(crate) paths: BTreeMap<String, String>,
    /// When they must be made anew because a token will expire.
    pub(crate) refresh_at: Option<Timestamp>,
}

/// What the downward API needs besides the pod.
pub(crate) fn downward_facts(scene: &Scene) -> downward::Facts {
    downward::Facts {
        pod_ips: scene.pod_ips(),
        host_ips: scene.agent.host_ips(),
        allocatable: node_status::allocatable(&scene.agent.machine.facts(&scene.agent.config)),
    }
}

/// Puts all volumes in place, or renews them.
pub(crate) async fn mount(scene: &Scene) -> Result<Mounted, String> {
    let mounted = mounted(scene).await;
    if let Err(message) = &mounted {
        scene.agent.record(
            &scene.pod,
            Event::warning(events::FAILED_MOUNT, message.clone()),
        );
    }
    mounted
}

async fn mounted(scene: &Scene) -> Result<Mounted, String> {
    let spec = scene.pod.spec.as_ref();
    let volumes = spec
        .and_then(|spec| spec.volumes.clone())
        .unwrap_or_default();
    if volumes.is_empty() {
        return Ok(Mounted::default());
    }
    share_mounts(scene).await;
    let sources = scene.agent.sources.for_volumes(&scene.pod).await?;
    let requests = volume::tokens(&scene.pod);
    let (tokens, refresh_at) = scene.agent.sources.tokens(&scene.pod, requests).await;
    let facts = downward_facts(scene);
    let inputs = Inputs {
        pod: &scene.pod,
        sources: &sources,
        facts: &facts,
        tokens: &tokens,
    };
    let mut paths = BTreeMap::new();
    for volume in &volumes {
        let path = one(scene, volume, inputs).await;
        let path = path.map_err(|error| {
            format!(
                "MountVolume.SetUp failed for volume {:?} : {error}",
                volume.name
            )
        })?;
        if let Some(path) = path {
            paths.insert(volume.name.clone(), path.to_string_lossy().into_owned());
        }
    }
    Ok(Mounted { paths, refresh_at })
}

/// Puts one volume in place; `None` for a kind that is nowhere on the node.
async fn one(
    scene: &Scene,
    volume: &Volume,
    inputs: Inputs<'_>,
) -> Result<Option<PathBuf>, String> {
    let group = security::of_pod(&scene.pod).fs_group;
    if let Some(source) = &volume.host_path {
        let kind = source.type_.as_deref().unwrap_or_default();
        host_path::check(Path::new(&source.path), kind).await?;
        return Ok(Some(PathBuf::from(&source.path)));
    }
    if let Some(source) = &volume.empty_dir {
        let path = directory(scene, "empty-dir", &volume.name);
        let size = source.size_limit.as_ref();
        let in_memory = source.medium.as_deref() == Some("Memory");
        let made = empty_dir(&path, in_memory, size.map(|one| one.0.as_str()), group).await;
        made.map_err(|error| error.to_string())?;
        return Ok(Some(path));
    }
    if let Some(source) = &volume.persistent_volume_claim {
        return claimed(scene, &source.claim_name).await.map(Some);
    }
    let files = volume::files(volume, inputs).map_err(|error| error.to_string())?;
    let Some(files) = files else {
        return Err(format!(
            "volume {:?} is of a kind this node cannot mount",
            volume.name
        ));
    };
    let (kind, is_secret) = match volume {
        Volume {
            config_map: Some(_),
            ..
        } => ("configmap", false),
        Volume {
            secret: Some(_), ..
        } => ("secret", true),
        Volume {
            downward_api: Some(_),
            ..
        } => ("downward-api", false),
        _ => ("projected", true),
    };
    let path = directory(scene, kind, &volume.name);
    let written = write(&path, files, is_secret, group).await;
    written.map_err(|error| error.to_string())?;
    Ok(Some(path))
}

/// Writes files; secret ones never reach the disk, where the agent may mount.
async fn write(path: &Path, files: Files, is_secret: bool, group: Option<i64>) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    tokio::fs::create_dir_all(path).await?;
    // Whoever the container runs as may look into it; each file has a mode of its own.
    tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).await?;
    let path = path.to_owned();
    let write = move || {
        if is_secret && !mounts::is_mount_point(&path) && rustix::process::geteuid().is_root() {
            mounts::mount_memory(&path, None)?;
        }
        atomic::write(
            &path,
            &files,
            group.and_then(|group| u32::try_from(group).ok()),
        )
    };
    tokio::task::spawn_blocking(write)
        .await
        .map_err(io::Error::other)?
}

async fn empty_dir(
    path: &Path,
    in_memory: bool,
    size: Option<&str>,
    group: Option<i64>,
) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let is_new = !tokio::fs::try_exists(path).await?;
    tokio::fs::create_dir_all(path).await?;
    if in_memory && !mounts::is_mount_point(path) {
        let size = size.and_then(|text| meta::Quantity::parse(text).ok());
        mounts::mount_memory(path, size.map(|size| size.value()))?;
    }
    if is_new || in_memory {
        // Memory is mounted with the kernel's own mode: only who made a file may take it away.
        let sticky = if in_memory { 0o1000 } else { 0 };
        let mode = sticky | if group.is_some() { 0o2777 } else { 0o777 };
        if let Some(group) = group.and_then(|group| u32::try_from(group).ok()) {
            std::os::unix::fs::chown(path, None, Some(group))?;
        }
        tokio::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).await?;
    }
    Ok(())
}

/// Where the disk behind a claim is on this node.
async fn claimed(scene: &Scene, name: &str) -> Result<PathBuf, String> {
    let client = scene.agent.client.clone();
    let namespace = scene.pod.metadata.namespace.as_deref().unwrap_or_default();
    let claims: Api<PersistentVolumeClaim> = Api::namespaced(client.clone(), namespace);
    let claim = claims.get(name).await.map_err(|error| error.to_string())?;
    let bound = claim
        .spec
        .and_then(|spec| spec.volume_name)
        .filter(|name| !name.is_empty());
    let bound = bound.ok_or_else(|| format!("PVC {namespace}/{name} is not bound"))?;
    let volumes: Api<PersistentVolume> = Api::all(client);
    let volume = volumes
        .get(&bound)
        .await
        .map_err(|error| error.to_string())?;
    let spec = volume.spec.unwrap_or_default();
    if let Some(local) = spec.local {
        host_path::check(Path::new(&local.path), "Directory").await?;
        return Ok(PathBuf::from(local.path));
    }
    if let Some(host) = spec.host_path {
        let kind = host.type_.as_deref().unwrap_or_default();
        host_path::check(Path::new(&host.path), kind).await?;
        return Ok(PathBuf::from(host.path));
    }
    Err(format!(
        "persistent volume {bound:?} is of a kind this node cannot mount"
    ))
}

fn directory(scene: &Scene, kind: &str, name: &str) -> PathBuf {
    let uid = scene.pod.metadata.uid.as_deref().unwrap_or_default();
    path(&scene.agent.config, uid, kind, name)
}

/// Where a volume of a pod is put, by its kind and name.
pub(crate) fn path(config: &KubeletConfig, uid: &str, kind: &str, name: &str) -> PathBuf {
    let volumes = config.pod_dir(uid).join("volumes");
    volumes.join(format!("kubernetes.io~{kind}")).join(name)
}

/// Lets mounts travel between the node and containers, for pods that ask for it.
async fn share_mounts(scene: &Scene) {
    let spec = node::pod::spec::of(&scene.pod);
    let mut mounted =
        node::pod::spec::all(&spec).flat_map(|one| one.volume_mounts.iter().flatten());
    let travels = |mode: &str| matches!(mode, "HostToContainer" | "Bidirectional");
    if mounted.any(|one| one.mount_propagation.as_deref().is_some_and(travels)) {
        let directory = scene.agent.config.pods_dir();
        let shared = tokio::task::spawn_blocking(move || mounts::share(&directory)).await;
        if let Ok(Err(error)) = shared {
            warn!(
                error = &error as &dyn std::error::Error,
                "cannot share the pods' mounts"
            );
        }
    }
}

/// Takes everything away that the pod has on disk, and its cgroups.
pub(crate) async fn remove(scene: &Scene) {
    let uid = scene.pod.metadata.uid.as_deref().unwrap_or_default();
    if !uid.is_empty() {
        remove_pod(&scene.agent, uid).await;
    }
}

/// The same for a pod of which only the uid is known.
pub(crate) async fn remove_pod(agent: &Agent, uid: &str) {
    let directory = agent.config.pod_dir(uid);
    let unmounted = {
        let directory = directory.clone();
        tokio::task::spawn_blocking(move || mounts::unmount_below(&directory)).await
    };
    if let Ok(Err(error)) = unmounted {
        warn!(
            error = &error as &dyn std::error::Error,
            "cannot unmount the pod's volumes"
        );
        return;
    }
    remove_tree(&directory).await;
    agent.sources.forget(uid);
    cgroups::remove(&agent.config.cgroup_root, uid).await;
}

/// Removes a directory and what is in it.
pub(crate) async fn remove_tree(directory: &Path) {
    match tokio::fs::remove_dir_all(directory).await {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            let path = directory.display();
            warn!(error = &error as &dyn std::error::Error, %path, "cannot remove a directory");
        }
    }
}

/// Answers of the API server to requests for tokens.
pub(crate) type Tokens = BTreeMap<TokenRequest, Result<String, String>>;
