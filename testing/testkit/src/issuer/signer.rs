//! Who signs tokens.

use anyhow::{Context as _, Result, anyhow};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::rand::SystemRandom;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair,
    RsaPublicKeyComponents,
};
use serde_json::{Value, json};

/// An RSA key that signs nothing but tests' tokens: the cryptography here makes none.
const RSA: &str = include_str!("rsa.pem");

/// A key with a name.
pub struct Signer {
    id: String,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl Signer {
    /// The one RSA key (RS256).
    ///
    /// # Errors
    /// It cannot be read.
    pub fn rsa(id: &str) -> Result<Self> {
        let text: String = RSA.lines().filter(|line| !line.starts_with('-')).collect();
        let pair = RsaKeyPair::from_pkcs8(&STANDARD.decode(text)?);
        let pair = pair.map_err(|why| anyhow!("cannot read the key: {why}"))?;
        Ok(Self {
            id: id.to_owned(),
            pair: Pair::Rsa(Box::new(pair)),
        })
    }

    /// A new key on P-256 (ES256).
    ///
    /// # Errors
    /// There is no randomness.
    pub fn ec(id: &str) -> Result<Self> {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random);
        let made = made.map_err(|_| anyhow!("cannot make a key"))?;
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random);
        let pair = pair.map_err(|why| anyhow!("cannot read the key: {why}"))?;
        Ok(Self {
            id: id.to_owned(),
            pair: Pair::Ec(Box::new(pair)),
        })
    }

    /// The public half.
    pub fn jwk(&self) -> Value {
        let part = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        match &self.pair {
            Pair::Rsa(pair) => {
                let public = RsaPublicKeyComponents::<Vec<u8>>::from(pair.public());
                json!({"kty": "RSA", "kid": self.id, "use": "sig",
                    "n": part(&public.n), "e": part(&public.e)})
            }
            Pair::Ec(pair) => {
                let point = pair.public_key().as_ref();
                let (x, y) = point.get(1..).unwrap_or_default().split_at(32);
                json!({"kty": "EC", "kid": self.id, "crv": "P-256", "x": part(x), "y": part(y)})
            }
        }
    }

    /// A token of claims.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn sign(&self, claims: &Value) -> Result<String> {
        let alg = match &self.pair {
            Pair::Rsa(_) => "RS256",
            Pair::Ec(_) => "ES256",
        };
        self.sign_as(&json!({"alg": alg, "kid": self.id}), claims)
    }

    /// A token with another header, whatever that says.
    ///
    /// # Errors
    /// The system has no randomness to give.
    pub fn sign_as(&self, header: &Value, claims: &Value) -> Result<String> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(header), part(claims));
        let random = SystemRandom::new();
        let signature = match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(
                    &RSA_PKCS1_SHA256,
                    &random,
                    signed.as_bytes(),
                    &mut signature,
                )
                .ok()
                .map(|()| signature)
            }
            Pair::Ec(pair) => {
                let signature = pair.sign(&random, signed.as_bytes()).ok();
                signature.map(|signature| signature.as_ref().to_vec())
            }
        };
        let signature = signature.context("cannot sign")?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }
}
