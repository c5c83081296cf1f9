//! A token as it is written: three parts, of which the last signs the others (RFC 7515). Claims come out of it verified only.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use meta::field::quote;
use serde_json::{Map, Value};

use super::key::{Curve, Key};

/// Longest token that is looked at, in bytes: one that names thousands of groups.
const TOKEN_BYTES_MAX: usize = 64 << 10;

/// How a token is signed. Those that sign with a secret (`HS256`), or not at all, are none of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of RFC 7518, 3.1")]
pub enum Algorithm {
    Rs256,
    Rs384,
    Rs512,
    Es256,
    Es384,
    Ps256,
    Ps384,
    Ps512,
}

impl Algorithm {
    pub(super) const ALL: [Self; 8] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// Its name in tokens.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
        }
    }

    /// The curve that its keys are on; none for RSA.
    pub(super) fn curve(self) -> Option<Curve> {
        match self {
            Self::Es256 => Some(Curve::P256),
            Self::Es384 => Some(Curve::P384),
            _ => None,
        }
    }
}

/// The parts of a token, as they are written.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    header: &'a str,
    pub(super) claims: &'a str,
    signature: &'a str,
    /// Header and claims.
    signed: &'a str,
}

/// The three parts; `None` for any other text.
pub(super) fn split(text: &str) -> Option<Parts<'_>> {
    if text.len() > TOKEN_BYTES_MAX {
        return None;
    }
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    (!claims.contains('.')).then_some(Parts {
        header,
        claims,
        signature,
        signed,
    })
}

/// The object that a part is.
pub(super) fn decoded(part: &str) -> Option<Map<String, Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(part).ok()?;
    serde_json::from_slice(&bytes).ok()
}

/// A token whose signature nobody has looked at: its claims are not to be had.
#[derive(Debug)]
pub struct Token<'a> {
    algorithm: Algorithm,
    /// Empty when it names none.
    key_id: String,
    signed: &'a str,
    signature: Vec<u8>,
    claims: Map<String, Value>,
}

/// Claims of a verified token.
#[derive(Debug)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(super) fn as_map(&self) -> &Map<String, Value> {
        &self.0
    }
}

impl<'a> Token<'a> {
    pub(super) fn read(
        parts: Parts<'a>,
        claims: Map<String, Value>,
        algorithms: &[Algorithm],
    ) -> Result<Self, String> {
        let malformed = |why: &str| format!("oidc: malformed jwt: {why}");
        let header = decoded(parts.header).ok_or_else(|| malformed("its header cannot be read"))?;
        if header.contains_key("crit") {
            return Err(malformed("it has a crit header"));
        }
        let member = |name: &str| match header.get(name) {
            None | Some(Value::Null) => Ok(""),
            Some(Value::String(text)) => Ok(text.as_str()),
            Some(_) => Err(malformed("its header is of another type")),
        };
        let (name, key_id) = (member("alg")?, member("kid")?.to_owned());
        let mut known = algorithms.iter().copied();
        let algorithm = known.find(|known| known.name() == name);
        let algorithm = algorithm.ok_or_else(|| {
            let known: Vec<String> = algorithms.iter().map(|one| quote(one.name())).collect();
            let (known, name) = (known.join(" "), quote(name));
            format!(
                "oidc: id token signed with unsupported algorithm, expected [{known}] got {name}"
            )
        })?;
        let signature = URL_SAFE_NO_PAD.decode(parts.signature);
        let signature = signature.map_err(|error| malformed(&error.to_string()))?;
        Ok(Self {
            algorithm,
            key_id,
            signed: parts.signed,
            signature,
            claims,
        })
    }

    /// The claims, when one of the keys signed them; `fits` looks at a signature: key, how it signs, what it signed, and it.
    pub fn verify<'k>(
        &self,
        keys: impl IntoIterator<Item = &'k Key>,
        fits: impl Fn(&Key, Algorithm, &[u8], &[u8]) -> bool,
    ) -> Option<Claims> {
        let is_signer = |key: &&Key| {
            key.may_have_signed(self.algorithm, &self.key_id)
                && fits(key, self.algorithm, self.signed.as_bytes(), &self.signature)
        };
        let signer = keys.into_iter().find(is_signer);
        signer.map(|_| Claims(self.claims.clone()))
    }
}
