//! Writes the facts file: one line per struct, one indented line per field.
//!
//! ```text
//! io.k8s.api.core.v1.Container [atomic]
//!  ports [map:containerPort,protocol]io.k8s.api.core.v1.ContainerPort e patch=merge key=containerPort o=6
//! ```

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};

use super::go::{Field, Package, Struct};

/// Types of other packages that the schema knows by itself.
const SPECIAL: &[(&str, &str, &str)] = &[
    (
        "k8s.io/apimachinery/pkg/api/resource",
        "Quantity",
        "quantity",
    ),
    (
        "k8s.io/apimachinery/pkg/util/intstr",
        "IntOrString",
        "intorstring",
    ),
    ("k8s.io/apimachinery/pkg/runtime", "RawExtension", "any"),
    ("k8s.io/apimachinery/pkg/types", "UID", "string"),
    ("k8s.io/apimachinery/pkg/types", "NodeName", "string"),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "Time", "time"),
    (
        "k8s.io/apimachinery/pkg/apis/meta/v1",
        "MicroTime",
        "microtime",
    ),
    (
        "k8s.io/apimachinery/pkg/apis/meta/v1",
        "Duration",
        "duration",
    ),
    ("k8s.io/apimachinery/pkg/apis/meta/v1", "FieldsV1", "any"),
    (
        "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
        "JSON",
        "any",
    ),
    (
        "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
        "JSONSchemaPropsOrArray",
        "any",
    ),
    (
        "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
        "JSONSchemaPropsOrBool",
        "any",
    ),
    (
        "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
        "JSONSchemaPropsOrStringArray",
        "any",
    ),
];
const META: &str = "k8s.io/apimachinery/pkg/apis/meta/v1";
/// Objects of `meta/v1` that requests carry.
const META_ROOTS: &[&str] = &["DeleteOptions", "Status", "LabelSelector"];

/// What a Go type text means.
#[derive(Clone, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts of one type"
)]
struct Meaning {
    /// In the notation of the facts file, lists without semantics.
    text: String,
    /// Go's own name of the type, as reflection prints it.
    go: String,
    is_pointer: bool,
    /// Go structs are never omitted.
    is_struct: bool,
    is_list: bool,
    is_map: bool,
}

struct Emitter<'a> {
    packages: BTreeMap<&'a str, &'a Package>,
    seen: BTreeSet<String>,
    pending: Vec<(&'a Package, &'a str)>,
    out: BTreeMap<String, String>,
}

/// The facts of every struct that a served object holds.
pub(super) fn emit(packages: &[Package]) -> Result<String> {
    let mut emitter = Emitter {
        packages: packages
            .iter()
            .map(|package| (package.import.as_str(), package))
            .collect(),
        seen: BTreeSet::new(),
        pending: Vec::new(),
        out: BTreeMap::new(),
    };
    for package in packages {
        for (name, item) in &package.structs {
            let is_object = item
                .fields
                .iter()
                .any(|field| field.go_type.ends_with("TypeMeta"));
            if (is_object && package.import != META)
                || (package.import == META && META_ROOTS.contains(&name.as_str()))
            {
                emitter.want(package, name);
            }
        }
    }
    while let Some((package, name)) = emitter.pending.pop() {
        emitter.write(package, name)?;
    }
    let mut text =
        String::from("# Facts of the built-in types. Made by `cargo xtask schema`; do not edit.\n");
    for part in emitter.out.values() {
        text.push_str(part);
    }
    Ok(text)
}

impl<'a> Emitter<'a> {
    fn want(&mut self, package: &'a Package, name: &'a str) {
        if self.seen.insert(full_name(package, name)) {
            self.pending.push((package, name));
        }
    }

    fn write(&mut self, package: &'a Package, name: &'a str) -> Result<()> {
        let item = package
            .structs
            .get(name)
            .with_context(|| format!("no struct {name}"))?;
        let mut lines = BTreeMap::new();
        self.fields(package, item, &mut lines, "", "")?;
        let mut text = full_name(package, name);
        if value_of(&item.markers, "structType") == Some("atomic") {
            text.push_str(" atomic");
        }
        text.push('\n');
        for line in lines.values() {
            text.push_str(line);
        }
        self.out.insert(full_name(package, name), text);
        Ok(())
    }

