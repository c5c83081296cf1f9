//! The facts agree with upstream's OpenAPI document.

use serde_json::{Value, json};

use super::*;

fn swagger() -> Value {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/openapi/swagger.json"
    );
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn strings(value: &Value) -> Vec<String> {
    let items = value.as_array().map(Vec::as_slice).unwrap_or_default();
    items
        .iter()
        .map(|item| item.as_str().unwrap_or_default().to_owned())
        .collect()
}

#[test]
fn facts_agree_with_openapi() {
    let definitions = swagger();
    let definitions = definitions["definitions"].as_object().unwrap();
    let mut wrong = Vec::new();
    for item in &builtin_graph().types {
        let Some(definition) = definitions.get(&item.name) else {
            continue;
        };
        let none = serde_json::Map::new();
        let properties = definition["properties"].as_object().unwrap_or(&none);
        let ours: Vec<&str> = item
            .fields
            .iter()
            .map(|field| field.name.as_str())
            .collect();
        let theirs: Vec<&str> = properties.keys().map(String::as_str).collect();
        if ours != theirs {
            wrong.push(format!("{}: {ours:?} {theirs:?}", item.name));
            continue;
        }
        let required = strings(&definition["required"]);
        for field in &item.fields {
            let property = &properties[&field.name];
            let at = format!("{}.{}", item.name, field.name);
            if field.required != required.contains(&field.name) {
                wrong.push(format!("{at}: required {}", field.required));
            }
            wrong.extend(list_difference(field, property).map(|text| format!("{at}: {text}")));
        }
        let is_atomic = definition["x-kubernetes-map-type"] == json!("atomic");
        if is_atomic != item.atomic {
            wrong.push(format!("{}: atomic {}", item.name, item.atomic));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn list_difference(field: &Field, property: &Value) -> Option<String> {
    let strategy = property["x-kubernetes-patch-strategy"]
        .as_str()
        .unwrap_or_default();
    if strategy.contains("merge") != field.patch.merge
        || strategy.contains("retainKeys") != field.patch.retain_keys
        || property["x-kubernetes-patch-merge-key"].as_str() != field.patch.merge_key.as_deref()
    {
        return Some(format!("patch {:?}", field.patch));
    }
    let Type::List(list) = &field.ty else {
        return (property["type"] == "array").then(|| "not a list".to_owned());
    };
    let agrees = match &list.semantics {
        ListSemantics::Atomic => {
            matches!(
                property["x-kubernetes-list-type"].as_str(),
                None | Some("atomic")
            )
        }
        ListSemantics::Set => property["x-kubernetes-list-type"] == "set",
        ListSemantics::Map { keys } => {
            property["x-kubernetes-list-type"] == "map"
                && strings(&property["x-kubernetes-list-map-keys"]) == *keys
        }
    };
    (!agrees).then(|| format!("list {:?}", list.semantics))
}

/// Custom JSON encodings (`JSON...`) are `Any` here.
#[test]
fn every_definition_of_a_served_group_is_known() {
    let definitions = swagger();
    let served: Vec<&str> = builtin_graph()
        .types
        .iter()
        .map(|item| item.name.as_str())
        .collect();
    let version = |name: &str| name.rsplit_once('.').map(|(version, _)| version.to_owned());
    let groups: std::collections::BTreeSet<_> =
        served.iter().filter_map(|name| version(name)).collect();
    let missing: Vec<&String> = definitions["definitions"]
        .as_object()
        .unwrap()
        .keys()
        .filter(|name| version(name).is_some_and(|group| groups.contains(&group)))
        .filter(|name| !name.contains(".meta.v1.") && !name.contains(".v1.JSON"))
        .filter(|name| !served.contains(&name.as_str()))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
