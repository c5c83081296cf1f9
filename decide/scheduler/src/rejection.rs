//! Why a pod fits nowhere, in upstream's words.

use std::collections::{BTreeMap, BTreeSet};

/// The filter plugins, in upstream's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the names are upstream's and say it all")]
pub enum Plugin {
    NodeUnschedulable,
    NodeName,
    TaintToleration,
    NodeAffinity,
    NodePorts,
    NodeResourcesFit,
    PodTopologySpread,
    InterPodAffinity,
}

/// Why one node does not take a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Who says so.
    pub plugin: Plugin,
    /// Why; one reason or more.
    pub reasons: Vec<String>,
    /// Whether pushing pods away would not help either.
    pub is_final: bool,
}

impl Rejection {
    /// A rejection that might end when pods leave the node.
    pub fn new(plugin: Plugin, reason: impl Into<String>) -> Self {
        Self {
            plugin,
            reasons: vec![reason.into()],
            is_final: false,
        }
    }
    /// A rejection that no leaving pod would end.
    pub fn for_good(plugin: Plugin, reason: impl Into<String>) -> Self {
        Self {
            is_final: true,
            ..Self::new(plugin, reason)
        }
    }
}

/// Why no node takes a pod.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rejections {
    /// Number of nodes.
    pub nodes: usize,
    /// How many nodes gave each reason.
    pub reasons: BTreeMap<String, usize>,
    /// Nodes where pushing pods away would not help.
    pub is_final: usize,
    /// The plugins that rejected; what may help depends on them.
    pub plugins: BTreeSet<Plugin>,
    /// Whether the pod may push others away.
    pub may_preempt: bool,
}

impl Rejections {
    pub(crate) fn add(&mut self, rejection: Rejection) {
        self.plugins.insert(rejection.plugin);
        self.is_final += usize::from(rejection.is_final);
        for reason in rejection.reasons {
            *self.reasons.entry(reason).or_default() += 1;
        }
    }

    /// The message of the event and of the `PodScheduled` condition. Source: `framework.FitError`, and the
    /// messages of the dynamic resources and preemption plugins.
    pub fn message(&self) -> String {
        if self.nodes == 0 {
            return "no nodes available to schedule pods".to_owned();
        }
        let mut reasons: Vec<String> = self
            .reasons
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        reasons.sort();
        let mut message = format!("0/{} nodes are available:", self.nodes);
        if !reasons.is_empty() {
            message = format!("{message} {}.", reasons.join(", "));
        }
        format!(
            "{message} no new claims to deallocate, preemption: {}",
            self.preemption()
        )
    }

    fn preemption(&self) -> String {
        if !self.may_preempt {
            return "not eligible due to preemptionPolicy=Never.".to_owned();
        }
        let mut parts = Vec::new();
        let open = self.nodes.saturating_sub(self.is_final);
        if open > 0 {
            parts.push(format!(
                "{open} No preemption victims found for incoming pod"
            ));
        }
        if self.is_final > 0 {
            parts.push(format!(
                "{} Preemption is not helpful for scheduling",
                self.is_final
            ));
        }
        parts.sort();
        format!(
            "0/{} nodes are available: {}.",
            self.nodes,
            parts.join(", ")
        )
    }
}
