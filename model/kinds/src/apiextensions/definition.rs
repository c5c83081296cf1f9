//! CustomResourceDefinition: its defaults, and what is wrong with one but for its schemas.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, Path, names};
use serde_json::{Value, json};

use crate::check::{Errors, Node};
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

const VERSION: &str =
    "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionVersion";

/// Rules of `apiextensions.k8s.io/v1 CustomResourceDefinition`.
pub(crate) struct CustomResourceDefinition;

impl Strategy for CustomResourceDefinition {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        let names = spec.child_mut("names");
        let kind = names.str_at(&["kind"]).unwrap_or_default().to_owned();
        if !kind.is_empty() {
            names.default_to("singular", kind.to_lowercase());
            names.default_to("listKind", format!("{kind}List"));
        }
        if spec.get("conversion").is_none_or(Value::is_null) {
            spec.put("conversion", json!({"strategy": "None"}));
        }
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        let stored = storage_version(new).map(|name| json!([name]));
        let mut status = json!({"acceptedNames": {"kind": "", "plural": ""}, "conditions": null});
        status.put("storedVersions", stored.unwrap_or_default());
        new.put("status", status);
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        check(new, &mut errors);
        errors
    }
    print_with!(print::CREATED_AT);
}

fn storage_version(object: &Object) -> Option<&str> {
    let versions = object.list_at(&["spec", "versions"]).iter();
    let mut stored = versions.filter(|version| version.bool_at(&["storage"]) == Some(true));
    stored.next()?.str_at(&["name"])
}

/// Source: `ValidateCustomResourceDefinition`.
fn check(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let plural = spec.child("names").text("plural");
    if object.name() != format!("{plural}.{}", spec.text("group")) {
        let path = Path::new("metadata").child("name");
        let why = "must be spec.names.plural+\".\"+spec.group";
        errors.push(FieldError::invalid(&path, object.name(), why));
    }
    group(&spec, errors);
    spec.needs_one_of("scope", &["Cluster", "Namespaced"], errors);
    versions(&spec, errors);
    for field in ["plural", "singular", "kind", "listKind"] {
        spec.child("names").needs(field, errors);
    }
    self::names(&spec.child("names"), errors);
    conversion(&spec.child("conversion"), errors);
    if object.list_at(&["status", "storedVersions"]).is_empty() {
        let path = Path::new("status").child("storedVersions");
        let why = "must have at least one stored version";
        errors.push(FieldError::invalid(&path, Value::Null, why));
    }
}

fn group(spec: &Node<'_>, errors: &mut Errors) {
    let group = spec.text("group");
    let complaints = names::dns1123_subdomain(group);
    let why = if group.is_empty() {
        spec.needs("group", errors);
        return;
    } else if !complaints.is_empty() {
        complaints.join(",")
    } else if !group.contains('.') {
        "should be a domain with at least one dot".to_owned()
    } else {
        return;
    };
    errors.push(FieldError::invalid(&spec.at("group"), group, why));
}

fn versions(spec: &Node<'_>, errors: &mut Errors) {
    let versions = spec.items("versions");
    for version in &versions {
        let schema = version.child("schema");
        if !schema.has("openAPIV3Schema") {
            errors.push(FieldError::required(&schema.at("openAPIV3Schema"), ""));
        }
    }
    let mut known = BTreeSet::new();
    let mut is_unique = true;
    for version in &versions {
        let name = version.text("name");
        is_unique &= known.insert(name);
        let complaints = names::dns1035_label(name);
        if !complaints.is_empty() {
            let path = version.at("name");
            errors.push(FieldError::invalid(&path, name, complaints.join(",")));
        }
    }
    let stored = versions.iter().filter(|version| version.flag("storage"));
    for (is_wrong, why) in [
        (!is_unique, "must contain unique version names"),
        (
            stored.count() != 1,
            "must have exactly one version marked as storage version",
        ),
    ] {
        if is_wrong {
            errors.push(wrong_versions(spec, why));
        }
    }
}

