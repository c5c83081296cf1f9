//! The documents of the built-in rows against what a stock server answered.

use http::HeaderValue;
use serde_json::Value;

use super::*;

const AGGREGATED_V2: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json";

fn ask(path: &str, header: http::HeaderName, value: &str) -> Response<Bytes> {
    let discovery = Discovery::new(&kinds::builtin(), "127.0.0.1:6443");
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static(AGGREGATED_V2));
    headers.insert(header, HeaderValue::from_str(value).unwrap());
    discovery.answer(path, &headers).unwrap().unwrap()
}

fn json(path: &str, accept: &str) -> Value {
    serde_json::from_slice(ask(path, ACCEPT, accept).body()).unwrap()
}

/// Complains about the first resource that differs, by name.
fn check(path: &str, golden: &str) {
    let golden: Value = serde_json::from_str(golden).unwrap();
    let ours = json(path, AGGREGATED_V2);
    let flat = |list: &Value| -> Vec<(String, Value)> {
        let mut flat = Vec::new();
        for group in list["items"].as_array().unwrap() {
            for version in group["versions"].as_array().unwrap() {
                for resource in version["resources"].as_array().unwrap() {
                    let name = format!(
                        "{}/{}/{}",
                        group["metadata"]["name"], version["version"], resource["resource"]
                    );
                    flat.push((name, resource.clone()));
                }
            }
        }
        flat
    };
    let (ours_flat, golden_flat) = (flat(&ours), flat(&golden));
    for (name, wanted) in &golden_flat {
        let found = ours_flat.iter().find(|(ours, _)| ours == name);
        let found = found.map(|(_, resource)| resource);
        assert_eq!(found, Some(wanted), "{name} in {path}");
    }
    assert_eq!(ours, golden, "order or surplus in {path}");
}

fn golden(name: &str) -> Option<String> {
    let root = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/discovery/"
    );
    std::fs::read_to_string(format!("{root}{name}")).ok()
}

#[test]
fn plain_documents_are_served_as_protobuf_too() {
    for path in ["/api", "/api/v1", "/apis", "/apis/apps", "/apis/apps/v1"] {
        let answer = ask(path, ACCEPT, "application/vnd.kubernetes.protobuf");
        assert_eq!(
            answer.headers()[CONTENT_TYPE],
            "application/vnd.kubernetes.protobuf"
        );
        assert!(answer.body().starts_with(b"k8s\0"), "{path}");
    }
}

#[test]
fn a_stock_server_serves_the_same() {
    for (path, name) in [("/api", "served-api.json"), ("/apis", "served-apis.json")] {
        // The recordings lie beside a checkout on the build machines only.
        if let Some(golden) = golden(name) {
            check(path, &golden);
        }
    }
}

#[test]
fn a_client_that_has_the_document_is_told_so() {
    let first = ask("/apis", ACCEPT, AGGREGATED_V2);
    assert_eq!(first.headers()[CONTENT_TYPE], AGGREGATED);
    let etag = first.headers()[ETAG].to_str().unwrap().to_owned();
    let second = ask("/apis", IF_NONE_MATCH, &etag);
    assert_eq!(second.status(), StatusCode::NOT_MODIFIED);
    assert!(second.body().is_empty());
}

#[test]
fn plain_documents_name_groups_versions_and_resources() {
    let groups = json("/apis", "application/json");
    assert_eq!(groups["groups"][0]["name"], "apiregistration.k8s.io");
    let autoscaling = json("/apis/autoscaling", "application/json");
    assert_eq!(autoscaling["preferredVersion"]["version"], "v2");
    let apps = json("/apis/apps/v1/", "application/json");
    let resource = |name: &str| {
        let resources = apps["resources"].as_array().unwrap();
        resources
            .iter()
            .find(|resource| resource["name"] == name)
            .unwrap()
    };
    let deployments = resource("deployments");
    // The value every stock cluster shows.
    assert_eq!(deployments["storageVersionHash"], "8aSe+NMegvE=");
    let scale = resource("deployments/scale");
    assert_eq!(scale["group"], "autoscaling");
    let core = json("/api", "application/json");
    assert_eq!(core["versions"], serde_json::json!(["v1"]));
}

#[test]
fn what_cannot_be_produced_is_refused() {
    let discovery = Discovery::new(&kinds::builtin(), "127.0.0.1:6443");
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("text/html"));
    let refusal = discovery.answer("/api", &headers).unwrap().err().unwrap();
    assert_eq!(refusal.code(), 406);
    let told = refusal.to_string();
    assert!(
        told.starts_with("406: Not Acceptable\n\nAvailable representations: application/json, ")
    );
    for path in ["/apis", "/apis/apps"] {
        let told = discovery
            .answer(path, &headers)
            .unwrap()
            .err()
            .unwrap()
            .to_string();
        assert!(
            told.starts_with("only the following media types are accepted: application/json, ")
        );
    }
    assert!(discovery.answer("/nowhere", &headers).is_none());
}

#[test]
fn the_form_that_is_liked_best_is_chosen() {
    let discovery = Discovery::new(&kinds::builtin(), "127.0.0.1:6443");
    let media_type = |accept| {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static(accept));
        let answer = discovery.answer("/api", &headers).unwrap().unwrap();
        answer.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(
        media_type("application/json;q=0.5,application/yaml;q=0.9"),
        "application/yaml"
    );
    assert_eq!(
        media_type("application/vnd.kubernetes.protobuf;q=0.1,application/json"),
        "application/json"
    );
}
