//! Round trips and refusals as Go's decoder gives them.

use serde_json::json;

use super::*;
use crate::schema::builtin;

fn run(name: &str, value: Value) -> Result<Decoded, DecodeError> {
    decode(value, &builtin(name).unwrap())
}

const POD: &str = "io.k8s.api.core.v1.Pod";
const SERVICE: &str = "io.k8s.api.core.v1.Service";
const DEPLOYMENT: &str = "io.k8s.api.apps.v1.Deployment";

#[test]
fn zero_values_are_dropped_and_structs_kept() {
    let decoded = run(
        POD,
        json!({"metadata": {"name": "p", "labels": {}, "creationTimestamp": null}, "spec": {
            "hostNetwork": false, "priority": 0, "securityContext": {}, "nodeSelector": {"a": null},
            "containers": [{"name": "c", "bogus": 1, "resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}, null]
        }, "extra": 1}),
    )
    .unwrap();
    assert_eq!(
        decoded.object,
        json!({"metadata": {"name": "p"}, "spec": {
            "priority": 0, "securityContext": {}, "nodeSelector": {"a": ""},
            "containers": [{"name": "c", "resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}},
                {"name": "", "resources": {}}]
        }, "status": {}})
    );
    assert_eq!(
        decoded.unknown,
        [
            "unknown field \"extra\"",
            "unknown field \"spec.containers[0].bogus\""
        ]
    );
}

#[test]
fn mistyped_values_are_refused_in_gos_words() {
    let cases = [
        (
            DEPLOYMENT,
            json!({"spec": {"replicas": 1.5}}),
            "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
        (
            SERVICE,
            json!({"spec": {"ports": [{"port": "80"}]}}),
            "json: cannot unmarshal string into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            POD,
            json!({"spec": {"containers": {"a": 1}}}),
            "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container",
        ),
        (
            POD,
            json!({"metadata": {"labels": {"a": 1}}}),
            "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels of type string",
        ),
        (
            SERVICE,
            json!({"spec": {"ports": [{"protocol": 1, "port": true}]}}),
            "json: cannot unmarshal bool into Go struct field ServicePort.spec.ports.port of type int32",
        ),
        (
            POD,
            json!([]),
            "json: cannot unmarshal array into Go value of type v1.Pod",
        ),
        (
            POD,
            json!({"metadata": {"deletionTimestamp": "soon"}}),
            "parsing time \"soon\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"soon\" as \"2006\"",
        ),
        (
            POD,
            json!({"metadata": {"deletionTimestamp": "\u{e9}\""}}),
            "parsing time \"\\xc3\\xa9\\\"\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"\\xc3\\xa9\\\"\" as \"2006\"",
        ),
        (
            POD,
            json!({"spec": {"overhead": {"cpu": "lots"}}}),
            "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'",
        ),
    ];
    for (name, value, words) in cases {
        assert_eq!(run(name, value).unwrap_err().to_string(), words);
    }
}

#[test]
fn times_are_canonical() {
    assert_eq!(
        scalar::time("2024-01-02T03:04:05.9+02:00", false).unwrap(),
        "2024-01-02T01:04:05Z"
    );
    assert_eq!(
        scalar::time("2024-01-02T03:04:05.123456Z", true).unwrap(),
        "2024-01-02T03:04:05.123456Z"
    );
}

#[test]
fn a_lifecycle_of_a_signal_alone_goes_with_it() {
    let schema = crate::schema::builtin("io.k8s.api.core.v1.Container").unwrap();
    let enabled = |lifecycle: Value| {
        let container = json!({"name": "c", "lifecycle": lifecycle});
        let decoded = decode_enabled(container, &schema).unwrap();
        decoded.object.get("lifecycle").cloned()
    };
    assert_eq!(enabled(json!({"stopSignal": "SIGTERM"})), None);
    assert_eq!(enabled(json!({})), Some(json!({})));
}

#[test]
fn an_autoscaler_says_that_it_has_no_policies() {
    let schema = builtin("io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler").unwrap();
    let scaler = json!({"spec": {"behavior": {"scaleUp": {"policies": []}}, "metrics": []}});
    let decoded = decode(scaler, &schema).unwrap().object;
    assert_eq!(
        decoded["spec"]["behavior"]["scaleUp"],
        json!({"policies": []})
    );
    assert_eq!(decoded["spec"].get("metrics"), None);
}

#[test]
fn bad_base64_is_told_where_go_finds_it() {
    for (text, at) in [
        ("b@d!", 1),
        ("eA==x", 4),
        ("net.x", 3),
        ("eA=", 3),
        ("aaaa\nbb", 5),
        ("e===", 1),
        ("eA=x", 2),
    ] {
        let value = json!({"data": {"a": text}});
        let why = run("io.k8s.api.core.v1.Secret", value).unwrap_err();
        let words = format!("illegal base64 data at input byte {at}");
        assert_eq!(why.to_string(), words, "{text}");
    }
}

#[test]
fn the_first_mistake_as_written_is_told_but_those_that_end_reading_before_it() {
    let told = |value: Value, order: &[&str]| {
        let error = run("io.k8s.api.apps.v1.Deployment", value).unwrap_err();
        let order: Vec<String> = order.iter().copied().map(str::to_owned).collect();
        let why = error.in_order_of(&order).to_owned();
        (error.to_string(), why)
    };
    let spec =
        json!({"spec": {"paused": 1, "replicas": "x", "template": {"spec": {"containers": [7]}}}});
    let (by_name, as_written) = told(
        spec,
        &[
            "spec",
            "spec.template",
            "spec.template.spec",
            "spec.template.spec.containers",
            "spec.template.spec.containers[0]",
            "spec.replicas",
            "spec.paused",
        ],
    );
    assert!(by_name.contains("DeploymentSpec.spec.paused"), "{by_name}");
    assert!(
        as_written.contains("spec.template.spec.containers"),
        "{as_written}"
    );
    let both = json!({"metadata": {"creationTimestamp": "x"}, "spec": {"paused": 1}});
    let (_, why) = told(
        both,
        &[
            "spec",
            "spec.paused",
            "metadata",
            "metadata.creationTimestamp",
        ],
    );
    assert!(why.starts_with("parsing time"), "{why}");
}
