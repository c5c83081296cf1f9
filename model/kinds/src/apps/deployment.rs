//! Deployment.

use meta::{Object, Path};
use serde_json::{Value, json};

use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Scale, Strategy};

/// Rules of `apps/v1 Deployment`.
pub(crate) struct Deployment;

impl Strategy for Deployment {
    fn reset_fields(&self, subresource: Option<&str>) -> Vec<Path> {
        match subresource {
            None => vec![Path::new("status")],
            Some(_) => ["spec", "metadata.labels"].map(Path::new).into(),
        }
    }
    fn default(&self, new: &mut Object) {
        let spec = new.child_mut("spec");
        spec.default_to("replicas", 1);
        let strategy = spec.child_mut("strategy");
        strategy.default_to("type", "RollingUpdate");
        if strategy.get("type").and_then(Value::as_str) == Some("RollingUpdate") {
            strategy.default_to("rollingUpdate", json!({}));
            let rolling = strategy.child_mut("rollingUpdate");
            for limit in ["maxUnavailable", "maxSurge"] {
                if rolling.get(limit).is_none() {
                    rolling.put(limit, "25%");
                }
            }
        }
        spec.default_to("revisionHistoryLimit", 10);
        spec.default_to("progressDeadlineSeconds", 600);
    }
    fn scale(&self) -> Option<Scale> {
        Some(Scale::standard())
    }
    print_with!(print::apps::DEPLOYMENT);
}
