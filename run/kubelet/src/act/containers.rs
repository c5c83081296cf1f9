//! Starting and stopping containers.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use cri::CallError;
use k8s_openapi::api::core::v1::{Container, PodSpec};
use node::container::{self, Inputs};
use node::events::{self, Event};
use node::pod::{Start, spec};
use node::security::ImageUser;
use node::{env, image, sandbox};
use tracing::debug;

use super::{Failed, Scene};
use crate::{convert, hooks, volumes};

/// Least time a container has to end, whatever its preStop hook took: upstream's `minimumGracePeriodInSeconds`.
const STOP_GRACE_MIN: Duration = Duration::from_secs(2);

/// The stop of one container.
pub(super) struct Stop {
    pub(super) name: String,
    pub(super) id: String,
    pub(super) grace_seconds: i64,
    pub(super) message: String,
    pub(super) with_hook: bool,
}

/// The image reference of a container.
pub(super) fn image(scene: &Scene, name: &str) -> String {
    let found = scene
        .pod
        .spec
        .as_ref()
        .and_then(|one| spec::find_any(one, name));
    found.and_then(|one| one.image).unwrap_or_default()
}

/// What sort of container it is, in upstream's words. Source: `pkg/kubelet/metrics`.
fn container_type(scene: &Scene, name: &str) -> &'static str {
    let Some(pod) = scene.pod.spec.as_ref() else {
        return "container";
    };
    let mut initial = pod.init_containers.iter().flatten();
    let mut ephemeral = pod.ephemeral_containers.iter().flatten();
    if initial.any(|one| one.name == name) {
        "init_container"
    } else if ephemeral.any(|one| one.name == name) {
        "ephemeral_container"
    } else {
        "container"
    }
}

/// Creates and starts a container, and runs its hook.
pub(super) async fn start(scene: &Scene, start: Start) -> Result<(), Failed> {
    let container_type = container_type(scene, &start.name);
    let started = Box::pin(launch(scene, start)).await;
    let failed = started.as_ref().err().map(|(reason, _)| reason.as_str());
    scene.agent.metrics.container(container_type, failed);
    started
}

async fn launch(scene: &Scene, start: Start) -> Result<(), Failed> {
    let agent = &scene.agent;
    let pod_spec = spec::of(&scene.pod);
    let Some(own) = spec::find_any(&pod_spec, &start.name) else {
        return Ok(());
    };
    let name = start.name.clone();
    let record = |event: Event| agent.record(&scene.pod, event.about(&pod_spec, &name));
    let failed = |reason: &str, message: String| {
        record(Event::warning(events::FAILED, format!("Error: {message}")));
        (reason.to_owned(), message)
    };
    if !start.is_pulled {
        let image = own.image.as_deref().unwrap_or_default();
        let message = format!(
            "Container image {image:?} already present on machine and can be accessed by the pod"
        );
        record(Event::normal(events::PULLED, message));
    }
    let sandbox_id = start.sandbox_id.clone();
    let config = configured(scene, &pod_spec, &own, &start).await;
    let config = config.map_err(|message| failed("CreateContainerConfigError", message))?;
    let facts = agent.sandbox_facts().await;
    let attempt = scene
        .picture
        .sandboxes
        .iter()
        .find(|one| one.id == sandbox_id);
    let attempt = attempt.map_or(0, |one| one.attempt);
    let sandbox_config = sandbox::config(&scene.pod, attempt, &facts);
    let sandbox_config = convert::sandbox(sandbox_config, &agent.config.logs_dir);
    let log = Path::new(&sandbox_config.log_directory).join(&config.log_path);
    make_parent(&log).await;
    let created = agent
        .runtime
        .create_container(&sandbox_id, config, sandbox_config);
    let id = Box::pin(created).await;
    let id = id.map_err(|error| failed("CreateContainerError", error.message()))?;
    record(Event::normal(events::CREATED, "Container created"));
    let started = agent.runtime.start_container(&id).await;
    started.map_err(|error| failed("RunContainerError", error.message()))?;
    record(Event::normal(events::STARTED, "Container started"));
    post_start(scene, &own, &pod_spec, &id).await
}

