//! Subresources with bodies of their own, and the kinds that are asked, not stored.

use serde_json::{Value, json};

use crate::server::{DEPLOYMENTS, PODS, Talk};

fn pod(name: &str) -> Value {
    json!({"metadata": {"name": name, "labels": {"app": "web"}},
        "spec": {"containers": [{"name": "c", "image": "busybox:1"}]}})
}

#[tokio::test]
async fn scale_shows_and_changes_the_count() {
    let talk = Talk::with_deployment().await;
    let path = format!("{DEPLOYMENTS}/d/scale");
    let mut scale = talk.get(&path).await.expect(200);
    assert_eq!(scale["apiVersion"], "autoscaling/v1");
    assert_eq!(scale["spec"], json!({"replicas": 2}));
    assert_eq!(
        scale["status"],
        json!({"replicas": 0, "selector": "app=web"})
    );
    scale["spec"]["replicas"] = 5.into();
    let scaled = talk.put(&path, scale.clone()).await.expect(200);
    assert_eq!(scaled["spec"]["replicas"], 5);
    // The version read before is no longer the present one.
    assert_eq!(talk.put(&path, scale).await.code, 409);
    let patched = talk
        .patch("merge", &path, json!({"spec": {"replicas": 1}}))
        .await
        .expect(200);
    assert_eq!(patched["spec"]["replicas"], 1);
    let elsewhere = json!({"metadata": {"namespace": "other"}});
    let why =
        "the namespace of the provided object does not match the namespace sent on the request";
    talk.patch("merge", &path, elsewhere)
        .await
        .refused(400, why);
    let parent = talk.get(&format!("{DEPLOYMENTS}/d")).await.expect(200);
    assert_eq!(parent["spec"]["replicas"], 1);
    let why = "the export parameter, deprecated since v1.14, is no longer supported";
    let exported = talk.get(&format!("{DEPLOYMENTS}/d?export=true")).await;
    exported.refused(400, why);
    let unnamed = json!({"target": {"kind": "Node", "name": "n1"}});
    let bindings = "/api/v1/namespaces/web/bindings";
    talk.post(bindings, unnamed)
        .await
        .refused(400, "Name parameter required.");
    assert_eq!(parent["metadata"]["generation"], 3);
    let managers = parent["metadata"]["managedFields"].as_array().unwrap();
    let by_scale = managers
        .iter()
        .find(|entry| entry["subresource"] == "scale")
        .unwrap();
    assert_eq!(by_scale["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    talk.patch("merge", &path, json!({"spec": {"replicas": -1}})).await.refused(
        422,
        "Scale.autoscaling \"d\" is invalid: spec.replicas: Invalid value: -1: must be greater than or equal to 0",
    );
}

#[tokio::test]
async fn a_pod_is_bound_once() {
    let talk = Talk::new().await;
    talk.post(PODS, pod("p")).await.expect(201);
    let path = format!("{PODS}/p/binding");
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": "p"},
        "target": {"kind": "Node", "name": "node-1"}});
    let status = talk.post(&path, binding.clone()).await.expect(201);
    assert_eq!(status["status"], "Success");
    let bound = talk.get(&format!("{PODS}/p")).await.expect(200);
    assert_eq!(bound["spec"]["nodeName"], "node-1");
    assert_eq!(bound["status"]["conditions"][0]["type"], "PodScheduled");
    talk.post(&path, binding).await.refused(
        409,
        "Operation cannot be fulfilled on pods/binding \"p\": pod p is already assigned to node \"node-1\"",
    );
    let nobody = json!({"metadata": {"name": "p"}, "target": {"kind": "Pod", "name": ""}});
    talk.post(&path, nobody).await.refused(
        500,
        "[target.kind: Unsupported value: \"Pod\": supported values: \"Node\", \"<empty>\", target.name: Required value]",
    );
}

