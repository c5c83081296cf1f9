//! OpenID Connect: who stands behind a token that an issuer elsewhere signed.
//!
//! Claims that are distributed (`_claim_sources` with an endpoint) are not fetched: who would get groups from one is refused.
//!
//! Source: apiserver `plugin/pkg/authenticator/token/oidc`, and go-oidc's `verify.go`, which it stands on.

mod flags;
mod key;
mod token;

use std::collections::BTreeMap;

use jiff::Timestamp;
use kinds::strategy::User;
use meta::field::quote;
use serde_json::{Map, Value};

use crate::user;

pub use flags::{ALGORITHM, Flags, FlagsError, USERNAME_CLAIM};
pub use key::{Curve, Key, read_keys};
pub use token::{Algorithm, Claims, Token};

/// How far the issuer's clock may be ahead, in seconds, for a token that is not valid yet; none is given at its end.
///
/// Source: go-oidc `IDTokenVerifier.Verify`.
const NOT_BEFORE_LEEWAY_SECONDS: i64 = 60;
/// When a token ends that says nothing of it: Go's zero time.
const YEAR_ONE: i64 = -62_135_596_800;
/// Where the numbers end that Go takes for seconds: 2^63.
const SECONDS_MAX: f64 = 9_223_372_036_854_775_808.0;
/// How Google names itself in old tokens, and in its own discovery.
const GOOGLE: (&str, &str) = ("accounts.google.com", "https://accounts.google.com");

/// An issuer of tokens, and what its claims mean here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// Its URL: what `iss` says, and where its discovery document is found.
    pub url: String,
    client_id: String,
    username_claim: String,
    username_prefix: String,
    /// Empty when no claim names groups.
    groups_claim: String,
    groups_prefix: String,
    required_claims: BTreeMap<String, String>,
    algorithms: Vec<Algorithm>,
}

impl Issuer {
    /// Reads a token that claims to be of this issuer; nothing of it is verified. `None` for what is another's, or no token.
    ///
    /// # Errors
    /// Why it cannot be verified.
    pub fn read<'a>(&self, text: &'a str) -> Option<Result<Token<'a>, String>> {
        let parts = token::split(text)?;
        let claims = token::decoded(parts.claims)?;
        let issuer = claims.get("iss")?.as_str()?;
        if whole(issuer) != self.url {
            return None;
        }
        let token = Token::read(parts, claims, &self.algorithms);
        Some(token.map_err(|why| format!("oidc: verify token: {why}")))
    }

    /// The user whom verified claims name at a time.
    ///
    /// # Errors
    /// Why nobody is named; for logs and TokenReview, not for the client.
    pub fn user_of(&self, claims: &Claims, now: Timestamp) -> Result<User, String> {
        let claims = claims.as_map();
        self.check(claims, now)
            .map_err(|why| format!("oidc: verify token: {why}"))?;
        self.check_sources(claims)
            .map_err(|why| format!("oidc: could not expand distributed claims: {why}"))?;
        let name = self.username(claims)?;
        let groups = self.groups(claims)?;
        let groups: Vec<&str> = groups.iter().map(String::as_str).collect();
        self.check_required(claims)?;
        let mut user = user::user(&name, &groups);
        let id = claims.get("jti").and_then(Value::as_str);
        if let Some(id) = id.filter(|id| !id.is_empty()) {
            let key = user::CREDENTIAL_ID.to_owned();
            user.extra.insert(key, vec![format!("JTI={id}")]);
        }
        Ok(user)
    }

    /// What holds for every token: who it is for, and when.
    fn check(&self, claims: &Map<String, Value>, now: Timestamp) -> Result<(), String> {
        let unreadable = |why| format!("oidc: failed to unmarshal claims: {why}");
        for claim in ["sub", "nonce", "at_hash"] {
            let given = claims.get(claim).map_or(Ok(""), text);
            given.map_err(unreadable)?;
        }
        let audiences = claims.get("aud").map_or(Ok(Vec::new()), texts);
        let audiences = audiences.map_err(unreadable)?;
        let at = |claim: &str| claims.get(claim).map(seconds).transpose();
        let end = at("exp").map_err(unreadable)?;
        at("iat").map_err(unreadable)?;
        let start = claims.get("nbf").filter(|start| !start.is_null());
        let start = start.map(seconds).transpose().map_err(unreadable)?;
        if !audiences.contains(&self.client_id) {
            return Err(format!(
                "oidc: expected audience {} got {}",
                quote(&self.client_id),
                quoted(&audiences)
            ));
        }
        let end = end.unwrap_or(YEAR_ONE);
        if nanoseconds(end) < now.as_nanosecond() {
            let end = written(end);
            return Err(format!("oidc: token is expired (Token Expiry: {end})"));
        }
        let latest = now.as_nanosecond() + nanoseconds(NOT_BEFORE_LEEWAY_SECONDS);
        if let Some(start) = start.filter(|start| latest < nanoseconds(*start)) {
            let (now, start) = (written(now.as_second()), written(start));
            return Err(format!(
                "oidc: current time {now} before the nbf (not before) time: {start}"
            ));
        }
        Ok(())
    }

    /// What claims say of claims that stand elsewhere.
    fn check_sources(&self, claims: &Map<String, Value>) -> Result<(), String> {
        let Some(names) = claims.get("_claim_names").filter(|names| !names.is_null()) else {
            return Ok(());
        };
        let names = names.as_object();
        let names = names.ok_or("oidc: error parsing distributed claim names")?;
        for (claim, source) in names {
            let source = source.as_str().unwrap_or_default();
            let source = claims.get("_claim_sources").and_then(|all| all.get(source));
            let source = source.ok_or("oidc: source does not exist")?;
            let endpoint = source.get("endpoint").and_then(Value::as_str);
            let is_wanted = !claim.is_empty() && *claim == self.groups_claim;
            if is_wanted && !claims.contains_key(claim) && endpoint.is_some_and(|at| !at.is_empty())
            {
                let claim = quote(claim);
                return Err(format!("claim {claim} is distributed, and is not fetched"));
            }
        }
        Ok(())
    }

    fn username(&self, claims: &Map<String, Value>) -> Result<String, String> {
        let claim = &self.username_claim;
        let name = claims
            .get(claim)
            .ok_or_else(|| "claim not present".to_owned());
        let name = name.and_then(text);
        let name =
            name.map_err(|why| format!("oidc: parse username claims {}: {why}", quote(claim)))?;
        if claim == "email"
            && let Some(is_verified) = claims.get("email_verified")
        {
            match is_verified {
                Value::Bool(true) => {}
                Value::Bool(false) | Value::Null => return Err("oidc: email not verified".into()),
                other => {
                    let why = mismatch(other, "bool");
                    return Err(format!("oidc: parse 'email_verified' claim: {why}"));
                }
            }
        }
        Ok(format!("{}{name}", self.username_prefix))
    }

    fn groups(&self, claims: &Map<String, Value>) -> Result<Vec<String>, String> {
        let claim = &self.groups_claim;
        let given = claims.get(claim).filter(|_| !claim.is_empty());
        let Some(given) = given.filter(|given| !given.is_null()) else {
            return Ok(Vec::new());
        };
        let groups = texts(given).map_err(|_| {
            let why = mismatch(given, "string");
            format!("oidc: parse groups claim {}: {why}", quote(claim))
        })?;
        let prefixed = |group| format!("{}{group}", self.groups_prefix);
        Ok(groups.into_iter().map(prefixed).collect())
    }

    fn check_required(&self, claims: &Map<String, Value>) -> Result<(), String> {
        for (claim, wanted) in &self.required_claims {
            let given = claims
                .get(claim)
                .ok_or_else(|| format!("oidc: required claim {claim} not present in ID token"))?;
            let given = text(given).map_err(|why| format!("oidc: parse claim {claim}: {why}"))?;
            if given != wanted {
                return Err(format!(
                    "oidc: required claim {claim} value does not match. Got = {given}, want = {wanted}"
                ));
            }
        }
        Ok(())
    }
}

