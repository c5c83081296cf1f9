//! Controllers and scheduler together, against an API server in miniature.

use meta::{Object, ObjectExt};
use serde_json::json;
use testkit::fake_api::FakeApi;
use tokio_util::sync::CancellationToken;

const DEPLOYMENTS: &str = "/apis/apps/v1/deployments";
const SETS: &str = "/apis/apps/v1/replicasets";
const PODS: &str = "/api/v1/pods";
const NODES: &str = "/api/v1/nodes";
const EVENTS: &str = "/api/v1/events";
const JOBS: &str = "/apis/batch/v1/jobs";
const NAMESPACES: &str = "/api/v1/namespaces";

fn deployment(replicas: i64, image: &str) -> Object {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "default" },
        "spec": {
            "replicas": replicas, "progressDeadlineSeconds": 600, "revisionHistoryLimit": 10,
            "selector": { "matchLabels": { "app": "web" } },
            "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": "25%", "maxUnavailable": "25%" } },
            "template": {
                "metadata": { "labels": { "app": "web" } },
                "spec": { "containers": [{ "name": "web", "image": image, "resources": { "requests": { "cpu": "100m" } } }] },
            },
        },
    })
}

fn node(name: &str, pods: &str) -> Object {
    json!({
        "metadata": { "name": name },
        "status": {
            "allocatable": { "cpu": "4", "memory": "8Gi", "pods": pods },
            "conditions": [{ "type": "Ready", "status": "True" }],
        },
    })
}

/// Plays the kubelets: placed pods become ready, leaving ones go.
async fn kubelets(api: FakeApi) {
    loop {
        api.until("a pod to look after", |api| {
            api.list(PODS).iter().any(needs_care)
        })
        .await;
        for mut pod in api.list(PODS).into_iter().filter(needs_care) {
            if pod.deletion_timestamp().is_some() {
                api.remove(PODS, pod.namespace(), pod.name());
                continue;
            }
            pod.set(&["status"], json!({ "phase": "Running", "conditions": [
                { "type": "Ready", "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z" },
            ]}));
            api.put(PODS, pod);
        }
    }
}

fn needs_care(pod: &Object) -> bool {
    let is_placed = pod.str_at(&["spec", "nodeName"]).is_some();
    is_placed
        && (pod.deletion_timestamp().is_some()
            || pod.str_at(&["status", "phase"]) != Some("Running"))
}

struct Running(CancellationToken, Vec<tokio::task::JoinHandle<()>>);

impl Running {
    fn start(api: &FakeApi) -> Self {
        let shutdown = CancellationToken::new();
        let metrics = sampan_driver::Metrics::register(&mut scrape::Registry::default());
        let options = sampan_driver::Options::single("test", metrics);
        let driver = tokio::spawn(sampan_driver::run(api.client(), options, shutdown.clone()));
        Self(shutdown, vec![driver])
    }
    fn with_kubelets(mut self, api: &FakeApi) -> Self {
        self.1.push(tokio::spawn(kubelets(api.clone())));
        self
    }
    async fn stop(mut self) {
        self.0.cancel();
        let driver = self.1.remove(0);
        assert!(driver.await.is_ok());
        self.1.into_iter().for_each(|task| task.abort());
    }
}

fn status_of(api: &FakeApi, field: &str) -> i64 {
    let deployment = api.get(DEPLOYMENTS, "default", "web");
    deployment
        .and_then(|deployment| deployment.int_at(&["status", field]))
        .unwrap_or_default()
}

