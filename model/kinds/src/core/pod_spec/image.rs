//! Image references: which tag a name means, and so which pull policy it gets by default.

/// Longest path of a repository, which is what stands behind the domain. Source: distribution/reference `Parse`.
const NAME_BYTES_MAX: usize = 255;

/// What a name without a slash has in front of it. Source: distribution/reference `officialRepoPrefix`.
const OFFICIAL: &str = "library/";

/// The default of `imagePullPolicy`: `Always` for `latest`, said or meant.
pub(super) fn pull_policy(image: &str) -> &'static str {
    if tag(image) == "latest" {
        "Always"
    } else {
        "IfNotPresent"
    }
}

/// The tag of a reference; empty when it has a digest alone, or is malformed.
fn tag(image: &str) -> &str {
    let (rest, digest) = match image.split_once('@') {
        Some((rest, digest)) => (rest, Some(digest)),
        None => (image, None),
    };
    let last_slash = rest.rfind('/').map_or(0, |at| at + 1);
    let last = rest.get(last_slash..).unwrap_or_default();
    let colon = last.find(':').map(|at| at + last_slash);
    let (name, tag) = match colon {
        Some(at) => (rest.get(..at).unwrap_or_default(), rest.get(at + 1..)),
        None => (rest, None),
    };
    let is_valid = is_name(name) && tag.is_none_or(is_tag) && digest.is_none_or(is_digest);
    match tag {
        _ if !is_valid => "",
        Some(tag) => tag,
        None if digest.is_some() => "",
        None => "latest",
    }
}

fn is_name(name: &str) -> bool {
    if is_hex(name, 64) {
        return false;
    }
    let (domain, path) = match name.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':'])
                || first == "localhost"
                || first.to_lowercase() != first =>
        {
            (Some(first), rest)
        }
        _ => (None, name),
    };
    let is_official = domain.is_none() && !path.contains('/');
    let bytes = path.len() + if is_official { OFFICIAL.len() } else { 0 };
    bytes <= NAME_BYTES_MAX && domain.is_none_or(is_domain) && path.split('/').all(is_component)
}

fn is_domain(domain: &str) -> bool {
    let (host, port) = domain
        .split_once(':')
        .map_or((domain, None), |(host, port)| (host, Some(port)));
    let is_label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    host.split('.').all(is_label)
        && port.is_none_or(|port| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

/// Lower-case letters and digits, joined by one `.`, one or two `_`, or any number of `-`.
fn is_component(component: &str) -> bool {
    let mut separator = String::new();
    let mut seen = false;
    for c in component.chars() {
        if c.is_ascii_lowercase() || c.is_ascii_digit() {
            let joins = matches!(separator.as_str(), "" | "." | "_" | "__")
                || separator.bytes().all(|b| b == b'-');
            if !joins || (!seen && !separator.is_empty()) {
                return false;
            }
            separator.clear();
            seen = true;
        } else if matches!(c, '.' | '_' | '-') {
            separator.push(c);
        } else {
            return false;
        }
    }
    seen && separator.is_empty()
}

fn is_tag(tag: &str) -> bool {
    let is_word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    tag.len() <= 128
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|b| is_word(b) || b == b'.' || b == b'-')
}

fn is_digest(digest: &str) -> bool {
    digest.split_once(':').is_some_and(|(algorithm, hex)| {
        let length = match algorithm {
            "sha256" => 64,
            "sha384" => 96,
            "sha512" => 128,
            _ => return hex.len() >= 32 && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        };
        is_hex(hex, length)
    })
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latest_said_or_meant_is_always_pulled() {
        let digest = format!("busybox@sha256:{}", "a".repeat(64));
        let cases = [
            ("busybox", "Always"),
            ("busybox:latest", "Always"),
            ("reg.example.com:5000/a/b", "Always"),
            ("busybox:1.36", "IfNotPresent"),
            (digest.as_str(), "IfNotPresent"),
            ("", "IfNotPresent"),
            ("UPPER", "IfNotPresent"),
            ("a/b__c-d.e", "Always"),
            ("a..b", "IfNotPresent"),
            // With `library/` in front a name is at most 255 bytes long, without its domain.
            (&"a".repeat(247), "Always"),
            (&"a".repeat(248), "IfNotPresent"),
            (&format!("a.b/{}", "a".repeat(255)), "Always"),
        ];
        for (image, policy) in cases {
            assert_eq!(pull_policy(image), policy, "{image}");
        }
    }
}
