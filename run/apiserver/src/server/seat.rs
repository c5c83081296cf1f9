//! Which seats a request takes before it is answered.
//!
//! Nothing that is answered in this process asks this process for something else while it has a seat: what is carried on
//! to others, and may come back, is long-running and has none.
//!
//! Source: apiserver `server/filters/priority-and-fairness.go`.

use std::sync::Arc;
use std::time::Duration;

use access::Attributes;
use access::flow::width;
use meta::Gvr;

use super::bounded::Turned;
use super::{ApiServer, Learnt};
use crate::flow_control::{Asking, What};
use crate::limits::{self, Class};
use crate::options::Query;
use crate::policy::MarkedFlows;
use crate::{heavy, stored};

impl ApiServer {
    /// Takes seats for a request that has `longest` to be answered, if it needs any, and keeps them with what is learnt of
    /// it, as under which flow schema it falls.
    ///
    /// # Errors
    /// There are none.
    pub(super) async fn seat(
        &self,
        attributes: &Attributes,
        query: &Query,
        longest: Duration,
        learnt: &Learnt,
    ) -> Result<(), Turned> {
        let class = limits::class(&attributes.verb, &attributes.subresource);
        let what = match class {
            Class::Read => What::Read,
            Class::Write => What::Write,
            Class::LongRunning if attributes.verb == "watch" => What::Watch,
            Class::LongRunning => return Ok(()),
        };
        let flows = self.flows();
        let Some(found) = flows.find(attributes) else {
            return Ok(());
        };
        if let Some(mark) = found.mark {
            learnt.flow.get_or_init(|| mark.clone());
        }
        let asking = Asking {
            what,
            ..found.asking.clone()
        };
        let width = self.width(attributes, query);
        let control = &self.inner.flow_control;
        let flow = || found.flow.hash(attributes);
        let level = asking.level;
        match control.enter(asking, width, longest, flow).await {
            Ok(permit) => {
                learnt.seat.get_or_init(|| permit);
                Ok(())
            }
            Err(why) => {
                learnt.refusal.get_or_init(|| why);
                Err(Turned::Full(control.refuse(level)))
            }
        }
    }

    /// The flow schemas as of the last committed write.
    pub(super) fn flows(&self) -> Arc<MarkedFlows> {
        let (policy, metrics) = (&self.inner.policy, &self.inner.metrics.flow_control);
        policy.flows(&self.cluster(), &self.inner.flow_control, metrics)
    }

    /// How many seats a request takes: more than one if it brings many objects into memory.
    fn width(&self, attributes: &Attributes, query: &Query) -> u32 {
        let is_of_many = matches!(attributes.verb.as_str(), "list" | "watch")
            && attributes.name.is_empty()
            && heavy::begins_with_all(&attributes.verb, query);
        let gvr = Gvr::new(&attributes.group, &attributes.version, &attributes.resource);
        let kind = self.config().registry.resource(&gvr).filter(|_| is_of_many);
        let Some(kind) = kind else {
            return 1;
        };
        let Some(stored) = stored::count(self.config().store.as_ref(), kind) else {
            return 1;
        };
        // What is no number is refused later.
        let limit = query.number("limit").ok().flatten();
        let limit = limit.and_then(|limit| u64::try_from(limit).ok());
        width::list(stored.objects, stored.bytes, limit.unwrap_or(0))
    }
}
