//! What can go wrong between a client and an API server.

use kube::core::Status;

/// Why a request brought no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The server refused, and said why.
    #[error("{}", .0.message)]
    Refused(Box<Status>),
    /// No usable answer came.
    #[error("cannot reach the API server")]
    Unreachable(#[source] Box<kube::Error>),
    /// The request could not be built.
    #[error("cannot build the request for {path}")]
    Request {
        /// The path asked for.
        path: String,
        /// Why.
        #[source]
        source: http::Error,
    },
    /// The answer is not what the protocol promises.
    #[error("cannot read the answer to {path}")]
    Answer {
        /// The path asked for.
        path: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// A watch broke off.
    #[error("watch of {path} broke off")]
    WatchBroken {
        /// The path watched.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A watch event is larger than any object may be.
    #[error("watch of {path} sent an event of more than {bytes_max} bytes")]
    WatchEventTooLarge {
        /// The path watched.
        path: String,
        /// The bound.
        bytes_max: usize,
    },
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig")]
    Kubeconfig(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl ClientError {
    pub(crate) fn from_kube(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Unreachable(Box::new(other)),
        }
    }
    /// The server's HTTP code; 0 when it did not answer.
    pub fn code(&self) -> u16 {
        match self {
            Self::Refused(status) => status.code,
            _ => 0,
        }
    }
    /// The server's machine-readable reason; empty when it did not answer.
    pub fn reason(&self) -> &str {
        match self {
            Self::Refused(status) => &status.reason,
            _ => "",
        }
    }
    /// 404.
    pub fn is_not_found(&self) -> bool {
        self.code() == 404
    }
    /// 404 about an object of a kind that is served; a path that is not served at all says nothing about objects.
    pub fn is_object_missing(&self) -> bool {
        match self {
            Self::Refused(status) => {
                let names =
                    |details: &kube::core::response::StatusDetails| !details.name.is_empty();
                status.code == 404 && status.details.as_ref().is_some_and(names)
            }
            _ => false,
        }
    }
    /// 409 because the object changed.
    pub fn is_conflict(&self) -> bool {
        self.code() == 409 && self.reason() != "AlreadyExists"
    }
    /// 409 because the name is taken.
    pub fn is_already_exists(&self) -> bool {
        self.code() == 409 && self.reason() == "AlreadyExists"
    }
    /// 410: the version asked for is compacted.
    pub fn is_gone(&self) -> bool {
        self.code() == 410
    }
    /// 403 because the namespace is going away.
    pub fn is_namespace_terminating(&self) -> bool {
        match self {
            Self::Refused(status) => {
                let causes = status.details.iter().flat_map(|details| &details.causes);
                causes
                    .into_iter()
                    .any(|cause| cause.reason == "NamespaceTerminating")
            }
            _ => false,
        }
    }
}
