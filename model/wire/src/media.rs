//! Which form a client sends and which it wants back.
//!
//! Source: apiserver `endpoints/handlers/negotiation`, with goautoneg's order of clauses.

mod content_type;

use std::cmp::Ordering;

use crate::protobuf;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `application/json`
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// Into what an answer is turned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// The object or list itself.
    Object,
    /// A Table of that version of `meta.k8s.io`.
    Table(String),
    /// PartialObjectMetadata of that version of `meta.k8s.io`.
    Partial(String),
    /// PartialObjectMetadataList of that version of `meta.k8s.io`.
    PartialList(String),
}

/// What to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// How it is written.
    pub format: Format,
    /// What it is turned into.
    pub shape: Shape,
    /// Whether JSON is indented.
    pub is_indented: bool,
}

impl Answer {
    /// The answer to who does not say.
    const DEFAULT: Self = Self {
        format: Format::Json,
        shape: Shape::Object,
        is_indented: false,
    };
}

/// What can be produced, for refusals.
pub const PRODUCED: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
/// What routes of collections can produce, for refusals: the objects, or a stream of events.
pub const LISTED: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
/// What can be produced of a stream of events, for refusals.
pub const STREAMED: &[&str] = &[
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
/// What bodies are read, for refusals.
pub const READ: &[&str] = PRODUCED;

/// What a request's answer can be besides JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Whether objects of the kind have a protobuf form; their metadata always has one.
    pub protobuf: bool,
    /// Whether there is a Table of it.
    pub has_table: bool,
}

impl Format {
    /// The media type of a stream of events in this format.
    pub fn stream_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml;stream=watch",
            Self::Protobuf => "application/vnd.kubernetes.protobuf;stream=watch",
        }
    }
    /// The media type of answers in this format.
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Yaml => "application/yaml",
            Self::Protobuf => protobuf::MEDIA_TYPE,
        }
    }
}

/// Whether a client accepts one of these media types, by name or by `*/*`. Nothing but the name of a clause counts.
///
/// Source: go-restful `Route.matchesAccept`, which stands before the negotiation proper.
pub fn is_accepted(accept: &str, produced: &[&str]) -> bool {
    let mut names = accept.split(',').map(media_type);
    accept.is_empty() || names.any(|name| name == "*/*" || produced.contains(&name))
}

/// The clause of an `Accept` header that is liked best and can be served; `None` when there is none. Absent means JSON.
///
/// CBOR clauses are passed over: clients that prefer it list JSON too.
pub fn negotiate(accept: &str, offer: Offer) -> Option<Answer> {
    if accept.is_empty() {
        return Some(Answer::DEFAULT);
    }
    let mut clauses = clauses(accept).into_iter();
    clauses.find_map(|clause| clause.answer(offer))
}

/// How a Status is written, which has every form but is turned into nothing else.
///
/// One that cannot be written as asked for is JSON for people. Source: apiserver `ErrorNegotiated`, `WriteRawJSON`.
pub fn refused_in(accept: &str) -> Answer {
    if accept.is_empty() {
        return Answer::DEFAULT;
    }
    let every = Offer {
        protobuf: true,
        has_table: false,
    };
    let mut plain = clauses(accept).into_iter();
    let found = plain.find_map(|clause| {
        let answer = clause.answer(every)?;
        (answer.shape == Shape::Object).then_some(answer)
    });
    found.unwrap_or(Answer {
        is_indented: true,
        ..Answer::DEFAULT
    })
}

/// The clauses of an `Accept` header that can be read, the best liked first.
pub fn by_liking(accept: &str) -> Vec<&str> {
    let clauses = clauses(accept).into_iter();
    clauses.map(|clause| clause.text).collect()
}

/// Clauses that are few enough to be sorted by insertion. Source: Go's `sort.Sort`.
const INSERTED_MAX: usize = 12;

/// Source: goautoneg `ParseAccept`.
fn clauses(accept: &str) -> Vec<Clause<'_>> {
    let mut clauses: Vec<_> = accept.split(',').filter_map(Clause::read).collect();
    if clauses.len() > INSERTED_MAX {
        clauses.sort_by(|a, b| {
            let by_quality = b.quality.total_cmp(&a.quality);
            by_quality.then_with(|| a.wildcards().cmp(&b.wildcards()))
        });
        return clauses;
    }
    // What upstream compares by is no order: a name stands before `*/*` however little it is liked. So how it sorts counts.
    for at in 1..clauses.len() {
        let (before, rest) = clauses.split_at(at);
        let Some(clause) = rest.first() else { break };
        let stays = before.iter().rposition(|other| !clause.is_before(other));
        if let Some(moved) = clauses.get_mut(stays.map_or(0, |stays| stays + 1)..=at) {
            moved.rotate_right(1);
        }
    }
    clauses
}

