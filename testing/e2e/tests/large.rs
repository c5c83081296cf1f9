//! What is large or deep: every verb writes it, and threads have the stack for it.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use sampan_e2e::server::Server;
use serde_json::{Value, json};

/// Objects and bodies beyond 64 KiB are written by threads of their own.
const LARGE_BYTES: usize = 100_000;
/// As many keys as a JSON patch may add.
const KEYS: usize = 10_000;

async fn client(server: &Server) -> Result<Client> {
    let kubeconfig = Kubeconfig::read_from(server.kubeconfig())?;
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    Ok(Client::try_from(config)?)
}

fn keys(prefix: &str) -> BTreeMap<String, String> {
    (0..KEYS)
        .map(|key| (format!("{prefix}{key}"), String::new()))
        .collect()
}

/// How many keys a map has.
fn size(map: &ConfigMap) -> usize {
    map.data.as_ref().map_or(0, BTreeMap::len)
}

#[tokio::test]
async fn large_objects_are_written_by_every_verb() -> Result<()> {
    let server = Server::start().await?;
    let maps: Api<ConfigMap> = Api::default_namespaced(client(&server).await?);
    let mut map = ConfigMap::default();
    map.metadata.name = Some("large".to_owned());
    map.data = Some(keys("a"));
    let mut map = maps.create(&PostParams::default(), &map).await?;
    let data = map.data.get_or_insert_default();
    data.insert("text".to_owned(), "x".repeat(LARGE_BYTES));
    let replaced = maps.replace("large", &PostParams::default(), &map).await?;
    ensure!(size(&replaced) == KEYS + 1);
    let patch = PatchParams::default();
    let more = json!({ "data": keys("b") });
    for (patched, wanted) in [(Patch::Merge(&more), 2), (Patch::Strategic(&more), 2)] {
        ensure!(size(&maps.patch("large", &patch, &patched).await?) == wanted * KEYS + 1);
    }
    let removals: Vec<Value> = (0..KEYS)
        .map(|key| json!({"op": "remove", "path": format!("/data/b{key}")}))
        .collect();
    let removals = Patch::Json::<()>(serde_json::from_value(removals.into())?);
    ensure!(size(&maps.patch("large", &patch, &removals).await?) == KEYS + 1);
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": keys("c")});
    for manager in ["one", "two"] {
        let applied = Patch::Apply(&applied);
        let params = PatchParams::apply(manager);
        ensure!(size(&maps.patch("large", &params, &applied).await?) == 2 * KEYS + 1);
    }
    let applied = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {}});
    for (manager, left) in [("one", 2), ("two", 1)] {
        let applied = Patch::Apply(&applied);
        let params = PatchParams::apply(manager);
        ensure!(size(&maps.patch("large", &params, &applied).await?) == left * KEYS + 1);
    }
    Ok(())
}

/// The schema of an object in an object, and so on.
fn nested(levels: usize) -> Value {
    let innermost = json!({"type": "integer"});
    (0..levels).fold(
        innermost,
        |inner, _| json!({"type": "object", "properties": {"a": inner}}),
    )
}

/// A definition with a deep schema, a deep rule, and a description.
fn definition(name: &str, levels: usize, description: usize) -> Value {
    let (open, close) = ("(".repeat(100), ")".repeat(100));
    let schema = json!({
        "type": "object", "properties": {"a": nested(levels - 1)}, "description": "x".repeat(description),
        "x-kubernetes-validations": [{"rule": format!("{open}1 == 1{close}")}],
    });
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{name}.example.com")},
        "spec": {
            "group": "example.com", "scope": "Namespaced",
            "names": {"plural": name, "singular": name, "kind": "Deep", "listKind": "DeepList"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}],
        },
    })
}

#[tokio::test]
async fn deep_bodies_find_the_stack_they_need() -> Result<()> {
    let server = Server::start().await?;
    let client = client(&server).await?;
    let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    // JSON may be 128 levels deep, YAML 64; each level of a schema takes two.
    for (name, media_type, levels, description) in [
        ("small", "application/json", 58, 0),
        ("large", "application/json", 58, LARGE_BYTES),
        ("smallyaml", "application/yaml", 26, 0),
        ("largeyaml", "application/yaml", 26, LARGE_BYTES),
    ] {
        // JSON is YAML.
        let body = serde_json::to_vec(&definition(name, levels, description))?;
        let request = kube::core::Request::new(path);
        let mut request = request.create(&PostParams::default(), body)?;
        let headers = request.headers_mut();
        headers.insert("content-type", media_type.parse()?);
        let made: Value = client
            .request(request)
            .await
            .with_context(|| name.to_owned())?;
        ensure!(made["metadata"]["name"] == format!("{name}.example.com"));
    }
    // What is too deep is refused, and the server is there.
    let body = "[".repeat(LARGE_BYTES).into_bytes();
    let request = kube::core::Request::new(path).create(&PostParams::default(), body)?;
    let refused = client.request::<Value>(request).await;
    ensure!(matches!(refused, Err(kube::Error::Api(status)) if status.code == 400));
    client.apiserver_version().await?;
    Ok(())
}
