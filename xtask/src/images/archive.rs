//! Writes an image of one layer as an OCI archive: a tar with an image layout in it.
//!
//! Source: OCI image specification 1.1, image layout, index, manifest and configuration.

use std::{fs, path::Path};

use anyhow::Context as _;
use ring::digest;
use serde_json::{Map, Value, json};

use super::tar::Tar;

/// An image under construction.
pub(crate) struct Image {
    name: String,
    layer: Vec<u8>,
    config: Map<String, Value>,
}

impl Image {
    /// An image with a full reference (`HOST/PATH:TAG`) and one layer.
    pub(crate) fn new(name: &str, layer: Tar) -> Self {
        let mut config = Map::new();
        let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        config.insert("Env".to_owned(), json!([path]));
        Self {
            name: name.to_owned(),
            layer: layer.finish(),
            config,
        }
    }

    /// Sets the program that every container starts.
    pub(crate) fn entrypoint(mut self, words: &[&str]) -> Self {
        self.config.insert("Entrypoint".to_owned(), json!(words));
        self
    }

    /// Sets what is started when a container names no arguments.
    pub(crate) fn command(mut self, words: &[&str]) -> Self {
        self.config.insert("Cmd".to_owned(), json!(words));
        self
    }

    /// Sets the user, as `UID:GID`.
    pub(crate) fn user(mut self, user: &str) -> Self {
        self.config.insert("User".to_owned(), json!(user));
        self
    }

    /// Adds an environment variable.
    pub(crate) fn environment(mut self, name: &str, value: &str) -> Self {
        if let Some(Value::Array(variables)) = self.config.get_mut("Env") {
            variables.push(json!(format!("{name}={value}")));
        }
        self
    }

    /// Tells that the program listens on a TCP port.
    pub(crate) fn port(mut self, port: u16) -> Self {
        self.config.insert(
            "ExposedPorts".to_owned(),
            json!({ format!("{port}/tcp"): {} }),
        );
        self
    }

    /// Writes the archive to a file.
    pub(crate) fn write(self, path: &Path) -> anyhow::Result<()> {
        let architecture = architecture()?;
        let layer_digest = digest_of(&self.layer);
        let config = serde_json::to_vec(&json!({
            "architecture": architecture,
            "os": "linux",
            "config": self.config,
            "rootfs": { "type": "layers", "diff_ids": [layer_digest] },
        }))?;
        let manifest = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
            "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &self.layer)],
        }))?;
        let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
        let tag = self.name.rsplit_once(':').map_or("latest", |(_, tag)| tag);
        if let Some(entry) = entry.as_object_mut() {
            entry.insert(
                "platform".to_owned(),
                json!({ "architecture": architecture, "os": "linux" }),
            );
            // The first is read by containerd and holds the whole name, the second by other tools.
            let annotations = json!({
                "io.containerd.image.name": self.name,
                "org.opencontainers.image.ref.name": tag,
            });
            entry.insert("annotations".to_owned(), annotations);
        }
        let index = serde_json::to_vec(&json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        }))?;

        let mut tar = Tar::default();
        tar.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
        tar.file("index.json", 0o644, &index)?;
        tar.directory("blobs", 0o755)?;
        tar.directory("blobs/sha256", 0o755)?;
        for blob in [&manifest, &config, &self.layer] {
            tar.file(
                &format!("blobs/{}", digest_of(blob).replace(':', "/")),
                0o644,
                blob,
            )?;
        }
        let bytes = tar.finish();
        // One that is the same keeps its time, so that a cluster does not load it again.
        if fs::read(path).is_ok_and(|old| old == bytes) {
            return Ok(());
        }
        fs::write(path, bytes).with_context(|| format!("cannot write {}", path.display()))
    }
}

fn descriptor(media_type: &str, content: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest_of(content), "size": content.len() })
}

fn digest_of(content: &[u8]) -> String {
    let digest = digest::digest(&digest::SHA256, content);
    let hex: Vec<String> = digest
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{}", hex.concat())
}

/// The name OCI gives to this machine's processor.
fn architecture() -> anyhow::Result<&'static str> {
    match std::env::consts::ARCH {
        "x86_64" => Ok("amd64"),
        "aarch64" => Ok("arm64"),
        other => anyhow::bail!("images for {other} are not built"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_those_of_the_specification() {
        assert_eq!(
            digest_of(b""),
            "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }
}
