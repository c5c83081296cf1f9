//! What a pod or a volume names that the API has to give.
//!
//! Source: `pkg/api/v1/pod` `VisitPodSecretNames` and its siblings, `pkg/api/v1/persistentvolume` `VisitPVSecretNames`.

use std::borrow::Cow;

use meta::{Object, ObjectExt};

/// Sources of a pod's volumes with where they name a secret.
const SECRETS: [(&str, &[&str]); 10] = [
    ("azureFile", &["secretName"]),
    ("cephfs", &["secretRef", "name"]),
    ("cinder", &["secretRef", "name"]),
    ("flexVolume", &["secretRef", "name"]),
    ("rbd", &["secretRef", "name"]),
    ("secret", &["secretName"]),
    ("scaleIO", &["secretRef", "name"]),
    ("iscsi", &["secretRef", "name"]),
    ("storageos", &["secretRef", "name"]),
    ("csi", &["nodePublishSecretRef", "name"]),
];

/// Sources of persistent volumes with their references to secrets that a kubelet may read.
const VOLUME_SECRETS: [(&str, &[&str]); 8] = [
    ("cephfs", &["secretRef"]),
    ("cinder", &["secretRef"]),
    ("flexVolume", &["secretRef"]),
    ("rbd", &["secretRef"]),
    ("scaleIO", &["secretRef"]),
    ("iscsi", &["secretRef"]),
    ("storageos", &["secretRef"]),
    (
        "csi",
        &[
            "nodePublishSecretRef",
            "nodeStageSecretRef",
            "nodeExpandSecretRef",
        ],
    ),
];

type Names<'a> = Vec<Cow<'a, str>>;

/// Names that are not empty.
fn names<'a>(names: impl IntoIterator<Item = &'a str>) -> Names<'a> {
    let names = names.into_iter().filter(|name| !name.is_empty());
    names.map(Cow::Borrowed).collect()
}

pub(super) fn account(pod: &Object) -> Names<'_> {
    names(pod.str_at(&["spec", "serviceAccountName"]))
}

/// The claims for devices that a pod names, or that were made for it.
pub(super) fn resource_claims(pod: &Object) -> Names<'_> {
    let named = pod.list_at(&["spec", "resourceClaims"]).iter();
    let made = pod.list_at(&["status", "resourceClaimStatuses"]).iter();
    let extended = ["status", "extendedResourceClaimStatus", "resourceClaimName"];
    names(
        named
            .chain(made)
            .filter_map(|claim| claim.str_at(&["resourceClaimName"]))
            .chain(pod.str_at(&extended)),
    )
}

fn containers(pod: &Object) -> impl Iterator<Item = &Object> {
    ["initContainers", "containers", "ephemeralContainers"]
        .into_iter()
        .flat_map(|list| pod.list_at(&["spec", list]))
}

fn env_names<'a>(pod: &'a Object, from: &'a str, key: &'a str) -> impl Iterator<Item = &'a str> {
    containers(pod).flat_map(move |container| {
        let whole = container.list_at(&["envFrom"]).iter();
        let whole = whole.filter_map(move |source| source.str_at(&[from, "name"]));
        let one = container.list_at(&["env"]).iter();
        whole.chain(one.filter_map(move |env| env.str_at(&["valueFrom", key, "name"])))
    })
}

fn volumes(pod: &Object) -> impl Iterator<Item = &Object> {
    pod.list_at(&["spec", "volumes"]).iter()
}

fn projected<'a>(pod: &'a Object, source: &'a str) -> impl Iterator<Item = &'a str> {
    volumes(pod)
        .flat_map(|volume| volume.list_at(&["projected", "sources"]))
        .filter_map(move |item| item.str_at(&[source, "name"]))
}

pub(crate) fn secrets(pod: &Object) -> Names<'_> {
    let of_volumes = volumes(pod).flat_map(|volume| {
        let named = SECRETS.iter();
        named.filter_map(|(source, path)| volume.get(source)?.str_at(path))
    });
    let pull = pod.list_at(&["spec", "imagePullSecrets"]).iter();
    names(
        env_names(pod, "secretRef", "secretKeyRef")
            .chain(of_volumes)
            .chain(projected(pod, "secret"))
            .chain(pull.filter_map(|secret| secret.str_at(&["name"]))),
    )
}

