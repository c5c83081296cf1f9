//! Strategic merge by schema and by directive, and what is refused.

use kinds::schema::builtin;
use proptest::prelude::*;
use serde_json::json;

use super::*;

fn deployment() -> Schema {
    builtin("io.k8s.api.apps.v1.Deployment").unwrap()
}

fn pod() -> Schema {
    builtin("io.k8s.api.core.v1.Pod").unwrap()
}

fn check(schema: &Schema, current: &Value, patch: &Value, expected: &Value) {
    let found = strategic(current, patch, schema).unwrap();
    assert_eq!(&found, expected, "{current} + {patch}");
}

fn containers(items: impl Into<Value>) -> Value {
    let items: Value = items.into();
    json!({"spec": {"containers": items}})
}

#[test]
fn maps_merge_and_nulls_delete() {
    check(
        &pod(),
        &json!({"metadata": {"labels": {"a": "1", "b": "2"}}, "spec": {"nodeName": "n"}}),
        &json!({"metadata": {"labels": {"a": null, "c": "3"}}, "spec": {"hostname": "h", "subdomain": null}}),
        &json!({"metadata": {"labels": {"b": "2", "c": "3"}}, "spec": {"nodeName": "n", "hostname": "h"}}),
    );
}

#[test]
fn keyed_lists_merge_by_key_and_new_items_go_first() {
    check(
        &pod(),
        &containers(json!([{"name": "a", "image": "x"}, {"name": "b", "image": "y"}])),
        &containers(json!([{"name": "b", "image": "z"}, {"name": "c", "image": "n"}])),
        &containers(json!([
            {"name": "a", "image": "x"}, {"name": "b", "image": "z"}, {"name": "c", "image": "n"}
        ])),
    );
    check(
        &pod(),
        &containers(json!([{"name": "a"}])),
        &containers(json!([{"name": "b"}])),
        &containers(json!([{"name": "b"}, {"name": "a"}])),
    );
}

#[test]
fn lists_without_strategy_are_replaced() {
    check(
        &pod(),
        &containers(json!([{"name": "a", "args": ["x", "y"]}])),
        &containers(json!([{"name": "a", "args": ["z"]}])),
        &containers(json!([{"name": "a", "args": ["z"]}])),
    );
}

#[test]
fn scalar_lists_merge_and_shrink_by_directive() {
    let finalizers = |items: Value| json!({"metadata": {"finalizers": items}});
    check(
        &pod(),
        &finalizers(json!(["a", "b"])),
        &finalizers(json!(["b", "c"])),
        &finalizers(json!(["a", "b", "c"])),
    );
    check(
        &pod(),
        &finalizers(json!(["a", "b"])),
        &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"]}}),
        &finalizers(json!(["b"])),
    );
    check(
        &pod(),
        &json!({"metadata": {}}),
        &json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a"]}}),
        &json!({"metadata": {}}),
    );
}

