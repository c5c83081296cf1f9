//! Hooks after the start and before the stop of a container.
//!
//! Source: `pkg/kubelet/lifecycle/handlers.go`.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Container, LifecycleHandler};

use crate::act::Scene;
use crate::probes::{http, port};

/// Bound of a hook that states none.
const HOOK_MAX: Duration = Duration::from_mins(5);

/// Runs a hook, for at most `bound`.
///
/// # Errors
/// The hook failed; its message, as the container's status shows it.
pub(crate) async fn run(
    scene: &Scene,
    container: &Container,
    id: &str,
    hook: &LifecycleHandler,
    bound: Option<Duration>,
) -> Result<(), String> {
    let bound = bound.unwrap_or(HOOK_MAX);
    match tokio::time::timeout(bound, once(scene, container, id, hook)).await {
        Ok(result) => result,
        Err(_) => Err(format!("hook did not end within {} s", bound.as_secs())),
    }
}

async fn once(
    scene: &Scene,
    container: &Container,
    id: &str,
    hook: &LifecycleHandler,
) -> Result<(), String> {
    if let Some(exec) = &hook.exec {
        let command = exec.command.clone().unwrap_or_default();
        let answer = scene
            .agent
            .runtime
            .exec_sync(id, command.clone(), Duration::ZERO)
            .await;
        let answer = answer.map_err(|error| error.to_string())?;
        if answer.exit_code == 0 {
            return Ok(());
        }
        let output = String::from_utf8_lossy(&answer.stdout).into_owned();
        return Err(format!(
            "Exec lifecycle hook ({}) for Container {:?} failed - error: command '{}' exited with {}: {}, message: {output:?}",
            command.join(" "),
            container.name,
            command.join(" "),
            answer.exit_code,
            String::from_utf8_lossy(&answer.stderr),
        ));
    }
    if let Some(get) = &hook.http_get {
        let ips = scene.pod_ips();
        let own = ips.first().map(String::as_str).unwrap_or_default();
        let target = http::Target::of(get, own, port(&get.port, container)?);
        return http::get(&target).await.map(|_| ());
    }
    if let Some(sleep) = &hook.sleep {
        let seconds = u64::try_from(sleep.seconds).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        return Ok(());
    }
    Err("cannot run handler: the hook states nothing to do".to_owned())
}