/// One media range of an `Accept` header.
struct Clause<'a> {
    text: &'a str,
    range: (&'a str, &'a str),
    quality: f32,
    parameters: Vec<(&'a str, &'a str)>,
}

impl<'a> Clause<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let mut parts = text.split(';');
        let range = match parts.next()?.split_once('/') {
            Some((main, sub)) if !sub.is_empty() => (main, sub.strip_suffix('/').unwrap_or(sub)),
            named => (named.map_or(text, |(main, _)| main), ""),
        };
        let range = match (range.0.trim_matches(' '), range.1.trim_matches(' ')) {
            ("*", "") => ("*", "*"),
            (_, "") => return None,
            (_, sub) if sub.contains('/') => return None,
            range => range,
        };
        let read = |part: &'a str| {
            let (name, value) = part.split_once('=')?;
            let is_read = !value.is_empty() && !value.contains('=');
            is_read.then(|| (name.trim_matches(' '), value))
        };
        let mut parameters: Vec<_> = parts.filter_map(read).collect();
        let quality = parameters.iter().rfind(|(name, _)| *name == "q");
        // What is no number counts as nothing.
        let quality = quality.map_or(1.0, |(_, value)| value.parse().unwrap_or_default());
        parameters.retain(|(name, _)| *name != "q");
        Some(Self {
            text,
            range,
            quality,
            parameters,
        })
    }

    /// Whether upstream says that this one stands before the other; of two it may say so of either.
    fn is_before(&self, other: &Self) -> bool {
        self.quality.partial_cmp(&other.quality) == Some(Ordering::Greater)
            || (self.range.0 != "*" && other.range.0 == "*")
            || (self.range.1 != "*" && other.range.1 == "*")
    }

    fn wildcards(&self) -> usize {
        usize::from(self.range.0 == "*") + usize::from(self.range.1 == "*")
    }

    /// The answer in the first format of this range that can be given.
    fn answer(&self, offer: Offer) -> Option<Answer> {
        let shape = self.shape()?;
        let stream = self.parameter("stream");
        let is_served = |format: &Format| {
            let is_meant = match self.range {
                ("*" | "application", "*") => true,
                (main, sub) => format.media_type().split_once('/') == Some((main, sub)),
            };
            let is_possible = match (format, &shape) {
                (_, Shape::Table(_)) if !offer.has_table => false,
                (Format::Json, _)
                | (Format::Protobuf, Shape::Partial(_) | Shape::PartialList(_)) => true,
                (Format::Yaml, _) => stream.is_empty(),
                (Format::Protobuf, Shape::Object) => offer.protobuf,
                (Format::Protobuf, Shape::Table(_)) => false,
            };
            is_meant && is_possible && matches!(stream, "" | "watch")
        };
        let formats = [Format::Json, Format::Yaml, Format::Protobuf];
        let format = formats.into_iter().find(is_served)?;
        Some(Answer {
            format,
            shape,
            is_indented: self.parameter("pretty") == "1",
        })
    }

    /// What the object is to be turned into; `None` for what it cannot be.
    fn shape(&self) -> Option<Shape> {
        let (kind, group, version) = (
            self.parameter("as"),
            self.parameter("g"),
            self.parameter("v"),
        );
        let is_known = group == "meta.k8s.io" && matches!(version, "v1" | "v1beta1");
        match kind {
            "" if group.is_empty() && version.is_empty() => Some(Shape::Object),
            "Table" if is_known => Some(Shape::Table(version.to_owned())),
            "PartialObjectMetadata" if is_known => Some(Shape::Partial(version.to_owned())),
            "PartialObjectMetadataList" if is_known => Some(Shape::PartialList(version.to_owned())),
            _ => None,
        }
    }

    fn parameter(&self, name: &str) -> &str {
        let found = self.parameters.iter().rfind(|(known, _)| *known == name);
        found.map_or("", |(_, value)| value.trim_matches(' '))
    }
}