/// Runs the hook after the start; a container whose hook fails is killed.
async fn post_start(
    scene: &Scene,
    own: &Container,
    pod_spec: &PodSpec,
    id: &str,
) -> Result<(), Failed> {
    let hook = own
        .lifecycle
        .as_ref()
        .and_then(|one| one.post_start.as_ref());
    let Some(hook) = hook else {
        return Ok(());
    };
    let Err(message) = hooks::run(scene, own, id, hook, None).await else {
        return Ok(());
    };
    debug!(
        container = own.name,
        message, "the hook after the start failed"
    );
    let event = Event::warning(events::FAILED_POST_START_HOOK, "PostStartHook failed");
    scene
        .agent
        .record(&scene.pod, event.about(pod_spec, &own.name));
    let kill = Stop {
        name: own.name.clone(),
        id: id.to_owned(),
        grace_seconds: node::pod::grace_seconds(&scene.pod),
        message: "FailedPostStartHook".to_owned(),
        with_hook: false,
    };
    if let Err(error) = stop(scene, kill).await {
        debug!(
            error = &error as &dyn std::error::Error,
            "cannot stop the container"
        );
    }
    Err(("PostStartHookError".to_owned(), message))
}

/// Puts everything together that the container is made from.
async fn configured(
    scene: &Scene,
    pod_spec: &PodSpec,
    own: &Container,
    start: &Start,
) -> Result<cri::v1::ContainerConfig, String> {
    let agent = &scene.agent;
    let facts = volumes::downward_facts(scene);
    let sources = agent.sources.for_environment(&scene.pod, own).await?;
    let environment = env::environment(&scene.pod, own, &sources, &facts);
    let environment = environment.map_err(|error| error.to_string())?;
    let files = files(scene, own, start.attempt)
        .await
        .map_err(|error| error.to_string())?;
    let inputs = Inputs {
        attempt: start.attempt,
        crashes: start.crashes,
        image_id: start.image_id.clone(),
        image_user: image_user(scene, own).await,
        env: environment,
        volumes: scene.mounted.paths.clone(),
        hosts_file: Some(files.hosts),
        termination_file: Some(files.last_words),
        memory_capacity_bytes: i64::try_from(agent.machine.memory_bytes).unwrap_or(i64::MAX),
    };
    let mut config =
        container::config(&scene.pod, own, inputs).map_err(|error| error.to_string())?;
    hold_sub_paths(scene, own, &mut config.mounts).await?;
    let mut config = convert::container(config);
    target(scene, pod_spec, own, &mut config)?;
    Ok(config)
}

/// Lets mounts of paths inside volumes come from where no link can lead them out.
async fn hold_sub_paths(
    scene: &Scene,
    own: &Container,
    mounts: &mut [container::Mount],
) -> Result<(), String> {
    let uid = scene.pod.metadata.uid.as_deref().unwrap_or_default();
    let held = scene.agent.config.pod_dir(uid).join("volume-subpaths");
    let stated = own.volume_mounts.iter().flatten();
    for (index, (mount, stated)) in mounts.iter_mut().zip(stated).enumerate() {
        let root = scene.mounted.paths.get(&stated.name);
        let Some(root) = root.filter(|_| container::has_sub_path(stated)) else {
            continue;
        };
        let sub = mount.host_path.strip_prefix(root).unwrap_or_default();
        let sub = sub.trim_start_matches('/').to_owned();
        let target = held
            .join(&stated.name)
            .join(&own.name)
            .join(index.to_string());
        let root = PathBuf::from(root);
        let holding = move || volumes::sub_path::hold(&root, &sub, &target);
        let path = tokio::task::spawn_blocking(holding).await;
        let path = path.map_err(|error| error.to_string())?.map_err(|error| {
            format!(
                "failed to prepare subPath for volumeMount {:?} of container {:?}: {error}",
                stated.name, own.name
            )
        })?;
        mount.host_path = path.to_string_lossy().into_owned();
    }
    Ok(())
}

