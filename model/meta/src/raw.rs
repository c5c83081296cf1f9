//! Looking into an object's bytes without decoding all of them.
//!
//! The bytes are JSON that was checked before: what the server stores, or what a server answered. Of bytes that are no
//! JSON some parts may be found and others not; nothing panics.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// The members of an object's bytes: each key as it stands between its quotes, and the bytes of its value.
#[derive(Clone, Debug)]
pub struct Members<'a>(&'a [u8]);

/// The bytes of a list's items.
#[derive(Clone, Debug)]
pub struct Items<'a>(&'a [u8]);

/// The members of an object; none when it is something else.
pub fn members(json: &[u8]) -> Members<'_> {
    Members(trim(json).strip_prefix(b"{").unwrap_or_default())
}

/// The items of a list; none when it is something else.
pub fn items(json: &[u8]) -> Items<'_> {
    Items(trim(json).strip_prefix(b"[").unwrap_or_default())
}

/// The value at a path of keys.
pub fn at<'a>(json: &'a [u8], path: &[&str]) -> Option<&'a [u8]> {
    path.iter().try_fold(trim(json), |json, wanted| {
        let found = members(json).find(|(key, _)| *key == wanted.as_bytes());
        found.map(|(_, value)| value)
    })
}

/// The text of a string's bytes; `None` when they are no string.
pub fn text(json: &[u8]) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    if inner.contains(&b'\\') {
        return serde_json::from_slice(json).ok().map(Cow::Owned);
    }
    std::str::from_utf8(inner).ok().map(Cow::Borrowed)
}

/// The text at a path of keys.
pub fn text_at<'a>(json: &'a [u8], path: &[&str]) -> Option<Cow<'a, str>> {
    at(json, path).and_then(text)
}

/// An object's bytes with some members left out of its metadata.
pub fn without_metadata(json: &[u8], left_out: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len());
    write_members(&mut bytes, members(json), |bytes, key, value| {
        if key == b"metadata" {
            let is_kept = |key: &[u8]| !left_out.iter().any(|name| name.as_bytes() == key);
            let kept = members(value).filter(|(key, _)| is_kept(key));
            write_members(bytes, kept, |bytes, _, value| {
                bytes.extend_from_slice(value);
            });
        } else {
            bytes.extend_from_slice(value);
        }
    });
    bytes
}

/// Writes an object of members; `write` writes each value.
pub fn write_members<'a>(
    bytes: &mut Vec<u8>,
    members: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    write: impl Fn(&mut Vec<u8>, &'a [u8], &'a [u8]),
) {
    let mut opening = b'{';
    for (key, value) in members {
        bytes.extend([opening, b'"']);
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(b"\":");
        write(bytes, key, value);
        opening = b',';
    }
    if opening == b'{' {
        bytes.push(opening);
    }
    bytes.push(b'}');
}

/// The fields that somebody reads of objects, as a tree.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    wanted: Wanted,
    below: Vec<(&'static str, Fields)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Wanted {
    #[default]
    Below,
    Keys,
    Whole,
}

