//! GET of a collection: consistent at one revision, in pages.

mod answer;

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use base64::{DecodeError, Engine};
use http::Response;
use meta::StatusError;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Key, Page, Range, Revision, Shared, StoreError};
use wire::list::Head;

use crate::call::Call;
use crate::metrics::Listed;
use crate::options::{At, ListOptions};
use crate::selection::Selection;
use crate::stored::{self, Item};

pub(super) use answer::answer;
pub(crate) use answer::answer_items;

/// The objects of one page, as the row's bytes.
pub(super) struct Selected {
    pub(super) items: Vec<Item>,
    pub(super) head: Head,
}

pub(super) async fn list(call: &Call) -> Result<Response<Body>, StatusError> {
    let mut options = ListOptions::read(&call.query, false)?;
    if options.resource_version == "0" && call.kind.strategy.is_cached() {
        // Source: apiserver `storage/cacher` `computeListLimit`.
        options.limit = None;
    }
    let selection = Selection::read(&options, call, &call.info.name)?;
    let selected = select(call, &options, &selection).await?;
    answer(call, selected).await
}

/// Source: apiserver `storage/etcd3` `interpretListError`.
const TOO_OLD: &str = "The resourceVersion for the provided list is too old.";

/// What a continue token holds. Source: apiserver `storage/continue.go`, version `meta.k8s.io/v1`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

const TOKEN_VERSION: &str = "meta.k8s.io/v1";

/// How tokens are written. Go's decoder takes bits that no byte needs, so they are taken here.
const TOKEN_LETTERS: GeneralPurpose =
    GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// Reads the selected objects of a page.
pub(super) async fn select(
    call: &Call,
    options: &ListOptions,
    selection: &Selection,
) -> Result<Selected, StatusError> {
    let kind = &call.kind;
    let resource = kind.storage_resource().to_string();
    let (namespace, name) = selection.place(kind, &call.info.namespace);
    let token = if options.next.is_empty() {
        None
    } else {
        let token = read_token(&options.next)?;
        // Source: apiserver `storage.ValidateListOptions`.
        if !matches!(options.resource_version.as_str(), "" | "0") {
            let why = "specifying resource version is not allowed when using continue";
            return Err(StatusError::bad_request(why));
        }
        Some(token)
    };
    let mut range = Range {
        namespace,
        name,
        terms: selection.terms(kind),
        ..Range::all(resource)
    };
    match &token {
        Some(token) => {
            let (namespace, name) = token
                .start
                .split_once('/')
                .unwrap_or(("", token.start.as_str()));
            range.after = Some((namespace.into(), name.into()));
            range.at = u64::try_from(token.rv).ok().map(Revision);
        }
        None => range.at = settle_revision(call, options.at).await?,
    }
    if selection.is_indexed(kind) {
        range.limit = options.limit;
    }
    let pages_from = range.after.clone();
    let page = match call.server.config().store.range(range).await {
        Ok(page) => page,
        Err(StoreError::Compacted { .. }) if token.is_some() => {
            return Err(expired_token(pages_from));
        }
        Err(StoreError::Compacted { .. }) => {
            return Err(StatusError::expired(TOO_OLD));
        }
        Err(StoreError::Future { asked, latest }) if token.is_some() => {
            return Err(too_large_version(asked.0, latest, 0));
        }
        Err(error) => return Err(stored::refusal(kind, &error)),
    };
    let mut selected = take(call, options, selection, &page)?;
    go_on_behind(call, selection, page.revision, &mut selected).await?;
    Ok(selected.page)
}

/// Upstream looks for a next page among all that lies behind the last object, selected or not.
async fn go_on_behind(
    call: &Call,
    selection: &Selection,
    revision: Revision,
    taken: &mut Taken,
) -> Result<(), StatusError> {
    let Some(last) = taken
        .filled_by
        .take()
        .filter(|_| taken.page.head.next.is_empty())
    else {
        return Ok(());
    };
    let kind = &call.kind;
    let (namespace, name) = selection.place(kind, &call.info.namespace);
    let behind = Range {
        namespace,
        name,
        terms: selection.field_terms(kind),
        after: Some((Arc::clone(&last.namespace), Arc::clone(&last.name))),
        at: Some(revision),
        limit: Some(1),
        ..Range::all(kind.storage_resource().to_string())
    };
    let store = &call.server.config().store;
    let goes_on = match store.range(behind).await {
        Ok(behind) => !behind.entries.is_empty(),
        // Gone meanwhile. Who asks for the next page is told so, and how to go on.
        Err(StoreError::Compacted { .. }) => true,
        Err(error) => return Err(stored::refusal(kind, &error)),
    };
    if goes_on {
        taken.page.head.next = write_token(revision, &last);
    }
    Ok(())
}

/// The revision to read at, once it has happened.
async fn settle_revision(call: &Call, at: At) -> Result<Option<Revision>, StatusError> {
    let current = call.server.config().store.revision();
    match at {
        At::Latest | At::Any => Ok(None),
        At::Exact(wanted) if Revision(wanted) > current => {
            Err(too_large_version(wanted, current, 0))
        }
        At::Exact(wanted) => Ok(Some(Revision(wanted))),
        At::NotOlderThan(wanted) => settle(call, wanted).await.map(|()| None),
    }
}

