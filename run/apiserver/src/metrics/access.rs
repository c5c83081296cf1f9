//! Who asks, and whether they may. Source: apiserver `endpoints/filters/metrics.go`, `authentication/request/x509`.

use std::time::Duration;

use access::attributes::Decision;
use jiff::Timestamp;
use kinds::strategy::User;
use meta::StatusError;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use scrape::{ALPHA, Registry};

use super::Histograms;

/// Bounds of the remaining life of certificates, in seconds. Source: `clientCertificateExpirationHistogram`.
const CERTIFICATE_SECONDS: [f64; 14] = [
    0.0,
    1_800.0,
    3_600.0,
    7_200.0,
    21_600.0,
    43_200.0,
    86_400.0,
    172_800.0,
    345_600.0,
    604_800.0,
    2_592_000.0,
    7_776_000.0,
    15_552_000.0,
    31_104_000.0,
];

/// Users that are told apart. Source: `compressUsername`.
const USERS: [&str; 5] = [
    "admin",
    "client",
    "kube_proxy",
    "kubelet",
    "system:serviceaccount:kube-system:default",
];

/// Metrics of authentication and authorization.
pub(crate) struct Access {
    users: Family<Username, Counter>,
    authentications: Family<Verdict, Counter>,
    authentication_seconds: Histograms<Verdict>,
    authorizations: Family<Verdict, Counter>,
    authorization_seconds: Histograms<Verdict>,
    certificate_seconds: Histogram,
    valid_tokens: Counter,
    stale_tokens: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Username {
    username: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Verdict {
    result: &'static str,
}

impl Access {
    /// Adds the metrics.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let seconds = || Histogram::new(exponential_buckets(0.001, 2.0, 15));
        let access = Self {
            users: Family::default(),
            authentications: Family::default(),
            authentication_seconds: Family::new_with_constructor(seconds),
            authorizations: Family::default(),
            authorization_seconds: Family::new_with_constructor(seconds),
            certificate_seconds: Histogram::new(CERTIFICATE_SECONDS),
            valid_tokens: Counter::default(),
            stale_tokens: Counter::default(),
        };
        registry.register(
            ALPHA,
            "authenticated_user_requests",
            "Requests whose sender was authenticated, by user name",
            access.users.clone(),
        );
        registry.register(
            ALPHA,
            "authentication_attempts",
            "Requests whose sender was asked for, by result",
            access.authentications.clone(),
        );
        registry.register(
            ALPHA,
            "authentication_duration_seconds",
            "How long authentication took, by result",
            access.authentication_seconds.clone(),
        );
        registry.register(
            ALPHA,
            "authorization_attempts_total",
            "Requests about which the authorizers were asked, by result",
            access.authorizations.clone(),
        );
        registry.register(
            ALPHA,
            "authorization_duration_seconds",
            "How long authorization took, by result",
            access.authorization_seconds.clone(),
        );
        registry.register(
            ALPHA,
            "apiserver_client_certificate_expiration_seconds",
            "Remaining life of the certificates with which requests were authenticated",
            access.certificate_seconds.clone(),
        );
        registry.register(
            ALPHA,
            "serviceaccount_valid_tokens_total",
            "Tokens of pods that were shown before they should have been read again",
            access.valid_tokens.clone(),
        );
        registry.register(
            ALPHA,
            "serviceaccount_stale_tokens_total",
            "Tokens of pods that were shown after they should have been read again",
            access.stale_tokens.clone(),
        );
        access
    }

    /// Notes a pod's own token that is good.
    pub(crate) fn token(&self, is_stale: bool) {
        let tokens = if is_stale {
            &self.stale_tokens
        } else {
            &self.valid_tokens
        };
        tokens.inc();
    }

    /// Notes who a sender was found to be.
    pub(crate) fn authenticated(&self, found: &Result<User, StatusError>, took: Duration) {
        let result = match found {
            Ok(user) => {
                let username = username(&user.name);
                self.users.get_or_create(&Username { username }).inc();
                "success"
            }
            Err(_) => "error",
        };
        let verdict = Verdict { result };
        self.authentications.get_or_create(&verdict).inc();
        let seconds = self.authentication_seconds.get_or_create(&verdict);
        seconds.observe(took.as_secs_f64());
    }

    /// Notes what the authorizers said.
    pub(crate) fn authorized(&self, decision: &Decision, took: Duration) {
        let result = match decision {
            Decision::Allow => "allowed",
            Decision::Deny { .. } => "denied",
            Decision::NoOpinion { .. } => "no-opinion",
        };
        let verdict = Verdict { result };
        self.authorizations.get_or_create(&verdict).inc();
        let seconds = self.authorization_seconds.get_or_create(&verdict);
        seconds.observe(took.as_secs_f64());
    }

    /// Notes when the certificate of a request's sender ends.
    pub(crate) fn certificate(&self, not_after: Timestamp, now: Timestamp) {
        let left = not_after.duration_since(now).as_secs_f64();
        self.certificate_seconds.observe(left);
    }
}

fn username(name: &str) -> &'static str {
    let known = USERS.into_iter().find(|known| *known == name);
    let kind = if name.contains('@') {
        "email_id"
    } else {
        "other"
    };
    known.unwrap_or(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_users_are_told_apart() {
        for (name, wanted) in [
            ("admin", "admin"),
            ("jo@example.org", "email_id"),
            ("jo", "other"),
            ("system:anonymous", "other"),
        ] {
            assert_eq!(username(name), wanted);
        }
    }
}
