//! YAML 1.2 as people write it: one document in, one document out.

use serde_json::Value;

use crate::json::Document;

/// Reads one YAML document; JSON is YAML too.
///
/// # Errors
/// The text is no YAML, or has keys that are no strings.
pub fn read(bytes: &[u8]) -> Result<Document, String> {
    let text = std::str::from_utf8(bytes)
        .map_err(|_| "error converting YAML to JSON: invalid UTF-8".to_owned())?;
    let value: Value = serde_saphyr::from_str(text)
        .map_err(|error| format!("error converting YAML to JSON: {error}"))?;
    Ok(Document {
        value,
        duplicates: Vec::new(),
    })
}

/// Reads every document of a stream; empty ones are left out.
///
/// # Errors
/// The text is no YAML.
pub fn read_all(text: &str) -> Result<Vec<Value>, String> {
    let documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| error.to_string())?;
    Ok(documents
        .into_iter()
        .filter(|document| !document.is_null())
        .collect())
}

/// Writes a value as a YAML document.
///
/// # Errors
/// The value cannot be written, which is a defect.
pub fn write(value: &Value) -> Result<String, String> {
    serde_saphyr::to_string(value).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn anchors_folds_and_literals_are_read() {
        let text =
            "a: &x {n: 1}\nb: *x\nf: >\n  one\n  two\nl: |\n  one\n  two\nq: 'on'\nv: 0755\n";
        let document = read(text.as_bytes()).unwrap().value;
        assert_eq!(document["b"], json!({"n": 1}));
        assert_eq!(
            (document["f"].as_str(), document["l"].as_str()),
            (Some("one two\n"), Some("one\ntwo\n"))
        );
        assert_eq!(document["q"], "on");
    }

    #[test]
    fn streams_have_several_documents() {
        assert_eq!(
            read_all("---\na: 1\n---\n---\nb: 2\n").unwrap(),
            [json!({"a": 1}), json!({"b": 2})]
        );
    }
}
