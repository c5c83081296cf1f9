//! One request for a resource, with everything a verb needs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use access::admission::{self, Half};
use bytes::Bytes;
use http::HeaderMap;
use jiff::Timestamp;
use kinds::schema::Emptied;
use kinds::strategy::{Context, Operation, User};
use kinds::{Kind, Lookup};
use meta::{FieldError, Object, ObjectExt as _, StatusError};
use store::Entry;
use wire::media::Answer;

use crate::audit::Record;
use crate::cluster::Cluster;
use crate::form;
use crate::options::Query;
use crate::request::RequestInfo;
use crate::server::ApiServer;
use crate::stored;

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
    /// Bytes of the stored object that it changes; 0 if there is none.
    pub(crate) changed_bytes: usize,
    pub(crate) now: Timestamp,
    /// What is told when the request is refused.
    pub(crate) refusal: Arc<Mutex<Refusal>>,
    /// What is told of the request; `None` tells nothing.
    pub(crate) audit: Option<Arc<Record>>,
}

/// What the client is told besides why its request is refused.
#[derive(Default)]
pub(crate) struct Refusal {
    /// What it is warned of.
    pub(crate) warnings: Vec<String>,
    /// The empty lists and maps that it sent.
    emptied: Vec<Emptied>,
}

impl Call {
    /// The cluster as decisions read it.
    pub(crate) fn cluster(&self) -> Cluster<'_> {
        self.server.cluster()
    }

    /// Keeps warnings for the answer in case the request is refused.
    pub(crate) fn warn_if_refused(&self, warnings: &[String]) {
        self.refusal().warnings = warnings.to_vec();
    }

    /// Keeps warnings for the answer of a request that is refused.
    pub(crate) fn refused(&self, error: StatusError, warnings: Vec<String>) -> StatusError {
        self.refusal().warnings = warnings;
        error
    }

    /// Keeps the empty lists and maps of what was read last.
    pub(crate) fn keep_emptied(&self, emptied: Vec<Emptied>) {
        let mut refusal = self.refusal();
        // Nearly always there are none, and were none.
        if !emptied.is_empty() || !refusal.emptied.is_empty() {
            refusal.emptied = emptied;
        }
    }

    /// Whether what was read last had empty lists or maps outside of its metadata.
    pub(crate) fn has_emptied(&self) -> bool {
        let refusal = self.refusal();
        let mut emptied = refusal.emptied.iter();
        emptied.any(|emptied| emptied.root() != "metadata")
    }

    fn refusal(&self) -> MutexGuard<'_, Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with an object, said of it as it was sent, with its empty lists and maps.
    ///
    /// Upstream drops these only when it stores an object. Rules here know none: what they find decides, but for fields
    /// that must not be there at all, and what they find with them is said instead where it is the same but for its words.
    pub(crate) fn wrong(
        &self,
        object: &Object,
        rules: impl Fn(&Object) -> Vec<FieldError>,
    ) -> Vec<FieldError> {
        let errors = rules(object);
        let refusal = self.refusal();
        if refusal.emptied.is_empty() {
            return errors;
        }
        let is_status = self.subresource() == Some("status");
        let mut sent = object.clone();
        for emptied in &refusal.emptied {
            // The rest of what is written through the status is not the client's.
            if !is_status || emptied.root() == "status" {
                emptied.restore(&mut sent);
            }
        }
        let is_found = |one: &FieldError| {
            let mut found = errors.iter();
            found.any(|other| (one.error_type, &one.field) == (other.error_type, &other.field))
        };
        let is_told = kinds::write::is_told_of_empty;
        let others = |errors: &[FieldError]| errors.iter().filter(|error| !is_told(error)).count();
        let mut as_sent = rules(&sent);
        as_sent.retain(|error| is_found(error) || is_told(error));
        if others(&as_sent) == others(&errors) {
            return as_sent;
        }
        errors
    }

    /// A header's text, or empty.
    pub(crate) fn header(&self, name: http::HeaderName) -> &str {
        self.headers
            .get(name)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    }

    /// In what form the request is refused.
    pub(crate) fn refused_in(&self) -> Answer {
        form::refused_in(&self.query, &self.headers)
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
            dry_run: !self.query.texts("dryRun").is_empty(),
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
        let prefix = object.as_ref().filter(|_| name.is_empty());
        let prefix = prefix.and_then(|object| object.str_at(&["metadata", "generateName"]));
        admission::Request {
            prefix: prefix.unwrap_or_default().to_owned(),
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

    /// Runs the mutating half of admission.
    ///
    /// # Errors
    /// What a plugin says against the write.
    pub(crate) fn admit(&self, request: &mut admission::Request<'_>) -> Result<(), StatusError> {
        self.timed(Half::Admit, request.operation, |told| {
            admission::admit(request, &self.cluster(), told)
        })
    }

    /// Runs the validating half of admission; answers with its warnings.
    ///
    /// # Errors
    /// What a plugin says against the write.
    pub(crate) fn validate(
        &self,
        request: &admission::Request<'_>,
    ) -> Result<Vec<String>, StatusError> {
        if let Some(audit) = &self.audit {
            for (key, value) in admission::annotations(request, &self.cluster()) {
                audit.annotate(key, &value);
            }
        }
        self.timed(Half::Validate, request.operation, |told| {
            admission::validate(request, &self.cluster(), told)
        })
    }

    /// Runs a half of admission and notes how long it, and each plugin in it, took.
    fn timed<T>(
        &self,
        half: Half,
        operation: Operation,
        run: impl FnOnce(admission::Asked<'_>) -> Result<T, StatusError>,
    ) -> Result<T, StatusError> {
        let metrics = &self.server.metrics().admission;
        let begun = Instant::now();
        let mut before = begun;
        let outcome = run(&mut |plugin, is_rejected| {
            let now = Instant::now();
            let took = now.duration_since(before);
            metrics.plugin(plugin, half, operation, is_rejected, took);
            before = now;
        });
        metrics.stepped(half, operation, outcome.is_err(), begun.elapsed());
        outcome
    }

    /// The object of this name as it is stored, if there is one.
    ///
    /// # Errors
    /// The store's.
    pub(crate) async fn stored(&self, name: &str) -> Result<Option<Entry>, StatusError> {
        let key = stored::key(&self.kind, &self.info.namespace, name);
        let entry = self.server.config().store.get(&key).await;
        entry.map_err(|error| stored::refusal(&self.kind, &error))
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
