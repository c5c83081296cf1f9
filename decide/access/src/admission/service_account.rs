//! ServiceAccount: every pod runs as a service account that exists, and finds its token mounted.
//!
//! Source: `plugin/pkg/admission/serviceaccount`.

use kinds::strategy::{Lookup, Operation};
use meta::{Object, ObjectExt, StatusError};
use serde_json::{Value, json};

use super::{Plugin, Request};

const DEFAULT_NAME: &str = "default";
const TOKEN_VOLUME_PREFIX: &str = "kube-api-access-";
const TOKEN_MOUNT_PATH: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// Lifetime of mounted tokens. Source: `WarnOnlyBoundTokenExpirationSeconds`.
const TOKEN_SECONDS: i64 = 3607;
const MIRROR_POD: &str = "kubernetes.io/config.mirror";

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

    fn validate(&self, request: &Request<'_>, _cluster: &dyn Lookup) -> Result<(), StatusError> {
        let is_pod = request.is_for("pods", &[Operation::Create]);
        match &request.object {
            Some(pod) if is_pod && pod.annotation(MIRROR_POD).is_some() => {
                validate_mirror(pod, request)
            }
            _ => Ok(()),
        }
    }
}

fn admit_pod(
    pod: &mut Object,
    request: &Request<'_>,
    cluster: &dyn Lookup,
) -> Result<(), StatusError> {
    if pod.annotation(MIRROR_POD).is_some() {
        return Ok(());
    }
    let name = pod
        .str_at(&["spec", "serviceAccountName"])
        .filter(|name| !name.is_empty())
        .unwrap_or(DEFAULT_NAME);
    let name = name.to_owned();
    let Some(account) = cluster.get("serviceaccounts", &request.namespace, &name) else {
        let why = format!(
            "error looking up service account {}/{name}: serviceaccount {} not found",
            request.namespace,
            meta::field::quote(&name)
        );
        return Err(request.forbidden(&why));
    };
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
        {"serviceAccountToken": {"path": "token", "expirationSeconds": TOKEN_SECONDS}},
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
    let volumes = pod.list_at(&["spec", "volumes"]);
    if volumes
        .iter()
        .any(|volume| volume.at(&["secret"]).is_some())
    {
        return Err(request.forbidden("a mirror pod may not reference secrets"));
    }
    Ok(())
}
