//! What a server makes at its first start, beside what a stock server makes.

use std::collections::BTreeMap;

use sampan_apiserver::IdentityLease;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::server::Talk;

const RECORDED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/recordings/bootstrap-objects.json"
);

/// Objects by namespace and name, without what differs from start to start.
fn by_name(objects: &[Value]) -> BTreeMap<String, Value> {
    let bare = objects.iter().map(|object| {
        let mut object = object.clone();
        let fields = object.as_object_mut().unwrap();
        for field in ["apiVersion", "kind", "status"] {
            fields.remove(field);
        }
        let metadata = object["metadata"].as_object_mut().unwrap();
        for field in [
            "uid",
            "resourceVersion",
            "creationTimestamp",
            "managedFields",
            "generation",
        ] {
            metadata.remove(field);
        }
        let name = format!(
            "{}/{}",
            object["metadata"]["namespace"], object["metadata"]["name"]
        );
        (name, object)
    });
    bare.collect()
}

#[tokio::test]
async fn a_first_start_makes_what_a_stock_server_makes() {
    let talk = Talk::new().await;
    talk.delete("/api/v1/namespaces/web", Value::Null).await;
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    let recorded: BTreeMap<String, Vec<Value>> =
        serde_json::from_str(&std::fs::read_to_string(RECORDED).unwrap()).unwrap();
    for (path, theirs) in recorded {
        let ours = talk.get(&path).await.expect(200);
        let mut ours = by_name(ours["items"].as_array().unwrap());
        let mut theirs = by_name(&theirs);
        // The test's own namespace; the accounts that the controller makes.
        ours.retain(|name, _| !name.contains("\"web\""));
        theirs
            .retain(|name, _| !path.ends_with("serviceaccounts") || !name.ends_with("\"default\""));
        for (name, theirs) in &theirs {
            assert_eq!(ours.get(name), Some(theirs), "{path} {name}");
        }
        assert_eq!(ours.len(), theirs.len(), "{path}");
    }
}

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const FLOW: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";

