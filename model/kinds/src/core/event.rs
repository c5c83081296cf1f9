//! Event.

use meta::{FieldError, Object, ObjectExt as _, Path, names};

use crate::check::{Errors, Node};
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

const OTHER_NAMESPACE: &str = "does not match event.namespace";

/// Rules of `v1 Event`.
pub(crate) struct Event;

impl Strategy for Event {
    fn is_cached(&self) -> bool {
        false
    }
    fn has_generation(&self) -> bool {
        false
    }
    /// Upstream checks no more of the name than of every object's: recorders put there what an event is about.
    ///
    /// Source: `ValidateEventCreate`, `rest.BeforeCreate`.
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::path_segment(name)
    }
    fn checks_metadata_last(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Errors::new();
        check(new, "reportingComponent", &mut errors);
        errors
    }
    fn selectable_fields(&self) -> &'static [&'static str] {
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }
    fn selected_fields(&self) -> &'static [&'static str] {
        &[
            "involvedObject",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ]
    }
    fn selectable_value(&self, object: &Object, field: &str) -> String {
        if field == "source" {
            let source = object
                .str_at(&["source", "component"])
                .filter(|text| !text.is_empty());
            let source = source.or_else(|| object.str_at(&["reportingComponent"]));
            return source.unwrap_or_default().to_owned();
        }
        crate::kind::value_at(object, field)
    }
    print_with!(print::core::EVENT);
}

/// What holds for events in their stored form; `controller` is the name of the reporting field in the form at hand.
///
/// Source: `legacyValidateEvent`.
pub(crate) fn check(event: &Object, controller: &str, errors: &mut Errors) {
    let root = Node::root(event);
    let (own, about) = (
        event.namespace(),
        root.child("involvedObject").text("namespace"),
    );
    let path = Path::new("involvedObject").child("namespace");
    let is_new_style = !root.text("eventTime").is_empty();
    let fits = match (is_new_style, about) {
        (false, "") => matches!(own, "" | "default"),
        (false, about) => own == about,
        (true, "") => matches!(own, "default" | "kube-system"),
        (true, _) => true,
    };
    if !fits {
        errors.push(FieldError::invalid(&path, about, OTHER_NAMESPACE));
    }
    if is_new_style {
        let path = Path::new(controller);
        let name = root.text("reportingComponent");
        if name.is_empty() {
            errors.push(FieldError::required(&path, ""));
        }
        errors.extend(crate::metadata::invalid(
            &path,
            name,
            names::qualified_name(name),
        ));
        for (field, most, is_needed) in [
            ("reportingInstance", 128, true),
            ("action", 128, true),
            ("reason", 128, true),
            ("message", 1024, false),
        ] {
            let text = root.text(field);
            if text.is_empty() && is_needed {
                errors.push(FieldError::required(&Path::new(field), ""));
            } else if text.len() > most {
                let why = format!("can have at most {most} characters");
                errors.push(FieldError::invalid(&Path::new(field), "", why));
            }
        }
    }
    errors.extend(crate::metadata::invalid(
        &Path::new("namespace"),
        own,
        names::dns1123_subdomain(own),
    ));
}
