//! Gathers the descriptions of the API's types and fields from the `k8s-openapi` package that Cargo.lock names.
//!
//! The package carries them as literals in its `schemars` implementations. They are read from its sources rather than
//! by compiling it a second time with that feature, which costs more than all of this crate. What it does not carry, the
//! values of enumerations, a file of this crate has.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION_DIRECTORY: &str = "src/v1_36";
const ENUMS: &str = "src/openapi/components/enums.txt";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=build.rs");
    let package = package_directory()?;
    println!(
        "cargo:rerun-if-changed={}",
        package.join("Cargo.toml").display()
    );
    let mut table = BTreeMap::new();
    read_directory(&package.join(VERSION_DIRECTORY), &mut table)?;
    println!("cargo:rerun-if-changed={ENUMS}");
    read_enums(&fs::read_to_string(ENUMS)?, &mut table);
    let mut text = String::new();
    for (name, description) in &table {
        text.push_str(name);
        text.push('\u{1f}');
        text.push_str(description);
        text.push('\u{1e}');
    }
    let out = PathBuf::from(std::env::var("OUT_DIR")?).join("descriptions.z");
    let mut encoder =
        flate2::write::ZlibEncoder::new(fs::File::create(out)?, flate2::Compression::best());
    encoder.write_all(text.as_bytes())?;
    encoder.finish()?;
    Ok(())
}

/// Where the sources of `k8s-openapi` are, as `cargo metadata` says.
///
/// Metadata speaks of every package of the workspace, for every platform; a build has downloaded only what it compiles.
/// So cargo may go and get the rest: refusing (`--offline`) fails on every machine that builds for the first time.
fn package_directory() -> Result<PathBuf, Box<dyn Error>> {
    let cargo = std::env::var("CARGO")?;
    let output = Command::new(cargo)
        .args(["metadata", "--format-version", "1", "--locked"])
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!("cargo metadata failed: {said}").into());
    }
    let text = String::from_utf8(output.stdout)?;
    text.split("\"manifest_path\":\"")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .filter_map(|manifest| Path::new(manifest).parent())
        .find(|directory| {
            let name = directory.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("k8s-openapi-0."))
        })
        .map(Path::to_path_buf)
        .ok_or_else(|| "cargo metadata does not name k8s-openapi".into())
}

fn read_directory(
    directory: &Path,
    table: &mut BTreeMap<String, String>,
) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(directory)? {
        let path = entry?.path();
        if path.is_dir() {
            read_directory(&path, table)?;
        } else {
            read_file(&fs::read_to_string(&path)?, table);
        }
    }
    Ok(())
}

/// Reads one file: the type's name, its description, and those of its properties, told apart by indentation.
fn read_file(text: &str, table: &mut BTreeMap<String, String>) {
    let mut lines = text
        .lines()
        .skip_while(|line| !line.contains("fn schema_name()"));
    lines.next();
    let Some(name) = lines.next().and_then(|line| literal(line.trim())) else {
        return;
    };
    let mut property = None;
    for line in lines {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        if indent == 16 && trimmed.starts_with('"') {
            property = literal(trimmed);
        } else if let Some(rest) = trimmed.strip_prefix("\"description\": ") {
            let key = match (indent, &property) {
                (12, _) => name.clone(),
                (20, Some(property)) => format!("{name} {property}"),
                _ => continue,
            };
            table.extend(literal(rest).map(|description| (key, description)));
        } else if let Some((_, rest)) = trimmed.split_once("insert(\"description\".into(), ")
            && let Some(property) = &property
        {
            let key = format!("{name} {property}");
            table.extend(literal(rest).map(|description| (key, description)));
        }
    }
}

/// Reads the enumerations: a type's name, then its values, indented, which become one text.
fn read_enums(text: &str, table: &mut BTreeMap<String, String>) {
    let mut name = "";
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix(' ') {
            Some(value) => {
                let values = table.entry(name.to_owned()).or_default();
                values.push_str(value);
                values.push('\n');
            }
            None => name = line,
        }
    }
}

/// The string literal that the text starts with.
fn literal(text: &str) -> Option<String> {
    let mut characters = text.strip_prefix('"')?.chars();
    let mut out = String::new();
    loop {
        match characters.next()? {
            '"' => return Some(out),
            '\\' => match characters.next()? {
                'n' => out.push('\n'),
                't' => out.push('\t'),
                'r' => out.push('\r'),
                '0' => out.push('\0'),
                'u' => {
                    let code: String = characters
                        .by_ref()
                        .skip(1)
                        .take_while(|character| *character != '}')
                        .collect();
                    out.push(char::from_u32(u32::from_str_radix(&code, 16).ok()?)?);
                }
                other => out.push(other),
            },
            character => out.push(character),
        }
    }
}