#[tokio::test]
async fn a_start_mends_what_was_taken_from_the_policy_and_keeps_what_was_given() {
    let talk = Talk::new().await;
    let first = talk.server.bootstrap(Vec::new());
    drop(first.await.unwrap());
    let revision = talk.server.config().store.revision();
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    assert_eq!(
        talk.server.config().store.revision(),
        revision,
        "all was as it should be"
    );

    let proxier = format!("{RBAC}/clusterroles/system:node-proxier");
    let basic = format!("{RBAC}/clusterrolebindings/system:basic-user");
    let before = talk.get(&proxier).await.expect(200);
    let extra = json!([{"verbs": ["get"], "apiGroups": [""], "resources": ["extras"]}]);
    let changed = talk.patch("merge", &proxier, json!({"rules": extra})).await;
    changed.expect(200);
    let changed = talk.patch("merge", &basic, json!({"subjects": []})).await;
    changed.expect(200);
    let monitoring = format!("{RBAC}/clusterroles/system:monitoring");
    let left = json!({"rules": [], "metadata": {"annotations": {"rbac.authorization.kubernetes.io/autoupdate": "false"}}});
    talk.patch("merge", &monitoring, left).await.expect(200);
    let leader = format!("{RBAC}/clusterrolebindings/system:kube-dns");
    talk.delete(&leader, Value::Null).await.expect(200);
    let other = json!({"metadata": {"name": "system:kube-dns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}});
    let bindings = format!("{RBAC}/clusterrolebindings");
    talk.post(&bindings, other).await.expect(201);
    let service = "/apis/apiregistration.k8s.io/v1/apiservices/v1.apps";
    let priority = json!({"spec": {"versionPriority": 1}});
    talk.patch("merge", service, priority).await.expect(200);

    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    let rules = talk.get(&proxier).await.expect(200);
    let rules = rules["rules"].as_array().unwrap();
    assert_eq!(rules[0], extra[0]);
    let verbs = before["rules"].as_array().unwrap().iter();
    let verbs = verbs.map(|rule| {
        let count = |field: &str| rule[field].as_array().unwrap().len();
        count("verbs") * count("apiGroups") * count("resources")
    });
    assert_eq!(
        rules.len(),
        1 + verbs.sum::<usize>(),
        "a rule for each right"
    );
    let subjects = talk.get(&basic).await.expect(200);
    assert_eq!(subjects["subjects"][0]["name"], "system:authenticated");
    let left = talk.get(&monitoring).await.expect(200);
    assert!(left["rules"].as_array().is_none_or(Vec::is_empty));
    let bound = talk.get(&leader).await.expect(200);
    assert_eq!(bound["roleRef"]["name"], "system:kube-dns");
    let service = talk.get(service).await.expect(200);
    assert_eq!(service["spec"]["versionPriority"], 15);
    let revision = talk.server.config().store.revision();
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    assert_eq!(
        talk.server.config().store.revision(),
        revision,
        "mended once for all"
    );
}

/// Waits until an object is as it should be.
async fn becomes(talk: &Talk, path: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    let becoming = async {
        let mut revision = talk.server.config().store.revision();
        loop {
            let object = talk.get(path).await;
            if object.code == 200 && is_so(&object.body) {
                return object.body;
            }
            revision = revision.next();
            talk.server.config().store.wait_for(revision).await.unwrap();
        }
    };
    let became = tokio::time::timeout(std::time::Duration::from_secs(30), becoming);
    became.await.expect(path)
}

#[tokio::test]
async fn a_lease_tells_of_the_server_until_it_ends() {
    const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
    let talk = Talk::new().await;
    let _kept = talk.server.bootstrap(Vec::new()).await.unwrap();
    let left = json!({"metadata": {"name": "apiserver-old", "labels": {"apiserver.kubernetes.io/identity": "kube-apiserver"}}});
    talk.post(LEASES, left).await.expect(201);
    let shutdown = CancellationToken::new();
    let lease = IdentityLease::new(talk.server.clone(), "vm".into(), None);
    let telling = tokio::spawn(lease.tell(shutdown.clone()));
    let path = format!("{LEASES}/apiserver-wlv32tlttr4jl3gtroqexyxapa");
    let told = becomes(&talk, &path, |lease| lease["spec"]["renewTime"].is_string()).await;
    assert_eq!(told["metadata"]["labels"]["kubernetes.io/hostname"], "vm");
    assert_eq!(told["spec"]["leaseDurationSeconds"], 3600);
    shutdown.cancel();
    telling.await.unwrap();
    assert_eq!(talk.get(&path).await.code, 404);
    assert_eq!(talk.get(&format!("{LEASES}/apiserver-old")).await.code, 404);
}

#[tokio::test]
async fn what_every_cluster_has_comes_back_when_it_is_deleted_or_changed() {
    let talk = Talk::new().await;
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "trust", "namespace": "kube-system"}});
    let kept = talk.server.bootstrap(vec![map]).await.unwrap();
    let keeping = tokio::spawn(kept.keep());
    for path in [
        format!("{FLOW}/flowschemas/catch-all"),
        format!("{FLOW}/prioritylevelconfigurations/workload-low"),
        "/api/v1/namespaces/default/services/kubernetes".to_owned(),
        "/api/v1/namespaces/kube-system/configmaps/trust".to_owned(),
    ] {
        let before = talk.get(&path).await.expect(200);
        talk.delete(&path, Value::Null).await.expect(200);
        let uid = &before["metadata"]["uid"];
        let after = becomes(&talk, &path, |object| object["metadata"]["uid"] != *uid).await;
        assert_eq!(before["spec"], after["spec"], "{path}");
    }
    let lease = "/api/v1/namespaces/kube-node-lease";
    let going = talk.delete(lease, Value::Null).await.expect(200);
    let mut ended = going.clone();
    ended["spec"]["finalizers"] = json!([]);
    talk.put(&format!("{lease}/finalize"), ended)
        .await
        .expect(200);
    let uid = &going["metadata"]["uid"];
    becomes(&talk, lease, |object| object["metadata"]["uid"] != *uid).await;

    let schema = format!("{FLOW}/flowschemas/service-accounts");
    let precedence = json!({"spec": {"matchingPrecedence": 9001}});
    let changed = talk.patch("merge", &schema, precedence.clone()).await;
    changed.expect(200);
    becomes(&talk, &schema, |schema| {
        schema["spec"]["matchingPrecedence"] == 9000
    })
    .await;
    // Who says so takes over the spec of one that is not mandatory.
    let schema = format!("{FLOW}/flowschemas/global-default");
    let mut taken = precedence;
    taken["metadata"]["annotations"] = json!({"apf.kubernetes.io/autoupdate-spec": "false"});
    talk.patch("merge", &schema, taken).await.expect(200);
    let last = format!("{FLOW}/flowschemas/catch-all");
    let uid = talk.get(&last).await.expect(200)["metadata"]["uid"].clone();
    talk.delete(&last, Value::Null).await.expect(200);
    becomes(&talk, &last, |object| object["metadata"]["uid"] != uid).await;
    let schema = talk.get(&schema).await.expect(200);
    assert_eq!(schema["spec"]["matchingPrecedence"], 9001);
    keeping.abort();
}

