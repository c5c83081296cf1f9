//! `/statusz` and `/flagz`: how long the server runs and what it serves, and its settings, as text or as an object.
//!
//! Upstream separates words in the text by a character that it draws, so that nobody parses it; here it is always a colon.
//!
//! Source: apiserver `server/statusz`, `server/flagz`.

use std::collections::{BTreeMap, BTreeSet};

use access::authn::service_account_token::ISSUER;
use axum::body::Body;
use http::header::{CONTENT_TYPE, WARNING};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use jiff::Timestamp;
use meta::StatusError;
use serde_json::{Map, Value, json};
use wire::media::{Answer, Format, Shape};

use crate::config::Config;
use crate::form::{accept, is_for_people};
use crate::server::ApiServer;
use crate::{health, respond};

/// The pages' paths.
pub(crate) const PATHS: [&str; 2] = [STATUSZ, FLAGZ];
const STATUSZ: &str = "/statusz";
const FLAGZ: &str = "/flagz";
const GROUP: &str = "config.k8s.io";
/// The object's version that is served, and the one that is but should not be asked for.
const VERSIONS: [&str; 2] = ["v1beta1", OLD];
const OLD: &str = "v1alpha1";
const COMPONENT: &str = "apiserver";
/// What can be produced, for refusals.
const PRODUCED: &[&str] = &["application/json", "application/yaml", "text/plain"];
const WORDS: &str = "Warning: This endpoint is not meant to be machine parseable, has no formatting compatibility \
                     guarantees and is for debugging purposes only.";
/// First parts of paths that are not told. Source: `nonDebuggingEndpoints`.
const UNTOLD: [&str; 5] = [".well-known", "api", "apis", "openapi", "openid"];

/// In what form a page is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Text,
    Object(Format, &'static str),
}

/// The answer for one of the pages; `None` for another path. `listed` is every path that is served.
///
/// # Errors
/// 406 for a client that reads no form of it.
pub(crate) fn answer(
    server: &ApiServer,
    path: &str,
    headers: &HeaderMap,
    listed: impl FnOnce() -> Vec<String>,
) -> Option<Result<Response<Body>, StatusError>> {
    let kind = match path {
        STATUSZ => "Statusz",
        FLAGZ => "Flagz",
        _ => return None,
    };
    let Some(form) = choose(accept(headers), kind) else {
        return Some(Err(StatusError::not_acceptable(PRODUCED)));
    };
    let config = server.config();
    let page = if path == STATUSZ {
        status(server.started(), (config.clock)(), &listed())
    } else {
        json!({"flags": flags(config)})
    };
    Some(match form {
        Form::Text => {
            let text = text(&page);
            let media_type = "text/plain; charset=utf-8";
            Ok(respond::bytes(StatusCode::OK, media_type, text))
        }
        Form::Object(format, version) => object(page, kind, format, version, headers),
    })
}

/// The first clause of an `Accept` header that can be served; an absent header means text.
fn choose(accept: &str, kind: &str) -> Option<Form> {
    if accept.trim().is_empty() {
        return Some(Form::Text);
    }
    accept.split(',').find_map(|clause| {
        let mut parts = clause.split(';').map(str::trim);
        let media_type = parts.next()?;
        let parameters: BTreeMap<&str, &str> =
            parts.filter_map(|part| part.split_once('=')).collect();
        let told = |name: &str| parameters.get(name).copied().unwrap_or_default();
        let format = match media_type {
            "text/plain" | "text/*" | "*/*" if told("as").is_empty() => return Some(Form::Text),
            "application/json" | "application/*" | "*/*" => Format::Json,
            "application/yaml" => Format::Yaml,
            _ => return None,
        };
        let version = VERSIONS.into_iter().find(|version| *version == told("v"))?;
        let is_known = told("as") == kind && told("g") == GROUP;
        is_known.then_some(Form::Object(format, version))
    })
}

/// The page as an object of its kind.
fn object(
    page: Value,
    kind: &str,
    format: Format,
    version: &str,
    headers: &HeaderMap,
) -> Result<Response<Body>, StatusError> {
    let mut told = json!({"kind": kind, "apiVersion": format!("{GROUP}/{version}"),
        "metadata": {"name": COMPONENT}});
    if let (Some(told), Value::Object(page)) = (told.as_object_mut(), page) {
        told.extend(page);
    }
    let form = Answer {
        format,
        shape: Shape::Object,
        is_indented: is_for_people(headers),
    };
    let mut response = respond::value(StatusCode::OK, &form, &told)?;
    let media_type = format!("{};g={GROUP};v={version};as={kind}", format.media_type());
    let media_type = HeaderValue::try_from(media_type).map_err(StatusError::internal)?;
    response.headers_mut().insert(CONTENT_TYPE, media_type);
    if version == OLD {
        let page = kind.to_lowercase();
        let words = format!(
            "299 - \"This version of the {page} endpoint is deprecated. Please use a newer version.\""
        );
        let words = HeaderValue::try_from(words).map_err(StatusError::internal)?;
        response.headers_mut().insert(WARNING, words);
    }
    Ok(response)
}

