//! Components: the schemas of objects and of what they hold.

use std::collections::{BTreeMap, BTreeSet};

use kinds::schema::{Field, ListSemantics, Presence, Schema, StructType, Type, TypeGraph, builtin};
use kinds::{Kind, Registry};
use meta::Gvk;
use serde_json::value::to_raw_value;
use serde_json::{Map, Value, json};

use super::{Flavor, Parts, descriptions, operations};

mod enums;
mod machinery;

pub(super) use machinery::{
    API_GROUP, API_GROUP_LIST, API_RESOURCE_LIST, API_VERSIONS, DELETE_OPTIONS, PATCH, STATUS,
    VERSION_INFO, WATCH_EVENT,
};

/// A type, its discriminator, and the value of it that each field stands for.
type Union = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// Discriminated unions, as `+union` markers say: type, discriminator (empty for none), and field to value.
const UNIONS: &[Union] = &[
    (
        "io.k8s.api.core.v1.AppArmorProfile",
        "type",
        &[("localhostProfile", "LocalhostProfile")],
    ),
    (
        "io.k8s.api.core.v1.PodSchedulingGroup",
        "",
        &[("podGroupName", "PodGroupName")],
    ),
    (
        "io.k8s.api.core.v1.SeccompProfile",
        "type",
        &[("localhostProfile", "LocalhostProfile")],
    ),
    (
        "io.k8s.api.flowcontrol.v1.LimitResponse",
        "type",
        &[("queuing", "Queuing")],
    ),
    (
        "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec",
        "type",
        &[("exempt", "Exempt"), ("limited", "Limited")],
    ),
    (
        "io.k8s.api.flowcontrol.v1.Subject",
        "kind",
        &[
            ("group", "Group"),
            ("serviceAccount", "ServiceAccount"),
            ("user", "User"),
        ],
    ),
];

/// The component that a row's objects have: the type's name, or one made of the group as upstream makes it for custom
/// resources (`stable.example.com` -> `com.example.stable.v1.CronTab`).
pub(super) fn of_row(row: &Kind) -> String {
    match row.schema.as_struct() {
        Some(item) if item.name.contains('.') => item.name.clone(),
        _ => {
            let group: Vec<&str> = row.group.split('.').rev().collect();
            format!("{}.{}.{}", group.join("."), row.version, row.kind)
        }
    }
}

/// The component that a row's lists have.
pub(super) fn of_list(row: &Kind) -> String {
    let name = of_row(row);
    let package = name.rsplit_once('.').map_or("", |(package, _)| package);
    if package.is_empty() {
        row.list_kind.to_string()
    } else {
        format!("{package}.{}", row.list_kind)
    }
}

/// These components of a document and all that they refer to. Version 3 has a document for each group and version.
pub(super) fn closure(
    registry: &Registry,
    flavor: Flavor,
    document: &str,
    roots: &BTreeSet<String>,
) -> Parts {
    let mut builder = Builder::new(registry, flavor);
    if flavor == Flavor::V3 {
        builder.versions.retain(|(group, version)| {
            group.is_empty() || operations::root(group, version) == document
        });
    }
    let mut done = Parts::new();
    let mut wanted: Vec<String> = roots.iter().cloned().collect();
    while let Some(name) = wanted.pop() {
        if done.contains_key(&name) {
            continue;
        }
        let Some(component) = builder.component(&name) else {
            continue;
        };
        references(&component, &mut wanted);
        if let Ok(text) = to_raw_value(&component) {
            done.insert(name, text);
        }
    }
    done
}

/// Adds the names that a component refers to.
fn references(value: &Value, names: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str().and_then(|text| text.rsplit_once('/')) {
                    Some((_, name)) if key == "$ref" => names.push(name.to_owned()),
                    _ => references(value, names),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, names)),
        _ => {}
    }
}

