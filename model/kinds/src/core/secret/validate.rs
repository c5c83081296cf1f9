//! What is wrong with a Secret. Source: `ValidateSecret`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use meta::{FieldError, Object, Path};

use crate::check::{Errors, Node, config_key};
use crate::core::base64_bytes;
use crate::core::config_map::DATA_BYTES_MAX;
use crate::metadata::invalid;

const SERVICE_ACCOUNT: &str = "kubernetes.io/service-account.name";

pub(super) fn check(object: &Object) -> Errors {
    let mut errors = Errors::new();
    let root = Node::root(object);
    let data = root.child("data");
    let mut bytes = 0;
    for (key, value) in root.entries("data") {
        errors.extend(invalid(&value.path, key, config_key(key)));
        bytes += base64_bytes(value.value);
    }
    if bytes > DATA_BYTES_MAX {
        errors.push(FieldError::too_long(&data.path, DATA_BYTES_MAX));
    }
    let needed = |key: &str| FieldError::required(&data.path.key(key), "");
    match root.text("type") {
        "kubernetes.io/service-account-token" => {
            let marks = root.child("metadata").child("annotations");
            if marks.text(SERVICE_ACCOUNT).is_empty() {
                let path = Path::new("metadata")
                    .child("annotations")
                    .key(SERVICE_ACCOUNT);
                errors.push(FieldError::required(&path, ""));
            }
        }
        "kubernetes.io/dockercfg" => docker(&data, ".dockercfg", &mut errors),
        "kubernetes.io/dockerconfigjson" => docker(&data, ".dockerconfigjson", &mut errors),
        "kubernetes.io/basic-auth" if !data.has("username") && !data.has("password") => {
            errors.extend([needed("username"), needed("password")]);
        }
        "kubernetes.io/ssh-auth" if data.text("ssh-privatekey").is_empty() => {
            errors.push(needed("ssh-privatekey"));
        }
        "kubernetes.io/tls" => {
            for key in ["tls.crt", "tls.key"] {
                if !data.has(key) {
                    errors.push(needed(key));
                }
            }
        }
        _ => {}
    }
    errors
}

fn docker(data: &Node<'_>, key: &str, errors: &mut Errors) {
    let path = data.path.key(key);
    if !data.has(key) {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let bytes = STANDARD.decode(data.text(key)).unwrap_or_default();
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let problem = match (meta::json_syntax::complaint(&bytes), first) {
        (Some(problem), _) => problem,
        (None, Some(b'{' | b'n')) => return,
        (None, first) => {
            let what = match first {
                Some(b'[') => "array",
                Some(b'"') => "string",
                Some(b't' | b'f') => "bool",
                _ => "number",
            };
            format!("json: cannot unmarshal {what} into Go value of type map[string]interface {{}}")
        }
    };
    errors.push(FieldError::invalid(
        &path,
        "<secret contents redacted>",
        problem,
    ));
}
