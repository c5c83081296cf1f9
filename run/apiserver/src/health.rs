//! `/healthz`, `/livez`, `/readyz` with their checks as plain text, and `/version`.
//!
//! Source: apiserver `server/healthz`.

mod checks;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use http::{HeaderValue, Response, StatusCode};
use meta::field::quote;
use serde_json::{Value, json};

pub use checks::{ALL, all, ping};

/// Kubernetes' minor version that is served.
const MINOR: &str = "36";
/// What `/version` names; clients read the part before `+`.
pub const GIT_VERSION: &str = "v1.36.2+sampan";
const UNKNOWN: &str = "warn: some health checks cannot be excluded: no matches for ";
const TEXT: &str = "text/plain; charset=utf-8";

/// One thing that must be well.
#[derive(Clone)]
pub struct Check {
    /// Its name, as it stands in paths and verbose answers.
    pub name: &'static str,
    /// Which of the three endpoints ask for it.
    pub asked_by: &'static [Endpoint],
    /// Says what is wrong; the words are logged, never sent.
    pub run: Arc<dyn Fn() -> Result<(), String> + Send + Sync>,
    /// How often each endpoint found it well, and how often not.
    found: Arc<[Found; ALL.len()]>,
}

/// How often something was well, and how often not.
#[derive(Default)]
struct Found {
    well: AtomicU64,
    ill: AtomicU64,
}

/// A health endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `/healthz`, which is older than the other two.
    Healthz,
    /// `/livez`: whether a restart would help.
    Livez,
    /// `/readyz`: whether requests may be sent here.
    Readyz,
}

impl Check {
    /// A check that nobody asked for yet.
    pub fn new(
        name: &'static str,
        asked_by: &'static [Endpoint],
        run: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        Self {
            name,
            asked_by,
            run: Arc::new(run),
            found: Arc::default(),
        }
    }

    /// Runs the check for an endpoint, which is counted.
    fn asked(&self, endpoint: Endpoint) -> Result<(), String> {
        let outcome = (self.run)();
        if let Some(found) = self.found.get(endpoint as usize) {
            let counter = match outcome {
                Ok(()) => &found.well,
                Err(_) => &found.ill,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
        outcome
    }
}

impl Endpoint {
    /// The endpoint's path.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Healthz => "/healthz",
            Self::Livez => "/livez",
            Self::Readyz => "/readyz",
        }
    }
    fn name(self) -> &'static str {
        match self {
            Self::Healthz => "healthz",
            Self::Livez => "livez",
            Self::Readyz => "readyz",
        }
    }
}

/// The answer to a GET of a health path; `None` when it is none. `query` is the raw query string.
pub fn answer(path: &str, query: &str, checks: &[Check]) -> Option<Response<Bytes>> {
    let mut parts = path.strip_prefix('/')?.splitn(2, '/');
    let first = parts.next()?;
    let endpoint = *ALL.iter().find(|endpoint| endpoint.name() == first)?;
    let asked: Vec<&Check> = checks
        .iter()
        .filter(|check| check.asked_by.contains(&endpoint))
        .collect();
    Some(match parts.next() {
        None => every(endpoint, query, &asked),
        Some(name) => match asked.iter().find(|check| check.name == name) {
            Some(check) => one(check),
            None => text(StatusCode::NOT_FOUND, "404 page not found\n".to_owned()),
        },
    })
}

/// How every check of every endpoint stands now and how it was found, as metrics for service level indicators.
///
/// Source: component-base `metrics/prometheus/slis`.
pub fn slis(checks: &[Check]) -> String {
    let (mut now, mut ever) = (Vec::new(), Vec::new());
    for check in checks {
        let value = u8::from((check.run)().is_ok());
        for endpoint in check.asked_by {
            let (name, of) = (check.name, endpoint.name());
            now.push(format!(
                "kubernetes_healthcheck{{name=\"{name}\",type=\"{of}\"}} {value}\n"
            ));
            let Some(found) = check.found.get(*endpoint as usize) else {
                continue;
            };
            for (status, counter) in [("error", &found.ill), ("success", &found.well)] {
                let count = counter.load(Ordering::Relaxed);
                if count > 0 {
                    ever.push(format!(
                        "kubernetes_healthchecks_total{{name=\"{name}\",status=\"{status}\",type=\"{of}\"}} {count}\n"
                    ));
                }
            }
        }
    }
    now.sort();
    ever.sort();
    [
        "# HELP kubernetes_healthcheck [STABLE] This metric records the result of a single healthcheck.\n\
         # TYPE kubernetes_healthcheck gauge\n",
        &now.concat(),
        "# HELP kubernetes_healthchecks_total [STABLE] This metric records the results of all healthcheck.\n\
         # TYPE kubernetes_healthchecks_total counter\n",
        &ever.concat(),
    ]
    .concat()
}

