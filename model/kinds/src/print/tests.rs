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
        let cells = row
            .strategy
            .cells(&json!({"metadata": {"name": "x"}}), Timestamp::UNIX_EPOCH);
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
    assert_eq!(Value::from(cells), expected);
}
