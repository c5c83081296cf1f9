//! `/containerLogs`: the log of a container, whole or in part, followed or not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use http::{StatusCode, header};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use tokio::sync::mpsc;
use tokio_stream_shim::stream_of;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::refusal;
use crate::agent::Agent;
use crate::exits::{self, Of};
use crate::logs::Options;
use crate::logs::follow::{self, BLOCKS_MAX};

/// Answers with a container's log.
pub(super) async fn container_logs(
    State(agent): State<Arc<Agent>>,
    Path((namespace, name, container)): Path<(String, String, String)>,
    Query(query): Query<BTreeMap<String, String>>,
) -> Response {
    let Some(pod) = agent.pods.find(&namespace, &name) else {
        return refusal(
            StatusCode::NOT_FOUND,
            format!("pod {name:?} does not exist"),
        );
    };
    let options = match options(&query) {
        Ok(options) => options,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, message),
    };
    let is = |key: &str| {
        query
            .get(key)
            .is_some_and(|value| value == "true" || value == "1")
    };
    let id = match container_id(&pod, &name, &container, is("previous")) {
        Ok(id) => id,
        Err(message) => return refusal(StatusCode::BAD_REQUEST, message),
    };
    let status = match agent.runtime.container_status(&id, false).await {
        Ok(answer) => answer.status.unwrap_or_default(),
        Err(error) => {
            let message = format!("unable to retrieve container logs for {id}: {error}");
            return refusal(StatusCode::OK, message);
        }
    };
    let path = PathBuf::from(&status.log_path);
    let runs = status.state() == cri::v1::ContainerState::ContainerRunning;
    let ended = is("follow").then(|| ended(&agent, &id, runs));
    let (sender, receiver) = mpsc::channel(BLOCKS_MAX);
    tokio::spawn(async move {
        if let Err(error) = follow::send(&path, options, ended, sender.clone()).await {
            debug!(
                error = &error as &dyn std::error::Error,
                "log not sent to its end"
            );
            let text = format!("failed to read the container's log: {error}\n");
            sender.send(Ok(text.into())).await.ok();
        }
    });
    let answer = Response::builder()
        .header(header::CONTENT_TYPE, "text/plain")
        .body(Body::from_stream(stream_of(receiver)));
    answer.unwrap_or_else(|error| refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// Cancelled once the container has ended.
fn ended(agent: &Arc<Agent>, id: &str, runs: bool) -> CancellationToken {
    let ended = CancellationToken::new();
    if !runs {
        ended.cancel();
        return ended;
    }
    let (agent, id, token) = (Arc::clone(agent), id.to_owned(), ended.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = agent.shutdown.cancelled() => {}
            () = exits::over(&agent.runtime, &id, Of::Container) => {}
        }
        token.cancel();
    });
    ended
}

/// The container whose log is wanted.
///
/// Source: `pkg/kubelet/kubelet_pods.go`, `validateContainerLogStatus`.
fn container_id(pod: &Pod, name: &str, container: &str, previous: bool) -> Result<String, String> {
    let status = pod.status.clone().unwrap_or_default();
    let lists = [
        status.container_statuses,
        status.init_container_statuses,
        status.ephemeral_container_statuses,
    ];
    let mut statuses = lists.into_iter().flatten().flatten();
    let Some(own) = statuses.find(|one| one.name == container) else {
        return Err(format!(
            "container {container:?} in pod {name:?} is not available"
        ));
    };
    let (id, waiting) = of_status(own, previous);
    match (id, previous) {
        (Some(id), _) => Ok(id.rsplit("://").next().unwrap_or_default().to_owned()),
        (None, true) => Err(format!(
            "previous terminated container {container:?} in pod {name:?} not found"
        )),
        (None, false) => match waiting.as_str() {
            "ErrImagePull" => Err(format!(
                "container {container:?} in pod {name:?} is waiting to start: image can't be pulled"
            )),
            "ImagePullBackOff" => Err(format!(
                "container {container:?} in pod {name:?} is waiting to start: trying and failing to pull image"
            )),
            reason => Err(format!(
                "container {container:?} in pod {name:?} is waiting to start: {reason}"
            )),
        },
    }
}

