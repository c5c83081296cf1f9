//! Label selectors (from query strings and from objects) and field selectors.
//!
//! Source: apimachinery `labels` and `fields`: grammar and the meaning of each operator.

mod grammar;

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use crate::field::quote;
use crate::names;
use crate::object::ObjectExt;

/// One requirement on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// What is asked of it.
    pub operator: Operator,
    /// The values asked for; empty for `Exists` and `DoesNotExist`.
    pub values: Vec<String>,
}

/// What a requirement asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are upstream's and say it all")]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
    GreaterThan,
    LessThan,
}

/// All of its requirements must hold; none at all selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LabelSelector(pub Vec<Requirement>);

impl fmt::Display for Requirement {
    /// As queries spell it: `a=b`, `a in (b,c)`, `a notin (b)`, `a`, `!a`, `a>1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.key;
        let mut values = self.values.clone();
        values.sort();
        let values = values.join(",");
        match self.operator {
            Operator::In if self.values.len() == 1 => write!(f, "{key}={values}"),
            Operator::In => write!(f, "{key} in ({values})"),
            Operator::NotIn => write!(f, "{key} notin ({values})"),
            Operator::Exists => write!(f, "{key}"),
            Operator::DoesNotExist => write!(f, "!{key}"),
            Operator::GreaterThan => write!(f, "{key}>{values}"),
            Operator::LessThan => write!(f, "{key}<{values}"),
        }
    }
}

impl fmt::Display for LabelSelector {
    /// All requirements, by key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut requirements: Vec<&Requirement> = self.0.iter().collect();
        requirements.sort_by(|left, right| left.key.cmp(&right.key));
        for (index, requirement) in requirements.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{requirement}")?;
        }
        Ok(())
    }
}

impl Requirement {
    /// Whether a set of labels meets this.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|value| self.values.contains(value)),
            Operator::NotIn => value.is_none_or(|value| !self.values.contains(value)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
            Operator::GreaterThan | Operator::LessThan => {
                let bound = self
                    .values
                    .first()
                    .and_then(|bound| bound.parse::<i64>().ok());
                match (value.and_then(|value| value.parse::<i64>().ok()), bound) {
                    (Some(value), Some(bound)) if self.operator == Operator::GreaterThan => {
                        value > bound
                    }
                    (Some(value), Some(bound)) => value < bound,
                    _ => false,
                }
            }
        }
    }
}

impl LabelSelector {
    /// Reads the grammar of `?labelSelector=`.
    ///
    /// # Errors
    /// Upstream's sentence for what could not be read.
    pub fn parse(text: &str) -> Result<Self, String> {
        grammar::parse(text)
    }

    /// Exactly these labels with these values.
    pub fn from_labels(labels: &BTreeMap<String, String>) -> Self {
        let requirement = |(key, value): (&String, &String)| Requirement {
            key: key.clone(),
            operator: Operator::In,
            values: vec![value.clone()],
        };
        Self(labels.iter().map(requirement).collect())
    }

    /// Reads `matchLabels` and `matchExpressions`. `None` when the selector is absent: upstream then selects nothing.
    pub fn from_object(selector: Option<&Value>) -> Option<Self> {
        let selector = selector?;
        let mut requirements = Vec::new();
        for (key, value) in selector
            .get("matchLabels")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
        {
            let values = vec![value.as_str().unwrap_or_default().to_owned()];
            requirements.push(Requirement {
                key: key.clone(),
                operator: Operator::In,
                values,
            });
        }
        for expression in selector.list_at(&["matchExpressions"]) {
            let operator = match expression.str_at(&["operator"])? {
                "In" => Operator::In,
                "NotIn" => Operator::NotIn,
                "Exists" => Operator::Exists,
                "DoesNotExist" => Operator::DoesNotExist,
                "Gt" => Operator::GreaterThan,
                "Lt" => Operator::LessThan,
                _ => return None,
            };
            let values = expression.list_at(&["values"]).iter();
            requirements.push(Requirement {
                key: expression.str_at(&["key"])?.to_owned(),
                operator,
                values: values
                    .filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect(),
            });
        }
        Some(Self(requirements))
    }

    /// Whether a set of labels meets every requirement.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| requirement.matches(labels))
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }
}

fn requirement(key: &str, operator: Operator, values: Vec<String>) -> Result<Requirement, String> {
    if let Some(error) = names::qualified_name(key).first() {
        return Err(format!("<nil>: Invalid value: {}: {error}", quote(key)));
    }
    let is_numeric = matches!(operator, Operator::GreaterThan | Operator::LessThan);
    for (index, value) in values.iter().enumerate() {
        if is_numeric && value.parse::<i64>().is_err() {
            return Err(format!(
                "values[{index}]: Invalid value: {}: for 'Gt', 'Lt' operators, the value must be an integer",
                quote(value)
            ));
        }
        if let Some(error) = names::label_value(value).first() {
            return Err(format!(
                "values[{index}][{key}]: Invalid value: {}: {error}",
                quote(value)
            ));
        }
    }
    Ok(Requirement {
        key: key.to_owned(),
        operator,
        values,
    })
}

