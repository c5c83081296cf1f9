//! Cases of certificate requests, made by `openssl req`.

use serde_json::{Value, json};

use super::*;

/// `O=dev, CN=ann`
pub(crate) const CLIENT: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWE1INENBUUF3SERFTU1Bb0dBMVVFQ2d3RFpHVjJNUXd3Q2dZRFZRUUREQU5oYm00d1dUQVRCZ2NxaGtqTwpQUUlCQmdncWhrak9QUU1CQndOQ0FBUVBzOFBFVkNmT3JLVW1ndGpXSE9qQU1Gd0lkRFBlMnZrZmNtdDJRVTlCCkczcUx4VUxpV2p1c1dxb2NQYTNGR3pYNHdUSUg5bXd2WU1FMnJhcVFqa2VTb0FBd0NnWUlLb1pJemowRUF3SUQKU1FBd1JnSWhBSXpZaU82TEpldTZmWENxYTFDdFJGbEZRZHlYbEx4V21iT1R1OXNoTWZaN0FpRUF2eU1sTDBrMgoxZjRVbytrak55TmljK0toZUY5QTQxSG1RbVNaeGpycnZWRT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
/// `O=system:masters, CN=ann`
pub(crate) const MASTER: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIaU1JR0pBZ0VBTUNjeEZ6QVZCZ05WQkFvTURuTjVjM1JsYlRwdFlYTjBaWEp6TVF3d0NnWURWUVFEREFOaApibTR3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVNRcXVGN3VzME02WVVPM2RHTmxSQ0dlaWtHCm5UQzRNNEdiVVl6RkJoN0w5TDc1ejJUZEhIc0ZrZ2FoWnVZSnl2Qm1YeEcxNUVWV2c4NC9qYzY3MFpWK29BQXcKQ2dZSUtvWkl6ajBFQXdJRFNBQXdSUUloQUtMRFdhb0VCV2lLeFRjaDBZK0hKNTMyQ2xCdlYyaENMbkk4NzN4dwpZNWwrQWlCQTBDVTVLWW9MSndNRW9iRVl2VVpZL0RETWVPeUxvK2s1UitjaWJPZ2tNZz09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
/// `O=system:nodes, CN=system:node:n1`
const NODE: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIck1JR1NBZ0VBTURBeEZUQVRCZ05WQkFvTURITjVjM1JsYlRwdWIyUmxjekVYTUJVR0ExVUVBd3dPYzNsegpkR1Z0T201dlpHVTZiakV3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQkJ3TkNBQVEyQXVJVjNoQ1ZNQzltCnFWTnZpRWF5ZDl0OG9iZjliTnA0aGMzZkx3TTc3K3F4bVMwRTJ3V3J6OHYvRHh1bzVRRytDRGhoclNuc09BY08KZGYyTjdHYnhvQUF3Q2dZSUtvWkl6ajBFQXdJRFNBQXdSUUlnZUxwNVV1MXkxdG5SZ1ErNnVCYStiNTFGSzA4YwpyOUR4aWVrMmpiUXlxMThDSVFDM3cvcTVKcGZvbEFYOWNNMXpyd0hQZlpVZkdPdThDdTdvMHBvRWRhZHFTdz09Ci0tLS0tRU5EIENFUlRJRklDQVRFIFJFUVVFU1QtLS0tLQo=";
/// The same with `DNS:n1, IP:10.0.0.1`
const SERVING: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQkVqQ0J1QUlCQURBd01SVXdFd1lEVlFRS0RBeHplWE4wWlcwNmJtOWtaWE14RnpBVkJnTlZCQU1NRG5ONQpjM1JsYlRwdWIyUmxPbTR4TUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFSHVkT21iSHFGSXRuCmZHc3pEYUZpenhrUGRjTGFXbUtDaFpsMU9aWnhCckJCY2xPeE1NQ2Y2cHM1SHFDeUszTEViOCt3UGFJOEhPYW4KdnRFOHJLZ2IrYUFtTUNRR0NTcUdTSWIzRFFFSkRqRVhNQlV3RXdZRFZSMFJCQXd3Q29JQ2JqR0hCQW9BQUFFdwpDZ1lJS29aSXpqMEVBd0lEU1FBd1JnSWhBSkJwa1pyaE0zYUltTU05cVNqRUprVVpXT1NtTVBtb04wRk1qcXo3CnlSMFBBaUVBc1JMS3RBQmFKRlRBZklmS0syNkFjbEtuVzJ6TitrSXh4QzFubXp0Y3ZwYz0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
/// The same with `DNS:n1, email:a@b.c, URI:spiffe://x`
const MIXED: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlJQkhqQ0J4UUlCQURBd01SVXdFd1lEVlFRS0RBeHplWE4wWlcwNmJtOWtaWE14RnpBVkJnTlZCQU1NRG5ONQpjM1JsYlRwdWIyUmxPbTR4TUZrd0V3WUhLb1pJemowQ0FRWUlLb1pJemowREFRY0RRZ0FFQWIwcHliOWpBYmM0CmN0cmNKVFhLSXRQekxpcVp1dzh3c2lYM1prYXR6QXo0d1QyQWptNmdWMzlEOVNWQTlySzJTNjQ1dENCZSs3QisKYkc1cDlEeHVlS0F6TURFR0NTcUdTSWIzRFFFSkRqRWtNQ0l3SUFZRFZSMFJCQmt3RjRJQ2JqR0JCV0ZBWWk1agpoZ3B6Y0dsbVptVTZMeTk0TUFvR0NDcUdTTTQ5QkFNQ0EwZ0FNRVVDSUYzQ01NeTllMjZVaDdpSmh2TFdERGg0Cms3Z2ZIWGlxemZhYnJNdGkzSTBwQWlFQW1yLzU0QW1Zd2NNZVZHbGJ6UjgvYUlBK1hBVTR2bXM1WDBMYTM5Mk4KL0hjPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K";