#[tokio::test]
async fn an_address_that_somebody_reserved_is_not_given_to_a_service() {
    let talk = Talk::new().await;
    let parent = json!({"group": "gateway.networking.k8s.io", "resource": "gateways",
        "name": "front", "namespace": "web"});
    let reserved = json!({"metadata": {"name": "10.96.0.77"}, "spec": {"parentRef": parent}});
    let addresses = "/apis/networking.k8s.io/v1/ipaddresses";
    talk.post(addresses, reserved).await.expect(201);
    let service = json!({"metadata": {"name": "s"},
        "spec": {"clusterIP": "10.96.0.77", "ports": [{"port": 80}]}});
    talk.post("/api/v1/namespaces/web/services", service).await.refused(
        422,
        "Service \"s\" is invalid: spec.clusterIPs: Invalid value: [\"10.96.0.77\"]: failed to allocate IP 10.96.0.77: provided IP is already allocated",
    );
}

#[tokio::test]
async fn a_service_is_told_of_its_addresses_before_all_else_and_of_its_version_last() {
    let talk = Talk::new().await;
    let services = "/api/v1/namespaces/web/services";
    let service = |name: &str| {
        json!({"metadata": {"name": name, "resourceVersion": "7"},
            "spec": {"type": "NodePort", "ports": [{"port": 80, "nodePort": 30_077}]}})
    };
    let why = "resourceVersion should not be set on objects to be created";
    talk.post(services, service("s")).await.refused(500, why);
    let mut sound = service("s");
    sound["metadata"]["resourceVersion"] = "none".into();
    talk.post(services, sound).await.expect(201);
    talk.post(services, service("-")).await.refused(
        422,
        "Service \"-\" is invalid: spec.ports[0].nodePort: Invalid value: 30077: provided port is already allocated",
    );
}

#[tokio::test]
async fn evictions_ask_the_disruption_budget() {
    let talk = Talk::new().await;
    for name in ["a", "b"] {
        let mut pod = talk.post(PODS, pod(name)).await.expect(201);
        pod["status"] =
            json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        talk.put(&format!("{PODS}/{name}/status"), pod)
            .await
            .expect(200);
    }
    let budgets = "/apis/policy/v1/namespaces/web/poddisruptionbudgets";
    let budget = json!({"metadata": {"name": "b"},
        "spec": {"minAvailable": 1, "selector": {"matchLabels": {"app": "web"}}}});
    let mut budget = talk.post(budgets, budget).await.expect(201);
    let evict = |name: &'static str| {
        let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": name},
            "deleteOptions": {"gracePeriodSeconds": 0}});
        (format!("{PODS}/{name}/eviction"), body)
    };
    let (path, body) = evict("a");
    let mut older = body.clone();
    older["apiVersion"] = "policy/v1beta1".into();
    let early = talk.post(&path, older).await;
    assert_eq!(
        (early.code, &early.headers["retry-after"]),
        (429, &"10".parse().unwrap())
    );
    budget["status"] = json!({"observedGeneration": 1, "disruptionsAllowed": 1, "currentHealthy": 2,
        "desiredHealthy": 1, "expectedPods": 2});
    talk.put(&format!("{budgets}/b/status"), budget)
        .await
        .expect(200);
    talk.post(&path, body).await.expect(201);
    assert_eq!(talk.get(&format!("{PODS}/a")).await.code, 404);
    let counted = talk.get(&format!("{budgets}/b")).await.expect(200);
    assert_eq!(counted["status"]["disruptionsAllowed"], 0);
    assert!(counted["status"]["disruptedPods"]["a"].is_string());
    let managers = counted["metadata"]["managedFields"].as_array().unwrap();
    let own = managers
        .iter()
        .find(|entry| entry["manager"] == "kube-apiserver");
    let owned = &own.unwrap()["fieldsV1"]["f:status"];
    assert!(owned["f:disruptionsAllowed"].is_object() && owned["f:disruptedPods"].is_object());
    let (path, mut elsewhere) = evict("b");
    elsewhere["metadata"]["namespace"] = "other".into();
    assert_eq!(talk.post(&path, elsewhere).await.code, 400);
    let (path, body) = evict("b");
    let mut another = body.clone();
    another["deleteOptions"] = json!({"preconditions": {"uid": "another"}});
    let refused = talk.post(&path, body).await;
    assert_eq!(refused.code, 429);
    let mut waiting = talk.get(&format!("{PODS}/b")).await.expect(200);
    waiting["status"]["phase"] = "Pending".into();
    talk.put(&format!("{PODS}/b/status"), waiting)
        .await
        .expect(200);
    let refusal = talk.post(&path, another).await;
    assert_eq!(refusal.code, 409);
    let told = refusal.body["message"].as_str().unwrap();
    assert!(
        told.contains("the UID in the precondition (another) does not match"),
        "{told}"
    );
    assert_eq!(
        refused.body["details"]["causes"][0]["reason"],
        "DisruptionBudget"
    );
}

