//! Requests that a stock 1.36 server was asked as well, with its answers as data.

use serde_json::{Value, json};

use crate::server::{DEPLOYMENTS, PODS, Talk};

const MAPS: &str = "/api/v1/namespaces/web/configmaps";
const ROUTED: &str = "406: Not Acceptable\n\nAvailable representations: application/json, application/yaml, application/vnd.kubernetes.protobuf";
const PRODUCED: &str = "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf";
const REVIEWS: &str = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";
const NOT_A_LIST: &str = "you requested PartialObjectMetadataList, but the requested object is not a list (*core.ConfigMap)";
const A_LIST: &str =
    "you requested PartialObjectMetadata, but the requested object is a list (*core.ConfigMapList)";

/// A server with a ConfigMap `a` and a Deployment `d`.
async fn talk() -> Talk {
    let talk = Talk::with_deployment().await;
    talk.post(MAPS, json!({"metadata": {"name": "a"}}))
        .await
        .expect(201);
    talk
}

fn form(kind: &str) -> String {
    format!("application/json;as={kind};v=v1;g=meta.k8s.io")
}

#[tokio::test]
async fn objects_and_lists_are_not_shown_in_each_others_form() {
    let talk = talk().await;
    let one = format!("{MAPS}/a");
    let (partial, list, table) = (
        form("PartialObjectMetadata"),
        form("PartialObjectMetadataList"),
        form("Table"),
    );
    for (method, path, accept, message) in [
        ("GET", one.as_str(), list.as_str(), NOT_A_LIST),
        ("GET", MAPS, &partial, A_LIST),
        ("DELETE", MAPS, &partial, A_LIST),
        ("GET", &one, "application/*", ROUTED),
        ("GET", &one, "text/html", ROUTED),
        (
            "GET",
            &one,
            "application/json;as=Foo;v=v1;g=meta.k8s.io",
            PRODUCED,
        ),
        ("POST", REVIEWS, &table, PRODUCED),
    ] {
        let headers = [("accept", accept)];
        let answer = talk.send_as("suite/1", method, path, &headers, "").await;
        // What cannot be written as asked for is written for people.
        let is_indented = answer.bytes.starts_with(b"{\n  \"");
        assert_eq!(is_indented, accept != "application/*", "{accept}");
        answer.refused(406, message);
    }
    let empty = format!("{MAPS}?labelSelector=no");
    let headers = [("accept", list.as_str())];
    let answer = talk.send_as("suite/1", "GET", &empty, &headers, "").await;
    assert_eq!(answer.expect(200)["items"], Value::Null);
    let headers = [("accept", "application/yaml;as=Table;v=v1;g=meta.k8s.io")];
    let absent = format!("{MAPS}/absent");
    let answer = talk.send_as("suite/1", "GET", &absent, &headers, "").await;
    assert_eq!(answer.headers["content-type"], "application/json");
}

#[tokio::test]
async fn items_have_their_type_from_the_list() {
    let talk = talk().await;
    let list = talk.get(MAPS).await.expect(200);
    assert_eq!(list["kind"], "ConfigMapList");
    let item = &list["items"][0];
    assert_eq!(item["metadata"]["name"], "a");
    assert_eq!(
        (&item["kind"], &item["apiVersion"]),
        (&Value::Null, &Value::Null)
    );
    let alone = talk.get(&format!("{MAPS}/a")).await.expect(200);
    assert_eq!(
        (&alone["kind"], &alone["apiVersion"]),
        (&json!("ConfigMap"), &json!("v1"))
    );
}

