//! How a schema's types look to server-side apply: scalars, lists and maps, atomic or not.

use kinds::schema::{Field, ListSemantics, Presence, Schema, StructType, Type, TypeGraph};
use serde_json::Value;

use super::element::{Element, Scalar};
use crate::go::Go;

static ATOMIC: ListSemantics = ListSemantics::Atomic;

/// A type at a place in the schema.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    graph: &'a TypeGraph,
    shape: Shape<'a>,
}

#[derive(Clone, Copy)]
enum Shape<'a> {
    Typed(&'a Type),
    /// A struct whose fields are tracked one by one, whatever it says itself.
    Granular(&'a Type),
    /// No schema: maps are granular, lists atomic.
    Deduced,
    /// No schema, inside an atomic value.
    Untyped,
}

/// What a value is to be treated as.
pub(super) enum Atom<'a> {
    Scalar(ScalarKind),
    List(ListAtom<'a>),
    Map(MapAtom<'a>),
}

/// Which scalars a type takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum ScalarKind {
    Numeric,
    Text,
    Boolean,
    Any,
}

pub(super) struct ListAtom<'a> {
    pub(super) semantics: &'a ListSemantics,
    pub(super) item: Node<'a>,
}

pub(super) struct MapAtom<'a> {
    pub(super) atomic: bool,
    fields: Option<&'a StructType>,
    item: Option<Node<'a>>,
    graph: &'a TypeGraph,
}

impl<'a> Node<'a> {
    pub(super) fn root(schema: &'a Schema) -> Self {
        Self {
            graph: &schema.graph,
            shape: Shape::Typed(&schema.ty),
        }
    }

    /// A place that the schema does not know.
    pub(super) fn deduced(self) -> Self {
        Self {
            shape: Shape::Deduced,
            ..self
        }
    }

    /// Whether the schema says nothing here.
    pub(super) fn is_deduced(self) -> bool {
        !matches!(self.shape, Shape::Typed(ty) | Shape::Granular(ty) if *ty != Type::Any)
    }

    /// What to treat a value of this type as. The value matters only where the schema says nothing.
    pub(super) fn atom(self, value: Option<&Value>) -> Atom<'a> {
        let (graph, ty) = match self.shape {
            Shape::Typed(ty) | Shape::Granular(ty) => (self.graph, ty),
            Shape::Deduced => return self.deduce(value, false),
            Shape::Untyped => return self.deduce(value, true),
        };
        let typed = |ty| Self {
            graph,
            shape: Shape::Typed(ty),
        };
        match ty {
            Type::Any => self.deduce(value, true),
            Type::Struct(index) => match graph.types.get(*index) {
                Some(item) => Atom::Map(MapAtom {
                    atomic: item.atomic && !matches!(self.shape, Shape::Granular(_)),
                    fields: Some(item),
                    item: None,
                    graph,
                }),
                None => self.deduce(value, false),
            },
            Type::List(list) => Atom::List(ListAtom {
                semantics: &list.semantics,
                item: typed(&list.item),
            }),
            Type::Map { value, atomic } => Atom::Map(MapAtom {
                atomic: *atomic,
                fields: None,
                item: Some(typed(value)),
                graph,
            }),
            Type::String | Type::Bytes | Type::Duration => Atom::Scalar(ScalarKind::Text),
            Type::Bool => Atom::Scalar(ScalarKind::Boolean),
            Type::Int32 | Type::Int64 | Type::Float64 => Atom::Scalar(ScalarKind::Numeric),
            Type::Quantity | Type::Time | Type::MicroTime => Atom::Scalar(ScalarKind::Any),
            // Its schema names no type, but two to choose from.
            Type::IntOrString => self.deduce(value, false),
        }
    }

    fn deduce(self, value: Option<&Value>, atomic: bool) -> Atom<'a> {
        let shape = |shape| Self { shape, ..self };
        match value {
            Some(Value::Array(_)) => Atom::List(ListAtom {
                semantics: &ATOMIC,
                item: shape(Shape::Untyped),
            }),
            None | Some(Value::Object(_) | Value::Null) => Atom::Map(MapAtom {
                atomic,
                fields: None,
                item: Some(shape(if atomic {
                    Shape::Untyped
                } else {
                    Shape::Deduced
                })),
                graph: self.graph,
            }),
            Some(_) => Atom::Scalar(ScalarKind::Any),
        }
    }
}

