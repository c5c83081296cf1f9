//! Why pods could not be created, read out of the API server's refusal (specification, section 8).

/// The reason behind a `FailedCreate` text.
pub(crate) fn reason(message: &str) -> &'static str {
    let text = message.to_lowercase();
    let has = |words: &str| text.contains(words);
    if has("exceeded quota") {
        "QuotaExceeded"
    } else if has("failed calling webhook") {
        "AdmissionWebhookFailed"
    } else if has("admission webhook") && has("denied") {
        "AdmissionDenied"
    } else if has("violates podsecurity") {
        "PodSecurityViolation"
    } else if has("unable to validate against any security context constraint") {
        "SecurityContextDenied"
    } else if has("serviceaccount") && has("not found") {
        "ServiceAccountNotFound"
    } else if ((has("maximum") || has("minimum")) && has("usage per"))
        || has("must specify limits")
        || has("must specify requests")
        || has("failed quota")
    {
        "LimitRangeViolation"
    } else if has("is invalid") {
        "InvalidPodTemplate"
    } else {
        "FailedCreate"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn section_8_texts() {
        for (message, expected) in [
            (
                "pods \"a\" is forbidden: exceeded quota: q, requested: cpu=1",
                "QuotaExceeded",
            ),
            (
                "failed calling webhook \"w\": no endpoints",
                "AdmissionWebhookFailed",
            ),
            (
                "admission webhook \"w\" denied the request: no",
                "AdmissionDenied",
            ),
            (
                "pods \"a\" is forbidden: violates PodSecurity \"restricted\"",
                "PodSecurityViolation",
            ),
            (
                "unable to validate against any security context constraint: []",
                "SecurityContextDenied",
            ),
            (
                "error looking up service account n/s: serviceaccount \"s\" not found",
                "ServiceAccountNotFound",
            ),
            (
                "maximum cpu usage per Container is 1",
                "LimitRangeViolation",
            ),
            (
                "failed quota: q: must specify limits.cpu",
                "LimitRangeViolation",
            ),
            (
                "Pod \"a\" is invalid: spec.x: Required",
                "InvalidPodTemplate",
            ),
            ("etcd is slow", "FailedCreate"),
            ("", "FailedCreate"),
        ] {
            assert_eq!(reason(message), expected, "{message}");
        }
    }
}
