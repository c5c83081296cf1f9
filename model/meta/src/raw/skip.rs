//! How long a string, an object or a list of JSON is, found without reading it byte by byte.
//!
//! Most of an object's bytes are passed over on the way to the few that somebody asks for. So strings are looked at
//! sixteen bytes at a time, and what is nested sixty-four: of each such block only where its quotes and brackets are.

use wide::u8x16;

const LANE: usize = 16;
/// A mask has a bit for each byte of a block.
const BLOCK: usize = 64;
const QUOTE: u8x16 = u8x16::new([b'"'; LANE]);
const BACKSLASH: u8x16 = u8x16::new([b'\\'; LANE]);
/// The bit that tells a brace from the bracket of the same side.
const BRACE_BIT: u8x16 = u8x16::new([b'{' ^ b'['; LANE]);
const OPENING: u8x16 = u8x16::new([b'{'; LANE]);
const CLOSING: u8x16 = u8x16::new([b'}'; LANE]);

/// The length of a string with its quotes.
pub(super) fn string_length(json: &[u8]) -> Option<usize> {
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

/// How many bytes stand before the first quote or backslash.
fn plain_length(json: &[u8]) -> usize {
    let (lanes, rest) = json.as_chunks::<LANE>();
    for (index, lane) in lanes.iter().enumerate() {
        let lane = u8x16::new(*lane);
        let found = mask(lane.cmp_eq(QUOTE) | lane.cmp_eq(BACKSLASH));
        if found != 0 {
            return index * LANE + found.trailing_zeros() as usize;
        }
    }
    let is_special = |byte: &u8| matches!(byte, b'"' | b'\\');
    let behind = rest.iter().position(is_special).unwrap_or(rest.len());
    lanes.len() * LANE + behind
}

/// The length of an object or list, which ends where as many were closed as were opened.
pub(super) fn nested_length(json: &[u8]) -> Option<usize> {
    if let [_, b'}' | b']', ..] = json {
        return Some(2);
    }
    length_from(json, Nesting::default())
}

/// How much of an object or list is left behind its opening bracket, with the closing one.
pub(super) fn rest_length(json: &[u8]) -> Option<usize> {
    let nesting = Nesting {
        depth: 1,
        ..Nesting::default()
    };
    length_from(json, nesting)
}

/// How much stands up to where all that is open is closed.
fn length_from(json: &[u8], mut nesting: Nesting) -> Option<usize> {
    let (blocks, rest) = json.as_chunks::<BLOCK>();
    for (index, block) in blocks.iter().enumerate() {
        if let Some(at) = nesting.end_within(block) {
            return Some(index * BLOCK + at + 1);
        }
    }
    let mut last = [0; BLOCK];
    last.get_mut(..rest.len())?.copy_from_slice(rest);
    let at = nesting.end_within(&last)?;
    Some(blocks.len() * BLOCK + at + 1)
}

/// What stands before a block.
#[derive(Default)]
struct Nesting {
    /// How many objects and lists are open.
    depth: u32,
    /// All bits when a string is open, else none.
    in_string: u64,
    /// Whether a backslash stands right before.
    is_escaping: bool,
}

impl Nesting {
    /// Where in the next block the first object or list ends.
    fn end_within(&mut self, block: &[u8; BLOCK]) -> Option<usize> {
        let marks = Marks::of(block);
        let quotes = marks.quotes & !self.escaped(marks.backslashes);
        let strings = between(quotes) ^ self.in_string;
        self.in_string = if strings >> (BLOCK - 1) == 1 { !0 } else { 0 };
        let (opening, closing) = (marks.opening & !strings, marks.closing & !strings);
        if opening | closing == 0 {
            return None;
        }
        let (opened, closed) = (opening.count_ones(), closing.count_ones());
        if closed >= self.depth {
            let (mut left, mut closed) = (closing, 0);
            while left != 0 {
                let at = left.trailing_zeros();
                let before = (1 << at) - 1;
                closed += 1;
                if self.depth + (opening & before).count_ones() <= closed {
                    return Some(at as usize);
                }
                left &= left - 1;
            }
        }
        self.depth = self.depth + opened - closed;
        None
    }

    /// The bytes of a block that a backslash stands before which is not escaped itself.
    fn escaped(&mut self, backslashes: u64) -> u64 {
        let mut escaped = u64::from(std::mem::take(&mut self.is_escaping));
        let mut left = backslashes & !escaped;
        while left != 0 {
            let at = left.trailing_zeros();
            self.is_escaping = at as usize == BLOCK - 1;
            let next = 2 << at;
            escaped |= next;
            left &= left - 1;
            left &= !next;
        }
        escaped
    }
}

/// The places of the bytes that matter.
#[derive(Default)]
struct Marks {
    quotes: u64,
    backslashes: u64,
    opening: u64,
    closing: u64,
}

impl Marks {
    fn of(block: &[u8; BLOCK]) -> Self {
        let (lanes, _) = block.as_chunks::<LANE>();
        let mut marks = Self::default();
        for (index, lane) in lanes.iter().enumerate() {
            let (lane, at) = (u8x16::new(*lane), index * LANE);
            let bracket = lane | BRACE_BIT;
            marks.quotes |= mask(lane.cmp_eq(QUOTE)) << at;
            marks.backslashes |= mask(lane.cmp_eq(BACKSLASH)) << at;
            marks.opening |= mask(bracket.cmp_eq(OPENING)) << at;
            marks.closing |= mask(bracket.cmp_eq(CLOSING)) << at;
        }
        marks
    }
}

/// A bit for each byte that was found equal.
fn mask(equal: u8x16) -> u64 {
    u64::from(equal.move_mask().cast_unsigned())
}

/// The bytes from each opening quote to before the closing one: a bit is set when an odd number of quotes stand up to it.
fn between(quotes: u64) -> u64 {
    [1, 2, 4, 8, 16, 32]
        .iter()
        .fold(quotes, |bits, step| bits ^ (bits << step))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What both are to find: one byte after the other.
    fn plainly(json: &[u8]) -> Option<usize> {
        let (mut depth, mut in_string, mut is_escaped) = (0_usize, false, false);
        for (at, byte) in json.iter().enumerate() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if in_string => is_escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => {
                    depth -= 1;
                }
                _ => {}
            }
            if depth == 0 && !in_string {
                return Some(at + 1);
            }
        }
        None
    }

    fn found(json: &[u8]) -> Option<usize> {
        if json.starts_with(b"\"") {
            string_length(json)
        } else {
            nested_length(json)
        }
    }

    /// Text that is one value, then others; at every place within a block, and cut off everywhere.
    fn check(json: &str) {
        for padding in 0..=BLOCK {
            let shifted = format!(r#"["{}",{json}]"#, "p".repeat(padding));
            for text in [json, &shifted] {
                let text = format!("{text},{{\"behind\":[\"]}}\"]}}");
                let bytes = text.as_bytes();
                assert_eq!(found(bytes), plainly(bytes), "{text}");
                if !text.starts_with('"') {
                    let left = rest_length(&bytes[1..]).map(|left| left + 1);
                    assert_eq!(left, plainly(bytes), "{text}");
                }
            }
        }
        for end in 0..=json.len() {
            let cut = &json.as_bytes()[..end];
            let wanted = if end == 0 { None } else { plainly(cut) };
            assert_eq!(found(cut), wanted, "{json} up to {end}");
        }
    }

    #[test]
    fn values_end_where_they_do_byte_by_byte() {
        for json in [
            r#""""#,
            r"{}",
            r#"{"a":{"b":[1,2,{"c":"}"}]},"d":"]"}"#,
            r#"["\"","\\","\\\"","\\\\","{\"a\":\"}\"}"]"#,
            r#"{"k:{\"containerPort\":80,\"protocol\":\"TCP\"}":{".":{},"f:port":{}}}"#,
            r#"{"\\":{"\\\\":"\\"},"\"{":["\"]"]}"#,
        ] {
            check(json);
        }
    }

    #[test]
    fn long_runs_of_one_byte_end_too() {
        for length in [1, 15, 16, 17, 63, 64, 65, 127, 128, 129, 1000] {
            let open = "[".repeat(length);
            check(&format!("{open}{}", "]".repeat(length)));
            check(&format!(r#"{{"a":"{}"}}"#, r"\\".repeat(length)));
            check(&format!(r#"{{"a":"{}"}}"#, r#"\""#.repeat(length)));
            check(&format!(r#"["{}"]"#, "}".repeat(length)));
            assert_eq!(nested_length(open.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn whatever_the_parts_are(parts in prop::collection::vec(0_usize..10, 0..120)) {
            let text: String = parts.iter().map(|part| {
                [r#""\"""#, r#""\\""#, "{", "[", r#""x}""#, "abcdefg", r#""{[""#, "1", r#""\\\\\"""#, ","][*part]
            }).collect();
            let opened = text.chars().filter(|char| *char == '{' || *char == '[').count();
            let json = format!("[{text}{}", "]".repeat(opened + 1));
            for end in 1..=json.len() {
                let cut = &json.as_bytes()[..end];
                prop_assert_eq!(nested_length(cut), plainly(cut));
            }
        }
    }
}
