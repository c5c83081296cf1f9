//! StatefulSet.

use meta::{FieldError, Object, names};
use serde_json::{Value, json};

use super::validate;
use crate::check::Node;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Scale, Strategy};

/// Rules of `apps/v1 StatefulSet`.
pub(crate) struct StatefulSet;

impl Strategy for StatefulSet {
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("podManagementPolicy", "OrderedReady");
        let strategy = spec.child_mut("updateStrategy");
        if strategy.lacks("type") {
            strategy.put("type", "RollingUpdate");
            strategy.default_to("rollingUpdate", json!({}));
        }
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate")
            && let Some(rolling) = strategy.get_mut("rollingUpdate")
        {
            rolling.default_to("partition", 0);
        }
        let retention = spec.child_mut("persistentVolumeClaimRetentionPolicy");
        retention.default_to("whenDeleted", "Retain");
        retention.default_to("whenScaled", "Retain");
        spec.default_to("replicas", 1);
        spec.default_to("revisionHistoryLimit", 10);
        for claim in spec.items_mut("volumeClaimTemplates") {
            claim.put("apiVersion", "v1");
            claim.put("kind", "PersistentVolumeClaim");
        }
    }
    fn scale(&self) -> Option<Scale> {
        Some(Scale::standard())
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        validate::stateful_set(new, true)
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        if cx.subresource == Some("status") {
            return Vec::new();
        }
        validate::stateful_set_update(new, old)
    }
    fn name_errors(&self, name: &str, _is_prefix: bool) -> Vec<String> {
        names::dns1123_label(name)
    }
    fn warnings(&self, new: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = warnings::workload(new, old, &["spec", "template"]);
        let spec = Node::root(new).child("spec");
        for claim in spec.items("volumeClaimTemplates") {
            warnings.extend(warnings::claim(&Node {
                value: claim.child("spec").value,
                path: claim.path,
            }));
        }
        if spec
            .int("revisionHistoryLimit")
            .is_some_and(|limit| limit < 0)
        {
            let words = "spec.revisionHistoryLimit: a negative value retains all historical revisions; a value >= 0 is recommended";
            warnings.push(words.to_owned());
        }
        warnings
    }
    print_with!(print::apps::STATEFUL_SET);
}