fn one(check: &Check) -> Response<Bytes> {
    match (check.run)() {
        Ok(()) => {
            let mut response = text(StatusCode::OK, "ok".to_owned());
            response.headers_mut().remove(X_CONTENT_TYPE_OPTIONS);
            response
        }
        Err(why) => text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("internal server error: {why}\n"),
        ),
    }
}

fn every(endpoint: Endpoint, query: &str, checks: &[&Check]) -> Response<Bytes> {
    let parameters: Vec<(&str, &str)> = query
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    let excluded: BTreeSet<&str> = parameters
        .iter()
        .filter(|(key, _)| *key == "exclude")
        .map(|(_, value)| *value)
        .collect();
    let (mut lines, mut is_well) = (String::new(), true);
    for check in checks {
        let name = check.name;
        if excluded.contains(name) {
            lines.extend(["[+]", name, " excluded: ok\n"]);
            continue;
        }
        match check.asked(endpoint) {
            Ok(()) => lines.extend(["[+]", name, " ok\n"]),
            Err(why) => {
                tracing::warn!(check = name, why, "health check failed");
                lines.extend(["[-]", name, " failed: reason withheld\n"]);
                is_well = false;
            }
        }
    }
    let unknown: Vec<String> = excluded
        .iter()
        .filter(|name| checks.iter().all(|check| check.name != **name))
        .map(|name| quote(name))
        .collect();
    if !unknown.is_empty() {
        let unknown = unknown.join(",");
        lines.extend([UNKNOWN, unknown.as_str(), "\n"]);
    }
    let name = endpoint.name();
    if !is_well {
        return text(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("{lines}{name} check failed\n"),
        );
    }
    if parameters.iter().any(|(key, _)| *key == "verbose") {
        text(StatusCode::OK, format!("{lines}{name} check passed\n"))
    } else {
        text(StatusCode::OK, "ok".to_owned())
    }
}

fn text(status: StatusCode, body: String) -> Response<Bytes> {
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TEXT));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The version that is served, without its patch.
pub(crate) fn binary_version() -> String {
    format!("1.{MINOR}")
}

/// What `/version` answers.
pub fn version() -> Value {
    json!({
        "major": "1",
        "minor": MINOR,
        "emulationMajor": "1",
        "emulationMinor": MINOR,
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": GIT_VERSION,
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "rustc",
        "platform": format!("linux/{}", architecture()),
    })
}

/// The machine's architecture in Go's words.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(path: &str, query: &str, is_store_well: bool) -> Option<String> {
        let store = Check::new("etcd", ALL, move || {
            let outcome = is_store_well.then_some(());
            outcome.ok_or_else(|| "disk full".to_owned())
        });
        let response = answer(path, query, &[ping(), store])?;
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        Some(format!("{} {body}", response.status().as_u16()))
    }

    #[test]
    fn every_check_of_every_endpoint_is_an_indicator() {
        let failing = Check::new("disk", &[Endpoint::Readyz], || Err("full".to_owned()));
        let checks = [ping(), failing];
        answer("/readyz", "", &checks).unwrap();
        answer("/readyz", "", &checks).unwrap();
        let text = slis(&checks);
        let values: Vec<&str> = text.lines().filter(|line| !line.starts_with('#')).collect();
        let wanted = [
            "kubernetes_healthcheck{name=\"disk\",type=\"readyz\"} 0",
            "kubernetes_healthcheck{name=\"ping\",type=\"healthz\"} 1",
            "kubernetes_healthcheck{name=\"ping\",type=\"livez\"} 1",
            "kubernetes_healthcheck{name=\"ping\",type=\"readyz\"} 1",
            "kubernetes_healthchecks_total{name=\"disk\",status=\"error\",type=\"readyz\"} 2",
            "kubernetes_healthchecks_total{name=\"ping\",status=\"success\",type=\"readyz\"} 2",
        ];
        assert_eq!(values, wanted);
    }

    #[test]
    fn answers_are_plain_text_as_upstream_words_them() {
        let ok = |path, query| show(path, query, true).unwrap();
        assert_eq!(ok("/readyz", ""), "200 ok");
        assert_eq!(ok("/livez/ping", ""), "200 ok");
        assert_eq!(
            ok("/readyz", "verbose"),
            "200 [+]ping ok\n[+]etcd ok\nreadyz check passed\n"
        );
        assert_eq!(
            ok("/readyz", "verbose=true&exclude=etcd&exclude=x"),
            "200 [+]ping ok\n[+]etcd excluded: ok\nwarn: some health checks cannot be excluded: no matches for \"x\"\nreadyz check passed\n"
        );
        for none in ["/healthz/none", "/healthz/", "/livez/ping/"] {
            assert_eq!(ok(none, ""), "404 404 page not found\n");
        }
        assert_eq!(show("/api", "", true), None);
    }

    #[test]
    fn failures_withhold_their_reason() {
        assert_eq!(
            show("/healthz", "", false).unwrap(),
            "500 [+]ping ok\n[-]etcd failed: reason withheld\nhealthz check failed\n"
        );
    }
}
