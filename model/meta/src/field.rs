//! Paths into objects and what may be wrong there, in upstream's words.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

/// A path to a field, such as `spec.containers[0].name`. Cheap to build only where an error is likely; clone freely.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(String);

impl Path {
    /// A path that starts at a field of the root.
    pub fn new(name: &str) -> Self {
        Self(name.to_owned())
    }
    /// The root itself, which upstream prints as an empty path.
    pub fn root() -> Self {
        Self(String::new())
    }
    /// The path to a field below this one.
    #[must_use]
    pub fn child(&self, name: &str) -> Self {
        if self.0.is_empty() {
            Self::new(name)
        } else {
            Self([self.0.as_str(), ".", name].concat())
        }
    }
    /// The path to an item of the list here.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        self.key(&index.to_string())
    }
    /// The path to an entry of the map here.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        Self([self.0.as_str(), "[", key, "]"].concat())
    }
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "<nil>" } else { &self.0 })
    }
}

/// What sort of mistake a field has. Source: apimachinery `field.ErrorType`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are upstream's and say it all")]
pub enum ErrorType {
    NotFound,
    Required,
    Duplicate,
    Invalid,
    NotSupported,
    Forbidden,
    TooLong,
    TooMany,
    TooFew,
    TooShort,
    Internal,
    TypeInvalid,
}

impl ErrorType {
    /// The machine-readable cause, as it stands in `Status.details.causes[].reason`.
    pub fn cause(self) -> &'static str {
        match self {
            Self::NotFound => "FieldValueNotFound",
            Self::Required => "FieldValueRequired",
            Self::Duplicate => "FieldValueDuplicate",
            Self::Invalid => "FieldValueInvalid",
            Self::NotSupported => "FieldValueNotSupported",
            Self::Forbidden => "FieldValueForbidden",
            Self::TooLong => "FieldValueTooLong",
            Self::TooMany => "FieldValueTooMany",
            Self::TooFew => "FieldValueTooFew",
            Self::TooShort => "FieldValueTooShort",
            Self::Internal => "InternalError",
            Self::TypeInvalid => "FieldValueTypeInvalid",
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::NotFound => "Not found",
            Self::Required => "Required value",
            Self::Duplicate => "Duplicate value",
            Self::Invalid | Self::TypeInvalid => "Invalid value",
            Self::NotSupported => "Unsupported value",
            Self::Forbidden => "Forbidden",
            Self::TooLong => "Too long",
            Self::TooMany => "Too many",
            Self::TooFew => "Too few",
            Self::TooShort => "Too short",
            Self::Internal => "Internal error",
        }
    }
}

/// One mistake in one field. Displays as upstream prints it.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldError {
    /// What sort of mistake.
    pub error_type: ErrorType,
    /// Where, as text.
    pub field: String,
    /// The offending value; `None` where upstream leaves it out.
    pub bad_value: Option<Value>,
    /// What would be right; may be empty.
    pub detail: String,
    /// How the offending value is printed, where that is not its JSON.
    pub shown: Option<String>,
}

