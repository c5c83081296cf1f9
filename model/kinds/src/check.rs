//! Reading an object while remembering where one is: what validation rules are written with.

use std::net::IpAddr;

pub(crate) use meta::cidr::{Cidr, parse_ip};
use meta::{FieldError, ObjectExt as _, Path, Quantity, names};
use serde_json::Value;

const NOTHING: &Value = &Value::Null;
/// Source: apimachinery `IsNegativeErrorMsg`.
pub(crate) const NEGATIVE: &str = "must be greater than or equal to 0";
/// Source: apimachinery `FieldImmutableErrorMsg`.
pub(crate) const IMMUTABLE: &str = "field is immutable";

/// The mistakes found so far.
pub(crate) type Errors = Vec<FieldError>;

/// How much is said of expressions in one object. What is wrong with one is shown with its line, for each of a hundred
/// mistakes, which is two hundred times as much as was sent.
const SAID_BYTES_MAX: usize = 4 << 20;

/// Whether so much is wrong that no more expressions are read.
pub(crate) fn is_enough_said(errors: &Errors) -> bool {
    let said = errors.iter().map(|error| error.detail.len());
    said.sum::<usize>() > SAID_BYTES_MAX
}

/// A value and its path.
#[derive(Clone)]
pub(crate) struct Node<'a> {
    /// The value; null when it is absent.
    pub(crate) value: &'a Value,
    /// Where it is.
    pub(crate) path: Path,
}

impl<'a> Node<'a> {
    /// The whole object.
    pub(crate) fn root(value: &'a Value) -> Self {
        Self {
            value,
            path: Path::root(),
        }
    }
    /// The value of a field, null when absent.
    pub(crate) fn child(&self, name: &str) -> Self {
        Self {
            value: self.value.get(name).unwrap_or(NOTHING),
            path: self.path.child(name),
        }
    }
    /// The value of a field that is set.
    pub(crate) fn get(&self, name: &str) -> Option<Self> {
        self.has(name).then(|| self.child(name))
    }
    /// The items of a list field.
    pub(crate) fn items(&self, name: &str) -> Vec<Self> {
        let items = self.value.list_at(&[name]);
        if items.is_empty() {
            return Vec::new();
        }
        let path = self.path.child(name);
        let items = items.iter().enumerate();
        items
            .map(|(index, value)| Self {
                value,
                path: path.index(index),
            })
            .collect()
    }
    /// The entries of a map field.
    pub(crate) fn entries(&self, name: &str) -> Vec<(&'a str, Self)> {
        let path = self.path.child(name);
        let entries = self
            .value
            .get(name)
            .and_then(Value::as_object)
            .into_iter()
            .flatten();
        entries
            .map(|(key, value)| {
                (
                    key.as_str(),
                    Self {
                        value,
                        path: path.key(key),
                    },
                )
            })
            .collect()
    }
    /// Whether a field is set.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.value.get(name).is_some_and(|value| !value.is_null())
    }
    /// Whether a list or map field has anything in it.
    pub(crate) fn has_items(&self, name: &str) -> bool {
        match self.value.get(name) {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(map)) => !map.is_empty(),
            _ => false,
        }
    }
    /// The text of a field, empty when absent.
    pub(crate) fn text(&self, name: &str) -> &'a str {
        self.value
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    }
    /// The number of a field.
    pub(crate) fn int(&self, name: &str) -> Option<i64> {
        self.value.get(name).and_then(Value::as_i64)
    }
    /// The flag of a field, false when absent.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.value.get(name) == Some(&Value::Bool(true))
    }
    /// The path of a field.
    pub(crate) fn at(&self, name: &str) -> Path {
        self.path.child(name)
    }
    /// The texts of a list field.
    pub(crate) fn texts(&self, name: &str) -> Vec<&'a str> {
        self.value
            .list_at(&[name])
            .iter()
            .filter_map(Value::as_str)
            .collect()
    }

    /// The field must be set.
    pub(crate) fn needs(&self, name: &str, errors: &mut Errors) {
        if self.text(name).is_empty() {
            errors.push(FieldError::required(&self.at(name), ""));
        }
    }
    /// The number must not be negative.
    pub(crate) fn not_negative(&self, name: &str, errors: &mut Errors) {
        if let Some(value) = self.int(name).filter(|value| *value < 0) {
            errors.push(FieldError::invalid(&self.at(name), value, NEGATIVE));
        }
    }
    /// The number must lie in a range, both ends included.
    pub(crate) fn in_range(&self, name: &str, low: i64, high: i64, errors: &mut Errors) {
        if let Some(value) = self.int(name).filter(|value| !(low..=high).contains(value)) {
            errors.push(FieldError::invalid(
                &self.at(name),
                value,
                names::in_range(low, high),
            ));
        }
    }
    /// The text must be one of these.
    pub(crate) fn one_of(&self, name: &str, valid: &[&str], errors: &mut Errors) {
        let text = self.text(name);
        if !valid.contains(&text) {
            errors.push(FieldError::not_supported(&self.at(name), text, valid));
        }
    }
    /// The text is needed and must be one of these.
    pub(crate) fn needs_one_of(&self, name: &str, valid: &[&str], errors: &mut Errors) {
        if self.text(name).is_empty() {
            errors.push(FieldError::required(&self.at(name), ""));
        } else {
            self.one_of(name, valid, errors);
        }
    }
    /// The text is needed and must be one of these, be it empty: what upstream has a pointer to.
    pub(crate) fn points_to_one_of(&self, name: &str, valid: &[&str], errors: &mut Errors) {
        if self.has(name) {
            self.one_of(name, valid, errors);
        } else {
            errors.push(FieldError::required(&self.at(name), ""));
        }
    }
    /// One error for each complaint about the text of a field.
    pub(crate) fn complain(&self, name: &str, complaints: Vec<String>, errors: &mut Errors) {
        if !complaints.is_empty() {
            let text = self.text(name);
            errors.extend(crate::metadata::invalid(&self.at(name), text, complaints));
        }
    }
    /// The field must be as it was.
    pub(crate) fn immutable(&self, old: &Self, name: &str, errors: &mut Errors) {
        if self.child(name).value != old.child(name).value {
            errors.push(FieldError::invalid(
                &self.at(name),
                self.child(name).value.clone(),
                IMMUTABLE,
            ));
        }
    }
}

