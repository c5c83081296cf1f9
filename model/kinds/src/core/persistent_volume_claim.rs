//! PersistentVolumeClaim.

mod validate;

use meta::{FieldError, Object};
use serde_json::Value;

use crate::check::Node;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `v1 PersistentVolumeClaim`.
pub(crate) struct PersistentVolumeClaim;

impl Strategy for PersistentVolumeClaim {
    fn has_generation(&self) -> bool {
        false
    }
    fn prepare_create(&self, new: &mut Object, _cx: &Context<'_>) {
        default_claim(new);
        normalize_data_sources(new.child_mut("spec"), &Value::Null);
    }
    fn prepare_update(&self, new: &mut Object, old: &Object, _cx: &Context<'_>) {
        let was = old.get("spec").unwrap_or(&Value::Null);
        normalize_data_sources(new.child_mut("spec"), was);
    }
    fn returns_deleted_object(&self) -> bool {
        true
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::check(new)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        validate::change(new, old)
    }
    fn warnings(&self, new: &Object, _old: Option<&Object>) -> Vec<String> {
        let root = Node::root(new);
        let annotations = root.child("metadata").child("annotations");
        let key = "volume.beta.kubernetes.io/storage-class";
        let mut warnings = Vec::new();
        if annotations.has(key) {
            let path = annotations.path.key(key);
            warnings.push(format!(
                r#"{path}: deprecated since v1.8; use "storageClassName" attribute instead"#
            ));
        }
        warnings.extend(warnings::claim(&root.child("spec")));
        warnings
    }
    print_with!(print::storage::PERSISTENT_VOLUME_CLAIM);
}

/// Claims start out pending, also those in a StatefulSet's templates.
pub(crate) fn default_claim(claim: &mut Value) {
    claim.child_mut("status").default_to("phase", "Pending");
}

/// `dataSource` and `dataSourceRef` say the same unless a namespace makes the difference. Sources: `DropDisabledFields`,
/// `EnforceDataSourceBackwardsCompatibility`, `NormalizeDataSources`.
fn normalize_data_sources(spec: &mut Value, was: &Value) {
    let text = |source: &Value, field: &str| {
        let text = source.get(field).and_then(Value::as_str);
        text.unwrap_or_default().to_owned()
    };
    let had_source = ["dataSource", "dataSourceRef"]
        .iter()
        .any(|field| was.get(*field).is_some());
    let is_abroad = |source: &Value| !text(source, "namespace").is_empty();
    let had_reference = was.get("dataSourceRef").is_some();
    if !had_reference && spec.get("dataSourceRef").is_some_and(is_abroad) {
        spec.drop_field("dataSourceRef");
    }
    // Who names a reference knows what becomes of it.
    let is_older = !had_source && spec.get("dataSourceRef").is_none();
    if let Some(source) = spec.get("dataSource").filter(|_| is_older) {
        let is_known = matches!(
            (
                text(source, "apiGroup").as_str(),
                text(source, "kind").as_str()
            ),
            ("", "PersistentVolumeClaim") | ("snapshot.storage.k8s.io", "VolumeSnapshot")
        );
        if !is_known {
            spec.drop_field("dataSource");
        }
    }
    let source = spec.get("dataSource").cloned();
    let reference = spec.get("dataSourceRef").cloned();
    match (source, reference) {
        (Some(source), None) => spec.put("dataSourceRef", source),
        (None, Some(reference)) if !is_abroad(&reference) => spec.put("dataSource", reference),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_that_is_none_is_dropped_unless_there_was_one() {
        let odd = json!({"dataSource": {"kind": "Foo", "name": "x"}});
        let mut new = odd.clone();
        normalize_data_sources(&mut new, &Value::Null);
        assert_eq!(new, json!({}));
        let mut changed = odd.clone();
        let was = json!({"dataSource": {"kind": "PersistentVolumeClaim", "name": "x"}});
        normalize_data_sources(&mut changed, &was);
        assert_eq!(changed.get("dataSource"), odd.get("dataSource"));
    }

    #[test]
    fn a_source_elsewhere_is_dropped_unless_there_was_one() {
        let abroad = json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "x", "namespace": "z"}});
        let mut new = abroad.clone();
        normalize_data_sources(&mut new, &Value::Null);
        assert_eq!(new, json!({}));
        let was = json!({"dataSourceRef": {"kind": "PersistentVolumeClaim", "name": "x"}});
        let mut changed = abroad.clone();
        normalize_data_sources(&mut changed, &was);
        assert_eq!(changed, abroad);
    }
}
