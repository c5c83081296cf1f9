//! Query parameters and the options they make, with upstream's refusals.

use std::collections::BTreeMap;
use std::num::{IntErrorKind, ParseIntError};
use std::time::Duration;

use meta::field::{FieldError, Path};
use meta::selector::{FieldSelector, LabelSelector};
use meta::{Object, ObjectExt, StatusError};
use serde_json::Value;

/// Decoded query parameters, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query(BTreeMap<String, Vec<String>>);

/// Whether Go reads a parameter; it drops those with a semicolon, and those whose escapes are none.
///
/// Source: `net/url` `parseQuery`.
fn is_readable(pair: &str) -> bool {
    let mut escapes = pair.split('%').skip(1);
    let is_escape = |rest: &str| {
        let digits = rest.as_bytes().get(..2).unwrap_or_default();
        digits.len() == 2 && digits.iter().all(u8::is_ascii_hexdigit)
    };
    !pair.contains(';') && escapes.all(is_escape)
}

impl Query {
    pub(crate) fn read(query: &str) -> Self {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        let readable = query.split('&').filter(|pair| is_readable(pair));
        let pairs = readable.flat_map(|pair| form_urlencoded::parse(pair.as_bytes()));
        for (key, value) in pairs {
            all.entry(key.into_owned())
                .or_default()
                .push(value.into_owned());
        }
        Self(all)
    }
    /// The first value of a parameter, or empty.
    pub(crate) fn text(&self, key: &str) -> &str {
        self.0
            .get(key)
            .and_then(|values| values.first())
            .map_or("", String::as_str)
    }
    /// Every value of a parameter.
    pub(crate) fn texts(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }
    /// Whether a parameter says yes, as Go's conversion reads it: anything but `false`, however written, and `0`.
    pub(crate) fn flag(&self, key: &str) -> bool {
        self.0
            .get(key)
            .and_then(|values| values.first())
            .is_some_and(|value| !value.eq_ignore_ascii_case("false") && value != "0")
    }
    /// How long the client gives the request; `None` when it does not say, or says no bound.
    ///
    /// # Errors
    /// It says what is no duration. Source: apiserver `filters/request_deadline.go`.
    pub(crate) fn timeout(&self) -> Result<Option<Duration>, StatusError> {
        let text = self.text("timeout");
        if text.is_empty() {
            return Ok(None);
        }
        let timeout = meta::time::parse_duration(text).map_err(|why| {
            StatusError::bad_request(format!(
                "invalid timeout specified in the request URL - {why}"
            ))
        })?;
        let timeout = Duration::try_from(timeout).unwrap_or_default();
        Ok(Some(timeout).filter(|timeout| !timeout.is_zero()))
    }
    /// Whether a parameter is there, be it empty.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }
    /// A whole number; absent is `None`, and nothing is no number.
    pub(crate) fn number(&self, key: &str) -> Result<Option<i64>, StatusError> {
        if !self.has(key) {
            return Ok(None);
        }
        let text = self.text(key);
        text.parse().map(Some).map_err(|error: ParseIntError| {
            let quoted = meta::field::quote(text);
            let why = match error.kind() {
                IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
                _ => "invalid syntax",
            };
            StatusError::bad_request(format!("strconv.ParseInt: parsing {quoted}: {why}"))
        })
    }
}

/// How strictly a body is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    Ignore,
    Warn,
    Strict,
}

/// Options of creates, updates and patches.
#[derive(Clone, Debug)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) field_manager: String,
    pub(crate) field_validation: FieldValidation,
    pub(crate) force: Option<bool>,
}

/// Longest field manager name, in bytes. Source: `metav1/validation`.
const FIELD_MANAGER_BYTES_MAX: usize = 128;