/// Points an ephemeral container at the process namespace it asks for.
fn target(
    scene: &Scene,
    pod_spec: &PodSpec,
    own: &Container,
    config: &mut cri::v1::ContainerConfig,
) -> Result<(), String> {
    let Some(name) = spec::ephemeral_target(pod_spec, &own.name) else {
        return Ok(());
    };
    let running =
        |one: &&node::seen::Container| one.name == name && one.state == node::seen::State::Running;
    let Some(target) = scene.picture.containers.iter().find(running) else {
        return Err(format!("unable to find target container {name}"));
    };
    let linux = config
        .linux
        .as_mut()
        .and_then(|linux| linux.security_context.as_mut());
    if let Some(options) = linux.and_then(|context| context.namespace_options.as_mut()) {
        options.pid = cri::v1::NamespaceMode::Target.into();
        options.target_id.clone_from(&target.id);
    }
    Ok(())
}

async fn image_user(scene: &Scene, own: &Container) -> ImageUser {
    let stated = own.image.as_deref().unwrap_or_default();
    let wanted = image::with_default_tag(stated).unwrap_or_default();
    let found = scene.agent.runtime.image_status(&wanted).await;
    let found = found.ok().flatten().unwrap_or_default();
    let uid = found.uid.map(|uid| uid.value);
    // An image that states no user runs as root.
    let uid = if found.username.is_empty() {
        Some(uid.unwrap_or(0))
    } else {
        uid
    };
    ImageUser {
        uid,
        name: found.username,
    }
}

/// Files of a pod that containers mount.
struct Files {
    hosts: String,
    last_words: String,
}

async fn files(scene: &Scene, own: &Container, attempt: u32) -> std::io::Result<Files> {
    use std::os::unix::fs::PermissionsExt as _;
    let uid = scene.pod.metadata.uid.as_deref().unwrap_or_default();
    let directory = scene.agent.config.pod_dir(uid);
    let hosts = directory.join("etc-hosts");
    let node_hosts = tokio::fs::read_to_string("/etc/hosts")
        .await
        .unwrap_or_default();
    let text = sandbox::hosts_file(&scene.pod, &scene.pod_ips(), &node_hosts);
    make_parent(&hosts).await;
    // Containers that run have this very file mounted: it is written in place, and only once.
    if tokio::fs::read_to_string(&hosts).await.ok().as_deref() != Some(&text) {
        tokio::fs::write(&hosts, text).await?;
    }
    let last_words = directory
        .join("containers")
        .join(&own.name)
        .join(attempt.to_string());
    make_parent(&last_words).await;
    tokio::fs::write(&last_words, b"").await?;
    let everyone = std::fs::Permissions::from_mode(0o666);
    tokio::fs::set_permissions(&last_words, everyone).await?;
    let text = |path: PathBuf| path.to_string_lossy().into_owned();
    Ok(Files {
        hosts: text(hosts),
        last_words: text(last_words),
    })
}

async fn make_parent(path: &Path) {
    if let Some(parent) = path.parent()
        && let Err(error) = tokio::fs::create_dir_all(parent).await
    {
        debug!(error = &error as &dyn std::error::Error, path = %parent.display(), "cannot make a directory");
    }
}

/// Runs the hook before the stop, then stops a container.
pub(super) async fn stop(scene: &Scene, stop: Stop) -> Result<(), CallError> {
    let agent = &scene.agent;
    let pod_spec = spec::of(&scene.pod);
    let event = Event::normal(events::KILLING, stop.message);
    agent.record(&scene.pod, event.about(&pod_spec, &stop.name));
    let seconds = u64::try_from(stop.grace_seconds).unwrap_or(0);
    let mut grace = Duration::from_secs(seconds);
    let own = spec::find(&pod_spec, &stop.name).filter(|_| stop.with_hook);
    let hook = own.and_then(|one| one.lifecycle.as_ref()?.pre_stop.as_ref());
    if let (Some(own), Some(hook)) = (own, hook) {
        let begun = Instant::now();
        if let Err(message) = hooks::run(scene, own, &stop.id, hook, Some(grace)).await {
            debug!(
                container = own.name,
                message, "the hook before the stop failed"
            );
            let event = Event::warning(events::FAILED_PRE_STOP_HOOK, "PreStopHook failed");
            agent.record(&scene.pod, event.about(&pod_spec, &own.name));
        }
        // Whatever the hook took, the container itself is given a moment.
        grace = grace.saturating_sub(begun.elapsed()).max(STOP_GRACE_MIN);
    }
    agent.runtime.stop_container(&stop.id, grace).await
}
