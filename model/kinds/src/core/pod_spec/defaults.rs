//! Defaults of pods and of the structs in a pod spec.

use serde_json::{Value, json};

use super::image;
use crate::defaults::Rule;
use crate::edit::Edit as _;

/// `0644`, the mode of files in volumes made from objects.
const FILE_MODE: i64 = 420;

/// The rule of a struct of the core group that stands in pod specs.
pub(crate) fn rule(name: &str) -> Option<Rule> {
    Some(match name {
        "PodSpec" => pod_spec,
        "Container" | "EphemeralContainer" => container,
        "Volume" => volume,
        "Probe" => probe,
        "HTTPGetAction" => http_get,
        "HostPathVolumeSource" => |source| {
            if source.get("type").is_none() {
                source.put("type", "");
            }
        },
        "ObjectFieldSelector" => |selector| selector.default_to("apiVersion", "v1"),
        "SecretVolumeSource"
        | "ConfigMapVolumeSource"
        | "DownwardAPIVolumeSource"
        | "ProjectedVolumeSource" => |source| source.default_to("defaultMode", FILE_MODE),
        "ServiceAccountTokenProjection" => |source| source.default_to("expirationSeconds", 3600),
        _ => return None,
    })
}

fn pod_spec(spec: &mut Value) {
    spec.default_to("dnsPolicy", "ClusterFirst");
    spec.default_to("restartPolicy", "Always");
    spec.default_to("securityContext", json!({}));
    spec.default_to("terminationGracePeriodSeconds", 30);
    spec.default_to("schedulerName", "default-scheduler");
    // The older of the two names follows the newer one; alone it stands for it.
    if spec.lacks("serviceAccountName")
        && let Some(name) = spec.get("serviceAccount").cloned()
    {
        spec.put("serviceAccountName", name);
    }
    match spec.get("serviceAccountName").cloned() {
        Some(name) => spec.put("serviceAccount", name),
        None => {
            spec.drop_field("serviceAccount");
        }
    }
}

fn container(container: &mut Value) {
    if container.lacks("imagePullPolicy") {
        let image = container
            .get("image")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let policy = image::pull_policy(image);
        container.put("imagePullPolicy", policy);
    }
    container.default_to("terminationMessagePath", "/dev/termination-log");
    container.default_to("terminationMessagePolicy", "File");
}

fn volume(volume: &mut Value) {
    let has_source = volume
        .as_object()
        .is_some_and(|map| map.keys().any(|key| key != "name"));
    if !has_source {
        volume.put("emptyDir", json!({}));
    }
    if let Some(image) = volume.get_mut("image")
        && image.lacks("pullPolicy")
    {
        let reference = image
            .get("reference")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let policy = image::pull_policy(reference);
        image.put("pullPolicy", policy);
    }
}

fn probe(probe: &mut Value) {
    probe.default_number("timeoutSeconds", 1);
    probe.default_number("periodSeconds", 10);
    probe.default_number("successThreshold", 1);
    probe.default_number("failureThreshold", 3);
}

fn http_get(action: &mut Value) {
    action.default_to("path", "/");
    action.default_to("scheme", "HTTP");
}

/// What is filled in for pods, but not for pod templates.
pub(crate) fn default_pod(pod: &mut Value) {
    let Some(spec) = pod.get_mut("spec") else {
        return;
    };
    for list in ["containers", "initContainers"] {
        for container in spec.items_mut(list) {
            if let Some(resources) = container.get_mut("resources") {
                requests_from_limits(resources);
            }
        }
    }
    pod_level_requests(spec);
    spec.default_to("enableServiceLinks", true);
    if spec.get("hostNetwork") == Some(&Value::Bool(true)) {
        for list in ["containers", "initContainers"] {
            for port in spec
                .items_mut(list)
                .flat_map(|container| container.items_mut("ports"))
            {
                let number = port
                    .get("containerPort")
                    .and_then(Value::as_i64)
                    .unwrap_or_default();
                port.default_number("hostPort", number);
            }
        }
    }
}

fn requests_from_limits(resources: &mut Value) {
    let Some(Value::Object(limits)) = resources.get("limits").cloned() else {
        return;
    };
    let requests = resources.child_mut("requests");
    for (name, amount) in limits {
        if requests.get(&name).is_none() {
            requests.put(&name, amount);
        }
    }
}

/// Pod-level requests follow the containers' sum, then the pod-level limits.
fn pod_level_requests(spec: &mut Value) {
    let Some(Value::Object(limits)) = spec
        .get("resources")
        .and_then(|resources| resources.get("limits"))
        .cloned()
    else {
        return;
    };
    let mut found = serde_json::Map::new();
    for name in ["cpu", "memory"] {
        if let Some(sum) = super::qos::container_sum(spec, name) {
            found.insert(name.into(), sum.into());
        }
    }
    for (name, amount) in limits {
        if matches!(name.as_str(), "cpu" | "memory") || name.starts_with("hugepages-") {
            found.entry(name).or_insert(amount);
        }
    }
    let requests = spec.child_mut("resources").child_mut("requests");
    for (name, amount) in found {
        if requests.get(&name).is_none() {
            requests.put(&name, amount);
        }
    }
}