/// A quantity, zero when malformed (decoding refuses those).
pub(crate) fn quantity(value: &Value) -> Quantity {
    let text = value.as_str().unwrap_or("0");
    Quantity::parse(text).unwrap_or(Quantity::zero(meta::quantity::Format::DecimalSi))
}

/// What is wrong with a label selector. Source: `ValidateLabelSelector`.
pub(crate) fn label_selector(selector: &Node<'_>, errors: &mut Errors) {
    let path = selector.at("matchLabels");
    errors.extend(crate::metadata::labels(
        selector.value.get("matchLabels"),
        &path,
    ));
    for expression in selector.items("matchExpressions") {
        let values = expression.texts("values");
        match expression.text("operator") {
            "In" | "NotIn" if values.is_empty() => {
                let why = "must be specified when `operator` is 'In' or 'NotIn'";
                errors.push(FieldError::required(&expression.at("values"), why));
            }
            "Exists" | "DoesNotExist" if !values.is_empty() => {
                let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
                errors.push(FieldError::forbidden(&expression.at("values"), why));
            }
            "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
            other => {
                let why = "not a valid selector operator";
                errors.push(FieldError::invalid(&expression.at("operator"), other, why));
            }
        }
        expression.complain("key", names::qualified_name(expression.text("key")), errors);
        for (index, value) in values.iter().enumerate() {
            let path = expression.at("values").index(index);
            errors.extend(crate::metadata::invalid(
                &path,
                value,
                names::label_value(value),
            ));
        }
    }
}

/// A port given by number or name.
pub(crate) fn port_or_name(holder: &Node<'_>, name: &str, errors: &mut Errors) {
    let path = holder.at(name);
    match holder.child(name).value {
        Value::String(text) => errors.extend(crate::metadata::invalid(
            &path,
            text,
            names::port_name(text),
        )),
        value => {
            let number = value.as_i64().unwrap_or_default();
            errors.extend(
                names::port_number(number)
                    .into_iter()
                    .map(|why| FieldError::invalid(&path, number, why)),
            );
        }
    }
}

/// Complaints about a text that should be an IP address.
///
/// Source: apimachinery `validation.IsValidIPForLegacyField`, as `StrictIPCIDRValidation` has it.
pub(crate) fn ip(text: &str) -> Vec<String> {
    let why = if parse_ip(text).is_none() {
        "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"
    } else {
        match text.parse::<IpAddr>() {
            Err(_) => "must not have leading 0s",
            Ok(address) if is_mapped(address) => "must not be an IPv4-mapped IPv6 address",
            Ok(_) => return Vec::new(),
        }
    };
    vec![why.to_owned()]
}