impl WriteOptions {
    /// Reads and checks; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn read(query: &Query, kind: &str) -> Result<Self, StatusError> {
        let mut errors = dry_run_errors(query.texts("dryRun"));
        let field_manager = query.text("fieldManager").to_owned();
        if field_manager.len() > FIELD_MANAGER_BYTES_MAX {
            errors.push(FieldError::too_long(
                &Path::new("fieldManager"),
                FIELD_MANAGER_BYTES_MAX,
            ));
        }
        errors.extend(unprintable(&field_manager));
        let field_validation = match query.text("fieldValidation") {
            "" | "Warn" => FieldValidation::Warn,
            "Ignore" => FieldValidation::Ignore,
            "Strict" => FieldValidation::Strict,
            other => {
                let known = ["", "Ignore", "Strict", "Warn"];
                errors.push(FieldError::not_supported(
                    &Path::new("fieldValidation"),
                    other,
                    &known,
                ));
                FieldValidation::Strict
            }
        };
        refuse(kind, &errors)?;
        let force = query.has("force").then(|| query.flag("force"));
        Ok(Self {
            dry_run: !query.texts("dryRun").is_empty(),
            field_manager,
            field_validation,
            force,
        })
    }
}

/// Characters that cannot be printed, with their place. Source: `metav1/validation` `ValidateFieldManager`.
fn unprintable(manager: &str) -> Vec<FieldError> {
    let found = manager.char_indices();
    let found = found.filter(|(_, c)| c.is_control() || (c.is_whitespace() && *c != ' '));
    found
        .map(|(at, c)| {
            let code = u32::from(c);
            let why = format!("invalid character U+{code:04X} (at position {at})");
            FieldError::invalid(&Path::new("fieldManager"), manager, why)
        })
        .collect()
}

fn refuse(kind: &str, errors: &[FieldError]) -> Result<(), StatusError> {
    if errors.is_empty() {
        Ok(())
    } else {
        Err(StatusError::invalid("meta.k8s.io", kind, "", errors))
    }
}

fn dry_run_errors(values: &[String]) -> Vec<FieldError> {
    if values.iter().all(|value| value == "All") {
        return Vec::new();
    }
    vec![FieldError::not_supported(
        &Path::new("dryRun"),
        values.to_vec(),
        &["All"],
    )]
}

/// What becomes of dependents when an object is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// Options of deletes.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) dry_run: bool,
    pub(crate) grace_seconds: Option<i64>,
    pub(crate) propagation: Option<Propagation>,
    /// The deprecated `orphanDependents`, as it came.
    pub(crate) orphans: Option<bool>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
}

impl DeleteOptions {
    /// What the client is warned of when it does not say what becomes of dependents.
    pub(crate) fn warnings(&self, kind: &kinds::Kind) -> Vec<String> {
        let is_silent = self.propagation.is_none() && self.orphans.is_none();
        let warning = kind.strategy.deletion_warning().filter(|_| is_silent);
        warning.map(str::to_owned).into_iter().collect()
    }
    /// Reads the body, or the query when there is none.
    pub(crate) fn read(query: &Query, body: Option<&Object>) -> Result<Self, StatusError> {
        let orphan = match body {
            Some(body) => body.bool_at(&["orphanDependents"]),
            None => query
                .has("orphanDependents")
                .then(|| query.flag("orphanDependents")),
        };
        let grace_seconds = match body {
            Some(body) => body.int_at(&["gracePeriodSeconds"]),
            None => query.number("gracePeriodSeconds")?,
        };
        let dry_run: Vec<String> = match body {
            Some(body) => body
                .list_at(&["dryRun"])
                .iter()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect(),
            None => query.texts("dryRun").to_vec(),
        };
        let mut errors = dry_run_errors(&dry_run);
        let policy = match body {
            Some(body) => body.str_at(&["propagationPolicy"]),
            None => query
                .has("propagationPolicy")
                .then(|| query.text("propagationPolicy")),
        };
        let propagation = match (policy, orphan) {
            (None, None) => None,
            (None, Some(false)) | (Some("Background"), None) => Some(Propagation::Background),
            (Some("Foreground"), None) => Some(Propagation::Foreground),
            (None, Some(true)) | (Some("Orphan"), None) => Some(Propagation::Orphan),
            (Some(policy), Some(_)) => {
                let why = "orphanDependents and deletionPropagation cannot be both set";
                errors.push(FieldError::invalid(
                    &Path::new("propagationPolicy"),
                    policy,
                    why,
                ));
                None
            }
            (Some(policy), None) => {
                let known = ["Foreground", "Background", "Orphan", "nil"];
                errors.push(FieldError::not_supported(
                    &Path::new("propagationPolicy"),
                    policy,
                    &known,
                ));
                None
            }
        };
        refuse("DeleteOptions", &errors)?;
        let precondition = |field: &str| {
            body.and_then(|body| body.str_at(&["preconditions", field]))
                .map(str::to_owned)
        };
        Ok(Self {
            dry_run: !dry_run.is_empty(),
            grace_seconds,
            propagation,
            orphans: orphan,
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
        })
    }
}