struct Builder<'r> {
    flavor: Flavor,
    kinds: BTreeMap<String, BTreeSet<Gvk>>,
    rows: BTreeMap<String, &'r Kind>,
    /// The groups and versions of the document, which the kinds of the machinery are of.
    versions: BTreeSet<(String, String)>,
}

impl<'r> Builder<'r> {
    fn new(registry: &'r Registry, flavor: Flavor) -> Self {
        let mut kinds: BTreeMap<String, BTreeSet<Gvk>> = BTreeMap::new();
        let mut rows = BTreeMap::new();
        let mut versions = BTreeSet::new();
        for row in registry.rows() {
            let list = Gvk::new(&row.group, &row.version, &row.list_kind);
            kinds.entry(of_row(row)).or_default().insert(row.gvk());
            if row.verbs.iter().any(|verb| verb == "list") {
                kinds.entry(of_list(row)).or_default().insert(list);
            }
            rows.insert(of_row(row), row.as_ref());
            versions.insert((row.group.to_string(), row.version.to_string()));
            for body in row.subresources.iter().filter_map(|sub| sub.body.as_ref()) {
                kinds
                    .entry(of_body(registry, body))
                    .or_default()
                    .insert(body.clone());
            }
        }
        Self {
            flavor,
            kinds,
            rows,
            versions,
        }
    }

    fn component(&self, name: &str) -> Option<Value> {
        let mut component = match machinery::component(name, self.flavor) {
            Some(component) => component,
            None if self.described(name).is_some() => self.described(name)?,
            None => match self.schema(name) {
                Some(schema) => match schema.as_struct() {
                    Some(item) => self.structure(&schema.graph, item),
                    None => self.of_type(&schema.graph, &schema.ty, "", Map::new()),
                },
                None => self.list(name)?,
            },
        };
        let map = component.as_object_mut()?;
        if let Some(description) = descriptions::of_type(name) {
            map.insert("description".into(), description.into());
        } else if let Some(item) = name
            .rsplit('.')
            .next()
            .and_then(|kind| kind.strip_suffix("List"))
        {
            let description = format!("{item}List is a list of {item} objects.");
            map.insert("description".into(), description.into());
        }
        let kinds = self.kinds_of(name);
        if !kinds.is_empty() {
            map.insert("x-kubernetes-group-version-kind".into(), kinds.into());
        }
        Some(component)
    }

    /// A kind that says itself what its fields mean.
    fn described(&self, name: &str) -> Option<Value> {
        let mut schema = self.rows.get(name)?.strategy.open_api()?;
        let properties = schema.get_mut("properties")?.as_object_mut()?;
        for field in ["apiVersion", "kind"] {
            let description = descriptions::of_list_field(field).unwrap_or_default();
            let field = field.to_owned();
            properties.insert(field, json!({"type": "string", "description": description}));
        }
        let extra =
            Map::from_iter([("description".to_owned(), "Standard object metadata.".into())]);
        let metadata = self.reference(machinery::OBJECT_META, extra);
        properties.insert("metadata".to_owned(), metadata);
        Some(schema)
    }

    fn schema(&self, name: &str) -> Option<Schema> {
        let of_row = |name| self.rows.get(name).map(|row| row.schema.clone());
        of_row(name).or_else(|| builtin(name))
    }

    fn kinds_of(&self, name: &str) -> Vec<Value> {
        let json =
            |gvk: &Gvk| json!({"group": gvk.group, "kind": gvk.kind, "version": gvk.version});
        match name {
            STATUS | API_GROUP | API_GROUP_LIST | API_RESOURCE_LIST | API_VERSIONS => {
                let kind = name.rsplit('.').next().unwrap_or_default();
                vec![json(&Gvk::new("", "v1", kind))]
            }
            DELETE_OPTIONS | WATCH_EVENT => {
                let kind = name.rsplit('.').next().unwrap_or_default();
                let versions = self.versions.iter();
                versions
                    .map(|(group, version)| json(&Gvk::new(group, version, kind)))
                    .collect()
            }
            _ => self
                .kinds
                .get(name)
                .into_iter()
                .flatten()
                .map(json)
                .collect(),
        }
    }

