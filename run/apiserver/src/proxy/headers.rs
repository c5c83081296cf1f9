//! What a target is told of the client, and the client of its target: headers, and where redirects lead.
//!
//! Left out: links within HTML, which upstream turns back to the proxy too.
//!
//! Source: `net/http/httputil/reverseproxy.go`, apimachinery `util/proxy/{transport,upgradeaware}.go`.

use std::net::IpAddr;

use http::HeaderMap;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, AUTHORIZATION, CONNECTION, HeaderName, HeaderValue,
    PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};

use crate::request::mentions;

/// Headers that are about one connection, not about the request.
const HOP_BY_HOP: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("proxy-connection"),
    HeaderName::from_static("keep-alive"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// Beginnings of headers that say who somebody is, or wants to be, to us. Source: `endpoints/filters/authentication.go`,
/// `impersonation.go`.
const IDENTITIES: [&str; 8] = [
    "x-remote-user",
    "x-remote-uid",
    "x-remote-group",
    "x-remote-extra-",
    "impersonate-user",
    "impersonate-uid",
    "impersonate-group",
    "impersonate-extra-",
];
/// What answers say of other origins, which is for us to say.
const CORS: [HeaderName; 4] = [
    ACCESS_CONTROL_ALLOW_CREDENTIALS,
    ACCESS_CONTROL_ALLOW_HEADERS,
    ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN,
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The address by which the client asked.
pub(super) const FORWARDED_URI: HeaderName = HeaderName::from_static("x-forwarded-uri");

/// Removes what is about one connection; that the client reads trailers stays.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let has_trailers = mentions(headers, &TE, "trailers");
    let values = headers.get_all(CONNECTION).iter();
    let named = values.filter_map(|value| value.to_str().ok());
    let named = named.flat_map(|names| names.split(','));
    let named: Vec<HeaderName> = named.filter_map(|name| name.trim().parse().ok()).collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
    if has_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
}

/// Removes what says who the client is to us; the target must not learn it.
pub(super) fn strip_identity(headers: &mut HeaderMap) {
    headers.remove(AUTHORIZATION);
    let says_who = |name: &&HeaderName| {
        IDENTITIES
            .iter()
            .any(|start| name.as_str().starts_with(start))
    };
    let found: Vec<HeaderName> = headers.keys().filter(says_who).cloned().collect();
    for name in found {
        headers.remove(name);
    }
}

/// Removes what an answer says of other origins.
pub(super) fn strip_cors(headers: &mut HeaderMap) {
    for name in &CORS {
        headers.remove(name);
    }
}

/// Adds the client to those that a request came through.
pub(super) fn add_forwarded_for(headers: &mut HeaderMap, client: IpAddr) {
    let values = headers.get_all(&FORWARDED_FOR).iter();
    let before = values.filter_map(|value| value.to_str().ok().map(str::to_owned));
    let all: Vec<String> = before.chain([client.to_string()]).collect();
    if let Ok(value) = HeaderValue::from_str(&all.join(", ")) {
        headers.insert(FORWARDED_FOR, value);
    }
}

/// A path without empty, `.` and `..` segments; it begins with a slash, and ends with one if it did.
pub(super) fn cleaned(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                kept.pop();
            }
            segment => kept.push(segment),
        }
    }
    let slash = if path.ends_with('/') && !kept.is_empty() {
        "/"
    } else {
        ""
    };
    format!("/{}{slash}", kept.join("/"))
}

/// Where a redirect of the target leads through the proxy, which is at `prefix` of the host the client asked.
pub(super) fn relocated(location: &str, prefix: &str, target: &str, asked: &str) -> String {
    let is_scheme = |scheme: &&str| scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let scheme = location
        .split_once("://")
        .map(|(scheme, _)| scheme)
        .filter(is_scheme);
    let after = match scheme {
        Some(scheme) => location.get(scheme.len() + 3..),
        None => location.strip_prefix("//"),
    };
    let (host, rest) = match after {
        Some(after) => after.split_at(after.find(['/', '?', '#']).unwrap_or(after.len())),
        None => ("", location),
    };
    let is_elsewhere = !host.is_empty() && host != target && host != asked;
    if is_elsewhere || !rest.starts_with('/') {
        return location.to_owned();
    }
    let origin = match scheme {
        _ if host != asked || host.is_empty() => String::new(),
        Some(scheme) => format!("{scheme}://{host}"),
        None => format!("//{host}"),
    };
    if rest.starts_with(prefix) {
        return format!("{origin}{rest}");
    }
    let (path, query) = rest.split_at(rest.find(['?', '#']).unwrap_or(rest.len()));
    format!("{origin}{}{query}", cleaned(&format!("{prefix}{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        });
        pairs.collect()
    }

    #[test]
    fn what_is_about_one_connection_stays_there() {
        let mut all = headers(&[
            ("connection", "close, X-A"),
            ("x-a", "1"),
            ("keep-alive", "3"),
            ("te", "trailers"),
            ("x-b", "1"),
        ]);
        strip_hop_by_hop(&mut all);
        assert_eq!(all, headers(&[("te", "trailers"), ("x-b", "1")]));
    }

    #[test]
    fn who_the_client_is_to_us_stays_here() {
        let mut all = headers(&[
            ("authorization", "Bearer x"),
            ("x-remote-user", "a"),
            ("x-remote-extra-scopes", "a"),
            ("impersonate-user", "b"),
            ("cookie", "c"),
        ]);
        strip_identity(&mut all);
        assert_eq!(all, headers(&[("cookie", "c")]));
    }

    #[test]
    fn the_client_is_added_to_those_before_it() {
        let mut all = headers(&[("x-forwarded-for", "1.2.3.4")]);
        add_forwarded_for(&mut all, IpAddr::from([127, 0, 0, 1]));
        assert_eq!(all, headers(&[("x-forwarded-for", "1.2.3.4, 127.0.0.1")]));
    }

    #[test]
    fn paths_are_cleaned() {
        for (path, wanted) in [
            ("", "/"),
            ("/", "/"),
            ("/x//y/", "/x/y/"),
            ("/../a/./b", "/a/b"),
        ] {
            assert_eq!(cleaned(path), wanted, "{path}");
        }
    }

    #[test]
    fn redirects_lead_through_the_proxy() {
        for (location, wanted) in [
            ("/other/", "/p/proxy/other/"),
            ("other?x=1", "other?x=1"),
            (
                "http://api:6443/other?x=1",
                "http://api:6443/p/proxy/other?x=1",
            ),
            ("http://10.0.0.7:80/other", "/p/proxy/other"),
            ("//10.0.0.7:80/other", "/p/proxy/other"),
            ("http://example.com/other", "http://example.com/other"),
            ("/p/proxy/z", "/p/proxy/z"),
            ("/?to=http://a/b", "/p/proxy/?to=http://a/b"),
        ] {
            let led = relocated(location, "/p/proxy", "10.0.0.7:80", "api:6443");
            assert_eq!(led, wanted, "{location}");
        }
    }
}
