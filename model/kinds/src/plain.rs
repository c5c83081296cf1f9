//! The strategies of kinds that have no rules of their own, or none but validation.

use jiff::Timestamp;
use meta::{FieldError, Object, ObjectExt as _};

use crate::check::Errors;
use crate::kind::{Cell, Column};
use crate::print::Printer;
use crate::strategy::{Context, Lookup, Strategy};

/// No rules, no generation; prints as said.
pub(crate) struct Plain(pub(crate) &'static Printer);

impl Strategy for Plain {
    fn has_generation(&self) -> bool {
        false
    }
    fn columns(&self) -> Vec<Column> {
        self.0.columns()
    }
    fn cells<'a>(&self, object: &'a Object, now: Timestamp) -> Vec<Cell<'a>> {
        (self.0.cells)(object, now)
    }
    fn printed_fields(&self) -> &'static [&'static str] {
        self.0.reads
    }
}

/// Goes through an object.
pub(crate) type Check = fn(&Object, &mut Errors);
/// Goes through a change: the new object, then the old one.
pub(crate) type CheckChange = fn(&Object, &Object, &mut Errors);

/// Fills in what depends on the time of the request.
pub(crate) type Prepare = fn(&mut Object, Timestamp);

/// What clients are warned of: the new object, then the old one.
pub(crate) type Warn = fn(&Object, Option<&Object>) -> Vec<String>;

/// Asks other objects whether a new object, or a status, may be as it is: the object, then the one before the status.
pub(crate) type Allow = fn(&Object, Option<&Object>, &dyn Lookup, &mut Errors);

/// What counts for `metadata.generation`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Generation {
    None,
    Spec,
    SpecAndLabels,
    /// Empty lists and maps are no less than none.
    SpecAsSent,
}

/// Validation alone; prints as said.
pub(crate) struct Checked {
    printer: &'static Printer,
    generation: Generation,
    check: Check,
    check_change: Option<CheckChange>,
    allow: Option<Allow>,
    is_fixed: bool,
    names: fn(&str) -> Vec<String>,
    /// The rule for prefixes of names, where it is another one.
    prefixes: Option<fn(&str) -> Vec<String>>,
    selectable: &'static [&'static str],
    row_order: Option<fn(&Object) -> i64>,
    warnings: Warn,
    is_returned: bool,
    has_metadata_last: bool,
    prepare: Prepare,
}

impl Checked {
    /// A kind without generation whose objects are checked so.
    pub(crate) fn new(printer: &'static Printer, check: Check) -> Self {
        Self {
            printer,
            generation: Generation::None,
            check,
            check_change: None,
            allow: None,
            is_fixed: false,
            names: meta::names::dns1123_subdomain,
            prefixes: None,
            selectable: &[],
            row_order: None,
            warnings: |_, _| Vec::new(),
            is_returned: false,
            has_metadata_last: false,
            prepare: |_, _| {},
        }
    }
    /// The kind keeps `metadata.generation`.
    pub(crate) fn counted(mut self) -> Self {
        self.generation = Generation::Spec;
        self
    }
    /// The kind keeps `metadata.generation`, for which changes of labels count as well.
    pub(crate) fn counting_labels(mut self) -> Self {
        self.generation = Generation::SpecAndLabels;
        self
    }
    /// The kind keeps `metadata.generation`, for which upstream compares empty lists and maps with none.
    pub(crate) fn counting_empty(mut self) -> Self {
        self.generation = Generation::SpecAsSent;
        self
    }
    /// Changes are checked as well.
    pub(crate) fn changes(mut self, check: CheckChange) -> Self {
        self.check_change = Some(check);
        self
    }
    /// Other objects are asked first whether a new object, or a status, may be.
    pub(crate) fn allowed(mut self, allow: Allow) -> Self {
        self.allow = Some(allow);
        self
    }
    /// The rules for changes say all there is to say of a changed object.
    pub(crate) fn fixed(mut self) -> Self {
        self.is_fixed = true;
        self
    }
    /// A delete answers with the object.
    pub(crate) fn returned(mut self) -> Self {
        self.is_returned = true;
        self
    }
    /// What depends on the time is filled in.
    pub(crate) fn prepares(mut self, prepare: Prepare) -> Self {
        self.prepare = prepare;
        self
    }
    /// Clients are warned.
    pub(crate) fn warns(mut self, warnings: Warn) -> Self {
        self.warnings = warnings;
        self
    }
    /// Names have a rule of their own.
    pub(crate) fn named(mut self, rule: fn(&str) -> Vec<String>) -> Self {
        self.names = rule;
        self
    }
    /// Names alone have that rule, the prefixes of generated ones do not.
    ///
    /// Source: apimachinery `ValidateObjectMetaAccessorWithOpts`.
    pub(crate) fn prefixed_freely(mut self) -> Self {
        self.prefixes = Some(meta::names::path_segment);
        self
    }
    /// Metadata are looked at when nothing else is wrong.
    pub(crate) fn metadata_last(mut self) -> Self {
        self.has_metadata_last = true;
        self
    }
    /// The rows of a list are ordered by this.
    pub(crate) fn ordered(mut self, by: fn(&Object) -> i64) -> Self {
        self.row_order = Some(by);
        self
    }
    /// Field selectors may name these fields.
    pub(crate) fn selects(mut self, fields: &'static [&'static str]) -> Self {
        self.selectable = fields;
        self
    }
}

impl Strategy for Checked {
    fn checks_metadata_last(&self) -> bool {
        self.has_metadata_last
    }
    fn row_order(&self) -> Option<fn(&Object) -> i64> {
        self.row_order
    }
    fn name_errors(&self, name: &str, is_prefix: bool) -> Vec<String> {
        let prefixes = self.prefixes.filter(|_| is_prefix);
        prefixes.unwrap_or(self.names)(name)
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        self.selectable
    }
    fn counts_empty(&self) -> bool {
        self.generation == Generation::SpecAsSent
    }
    fn has_generation(&self) -> bool {
        self.generation != Generation::None
    }
    fn returns_deleted_object(&self) -> bool {
        self.is_returned
    }
    fn is_respecified(&self, new: &Object, old: &Object) -> bool {
        let labels = |object: &Object| object.at(&["metadata", "labels"]).cloned();
        crate::metadata::is_respecified(new, old)
            || (self.generation == Generation::SpecAndLabels && labels(new) != labels(old))
    }
    fn prepare_create(&self, new: &mut Object, cx: &Context<'_>) {
        (self.prepare)(new, cx.now);
    }
    fn prepare_update(&self, new: &mut Object, _old: &Object, cx: &Context<'_>) {
        (self.prepare)(new, cx.now);
    }
    fn allow(&self, new: &Object, old: Option<&Object>, cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        if let Some(allow) = self.allow {
            allow(new, old, cx.lookup, &mut errors);
        }
        errors
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        (self.check)(new, &mut errors);
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        let mut errors = Errors::new();
        if !self.is_fixed {
            (self.check)(new, &mut errors);
        }
        if let Some(check) = self.check_change {
            check(new, old, &mut errors);
        }
        errors
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        (self.warnings)(new, old)
    }
    fn columns(&self) -> Vec<Column> {
        self.printer.columns()
    }
    fn cells<'a>(&self, object: &'a Object, now: Timestamp) -> Vec<Cell<'a>> {
        (self.printer.cells)(object, now)
    }
    fn printed_fields(&self) -> &'static [&'static str] {
        self.printer.reads
    }
}
