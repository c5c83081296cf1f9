//! Creates, updates and patches.

use super::*;

fn created(entries: &Value) -> Value {
    let mut object = data(entries);
    update(
        None,
        &mut object,
        &manager("one", "v1", 0),
        &config_map(),
        &status(),
    );
    object["metadata"]["uid"] = json!("u");
    object
}

fn updated(live: &Value, entries: &Value, manager: &Manager<'_>) -> Value {
    let mut object = live.clone();
    object["data"] = entries.clone();
    update(Some(live), &mut object, manager, &config_map(), &status());
    object
}

#[test]
fn changed_fields_change_hands() {
    let live = created(&json!({"a": "1", "b": "1", "c": "1"}));
    let all = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}, "f:c": {}}});
    assert_eq!(fields(&live, "one"), all);
    let object = updated(
        &live,
        &json!({"a": "2", "b": "1", "d": "1"}),
        &manager("two", "v1", 5),
    );
    assert_eq!(
        fields(&object, "one"),
        json!({"f:data": {".": {}, "f:b": {}}})
    );
    assert_eq!(
        fields(&object, "two"),
        json!({"f:data": {"f:a": {}, "f:d": {}}})
    );
    let times: Vec<&Value> = entries_of(&object)
        .iter()
        .map(|entry| &entry["time"])
        .collect();
    assert_eq!(
        times,
        [
            &json!("2023-11-14T22:13:20Z"),
            &json!("2023-11-14T22:13:25Z")
        ]
    );
}

#[test]
fn a_write_without_changes_keeps_every_entry() {
    let live = created(&json!({"a": "1"}));
    let object = updated(&live, &json!({"a": "1"}), &manager("two", "v1", 5));
    assert_eq!(object, live);
}

#[test]
fn clients_that_drop_managed_fields_lose_nothing() {
    let live = created(&json!({"a": "1"}));
    let mut object = live.clone();
    object.remove(MANAGED_FIELDS);
    update(
        Some(&live),
        &mut object,
        &manager("two", "v1", 5),
        &config_map(),
        &status(),
    );
    assert_eq!(object, live);
    object["metadata"]["managedFields"] = json!([{"manager": "x", "operation": "Bogus"}]);
    update(
        Some(&live),
        &mut object,
        &manager("two", "v1", 5),
        &config_map(),
        &status(),
    );
    assert_eq!(object, live);
}

#[test]
fn who_writes_through_another_group_is_tracked_and_the_others_go() {
    let mut live = created(&json!({"a": "1"}));
    live["metadata"]["managedFields"][0]["apiVersion"] = "events.k8s.io/v1".into();
    let bob = manager("bob", "v1", 1);
    let written = updated(&live, &json!({"a": "2"}), &bob);
    assert_eq!(fields(&written, "bob"), json!({"f:data": {"f:a": {}}}));
    let entries = written["metadata"]["managedFields"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
}

#[test]
fn entries_of_another_version_are_not_read_by_the_schema_of_this_one() {
    let schema = builtin("io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler").unwrap();
    let target = json!({"f:spec": {"f:scaleTargetRef": {"f:kind": {}, "f:name": {}}}});
    let live = json!({
        "metadata": {"name": "h", "uid": "u", "managedFields": [
            {"manager": "one", "operation": "Update", "apiVersion": "autoscaling/v2",
                "fieldsType": "FieldsV1", "fieldsV1": target},
        ]},
        "spec": {"maxReplicas": 2, "scaleTargetRef": {"kind": "Deployment", "name": "web"}},
    });
    let mut new = live.clone();
    new["metadata"]["labels"] = json!({"a": "b"});
    let two = manager("two", "autoscaling/v1", 1);
    update(Some(&live), &mut new, &two, &schema, &status());
    assert_eq!(fields(&new, "one"), target);
    assert_ne!(fields(&new, "two"), Value::Null);
}

#[test]
fn an_empty_entry_stops_tracking() {
    let live = created(&json!({"a": "1"}));
    let mut object = live.clone();
    object["metadata"]["managedFields"] = json!([{}]);
    update(
        Some(&live),
        &mut object,
        &manager("two", "v1", 5),
        &config_map(),
        &status(),
    );
    assert!(object.at(MANAGED_FIELDS).is_none());
    let mut later = object.clone();
    later["data"]["a"] = json!("2");
    update(
        Some(&object),
        &mut later,
        &manager("two", "v1", 6),
        &config_map(),
        &status(),
    );
    assert!(later.at(MANAGED_FIELDS).is_none());
}

#[test]
fn reset_fields_are_never_owned() {
    let mut object = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"},
        "spec": {"replicas": 1}, "status": {"replicas": 1}
    });
    let manager = manager("one", "apps/v1", 0);
    update(None, &mut object, &manager, &deployment(), &status());
    assert_eq!(
        fields(&object, "one"),
        json!({"f:spec": {"f:replicas": {}}})
    );
}

