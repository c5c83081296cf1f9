//! Files of volumes that are made from objects: ConfigMap, Secret, downward API, projected.
//!
//! Source: `pkg/volume/configmap`, `pkg/volume/secret`, `pkg/volume/downwardapi`, `pkg/volume/projected`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, DownwardAPIVolumeFile, KeyToPath, Pod, ProjectedVolumeSource, Secret, Volume,
};

use crate::downward::{self, DownwardError, Facts};
use crate::env::Sources;

/// Mode of files that state none.
const MODE_DEFAULT: u32 = 0o644;
/// Longest life of a token that states none, in seconds.
///
/// Source: `pkg/apis/core/v1/defaults.go`.
const TOKEN_SECONDS_DEFAULT: i64 = 3600;

/// A file of a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its bytes.
    pub data: Vec<u8>,
    /// Its permission bits.
    pub mode: u32,
    /// The user it belongs to; `None` for the agent's own.
    pub owner: Option<u32>,
}

/// Files of a volume, by path inside it.
pub type Files = BTreeMap<String, File>;

/// A service-account token that a volume needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TokenRequest {
    /// For whom it is meant; empty for the API server.
    pub audience: String,
    /// How long it is to live, in seconds.
    pub expiration_seconds: i64,
}

/// Why the files of a volume cannot be made, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// A ConfigMap does not exist.
    #[error("configmap \"{name}\" not found")]
    ConfigMap {
        /// Its name.
        name: String,
    },
    /// A Secret does not exist.
    #[error("secret \"{name}\" not found")]
    Secret {
        /// Its name.
        name: String,
    },
    /// An object lacks a key.
    #[error("references non-existent {kind} key: {key}")]
    Key {
        /// `config` or `secret`.
        kind: &'static str,
        /// The key.
        key: String,
    },
    /// A path leads out of the volume.
    #[error("invalid path: must not contain '..': {path}")]
    Path {
        /// The path.
        path: String,
    },
    /// A value of the downward API cannot be given.
    #[error(transparent)]
    Downward(#[from] DownwardError),
    /// A token was not handed out.
    #[error("failed to fetch token: {message}")]
    Token {
        /// The API server's words.
        message: String,
    },
}

/// Everything the files are made from.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The pod.
    pub pod: &'a Pod,
    /// ConfigMaps and Secrets.
    pub sources: &'a Sources,
    /// Facts for the downward API.
    pub facts: &'a Facts,
    /// Tokens that were handed out, or why not.
    pub tokens: &'a BTreeMap<TokenRequest, Result<String, String>>,
}

/// Makes the files of a volume; `None` for a volume that is not made from objects.
///
/// # Errors
/// Something it refers to, and that is not optional, does not exist.
pub fn files(volume: &Volume, inputs: Inputs<'_>) -> Result<Option<Files>, VolumeError> {
    let mut files = Files::new();
    if let Some(source) = &volume.config_map {
        let mode = mode(source.default_mode);
        let items = source.items.as_deref();
        add_config_map(
            &mut files,
            &source.name,
            items,
            source.optional,
            mode,
            inputs,
        )?;
    } else if let Some(source) = &volume.secret {
        let name = source.secret_name.clone().unwrap_or_default();
        let items = source.items.as_deref();
        add_secret(
            &mut files,
            &name,
            items,
            source.optional,
            mode(source.default_mode),
            inputs,
        )?;
    } else if let Some(source) = &volume.downward_api {
        let items = source.items.as_deref().unwrap_or_default();
        add_downward(&mut files, items, mode(source.default_mode), inputs)?;
    } else if let Some(source) = &volume.projected {
        add_projected(&mut files, source, inputs)?;
    } else {
        return Ok(None);
    }
    let leads_out =
        |path: &&String| path.starts_with('/') || path.split('/').any(|part| part == "..");
    if let Some(path) = files.keys().find(leads_out) {
        return Err(VolumeError::Path { path: path.clone() });
    }
    Ok(Some(files))
}

/// Tokens that the volumes of a pod need.
pub fn tokens(pod: &Pod) -> Vec<TokenRequest> {
    let volumes = pod
        .spec
        .iter()
        .flat_map(|spec| spec.volumes.iter().flatten());
    let sources = volumes
        .filter_map(|one| one.projected.as_ref()?.sources.as_ref())
        .flatten();
    let requests = sources.filter_map(|source| {
        let token = source.service_account_token.as_ref()?;
        Some(token_request(
            token.audience.as_ref(),
            token.expiration_seconds,
        ))
    });
    let mut all: Vec<_> = requests.collect();
    all.sort();
    all.dedup();
    all
}

