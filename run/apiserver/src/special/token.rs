//! `serviceaccounts/token`: signs a token for a service account.
//!
//! Source: `pkg/registry/core/serviceaccount/storage/token.go`.

use std::sync::Arc;

use access::authn::service_account_token::{
    self as tokens, Bound, EXPIRATION_SECONDS_DEFAULT, EXPIRATION_SECONDS_MAX,
    EXPIRATION_SECONDS_MIN, ISSUER, Lifetime,
};
use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use jiff::SignedDuration;
use kinds::Lookup;
use kinds::strategy::Operation;
use meta::{FieldError, GroupResource, Gvk, Object, ObjectExt, Path, StatusError};
use patch::managed;
use serde_json::{Value, json};

use super::{BodyType, Special, answer};
use crate::call::Call;
use crate::options::WriteOptions;
use crate::ownership;

/// Serves the subresource.
pub(super) struct Token;

const GROUP: &str = "authentication.k8s.io";
const API_VERSION: &str = "authentication.k8s.io/v1";

#[async_trait]
impl Special for Token {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let options = WriteOptions::read(&call.query, "CreateOptions")?;
        let gvk = Gvk::new(GROUP, "v1", "TokenRequest");
        let body_type = BodyType::of(gvk, "io.k8s.api.authentication.v1.TokenRequest")?;
        let (mut request, warnings) = body_type.decode(call, &options)?;
        request.set(&["spec", "expirationSeconds"], seconds(&request).into());
        // What the client asks for is its own; what is filled in is nobody's.
        let manager = ownership::manager_as(call, &options, API_VERSION);
        let reset = [Path::new("status")];
        managed::update(None, &mut request, &manager, &body_type.schema, &reset);
        let account = account(call, &request)?;
        // Admission sees what was asked for: a kubelet that asks for the default audience names none.
        let mut admitted = call.admission(
            Operation::Create,
            &call.info.name,
            Some(request.clone()),
            None,
            options.dry_run,
        );
        call.admit(&mut admitted)?;
        fill(&mut request, &account, call);
        check(&request)?;
        call.validate(&admitted)?;
        let bound = bound(call, &request)?;
        let seconds = seconds(&request);
        let audiences: Vec<String> = request
            .list_at(&["spec", "audiences"])
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect();
        let id = uuid::Uuid::new_v4().to_string();
        if let Some(audit) = &call.audit {
            // Source: apiserver `serviceaccount.IssuedCredentialIDAuditAnnotationKey`.
            let key = "authentication.kubernetes.io/issued-credential-id";
            audit.annotate(key, &format!("JTI={id}"));
        }
        let bound = bound.as_ref();
        let lifetime = Lifetime::of(seconds, bound, &audiences);
        let claims = tokens::claims(&account, bound, &audiences, lifetime, &id, call.now);
        let token = call
            .server
            .config()
            .tokens
            .sign(&claims)
            .map_err(|why| StatusError::internal(format!("failed to generate token: {why}")))?;
        // Who asked reads another one after the time that was asked for, however long this one is good.
        let ends = call
            .now
            .checked_add(SignedDuration::from_secs(seconds))
            .map_err(StatusError::internal)?;
        let status = json!({"token": token, "expirationTimestamp": meta::time::to_rfc3339(ends)});
        request.set(&["status"], status);
        answer(call, StatusCode::CREATED, &request, &warnings)
    }
}

/// The account, when the request is for it.
fn account(call: &Call, request: &Object) -> Result<Arc<Object>, StatusError> {
    let (name, namespace) = (&call.info.name, &call.info.namespace);
    let root = Path::new("metadata");
    let mismatch = |field: &str, value: &str| {
        let why = format!("must match the service account {field} if specified");
        let error = FieldError::invalid(&root.child(field), value, why);
        Err(StatusError::invalid(GROUP, "TokenRequest", name, &[error]))
    };
    if !request.name().is_empty() && request.name() != name {
        return mismatch("name", request.name());
    }
    if !request.namespace().is_empty() && request.namespace() != namespace {
        return mismatch("namespace", request.namespace());
    }
    let account = call
        .cluster()
        .get("serviceaccounts", namespace, name)
        .ok_or_else(|| call.not_found(name))?;
    if !request.uid().is_empty() && request.uid() != account.uid() {
        let why = format!(
            "the UID in the token request ({}) does not match the UID of the service account ({})",
            request.uid(),
            account.uid()
        );
        let resource = GroupResource::new(GROUP, "TokenRequest");
        return Err(StatusError::conflict(&resource, name, &why));
    }
    Ok(account)
}

