//! `proxy` of pods: a port of the pod.

use std::net::IpAddr;

use meta::{Object, ObjectExt, StatusError};

use super::backend::Target;
use super::node::no_https;
use super::{Connect, Connecter, Route, Style, locate};

/// The port of `http` URLs that name none.
const HTTP_PORT: u16 = 80;

/// `pods/proxy`
pub(super) struct Proxy;

impl Connecter for Proxy {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        let id = request.info.name.as_str();
        let invalid =
            || StatusError::bad_request(format!("invalid pod request {}", meta::field::quote(id)));
        let (scheme, name, port) = locate::split(id).ok_or_else(invalid)?;
        let pod = locate::pod(request, name)?;
        let port = match port {
            "" => first_port(&pod).unwrap_or(HTTP_PORT),
            port => port.parse().map_err(|_| invalid())?,
        };
        if scheme == "https" {
            return Err(no_https(id));
        }
        Ok(Some(Route {
            target: Target {
                host: address(pod.str_at(&["status", "podIP"]).unwrap_or_default())?,
                port,
                tls: None,
            },
            path: locate::rest(request),
            style: Style::Proxy,
        }))
    }
}

fn first_port(pod: &Object) -> Option<u16> {
    let containers = pod.list_at(&["spec", "containers"]);
    let mut ports = containers
        .iter()
        .flat_map(|container| container.list_at(&["ports"]));
    let port = ports.next()?.int_at(&["containerPort"])?;
    u16::try_from(port).ok()
}

/// An address that may be proxied to: no loopback, link-local or multicast one.
pub(super) fn address(text: &str) -> Result<String, StatusError> {
    let refused = || StatusError::bad_request("address not allowed");
    let address: IpAddr = text.parse().map_err(|_| refused())?;
    let is_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if is_local || address.is_loopback() || address.is_multicast() || address.is_unspecified() {
        return Err(refused());
    }
    Ok(address.to_string())
}
