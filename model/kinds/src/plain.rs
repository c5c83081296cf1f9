//! The strategies of kinds that have no rules of their own.

use jiff::Timestamp;
use meta::Object;
use serde_json::Value;

use crate::kind::Column;
use crate::print::Printer;
use crate::strategy::Strategy;

/// No rules, no generation; prints as said.
pub(crate) struct Plain(pub(crate) &'static Printer);

impl Strategy for Plain {
    fn has_generation(&self) -> bool {
        false
    }
    fn columns(&self) -> Vec<Column> {
        self.0.columns()
    }
    fn cells(&self, object: &Object, now: Timestamp) -> Vec<Value> {
        (self.0.cells)(object, now)
    }
}

/// No rules, but `metadata.generation` is kept; prints as said.
pub(crate) struct Counted(pub(crate) &'static Printer);

impl Strategy for Counted {
    fn columns(&self) -> Vec<Column> {
        self.0.columns()
    }
    fn cells(&self, object: &Object, now: Timestamp) -> Vec<Value> {
        (self.0.cells)(object, now)
    }
}
