//! The environment of a container.
//!
//! Source: `pkg/kubelet/kubelet_pods.go` (`makeEnvironmentVariables`), `pkg/kubelet/envvars`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    ConfigMap, Container, EnvFromSource, EnvVarSource, Pod, Secret, Service,
};

use crate::downward::{self, DownwardError, Facts};
use crate::expand::expand;

/// Objects a pod's environment and volumes are made from; `None` for one that does not exist.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    /// ConfigMaps of the pod's namespace, by name.
    pub config_maps: BTreeMap<String, Option<ConfigMap>>,
    /// Secrets of the pod's namespace, by name.
    pub secrets: BTreeMap<String, Option<Secret>>,
    /// Services of the pod's namespace, and `kubernetes` of `default`.
    pub services: Vec<Service>,
}

/// Why an environment cannot be made, in upstream's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// A ConfigMap does not exist.
    #[error("configmap {name:?} not found")]
    ConfigMap {
        /// Its name.
        name: String,
    },
    /// A Secret does not exist.
    #[error("secret {name:?} not found")]
    Secret {
        /// Its name.
        name: String,
    },
    /// An object has no such key.
    #[error("couldn't find key {key} in {kind} {namespace}/{name}")]
    Key {
        /// The key.
        key: String,
        /// `ConfigMap` or `Secret`.
        kind: &'static str,
        /// The namespace.
        namespace: String,
        /// The object's name.
        name: String,
    },
    /// A value of the downward API cannot be given.
    #[error(transparent)]
    Downward(#[from] DownwardError),
}

/// Makes the environment, in order of names.
///
/// # Errors
/// Something it refers to, and that is not optional, does not exist.
pub fn environment(
    pod: &Pod,
    container: &Container,
    sources: &Sources,
    facts: &Facts,
) -> Result<BTreeMap<String, String>, EnvError> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let links = pod
        .spec
        .as_ref()
        .and_then(|spec| spec.enable_service_links)
        .unwrap_or(true);
    let services = service_variables(&sources.services, namespace, links);
    let mut own = BTreeMap::new();
    for from in container.env_from.iter().flatten() {
        add_all(&mut own, from, sources)?;
    }
    for variable in container.env.iter().flatten() {
        let value = match (&variable.value, &variable.value_from) {
            (Some(text), _) if !text.is_empty() => {
                let known = |name: &str| own.get(name).or_else(|| services.get(name)).cloned();
                Some(expand(text, known))
            }
            (_, Some(source)) => resolve(pod, container, source, sources, facts)?,
            _ => Some(String::new()),
        };
        if let Some(value) = value {
            own.insert(variable.name.clone(), value);
        }
    }
    let mut all = services;
    all.extend(own);
    Ok(all)
}

fn add_all(
    into: &mut BTreeMap<String, String>,
    from: &EnvFromSource,
    sources: &Sources,
) -> Result<(), EnvError> {
    let prefix = from.prefix.as_deref().unwrap_or_default();
    let prefixed = |key: &String| format!("{prefix}{key}");
    if let Some(reference) = &from.config_map_ref {
        match find(&sources.config_maps, &reference.name) {
            Some(map) => into.extend(
                map.data
                    .iter()
                    .flatten()
                    .map(|(key, value)| (prefixed(key), value.clone())),
            ),
            None if reference.optional == Some(true) => {}
            None => {
                return Err(EnvError::ConfigMap {
                    name: reference.name.clone(),
                });
            }
        }
    }
    if let Some(reference) = &from.secret_ref {
        match find(&sources.secrets, &reference.name) {
            Some(secret) => into.extend(
                secret
                    .data
                    .iter()
                    .flatten()
                    .map(|(key, value)| (prefixed(key), lossy(&value.0))),
            ),
            None if reference.optional == Some(true) => {}
            None => {
                return Err(EnvError::Secret {
                    name: reference.name.clone(),
                });
            }
        }
    }
    Ok(())
}

/// The value a source gives; `None` when it is optional and not there.
fn resolve(
    pod: &Pod,
    container: &Container,
    source: &EnvVarSource,
    sources: &Sources,
    facts: &Facts,
) -> Result<Option<String>, EnvError> {
    let namespace = pod.metadata.namespace.clone().unwrap_or_default();
    if let Some(selector) = &source.field_ref {
        return Ok(Some(downward::field(pod, selector, facts)?));
    }
    if let Some(selector) = &source.resource_field_ref {
        return Ok(Some(downward::resource(
            pod,
            Some(container),
            selector,
            facts,
        )?));
    }
    if let Some(selector) = &source.config_map_key_ref {
        let is_optional = selector.optional == Some(true);
        let Some(map) = find(&sources.config_maps, &selector.name) else {
            let missing = EnvError::ConfigMap {
                name: selector.name.clone(),
            };
            return if is_optional { Ok(None) } else { Err(missing) };
        };
        let value = map
            .data
            .as_ref()
            .and_then(|data| data.get(&selector.key))
            .cloned();
        let missing = || key_missing(&selector.key, "ConfigMap", namespace, &selector.name);
        return optional(value, is_optional, missing);
    }
    if let Some(selector) = &source.secret_key_ref {
        let is_optional = selector.optional == Some(true);
        let Some(secret) = find(&sources.secrets, &selector.name) else {
            let missing = EnvError::Secret {
                name: selector.name.clone(),
            };
            return if is_optional { Ok(None) } else { Err(missing) };
        };
        let value = secret
            .data
            .as_ref()
            .and_then(|data| data.get(&selector.key));
        let missing = || key_missing(&selector.key, "Secret", namespace, &selector.name);
        return optional(value.map(|bytes| lossy(&bytes.0)), is_optional, missing);
    }
    Ok(Some(String::new()))
}

