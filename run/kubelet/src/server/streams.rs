//! `/exec`, `/attach` and `/portForward`: taken to the URL the runtime gives for them.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::response::Response;
use cri::v1::{AttachRequest, ExecRequest};
use http::StatusCode;
use k8s_openapi::api::core::v1::{ContainerStatus, Pod};
use node::names;
use streaming::bridge::{self, BridgeError, Bridged};
use streaming::remote_command::{Channel, Channels};
use tracing::debug;

use super::refusal;
use crate::agent::Agent;

type Of = Path<(String, String, String)>;
type OfUid = Path<(String, String, String, String)>;

/// The parameters of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "one switch per stream, as in the request"
)]
struct Wanted {
    command: Vec<String>,
    stdin: bool,
    stdout: bool,
    stderr: bool,
    tty: bool,
}

impl Wanted {
    /// Reads a query; `command` may be given many times.
    fn parse(query: &str) -> Self {
        let mut wanted = Self::default();
        for (key, value) in form_pairs(query) {
            let is_on = value == "1" || value == "true";
            match key.as_str() {
                "command" => wanted.command.push(value),
                "input" | "stdin" => wanted.stdin = is_on,
                "output" | "stdout" => wanted.stdout = is_on,
                "error" | "stderr" => wanted.stderr = is_on,
                "tty" => wanted.tty = is_on,
                _ => {}
            }
        }
        // A terminal has no error stream of its own.
        wanted.stderr &= !wanted.tty;
        wanted
    }

    fn channels(&self) -> Channels {
        Channels::default()
            .with(Channel::Stdin, self.stdin)
            .with(Channel::Stdout, self.stdout)
            .with(Channel::Stderr, self.stderr)
            .with(Channel::Resize, self.tty)
    }
}

fn form_pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decoded(&text.replace('+', " "));
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(key), decode(value))
        })
        .collect()
}

fn percent_decoded(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let value = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, value) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => out.push(byte),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

pub(super) async fn exec(
    State(agent): State<Arc<Agent>>,
    Path((namespace, pod, container)): Of,
    request: Request,
) -> Response {
    run(&agent, &namespace, &pod, &container, request).await
}

pub(super) async fn exec_with_uid(
    State(agent): State<Arc<Agent>>,
    Path((namespace, pod, _, container)): OfUid,
    request: Request,
) -> Response {
    run(&agent, &namespace, &pod, &container, request).await
}

