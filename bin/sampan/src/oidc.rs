//! An OIDC issuer, by upstream's flags. Source: `pkg/kubeapiserver/options/authentication.go`.

use std::path::PathBuf;

use access::authn::oidc;
use anyhow::{Context, Result};
use apiserver::oidc::{FetchLimits, Oidc};

use crate::control_plane::written;

/// The flags of it; none is used unless the issuer's URL is given.
#[derive(clap::Args, Clone)]
#[group(id = "oidc")]
#[expect(
    clippy::struct_field_names,
    reason = "the names are those of the flags"
)]
pub(crate) struct Flags {
    /// URL of an OIDC issuer whose tokens are taken; https only.
    #[arg(long, value_name = "URL")]
    oidc_issuer_url: Option<String>,
    /// Whom the issuer's tokens must be for.
    #[arg(long, value_name = "ID")]
    oidc_client_id: Option<String>,
    /// Claim that is the user's name [default: sub].
    #[arg(long, value_name = "CLAIM")]
    oidc_username_claim: Option<String>,
    /// What is put before names; `-` is nothing [default: the issuer's URL and #, but nothing for the claim email].
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    oidc_username_prefix: Option<String>,
    /// Claim that names the user's groups: a string, or a list of strings.
    #[arg(long, value_name = "CLAIM")]
    oidc_groups_claim: Option<String>,
    /// What is put before groups.
    #[arg(long, value_name = "PREFIX", allow_hyphen_values = true)]
    oidc_groups_prefix: Option<String>,
    /// A claim that tokens must have, with its value; may be repeated.
    #[arg(long, value_name = "CLAIM=VALUE")]
    oidc_required_claim: Vec<String>,
    /// File of authorities that signed the issuer's certificate [default: whom the machine trusts].
    #[arg(long, value_name = "FILE")]
    oidc_ca_file: Option<PathBuf>,
    /// How tokens may be signed: RS256, RS384, RS512, ES256, ES384, PS256, PS384, PS512 [default: RS256].
    #[arg(long, value_name = "ALGS", value_delimiter = ',')]
    oidc_signing_algs: Vec<String>,
}

impl Flags {
    /// Names and values, as Go writes them.
    pub(crate) fn told(&self) -> [(&'static str, String); 9] {
        let text = |value: &Option<String>| value.clone().unwrap_or_default();
        let claim = self.oidc_username_claim.clone();
        let mut required = self.oidc_required_claim.clone();
        required.sort();
        let algorithms = match self.oidc_signing_algs.as_slice() {
            [] => oidc::ALGORITHM.name().to_owned(),
            named => named.join(","),
        };
        [
            ("oidc-ca-file", written(self.oidc_ca_file.as_deref())),
            ("oidc-client-id", text(&self.oidc_client_id)),
            ("oidc-groups-claim", text(&self.oidc_groups_claim)),
            ("oidc-groups-prefix", text(&self.oidc_groups_prefix)),
            ("oidc-issuer-url", text(&self.oidc_issuer_url)),
            ("oidc-required-claim", required.join(",")),
            ("oidc-signing-algs", format!("[{algorithms}]")),
            (
                "oidc-username-claim",
                claim.unwrap_or_else(|| oidc::USERNAME_CLAIM.to_owned()),
            ),
            ("oidc-username-prefix", text(&self.oidc_username_prefix)),
        ]
    }

    /// The issuer that the flags tell of; `None` when they tell of none.
    pub(crate) fn open(self) -> Result<Option<Oidc>> {
        let flags = oidc::Flags {
            issuer_url: self.oidc_issuer_url,
            client_id: self.oidc_client_id,
            username_claim: self.oidc_username_claim,
            username_prefix: self.oidc_username_prefix,
            groups_claim: self.oidc_groups_claim,
            groups_prefix: self.oidc_groups_prefix,
            required_claims: self.oidc_required_claim,
            signing_algs: self.oidc_signing_algs,
            has_ca_file: self.oidc_ca_file.is_some(),
        };
        let issuer = flags
            .issuer()
            .context("the flags --oidc-* cannot be used")?;
        let Some(issuer) = issuer else {
            return Ok(None);
        };
        let authority = self.oidc_ca_file.map(|file| {
            let shown = file.display();
            std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {shown}: give another with --oidc-ca-file"))
        });
        let authority = authority.transpose()?;
        let oidc = Oidc::new(issuer, authority.as_deref(), FetchLimits::upstream());
        Ok(Some(oidc.context("the OIDC issuer cannot be used")?))
    }
}