/// The versions as upstream holds them: what is the same in all of them stands elsewhere.
fn wrong_versions(spec: &Node<'_>, why: &str) -> FieldError {
    let mut shown = spec.child("versions").value.clone();
    let mut list: Vec<&mut Value> = spec_items(&mut shown);
    for field in [
        "schema",
        "subresources",
        "additionalPrinterColumns",
        "selectableFields",
    ] {
        let first = list.first().and_then(|version| version.get(field).cloned());
        if list
            .iter()
            .all(|version| version.get(field).cloned() == first)
        {
            for version in &mut list {
                version.drop_field(field);
            }
        }
    }
    let texts = spec_items(&mut shown).into_iter();
    let texts: Vec<String> = texts
        .filter_map(|version| crate::schema::internal::named(VERSION, version))
        .collect();
    let is_empty = texts.is_empty();
    let mut error = FieldError::invalid(&spec.at("versions"), Value::Null, why);
    error.shown = (!is_empty).then(|| format!("[{}]", texts.join(",")));
    error
}

fn spec_items(list: &mut Value) -> Vec<&mut Value> {
    list.as_array_mut().into_iter().flatten().collect()
}

/// Source: `ValidateCustomResourceDefinitionNames`.
fn names(names: &Node<'_>, errors: &mut Errors) {
    for (field, is_mixed) in [
        ("plural", false),
        ("singular", false),
        ("kind", true),
        ("listKind", true),
    ] {
        let text = names.text(field);
        let complaints = if is_mixed {
            names::dns1035_label(&text.to_lowercase())
        } else {
            names::dns1035_label(text)
        };
        if text.is_empty() || complaints.is_empty() {
            continue;
        }
        let mut why = complaints.join(",");
        if is_mixed {
            why = format!("may have mixed case, but should otherwise match: {why}");
        }
        errors.push(FieldError::invalid(&names.at(field), text, why));
    }
    let (kind, list) = (names.text("kind"), names.text("listKind"));
    if !list.is_empty() && kind == list {
        let why = "kind and listKind may not be the same";
        errors.push(FieldError::invalid(&names.at("listKind"), list, why));
    }
    for field in ["shortNames", "categories"] {
        for (index, text) in names.texts(field).into_iter().enumerate() {
            let complaints = names::dns1035_label(text);
            if !complaints.is_empty() {
                let path = names.at(field).index(index);
                errors.push(FieldError::invalid(&path, text, complaints.join(",")));
            }
        }
    }
}

/// Source: `validateCustomResourceConversion`; paths are those of the internal type.
fn conversion(conversion: &Node<'_>, errors: &mut Errors) {
    conversion.needs_one_of("strategy", &["None", "Webhook"], errors);
    let hook = conversion.child("webhook");
    let client = conversion.at("webhookClientConfig");
    if conversion.text("strategy") == "Webhook" {
        if !hook.has("clientConfig") {
            let why = "required when strategy is set to Webhook";
            errors.push(FieldError::required(&client, why));
        }
        if !hook.has_items("conversionReviewVersions") {
            let path = conversion.at("conversionReviewVersions");
            errors.push(FieldError::required(&path, ""));
        }
    } else if hook.has("clientConfig") {
        let why = "should not be set when strategy is not set to Webhook";
        errors.push(FieldError::forbidden(&client, why));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(object: &Value) -> Vec<String> {
        let mut object = object.clone();
        CustomResourceDefinition.default(&mut object);
        let mut errors = Errors::new();
        check(&object, &mut errors);
        errors.iter().map(|error| error.field.clone()).collect()
    }

    #[test]
    fn a_definition_without_a_spec_lacks_everything() {
        assert_eq!(
            said(&json!({"metadata": {"name": "foos.example.com"}})),
            [
                "metadata.name",
                "spec.group",
                "spec.scope",
                "spec.versions",
                "spec.names.plural",
                "spec.names.singular",
                "spec.names.kind",
                "spec.names.listKind",
                "status.storedVersions",
            ]
        );
    }

    #[test]
    fn names_follow_from_the_kind() {
        let mut object = json!({"spec": {"names": {"kind": "Foo", "plural": "foos"}}});
        CustomResourceDefinition.default(&mut object);
        assert_eq!(object["spec"]["names"]["listKind"], "FooList");
        assert_eq!(object["spec"]["names"]["singular"], "foo");
        assert_eq!(object["spec"]["conversion"]["strategy"], "None");
    }
}
