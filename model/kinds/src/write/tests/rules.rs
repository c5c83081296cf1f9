//! More rules that the recordings do not reach, found by asking a stock server.

use meta::ObjectExt as _;
use serde_json::{Value, json};

use super::addresses::warned;
use super::cases::{job, manifest, pod_refused, refused, said};
use super::harness::created;

/// A webhook whose rule is for these resources.
fn webhook(client: &Value, resources: &Value) -> Value {
    let rule = json!({"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": resources});
    json!({"webhooks": [{"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"],
        "clientConfig": client, "rules": [rule]}]})
}

#[test]
fn resources_of_rules_are_not_covered_by_others() {
    let client = json!({"service": {"name": "a", "namespace": "b"}});
    let told = |resources: Value, why: &str| {
        let object = webhook(&client, &resources);
        refused(
            "admissionregistration.k8s.io/v1",
            "ValidatingWebhookConfiguration",
            object,
            why,
        );
    };
    let at = "webhooks[0].rules[0].resources";
    told(
        json!(["pods/*", "pods/status"]),
        &format!(
            "{at}[1]: Invalid value: \"pods/status\": if 'pods/*' is present, must not specify pods/status"
        ),
    );
    told(
        json!(["*/status", "pods/status"]),
        &format!(
            "{at}[1]: Invalid value: \"pods/status\": if '*/status' is present, must not specify pods/status"
        ),
    );
    told(
        json!(["*", "pods"]),
        &format!(
            "{at}: Invalid value: [\"*\",\"pods\"]: if '*' is present, must not specify other resources without subresources"
        ),
    );
    told(json!(["*", "*"]), "");
    told(json!(["pods/status", "pods/*"]), "");
}

#[test]
fn huge_pages_come_whole_and_not_alone() {
    let limits = |name: &str, amount: &str| json!({"resources": {"limits": {name: amount, "memory": "1Gi"}}});
    for (name, amount) in [("hugepages-2Mi", "3Mi"), ("hugepages-x", "1")] {
        // Requests are those of the limits.
        let [limit, request] = ["limits", "requests"].map(|list| {
            format!(
                "spec.containers[0].resources.{list}[{name}]: Invalid value: \"{amount}\": {amount} is not positive integer multiple of {name}"
            )
        });
        let why = format!("[{limit}, {request}]");
        pod_refused(limits(name, amount), json!({}), &why);
    }
    let class = json!({"handler": "x", "overhead": {"podFixed": {"hugepages-2Mi": "3Mi"}}});
    let why = "[overhead.limits[hugepages-2Mi]: Invalid value: \"3Mi\": 3Mi is not positive integer multiple of hugepages-2Mi, overhead: Forbidden: HugePages require cpu or memory]";
    refused("node.k8s.io/v1", "RuntimeClass", class, why);
}

#[test]
fn jobs_of_very_many_indexes_limit_their_failures() {
    let indexed = |mut spec: Value| {
        spec["completionMode"] = "Indexed".into();
        spec["completions"] = 100_001.into();
        job(spec)
    };
    let why =
        "spec.maxFailedIndexes: Required value: must be specified when completions is above 100000";
    let spec = indexed(json!({"backoffLimitPerIndex": 1}));
    refused("batch/v1", "Job", spec, why);
    let words = "must be less than or equal to 10000 when completions are above 100000 and used with backoff limit per index";
    let spec =
        json!({"backoffLimitPerIndex": 1, "maxFailedIndexes": 10_001, "parallelism": 20_000});
    let why = format!(
        "[spec.parallelism: Invalid value: 20000: {words}, spec.maxFailedIndexes: Invalid value: 10001: {words}]"
    );
    refused("batch/v1", "Job", indexed(spec), &why);
    let told = warned("batch/v1", "Job", indexed(json!({"parallelism": 10_001})));
    assert_eq!(told.len(), 1);
    assert!(
        told[0].starts_with("spec: In Indexed Jobs with"),
        "{told:?}"
    );
}

#[test]
fn names_of_profiles_are_no_longer_than_paths() {
    let profile = |name: &str| {
        let profile = json!({"type": "Localhost", "localhostProfile": name});
        json!({"securityContext": {"appArmorProfile": profile}})
    };
    let at = "spec.containers[0].securityContext.appArmorProfile.localhostProfile";
    let why = format!("{at}: Too long: may not be more than 4095 bytes");
    pod_refused(profile(&"a".repeat(4096)), json!({}), &why);
    pod_refused(profile(&"a".repeat(4095)), json!({}), "");
    let why = format!("{at}: Invalid value: \" \": must not be padded with whitespace");
    pod_refused(profile(" "), json!({}), &why);
}

#[test]
fn options_of_drivers_stand_in_no_reserved_namespace() {
    let options = json!({"a.K8s.io/b": "c", "notk8s.io/b": "c"});
    let spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"},
        "flexVolume": {"driver": "a/b", "options": options}});
    let why = "spec.flexVolume.options[a.K8s.io/b]: Invalid value: \"a.K8s.io/b\": kubernetes.io and k8s.io namespaces are reserved";
    refused("v1", "PersistentVolume", json!({"spec": spec}), why);
}