#[tokio::test]
async fn a_scale_prints_and_is_patched_as_itself() {
    let talk = talk().await;
    let path = format!("{DEPLOYMENTS}/d/scale");
    let headers = [("accept", form("Table"))];
    let headers = headers
        .each_ref()
        .map(|(name, form)| (*name, form.as_str()));
    let table = talk.send_as("suite/1", "GET", &path, &headers, "").await;
    let table = table.expect(200);
    let names = table["columnDefinitions"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|column| &column["name"]).collect();
    assert_eq!(names, ["Name", "Desired", "Available", "Age"]);
    assert_eq!(table["rows"][0]["cells"][1], 2);
    for (body, code, message) in [
        (
            json!({"spec": "x"}),
            422,
            " \"\" is invalid: patch: Invalid value: \"map[spec:x]\": cannot restore struct from: string",
        ),
        (
            json!({"foo": 1}),
            422,
            " \"\" is invalid: patch: Invalid value: \"map[foo:1]\": strict decoding error: unknown field \"foo\"",
        ),
        (
            json!({"spec": {"replicas": "x"}}),
            422,
            " \"\" is invalid: patch: Invalid value: \"map[spec:map[replicas:x]]\": unrecognized type: int32",
        ),
        (
            json!({"metadata": {"name": "zz"}}),
            400,
            "the name of the object (zz) does not match the name on the URL (d)",
        ),
    ] {
        let path = format!("{path}?fieldValidation=Strict");
        let answer = talk.patch("strategic-merge", &path, body).await;
        answer.refused(code, message);
    }
    let wide = json!({"spec": {"replicas": 4_294_967_299_i64}});
    let cut = talk.patch("strategic-merge", &path, wide).await.expect(200);
    assert_eq!(cut["spec"]["replicas"], 3);
    let other = talk.patch("merge", &path, json!({"metadata": {"uid": "u"}}));
    let other = other.await;
    assert_eq!(
        (other.code, other.body["details"]["kind"].as_str()),
        (409, Some("deployments/scale"))
    );
    let nameless = json!({"spec": {"replicas": 1}});
    talk.put(&path, nameless).await.refused(
        400,
        "the name of the object (d based on URL) was undeterminable: name must be provided",
    );
    talk.put(&path, Value::Null).await.refused(
        400,
        "the name of the object (d based on URL) was undeterminable: name must be provided",
    );
}

#[tokio::test]
async fn a_binding_names_its_pod() {
    let talk = talk().await;
    let pod =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    talk.post(PODS, pod).await.expect(201);
    let bindings = format!("{PODS}/p/binding");
    for name in [json!({}), json!({"name": "q"})] {
        let binding = json!({"metadata": name, "target": {"kind": "Node", "name": "n"}});
        let why = "name in URL does not match name in Binding object";
        talk.post(&bindings, binding).await.refused(400, why);
    }
}

#[tokio::test]
async fn parameters_are_refused_in_upstreams_words() {
    let talk = talk().await;
    let options = "ListOptions.meta.k8s.io \"\" is invalid:";
    let needs = "resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
    let cases = [
        ("configmaps?timeout=abc", 400, "invalid timeout specified in the request URL - time: invalid duration \"abc\"".to_owned()),
        ("configmaps?labelSelector=a%3Ex", 400, "unable to parse requirement: values[0]: Invalid value: \"x\": for 'Gt', 'Lt' operators, the value must be an integer".to_owned()),
        ("configmaps?watch=1&sendInitialEvents=true", 422, format!("{options} {needs}")),
        ("configmaps?watch=1&sendInitialEvents=true&resourceVersionMatch=Exact", 422, format!("{options} [{needs}, resourceVersionMatch: Unsupported value: \"Exact\": supported values: \"NotOlderThan\"]")),
        ("configmaps?watch=1&resourceVersionMatch=NotOlderThan", 422, format!("{options} resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided")),
        ("configmaps?watch=1&continue=a", 422, format!("{options} resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden when continue is provided")),
        ("configmaps?limit=", 400, "strconv.ParseInt: parsing \"\": invalid syntax".to_owned()),
        ("configmaps?limit=99999999999999999999", 400, "strconv.ParseInt: parsing \"99999999999999999999\": value out of range".to_owned()),
        ("configmaps?sendInitialEvents", 422, format!("{options} sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list")),
        ("configmaps//a", 404, "the server could not find the requested resource".to_owned()),
        ("services/x/status/more", 404, "the server could not find the requested resource".to_owned()),
    ];
    for (path, code, message) in cases {
        let path = format!("/api/v1/namespaces/web/{path}");
        talk.get(&path).await.refused(code, &message);
    }
    for (path, message) in [
        (
            "/version?timeout=abc",
            "invalid timeout specified in the request URL - time: invalid duration \"abc\"",
        ),
        (
            "/api/v1/namespaces?fieldSelector=metadata.namespace%3Dx",
            "field label not supported: metadata.namespace",
        ),
        (
            "/apis/batch/v1/jobs?fieldSelector=x%3Dy",
            "field label \"x\" not supported for Job",
        ),
        (
            "/apis/apps/v1/replicasets?fieldSelector=status.replicas%3D0",
            "\"status.replicas\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\"",
        ),
    ] {
        talk.get(path).await.refused(400, message);
    }
}