fn optional(
    value: Option<String>,
    is_optional: bool,
    missing: impl FnOnce() -> EnvError,
) -> Result<Option<String>, EnvError> {
    match value {
        None if !is_optional => Err(missing()),
        value => Ok(value),
    }
}

fn key_missing(key: &str, kind: &'static str, namespace: String, name: &str) -> EnvError {
    EnvError::Key {
        key: key.to_owned(),
        kind,
        namespace,
        name: name.to_owned(),
    }
}

fn find<'a, T>(objects: &'a BTreeMap<String, Option<T>>, name: &str) -> Option<&'a T> {
    objects.get(name).and_then(Option::as_ref)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Variables that tell where services are, in the style of Docker links.
///
/// Source: `pkg/kubelet/envvars/envvars.go`, `pkg/kubelet/kubelet_pods.go` (`getServiceEnvVarMap`).
fn service_variables(
    services: &[Service],
    namespace: &str,
    with_links: bool,
) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    for service in services {
        let name = service.metadata.name.as_deref().unwrap_or_default();
        let of = service.metadata.namespace.as_deref().unwrap_or_default();
        let is_master = of == "default" && name == "kubernetes";
        if !(is_master || with_links && of == namespace) {
            continue;
        }
        let spec = service.spec.clone().unwrap_or_default();
        let ip = spec.cluster_ip.unwrap_or_default();
        if ip.is_empty() || ip == "None" {
            continue;
        }
        let ports = spec.ports.unwrap_or_default();
        let prefix = name.to_ascii_uppercase().replace('-', "_");
        let host = if ip.contains(':') {
            format!("[{ip}]")
        } else {
            ip.clone()
        };
        all.insert(format!("{prefix}_SERVICE_HOST"), ip.clone());
        for (index, port) in ports.iter().enumerate() {
            if index == 0 {
                all.insert(format!("{prefix}_SERVICE_PORT"), port.port.to_string());
            }
            if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
                let port_name = port_name.to_ascii_uppercase().replace('-', "_");
                all.insert(
                    format!("{prefix}_SERVICE_PORT_{port_name}"),
                    port.port.to_string(),
                );
            }
            let protocol = port.protocol.as_deref().unwrap_or("TCP");
            let url = format!("{}://{host}:{}", protocol.to_ascii_lowercase(), port.port);
            let link = format!("{prefix}_PORT_{}_{protocol}", port.port);
            if index == 0 {
                all.insert(format!("{prefix}_PORT"), url.clone());
            }
            all.insert(link.clone(), url);
            all.insert(format!("{link}_PROTO"), protocol.to_ascii_lowercase());
            all.insert(format!("{link}_PORT"), port.port.to_string());
            all.insert(format!("{link}_ADDR"), ip.clone());
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn sources() -> Sources {
        let map: ConfigMap =
            serde_json::from_value(json!({ "data": { "k": "v", "k2": "v2" } })).unwrap();
        let secret: Secret = serde_json::from_value(json!({ "data": { "pw": "aGk=" } })).unwrap();
        let service: Service = serde_json::from_value(json!({
            "metadata": { "name": "my-db", "namespace": "shop" },
            "spec": { "clusterIP": "10.96.0.7", "ports": [{ "port": 5432, "name": "pg" }] } }))
        .unwrap();
        Sources {
            config_maps: [("map".to_owned(), Some(map)), ("gone".to_owned(), None)].into(),
            secrets: [("secret".to_owned(), Some(secret))].into(),
            services: vec![service],
        }
    }

    fn made(container: Value) -> Result<BTreeMap<String, String>, EnvError> {
        let pod: Pod =
            serde_json::from_value(json!({ "metadata": { "namespace": "shop", "name": "web" } }))
                .unwrap();
        let container = serde_json::from_value(container).unwrap();
        environment(&pod, &container, &sources(), &Facts::default())
    }

    #[test]
    fn values_expand_what_was_declared_before() {
        let env = made(json!({ "name": "a", "env": [
            { "name": "A", "value": "1" }, { "name": "B", "value": "$(A)-$(C)-$(MY_DB_SERVICE_HOST)" },
            { "name": "C", "value": "3" } ] }))
        .unwrap();
        assert_eq!(env["B"], "1-$(C)-10.96.0.7");
        assert_eq!(env["MY_DB_PORT_5432_TCP_ADDR"], "10.96.0.7");
        assert_eq!(env["MY_DB_SERVICE_PORT_PG"], "5432");
    }

    #[test]
    fn later_sources_win_and_prefixes_apply() {
        let env = made(json!({ "name": "a",
            "envFrom": [{ "prefix": "P_", "configMapRef": { "name": "map" } }, { "secretRef": { "name": "secret" } }],
            "env": [{ "name": "P_k", "value": "own" }] }))
        .unwrap();
        assert_eq!(
            (
                env["P_k"].as_str(),
                env["P_k2"].as_str(),
                env["pw"].as_str()
            ),
            ("own", "v2", "hi")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let by_key = |selector: Value| {
            made(json!({ "name": "a", "env": [{ "name": "A", "valueFrom": selector }] }))
        };
        let error =
            by_key(json!({ "configMapKeyRef": { "name": "map", "key": "x" } })).unwrap_err();
        assert_eq!(
            error.to_string(),
            "couldn't find key x in ConfigMap shop/map"
        );
        let error = by_key(json!({ "secretKeyRef": { "name": "no", "key": "x" } })).unwrap_err();
        assert_eq!(error.to_string(), "secret \"no\" not found");
        let env =
            by_key(json!({ "configMapKeyRef": { "name": "gone", "key": "x", "optional": true } }))
                .unwrap();
        assert!(!env.contains_key("A"));
    }
}