/// Complaints about a text that should be an IP address, written in one way alone.
///
/// Source: apimachinery `validation.IsValidIP`.
pub(crate) fn strict_ip(text: &str) -> Vec<String> {
    let errors = ip(text);
    let Some(address) = parse_ip(text).filter(|_| errors.is_empty()) else {
        return errors;
    };
    let canonical = address.to_string();
    if canonical == text {
        return Vec::new();
    }
    let canonical = meta::field::quote(&canonical);
    vec![format!("must be in canonical form ({canonical})")]
}

/// Complaints about a text that should be a CIDR block.
///
/// Source: apimachinery `validation.IsValidCIDRForLegacyField`, as `StrictIPCIDRValidation` has it.
pub(crate) fn cidr(text: &str) -> Vec<String> {
    let Some(block) = Cidr::parse(text) else {
        return vec!["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)".to_owned()];
    };
    let why = if has_zeros(text) {
        "must not have leading 0s in IP or prefix length"
    } else if is_mapped(block.address) {
        "must not have an IPv4-mapped IPv6 address"
    } else if block.first() != block.address {
        "must not have bits set beyond the prefix length"
    } else {
        return Vec::new();
    };
    vec![why.to_owned()]
}

/// Whether a block that can be parsed has zeros in front of one of its numbers.
fn has_zeros(block: &str) -> bool {
    let (address, prefix) = block.split_once('/').unwrap_or_default();
    prefix.len() > 1 && prefix.starts_with('0') || address.parse::<IpAddr>().is_err()
}

fn is_mapped(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.to_ipv4_mapped().is_some())
}

/// Keys of ConfigMaps and Secrets. Source: `IsConfigMapKey`.
pub(crate) fn config_key(key: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if key.len() > names::DNS1123_SUBDOMAIN_BYTES_MAX {
        errors.push(names::max_len_error(names::DNS1123_SUBDOMAIN_BYTES_MAX));
    }
    let fits = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    if key.is_empty() || !key.bytes().all(fits) {
        let words = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'";
        errors.push(names::regex_error(
            words,
            "[-._a-zA-Z0-9]+",
            &["key.name", "KEY_NAME", "key-name"],
        ));
    }
    match key {
        "." => errors.push("must not be '.'".into()),
        ".." => errors.push("must not be '..'".into()),
        _ if key.starts_with("..") => errors.push("must not start with '..'".into()),
        _ => {}
    }
    errors
}

/// A whole number or percentage. Source: `ValidatePositiveIntOrPercent`.
pub(crate) fn int_or_percent(holder: &Node<'_>, name: &str, errors: &mut Errors) {
    let path = holder.at(name);
    match holder.child(name).value {
        Value::String(text) => {
            if !is_percent(text) {
                let words =
                    "a valid percent string must be a numeric string followed by an ending '%'";
                let why = names::regex_error(words, "[0-9]+%", &["1%", "93%"]);
                errors.push(FieldError::invalid(&path, text.as_str(), why));
            }
        }
        value => {
            if let Some(number) = value.as_i64().filter(|number| *number < 0) {
                errors.push(FieldError::invalid(&path, number, NEGATIVE));
            }
        }
    }
}

/// Whether an amount has a part below one unit. One of more thousandths than Go can count has none.
///
/// Source: apimachinery `Quantity.MilliValue`, which is 0 for those.
pub(crate) fn is_fractional(amount: &Quantity) -> bool {
    let thousandths = amount.milli_value();
    thousandths % 1000 != 0 && thousandths != i64::MAX && thousandths != i64::MIN
}

/// Whether a text is a percentage such as `25%`.
pub(crate) fn is_percent(text: &str) -> bool {
    let digits = text.strip_suffix('%').unwrap_or_default();
    !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())
}

/// A percentage must not exceed 100. Source: `IsNotMoreThan100Percent`.
pub(crate) fn at_most_all(holder: &Node<'_>, name: &str, errors: &mut Errors) {
    let text = holder.text(name);
    let percent: Option<i64> = text
        .strip_suffix('%')
        .and_then(|digits| digits.parse().ok());
    if is_percent(text) && percent.is_some_and(|percent| percent > 100) {
        errors.push(FieldError::invalid(
            &holder.at(name),
            text,
            "must not be greater than 100%",
        ));
    }
}

/// A path below something: relative and without `..`. Source: `validateLocalDescendingPath`.
pub(crate) fn descending_path(text: &str, path: &Path, errors: &mut Errors) {
    if text.starts_with('/') {
        errors.push(FieldError::invalid(path, text, "must be a relative path"));
    }
    no_backsteps(text, path, errors);
}

