//! URLs of webhooks, read as Go reads them. Source: Go's `net/url` `Parse`, `ValidateWebhookURL`.

use meta::FieldError;
use meta::field::quote;

use crate::check::{Errors, Node};

const FORM: &str = "; desired format: https://host[/path]";

/// What of a URL the rules look at.
#[derive(Debug, Default, PartialEq)]
struct Url<'a> {
    scheme: String,
    user: Option<&'a str>,
    host: &'a str,
    query: &'a str,
    fragment: &'a str,
}

/// A URL names a host by HTTPS and little else.
pub(super) fn url(client: &Node<'_>, errors: &mut Errors) {
    let path = client.at("url");
    let url = match parse(client.text("url")) {
        Ok(url) => url,
        Err(why) => {
            let why = format!("url must be a valid URL: {why}{FORM}");
            errors.push(FieldError::required(&path, why));
            return;
        }
    };
    let mut wrong = |value: &str, why: &str| errors.push(FieldError::invalid(&path, value, why));
    if url.scheme != "https" {
        let why = format!("'https' is the only allowed URL scheme{FORM}");
        wrong(&url.scheme, &why);
    }
    if url.host.is_empty() {
        wrong("", &format!("host must be specified{FORM}"));
    }
    if let Some(user) = url.user {
        wrong(user, "user information is not permitted in the URL");
    }
    if !url.fragment.is_empty() {
        wrong(url.fragment, "fragments are not permitted in the URL");
    }
    if !url.query.is_empty() {
        wrong(url.query, "query parameters are not permitted in the URL");
    }
}

fn parse(whole: &str) -> Result<Url<'_>, String> {
    let (text, fragment) = whole.split_once('#').unwrap_or((whole, ""));
    let mut url = parts(text).map_err(|why| format!("parse {}: {why}", quote(text)))?;
    escapes(fragment).map_err(|why| format!("parse {}: {why}", quote(whole)))?;
    url.fragment = fragment;
    Ok(url)
}

/// Everything but the fragment.
fn parts(text: &str) -> Result<Url<'_>, String> {
    if text.bytes().any(|byte| byte.is_ascii_control()) {
        return Err("net/url: invalid control character in URL".to_owned());
    }
    let (scheme, rest) = scheme(text)?;
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut url = Url {
        scheme: scheme.to_lowercase(),
        query,
        ..Url::default()
    };
    if !rest.starts_with('/') {
        let first = rest.split('/').next().unwrap_or_default();
        if !scheme.is_empty() {
            return Ok(url);
        }
        if first.contains(':') {
            return Err("first path segment in URL cannot contain colon".to_owned());
        }
    }
    let has_host = !scheme.is_empty() || !rest.starts_with("///");
    let path = match rest.strip_prefix("//").filter(|_| has_host) {
        Some(rest) => {
            let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
            (url.user, url.host) = self::authority(authority)?;
            path
        }
        None => rest,
    };
    escapes(path)?;
    Ok(url)
}

/// The scheme, empty when there is none, and what follows.
fn scheme(text: &str) -> Result<(&str, &str), String> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    let (scheme, rest) = text.split_at(end);
    match rest.strip_prefix(':') {
        Some(_) if scheme.is_empty() => Err("missing protocol scheme".to_owned()),
        Some(rest) if scheme.starts_with(|c: char| c.is_ascii_alphabetic()) => Ok((scheme, rest)),
        _ => Ok(("", text)),
    }
}

/// The user, if any, and the host with its port.
fn authority(text: &str) -> Result<(Option<&str>, &str), String> {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (Some(user), host),
        None => (None, text),
    };
    self::host(host)?;
    if let Some(user) = user {
        let is_sound = |c: char| c.is_ascii_alphanumeric() || "-._:~!$&'()*+,;=%@".contains(c);
        if !user.chars().all(is_sound) {
            return Err("net/url: invalid userinfo".to_owned());
        }
        escapes(user)?;
    }
    Ok((user, host))
}

fn host(host: &str) -> Result<(), String> {
    let port = if host.starts_with('[') {
        let end = host.rfind(']').ok_or("missing ']' in host")?;
        host.get(end + 1..).unwrap_or_default()
    } else {
        host.rfind(':')
            .and_then(|at| host.get(at..))
            .unwrap_or_default()
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    let is_port = port.is_empty() || port.starts_with(':');
    if !is_port || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(format!("invalid port {} after host", quote(port)));
    }
    escapes(host)?;
    let is_sound = |c: char| {
        !c.is_ascii() || c.is_ascii_alphanumeric() || "!$&'()*+,;=:[]<>\"-_.~%".contains(c)
    };
    match host.chars().find(|c| !is_sound(*c)) {
        None => Ok(()),
        Some(c) => {
            let shown = quote(&c.to_string());
            Err(format!("invalid character {shown} in host name"))
        }
    }
}

/// A percent sign has two hexadecimal digits behind it. Source: Go's `net/url` `unescape`.
fn escapes(text: &str) -> Result<(), String> {
    for (at, _) in text.match_indices('%') {
        let rest = text.get(at..).unwrap_or_default();
        let digits = rest.bytes().skip(1).take(2);
        if digits.filter(u8::is_ascii_hexdigit).count() < 2 {
            let shown: String = rest.chars().take(3).collect();
            return Err(format!("invalid URL escape {}", quote(&shown)));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_go_reads_them() {
        for (text, why) in [
            (
                "https://a b/",
                r#"parse "https://a b/": invalid character " " in host name"#,
            ),
            ("5%", r#"parse "5%": invalid URL escape "%""#),
            (
                "https://a/%zz",
                r#"parse "https://a/%zz": invalid URL escape "%zz""#,
            ),
            (
                "https://a:x",
                r#"parse "https://a:x": invalid port ":x" after host"#,
            ),
            (":", r#"parse ":": missing protocol scheme"#),
            (
                "1a:b/c",
                r#"parse "1a:b/c": first path segment in URL cannot contain colon"#,
            ),
        ] {
            assert_eq!(parse(text).unwrap_err(), why);
        }
        let url = parse("HTTPS://u:p@a:1/b?x=y#f").unwrap();
        assert_eq!((url.scheme.as_str(), url.user), ("https", Some("u:p")));
        assert_eq!((url.host, url.query, url.fragment), ("a:1", "x=y", "f"));
        assert_eq!(parse("https://[::1]:8/").unwrap().host, "[::1]:8");
        assert_eq!(parse("https:a").unwrap().host, "");
        assert_eq!(parse("//a").unwrap().host, "a");
    }
}