#[tokio::test]
async fn what_is_mandatory_for_flows_is_not_changed() {
    let talk = Talk::new().await;
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    let schema = format!("{FLOW}/flowschemas/catch-all");
    let changed = json!({"spec": {"matchingPrecedence": 9001}});
    talk.patch("merge", &schema, changed).await.refused(
        422,
        "FlowSchema.flowcontrol.apiserver.k8s.io \"catch-all\" is invalid: spec: Invalid value: \
         {\"PriorityLevelConfiguration\":{\"Name\":\"catch-all\"},\"MatchingPrecedence\":9001,\
         \"DistinguisherMethod\":{\"Type\":\"ByUser\"},\"Rules\":[{\"Subjects\":[\
         {\"Kind\":\"Group\",\"User\":null,\"Group\":{\"Name\":\"system:unauthenticated\"},\"ServiceAccount\":null},\
         {\"Kind\":\"Group\",\"User\":null,\"Group\":{\"Name\":\"system:authenticated\"},\"ServiceAccount\":null}],\
         \"ResourceRules\":[{\"Verbs\":[\"*\"],\"APIGroups\":[\"*\"],\"Resources\":[\"*\"],\"ClusterScope\":true,\"Namespaces\":[\"*\"]}],\
         \"NonResourceRules\":[{\"Verbs\":[\"*\"],\"NonResourceURLs\":[\"*\"]}]}]}: \
         spec of 'catch-all' must equal the fixed value",
    );
    let level = |name: &str| format!("{FLOW}/prioritylevelconfigurations/{name}");
    for (name, spec, why) in [
        (
            "catch-all",
            json!({"limited": {"nominalConcurrencyShares": 6}}),
            ": spec of 'catch-all' must equal the fixed value",
        ),
        (
            "exempt",
            json!({"exempt": {"nominalConcurrencyShares": -1}}),
            ".exempt.nominalConcurrencyShares: Invalid value: -1: must be a non-negative integer",
        ),
        (
            "exempt",
            json!({"exempt": {"lendablePercent": 101}}),
            ".exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive",
        ),
    ] {
        let changed = json!({ "spec": spec });
        let refused = talk.patch("merge", &level(name), changed).await.expect(422);
        let message = refused["message"].as_str().unwrap();
        assert!(message.ends_with(why), "{message}");
    }
    let larger = json!({"spec": {"exempt": {"nominalConcurrencyShares": 7}}});
    talk.patch("merge", &level("exempt"), larger)
        .await
        .expect(200);
}