#[test]
fn classes_with_old_node_labels_are_warned_of() {
    let selector = json!({"beta.kubernetes.io/os": "linux", "a": "b"});
    let class = json!({"handler": "x", "scheduling": {"nodeSelector": selector}});
    let why = r#"scheduling.nodeSelector: deprecated since v1.14; use "kubernetes.io/os" instead"#;
    assert_eq!(warned("node.k8s.io/v1", "RuntimeClass", class), [why]);
}

#[test]
fn an_exempt_level_is_checked_beside_what_it_may_not_have() {
    let spec = json!({"type": "Exempt", "limited": {}, "exempt": {"lendablePercent": 101}});
    let told = "[spec.type: Invalid value: \"Exempt\": must be 'Exempt' if and only if `name` is 'exempt', spec.limited: Forbidden: must be nil if the type is not Limited, spec.exempt.lendablePercent: Invalid value: 101: must be between 0 and 100, inclusive]";
    let (version, kind) = (
        "flowcontrol.apiserver.k8s.io/v1",
        "PriorityLevelConfiguration",
    );
    refused(version, kind, json!({"spec": spec}), told);
}

#[test]
fn variables_and_what_they_come_from_are_named_as_upstream_names_them() {
    let words = "a valid environment variable name must consist only of printable ASCII characters other than '='";
    let env = json!({"env": [{"name": "a=b"}]});
    let why = format!("spec.containers[0].env[0].name: Invalid value: \"a=b\": {words}");
    pod_refused(env, json!({}), &why);
    for name in ["a-", "--", "ab12-"] {
        let from = json!([{"configMapRef": {"name": name}}, {"secretRef": {"name": name}}]);
        pod_refused(json!({"envFrom": from}), json!({}), "");
    }
}

#[test]
fn api_services_have_a_group_but_for_the_first() {
    let spec = json!({"version": "", "groupPriorityMinimum": 1, "versionPriority": 1,
        "service": {"name": "a", "namespace": "b", "port": 70_000}});
    let object = json!({"metadata": {"name": "."}, "spec": spec});
    let kind = "APIService";
    let told = said(&manifest("apiregistration.k8s.io/v1", kind, object));
    for why in [
        "spec.group: Required value: only v1 may have an empty group and it better be legacy kube",
        "spec.version: Invalid value: \"\": a DNS-1035 label must",
        "spec.service.port: Invalid value: 70000: port is not valid: must be between 1 and 65535, inclusive",
    ] {
        assert!(told.contains(why), "{told}");
    }
}

