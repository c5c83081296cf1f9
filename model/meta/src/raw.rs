//! Looking into an object's bytes without decoding all of them.
//!
//! The bytes are JSON that was checked before: what the server stores, or what a server answered. Of bytes that are no
//! JSON some parts may be found and others not; nothing panics.

mod skip;

use std::borrow::Cow;
use std::cmp::Ordering;

use serde_json::{Map, Value};

use self::skip::{nested_length, rest_length, string_length};

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

/// An object's bytes as of another revision.
pub fn with_resource_version(json: &[u8], version: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(json.len() + 1);
    let version = format!("\"{version}\"");
    write_members(&mut bytes, members(json), |bytes, key, value| {
        if key != b"metadata" {
            return bytes.extend_from_slice(value);
        }
        write_members(bytes, members(value), |bytes, key, value| {
            let is_version = key == b"resourceVersion";
            bytes.extend_from_slice(if is_version {
                version.as_bytes()
            } else {
                value
            });
        });
    });
    bytes
}

/// Writes an object without what says its type, as it stands in a list that says it for all.
pub fn write_untyped(bytes: &mut Vec<u8>, json: &[u8]) {
    let (mut rest, mut typed, mut opening) = (members(json), 2, b'{');
    while typed > 0
        && let Some((key, value)) = rest.next()
    {
        if matches!(key, b"kind" | b"apiVersion") {
            typed -= 1;
            continue;
        }
        bytes.extend([opening, b'"']);
        bytes.extend_from_slice(key);
        bytes.extend_from_slice(b"\":");
        bytes.extend_from_slice(value);
        opening = b',';
    }
    // Both were found, which is early in most kinds: the rest stands as it is.
    let rest = trim(rest.0);
    match rest.strip_prefix(b",") {
        Some(rest) => {
            bytes.push(opening);
            bytes.extend_from_slice(rest);
        }
        None if opening == b'{' => bytes.extend_from_slice(b"{}"),
        None => bytes.push(b'}'),
    }
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
///
/// Those objects' members stand in the order of their keys, as this server writes them.
#[derive(Clone, Debug, Default)]
pub struct Fields {
    wanted: Wanted,
    /// In the order of their names.
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
                let known = self.below.binary_search_by(|(known, _)| known.cmp(&key));
                let index = known.unwrap_or_else(|index| {
                    self.below.insert(index, (key, Self::default()));
                    index
                });
                if let Some((_, fields)) = self.below.get_mut(index) {
                    fields.add(path);
                }
            }
        }
    }

    /// Decodes these fields of an object and leaves the others out. Lists keep their length.
    pub fn decode(&self, json: &[u8]) -> Option<Value> {
        let mut decoded = Value::Null;
        self.take(&mut trim(json), &mut decoded)?;
        Some(decoded)
    }

    /// Decodes these fields of an object as [`Self::decode`] does, and finds the bytes of one member on the way.
    ///
    /// `into` is null or holds the same fields of another object, whose memory is used again: objects of a list are
    /// alike.
    pub fn decode_beside<'a>(
        &self,
        json: &'a [u8],
        beside: &str,
        into: &mut Value,
    ) -> Option<Option<&'a [u8]>> {
        let mut json = trim(json);
        match json.first() {
            Some(b'{') => {
                let found = self.take_object(&mut json, Some(beside.as_bytes()), into)?;
                Some((!found.is_empty()).then_some(found))
            }
            _ => None,
        }
    }

    /// Decodes these fields of the value that stands first, and leaves what stands behind it.
    fn take(&self, rest: &mut &[u8], into: &mut Value) -> Option<()> {
        match rest.first()? {
            b'{' if self.wanted == Wanted::Below => {
                self.take_object(rest, None, into)?;
            }
            b'[' if self.wanted == Wanted::Below => {
                let mut taken = match std::mem::take(into) {
                    Value::Array(taken) => taken,
                    _ => Vec::new(),
                };
                let (mut items, mut count) = (items(rest), 0);
                while let Some(mut item) = next_entry(items.0) {
                    if count == taken.len() {
                        taken.push(Value::Null);
                    }
                    self.take(&mut item, taken.get_mut(count)?)?;
                    items.0 = item;
                    count += 1;
                }
                taken.truncate(count);
                *rest = trim(items.0).strip_prefix(b"]")?;
                *into = taken.into();
            }
            b'{' if self.wanted == Wanted::Keys => {
                let object = take_value(rest)?;
                let keys =
                    members(object).map(|(key, _)| Some((name(key)?.into_owned(), Value::Null)));
                *into = keys.collect::<Option<Map<_, _>>>()?.into();
            }
            b'"' => {
                let text = text(take_value(rest)?)?;
                if let Value::String(taken) = into {
                    taken.clear();
                    taken.push_str(&text);
                } else {
                    *into = text.into_owned().into();
                }
            }
            _ => *into = serde_json::from_slice(take_value(rest)?).ok()?,
        }
        Some(())
    }

    /// Decodes these fields of the object that stands first, finds the bytes of a member `beside` them, none if it is not
    /// there, and leaves what stands behind the object.
    ///
    /// Keys stand in order, as wanted ones do: behind the last of those nothing is looked at.
    fn take_object<'a>(
        &self,
        rest: &mut &'a [u8],
        mut beside: Option<&[u8]>,
        into: &mut Value,
    ) -> Option<&'a [u8]> {
        let (mut members, mut object) = (members(rest), Taken::over(self, into));
        let (mut wanted, mut found) = (self.below.as_slice(), [].as_slice());
        loop {
            if wanted.is_empty() && beside.is_none() {
                *rest = members.0.get(rest_length(members.0)?..)?;
                break;
            }
            let Some(key) = members.key() else {
                *rest = trim(members.0).strip_prefix(b"}")?;
                break;
            };
            let before = members.0;
            let mut order = Ordering::Greater;
            while let Some(((name, _), others)) = wanted.split_first() {
                order = compare(name.as_bytes(), key);
                if order != Ordering::Less {
                    break;
                }
                wanted = others;
            }
            match wanted.split_first() {
                Some(((name, fields), others)) if order == Ordering::Equal => {
                    object.take(
                        self.below.len() - wanted.len(),
                        name,
                        fields,
                        &mut members.0,
                    )?;
                    wanted = others;
                }
                _ => drop(take_value(&mut members.0)?),
            }
            if beside.is_some_and(|beside| beside <= key) {
                if beside == Some(key) {
                    found = before.get(..before.len() - members.0.len())?;
                }
                beside = None;
            }
        }
        *into = self.finish(object);
        Some(found)
    }

    /// The members that were taken, without those that another object left.
    fn finish(&self, mut object: Taken) -> Value {
        if object.fresh.count_ones() as usize != object.map.len() {
            for (index, (name, _)) in self.below.iter().enumerate().take(FRESH_MAX) {
                if object.fresh >> index & 1 == 0 {
                    object.map.remove(*name);
                }
            }
        }
        object.map.into()
    }
}