#[test]
fn the_eleventh_updater_sends_the_oldest_two_into_one_entry() {
    let names: Vec<String> = (0..12).map(|at| format!("m{at:02}")).collect();
    let mut object = created(&json!({}));
    let mut entries = json!({});
    for (at, name) in names.iter().enumerate() {
        entries[name] = json!("x");
        let second = i64::try_from(at).unwrap();
        object = updated(&object, &entries, &manager(name, "v1", second));
    }
    assert_eq!(entries_of(&object).len(), 10);
    let ancient = fields(&object, "ancient-changes");
    assert_eq!(
        ancient,
        json!({"f:data": {".": {}, "f:m00": {}, "f:m01": {}, "f:m02": {}}})
    );
}

#[test]
fn admission_may_not_leave_entries_in_disorder() {
    let entry = |field: &str, value: &str| {
        let mut entry = json!({"manager": "a", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {}});
        entry[field] = json!(value);
        entry
    };
    assert!(validate(&[entry("manager", "b")]).is_ok());
    for (entry, why) in [
        (
            entry("operation", "x"),
            "operation must be `Apply` or `Update`",
        ),
        (entry("apiVersion", ""), "apiVersion must not be empty"),
        (
            entry("fieldsType", ""),
            "missing fieldsType in managed fields entry 0",
        ),
        (
            entry("fieldsType", "V2"),
            "invalid fieldsType \"V2\" in managed fields entry 0",
        ),
    ] {
        assert_eq!(validate(&[entry]).unwrap_err(), why);
    }
}

#[test]
fn times_come_back_when_nothing_else_differs() {
    let old = created(&json!({"a": "1"}));
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    keep_times_if_unchanged(&old, &mut new);
    assert_eq!(new, old);
    new["metadata"]["managedFields"][0]["time"] = json!("2030-01-01T00:00:00Z");
    new["data"]["a"] = json!("2");
    let changed = new.clone();
    keep_times_if_unchanged(&old, &mut new);
    assert_eq!(new, changed);
}

#[test]
fn scaling_moves_the_count_from_parent_to_scaler() {
    let path = ["spec".to_owned(), "replicas".to_owned()];
    let replicas = Replicas {
        api_version: "apps/v1",
        path: &path,
    };
    let parent = json!([{
        "manager": "one", "operation": "Update", "apiVersion": "apps/v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}, "f:selector": {}}}, "time": "2023-11-14T22:13:20Z"
    }]);
    let parent = parent.as_array().unwrap();
    let shown = scale_fields(parent, replicas);
    assert_eq!(shown[0]["apiVersion"], "autoscaling/v1");
    assert_eq!(shown[0]["fieldsV1"], json!({"f:spec": {"f:replicas": {}}}));
    assert_eq!(
        parent_fields(parent, shown.as_array().unwrap(), replicas),
        json!(parent)
    );

    let scaled = json!([{
        "manager": "scaler", "operation": "Update", "apiVersion": "autoscaling/v1", "fieldsType": "FieldsV1",
        "fieldsV1": {"f:spec": {"f:replicas": {}}}, "subresource": "scale"
    }]);
    let after = parent_fields(parent, scaled.as_array().unwrap(), replicas);
    let object = json!({"metadata": {"managedFields": after}});
    assert_eq!(
        fields(&object, "one"),
        json!({"f:spec": {"f:selector": {}}})
    );
    assert_eq!(
        fields(&object, "scaler"),
        json!({"f:spec": {"f:replicas": {}}})
    );
    assert_eq!(entries_of(&object)[0]["subresource"], "scale");
    assert_eq!(entries_of(&object)[0]["apiVersion"], "apps/v1");
}

#[test]
fn an_item_without_its_key_leaves_nothing_tracked() {
    let schema = builtin("io.k8s.api.core.v1.ServiceAccount").unwrap();
    let account =
        |secrets: Value| json!({"metadata": {"name": "a", "uid": "u"}, "secrets": secrets});
    let ann = manager("ann", "v1", 0);
    let mut live = account(json!([{"name": "s"}]));
    update(None, &mut live, &ann, &schema, &[]);
    assert_ne!(fields(&live, "ann"), Value::Null);
    let mut new = account(json!([{"namespace": "x"}]));
    update(Some(&live), &mut new, &ann, &schema, &[]);
    assert_eq!(new.at(&["metadata", "managedFields"]), None);
}
