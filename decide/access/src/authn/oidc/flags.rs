//! What is said of an issuer on the command line.
//!
//! Source: `pkg/kubeapiserver/options/authentication.go`, apiserver `pkg/apis/apiserver/validation`.

use meta::{FieldError, Path};
use thiserror::Error;

use super::Issuer;
use super::token::Algorithm;
use crate::authn::service_account_token::ISSUER;

/// The claim that is a user's name when none is said. Source: `WithOIDC`.
pub const USERNAME_CLAIM: &str = "sub";
/// How tokens are signed when nothing is said. Source: `WithOIDC`.
pub const ALGORITHM: Algorithm = Algorithm::Rs256;
/// Says that names get no prefix.
const NO_PREFIX: &str = "-";

/// The flags `--oidc-*`, as they are given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is upstream's flag of that name")]
pub struct Flags {
    pub issuer_url: Option<String>,
    pub client_id: Option<String>,
    pub username_claim: Option<String>,
    pub username_prefix: Option<String>,
    pub groups_claim: Option<String>,
    pub groups_prefix: Option<String>,
    pub required_claims: Vec<String>,
    pub signing_algs: Vec<String>,
    /// Whether `--oidc-ca-file` is given.
    pub has_ca_file: bool,
}

/// What is wrong with the flags.
#[derive(Debug, Error, PartialEq)]
pub enum FlagsError {
    /// A flag is given without these two.
    #[error(
        "oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are set"
    )]
    Alone,
    /// `--oidc-required-claim` without an equals sign.
    #[error(
        "invalid argument {0:?} for --oidc-required-claim: malformed pair, expect string=string"
    )]
    Pair(String),
    /// `--oidc-signing-algs` with an algorithm that is not there.
    #[error("oidc: unsupported signing alg: {0:?}")]
    Algorithm(String),
    /// A value that cannot be.
    #[error("{}", meta::field::aggregate(.0))]
    Fields(Vec<FieldError>),
}

impl Flags {
    /// The issuer that is told of; `None` when none is.
    ///
    /// # Errors
    /// What is wrong with the first flag that is.
    pub fn issuer(self) -> Result<Option<Issuer>, FlagsError> {
        if self == Self::default() {
            return Ok(None);
        }
        let text = Option::<String>::unwrap_or_default;
        let (url, client_id) = (text(self.issuer_url), text(self.client_id));
        if url.is_empty() || client_id.is_empty() {
            return Err(FlagsError::Alone);
        }
        let username_claim = self.username_claim;
        let username_claim = username_claim.unwrap_or_else(|| USERNAME_CLAIM.to_owned());
        let mut username_prefix = text(self.username_prefix);
        if username_prefix.is_empty() && username_claim != "email" {
            username_prefix = format!("{url}#");
        } else if username_prefix == NO_PREFIX {
            username_prefix.clear();
        }
        let pairs = self.required_claims.into_iter().map(|pair| {
            let (claim, value) = pair
                .split_once('=')
                .ok_or_else(|| FlagsError::Pair(pair.clone()))?;
            Ok((claim.trim().to_owned(), value.trim().to_owned()))
        });
        let issuer = Issuer {
            required_claims: pairs.collect::<Result<_, _>>()?,
            algorithms: algorithms(self.signing_algs)?,
            groups_claim: text(self.groups_claim),
            groups_prefix: text(self.groups_prefix),
            url,
            client_id,
            username_claim,
            username_prefix,
        };
        let errors = check(&issuer);
        if !errors.is_empty() {
            return Err(FlagsError::Fields(errors));
        }
        Ok(Some(issuer))
    }
}

/// The algorithms by their names; [`ALGORITHM`] when none is named.
///
/// DIFFERS: `ES512` is refused: the cryptography here has no P-521, and few issuers sign so.
fn algorithms(names: Vec<String>) -> Result<Vec<Algorithm>, FlagsError> {
    if names.is_empty() {
        return Ok(vec![ALGORITHM]);
    }
    let known = |name: String| {
        let mut all = Algorithm::ALL.into_iter();
        let known = all.find(|known| known.name() == name);
        known.ok_or(FlagsError::Algorithm(name))
    };
    names.into_iter().map(known).collect()
}

fn check(issuer: &Issuer) -> Vec<FieldError> {
    let mut errors = check_url(&issuer.url);
    for claim in issuer.required_claims.keys() {
        if claim.is_empty() {
            let path = Path::new("claimValidationRules").index(0);
            errors.push(FieldError::required(
                &path,
                "claim or expression is required",
            ));
        }
    }
    if issuer.username_claim.is_empty() {
        let path = Path::new("claimMappings").child("username");
        errors.push(FieldError::required(
            &path,
            "claim or expression is required",
        ));
    }
    errors
}

