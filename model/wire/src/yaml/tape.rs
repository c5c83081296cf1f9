//! A document's values in the order in which they stand, before it is said what they mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_saphyr::granit_parser::{
    Event, Marker, Options, Parser, ScalarStyle, Span, StrInput, StructureStyle, Tag, YamlVersion,
};

use super::gap::{self, After};
use super::words;

/// Deepest nesting of lists and maps, which decoding recurses into; upstream takes 10,000.
pub(super) const DEPTH_MAX: usize = 64;

/// How what a scalar means is found.
#[derive(Debug)]
pub(super) enum Sort {
    /// By how it looks.
    Plain,
    /// It is text.
    Quoted,
    /// By its tag, which is `!!` and a word for those of YAML itself.
    Tagged(String),
}

/// A part of a document.
#[derive(Debug)]
pub(super) enum Part<'a> {
    Scalar(Cow<'a, str>, Sort),
    /// A list, with the place behind its end.
    Sequence(usize),
    /// A map, with the place behind its end.
    Mapping(usize),
    /// Of the innermost list or map.
    End,
    /// The value that begins at another place again, by the name it has there.
    Alias(&'a str, usize),
}

/// The parts of a document with the lines, counted from one, in which they begin.
pub(super) struct Tape<'a> {
    parts: Vec<(Part<'a>, usize)>,
    /// Where values with an anchor begin.
    anchors: BTreeMap<usize, usize>,
    /// Where the lists and maps begin that have not ended yet, with their columns.
    open: Vec<(usize, usize)>,
    /// How many of them are in brackets.
    brackets: usize,
    /// Where the last part ends in the text.
    behind: Marker,
    /// What it is.
    after: After,
}

impl<'a> Tape<'a> {
    /// Takes the first document of a text apart.
    ///
    /// # Errors
    /// It is no YAML; in the words of upstream's parser.
    pub(super) fn of(text: &'a str) -> Result<Self, String> {
        let mut options = Options::default();
        options.set_emit_comments(false);
        options.emit_anchor_events = true;
        let mut parser: Parser<'a, StrInput<'a>> = Parser::new_from_str_with_options(text, options);
        let mut tape = Self {
            parts: Vec::new(),
            anchors: BTreeMap::new(),
            open: Vec::new(),
            brackets: 0,
            behind: Marker::new(0, 1, 0).with_byte_offset(Some(0)),
            after: After::Nothing,
        };
        while let Some(next) = parser.next_event() {
            let (event, span) = match next {
                Ok(next) => next,
                Err(error) => {
                    tape.check_gap(*error.marker(), text)?;
                    return Err(words::of(&error, text));
                }
            };
            tape.check(&event, span, text)?;
            if matches!(event, Event::DocumentEnd) {
                break;
            }
            tape.add(event, span, text)?;
        }
        Ok(tape)
    }

    /// Refuses what the parser takes and upstream's does not; `span` is where the event stands in the text.
    fn check(&self, event: &Event<'_>, span: Span, text: &'a str) -> Result<(), String> {
        self.check_gap(span.start, text)?;
        let source = || span.slice(text).unwrap_or_default();
        match event {
            Event::DocumentStart(_, Some(version)) if *version != YamlVersion::new(1, 1) => {
                Err(words::incompatible(text))
            }
            Event::DocumentStart(true, _) => words::unknown_directive(text).map_or(Ok(()), Err),
            Event::Scalar(_, ScalarStyle::DoubleQuoted, ..) => gap::half_character(source())
                .map_or(Ok(()), |lines| {
                    Err(words::half_character(span.start.line() + lines))
                }),
            Event::Scalar(_, ScalarStyle::Plain, ..) if self.brackets == 0 => {
                gap::indenting_tab(source(), self.column()).map_or(Ok(()), |(lines, words)| {
                    Err(words::tab(span.start.line() + lines, words))
                })
            }
            _ => Ok(()),
        }
    }

    /// Refuses a tab where upstream's scanner finds one before it comes to a place.
    fn check_gap(&self, place: Marker, text: &'a str) -> Result<(), String> {
        let tab = (self.brackets == 0).then(|| self.gap(place, text));
        match tab.and_then(|gap| gap::misplaced_tab(gap, self.after)) {
            Some((lines, words)) => Err(words::tab(self.behind.line() + lines, words)),
            None => Ok(()),
        }
    }

    /// Adds what an event tells of; `span` is where it stands in the text.
    fn add(&mut self, event: Event<'a>, span: Span, text: &'a str) -> Result<(), String> {
        let mut line = span.start.line();
        let mut after = After::Other;
        let (part, anchor) = match event {
            Event::Scalar(mut value, style, anchor, tag) => {
                if matches!(style, ScalarStyle::Literal | ScalarStyle::Folded) {
                    line = self.header_line(span, text).unwrap_or(line);
                    after = After::Lines;
                    let has_no_end = span.end.byte_offset() == Some(text.len()) && has_no_end(text);
                    if has_no_end && value.ends_with('\n') {
                        value.to_mut().pop();
                    }
                } else if style == ScalarStyle::Plain && !span.is_empty() {
                    after = After::Plain(self.column());
                }
                (Part::Scalar(value, sort(style, tag.as_deref())), anchor)
            }
            Event::SequenceStart(style, anchor, _) => {
                self.open(style, self.sequence_column(span, text));
                (Part::Sequence(0), anchor)
            }
            Event::MappingStart(style, anchor, _) => {
                self.open(style, span.start.col());
                (Part::Mapping(0), anchor)
            }
            Event::SequenceEnd | Event::MappingEnd => (Part::End, 0),
            Event::Alias(anchor) => {
                let target = self.anchors.get(&anchor).copied().unwrap_or_default();
                let name = span.slice(text).unwrap_or_default();
                (Part::Alias(name.trim_start_matches('*'), target), 0)
            }
            Event::Anchor(..) => {
                // It belongs to the value that was added last, before which it stands.
                if let Some((_, line)) = self.parts.last_mut() {
                    *line = span.start.line().min(*line);
                }
                return Ok(());
            }
            // What is left tells of the stream, or has not been asked for.
            _ => return Ok(()),
        };
        if anchor != 0 {
            self.anchors.insert(anchor, self.parts.len());
        }
        if matches!(part, Part::End) {
            self.close();
        }
        if self.open.len() > DEPTH_MAX {
            return Err(too_deep());
        }
        let tag_line = span.tag_start().map_or(line, |tag| tag.line());
        // Where a list or map begins, its first mark may count as passed already.
        if !matches!(part, Part::Sequence(_) | Part::Mapping(_)) {
            self.behind = span.end;
            self.after = after;
        }
        self.parts.push((part, line.min(tag_line)));
        Ok(())
    }

    /// What stands between the last part and a place.
    fn gap(&self, place: Marker, text: &'a str) -> &'a str {
        let (from, to) = (self.behind.byte_offset(), place.byte_offset());
        let between = from.zip(to).and_then(|(from, to)| text.get(from..to));
        between.unwrap_or_default()
    }

    /// The line of the `|` or `>` that a text in lines of its own begins with.
    fn header_line(&self, span: Span, text: &'a str) -> Option<usize> {
        let (before, _) = self.gap(span.start, text).split_once(['|', '>'])?;
        Some(self.behind.line() + before.matches('\n').count())
    }

    /// Where a list's marks stand: its items may begin as far left as the key that they belong to.
    fn sequence_column(&self, span: Span, text: &'a str) -> usize {
        match self.open.last() {
            Some((_, outer)) if self.gap(span.start, text).trim_end().ends_with('-') => *outer,
            _ => span.start.col(),
        }
    }

    /// Begins a list or map with the next part.
    fn open(&mut self, style: StructureStyle, column: usize) {
        if style == StructureStyle::Flow || self.brackets > 0 {
            self.brackets += 1;
        }
        self.open.push((self.parts.len(), column));
    }

    /// The column at which a line must begin to belong to the innermost list's or map's value.
    fn column(&self) -> usize {
        self.open.last().map_or(0, |(_, column)| column + 1)
    }

    /// Tells the innermost list or map where it ends.
    fn close(&mut self) {
        self.brackets = self.brackets.saturating_sub(1);
        let behind = self.parts.len() + 1;
        let open = self.open.pop().and_then(|(at, _)| self.parts.get_mut(at));
        if let Some((Part::Sequence(after) | Part::Mapping(after), _)) = open {
            *after = behind;
        }
    }

    /// The part at a place; behind the last one all lists and maps end.
    pub(super) fn part(&self, at: usize) -> &Part<'a> {
        self.parts.get(at).map_or(&Part::End, |(part, _)| part)
    }

    /// The line of the part at a place.
    pub(super) fn line(&self, at: usize) -> usize {
        self.parts.get(at).map_or(0, |(_, line)| *line)
    }

    /// The place behind the value that begins at a place.
    pub(super) fn after(&self, at: usize) -> usize {
        match self.part(at) {
            Part::Sequence(after) | Part::Mapping(after) => *after,
            Part::Scalar(..) | Part::Alias(..) | Part::End => at + 1,
        }
    }
}

/// Whether the last line of a text says something and no line feed follows: then none is added.
///
/// Source: go-yaml `scannerc.go`, `yaml_parser_scan_block_scalar`.
fn has_no_end(text: &str) -> bool {
    let last = text.rsplit(['\n', '\r']).next().unwrap_or_default();
    !last.trim_end_matches(' ').is_empty()
}

pub(super) fn too_deep() -> String {
    format!("yaml: exceeded max depth of {DEPTH_MAX}")
}

fn sort(style: ScalarStyle, tag: Option<&Tag>) -> Sort {
    match tag.map(ToString::to_string) {
        Some(tag) => Sort::Tagged(match tag.strip_prefix("tag:yaml.org,2002:") {
            Some(word) => format!("!!{word}"),
            None => tag,
        }),
        None if style == ScalarStyle::Plain => Sort::Plain,
        None => Sort::Quoted,
    }
}