    /// The list of a kind whose list has no type of its own: custom resources.
    fn list(&self, name: &str) -> Option<Value> {
        let row = self.rows.values().find(|row| of_list(row) == name)?;
        let reference = |name: &str| self.reference(name, Map::new());
        let (item, list_meta) = (of_row(row), machinery::LIST_META);
        Some(json!({
            "type": "object",
            "required": ["items"],
            "properties": {
                "apiVersion": {"type": "string"},
                "kind": {"type": "string"},
                "items": {"type": "array", "items": {"$ref": self.flavor.reference(&item)}},
                "metadata": reference(list_meta),
            },
        }))
    }

    fn structure(&self, graph: &TypeGraph, item: &StructType) -> Value {
        let mut properties = Map::new();
        for field in &item.fields {
            properties.insert(field.name.clone(), self.property(graph, &item.name, field));
        }
        let mut out = Map::new();
        out.insert("type".into(), "object".into());
        if !properties.is_empty() {
            out.insert("properties".into(), properties.into());
        }
        let required = required(item);
        if !required.is_empty() {
            out.insert("required".into(), required.into());
        }
        if item.atomic {
            out.insert("x-kubernetes-map-type".into(), "atomic".into());
        }
        if let Some((_, discriminator, fields)) =
            UNIONS.iter().find(|(name, ..)| *name == item.name)
        {
            let fields: Map<String, Value> = fields
                .iter()
                .map(|(field, value)| ((*field).to_owned(), (*value).into()))
                .collect();
            let mut union = json!({"fields-to-discriminateBy": fields});
            if !discriminator.is_empty()
                && let Some(union) = union.as_object_mut()
            {
                union.insert("discriminator".into(), (*discriminator).into());
            }
            out.insert("x-kubernetes-unions".into(), vec![union].into());
        }
        Value::Object(out)
    }

    fn property(&self, graph: &TypeGraph, owner: &str, field: &Field) -> Value {
        let mut extra = Map::new();
        let description = descriptions::of_field(owner, &field.name)
            .or_else(|| descriptions::of_list_field(&field.name).filter(|_| is_list(owner)));
        if let Some(description) = description {
            extra.insert("description".into(), description.into());
        }
        extensions(field, &mut extra);
        if is_list(owner) {
            extra.remove("x-kubernetes-list-type");
        }
        if self.flavor == Flavor::V3
            && let Some(default) = default_of(field)
        {
            extra.insert("default".into(), default);
        }
        self.of_type(graph, &field.ty, &field.go_type, extra)
    }

    /// The schema of a type with these members added.
    fn of_type(
        &self,
        graph: &TypeGraph,
        ty: &Type,
        go_type: &str,
        extra: Map<String, Value>,
    ) -> Value {
        if let Some(name) = machinery::scalar_name(ty, go_type) {
            return self.reference(name, extra);
        }
        let mut out = match ty {
            Type::Struct(index) => match graph.types.get(*index) {
                Some(item) if builtin(&item.name).is_some() => {
                    return self.reference(&item.name, extra);
                }
                Some(item) => self.structure(graph, item),
                None => json!({"type": "object"}),
            },
            Type::List(list) => {
                let go_item = go_type.strip_prefix("[]").unwrap_or_default();
                let items = self.of_type(graph, &list.item, go_item, Map::new());
                json!({"type": "array", "items": items})
            }
            Type::Map { value, .. } => {
                let go_value = match go_type.split_once(']') {
                    Some((_, rest)) => rest,
                    None if go_type == "v1.JSONSchemaDependencies" => {
                        "v1.JSONSchemaPropsOrStringArray"
                    }
                    None => "",
                };
                let values = self.of_type(graph, value, go_value, Map::new());
                json!({"type": "object", "additionalProperties": values})
            }
            Type::String | Type::Duration => json!({"type": "string"}),
            Type::Bytes => json!({"type": "string", "format": "byte"}),
            Type::Bool => json!({"type": "boolean"}),
            Type::Int32 => json!({"type": "integer", "format": "int32"}),
            Type::Int64 => json!({"type": "integer", "format": "int64"}),
            Type::Float64 => json!({"type": "number", "format": "double"}),
            _ => json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}),
        };
        if let Some(out) = out.as_object_mut() {
            out.extend(extra);
            if *ty == Type::String {
                enums::tell(go_type, out);
            }
        }
        out
    }

    /// A reference; version 3 allows no members beside one, so they stand around it.
    fn reference(&self, name: &str, mut extra: Map<String, Value>) -> Value {
        let target = Value::from(self.flavor.reference(name));
        if self.flavor == Flavor::V2 || extra.is_empty() {
            extra.insert("$ref".into(), target);
        } else {
            extra.insert("allOf".into(), json!([{ "$ref": target }]));
        }
        Value::Object(extra)
    }
}