/// An issuer by its URL. Source: `untrustedIssuer`.
fn whole(issuer: &str) -> &str {
    if issuer == GOOGLE.0 { GOOGLE.1 } else { issuer }
}

/// A text as Go reads one: nothing is the empty text.
fn text(value: &Value) -> Result<&str, String> {
    match value {
        Value::String(text) => Ok(text),
        Value::Null => Ok(""),
        other => Err(mismatch(other, "string")),
    }
}

/// One text, or several.
fn texts(value: &Value) -> Result<Vec<String>, String> {
    let own = |value| text(value).map(str::to_owned);
    match value {
        Value::Array(several) => several.iter().map(own).collect(),
        one => own(one).map(|one| vec![one]),
    }
}

/// A time in seconds since 1970; what is more exact is cut off, and what is beyond all times is before them, as in Go.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what is beyond all times is looked for before"
)]
fn seconds(value: &Value) -> Result<i64, String> {
    let number = match value {
        Value::Number(number) => number.clone(),
        // Go takes a number in quotes for one.
        Value::String(text) => text.parse().map_err(|_| mismatch(value, "json.Number"))?,
        other => return Err(mismatch(other, "json.Number")),
    };
    let rounded = |seconds: f64| {
        if seconds.abs() < SECONDS_MAX {
            seconds as i64
        } else {
            i64::MIN
        }
    };
    let whole = number.as_i64().or_else(|| number.as_f64().map(rounded));
    whole.ok_or_else(|| mismatch(value, "json.Number"))
}

/// A time as Go prints it.
fn written(seconds: i64) -> String {
    let time = Timestamp::from_second(seconds).unwrap_or(Timestamp::MIN);
    time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC").to_string()
}

fn nanoseconds(seconds: i64) -> i128 {
    i128::from(seconds) * 1_000_000_000
}

/// Go's words for a value of another type.
fn mismatch(value: &Value, wanted: &str) -> String {
    let found = meta::go::json_kind(value);
    format!("json: cannot unmarshal {found} into Go value of type {wanted}")
}

/// Texts as Go prints a list of them quoted: with spaces between.
fn quoted(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quote(text)).collect();
    format!("[{}]", texts.join(" "))
}

#[cfg(test)]
mod tests;
