//! `exec`, `attach` and `portforward` of pods.

use meta::{ObjectExt, StatusError};

use super::options::Pairs;
use super::{Connect, Connecter, Route, Style, locate};

/// `pods/exec`
pub(super) struct Exec;
/// `pods/attach`
pub(super) struct Attach;
/// `pods/portforward`
pub(super) struct PortForward;

/// The client's names of the streams, and the kubelet's. Source: `core.ExecStdinParam` and its siblings.
const STREAMS: [(&str, &str); 4] = [
    ("stdin", "input"),
    ("stdout", "output"),
    ("stderr", "error"),
    ("tty", "tty"),
];

impl Connecter for Exec {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        container_stream(request, "exec").map(Some)
    }
    fn needs_create(&self) -> bool {
        true
    }
}

impl Connecter for Attach {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        container_stream(request, "attach").map(Some)
    }
    fn needs_create(&self) -> bool {
        true
    }
}

impl Connecter for PortForward {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        let pod = locate::pod(request, &request.info.name)?;
        let node = locate::node_of(&pod).ok_or_else(|| unassigned(request))?;
        let mut pairs = Pairs::default();
        let ports = request.query.texts("ports");
        if !ports.is_empty() {
            pairs.add("port", &ports.join(","));
        }
        let path = format!("/portForward/{}/{}", pod.namespace(), pod.name());
        Ok(Some(Route {
            target: locate::kubelet(request, node)?,
            path: pairs.behind(&path),
            style: Style::Stream,
        }))
    }
    fn needs_create(&self) -> bool {
        true
    }
}

fn container_stream(request: &Connect<'_>, verb: &str) -> Result<Route, StatusError> {
    let pod = locate::pod(request, &request.info.name)?;
    let container = locate::container(&pod, request.query.text("container"))?;
    let node = locate::node_of(&pod).ok_or_else(|| unassigned(request))?;
    let mut pairs = Pairs::default();
    for (ours, theirs) in STREAMS {
        if request.query.flag(ours) {
            pairs.add(theirs, "1");
        }
    }
    for argument in request.query.texts("command") {
        pairs.add("command", argument);
    }
    let path = format!("/{verb}/{}/{}/{container}", pod.namespace(), pod.name());
    Ok(Route {
        target: locate::kubelet(request, node)?,
        path: pairs.behind(&path),
        style: Style::Stream,
    })
}

fn unassigned(request: &Connect<'_>) -> StatusError {
    let name = &request.info.name;
    StatusError::bad_request(format!("pod {name} does not have a host assigned"))
}
