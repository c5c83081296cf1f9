//! What types and fields mean, in upstream's words, from the table that `build.rs` makes.

use std::io::Read;
use std::sync::LazyLock;

static COMPRESSED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptions.z"));

static TABLE: LazyLock<Table> = LazyLock::new(Table::read);

/// Records of a key and a description, ordered by key.
struct Table {
    text: String,
    /// Where each record begins and ends in the text.
    records: Vec<(u32, u32)>,
}

impl Table {
    /// An unreadable table is an empty one; a test compares with upstream's document.
    fn read() -> Self {
        let mut text = String::new();
        let mut decoder = flate2::read::ZlibDecoder::new(COMPRESSED);
        if decoder.read_to_string(&mut text).is_err() {
            text.clear();
        }
        let place = |place: usize| u32::try_from(place).unwrap_or(u32::MAX);
        let mut start = 0;
        let records = text.split('\u{1e}').map(|record| {
            let end = start + record.len();
            let places = (place(start), place(end));
            start = end + 1;
            places
        });
        let records = records.filter(|(start, end)| start < end).collect();
        Self { text, records }
    }

    fn record(&self, (start, end): (u32, u32)) -> Option<(&str, &str)> {
        let place = |place: u32| usize::try_from(place).ok();
        self.text
            .get(place(start)?..place(end)?)?
            .split_once('\u{1f}')
    }

    fn find(&self, key: &str) -> Option<&str> {
        let by_key =
            |places: &(u32, u32)| self.record(*places).map(|(known, _)| known).cmp(&Some(key));
        let index = self.records.binary_search_by(by_key).ok()?;
        let (_, description) = self.record(*self.records.get(index)?)?;
        Some(description)
    }
}

fn find(key: &str) -> Option<&'static str> {
    TABLE.find(key)
}

/// What a type means.
pub(super) fn of_type(name: &str) -> Option<&'static str> {
    find(name)
}

/// What a field of a type means.
pub(crate) fn of_field(type_name: &str, field: &str) -> Option<&'static str> {
    find(&format!("{type_name} {field}"))
}

/// The values that a Go type such as `v1.PullPolicy` has, and what each means: `"Always" means ...`, one a line.
pub(super) fn of_values(go_type: &str) -> Option<&'static str> {
    find(go_type)
}

/// What a field of any list means. Lists have no types of their own in the package that the table is made from.
pub(super) fn of_list_field(field: &str) -> Option<&'static str> {
    match field {
        "metadata" => Some("Standard list metadata."),
        "items" => Some("The objects of the list."),
        field => of_field("io.k8s.api.core.v1.ConfigMap", field),
    }
}
