//! The requests that are measured, the same for every server.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use http::Request;
use serde_json::{Value, json};
use testkit::connection::{Body, Connection};

use crate::Server;

/// How many requests are under way while objects are made.
const FILLERS: usize = 32;

/// The path of a collection of ConfigMaps.
pub(crate) fn maps(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/configmaps")
}
/// The path of a collection of pods.
pub(crate) fn pods(namespace: &str) -> String {
    format!("/api/v1/namespaces/{namespace}/pods")
}

/// A request without a body.
pub(crate) fn get(path: &str, accept: &str) -> Result<Request<Body>> {
    let request = Request::get(path).header("accept", accept);
    request.body(Body::default()).context("no request")
}
/// A request with a JSON body, of this content type.
pub(crate) fn send(
    method: &str,
    path: &str,
    content_type: &str,
    body: &Value,
) -> Result<Request<Body>> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type);
    let body = Body::from(body.to_string());
    request.body(body).context("no request")
}

/// Creates a namespace, and waits until pods can be made in it.
pub(crate) async fn namespace(client: &mut Connection, name: &str) -> Result<()> {
    let body = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let request = send("POST", "/api/v1/namespaces", "application/json", &body)?;
    let (code, _) = client.answer(request).await?;
    anyhow::ensure!(code == 201, "namespace {name} not made: {code}");
    // A stock server without its controllers makes no service account, and without one no pod is let in.
    let body =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default"}});
    let path = format!("/api/v1/namespaces/{name}/serviceaccounts");
    let request = send("POST", &path, "application/json", &body)?;
    let (code, _) = client.answer(request).await?;
    anyhow::ensure!(matches!(code, 201 | 409), "no service account: {code}");
    Ok(())
}

/// Creates so many objects.
pub(crate) async fn fill(
    server: &Server,
    count: usize,
    object: impl Fn(usize) -> (String, Value) + Copy,
) -> Result<()> {
    let worker = |first: usize| async move {
        let mut client = server.dialer.open().await?;
        for index in (first..count).step_by(FILLERS) {
            let (path, body) = object(index);
            let request = send("POST", &path, "application/json", &body)?;
            let (code, _) = client.answer(request).await?;
            anyhow::ensure!(code == 201, "not created: {code}");
        }
        anyhow::Ok(())
    };
    try_join_all((0..FILLERS).map(worker)).await?;
    Ok(())
}

/// A ConfigMap of a few hundred bytes.
pub(crate) fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "x".repeat(200)}})
}
/// A field of the same, as it is applied with this value.
pub(crate) fn applied(name: &str, value: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"applied": value.to_string()}})
}
/// A pod that nobody schedules.
pub(crate) fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.1"}]}})
}