/// Names of the ConfigMaps and Secrets a pod refers to, in volumes and environments.
pub fn references(pod: &Pod) -> (Vec<String>, Vec<String>) {
    let mut maps = Vec::new();
    let mut secrets = Vec::new();
    let Some(spec) = &pod.spec else {
        return (maps, secrets);
    };
    for volume in spec.volumes.iter().flatten() {
        maps.extend(volume.config_map.iter().map(|one| one.name.clone()));
        secrets.extend(
            volume
                .secret
                .iter()
                .filter_map(|one| one.secret_name.clone()),
        );
        let projected = volume
            .projected
            .iter()
            .flat_map(|one| one.sources.iter().flatten());
        for source in projected {
            maps.extend(source.config_map.iter().map(|one| one.name.clone()));
            secrets.extend(source.secret.iter().map(|one| one.name.clone()));
        }
    }
    let ephemeral = crate::pod::spec::ephemeral(spec);
    for container in crate::pod::spec::all(spec).chain(&ephemeral) {
        for from in container.env_from.iter().flatten() {
            maps.extend(from.config_map_ref.iter().map(|one| one.name.clone()));
            secrets.extend(from.secret_ref.iter().map(|one| one.name.clone()));
        }
        for source in container
            .env
            .iter()
            .flatten()
            .filter_map(|one| one.value_from.as_ref())
        {
            maps.extend(source.config_map_key_ref.iter().map(|one| one.name.clone()));
            secrets.extend(source.secret_key_ref.iter().map(|one| one.name.clone()));
        }
    }
    for list in [&mut maps, &mut secrets] {
        list.retain(|name| !name.is_empty());
        list.sort();
        list.dedup();
    }
    (maps, secrets)
}

fn token_request(audience: Option<&String>, seconds: Option<i64>) -> TokenRequest {
    TokenRequest {
        audience: audience.cloned().unwrap_or_default(),
        expiration_seconds: seconds.unwrap_or(TOKEN_SECONDS_DEFAULT),
    }
}

fn mode(stated: Option<i32>) -> u32 {
    stated
        .and_then(|mode| u32::try_from(mode).ok())
        .unwrap_or(MODE_DEFAULT)
}

fn add_projected(
    files: &mut Files,
    source: &ProjectedVolumeSource,
    inputs: Inputs<'_>,
) -> Result<(), VolumeError> {
    let default = mode(source.default_mode);
    for one in source.sources.iter().flatten() {
        if let Some(map) = &one.config_map {
            add_config_map(
                files,
                &map.name,
                map.items.as_deref(),
                map.optional,
                default,
                inputs,
            )?;
        }
        if let Some(secret) = &one.secret {
            add_secret(
                files,
                &secret.name,
                secret.items.as_deref(),
                secret.optional,
                default,
                inputs,
            )?;
        }
        if let Some(own) = &one.downward_api {
            add_downward(
                files,
                own.items.as_deref().unwrap_or_default(),
                default,
                inputs,
            )?;
        }
        if let Some(token) = &one.service_account_token {
            let request = token_request(token.audience.as_ref(), token.expiration_seconds);
            let answer = inputs.tokens.get(&request);
            let text = match answer {
                Some(Ok(text)) => text.clone(),
                Some(Err(message)) => {
                    let message = message.clone();
                    return Err(VolumeError::Token { message });
                }
                None => {
                    let message = "not asked for yet".to_owned();
                    return Err(VolumeError::Token { message });
                }
            };
            let owner = only_user(inputs.pod);
            let is_shared = crate::security::of_pod(inputs.pod).fs_group.is_some();
            let file = File {
                data: text.into_bytes(),
                mode: if is_shared || owner.is_some() {
                    0o600
                } else {
                    default
                },
                owner,
            };
            files.insert(token.path.clone(), file);
        }
    }
    Ok(())
}

/// The user all containers run as, if they state one and the same: tokens belong to it alone.
///
/// Source: `pkg/volume/projected/projected.go`, `pkg/volume/util`, `FsUserFrom`.
fn only_user(pod: &Pod) -> Option<u32> {
    let users: std::collections::BTreeSet<Option<i64>> = pod
        .spec
        .iter()
        .flat_map(crate::pod::spec::all)
        .map(|one| crate::security::effective(pod, one).run_as_user)
        .collect();
    let only = users.first().filter(|_| users.len() == 1)?;
    only.and_then(|user| u32::try_from(user).ok())
}

