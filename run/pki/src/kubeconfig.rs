//! The kubeconfig that `kubectl` and client libraries read.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::authority::{KeyedCertificate, PkiError, read, write_private};

/// Name of the cluster and context that are written.
const NAME: &str = "sampan";

/// The content of a kubeconfig with a client certificate.
pub fn render(server: &str, authority: &str, client: &KeyedCertificate) -> Value {
    let encode = |text: &str| STANDARD.encode(text);
    json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": NAME, "cluster": {"server": server, "certificate-authority-data": encode(authority)}}],
        "users": [{"name": "admin", "user": {
            "client-certificate-data": encode(&client.certificate), "client-key-data": encode(&client.key)}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": "admin"}}],
        "current-context": NAME,
    })
}

/// Writes a kubeconfig for its owner only. A file that says the same already is left alone.
///
/// # Errors
/// The file cannot be written.
pub fn write(path: &Path, content: &Value) -> Result<(), PkiError> {
    // JSON is YAML, and reads well enough when indented.
    let text = format!("{content:#}\n");
    if path.exists() && read(path)? == text {
        return Ok(());
    }
    write_private(path, &text)
}
