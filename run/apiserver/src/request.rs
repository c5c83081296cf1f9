//! What a request is about: verb, resource, object; or a path that is no resource.
//!
//! Source: apiserver `endpoints/request/requestinfo.go`.

use http::Method;
use http::header::{HeaderMap, HeaderName};

/// A request taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestInfo {
    /// The path as it came.
    pub path: String,
    /// API verb, or the lower-case HTTP method for other paths.
    pub verb: String,
    /// Whether it is about a resource.
    pub is_resource: bool,
    /// API group; empty for the core group.
    pub group: String,
    /// API version.
    pub version: String,
    /// Namespace, or empty.
    pub namespace: String,
    /// Plural resource.
    pub resource: String,
    /// Subresource, or empty.
    pub subresource: String,
    /// Object name, or empty.
    pub name: String,
    /// What follows the subresource, such as the path behind `proxy`.
    pub rest: String,
}

/// Subresources of namespaces themselves; anything else after a namespace is a resource in it.
const NAMESPACE_SUBRESOURCES: [&str; 2] = ["status", "finalize"];

impl RequestInfo {
    /// Whether a path says that something is watched, or reached through a proxy, but not what.
    pub(crate) fn is_unreadable(path: &str) -> bool {
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        matches!(
            parts.as_slice(),
            ["api", _, "watch" | "proxy"] | ["apis", _, _, "watch" | "proxy"]
        )
    }

    /// Takes a request apart. `is_watch` is `?watch=true`.
    pub fn read(method: &Method, path: &str, is_watch: bool) -> Self {
        let other = Self {
            path: path.to_owned(),
            verb: method.as_str().to_lowercase(),
            ..Self::default()
        };
        let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (group, version, parts) = match parts.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return other,
        };
        let (parts, is_watch_path) = match parts {
            ["watch", rest @ ..] if !rest.is_empty() => (rest, true),
            _ => (parts, false),
        };
        let (namespace, parts) = match parts {
            ["namespaces", name, third, ..] if !NAMESPACE_SUBRESOURCES.contains(third) => {
                (*name, parts.get(2..).unwrap_or_default())
            }
            ["namespaces", name, ..] => (*name, parts),
            _ => ("", parts),
        };
        let part = |index: usize| parts.get(index).copied().map(decode).unwrap_or_default();
        let name = part(1);
        // One object is not watched where it stands.
        let is_watch = is_watch_path || (is_watch && name.is_empty());
        Self {
            verb: if is_watch_path {
                "watch".to_owned()
            } else {
                verb(method, is_watch, name.is_empty()).to_owned()
            },
            is_resource: true,
            group: decode(group),
            version: decode(version),
            namespace: decode(namespace),
            resource: part(0),
            subresource: part(2),
            rest: parts.get(3..).unwrap_or_default().join("/"),
            name,
            path: path.to_owned(),
        }
    }
}

fn verb(method: &Method, is_watch: bool, is_collection: bool) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PUT => "update",
        Method::PATCH => "patch",
        Method::DELETE if is_collection => "deletecollection",
        Method::DELETE => "delete",
        Method::GET | Method::HEAD if is_watch => "watch",
        Method::GET | Method::HEAD if is_collection => "list",
        Method::GET | Method::HEAD => "get",
        _ => "",
    }
}

/// Whether a header has a word somewhere, however it is written.
pub(crate) fn mentions(headers: &HeaderMap, name: &HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    let mut texts = values.filter_map(|value| value.to_str().ok());
    texts.any(|text| text.to_lowercase().contains(word))
}

/// Undoes percent-encoding in one path segment.
pub(crate) fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let hex = tail
            .get(..2)
            .filter(|_| *first == b'%')
            .and_then(|hex| std::str::from_utf8(hex).ok());
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            bytes.push(byte);
            rest = tail.get(2..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(method: &Method, path: &str) -> String {
        let info = RequestInfo::read(method, path, false);
        format!(
            "{} {}/{} {}:{}/{}/{}",
            info.verb,
            info.group,
            info.version,
            info.namespace,
            info.resource,
            info.name,
            info.subresource
        )
    }

    #[test]
    fn paths_are_told_apart_as_upstream_does() {
        let cases = [
            (Method::GET, "/api/v1/pods", "list /v1 :pods//"),
            (
                Method::GET,
                "/api/v1/namespaces/web/pods/p/log",
                "get /v1 web:pods/p/log",
            ),
            (
                Method::GET,
                "/api/v1/namespaces/web",
                "get /v1 web:namespaces/web/",
            ),
            (
                Method::PUT,
                "/api/v1/namespaces/web/finalize",
                "update /v1 web:namespaces/web/finalize",
            ),
            (
                Method::DELETE,
                "/apis/apps/v1/namespaces/web/deployments",
                "deletecollection apps/v1 web:deployments//",
            ),
            (
                Method::PATCH,
                "/apis/apps/v1/namespaces/web/deployments/d/scale",
                "patch apps/v1 web:deployments/d/scale",
            ),
            (
                Method::GET,
                "/api/v1/watch/namespaces/web/pods",
                "watch /v1 web:pods//",
            ),
            (
                Method::GET,
                "/apis/rbac.authorization.k8s.io/v1/clusterroles/system%3Anode",
                "get rbac.authorization.k8s.io/v1 :clusterroles/system:node/",
            ),
            // Nothing between two slashes is a name.
            (
                Method::GET,
                "/api/v1/namespaces/web/pods//p",
                "list /v1 web:pods//p",
            ),
            (
                Method::GET,
                "/healthz",
                "get / :///".trim_end_matches("///"),
            ),
        ];
        for (method, path, wanted) in cases {
            let shown = show(&method, path);
            assert!(shown.starts_with(wanted), "{path}: {shown}");
        }
        assert!(!RequestInfo::read(&Method::GET, "/apis/apps/v1", false).is_resource);
        let watched = |path| RequestInfo::read(&Method::GET, path, true).verb;
        assert_eq!(watched("/api/v1/pods"), "watch");
        assert_eq!(watched("/api/v1/namespaces/web/pods/p"), "get");
    }
}
