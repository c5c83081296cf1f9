//! Reads type declarations out of Go source: just as much of the language as the API packages use.

use std::collections::BTreeMap;

/// The type declarations of one Go package.
pub(crate) struct Package {
    /// Import path.
    pub(crate) import: String,
    /// OpenAPI name of the package.
    pub(crate) prefix: String,
    /// Structs by name.
    pub(crate) structs: BTreeMap<String, Struct>,
    /// Other named types: the text of what they are.
    pub(crate) named: BTreeMap<String, String>,
    /// Text constants, for defaults that refer to them.
    pub(crate) constants: BTreeMap<String, String>,
    /// Import alias to import path.
    pub(crate) imports: BTreeMap<String, String>,
}

/// A struct declaration.
#[derive(Default)]
pub(crate) struct Struct {
    /// `+key=value` markers above it.
    pub(crate) markers: Vec<(String, String)>,
    /// Fields in order.
    pub(crate) fields: Vec<Field>,
}

/// A field declaration.
pub(crate) struct Field {
    /// Go's name; empty when the type is embedded.
    pub(crate) name: String,
    /// Go's type, as written.
    pub(crate) go_type: String,
    /// JSON name; empty when inlined.
    pub(crate) json: String,
    /// Options of the `json` tag.
    pub(crate) options: Vec<String>,
    /// `patchStrategy` tag.
    pub(crate) patch_strategy: String,
    /// `patchMergeKey` tag.
    pub(crate) patch_merge_key: String,
    /// Field number of the `protobuf` tag; empty when there is none.
    pub(crate) number: String,
    /// `+key=value` markers above it.
    pub(crate) markers: Vec<(String, String)>,
}

impl Package {
    pub(crate) fn new(import: &str, prefix: &str) -> Self {
        Self {
            import: import.into(),
            prefix: prefix.into(),
            structs: BTreeMap::new(),
            named: BTreeMap::new(),
            constants: BTreeMap::new(),
            imports: BTreeMap::new(),
        }
    }

    /// Adds the declarations of one file.
    pub(crate) fn read(&mut self, text: &str) {
        let mut markers = Vec::new();
        let mut current: Option<(String, Struct)> = None;
        for line in text.lines().map(str::trim) {
            if let Some(comment) = line.strip_prefix("//") {
                markers.extend(marker(comment.trim()));
                continue;
            }
            if let Some((name, mut item)) = current.take() {
                if line == "}" {
                    self.structs.insert(name, item);
                    markers.clear();
                    continue;
                }
                if let Some(field) = field(line, &mut markers) {
                    item.fields.push(field);
                }
                current = Some((name, item));
                continue;
            }
            if let Some((name, value)) = constant(line) {
                self.constants.insert(name, value);
            }
            if let Some((alias, path)) = import(line) {
                self.imports.insert(alias, path);
            }
            if let Some(rest) = line.strip_prefix("type ")
                && let Some((name, what)) = rest.split_once(' ')
            {
                let what = what.trim();
                let markers = std::mem::take(&mut markers);
                match what {
                    "struct {" => {
                        current = Some((
                            name.into(),
                            Struct {
                                markers,
                                fields: Vec::new(),
                            },
                        ));
                    }
                    "struct{}" | "struct {}" => {
                        self.structs.insert(name.into(), Struct::default());
                    }
                    _ => {
                        self.named
                            .insert(name.into(), what.trim_start_matches("= ").into());
                    }
                }
            } else if !line.is_empty() {
                markers.clear();
            }
        }
    }
}

fn marker(comment: &str) -> Option<(String, String)> {
    let text = comment.strip_prefix('+')?;
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Some((key.trim().to_owned(), value.trim().to_owned()))
}

/// `Name Type = "value"`.
fn constant(line: &str) -> Option<(String, String)> {
    let (left, value) = line.split_once(" = ")?;
    let name = left
        .trim_start_matches("const ")
        .split_whitespace()
        .next()?;
    value
        .starts_with('"')
        .then(|| (name.to_owned(), value.to_owned()))
}

fn import(line: &str) -> Option<(String, String)> {
    let start = line.find('"')?;
    let path = line.get(start + 1..)?.strip_suffix('"')?;
    if !path.starts_with("k8s.io/") {
        return None;
    }
    let before = line
        .get(..start)?
        .trim()
        .trim_start_matches("import")
        .trim();
    let alias = if before.is_empty() {
        path.rsplit('/').next()?
    } else {
        before
    };
    Some((alias.to_owned(), path.to_owned()))
}

fn field(line: &str, markers: &mut Vec<(String, String)>) -> Option<Field> {
    let start = line.find('`')?;
    let tags = line.get(start + 1..)?;
    let tags = tags.get(..tags.find('`')?)?;
    let markers = std::mem::take(markers);
    let json = tag(tags, "json")?;
    let mut options = json.split(',').map(str::to_owned);
    let name = options.next()?;
    if name == "-" {
        return None;
    }
    let declared = line.get(..start)?.trim();
    let (go_name, go_type) = declared
        .split_once(char::is_whitespace)
        .map_or(("", declared), |(name, rest)| (name, rest.trim()));
    Some(Field {
        name: go_name.to_owned(),
        go_type: go_type.to_owned(),
        json: name,
        options: options.collect(),
        patch_strategy: tag(tags, "patchStrategy").unwrap_or_default().to_owned(),
        patch_merge_key: tag(tags, "patchMergeKey").unwrap_or_default().to_owned(),
        number: tag(tags, "protobuf")
            .and_then(|tag| tag.split(',').nth(1))
            .unwrap_or_default()
            .to_owned(),
        markers,
    })
}

fn tag<'a>(tags: &'a str, name: &str) -> Option<&'a str> {
    let start = tags.find(&format!("{name}:\""))? + name.len() + 2;
    let rest = tags.get(start..)?;
    rest.get(..rest.find('"')?)
}
