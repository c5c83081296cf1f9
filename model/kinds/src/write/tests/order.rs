//! In which order things are told, and what is told of names; each as a stock server says it.

use meta::ObjectExt as _;
use serde_json::json;

use super::cases::{manifest, refused, said};

#[test]
fn what_an_ephemeral_container_may_not_say_is_told_in_the_order_of_its_type() {
    let container = json!({"name": "e", "image": "x", "terminationMessagePolicy": "File", "imagePullPolicy": "Always",
        "lifecycle": {}, "ports": [{"containerPort": 80}], "restartPolicy": "Always", "livenessProbe": {}});
    let mut pod = json!({"containers": [{"name": "a", "image": "x"}]});
    pod.set(&["ephemeralContainers"], json!([container]));
    let told = said(&manifest(
        "v1",
        "PodTemplate",
        json!({"template": {"spec": pod}}),
    ));
    let places = ["ports", "restartPolicy", "livenessProbe", "lifecycle"]
        .map(|field| told.find(&format!("ephemeralContainers[0].{field}: Forbidden")));
    assert!(
        places.is_sorted() && places.iter().all(Option::is_some),
        "{told}"
    );
}

#[test]
fn a_capacity_is_told_of_its_topology_first() {
    let selector = json!({"matchExpressions": [{"key": "a", "operator": "X"}]});
    let told = "[nodeTopology.matchExpressions[0].operator: Invalid value: \"X\": not a valid selector operator, ";
    let capacity = json!({"nodeTopology": selector, "storageClassName": "A"});
    let all = said(&manifest(
        "storage.k8s.io/v1",
        "CSIStorageCapacity",
        capacity,
    ));
    assert!(all.starts_with(told), "{all}");
}

#[test]
fn prefixes_of_names_have_no_rule_where_names_are_checked_declaratively() {
    let metadata = json!({"name": "x", "generateName": "X"});
    for (version, kind) in [
        ("resource.k8s.io/v1", "DeviceClass"),
        ("v1", "ReplicationController"),
    ] {
        let told = said(&manifest(
            version,
            kind,
            json!({"metadata": metadata, "spec": {}}),
        ));
        assert!(!told.contains("generateName"), "{told}");
    }
    let told = said(&manifest("v1", "ConfigMap", json!({"metadata": metadata})));
    assert!(told.contains("generateName"), "{told}");
}

#[test]
fn metadata_of_events_come_after_what_else_is_wrong() {
    let about = json!({"metadata": {}, "involvedObject": {"namespace": "b"}});
    let namespace =
        "involvedObject.namespace: Invalid value: \"b\": does not match event.namespace";
    refused("v1", "Event", about, namespace);
    let budget = json!({"metadata": {}, "spec": {"maxUnavailable": 1, "minAvailable": -1}});
    let told = said(&manifest("policy/v1", "PodDisruptionBudget", budget));
    assert!(!told.contains("metadata"), "{told}");
    let about = json!({"metadata": {"name": "A"}, "regarding": {"namespace": "b"}});
    let told = said(&manifest("events.k8s.io/v1", "Event", about));
    assert!(
        told.starts_with(&format!("[{namespace}, metadata.name: ")),
        "{told}"
    );
}

#[test]
fn metadata_that_templates_have_none_of_are_told_in_the_order_of_their_type() {
    let metadata = json!({"deletionTimestamp": "2020-01-01T00:00:00Z", "name": "x", "uid": "y"});
    let template = json!({"spec": {"metadata": metadata, "spec": {}}});
    let told = ["name", "uID", "deletionTimestamp"]
        .map(|field| format!("spec.metadata.{field}: Forbidden: cannot be set"));
    refused(
        "resource.k8s.io/v1",
        "ResourceClaimTemplate",
        template,
        &format!("[{}]", told.join(", ")),
    );
}

#[test]
fn an_odd_mode_of_completion_is_not_told_to_be_indexed() {
    let spec = json!({"completionMode": "Odd", "completions": 1, "maxFailedIndexes": 1, "backoffLimitPerIndex": 1});
    let told = said(&manifest("batch/v1", "Job", super::cases::job(spec)));
    assert!(!told.contains("indexed completion mode"), "{told}");
}

#[test]
fn what_is_no_docker_config_is_told_in_the_words_of_go() {
    use base64::Engine as _;
    let told = |text: &str, why: &str| {
        let data = base64::engine::general_purpose::STANDARD.encode(text);
        let secret = json!({"type": "kubernetes.io/dockercfg", "data": {".dockercfg": data}});
        let at = "data[.dockercfg]: Invalid value: \"<secret contents redacted>\": ";
        let why = if why.is_empty() {
            String::new()
        } else {
            format!("{at}{why}")
        };
        refused("v1", "Secret", secret, &why);
    };
    told("{", "unexpected end of JSON input");
    told(
        "nul",
        "invalid character ' ' in literal null (expecting 'l')",
    );
    told(
        "{\"a\":1,}",
        "invalid character '}' looking for beginning of object key string",
    );
    told(
        "[]",
        "json: cannot unmarshal array into Go value of type map[string]interface {}",
    );
    told(" {\"\\ud800\": 1} ", "");
}

#[test]
fn what_is_no_certificate_request_is_refused_whatever_stands_around_it() {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    let told = |text: &str| {
        let spec =
            json!({"request": STANDARD.encode(text), "signerName": "a.b/c", "usages": ["any"]});
        said(&manifest(
            "certificates.k8s.io/v1",
            "CertificateSigningRequest",
            json!({"spec": spec}),
        ))
    };
    let around = |der: &str| {
        format!(
            "x\n-----BEGIN CERTIFICATE REQUEST-----\nA: b\n\n{der}\n-----END CERTIFICATE REQUEST-----\n"
        )
    };
    // What is asked for with its version, name and key, then an algorithm and a signature.
    assert_eq!(told(&around("MA8wBwIBADAAMAAwAAMCAAE=")), "");
    assert!(told(&around("AAAA")).ends_with("x509: malformed certificate request"));
    assert!(told(&around("!!!!")).ends_with("PEM block type must be CERTIFICATE REQUEST"));
}

#[test]
fn an_address_in_an_odd_form_is_told_once() {
    let subsets = |ip: &str| json!({"subsets": [{"addresses": [{"ip": ip}]}]});
    let told = said(&manifest("v1", "Endpoints", subsets("::ffff:1.2.3.4")));
    assert!(
        told.ends_with("must not be an IPv4-mapped IPv6 address"),
        "{told}"
    );
    let told = said(&manifest("v1", "Endpoints", subsets("x")));
    assert!(told.ends_with("must be a valid IP address]"), "{told}");
}

#[test]
fn a_job_that_is_not_respecified_is_not_warned_of_again() {
    let spec = json!({"completions": 200_000, "parallelism": 20_000, "completionMode": "Indexed"});
    let mut new = manifest("batch/v1", "Job", super::cases::job(spec));
    let mut old = new.clone();
    let registry = crate::builtin();
    let kind = registry.kind(&new.gvk().unwrap()).unwrap();
    assert_eq!(kind.strategy.warnings(&new, None).len(), 1);
    assert_eq!(kind.strategy.warnings(&new, Some(&old)).len(), 0);
    old.set(&["metadata", "generation"], 1.into());
    new.set(&["metadata", "generation"], 2.into());
    assert_eq!(kind.strategy.warnings(&new, Some(&old)).len(), 1);
}
