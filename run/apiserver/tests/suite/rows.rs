//! Every verb on every row: no kind is served by less than the table says.

use kinds::Kind;
use meta::{Gvk, ObjectExt};
use serde_json::{Value, json};

use crate::server::{Answer, Talk};

const NAME: &str = "every-row";

/// Kinds whose smallest object is no small thing; the recordings have them.
const SKIPPED: [&str; 4] = [
    "CertificateSigningRequest",
    "CustomResourceDefinition",
    "MutatingAdmissionPolicy",
    "ValidatingAdmissionPolicy",
];

/// The smallest object of a kind that a server takes; `None` for the skipped ones.
fn smallest(kind: &Kind) -> Option<Value> {
    if SKIPPED.contains(&kind.kind.as_ref()) {
        return None;
    }
    let name = kind.kind.as_ref();
    let rest = workload(name)
        .or_else(|| storage(name))
        .or_else(|| network(name))
        .or_else(|| other(&kind.gvk()))
        .unwrap_or_default();
    let mut object =
        json!({"apiVersion": kind.api_version(), "kind": name, "metadata": {"name": NAME}});
    for (field, value) in rest.as_object().into_iter().flatten() {
        object[field] = value.clone();
    }
    Some(object)
}

fn workload(kind: &str) -> Option<Value> {
    let selector = json!({"matchLabels": {"a": "b"}});
    let pod = json!({"containers": [{"name": "c", "image": "busybox:1"}]});
    let template = json!({"metadata": {"labels": {"a": "b"}}, "spec": pod});
    let job =
        json!({"template": {"spec": {"containers": pod["containers"], "restartPolicy": "Never"}}});
    Some(match kind {
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
        "ControllerRevision" => json!({"revision": 1, "data": {}}),
        "HorizontalPodAutoscaler" => json!({"spec": {"maxReplicas": 2,
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}}),
        _ => return None,
    })
}

fn storage(kind: &str) -> Option<Value> {
    Some(match kind {
        "PersistentVolumeClaim" => json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "1Gi"}}}}),
        "PersistentVolume" => json!({"spec": {"accessModes": ["ReadWriteOnce"],
            "capacity": {"storage": "1Gi"}, "hostPath": {"path": "/x"}}}),
        "StorageClass" => json!({"provisioner": "example.com/p"}),
        "CSIDriver" | "ResourceClaim" => json!({"spec": {}}),
        "CSINode" => json!({"spec": {"drivers": []}}),
        "CSIStorageCapacity" => json!({"storageClassName": "s"}),
        "VolumeAttachment" => json!({"spec": {"attacher": "example.com", "nodeName": "n",
            "source": {"persistentVolumeName": "p"}}}),
        "VolumeAttributesClass" => json!({"driverName": "example.com", "parameters": {"a": "b"}}),
        "ResourceClaimTemplate" => json!({"spec": {"spec": {}}}),
        "ResourceSlice" => json!({"spec": {"driver": "example.com", "nodeName": "n",
            "pool": {"name": "p", "generation": 1, "resourceSliceCount": 1}}}),
        _ => return None,
    })
}

fn network(kind: &str) -> Option<Value> {
    Some(match kind {
        "Service" => json!({"spec": {"ports": [{"port": 80}]}}),
        "EndpointSlice" => json!({"addressType": "IPv4", "endpoints": [], "ports": []}),
        "Ingress" => json!({"spec": {"defaultBackend":
            {"service": {"name": "s", "port": {"number": 80}}}}}),
        "IngressClass" => json!({"spec": {"controller": "example.com/c"}}),
        "NetworkPolicy" => json!({"spec": {"podSelector": {}}}),
        "IPAddress" => json!({"metadata": {"name": "10.1.2.3"},
            "spec": {"parentRef": {"resource": "services", "namespace": "web", "name": "s"}}}),
        "ServiceCIDR" => json!({"spec": {"cidrs": ["10.1.0.0/16"]}}),
        _ => return None,
    })
}