pub(crate) fn config_maps(pod: &Object) -> Names<'_> {
    let of_volumes = volumes(pod).filter_map(|volume| volume.str_at(&["configMap", "name"]));
    names(
        env_names(pod, "configMapRef", "configMapKeyRef")
            .chain(of_volumes)
            .chain(projected(pod, "configMap")),
    )
}

/// The claims for volumes that a pod names, or that are made for it under its own name.
pub(super) fn claims(pod: &Object) -> Names<'_> {
    let claims = volumes(pod).filter_map(|volume| {
        let named = volume.str_at(&["persistentVolumeClaim", "claimName"]);
        named.map(Cow::Borrowed).or_else(|| {
            volume.get("ephemeral")?;
            let name = volume.str_at(&["name"])?;
            Some(format!("{}-{name}", pod.name()).into())
        })
    });
    claims.collect()
}

/// Namespaces and names of the secrets that a kubelet needs to use a volume. Without a namespace they lie with its claim.
pub(super) fn volume_secrets(volume: &Object) -> impl Iterator<Item = (&str, &str)> {
    let text = |path: &[&str]| {
        volume
            .get("spec")?
            .str_at(path)
            .filter(|text| !text.is_empty())
    };
    let of_claim = text(&["claimRef", "namespace"]).unwrap_or_default();
    let azure = text(&["azureFile", "secretName"]);
    let azure = azure.map(|name| {
        let namespace = text(&["azureFile", "secretNamespace"]);
        (namespace.unwrap_or(of_claim), name)
    });
    let references = VOLUME_SECRETS
        .iter()
        .flat_map(|(source, fields)| fields.iter().map(move |field| (*source, *field)));
    azure
        .into_iter()
        .chain(references.filter_map(move |(source, field)| {
            let name = text(&[source, field, "name"])?;
            let namespace = text(&[source, field, "namespace"]);
            Some((namespace.unwrap_or(of_claim), name))
        }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_source_that_names_a_secret_is_read() {
        let mut sources = Vec::new();
        for (source, path) in SECRETS {
            let mut volume = json!({"name": "v"});
            let path: Vec<&str> = [source].into_iter().chain(path.iter().copied()).collect();
            volume.set(&path, source.into());
            sources.push(volume);
        }
        sources.push(
            json!({"name": "e", "projected": {"sources": [{"secret": {"name": "projected"}}]}}),
        );
        let container = json!({"envFrom": [{"secretRef": {"name": "from"}}, {"secretRef": {"name": ""}}],
            "env": [{"valueFrom": {"secretKeyRef": {"name": "key"}}}]});
        let pod = json!({"spec": {"volumes": sources, "ephemeralContainers": [container],
            "imagePullSecrets": [{"name": "pull"}]}});
        let mut wanted: Vec<&str> = SECRETS.iter().map(|(source, _)| *source).collect();
        wanted.splice(0..0, ["from", "key"]);
        wanted.extend(["projected", "pull"]);
        assert_eq!(secrets(&pod), wanted);
    }

    #[test]
    fn claims_made_for_a_pod_bear_its_name() {
        let pod = json!({"metadata": {"name": "p"}, "spec": {"volumes": [
            {"name": "a", "persistentVolumeClaim": {"claimName": "c"}}, {"name": "b", "ephemeral": {}}, {"name": "d"}]}});
        assert_eq!(claims(&pod), ["c", "p-b"]);
    }

    #[test]
    fn secrets_of_a_volume_lie_with_its_claim_unless_it_says_where() {
        let volume = json!({"spec": {"claimRef": {"namespace": "web"}, "azureFile": {"secretName": "a"},
            "csi": {"nodeStageSecretRef": {"name": "s", "namespace": "csi"}, "controllerExpandSecretRef": {"name": "x"}},
            "rbd": {"secretRef": {"name": "r"}}}});
        let found: Vec<_> = volume_secrets(&volume).collect();
        assert_eq!(found, [("web", "a"), ("web", "r"), ("csi", "s")]);
    }
}
