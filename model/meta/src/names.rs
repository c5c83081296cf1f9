//! What names, labels and ports may look like, with upstream's wording of what is wrong.
//!
//! Every function returns the complaints; none means the text is fine. Source: apimachinery `util/validation`.

/// Longest DNS subdomain, in bytes. Source: RFC 1123.
pub const DNS1123_SUBDOMAIN_BYTES_MAX: usize = 253;
/// Longest DNS label, in bytes. Source: RFC 1123.
pub const DNS1123_LABEL_BYTES_MAX: usize = 63;
const QUALIFIED_NAME_BYTES_MAX: usize = 63;
const LABEL_VALUE_BYTES_MAX: usize = 63;

const SUBDOMAIN_WORDS: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character";
const SUBDOMAIN_REGEX: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const ZONE_WORDS: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character";
const ZONE_REGEX: &str = r"_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";
const LABEL_WORDS: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character";
const LABEL_REGEX: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const LABEL1035_WORDS: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character";
const LABEL1035_REGEX: &str = "[a-z]([-a-z0-9]*[a-z0-9])?";
const QUALIFIED_WORDS: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const QUALIFIED_REGEX: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const LABEL_VALUE_WORDS: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
const LABEL_VALUE_REGEX: &str = "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?";

/// Upstream's `RegexError`: the rule, examples, and the expression.
pub fn regex_error(words: &str, regex: &str, examples: &[&str]) -> String {
    if examples.is_empty() {
        return format!("{words} (regex used for validation is '{regex}')");
    }
    let examples: Vec<String> = examples
        .iter()
        .map(|example| format!("'{example}'"))
        .collect();
    format!(
        "{words} (e.g. {}, regex used for validation is '{regex}')",
        examples.join(",  or ")
    )
}

/// Upstream's `MaxLenError`.
pub fn max_len_error(max: usize) -> String {
    format!("must be no more than {max} characters")
}

/// Upstream's newer wording of [`max_len_error`], which labels have. Source: `api/validate/content`.
fn max_bytes_error(max: usize) -> String {
    format!("must be no more than {max} bytes")
}

/// Names of most objects.
pub fn dns1123_subdomain(value: &str) -> Vec<String> {
    let mut errors = too_long(value, DNS1123_SUBDOMAIN_BYTES_MAX);
    if !value.split('.').all(is_dns_label) {
        errors.push(regex_error(
            SUBDOMAIN_WORDS,
            SUBDOMAIN_REGEX,
            &["example.com"],
        ));
    }
    errors
}

/// Names of DNS zones, in which an underscore may stand where a letter may, but at the end.
pub fn dns1123_subdomain_with_underscore(value: &str) -> Vec<String> {
    let mut errors = too_long(value, DNS1123_SUBDOMAIN_BYTES_MAX);
    let is_zone = |label: &str| {
        let rest = label.strip_prefix('_').unwrap_or(label);
        is_dns_label(&rest.replace('_', "-"))
    };
    if !value.split('.').all(is_zone) {
        errors.push(regex_error(ZONE_WORDS, ZONE_REGEX, &["example.com"]));
    }
    errors
}

/// Names of namespaces, containers, volumes.
pub fn dns1123_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, DNS1123_LABEL_BYTES_MAX);
    if !is_dns_label(value) {
        let is_subdomain = value.split('.').all(is_dns_label);
        errors.push(if is_subdomain {
            "must not contain dots".to_owned()
        } else {
            regex_error(LABEL_WORDS, LABEL_REGEX, &["my-name", "123-abc"])
        });
    }
    errors
}

/// Names of services.
pub fn dns1035_label(value: &str) -> Vec<String> {
    let mut errors = too_long(value, DNS1123_LABEL_BYTES_MAX);
    if !is_dns_label(value) || value.starts_with(|c: char| c.is_ascii_digit()) {
        errors.push(regex_error(
            LABEL1035_WORDS,
            LABEL1035_REGEX,
            &["my-name", "abc-123"],
        ));
    }
    errors
}

/// Keys of labels and annotations, finalizers: `[prefix/]name`.
pub fn qualified_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    let name = match value.split('/').collect::<Vec<_>>().as_slice() {
        [name] => *name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_owned());
            } else {
                if prefix.len() > DNS1123_SUBDOMAIN_BYTES_MAX {
                    let why = max_bytes_error(DNS1123_SUBDOMAIN_BYTES_MAX);
                    errors.push(format!("prefix part {why}"));
                }
                if !prefix.split('.').all(is_dns_label) {
                    let why = regex_error(SUBDOMAIN_WORDS, SUBDOMAIN_REGEX, &["example.com"]);
                    errors.push(format!("prefix part {why}"));
                }
            }
            *name
        }
        _ => {
            let words = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";
            let error = regex_error(words, QUALIFIED_REGEX, &["MyName", "my.name", "123-abc"]);
            return vec![format!(
                "{error} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
            )];
        }
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_owned());
    } else if name.len() > QUALIFIED_NAME_BYTES_MAX {
        errors.push(format!(
            "name part {}",
            max_bytes_error(QUALIFIED_NAME_BYTES_MAX)
        ));
    }
    if !is_qualified_part(name) {
        let error = regex_error(
            QUALIFIED_WORDS,
            QUALIFIED_REGEX,
            &["MyName", "my.name", "123-abc"],
        );
        errors.push(format!("name part {error}"));
    }
    errors
}

/// Values of labels.
pub fn label_value(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > LABEL_VALUE_BYTES_MAX {
        errors.push(max_bytes_error(LABEL_VALUE_BYTES_MAX));
    }
    if !value.is_empty() && !is_qualified_part(value) {
        errors.push(regex_error(
            LABEL_VALUE_WORDS,
            LABEL_VALUE_REGEX,
            &["MyValue", "my_value", "12345"],
        ));
    }
    errors
}

/// Names of objects whose rule is only that they fit into a URL path segment, such as RBAC roles.
pub fn path_segment(value: &str) -> Vec<String> {
    if matches!(value, "." | "..") {
        return vec![format!("may not be '{value}'")];
    }
    let contained = ["/", "%"].into_iter().filter(|bad| value.contains(bad));
    contained
        .map(|bad| format!("may not contain '{bad}'"))
        .collect()
}

/// Port numbers.
pub fn port_number(port: i64) -> Vec<String> {
    if (1..=65535).contains(&port) {
        Vec::new()
    } else {
        vec![in_range(1, 65535)]
    }
}

/// Port names: at most 15 characters, with a letter.
pub fn port_name(value: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if value.len() > 15 {
        errors.push("must be no more than 15 characters".to_owned());
    }
    if value.is_empty()
        || !value
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
    {
        errors.push(
            "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)".to_owned(),
        );
    }
    if !value.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_owned());
    }
    if value.contains("--") {
        errors.push("must not contain consecutive hyphens".to_owned());
    }
    if value.starts_with('-') || value.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_owned());
    }
    errors
}

/// Upstream's `InclusiveRangeError`.
pub fn in_range(low: i64, high: i64) -> String {
    format!("must be between {low} and {high}, inclusive")
}

fn too_long(value: &str, max: usize) -> Vec<String> {
    if value.len() > max {
        vec![max_len_error(max)]
    } else {
        Vec::new()
    }
}

fn is_dns_label(value: &str) -> bool {
    let bytes = value.as_bytes();
    let is_alnum = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    bytes.first().is_some_and(is_alnum)
        && bytes.last().is_some_and(is_alnum)
        && bytes.iter().all(|b| is_alnum(b) || *b == b'-')
}

fn is_qualified_part(value: &str) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes.last().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}