#[tokio::test]
async fn answers_are_named_and_kept_by_nobody() {
    let talk = talk().await;
    let get = async |path: &str, headers: &[(&str, &str)]| {
        talk.send_as("suite/1", "GET", path, headers, "")
            .await
            .headers
    };
    let headers = get("/healthz", &[]).await;
    assert_eq!(headers["cache-control"], "no-cache, private");
    assert_eq!(headers["audit-id"].len(), 36);
    assert_eq!(get(MAPS, &[("audit-id", "mine")]).await["audit-id"], "mine");
    let headers = get("/openid/v1/jwks/", &[]).await;
    assert_eq!(headers["cache-control"], "public, max-age=3600");
    let headers = get(MAPS, &[("impersonate-user", "ann")]).await;
    assert_eq!(headers["x-content-type-options"], "nosniff");
}

#[tokio::test]
async fn refusals_show_the_empty_lists_and_maps_that_were_sent() {
    let talk = talk().await;
    let classes = "/apis/storage.k8s.io/v1/storageclasses";
    let class = json!({"metadata": {"name": "c"}, "provisioner": "p", "parameters": {"a": "b"}});
    talk.post(classes, class).await.expect(201);
    let patch = async |patch: Value| {
        let headers = [("content-type", "application/merge-patch+json")];
        let (path, body) = (format!("{classes}/c"), patch.to_string());
        talk.send_as("suite/1", "PATCH", &path, &headers, body)
            .await
    };
    let refused = |shown: &str| {
        format!(
            "StorageClass.storage.k8s.io \"c\" is invalid: parameters: Invalid value: {shown}: field is immutable"
        )
    };
    patch(json!({"parameters": {"a": null}}))
        .await
        .refused(422, &refused("{}"));
    patch(json!({"parameters": null}))
        .await
        .refused(422, &refused("null"));
    let template = json!({"spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}});
    let mut deployment = template;
    deployment["metadata"] = json!({"name": "e"});
    let why = "Deployment.apps \"e\" is invalid: spec.template.metadata.labels: Invalid value: {}: `selector` does not match template `labels`";
    talk.post(DEPLOYMENTS, deployment).await.refused(422, why);
}

#[tokio::test]
async fn keys_that_stand_twice_in_yaml_are_warned_of_and_the_last_counts() {
    let talk = talk().await;
    let told = "line 5: key \"k\" already set in map";
    let body = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: y}\ndata: {k: one,\n  k: two}\n";
    let body = body.replace("name: y", "name: 'y'");
    let send = async |method: &str, path: &str, query: &str| {
        let media_type = match method {
            "POST" => "application/yaml",
            _ => "application/apply-patch+yaml",
        };
        let (path, headers) = (format!("{path}?{query}"), [("content-type", media_type)]);
        talk.send_as("suite/1", method, &path, &headers, body.clone())
            .await
    };
    let one = format!("{MAPS}/y");
    for (method, path, refused) in [
        (
            "POST",
            MAPS,
            "ConfigMap in version \"v1\" cannot be handled as a ConfigMap: strict decoding error: yaml: unmarshal errors:\n  ",
        ),
        (
            "PATCH",
            &one,
            "error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n  ",
        ),
    ] {
        let answer = send(
            method,
            path,
            "dryRun=All&fieldManager=m&fieldValidation=Strict",
        )
        .await;
        answer.refused(400, &format!("{refused}{told}"));
        let answer = send(method, path, "dryRun=All&fieldManager=m").await;
        let warning = answer.headers["warning"].to_str().unwrap().to_owned();
        assert!(warning.contains("already set in map"), "{warning}");
        assert_eq!(answer.expect(201)["data"]["k"], "two");
    }
}

#[tokio::test]
async fn a_daemon_set_warns_of_its_template_when_that_changes() {
    let talk = talk().await;
    let sets = "/apis/apps/v1/namespaces/web/daemonsets";
    let template = json!({"metadata": {"labels": {"a": "b"}},
        "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let set = json!({"metadata": {"name": "s"},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    talk.post(sets, set).await.expect(201);
    let patch = async |spec: Value| {
        let headers = [("content-type", "application/merge-patch+json")];
        let body = json!({ "spec": spec }).to_string();
        let path = format!("{sets}/s");
        talk.send_as("suite/1", "PATCH", &path, &headers, body)
            .await
    };
    let terms = json!([{"topologyKey": "kubernetes.io/hostname"}]);
    let terms = json!({"requiredDuringSchedulingIgnoredDuringExecution": terms});
    let answer =
        patch(json!({"template": {"spec": {"affinity": {"podAntiAffinity": terms}}}})).await;
    let warning = answer.headers["warning"].to_str().unwrap().to_owned();
    let why = "labelSelector: a null labelSelector results in matching no pod";
    assert!(warning.contains(why), "{warning}");
    answer.expect(200);
    let answer = patch(json!({"minReadySeconds": 1})).await;
    assert_eq!(answer.headers.get("warning"), None);
    let refused = r#"DaemonSet.apps "s" is invalid: metadata.ownerReferences: Invalid value: {"apiVersion":"v1","kind":"Event","name":"e","uid":"u"}: /v1, Kind=Event is disallowed from being an owner"#;
    let owner = json!({"uid": "u", "name": "e", "kind": "Event", "apiVersion": "v1"});
    let set = json!({"metadata": {"name": "s", "ownerReferences": [owner]},
        "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    talk.post(sets, set).await.refused(422, refused);
}

#[tokio::test]
async fn how_long_it_runs_and_how_it_is_set_is_told_in_the_form_that_is_asked_for() {
    let talk = talk().await;
    let get = async |path: &str, accept: &str| {
        let headers = [("accept", accept)];
        talk.send_as("suite/1", "GET", path, &headers, "").await
    };
    let asked = "application/json;as=Statusz;v=v1alpha1;g=config.k8s.io";
    let answer = get("/statusz", asked).await;
    assert_eq!(
        answer.headers["content-type"],
        "application/json;g=config.k8s.io;v=v1alpha1;as=Statusz"
    );
    assert_eq!(
        answer.headers["warning"],
        "299 - \"This version of the statusz endpoint is deprecated. Please use a newer version.\""
    );
    let told = answer.expect(200);
    assert_eq!(told["binaryVersion"], "1.36");
    let paths = [
        "/flagz", "/healthz", "/livez", "/metrics", "/readyz", "/statusz", "/version",
    ];
    assert_eq!(told["paths"], json!(paths));
    let asked = "application/json;as=Flagz;v=v1beta1;g=config.k8s.io";
    let told = get("/flagz", asked).await.expect(200);
    assert_eq!(told["flags"]["service-cluster-ip-range"], "10.96.0.0/12");
    assert_eq!(told["flags"]["audit-log-mode"], "blocking");
    let refused = "only the following media types are accepted: application/json, application/yaml, text/plain";
    get("/flagz", "text/html").await.refused(406, refused);
    let listed = get("/", "").await.expect(200);
    let listed = listed["paths"].as_array().unwrap();
    for path in ["/flagz", "/readyz/ping", "/openapi/v3/"] {
        assert!(listed.contains(&json!(path)), "{path}");
    }
}

#[tokio::test]
async fn odd_paths_and_parameters_end_as_upstreams_do() {
    let talk = talk().await;
    let unreadable = "Internal Server Error: \"/api/v1/watch/\": failed to create RequestInfo: unable to determine kind and namespace from url, /api/v1/watch/\n";
    let answer = talk.get("/api/v1/watch/").await;
    assert_eq!(
        (answer.code, &answer.bytes[..]),
        (500, unreadable.as_bytes())
    );
    let another = "/api/v1/watch/namespaces/web/configmaps/a?fieldSelector=metadata.name%3Db";
    talk.get(another).await.refused(
        400,
        "fieldSelector metadata.name doesn't match requested name",
    );
    let nested = "/api/v1/namespaces/web/namespaces";
    talk.get(nested)
        .await
        .refused(404, "the server could not find the requested resource");
    let passed = format!("{MAPS}?watch=1&timeoutSeconds=-1");
    assert_eq!(talk.get(&passed).await.code, 200);
    let listed = talk
        .get(&format!("{MAPS}?fieldSelector=%3D%3D"))
        .await
        .expect(200);
    assert_eq!(listed["items"][0]["metadata"]["name"], "a");
    let emptied = format!("{MAPS}/a?propagationPolicy=");
    assert_eq!(talk.send("DELETE", &emptied, "", "").await.code, 422);
    let headers = [("accept", "text/html")];
    let version = talk
        .send_as("suite/1", "GET", "/version", &headers, "")
        .await;
    version.refused(
        406,
        "406: Not Acceptable\n\nAvailable representations: application/json",
    );
}

#[tokio::test]
async fn answers_name_the_flow_that_their_request_falls_under() {
    const FLOW: &str = "/apis/flowcontrol.apiserver.k8s.io/v1";
    const NAMES: [&str; 2] = [
        "x-kubernetes-pf-flowschema-uid",
        "x-kubernetes-pf-prioritylevel-uid",
    ];
    let talk = talk().await;
    let named = async |method: &str, path: &str, headers: &[(&str, &str)]| {
        let answer = talk.send_as("suite/1", method, path, headers, "").await;
        let name = |name: &&str| Some(answer.headers.get(*name)?.to_str().unwrap().to_owned());
        let named: Vec<String> = NAMES.iter().filter_map(name).collect();
        named
    };
    let level = json!({"metadata": {"name": "l"},
        "spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}});
    let path = format!("{FLOW}/prioritylevelconfigurations");
    let level = talk.post(&path, level).await.expect(201);
    let rules = json!([{"subjects": [{"kind": "User", "user": {"name": "ann"}}],
        "resourceRules": [{"verbs": ["*"], "apiGroups": [""], "resources": ["configmaps", "pods"],
            "namespaces": ["*"]}]}]);
    let schema = json!({"metadata": {"name": "s"}, "spec": {"matchingPrecedence": 7,
        "priorityLevelConfiguration": {"name": "l"}, "rules": rules}});
    let path = format!("{FLOW}/flowschemas");
    let schema = talk.post(&path, schema).await.expect(201);
    let uid = |object: &Value| object["metadata"]["uid"].as_str().unwrap().to_owned();
    let ann = [("impersonate-user", "ann")];
    let wanted = [uid(&schema), uid(&level)];
    // She may not read them: what is refused is named too.
    assert_eq!(named("GET", MAPS, &ann).await, wanted);
    let watch = format!("{PODS}?watch=1&timeoutSeconds=1");
    assert_eq!(named("GET", &watch, &ann).await, wanted);
    assert_eq!(named("GET", &format!("{PODS}/p/log"), &ann).await, [""; 0]);
    talk.delete(&format!("{path}/s"), Value::Null)
        .await
        .expect(200);
    assert_ne!(named("GET", MAPS, &ann).await, wanted);
}

#[tokio::test]
async fn a_delete_of_many_answers_with_what_was_there() {
    let talk = talk().await;
    for name in ["b", "c"] {
        let map = json!({"metadata": {"name": name, "finalizers": ["x.example/y"]}});
        talk.post(MAPS, map).await.expect(201);
    }
    let gone = talk
        .delete(&format!("{MAPS}?limit=2"), Value::Null)
        .await
        .expect(200);
    assert!(gone["metadata"]["continue"].is_string());
    for item in gone["items"].as_array().unwrap() {
        assert_eq!(item["metadata"]["deletionTimestamp"], Value::Null);
    }
}

#[tokio::test]
async fn paths_and_names_that_mean_nothing_are_told_apart() {
    let talk = talk().await;
    let (page, route) = (
        Value::Null,
        "the server could not find the requested resource",
    );
    assert_eq!(talk.get("//api/v1/pods").await.expect(404), page);
    assert_eq!(talk.get("/healthz/").await.expect(404), page);
    for path in [
        "/version/x",
        "/api/v1/namespaces/web/nodes",
        "/api/v1/watch/pods/p",
        "/api/v1/namespaces/web/configmaps/a%2fb",
    ] {
        talk.get(path).await.refused(404, route);
    }
    let why = "Name parameter invalid: \".\": may not be '.'";
    talk.get(&format!("{MAPS}/.")).await.refused(400, why);
    // One object is read, whoever asks for a watch of it.
    assert_eq!(
        talk.get(&format!("{MAPS}/a?watch=1")).await.expect(200)["kind"],
        "ConfigMap"
    );
}

#[tokio::test]
async fn identity_is_kept_whatever_the_door() {
    let talk = talk().await;
    let immutable =
        "Deployment.apps \"d\" is invalid: metadata.uid: Invalid value: \"u\": field is immutable";
    let status = format!("{DEPLOYMENTS}/d/status");
    let other = json!({"metadata": {"uid": "u"}});
    talk.patch("merge", &status, other)
        .await
        .refused(422, immutable);
    let leases = "/apis/coordination.k8s.io/v1/namespaces/web/leases/l";
    talk.put(leases, json!({"metadata": {"name": "l", "uid": "u"}})).await.refused(
        409,
        "Operation cannot be fulfilled on leases.coordination.k8s.io \"l\": StorageError: invalid object, Code: 4, Key: /registry/leases/web/l, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: u, UID in object meta: ",
    );
    talk.put(
        leases,
        json!({"metadata": {"name": "l", "resourceVersion": "5"}}),
    )
    .await
    .expect(201);
    let unversioned =
        json!({"metadata": {"resourceVersion": null}, "spec": {"leaseDurationSeconds": 1}});
    talk.patch("merge", leases, unversioned).await.refused(
        422,
        "leases.coordination.k8s.io \"l\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update",
    );
}

#[tokio::test]
async fn only_the_deprecated_way_to_cascade_is_answered_with_accepted() {
    let talk = talk().await;
    let held = json!({"metadata": {"finalizers": ["a.b/c"]}});
    let one = format!("{MAPS}/a");
    talk.patch("merge", &one, held).await.expect(200);
    for (body, code) in [
        (
            json!({"propagationPolicy": "Foreground", "dryRun": ["All"]}),
            200,
        ),
        (json!({"orphanDependents": false, "dryRun": ["All"]}), 202),
    ] {
        talk.delete(&one, body).await.expect(code);
    }
}

#[tokio::test]
async fn unknown_words_of_a_json_patch_are_told() {
    let talk = talk().await;
    let patch = json!([{"op": "add", "path": "/data", "value": {"k": "v"}, "more": 1}]);
    let answer = talk.patch("json", &format!("{MAPS}/a"), patch).await;
    let warning = "299 - \"json patch unknown field \\\"[0].more\\\"\"";
    assert_eq!(answer.headers["warning"], warning);
    let nothing = talk
        .patch("json", &format!("{MAPS}/a"), json!([null]))
        .await;
    nothing.refused(
        422,
        "the server rejected our request due to an error in our request",
    );
}

#[tokio::test]
async fn a_resize_changes_amounts_and_owns_them() {
    let talk = talk().await;
    let pod = json!({"metadata": {"name": "p"}, "spec": {"containers": [
        {"name": "c", "image": "i", "resources": {"requests": {"cpu": "1"}}}]}});
    talk.post(PODS, pod).await.expect(201);
    let path = format!("{PODS}/p/resize");
    let amounts = json!({"spec": {"containers": [
        {"name": "c", "image": "other", "resources": {"requests": {"cpu": "2"}}}]}});
    let resized = talk
        .patch("strategic-merge", &path, amounts)
        .await
        .expect(200);
    let container = &resized["spec"]["containers"][0];
    assert_eq!(container["resources"], json!({"requests": {"cpu": "2"}}));
    assert_eq!(container["image"], "i");
    let entry = &resized["metadata"]["managedFields"][1];
    assert_eq!(entry["subresource"], "resize");
    let renamed = json!([{"op": "replace", "path": "/spec/containers/0/name", "value": "d"}]);
    talk.patch("json", &path, renamed).await.refused(
        422,
        "Pod \"p\" is invalid: spec.containers[0].name: Forbidden: containers may not be renamed or reordered on resize",
    );
}
