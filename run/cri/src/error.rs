//! What can go wrong when a runtime is asked for something.

use std::{path::PathBuf, time::Duration};

use tonic::Code;

/// Why a call to the container runtime gave no answer.
///
/// The text of [`CallError::Call`] is the one client libraries in Go print, since it ends up in pod
/// events and container statuses that people and scripts compare with other clusters'.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nothing answers on the socket.
    #[error("cannot connect to the container runtime at {}", socket.display())]
    Connect {
        /// The socket that was tried.
        socket: PathBuf,
        /// What the transport said.
        #[source]
        source: tonic::transport::Error,
    },
    /// The runtime answered with an error.
    #[error("rpc error: code = {} desc = {message}", code_name(*code))]
    Call {
        /// The CRI call, such as `RunPodSandbox`.
        operation: &'static str,
        /// The gRPC code.
        code: Code,
        /// The runtime's words.
        message: String,
    },
    /// The runtime did not answer in time.
    #[error("rpc error: code = DeadlineExceeded desc = {operation} gave no answer within {} s", timeout.as_secs())]
    Timeout {
        /// The CRI call, such as `RunPodSandbox`.
        operation: &'static str,
        /// How long the answer was waited for.
        timeout: Duration,
    },
}

impl CallError {
    pub(crate) fn call(operation: &'static str, status: &tonic::Status) -> Self {
        Self::Call {
            operation,
            code: status.code(),
            message: status.message().to_owned(),
        }
    }

    /// The gRPC code; `Unavailable` for a failed connection.
    pub fn code(&self) -> Code {
        match self {
            Self::Connect { .. } => Code::Unavailable,
            Self::Call { code, .. } => *code,
            Self::Timeout { .. } => Code::DeadlineExceeded,
        }
    }

    /// The runtime's words alone, without the code; the whole text where the runtime said nothing.
    pub fn message(&self) -> String {
        match self {
            Self::Call { message, .. } => message.clone(),
            Self::Connect { .. } | Self::Timeout { .. } => self.to_string(),
        }
    }

    /// Whether the sandbox, container or image asked for does not exist.
    pub fn is_not_found(&self) -> bool {
        self.code() == Code::NotFound
    }

    /// Whether what was asked for cannot be done to the sandbox or container as it is.
    pub fn is_failed_precondition(&self) -> bool {
        self.code() == Code::FailedPrecondition
    }

    /// Whether the runtime is not there, so that the same call may succeed later.
    pub fn is_unavailable(&self) -> bool {
        self.code() == Code::Unavailable
    }
}

/// The name of a code as Go's gRPC library prints it.
///
/// Source: google.golang.org/grpc/codes, `Code.String`.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "Canceled",
        Code::Unknown => "Unknown",
        Code::InvalidArgument => "InvalidArgument",
        Code::DeadlineExceeded => "DeadlineExceeded",
        Code::NotFound => "NotFound",
        Code::AlreadyExists => "AlreadyExists",
        Code::PermissionDenied => "PermissionDenied",
        Code::ResourceExhausted => "ResourceExhausted",
        Code::FailedPrecondition => "FailedPrecondition",
        Code::Aborted => "Aborted",
        Code::OutOfRange => "OutOfRange",
        Code::Unimplemented => "Unimplemented",
        Code::Internal => "Internal",
        Code::Unavailable => "Unavailable",
        Code::DataLoss => "DataLoss",
        Code::Unauthenticated => "Unauthenticated",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_call_reads_as_other_kubelets_print_it() {
        let status = tonic::Status::not_found("failed to resolve reference: not found");
        let error = CallError::call("PullImage", &status);
        assert_eq!(
            error.to_string(),
            "rpc error: code = NotFound desc = failed to resolve reference: not found"
        );
        assert!(error.is_not_found());
        assert_eq!(error.message(), "failed to resolve reference: not found");
    }
}
