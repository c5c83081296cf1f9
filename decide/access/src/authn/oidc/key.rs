//! The keys of an issuer: a JSON web key set (RFC 7517).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use super::token::Algorithm;

/// Most keys of one issuer: a token that names none is tried with each.
const KEYS_MAX: usize = 64;

/// A public key of an issuer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA; both numbers big-endian, without zeros in front.
    Rsa {
        /// `kid`; empty when it has none.
        id: String,
        /// `n`.
        modulus: Vec<u8>,
        /// `e`.
        exponent: Vec<u8>,
    },
    /// A point on an elliptic curve, uncompressed (SEC 1, 2.3.3).
    Ec {
        /// `kid`; empty when it has none.
        id: String,
        /// `crv`.
        curve: Curve,
        /// `x` and `y`, behind a 4.
        point: Vec<u8>,
    },
}

/// An elliptic curve.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Curve {
    /// `P-256`.
    P256,
    /// `P-384`.
    P384,
}

impl Curve {
    /// Bytes of a coordinate.
    fn bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }
}

impl Key {
    /// Whether a token may have been signed with this key: one that names no key may have been with any.
    pub(super) fn may_have_signed(&self, algorithm: Algorithm, key_id: &str) -> bool {
        let (id, is_of_kind) = match self {
            Self::Rsa { id, .. } => (id, algorithm.curve().is_none()),
            Self::Ec { id, curve, .. } => (id, algorithm.curve() == Some(*curve)),
        };
        is_of_kind && (key_id.is_empty() || key_id == id)
    }

    /// `None` for a key that signs no token here: of another kind, or damaged.
    fn read(key: &Value) -> Option<Self> {
        let member = |name: &str| key.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            let bytes = URL_SAFE_NO_PAD.decode(member(name)?).ok()?;
            let first = bytes.iter().position(|byte| *byte != 0)?;
            bytes.get(first..).map(<[u8]>::to_vec)
        };
        let id = member("kid").unwrap_or_default().to_owned();
        match member("kty")? {
            "RSA" => Some(Self::Rsa {
                id,
                modulus: number("n")?,
                exponent: number("e")?,
            }),
            "EC" => {
                let curve = match member("crv")? {
                    "P-256" => Curve::P256,
                    "P-384" => Curve::P384,
                    _ => return None,
                };
                let mut point = vec![4];
                for coordinate in [number("x")?, number("y")?] {
                    let zeros = curve.bytes().checked_sub(coordinate.len())?;
                    point.extend(std::iter::repeat_n(0, zeros));
                    point.extend(coordinate);
                }
                Some(Self::Ec { id, curve, point })
            }
            _ => None,
        }
    }
}

/// The keys of a set that tokens may be signed with; others are passed over.
///
/// # Errors
/// It is no set of keys, or one of too many.
pub fn read_keys(text: &[u8]) -> Result<Vec<Key>, String> {
    let set: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let keys = set.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or("it has no list of keys")?;
    if keys.len() > KEYS_MAX {
        return Err(format!("it has {} keys, more than {KEYS_MAX}", keys.len()));
    }
    Ok(keys.iter().filter_map(Key::read).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn keys_of_other_kinds_and_damaged_ones_are_passed_over() {
        let (x, y) = (
            URL_SAFE_NO_PAD.encode([7; 31]),
            URL_SAFE_NO_PAD.encode([8; 32]),
        );
        let set = json!({"keys": [
            {"kty": "RSA", "kid": "a", "n": "AAEC", "e": "AQAB"},
            {"kty": "EC", "crv": "P-256", "x": x, "y": y},
            {"kty": "EC", "crv": "P-521", "x": x, "y": y},
            {"kty": "EC", "crv": "P-256", "x": URL_SAFE_NO_PAD.encode([7; 33]), "y": y},
            {"kty": "RSA", "n": "!", "e": "AQAB"}, {"kty": "RSA", "n": "AAAA", "e": "AQAB"},
            {"kty": "oct", "k": "AAEC"}, {"kty": "OKP"}, {}, 7, null]});
        let point = [vec![4, 0], vec![7; 31], vec![8; 32]].concat();
        let rsa = Key::Rsa {
            id: "a".into(),
            modulus: vec![1, 2],
            exponent: vec![1, 0, 1],
        };
        let ec = Key::Ec {
            id: String::new(),
            curve: Curve::P256,
            point,
        };
        assert_eq!(read_keys(set.to_string().as_bytes()), Ok(vec![rsa, ec]));
    }

    #[test]
    fn what_is_no_set_of_keys_or_a_huge_one_is_refused() {
        for odd in [
            "",
            "[]",
            "{}",
            r#"{"keys": {}}"#,
            "<html>",
            r#"{"keys": [] "#,
        ] {
            assert!(read_keys(odd.as_bytes()).is_err(), "{odd}");
        }
        let many = |count| json!({"keys": vec![json!({}); count]}).to_string();
        assert_eq!(read_keys(many(KEYS_MAX).as_bytes()), Ok(Vec::new()));
        let why = "it has 65 keys, more than 64".to_owned();
        assert_eq!(read_keys(many(KEYS_MAX + 1).as_bytes()), Err(why));
    }
}
