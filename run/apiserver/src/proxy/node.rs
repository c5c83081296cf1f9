//! `proxy` of nodes: anything on the node's kubelet, or on another port of the node.

use meta::StatusError;

use super::{Connect, Connecter, Route, Style, locate};

/// `nodes/proxy`
pub(super) struct Proxy;

impl Connecter for Proxy {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        let id = request.info.name.as_str();
        let (scheme, name, port) = locate::split(id).ok_or_else(|| {
            StatusError::bad_request(format!("invalid node request {}", meta::field::quote(id)))
        })?;
        let mut target = locate::kubelet(request, name)?;
        let wanted = port.parse::<u16>().ok().filter(|port| *port != target.port);
        if let Some(port) = wanted {
            target.port = port;
            target.tls = None;
            if scheme == "https" {
                return Err(no_https(id));
            }
        }
        Ok(Some(Route {
            target,
            path: locate::rest(request),
            style: Style::Proxy,
        }))
    }
}

/// DIFFERS: upstream proxies to HTTPS ports without looking at their certificate; here that is refused, because a
/// certificate nobody checks protects nobody.
pub(super) fn no_https(id: &str) -> StatusError {
    let id = meta::field::quote(id);
    StatusError::bad_request(format!("proxying to HTTPS ports is not supported: {id}"))
}