/// Waits until a revision has happened, where upstream's cache would wait for it.
pub(super) async fn settle(call: &Call, wanted: u64) -> Result<(), StatusError> {
    let store = &call.server.config().store;
    if Revision(wanted) <= store.revision() {
        return Ok(());
    }
    if !call.kind.strategy.is_cached() {
        return Err(too_large_version(wanted, store.revision(), 0));
    }
    let wait = Duration::from_millis(call.server.config().limits.revision_wait_ms);
    let waited = tokio::time::timeout(wait, store.wait_for(Revision(wanted))).await;
    waited
        .map_err(|_| too_large_version(wanted, store.revision(), RETRY_AFTER_SECONDS))?
        .map_err(StatusError::internal)
}

/// Source: apiserver `storage/cacher` `resourceVersionTooHighRetrySeconds`.
const RETRY_AFTER_SECONDS: u16 = 1;

/// Source: apiserver `storage.NewTooLargeResourceVersionError`.
fn too_large_version(wanted: u64, current: Revision, retry_after_seconds: u16) -> StatusError {
    let current = current.0;
    let mut error = StatusError::new(
        504,
        "Timeout",
        format!("Timeout: Too large resource version: {wanted}, current: {current}"),
    );
    error.0.details = Some(meta::status::Details {
        causes: vec![meta::status::Cause {
            reason: "ResourceVersionTooLarge".into(),
            message: "Too large resource version".into(),
            field: String::new(),
        }],
        retry_after_seconds,
        ..meta::status::Details::default()
    });
    error
}

/// A page that was cut, and the object that filled it.
struct Taken {
    page: Selected,
    filled_by: Option<Key>,
}

/// Filters a page and cuts it at the limit.
fn take(
    call: &Call,
    options: &ListOptions,
    selection: &Selection,
    page: &Page,
) -> Result<Taken, StatusError> {
    let kind = &call.kind;
    let limit = options.limit.unwrap_or(usize::MAX);
    let is_indexed = selection.is_indexed(kind);
    let mut items = Vec::with_capacity(page.entries.len().min(limit));
    let mut last: Option<&Shared> = None;
    let mut has_more = page.more;
    let (fetched, mut evaluated) = (page.entries.len(), 0);
    for entry in &page.entries {
        evaluated += 1;
        let item = stored::item(kind, entry)?;
        if !(is_indexed || selection.selects(kind, &entry.key, &item)) {
            continue;
        }
        if items.len() == limit {
            has_more = true;
            break;
        }
        items.push(item);
        last = Some(entry);
    }
    let listed = Listed {
        fetched,
        evaluated,
        returned: items.len(),
    };
    let storage = &call.server.metrics().storage;
    storage.listed(&kind.storage_resource().to_string(), listed);
    let next = last
        .filter(|_| has_more)
        .map(|last| write_token(page.revision, &last.key))
        .unwrap_or_default();
    let remaining = (has_more && selection.is_everything()).then_some(page.remaining);
    let head = Head {
        api_version: kind.api_version(),
        kind: kind.list_kind.to_string(),
        revision: page.revision.0,
        next,
        remaining,
    };
    let filled_by = last.filter(|_| items.len() == limit && !selection.is_everything());
    Ok(Taken {
        filled_by: filled_by.map(|last| last.key.clone()),
        page: Selected { items, head },
    })
}

fn write_token(revision: Revision, last: &Key) -> String {
    let start = format!("{}/{}", last.namespace, last.name);
    let rv = i64::try_from(revision.0).unwrap_or(i64::MAX);
    let token = Token {
        v: TOKEN_VERSION.into(),
        rv,
        start,
    };
    TOKEN_LETTERS.encode(serde_json::to_vec(&token).unwrap_or_default())
}

fn read_token(text: &str) -> Result<Token, StatusError> {
    let why = match token_of(text) {
        Ok(token) if token.v != TOKEN_VERSION => format!(
            ": server does not recognize this encoded version {}",
            token.v
        ),
        Ok(Token { rv: 0, .. }) => {
            format!(": incorrect encoded start resourceVersion (version {TOKEN_VERSION})")
        }
        Ok(token) if token.start.is_empty() => {
            format!(": encoded start key empty (version {TOKEN_VERSION})")
        }
        Ok(token) if !is_clean(&token.start) => format!(": {}", token.start),
        Ok(token) => return Ok(token),
        Err(why) => format!(": {why}"),
    };
    Err(StatusError::bad_request(format!(
        "invalid continue token: continue key is not valid{why}"
    )))
}

/// Whether a start, which is not empty, leads nowhere but down. Source: apiserver `storage.DecodeContinue`, Go's `path.Clean`.
fn is_clean(start: &str) -> bool {
    let mut parts = start.strip_prefix('/').unwrap_or(start).split('/');
    start == "/" || parts.all(|part| !matches!(part, "" | "." | ".."))
}

