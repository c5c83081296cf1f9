//! Image references and pull policies.
//!
//! Source: `github.com/distribution/reference` (grammar, familiar names), `pkg/util/parsers`,
//! `pkg/kubelet/images`.

use k8s_openapi::api::core::v1::Container;

/// Registry of references that name none.
const DEFAULT_REGISTRY: &str = "docker.io";
/// Another name of the default registry, kept for old references.
const LEGACY_REGISTRY: &str = "index.docker.io";
/// Repository of references to the default registry that name none.
const DEFAULT_REPOSITORY: &str = "library/";
/// Tag of references that name neither tag nor digest.
const DEFAULT_TAG: &str = "latest";
/// Longest repository name, in bytes.
const NAME_BYTES_MAX: usize = 255;
/// Longest tag, in bytes.
const TAG_BYTES_MAX: usize = 128;

/// A parsed reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Registry and repository, such as `docker.io/library/nginx`.
    pub repository: String,
    /// The tag; `latest` where neither tag nor digest is named.
    pub tag: Option<String>,
    /// The digest, such as `sha256:...`.
    pub digest: Option<String>,
}

/// Why a text is no image reference, in upstream's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// It does not look like one.
    #[error("invalid reference format")]
    Format,
    /// It has capitals where only small letters may stand.
    #[error("invalid reference format: repository name must be lowercase")]
    Uppercase,
    /// It is longer than registries accept.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// It is an image id.
    #[error("invalid repository name, cannot specify 64-byte hexadecimal strings")]
    Identifier,
}

impl Reference {
    /// Reads a reference, with the defaults filled in.
    ///
    /// # Errors
    /// The text is no reference.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(ReferenceError::Identifier);
        }
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) if is_digest(digest) => (rest, Some(digest.to_owned())),
            Some(_) => return Err(ReferenceError::Format),
            None => (text, None),
        };
        let (name, tag) = match rest.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, Some(tag)),
            _ => (rest, None),
        };
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Format);
        }
        let (registry, path) = split_registry(name);
        if path.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(ReferenceError::Uppercase);
        }
        if !path.split('/').all(is_path_component) || !is_registry(&registry) {
            return Err(ReferenceError::Format);
        }
        let repository = format!("{registry}/{path}");
        if repository.len() > NAME_BYTES_MAX {
            return Err(ReferenceError::TooLong);
        }
        let default = digest.is_none().then(|| DEFAULT_TAG.to_owned());
        Ok(Self {
            repository,
            tag: tag.map(str::to_owned).or(default),
            digest,
        })
    }

    /// The registry part.
    pub fn registry(&self) -> &str {
        self.repository.split('/').next().unwrap_or_default()
    }
}

/// What the runtime is asked for: the text itself, with the default tag where it names none.
///
/// # Errors
/// The text is no reference.
pub fn with_default_tag(text: &str) -> Result<String, ReferenceError> {
    let parsed = Reference::parse(text)?;
    let names_tag = text
        .rsplit('/')
        .next()
        .is_some_and(|last| last.contains(':'));
    if parsed.digest.is_none() && !names_tag {
        return Ok(format!("{text}:{DEFAULT_TAG}"));
    }
    Ok(text.to_owned())
}

/// When an image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullPolicy {
    /// Before every start.
    Always,
    /// When it is not on the node.
    IfNotPresent,
    /// Not at all.
    Never,
}

/// The pull policy of a container; where it states none, `Always` for the tag `latest`.
pub fn pull_policy(container: &Container) -> PullPolicy {
    match container.image_pull_policy.as_deref() {
        Some("Always") => PullPolicy::Always,
        Some("IfNotPresent") => PullPolicy::IfNotPresent,
        Some("Never") => PullPolicy::Never,
        _ => {
            let image = container.image.as_deref().unwrap_or_default();
            match Reference::parse(image) {
                Ok(one) if one.tag.as_deref() == Some(DEFAULT_TAG) => PullPolicy::Always,
                _ => PullPolicy::IfNotPresent,
            }
        }
    }
}

/// Reason and message for a failed pull, from the runtime's words.
///
/// Source: `pkg/kubelet/images/image_manager.go`, `evalCRIPullErr`.
pub fn pull_failure(image: &str, error: &str) -> (String, String) {
    const UNAVAILABLE: &str = "RegistryUnavailable";
    const SIGNATURE: &str = "SignatureValidationFailed";
    if let Some(detail) = error.strip_prefix(UNAVAILABLE) {
        let message =
            format!("image pull failed for {image} because the registry is unavailable{detail}");
        return (UNAVAILABLE.to_owned(), message);
    }
    if let Some(detail) = error.strip_prefix(SIGNATURE) {
        let message = format!(
            "image pull failed for {image} because the signature validation failed{detail}"
        );
        return (SIGNATURE.to_owned(), message);
    }
    ("ErrImagePull".to_owned(), error.to_owned())
}

/// Splits the registry off a name and fills in the defaults.
fn split_registry(name: &str) -> (String, String) {
    let (registry, path) = match name.split_once('/') {
        Some((first, rest)) if names_registry(first) => (first, rest.to_owned()),
        _ => (DEFAULT_REGISTRY, name.to_owned()),
    };
    let registry = if registry == LEGACY_REGISTRY {
        DEFAULT_REGISTRY
    } else {
        registry
    };
    if registry == DEFAULT_REGISTRY && !path.contains('/') {
        return (registry.to_owned(), format!("{DEFAULT_REPOSITORY}{path}"));
    }
    (registry.to_owned(), path)
}

fn names_registry(first: &str) -> bool {
    first == "localhost"
        || first.contains(['.', ':'])
        || first.bytes().any(|byte| byte.is_ascii_uppercase())
}

fn is_registry(text: &str) -> bool {
    let host = match text.rsplit_once(':') {
        Some((host, port)) if !text.ends_with(']') => {
            if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
                return false;
            }
            host
        }
        _ => text,
    };
    if let Some(v6) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return v6
            .bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b':');
    }
    host.split('.').all(|label| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    })
}

/// Letters and digits, in runs parted by `.`, `_`, `__` or dashes.
fn is_path_component(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let (Some(first), Some(last)) = (text.bytes().next(), text.bytes().last()) else {
        return false;
    };
    if !is_plain(first) || !is_plain(last) {
        return false;
    }
    text.split(|one: char| one.is_ascii_lowercase() || one.is_ascii_digit())
        .all(|parting| {
            matches!(parting, "" | "." | "_" | "__") || parting.bytes().all(|byte| byte == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= TAG_BYTES_MAX
        && text.bytes().next().is_some_and(is_word)
        && text
            .bytes()
            .all(|byte| is_word(byte) || matches!(byte, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, hex)) = text.split_once(':') else {
        return false;
    };
    algorithm
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic())
        && algorithm
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+._-".contains(&byte))
        && hex.len() >= 32
        && hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
