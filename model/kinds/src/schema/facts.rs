//! Reads `builtin.txt`, the generated facts of the built-in types.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use meta::Gvk;

use super::disabled::is_disabled;
use super::{
    DefaultRule, Field, ListSemantics, ListType, PatchStrategy, Presence, Schema, StructType, Type,
    TypeGraph,
};

/// The types, in the notation that `cargo xtask schema` writes.
const FACTS: &str = include_str!("builtin.txt");

static GRAPH: LazyLock<Arc<TypeGraph>> = LazyLock::new(|| Arc::new(parse(FACTS)));

/// All built-in struct types, sorted by OpenAPI name.
pub fn builtin_graph() -> &'static Arc<TypeGraph> {
    &GRAPH
}

/// The built-in struct of that OpenAPI name, such as `io.k8s.api.core.v1.Pod`; `None` when there is none.
pub fn builtin(name: &str) -> Option<Schema> {
    let graph = builtin_graph();
    let found = graph
        .types
        .binary_search_by(|item| item.name.as_str().cmp(name));
    found.ok().map(|index| Schema {
        graph: Arc::clone(graph),
        ty: Type::Struct(index),
    })
}

/// The built-in struct of a kind, options such as DeleteOptions included; `None` when there is none.
pub fn builtin_kind(gvk: &Gvk) -> Option<Schema> {
    let group = match gvk.group.as_str() {
        "" => "core",
        "apiextensions.k8s.io" => {
            return builtin(&format!(
                "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.{}.{}",
                gvk.version, gvk.kind
            ));
        }
        "apiregistration.k8s.io" => {
            return builtin(&format!(
                "io.k8s.kube-aggregator.pkg.apis.apiregistration.{}.{}",
                gvk.version, gvk.kind
            ));
        }
        group => group.split('.').next().unwrap_or_default(),
    };
    let own = format!("io.k8s.api.{group}.{}.{}", gvk.version, gvk.kind);
    builtin(&own).or_else(|| {
        builtin(&format!(
            "io.k8s.apimachinery.pkg.apis.meta.v1.{}",
            gvk.kind
        ))
    })
}

/// Malformed lines are left out; a test compares the outcome with upstream's OpenAPI document.
fn parse(text: &str) -> TypeGraph {
    let lines = || text.lines().filter(|line| !line.starts_with('#'));
    let heads = lines().filter(|line| !line.starts_with(' '));
    let index: BTreeMap<&str, usize> = heads
        .filter_map(|line| line.split(' ').next())
        .enumerate()
        .map(|(at, name)| (name, at))
        .collect();
    let mut types: Vec<StructType> = Vec::with_capacity(index.len());
    for line in lines() {
        if let Some(line) = line.strip_prefix(' ') {
            let owner = types.last_mut();
            if let (Some(owner), Some(mut field)) = (owner, field(line, &index)) {
                let type_name = owner.go_name.rsplit('.').next().unwrap_or_default();
                field.disabled = is_disabled(type_name, &field.name);
                owner.fields.push(field);
            }
            continue;
        }
        let (name, atomic) = line
            .strip_suffix(" atomic")
            .map_or((line, false), |name| (name, true));
        types.push(StructType {
            name: name.into(),
            go_name: short(name),
            fields: Vec::new(),
            atomic,
            default_rule: crate::defaults::rule(name).map(DefaultRule),
        });
    }
    TypeGraph { types }
}

/// `io.k8s.api.core.v1.Pod` -> `v1.Pod`.
fn short(name: &str) -> String {
    let mut dots = name.rmatch_indices('.').map(|(at, _)| at + 1);
    let start = dots.nth(1).unwrap_or_default();
    name.get(start..).unwrap_or(name).to_owned()
}

