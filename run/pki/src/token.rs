//! Service-account tokens: JSON web tokens signed with the cluster's ES256 key.
//!
//! The format is three base64url parts (RFC 7515); the signature is ECDSA P-256 with SHA-256 (RFC 7518, 3.4).

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair,
    UnparsedPublicKey,
};
use serde_json::{Value, json};

use crate::authority::{PkiError, read, write_private};

/// Longest token that is looked at, in bytes.
const TOKEN_BYTES_MAX: usize = 16 << 10;

/// Signs and verifies service-account tokens.
pub struct TokenKey {
    pair: EcdsaKeyPair,
    key_id: String,
    random: SystemRandom,
}

impl TokenKey {
    /// Reads `sa.key` from a directory; makes it when it is not there.
    ///
    /// # Errors
    /// The directory cannot be used, or the file is damaged.
    pub fn open(directory: &Path) -> Result<Self, PkiError> {
        let random = SystemRandom::new();
        let path = directory.join("sa.key");
        if !path.exists() {
            let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
                .map_err(|_| PkiError::TokenKey)?;
            let body = STANDARD.encode(made.as_ref());
            write_private(
                &path,
                &format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n"),
            )?;
        }
        let damaged = || PkiError::Damaged { path: path.clone() };
        let text = read(&path)?;
        let body: String = text
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .collect();
        let der = STANDARD.decode(body).map_err(|_| damaged())?;
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random)
            .map_err(|_| damaged())?;
        let digest = ring::digest::digest(&ring::digest::SHA256, pair.public_key().as_ref());
        let key_id = URL_SAFE_NO_PAD.encode(digest.as_ref());
        Ok(Self {
            pair,
            key_id,
            random,
        })
    }

    /// Signs claims into a token.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn sign(&self, claims: &Value) -> Result<String, PkiError> {
        let header = json!({"alg": "ES256", "kid": self.key_id});
        let encode = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", encode(&header), encode(claims));
        let signature = self
            .pair
            .sign(&self.random, signed.as_bytes())
            .map_err(|_| PkiError::TokenKey)?;
        Ok(format!(
            "{signed}.{}",
            URL_SAFE_NO_PAD.encode(signature.as_ref())
        ))
    }

    /// The claims of a token that this key signed; `None` for any other text. Times and audiences are not looked at.
    pub fn verify(&self, token: &str) -> Option<Value> {
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, claims) = signed.split_once('.')?;
        let decode = |part: &str| URL_SAFE_NO_PAD.decode(part).ok();
        let header: Value = serde_json::from_slice(&decode(header)?).ok()?;
        if header.get("alg").and_then(Value::as_str) != Some("ES256") {
            return None;
        }
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, self.pair.public_key().as_ref());
        key.verify(signed.as_bytes(), &decode(signature)?).ok()?;
        serde_json::from_slice(&decode(claims)?).ok()
    }

    /// The JSON web key set others verify tokens with.
    pub fn jwks(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |range| URL_SAFE_NO_PAD.encode(point.get(range).unwrap_or_default());
        json!({"keys": [{"use": "sig", "kty": "EC", "kid": self.key_id, "crv": "P-256", "alg": "ES256",
            "x": part(1..33), "y": part(33..65)}]})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_verifies_with_its_key_only() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (key, other) = (
            TokenKey::open(one.path()).unwrap(),
            TokenKey::open(two.path()).unwrap(),
        );
        let claims = json!({"sub": "system:serviceaccount:default:web"});
        let token = key.sign(&claims).unwrap();
        assert_eq!(
            TokenKey::open(one.path()).unwrap().verify(&token),
            Some(claims)
        );
        assert_eq!(other.verify(&token), None);
        assert_eq!(key.verify(&token.replace('.', "")), None);
        let mut forged = token.clone();
        forged.replace_range(40..41, if &token[40..41] == "A" { "B" } else { "A" });
        assert_eq!(key.verify(&forged), None);
    }
}
