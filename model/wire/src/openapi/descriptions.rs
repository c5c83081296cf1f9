//! What types and fields mean, in upstream's words, from the table that `build.rs` makes.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::LazyLock;

static COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.z"));

static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

struct Table {
    text: String,
    /// Key to the description's place in the text.
    places: BTreeMap<String, (usize, usize)>,
}

impl Table {
    /// An unreadable table is an empty one; a test compares with upstream's document.
    fn read() -> Self {
        let mut text = String::new();
        let mut decoder = flate2::read::ZlibDecoder::new(COMPRESSED);
        if decoder.read_to_string(&mut text).is_err() {
            text.clear();
        }
        let mut places = BTreeMap::new();
        let mut start = 0;
        for record in text.split('\u{1e}') {
            if let Some((key, description)) = record.split_once('\u{1f}') {
                let from = start + key.len() + 1;
                places.insert(key.to_owned(), (from, from + description.len()));
            }
            start += record.len() + 1;
        }
        Self { text, places }
    }
}

fn find(key: &str) -> Option<&'static str> {
    let (from, to) = TABLE.places.get(key)?;
    TABLE.text.get(*from..*to)
}

/// What a type means.
pub(super) fn of_type(name: &str) -> Option<&'static str> {
    find(name)
}

/// What a field of a type means.
pub(crate) fn of_field(type_name: &str, field: &str) -> Option<&'static str> {
    find(&format!("{type_name} {field}"))
}

/// What a field of any list means. Lists have no types of their own in the package that the table is made from.
pub(super) fn of_list_field(field: &str) -> Option<&'static str> {
    match field {
        "metadata" => Some("Standard list metadata."),
        "items" => Some("The objects of the list."),
        field => of_field("io.k8s.api.core.v1.ConfigMap", field),
    }
}
