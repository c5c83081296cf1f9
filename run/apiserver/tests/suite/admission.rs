//! Admission, from the request to the refusal.

use serde_json::{Value, json};

use crate::server::Talk;

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const PODS: &str = "/api/v1/namespaces/web/pods";

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name}, "spec": {"containers": [{"name": "c", "image": "x"}]}})
}

#[tokio::test]
async fn a_quota_holds_with_the_defaults_of_a_limit_range() {
    let talk = Talk::new().await;
    let range = json!({"metadata": {"name": "r"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": "200m"}}]}});
    talk.post("/api/v1/namespaces/web/limitranges", range)
        .await
        .expect(201);
    let quota = json!({"metadata": {"name": "q"}, "spec": {"hard": {"requests.cpu": "300m"}}});
    talk.post("/api/v1/namespaces/web/resourcequotas", quota)
        .await
        .expect(201);
    talk.post(PODS, pod("a")).await.expect(201);
    talk.post(PODS, pod("b")).await.refused(
        403,
        "pods \"b\" is forbidden: exceeded quota: q, requested: requests.cpu=200m, used: requests.cpu=200m, limited: requests.cpu=300m",
    );
}

#[tokio::test]
async fn a_namespace_refuses_and_warns_by_its_labels() {
    let talk = Talk::new().await;
    let label = |level: &str| json!({"metadata": {"labels": {"pod-security.kubernetes.io/enforce": level}}});
    let namespace = "/api/v1/namespaces/web";
    talk.patch("merge", namespace, label("strict")).await.refused(
        422,
        "Namespace \"web\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strict\": must be one of privileged, baseline, restricted",
    );
    talk.patch("merge", namespace, label("baseline"))
        .await
        .expect(200);
    let mut host = pod("a");
    host["spec"]["hostNetwork"] = true.into();
    talk.post(PODS, host.clone()).await.refused(
        403,
        "pods \"a\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)",
    );
    let template = json!({"metadata": {"name": "t"}, "template": host});
    let made = talk
        .post("/api/v1/namespaces/web/podtemplates", template)
        .await;
    assert_eq!(
        made.headers["warning"],
        "299 - \"would violate PodSecurity \\\"baseline:latest\\\": host namespaces (hostNetwork=true)\""
    );
}

#[tokio::test]
async fn rights_that_are_not_held_are_not_handed_out() {
    let talk = Talk::new().await;
    let maker = json!({"metadata": {"name": "maker"}, "rules": [
        {"verbs": ["*"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["roles"]}]});
    talk.post(&format!("{RBAC}/clusterroles"), maker)
        .await
        .expect(201);
    let binding = json!({"metadata": {"name": "ann"}, "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "maker"},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": "rbac.authorization.k8s.io"}]});
    talk.post(&format!("{RBAC}/clusterrolebindings"), binding)
        .await
        .expect(201);
    let role = |resource: &str, group: &str| {
        let rules = json!([{"verbs": ["get"], "apiGroups": [group], "resources": [resource]}]);
        json!({"metadata": {"name": resource}, "rules": rules}).to_string()
    };
    let headers = [
        ("content-type", "application/json"),
        ("impersonate-user", "ann"),
    ];
    let path = format!("{RBAC}/namespaces/web/roles");
    let create = async |body: String| talk.send_as("suite/1", "POST", &path, &headers, body).await;
    // `*` on roles includes `escalate`.
    create(role("pods", "")).await.expect(201);
    let fewer = json!([{"op": "replace", "path": "/rules/0/verbs", "value": ["create", "get"]}]);
    talk.send(
        "PATCH",
        &format!("{RBAC}/clusterroles/maker"),
        "application/json-patch+json",
        fewer.to_string(),
    )
    .await
    .expect(200);
    create(role("roles", "rbac.authorization.k8s.io"))
        .await
        .expect(201);
    create(role("secrets", "")).await.refused(
        403,
        "roles.rbac.authorization.k8s.io \"secrets\" is forbidden: user \"ann\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"secrets\"], Verbs:[\"get\"]}",
    );
}

#[tokio::test]
async fn approving_changes_conditions_and_signing_leaves_approvals() {
    const REQUESTS: &str = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
    // `O=dev, CN=ann`, by `openssl req`.
    const REQUEST: &str = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlIWE1INENBUUF3SERFTU1Bb0dBMVVFQ2d3RFpHVjJNUXd3Q2dZRFZRUUREQU5oYm00d1dUQVRCZ2NxaGtqTwpQUUlCQmdncWhrak9QUU1CQndOQ0FBUVBzOFBFVkNmT3JLVW1ndGpXSE9qQU1Gd0lkRFBlMnZrZmNtdDJRVTlCCkczcUx4VUxpV2p1c1dxb2NQYTNGR3pYNHdUSUg5bXd2WU1FMnJhcVFqa2VTb0FBd0NnWUlLb1pJemowRUF3SUQKU1FBd1JnSWhBSXpZaU82TEpldTZmWENxYTFDdFJGbEZRZHlYbEx4V21iT1R1OXNoTWZaN0FpRUF2eU1sTDBrMgoxZjRVbytrak55TmljK0toZUY5QTQxSG1RbVNaeGpycnZWRT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUgUkVRVUVTVC0tLS0tCg==";
    let talk = Talk::new().await;
    let made = json!({"metadata": {"name": "ann"}, "spec": {"request": REQUEST, "signerName": "example.com/s", "usages": ["client auth"]}});
    let mut made = talk.post(REQUESTS, made).await.expect(201);
    assert_eq!(made["spec"]["username"], "admin");
    made["metadata"]["labels"] = json!({"a": "b"});
    made["status"] =
        json!({"conditions": [{"type": "Approved", "status": "True", "reason": "Mine"}]});
    let path = format!("{REQUESTS}/ann");
    let mut approved = talk
        .put(&format!("{path}/approval"), made)
        .await
        .expect(200);
    assert_eq!(approved["metadata"]["labels"], json!({"a": "b"}));
    let condition = &approved["status"]["conditions"][0];
    assert!(condition["lastUpdateTime"].is_string() && condition["lastTransitionTime"].is_string());
    let mut put_status = async |status: Value| {
        approved["status"] = status;
        talk.put(&format!("{path}/status"), approved.clone()).await
    };
    let failed = json!({"type": "Failed", "status": "True", "reason": "No"});
    let refused = |what: &str| {
        format!("CertificateSigningRequest.certificates.k8s.io \"ann\" is invalid: status.{what}")
    };
    put_status(json!({"conditions": [failed]})).await.refused(
        422,
        &refused("conditions: Forbidden: updates may not remove a condition of type \"Approved\""),
    );
    let denied = json!({"type": "Denied", "status": "True"});
    assert_eq!(put_status(json!({"conditions": [denied]})).await.code, 422);
    let mine = json!({"type": "Approved", "status": "True", "reason": "Other"});
    put_status(json!({"conditions": [mine], "certificate": "YQ=="})).await.refused(
        422,
        &refused("certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block"),
    );
    let failed = put_status(json!({"conditions": [failed, mine]}))
        .await
        .expect(200);
    let conditions = failed["status"]["conditions"].as_array().unwrap();
    let said: Vec<&Value> = conditions.iter().map(|one| &one["reason"]).collect();
    assert_eq!(said, ["No", "Mine"]);
}

#[tokio::test]
async fn a_selector_names_what_is_listed_and_watched_alone() {
    let talk = Talk::new().await;
    let rules = json!([{"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["a"],
        "verbs": ["list", "create", "deletecollection"]}]);
    let role = json!({"metadata": {"name": "one"}, "rules": rules});
    let roles = format!("{RBAC}/namespaces/web/roles");
    talk.post(&roles, role).await.expect(201);
    let binding = json!({"metadata": {"name": "one"}, "subjects": [{"kind": "User", "name": "ann"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "one"}});
    let bindings = format!("{RBAC}/namespaces/web/rolebindings");
    talk.post(&bindings, binding).await.expect(201);
    let path = "/api/v1/namespaces/web/configmaps?fieldSelector=metadata.name%3Da";
    let as_ann = [
        ("impersonate-user", "ann"),
        ("content-type", "application/json"),
    ];
    let map = json!({"metadata": {"name": "b"}}).to_string();
    for (method, code) in [("GET", 200), ("POST", 403), ("DELETE", 403)] {
        let body = if method == "POST" {
            map.clone()
        } else {
            String::new()
        };
        let answer = talk.send_as("suite/1", method, path, &as_ann, body).await;
        assert_eq!(answer.code, code, "{method}");
    }
}

#[tokio::test]
async fn a_kubelet_evicts_its_own_pods_and_mirrors_no_secrets() {
    let talk = Talk::new().await;
    for (name, node) in [("a", "n1"), ("b", "n2")] {
        let mut bound = pod(name);
        bound["spec"]["nodeName"] = node.into();
        talk.post(PODS, bound).await.expect(201);
    }
    let rules =
        json!([{"apiGroups": [""], "resources": ["pods", "pods/eviction"], "verbs": ["create"]}]);
    let role = json!({"metadata": {"name": "kubelet"}, "rules": rules});
    talk.post(&format!("{RBAC}/clusterroles"), role)
        .await
        .expect(201);
    let binding = json!({"metadata": {"name": "kubelet"},
        "subjects": [{"kind": "Group", "name": "system:nodes"}],
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "kubelet"}});
    talk.post(&format!("{RBAC}/clusterrolebindings"), binding)
        .await
        .expect(201);
    let as_node = [
        ("impersonate-user", "system:node:n1"),
        ("impersonate-group", "system:nodes"),
        ("content-type", "application/json"),
    ];
    for (name, code) in [("a", 201), ("b", 403)] {
        let path = format!("{PODS}/{name}/eviction");
        let body = json!({"metadata": {"name": name}}).to_string();
        let answer = talk.send_as("suite/1", "POST", &path, &as_node, body).await;
        assert_eq!(answer.code, code, "{name}");
    }
    let mut mirror = pod("m");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    mirror["spec"]["serviceAccountName"] = "default".into();
    let why = "pods \"m\" is forbidden: a mirror pod may not reference service accounts";
    let body = mirror.to_string();
    let answer = talk.send_as("suite/1", "POST", PODS, &as_node, body).await;
    answer.refused(403, why);
}

#[tokio::test]
async fn a_system_priority_class_stays() {
    let talk = Talk::new().await;
    let mut unnamed = pod("");
    unnamed["metadata"] = json!({"generateName": "pod-"});
    unnamed["spec"]["priorityClassName"] = "none".into();
    let why = "pods \"pod-\" is forbidden: no PriorityClass with name none was found";
    talk.post(PODS, unnamed).await.refused(403, why);
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let class = json!({"metadata": {"name": "low"}, "value": 1});
    talk.post(classes, class).await.expect(201);
    let low = format!("{classes}/low");
    talk.delete(&low, json!({})).await.expect(200);
    let bootstrapped = talk.get(classes).await.expect(200);
    for class in bootstrapped["items"].as_array().unwrap() {
        let name = class["metadata"]["name"].as_str().unwrap();
        let path = format!("{classes}/{name}");
        let why = format!(
            "priorityclasses.scheduling.k8s.io {name:?} is forbidden: this is a system priority class and cannot be deleted"
        );
        talk.delete(&path, json!({})).await.refused(403, &why);
    }
}
