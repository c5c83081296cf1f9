//! Components that stand for no struct of the type facts: scalars with a name, and the bodies of discovery.

use kinds::schema::Type;
use serde_json::{Map, Value, json};

use super::Flavor;

pub(in crate::openapi) const API_GROUP: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroup";
pub(in crate::openapi) const API_GROUP_LIST: &str =
    "io.k8s.apimachinery.pkg.apis.meta.v1.APIGroupList";
pub(in crate::openapi) const API_RESOURCE_LIST: &str =
    "io.k8s.apimachinery.pkg.apis.meta.v1.APIResourceList";
pub(in crate::openapi) const API_VERSIONS: &str =
    "io.k8s.apimachinery.pkg.apis.meta.v1.APIVersions";
pub(in crate::openapi) const DELETE_OPTIONS: &str =
    "io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions";
pub(in crate::openapi) const PATCH: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Patch";
pub(in crate::openapi) const STATUS: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
pub(in crate::openapi) const VERSION_INFO: &str = "io.k8s.apimachinery.pkg.version.Info";
pub(in crate::openapi) const WATCH_EVENT: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.WatchEvent";
pub(super) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";
pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

const META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.";
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";
const INT_OR_STRING: &str = "io.k8s.apimachinery.pkg.util.intstr.IntOrString";
const TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.Time";
const MICRO_TIME: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
const FIELDS_V1: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1";

/// Go types that hold any JSON, with their components.
const ANY: &[(&str, &str)] = &[
    ("runtime.RawExtension", RAW_EXTENSION),
    ("v1.FieldsV1", FIELDS_V1),
    (
        "v1.JSON",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON",
    ),
    (
        "v1.JSONSchemaPropsOrArray",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrArray",
    ),
    (
        "v1.JSONSchemaPropsOrBool",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrBool",
    ),
    (
        "v1.JSONSchemaPropsOrStringArray",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSONSchemaPropsOrStringArray",
    ),
];

/// The bodies of discovery: component, then fields as `name type`, `!` for required ones, which stand in the order of
/// their declarations.
const BODIES: &[(&str, &[&str])] = &[
    (
        API_GROUP,
        &[
            "apiVersion string",
            "kind string",
            "name! string",
            "preferredVersion GroupVersionForDiscovery",
            "serverAddressByClientCIDRs []ServerAddressByClientCIDR",
            "versions! []GroupVersionForDiscovery",
        ],
    ),
    (
        API_GROUP_LIST,
        &["apiVersion string", "groups! []APIGroup", "kind string"],
    ),
    (
        "io.k8s.apimachinery.pkg.apis.meta.v1.APIResource",
        &[
            "categories []string",
            "group string",
            "name! string",
            "singularName! string",
            "namespaced! boolean",
            "shortNames []string",
            "kind! string",
            "storageVersionHash string",
            "verbs! []string",
            "version string",
        ],
    ),
    (
        API_RESOURCE_LIST,
        &[
            "apiVersion string",
            "groupVersion! string",
            "kind string",
            "resources! []APIResource",
        ],
    ),
    (
        API_VERSIONS,
        &[
            "apiVersion string",
            "kind string",
            "versions! []string",
            "serverAddressByClientCIDRs! []ServerAddressByClientCIDR",
        ],
    ),
    (
        "io.k8s.apimachinery.pkg.apis.meta.v1.GroupVersionForDiscovery",
        &["groupVersion! string", "version! string"],
    ),
    (
        "io.k8s.apimachinery.pkg.apis.meta.v1.ServerAddressByClientCIDR",
        &["clientCIDR! string", "serverAddress! string"],
    ),
    (WATCH_EVENT, &["type! string", "object! RawExtension"]),
    (
        VERSION_INFO,
        &[
            "major! string",
            "minor! string",
            "emulationMajor string",
            "emulationMinor string",
            "gitVersion! string",
            "gitCommit! string",
            "gitTreeState! string",
            "buildDate! string",
            "goVersion! string",
            "minCompatibilityMajor string",
            "minCompatibilityMinor string",
            "compiler! string",
            "platform! string",
        ],
    ),
];

