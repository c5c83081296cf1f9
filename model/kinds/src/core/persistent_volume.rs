//! PersistentVolume.

mod validate;

pub(crate) use validate::inline as check_inline_volume;

use meta::{FieldError, Object};
use serde_json::json;

use crate::check::Node;
use crate::core::pod_spec::warnings;
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Annotations that became fields.
const ANNOTATIONS: [(&str, &str); 2] = [
    (
        "volume.beta.kubernetes.io/storage-class",
        r#"deprecated since v1.8; use "storageClassName" attribute instead"#,
    ),
    (
        "volume.beta.kubernetes.io/mount-options",
        r#"deprecated since v1.31; use "mountOptions" attribute instead"#,
    ),
];

/// Rules of `v1 PersistentVolume`.
pub(crate) struct PersistentVolume;

impl Strategy for PersistentVolume {
    fn default(&self, new: &mut Object) {
        new.child_mut("status").default_to("phase", "Pending");
        let spec = new.child_mut("spec");
        spec.default_to("persistentVolumeReclaimPolicy", "Retain");
        spec.default_unset("volumeMode", "Filesystem");
    }
    fn has_generation(&self) -> bool {
        false
    }
    fn prepare_create(&self, new: &mut Object, cx: &Context<'_>) {
        let now = meta::time::to_rfc3339(cx.now);
        new.put(
            "status",
            json!({"phase": "Pending", "lastPhaseTransitionTime": now}),
        );
    }
    fn prepare_subresource(&self, new: &mut Object, old: &Object, cx: &Context<'_>) {
        const TIME: &str = "lastPhaseTransitionTime";
        let (was, is) = (old.get("status"), new.get("status"));
        let field = |status: Option<&Object>, name: &str| {
            status.and_then(|status| status.get(name)).cloned()
        };
        let same_phase = field(was, "phase") == field(is, "phase");
        let (old_time, new_time) = (field(was, TIME), field(is, TIME));
        if same_phase && new_time.is_none() {
            if let Some(time) = old_time {
                new.child_mut("status").put(TIME, time);
            }
        } else if !same_phase && (new_time.is_none() || new_time == old_time) {
            new.child_mut("status")
                .put(TIME, meta::time::to_rfc3339(cx.now));
        }
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
        let spec = root.child("spec");
        let annotations = root.child("metadata").child("annotations");
        let mut warnings = Vec::new();
        for (key, why) in ANNOTATIONS {
            if annotations.has(key) {
                warnings.push(format!("{}: {why}", annotations.path.key(key)));
            }
        }
        if spec.text("persistentVolumeReclaimPolicy") == "Recycle" {
            let path = spec.at("persistentVolumeReclaimPolicy");
            warnings.push(format!(
                "{path}: The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
            ));
        }
        let required = spec.child("nodeAffinity").child("required");
        for term in required.items("nodeSelectorTerms") {
            warnings::node_term(&term, false, &mut warnings);
        }
        for source in [
            "cephfs",
            "photonPersistentDisk",
            "scaleIO",
            "storageos",
            "glusterfs",
            "rbd",
        ] {
            if spec.has(source) {
                warnings.extend(warnings::deprecated_source(&spec, source));
            }
        }
        warnings
    }
    print_with!(print::storage::PERSISTENT_VOLUME);
}