impl Fields {
    /// The fields at dotted paths, with everything below them. A path goes through lists without naming them, and one
    /// that ends in `*` is an object of which only the keys are read.
    pub fn new(paths: &[&'static str]) -> Self {
        let mut fields = Self::default();
        for path in paths {
            fields.add(path.split('.'));
        }
        fields
    }

    fn add(&mut self, mut path: impl Iterator<Item = &'static str>) {
        match path.next() {
            None => self.wanted = Wanted::Whole,
            Some("*") => self.wanted = Wanted::Keys,
            Some(key) => {
                let known = self.below.iter().position(|(known, _)| *known == key);
                let index = known.unwrap_or_else(|| {
                    self.below.push((key, Self::default()));
                    self.below.len() - 1
                });
                if let Some((_, fields)) = self.below.get_mut(index) {
                    fields.add(path);
                }
            }
        }
    }

    /// Decodes these fields of an object and leaves the others out. Lists keep their length.
    pub fn decode(&self, json: &[u8]) -> Option<Value> {
        self.take(&mut trim(json))
    }

    /// Decodes these fields of the value that stands first, and leaves what stands behind it.
    fn take(&self, rest: &mut &[u8]) -> Option<Value> {
        match rest.first()? {
            b'{' if self.wanted == Wanted::Below => self.take_members(rest),
            b'[' if self.wanted == Wanted::Below => {
                let (mut items, mut taken) = (items(rest), Vec::new());
                while let Some(mut item) = next_entry(items.0) {
                    taken.push(self.take(&mut item)?);
                    items.0 = item;
                }
                *rest = trim(items.0).strip_prefix(b"]")?;
                Some(taken.into())
            }
            b'{' if self.wanted == Wanted::Keys => {
                let object = take_value(rest)?;
                let keys =
                    members(object).map(|(key, _)| Some((name(key)?.into_owned(), Value::Null)));
                keys.collect::<Option<Map<_, _>>>().map(Value::Object)
            }
            _ => serde_json::from_slice(take_value(rest)?).ok(),
        }
    }

    fn take_members(&self, rest: &mut &[u8]) -> Option<Value> {
        let (mut members, mut object) = (members(rest), Map::new());
        while let Some(key) = members.key() {
            match self.below.iter().find(|(name, _)| name.as_bytes() == key) {
                Some((name, fields)) => {
                    object.insert((*name).to_owned(), fields.take(&mut members.0)?);
                }
                None => {
                    take_value(&mut members.0)?;
                }
            }
        }
        *rest = trim(members.0).strip_prefix(b"}")?;
        Some(object.into())
    }
}

/// A key, from what stands between its quotes.
pub fn name(key: &[u8]) -> Option<Cow<'_, str>> {
    if key.contains(&b'\\') {
        let quoted = [b"\"", key, b"\""].concat();
        return serde_json::from_slice(&quoted).ok().map(Cow::Owned);
    }
    std::str::from_utf8(key).ok().map(Cow::Borrowed)
}

impl<'a> Members<'a> {
    /// The next key, behind which its value is left to be taken.
    fn key(&mut self) -> Option<&'a [u8]> {
        let rest = next_entry(self.0)?;
        let length = string_length(rest)?;
        let (key, rest) = rest.split_at_checked(length)?;
        self.0 = trim(trim(rest).strip_prefix(b":")?);
        key.get(1..length - 1)
    }
}

impl<'a> Iterator for Members<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        Some((self.key()?, take_value(&mut self.0)?))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        self.0 = next_entry(self.0)?;
        take_value(&mut self.0)
    }
}

/// The value that stands first; what stands behind it is left.
fn take_value<'a>(json: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (value, rest) = json.split_at_checked(length_of(json)?)?;
    *json = rest;
    Some(value)
}

/// What follows a comma, if one stands here.
fn next_entry(json: &[u8]) -> Option<&[u8]> {
    let json = trim(json);
    let json = json.strip_prefix(b",").map_or(json, trim);
    (!matches!(json.first()?, b'}' | b']')).then_some(json)
}

fn trim(json: &[u8]) -> &[u8] {
    match json.first() {
        Some(first) if first.is_ascii_whitespace() => json.trim_ascii_start(),
        _ => json,
    }
}

/// The length of the value that stands first.
fn length_of(json: &[u8]) -> Option<usize> {
    match json.first()? {
        b'"' => string_length(json),
        b'{' | b'[' => nested_length(json),
        _ => {
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']') || byte.is_ascii_whitespace();
            Some(json.iter().position(ends).unwrap_or(json.len()))
        }
    }
}

