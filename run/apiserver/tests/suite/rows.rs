//! Every verb on every row: no kind is served by less than the table says.

use kinds::Kind;
use meta::{Gvk, ObjectExt};
use serde_json::{Value, json};

use crate::server::Talk;

const NAME: &str = "every-row";

/// The smallest object of a kind that a server takes.
fn smallest(kind: &Kind) -> Value {
    let gvk = kind.gvk();
    let selector = json!({"matchLabels": {"a": "b"}});
    let pod = json!({"containers": [{"name": "c", "image": "busybox:1"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let job =
        json!({"template": {"spec": {"containers": pod["containers"], "restartPolicy": "Never"}}});
    let role_ref =
        |kind: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "x"});
    let rest = match kind.kind.as_ref() {
        "Pod" => json!({"spec": pod}),
        "PodTemplate" => json!({"template": template}),
        "ReplicationController" => json!({"spec": {"selector": {"a": "b"}, "template": template}}),
        "Deployment" | "ReplicaSet" | "DaemonSet" => {
            json!({"spec": {"selector": selector, "template": template}})
        }
        "StatefulSet" => {
            json!({"spec": {"selector": selector, "template": template, "serviceName": "s"}})
        }
        "Job" => json!({"spec": job}),
        "CronJob" => json!({"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": job}}}),
        "Service" => json!({"spec": {"ports": [{"port": 80}]}}),
        "EndpointSlice" => json!({"addressType": "IPv4", "endpoints": [], "ports": []}),
        "ControllerRevision" => json!({"revision": 1}),
        "PersistentVolumeClaim" => {
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}})
        }
        "PersistentVolume" => {
            json!({"spec": {"accessModes": ["ReadWriteOnce"], "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}})
        }
        "Event" if gvk.group.is_empty() => json!({"involvedObject": {"namespace": "web"}}),
        "Event" => {
            json!({"eventTime": "2026-01-01T00:00:00.000000Z", "reportingController": "example.com/c",
            "reportingInstance": "i", "action": "A", "reason": "R", "type": "Normal", "regarding": {"namespace": "web"}})
        }
        "HorizontalPodAutoscaler" => json!({"spec": {"maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}),
        "Ingress" => {
            json!({"spec": {"defaultBackend": {"service": {"name": "s", "port": {"number": 80}}}}})
        }
        "IngressClass" => json!({"spec": {"controller": "example.com/c"}}),
        "NetworkPolicy" => json!({"spec": {"podSelector": {}}}),
        "IPAddress" => {
            json!({"metadata": {"name": "10.1.2.3"}, "spec": {"parentRef": {"resource": "services", "namespace": "web", "name": "s"}}})
        }
        "ServiceCIDR" => json!({"spec": {"cidrs": ["10.1.0.0/16"]}}),
        "RoleBinding" | "ClusterRoleBinding" => json!({"roleRef": role_ref("ClusterRole")}),
        "PriorityClass" => json!({"value": 1}),
        "RuntimeClass" => json!({"handler": "h"}),
        "StorageClass" => json!({"provisioner": "example.com/p"}),
        "CSIDriver" => json!({"spec": {}}),
        "CSINode" => json!({"spec": {"drivers": []}}),
        "CSIStorageCapacity" => json!({"storageClassName": "s"}),
        "VolumeAttachment" => {
            json!({"spec": {"attacher": "example.com", "nodeName": "n", "source": {"persistentVolumeName": "p"}}})
        }
        "VolumeAttributesClass" => json!({"driverName": "example.com", "parameters": {"a": "b"}}),
        "CertificateSigningRequest" => return Value::Null,
        "CustomResourceDefinition" => return Value::Null,
        "APIService" => {
            json!({"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com", "version": "v1",
            "groupPriorityMinimum": 100, "versionPriority": 10}})
        }
        "FlowSchema" => {
            json!({"spec": {"priorityLevelConfiguration": {"name": "exempt"}, "matchingPrecedence": 100}})
        }
        "PriorityLevelConfiguration" => {
            json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}})
        }
        "ResourceClaim" => json!({"spec": {}}),
        "ResourceClaimTemplate" => json!({"spec": {"spec": {}}}),
        "ResourceSlice" => json!({"spec": {"driver": "example.com", "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}}),
        "MutatingAdmissionPolicy" | "ValidatingAdmissionPolicy" => return Value::Null,
        "MutatingAdmissionPolicyBinding" => json!({"spec": {"policyName": "p"}}),
        "ValidatingAdmissionPolicyBinding" => {
            json!({"spec": {"policyName": "p", "validationActions": ["Deny"]}})
        }
        "LimitRange" => json!({"spec": {"limits": []}}),
        _ => json!({}),
    };
    let mut object =
        json!({"apiVersion": kind.api_version(), "kind": kind.kind, "metadata": {"name": NAME}});
    for (field, value) in rest.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    object
}

fn collection(kind: &Kind) -> String {
    let Gvk { group, version, .. } = kind.gvk();
    let root = if group.is_empty() {
        format!("/api/{version}")
    } else {
        format!("/apis/{group}/{version}")
    };
    let scope = if kind.is_namespaced() {
        "/namespaces/web"
    } else {
        ""
    };
    format!("{root}{scope}/{}", kind.plural)
}

/// Walks one row through its verbs; answers with the first step that went wrong.
async fn walk(talk: &Talk, kind: &Kind) -> Result<(), String> {
    let object = smallest(kind);
    let has = |verb: &str| kind.verbs.iter().any(|known| known == verb);
    let collection = collection(kind);
    let fail =
        |step: &str, code: u16, body: &Value| Err(format!("{step}: {code} {}", body["message"]));
    if has("list") {
        for accept in [
            "application/json",
            "application/json;as=Table;v=v1;g=meta.k8s.io",
            "application/yaml",
            "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
        ] {
            let answer = talk
                .send_as("suite/1", "GET", &collection, &[("accept", accept)], "")
                .await;
            if answer.code != 200 {
                return fail(accept, answer.code, &answer.body);
            }
        }
    }
    if !has("get") || !has("create") || object.is_null() {
        return Ok(());
    }
    let created = talk
        .post(
            &format!("{collection}?fieldValidation=Strict"),
            object.clone(),
        )
        .await;
    if created.code != 201 {
        return fail("create", created.code, &created.body);
    }
    let path = format!("{collection}/{}", created.body.name());
    let read = talk.get(&path).await;
    if read.code != 200 || read.body != created.body {
        return fail("get is not what create answered", read.code, &read.body);
    }
    let mut changed = read.body;
    changed["metadata"]["annotations"] = json!({"put": "1"});
    let put = talk.put(&path, changed.clone()).await;
    if put.code != 200 || put.body["metadata"]["annotations"]["put"] != "1" {
        return fail("update", put.code, &put.body);
    }
    let stale = talk.put(&path, changed).await;
    if stale.code != 409 {
        return fail("an update of an old version", stale.code, &stale.body);
    }
    patches(talk, kind, &path).await?;
    for subresource in kind
        .subresources
        .iter()
        .filter(|subresource| subresource.name == "status")
    {
        let answer = talk.get(&format!("{path}/{}", subresource.name)).await;
        if answer.code != 200 {
            return fail("get status", answer.code, &answer.body);
        }
        let body = json!({"metadata": {"annotations": {"status": "1"}}});
        let answer = talk.patch("merge", &format!("{path}/status"), body).await;
        if answer.code != 200 {
            return fail("patch status", answer.code, &answer.body);
        }
    }
    let deleted = talk.delete(&path, json!({"gracePeriodSeconds": 0})).await;
    if !matches!(deleted.code, 200 | 202) {
        return fail("delete", deleted.code, &deleted.body);
    }
    if has("deletecollection") {
        let answer = talk.delete(&collection, Value::Null).await;
        if answer.code != 200 {
            return fail("deletecollection", answer.code, &answer.body);
        }
    }
    Ok(())
}

async fn patches(talk: &Talk, kind: &Kind, path: &str) -> Result<(), String> {
    let label = |value: &str| json!({"metadata": {"labels": {"by": value}}});
    let json_patch = json!([{"op": "add", "path": "/metadata/labels/by", "value": "json"}]);
    let mut config = label("apply");
    config["apiVersion"] = kind.api_version().into();
    config["kind"] = kind.kind.as_ref().into();
    config["metadata"]["name"] = path.rsplit('/').next().unwrap_or_default().into();
    let steps = [
        ("merge", "application/merge-patch+json", "", label("merge")),
        ("json", "application/json-patch+json", "", json_patch),
        (
            "strategic",
            "application/strategic-merge-patch+json",
            "",
            label("strategic"),
        ),
        (
            "apply",
            "application/apply-patch+yaml",
            "?fieldManager=m&force=true",
            config,
        ),
    ];
    for (name, content_type, query, body) in steps {
        let answer = talk
            .send(
                "PATCH",
                &format!("{path}{query}"),
                content_type,
                body.to_string(),
            )
            .await;
        if answer.code != 200 || answer.body["metadata"]["labels"]["by"] != name {
            return Err(format!(
                "{name} patch: {} {}",
                answer.code, answer.body["message"]
            ));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_row_answers_every_verb() {
    let talk = Talk::new().await;
    let registry = kinds::builtin();
    let mut failures = Vec::new();
    for kind in registry.rows() {
        if let Err(why) = walk(&talk, kind).await {
            failures.push(format!("{:?}: {why}", kind.gvk()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
