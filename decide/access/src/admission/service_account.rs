//! ServiceAccount: every pod runs as a service account that exists, and finds its token mounted.
//!
//! Source: `plugin/pkg/admission/serviceaccount`.

use std::sync::Arc;

use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};
use serde_json::{Value, json};

use super::{Plugin, Request};
use crate::authn::service_account_token::EXTENDED_SECONDS;
use crate::node::MIRROR_POD;

const DEFAULT_NAME: &str = "default";
const TOKEN_VOLUME_PREFIX: &str = "kube-api-access-";
const TOKEN_MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Set to `true` on an account whose pods may only use the secrets it lists.
const ENFORCE_SECRETS: &str = "kubernetes.io/enforce-mountable-secrets";
/// Where containers are listed, with the word for one of them.
const NEW_LISTS: [(&str, &str); 2] = [
    ("initContainers", "init container"),
    ("containers", "container"),
];
const DEBUG_LISTS: [(&str, &str); 1] = [("ephemeralContainers", "ephemeral container")];

pub(super) struct ServiceAccount;

impl Plugin for ServiceAccount {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_for("pods", &[Operation::Create]) {
            return Ok(());
        }
        let Some(mut pod) = request.object.take() else {
            return Ok(());
        };
        let result = admit_pod(&mut pod, request, cluster);
        request.object = Some(pod);
        result
    }

    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_new = request.is_for("pods", &[Operation::Create]);
        let is_debugged = request.is_of("pods")
            && request.subresource == "ephemeralcontainers"
            && request.operation == Operation::Update;
        let Some(pod) = request.object.as_ref().filter(|_| is_new || is_debugged) else {
            return Ok(());
        };
        if is_new && pod.annotation(MIRROR_POD).is_some() {
            return validate_mirror(pod, request);
        }
        let name = pod
            .str_at(&["spec", "serviceAccountName"])
            .unwrap_or_default();
        let account = account(name, request, cluster)?;
        if account.annotation(ENFORCE_SECRETS) != Some("true") {
            return Ok(());
        }
        let lists: &[_] = if is_new { &NEW_LISTS } else { &DEBUG_LISTS };
        let refused = |why: String| request.forbidden(&why);
        check_containers(pod, &account, lists).map_err(refused)?;
        if is_new {
            check_pull_secrets(pod, &account).map_err(refused)?;
        }
        Ok(())
    }
}

fn account(
    name: &str,
    request: &Request<'_>,
    cluster: &dyn Lookup,
) -> Result<Arc<Object>, StatusError> {
    let missing = || {
        request.forbidden(&format!(
            "error looking up service account {}/{name}: serviceaccount {} not found",
            request.namespace,
            meta::field::quote(name)
        ))
    };
    cluster
        .get("serviceaccounts", &request.namespace, name)
        .ok_or_else(missing)
}

/// Volumes (for new pods) and environments may only use the secrets that the account lists.
///
/// Source: `limitSecretReferences`, `limitEphemeralContainerSecretReferences`.
fn check_containers(pod: &Object, account: &Object, lists: &[(&str, &str)]) -> Result<(), String> {
    let mountable = names(account, "secrets");
    let tail = format!(
        "is not allowed because service account {} does not reference that secret",
        account.name()
    );
    if lists.len() > DEBUG_LISTS.len() {
        for volume in pod.list_at(&["spec", "volumes"]) {
            let secret = volume.str_at(&["secret", "secretName"]);
            if let Some(secret) = secret.filter(|secret| !mountable.contains(secret)) {
                return Err(format!("volume with secret.secretName=\"{secret}\" {tail}"));
            }
        }
    }
    for (list, what) in lists {
        for container in pod.list_at(&["spec", list]) {
            let name = container.str_at(&["name"]).unwrap_or_default();
            for env in container.list_at(&["env"]) {
                let secret = env.str_at(&["valueFrom", "secretKeyRef", "name"]);
                if let Some(secret) = secret.filter(|secret| !mountable.contains(secret)) {
                    let env = env.str_at(&["name"]).unwrap_or_default();
                    return Err(format!(
                        "{what} {name} with envVar {env} referencing secret.secretName=\"{secret}\" {tail}"
                    ));
                }
            }
            for source in container.list_at(&["envFrom"]) {
                let secret = source.str_at(&["secretRef", "name"]);
                if let Some(secret) = secret.filter(|secret| !mountable.contains(secret)) {
                    return Err(format!(
                        "{what} {name} with envFrom referencing secret.secretName=\"{secret}\" {tail}"
                    ));
                }
            }
        }
    }
    Ok(())
}