/// Which of two keys stands first; most differ in their first byte.
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    one.first().cmp(&other.first()).then_with(|| one.cmp(other))
}

/// Of objects with more fields than that no memory is used again.
const FRESH_MAX: usize = u64::BITS as usize;

/// The members of an object that were taken so far.
struct Taken {
    /// Those, and what another object left.
    map: Map<String, Value>,
    /// A bit for each field that was taken.
    fresh: u64,
}

impl Taken {
    /// Decodes the value that stands first, which is that of the field at this index.
    fn take(&mut self, index: usize, name: &str, fields: &Fields, rest: &mut &[u8]) -> Option<()> {
        let bit = 1_u64.checked_shl(u32::try_from(index).ok()?);
        self.fresh |= bit.unwrap_or_default();
        if let Some(known) = self.map.get_mut(name) {
            return fields.take(rest, known);
        }
        let mut value = Value::Null;
        fields.take(rest, &mut value)?;
        self.map.insert(name.to_owned(), value);
        Some(())
    }

    fn over(fields: &Fields, before: &mut Value) -> Self {
        let map = match std::mem::take(before) {
            Value::Object(map) if fields.below.len() <= FRESH_MAX => map,
            _ => Map::new(),
        };
        Self { map, fresh: 0 }
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
    fn the_type_of_an_item_is_left_out() {
        for (whole, shown) in [
            (
                r#"{"apiVersion":"v1","kind":"Pod","spec":{"kind":1}}"#,
                r#"{"spec":{"kind":1}}"#,
            ),
            (
                r#"{"apiVersion":"v1","data":{},"kind":"ConfigMap"}"#,
                r#"{"data":{}}"#,
            ),
            (
                r#"{"kind":"A","x":[],"apiVersion":"v1","z":"}"}"#,
                r#"{"x":[],"z":"}"}"#,
            ),
            (r#"{"apiVersion":"v1","kind":"A"}"#, "{}"),
            (r#"{"x":1,"y":2}"#, r#"{"x":1,"y":2}"#),
            ("{}", "{}"),
        ] {
            let mut bytes = Vec::new();
            write_untyped(&mut bytes, whole.as_bytes());
            assert_eq!(String::from_utf8(bytes).unwrap(), shown);
        }
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
    fn an_object_is_dated_anew_and_else_left_as_it_is() {
        let old = json!({"metadata": {"name": "a", "resourceVersion": "9"}, "data": {"resourceVersion": "9"}});
        let mut wanted = old.clone();
        wanted["metadata"]["resourceVersion"] = "10".into();
        let dated = with_resource_version(old.to_string().as_bytes(), 10);
        assert_eq!(serde_json::from_slice::<Value>(&dated).unwrap(), wanted);
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
    fn a_member_is_found_while_others_are_decoded() {
        let fields = Fields::new(&["metadata.name", "spec.containers.name"]);
        for text in [pod().to_string(), format!("{:#}", pod())] {
            let text = text.as_bytes();
            for beside in ["metadata", "data", "missing"] {
                let mut read = Value::Null;
                let found = fields.decode_beside(text, beside, &mut read).unwrap();
                assert_eq!(read, fields.decode(text).unwrap());
                assert_eq!(found, at(text, &[beside]));
            }
            let cut = text.strip_suffix(b"}").unwrap();
            let mut read = Value::Null;
            assert_eq!(fields.decode_beside(cut, "metadata", &mut read), None);
        }
    }

    #[test]
    fn nothing_of_another_object_is_left_behind() {
        let names: Vec<&'static str> = (0..70).map(|n| &*format!("many.f{n}").leak()).collect();
        let fields = Fields::new(&[&["a.b", "a.c", "list.x", "keys.*", "whole"], &*names].concat());
        let many = |step| {
            (0..70)
                .step_by(step)
                .map(|n| (format!("f{n}"), Value::from(n)))
        };
        let objects = [
            json!({"a": {"b": "long text", "c": [1, {"d": 2}]}, "list": [{"x": 1}, {"x": "2", "y": 3}], "whole": {"p": 1}}),
            json!({"a": {"c": "c"}, "list": [{"y": 1}], "keys": {"k": 1}, "whole": {"q": 2}}),
            json!({"a": {"b": ""}, "list": "none", "many": many(1).collect::<Value>()}),
            json!({"a": [], "list": {}, "whole": "w", "many": many(7).collect::<Value>()}),
            json!({"other": 1}),
            json!({"a": "text", "keys": [], "list": [[{"x": 1}], null, {"x": {"z": true}}]}),
        ];
        for first in &objects {
            for second in &objects {
                let mut read = Value::Null;
                for object in [first, second] {
                    let text = object.to_string();
                    fields.decode_beside(text.as_bytes(), "a", &mut read);
                    assert_eq!(Some(&read), fields.decode(text.as_bytes()).as_ref());
                }
                // What is broken spoils nothing that comes later.
                let text = first.to_string();
                for end in 0..text.len() {
                    let cut = text.as_bytes().get(..end).unwrap();
                    assert_eq!(fields.decode_beside(cut, "a", &mut read), None);
                    let text = second.to_string();
                    fields.decode_beside(text.as_bytes(), "a", &mut read);
                    assert_eq!(Some(&read), fields.decode(text.as_bytes()).as_ref());
                }
            }
        }
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
