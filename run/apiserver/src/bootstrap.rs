//! What a server makes before it is ready: the objects that exist from the first start.
//!
//! They take the write path like everybody's. What is there already is left as it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use access::bootstrap::Facts;
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use kinds::strategy::User;
use meta::{Object, ObjectExt, StatusError};
use serde_json::json;

use crate::server::{ApiServer, Identity};

/// Objects made at once: enough to share a write to the disk.
const AT_ONCE_MAX: usize = 120;
/// Port of an address that names none.
const HTTPS_PORT: u16 = 443;
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

impl ApiServer {
    /// Makes whatever of the bootstrap objects is missing, `more` after upstream's own.
    ///
    /// # Errors
    /// The first refusal; the server is then not fit for use.
    pub async fn bootstrap(&self, more: Vec<Object>) -> Result<(), StatusError> {
        let (namespaces, others): (Vec<Object>, Vec<Object>) =
            access::bootstrap::objects(&self.facts())
                .into_iter()
                .chain(more)
                .partition(|object| object.kind() == "Namespace");
        for namespace in &namespaces {
            self.ensure(namespace).await?;
        }
        for batch in others.chunks(AT_ONCE_MAX) {
            futures::future::try_join_all(batch.iter().map(|object| self.ensure(object))).await?;
        }
        Ok(())
    }

    /// What the bootstrap objects depend on.
    fn facts(&self) -> Facts {
        let config = self.config();
        let cidrs = config.ranges.service_cidrs.iter();
        let port = config.address.rsplit_once(':');
        Facts {
            service_cidrs: cidrs.map(|(base, bits)| format!("{base}/{bits}")).collect(),
            service_ip: config
                .ranges
                .service_cidrs
                .first()
                .map_or_else(String::new, |(base, _)| next(*base).to_string()),
            port: port
                .and_then(|(_, port)| port.parse().ok())
                .unwrap_or(HTTPS_PORT),
            now: meta::time::to_rfc3339((config.clock)()),
        }
    }

    async fn ensure(&self, object: &Object) -> Result<(), StatusError> {
        let gvk = object.gvk().ok_or_else(StatusError::no_route)?;
        let kind = self
            .config()
            .registry
            .kind(&gvk)
            .ok_or_else(StatusError::no_route)?;
        let root = if kind.group.is_empty() {
            "/api".to_owned()
        } else {
            format!("/apis/{}", kind.group)
        };
        let scope = match object.namespace() {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let collection = format!("{root}/{}{scope}/{}", kind.version, kind.plural);
        let name = object.name().replace('%', "%25");
        match self
            .send(Method::GET, &format!("{collection}/{name}"), "", None)
            .await
        {
            Err(error) if error.code() == 404 => {}
            result => return result,
        }
        match self
            .send(Method::POST, &collection, JSON, Some(object))
            .await
        {
            Err(error) if error.reason() == "AlreadyExists" => return Ok(()),
            result => result?,
        }
        let Some(status) = object.at(&["status"]) else {
            return Ok(());
        };
        let status = json!({ "status": status });
        let path = format!("{collection}/{name}/status");
        self.send(Method::PATCH, &path, MERGE_PATCH, Some(&status))
            .await
    }

    /// One request as the server itself.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Object>,
    ) -> Result<(), StatusError> {
        let body = body.map_or_else(Body::empty, |body| Body::from(body.to_string()));
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", content_type)
            .header("user-agent", "kube-apiserver");
        let request = request
            .extension(Identity(itself()))
            .body(body)
            .map_err(StatusError::internal)?;
        let response = self.handle(request).await;
        if response.status().is_success() {
            return Ok(());
        }
        let bytes = response
            .into_body()
            .collect()
            .await
            .map_err(StatusError::internal)?
            .to_bytes();
        Err(StatusError(
            serde_json::from_slice(&bytes).map_err(StatusError::internal)?,
        ))
    }
}

fn next(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address).saturating_add(1)).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).saturating_add(1)).into(),
    }
}

/// The identity of the server's own requests.
fn itself() -> User {
    access::user::user(access::user::API_SERVER, &[access::user::MASTERS])
}