/// One term of a field selector: a field must equal, or must not equal, a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldTerm {
    /// The field's name, such as `metadata.name`.
    pub field: String,
    /// The value compared with.
    pub value: String,
    /// `true` for `=` and `==`, `false` for `!=`.
    pub equal: bool,
}

/// All of its terms must hold; none at all selects everything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldSelector(pub Vec<FieldTerm>);

impl FieldSelector {
    /// Reads the grammar of `?fieldSelector=`; `\` escapes `,`, `=` and itself.
    ///
    /// # Errors
    /// Upstream's sentence for a term that has no operator.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut terms = Vec::new();
        let mut parts = split_unescaped(text, ',');
        // Upstream's are sorted, and the first that a kind does not know is told.
        parts.sort_unstable();
        for part in parts.into_iter().filter(|part| !part.is_empty()) {
            let at = unescaped(part, '=')
                .ok_or_else(|| format!("invalid selector: '{text}'; can't understand '{part}'"))?;
            let (left, right) = part.split_at(at);
            let right = right.get(1..).unwrap_or_default();
            let (field, equal) = left
                .strip_suffix('!')
                .map_or((left, true), |field| (field, false));
            let value = if equal {
                right.strip_prefix('=').unwrap_or(right)
            } else {
                right
            };
            let value = unescape(value)?;
            // A bare operator selects everything.
            if field.is_empty() && value.is_empty() {
                continue;
            }
            terms.push(FieldTerm {
                field: field.to_owned(),
                value,
                equal,
            });
        }
        Ok(Self(terms))
    }

    /// Whether everything is selected.
    pub fn is_everything(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every term holds; `read` gives a field's value, empty when it is unset.
    pub fn matches(&self, read: impl Fn(&str) -> String) -> bool {
        self.0
            .iter()
            .all(|term| (read(&term.field) == term.value) == term.equal)
    }

    /// The value `metadata.name` must equal, when the selector pins it.
    pub fn exact(&self, field: &str) -> Option<&str> {
        self.0
            .iter()
            .find(|term| term.equal && term.field == field)
            .map(|term| term.value.as_str())
    }
}

/// Position of the first `wanted` that no backslash escapes.
fn unescaped(text: &str, wanted: char) -> Option<usize> {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == wanted => return Some(at),
            _ => {}
        }
    }
    None
}

fn split_unescaped(mut text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    while let Some(at) = unescaped(text, separator) {
        let (part, rest) = text.split_at(at);
        parts.push(part);
        text = rest.get(1..).unwrap_or_default();
    }
    parts.push(text);
    parts
}

/// Source: `fields.UnescapeValue`.
fn unescape(text: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let sequence: String = ['\\'].into_iter().chain(other).collect();
                    return Err(format!(
                        "invalid field selector: invalid escape sequence: {sequence}"
                    ));
                }
            },
            ',' | '=' => {
                return Err(format!(
                    "invalid field selector: unescaped character in value: {}",
                    u32::from(c)
                ));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels() -> BTreeMap<String, String> {
        [("app", "web"), ("tier", "5")]
            .into_iter()
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .collect()
    }

    #[test]
    fn each_operator_selects_as_upstream() {
        let selected = [
            "",
            "app=web",
            "app==web",
            "app!=db",
            "app in (web, db)",
            "app notin (db)",
            "app",
            "!gone",
            "tier>4",
            "gone!=x",
            "app in (web),tier",
        ];
        let others = [
            "app=db",
            "app!=web",
            "app notin (web)",
            "gone",
            "!app",
            "tier<5",
            "app in (a,b)",
            "gone=x",
        ];
        for text in selected {
            assert!(
                LabelSelector::parse(text).unwrap().matches(&labels()),
                "{text}"
            );
        }
        for text in others {
            assert!(
                !LabelSelector::parse(text).unwrap().matches(&labels()),
                "{text}"
            );
        }
    }

    #[test]
    fn malformed_label_selectors_are_refused() {
        for text in [
            "a b",
            "app in web",
            "app in (web",
            "=x",
            "app=-x",
            "tier>x",
            ",",
            "a,,b",
        ] {
            assert!(LabelSelector::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn field_selectors_read_operators_and_escapes() {
        let selector = FieldSelector::parse(r"metadata.name=a\,b,status.phase!=Running").unwrap();
        assert_eq!(selector.exact("metadata.name"), Some("a,b"));
        assert!(selector.matches(|field| if field == "metadata.name" {
            "a,b".into()
        } else {
            "Pending".into()
        }));
        assert!(FieldSelector::parse("x").is_err());
        let sorted = FieldSelector::parse("status.phase=Running,spec.nodeName=a").unwrap();
        assert_eq!(
            sorted,
            FieldSelector::parse("spec.nodeName=a,status.phase=Running").unwrap()
        );
    }
}
