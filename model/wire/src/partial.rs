//! PartialObjectMetadata: an object's metadata alone.

/// Writes an object that has this metadata and nothing else, as `version` of `meta.k8s.io`.
///
/// The metadata is copied as it stands; `None` is none at all.
pub fn write(out: &mut Vec<u8>, metadata: Option<&[u8]>, version: &str) {
    out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/"#);
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(br#"","metadata":"#);
    out.extend_from_slice(metadata.unwrap_or(b"{}"));
    out.push(b'}');
}
