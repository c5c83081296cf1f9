//! `sampan up` on machines that cannot run containers: one sentence, and nothing is left.
//!
//! The machines are made from this one in mount namespaces of their own. Needs root.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use sampan_e2e::cluster::{self, Printed};
use tempfile::TempDir;
use tokio::process::Command;

/// A data directory that was never used.
struct Machine {
    binary: PathBuf,
    data: TempDir,
}

impl Machine {
    async fn new() -> Result<Self> {
        Ok(Self {
            binary: cluster::binary().await?,
            data: tempfile::tempdir()?,
        })
    }

    /// Runs `sampan up` after changes to the mounts that only it sees; `$DATA` is its data directory.
    async fn up_after(&self, change: &str, flags: &[&str]) -> Result<Printed> {
        let mut command = Command::new("unshare");
        let script = format!("{change} && exec \"$0\" up --data-dir \"$DATA\" --port 0 \"$@\"");
        command
            .args(["--mount", "sh", "-c", &script])
            .arg(&self.binary)
            .args(flags)
            .env("DATA", self.data.path());
        cluster::printed(command, "").await
    }

    /// Checks that it was refused in one sentence with these words, and that the machine is as before.
    fn refused(&self, printed: &Printed, words: &[&str]) -> Result<()> {
        ensure!(printed.code == 1, "{printed:?}");
        ensure!(printed.stdout.is_empty(), "{printed:?}");
        ensure!(
            printed.stderr.trim_end().lines().count() == 1,
            "{printed:?}"
        );
        for word in words {
            ensure!(printed.stderr.contains(word), "no {word:?} in {printed:?}");
        }
        nothing_is_left(self.data.path())
    }

    /// The same, and nothing was written either.
    fn refused_at_once(&self, printed: &Printed, words: &[&str]) -> Result<()> {
        self.refused(printed, words)?;
        let files = std::fs::read_dir(self.data.path())?;
        let files: Vec<_> = files.collect::<Result<_, _>>()?;
        ensure!(files.is_empty(), "{files:?} stay");
        Ok(())
    }
}

/// No process, mount or bridge belongs to a data directory.
fn nothing_is_left(data: &Path) -> Result<()> {
    let instance = dataplane::Instance::of(data)?;
    let bridge = Path::new("/sys/class/net").join(instance.bridge());
    ensure!(!bridge.exists(), "{} stays", bridge.display());
    let data = data.to_str().context("a path in text")?;
    let run_dir = instance.run_dir();
    let run_dir = run_dir.to_str().context("a path in text")?;
    let mounts = std::fs::read_to_string("/proc/self/mountinfo")?;
    ensure!(
        !mounts.contains(data) && !mounts.contains(run_dir),
        "mounts stay"
    );
    for entry in std::fs::read_dir("/proc")? {
        let line = std::fs::read(entry?.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        ensure!(
            !line.contains(data) && !line.contains(run_dir),
            "a process stays: {line}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_machine_without_its_programs_is_told_what_to_install() -> Result<()> {
    let machine = Machine::new().await?;
    let hidden =
        "mount --bind /dev/null /usr/bin/containerd && mount --bind /dev/null /usr/sbin/runc";
    let printed = machine.up_after(hidden, &[]).await?;
    let words = [
        "containerd is not installed: run `apt-get install containerd`",
        "runc is not installed: run `apt-get install runc`",
    ];
    machine.refused_at_once(&printed, &words)
}

#[tokio::test]
async fn a_data_directory_on_an_overlay_is_refused() -> Result<()> {
    let machine = Machine::new().await?;
    let parts = tempfile::tempdir()?;
    let (lower, upper, work) = ("lower", "upper", "work");
    for part in [lower, upper, work] {
        std::fs::create_dir(parts.path().join(part))?;
    }
    let at = parts.path().display();
    let mount = format!(
        "mount -t overlay overlay -o lowerdir={at}/lower,upperdir={at}/upper,workdir={at}/work \"$DATA\""
    );
    let printed = machine.up_after(&mount, &[]).await?;
    machine.refused_at_once(
        &printed,
        &[
            "overlayfs does not work in",
            "put the data directory on a disk",
        ],
    )
}

#[tokio::test]
async fn a_machine_without_cgroup_controllers_is_told_which() -> Result<()> {
    let machine = Machine::new().await?;
    let hidden = "umount -R -l /sys/fs/cgroup";
    let printed = machine.up_after(hidden, &[]).await?;
    machine.refused_at_once(
        &printed,
        &[
            "the cgroup controller \"memory\" is not available",
            "boot the kernel with",
        ],
    )
}

#[tokio::test]
async fn images_that_are_none_are_refused_before_anything_starts() -> Result<()> {
    let machine = Machine::new().await?;
    let images = tempfile::tempdir()?;
    std::fs::write(images.path().join("web.tar"), "no archive")?;
    let directory = images.path().to_str().context("a path in text")?;
    let printed = machine.up_after("true", &["--images", directory]).await?;
    machine.refused_at_once(
        &printed,
        &[
            "web.tar is no image archive (it is no tar archive)",
            "docker save",
        ],
    )?;
    let nowhere = images.path().join("nowhere");
    let nowhere = nowhere.to_str().context("a path in text")?;
    let printed = machine.up_after("true", &["--images", nowhere]).await?;
    machine.refused_at_once(&printed, &["nowhere is no directory of image archives"])
}

#[tokio::test]
async fn a_start_that_fails_half_way_is_undone() -> Result<()> {
    let machine = Machine::new().await?;
    let images = tempfile::tempdir()?;
    // It looks like an image archive, and only containerd finds out that it is none.
    let make = "cd \"$IMAGES\" && echo '{}' > index.json && tar cf broken.tar index.json";
    let make = make.replace("$IMAGES", images.path().to_str().context("a path in text")?);
    let directory = images.path().to_str().context("a path in text")?;
    let printed = machine.up_after(&make, &["--images", directory]).await?;
    machine.refused(&printed, &["broken.tar cannot be imported"])
}

#[tokio::test]
async fn a_node_agent_that_ends_by_itself_ends_the_whole() -> Result<()> {
    let machine = Machine::new().await?;
    // Where its directory should be.
    std::fs::write(machine.data.path().join("kubelet"), "")?;
    let printed = machine.up_after("true", &[]).await?;
    ensure!(printed.code == 1, "{printed:?}");
    let told = [
        "cannot make the directory",
        "a part of sampan ended: see what is logged",
    ];
    for words in told {
        ensure!(
            [&printed.stdout, &printed.stderr]
                .iter()
                .any(|out| out.contains(words)),
            "no {words:?} in {printed:?}"
        );
    }
    // containerd runs on, as after every end; it goes when the user says so.
    let mut down = Command::new(&machine.binary);
    down.arg("down").arg("--data-dir").arg(machine.data.path());
    cluster::printed(down, "").await?.ok()?;
    nothing_is_left(machine.data.path())
}
