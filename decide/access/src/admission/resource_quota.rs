//! ResourceQuota: a namespace uses no more than its quotas allow. The counting is in [`crate::quota`].
//!
//! Source: apiserver `admission/plugin/resourcequota`.

use kinds::strategy::Lookup;
use meta::StatusError;

use super::{Plugin, Request};
use crate::quota;

pub(super) struct ResourceQuota;

impl Plugin for ResourceQuota {
    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        // DIFFERS: usage is counted at decision time, not read from `status.used`, which may lag behind.
        quota::check(request, cluster)
    }
}