#[tokio::test]
async fn a_service_account_gets_a_token_that_is_it() {
    let talk = Talk::new().await;
    let path = "/api/v1/namespaces/web/serviceaccounts/default/token";
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": {"expirationSeconds": 600}});
    let answer = talk.post(path, request).await.expect(201);
    let owned = &answer["metadata"]["managedFields"][0];
    assert_eq!(owned["subresource"], "token");
    let wanted = json!({"f:spec": {"f:expirationSeconds": {}}});
    assert_eq!(owned["fieldsV1"], wanted);
    let token = answer["status"]["token"].as_str().unwrap();
    let reviews = "/apis/authentication.k8s.io/v1/tokenreviews";
    let review = talk
        .post(reviews, json!({"spec": {"token": token}}))
        .await
        .expect(201);
    assert_eq!(review["status"]["authenticated"], true);
    assert_eq!(
        review["status"]["user"]["username"],
        "system:serviceaccount:web:default"
    );
    let other = talk
        .post(reviews, json!({"spec": {"token": "x"}}))
        .await
        .expect(201);
    assert_eq!(other["status"]["error"], "invalid bearer token");
    let short = json!({"spec": {"expirationSeconds": 60}});
    talk.post(path, short).await.refused(
        422,
        "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds: Invalid value: 60: may not specify a duration less than 10 minutes",
    );
}

#[tokio::test]
async fn access_reviews_say_who_may_what() {
    let talk = Talk::new().await;
    let group = "/apis/authorization.k8s.io/v1";
    let attributes = json!({"verb": "get", "resource": "pods", "namespace": "web"});
    let own = json!({"spec": {"resourceAttributes": attributes}});
    let own = talk
        .post(&format!("{group}/selfsubjectaccessreviews"), own)
        .await
        .expect(201);
    assert_eq!(own["status"], json!({"allowed": true}));
    let other = json!({"spec": {"user": "nobody", "resourceAttributes": attributes}});
    let path = format!("{group}/namespaces/web/localsubjectaccessreviews");
    let local = talk.post(&path, other).await.expect(201);
    assert_eq!(local["status"], json!({"allowed": false}));
    let empty = talk
        .post(
            &format!("{group}/subjectaccessreviews"),
            json!({"spec": {}}),
        )
        .await;
    assert_eq!(empty.code, 422);
    let rules = json!({"spec": {"namespace": "web"}});
    let rules = talk
        .post(&format!("{group}/selfsubjectrulesreviews"), rules)
        .await
        .expect(201);
    assert_eq!(rules["status"]["resourceRules"][0]["verbs"], json!(["*"]));
    let me = talk
        .post(
            "/apis/authentication.k8s.io/v1/selfsubjectreviews",
            json!({}),
        )
        .await
        .expect(201);
    assert_eq!(me["status"]["userInfo"]["username"], "admin");
    let parts = talk.get("/api/v1/componentstatuses").await.expect(200);
    assert_eq!(parts["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_pod_that_waits_is_not_hurried_by_who_names_no_time() {
    let talk = Talk::new().await;
    let mut bound = pod("a");
    bound["spec"]["nodeName"] = "n".into();
    talk.post(PODS, bound).await.expect(201);
    let path = format!("{PODS}/a");
    let grace = |answer: Value| answer["metadata"]["deletionGracePeriodSeconds"].clone();
    let long = json!({"gracePeriodSeconds": 600});
    talk.delete(&path, long).await.expect(200);
    for silent in [json!({}), json!({"propagationPolicy": "Foreground"})] {
        let left = talk.delete(&path, silent).await.expect(200);
        assert!(left["metadata"]["finalizers"].is_null());
        assert_eq!(grace(left), 600);
    }
    let body = json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "a"}});
    talk.post(&format!("{path}/eviction"), body)
        .await
        .expect(201);
    assert_eq!(grace(talk.get(&path).await.expect(200)), 600);
    let longer = json!({"metadata": {"deletionGracePeriodSeconds": 900}});
    assert_eq!(talk.patch("merge", &path, longer).await.code, 422);
    let short = json!({"gracePeriodSeconds": 5});
    assert_eq!(grace(talk.delete(&path, short).await.expect(200)), 5);
}

