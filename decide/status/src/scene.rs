//! Everything that one evaluation looks at, read once; and the draft of a verdict that rules make.

use jiff::Timestamp;
use serde_json::Value;

use crate::cause::{self, Group};
use crate::clock::Clock;
use crate::config::Config;
use crate::events::Events;
use crate::field;
use crate::node::Nodes;
use crate::pod::health::{self, Env, PodHealth};
use crate::related::Related;
use crate::text::Text;
use crate::verdict::{Cause, Counts, LogLink, Severity, Status};

/// One evaluation's view of the world.
pub(crate) struct Scene<'s, 'a> {
    pub(crate) subject: &'a Value,
    pub(crate) related: &'s Related<'a>,
    pub(crate) clock: &'s Clock,
    pub(crate) config: &'s Config,
    pub(crate) events: &'s Events<'a>,
    pub(crate) nodes: &'s Nodes<'a>,
    /// Sorted by name; `None`: unknown.
    pub(crate) pods: Option<Vec<PodHealth<'a>>>,
}

impl<'s, 'a> Scene<'s, 'a> {
    pub(crate) fn new(
        subject: &'a Value,
        related: &'s Related<'a>,
        clock: &'s Clock,
        config: &'s Config,
        nodes: &'s Nodes<'a>,
        events: &'s Events<'a>,
    ) -> Self {
        let env = Env {
            clock,
            config,
            nodes,
            events,
        };
        let pods = related.pods.as_ref().map(|pods| {
            let mut sorted = pods.clone();
            sorted.sort_by_key(|pod| (field::namespace(pod), field::name(pod), field::uid(pod)));
            sorted.dedup_by(|a, b| std::ptr::eq(*a, *b));
            sorted
                .into_iter()
                .map(|pod| health::judge(pod, &env))
                .collect()
        });
        Self {
            subject,
            related,
            clock,
            config,
            events,
            nodes,
            pods,
        }
    }

    /// The environment to judge a pod in.
    pub(crate) fn env(&self) -> Env<'s, 'a> {
        Env {
            clock: self.clock,
            config: self.config,
            nodes: self.nodes,
            events: self.events,
        }
    }

    /// The pods that are known; none when they are unknown.
    pub(crate) fn known_pods(&self) -> &[PodHealth<'a>] {
        self.pods.as_deref().unwrap_or_default()
    }

    /// Every troubled group, for the list of causes.
    pub(crate) fn troubles(&self, is_new: impl Fn(&Value) -> bool) -> Vec<Group<'_, 'a>> {
        let troubled = self
            .known_pods()
            .iter()
            .filter(|pod| cause::is_trouble(pod));
        cause::groups(troubled, is_new)
    }
}

/// A verdict in the making.
#[derive(Debug, Clone)]
pub(crate) struct Draft {
    pub(crate) status: Status,
    pub(crate) reason: String,
    pub(crate) sub_reason: Option<String>,
    pub(crate) severity: Severity,
    pub(crate) message: Text,
    pub(crate) causes: Vec<Cause>,
    pub(crate) counts: Counts,
    pub(crate) since: Option<Timestamp>,
    pub(crate) log: Option<LogLink>,
    /// The catalogue row of the next step, where it is not the reason's own.
    pub(crate) step: Option<&'static str>,
    pub(crate) command: Option<String>,
}

impl Draft {
    pub(crate) fn new(status: Status, severity: Severity, reason: &str, message: Text) -> Self {
        Self {
            status,
            reason: reason.to_owned(),
            sub_reason: None,
            severity,
            message,
            causes: Vec::new(),
            counts: Counts::default(),
            since: None,
            log: None,
            step: None,
            command: None,
        }
    }

    /// A Waiting of severity info.
    pub(crate) fn waiting(reason: &str, en: impl Into<String>, zh: impl Into<String>) -> Self {
        Self::new(Status::Waiting, Severity::Info, reason, Text::new(en, zh))
    }

    pub(crate) fn since(mut self, since: Option<Timestamp>) -> Self {
        self.since = since;
        self
    }

    pub(crate) fn counts(mut self, counts: Counts) -> Self {
        self.counts = counts;
        self
    }

    pub(crate) fn command(mut self, command: String) -> Self {
        self.command = Some(command);
        self
    }

    /// Adds trouble that the subject itself reports.
    pub(crate) fn own_cause(mut self, subject: &Value, field: &str, raw: &str) -> Self {
        let cause = cause::of_object(subject, &self.reason, field, raw, &self.message);
        self.causes.insert(0, cause);
        self
    }

    /// Adds the groups as causes; the first one's details (sub-reason, log, time) are taken over.
    pub(crate) fn groups(mut self, groups: &[Group<'_, '_>]) -> Self {
        if let Some(group) = groups.first()
            && self.causes.is_empty()
        {
            self = self.details(group.first);
        }
        self.causes.extend(groups.iter().map(Group::cause));
        self
    }

    /// Takes over what one pod knows.
    pub(crate) fn details(mut self, health: &PodHealth<'_>) -> Self {
        self.sub_reason.clone_from(&health.sub_reason);
        self.step = health.step;
        self.since = self.since.or(health.since);
        if let (Some(previous), Some((container, _))) = (health.log, &health.container) {
            self.log = Some(LogLink {
                pod: field::name(health.pod).to_owned(),
                container: container.clone(),
                previous,
            });
        }
        self
    }
}
