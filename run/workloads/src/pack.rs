//! Objects in few bytes: words that every object repeats take one byte, times five, uids sixteen.
//!
//! The form is private to the process and changes freely. A hundred thousand pods fit where their
//! JSON trees would take gigabytes, and one is unpacked in some ten microseconds.

mod words;

use serde_json::{Map, Number, Value};

use words::WORDS;

const NULL: u8 = 0;
const FALSE: u8 = 1;
const TRUE: u8 = 2;
const INT: u8 = 3;
/// A whole number beyond `i64`, as text.
const LARGE: u8 = 4;
const TEXT: u8 = 5;
/// A whole second in UTC, as [`TIME_FORM`] has it.
const TIME: u8 = 6;
const UUID: u8 = 7;
const LIST: u8 = 8;
const MAP: u8 = 9;
/// The bits of a number with a fraction.
const FLOAT: u8 = 10;
/// The first tag that stands for a word.
const WORD: u8 = 11;
/// How times are written; a zero stands for any digit.
const TIME_FORM: &[u8] = b"0000-00-00T00:00:00Z";
/// Where the hyphens of a uid are.
const HYPHENS: [usize; 4] = [8, 13, 18, 23];
/// Characters of a uid.
const UUID_CHARACTERS: usize = 36;

/// A packed object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packed(Box<[u8]>);

impl Packed {
    /// Packs an object.
    pub(crate) fn new(object: &Value) -> Self {
        let mut bytes = Vec::new();
        write(&mut bytes, object);
        Self(bytes.into_boxed_slice())
    }

    /// The object, equal to what was packed.
    pub(crate) fn unpack(&self) -> Value {
        Reader(&self.0).value().unwrap_or_default()
    }
}

/// The place of a word in the table; it has fewer words than there are tags.
fn word(text: &str) -> Option<u8> {
    // Lengths differ sooner than texts do.
    let order = |word: &str| (word.len(), word).cmp(&(text.len(), text));
    let at = WORDS.binary_search_by(|word| order(word)).ok()?;
    u8::try_from(at).ok()?.checked_add(WORD)
}

fn write(bytes: &mut Vec<u8>, value: &Value) {
    match value {
        Value::Null => bytes.push(NULL),
        Value::Bool(false) => bytes.push(FALSE),
        Value::Bool(true) => bytes.push(TRUE),
        Value::Number(number) => match number.as_i64() {
            Some(number) => {
                bytes.push(INT);
                write_int(bytes, number);
            }
            None if number.is_u64() => write_bytes(bytes, LARGE, number.to_string().as_bytes()),
            None => {
                bytes.push(FLOAT);
                bytes.extend(number.as_f64().unwrap_or_default().to_le_bytes());
            }
        },
        Value::String(text) => write_text(bytes, text),
        Value::Array(items) => {
            bytes.push(LIST);
            write_length(bytes, items.len());
            for item in items {
                write(bytes, item);
            }
        }
        Value::Object(map) => {
            bytes.push(MAP);
            write_length(bytes, map.len());
            for (key, value) in map {
                write_text(bytes, key);
                write(bytes, value);
            }
        }
    }
}

fn write_text(bytes: &mut Vec<u8>, text: &str) {
    if let Some(word) = word(text) {
        bytes.push(word);
    } else if let Some(time) = time(text) {
        bytes.push(TIME);
        bytes.extend(time);
    } else if let Some(uuid) = uuid(text) {
        bytes.push(UUID);
        bytes.extend(uuid);
    } else {
        write_bytes(bytes, TEXT, text.as_bytes());
    }
}

fn write_bytes(bytes: &mut Vec<u8>, tag: u8, content: &[u8]) {
    bytes.push(tag);
    write_length(bytes, content.len());
    bytes.extend(content);
}

fn write_length(bytes: &mut Vec<u8>, length: usize) {
    let mut left = length;
    while left >= 0x80 {
        bytes.push(u8::try_from(left & 0x7f).unwrap_or_default() | 0x80);
        left >>= 7;
    }
    bytes.push(u8::try_from(left).unwrap_or_default());
}

/// Small magnitudes take few bytes, whatever their sign.
fn write_int(bytes: &mut Vec<u8>, number: i64) {
    let folded = (number << 1) ^ (number >> 63);
    let folded = u64::from_ne_bytes(folded.to_ne_bytes());
    write_length(bytes, usize::try_from(folded).unwrap_or_default());
}

/// The digits of a time, two by two: `2026-01-15T10:00:00Z`. They need make no sense.
fn time(text: &str) -> Option<[u8; 7]> {
    let text = text.as_bytes();
    if text.len() != TIME_FORM.len() {
        return None;
    }
    let mut digits = text
        .iter()
        .zip(TIME_FORM)
        .filter_map(|(found, form)| match (form, found) {
            (b'0', b'0'..=b'9') => Some(Some(found - b'0')),
            (form, found) if form == found && *form != b'0' => None,
            _ => Some(None),
        });
    let mut time = [0; 7];
    for pair in &mut time {
        *pair = digits.next()?? * 10 + digits.next()??;
    }
    // What is left over is no part of the form.
    digits.next().is_none().then_some(time)
}

