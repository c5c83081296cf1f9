//! Project tasks: `cargo xtask TASK`.

mod images;
mod schema;

use std::{env, path::Path};

use anyhow::{Context as _, Result, bail};

/// What `cargo xtask` without a known task prints.
const USAGE: &str = "tasks:
  images OUT_DIR             build the images a cluster without a registry needs, as archives
  schema --kubernetes DIR    make the schema facts of the kind table from Kubernetes' source";

fn main() -> Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .context("xtask has a parent")?;
    match words.as_slice() {
        ["images", out_dir] => images::build(workspace, Path::new(out_dir)),
        ["schema", "--kubernetes", directory] => schema::generate(Path::new(directory)),
        _ => bail!("{USAGE}"),
    }
}
