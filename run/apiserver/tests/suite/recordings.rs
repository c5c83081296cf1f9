//! Recorded requests against a stock server's recorded answers, through the whole server.
//!
//! The counts of equal answers stand in `recordings.ratchet` and may only grow (`UPDATE=1` rewrites them); what differs
//! is printed (`--nocapture`).

use std::collections::BTreeMap;
use std::fmt::Write;

use meta::{Gvk, ObjectExt};
use serde_json::{Value, json};

use crate::server::{Answer, Talk};

/// Where the recordings lie beside a checkout.
const DATA: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/recordings/"
);
const RATCHET: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings.ratchet");

fn lines(file: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(format!("{DATA}{file}")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Checks that no count fell, and says what differs.
fn check(name: &str, outcomes: &[(String, Option<String>)]) {
    assert!(!outcomes.is_empty(), "{name}: nothing was recorded");
    let count = outcomes.iter().filter(|(_, why)| why.is_none()).count();
    let mut report = format!("{name}: {count} of {}\n", outcomes.len());
    for (id, why) in outcomes {
        if let Some(why) = why {
            writeln!(report, "  {id}: {why}").unwrap();
        }
    }
    eprintln!("{report}");
    let text = std::fs::read_to_string(RATCHET).unwrap_or_default();
    let mut known: BTreeMap<String, usize> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .map(|(name, count)| (name.to_owned(), count.parse().unwrap()))
        .collect();
    let least = known.get(name).copied().unwrap_or_default();
    if std::env::var_os("UPDATE").is_some() && count > least {
        known.insert(name.to_owned(), count);
        let mut text = String::new();
        for (name, count) in &known {
            writeln!(text, "{name} {count}").unwrap();
        }
        std::fs::write(RATCHET, text).unwrap();
    }
    assert!(
        count >= least,
        "{name}: {count} equal answers, there were {least}"
    );
}

/// The first place where an answer differs from the recorded one, in which `*`, `TIME` and `UID` stand for anything.
fn difference(path: &str, ours: &Value, theirs: &Value) -> Option<String> {
    match (ours, theirs) {
        (_, Value::String(any)) if matches!(any.as_str(), "*" | "TIME" | "UID") => None,
        (Value::String(ours), Value::String(theirs)) if theirs.contains('*') => {
            let (start, end) = theirs.split_once('*').unwrap();
            let is_like = ours.starts_with(start) && ours.ends_with(end);
            (!is_like && ours != theirs).then(|| format!("{path}: {ours} is not like {theirs}"))
        }
        (Value::Object(ours), Value::Object(theirs)) => {
            let surplus = ours.iter().find(|(key, _)| !theirs.contains_key(*key));
            if let Some((key, value)) = surplus {
                return Some(format!("{path}.{key}: ours alone: {value}"));
            }
            theirs.iter().find_map(|(key, theirs)| match ours.get(key) {
                None => Some(format!("{path}.{key}: theirs alone: {theirs}")),
                Some(ours) => difference(&format!("{path}.{key}"), ours, theirs),
            })
        }
        (Value::Array(ours), Value::Array(theirs)) if ours.len() == theirs.len() => ours
            .iter()
            .zip(theirs)
            .enumerate()
            .find_map(|(index, (ours, theirs))| {
                difference(&format!("{path}[{index}]"), ours, theirs)
            }),
        _ => (ours != theirs).then(|| format!("{path}: ours {ours}, theirs {theirs}")),
    }
}

/// The collection a manifest is posted to.
fn collection(gvk: &Gvk, namespace: &str) -> Option<String> {
    let registry = kinds::builtin();
    let kind = registry.kind(gvk)?;
    let root = if gvk.group.is_empty() {
        format!("/api/{}", gvk.version)
    } else {
        format!("/apis/{}/{}", gvk.group, gvk.version)
    };
    Some(if kind.is_namespaced() {
        format!("{root}/namespaces/{namespace}/{}", kind.plural)
    } else {
        format!("{root}/{}", kind.plural)
    })
}

/// Without what the recorder took away.
fn stripped(mut object: Value) -> Value {
    for field in ["uid", "resourceVersion", "creationTimestamp"] {
        object.remove(&["metadata", field]);
    }
    let managers = object.metadata_mut().get_mut("managedFields");
    for manager in managers.and_then(Value::as_array_mut).into_iter().flatten() {
        manager.remove(&["time"]);
    }
    // The recorded server is of a distribution that mounts a certificate of its own into every pod.
    let volumes = object.map_mut("spec").get_mut("volumes");
    for volume in volumes.and_then(Value::as_array_mut).into_iter().flatten() {
        let sources = volume
            .get_mut("projected")
            .and_then(|volume| volume.get_mut("sources"));
        if let Some(Value::Array(sources)) = sources {
            let theirs = Some("openshift-service-ca.crt");
            sources.retain(|source| source.str_at(&["configMap", "name"]) != theirs);
        }
    }
    object
}

/// A line whose input keeps the order of its keys.
#[derive(serde::Deserialize)]
struct Ordered {
    id: String,
    input: Box<serde_json::value::RawValue>,
}

async fn object_outcome(talk: &Talk, recording: &Value, raw: &str) -> Option<String> {
    let mut input = recording["input"].clone();
    let Some(path) = input.gvk().and_then(|gvk| collection(&gvk, "corpus")) else {
        return Some("not served".into());
    };
    let mut body = raw.to_owned();
    if input.at(&["metadata", "namespace"]).is_some() {
        input.set(&["metadata", "namespace"], "corpus".into());
        body = input.to_string();
    }
    let path = format!("{path}?dryRun=All&fieldValidation=Strict");
    let answer = talk
        .send_as(
            "python-requests/2",
            "POST",
            &path,
            &[("content-type", "application/json")],
            body,
        )
        .await;
    if recording["verdict"] == "accepted" {
        if answer.code != 201 {
            return Some(format!("{}: {}", answer.code, answer.body["message"]));
        }
        return difference(
            "",
            &stripped(answer.body),
            &stripped(recording["object"].clone()),
        );
    }
    let ours = json!({"code": answer.code, "reason": answer.body["reason"], "message": answer.body["message"],
        "causes": answer.body["details"]["causes"]});
    let theirs = json!({"code": recording["code"], "reason": recording["reason"],
        "message": recording["message"], "causes": recording["causes"]});
    difference("", &ours, &theirs)
}

#[tokio::test]
async fn manifests_become_the_objects_a_stock_server_makes() {
    let talk = Talk::new().await;
    talk.namespace("corpus").await;
    let mut outcomes = Vec::new();
    let text = std::fs::read_to_string(format!("{DATA}objects.jsonl")).unwrap_or_default();
    for line in text.lines() {
        let recording: Value = serde_json::from_str(line).unwrap();
        let ordered: Ordered = serde_json::from_str(line).unwrap();
        let outcome = object_outcome(&talk, &recording, ordered.input.get()).await;
        outcomes.push((ordered.id, outcome));
    }
    check("objects", &outcomes);
}

/// Puts a name where `NS` stands as a word.
fn named(text: &str, name: &str) -> String {
    let parts: Vec<&str> = text.split("NS").collect();
    let mut filled = String::new();
    for (index, part) in parts.iter().enumerate() {
        filled.push_str(part);
        let Some(next) = parts.get(index + 1) else {
            break;
        };
        let is_word =
            !filled.ends_with(char::is_alphanumeric) && !next.starts_with(char::is_alphanumeric);
        filled.push_str(if is_word { name } else { "NS" });
    }
    filled
}

/// Sends a recorded request to the namespace `name`.
async fn replay(talk: &Talk, request: &Value, name: &str) -> Answer {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut path = named(&text(&request["path"]), name);
    let pairs: Vec<String> = request["query"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| format!("{key}={}", escape(&text(value))))
        .collect();
    if !pairs.is_empty() {
        path = format!("{path}?{}", pairs.join("&"));
    }
    let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    for (key, value) in request["headers"].as_object().into_iter().flatten() {
        headers.retain(|(known, _)| *known != key.to_lowercase());
        headers.push((key.to_lowercase(), text(value)));
    }
    let headers: Vec<(&str, &str)> = headers
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect();
    let body = match (request.get("raw"), request.get("body")) {
        (Some(Value::String(raw)), _) => raw.clone(),
        (_, Some(body)) if !body.is_null() => named(&body.to_string(), name),
        _ => String::new(),
    };
    let method = text(&request["method"]);
    if request["anonymous"] == true {
        return talk.send_anonymously(&method, &path, &headers, body).await;
    }
    talk.send_as("python-requests/2", &method, &path, &headers, body)
        .await
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => {
                char::from(byte).to_string()
            }
            byte => format!("%{byte:02X}"),
        })
        .collect()
}

