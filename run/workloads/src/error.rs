//! Why nothing could be said, and what to do about it.

use std::error::Error;
use std::path::PathBuf;

use client::ClientError;

/// What kept `sampan status` from an answer.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// The bundle file cannot be read.
    #[error("cannot read {}", path.display())]
    BundleRead {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The bundle is neither YAML nor JSON.
    #[error("{} is not YAML or JSON ({why})", path.display())]
    BundleSyntax {
        /// The file.
        path: PathBuf,
        /// What the parser says, on one line.
        why: String,
    },
    /// The bundle has no object.
    #[error("{} holds no Kubernetes object", path.display())]
    BundleEmpty {
        /// The file.
        path: PathBuf,
    },
    /// The first object is no workload.
    #[error("{} begins with a {kind}, which is no workload", path.display())]
    BundleSubject {
        /// The file.
        path: PathBuf,
        /// What it begins with.
        kind: String,
    },
    /// A time cannot be read.
    #[error("{given:?} is no time")]
    Now {
        /// As given.
        given: String,
    },
    /// A selector cannot be read.
    #[error("cannot read selector {selector:?}: {why}")]
    Selector {
        /// As given.
        selector: String,
        /// Why.
        why: String,
    },
    /// A kind is not served.
    #[error("the cluster serves no kind {kind:?}")]
    Kind {
        /// As given.
        kind: String,
    },
    /// A kind has no state of its own.
    #[error("{kind:?} is no workload")]
    NotAWorkload {
        /// As given.
        kind: String,
    },
    /// The kubeconfig cannot be used.
    #[error("cannot use the kubeconfig")]
    Kubeconfig(#[source] ClientError),
    /// The cluster does not know who asks.
    #[error("the cluster refuses the credentials of the kubeconfig")]
    Refused(#[source] ClientError),
    /// The kubeconfig does not trust whoever answers.
    #[error("the kubeconfig does not trust the certificate of the cluster")]
    Untrusted(#[source] ClientError),
    /// The cluster does not answer.
    #[error("the cluster does not answer")]
    Cluster(#[source] ClientError),
    /// Something answers, but it serves no pods.
    #[error("what answers at the cluster's address is no Kubernetes API server")]
    NotKubernetes,
    /// The cluster does not answer in time.
    #[error("the cluster has not answered within {seconds} s")]
    Slow {
        /// How long was waited.
        seconds: u64,
    },
    /// The output cannot be written.
    #[error("cannot write the output")]
    Output(#[source] std::io::Error),
    /// Something asked for by name does not exist.
    #[error("there is no {target}")]
    NotFound {
        /// As given.
        target: String,
    },
}

/// Alerts of TLS by which a server refuses a client's certificate. Source: rustls `AlertDescription`.
const CLIENT_ALERTS: [&str; 8] = [
    "AccessDenied",
    "BadCertificate",
    "CertificateExpired",
    "CertificateRequired",
    "CertificateRevoked",
    "CertificateUnknown",
    "UnknownCA",
    "UnsupportedCertificate",
];

/// Whether an error or a cause of it says one of these.
fn says(error: &(dyn Error + 'static), words: &[&str]) -> bool {
    let mut causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.any(|error| {
        let said = error.to_string();
        words.iter().any(|word| said.contains(word))
    })
}

impl StatusError {
    /// Sorts a client's failure.
    pub(crate) fn from_client(error: ClientError) -> Self {
        match (&error, error.code()) {
            (ClientError::Kubeconfig(_), _) => Self::Kubeconfig(error),
            (_, 401 | 403) => Self::Refused(error),
            _ if says(&error, &["received fatal alert"]) => {
                if says(&error, &CLIENT_ALERTS) {
                    Self::Refused(error)
                } else {
                    Self::Cluster(error)
                }
            }
            _ if says(&error, &["invalid peer certificate"]) => Self::Untrusted(error),
            _ => Self::Cluster(error),
        }
    }

    fn advice(&self) -> &'static str {
        match self {
            Self::BundleRead { .. } => "give the path of a file, or - for standard input",
            Self::BundleSyntax { .. } => "give objects as kubectl get -o yaml prints them",
            Self::BundleEmpty { .. } => "put the workload first, related objects after it",
            Self::BundleSubject { .. } => "put a workload first",
            Self::Now { .. } => "write it as RFC 3339 has it, such as 2026-01-15T10:30:00Z",
            Self::Selector { .. } => "write it as kubectl takes it, such as app=web,tier!=cache",
            Self::Kind { .. } => "see kubectl api-resources for what it serves",
            Self::NotAWorkload { .. } => {
                "name a Deployment, StatefulSet, DaemonSet, Job, CronJob, Pod or custom resource"
            }
            Self::Kubeconfig(_) => "name one with --kubeconfig, and a context in it with --context",
            Self::Refused(_) => "renew them, or choose another --context",
            Self::Untrusted(_) => {
                "check its certificate-authority-data, and the clock of this machine"
            }
            Self::Cluster(_) | Self::Slow { .. } | Self::NotKubernetes => {
                "check that its address in the kubeconfig can be reached"
            }
            Self::Output(_) => "check where the output goes",
            Self::NotFound { .. } => "check the name and the namespace",
        }
    }

    /// One sentence: what failed, why, and what to do.
    pub fn sentence(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            let said = error.to_string();
            let said = said
                .lines()
                .next()
                .unwrap_or_default()
                .trim()
                .trim_end_matches('.');
            // Some libraries repeat their source in their own text.
            if !said.is_empty() && !text.contains(said) {
                text = format!("{text}: {said}");
            }
            cause = error.source();
        }
        format!("{text}; {}", self.advice())
    }
}
