//! Lists, put together from the bytes of their items.

use serde_json::{Map, Value};

/// What stands in a list besides its items.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// `apiVersion` of the list.
    pub api_version: String,
    /// `kind` of the list.
    pub kind: String,
    /// The revision the list is the truth at; 0 for what is of none.
    pub revision: u64,
    /// Token for the next page; empty on the last one.
    pub next: String,
    /// How many items are left off; `None` when that is not known.
    pub remaining: Option<u64>,
}

impl Head {
    /// `metadata` of the list.
    pub fn metadata(&self) -> Value {
        let mut metadata = Map::new();
        if self.revision > 0 {
            metadata.insert("resourceVersion".into(), self.revision.to_string().into());
        }
        if !self.next.is_empty() {
            metadata.insert("continue".into(), self.next.clone().into());
        }
        if let Some(remaining) = self.remaining {
            metadata.insert("remainingItemCount".into(), remaining.into());
        }
        metadata.into()
    }
}

/// A list that has no items, not even none: `null`, as upstream shows lists of metadata.
pub fn without_items(head: &Head) -> Vec<u8> {
    let mut list = open(head);
    list.pop();
    list.extend_from_slice(b"null}\n");
    list
}

/// What stands behind the last item of a list, and behind the last row of a Table.
pub const CLOSE: &[u8] = b"]}\n";

/// A list up to its first item.
pub fn open(head: &Head) -> Vec<u8> {
    let quoted = |text: &str| Value::from(text).to_string();
    format!(
        r#"{{"kind":{},"apiVersion":{},"metadata":{},"items":["#,
        quoted(&head.kind),
        quoted(&head.api_version),
        head.metadata()
    )
    .into_bytes()
}