#[tokio::test]
async fn refusals_have_a_stock_servers_code_causes_and_words() {
    let talk = Talk::new().await;
    drop(talk.server.bootstrap(Vec::new()).await.unwrap());
    let (mut exact, mut words) = (Vec::new(), Vec::new());
    for (index, line) in lines("refused.jsonl").iter().enumerate() {
        let name = format!("ns{index}");
        talk.namespace(&name).await;
        if let Some(setup) = line.get("setup") {
            replay(&talk, setup, &name).await;
        }
        let answer = replay(&talk, &line["request"], &name).await;
        let expect = &line["expect"];
        let id = line["id"].as_str().unwrap_or_default().to_owned();
        // The recorded causes are sorted, and without those that are about no field.
        let mut causes: Vec<Value> = answer.body["details"]["causes"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|cause| cause.get("field").is_some())
            .map(|cause| json!([cause["field"], cause["reason"]]))
            .collect();
        causes.sort_by_key(Value::to_string);
        let mut ours = json!({"code": answer.code});
        let mut theirs = json!({"code": expect["code"]});
        if expect.get("reason").is_some() {
            ours = json!({"code": answer.code, "reason": answer.body["reason"], "causes": causes});
            theirs = json!({"code": expect["code"], "reason": expect["reason"], "causes": expect["causes"]});
        }
        let outcome = difference("", &ours, &theirs);
        exact.push((
            id.clone(),
            outcome.map(|why| format!("{why} ({})", answer.body["message"])),
        ));
        if let Some(message) = expect.get("message") {
            let message = named(message.as_str().unwrap_or_default(), &name);
            // Generated names differ in their random end.
            let theirs = expect["details"]["name"].as_str().unwrap_or_default();
            let message = match answer.body["details"]["name"].as_str() {
                Some(ours) if theirs.starts_with("Bad_") => json!(message.replace(theirs, ours)),
                _ => json!(message),
            };
            words.push((id, difference("", &answer.body["message"], &message)));
        }
    }
    check("refused", &exact);
    check("refused-words", &words);
}