impl Atom<'_> {
    /// Whether both would be walked the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        matches!(
            (self, other),
            (Self::Scalar(_), Self::Scalar(_))
                | (Self::List(_), Self::List(_))
                | (Self::Map(_), Self::Map(_))
        )
    }
    /// Whether the value is owned as a whole.
    pub(super) fn is_atomic(&self) -> bool {
        match self {
            Self::Scalar(_) => false,
            Self::List(list) => list.is_atomic(),
            Self::Map(map) => map.atomic,
        }
    }
}

impl<'a> MapAtom<'a> {
    /// Whether the schema names that field (map entries are not named).
    pub(super) fn declares(&self, name: &str) -> bool {
        self.fields.is_some_and(|item| item.field(name).is_some())
    }
    /// The type of a field or entry; `None` when the schema has no such field.
    pub(super) fn at(&self, name: &str) -> Option<Node<'a>> {
        let Some(item) = self.fields else {
            return self.item;
        };
        item.field(name).map(|field| Node {
            graph: self.graph,
            shape: if field.granular {
                Shape::Granular(&field.ty)
            } else {
                Shape::Typed(&field.ty)
            },
        })
    }
}

impl ListAtom<'_> {
    pub(super) fn is_atomic(&self) -> bool {
        *self.semantics == ListSemantics::Atomic
    }

    /// What tells an item apart in this list.
    ///
    /// # Errors
    /// The item cannot be told apart, in structured-merge-diff's words.
    pub(super) fn element(&self, item: &Value) -> Result<Element, String> {
        let why = match (self.semantics, item) {
            (ListSemantics::Atomic, _) => "invalid indexing of non-associative list",
            (ListSemantics::Map { keys }, Value::Object(_)) => return self.key(keys, item),
            (ListSemantics::Map { .. }, Value::Null) => {
                "associative list with keys may not have a null element"
            }
            (ListSemantics::Map { .. }, _) => {
                "associative list with keys may not have non-map elements"
            }
            (ListSemantics::Set, Value::Object(_)) => {
                "associative list without keys has an element that's a map type"
            }
            (ListSemantics::Set, Value::Array(_)) => {
                "not supported: associative list with lists as elements"
            }
            (ListSemantics::Set, Value::Null) => {
                "associative list without keys has an element that's an explicit null"
            }
            (ListSemantics::Set, scalar) => return Ok(Element::Value(Scalar(scalar.clone()))),
        };
        Err(why.to_owned())
    }

    fn key(&self, keys: &[String], item: &Value) -> Result<Element, String> {
        let default = |name: &str| match self.item.atom(None) {
            Atom::Map(map) => key_default(map.fields?.field(name)?),
            _ => None,
        };
        let mut fields: Vec<(String, Scalar)> = keys
            .iter()
            .filter_map(|name| {
                let value = item.get(name).cloned().or_else(|| default(name))?;
                Some((name.clone(), Scalar(value)))
            })
            .collect();
        if fields.is_empty() {
            let keys: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
            return Err(format!(
                "associative list with keys has an element that omits all key fields [{}] (and doesn't have default values for any key fields)",
                keys.join(" ")
            ));
        }
        fields.sort();
        Ok(Element::Key(fields))
    }
}

/// What a list key has that is not there: the declared default, or the zero value of what Go never leaves out.
///
/// Source: kube-openapi `generators.mustEnforceDefault`.
fn key_default(field: &Field) -> Option<Value> {
    let zero = || match field.ty {
        Type::String => Some(Value::from("")),
        Type::Int32 | Type::Int64 => Some(Value::from(0)),
        Type::Bool => Some(Value::from(false)),
        _ => None,
    };
    let declared = field.default.clone();
    declared.or_else(|| (field.presence == Presence::Always).then(zero).flatten())
}

/// Go's `%v` of a value inside structured-merge-diff.
pub(super) fn shown(value: &Value) -> String {
    format!("&{{{}}}", Go(value))
}

#[cfg(test)]
mod tests {
    use kinds::schema::builtin;
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_that_are_left_out_have_the_value_go_gives_them() {
        let container = builtin("io.k8s.api.core.v1.Container").unwrap();
        let Atom::Map(map) = Node::root(&container).atom(None) else {
            panic!("a container is a map");
        };
        let step = |list: &str, item: Value| match map.at(list).unwrap().atom(None) {
            Atom::List(list) => list.element(&item).map(|step| step.to_string()),
            _ => Err("no list".into()),
        };
        assert_eq!(step("env", json!({})).unwrap(), r#"[name=""]"#);
        assert_eq!(
            step("ports", json!({"containerPort": 80})).unwrap(),
            r#"[containerPort=80,protocol="TCP"]"#
        );
    }
}
