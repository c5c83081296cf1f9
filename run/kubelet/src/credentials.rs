//! Credentials for registries, from the pod's pull secrets.
//!
//! Source: `pkg/credentialprovider`.

use base64::Engine as _;
use cri::v1::AuthConfig;
use k8s_openapi::api::core::v1::Secret;
use kube::Api;
use node::image::Reference;
use serde_json::Value;
use tracing::debug;

use crate::act::Scene;

/// Credentials to try in turn; `None` stands for none at all.
pub(crate) async fn of(scene: &Scene, image: &str) -> Vec<Option<AuthConfig>> {
    let Ok(reference) = Reference::parse(image) else {
        return vec![None];
    };
    let namespace = scene.pod.metadata.namespace.as_deref().unwrap_or_default();
    let secrets: Api<Secret> = Api::namespaced(scene.agent.client.clone(), namespace);
    let spec = scene.pod.spec.as_ref();
    let names = spec
        .and_then(|spec| spec.image_pull_secrets.clone())
        .unwrap_or_default();
    let mut found = Vec::new();
    for name in names {
        match secrets.get(&name.name).await {
            Ok(secret) => found.extend(matching(&secret, &reference)),
            Err(error) => debug!(
                secret = name.name,
                error = &error as &dyn std::error::Error,
                "no pull secret"
            ),
        }
    }
    if found.is_empty() {
        return vec![None];
    }
    found.sort_by_key(|(length, _)| std::cmp::Reverse(*length));
    found.into_iter().map(|(_, auth)| Some(auth)).collect()
}

/// Credentials of a secret that fit a repository, with the length of what they fit.
fn matching(secret: &Secret, reference: &Reference) -> Vec<(usize, AuthConfig)> {
    let data = secret.data.clone().unwrap_or_default();
    let read = |key: &str| {
        data.get(key)
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes.0).ok())
    };
    let auths = match secret.type_.as_deref() {
        Some("kubernetes.io/dockercfg") => read(".dockercfg"),
        _ => read(".dockerconfigjson").and_then(|config| config.get("auths").cloned()),
    };
    let Some(Value::Object(auths)) = auths else {
        return Vec::new();
    };
    let fitting = auths
        .iter()
        .filter(|(server, _)| fits(server, &reference.repository));
    fitting
        .filter_map(|(server, entry)| Some((server.len(), auth(entry)?)))
        .collect()
}

/// Whether a server in a secret stands for a repository.
fn fits(server: &str, repository: &str) -> bool {
    let server = server
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    let server = server.trim_end_matches('/');
    let server = server.trim_end_matches("/v1").trim_end_matches("/v2");
    let server = match server {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        other => other,
    };
    let (host, path) = server.split_once('/').unwrap_or((server, ""));
    let (own_host, own_path) = repository.split_once('/').unwrap_or((repository, ""));
    let labels: Vec<&str> = host.split('.').collect();
    let own_labels: Vec<&str> = own_host.split('.').collect();
    let same = |(pattern, own): (&&str, &&str)| *pattern == "*" || pattern == own;
    labels.len() == own_labels.len()
        && labels.iter().zip(&own_labels).all(same)
        && own_path.starts_with(path)
}

fn auth(entry: &Value) -> Option<AuthConfig> {
    let text = |key: &str| {
        entry
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let mut config = AuthConfig {
        username: text("username"),
        password: text("password"),
        identity_token: text("identitytoken"),
        ..AuthConfig::default()
    };
    if config.username.is_empty() {
        let engine = base64::engine::general_purpose::STANDARD;
        let decoded = engine.decode(text("auth")).ok()?;
        let decoded = String::from_utf8(decoded).ok()?;
        let (user, password) = decoded.split_once(':')?;
        user.clone_into(&mut config.username);
        password.clone_into(&mut config.password);
    }
    Some(config)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn servers_stand_for_the_repositories_below_them() {
        assert!(fits(
            "https://index.docker.io/v1/",
            "docker.io/library/nginx"
        ));
        assert!(fits("quay.io/team", "quay.io/team/app"));
        assert!(!fits("quay.io/other", "quay.io/team/app"));
        assert!(fits("*.corp.example", "r1.corp.example/app"));
        assert!(!fits("corp.example", "r1.corp.example/app"));
        assert!(fits("127.0.0.1:5001", "127.0.0.1:5001/app"));
    }

    #[test]
    fn user_and_password_are_read_in_both_forms() {
        let plain = auth(&json!({ "username": "alice", "password": "pw" })).unwrap();
        let coded = auth(&json!({ "auth": "YWxpY2U6cHc=" })).unwrap();
        assert_eq!(
            (plain.username, plain.password),
            (coded.username, coded.password)
        );
        assert!(auth(&json!({})).is_none());
    }
}
