//! `log` of pods.

use meta::{FieldError, ObjectExt, Path, StatusError};

use super::options::Pairs;
use super::{Connect, Connecter, Route, Style, locate};

/// `pods/log`
pub(super) struct Log;

impl Connecter for Log {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        let pairs = options(request)?;
        let pod = locate::pod(request, &request.info.name)?;
        let container = locate::container(&pod, request.query.text("container"))?;
        let Some(node) = locate::node_of(&pod) else {
            return Ok(None);
        };
        let path = format!(
            "/containerLogs/{}/{}/{container}",
            pod.namespace(),
            pod.name()
        );
        Ok(Some(Route {
            target: locate::kubelet(request, node)?,
            path: pairs.behind(&path),
            style: Style::Log,
        }))
    }
}

/// Checks the options and writes them as the kubelet reads them. Source: `ValidatePodLogOptions`, `LogLocation`.
fn options(request: &Connect<'_>) -> Result<Pairs, StatusError> {
    let query = request.query;
    let tail = query.number("tailLines")?;
    let limit = query.number("limitBytes")?;
    let since = query.number("sinceSeconds")?;
    let since_time = query.text("sinceTime");
    let mut errors = Vec::new();
    let at_least = |name: &str, value: Option<i64>, min: i64, why: &str| {
        let low = value.filter(|value| *value < min)?;
        Some(FieldError::invalid(&Path::new(name), low, why))
    };
    let negative = "must be greater than or equal to 0";
    errors.extend(at_least("tailLines", tail, 0, negative));
    errors.extend(at_least("limitBytes", limit, 1, "must be greater than 0"));
    if since.is_some() && !since_time.is_empty() {
        let why = "at most one of `sinceTime` or `sinceSeconds` may be specified";
        errors.push(FieldError::forbidden(&Path::root().key(""), why));
    } else {
        errors.extend(at_least("sinceSeconds", since, 1, "must be greater than 0"));
    }
    // The feature `PodLogsQuerySplitStreams` is off by default.
    if query.has("stream") {
        let path = Path::new("stream");
        errors.push(FieldError::forbidden(&path, "may not be specified"));
    }
    if !errors.is_empty() {
        let name = &request.info.name;
        return Err(StatusError::invalid("", "PodLogOptions", name, &errors));
    }
    let mut pairs = Pairs::default();
    for flag in ["follow", "previous", "timestamps"] {
        if query.flag(flag) {
            pairs.add(flag, "true");
        }
    }
    let numbers = [
        ("sinceSeconds", since),
        ("tailLines", tail),
        ("limitBytes", limit),
    ];
    for (name, value) in numbers {
        if let Some(value) = value {
            pairs.add(name, &value.to_string());
        }
    }
    if !since_time.is_empty() {
        pairs.add("sinceTime", since_time);
    }
    Ok(pairs)
}