fn add_config_map(
    files: &mut Files,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
    inputs: Inputs<'_>,
) -> Result<(), VolumeError> {
    let is_optional = optional == Some(true);
    let found = inputs
        .sources
        .config_maps
        .get(name)
        .and_then(Option::as_ref);
    let payload = match found {
        Some(map) => config_map_payload(map),
        None if is_optional => BTreeMap::new(),
        None => {
            let name = name.to_owned();
            return Err(VolumeError::ConfigMap { name });
        }
    };
    add_payload(files, &payload, items, is_optional, mode, "config")
}

fn config_map_payload(map: &ConfigMap) -> BTreeMap<String, Vec<u8>> {
    let text = map
        .data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.clone().into_bytes()));
    let binary = map
        .binary_data
        .iter()
        .flatten()
        .map(|(key, value)| (key.clone(), value.0.clone()));
    text.chain(binary).collect()
}

fn add_secret(
    files: &mut Files,
    name: &str,
    items: Option<&[KeyToPath]>,
    optional: Option<bool>,
    mode: u32,
    inputs: Inputs<'_>,
) -> Result<(), VolumeError> {
    let is_optional = optional == Some(true);
    let found: Option<&Secret> = inputs.sources.secrets.get(name).and_then(Option::as_ref);
    let data = match found {
        Some(secret) => secret.data.clone().unwrap_or_default(),
        None if is_optional => BTreeMap::new(),
        None => {
            let name = name.to_owned();
            return Err(VolumeError::Secret { name });
        }
    };
    let payload = data
        .into_iter()
        .map(|(key, value)| (key, value.0))
        .collect();
    add_payload(files, &payload, items, is_optional, mode, "secret")
}

/// All keys under their own names, or only those listed, under the names given.
fn add_payload(
    files: &mut Files,
    payload: &BTreeMap<String, Vec<u8>>,
    items: Option<&[KeyToPath]>,
    is_optional: bool,
    mode_default: u32,
    kind: &'static str,
) -> Result<(), VolumeError> {
    let Some(items) = items.filter(|items| !items.is_empty()) else {
        for (key, data) in payload {
            let data = data.clone();
            let mode = mode_default;
            let owner = None;
            files.insert(key.clone(), File { data, mode, owner });
        }
        return Ok(());
    };
    for item in items {
        match payload.get(&item.key) {
            Some(data) => {
                let file = File {
                    data: data.clone(),
                    mode: item.mode.map_or(mode_default, |own| mode(Some(own))),
                    owner: None,
                };
                files.insert(item.path.clone(), file);
            }
            None if is_optional => {}
            None => {
                let key = item.key.clone();
                return Err(VolumeError::Key { kind, key });
            }
        }
    }
    Ok(())
}

fn add_downward(
    files: &mut Files,
    items: &[DownwardAPIVolumeFile],
    mode_default: u32,
    inputs: Inputs<'_>,
) -> Result<(), VolumeError> {
    for item in items {
        let text = match (&item.field_ref, &item.resource_field_ref) {
            (Some(selector), _) => downward::field(inputs.pod, selector, inputs.facts)?,
            (None, Some(selector)) => downward::resource(inputs.pod, None, selector, inputs.facts)?,
            (None, None) => String::new(),
        };
        let file = File {
            data: text.into_bytes(),
            mode: item.mode.map_or(mode_default, |own| mode(Some(own))),
            owner: None,
        };
        files.insert(item.path.clone(), file);
    }
    Ok(())
}

