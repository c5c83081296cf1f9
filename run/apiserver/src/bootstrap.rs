//! What a server makes before it is ready: the objects that exist from the first start.
//!
//! They take the write path like everybody's. Of what is there already, roles, bindings, flow schemas, priority levels and
//! API services are mended; the rest is left as it is.

mod identity;
mod keep;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use access::bootstrap::{Facts, Mend, mend};
use axum::body::Body;
use http::{Method, Request};
use http_body_util::BodyExt;
use kinds::Kind;
use kinds::strategy::User;
use meta::{Object, ObjectExt, StatusError};
use serde_json::json;

use crate::server::{ApiServer, Identity};

pub use identity::IdentityLease;

/// Objects made at once: enough to share a write to the disk.
const AT_ONCE_MAX: usize = 120;
/// Port of an address that names none.
const HTTPS_PORT: u16 = 443;
const JSON: &str = "application/json";
const MERGE_PATCH: &str = "application/merge-patch+json";

/// Times that an object is mended while somebody else writes it too. Source: `retry.DefaultBackoff`.
const MENDED_MAX: usize = 4;

/// A server that has its bootstrap objects.
#[must_use = "what is deleted comes back only while it is kept"]
pub struct Bootstrapped {
    server: ApiServer,
    /// Besides upstream's own.
    more: Vec<Object>,
}

impl Bootstrapped {
    /// The objects as they are now to be made, upstream's own first.
    fn objects(&self) -> Vec<Object> {
        let mut objects = access::bootstrap::objects(&self.server.facts());
        objects.extend(self.more.iter().cloned());
        objects
    }
}

impl ApiServer {
    /// Makes whatever of the bootstrap objects is missing, and mends what somebody took from them; `more` after upstream's
    /// own.
    ///
    /// # Errors
    /// The first refusal; the server is then not fit for use.
    pub async fn bootstrap(&self, more: Vec<Object>) -> Result<Bootstrapped, StatusError> {
        let server = self.clone();
        let bootstrapped = Bootstrapped { server, more };
        let objects = bootstrapped.objects().into_iter();
        let (namespaces, others): (Vec<_>, Vec<_>) =
            objects.partition(|object| object.kind() == "Namespace");
        for namespace in &namespaces {
            self.ensure(namespace).await?;
        }
        for batch in others.chunks(AT_ONCE_MAX) {
            futures::future::try_join_all(batch.iter().map(|object| self.ensure(object))).await?;
        }
        Ok(bootstrapped)
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

    /// Makes an object, or mends it.
    async fn ensure(&self, object: &Object) -> Result<(), StatusError> {
        let kind = kind(self, object)?;
        let place = Place::new(kind, object);
        let mut expected = object.clone();
        kind.apply_defaults(&mut expected);
        let mut times = 0;
        loop {
            times += 1;
            let made = match self.send(Method::GET, &place.object, "", None).await {
                Err(error) if error.code() == 404 => self.make(&place, object).await,
                Err(error) => Err(error),
                Ok(existing) => match mend(&existing, &expected) {
                    None => Ok(()),
                    Some(mend) => self.mend(&place, object, &existing, mend).await,
                },
            };
            match made {
                // Somebody else wrote it meanwhile.
                Err(error) if error.code() == 409 && times < MENDED_MAX => {}
                made => return made,
            }
        }
    }

    async fn make(&self, place: &Place, object: &Object) -> Result<(), StatusError> {
        self.send(Method::POST, &place.collection, JSON, Some(object))
            .await?;
        let Some(status) = object.at(&["status"]) else {
            return Ok(());
        };
        let status = json!({ "status": status });
        let path = format!("{}/status", place.object);
        let sent = self.send(Method::PATCH, &path, MERGE_PATCH, Some(&status));
        sent.await.map(drop)
    }

    async fn mend(
        &self,
        place: &Place,
        object: &Object,
        existing: &Object,
        mend: Mend,
    ) -> Result<(), StatusError> {
        tracing::info!(object = place.object, "mended, as every cluster has it");
        match mend {
            Mend::Update(mended) => {
                let sent = self.send(Method::PUT, &place.object, JSON, Some(&mended));
                sent.await.map(drop)
            }
            Mend::Recreate => {
                let options = json!({"preconditions": {"uid": existing.uid()}});
                self.send(Method::DELETE, &place.object, JSON, Some(&options))
                    .await?;
                self.make(place, object).await
            }
        }
    }

    /// One request as the server itself; answers with what it is answered.
    async fn send(
        &self,
        method: Method,
        path: &str,
        content_type: &str,
        body: Option<&Object>,
    ) -> Result<Object, StatusError> {
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
        let is_done = response.status().is_success();
        let body = response.into_body().collect().await;
        let bytes = body.map_err(StatusError::internal)?.to_bytes();
        if is_done {
            return serde_json::from_slice(&bytes).map_err(StatusError::internal);
        }
        let status = serde_json::from_slice(&bytes).map_err(StatusError::internal)?;
        Err(StatusError(status))
    }
}

/// The kind of an object.
fn kind<'a>(server: &'a ApiServer, object: &Object) -> Result<&'a Kind, StatusError> {
    let kind = object
        .gvk()
        .and_then(|gvk| server.config().registry.kind(&gvk));
    kind.map(AsRef::as_ref).ok_or_else(StatusError::no_route)
}

/// Where an object is served.
struct Place {
    collection: String,
    object: String,
}

impl Place {
    fn new(kind: &Kind, object: &Object) -> Self {
        let root = match &*kind.group {
            "" => "/api".to_owned(),
            group => format!("/apis/{group}"),
        };
        let scope = match object.namespace() {
            "" => String::new(),
            namespace => format!("/namespaces/{namespace}"),
        };
        let collection = format!("{root}/{}{scope}/{}", kind.version, kind.plural);
        Self {
            object: format!("{collection}/{}", object.name().replace('%', "%25")),
            collection,
        }
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