fn field(line: &str, index: &BTreeMap<&str, usize>) -> Option<Field> {
    let mut words = line.splitn(4, ' ');
    let name = words.next()?;
    let notation = words.next()?;
    let ty = notation_type(notation, index)?;
    let presence = match words.next()? {
        "p" => Presence::Pointer,
        "n" => Presence::Nullable,
        "e" => Presence::OmitEmpty,
        "s" => Presence::AlwaysStruct,
        "z" => Presence::OmitZero,
        _ => Presence::Always,
    };
    let mut field = Field {
        name: name.into(),
        go_name: capitalised(name),
        order: 0,
        embedded: Vec::new(),
        disabled: false,
        go_type: go_type(notation),
        ty,
        presence,
        required: false,
        granular: false,
        numbers: Vec::new(),
        patch: PatchStrategy::default(),
        default: None,
    };
    let mut rest = words.next().unwrap_or_default();
    if let Some((before, default)) = rest.split_once("default=") {
        field.default = serde_json::from_str(default).ok();
        rest = before;
    }
    for word in rest.split_whitespace() {
        match word.split_once('=') {
            Some(("patch", strategies)) => {
                let has = |wanted: &str| strategies.split(',').any(|strategy| strategy == wanted);
                field.patch.merge = has("merge");
                field.patch.replace = has("replace");
                field.patch.retain_keys = has("retainKeys");
            }
            Some(("key", key)) => field.patch.merge_key = Some(key.into()),
            Some(("pb", numbers)) => {
                field.numbers = numbers
                    .split('.')
                    .filter_map(|number| number.parse().ok())
                    .collect();
            }
            Some(("o", place)) => field.order = place.parse().unwrap_or_default(),
            Some(("f", name)) => field.go_name = name.into(),
            Some(("in", names)) => field.embedded = names.split('.').map(str::to_owned).collect(),
            Some(("go", name)) => field.go_type = name.into(),
            _ => {
                field.required |= word == "required";
                field.granular |= word == "granular";
            }
        }
    }
    Some(field)
}

/// The Go name of most fields.
fn capitalised(name: &str) -> String {
    let mut rest = name.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

fn notation_type(text: &str, index: &BTreeMap<&str, usize>) -> Option<Type> {
    if let Some(rest) = text.strip_prefix('[') {
        let (semantics, item) = rest.split_once(']')?;
        let semantics = match semantics.split_once(':') {
            Some((_, keys)) => ListSemantics::Map {
                keys: keys.split(',').map(str::to_owned).collect(),
            },
            None if semantics == "set" => ListSemantics::Set,
            None => ListSemantics::Atomic,
        };
        let item = notation_type(item, index)?;
        return Some(Type::List(Box::new(ListType { item, semantics })));
    }
    if let Some(rest) = text.strip_prefix('{') {
        let (semantics, value) = rest.split_once('}')?;
        return Some(Type::Map {
            value: Box::new(notation_type(value, index)?),
            atomic: semantics == "atomic",
        });
    }
    Some(match text {
        "string" => Type::String,
        "bytes" => Type::Bytes,
        "bool" => Type::Bool,
        "int32" => Type::Int32,
        "int64" => Type::Int64,
        "float64" => Type::Float64,
        "quantity" => Type::Quantity,
        "intorstring" => Type::IntOrString,
        "time" => Type::Time,
        "microtime" => Type::MicroTime,
        "duration" => Type::Duration,
        "any" => Type::Any,
        name => Type::Struct(*index.get(name)?),
    })
}

fn go_type(notation: &str) -> String {
    if let Some(rest) = notation.strip_prefix('[')
        && let Some((_, item)) = rest.split_once(']')
    {
        return format!("[]{}", go_type(item));
    }
    if let Some(rest) = notation.strip_prefix('{')
        && let Some((_, value)) = rest.split_once('}')
    {
        return format!("map[string]{}", go_type(value));
    }
    match notation {
        "bytes" => "[]uint8".into(),
        "quantity" => "resource.Quantity".into(),
        "intorstring" => "intstr.IntOrString".into(),
        "time" => "v1.Time".into(),
        "microtime" => "v1.MicroTime".into(),
        "duration" => "v1.Duration".into(),
        "any" => "runtime.RawExtension".into(),
        name => short(name),
    }
}

#[cfg(test)]
mod tests;