/// The id behind a status, or else the reason it waits for.
fn of_status(own: ContainerStatus, previous: bool) -> (Option<String>, String) {
    let last = own.last_state.and_then(|last| last.terminated);
    let last_id = last
        .and_then(|ended| ended.container_id)
        .filter(|id| !id.is_empty());
    if previous {
        return (last_id, String::new());
    }
    let state = own.state.unwrap_or_default();
    let ended_id = state
        .terminated
        .and_then(|ended| ended.container_id)
        .filter(|id| !id.is_empty());
    let running_id = own
        .container_id
        .filter(|id| state.running.is_some() && !id.is_empty());
    let waiting = state
        .waiting
        .and_then(|waiting| waiting.reason)
        .unwrap_or_default();
    // One that waits for its next start still has the log of its last.
    (running_id.or(ended_id).or(last_id), waiting)
}

fn options(query: &BTreeMap<String, String>) -> Result<Options, String> {
    let number = |key: &str| -> Result<Option<i64>, String> {
        let Some(text) = query.get(key).filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        let number = text.parse::<i64>();
        number
            .map(Some)
            .map_err(|error| format!("invalid value for {key}: {error}"))
    };
    let size = |value: Option<i64>| value.and_then(|value| usize::try_from(value).ok());
    let since_seconds = number("sinceSeconds")?;
    let since_time = match query.get("sinceTime").filter(|text| !text.is_empty()) {
        Some(text) => Some(
            text.parse::<Timestamp>()
                .map_err(|error| error.to_string())?,
        ),
        None => None,
    };
    let ago = |seconds: i64| {
        Timestamp::now()
            .checked_sub(SignedDuration::from_secs(seconds))
            .unwrap_or_default()
    };
    Ok(Options {
        tail_lines: size(number("tailLines")?),
        since: since_seconds.map(ago).or(since_time),
        limit_bytes: size(number("limitBytes")?),
        with_times: query.get("timestamps").is_some_and(|value| value == "true"),
        only_stderr: match query.get("stream").map(String::as_str) {
            Some("Stdout") => Some(false),
            Some("Stderr") => Some(true),
            _ => None,
        },
    })
}

/// A channel as a stream.
mod tokio_stream_shim {
    use futures::Stream;
    use tokio::sync::mpsc;

    /// Everything that is sent, until the sender is gone.
    pub(super) fn stream_of<T: Send + 'static>(
        receiver: mpsc::Receiver<T>,
    ) -> impl Stream<Item = T> + Send {
        futures::stream::unfold(receiver, |mut receiver| async move {
            let item = receiver.recv().await?;
            Some((item, receiver))
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[expect(
        clippy::needless_pass_by_value,
        reason = "statuses are written in place"
    )]
    fn pod(status: serde_json::Value) -> Pod {
        let status = json!({ "status": { "containerStatuses": [status] } });
        serde_json::from_value(status).unwrap()
    }

    #[test]
    fn the_right_instance_is_chosen() {
        let restarted = pod(
            json!({ "name": "a", "image": "", "imageID": "", "ready": true, "restartCount": 1,
            "containerID": "containerd://new", "state": { "running": {} },
            "lastState": { "terminated": { "exitCode": 1, "containerID": "containerd://old" } } }),
        );
        assert_eq!(container_id(&restarted, "p", "a", false).unwrap(), "new");
        assert_eq!(container_id(&restarted, "p", "a", true).unwrap(), "old");
        assert_eq!(
            container_id(&restarted, "p", "b", false).unwrap_err(),
            "container \"b\" in pod \"p\" is not available"
        );
        let waiting = pod(
            json!({ "name": "a", "image": "", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ContainerCreating" } } }),
        );
        assert_eq!(
            container_id(&waiting, "p", "a", false).unwrap_err(),
            "container \"a\" in pod \"p\" is waiting to start: ContainerCreating"
        );
        assert_eq!(
            container_id(&waiting, "p", "a", true).unwrap_err(),
            "previous terminated container \"a\" in pod \"p\" not found"
        );
    }

    #[test]
    fn bad_numbers_are_refused() {
        let query = [("tailLines".to_owned(), "x".to_owned())].into();
        assert!(
            options(&query)
                .unwrap_err()
                .starts_with("invalid value for tailLines")
        );
    }
}
