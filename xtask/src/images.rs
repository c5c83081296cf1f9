//! Builds the images that a cluster without a registry needs, each as an OCI archive.
//!
//! What is in them comes from this repository and from Debian's `busybox-static`. Equal input gives
//! equal archives.

mod archive;
mod tar;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::Context as _;

use archive::Image;
use tar::Tar;

/// The statically linked busybox of Debian's package.
const BUSYBOX: &str = "/bin/busybox";

/// The user that upstream's pause image runs as.
///
/// Source: Kubernetes, `build/pause/Dockerfile`.
const PAUSE_USER: &str = "65535:65535";

/// Builds all images into a directory: `pause.tar`, `busybox.tar`, `hello-v1.tar`, `hello-v2.tar`.
///
/// # Errors
/// When a program does not build or `busybox-static` is not installed.
pub(crate) fn build(workspace: &Path, out_dir: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(out_dir).with_context(|| format!("cannot make {}", out_dir.display()))?;
    let busybox = Busybox::of_this_machine()?;
    let pause = static_program(workspace, "sampan-pause", "pause")?;
    let hello = static_program(workspace, "sampan-hello", "hello")?;

    let mut layer = Tar::default();
    layer.program("pause", &pause)?;
    Image::new("registry.k8s.io/pause:3.10.1", layer)
        .entrypoint(&["/pause"])
        .user(PAUSE_USER)
        .write(&out_dir.join("pause.tar"))?;

    let mut layer = base()?;
    busybox.add_to(&mut layer)?;
    Image::new("docker.io/library/busybox:1.36", layer)
        .command(&["sh"])
        .write(&out_dir.join("busybox.tar"))?;

    for version in ["v1", "v2"] {
        let mut layer = base()?;
        busybox.add_to(&mut layer)?;
        layer.program("hello", &hello)?;
        Image::new(&format!("sampan.local/hello:{version}"), layer)
            .entrypoint(&["/hello"])
            .environment("HELLO_VERSION", version)
            .port(8080)
            .write(&out_dir.join(format!("hello-{version}.tar")))?;
    }
    Ok(())
}

/// The directories and accounts that programs expect to find.
fn base() -> anyhow::Result<Tar> {
    let mut layer = Tar::default();
    for directory in ["bin", "etc", "home", "root", "usr", "var"] {
        layer.directory(directory, 0o755)?;
    }
    layer.directory("tmp", 0o1777)?;
    layer.file(
        "etc/passwd",
        0o644,
        b"root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
    )?;
    layer.file("etc/group", 0o644, b"root:x:0:\nnobody:x:65534:\n")?;
    Ok(layer)
}

struct Busybox {
    program: Vec<u8>,
    applets: Vec<String>,
}

impl Busybox {
    fn of_this_machine() -> anyhow::Result<Self> {
        let install = "cannot use /bin/busybox: run `apt-get install busybox-static`";
        let program = fs::read(BUSYBOX).context(install)?;
        let output = Command::new(BUSYBOX)
            .arg("--list")
            .output()
            .context(install)?;
        let list = String::from_utf8(output.stdout).context("busybox --list is not text")?;
        let is_own = |name: &&str| *name != "busybox" && !name.is_empty();
        Ok(Self {
            program,
            applets: list.lines().filter(is_own).map(str::to_owned).collect(),
        })
    }

    fn add_to(&self, layer: &mut Tar) -> anyhow::Result<()> {
        layer.program("bin/busybox", &self.program)?;
        for applet in &self.applets {
            layer.symlink(&format!("bin/{applet}"), "/bin/busybox")?;
        }
        Ok(())
    }
}

/// Builds a program of the workspace without any need for shared libraries.
fn static_program(workspace: &Path, package: &str, program: &str) -> anyhow::Result<Vec<u8>> {
    // A target directory of its own: the flags differ from those of a normal build.
    let target_dir = workspace.join("target/images");
    let status = Command::new(env!("CARGO"))
        .current_dir(workspace)
        .args([
            "rustc",
            "--quiet",
            "--package",
            package,
            "--bin",
            program,
            "--target-dir",
        ])
        .arg(&target_dir)
        .args([
            "--profile",
            "image",
            "--",
            "-C",
            "target-feature=+crt-static",
        ])
        .status()
        .context("cannot run cargo")?;
    anyhow::ensure!(status.success(), "cannot build {package}");
    let path: PathBuf = target_dir.join("image").join(program);
    fs::read(&path).with_context(|| format!("cannot read {}", path.display()))
}
