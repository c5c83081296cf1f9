//! Requests that are carried on to a kubelet, a pod or a service: logs, exec, attach, port-forward, proxy.
//!
//! Where a request goes is one small file per subresource behind [`Connecter`]; how bytes get there is [`backend`].
//! Nothing here reads what is carried.
//!
//! Source: `pkg/registry/core/{pod,node,service}/rest`, apimachinery `util/proxy/upgradeaware.go`.

mod backend;
mod forward;
mod headers;
mod locate;
mod log;
mod node;
mod options;
mod pod;
mod service;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use http::Response;
use http::request::Parts;
use kinds::Kind;
use kinds::strategy::User;
use meta::StatusError;

use crate::audit::Record;
use crate::auth;
use crate::cluster::Cluster;
use crate::options::Query;
use crate::request::RequestInfo;
use crate::server::ApiServer;

/// A request to carry on.
pub(crate) struct Connect<'a> {
    /// The server it came to.
    pub(crate) server: &'a ApiServer,
    /// What it is about.
    pub(crate) info: &'a RequestInfo,
    /// Who sends it.
    pub(crate) user: &'a User,
    /// Its query.
    pub(crate) query: &'a Query,
    /// What is told of it.
    pub(crate) audit: Option<&'a Arc<Record>>,
    /// Its head.
    pub(crate) parts: Parts,
    /// Its body.
    pub(crate) body: Body,
}

impl Connect<'_> {
    fn cluster(&self) -> Cluster<'_> {
        self.server.cluster()
    }
}

/// Where a request goes, and what may come back.
pub(super) struct Route {
    target: backend::Target,
    /// Path and query at the target.
    path: String,
    style: Style,
}

/// How a request is carried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A body comes back as plain text; refusals become a Status.
    Log,
    /// The connection must be upgraded.
    Stream,
    /// Everything goes through as it is.
    Proxy,
}

/// Finds the way for one subresource.
trait Connecter: Sync {
    /// Where the request goes; `None` answers with an empty body.
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError>;
    /// Whether a GET needs the right to create too, because it upgrades into something that acts.
    ///
    /// Source: feature `AuthorizePodWebsocketUpgradeCreatePermission`.
    fn needs_create(&self) -> bool {
        false
    }
}

/// Every subresource that is carried on: resource, subresource, and who finds the way.
const CONNECTERS: &[(&str, &str, &dyn Connecter)] = &[
    ("nodes", "proxy", &node::Proxy),
    ("pods", "attach", &stream::Attach),
    ("pods", "exec", &stream::Exec),
    ("pods", "log", &log::Log),
    ("pods", "portforward", &stream::PortForward),
    ("pods", "proxy", &pod::Proxy),
    ("services", "proxy", &service::Proxy),
];

fn connecter(resource: &str, subresource: &str) -> Option<&'static dyn Connecter> {
    let found = CONNECTERS
        .iter()
        .find(|(parent, name, _)| *parent == resource && *name == subresource);
    found.map(|(_, _, connecter)| *connecter)
}

/// Whether requests for this subresource are carried on.
pub(crate) fn is_carried(kind: &Kind, subresource: &str) -> bool {
    kind.group.is_empty() && connecter(&kind.plural, subresource).is_some()
}

/// Carries a request on.
///
/// # Errors
/// There is nowhere to carry it, or nobody answers there.
pub(crate) async fn connect(request: Connect<'_>) -> Result<Response<Body>, StatusError> {
    if !request.query.text("dryRun").is_empty() {
        return Err(StatusError::bad_request("dryRun is not supported"));
    }
    let connecter = connecter(&request.info.resource, &request.info.subresource)
        .ok_or_else(StatusError::no_route)?;
    if connecter.needs_create() && request.info.verb != "create" {
        let mut attributes = auth::attributes(request.user, request.info);
        attributes.verb = "create".into();
        auth::allow(request.server, &attributes)?;
    }
    let Some(route) = connecter.route(&request)? else {
        return Ok(crate::respond::bytes(
            http::StatusCode::OK,
            "text/plain",
            "",
        ));
    };
    forward::forward(request, route).await
}

#[cfg(test)]
mod tests;
