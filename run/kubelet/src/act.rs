//! Actions: each does what was decided and says what came of it.

mod containers;
mod images;
mod sandboxes;

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use node::pod::Action;
use node::seen::ImageSeen;
use tracing::warn;

use crate::agent::Agent;
use crate::logs;
use crate::observe::Picture;
use crate::volumes::{self, Mounted};

/// Wait before an object that was removed and is still there is removed again.
const DELETED_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Wait before what the runtime or the API server refused is tried again.
const REFUSED_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Where an action takes place.
pub(crate) struct Scene {
    pub(crate) agent: Arc<Agent>,
    pub(crate) pod: Arc<Pod>,
    pub(crate) mounted: Arc<Mounted>,
    pub(crate) picture: Picture,
}

/// Reason and message of a failure.
pub(crate) type Failed = (String, String);

/// What came of an action.
pub(crate) enum Outcome {
    /// The runtime has changed and must be looked at.
    Changed,
    /// Nothing to note.
    Nothing,
    /// The volumes are in place, or why not.
    Mounted(Result<Mounted, String>),
    /// The volumes are gone.
    Unmounted,
    /// The sandbox runs, or why not.
    Sandbox(Result<(), String>),
    /// An image was looked up.
    Image { image: String, seen: ImageSeen },
    /// An image was pulled, or why not.
    Pulled {
        name: String,
        image: String,
        attempt: u32,
        result: Result<String, Failed>,
    },
    /// A container was started, or why not.
    Started {
        name: String,
        image: String,
        result: Result<(), Failed>,
    },
    /// The status was written; the object as it is now.
    Written(Result<Box<Pod>, String>),
    /// The status was not written, since the object is another one by now.
    Outdated,
}

impl Scene {
    /// Addresses of the pod.
    pub(crate) fn pod_ips(&self) -> Vec<String> {
        let spec = self.pod.spec.as_ref();
        if spec.and_then(|spec| spec.host_network) == Some(true) {
            return self.agent.host_ips();
        }
        let newest = self.picture.sandboxes.iter().find(|one| one.is_ready);
        newest.map(|one| one.ips.clone()).unwrap_or_default()
    }
}

/// Does one thing.
pub(crate) async fn act(scene: Scene, action: Action) -> Outcome {
    let runtime = scene.agent.runtime.clone();
    let result = match action {
        Action::MountVolumes => return Outcome::Mounted(volumes::mount(&scene).await),
        Action::RemoveVolumes => {
            volumes::remove(&scene).await;
            return Outcome::Unmounted;
        }
        Action::RunSandbox { attempt } => {
            return Outcome::Sandbox(Box::pin(sandboxes::run(&scene, attempt)).await);
        }
        Action::StopSandbox { id } => runtime.stop_pod_sandbox(&id).await,
        Action::RemoveSandbox { id } => runtime.remove_pod_sandbox(&id).await,
        Action::InspectImage { image, .. } => return images::inspect(&scene, image).await,
        Action::PullImage {
            name,
            image,
            attempt,
        } => {
            return Box::pin(images::pull(&scene, name, image, attempt)).await;
        }
        Action::Start(start) => {
            let (name, image) = (start.name.clone(), containers::image(&scene, &start.name));
            let result = Box::pin(containers::start(&scene, start)).await;
            return Outcome::Started {
                name,
                image,
                result,
            };
        }
        Action::Stop {
            name,
            id,
            grace_seconds,
            message,
            with_hook,
        } => {
            let stop = containers::Stop {
                name,
                id,
                grace_seconds,
                message,
                with_hook,
            };
            Box::pin(containers::stop(&scene, stop)).await
        }
        Action::RemoveContainer { name, id } => {
            let removed = runtime.remove_container(&id).await;
            if removed.is_ok() {
                remove_log(&scene, &name, &id).await;
            }
            removed
        }
        Action::DeletePod => {
            delete(&scene).await;
            return Outcome::Nothing;
        }
        Action::Cancel { .. } | Action::Record(_) => return Outcome::Nothing,
    };
    if let Err(error) = result {
        warn!(
            error = &error as &dyn std::error::Error,
            "the runtime refused"
        );
        // Looked at again at once, it would be refused again at once.
        tokio::time::sleep(REFUSED_AGAIN_AFTER).await;
    }
    Outcome::Changed
}

/// Removes the log of a container that was removed.
async fn remove_log(scene: &Scene, name: &str, id: &str) {
    let meta = &scene.pod.metadata;
    let text = |field: &Option<String>| field.clone().unwrap_or_default();
    let pod =
        node::names::pod_log_directory(&text(&meta.namespace), &text(&meta.name), &text(&meta.uid));
    let removed = scene.picture.containers.iter().find(|one| one.id == id);
    if let Some(one) = removed {
        let directory = scene.agent.config.logs_dir.join(pod).join(name);
        logs::rotate::remove(directory, one.attempt).await;
    }
}

/// Writes a status.
pub(crate) async fn write_status(
    agent: Arc<Agent>,
    pod: Arc<Pod>,
    patch: serde_json::Value,
) -> Outcome {
    let (api, name) = api(&agent, &pod);
    let patch = Patch::Strategic(patch);
    match api
        .patch_status(&name, &PatchParams::default(), &patch)
        .await
    {
        Ok(written) => Outcome::Written(Ok(Box::new(written))),
        // The watch will tell that it is gone, or that another took its name.
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Outcome::Outdated,
        Err(error) => Outcome::Written(Err(error.to_string())),
    }
}

/// Removes the object, if it is still the same.
async fn delete(scene: &Scene) {
    let (api, name) = api(&scene.agent, &scene.pod);
    let params = DeleteParams {
        grace_period_seconds: Some(0),
        preconditions: Some(Preconditions {
            uid: scene.pod.metadata.uid.clone(),
            resource_version: None,
        }),
        ..DeleteParams::default()
    };
    match api.delete(&name, &params).await {
        // One that finalizers hold stays; nobody gains by asking again at once.
        Ok(_) => tokio::time::sleep(DELETED_AGAIN_AFTER).await,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => {
            tokio::time::sleep(DELETED_AGAIN_AFTER).await;
        }
        Err(error) => {
            warn!(
                error = &error as &dyn std::error::Error,
                "cannot remove the pod, trying again"
            );
            tokio::time::sleep(REFUSED_AGAIN_AFTER).await;
        }
    }
}

fn api(agent: &Agent, pod: &Pod) -> (Api<Pod>, String) {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let name = pod.metadata.name.clone().unwrap_or_default();
    (Api::namespaced(agent.client.clone(), namespace), name)
}