/// The length of an object or list, which ends where as many were closed as were opened.
fn nested_length(json: &[u8]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => at += string_length(json.get(at..)?)? - 1,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// The length of a string with its quotes.
fn string_length(json: &[u8]) -> Option<usize> {
    json.strip_prefix(b"\"")?;
    let mut at = 1;
    loop {
        at += plain_length(json.get(at..)?);
        match json.get(at)? {
            b'"' => return Some(at + 1),
            _ => at += 2,
        }
    }
}

/// How many bytes stand before the first quote or backslash. Most of an object are strings: eight are looked at at once.
fn plain_length(json: &[u8]) -> usize {
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\');
    let (words, rest) = json.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let found = zeros(word ^ repeat(b'"')) | zeros(word ^ repeat(b'\\'));
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let behind = rest.iter().position(is_special).unwrap_or(rest.len());
    words.len() * 8 + behind
}

const fn repeat(byte: u8) -> u64 {
    u64::from_le_bytes([byte; 8])
}

/// The highest bit of each byte that is zero; of the bytes behind the first such, others may be marked too.
const fn zeros(word: u64) -> u64 {
    word.wrapping_sub(repeat(1)) & !word & repeat(0x80)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Value {
        json!({
            "kind": "Pod",
            "metadata": {"name": "a", "labels": {"a.b/c": "x", "q\"\\": "y"}, "managedFields": [{"f:x": {"f:\"": {}}}]},
            "spec": {"containers": [{"name": "c", "image": "i}]"}, {"image": "j"}], "nodeName": "n\u{e9}\\\"", "n": -1.5},
            "data": {"k,\"": "v"}, "none": null, "empty": {}, "no": [],
        })
    }

    #[test]
    fn every_member_is_found_with_its_value_however_it_is_spaced() {
        let pod = pod();
        for text in [pod.to_string(), format!("{pod:#}")] {
            let text = text.as_bytes();
            let found: Map<String, Value> = members(text)
                .map(|(key, value)| {
                    let value = serde_json::from_slice(value).unwrap();
                    (name(key).unwrap().into_owned(), value)
                })
                .collect();
            assert_eq!(Value::from(found), pod);
            assert_eq!(text_at(text, &["spec", "nodeName"]).unwrap(), "n\u{e9}\\\"");
            assert_eq!(at(text, &["spec", "n"]).unwrap(), b"-1.5");
            assert_eq!(items(at(text, &["spec", "containers"]).unwrap()).count(), 2);
            assert_eq!(at(text, &["spec", "other"]), None);
            assert_eq!(at(text, &["kind", "below"]), None);
        }
    }

    #[test]
    fn only_the_fields_that_are_read_are_decoded() {
        let fields = Fields::new(&["metadata.name", "spec.containers.name", "data.*", "empty"]);
        let read = fields.decode(pod().to_string().as_bytes()).unwrap();
        let wanted = json!({"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}, {}]},
            "data": {"k,\"": null}, "empty": {}});
        assert_eq!(read, wanted);
    }

    #[test]
    fn metadata_is_left_out_by_name() {
        let bytes = without_metadata(pod().to_string().as_bytes(), &["managedFields", "labels"]);
        let mut wanted = pod();
        wanted["metadata"] = json!({"name": "a"});
        assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), wanted);
        assert_eq!(without_metadata(b"{}", &[]), b"{}");
    }

    #[test]
    fn strings_end_at_their_quote_wherever_it_stands() {
        for length in 0..40 {
            for escape in 0..=length {
                let text: String = (0..length)
                    .map(|at| if at == escape { '"' } else { '!' })
                    .collect();
                let json = Value::from(text.as_str()).to_string();
                let list = format!("[{json},1]");
                let found: Vec<&[u8]> = items(list.as_bytes()).collect();
                assert_eq!(found, [json.as_bytes(), b"1"]);
                assert_eq!(super::text(json.as_bytes()).unwrap(), text);
            }
        }
    }

    #[test]
    fn bytes_that_are_cut_off_end_quietly() {
        let text = pod().to_string();
        for length in 0..text.len() {
            let cut = text.as_bytes().get(..length).unwrap();
            assert!(members(cut).count() <= 7);
            assert!(at(cut, &["spec", "containers"]).is_none_or(|list| items(list).count() == 2));
        }
    }
}
