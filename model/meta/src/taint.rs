//! Taints and tolerations: what keeps pods off nodes, and what they put up with.

use serde_json::Value;

use crate::object::ObjectExt;

/// A node's taint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taint {
    /// Key.
    pub key: String,
    /// Value; may be empty.
    pub value: String,
    /// `NoSchedule`, `PreferNoSchedule` or `NoExecute`.
    pub effect: String,
}

impl Taint {
    /// Reads a taint; `None` when it has no key.
    pub fn read(taint: &Value) -> Option<Self> {
        let text = |field: &str| taint.str_at(&[field]).unwrap_or_default().to_owned();
        Some(Self {
            key: taint.str_at(&["key"])?.to_owned(),
            value: text("value"),
            effect: text("effect"),
        })
    }
    /// Whether it keeps pods away.
    pub fn is_hard(&self) -> bool {
        matches!(self.effect.as_str(), "NoSchedule" | "NoExecute")
    }
}

/// What a pod puts up with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toleration {
    /// Key; empty with `Exists` tolerates every key.
    pub key: String,
    /// `Exists`, `Equal`, `Lt` or `Gt`.
    pub operator: String,
    /// Value compared with.
    pub value: String,
    /// Effect; empty tolerates every effect.
    pub effect: String,
    /// How long it puts up with a `NoExecute` taint; `None` is for ever.
    pub seconds: Option<i64>,
}

impl Toleration {
    /// Reads a toleration.
    pub fn read(toleration: &Value) -> Self {
        let text = |field: &str| toleration.str_at(&[field]).unwrap_or_default().to_owned();
        Self {
            key: text("key"),
            operator: text("operator"),
            value: text("value"),
            effect: text("effect"),
            seconds: toleration.int_at(&["tolerationSeconds"]),
        }
    }
    /// Whether it tolerates a taint. Source: `component-helpers/scheduling/corev1`.
    pub fn tolerates(&self, taint: &Taint) -> bool {
        if !self.effect.is_empty() && self.effect != taint.effect {
            return false;
        }
        if !self.key.is_empty() && self.key != taint.key {
            return false;
        }
        match self.operator.as_str() {
            "Exists" => true,
            "" | "Equal" => !self.key.is_empty() && self.value == taint.value,
            _ => false,
        }
    }
}

/// The first hard taint that no toleration covers.
pub fn untolerated<'a>(taints: &'a [Taint], tolerations: &[Toleration]) -> Option<&'a Taint> {
    taints
        .iter()
        .find(|taint| taint.is_hard() && !is_tolerated(taint, tolerations))
}

/// Whether some toleration covers a taint.
pub fn is_tolerated(taint: &Taint, tolerations: &[Toleration]) -> bool {
    tolerations
        .iter()
        .any(|toleration| toleration.tolerates(taint))
}