fn check_pull_secrets(pod: &Object, account: &Object) -> Result<(), String> {
    let allowed = names(account, "imagePullSecrets");
    let wanted = pod.list_at(&["spec", "imagePullSecrets"]).iter();
    for (index, secret) in wanted.enumerate() {
        let name = secret.str_at(&["name"]).unwrap_or_default();
        if !allowed.contains(&name) {
            return Err(format!(
                "imagePullSecrets[{index}].name=\"{name}\" is not allowed because service account {} does not reference that imagePullSecret",
                account.name()
            ));
        }
    }
    Ok(())
}

fn names<'a>(account: &'a Object, field: &str) -> Vec<&'a str> {
    let references = account.list_at(&[field]).iter();
    references
        .filter_map(|reference| reference.str_at(&["name"]))
        .collect()
}

fn admit_pod(
    pod: &mut Object,
    request: &Request<'_>,
    cluster: &dyn Lookup,
) -> Result<(), StatusError> {
    if pod.annotation(MIRROR_POD).is_some() {
        return validate_mirror(pod, request);
    }
    let name = pod
        .str_at(&["spec", "serviceAccountName"])
        .filter(|name| !name.is_empty())
        .unwrap_or(DEFAULT_NAME);
    let name = name.to_owned();
    let account = account(&name, request, cluster)?;
    pod.set(&["spec", "serviceAccountName"], name.clone().into());
    pod.set(&["spec", "serviceAccount"], name.into());
    if wants_token(pod, &account) {
        mount_token(pod, &request.suffix);
    }
    let secrets = account.list_at(&["imagePullSecrets"]);
    if pod.list_at(&["spec", "imagePullSecrets"]).is_empty() && !secrets.is_empty() {
        pod.set(&["spec", "imagePullSecrets"], secrets.to_vec().into());
    }
    Ok(())
}

fn wants_token(pod: &Object, account: &Object) -> bool {
    let of_pod = pod.bool_at(&["spec", "automountServiceAccountToken"]);
    of_pod
        .or_else(|| account.bool_at(&["automountServiceAccountToken"]))
        .unwrap_or(true)
}

/// Mounts the token into every container that has nothing at its path; adds the volume when one needs it.
fn mount_token(pod: &mut Object, suffix: &str) {
    let volumes = pod.list_at(&["spec", "volumes"]).iter();
    let present = volumes
        .filter_map(|volume| volume.str_at(&["name"]))
        .find(|name| name.starts_with(TOKEN_VOLUME_PREFIX));
    let is_present = present.is_some();
    let name = present.map_or_else(|| format!("{TOKEN_VOLUME_PREFIX}{suffix}"), str::to_owned);
    let mount = json!({"name": name, "readOnly": true, "mountPath": TOKEN_MOUNT_PATH});
    let mut is_needed = false;
    for list in ["initContainers", "containers"] {
        let Some(containers) = pod
            .get_mut("spec")
            .and_then(|spec| spec.get_mut(list))
            .and_then(Value::as_array_mut)
        else {
            continue;
        };
        for container in containers {
            let mounts = container.list_at(&["volumeMounts"]);
            if mounts
                .iter()
                .any(|mount| mount.str_at(&["mountPath"]) == Some(TOKEN_MOUNT_PATH))
            {
                continue;
            }
            let mounts: Vec<Value> = mounts.iter().cloned().chain([mount.clone()]).collect();
            container.set(&["volumeMounts"], mounts.into());
            is_needed = true;
        }
    }
    if is_needed && !is_present {
        let volumes = pod.list_at(&["spec", "volumes"]).iter().cloned();
        let volumes: Vec<Value> = volumes.chain([token_volume(&name)]).collect();
        pod.set(&["spec", "volumes"], volumes.into());
    }
}

fn token_volume(name: &str) -> Value {
    json!({"name": name, "projected": {"defaultMode": 0o644, "sources": [
        {"serviceAccountToken": {"path": "token", "expirationSeconds": EXTENDED_SECONDS}},
        {"configMap": {"name": "kube-root-ca.crt", "items": [{"key": "ca.crt", "path": "ca.crt"}]}},
        {"downwardAPI": {"items": [{"path": "namespace",
            "fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.namespace"}}]}},
    ]}})
}

/// A mirror pod is a copy of a static pod, which has no identity.
fn validate_mirror(pod: &Object, request: &Request<'_>) -> Result<(), StatusError> {
    if pod
        .str_at(&["spec", "serviceAccountName"])
        .is_some_and(|name| !name.is_empty())
    {
        return Err(request.forbidden("a mirror pod may not reference service accounts"));
    }
    if !crate::node::secrets(pod).is_empty() {
        return Err(request.forbidden("a mirror pod may not reference secrets"));
    }
    let volumes = pod.list_at(&["spec", "volumes"]).iter();
    let mut sources = volumes.flat_map(|volume| volume.list_at(&["projected", "sources"]));
    if sources.any(|source| source.at(&["serviceAccountToken"]).is_some()) {
        let why = "a mirror pod may not use ServiceAccountToken volume projections";
        return Err(request.forbidden(why));
    }
    Ok(())
}
