//! Drives certificate signing requests: approves kubelets' own, and has signed what was approved.
//!
//! What is approved and signed is decided in `access::certificates`; how it is signed is the caller's affair.

use std::error::Error;
use std::sync::Arc;

use access::certificates::{Permission, Signing, approving_permissions, signing};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use client::{ClientError, Informers, Rest, WorkQueue};
use jiff::Timestamp;
use meta::{Key, Object, ObjectExt, Resource};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

const REQUESTS: Resource = Resource::cluster(
    "certificates.k8s.io",
    "v1",
    "CertificateSigningRequest",
    "certificatesigningrequests",
);
const REVIEWS: Resource = Resource::cluster(
    "authorization.k8s.io",
    "v1",
    "SubjectAccessReview",
    "subjectaccessreviews",
);

/// Signs certificate requests.
pub trait Signer: Send + Sync {
    /// Answers with the certificate, PEM, for a request (PEM), usages by their API names, and a life in seconds.
    ///
    /// # Errors
    /// The request cannot be read or signed.
    fn sign(
        &self,
        request: &str,
        usages: &[String],
        seconds: i64,
    ) -> Result<String, Box<dyn Error + Send + Sync>>;
}

/// Approves and signs until `shutdown`.
pub async fn run(client: kube::Client, signer: Arc<dyn Signer>, shutdown: CancellationToken) {
    let informers = Informers::new(Rest::new(client), shutdown.clone());
    let requests = informers.whole(&REQUESTS);
    let queue: WorkQueue<Key> = WorkQueue::default();
    let waiting = queue.clone();
    requests.subscribe(move |change| {
        if let Some(request) = &change.new {
            waiting.add(request.key());
        }
    });
    loop {
        let key = tokio::select! {
            () = shutdown.cancelled() => return,
            key = queue.next() => key,
        };
        let Some(key) = key else {
            return;
        };
        let request = requests.cache().get(&key);
        let outcome = match request {
            Some(request) => settle(informers.rest(), signer.as_ref(), &request).await,
            None => Ok(()),
        };
        match outcome {
            Ok(()) => queue.forget(&key),
            Err(error) => {
                let wait = queue.retry(key.clone());
                let error = &error as &dyn Error;
                debug!(
                    error,
                    name = key.name,
                    wait_ms = wait.as_millis(),
                    "certificate request not settled"
                );
            }
        }
        queue.done(&key);
    }
}

/// Takes one request one step further; the write brings it back for the next.
async fn settle(rest: &Rest, signer: &dyn Signer, request: &Object) -> Result<(), ClientError> {
    for permission in approving_permissions(request) {
        if is_allowed(rest, &permission).await? {
            return approve(rest, request, permission.message).await;
        }
    }
    let mut signed = request.clone();
    match signing(request) {
        Signing::Leave => return Ok(()),
        Signing::Sign {
            usages,
            seconds,
            request: pem,
        } => match signer.sign(&pem, &usages, seconds) {
            Ok(certificate) => {
                let certificate = STANDARD.encode(certificate);
                signed.set(&["status", "certificate"], certificate.into());
            }
            Err(error) => {
                let error = error.as_ref() as &dyn Error;
                warn!(
                    error,
                    name = request.name(),
                    "certificate request not signed"
                );
                return Ok(());
            }
        },
        Signing::Fail { message } => {
            let condition = json!({"type": "Failed", "status": "True", "reason": "SignerValidationFailure",
                "message": message, "lastUpdateTime": meta::time::to_rfc3339(Timestamp::now())});
            add_condition(&mut signed, condition);
        }
    }
    rest.replace(&REQUESTS, Some("status"), &signed).await?;
    info!(name = request.name(), "certificate request settled");
    Ok(())
}

async fn approve(rest: &Rest, request: &Object, message: &str) -> Result<(), ClientError> {
    let mut approved = request.clone();
    let condition =
        json!({"type": "Approved", "status": "True", "reason": "AutoApproved", "message": message});
    add_condition(&mut approved, condition);
    rest.replace(&REQUESTS, Some("approval"), &approved).await?;
    info!(name = request.name(), "certificate request approved");
    Ok(())
}

fn add_condition(request: &mut Object, condition: Value) {
    let mut conditions = request.list_at(&["status", "conditions"]).to_vec();
    conditions.push(condition);
    request.set(&["status", "conditions"], conditions.into());
}

async fn is_allowed(rest: &Rest, permission: &Permission) -> Result<bool, ClientError> {
    let asked = &permission.attributes;
    let review = json!({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "metadata": {},
        "spec": {"user": asked.user.name, "uid": asked.user.uid, "groups": asked.user.groups, "extra": asked.user.extra,
            "resourceAttributes": {"group": asked.group, "resource": asked.resource, "subresource": asked.subresource,
                "verb": asked.verb, "version": asked.version}}});
    let answer = rest.create(&REVIEWS, &review).await?;
    Ok(answer.bool_at(&["status", "allowed"]) == Some(true))
}
