//! From the parts of a document to its value.
//!
//! Source: go-yaml `decode.go`.

use std::collections::BTreeMap;

use super::scalar::{self, Scalar};
use super::tape::{DEPTH_MAX, Part, Sort, Tape, too_deep};
use super::value::Typed;

/// Most bytes that aliases may repeat. Go's texts share them, ours do not.
const BYTES_REPEATED_MAX: usize = 64 << 20;

/// What a document says, and what is told of keys that stand twice.
pub(super) struct Decoder<'a> {
    tape: &'a Tape<'a>,
    pub(super) duplicates: Vec<String>,
    /// Aliases that are being followed.
    followed: Vec<usize>,
    depth: usize,
    /// Values met, and those of them that aliases repeat.
    values: u32,
    repeated: u32,
    bytes_repeated: usize,
}

type Map = BTreeMap<Scalar, Typed>;

impl<'a> Decoder<'a> {
    pub(super) fn new(tape: &'a Tape<'a>) -> Self {
        Self {
            tape,
            duplicates: Vec::new(),
            followed: Vec::new(),
            depth: 0,
            values: 0,
            repeated: 0,
            bytes_repeated: 0,
        }
    }

    /// The value that begins at a place.
    ///
    /// # Errors
    /// What a tag, key, alias or merge may not be.
    pub(super) fn value(&mut self, at: usize) -> Result<Typed, String> {
        self.count()?;
        match self.tape.part(at) {
            Part::Scalar(text, sort) => {
                self.count_bytes(text.len())?;
                let scalar = scalar::resolve(text, sort).map_err(|words| said(&words))?;
                Ok(Typed::Scalar(scalar))
            }
            Part::Sequence(_) => self.deeper(|decoder| decoder.list(at + 1)),
            Part::Mapping(_) => {
                let mut map = Map::new();
                self.fill(at, &mut map)?;
                Ok(Typed::Map(map))
            }
            Part::Alias(name, target) => {
                self.follow(at, name)?;
                let value = self.value(*target);
                self.followed.pop();
                value
            }
            Part::End => Ok(Typed::Scalar(Scalar::Null)),
        }
    }

    fn list(&mut self, mut at: usize) -> Result<Typed, String> {
        let mut items = Vec::new();
        while !matches!(self.tape.part(at), Part::End) {
            items.push(self.value(at)?);
            at = self.tape.after(at);
        }
        Ok(Typed::List(items))
    }

    /// Adds the entries of the map that begins at a place; of equal keys the last counts.
    fn fill(&mut self, at: usize, map: &mut Map) -> Result<(), String> {
        self.deeper(|decoder| {
            let mut at = at + 1;
            while !matches!(decoder.tape.part(at), Part::End) {
                let value = decoder.tape.after(at);
                decoder.entry(at, value, map)?;
                at = decoder.tape.after(value);
            }
            Ok(())
        })
    }

    /// Source: go-yaml `decoder.mapping`, `setMapIndex`.
    fn entry(&mut self, key: usize, value: usize, map: &mut Map) -> Result<(), String> {
        if is_merge(self.tape.part(key)) {
            return self.merge(value, map);
        }
        let key = match self.value(key)? {
            Typed::Scalar(key) => key,
            other => return Err(said(&format!("invalid map key: {}", other.go()))),
        };
        let line = self.tape.line(value);
        let value = self.value(value)?;
        if map.contains_key(&key) {
            let key = key.go();
            self.duplicates
                .push(format!("line {line}: key {key} already set in map"));
        }
        map.insert(key, value);
        Ok(())
    }

    /// Adds the entries of other maps where `<<` stands, as if they stood there; of several the first goes last, so that it counts.
    ///
    /// Source: go-yaml `decoder.merge`.
    fn merge(&mut self, at: usize, map: &mut Map) -> Result<(), String> {
        if !matches!(self.tape.part(at), Part::Sequence(_)) {
            return self.merge_one(at, map);
        }
        let mut items = Vec::new();
        let mut item = at + 1;
        while !matches!(self.tape.part(item), Part::End) {
            items.push(item);
            item = self.tape.after(item);
        }
        items
            .into_iter()
            .rev()
            .try_for_each(|item| self.merge_one(item, map))
    }

    fn merge_one(&mut self, at: usize, map: &mut Map) -> Result<(), String> {
        let unfit = || {
            let words = "map merge requires map or sequence of maps as the value";
            Err(said(words))
        };
        match self.tape.part(at) {
            Part::Mapping(_) => {
                self.count()?;
                self.fill(at, map)
            }
            Part::Alias(name, target) => {
                if !matches!(self.tape.part(*target), Part::Mapping(_)) {
                    return unfit();
                }
                self.count()?;
                self.follow(at, name)?;
                let merged = self.merge_one(*target, map);
                self.followed.pop();
                merged
            }
            Part::Scalar(..) | Part::Sequence(_) | Part::End => unfit(),
        }
    }

    /// Begins to follow the alias at a place.
    fn follow(&mut self, at: usize, name: &str) -> Result<(), String> {
        if self.followed.contains(&at) {
            return Err(said(&format!("anchor '{name}' value contains itself")));
        }
        self.followed.push(at);
        Ok(())
    }

    fn deeper<T>(
        &mut self,
        within: impl FnOnce(&mut Self) -> Result<T, String>,
    ) -> Result<T, String> {
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(too_deep());
        }
        let value = within(self);
        self.depth -= 1;
        value
    }

    /// Counts a value: a few lines of aliases can stand for billions.
    ///
    /// Source: go-yaml `decoder.unmarshal`, `allowedAliasRatio`.
    fn count(&mut self) -> Result<(), String> {
        const FEW: f64 = 400_000.0;
        const MANY: f64 = 4_000_000.0;
        self.values = self.values.saturating_add(1);
        if !self.followed.is_empty() {
            self.repeated = self.repeated.saturating_add(1);
        }
        if self.repeated <= 100 || self.values <= 1000 {
            return Ok(());
        }
        let (values, repeated) = (f64::from(self.values), f64::from(self.repeated));
        let share = ((values - FEW) / (MANY - FEW)).clamp(0.0, 1.0);
        if repeated / values > 0.99 - 0.89 * share {
            return Err(excessive());
        }
        Ok(())
    }

    fn count_bytes(&mut self, bytes: usize) -> Result<(), String> {
        if !self.followed.is_empty() {
            self.bytes_repeated = self.bytes_repeated.saturating_add(bytes);
        }
        if self.bytes_repeated > BYTES_REPEATED_MAX {
            return Err(excessive());
        }
        Ok(())
    }
}

fn excessive() -> String {
    said("document contains excessive aliasing")
}

fn said(words: &str) -> String {
    format!("yaml: {words}")
}

/// Source: go-yaml `isMerge`.
fn is_merge(key: &Part<'_>) -> bool {
    match key {
        Part::Scalar(text, sort) if text == "<<" => match sort {
            Sort::Plain => true,
            Sort::Quoted => false,
            Sort::Tagged(tag) => matches!(tag.as_str(), "!" | "!!merge"),
        },
        _ => false,
    }
}
