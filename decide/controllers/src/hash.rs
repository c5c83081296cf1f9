//! Stable hashes for names and labels.

use meta::Object;

/// The letters upstream uses in generated names: no vowels, so no words. Source: apimachinery `util/rand`.
const SAFE_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The value of `pod-template-hash` for a template.
///
// DIFFERS: upstream hashes a Go-specific dump of the struct; this hashes the canonical JSON, with the same function
// (FNV-1a, 32 bits) and the same alphabet. Existing objects keep their names: templates are compared, not hashes.
pub fn template_hash(template: &Object, collision_count: Option<i64>) -> String {
    let mut hash = Fnv::new();
    hash.write(template.to_string().as_bytes());
    if let Some(count) = collision_count {
        hash.write(&u32::try_from(count).unwrap_or_default().to_le_bytes());
    }
    safe_encode(&hash.0.to_string())
}

/// Maps each byte to a safe letter. Source: apimachinery `rand.SafeEncodeString`.
pub fn safe_encode(text: &str) -> String {
    let letter = |byte: u8| {
        let letters = SAFE_LETTERS.len();
        SAFE_LETTERS
            .get(usize::from(byte) % letters)
            .copied()
            .map_or('b', char::from)
    };
    text.bytes().map(letter).collect()
}

/// FNV-1a, 32 bits.
struct Fnv(u32);

impl Fnv {
    fn new() -> Self {
        Self(0x811c_9dc5)
    }
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

/// FNV-1a, 32 bits, of some bytes.
pub fn fnv32a(bytes: &[u8]) -> u32 {
    let mut hash = Fnv::new();
    hash.write(bytes);
    hash.0
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn known_hashes_of_fnv() {
        assert_eq!(fnv32a(b""), 0x811c_9dc5);
        assert_eq!(fnv32a(b"a"), 0xe40c_292c);
    }

    #[test]
    fn hashes_are_stable_and_collisions_change_them() {
        let template = json!({ "metadata": { "labels": { "app": "web" } } });
        let first = template_hash(&template, None);
        assert_eq!(first, template_hash(&template, None));
        assert_ne!(first, template_hash(&template, Some(1)));
        assert!(first.bytes().all(|byte| SAFE_LETTERS.contains(&byte)));
    }
}
