//! The table says what a stock server's discovery says.

use serde_json::{Value, json};

use super::*;

fn served(file: &str) -> Value {
    let path = format!(
        "{}/../../../shared/data/discovery/{file}",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn texts(value: &Value) -> Vec<&str> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items.iter().filter_map(Value::as_str).collect()
}

#[test]
fn rows_are_what_discovery_lists() {
    let registry = builtin();
    let mut listed = 0;
    let mut wrong = Vec::new();
    for file in ["served-api.json", "served-apis.json"] {
        let document = served(file);
        for group in document["items"].as_array().unwrap() {
            let name = group["metadata"]["name"].as_str().unwrap_or_default();
            for version in group["versions"].as_array().unwrap() {
                for resource in version["resources"].as_array().unwrap() {
                    listed += 1;
                    let gvr = meta::Gvr::new(
                        name,
                        version["version"].as_str().unwrap(),
                        resource["resource"].as_str().unwrap(),
                    );
                    let row = registry.resource(&gvr);
                    let Some(row) = row else {
                        wrong.push(format!("{gvr:?} is missing"));
                        continue;
                    };
                    let same = resource["responseKind"]["kind"] == *row.kind
                        && resource["singularResource"] == *row.singular
                        && (resource["scope"] == "Namespaced") == row.is_namespaced()
                        && texts(&resource["verbs"]) == row.verbs
                        && texts(&resource["shortNames"]) == row.short_names
                        && texts(&resource["categories"]) == row.categories
                        && row.schema.as_struct().is_some();
                    let subs: Vec<Value> = row
                        .subresources
                        .iter()
                        .map(|sub| {
                            let kind = sub.body.as_ref().map_or(&*row.kind, |body| &body.kind);
                            json!([sub.name, kind, sub.verbs])
                        })
                        .collect();
                    let listed: Vec<Value> = resource["subresources"]
                        .as_array()
                        .into_iter()
                        .flatten()
                        .map(|sub| {
                            json!([
                                sub["subresource"],
                                sub["responseKind"]["kind"],
                                sub["verbs"]
                            ])
                        })
                        .collect();
                    if !same || subs != listed {
                        wrong.push(format!("{gvr:?} differs: {subs:?} {listed:?}"));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(registry.rows().count(), listed);
}
