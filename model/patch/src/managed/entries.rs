//! `metadata.managedFields` as entries: read, written, sorted and kept few.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use jiff::Timestamp;
use meta::time;
use serde_json::{Map, Value, json};

use super::set::FieldSet;

/// Most entries of operation Update. Source: apimachinery `DefaultMaxUpdateManagers`.
const UPDATE_MANAGERS_MAX: usize = 10;

/// Who gets the fields of the oldest updaters when there are too many. Source: apimachinery `capManagersManager`.
const ANCIENT_CHANGES: &str = "ancient-changes";

/// How a manager came by its fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Server-side apply.
    Apply,
    /// Everything else.
    Update,
}

impl Operation {
    fn as_str(self) -> &'static str {
        match self {
            Self::Apply => "Apply",
            Self::Update => "Update",
        }
    }
}

/// What tells entries apart. Appliers have no API version here: they keep one entry across versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ManagerId {
    pub(super) name: String,
    pub(super) operation: Operation,
    pub(super) api_version: String,
    pub(super) subresource: String,
}

/// As the texts of upstream's identifiers stand, in which what has a subresource goes before what has none.
///
/// Source: apimachinery `BuildManagerIdentifier`.
impl Ord for ManagerId {
    fn cmp(&self, other: &Self) -> Ordering {
        fn key(id: &ManagerId) -> (&str, Operation, &str, bool, &str) {
            let has_none = id.subresource.is_empty();
            (
                &id.name,
                id.operation,
                &id.api_version,
                has_none,
                &id.subresource,
            )
        }
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for ManagerId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ManagerId {
    pub(super) fn new(
        name: &str,
        operation: Operation,
        api_version: &str,
        subresource: &str,
    ) -> Self {
        let api_version = match operation {
            Operation::Apply => "",
            Operation::Update => api_version,
        };
        Self {
            name: name.to_owned(),
            operation,
            api_version: api_version.to_owned(),
            subresource: subresource.to_owned(),
        }
    }
}

/// What one manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Owned {
    pub(super) set: FieldSet,
    pub(super) api_version: String,
    pub(super) time: Option<String>,
}

impl Owned {
    fn seconds(&self) -> i64 {
        let time = self.time.as_deref().and_then(time::from_rfc3339);
        time.map_or(0, Timestamp::as_second)
    }
}

/// All managers of an object.
pub(super) type Managers = BTreeMap<ManagerId, Owned>;

/// Reads `metadata.managedFields`.
///
/// # Errors
/// An entry is malformed; the words are apimachinery's.
pub(super) fn decode(entries: &[Value]) -> Result<Managers, String> {
    let mut managers = Managers::new();
    for (at, entry) in entries.iter().enumerate() {
        let text = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let operation = match text("operation") {
            "Apply" => Operation::Apply,
            "Update" => Operation::Update,
            _ => return Err("operation must be `Apply` or `Update`".to_owned()),
        };
        if text("apiVersion").is_empty() {
            return Err("apiVersion must not be empty".to_owned());
        }
        match text("fieldsType") {
            "FieldsV1" => {}
            "" => return Err(format!("missing fieldsType in managed fields entry {at}")),
            other => {
                return Err(format!(
                    "invalid fieldsType {other:?} in managed fields entry {at}"
                ));
            }
        }
        let fields = entry.get("fieldsV1").filter(|fields| !fields.is_null());
        let set = match fields {
            Some(fields) => FieldSet::from_fields_v1(fields)
                .map_err(|error| format!("error decoding set: {error}"))?,
            None => FieldSet::default(),
        };
        let id = ManagerId::new(
            text("manager"),
            operation,
            text("apiVersion"),
            text("subresource"),
        );
        let owned = Owned {
            set,
            api_version: text("apiVersion").to_owned(),
            time: Some(text("time").to_owned()).filter(|time| !time.is_empty()),
        };
        managers.insert(id, owned);
    }
    Ok(managers)
}

/// Writes the entries in upstream's order: operation, time, manager, API version, subresource.
pub(super) fn encode(managers: &Managers) -> Value {
    let mut entries: Vec<(&ManagerId, &Owned)> = managers.iter().collect();
    entries.sort_by_key(|(id, owned)| {
        (
            id.operation,
            owned.seconds(),
            &id.name,
            &owned.api_version,
            &id.subresource,
        )
    });
    entries
        .into_iter()
        .map(|(id, owned)| encode_one(id, owned))
        .collect()
}

fn encode_one(id: &ManagerId, owned: &Owned) -> Value {
    let mut entry = Map::new();
    let mut put = |field: &str, value: &str| {
        if !value.is_empty() {
            entry.insert(field.to_owned(), json!(value));
        }
    };
    put("manager", &id.name);
    put("operation", id.operation.as_str());
    put("apiVersion", &owned.api_version);
    put("time", owned.time.as_deref().unwrap_or_default());
    put("fieldsType", "FieldsV1");
    put("subresource", &id.subresource);
    entry.insert("fieldsV1".into(), owned.set.to_fields_v1());
    Value::Object(entry)
}

/// Puts the fields of the oldest updaters of one API version together while there are too many updaters.
pub(super) fn cap(managers: &mut Managers) {
    let mut updaters: Vec<ManagerId> = managers
        .keys()
        .filter(|id| id.operation == Operation::Update)
        .cloned()
        .collect();
    let mut count = updaters.len();
    if count <= UPDATE_MANAGERS_MAX {
        return;
    }
    updaters.sort_by_key(|id| managers.get(id).map(Owned::seconds));
    let mut first_of: BTreeMap<String, ManagerId> = BTreeMap::new();
    for id in updaters {
        if count <= UPDATE_MANAGERS_MAX {
            break;
        }
        let Some(version) = managers.get(&id).map(|owned| owned.api_version.clone()) else {
            continue;
        };
        let Some(first) = first_of.get(&version) else {
            first_of.insert(version, id);
            continue;
        };
        let bucket = ManagerId::new(ANCIENT_CHANGES, Operation::Update, &version, "");
        if !managers.contains_key(&bucket)
            && let Some(owned) = managers.remove(first)
        {
            managers.insert(bucket.clone(), owned);
        }
        let Some(moved) = managers.remove(&id) else {
            continue;
        };
        let mut owned = moved;
        if let Some(ancient) = managers.remove(&bucket) {
            owned.set.absorb(ancient.set);
        }
        managers.insert(bucket, owned);
        count -= 1;
    }
}