/// Source: `validateURL`.
fn check_url(url: &str) -> Vec<FieldError> {
    let path = Path::new("issuer").child("url");
    let mut errors = Vec::new();
    let mut refuse = |why: String| errors.push(FieldError::invalid(&path, url, why));
    if url == ISSUER {
        refuse(format!(
            "URL must not overlap with disallowed issuers: [{ISSUER}]"
        ));
    }
    let (rest, fragment) = url.split_once('#').unwrap_or((url, ""));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (scheme, rest) = rest.split_once("://").unwrap_or(("", rest));
    let host = rest.split('/').next().unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("https") {
        refuse("URL scheme must be https".to_owned());
    }
    if host.contains('@') {
        refuse("URL must not contain a username or password".to_owned());
    }
    if !query.is_empty() {
        refuse("URL must not contain a query".to_owned());
    }
    if !fragment.is_empty() {
        refuse("URL must not contain a fragment".to_owned());
    }
    errors
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags(url: &str) -> Flags {
        Flags {
            issuer_url: Some(url.into()),
            client_id: Some("sampan".into()),
            ..Flags::default()
        }
    }

    #[test]
    fn names_are_prefixed_by_the_issuer_unless_they_are_addresses_or_it_is_said() {
        let prefix = |claim: &str, prefix: &str| {
            let flags = Flags {
                username_claim: Some(claim.into()),
                username_prefix: Some(prefix.into()),
                ..flags("https://a.example")
            };
            flags.issuer().unwrap().unwrap().username_prefix
        };
        assert_eq!(prefix("name", ""), "https://a.example#");
        assert_eq!(prefix("email", ""), "");
        assert_eq!(prefix("email", "x:"), "x:");
        assert_eq!(prefix("name", "-"), "");
        let plain = flags("https://a.example").issuer().unwrap().unwrap();
        assert_eq!(plain.username_claim, "sub");
        assert_eq!(plain.algorithms, [Algorithm::Rs256]);
        assert_eq!(Flags::default().issuer(), Ok(None));
    }

    #[test]
    fn an_issuer_is_at_a_plain_https_address_and_not_this_cluster() {
        let why = |url: &str| flags(url).issuer().unwrap_err().to_string();
        let of = |url: &str, why: &str| format!("issuer.url: Invalid value: \"{url}\": {why}");
        for (url, wrong) in [
            ("http://a.example", "URL scheme must be https"),
            ("a.example", "URL scheme must be https"),
            (
                "https://b:c@a.example",
                "URL must not contain a username or password",
            ),
            ("https://a.example/?b", "URL must not contain a query"),
            ("https://a.example#b", "URL must not contain a fragment"),
        ] {
            assert_eq!(why(url), of(url, wrong));
        }
        let overlap = "URL must not overlap with disallowed issuers: [https://kubernetes.default.svc.cluster.local]";
        assert_eq!(why(ISSUER), of(ISSUER, overlap));
    }

    #[test]
    fn flags_that_cannot_be_are_refused() {
        let alone = Flags {
            groups_claim: Some("groups".into()),
            ..Flags::default()
        };
        assert_eq!(alone.issuer(), Err(FlagsError::Alone));
        let authority_alone = Flags {
            has_ca_file: true,
            ..Flags::default()
        };
        assert_eq!(authority_alone.issuer(), Err(FlagsError::Alone));
        let with = |pair: &str, alg: &str, claim: &str| {
            let flags = Flags {
                required_claims: vec![pair.into()],
                signing_algs: vec![alg.into()],
                username_claim: Some(claim.into()),
                ..flags("https://a.example")
            };
            flags.issuer().map_err(|error| error.to_string())
        };
        let good = with(" a = b=c ", "PS512", "sub").unwrap().unwrap();
        assert_eq!(good.required_claims["a"], "b=c");
        let pair = "invalid argument \"a\" for --oidc-required-claim: malformed pair, expect string=string";
        assert_eq!(with("a", "RS256", "sub"), Err(pair.into()));
        for odd in ["HS256", "none", "ES512", "rs256", ""] {
            let why = format!("oidc: unsupported signing alg: {odd:?}");
            assert_eq!(with("a=b", odd, "sub"), Err(why));
        }
        let required = "Required value: claim or expression is required";
        let unnamed = format!("claimMappings.username: {required}");
        assert_eq!(with("a=b", "RS256", ""), Err(unnamed));
        let unnamed = format!("claimValidationRules[0]: {required}");
        assert_eq!(with("=b", "RS256", "sub"), Err(unnamed));
    }
}
