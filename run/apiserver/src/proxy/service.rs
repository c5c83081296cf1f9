//! `proxy` of services: a port of one of the service's ready pods.

use kinds::strategy::Lookup;
use meta::{GroupResource, Object, ObjectExt, StatusError};
use serde_json::Value;

use super::backend::Target;
use super::node::no_https;
use super::pod::address;
use super::{Connect, Connecter, Route, Style, locate};

/// `services/proxy`
pub(super) struct Proxy;

impl Connecter for Proxy {
    fn route(&self, request: &Connect<'_>) -> Result<Option<Route>, StatusError> {
        let id = request.info.name.as_str();
        let (scheme, name, port) = locate::split(id).ok_or_else(|| {
            let id = meta::field::quote(id);
            StatusError::bad_request(format!("invalid service request {id}"))
        })?;
        if scheme == "https" {
            return Err(no_https(id));
        }
        let cluster = request.cluster();
        let namespace = &request.info.namespace;
        let service = cluster
            .get("services", namespace, name)
            .ok_or_else(|| StatusError::not_found(&GroupResource::new("", "services"), name))?;
        let port_name = port_name(&service, port)?;
        let slices = cluster.list("endpointslices.discovery.k8s.io", namespace);
        let found = slices
            .iter()
            .filter(|slice| slice.label("kubernetes.io/service-name") == Some(name))
            .find_map(|slice| endpoint(slice, &port_name));
        let Some((host, port)) = found else {
            let id = meta::field::quote(id);
            let why = format!("no endpoints available for service {id}");
            return Err(StatusError::unavailable(why));
        };
        Ok(Some(Route {
            target: Target {
                host: address(&host)?,
                port,
                tls: None,
            },
            path: locate::rest(request),
            style: Style::Proxy,
        }))
    }
}

/// The name of the port a request asks for by name, number or not at all.
fn port_name(service: &Object, port: &str) -> Result<String, StatusError> {
    let Ok(number) = port.parse::<i64>() else {
        return Ok(port.to_owned());
    };
    let ports = service.list_at(&["spec", "ports"]);
    let found = ports
        .iter()
        .find(|port| port.int_at(&["port"]) == Some(number));
    let Some(found) = found else {
        let name = meta::field::quote(service.name());
        let why = format!("no service port {number} found for service {name}");
        return Err(StatusError::unavailable(why));
    };
    Ok(found.str_at(&["name"]).unwrap_or_default().to_owned())
}

/// A ready address of a slice and its port of that name.
fn endpoint(slice: &Object, port_name: &str) -> Option<(String, u16)> {
    let port = slice
        .list_at(&["ports"])
        .iter()
        .find(|port| port.str_at(&["name"]).unwrap_or_default() == port_name)?;
    let port = u16::try_from(port.int_at(&["port"])?).ok()?;
    let ready = slice.list_at(&["endpoints"]).iter().find(|endpoint| {
        endpoint.bool_at(&["conditions", "ready"]) != Some(false)
            && endpoint.at(&["targetRef"]).is_some()
    })?;
    let host = ready
        .list_at(&["addresses"])
        .first()
        .and_then(Value::as_str)?;
    Some((host.to_owned(), port))
}
