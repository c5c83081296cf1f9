//! Project tasks: `cargo xtask TASK`. Each task is a file; this one only chooses.

mod bench;
mod fuzz;
mod images;
mod schema;
mod setup;
mod shell;
mod tidy;
mod up;
mod verify;

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "usage: cargo xtask TASK
  up [ARGS]   install what is missing, build, and run a single-node cluster in the foreground (ARGS go to `sampan up`)
  test        install what is missing and run every check and test; what CI runs
  check       format, lints, tidy and unit tests only
  bench       measure the released binary and print Markdown rows; with root, pods too
  tidy        the project's own rules: layers, sizes, docs, dead files
  fuzz [TARGET [SECONDS]]  run the fuzz targets, or one of them, each for 60 seconds
  setup       install what is missing and stop
  images DIR  build the images that a cluster without a registry needs, as archives
  schema DIR  make the type facts anew from a Kubernetes source tree";

fn main() -> ExitCode {
    match task() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn task() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (task, rest) = args
        .split_first()
        .map_or(("", [].as_slice()), |(task, rest)| (task.as_str(), rest));
    match task {
        "up" => up::run(rest),
        "test" => verify::everything(),
        "check" => verify::check(),
        "bench" => bench::run(),
        "fuzz" => fuzz::run(rest),
        "tidy" => tidy::run(),
        "setup" => setup::test(),
        "images" => images::build(
            &shell::root(),
            Path::new(rest.first().map_or("target/images", String::as_str)),
        ),
        "schema" => schema::generate(Path::new(rest.first().map_or("", String::as_str))),
        _ => bail!("{USAGE}"),
    }
}
