//! The table of built-in kinds: every group's rows.

use crate::registry::Registry;
use crate::{
    admissionregistration, apiextensions, apiregistration, apps, authentication, authorization,
    autoscaling, batch, certificates, coordination, core, discovery, events, flowcontrol,
    networking, node, policy, rbac, resource, scheduling, storage,
};

/// Every kind that a stock 1.36 server serves.
pub fn builtin() -> Registry {
    let groups = [
        core::rows(),
        admissionregistration::rows(),
        apiextensions::rows(),
        apiregistration::rows(),
        apps::rows(),
        authentication::rows(),
        authorization::rows(),
        autoscaling::rows(),
        batch::rows(),
        certificates::rows(),
        coordination::rows(),
        discovery::rows(),
        events::rows(),
        flowcontrol::rows(),
        networking::rows(),
        node::rows(),
        policy::rows(),
        rbac::rows(),
        resource::rows(),
        scheduling::rows(),
        storage::rows(),
    ];
    Registry::new(groups.into_iter().flatten())
}

#[cfg(test)]
mod tests;