    fn fields(
        &mut self,
        package: &'a Package,
        item: &'a Struct,
        lines: &mut BTreeMap<String, String>,
        numbers: &str,
        embedded: &str,
    ) -> Result<()> {
        for field in &item.fields {
            if field.json.is_empty() {
                let (owner, name) = self.resolve(package, field.go_type.trim_start_matches('*'))?;
                let inlined = owner
                    .structs
                    .get(name)
                    .with_context(|| format!("no struct {name}"))?;
                let embedded = below(embedded, name);
                let numbers = below(numbers, &field.number);
                self.fields(owner, inlined, lines, &numbers, &embedded)?;
            } else {
                let mut line = self
                    .field(package, field, &below(numbers, &field.number))
                    .with_context(|| field.json.clone())?;
                line.push_str(" o=");
                line.push_str(&lines.len().to_string());
                if !embedded.is_empty() {
                    line.push_str(" in=");
                    line.push_str(embedded);
                }
                if field.name != capitalised(&field.json) {
                    line.push_str(" f=");
                    line.push_str(&field.name);
                }
                push_default(package, field, &mut line)?;
                line.push('\n');
                lines.insert(field.json.clone(), line);
            }
        }
        Ok(())
    }

    fn field(&mut self, package: &'a Package, field: &Field, numbers: &str) -> Result<String> {
        let meaning = self.meaning(package, &field.go_type)?;
        let text = match (
            value_of(&field.markers, "listType"),
            value_of(&field.markers, "mapType"),
        ) {
            (Some("map"), _) if meaning.is_list => {
                let keys: Vec<&str> = values_of(&field.markers, "listMapKey").collect();
                meaning
                    .text
                    .replacen("[]", &format!("[map:{}]", keys.join(",")), 1)
            }
            (Some("set"), _) if meaning.is_list => meaning.text.replacen("[]", "[set]", 1),
            (_, Some("atomic")) if meaning.is_map => meaning.text.replacen("{}", "{atomic}", 1),
            _ => meaning.text.clone(),
        };
        let omits = field.options.iter().any(|option| option == "omitempty");
        let presence = match meaning {
            _ if field.options.iter().any(|option| option == "omitzero") => 'z',
            Meaning {
                is_pointer: true, ..
            } if omits => 'p',
            Meaning {
                is_pointer: true, ..
            } => 'n',
            Meaning {
                is_struct: true, ..
            } => 's',
            _ if omits => 'e',
            _ => 'a',
        };
        let mut line = format!(" {} {text} {presence}", field.json);
        let is_optional = omits || value_of(&field.markers, "optional").is_some();
        if value_of(&field.markers, "required").is_some() || !is_optional {
            line.push_str(" required");
        }
        if value_of(&field.markers, "structType") == Some("granular") {
            line.push_str(" granular");
        }
        if !field.patch_strategy.is_empty() {
            line.push_str(" patch=");
            line.push_str(&field.patch_strategy);
        }
        if !field.patch_merge_key.is_empty() {
            line.push_str(" key=");
            line.push_str(&field.patch_merge_key);
        }
        if !numbers.is_empty() {
            line.push_str(" pb=");
            line.push_str(numbers);
        }
        if meaning.go != derived_go(&meaning.text) {
            line.push_str(" go=");
            line.push_str(&meaning.go);
        }
        Ok(line)
    }

    fn meaning(&mut self, package: &'a Package, go_type: &str) -> Result<Meaning> {
        let plain = |text: &str, go: &str| Meaning {
            text: text.into(),
            go: go.into(),
            ..Meaning::default()
        };
        if let Some(target) = go_type.strip_prefix('*') {
            return Ok(Meaning {
                is_pointer: true,
                ..self.meaning(package, target)?
            });
        }
        if go_type == "[]byte" {
            return Ok(Meaning {
                is_list: true,
                ..plain("bytes", "[]uint8")
            });
        }
        if let Some(item) = go_type.strip_prefix("[]") {
            let item = self.meaning(package, item)?;
            let star = if item.is_pointer { "*" } else { "" };
            return Ok(Meaning {
                is_list: true,
                ..plain(&format!("[]{}", item.text), &format!("[]{star}{}", item.go))
            });
        }
        if let Some(rest) = go_type.strip_prefix("map[") {
            let (key, value) = rest.split_once(']').context("map without a key")?;
            let (key, value) = (self.meaning(package, key)?, self.meaning(package, value)?);
            return Ok(Meaning {
                is_map: true,
                ..plain(
                    &format!("{{}}{}", value.text),
                    &format!("map[{}]{}", key.go, value.go),
                )
            });
        }
        match go_type {
            "string" | "bool" | "int32" | "int64" | "float64" => {
                return Ok(plain(go_type, go_type));
            }
            "int" => return Ok(plain("int64", "int")),
            "uint8" | "byte" => bail!("bytes stand in lists alone"),
            "interface{}" | "any" => return Ok(plain("any", "interface {}")),
            _ => {}
        }
        self.named(package, go_type)
    }