/// What is written in a token; else why it cannot be read, in Go's words.
fn token_of(text: &str) -> Result<Token, String> {
    // Go passes over ends of lines, wherever they stand.
    let letters: String = text.split(['\r', '\n']).collect();
    let bytes = TOKEN_LETTERS.decode(&letters).map_err(|error| {
        let at = match error {
            DecodeError::InvalidByte(at, _) | DecodeError::InvalidLastSymbol(at, _) => at,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => {
                let padding = letters.find('=');
                padding.unwrap_or(letters.len() / 4 * 4)
            }
        };
        format!("illegal base64 data at input byte {at}")
    })?;
    let value = wire::json::read(&bytes)?.value;
    if let Some(why) = mistyped(&value) {
        return Err(format!("json: cannot unmarshal {why}"));
    }
    if value.is_null() {
        return Ok(Token::default());
    }
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// What Go says of a token whose fields are of other types than upstream's.
fn mistyped(value: &Value) -> Option<String> {
    let sort = meta::go::json_kind(value);
    let fields = match value {
        Value::Null => return None,
        Value::Object(fields) => fields,
        _ => {
            return Some(format!(
                "{sort} into Go value of type storage.continueToken"
            ));
        }
    };
    fields.iter().find_map(|(name, value)| {
        let (wanted, is_good) = match name.as_str() {
            "v" | "start" => ("string", value.is_string()),
            "rv" => ("int64", value.is_i64()),
            _ => return None,
        };
        let sort = match value {
            Value::Number(number) if wanted == "int64" => format!("number {number}"),
            _ => meta::go::json_kind(value).to_owned(),
        };
        let why = || format!("{sort} into Go struct field continueToken.{name} of type {wanted}");
        (!is_good && !value.is_null()).then(why)
    })
}

/// What a token says instead of a revision to be answered at the latest, whenever it comes.
///
/// Source: apiserver `storage/etcd3` `handleCompactedErrorForPaging`.
const AT_LATEST: i64 = -1;

/// 410 for a page whose revision is gone, with a token that goes on inconsistently at the latest one.
fn expired_token(after: Option<(Arc<str>, Arc<str>)>) -> StatusError {
    let why = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
    let mut error = StatusError::expired(why);
    let (namespace, name) = after.unwrap_or_default();
    let token = Token {
        v: TOKEN_VERSION.into(),
        rv: AT_LATEST,
        start: format!("{namespace}/{name}"),
    };
    let text = TOKEN_LETTERS.encode(serde_json::to_vec(&token).unwrap_or_default());
    error.0.metadata.insert("continue".into(), text.into());
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_survives_its_journey() {
        let key = Key::new("pods", "web", "a");
        let token = read_token(&write_token(Revision(7), &key)).unwrap();
        assert_eq!((token.rv, token.start.as_str()), (7, "web/a"));
    }

    #[test]
    fn a_token_that_cannot_be_read_is_refused_in_upstreams_words() {
        let written = |token: &str| TOKEN_LETTERS.encode(token);
        for (text, why) in [
            ("x".to_owned(), ": illegal base64 data at input byte 0"),
            ("a b".to_owned(), ": illegal base64 data at input byte 1"),
            (
                "xx".to_owned(),
                ": invalid character 'Ç' looking for beginning of value",
            ),
            (
                written("{}"),
                ": server does not recognize this encoded version ",
            ),
            (
                written(r#"{"v":"v2","rv":1,"start":"a"}"#),
                ": server does not recognize this encoded version v2",
            ),
            (
                written(r#"{"v":"meta.k8s.io/v1","rv":0,"start":"a"}"#),
                ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ),
            (
                written(r#"{"v":"meta.k8s.io/v1","rv":1,"start":""}"#),
                ": encoded start key empty (version meta.k8s.io/v1)",
            ),
            (
                written(r#"{"v":"meta.k8s.io/v1","rv":1,"start":"../x"}"#),
                ": ../x",
            ),
            ("e30=".to_owned(), ": illegal base64 data at input byte 3"),
            (
                format!("{}\n", written("[]")),
                ": json: cannot unmarshal array into Go value of type storage.continueToken",
            ),
            (
                written(r#"{"v":"meta.k8s.io/v1","rv":"1","start":"a"}"#),
                ": json: cannot unmarshal string into Go struct field continueToken.rv of type int64",
            ),
            (
                written(r#"{"v":"meta.k8s.io/v1","rv":1.5,"start":"a"}"#),
                ": json: cannot unmarshal number 1.5 into Go struct field continueToken.rv of type int64",
            ),
            (
                written(r#"{"v":1,"rv":1,"start":"a"}"#),
                ": json: cannot unmarshal number into Go struct field continueToken.v of type string",
            ),
            (
                written("null"),
                ": server does not recognize this encoded version ",
            ),
        ] {
            let refused = read_token(&text).err().unwrap();
            let told = format!("invalid continue token: continue key is not valid{why}");
            assert_eq!((refused.code(), refused.to_string()), (400, told));
        }
    }
}
