//! Text in both languages, and how text from the cluster is quoted (rules G7 and G8).

use serde::Serialize;

/// Longest quotation from the cluster, in characters.
const QUOTE_CHARACTERS_MAX: usize = 300;

/// One sentence in English and in Simplified Chinese.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Text {
    /// English.
    pub en: String,
    /// Simplified Chinese.
    pub zh: String,
}

impl Text {
    /// A sentence given in both languages.
    pub(crate) fn new(en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self {
            en: en.into(),
            zh: zh.into(),
        }
    }

    /// The same text in both languages, for what the cluster says.
    pub(crate) fn quote(text: impl Into<String>) -> Self {
        let text = text.into();
        Self {
            zh: text.clone(),
            en: text,
        }
    }

    /// This text with another one after it.
    #[must_use]
    pub(crate) fn with(mut self, en: &str, zh: &str) -> Self {
        self.en.push_str(en);
        self.zh.push_str(zh);
        self
    }

    /// This text with a quotation after a colon; an empty quotation adds nothing.
    #[must_use]
    pub(crate) fn quoting(self, quotation: &str) -> Self {
        self.saying(&Self::quote(quotation))
    }

    /// This text with another one after a colon; an empty one adds nothing.
    #[must_use]
    pub(crate) fn saying(self, more: &Self) -> Self {
        if more.en.is_empty() {
            return self;
        }
        self.with(&format!(": {}", more.en), &format!(":{}", more.zh))
    }
}

/// Whether a text may stand as a reason (rule G7): upper-case letter, then letters and digits.
pub(crate) fn is_token(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_uppercase())
        && text.chars().all(|each| each.is_ascii_alphanumeric())
}

/// The decisive part of a message from the cluster: boiler-plate dropped, one line, cut to length.
pub(crate) fn decisive(message: &str) -> String {
    let mut rest = message.trim();
    while let Some(shorter) = without_preamble(rest) {
        rest = shorter.trim_start();
    }
    cut(rest)
}

/// One preamble less, or `None` if the text begins with none.
fn without_preamble(text: &str) -> Option<&str> {
    if let Some(rest) = text.strip_prefix("rpc error: code = ") {
        return rest.split_once("desc = ").map(|(_, cause)| cause);
    }
    for preamble in ["ErrImagePull:", "ImagePullBackOff:", "Error:"] {
        if let Some(rest) = text.strip_prefix(preamble) {
            return Some(rest);
        }
    }
    for preamble in ["Back-off pulling image \"", "Failed to pull image \""] {
        if let Some(rest) = text.strip_prefix(preamble) {
            let (_, rest) = rest.split_once('"')?;
            return Some(rest.trim_start().strip_prefix(':').unwrap_or(rest));
        }
    }
    None
}

/// The text on one line, without control characters, at most 300 characters long.
pub(crate) fn cut(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut kept: String = line
        .chars()
        .filter(|each| !each.is_control())
        .take(QUOTE_CHARACTERS_MAX)
        .collect();
    if kept.chars().count() < line.chars().filter(|each| !each.is_control()).count() {
        kept.push_str("...");
    }
    kept
}

/// The last line of a termination message that says something.
pub(crate) fn last_line(message: &str) -> String {
    message
        .lines()
        .rev()
        .find(|line| !line.trim().is_empty())
        .map(cut)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn g7_reasons_are_tokens() {
        for token in ["Error", "OutOfcpu", "ErrImagePull", "A1"] {
            assert!(is_token(token), "{token}");
        }
        for other in ["", "error", "Err Image", "Init:Error", "x", "Fehler\u{e4}"] {
            assert!(!is_token(other), "{other}");
        }
    }

    #[test]
    fn g8_boiler_plate_is_dropped_and_length_held() {
        let message = "Back-off pulling image \"r/x:1\": ErrImagePull: rpc error: code = NotFound desc = \
                       failed to resolve: manifest unknown";
        assert_eq!(decisive(message), "failed to resolve: manifest unknown");
        assert_eq!(decisive("Back-off pulling image \"r/x:1\""), "");
        assert_eq!(
            decisive("rpc error: code = Unknown"),
            "rpc error: code = Unknown"
        );
        assert_eq!(cut(&"\u{e4}b\n".repeat(400)).chars().count(), 303);
    }

    #[test]
    fn g8_the_last_line_of_a_termination_message_counts() {
        assert_eq!(last_line("starting\npanic: no db\n\n"), "panic: no db");
        assert_eq!(last_line(""), "");
    }
}
