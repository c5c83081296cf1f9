//! `cargo xtask fuzz`: builds the fuzz targets with the stable toolchain and runs them, each for a bounded time.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::shell;

/// The targets, one file each in `fuzz/targets`.
const TARGETS: &[&str] = &[
    "apply", "cel", "decode", "patch", "quantity", "raw", "selector", "status", "store",
];
/// Seconds for each target when none are given.
const SECONDS: &str = "60";
/// What tells the fuzzer which code an input reached. Source: cargo-fuzz, with no sanitizer: those need a nightly compiler.
const COVERAGE: &str = "-Cpasses=sancov-module \
    -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares \
    --cfg fuzzing";
/// Longest that one input may take, in seconds, before it counts as a failure.
const INPUT_SECONDS_MAX: &str = "10";

/// Runs one target, or all of them: `fuzz [TARGET [SECONDS]]`, TARGET may be `all`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let asked = args.first().map_or("all", String::as_str);
    let seconds = args.get(1).map_or(SECONDS, String::as_str);
    let targets: Vec<&str> = TARGETS
        .iter()
        .copied()
        .filter(|target| asked == "all" || asked == *target)
        .collect();
    ensure!(
        !targets.is_empty(),
        "no fuzz target {asked}: there are {}",
        TARGETS.join(", ")
    );
    let host = host()?;
    let build = [
        "build",
        "--release",
        "--manifest-path",
        "fuzz/Cargo.toml",
        "--target-dir",
        "target/fuzz",
        "--target",
        &host,
    ];
    shell::run_with("cargo", &build, &[("RUSTFLAGS", COVERAGE)])?;
    for target in targets {
        attack(target, &host, seconds)?;
    }
    Ok(())
}

/// Runs one target; what it found before is where it starts from.
fn attack(target: &str, host: &str, seconds: &str) -> Result<()> {
    let root = shell::root().join("target/fuzz");
    let binary = root.join(format!("{host}/release/{target}"));
    let corpus = root.join(format!("corpus/{target}"));
    let failures = root.join(format!("failures/{target}/"));
    for directory in [&corpus, &failures] {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    let said = Command::new(&binary)
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-timeout={INPUT_SECONDS_MAX}"))
        .arg(format!("-artifact_prefix={}", failures.display()))
        .args(["-print_final_stats=1", "-verbosity=0"])
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {}", binary.display()))?;
    let text = String::from_utf8_lossy(&said.stderr);
    if !said.status.success() {
        eprintln!("{text}");
        bail!(
            "fuzz target {target} failed; the input is kept in {}",
            failures.display()
        );
    }
    let tried = text
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    eprintln!("fuzz {target}: {} inputs", tried.unwrap_or("?").trim());
    Ok(())
}

/// This machine's target triple. Naming it keeps the coverage flags away from build scripts.
fn host() -> Result<String> {
    let said = shell::output("rustc", &["-vV"]).context("cannot run rustc")?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    host.map(str::to_owned)
        .context("rustc does not name its host")
}
