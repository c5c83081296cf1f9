//! Making sandboxes.

use node::events::{self, Event};

use super::Scene;
use crate::convert;

/// Makes and starts the pod's sandbox.
pub(super) async fn run(scene: &Scene, attempt: u32) -> Result<(), String> {
    let agent = &scene.agent;
    let made = make(scene, attempt).await;
    agent.metrics.sandbox(made.is_ok());
    if let Err(message) = &made {
        let message = format!("Failed to create pod sandbox: {message}");
        let event = Event::warning(events::FAILED_CREATE_POD_SANDBOX, message);
        agent.record(&scene.pod, event);
    }
    made
}

async fn make(scene: &Scene, attempt: u32) -> Result<(), String> {
    let agent = &scene.agent;
    let handler = agent.sources.runtime_handler(&scene.pod).await?;
    if let Some(why) = node::sandbox::refusal(&scene.pod, &handler) {
        return Err(why);
    }
    let facts = agent.sandbox_facts().await;
    let config = node::sandbox::config(&scene.pod, attempt, &facts);
    let config = convert::sandbox(config, &agent.config.logs_dir);
    let made = tokio::fs::create_dir_all(&config.log_directory).await;
    made.map_err(|error| format!("failed to create log directory: {error}"))?;
    let ran = agent.runtime.run_pod_sandbox(config, &handler).await;
    ran.map_err(|error| error.to_string())?;
    agent.config.network.joined().await;
    Ok(())
}
