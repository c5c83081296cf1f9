//! Requests over TLS: rates and latencies.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use futures::future::try_join_all;
use http::Request;
use serde_json::{Value, json};

use crate::row;

/// How long each rate is measured.
const SPAN: Duration = Duration::from_secs(4);
const CLIENTS: [usize; 3] = [1, 16, 64];
const PODS: usize = 5_000;
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const PODS_PATH: &str = "/api/v1/namespaces/default/pods";

/// Measures every verb and the large list.
pub(crate) async fn measure(client: &kube::Client) -> Result<()> {
    for clients in CLIENTS {
        let (rate, p50, p99) =
            rate(client, clients, "create", |name| post(MAPS, &map(name))).await?;
        show("create ConfigMap", clients, rate, p50, p99);
    }
    let of = |name: &str| format!("{MAPS}/{name}");
    let (r, p50, p99) = rate(client, 16, "create", |name| get(&of(name))).await?;
    show("get ConfigMap", 16, r, p50, p99);
    let (r, p50, p99) = rate(client, 16, "create", |name| {
        send("PUT", &of(name), "application/json", &map(name))
    })
    .await?;
    show("update ConfigMap", 16, r, p50, p99);
    let apply = |name: &str| {
        send(
            "PATCH",
            &format!("{}?fieldManager=bench&force=true", of(name)),
            "application/apply-patch+yaml",
            &applied(name),
        )
    };
    let (r, p50, p99) = rate(client, 16, "applied", apply).await?;
    show("apply ConfigMap", 16, r, p50, p99);
    let (r, p50, p99) = rate(client, 16, "create", |name| {
        send("DELETE", &of(name), "application/json", &json!({}))
    })
    .await?;
    show("delete ConfigMap", 16, r, p50, p99);
    list(client).await
}

/// Creates so many small objects.
pub(crate) async fn fill(client: &kube::Client, objects: usize) -> Result<()> {
    create_all(client, objects, |index| {
        post(MAPS, &map(&format!("fill-{index}")))
    })
    .await
}

async fn list(client: &kube::Client) -> Result<()> {
    create_all(client, PODS, |index| {
        post(PODS_PATH, &pod(&format!("pod-{index}")))
    })
    .await?;
    for (what, accept) in [
        ("LIST of 5,000 pods, JSON", "application/json"),
        (
            "LIST of 5,000 pods, Table",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
        ),
    ] {
        let mut times = Vec::new();
        for _ in 0..7 {
            let request = Request::get(PODS_PATH)
                .header("accept", accept)
                .body(Vec::new())
                .context("no request")?;
            let begun = Instant::now();
            client
                .request_text(request)
                .await
                .context("the list failed")?;
            times.push(begun.elapsed());
        }
        row(what, &format!("p50 {:.1} ms", percentile(&mut times, 50)));
    }
    Ok(())
}

async fn create_all(
    client: &kube::Client,
    count: usize,
    request: impl Fn(usize) -> Result<Request<Vec<u8>>> + Copy,
) -> Result<()> {
    let worker = |first: usize| async move {
        for index in (first..count).step_by(16) {
            client
                .request_text(request(index)?)
                .await
                .context("a create failed")?;
        }
        anyhow::Ok(())
    };
    try_join_all((0..16).map(worker)).await?;
    Ok(())
}

/// Requests per second of so many clients, and the median and 99th percentile in milliseconds.
async fn rate(
    client: &kube::Client,
    clients: usize,
    prefix: &str,
    request: impl Fn(&str) -> Result<Request<Vec<u8>>> + Copy,
) -> Result<(f64, f64, f64)> {
    let begun = Instant::now();
    let worker = |worker: usize| async move {
        let mut times = Vec::new();
        while begun.elapsed() < SPAN {
            let name = format!("{prefix}-{clients}-{worker}-{}", times.len());
            let sent = Instant::now();
            match client.request_text(request(&name)?).await {
                Ok(_) => times.push(sent.elapsed()),
                // Gets, updates and deletes run through the objects that the creates made, and end with them.
                Err(kube::Error::Api(status)) if status.code == 404 => break,
                Err(error) => return Err(error.into()),
            }
        }
        anyhow::Ok((times, begun.elapsed()))
    };
    let done = try_join_all((0..clients).map(worker)).await?;
    let span = done
        .iter()
        .map(|(_, elapsed)| *elapsed)
        .max()
        .unwrap_or(SPAN);
    let mut times: Vec<Duration> = done.into_iter().flat_map(|(times, _)| times).collect();
    let count = u32::try_from(times.len()).unwrap_or(u32::MAX);
    Ok((
        f64::from(count) / span.as_secs_f64(),
        percentile(&mut times, 50),
        percentile(&mut times, 99),
    ))
}

/// A percentile in milliseconds; 0 of nothing.
pub(crate) fn percentile(times: &mut [Duration], percent: usize) -> f64 {
    times.sort();
    let index = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    times
        .get(index)
        .map_or(0.0, |time| time.as_secs_f64() * 1000.0)
}

fn show(what: &str, clients: usize, rate: f64, p50: f64, p99: f64) {
    row(
        &format!("{what}, {clients} clients, TLS"),
        &format!("{rate:.0}/s, p50 {p50:.2} ms, p99 {p99:.2} ms"),
    );
}

fn get(path: &str) -> Result<Request<Vec<u8>>> {
    Request::get(path).body(Vec::new()).context("no request")
}
fn post(path: &str, body: &Value) -> Result<Request<Vec<u8>>> {
    send("POST", path, "application/json", body)
}
fn send(method: &str, path: &str, content_type: &str, body: &Value) -> Result<Request<Vec<u8>>> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", content_type);
    request
        .body(body.to_string().into_bytes())
        .context("no request")
}

fn map(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"key": "x".repeat(200)}})
}
fn applied(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"applied": "yes"}})
}
fn pod(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "bench"}},
        "spec": {"schedulerName": "nobody", "containers": [{"name": "c", "image": "registry.k8s.io/pause:3.10.1"}]}})
}
