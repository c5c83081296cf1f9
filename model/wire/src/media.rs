//! Which form a client sends and which it wants back.
//!
//! Source: apiserver `endpoints/handlers/negotiation`.

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
}

/// Into what an answer is turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The object or list itself.
    Object,
    /// A Table of that version of `meta.k8s.io`.
    Table(String),
    /// PartialObjectMetadata, or its list, of that version of `meta.k8s.io`.
    Partial(String),
}

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it is written.
    pub format: Format,
    /// What it is turned into.
    pub shape: Shape,
}

/// What can be produced, for refusals.
pub const PRODUCED: &[&str] = &["application/json", "application/yaml"];
/// What bodies are read, for refusals.
pub const READ: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

impl Format {
    /// The media type of answers in this format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
        }
    }
}

/// The first clause of an `Accept` header that can be served; `None` when there is none. Absent means JSON.
///
/// Protobuf and CBOR clauses are passed over: clients that prefer them list JSON too.
pub fn negotiate(accept: &str) -> Option<Answer> {
    if accept.trim().is_empty() {
        return Some(Answer {
            format: Format::Json,
            shape: Shape::Object,
        });
    }
    accept.split(',').find_map(clause)
}

fn clause(clause: &str) -> Option<Answer> {
    let mut parts = clause.split(';').map(str::trim);
    let format = match parts.next()? {
        "application/json" | "*/*" | "application/*" => Format::Json,
        "application/yaml" => Format::Yaml,
        _ => return None,
    };
    let (mut kind, mut group, mut version) = ("", "", "");
    for parameter in parts {
        match parameter.split_once('=')? {
            ("as", value) => kind = value,
            ("g", value) => group = value,
            ("v", value) => version = value,
            _ => {}
        }
    }
    let is_known = group == "meta.k8s.io" && matches!(version, "v1" | "v1beta1");
    let shape = match kind {
        "" => Shape::Object,
        "Table" if is_known => Shape::Table(version.to_owned()),
        "PartialObjectMetadata" | "PartialObjectMetadataList" if is_known => {
            Shape::Partial(version.to_owned())
        }
        _ => return None,
    };
    Some(Answer { format, shape })
}

/// The format of a request body; `None` when it is none that is read. Absent means JSON.
pub fn body_format(content_type: &str) -> Option<Format> {
    match media_type(content_type) {
        "" | "application/json" => Some(Format::Json),
        "application/yaml" => Some(Format::Yaml),
        _ => None,
    }
}

/// A content type without its parameters.
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kubectl_gets_a_table_and_others_what_they_can_read() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(negotiate(kubectl).unwrap().shape, Shape::Table("v1".into()));
        let controller = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(
            negotiate(controller).unwrap(),
            Answer {
                format: Format::Json,
                shape: Shape::Object
            }
        );
        assert_eq!(negotiate("application/yaml").unwrap().format, Format::Yaml);
        assert_eq!(negotiate("text/html"), None);
    }
}