#[test]
fn patch_directives_replace_and_delete() {
    check(
        &deployment(),
        &json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        &json!({"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}}),
        &json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    check(
        &pod(),
        &containers(json!([{"name": "a"}, {"name": "b"}])),
        &containers(json!([{"name": "a", "$patch": "delete"}])),
        &containers(json!([{"name": "b"}])),
    );
    check(
        &pod(),
        &containers(json!([{"name": "a"}, {"name": "b"}])),
        &containers(json!([{"name": "c"}, {"$patch": "replace"}])),
        &containers(json!([{"name": "c"}])),
    );
    check(
        &pod(),
        &json!({"metadata": {"labels": {"a": "b"}}}),
        &json!({"metadata": {"labels": {"$patch": "delete"}}}),
        &json!({"metadata": {"labels": {}}}),
    );
    check(
        &pod(),
        &json!({}),
        &json!({"spec": {"containers": [{"name": "a", "$patch": "delete"}, {"name": "b"}]}}),
        &containers(json!([{"name": "b"}])),
    );
}

#[test]
fn selectors_of_disruption_budgets_are_replaced() {
    check(
        &builtin("io.k8s.api.policy.v1.PodDisruptionBudget").unwrap(),
        &json!({"spec": {"selector": {"matchLabels": {"a": "1"}}}}),
        &json!({"spec": {"selector": {"matchLabels": {"b": "2"}}}}),
        &json!({"spec": {"selector": {"matchLabels": {"b": "2"}}}}),
    );
}

#[test]
fn retain_keys_clears_the_rest() {
    check(
        &deployment(),
        &json!({"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}),
        &json!({"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}),
        &json!({"spec": {"strategy": {"type": "Recreate"}}}),
    );
    let error = strategic(
        &json!({"spec": {"strategy": {}}}),
        &json!({"spec": {"strategy": {"$retainKeys": [], "type": "Recreate"}}}),
        &deployment(),
    );
    let error = error.unwrap_err();
    assert_eq!(error.code(), 400);
    assert_eq!(error.to_string(), "invalid patch format of retainKeys");
}

#[test]
fn set_element_order_puts_the_list_in_order() {
    check(
        &pod(),
        &containers(json!([{"name": "a"}, {"name": "server"}, {"name": "b"}])),
        &json!({"spec": {
            "$setElementOrder/containers": [{"name": "b"}, {"name": "new"}, {"name": "a"}],
            "containers": [{"name": "new"}]
        }}),
        &containers(json!([{"name": "server"}, {"name": "b"}, {"name": "new"}, {"name": "a"}])),
    );
    check(
        &pod(),
        &containers(json!([{"name": "a"}, {"name": "b"}])),
        &json!({"spec": {
            "$setElementOrder/containers": [{"name": "b"}],
            "containers": [{"name": "a", "$patch": "delete"}]
        }}),
        &containers(json!([{"name": "b"}])),
    );
    let error = strategic(
        &containers(json!([])),
        &json!({"spec": {
            "$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
            "containers": [{"name": "b"}, {"name": "a"}]
        }}),
        &pod(),
    );
    assert!(
        error
            .unwrap_err()
            .to_string()
            .starts_with("The order in patch list:")
    );
}

#[test]
fn refusals_are_worded_as_upstream() {
    for (current, patch, code, message) in [
        (
            json!({}),
            json!([]),
            400,
            "json: cannot unmarshal array into Go value of type map[string]interface {}",
        ),
        (
            containers(json!([{"name": "a"}])),
            containers(json!([{"image": "x"}])),
            500,
            "map: map[image:x] does not contain declared merge key: name",
        ),
        (
            json!({"spec": {}}),
            json!({"spec": {"$patch": "bogus", "a": 1}}),
            500,
            "unknown patch type: bogus in map: map[$patch:bogus a:1]",
        ),
        (
            json!({"metadata": {"finalizers": ["a"]}}),
            json!({"metadata": {"$deleteFromPrimitiveListfinalizers": ["a"]}}),
            400,
            "invalid patch format of primitive list",
        ),
        (
            json!({"spec": {}}),
            json!({"spec": {"$setElementOrder/bogus": []}}),
            500,
            "unable to find api field in struct PodSpec for the json field \"bogus\"",
        ),
        (
            containers(json!([{"name": "a"}])),
            containers(json!(["a"])),
            500,
            "list element types are not identical: [[map[name:a]] [a]]",
        ),
    ] {
        let error = strategic(&current, &patch, &pod()).unwrap_err();
        assert_eq!((error.code(), error.to_string().as_str()), (code, message));
    }
}

fn recorded(at: usize) -> Option<Value> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../../shared/data/recordings/objects.jsonl"
    );
    let text = std::fs::read_to_string(path).ok()?;
    let line = text.lines().nth(at)?;
    let mut record: Value = serde_json::from_str(line).ok()?;
    Some(record["object"].take()).filter(Value::is_object)
}

#[test]
fn what_is_left_of_a_patch_is_without_what_was_dealt_with() {
    let current =
        json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "a", "image": "x"}]}});
    let patch = json!({
        "metadata": {"name": {"a": null}, "labels": {"b": null, "c": "d"}},
        "spec": {"$setElementOrder/containers": [{"name": "a"}], "containers": [{"name": "a"}], "hostname": null}
    });
    assert_eq!(
        strategic_left(&current, &patch, &pod()),
        json!({"metadata": {"name": {}, "labels": {"c": "d"}}, "spec": {"hostname": null}})
    );
}

#[test]
fn an_empty_patch_changes_nothing() {
    for at in 0..20 {
        let Some(object) = recorded(at) else { continue };
        let patched = strategic(&object, &json!({}), &deployment()).unwrap();
        assert_eq!(patched, object);
    }
}

proptest! {
    #[test]
    fn a_patch_applied_twice_changes_nothing_more(
        live in prop::collection::btree_set("[a-e]", 0..5),
        wanted in prop::collection::btree_set("[a-g]", 0..5),
        image in "[x-z]",
    ) {
        let items = |names: &std::collections::BTreeSet<String>, image: &str| -> Value {
            names.iter().map(|name| json!({"name": name, "image": image})).collect()
        };
        let current = containers(items(&live, "live"));
        let patch = containers(items(&wanted, &image));
        let once = strategic(&current, &patch, &pod()).unwrap();
        let twice = strategic(&once, &patch, &pod()).unwrap();
        prop_assert_eq!(once, twice);
    }
}

#[test]
fn a_directive_that_is_null_goes_with_the_other_nulls() {
    check(
        &pod(),
        &json!({"spec": {}}),
        &containers(json!([{"name": "a", "$patch": null}, {"name": "b", "$patch": "delete"}])),
        &containers(json!([{"name": "a"}])),
    );
}

#[test]
fn what_is_left_of_a_patch_keeps_its_deletions() {
    let current = json!({"metadata": {"labels": {"a": "b"}, "annotations": {"c": "d"}}});
    let directive = |name: &str| json!({"$patch": name, "x": "y"});
    let patch =
        json!({"metadata": {"labels": directive("delete"), "annotations": directive("replace")}});
    let left = json!({"metadata": {"labels": directive("delete"), "annotations": {"x": "y"}}});
    assert_eq!(strategic_left(&current, &patch, &pod()), left);
}
