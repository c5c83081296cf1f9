//! Project tasks: `cargo xtask TASK`.

mod schema;

use std::path::Path;

use anyhow::{Result, bail};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["schema", "--kubernetes", directory] => schema::generate(Path::new(directory)),
        _ => bail!("usage: cargo xtask schema --kubernetes DIR"),
    }
}