#[test]
fn operators_that_only_compare_are_listed_to_those_who_ask_for_them() {
    let at = "spec.tolerations[0].operator: Unsupported value";
    for (operator, known) in [
        ("Gt", r#""Equal", "Exists", "Lt", "Gt""#),
        ("X", r#""Equal", "Exists""#),
    ] {
        let tolerations = json!([{"key": "a", "operator": operator, "value": "1"}]);
        let why = format!("{at}: \"{operator}\": supported values: {known}");
        pod_refused(json!({}), json!({"tolerations": tolerations}), &why);
    }
}

#[test]
fn new_events_are_selected_by_all_that_they_are_about() {
    let registry = crate::builtin();
    let gvk = meta::Gvk::new("events.k8s.io", "v1", "Event");
    let fields = registry.kind(&gvk).unwrap().strategy.selectable_fields();
    for field in ["apiVersion", "resourceVersion", "fieldPath", "uid"] {
        let field = format!("regarding.{field}");
        assert!(fields.contains(&field.as_str()), "{field}");
    }
}

#[test]
fn urls_of_webhooks_are_told_by_what_is_wrong_with_them() {
    let told = |url: &str, why: &str| {
        let object = webhook(&json!({"url": url}), &json!(["pods"]));
        let kind = "ValidatingWebhookConfiguration";
        refused("admissionregistration.k8s.io/v1", kind, object, why);
    };
    let at = "webhooks[0].clientConfig.url";
    let form = "; desired format: https://host[/path]";
    told("HTTPS://a", "");
    let why = "Required value: url must be a valid URL: parse \"5%\": invalid URL escape \"%\"";
    told("5%", &format!("{at}: {why}{form}"));
    let why = "query parameters are not permitted in the URL";
    told(
        "https://a/?x=y",
        &format!("{at}: Invalid value: \"x=y\": {why}"),
    );
}

#[test]
fn an_exception_that_is_no_block_is_told_once() {
    let peer = json!({"ipBlock": {"cidr": "1.2.0.0/16", "except": ["1.2.3.0/33"]}});
    let spec = json!({"podSelector": {}, "ingress": [{"from": [peer]}]});
    let why = "spec.ingress[0].from[0].ipBlock.except[0]: Invalid value: \"1.2.3.0/33\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
    refused(
        "networking.k8s.io/v1",
        "NetworkPolicy",
        json!({"spec": spec}),
        why,
    );
}

#[test]
fn a_percentage_below_zero_counts_for_nothing() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": "-1%"}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template, "updateStrategy": strategy});
    let told = said(&manifest("apps/v1", "DaemonSet", json!({"spec": spec})));
    let why = "maxUnavailable: Required value: cannot be 0 when maxSurge is 0";
    assert!(told.contains(why), "{told}");
}

#[test]
fn volumes_of_a_node_are_told_what_they_lack_once() {
    let volume = |more: Value| {
        let mut spec = json!({"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}});
        spec.as_object_mut()
            .unwrap()
            .extend(more.as_object().cloned().unwrap());
        json!({"spec": spec})
    };
    let local = json!({"local": {"path": "/a"}, "nodeAffinity": {}});
    let why = "spec.nodeAffinity.required: Required value: must specify required node constraints";
    refused("v1", "PersistentVolume", volume(local), why);
    let bare = json!({"hostPath": {"path": ""}, "persistentVolumeReclaimPolicy": "Recycle"});
    let why = "spec.hostPath.path: Required value";
    refused("v1", "PersistentVolume", volume(bare), why);
}

#[test]
fn drivers_of_slices_are_written_in_small_letters() {
    let why =
        r#"spec.driver: driver names should be lowercase; "X.Io" contains uppercase characters"#;
    let slice = json!({"spec": {"driver": "X.Io"}});
    assert_eq!(warned("resource.k8s.io/v1", "ResourceSlice", slice), [why]);
}

#[test]
fn amounts_beyond_counting_are_whole() {
    let limits = |amount: &str| json!({"resources": {"limits": {"a.b/gpu": amount}}});
    pod_refused(limits("1E"), json!({}), "");
    let container = json!({"name": "a", "image": "x", "resources": {"limits": {"memory": "8Ei"}}});
    let pod = json!({"spec": {"containers": [container]}});
    assert_eq!(warned("v1", "Pod", pod), [""; 0]);
}

#[test]
fn volumes_within_attachments_are_those_of_a_driver() {
    let attachment = |inline: Value| {
        let source = json!({"inlineVolumeSpec": inline});
        json!({"spec": {"attacher": "a.b", "nodeName": "n", "source": source}})
    };
    let (version, kind) = ("storage.k8s.io/v1", "VolumeAttachment");
    let inline =
        json!({"accessModes": ["ReadWriteOnce"], "csi": {"driver": "a.b", "volumeHandle": "h"}});
    refused(version, kind, attachment(inline), "");
    let at = "spec.source.inlineVolumeSpec";
    let inline = json!({"capacity": {"storage": "1Gi"}, "nfs": {"server": "s", "path": "/p"}});
    let words = "in the context of inline volumes";
    let why = format!(
        "[{at}.capacity: Forbidden: may not be specified {words}, {at}.csi: Required value: has to be specified {words}, {at}.accessModes: Required value]"
    );
    refused(version, kind, attachment(inline), &why);
}

#[test]
fn taints_of_devices_say_since_when_they_are() {
    let device = json!({"name": "d", "taints": [{"key": "k", "effect": "NoSchedule"}]});
    let pool = json!({"name": "p", "resourceSliceCount": 1});
    let spec = json!({"driver": "a.b", "nodeName": "n", "pool": pool, "devices": [device]});
    let slice = manifest("resource.k8s.io/v1", "ResourceSlice", json!({"spec": spec}));
    let registry = crate::builtin();
    let slice = created(registry.kind(&slice.gvk().unwrap()).unwrap(), slice).unwrap();
    let taint = &slice["spec"]["devices"][0]["taints"][0];
    assert_eq!(taint["timeAdded"], "1970-01-01T00:00:00Z");
}

#[test]
fn claims_are_limited_in_their_storage_before_their_ratios() {
    let item = json!({"type": "PersistentVolumeClaim", "maxLimitRequestRatio": {"x": "2"}});
    let told = said(&manifest(
        "v1",
        "LimitRange",
        json!({"spec": {"limits": [item]}}),
    ));
    assert!(
        told.starts_with("[spec.limits[0].limits: Required"),
        "{told}"
    );
}

#[test]
fn the_zone_of_the_machine_is_told_twice() {
    let job = job(json!({}))["spec"].take();
    let spec = json!({"schedule": "* * * * *", "timeZone": "local", "jobTemplate": {"spec": job}});
    let why = "[spec.timeZone: Invalid value: \"local\": timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones, spec.timeZone: Invalid value: \"local\": unknown time zone local]";
    refused("batch/v1", "CronJob", json!({"spec": spec}), why);
}

#[test]
fn limits_of_a_daemon_set_that_rolls_nothing_are_zero() {
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let strategy = json!({"type": "OnDelete", "rollingUpdate": {"maxSurge": 1}});
    let spec = json!({"selector": {"matchLabels": {"a": "b"}}, "template": template, "updateStrategy": strategy});
    let set = manifest("apps/v1", "DaemonSet", json!({"spec": spec}));
    let registry = crate::builtin();
    let set = created(registry.kind(&set.gvk().unwrap()).unwrap(), set).unwrap();
    let rolling = json!({"maxSurge": 1, "maxUnavailable": 0});
    assert_eq!(set["spec"]["updateStrategy"]["rollingUpdate"], rolling);
}