/// A path without `..`. Source: `validatePathNoBacksteps`.
pub(crate) fn no_backsteps(text: &str, path: &Path, errors: &mut Errors) {
    if text.split('/').any(|part| part == "..") {
        errors.push(FieldError::invalid(path, text, "must not contain '..'"));
    }
}

/// A descending path that does not start with two dots. Source: `ValidateLocalNonReservedPath`.
pub(crate) fn unreserved_path(text: &str, path: &Path, errors: &mut Errors) {
    descending_path(text, path, errors);
    if text.starts_with("..") && !text.starts_with("../") {
        errors.push(FieldError::invalid(path, text, "must not start with '..'"));
    }
}

/// A warning about an address that is not written as it should be. Source: apimachinery `GetWarningsForIP`.
pub(crate) fn ip_warning(path: &Path, text: &str) -> Option<String> {
    let address = parse_ip(text)?.to_canonical();
    let shown = address.to_string();
    let has_other_form = text.parse::<IpAddr>().map_or(true, is_mapped);
    if has_other_form {
        return Some(format!(
            "{path}: non-standard IP address {text:?} is invalid: use {shown:?}"
        ));
    }
    (shown != text).then(|| {
        format!("{path}: IPv6 address {text:?} should be in RFC 5952 canonical format ({shown:?})")
    })
}

/// Warnings about a block that is not written as it should be. Source: apimachinery `GetWarningsForCIDR`.
pub(crate) fn cidr_warnings(path: &Path, text: &str) -> Vec<String> {
    let Some(block) = Cidr::parse(text) else {
        return Vec::new();
    };
    let (first, Cidr { address, bits }) = (block.first(), block);
    let (is_v4, is_mapped) = (address.is_ipv4(), is_mapped(address));
    // The v4 form of a mapped block begins 96 bits further on.
    let bits = if is_mapped {
        bits.saturating_sub(96)
    } else {
        bits
    };
    let block = format!("{}/{bits}", first.to_canonical());
    let mut warnings = Vec::new();
    if first != address {
        let most = if is_v4 { 32 } else { 128 };
        let alone = format!("{}/{most}", address.to_canonical());
        warnings.push(format!(
            "{path}: CIDR value {text:?} is ambiguous in this context (should be {block:?} or {alone:?}?)"
        ));
    }
    if is_mapped || has_zeros(text) {
        warnings.push(format!(
            "{path}: non-standard CIDR value {text:?} is invalid: use {block:?}"
        ));
    }
    if warnings.is_empty() && block != text {
        warnings.push(format!(
            "{path}: IPv6 CIDR value {text:?} should be in RFC 5952 canonical format ({block:?})"
        ));
    }
    warnings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(complaints: &[String]) -> String {
        complaints.join("; ")
    }

    #[test]
    fn addresses_are_written_in_one_way_alone() {
        for good in ["10.0.0.1", "0.0.0.0", "::1", "FD00::1"] {
            assert_eq!(said(&ip(good)), "", "{good}");
        }
        assert_eq!(said(&ip("10.0.0.01")), "must not have leading 0s");
        let mapped = "must not be an IPv4-mapped IPv6 address";
        assert_eq!(said(&ip("::ffff:10.0.0.1")), mapped);
        let bad = "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)";
        for text in [
            "",
            "10.0.0",
            "10.0.0.256",
            "a",
            "10.0.0.1/8",
            "fe80::1%eth0",
        ] {
            assert_eq!(said(&ip(text)), bad, "{text}");
        }
    }

    #[test]
    fn blocks_have_nothing_behind_their_prefix() {
        for good in [
            "10.0.0.0/8",
            "0.0.0.0/0",
            "10.0.0.1/32",
            "fd00::/64",
            "::/0",
        ] {
            assert_eq!(said(&cidr(good)), "", "{good}");
        }
        let zeros = "must not have leading 0s in IP or prefix length";
        assert_eq!(said(&cidr("010.0.0.0/8")), zeros);
        assert_eq!(said(&cidr("10.0.0.0/08")), zeros);
        let beyond = "must not have bits set beyond the prefix length";
        assert_eq!(said(&cidr("10.0.0.1/24")), beyond);
        assert_eq!(said(&cidr("fd00::1/64")), beyond);
        let mapped = "must not have an IPv4-mapped IPv6 address";
        assert_eq!(said(&cidr("::ffff:10.0.0.0/104")), mapped);
        let bad = "must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)";
        for text in [
            "",
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "10.0.0/8",
            "a/8",
        ] {
            assert_eq!(said(&cidr(text)), bad, "{text}");
        }
    }
}
