//! Makes the committed Rust code for the protocols we speak: `cargo codegen` (an alias).
//!
//! Protos are compiled in process, so nobody needs `protoc`; the result is committed, so a normal
//! build pays for neither the proto compiler nor the generator.

use std::{fs, path::Path, process::Command};

use anyhow::Context;

fn main() -> anyhow::Result<()> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    cri(&workspace)
}

/// Makes `run/cri/src/generated/` from `run/cri/proto/cri.proto`.
fn cri(workspace: &Path) -> anyhow::Result<()> {
    let proto_dir = workspace.join("run/cri/proto");
    let out_dir = workspace.join("run/cri/src/generated");
    let descriptors =
        protox::compile(["cri.proto"], [&proto_dir]).context("cannot compile cri.proto")?;
    let scratch = tempfile::tempdir().context("cannot make a scratch directory")?;
    tonic_prost_build::configure()
        // A runtime that lacks a call answers "Unimplemented", as runtimes of other versions do.
        .generate_default_stubs(true)
        .out_dir(scratch.path())
        .compile_fds(descriptors)
        .context("cannot generate code for cri.proto")?;
    let code = fs::read_to_string(scratch.path().join("runtime.v1.rs"))
        .context("the generator wrote no runtime.v1.rs")?;
    let header =
        "//! CRI v1 messages, clients and servers. Made from `proto/cri.proto`; do not edit.\n\n";
    fs::create_dir_all(&out_dir)?;
    write_formatted(
        &out_dir.join("runtime_v1.rs"),
        &format!("{header}{code}"),
        workspace,
    )
}

/// Writes a Rust file as `cargo fmt` would leave it, so that the format check passes.
fn write_formatted(file: &Path, code: &str, workspace: &Path) -> anyhow::Result<()> {
    fs::write(file, code).with_context(|| format!("cannot write {}", file.display()))?;
    let status = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(workspace)
        .arg(file)
        .status()
        .context("cannot run rustfmt")?;
    anyhow::ensure!(status.success(), "rustfmt failed on {}", file.display());
    Ok(())
}
