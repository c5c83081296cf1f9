//! Which changes of the cluster may help a pod that fits nowhere.

use std::collections::BTreeSet;

use crate::rejection::Plugin;

/// What changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A node came, or its labels, taints, allocatable resources or schedulability changed.
    Node,
    /// A pod that had a node ended, was deleted, or asks for less.
    PodGone,
    /// A pod got a node, or its labels changed.
    PodPlaced,
    /// A namespace's labels changed.
    Namespace,
}

/// Whether a change may help a pod that these plugins rejected. Source: the plugins' `EventsToRegister`.
pub fn may_help(event: Event, plugins: &BTreeSet<Plugin>) -> bool {
    // A pod that met no node at all has no plugin to ask.
    let helps = |plugin: &Plugin| match (event, plugin) {
        (Event::Node, _) => true,
        (Event::PodGone, plugin) => matches!(
            plugin,
            Plugin::NodePorts
                | Plugin::NodeResourcesFit
                | Plugin::PodTopologySpread
                | Plugin::InterPodAffinity
        ),
        (Event::PodPlaced, plugin) => {
            matches!(plugin, Plugin::PodTopologySpread | Plugin::InterPodAffinity)
        }
        (Event::Namespace, plugin) => matches!(plugin, Plugin::InterPodAffinity),
    };
    (plugins.is_empty() && event == Event::Node) || plugins.iter().any(helps)
}