fn time_text(time: &[u8]) -> String {
    let mut digits = time.iter().flat_map(|pair| [pair / 10, pair % 10]);
    let form = TIME_FORM.iter().map(|form| match form {
        b'0' => digits.next().map_or('0', |digit| char::from(b'0' + digit)),
        other => char::from(*other),
    });
    form.collect()
}

/// The bytes of a uid in lower-case hexadecimal.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let text = text.as_bytes();
    if text.len() != UUID_CHARACTERS || HYPHENS.iter().any(|at| text.get(*at) != Some(&b'-')) {
        return None;
    }
    let mut digits = text
        .iter()
        .enumerate()
        .filter(|(at, _)| !HYPHENS.contains(at))
        .map(|(_, digit)| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        });
    let mut uuid = [0; 16];
    for byte in &mut uuid {
        *byte = digits.next()?? << 4 | digits.next()??;
    }
    Some(uuid)
}

fn uuid_text(uuid: &[u8]) -> String {
    let mut text = String::with_capacity(UUID_CHARACTERS);
    for byte in uuid {
        for digit in [byte >> 4, byte & 0xf] {
            if HYPHENS.contains(&text.len()) {
                text.push('-');
            }
            text.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    text
}

/// Reads what [`write`] wrote; `None` where the bytes end early, which they never do.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(*first)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        let (mut length, mut shift) = (0_usize, 0_u32);
        loop {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            if byte < 0x80 {
                return Some(length);
            }
            shift += 7;
        }
    }

    fn int(&mut self) -> Option<i64> {
        let folded = u64::try_from(self.length()?).ok()?;
        let half = i64::try_from(folded >> 1).ok()?;
        Some(if folded & 1 == 0 { half } else { !half })
    }

    fn text(&mut self) -> Option<String> {
        let length = self.length()?;
        let bytes = self.bytes(length)?;
        std::str::from_utf8(bytes).ok().map(str::to_owned)
    }

    /// A text of which the tag was read.
    fn text_of(&mut self, tag: u8) -> Option<String> {
        match tag {
            TEXT => self.text(),
            TIME => self.bytes(7).map(time_text),
            UUID => self.bytes(16).map(uuid_text),
            word => {
                let at = usize::from(word.checked_sub(WORD)?);
                WORDS.get(at).map(|word| (*word).to_owned())
            }
        }
    }

    fn value(&mut self) -> Option<Value> {
        let tag = self.byte()?;
        Some(match tag {
            NULL => Value::Null,
            FALSE => Value::Bool(false),
            TRUE => Value::Bool(true),
            INT => self.int()?.into(),
            LARGE => self.text()?.parse::<u64>().ok()?.into(),
            FLOAT => {
                let bits = self.bytes(8)?.try_into().ok()?;
                Number::from_f64(f64::from_le_bytes(bits))?.into()
            }
            LIST => {
                let length = self.length()?;
                let items = (0..length).map(|_| self.value());
                Value::Array(items.collect::<Option<_>>()?)
            }
            MAP => {
                let length = self.length()?;
                let entries = (0..length).map(|_| {
                    let tag = self.byte()?;
                    Some((self.text_of(tag)?, self.value()?))
                });
                Value::Object(entries.collect::<Option<Map<_, _>>>()?)
            }
            tag => Value::String(self.text_of(tag)?),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_table_of_words_can_be_searched_and_addressed() {
        assert!(WORDS.is_sorted_by(|a, b| (a.len(), a) < (b.len(), b)));
        assert!(WORDS.len() <= usize::from(u8::MAX - WORD) + 1);
        assert_eq!(word("metadata").map(|tag| tag >= WORD), Some(true));
    }

    #[test]
    fn what_objects_repeat_is_small() {
        let object = json!({"metadata": {"uid": "0b1e7f3a-58a6-4d7e-9c43-8d5f6a7b8c9d",
            "creationTimestamp": "2026-01-15T10:00:00Z"}, "status": {"phase": "Running"}});
        let packed = Packed::new(&object);
        assert_eq!(packed.unpack(), object);
        assert!(packed.0.len() < 40, "{}", packed.0.len());
    }

    #[test]
    fn what_only_looks_like_a_time_or_uid_comes_back() {
        for text in [
            "2026-01-15T24:00:00Z",
            "2026-13-15T10:00:00Z",
            "2026-01-15T10:00:60Z",
            "9999-99-99T99:99:99Z",
            "0B1E7F3A-58A6-4D7E-9C43-8D5F6A7B8C9D",
            "0b1e7f3a-58a6-4d7e-9c43-8d5f6a7b8c9-",
            "0b1e7f3a058a604d7e09c4308d5f6a7b8c9d",
            "-001-01-01T00:00:00Z",
            "2026-01-15T10:00:00z",
            "2026-01-15 10:00:00Z",
            "2026-01-15T10:00:0\u{661}",
            "",
        ] {
            assert_eq!(Packed::new(&json!(text)).unpack(), json!(text));
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".*".prop_map(Value::from),
            prop::sample::select(WORDS).prop_map(Value::from),
            "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-6][0-9]Z"
                .prop_map(Value::from),
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-g]{12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
                prop::collection::btree_map(".{0,12}", inner, 0..8)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn anything_comes_back_as_it_was(value in any_json()) {
            prop_assert_eq!(Packed::new(&value).unpack(), value);
        }
    }
}