/// Whether volumes show labels or annotations of the pod that changed.
pub fn shows_change(before: &Pod, after: &Pod) -> bool {
    let (was, is) = (&before.metadata, &after.metadata);
    let changed = [
        ("metadata.labels", was.labels != is.labels),
        ("metadata.annotations", was.annotations != is.annotations),
    ];
    let spec = after.spec.iter();
    let volumes = spec.flat_map(|spec| spec.volumes.iter().flatten());
    let mut items = volumes.flat_map(|volume| {
        let projected = volume.projected.iter();
        let projected = projected.flat_map(|one| one.sources.iter().flatten());
        let own = volume.downward_api.iter();
        let own = own.flat_map(|one| one.items.iter().flatten());
        let projected = projected.filter_map(|one| one.downward_api.as_ref());
        own.chain(projected.flat_map(|one| one.items.iter().flatten()))
    });
    items.any(|item| {
        let path = item.field_ref.as_ref().map(|field| &*field.field_path);
        let shows = |field: &str| path.is_some_and(|path| path.starts_with(field));
        changed.iter().any(|(field, is)| *is && shows(field))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn made(volume: Value) -> Result<Option<Files>, VolumeError> {
        let pod: Pod = serde_json::from_value(json!({ "metadata": { "name": "web", "labels": { "a": "b" } }, "spec": { "containers": [] } })).unwrap();
        let map: ConfigMap = serde_json::from_value(
            json!({ "data": { "k": "v", "l": "w" }, "binaryData": { "b": "AAE=" } }),
        )
        .unwrap();
        let sources = Sources {
            config_maps: [("map".to_owned(), Some(map))].into(),
            ..Sources::default()
        };
        let tokens = [(token_request(None, None), Ok("jwt".to_owned()))].into();
        let volume: Volume = serde_json::from_value(volume).unwrap();
        let inputs = Inputs {
            pod: &pod,
            sources: &sources,
            facts: &Facts::default(),
            tokens: &tokens,
        };
        files(&volume, inputs)
    }

    fn text(files: &Files, path: &str) -> String {
        String::from_utf8(files[path].data.clone()).unwrap()
    }

    #[test]
    fn a_config_map_gives_a_file_per_key() {
        let files =
            made(json!({ "name": "v", "configMap": { "name": "map", "defaultMode": 256 } }))
                .unwrap()
                .unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["b", "k", "l"]);
        assert_eq!(
            (files["b"].data.as_slice(), files["k"].mode),
            ([0, 1].as_slice(), 0o400)
        );
    }

    #[test]
    fn items_choose_and_rename() {
        let items = json!([{ "key": "k", "path": "d/x", "mode": 511 }]);
        let files = made(json!({ "name": "v", "configMap": { "name": "map", "items": items } }))
            .unwrap()
            .unwrap();
        assert_eq!(files.keys().collect::<Vec<_>>(), ["d/x"]);
        assert_eq!(files["d/x"].mode, 0o777);
        let gone = json!([{ "key": "no", "path": "x" }]);
        let error = made(json!({ "name": "v", "configMap": { "name": "map", "items": gone } }))
            .unwrap_err();
        assert_eq!(error.to_string(), "references non-existent config key: no");
    }

    #[test]
    fn what_is_missing_fails_unless_optional() {
        let error = made(json!({ "name": "v", "secret": { "secretName": "no" } })).unwrap_err();
        assert_eq!(error.to_string(), "secret \"no\" not found");
        let files =
            made(json!({ "name": "v", "secret": { "secretName": "no", "optional": true } }))
                .unwrap();
        assert_eq!(files, Some(Files::new()));
    }

    #[test]
    fn projected_sources_share_one_volume() {
        let sources = json!([{ "configMap": { "name": "map" } }, { "serviceAccountToken": { "path": "token" } },
            { "downwardAPI": { "items": [{ "path": "labels", "fieldRef": { "fieldPath": "metadata.labels" } }] } }]);
        let files = made(json!({ "name": "v", "projected": { "sources": sources } }))
            .unwrap()
            .unwrap();
        assert_eq!(text(&files, "token"), "jwt");
        assert_eq!(text(&files, "labels"), "a=\"b\"");
        assert_eq!(files.len(), 5);
    }

    #[test]
    fn a_change_of_what_volumes_show_is_seen() {
        let pod = |path: &str, labels: Value| -> Pod {
            let items = json!([{ "path": "x", "fieldRef": { "fieldPath": path } }]);
            let sources = json!([{ "downwardAPI": { "items": items } }]);
            let volume = json!({ "name": "v", "projected": { "sources": sources } });
            let pod = json!({ "metadata": { "labels": labels }, "spec": { "containers": [], "volumes": [volume] } });
            serde_json::from_value(pod).unwrap()
        };
        let (old, new) = (json!({ "a": "b" }), json!({ "a": "c" }));
        for (path, now, wanted) in [
            ("metadata.labels", &new, true),
            ("metadata.labels['a']", &new, true),
            ("metadata.labels", &old, false),
            ("metadata.annotations", &new, false),
            ("metadata.namespace", &new, false),
        ] {
            let (before, after) = (pod(path, old.clone()), pod(path, now.clone()));
            assert_eq!(shows_change(&before, &after), wanted, "{path} {now}");
        }
    }

    #[test]
    fn a_path_cannot_leave_the_volume() {
        let items = json!([{ "key": "k", "path": "../x" }]);
        assert!(
            made(json!({ "name": "v", "configMap": { "name": "map", "items": items } })).is_err()
        );
        assert_eq!(made(json!({ "name": "v", "emptyDir": {} })).unwrap(), None);
    }
}