    fn named(&mut self, package: &'a Package, go_type: &str) -> Result<Meaning> {
        let (import, name) = match go_type.split_once('.') {
            Some((alias, name)) => {
                let import = package
                    .imports
                    .get(alias)
                    .with_context(|| format!("unknown import {alias}"))?;
                (import.as_str(), name)
            }
            None => (package.import.as_str(), go_type),
        };
        let last = import.rsplit('/').next().unwrap_or_default();
        let go = format!("{last}.{name}");
        if let Some((_, _, text)) = SPECIAL
            .iter()
            .find(|(at, special, _)| *at == import && *special == name)
        {
            let is_struct = *text != "string";
            return Ok(Meaning {
                text: (*text).into(),
                go,
                is_struct,
                ..Meaning::default()
            });
        }
        let (owner, name) = self.resolve(package, go_type)?;
        if owner.structs.contains_key(name) {
            self.want(owner, name);
            return Ok(Meaning {
                text: full_name(owner, name),
                go,
                is_struct: true,
                ..Meaning::default()
            });
        }
        let what = owner
            .named
            .get(name)
            .with_context(|| format!("unknown type {go_type}"))?
            .clone();
        let meaning = self.meaning(owner, &what)?;
        // An alias keeps the name of what it stands for; all aliases in the API packages name other named types.
        Ok(Meaning { go, ..meaning })
    }

    fn resolve(&self, package: &'a Package, go_type: &str) -> Result<(&'a Package, &'a str)> {
        let (owner, name) = match go_type.split_once('.') {
            Some((alias, name)) => {
                let import = package
                    .imports
                    .get(alias)
                    .with_context(|| format!("unknown import {alias}"))?;
                let owner = self.packages.get(import.as_str());
                (
                    *owner.with_context(|| format!("package {import} is not read"))?,
                    name,
                )
            }
            None => (package, go_type),
        };
        let known = owner.structs.get_key_value(name).map(|(name, _)| name);
        let known = known.or_else(|| owner.named.get_key_value(name).map(|(name, _)| name));
        Ok((
            owner,
            known.with_context(|| format!("unknown type {go_type}"))?,
        ))
    }
}

/// The declared default, which ends a line: it may hold blanks.
fn push_default(package: &Package, field: &Field, line: &mut String) -> Result<()> {
    if let Some(default) = value_of(&field.markers, "default") {
        let name = default
            .strip_prefix("ref(")
            .and_then(|rest| rest.strip_suffix(')'));
        let value = match name {
            Some(name) => package.constants.get(name).map(String::as_str),
            None => Some(default),
        };
        line.push_str(" default=");
        line.push_str(value.with_context(|| format!("unknown constant {default}"))?);
    }
    Ok(())
}

/// The Go name that the reader of the facts file works out by itself.
fn derived_go(text: &str) -> String {
    if let Some(item) = text.strip_prefix("[]") {
        return format!("[]{}", derived_go(item));
    }
    if let Some(value) = text.strip_prefix("{}") {
        return format!("map[string]{}", derived_go(value));
    }
    match text {
        "bytes" => "[]uint8".into(),
        "quantity" => "resource.Quantity".into(),
        "intorstring" => "intstr.IntOrString".into(),
        "time" => "v1.Time".into(),
        "microtime" => "v1.MicroTime".into(),
        "duration" => "v1.Duration".into(),
        "any" => "runtime.RawExtension".into(),
        _ => {
            let mut parts: Vec<&str> = text.rsplitn(3, '.').take(2).collect();
            parts.reverse();
            parts.join(".")
        }
    }
}

fn full_name(package: &Package, name: &str) -> String {
    format!("{}.{name}", package.prefix)
}

fn value_of<'m>(markers: &'m [(String, String)], key: &str) -> Option<&'m str> {
    markers
        .iter()
        .find(|(name, _)| name == key)
        .map(|(_, value)| value.as_str())
}

fn values_of<'m>(markers: &'m [(String, String)], key: &'m str) -> impl Iterator<Item = &'m str> {
    markers
        .iter()
        .filter(move |(name, _)| name == key)
        .map(|(_, value)| value.as_str())
}

/// The Go name that the reader of the facts file works out by itself.
fn capitalised(json: &str) -> String {
    let mut rest = json.chars();
    let first = rest.next().map(|c| c.to_ascii_uppercase());
    first.into_iter().chain(rest).collect()
}

/// The way of field numbers to a field, through the messages that JSON inlines: `2.1`.
fn below(numbers: &str, number: &str) -> String {
    match (numbers, number) {
        (_, "") => numbers.to_owned(),
        ("", number) => number.to_owned(),
        (numbers, number) => format!("{numbers}.{number}"),
    }
}
