//! Whether a key made a signature.

use access::authn::oidc::{Algorithm, Curve, Key};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaPublicKeyComponents, UnparsedPublicKey,
};

/// Whether `signature` is the key's of what is `signed` in that way.
pub(super) fn fits(key: &Key, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> bool {
    let verified = match key {
        Key::Rsa {
            modulus: n,
            exponent: e,
            ..
        } => {
            let parameters = match algorithm {
                Algorithm::Rs256 => &RSA_PKCS1_2048_8192_SHA256,
                Algorithm::Rs384 => &RSA_PKCS1_2048_8192_SHA384,
                Algorithm::Rs512 => &RSA_PKCS1_2048_8192_SHA512,
                Algorithm::Ps256 => &RSA_PSS_2048_8192_SHA256,
                Algorithm::Ps384 => &RSA_PSS_2048_8192_SHA384,
                Algorithm::Ps512 => &RSA_PSS_2048_8192_SHA512,
                Algorithm::Es256 | Algorithm::Es384 => return false,
            };
            RsaPublicKeyComponents { n, e }.verify(parameters, signed, signature)
        }
        Key::Ec { curve, point, .. } => {
            let parameters = match (algorithm, curve) {
                (Algorithm::Es256, Curve::P256) => &ECDSA_P256_SHA256_FIXED,
                (Algorithm::Es384, Curve::P384) => &ECDSA_P384_SHA384_FIXED,
                _ => return false,
            };
            UnparsedPublicKey::new(parameters, point).verify(signed, signature)
        }
    };
    verified.is_ok()
}