#[tokio::test]
async fn a_deployment_becomes_pods_on_nodes_and_rolls_over() {
    let api = FakeApi::default();
    api.put(NODES, node("node-1", "110"));
    let running = Running::start(&api).with_kubelets(&api);
    api.put(DEPLOYMENTS, deployment(3, "one"));
    api.until("three available", |api| {
        status_of(api, "availableReplicas") == 3
    })
    .await;
    assert_eq!(api.list(PODS).len(), 3, "no pod was made twice");
    let mut changed = api.get(DEPLOYMENTS, "default", "web").unwrap();
    changed.set(
        &["spec", "template"],
        deployment(3, "two")["spec"]["template"].clone(),
    );
    changed.set(&["metadata", "generation"], 2.into());
    api.put(DEPLOYMENTS, changed);
    api.until("three updated", |api| {
        status_of(api, "updatedReplicas") == 3
            && status_of(api, "replicas") == 3
            && status_of(api, "availableReplicas") == 3
            && status_of(api, "observedGeneration") == 2
    })
    .await;
    let sizes: Vec<i64> = api
        .list(SETS)
        .iter()
        .filter_map(|set| set.int_at(&["spec", "replicas"]))
        .collect();
    assert_eq!(sizes.iter().sum::<i64>(), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_deleted_pod_is_replaced() {
    let api = FakeApi::default();
    api.put(NODES, node("node-1", "110"));
    let running = Running::start(&api).with_kubelets(&api);
    api.put(DEPLOYMENTS, deployment(2, "one"));
    api.until("two available", |api| {
        status_of(api, "availableReplicas") == 2
    })
    .await;
    let name = api.list(PODS)[0].name().to_owned();
    api.remove(PODS, "default", &name);
    api.until("another one", |api| {
        let pods = api.list(PODS);
        pods.len() == 2
            && pods.iter().all(|pod| pod.name() != name)
            && status_of(api, "availableReplicas") == 2
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn pods_without_room_say_so_and_go_on_when_a_node_comes() {
    let api = FakeApi::default();
    api.put(NODES, node("node-1", "1"));
    let running = Running::start(&api).with_kubelets(&api);
    api.put(DEPLOYMENTS, deployment(2, "one"));
    let message = "0/1 nodes are available: 1 Too many pods. no new claims to deallocate, preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod.";
    api.until("the condition", |api| {
        api.list(PODS).iter().any(|pod| {
            let condition = &pod["status"]["conditions"][0];
            condition["reason"] == "Unschedulable" && condition["message"] == message
        })
    })
    .await;
    api.until("the event", |api| {
        let events = api.list(EVENTS);
        events
            .iter()
            .any(|event| event["reason"] == "FailedScheduling" && event["message"] == message)
    })
    .await;
    api.put(NODES, node("node-2", "110"));
    api.until("two available", |api| {
        status_of(api, "availableReplicas") == 2
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_refused_pod_is_said_and_tried_again() {
    let api = FakeApi::default();
    api.put(NODES, node("node-1", "110"));
    api.refuse(
        "POST /api/v1/namespaces/default/pods",
        403,
        "Forbidden",
        "exceeded quota",
    );
    let running = Running::start(&api).with_kubelets(&api);
    api.put(DEPLOYMENTS, deployment(4, "one"));
    api.until("the condition", |api| {
        let deployment = api.get(DEPLOYMENTS, "default", "web").unwrap_or_default();
        let conditions = deployment.list_at(&["status", "conditions"]);
        conditions
            .iter()
            .any(|c| c["type"] == "ReplicaFailure" && c["message"] == "exceeded quota")
    })
    .await;
    let creates = api
        .log()
        .iter()
        .filter(|line| line.ends_with("default/pods"))
        .count();
    assert!(
        creates < 12,
        "{creates} creates: the slow start held them back"
    );
    api.accept();
    api.until("four available", |api| {
        status_of(api, "availableReplicas") == 4
    })
    .await;
    api.until("the condition to go", |api| {
        let deployment = api.get(DEPLOYMENTS, "default", "web").unwrap_or_default();
        deployment
            .list_at(&["status", "conditions"])
            .iter()
            .all(|c| c["type"] != "ReplicaFailure")
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn what_a_deleted_owner_leaves_is_collected() {
    for propagation in ["Background", "Foreground", "Orphan"] {
        let api = FakeApi::default();
        api.put(NODES, node("node-1", "110"));
        let running = Running::start(&api).with_kubelets(&api);
        api.put(DEPLOYMENTS, deployment(2, "one"));
        api.until("two available", |api| {
            status_of(api, "availableReplicas") == 2
        })
        .await;
        api.delete(DEPLOYMENTS, "default", "web", propagation);
        api.until("the deployment to go", |api| {
            api.list(DEPLOYMENTS).is_empty()
        })
        .await;
        if propagation == "Orphan" {
            api.until("the set to be free", |api| {
                api.list(SETS)
                    .iter()
                    .all(|set| set.owner_references().is_empty())
            })
            .await;
            assert_eq!((api.list(SETS).len(), api.list(PODS).len()), (1, 2));
        } else {
            api.until("nothing to be left", |api| {
                api.list(SETS).is_empty() && api.list(PODS).is_empty()
            })
            .await;
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_deleted_namespace_is_emptied_and_goes() {
    let api = FakeApi::default();
    let namespace =
        json!({ "metadata": { "name": "a" }, "spec": { "finalizers": ["kubernetes"] } });
    api.put(NAMESPACES, namespace);
    let held = json!({ "metadata": { "name": "held", "namespace": "a", "finalizers": ["example.com/hold"] } });
    api.put("/api/v1/configmaps", held);
    api.put(
        "/api/v1/configmaps",
        json!({ "metadata": { "name": "free", "namespace": "a" } }),
    );
    let running = Running::start(&api);
    api.until("the account", |api| {
        api.get("/api/v1/serviceaccounts", "a", "default").is_some()
    })
    .await;
    api.delete(NAMESPACES, "", "a", "Background");
    let message = "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances";
    api.until("the condition", |api| {
        let namespace = api.get(NAMESPACES, "", "a").unwrap_or_default();
        let conditions = namespace.list_at(&["status", "conditions"]);
        conditions
            .iter()
            .any(|condition| condition["message"] == message)
    })
    .await;
    api.remove("/api/v1/configmaps", "a", "held");
    api.until("the namespace to go", |api| api.list(NAMESPACES).is_empty())
        .await;
    running.stop().await;
}

/// A job of one pod, whose successor is made when it has ended.
fn job(namespace: &str) -> Object {
    let labels = json!({ "batch.kubernetes.io/controller-uid": "uid-j" });
    json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "work", "namespace": namespace, "uid": "uid-j" },
        "spec": {
            "parallelism": 1, "completions": 1, "backoffLimit": 6, "podReplacementPolicy": "Failed",
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "restartPolicy": "Never", "containers": [{ "name": "c" }] },
            },
        },
    })
}

/// The pod of the job ended long ago, so that its successor is due at once.
fn fail_pod(api: &FakeApi) {
    let mut pod = api.list(PODS).remove(0);
    let ready =
        json!({ "type": "Ready", "status": "False", "lastTransitionTime": "2026-01-01T00:00:00Z" });
    pod.set(
        &["status"],
        json!({ "phase": "Failed", "conditions": [ready] }),
    );
    api.put(PODS, pod);
}

#[tokio::test]
async fn a_pod_that_has_failed_is_counted_though_its_successor_is_refused() {
    let api = FakeApi::default();
    let running = Running::start(&api);
    api.put(JOBS, job("default"));
    api.until("the pod", |api| api.list(PODS).len() == 1).await;
    api.refuse(
        "POST /api/v1/namespaces/default/pods",
        403,
        "Forbidden",
        "exceeded quota",
    );
    fail_pod(&api);
    api.until("the count", |api| {
        let job = api.get(JOBS, "default", "work").unwrap_or_default();
        job.int_at(&["status", "failed"]) == Some(1)
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_namespace_goes_whose_job_cannot_make_another_pod() {
    let api = FakeApi::default();
    let spec = json!({ "finalizers": ["kubernetes"] });
    api.put(
        NAMESPACES,
        json!({ "metadata": { "name": "a" }, "spec": spec }),
    );
    let running = Running::start(&api);
    api.put(JOBS, job("a"));
    api.until("the pod", |api| api.list(PODS).len() == 1).await;
    api.delete(NAMESPACES, "", "a", "Background");
    api.until("the pod to be deleted", |api| {
        let pods = api.list(PODS);
        pods.iter().any(|pod| pod.deletion_timestamp().is_some())
    })
    .await;
    fail_pod(&api);
    api.until("the namespace to go", |api| api.list(NAMESPACES).is_empty())
        .await;
    running.stop().await;
}

#[tokio::test]
async fn a_set_tells_what_it_saw_though_its_pods_are_refused() {
    const DAEMON_SETS: &str = "/apis/apps/v1/daemonsets";
    const STATEFUL_SETS: &str = "/apis/apps/v1/statefulsets";
    let api = FakeApi::default();
    api.put(NODES, node("n", "110"));
    let path = "POST /api/v1/namespaces/default/pods";
    api.refuse(path, 403, "Forbidden", "exceeded quota");
    let running = Running::start(&api);
    for (kind, path) in [("DaemonSet", DAEMON_SETS), ("StatefulSet", STATEFUL_SETS)] {
        let labels = json!({ "app": kind });
        let set = json!({
            "apiVersion": "apps/v1", "kind": kind,
            "metadata": { "name": "s", "namespace": "default", "uid": format!("uid-{kind}"), "generation": 1 },
            "spec": {
                "replicas": 1, "selector": { "matchLabels": labels },
                "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "c" }] } },
            },
        });
        api.put(path, set);
        api.until("the status", |api| {
            let set = api.get(path, "default", "s").unwrap_or_default();
            set.int_at(&["status", "observedGeneration"]) == Some(1)
        })
        .await;
    }
    assert!(api.list(PODS).is_empty());
    running.stop().await;
}

#[tokio::test]
async fn what_is_there_already_is_no_failure_to_tell_of() {
    const STATEFUL_SETS: &str = "/apis/apps/v1/statefulsets";
    const CREATE: &str = "POST /api/v1/namespaces/default/pods";
    let api = FakeApi::default();
    let running = Running::start(&api);
    api.refuse(CREATE, 409, "AlreadyExists", "it already exists");
    let labels = json!({ "app": "s" });
    let set = json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": { "name": "s", "namespace": "default", "uid": "uid-s", "generation": 1 },
        "spec": {
            "replicas": 1, "selector": { "matchLabels": labels },
            "template": { "metadata": { "labels": labels }, "spec": { "containers": [{ "name": "c" }] } },
        },
    });
    api.put(STATEFUL_SETS, set);
    // Written after the refusal.
    api.until("the status", |api| {
        let set = api.get(STATEFUL_SETS, "default", "s").unwrap_or_default();
        set.int_at(&["status", "observedGeneration"]) == Some(1)
    })
    .await;
    api.accept();
    api.refuse(CREATE, 403, "Forbidden", "exceeded quota");
    let told = |log: &[String]| log.iter().position(|line| line.ends_with("/events"));
    api.until("the event", |api| told(&api.log()).is_some())
        .await;
    let log = api.log();
    let before = log.iter().take(told(&log).unwrap());
    let tries = before.filter(|line| line.starts_with(CREATE)).count();
    assert!(tries > 1, "the first refusal was told: {log:#?}");
    running.stop().await;
}
