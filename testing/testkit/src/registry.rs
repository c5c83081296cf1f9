//! A real image registry on loopback: Debian's `docker-registry`, on a port of its own choice.
//!
//! It ends, and its images go, when it is dropped.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, channel},
    thread,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;

/// The user that a private registry knows.
pub const USER: &str = "alice";
/// The password of [`USER`].
pub const PASSWORD: &str = "secret";
/// [`PASSWORD`] as the registry's password file holds it: bcrypt, with the least cost there is.
const PASSWORD_HASH: &str = "$2b$05$sampansampansampansameazKYw6tXg7UTQYy6Z0j5vP2coeWl2ii";

/// How long the registry may take to start.
const START_MAX: Duration = Duration::from_secs(20);

/// Who may push and pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// [`USER`] with [`PASSWORD`].
    Private,
}

/// A running registry.
#[derive(Debug)]
pub struct Registry {
    process: Child,
    address: String,
    access: Access,
    _dir: TempDir,
}

impl Registry {
    /// Starts a registry without images.
    ///
    /// # Errors
    /// When `docker-registry` is not installed or does not start.
    pub fn start(access: Access) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir().context("cannot make a directory for the registry")?;
        let config = dir.path().join("config.yml");
        fs::write(&config, config_text(dir.path(), access))?;
        fs::write(
            dir.path().join("htpasswd"),
            format!("{USER}:{PASSWORD_HASH}\n"),
        )?;
        let mut process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot run docker-registry: run `cargo xtask setup`")?;
        let lines = lines_of(&mut process)?;
        match listening(&lines) {
            Ok(address) => Ok(Self {
                process,
                address,
                access,
                _dir: dir,
            }),
            Err(error) => {
                process.kill()?;
                process.wait()?;
                Err(error)
            }
        }
    }

    /// Host and port, as they stand before an image's name: `127.0.0.1:41234`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Pushes the image of an OCI archive under a name such as `library/web:v1`; gives its reference.
    ///
    /// # Errors
    /// When `skopeo` is not installed, or the archive is none.
    pub fn push(&self, archive: &Path, name: &str) -> anyhow::Result<String> {
        let reference = format!("{}/{name}", self.address);
        let mut skopeo = Command::new("skopeo");
        skopeo.args([
            "copy",
            "--quiet",
            "--insecure-policy",
            "--dest-tls-verify=false",
        ]);
        if self.access == Access::Private {
            skopeo.args(["--dest-creds", &format!("{USER}:{PASSWORD}")]);
        }
        let output = skopeo
            .arg(format!("oci-archive:{}", archive.display()))
            .arg(format!("docker://{reference}"))
            .output()
            .context("cannot run skopeo: run `cargo xtask setup`")?;
        let message = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "cannot push {}: {message}",
            archive.display()
        );
        Ok(reference)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is our child, so its number is its own until it is waited for.
        let ended = self.process.kill().and_then(|()| self.process.wait());
        if let Err(error) = ended {
            eprintln!("the registry at {} does not end: {error}", self.address);
        }
    }
}

fn config_text(dir: &Path, access: Access) -> String {
    let dir = dir.display();
    let auth = match access {
        Access::Open => String::new(),
        Access::Private => {
            format!("auth: {{htpasswd: {{realm: sampan, path: {dir}/htpasswd}}}}\n")
        }
    };
    format!(
        "version: 0.1\n\
         log: {{level: info}}\n\
         storage: {{filesystem: {{rootdirectory: {dir}/data}}, delete: {{enabled: true}}}}\n\
         http: {{addr: \"127.0.0.1:0\"}}\n\
         {auth}"
    )
}

/// The log of the registry; read to its end, since a full pipe would stop it.
fn lines_of(process: &mut Child) -> anyhow::Result<Receiver<String>> {
    let log = process.stderr.take().context("the registry has no log")?;
    let (sender, lines) = channel();
    thread::spawn(move || {
        let mut is_wanted = true;
        for line in BufReader::new(log).lines().map_while(Result::ok) {
            is_wanted = is_wanted && sender.send(line).is_ok();
        }
    });
    Ok(lines)
}

/// Waits until the log tells the address.
fn listening(lines: &Receiver<String>) -> anyhow::Result<String> {
    let mut seen = Vec::new();
    while let Ok(line) = lines.recv_timeout(START_MAX) {
        if let Some((_, rest)) = line.split_once("listening on ") {
            let is_address = |c: &char| c.is_ascii_digit() || matches!(c, '.' | ':');
            return Ok(rest.chars().take_while(is_address).collect());
        }
        seen.push(line);
    }
    bail!("the registry does not start: {}", seen.join("\n"))
}