/// The component that a named scalar is referred to by; `None` for what is written in place.
pub(super) fn scalar_name(ty: &Type, go_type: &str) -> Option<&'static str> {
    match ty {
        Type::Quantity => Some(QUANTITY),
        Type::IntOrString => Some(INT_OR_STRING),
        Type::Time => Some(TIME),
        Type::MicroTime => Some(MICRO_TIME),
        Type::Any => {
            let found = ANY.iter().find(|(go, _)| *go == go_type);
            found.map(|(_, name)| *name)
        }
        _ => None,
    }
}

/// A component of the machinery, without its description.
pub(super) fn component(name: &str, flavor: Flavor) -> Option<Value> {
    let one_of =
        |types: [&str; 2]| -> Value { types.iter().map(|name| json!({ "type": name })).collect() };
    Some(match name {
        QUANTITY if flavor == Flavor::V3 => json!({"oneOf": one_of(["string", "number"])}),
        QUANTITY => json!({"type": "string"}),
        INT_OR_STRING if flavor == Flavor::V3 => {
            json!({"format": "int-or-string", "oneOf": one_of(["integer", "string"])})
        }
        INT_OR_STRING => json!({"type": "string", "format": "int-or-string"}),
        TIME | MICRO_TIME => json!({"type": "string", "format": "date-time"}),
        RAW_EXTENSION | FIELDS_V1 | PATCH => json!({"type": "object"}),
        name if ANY.iter().any(|(_, any)| *any == name) => json!({}),
        name => {
            let (_, fields) = BODIES.iter().find(|(body, _)| *body == name)?;
            body(name, fields, flavor)
        }
    })
}

fn body(name: &str, fields: &[&str], flavor: Flavor) -> Value {
    let mut properties = Map::new();
    let mut required: Vec<Value> = Vec::new();
    for (field, ty) in fields.iter().filter_map(|field| field.split_once(' ')) {
        let (field, is_required) = match field.strip_suffix('!') {
            Some(field) => (field, true),
            None => (field, false),
        };
        if is_required {
            required.push(field.into());
        }
        let mut property = match ty.strip_prefix("[]") {
            Some(item) => {
                let items = of_notation(item, flavor);
                json!({"type": "array", "items": items, "x-kubernetes-list-type": "atomic"})
            }
            None => of_notation(ty, flavor),
        };
        if let Some(property) = property.as_object_mut() {
            let description = super::descriptions::of_field(name, field);
            let default = zero_of(ty, is_required).filter(|_| flavor == Flavor::V3);
            let target = property.get("$ref").cloned();
            if let (Some(target), Flavor::V3, true) = (target, flavor, description.is_some()) {
                property.remove("$ref");
                property.insert("allOf".into(), json!([{ "$ref": target }]));
            }
            property.extend(description.map(|text| ("description".into(), text.into())));
            property.extend(default.map(|zero| ("default".into(), zero)));
        }
        properties.insert(field.to_owned(), property);
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// The default that version 3 names: the zero value of required scalars and of structs.
fn zero_of(ty: &str, is_required: bool) -> Option<Value> {
    match ty {
        "string" if is_required => Some(json!("")),
        "boolean" if is_required => Some(json!(false)),
        "GroupVersionForDiscovery" => Some(json!({})),
        _ => None,
    }
}

fn of_notation(ty: &str, flavor: Flavor) -> Value {
    match ty {
        "string" | "boolean" => json!({ "type": ty }),
        "RawExtension" => json!({ "$ref": flavor.reference(RAW_EXTENSION) }),
        name => json!({ "$ref": flavor.reference(&format!("{META}{name}")) }),
    }
}