/// The required fields in the order of their declarations.
fn required(item: &StructType) -> Vec<&str> {
    let mut fields: Vec<&Field> = item.fields.iter().filter(|field| field.required).collect();
    fields.sort_by_key(|field| field.order);
    fields.iter().map(|field| field.name.as_str()).collect()
}

/// Whether a type is the list of a kind, by its name; nothing else in the API is called so.
fn is_list(name: &str) -> bool {
    name.ends_with("List") && builtin(name.trim_end_matches("List")).is_some()
}

/// The component of a subresource's body.
pub(super) fn of_body(registry: &Registry, body: &Gvk) -> String {
    if let Some(row) = registry.kind(body) {
        return of_row(row);
    }
    let group = match body.group.as_str() {
        "" => "core",
        group => group.split('.').next().unwrap_or(group),
    };
    format!("io.k8s.api.{group}.{}.{}", body.version, body.kind)
}

/// What server-side apply and strategic merge know of a field.
fn extensions(field: &Field, out: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| {
        out.insert(format!("x-kubernetes-{name}"), value);
    };
    match &field.ty {
        Type::List(list) => match &list.semantics {
            ListSemantics::Atomic => put("list-type", "atomic".into()),
            ListSemantics::Set => put("list-type", "set".into()),
            ListSemantics::Map { keys } => {
                put("list-type", "map".into());
                put("list-map-keys", json!(keys));
            }
        },
        Type::Map { atomic: true, .. } => put("map-type", "atomic".into()),
        _ if field.granular => put("map-type", "granular".into()),
        _ => {}
    }
    let strategies: Vec<&str> = [
        (field.patch.merge, "merge"),
        (field.patch.replace, "replace"),
        (field.patch.retain_keys, "retainKeys"),
    ]
    .into_iter()
    .filter_map(|(has, name)| has.then_some(name))
    .collect();
    if !strategies.is_empty() {
        put("patch-strategy", strategies.join(",").into());
    }
    if let Some(key) = &field.patch.merge_key {
        put("patch-merge-key", key.as_str().into());
    }
}

/// The default that version 3 documents name: the declared one, or the zero value of what is always written.
fn default_of(field: &Field) -> Option<Value> {
    if field.default.is_some() {
        return field.default.clone();
    }
    match field.presence {
        Presence::Always | Presence::AlwaysStruct | Presence::OmitZero => zero_of(&field.ty),
        _ => None,
    }
}

/// The zero value of scalars and structs; `None` for what has a null one or writes itself, such as times and quantities.
fn zero_of(ty: &Type) -> Option<Value> {
    match ty {
        Type::Struct(_) => Some(json!({})),
        Type::String => Some(json!("")),
        Type::Bool => Some(json!(false)),
        Type::Int32 | Type::Int64 | Type::Float64 => Some(json!(0)),
        _ => None,
    }
}