fn fill(request: &mut Object, account: &Object, call: &Call) {
    if request.list_at(&["spec", "audiences"]).is_empty() {
        request.set(&["spec", "audiences"], json!([ISSUER]));
    }
    for (field, value) in [
        ("name", account.name()),
        ("namespace", account.namespace()),
        ("uid", account.uid()),
    ] {
        request.set(&["metadata", field], value.into());
    }
    let now = meta::time::to_rfc3339(call.now);
    request.set(&["metadata", "creationTimestamp"], now.into());
    request.remove(&["status"]);
}

fn seconds(request: &Object) -> i64 {
    request
        .int_at(&["spec", "expirationSeconds"])
        .unwrap_or(EXPIRATION_SECONDS_DEFAULT)
}

/// Source: `pkg/apis/authentication/validation` `ValidateTokenRequest`.
fn check(request: &Object) -> Result<(), StatusError> {
    let path = Path::new("spec").child("expirationSeconds");
    let seconds = seconds(request);
    let mut errors = Vec::new();
    if seconds < EXPIRATION_SECONDS_MIN {
        let why = "may not specify a duration less than 10 minutes";
        errors.push(FieldError::invalid(&path, seconds, why));
    }
    if seconds > EXPIRATION_SECONDS_MAX {
        let why = "may not specify a duration larger than 2^32 seconds";
        errors.push(FieldError::invalid(&path, seconds, why));
    }
    if errors.is_empty() {
        return Ok(());
    }
    Err(StatusError::invalid(GROUP, "TokenRequest", "", &errors))
}

/// The object the token is to be bound to, when the request names one.
fn bound(call: &Call, request: &Object) -> Result<Option<Bound>, StatusError> {
    let Some(reference) = request.at(&["spec", "boundObjectRef"]) else {
        return Ok(None);
    };
    let name = reference.name_of();
    let kind = reference.str_at(&["kind"]).unwrap_or_default();
    let api_version = reference.str_at(&["apiVersion"]).unwrap_or_default();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let (plural, namespace) = match (group, kind) {
        ("", "Pod") => ("pods", call.info.namespace.as_str()),
        ("", "Secret") => ("secrets", call.info.namespace.as_str()),
        ("", "Node") => ("nodes", ""),
        _ => {
            let why = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(StatusError::bad_request(why));
        }
    };
    if name.is_empty() {
        return Err(StatusError::bad_request("Name parameter required."));
    }
    let object = call
        .cluster()
        .get(plural, namespace, name)
        .ok_or_else(|| StatusError::not_found(&GroupResource::new("", plural), name))?;
    let account = &call.info.name;
    let runs_as = object.str_at(&["spec", "serviceAccountName"]);
    if kind == "Pod" && runs_as != Some(account) {
        let account = meta::field::quote(account);
        return Err(StatusError::bad_request(format!(
            "cannot bind token for serviceaccount {account} to pod running with different serviceaccount name."
        )));
    }
    let wanted = reference.str_at(&["uid"]).unwrap_or_default();
    if !wanted.is_empty() && wanted != object.uid() {
        let why = format!(
            "the UID in the bound object reference ({wanted}) does not match the UID in record. The object might have been deleted and then recreated"
        );
        return Err(StatusError::conflict(
            &GroupResource::new("", kind),
            name,
            &why,
        ));
    }
    let node = object
        .str_at(&["spec", "nodeName"])
        .filter(|_| kind == "Pod")
        .map(|node| {
            let found = call.cluster().get("nodes", "", node);
            let uid = found.map(|node| node.uid().to_owned()).unwrap_or_default();
            (node.to_owned(), uid)
        });
    Ok(Some(Bound {
        kind: kind.to_owned(),
        name: name.to_owned(),
        uid: object.uid().to_owned(),
        node,
    }))
}

/// References carry their name at the top.
trait Reference {
    fn name_of(&self) -> &str;
}

impl Reference for Value {
    fn name_of(&self) -> &str {
        self.str_at(&["name"]).unwrap_or_default()
    }
}
