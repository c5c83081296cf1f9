//! Many at once, and clients that go: what is unique stays so, no quota is exceeded, rights end when they end.
//!
//! Time stands still but for writes: see [`crate::late`].

use futures::future::join_all;
use serde_json::{Value, json};

use crate::late::WRITE_TIME;
use crate::server::{Answer, Talk};

const SERVICES: &str = "/api/v1/namespaces/web/services";
const MAPS: &str = "/api/v1/namespaces/web/configmaps";
const QUOTAS: &str = "/api/v1/namespaces/web/resourcequotas";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const CLIENTS: usize = 8;

async fn services(talk: &Talk) {
    for index in 0..CLIENTS {
        let service =
            json!({"metadata": {"name": format!("s{index}")}, "spec": {"ports": [{"port": 80}]}});
        talk.post(SERVICES, service).await.expect(201);
    }
}

/// How many of the Services a patch of all at once changed.
async fn changed(talk: &Talk, patch: &Value) -> usize {
    let paths: Vec<String> = (0..CLIENTS)
        .map(|index| format!("{SERVICES}/s{index}"))
        .collect();
    let patches = paths
        .iter()
        .map(|path| talk.patch("merge", path, patch.clone()));
    let answers: Vec<Answer> = join_all(patches).await;
    answers.iter().filter(|answer| answer.code == 200).count()
}

#[tokio::test(start_paused = true)]
async fn one_of_many_services_gets_the_port_that_all_want() {
    let talk = Talk::late().await;
    services(&talk).await;
    let ports = json!([{"port": 80, "nodePort": 30_100}]);
    let patch = json!({"spec": {"type": "NodePort", "ports": ports}});
    assert_eq!(changed(&talk, &patch).await, 1);
}

#[tokio::test(start_paused = true)]
async fn updates_at_once_exceed_no_quota() {
    let talk = Talk::late().await;
    services(&talk).await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"services.nodeports": "2"}}});
    talk.post(QUOTAS, quota).await.expect(201);
    let patch = json!({"spec": {"type": "NodePort"}});
    assert_eq!(changed(&talk, &patch).await, 2);
}

#[tokio::test(start_paused = true)]
async fn who_leaves_while_it_creates_is_counted() {
    let talk = Talk::late().await;
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"count/configmaps": "1"}}});
    talk.post(QUOTAS, quota).await.expect(201);
    let create = |name: &str| talk.post(MAPS, json!({"metadata": {"name": name}}));
    let left = tokio::time::timeout(WRITE_TIME / 2, create("a")).await;
    assert!(left.is_err());
    assert_eq!(create("b").await.code, 403);
    assert_eq!(talk.get(&format!("{MAPS}/a")).await.code, 200);
}

/// A server where `ann` may list config maps; her binding has these finalizers.
async fn with_ann(finalizers: &[&str]) -> Talk {
    let talk = Talk::late().await;
    let binding = json!({"metadata": {"name": "ann", "finalizers": finalizers},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}],
        "roleRef": {"kind": "ClusterRole", "name": "reader", "apiGroup": "rbac.authorization.k8s.io"}});
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "verbs": ["list", "patch", "update"]}]);
    let role = json!({"metadata": {"name": "reader"}, "rules": rules});
    talk.post(ROLES, role).await.expect(201);
    talk.post(BINDINGS, binding).await.expect(201);
    assert!(ann_lists(&talk).await);
    talk
}

async fn ann_lists(talk: &Talk) -> bool {
    let ann = [("impersonate-user", "ann")];
    let answer = talk.send_as("suite/1", "GET", MAPS, &ann, "").await;
    answer.code == 200
}

#[tokio::test(start_paused = true)]
async fn a_right_ends_with_its_binding_though_a_finalizer_kept_that() {
    let talk = with_ann(&["a.b/keep"]).await;
    let path = format!("{BINDINGS}/ann");
    talk.delete(&path, json!({})).await.expect(200);
    assert!(ann_lists(&talk).await);
    let freed = json!({"metadata": {"finalizers": null}});
    talk.patch("merge", &path, freed).await.expect(200);
    assert!(!ann_lists(&talk).await);
}

#[tokio::test(start_paused = true)]
async fn a_right_ends_though_nobody_waits_to_hear_that() {
    let talk = with_ann(&[]).await;
    let path = format!("{BINDINGS}/ann");
    let delete = talk.delete(&path, json!({}));
    let left = tokio::time::timeout(WRITE_TIME / 2, delete).await;
    assert!(left.is_err());
    tokio::time::sleep(WRITE_TIME).await;
    assert!(!ann_lists(&talk).await);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_create_creates_by_no_other_verb() {
    let talk = with_ann(&[]).await;
    let leases = "/apis/coordination.k8s.io/v1/namespaces/web/leases";
    let rules = json!([{"apiGroups": ["", "coordination.k8s.io"], "resources": ["configmaps", "leases"],
        "verbs": ["patch", "update", "get"]}]);
    let role = json!({ "rules": rules });
    talk.patch("merge", &format!("{ROLES}/reader"), role)
        .await
        .expect(200);
    let as_ann = async |method: &str, path: &str, content_type: &str, body: Value| {
        let headers = [("impersonate-user", "ann"), ("content-type", content_type)];
        talk.send_as("suite/1", method, path, &headers, body.to_string())
            .await
    };
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "m"}});
    let path = format!("{MAPS}/m?fieldManager=x");
    let apply = "application/apply-patch+yaml";
    let why = "configmaps \"m\" is forbidden: User \"ann\" cannot create resource \"configmaps\" in API group \"\" in the namespace \"web\"";
    as_ann("PATCH", &path, apply, map.clone())
        .await
        .refused(403, why);
    let lease = json!({"metadata": {"name": "l"}});
    let why = "leases.coordination.k8s.io \"l\" is forbidden: User \"ann\" cannot create resource \"leases\" in API group \"coordination.k8s.io\" in the namespace \"web\"";
    let put = as_ann("PUT", &format!("{leases}/l"), "application/json", lease).await;
    put.refused(403, why);
    talk.post(MAPS, map.clone()).await.expect(201);
    as_ann("PATCH", &path, apply, map).await.expect(200);
}