impl FieldError {
    fn build(
        error_type: ErrorType,
        path: &Path,
        bad_value: Option<Value>,
        detail: impl Into<String>,
    ) -> Self {
        Self {
            error_type,
            field: path.to_string(),
            bad_value,
            detail: detail.into(),
            shown: None,
        }
    }
    /// The value breaks a rule.
    pub fn invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::build(ErrorType::Invalid, path, Some(value.into()), detail)
    }
    /// The value has the wrong type for its schema.
    pub fn type_invalid(path: &Path, value: impl Into<Value>, detail: impl Into<String>) -> Self {
        Self::build(ErrorType::TypeInvalid, path, Some(value.into()), detail)
    }
    /// A value is needed here; `detail` may be empty.
    pub fn required(path: &Path, detail: impl Into<String>) -> Self {
        Self::build(ErrorType::Required, path, None, detail)
    }
    /// The value is allowed somewhere, but not here and now.
    pub fn forbidden(path: &Path, detail: impl Into<String>) -> Self {
        Self::build(ErrorType::Forbidden, path, None, detail)
    }
    /// The value names something that does not exist.
    pub fn not_found(path: &Path, value: impl Into<Value>) -> Self {
        Self::build(ErrorType::NotFound, path, Some(value.into()), "")
    }
    /// The value must be unique and is not.
    pub fn duplicate(path: &Path, value: impl Into<Value>) -> Self {
        Self::build(ErrorType::Duplicate, path, Some(value.into()), "")
    }
    /// The value is not one of an enumeration; `valid` in the order upstream prints them.
    pub fn not_supported(path: &Path, value: impl Into<Value>, valid: &[&str]) -> Self {
        let quoted: Vec<String> = valid.iter().map(|value| quote(value)).collect();
        let detail = if quoted.is_empty() {
            String::new()
        } else {
            format!("supported values: {}", quoted.join(", "))
        };
        Self::build(ErrorType::NotSupported, path, Some(value.into()), detail)
    }
    /// The text is longer than `max` bytes.
    pub fn too_long(path: &Path, max: usize) -> Self {
        let unit = if max == 1 { "byte" } else { "bytes" };
        Self::build(
            ErrorType::TooLong,
            path,
            None,
            format!("may not be more than {max} {unit}"),
        )
    }
    /// The list has `actual` items where at most `max` are allowed.
    pub fn too_many(path: &Path, actual: usize, max: usize) -> Self {
        let unit = if max == 1 { "item" } else { "items" };
        Self::build(
            ErrorType::TooMany,
            path,
            Some(actual.into()),
            format!("must have at most {max} {unit}"),
        )
    }
    /// Something went wrong that is not the user's doing.
    pub fn internal(path: &Path, detail: impl Into<String>) -> Self {
        Self::build(ErrorType::Internal, path, None, detail)
    }

    /// The message without the field's path, as it stands in `Status.details.causes[].message`.
    pub fn body(&self) -> String {
        let mut text = self.error_type.words().to_owned();
        if let Some(value) = &self.bad_value {
            text.push_str(": ");
            match (&self.shown, value) {
                (Some(shown), _) => text.push_str(shown),
                (None, Value::String(value)) => text.push_str(&quote(value)),
                (None, other) => text.push_str(&go_json(other)),
            }
        }
        if !self.detail.is_empty() {
            text.push_str(": ");
            text.push_str(&self.detail);
        }
        text
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.body())
    }
}

/// Joins errors as upstream's aggregate does: one alone as it is, several in brackets, repeated ones once.
pub fn aggregate(errors: &[FieldError]) -> String {
    let mut seen = BTreeSet::new();
    let texts = errors.iter().map(ToString::to_string);
    let texts: Vec<String> = texts.filter(|text| seen.insert(text.clone())).collect();
    match texts.as_slice() {
        [one] => one.clone(),
        many => format!("[{}]", many.join(", ")),
    }
}

/// JSON as Go writes it: safe inside HTML. Source: encoding/json `Marshal`.
pub fn go_json(value: &Value) -> String {
    html_safe(value.to_string())
}

/// JSON text that is safe inside HTML.
pub fn html_safe(text: String) -> String {
    if !text.contains(['<', '>', '&', '\u{2028}', '\u{2029}']) {
        return text;
    }
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                safe.extend(format!("\\u{:04x}", u32::from(c)).chars());
            }
            c => safe.push(c),
        }
    }
    safe
}

/// Quotes text as Go's `%q` does.
pub fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{7}' => quoted.push_str("\\a"),
            '\u{8}' => quoted.push_str("\\b"),
            '\u{b}' => quoted.push_str("\\v"),
            '\u{c}' => quoted.push_str("\\f"),
            c if c.is_ascii_control() => quoted.extend(format!("\\x{:02x}", u32::from(c)).chars()),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