fn other(gvk: &Gvk) -> Option<Value> {
    let role_ref =
        json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "x"});
    Some(match gvk.kind.as_str() {
        "Event" if gvk.group.is_empty() => json!({"involvedObject": {"namespace": "web"}}),
        "Event" => json!({"eventTime": "2026-01-01T00:00:00.000000Z", "action": "A", "reason": "R",
            "reportingController": "example.com/c", "reportingInstance": "i", "type": "Normal",
            "regarding": {"namespace": "web"}}),
        "RoleBinding" | "ClusterRoleBinding" => json!({"roleRef": role_ref}),
        "PriorityClass" => json!({"value": 1}),
        "RuntimeClass" => json!({"handler": "h"}),
        "APIService" => {
            json!({"metadata": {"name": "v1.example.com"}, "spec": {"group": "example.com",
            "version": "v1", "groupPriorityMinimum": 100, "versionPriority": 10}})
        }
        "FlowSchema" => json!({"spec": {"matchingPrecedence": 100,
            "priorityLevelConfiguration": {"name": "exempt"}}}),
        "PriorityLevelConfiguration" => {
            json!({"spec": {"type": "Limited", "limited": {"limitResponse": {"type": "Reject"}}}})
        }
        "MutatingAdmissionPolicyBinding" => json!({"spec": {"policyName": "p"}}),
        "ValidatingAdmissionPolicyBinding" => {
            json!({"spec": {"policyName": "p", "validationActions": ["Deny"]}})
        }
        "LimitRange" => json!({"spec": {"limits": []}}),
        _ => return None,
    })
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

/// Forms in which every list is served.
const FORMS: [&str; 4] = [
    "application/json",
    "application/json;as=Table;v=v1;g=meta.k8s.io",
    "application/yaml",
    "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
];

/// An answer with another code than these is a step that went wrong.
fn expect(step: &str, answer: &Answer, codes: &[u16]) -> Result<(), String> {
    if codes.contains(&answer.code) {
        return Ok(());
    }
    Err(format!(
        "{step}: {} {}",
        answer.code, answer.body["message"]
    ))
}

/// Walks one row through its verbs; answers with the first step that went wrong.
async fn walk(talk: &Talk, kind: &Kind) -> Result<(), String> {
    let has = |verb: &str| kind.verbs.iter().any(|known| known == verb);
    let collection = collection(kind);
    for accept in FORMS.iter().filter(|_| has("list")) {
        let headers = [("accept", *accept)];
        let answer = talk
            .send_as("suite/1", "GET", &collection, &headers, "")
            .await;
        expect(accept, &answer, &[200])?;
    }
    let Some(object) = smallest(kind).filter(|_| has("get") && has("create")) else {
        return Ok(());
    };
    let path = writes(talk, &collection, object).await?;
    patches(talk, kind, &path).await?;
    if kind.subresource("status").is_some() {
        let status = format!("{path}/status");
        expect("get status", &talk.get(&status).await, &[200])?;
        let body = json!({"metadata": {"annotations": {"status": "1"}}});
        expect(
            "patch status",
            &talk.patch("merge", &status, body).await,
            &[200],
        )?;
    }
    let deleted = talk.delete(&path, json!({"gracePeriodSeconds": 0})).await;
    expect("delete", &deleted, &[200, 202])?;
    if has("deletecollection") {
        let emptied = talk.delete(&collection, Value::Null).await;
        expect("deletecollection", &emptied, &[200])?;
    }
    Ok(())
}

/// Create, get, update and an update of an old version; answers with the object's path.
async fn writes(talk: &Talk, collection: &str, object: Value) -> Result<String, String> {
    let created = talk
        .post(&format!("{collection}?fieldValidation=Strict"), object)
        .await;
    expect("create", &created, &[201])?;
    let path = format!("{collection}/{}", created.body.name());
    let read = talk.get(&path).await;
    expect("get", &read, &[200])?;
    if read.body != created.body {
        return Err("get is not what create answered".into());
    }
    let mut changed = read.body;
    changed["metadata"]["annotations"] = json!({"put": "1"});
    let put = talk.put(&path, changed.clone()).await;
    expect("update", &put, &[200])?;
    if put.body["metadata"]["annotations"]["put"] != "1" {
        return Err("update changed nothing".into());
    }
    expect(
        "an update of an old version",
        &talk.put(&path, changed).await,
        &[409],
    )?;
    Ok(path)
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
