//! StatefulSet.

use meta::Object;
use serde_json::{Value, json};

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Scale, Strategy};

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
    print_with!(print::apps::STATEFUL_SET);
}
