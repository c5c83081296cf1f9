//! Making sandboxes.

use node::events::{self, Event};

use super::Scene;
use crate::convert;

/// Makes and starts the pod's sandbox.
pub(super) async fn run(scene: &Scene, attempt: u32) -> Result<(), String> {
    let agent = &scene.agent;
    let facts = agent.sandbox_facts().await;
    let config = node::sandbox::config(&scene.pod, attempt, &facts);
    let config = convert::sandbox(config, &agent.config.logs_dir);
    let made = match tokio::fs::create_dir_all(&config.log_directory).await {
        Ok(()) => {
            let ran = agent.runtime.run_pod_sandbox(config, "").await;
            match ran {
                Ok(_) => {
                    agent.config.network.joined().await;
                    Ok(())
                }
                Err(error) => Err(error.to_string()),
            }
        }
        Err(error) => Err(format!("failed to create log directory: {error}")),
    };
    agent.metrics.sandbox(made.is_ok());
    if let Err(message) = &made {
        let message = format!("Failed to create pod sandbox: {message}");
        let event = Event::warning(events::FAILED_CREATE_POD_SANDBOX, message);
        agent.record(&scene.pod, event);
    }
    made
}
