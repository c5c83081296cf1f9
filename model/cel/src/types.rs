//! The types of CEL and how messages name them. Source: cel-go `common/types`, `checker/format.go`.

use std::fmt;
use std::sync::Arc;

/// A type of CEL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Type {
    /// Any value, wrapped.
    Any,
    /// `true` and `false`.
    Bool,
    /// Bytes.
    Bytes,
    /// A floating-point number.
    Double,
    /// A length of time.
    Duration,
    /// A value whose type is known when it is there.
    Dyn,
    /// The type of what is wrong; it fits everywhere, so that one mistake is told once.
    Error,
    /// A signed whole number.
    Int,
    /// A list of one type of elements.
    List(Arc<Type>),
    /// A map from one type to another.
    Map(Arc<(Type, Type)>),
    /// The type of `null`.
    Null,
    /// A type without fields, maybe with parameters.
    Opaque(Arc<str>, Arc<[Type]>),
    /// A type parameter of a declared function.
    Param(Arc<str>),
    /// A text.
    String,
    /// A type with fields.
    Struct(Arc<str>),
    /// A moment.
    Timestamp,
    /// The type of types, maybe of one type in particular.
    Type(Option<Arc<Type>>),
    /// An unsigned whole number.
    Uint,
    /// A type that is still to be found.
    Var(usize),
}

/// The name of what may be absent.
const OPTIONAL: &str = "optional_type";

impl Type {
    /// A list of this type.
    pub fn list(of: Self) -> Self {
        Self::List(Arc::new(of))
    }
    /// A map.
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }
    /// What may be absent.
    pub fn optional(of: Self) -> Self {
        Self::Opaque(OPTIONAL.into(), Arc::new([of]))
    }
    /// A type with fields.
    pub fn named(name: &str) -> Self {
        Self::Struct(name.into())
    }
    /// The type of one type.
    pub fn of(this: Self) -> Self {
        Self::Type(Some(Arc::new(this)))
    }

    /// The type inside an optional.
    pub fn inside_optional(&self) -> Option<&Self> {
        match self {
            Self::Opaque(name, params) if &**name == OPTIONAL => params.first(),
            _ => None,
        }
    }

    /// Whether the type is known only when the value is there.
    pub fn is_dyn(&self) -> bool {
        matches!(self, Self::Dyn | Self::Any)
    }

    /// The name without parameters.
    pub fn name(&self) -> String {
        match self {
            Self::Any => "google.protobuf.Any".into(),
            Self::Bool => "bool".into(),
            Self::Bytes => "bytes".into(),
            Self::Double => "double".into(),
            Self::Duration => "google.protobuf.Duration".into(),
            Self::Dyn => "dyn".into(),
            Self::Error => "error".into(),
            Self::Int => "int".into(),
            Self::List(_) => "list".into(),
            Self::Map(_) => "map".into(),
            Self::Null => "null_type".into(),
            Self::Opaque(name, _) | Self::Param(name) | Self::Struct(name) => name.to_string(),
            Self::String => "string".into(),
            Self::Timestamp => "google.protobuf.Timestamp".into(),
            Self::Type(_) => "type".into(),
            Self::Uint => "uint".into(),
            Self::Var(number) => format!("_var{number}"),
        }
    }

    /// The types this one is made of.
    pub fn params(&self) -> Vec<&Self> {
        match self {
            Self::Map(pair) => vec![&pair.0, &pair.1],
            Self::Opaque(_, params) => params.iter().collect(),
            Self::List(of) | Self::Type(Some(of)) => vec![of],
            _ => Vec::new(),
        }
    }

    /// Whether both are the same but for the names of parameters. Source: `IsEquivalentType`.
    pub fn is_equivalent(&self, other: &Self) -> bool {
        let is_open = |this: &Self| matches!(this, Self::Param(_) | Self::Var(_));
        if is_open(self) && is_open(other) {
            return true;
        }
        let (mine, theirs) = (self.params(), other.params());
        std::mem::discriminant(self) == std::mem::discriminant(other)
            && self.name() == other.name()
            && mine.len() == theirs.len()
            && mine.iter().zip(theirs).all(|(a, b)| a.is_equivalent(b))
    }

    /// The type as the checker's messages show it. Source: `FormatCELType`.
    pub fn shown(&self) -> String {
        let params = self.params();
        match self {
            Self::Any => "any".into(),
            Self::Duration => "duration".into(),
            Self::Error => "!error!".into(),
            Self::Null => "null".into(),
            Self::Timestamp => "timestamp".into(),
            _ if params.is_empty() => self.name(),
            _ => format!("{}({})", self.name(), join(&params, Self::shown)),
        }
    }
}

impl fmt::Display for Type {
    /// The type as messages about results show it. Source: `Type.String`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let params = self.params();
        match self {
            Self::Param(_) | Self::Var(_) => write!(f, "<{}>", self.name()),
            _ if params.is_empty() => f.write_str(&self.name()),
            _ => write!(f, "{}({})", self.name(), join(&params, Self::to_string)),
        }
    }
}

fn join(types: &[&Type], show: fn(&Type) -> String) -> String {
    let shown: Vec<String> = types.iter().map(|one| show(one)).collect();
    shown.join(", ")
}

/// The arguments of a call as messages show them. Source: `formatFunctionDeclType`.
pub(crate) fn signature(args: &[Type], is_member: bool) -> String {
    let shown: Vec<String> = args.iter().map(Type::shown).collect();
    match shown.split_first() {
        Some((target, rest)) if is_member => format!("{target}.({})", rest.join(", ")),
        _ => format!("({})", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_have_two_ways_of_being_shown() {
        let times = Type::map(Type::String, Type::list(Type::Timestamp));
        assert_eq!(times.shown(), "map(string, list(timestamp))");
        assert_eq!(
            times.to_string(),
            "map(string, list(google.protobuf.Timestamp))"
        );
        assert_eq!(
            Type::optional(Type::Null).to_string(),
            "optional_type(null_type)"
        );
        assert_eq!(signature(&[Type::Int, Type::String], true), "int.(string)");
        assert_eq!(signature(&[], false), "()");
    }
}
