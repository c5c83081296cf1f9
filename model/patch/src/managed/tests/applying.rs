//! Server-side apply.

use proptest::prelude::*;

use super::*;

fn gvk(config: &Value) -> Gvk {
    config.gvk().unwrap()
}

fn try_apply(
    live: Option<&Value>,
    config: &Value,
    schema: &Schema,
    manager: &Manager<'_>,
    force: bool,
) -> Result<Value, StatusError> {
    apply(
        live,
        config,
        &gvk(config),
        manager,
        force,
        schema,
        &status(),
    )
}

fn applied(live: Option<&Value>, entries: &Value, name: &str) -> Value {
    let manager = manager(name, "v1", 0);
    let mut object = try_apply(live, &data(entries), &config_map(), &manager, false).unwrap();
    object["metadata"]["uid"] = json!("u");
    object
}

fn web(replicas: u8, containers: &Value) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": containers}}
        }
    })
}

#[test]
fn fields_no_longer_applied_go_away() {
    let live = applied(None, &json!({"a": "1", "b": "2"}), "one");
    assert_eq!(
        fields(&live, "one"),
        json!({"f:data": {"f:a": {}, "f:b": {}}})
    );
    let live = applied(Some(&live), &json!({"b": "2"}), "one");
    assert_eq!(live["data"], json!({"b": "2"}));
    assert_eq!(fields(&live, "one"), json!({"f:data": {"f:b": {}}}));
}

