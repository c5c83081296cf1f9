//! PodTemplate.

use crate::strategy::Strategy;

/// Rules of `v1 PodTemplate`.
pub(crate) struct PodTemplate;

impl Strategy for PodTemplate {}