fn csr(signer: &str, request: &str, usages: &[&str], conditions: &Value) -> Object {
    json!({"metadata": {"name": "c"}, "spec": {"signerName": signer, "request": request, "usages": usages,
        "username": "system:node:n1", "groups": ["system:nodes"]}, "status": {"conditions": conditions}})
}

fn approved() -> Value {
    json!([{"type": "Approved", "status": "True"}])
}

fn failure(signer: &str, request: &str, usages: &[&str]) -> String {
    match signing(&csr(signer, request, usages, &approved())) {
        Signing::Fail { message } => message,
        other => panic!("{other:?}"),
    }
}

#[test]
fn subjects_and_names_are_read() {
    let read = |request: &str| request_of(&csr("", request, &[], &json!([]))).unwrap();
    let client = read(CLIENT);
    assert_eq!(
        (client.common_name.as_str(), client.organizations),
        ("ann", vec!["dev".to_owned()])
    );
    let serving = read(SERVING);
    assert_eq!(serving.dns_names, ["n1"]);
    assert_eq!(serving.addresses, [[10, 0, 0, 1]]);
    let mixed = read(MIXED);
    assert_eq!(
        (mixed.emails, mixed.uris),
        (vec!["a@b.c".to_owned()], vec!["spiffe://x".to_owned()])
    );
}

#[test]
fn what_is_no_request_is_refused() {
    let read = |request: &str| request_of(&csr("", request, &[], &json!([])));
    assert_eq!(
        read("AAAA").unwrap_err(),
        "PEM block type must be CERTIFICATE REQUEST"
    );
    let cut = STANDARD
        .encode("-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n-----END CERTIFICATE REQUEST-----");
    assert_eq!(
        read(&cut).unwrap_err(),
        "x509: malformed certificate request"
    );
}

#[test]
fn a_kubelets_own_certificate_may_be_approved_at_once() {
    let usages = ["digital signature", "client auth"];
    let permissions = approving_permissions(&csr(KUBELET_CLIENT_SIGNER, NODE, &usages, &json!([])));
    let asked: Vec<&str> = permissions
        .iter()
        .map(|permission| permission.attributes.subresource.as_str())
        .collect();
    assert_eq!(asked, ["selfnodeclient", "nodeclient"]);
    assert_eq!(permissions[0].attributes.user.groups, ["system:nodes"]);
    for (signer, request, conditions) in [
        (KUBELET_CLIENT_SIGNER, CLIENT, json!([])),
        (KUBELET_SERVING_SIGNER, NODE, json!([])),
        (KUBELET_CLIENT_SIGNER, NODE, json!([{"type": "Denied"}])),
    ] {
        assert!(approving_permissions(&csr(signer, request, &usages, &conditions)).is_empty());
    }
}

#[test]
fn only_what_was_approved_is_signed() {
    let client = |conditions| signing(&csr(CLIENT_SIGNER, CLIENT, &["client auth"], &conditions));
    assert_eq!(client(json!([])), Signing::Leave);
    assert!(matches!(
        client(approved()),
        Signing::Sign {
            seconds: SECONDS_MAX,
            ..
        }
    ));
    let failed = json!([{"type": "Approved"}, {"type": "Failed"}]);
    assert_eq!(client(failed), Signing::Leave);
    let other = csr("example.com/x", CLIENT, &["client auth"], &approved());
    assert_eq!(signing(&other), Signing::Leave);
    let mut short = csr(LEGACY_SIGNER, CLIENT, &["any"], &approved());
    short.set(&["spec", "expirationSeconds"], 1.into());
    assert!(matches!(
        signing(&short),
        Signing::Sign { seconds: 600, .. }
    ));
}

#[test]
fn each_signer_says_what_it_does_not_sign() {
    assert_eq!(
        failure(CLIENT_SIGNER, CLIENT, &["server auth"]),
        "invalid usage for client certificate: server auth"
    );
    assert_eq!(
        failure(KUBELET_CLIENT_SIGNER, CLIENT, &["client auth"]),
        "subject organization is not system:nodes"
    );
    assert_eq!(
        failure(KUBELET_CLIENT_SIGNER, SERVING, &["client auth"]),
        "DNS subjectAltNames are not allowed"
    );
    assert_eq!(
        failure(KUBELET_SERVING_SIGNER, NODE, &["server auth"]),
        "DNS or IP subjectAltName is required"
    );
    assert_eq!(
        failure(KUBELET_SERVING_SIGNER, MIXED, &["server auth"]),
        "Email subjectAltNames are not allowed"
    );
    assert_eq!(
        failure(KUBELET_SERVING_SIGNER, SERVING, &["client auth"]),
        "usages did not match [digital signature key encipherment server auth]"
    );
}
