//! `$(NAME)` in commands, arguments and values of variables.
//!
//! Source: `third_party/forked/golang/expansion/expand.go`.

/// Replaces every `$(NAME)` that `lookup` knows; `$$` gives `$`; anything else stays as it is.
pub fn expand(text: &str, lookup: impl Fn(&str) -> Option<String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(tail) = rest.strip_prefix('$') {
            out.push('$');
            rest = tail;
        } else if let Some((name, tail)) = reference(rest) {
            if let Some(value) = lookup(name) {
                out.push_str(&value);
            } else {
                out.push_str("$(");
                out.push_str(name);
                out.push(')');
            }
            rest = tail;
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    out
}

/// Splits `(NAME)tail`; `None` when the bracket is missing or never closes.
fn reference(text: &str) -> Option<(&str, &str)> {
    text.strip_prefix('(')?.split_once(')')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_var(text: &str) -> String {
        expand(text, |name| (name == "VAR").then(|| "value".to_owned()))
    }

    #[test]
    fn known_names_are_replaced_and_the_rest_stays() {
        let cases = [
            ("$(VAR)", "value"),
            ("a-$(VAR)-b", "a-value-b"),
            ("$(OTHER)", "$(OTHER)"),
            ("$$(VAR)", "$(VAR)"),
            ("$$$(VAR)", "$value"),
            ("$VAR", "$VAR"),
            ("$(VAR", "$(VAR"),
            ("$", "$"),
            ("$$", "$"),
            ("", ""),
        ];
        for (input, output) in cases {
            assert_eq!(with_var(input), output, "{input}");
        }
    }
}
