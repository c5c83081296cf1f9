//! The seam for OpenAPI: whoever makes the documents is given at construction.

use bytes::Bytes;
use http::{HeaderMap, Response};
use kinds::Registry;

/// Answers below `/openapi`.
pub trait OpenApi: Send + Sync {
    /// The answer to a GET of `path` (which starts with `/openapi/`) with its raw query; `None` when there is no such
    /// document. `registry` is what is served now.
    fn answer(
        &self,
        registry: &Registry,
        path: &str,
        query: &str,
        headers: &HeaderMap,
    ) -> Option<Response<Bytes>>;
}