async fn run(
    agent: &Agent,
    namespace: &str,
    pod: &str,
    container: &str,
    request: Request,
) -> Response {
    let wanted = Wanted::parse(request.uri().query().unwrap_or_default());
    let id = match running(agent, namespace, pod, container) {
        Ok(id) => id,
        Err(answer) => return *answer,
    };
    let url = agent.runtime.exec(ExecRequest {
        container_id: id,
        cmd: wanted.command.clone(),
        tty: wanted.tty,
        stdin: wanted.stdin,
        stdout: wanted.stdout,
        stderr: wanted.stderr,
    });
    match url.await {
        Ok(url) => answer(bridge::command(request, wanted.channels(), &url).await),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

pub(super) async fn attach(
    State(agent): State<Arc<Agent>>,
    Path((namespace, pod, container)): Of,
    request: Request,
) -> Response {
    join(&agent, &namespace, &pod, &container, request).await
}

pub(super) async fn attach_with_uid(
    State(agent): State<Arc<Agent>>,
    Path((namespace, pod, _, container)): OfUid,
    request: Request,
) -> Response {
    join(&agent, &namespace, &pod, &container, request).await
}

async fn join(
    agent: &Agent,
    namespace: &str,
    pod: &str,
    container: &str,
    request: Request,
) -> Response {
    let mut wanted = Wanted::parse(request.uri().query().unwrap_or_default());
    let found = agent.pods.find(namespace, pod);
    let spec = found.and_then(|pod| node::pod::spec::find_any(pod.spec.as_ref()?, container));
    // What the container was made with decides, whatever the client thinks.
    wanted.tty = spec.is_some_and(|spec| spec.tty == Some(true));
    wanted.stderr &= !wanted.tty;
    let id = match running(agent, namespace, pod, container) {
        Ok(id) => id,
        Err(answer) => return *answer,
    };
    let url = agent.runtime.attach(AttachRequest {
        container_id: id,
        tty: wanted.tty,
        stdin: wanted.stdin,
        stdout: wanted.stdout,
        stderr: wanted.stderr,
    });
    match url.await {
        Ok(url) => answer(bridge::command(request, wanted.channels(), &url).await),
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

pub(super) async fn port_forward(
    State(agent): State<Arc<Agent>>,
    Path((namespace, pod)): Path<(String, String)>,
    request: Request,
) -> Response {
    forward(&agent, &namespace, &pod, request).await
}

pub(super) async fn port_forward_with_uid(
    State(agent): State<Arc<Agent>>,
    Path((namespace, pod, _)): Of,
    request: Request,
) -> Response {
    forward(&agent, &namespace, &pod, request).await
}

async fn forward(agent: &Agent, namespace: &str, name: &str, request: Request) -> Response {
    let Some(pod) = agent.pods.find(namespace, name) else {
        return refusal(StatusCode::NOT_FOUND, "pod does not exist");
    };
    let uid = pod.metadata.uid.clone().unwrap_or_default();
    let filter = cri::v1::PodSandboxFilter {
        label_selector: [(names::POD_UID.to_owned(), uid)].into(),
        ..cri::v1::PodSandboxFilter::default()
    };
    let sandboxes = match agent.runtime.list_pod_sandboxes(Some(filter)).await {
        Ok(sandboxes) => sandboxes,
        Err(error) => return refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    };
    let ready = |one: &&cri::v1::PodSandbox| one.state() == cri::v1::PodSandboxState::SandboxReady;
    let newest = sandboxes
        .iter()
        .filter(ready)
        .max_by_key(|one| one.created_at);
    let Some(sandbox) = newest else {
        return refusal(StatusCode::NOT_FOUND, "pod not found or not running");
    };
    match agent.runtime.port_forward(&sandbox.id, Vec::new()).await {
        Ok(url) => {
            let pairs = form_pairs(request.uri().query().unwrap_or_default());
            let ports = pairs.into_iter().filter(|(key, _)| key == "port");
            let ports: Vec<String> = ports.map(|(_, list)| list).collect();
            answer(bridge::port_forward(request, &ports, &url).await)
        }
        Err(error) => refusal(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()),
    }
}

/// The id of a container that runs.
fn running(
    agent: &Agent,
    namespace: &str,
    name: &str,
    container: &str,
) -> Result<String, Box<Response>> {
    let refuse = |status, message: String| Box::new(refusal(status, message));
    let Some(pod) = agent.pods.find(namespace, name) else {
        return Err(refuse(
            StatusCode::NOT_FOUND,
            "pod does not exist".to_owned(),
        ));
    };
    let status = status_of(&pod, container);
    let id = status.filter(|status| {
        status
            .state
            .as_ref()
            .is_some_and(|state| state.running.is_some())
    });
    let id = id.and_then(|status| status.container_id);
    match id.as_deref().and_then(|id| id.split_once("://")) {
        Some((_, id)) => Ok(id.to_owned()),
        None => Err(refuse(
            StatusCode::NOT_FOUND,
            format!("container not found ({container:?})"),
        )),
    }
}

fn status_of(pod: &Pod, container: &str) -> Option<ContainerStatus> {
    let status = pod.status.clone()?;
    let lists = [
        status.container_statuses,
        status.init_container_statuses,
        status.ephemeral_container_statuses,
    ];
    lists
        .into_iter()
        .flatten()
        .flatten()
        .find(|one| one.name == container)
}

/// Answers, and passes the streams on in a task of their own.
fn answer(bridged: Result<Bridged, BridgeError>) -> Response {
    match bridged {
        Ok(bridged) => {
            tokio::spawn(async move {
                if let Err(error) = bridged.run.await {
                    debug!(
                        error = &error as &dyn std::error::Error,
                        "streams broke off"
                    );
                }
            });
            bridged.answer.map(|()| Body::empty())
        }
        Err(error) => {
            use std::error::Error as _;
            let cause = error
                .source()
                .map(|source| format!(": {source}"))
                .unwrap_or_default();
            refusal(error.status(), format!("{error}{cause}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_read_from_the_query() {
        let wanted = Wanted::parse(
            "command=sh&command=-c&command=echo+a%20b%26&input=1&output=1&error=1&tty=1",
        );
        assert_eq!(wanted.command, ["sh", "-c", "echo a b&"]);
        assert!(wanted.stdin && wanted.stdout && wanted.tty && !wanted.stderr);
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