/// How a requested revision is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// The latest state.
    Latest,
    /// Any state; the latest is one.
    Any,
    /// This state or a later one.
    NotOlderThan(u64),
    /// Exactly this state.
    Exact(u64),
}

/// Options of lists and watches.
#[derive(Clone, Debug)]
pub(crate) struct ListOptions {
    pub(crate) labels: LabelSelector,
    pub(crate) fields: FieldSelector,
    pub(crate) at: At,
    pub(crate) limit: Option<usize>,
    pub(crate) next: String,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) allows_bookmarks: bool,
    pub(crate) sends_initial_events: bool,
    /// `resourceVersion` as it came; watches read it differently.
    pub(crate) resource_version: String,
}

impl ListOptions {
    pub(crate) fn read(query: &Query, is_watch: bool) -> Result<Self, StatusError> {
        // Upstream reads all of the query before it understands any of it.
        let timeout = query
            .number("timeoutSeconds")?
            .filter(|seconds| *seconds != 0);
        let limit = query
            .number("limit")?
            .and_then(|limit| usize::try_from(limit).ok())
            .filter(|limit| *limit > 0);
        let labels =
            LabelSelector::parse(query.text("labelSelector")).map_err(StatusError::bad_request)?;
        let fields =
            FieldSelector::parse(query.text("fieldSelector")).map_err(StatusError::bad_request)?;
        let (version, matching) = (
            query.text("resourceVersion"),
            query.text("resourceVersionMatch"),
        );
        let next = query.text("continue").to_owned();
        let sends_initial_events = if query.has("sendInitialEvents") || !matching.is_empty() {
            query.flag("sendInitialEvents")
        } else {
            // Source: apimachinery `SetListOptionsDefaults`.
            is_watch && matches!(version, "" | "0")
        };
        let check = if is_watch { watch_errors } else { match_errors };
        refuse("ListOptions", &check(query, version, matching, &next))?;
        Ok(Self {
            labels,
            fields,
            // A later page is read where its token says.
            at: if is_watch || !next.is_empty() {
                At::Latest
            } else {
                read_at(version, matching, limit.is_some())?
            },
            limit,
            next,
            // What is below zero has passed.
            timeout_seconds: timeout.map(|seconds| u64::try_from(seconds).unwrap_or_default()),
            allows_bookmarks: query.flag("allowWatchBookmarks"),
            sends_initial_events,
            resource_version: version.to_owned(),
        })
    }
}

/// Source: apimachinery `internalversion/validation` `ValidateListOptions`.
fn match_errors(query: &Query, version: &str, matching: &str, next: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let path = Path::new("resourceVersionMatch");
    let mut forbid = |why: &str| errors.push(FieldError::forbidden(&path, why));
    if !matching.is_empty() && version.is_empty() {
        forbid("resourceVersionMatch is forbidden unless resourceVersion is provided");
    }
    if !matching.is_empty() && !next.is_empty() {
        forbid("resourceVersionMatch is forbidden when continue is provided");
    }
    if !matches!(matching, "" | "Exact" | "NotOlderThan") {
        errors.push(FieldError::not_supported(
            &path,
            matching,
            &["Exact", "NotOlderThan", ""],
        ));
    }
    if matching == "Exact" && version == "0" {
        errors.push(FieldError::forbidden(
            &path,
            "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"",
        ));
    }
    if query.has("sendInitialEvents") {
        errors.push(FieldError::forbidden(
            &Path::new("sendInitialEvents"),
            "sendInitialEvents is forbidden for list",
        ));
    }
    errors
}