fn status(started: Timestamp, now: Timestamp, listed: &[String]) -> Value {
    let first = |path: &String| path.split('/').nth(1).map(str::to_owned);
    let parts: BTreeSet<String> = listed.iter().filter_map(first).collect();
    let is_told = |part: &&String| !part.is_empty() && !UNTOLD.contains(&part.as_str());
    let paths = parts.iter().filter(is_told).map(|part| format!("/{part}"));
    let version = health::binary_version();
    json!({
        "startTime": started.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "uptimeSeconds": (now.as_second() - started.as_second()).max(0),
        "goVersion": "",
        "binaryVersion": version,
        "emulationVersion": version,
        "paths": paths.collect::<Vec<String>>(),
    })
}

/// What holds here of that which upstream's flags set.
fn flags(config: &Config) -> Map<String, Value> {
    let (limits, ranges) = (&config.limits, &config.ranges);
    let blocks = ranges.service_cidrs.iter();
    let blocks: Vec<String> = blocks.map(|(ip, bits)| format!("{ip}/{bits}")).collect();
    let (first, last) = ranges.node_ports;
    let (host, port) = config.address.rsplit_once(':').unwrap_or_default();
    let told = [
        ("allow-privileged", "true".to_owned()),
        ("anonymous-auth", "true".to_owned()),
        ("authorization-mode", "[Node,RBAC]".to_owned()),
        ("bind-address", host.to_owned()),
        ("enable-admission-plugins", "[NodeRestriction]".to_owned()),
        ("enable-bootstrap-token-auth", "true".to_owned()),
        ("enable-priority-and-fairness", "true".to_owned()),
        ("feature-gates", String::new()),
        (
            "max-mutating-requests-inflight",
            limits.writes_max.to_string(),
        ),
        ("max-requests-inflight", limits.reads_max.to_string()),
        ("min-request-timeout", limits.watch_seconds.to_string()),
        ("profiling", "false".to_owned()),
        ("request-timeout", minutes(limits.request_seconds)),
        ("secure-port", port.to_owned()),
        ("service-account-extend-token-expiration", "true".to_owned()),
        ("service-account-issuer", format!("[{ISSUER}]")),
        ("service-account-lookup", "true".to_owned()),
        ("service-cluster-ip-range", blocks.join(",")),
        ("service-node-port-range", format!("{first}-{last}")),
        ("storage-media-type", Format::Json.media_type().to_owned()),
    ];
    let others = config.flags.iter();
    let others = others.map(|(name, value)| (*name, value.clone()));
    let told = told.into_iter().chain(others);
    told.map(|(name, value)| (name.to_owned(), value.into()))
        .collect()
}

/// A time of whole minutes and seconds, as Go writes it.
fn minutes(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

/// A page as text.
fn text(page: &Value) -> String {
    let word = |name: &str| page[name].as_str().unwrap_or_default();
    if let Some(flags) = page["flags"].as_object() {
        let line = |(name, value): (&String, &Value)| {
            format!("{name}:{}\n", value.as_str().unwrap_or_default())
        };
        let lines: String = flags.iter().map(line).collect();
        return format!("\n{COMPONENT} flagz\n{WORDS}\n{lines}");
    }
    let started: Timestamp = word("startTime").parse().unwrap_or_default();
    let up = page["uptimeSeconds"].as_i64().unwrap_or_default();
    let paths = page["paths"].as_array().into_iter().flatten();
    let paths: Vec<&str> = paths.filter_map(Value::as_str).collect();
    format!(
        "\n{COMPONENT} statusz\n{WORDS}\n\nStarted: {}\nUp: {} hr {:02} min {:02} sec\nGo version: {}\n\
         Binary version: {}\nEmulation version: {}\nPaths: {}\n",
        started.strftime("%a %b %e %H:%M:%S UTC %Y"),
        up / 3600,
        up / 60 % 60,
        up % 60,
        word("goVersion"),
        word("binaryVersion"),
        word("emulationVersion"),
        paths.join(" ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_told_unless_an_object_of_a_known_version_is_asked_for() {
        let object = |version: &str| format!("application/json;as=Statusz;v={version};g={GROUP}");
        let chosen = |accept: &str| choose(accept, "Statusz");
        assert_eq!(chosen(""), Some(Form::Text));
        assert_eq!(chosen("application/json,*/*"), Some(Form::Text));
        assert_eq!(chosen("application/json"), None);
        assert_eq!(
            chosen(&object("v1beta1")),
            Some(Form::Object(Format::Json, "v1beta1"))
        );
        assert_eq!(chosen(&object("v1")), None);
        assert_eq!(choose(&object("v1beta1"), "Flagz"), None);
        let yaml = object("v1alpha1").replace("json", "yaml");
        assert_eq!(chosen(&yaml), Some(Form::Object(Format::Yaml, OLD)));
    }

    #[test]
    fn the_status_tells_since_when_and_what_for() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let listed = ["/", "/apis/apps", "/healthz/ping", "/statusz"].map(str::to_owned);
        let page = status(at(0), at(3_725), &listed);
        let text = text(&page);
        let told: Vec<&str> = text.lines().skip(4).collect();
        assert_eq!(told[0], "Started: Thu Jan  1 00:00:00 UTC 1970");
        assert_eq!(told[1], "Up: 1 hr 02 min 05 sec");
        assert_eq!(
            told[3..],
            [
                "Binary version: 1.36",
                "Emulation version: 1.36",
                "Paths: /healthz /statusz"
            ]
        );
    }

    #[test]
    fn times_read_as_in_go() {
        assert_eq!(
            [minutes(60), minutes(5), minutes(90)],
            ["1m0s", "5s", "1m30s"]
        );
    }
}