#[test]
fn fields_someone_else_owns_stay() {
    let live = applied(None, &json!({"a": "1", "b": "2"}), "one");
    let live = applied(Some(&live), &json!({"a": "1"}), "two");
    let live = applied(Some(&live), &json!({"b": "2"}), "one");
    assert_eq!(live["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(fields(&live, "one"), json!({"f:data": {"f:b": {}}}));
    assert_eq!(fields(&live, "two"), json!({"f:data": {"f:a": {}}}));
}

#[test]
fn an_apply_without_effect_returns_the_live_object() {
    let live = applied(None, &json!({"a": "1"}), "one");
    let later = manager("one", "v1", 99);
    let again = try_apply(
        Some(&live),
        &data(&json!({"a": "1"})),
        &config_map(),
        &later,
        false,
    );
    assert_eq!(again.unwrap(), live);
}

#[test]
fn conflicts_are_told_as_upstream_tells_them() {
    let live = applied(None, &json!({"a": "1"}), "one");
    let two = manager("two", "v1", 1);
    let wish = data(&json!({"a": "2"}));
    let error = try_apply(Some(&live), &wish, &config_map(), &two, false).unwrap_err();
    assert_eq!(error.code(), 409);
    assert_eq!(
        error.to_string(),
        "Apply failed with 1 conflict: conflict with \"one\": .data.a"
    );
    let causes = &error.0.details.as_ref().unwrap().causes;
    assert_eq!(causes[0].reason, "FieldManagerConflict");
    assert_eq!(causes[0].message, "conflict with \"one\"");
    assert_eq!(causes[0].field, ".data.a");

    let forced = try_apply(Some(&live), &wish, &config_map(), &two, true).unwrap();
    assert_eq!(forced["data"], json!({"a": "2"}));
    assert_eq!(fields(&forced, "one"), Value::Null);
    assert_eq!(fields(&forced, "two"), json!({"f:data": {"f:a": {}}}));
}

#[test]
fn several_conflicts_are_listed_by_manager() {
    let nginx = json!([{"name": "nginx", "image": "nginx:1"}]);
    let mut live = web(3, &nginx);
    update(
        None,
        &mut live,
        &manager("kubectl-create", "apps/v1", 0),
        &deployment(),
        &status(),
    );
    live["metadata"]["uid"] = json!("u");
    let wish = web(1, &json!([{"name": "nginx", "image": "nginx:2"}]));
    let error = try_apply(
        Some(&live),
        &wish,
        &deployment(),
        &manager("two", "apps/v1", 1),
        false,
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "Apply failed with 2 conflicts: conflicts with \"kubectl-create\" using apps/v1:\n\
         - .spec.replicas\n\
         - .spec.template.spec.containers[name=\"nginx\"].image"
    );
}

#[test]
fn keyed_lists_merge_and_keep_the_appliers_order() {
    let item = |name: &str| json!({"name": name, "image": "x"});
    let one = manager("one", "apps/v1", 0);
    let two = manager("two", "apps/v1", 1);
    let first = web(1, &json!([item("a"), item("b")]));
    let live = try_apply(None, &first, &deployment(), &one, false).unwrap();
    let second = web(1, &json!([item("c"), item("a")]));
    let live = try_apply(Some(&live), &second, &deployment(), &two, false).unwrap();
    let names = |object: &Value| -> Vec<String> {
        let containers = object.list_at(&["spec", "template", "spec", "containers"]);
        containers
            .iter()
            .map(|item| item["name"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(names(&live), ["c", "a", "b"]);
    let live = try_apply(
        Some(&live),
        &web(1, &json!([item("b")])),
        &deployment(),
        &one,
        false,
    );
    assert_eq!(names(&live.unwrap()), ["c", "a", "b"]);
}

#[test]
fn absent_list_keys_take_their_default() {
    let ports = |ports: Value| web(1, &json!([{"name": "a", "image": "x", "ports": ports}]));
    let one = manager("one", "apps/v1", 0);
    let mut live = ports(json!([{"containerPort": 80, "protocol": "TCP"}]));
    update(
        None,
        &mut live,
        &manager("creator", "apps/v1", 0),
        &deployment(),
        &status(),
    );
    live["metadata"]["uid"] = json!("u");
    let wish = ports(json!([{"containerPort": 80, "name": "http"}]));
    let object = try_apply(Some(&live), &wish, &deployment(), &one, false).unwrap();
    let found = &object["spec"]["template"]["spec"]["containers"][0]["ports"];
    assert_eq!(
        found,
        &json!([{"containerPort": 80, "protocol": "TCP", "name": "http"}])
    );
}

#[test]
fn objects_never_tracked_belong_to_before_first_apply() {
    let mut live = data(&json!({"a": "1", "b": "1"}));
    live["metadata"]["uid"] = json!("u");
    let object = try_apply(
        Some(&live),
        &data(&json!({"a": "1"})),
        &config_map(),
        &manager("one", "v1", 0),
        false,
    );
    let object = object.unwrap();
    let before = json!({"f:data": {".": {}, "f:a": {}, "f:b": {}}});
    assert_eq!(fields(&object, "before-first-apply"), before);
    assert_eq!(fields(&object, "one"), json!({"f:data": {"f:a": {}}}));
}

#[test]
fn kubectl_takes_over_what_client_side_apply_left() {
    let noted = data(&json!({"a": "1"}));
    let mut live = noted.clone();
    let annotation = json!({"kubectl.kubernetes.io/last-applied-configuration": noted.to_string()});
    live["metadata"]["annotations"] = annotation;
    update(
        None,
        &mut live,
        &manager("kubectl-client-side-apply", "v1", 0),
        &config_map(),
        &status(),
    );
    live["metadata"]["uid"] = json!("u");
    let wish = data(&json!({"a": "2"}));
    let other = try_apply(
        Some(&live),
        &wish,
        &config_map(),
        &manager("other", "v1", 1),
        false,
    );
    assert_eq!(
        other.unwrap_err().to_string(),
        "Apply failed with 1 conflict: conflict with \"kubectl-client-side-apply\" using v1: .data.a"
    );
    let object = try_apply(
        Some(&live),
        &wish,
        &config_map(),
        &manager("kubectl", "v1", 1),
        false,
    );
    let object = object.unwrap();
    assert_eq!(object["data"]["a"], "2");
    let noted = object.annotation("kubectl.kubernetes.io/last-applied-configuration");
    assert_eq!(noted.unwrap(), format!("{wish}\n"));
}

#[test]
fn what_does_not_fit_is_refused() {
    let one = manager("one", "v1", 0);
    let refused = |config: &Value| {
        let kind = Gvk::new("", "v1", "ConfigMap");
        let error = apply(None, config, &kind, &one, false, &config_map(), &status()).unwrap_err();
        (error.code(), error.to_string())
    };
    let no_version = json!({"metadata": {"name": "web"}});
    assert_eq!(
        refused(&no_version),
        (400, "invalid object type: /, Kind=".into())
    );
    let mut other = data(&json!({}));
    other["kind"] = json!("Secret");
    assert_eq!(
        refused(&other),
        (400, "invalid object type: /v1, Kind=Secret".into())
    );
    let mut owned = data(&json!({}));
    owned["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(
        refused(&owned),
        (400, "metadata.managedFields must be nil".into())
    );
    let subject = "failed to create typed patch object (default/web; /v1, Kind=ConfigMap)";
    let mut unknown = data(&json!({}));
    unknown["bogus"] = json!(1);
    assert_eq!(
        refused(&unknown),
        (
            500,
            format!("{subject}: .bogus: field not declared in schema")
        )
    );
    let typo = data(&json!({"a": 1}));
    let complaint = ".data.a: expected string, got &value.valueUnstructured{Value:1}";
    assert_eq!(refused(&typo), (500, format!("{subject}: {complaint}")));
}

#[test]
fn duplicate_items_are_refused_in_the_configuration() {
    let twice = web(1, &json!([{"name": "a"}, {"name": "a"}]));
    let error = try_apply(
        None,
        &twice,
        &deployment(),
        &manager("one", "apps/v1", 0),
        false,
    );
    let error = error.unwrap_err().to_string();
    let path = ".spec.template.spec.containers: duplicate entries for key [name=\"a\"]";
    assert!(error.ends_with(path), "{error}");
}

fn entries() -> impl Strategy<Value = Value> {
    prop::collection::btree_map("[a-f]", "[0-9]", 0..5).prop_map(|map| {
        map.into_iter()
            .map(|(key, value)| (key, json!(value)))
            .collect()
    })
}

proptest! {
    #[test]
    fn applying_twice_is_applying_once(first in entries(), wish in entries()) {
        let live = applied(None, &first, "one");
        let once = applied(Some(&live), &wish, "one");
        let later = manager("one", "v1", 99);
        let twice = try_apply(Some(&once), &data(&wish), &config_map(), &later, false).unwrap();
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn order_is_free_where_owners_differ(one in entries(), two in entries()) {
        let apart = |map: &Value, prefix: &str| -> Value {
            let map = map.as_object().unwrap();
            map.iter().map(|(key, value)| (format!("{prefix}{key}"), value.clone())).collect()
        };
        let (one, two) = (apart(&one, "1"), apart(&two, "2"));
        let forth = applied(Some(&applied(None, &one, "one")), &two, "two");
        let back = applied(Some(&applied(None, &two, "two")), &one, "one");
        prop_assert_eq!(&forth["data"], &back["data"]);
        prop_assert_eq!(fields(&forth, "one"), fields(&back, "one"));
        prop_assert_eq!(fields(&forth, "two"), fields(&back, "two"));
    }

    #[test]
    fn a_lone_applier_gets_what_it_asks_for(first in entries(), wish in entries()) {
        let live = applied(None, &first, "one");
        let object = applied(Some(&live), &wish, "one");
        let found = object.get("data").cloned().unwrap_or_default();
        let is_empty = wish.as_object().unwrap().is_empty();
        prop_assert!(found == wish || found.is_null() && is_empty, "{} != {}", found, wish);
    }
}

#[test]
fn conflicts_name_a_manager_with_a_subresource_before_one_without() {
    let by = |subresource, second| Manager {
        subresource,
        ..manager("one", "v1", second)
    };
    let live = applied(None, &json!({"a": "1"}), "one");
    let also = by("status", 1);
    let live = try_apply(
        Some(&live),
        &data(&json!({"a": "1"})),
        &config_map(),
        &also,
        false,
    );
    let refused = try_apply(
        Some(&live.unwrap()),
        &data(&json!({"a": "2"})),
        &config_map(),
        &manager("two", "v1", 2),
        false,
    );
    assert_eq!(
        refused.unwrap_err().0.message,
        "Apply failed with 2 conflicts: conflicts with \"one\" with subresource \"status\":\n- .data.a\nconflicts with \"one\":\n- .data.a"
    );
}

#[test]
fn entries_of_another_group_are_forgotten_and_their_fields_stay() {
    let mut live = applied(None, &json!({"a": "1", "b": "2"}), "one");
    live["metadata"]["managedFields"][0]["apiVersion"] = "events.k8s.io/v1".into();
    let live = applied(Some(&live), &json!({"a": "1"}), "one");
    assert_eq!(live["data"], json!({"a": "1", "b": "2"}));
    assert_eq!(fields(&live, "one"), json!({"f:data": {"f:a": {}}}));
}

#[test]
fn one_item_in_the_place_of_many_of_its_name_is_a_conflict() {
    let schema = deployment();
    let twice = json!([{"name": "A", "value": "1"}, {"name": "A", "value": "2"}]);
    let mut live = web(1, &json!([{"name": "c", "image": "i", "env": twice}]));
    update(
        None,
        &mut live,
        &manager("ann", "apps/v1", 0),
        &schema,
        &status(),
    );
    live["metadata"]["uid"] = json!("u");
    let once = json!([{"name": "c", "image": "i", "env": [{"name": "A", "value": "3"}]}]);
    let bob = manager("bob", "apps/v1", 1);
    let refused = try_apply(Some(&live), &web(1, &once), &schema, &bob, false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "Apply failed with 1 conflict: conflict with \"ann\" using apps/v1: .spec.template.spec.containers[name=\"c\"].env[name=\"A\"]"
    );
    assert!(try_apply(Some(&live), &web(1, &once), &schema, &bob, true).is_ok());
}