#[tokio::test]
async fn finalizing_a_namespace_leaves_its_status() {
    let talk = Talk::new().await;
    let path = "/api/v1/namespaces/web";
    let foreign = json!({"preconditions": {"uid": "x"}});
    let refused = talk.delete(path, foreign).await;
    assert_eq!(refused.code, 409);
    let said = refused.body["message"].as_str().unwrap();
    assert!(said.contains("Precondition failed: UID in precondition: x, UID in object meta: "));
    talk.delete(path, json!({})).await.expect(200);
    let body = json!({"metadata": {"name": "web"}, "spec": {"finalizers": ["example.com/a"]},
        "status": {"phase": "Active"}});
    let finalized = talk
        .put(&format!("{path}/finalize"), body)
        .await
        .expect(200);
    assert_eq!(finalized["status"]["phase"], "Terminating");
    assert_eq!(finalized["spec"]["finalizers"], json!(["example.com/a"]));
}

#[tokio::test]
async fn what_is_only_posted_has_no_single_objects() {
    let talk = Talk::new().await;
    let path = "/apis/authentication.k8s.io/v1/tokenreviews/a";
    assert_eq!(talk.get(path).await.code, 404);
    assert_eq!(talk.delete(path, json!({})).await.code, 404);
    // Nor are those of all namespaces read together, and a log has nothing below it.
    assert_eq!(talk.get("/api/v1/bindings").await.code, 404);
    assert_eq!(talk.get("/api/v1/namespaces/web/bindings").await.code, 405);
    let below = talk.get("/api/v1/namespaces/web/pods/p/log/z").await;
    below.refused(404, "the server could not find the requested resource");
    let binding = talk
        .post("/api/v1/namespaces/web/bindings", json!({}))
        .await;
    binding.refused(500, "target.name: Required value");
    let scale = talk
        .put(&format!("{DEPLOYMENTS}/none/scale"), json!({}))
        .await;
    assert_eq!(scale.code, 400);
}

#[tokio::test]
async fn components_are_selected_by_name() {
    let talk = Talk::new().await;
    let path = "/api/v1/componentstatuses?fieldSelector";
    let named = talk.get(&format!("{path}=metadata.name%3Detcd-0")).await;
    let items = &named.expect(200)["items"];
    assert_eq!(items.as_array().unwrap().len(), 1);
    assert_eq!(talk.get(&format!("{path}=x%3Dy")).await.code, 400);
}

#[tokio::test]
async fn empty_lists_of_a_network_policy_are_a_change_that_is_never_stored() {
    let talk = Talk::new().await;
    let policies = "/apis/networking.k8s.io/v1/namespaces/web/networkpolicies";
    let policy =
        json!({"metadata": {"name": "p"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}});
    talk.post(policies, policy).await.expect(201);
    let path = format!("{policies}/p");
    for (spec, generation) in [
        (json!({"podSelector": {}}), 1),
        (json!({"egress": []}), 2),
        (json!({"egress": []}), 3),
    ] {
        let patched = talk.patch("merge", &path, json!({"spec": spec})).await;
        let patched = patched.expect(200);
        assert_eq!(patched["metadata"]["generation"], generation);
        assert!(patched["spec"].get("egress").is_none());
    }
}

#[tokio::test]
async fn empty_lists_are_told_where_a_field_must_not_be_there() {
    let talk = Talk::new().await;
    let slice = json!({"metadata": {"name": "s"}, "spec": {"driver": "a.b", "devices": [],
        "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}, "sharedCounters": []}});
    let refused = talk
        .post("/apis/resource.k8s.io/v1/resourceslices", slice)
        .await;
    let causes = &refused.expect(422)["details"]["causes"];
    let told = causes.as_array().unwrap().iter();
    let told: Vec<&str> = told.filter_map(|cause| cause["message"].as_str()).collect();
    assert!(told[0].contains("exactly one of `nodeName`"), "{told:?}");
    assert!(
        told[1].contains("only one of `sharedCounters` or `devices`"),
        "{told:?}"
    );
}