/// Source: apimachinery `internalversion/validation` `validateWatchOptions`, after `SetListOptionsDefaults`, by which a
/// watch of any state asks for initial events.
fn watch_errors(query: &Query, version: &str, matching: &str, next: &str) -> Vec<FieldError> {
    let path = Path::new("resourceVersionMatch");
    let says_events = query.has("sendInitialEvents");
    let is_plain = !says_events && matching.is_empty();
    let matching = match version {
        "" | "0" if is_plain => "NotOlderThan",
        _ if is_plain => return Vec::new(),
        _ => matching,
    };
    let mut errors = Vec::new();
    let mut forbid = |why: &str| errors.push(FieldError::forbidden(&path, why));
    if says_events && matching != "NotOlderThan" {
        forbid("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
    }
    if !says_events && !is_plain {
        forbid("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
    }
    if !matches!(matching, "" | "NotOlderThan") {
        let known = ["NotOlderThan"];
        errors.push(FieldError::not_supported(&path, matching, &known));
    }
    if !matching.is_empty() && !next.is_empty() {
        let why = "resourceVersionMatch is forbidden when continue is provided";
        errors.push(FieldError::forbidden(&path, why));
    }
    errors
}

fn read_at(version: &str, matching: &str, has_limit: bool) -> Result<At, StatusError> {
    match (version, matching) {
        ("", _) => Ok(At::Latest),
        ("0", _) => Ok(At::Any),
        (version, matching) => {
            let number = parse_revision(version).map_err(|error| {
                // `ValidateListOptions` of upstream's storage; watches give the bare error.
                StatusError::bad_request(format!("invalid resource version: {}", error.0.message))
            })?;
            // Upstream reads a limited list of a given version without a match rule as exact.
            let is_exact = matching == "Exact" || (matching.is_empty() && has_limit);
            Ok(if is_exact {
                At::Exact(number)
            } else {
                At::NotOlderThan(number)
            })
        }
    }
}

/// Reads a number as Go does, with its complaints.
pub(crate) fn parse_uint(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| {
        let quoted = meta::field::quote(text);
        let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let why = if is_number {
            "value out of range"
        } else {
            "invalid syntax"
        };
        format!("strconv.ParseUint: parsing {quoted}: {why}")
    })
}

/// Reads a resource version.
pub(crate) fn parse_revision(text: &str) -> Result<u64, StatusError> {
    parse_uint(text).map_err(|why| {
        let error = FieldError::invalid(&Path::new("resourceVersion"), text, why);
        StatusError::new(500, "", error.to_string())
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_go_cannot_read_of_a_query_is_not_there() {
        let query = Query::read("limit=1;a=b&labelSelector=%zz&watch=%31&x=%4&y=a%3Db");
        let texts = ["limit", "labelSelector", "watch", "x", "y"].map(|key| query.text(key));
        assert_eq!(texts, ["", "", "1", "", "a=b"]);
    }

    #[test]
    fn a_body_hides_the_options_of_a_delete_in_the_query() {
        let query = Query::read("dryRun=All&propagationPolicy=Orphan");
        let read = |body: Option<&Object>| DeleteOptions::read(&query, body).unwrap();
        let alone = read(None);
        assert!(alone.dry_run && alone.propagation == Some(Propagation::Orphan));
        let hidden = read(Some(&json!({"gracePeriodSeconds": 1})));
        assert!(!hidden.dry_run && hidden.propagation.is_none());
    }

    #[test]
    fn numbers_are_refused_as_go_refuses_them() {
        let said = |text: &str| parse_uint(text).unwrap_err();
        assert_eq!(parse_uint("7"), Ok(7));
        assert_eq!(
            said("x"),
            r#"strconv.ParseUint: parsing "x": invalid syntax"#
        );
        assert_eq!(
            said("99999999999999999999"),
            r#"strconv.ParseUint: parsing "99999999999999999999": value out of range"#
        );
    }
}
