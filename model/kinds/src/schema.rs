//! The types of objects: fields, list and map semantics, and which zero values Go's encoding keeps.
//!
//! One structure serves built-in kinds (parsed once from `schema/builtin.txt`, generated facts) and custom resources
//! (made from a structural schema). Decoding, strategic merge, server-side apply and OpenAPI walk it.

use std::sync::Arc;

use serde_json::Value;

mod decode;
mod disabled;
mod emptied;
mod facts;
pub(crate) mod internal;
pub mod restore;
mod scalar;
mod zero;

pub use decode::{DecodeError, Decoded, decode, decode_converted, decode_enabled};
pub use emptied::Emptied;
pub use facts::{builtin, builtin_graph, builtin_kind};
pub use zero::zero;

/// Whether a text is a time as objects may have it: RFC 3339, as strictly as Go's `time.Parse` takes it.
pub fn is_time(text: &str) -> bool {
    scalar::time(text, false).is_ok()
}

/// A set of struct types that refer to each other by index.
#[derive(Debug, Default)]
pub struct TypeGraph {
    /// All struct types; built-in ones are sorted by name.
    pub types: Vec<StructType>,
}

/// The type of one value, together with the graph its structs live in. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Where struct indices point.
    pub graph: Arc<TypeGraph>,
    /// The type itself.
    pub ty: Type,
}

/// A type.
#[derive(Clone, Debug, PartialEq)]
pub enum Type {
    /// Text.
    String,
    /// Text holding base64 (`[]byte`).
    Bytes,
    /// `true` or `false`.
    Bool,
    /// A 32-bit integer.
    Int32,
    /// A 64-bit integer.
    Int64,
    /// A float.
    Float64,
    /// `resource.Quantity`; canonicalised on decoding.
    Quantity,
    /// `intstr.IntOrString`.
    IntOrString,
    /// `metav1.Time`.
    Time,
    /// `metav1.MicroTime`.
    MicroTime,
    /// `metav1.Duration`, text such as `1m0s`.
    Duration,
    /// Any JSON, kept as it is (`RawExtension`, `FieldsV1`, `x-kubernetes-preserve-unknown-fields`).
    Any,
    /// A struct by its index in the graph.
    Struct(usize),
    /// A list.
    List(Box<ListType>),
    /// A map from text to one type; `atomic` maps are owned as a whole.
    Map {
        /// Type of the values.
        value: Box<Type>,
        /// Whether server-side apply treats it as one value.
        atomic: bool,
    },
}

/// A list and how its items are told apart.
#[derive(Clone, Debug, PartialEq)]
pub struct ListType {
    /// Type of the items.
    pub item: Type,
    /// Semantics for server-side apply.
    pub semantics: ListSemantics,
}

/// `x-kubernetes-list-type`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListSemantics {
    /// Replaced as a whole.
    Atomic,
    /// Items are scalars that stand once.
    Set,
    /// Items are structs identified by these fields, in order.
    Map {
        /// Key field names, in upstream's order.
        keys: Vec<String>,
    },
}

/// A struct type.
#[derive(Clone, Debug, PartialEq)]
pub struct StructType {
    /// OpenAPI name, such as `io.k8s.api.core.v1.Container`.
    pub name: String,
    /// Go's short name, such as `v1.Container`, as decoding errors print it.
    pub go_name: String,
    /// Fields sorted by JSON name.
    pub fields: Vec<Field>,
    /// Whether server-side apply treats it as one value (`x-kubernetes-map-type: atomic`).
    pub atomic: bool,
    /// Fills in what an object of this type gets by default, beyond what its fields declare.
    pub default_rule: Option<DefaultRule>,
}

/// A rule that fills in one struct.
#[derive(Clone, Copy)]
pub struct DefaultRule(pub(crate) crate::defaults::Rule);

impl std::fmt::Debug for DefaultRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DefaultRule")
    }
}

impl PartialEq for DefaultRule {
    /// Rules belong to types by name; comparing the types' names is enough.
    fn eq(&self, _other: &Self) -> bool {
        true
    }
}

/// A field of a struct.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// JSON name.
    pub name: String,
    /// Its type.
    pub ty: Type,
    /// Go's name of the type, such as `[]v1.Container` or `v1.Protocol`, as decoding errors print it.
    pub go_type: String,
    /// Go's name of the field.
    pub go_name: String,
    /// Place among the declared fields of the struct, embedded ones included.
    pub order: usize,
    /// Go's names of the embedded structs that declare it, outermost first.
    pub embedded: Vec<String>,
    /// Whether it belongs to a feature that is off by default, so that it is dropped before storing.
    pub disabled: bool,
    /// What becomes of a zero value.
    pub presence: Presence,
    /// Whether OpenAPI lists it as required.
    pub required: bool,
    /// Whether server-side apply tracks its fields one by one although the struct is atomic elsewhere.
    pub granular: bool,
    /// Strategic merge: `patchStrategy` and `patchMergeKey`.
    pub patch: PatchStrategy,
    /// The way of protobuf field numbers to it: one number, or several where JSON inlines what protobuf nests. Empty
    /// when protobuf does not know the field (`kind`, `apiVersion`).
    pub numbers: Vec<u32>,
    /// The declared default (`+default=`), which server-side apply uses for absent list keys.
    pub default: Option<Value>,
}

/// What Go's JSON encoding does with an unset or zero field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// A pointer with `omitempty`: left out when unset; a pointer to zero is kept.
    Pointer,
    /// A pointer without `omitempty`: written always, `null` when unset.
    Nullable,
    /// A value with `omitempty`: left out when zero (`0`, `false`, `""`, empty list or map).
    OmitEmpty,
    /// Without `omitempty`: written always (`null` for a nil list or map, `{}` for a struct).
    Always,
    /// A struct held by value: written as `{}` even though `omitempty` is said (Go never omits structs).
    AlwaysStruct,
    /// `omitzero`: a struct left out when it is all zero.
    OmitZero,
}

/// Strategic merge patch directives of a field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PatchStrategy {
    /// `merge` is among the strategies.
    pub merge: bool,
    /// `replace` is among the strategies.
    pub replace: bool,
    /// `retainKeys` is among the strategies.
    pub retain_keys: bool,
    /// The field that identifies list items; `None` for scalars.
    pub merge_key: Option<String>,
}

impl Schema {
    /// The struct this is; `None` for other types.
    pub fn as_struct(&self) -> Option<&StructType> {
        match self.ty {
            Type::Struct(index) => self.graph.types.get(index),
            _ => None,
        }
    }
    /// The same graph at another type.
    #[must_use]
    pub fn at(&self, ty: &Type) -> Self {
        Self {
            graph: Arc::clone(&self.graph),
            ty: ty.clone(),
        }
    }
    /// The schema of a field; `None` when this is no struct or has no such field. Maps answer with their value type.
    pub fn field(&self, name: &str) -> Option<Self> {
        match &self.ty {
            Type::Map { value, .. } => Some(self.at(value)),
            _ => self
                .as_struct()?
                .field(name)
                .map(|field| self.at(&field.ty)),
        }
    }
    /// The schema of a list's items; `None` when this is no list.
    pub fn item(&self) -> Option<Self> {
        match &self.ty {
            Type::List(list) => Some(self.at(&list.item)),
            _ => None,
        }
    }
}

impl StructType {
    /// The field of that JSON name.
    pub fn field(&self, name: &str) -> Option<&Field> {
        let at = self
            .fields
            .binary_search_by(|field| field.name.as_str().cmp(name))
            .ok()?;
        self.fields.get(at)
    }
}