/// The format of a request body; `None` when it is none that is read. Absent means JSON.
pub fn body_format(content_type: &str) -> Option<Format> {
    if content_type.is_empty() {
        return Some(Format::Json);
    }
    match content_type::parse(content_type)?.as_str() {
        "application/json" => Some(Format::Json),
        "application/yaml" => Some(Format::Yaml),
        protobuf::MEDIA_TYPE => Some(Format::Protobuf),
        _ => None,
    }
}

/// A content type without its parameters.
pub fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: Offer = Offer {
        protobuf: true,
        has_table: true,
    };

    fn format(accept: &str, offer: Offer) -> Option<Format> {
        negotiate(accept, offer).map(|answer| answer.format)
    }

    #[test]
    fn kubectl_gets_a_table_and_controllers_protobuf() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        let answer = negotiate(kubectl, KIND).unwrap();
        assert_eq!(answer.shape, Shape::Table("v1".into()));
        let controller = "application/vnd.kubernetes.protobuf,application/json";
        assert_eq!(format(controller, KIND), Some(Format::Protobuf));
        let custom = Offer {
            protobuf: false,
            ..KIND
        };
        assert_eq!(format(controller, custom), Some(Format::Json));
        assert_eq!(format("application/vnd.kubernetes.protobuf", custom), None);
        let metadata =
            "application/vnd.kubernetes.protobuf;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
        assert_eq!(format(metadata, custom), Some(Format::Protobuf));
        let table = "application/vnd.kubernetes.protobuf;as=Table;g=meta.k8s.io;v=v1";
        assert_eq!(format(table, KIND), None);
        let review = Offer {
            has_table: false,
            ..KIND
        };
        let shape = negotiate(kubectl, review).unwrap().shape;
        assert_eq!(shape, Shape::Object);
        let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
        assert_eq!(format(table, review), None);
    }

    #[test]
    fn routes_know_media_types_by_their_whole_name() {
        for (accept, wanted) in [
            ("", true),
            ("*/*", true),
            ("text/html, application/json;as=Foo", true),
            ("application/*", false),
            ("*", false),
            ("text/html", false),
            ("application/cbor", false),
        ] {
            assert_eq!(is_accepted(accept, PRODUCED), wanted, "{accept}");
        }
    }

    #[test]
    fn what_a_status_cannot_be_is_told_in_json_for_people() {
        let table = "application/json;as=Table;g=meta.k8s.io;v=v1";
        for (accept, wanted, is_indented) in [
            ("", Format::Json, false),
            ("application/yaml", Format::Yaml, false),
            ("application/json;pretty=1", Format::Json, true),
            ("text/plain", Format::Json, true),
            (table, Format::Json, true),
            (&format!("{table},application/json"), Format::Json, false),
            (&format!("{table},application/yaml"), Format::Yaml, false),
        ] {
            let answer = refused_in(accept);
            assert_eq!(
                (answer.format, answer.is_indented),
                (wanted, is_indented),
                "{accept}"
            );
        }
    }

    #[test]
    fn what_is_liked_best_wins_and_the_unserved_is_passed_over() {
        for (accept, wanted) in [
            ("", Some(Format::Json)),
            ("*/*", Some(Format::Json)),
            ("*", Some(Format::Json)),
            ("application/*", Some(Format::Json)),
            ("application/yaml", Some(Format::Yaml)),
            ("text/html", None),
            ("text/html, application/yaml", Some(Format::Yaml)),
            ("application/cbor,application/json", Some(Format::Json)),
            (
                "application/json;q=0.5, application/yaml;q=0.9",
                Some(Format::Yaml),
            ),
            ("*/*, application/yaml", Some(Format::Yaml)),
            ("*/*, application/yaml;q=0.1", Some(Format::Yaml)),
            ("application/yaml;q=0.1, */*", Some(Format::Json)),
            ("application/json/, text/html", Some(Format::Json)),
            ("application/json/x", None),
            ("application/json;as=;v=", Some(Format::Json)),
            ("application/json;v=v1", None),
            (
                "application/yaml;charset=utf-8;q=x, application/json;q=0.1",
                Some(Format::Json),
            ),
            ("application/json;as=Table;g=other;v=v1", None),
        ] {
            assert_eq!(format(accept, KIND), wanted, "{accept}");
        }
        assert_eq!(
            format("application/json;stream=watch", KIND),
            Some(Format::Json)
        );
        assert_eq!(format("application/yaml;stream=watch", KIND), None);
        assert_eq!(format("application/json;stream=other", KIND), None);
    }
}
