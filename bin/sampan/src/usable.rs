//! When a new cluster can be used: whoever reads "is ready" may run a pod at once.

use std::time::Duration;

use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind};
use kube::runtime::wait;
use serde_json::Value;
use tokio::time::timeout;

/// Longest wait before the cluster is shown as it is. A node that is not Ready by then needs a look, and
/// `kubectl describe node` says at what.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// Waits until the `default` namespace has the account that its pods run as and, where there is a node, until it is
/// Ready.
///
/// Gives what is still missing, in words for people; `None` when everything is there.
pub(crate) async fn wait(client: kube::Client, node: Option<&str>) -> Option<String> {
    let resource = |kind| ApiResource::from_gvk(&GroupVersionKind::gvk("", "v1", kind));
    let accounts: Api<DynamicObject> =
        Api::namespaced_with(client.clone(), "default", &resource("ServiceAccount"));
    let nodes: Api<DynamicObject> = Api::all_with(client, &resource("Node"));
    let there = wait::await_condition(accounts, "default", |seen: Option<&DynamicObject>| {
        seen.is_some()
    });
    let waiting = async {
        there.await.map_err(|error| {
            format!("the service account of namespace default cannot be watched: {error}")
        })?;
        if let Some(node) = node {
            let ready = wait::await_condition(nodes, node, |seen: Option<&DynamicObject>| {
                seen.is_some_and(|node| is_ready(&node.data))
            });
            ready
                .await
                .map_err(|error| format!("node {node} cannot be watched: {error}"))?;
        }
        Ok::<(), String>(())
    };
    match timeout(WAIT_MAX, waiting).await {
        Ok(outcome) => outcome.err(),
        Err(_) => Some(match node {
            Some(node) => format!(
                "node {node} is not Ready after {WAIT_MAX:?}: see `kubectl describe node {node}`"
            ),
            None => format!(
                "namespace default has no service account after {WAIT_MAX:?}: see what is logged"
            ),
        }),
    }
}

/// Whether a node's condition Ready is True.
fn is_ready(node: &Value) -> bool {
    let conditions = node.pointer("/status/conditions").and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        condition.get("type").and_then(Value::as_str) == Some("Ready")
            && condition.get("status").and_then(Value::as_str) == Some("True")
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_never_comes_is_named() {
        let silent = tower::service_fn(|_: http::Request<kube::client::Body>| {
            std::future::pending::<Result<http::Response<kube::client::Body>, std::io::Error>>()
        });
        let client = kube::Client::new(silent, "default");
        assert_eq!(
            wait(client.clone(), Some("n")).await.unwrap(),
            "node n is not Ready after 30s: see `kubectl describe node n`"
        );
        assert_eq!(
            wait(client, None).await.unwrap(),
            "namespace default has no service account after 30s: see what is logged"
        );
    }

    #[test]
    fn a_node_is_ready_when_its_condition_says_so() {
        let node = |conditions: Value| json!({"status": {"conditions": conditions}});
        assert!(is_ready(&node(json!([
            {"type": "MemoryPressure", "status": "False"},
            {"type": "Ready", "status": "True"},
        ]))));
        assert!(!is_ready(&node(
            json!([{"type": "Ready", "status": "Unknown"}])
        )));
        assert!(!is_ready(&node(
            json!([{"type": "MemoryPressure", "status": "True"}])
        )));
        assert!(!is_ready(&node(json!("absurd"))));
        assert!(!is_ready(&json!({})));
    }
}
