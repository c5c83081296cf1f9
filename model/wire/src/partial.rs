//! PartialObjectMetadata: an object's metadata alone.

/// Writes the metadata of an object, as `version` of `meta.k8s.io`. The metadata is copied as it stands.
pub fn write(out: &mut Vec<u8>, object: &[u8], version: &str) {
    out.extend_from_slice(br#"{"kind":"PartialObjectMetadata","apiVersion":"meta.k8s.io/"#);
    out.extend_from_slice(version.as_bytes());
    out.extend_from_slice(br#"","metadata":"#);
    out.extend_from_slice(meta::raw::at(object, &["metadata"]).unwrap_or(b"{}"));
    out.push(b'}');
}
