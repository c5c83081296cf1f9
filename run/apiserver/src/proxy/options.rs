//! Queries for kubelets.

use std::fmt::Write;

/// A query string under construction.
#[derive(Default)]
pub(super) struct Pairs(String);

impl Pairs {
    /// Adds a pair.
    pub(super) fn add(&mut self, key: &str, value: &str) {
        if !self.0.is_empty() {
            self.0.push('&');
        }
        encode(&mut self.0, key);
        self.0.push('=');
        encode(&mut self.0, value);
    }

    /// The path with the query behind it.
    pub(super) fn behind(self, path: &str) -> String {
        if self.0.is_empty() {
            path.to_owned()
        } else {
            format!("{path}?{}", self.0)
        }
    }
}

fn encode(text: &mut String, value: &str) {
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            write!(text, "%{byte:02X}").expect("writing to a String cannot fail");
        }
    }
}
