//! The columns are those of a stock server.

use meta::Gvr;
use serde_json::{Value, json};

use super::*;

fn recorded() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/recordings/table-columns.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn columns_are_those_of_a_stock_server() {
    let registry = crate::builtin();
    let mut wrong = Vec::new();
    for table in recorded() {
        let text = |field: &str| table[field].as_str().unwrap();
        let gvr = Gvr::new(text("group"), text("version"), text("resource"));
        let row = registry.resource(&gvr).unwrap();
        let columns = row.strategy.columns();
        let ours: Vec<Value> = columns
            .iter()
            .map(|column| {
                json!([
                    column.name,
                    column.column_type,
                    column.format,
                    column.priority
                ])
            })
            .collect();
        let listed = table["columns"].as_array().unwrap();
        let theirs: Vec<Value> = listed
            .iter()
            .map(|column| {
                json!([
                    column["name"],
                    column["type"],
                    column["format"],
                    column["priority"]
                ])
            })
            .collect();
        if ours != theirs {
            wrong.push(format!("{gvr:?}: {ours:?} {theirs:?}"));
        }
        for (column, theirs) in columns.iter().zip(listed) {
            let is_reference = column.description.starts_with('@');
            if !is_reference && theirs["description"] != *column.description {
                wrong.push(format!(
                    "{gvr:?} {}: {}",
                    column.name, theirs["description"]
                ));
            }
        }
        let object = json!({"metadata": {"name": "x"}});
        let cells = row.strategy.cells(&object, Timestamp::UNIX_EPOCH);
        if cells.len() != columns.len() {
            wrong.push(format!("{gvr:?}: {} cells", cells.len()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn durations_print_as_upstream() {
    let cases = [
        (0, "0s"),
        (-1, "0s"),
        (-5, "<invalid>"),
        (119, "119s"),
        (120, "2m"),
        (150, "2m30s"),
        (3599, "59m"),
        (3 * 3600 + 60, "3h1m"),
        (10 * 3600, "10h"),
        (49 * 3600, "2d1h"),
        (9 * 24 * 3600, "9d"),
        (800 * 24 * 3600, "2y70d"),
    ];
    for (seconds, text) in cases {
        assert_eq!(human(seconds), text, "{seconds}");
    }
}

#[test]
fn a_crash_looping_pod_says_so() {
    let pod = json!({
        "metadata": {"name": "web", "creationTimestamp": "1970-01-01T00:00:00Z"},
        "spec": {"containers": [{"name": "c"}], "nodeName": "node-1"},
        "status": {"phase": "Running", "podIPs": [{"ip": "10.0.0.1"}], "containerStatuses": [{
            "restartCount": 3, "ready": false, "state": {"waiting": {"reason": "CrashLoopBackOff"}},
            "lastState": {"terminated": {"finishedAt": "1970-01-01T00:01:00Z", "exitCode": 1}},
        }]},
    });
    let now = Timestamp::from_second(100).unwrap();
    let cells = (pod::POD.cells)(&pod, now);
    let expected = json!([
        "web",
        "0/1",
        "CrashLoopBackOff",
        "3 (40s ago)",
        "100s",
        "10.0.0.1",
        "node-1",
        "<none>",
        "<none>"
    ]);
    assert_eq!(cells.into_iter().collect::<Value>(), expected);
}

/// What a stock server answered to real manifests, with statuses that such objects come to have.
fn objects() -> Vec<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/recordings/objects.jsonl"
    );
    let lines = std::fs::read_to_string(path).unwrap();
    let lines = lines.lines().map(serde_json::from_str::<Value>);
    let mut objects: Vec<Value> = lines.map(|line| line.unwrap()["object"].take()).collect();
    objects.retain(Value::is_object);
    let container = |state: Value| {
        json!({"name": "c", "restartCount": 3, "ready": true, "started": true, "state": state,
            "lastState": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:00:00Z"}}})
    };
    let states = [
        json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}),
        json!({"waiting": {"reason": "CrashLoopBackOff"}}),
        json!({"terminated": {"exitCode": 137, "signal": 9, "reason": "Error"}}),
    ];
    for state in states {
        for list in ["containerStatuses", "initContainerStatuses"] {
            objects.push(json!({"apiVersion": "v1", "kind": "Pod",
                "metadata": {"name": "p", "deletionTimestamp": "2026-01-01T00:00:00Z"},
                "spec": {"nodeName": "n", "containers": [{"name": "c"}, {"name": "d"}],
                    "initContainers": [{"name": "c", "restartPolicy": "Always"}],
                    "readinessGates": [{"conditionType": "g"}]},
                "status": {"phase": "Running", "reason": "NodeLost", "podIPs": [{"ip": "10.0.0.1"}],
                    "nominatedNodeName": "m",
                    "conditions": [{"type": "g", "status": "True"}, {"type": "Ready", "status": "True"}],
                    list: [container(state.clone())]}}));
        }
    }
    objects.push(json!({"apiVersion": "v1", "kind": "Node",
        "metadata": {"name": "n", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "spec": {"unschedulable": true},
        "status": {"conditions": [{"type": "Ready", "status": "True"}],
            "addresses": [{"type": "InternalIP", "address": "10.0.0.1"}],
            "nodeInfo": {"kubeletVersion": "v1.36.0", "osImage": "Debian", "kernelVersion": "6.1",
                "architecture": "amd64", "containerRuntimeVersion": "containerd://2"}}}));
    for object in &mut objects {
        if object["status"]
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
        {
            object["status"] = json!({"replicas": 4, "readyReplicas": 3, "updatedReplicas": 2,
                "availableReplicas": 1, "desiredNumberScheduled": 5, "currentNumberScheduled": 4,
                "numberReady": 3, "updatedNumberScheduled": 2, "numberAvailable": 1, "succeeded": 1,
                "startTime": "2026-01-01T00:00:00Z", "completionTime": "2026-01-01T00:01:00Z",
                "conditions": [{"type": "Complete", "status": "True"}], "phase": "Active",
                "loadBalancer": {"ingress": [{"ip": "10.0.0.9"}]}});
        }
    }
    objects
}

#[test]
fn an_autoscaler_read_as_v1_shows_the_processor_time_it_is_for() {
    let shown = |status: serde_json::Value| {
        let spec = json!({"targetCPUUtilizationPercentage": 50, "maxReplicas": 2});
        let object = json!({"metadata": {"name": "x"}, "spec": spec, "status": status});
        let cells =
            (super::scaling::HORIZONTAL_POD_AUTOSCALER.cells)(&object, Timestamp::UNIX_EPOCH);
        Value::from(cells[2].clone())
    };
    assert_eq!(shown(json!({})), "cpu: <unknown>/50%");
    assert_eq!(
        shown(json!({"currentCPUUtilizationPercentage": 7})),
        "cpu: 7%/50%"
    );
}

#[test]
fn addresses_of_a_load_balancer_are_shown_whole() {
    let host = "a1b2c3d4e5f6.elb.eu-west-1.amazonaws.com";
    let ingress = json!([{"hostname": host}, {"ip": "10.0.0.1"}]);
    let object = json!({"metadata": {"name": "x"}, "spec": {"type": "LoadBalancer"},
        "status": {"loadBalancer": {"ingress": ingress}}});
    let shown = format!("10.0.0.1,{host}");
    for printer in [&service::SERVICE, &other::INGRESS] {
        let cells = (printer.cells)(&object, Timestamp::UNIX_EPOCH);
        let cells: Vec<Value> = cells.into_iter().map(Value::from).collect();
        assert_eq!(cells[3], json!(shown));
    }
}

#[test]
fn the_selector_of_a_binding_is_dumped() {
    let expression = json!({"key": "a", "operator": "In", "values": ["b", "c"]});
    let selector = json!({"matchLabels": {"x": "y"}, "matchExpressions": [expression]});
    let object = json!({"metadata": {"name": "x"}, "spec": {"paramRef": {"selector": selector}}});
    let cells = (policy::POLICY_BINDING.cells)(&object, Timestamp::UNIX_EPOCH);
    let shown = "&LabelSelector{MatchLabels:map[string]string{x: y,},MatchExpressions:[]LabelSelectorRequirement{LabelSelectorRequirement{Key:a,Operator:In,Values:[b c],},},}";
    assert_eq!(Value::from(cells[2].clone()), shown);
}

#[test]
fn labels_are_sorted_with_their_values() {
    let map = json!({"app": "x", "app.kubernetes.io/name": "y"});
    assert_eq!(labels(Some(&map)), "app.kubernetes.io/name=y,app=x");
}

#[test]
fn cells_depend_on_no_other_fields_than_those_they_name() {
    let registry = crate::builtin();
    let now = Timestamp::from_second(2_000_000_000).unwrap();
    let (mut seen, mut wrong) = (0, Vec::new());
    for object in objects() {
        let gvk = meta::Gvk::from_api_version(object.api_version(), object.kind());
        let Some(row) = gvk.and_then(|gvk| registry.kind(&gvk)) else {
            continue;
        };
        let (strategy, bytes) = (&row.strategy, object.to_string());
        let printed = meta::raw::Fields::new(strategy.printed_fields());
        let selected = meta::raw::Fields::new(strategy.selected_fields());
        let selected = selected.decode(bytes.as_bytes()).unwrap();
        for field in strategy.selectable_fields() {
            let (read, whole) = (
                strategy.selectable_value(&selected, field),
                strategy.selectable_value(&object, field),
            );
            if read != whole {
                wrong.push(format!("{} {field}: {read} {whole}", row.kind));
            }
        }
        if strategy.printed_fields().is_empty() {
            continue;
        }
        let read = printed.decode(bytes.as_bytes()).unwrap();
        let (read, whole) = (strategy.cells(&read, now), strategy.cells(&object, now));
        if read != whole {
            wrong.push(format!("{}: {read:?} {whole:?}", row.kind));
        }
        seen += 1;
    }
    assert!(seen > 500, "{seen}");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
