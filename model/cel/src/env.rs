//! What an expression may name: variables, functions, types and their fields.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::library::{BASE, Library, Overload, PATCHES};
use crate::parse::Syntax;
use crate::types::Type;
use crate::well_known;

/// The fields of types, by the names of the types.
type Fields = BTreeMap<String, BTreeMap<String, Type>>;

/// What an expression may name.
#[derive(Clone, Debug)]
pub struct Env {
    variables: BTreeMap<String, Type>,
    fields: Fields,
    has_patches: bool,
    pub(crate) syntax: Syntax,
}

/// What is known of a field.
pub(crate) enum Known {
    /// Its type.
    Field(Type),
    /// That it has no type, which nothing fits.
    Untyped,
    /// That the type has no such field.
    NoField,
    /// That nothing is known of the type's fields.
    NoType,
}

impl Default for Env {
    fn default() -> Self {
        Self::new()
    }
}

impl Env {
    /// The language with the libraries of Kubernetes, and no variables.
    pub fn new() -> Self {
        Self {
            variables: BTreeMap::new(),
            fields: Fields::new(),
            has_patches: false,
            syntax: Syntax::default(),
        }
    }
    /// Declares a variable; names may have dots in them.
    #[must_use]
    pub fn variable(mut self, name: &str, of: Type) -> Self {
        self.variables.insert(name.to_owned(), of);
        self
    }
    /// Declares a type with fields.
    #[must_use]
    pub fn message(mut self, name: &str, fields: &[(&str, Type)]) -> Self {
        let fields = fields
            .iter()
            .map(|(name, of)| ((*name).to_owned(), of.clone()));
        self.fields.insert(name.to_owned(), fields.collect());
        self
    }
    /// Gives a declared type one more field.
    pub fn add_field(&mut self, message: &str, field: &str, of: Type) {
        let fields = self.fields.entry(message.to_owned()).or_default();
        fields.insert(field.to_owned(), of);
    }
    /// Lets expressions give names to values with `cel.bind`.
    #[must_use]
    pub fn binding(mut self) -> Self {
        self.syntax.binds = true;
        self
    }
    /// Declares the types that patches are written with: `Object` and what is in it, and `JSONPatch`.
    ///
    /// Source: k8s.io/apiserver/pkg/cel/mutation.
    #[must_use]
    pub fn patches(mut self) -> Self {
        self.has_patches = true;
        self
    }

    /// The type of a name that stands for itself: a variable, or a type.
    pub(crate) fn ident(&self, name: &str) -> Option<Type> {
        if let Some(found) = self.variables.get(name) {
            return Some(found.clone());
        }
        let named = self.type_named(name).map(Type::of);
        named.or_else(|| well_known::constant(name))
    }

    fn type_named(&self, name: &str) -> Option<Type> {
        Some(match name {
            "bool" => Type::Bool,
            "bytes" => Type::Bytes,
            "double" => Type::Double,
            "duration" => Type::Duration,
            "int" => Type::Int,
            "list" => Type::list(Type::Param("A".into())),
            "map" => Type::map(Type::Param("A".into()), Type::Param("B".into())),
            "null_type" => Type::Null,
            "optional_type" => Type::Opaque(name.into(), Arc::new([])),
            "string" => Type::String,
            "timestamp" => Type::Timestamp,
            "type" => Type::Type(None),
            "uint" => Type::Uint,
            _ if self.is_patch_type(name) || self.fields.contains_key(name) => Type::named(name),
            // The only types of the libraries that are declared by name.
            "net.IP" | "net.CIDR" => Type::Opaque(name.into(), Arc::new([])),
            _ => return Some(well_known::message(name)?.of),
        })
    }

    fn is_patch_type(&self, name: &str) -> bool {
        self.has_patches && (name == "JSONPatch" || name == "Object" || name.starts_with("Object."))
    }

    /// The forms of a function.
    pub(crate) fn function(&self, name: &str) -> Option<&'static [Overload]> {
        let patches: Option<&'static Library> = self.has_patches.then(|| &*PATCHES);
        let found = BASE.get(name).or_else(|| patches?.get(name));
        found.map(Vec::as_slice)
    }

    /// The type of a field of a type.
    pub(crate) fn field(&self, message: &str, field: &str) -> Known {
        if self.is_patch_type(message) {
            return Known::Field(match (message, field) {
                ("JSONPatch", "op" | "path" | "from") => Type::String,
                ("JSONPatch", "value") => Type::Dyn,
                ("JSONPatch", _) => return Known::Untyped,
                _ => Type::Dyn,
            });
        }
        match self.fields.get(message) {
            None => match well_known::message(message) {
                None => Known::NoType,
                Some(known) => {
                    let mut fields = known.fields.into_iter();
                    let found = fields.find(|(name, _)| *name == field);
                    found.map_or(Known::NoField, |(_, of)| Known::Field(of))
                }
            },
            Some(fields) => fields
                .get(field)
                .cloned()
                .map_or(Known::NoField, Known::Field),
        }
    }
}
