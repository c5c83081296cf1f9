//! One request for a resource, with everything a verb needs.

use std::sync::{Arc, Mutex, PoisonError};

use access::admission;
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use kinds::strategy::{Context, Operation, User};
use kinds::{Kind, Lookup};
use meta::{Object, StatusError};
use wire::media::Answer;

use crate::cluster::Cluster;
use crate::options::Query;
use crate::request::RequestInfo;
use crate::server::ApiServer;

/// A request after authentication, authorization and negotiation.
pub(crate) struct Call {
    pub(crate) server: ApiServer,
    pub(crate) kind: Arc<Kind>,
    /// `apiVersion` of the row.
    pub(crate) api_version: String,
    pub(crate) info: RequestInfo,
    pub(crate) user: User,
    pub(crate) query: Query,
    pub(crate) headers: HeaderMap,
    pub(crate) answer: Answer,
    pub(crate) body: Bytes,
    pub(crate) now: Timestamp,
    /// What the client is warned of when the request is refused.
    pub(crate) warned: Arc<Mutex<Vec<String>>>,
}

impl Call {
    /// The cluster as decisions read it.
    pub(crate) fn cluster(&self) -> Cluster<'_> {
        self.server.cluster()
    }

    /// Keeps warnings for the answer of a request that is refused.
    pub(crate) fn refused(&self, error: StatusError, warnings: Vec<String>) -> StatusError {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        *warned = warnings;
        error
    }

    /// A header's text, or empty.
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// Subresource, or `None` for the object itself.
    pub(crate) fn subresource(&self) -> Option<&str> {
        (!self.info.subresource.is_empty()).then_some(self.info.subresource.as_str())
    }

    /// The facts a strategy may use.
    pub(crate) fn context<'a>(
        &'a self,
        operation: Operation,
        lookup: &'a dyn Lookup,
    ) -> Context<'a> {
        Context {
            now: self.now,
            operation,
            subresource: self.subresource(),
            user: Some(&self.user),
            lookup,
            random: rand::random(),
            ranges: &self.server.config().ranges,
            is_labelled: true,
        }
    }

    /// The write as admission sees it.
    pub(crate) fn admission<'a>(
        &'a self,
        operation: Operation,
        name: &str,
        object: Option<Object>,
        old: Option<&'a Object>,
        dry_run: bool,
    ) -> admission::Request<'a> {
        admission::Request {
            user: &self.user,
            operation,
            resource: self.kind.group_resource(),
            version: self.kind.version.to_string(),
            kind: self.kind.kind.to_string(),
            subresource: self.info.subresource.clone(),
            namespace: self.info.namespace.clone(),
            name: name.to_owned(),
            object,
            old,
            dry_run,
            policy: self.server.policy(),
            now: self.now,
            suffix: suffix(),
            warnings: Vec::new(),
        }
    }

    /// 404 for an object of this kind.
    pub(crate) fn not_found(&self, name: &str) -> StatusError {
        StatusError::not_found(&self.kind.group_resource(), name)
    }
}

/// Characters of generated names: no vowels, nothing that reads as another. Source: apimachinery `util/rand`.
const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_CHARS: usize = 5;

/// Five random characters for a generated name.
pub(crate) fn suffix() -> String {
    let pick = |_| {
        let index = rand::random_range(0..ALPHABET.len());
        char::from(ALPHABET.get(index).copied().unwrap_or(b'x'))
    };
    (0..SUFFIX_CHARS).map(pick).collect()
}
