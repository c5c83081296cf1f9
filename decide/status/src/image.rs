//! Why an image could not be pulled, read out of the registry's or the runtime's words.

/// Words and the sub-reason they mean, most specific first.
///
/// Registries and runtimes have no common error codes, so this is a list of their wordings. Rate
/// limits stand before permissions (their text mentions authentication) and connection faults
/// before missing images (their text mentions "not found").
const WORDINGS: &[(&str, &[&str])] = &[
    (
        "PullRateLimited",
        &[
            "toomanyrequests",
            "too many requests",
            "rate limit",
            "status code 429",
        ],
    ),
    (
        "NodeDiskFull",
        &["no space left on device", "disk quota exceeded"],
    ),
    (
        "ImagePlatformMismatch",
        &[
            "no match for platform",
            "no matching manifest for",
            "does not match the specified platform",
            "no image found in image index for architecture",
        ],
    ),
    (
        "PullUnauthorized",
        &[
            "pull access denied",
            "unauthorized",
            "authentication required",
            "no basic auth credentials",
            "insufficient_scope",
            "authorization failed",
            "invalid username/password",
            "access to the resource is denied",
            "403 forbidden",
            "denied: ",
        ],
    ),
    (
        "RegistryUnreachable",
        &[
            "no such host",
            "dial tcp",
            "i/o timeout",
            "connection refused",
            "connection reset",
            "network is unreachable",
            "server misbehaving",
            "tls handshake",
            "tls: ",
            "x509: ",
            "deadline exceeded",
            "client.timeout",
            "bad gateway",
            "service unavailable",
            "gateway timeout",
            "proxyconnect",
        ],
    ),
    (
        "ImageNotFound",
        &[
            "manifest unknown",
            "name unknown",
            "not found",
            "does not exist",
            "notfound",
            "404",
        ],
    ),
];

/// The sub-reason of a pull failure; `None` when the text says nothing known.
pub(crate) fn sub_reason(message: &str) -> Option<&'static str> {
    let message = message.to_lowercase();
    WORDINGS
        .iter()
        .find(|(_, words)| words.iter().any(|word| message.contains(word)))
        .map(|(reason, _)| *reason)
}

/// Whether a waiting reason is about pulling, so that [`sub_reason`] applies.
pub(crate) fn is_pull(reason: &str) -> bool {
    matches!(
        reason,
        "ErrImagePull" | "ImagePullBackOff" | "RegistryUnavailable"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_words_name_the_cause() {
        for (message, expected) in [
            (
                "failed to resolve reference: manifest unknown",
                Some("ImageNotFound"),
            ),
            ("r/x:1: not found", Some("ImageNotFound")),
            (
                "pull access denied, repository does not exist or may require",
                Some("PullUnauthorized"),
            ),
            (
                "toomanyrequests: You have reached your unauthenticated pull rate",
                Some("PullRateLimited"),
            ),
            (
                "dial tcp: lookup r: no such host",
                Some("RegistryUnreachable"),
            ),
            (
                "x509: certificate signed by unknown authority",
                Some("RegistryUnreachable"),
            ),
            (
                "no matching manifest for linux/arm64 in the manifest list",
                Some("ImagePlatformMismatch"),
            ),
            ("write /x: no space left on device", Some("NodeDiskFull")),
            ("something else", None),
        ] {
            assert_eq!(sub_reason(message), expected, "{message}");
        }
    }
}
