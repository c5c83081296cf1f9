//! What all replicated kinds share: replica numbers, lost pods (D4), blocked pods, bounded waiting
//! (G3), severity (G4), shortage (D11) and the healthy end (D13).

use jiff::Timestamp;
use serde_json::Value;

use crate::cause::{self, Group};
use crate::field;
use crate::pod::health::{Class, PodHealth};
use crate::scene::{Draft, Scene};
use crate::text::Text;
use crate::verdict::{Counts, Severity, Status};

/// `progressDeadlineSeconds` of this size means that there is no deadline.
///
/// Source: `pkg/controller/deployment/util`, `HasProgressDeadline`.
const NO_DEADLINE_SECONDS: i64 = i32::MAX as i64;

/// Replica numbers as the object reports them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replicas {
    pub(crate) desired: i64,
    pub(crate) current: i64,
    pub(crate) updated: i64,
    pub(crate) ready: i64,
    pub(crate) available: i64,
}

/// Whether a Terminating pod on a lost node keeps its place from being filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Terminating {
    /// The controller has made a replacement already.
    Replaced,
    /// The controller waits for it to be gone.
    Holds,
}

/// A replicated workload under examination.
pub(crate) struct Fleet<'f, 's, 'a> {
    pub(crate) scene: &'f Scene<'s, 'a>,
    pub(crate) n: Replicas,
    /// Available as far as it can be known: lost pods do not count.
    pub(crate) effective: i64,
    revision: Revision<'a>,
    terminating: Terminating,
}

/// How to tell the pods of the new revision.
#[derive(Debug, Clone)]
pub(crate) enum Revision<'a> {
    /// There is only one, or it is not known.
    Any,
    /// A label with this value.
    Label(&'static str, &'a str),
    /// The pods of this controller.
    Owner(&'a str),
}

impl Revision<'_> {
    pub(crate) fn is_new(&self, pod: &Value) -> bool {
        match self {
            Self::Any => true,
            Self::Label(key, value) => field::label(pod, key) == *value,
            Self::Owner(uid) => field::controller_uid(pod) == *uid,
        }
    }
}

/// The revision of the newest pod by a label.
pub(crate) fn newest_revision<'a>(pods: &[PodHealth<'a>], key: &'static str) -> Revision<'a> {
    pods.iter()
        .filter(|pod| !matches!(pod.class, Class::Terminating) && pod.status != Status::Deleting)
        .filter(|pod| !field::label(pod.pod, key).is_empty())
        .max_by_key(|pod| {
            (
                field::time(pod.pod, "metadata.creationTimestamp"),
                field::name(pod.pod),
            )
        })
        .map_or(Revision::Any, |pod| {
            Revision::Label(key, field::label(pod.pod, key))
        })
}

impl<'f, 's, 'a> Fleet<'f, 's, 'a> {
    pub(crate) fn new(
        scene: &'f Scene<'s, 'a>,
        n: Replicas,
        revision: Revision<'a>,
        terminating: Terminating,
    ) -> Self {
        let mut fleet = Self {
            scene,
            n,
            effective: n.available,
            revision,
            terminating,
        };
        if fleet.lost().next().is_some() {
            let ready = fleet.of_class(Class::Ready).count();
            fleet.effective = n.available.min(i64::try_from(ready).unwrap_or(i64::MAX));
        }
        fleet
    }

    pub(crate) fn counts(&self) -> Counts {
        Counts {
            desired: Some(self.n.desired),
            current: Some(self.n.current),
            updated: Some(self.n.updated),
            ready: Some(self.n.ready),
            available: Some(self.n.available),
            unavailable: Some(self.unavailable()),
        }
    }

    pub(crate) fn unavailable(&self) -> i64 {
        (self.n.desired - self.effective).max(0)
    }

    pub(crate) fn is_new(&self, pod: &Value) -> bool {
        self.revision.is_new(pod)
    }

    pub(crate) fn of_class(&self, class: Class) -> impl Iterator<Item = &'f PodHealth<'a>> {
        self.scene
            .known_pods()
            .iter()
            .filter(move |pod| pod.class == class)
    }

    pub(crate) fn has_starting(&self) -> bool {
        self.of_class(Class::Starting).next().is_some()
    }

    pub(crate) fn pods_known(&self) -> bool {
        self.scene.pods.is_some()
    }

    /// Lost pods that nobody replaces.
    fn lost(&self) -> impl Iterator<Item = &'f PodHealth<'a>> {
        let holds = self.terminating == Terminating::Holds;
        self.of_class(Class::Lost)
            .filter(move |pod| holds || pod.status == Status::Exception)
    }

    /// Blocked pods; those told by an event alone only if a shortage bears them out, since an event
    /// that expires must not turn the workload healthy.
    pub(crate) fn blocked(&self, is_short: bool) -> Vec<&'f PodHealth<'a>> {
        self.of_class(Class::Blocked)
            .filter(|pod| is_short || !pod.is_by_event)
            .collect()
    }

    pub(crate) fn groups(
        &self,
        pods: impl IntoIterator<Item = &'f PodHealth<'a>>,
    ) -> Vec<Group<'f, 'a>> {
        cause::groups(pods, |pod| self.is_new(pod))
    }

    /// G4.
    pub(crate) fn severity(&self) -> Severity {
        let is_outage = self.effective <= 0 || self.effective.saturating_mul(2) < self.n.desired;
        if is_outage {
            Severity::Error
        } else {
            Severity::Warning
        }
    }

    /// A `NotReady` of the right severity.
    pub(crate) fn not_ready(&self, reason: &str, message: Text) -> Draft {
        Draft::new(Status::NotReady, self.severity(), reason, message)
    }

    /// D4: pods whose state cannot be known are missed.
    pub(crate) fn lost_pods(&self) -> Option<Draft> {
        let lost: Vec<_> = self.lost().collect();
        if lost.is_empty() || self.effective >= self.n.desired {
            return None;
        }
        let groups = self.groups(lost);
        let top = groups.first()?;
        // A Terminating pod's own reason tells of its end; the workload's trouble is the node.
        let reason = match top.first.status {
            Status::Deleting => top.first.node_reason,
            _ => top.first.reason.as_str(),
        };
        let (missing, desired) = (self.unavailable(), self.n.desired);
        let text = top.message();
        let message = Text::new(
            format!(
                "{missing} of {desired} replicas cannot be observed: {}",
                text.en
            ),
            format!("{desired} 个副本中 {missing} 个状态未知:{}", text.zh),
        );
        let others = self.other_troubles(&groups);
        Some(
            Draft::new(Status::Exception, self.severity(), reason, message)
                .groups(&groups)
                .groups(&others),
        )
    }

    /// Troubled groups beyond the ones given.
    pub(crate) fn other_troubles(&self, shown: &[Group<'f, 'a>]) -> Vec<Group<'f, 'a>> {
        let is_shown = |pod: &PodHealth<'_>| {
            shown
                .iter()
                .flat_map(|group| &group.pods)
                .any(|each| std::ptr::eq(each.pod, pod.pod))
        };
        let others = self
            .scene
            .known_pods()
            .iter()
            .filter(|pod| cause::is_trouble(pod) && !is_shown(pod));
        self.groups(others)
    }

    /// `NotReady` because of blocked pods.
    pub(crate) fn blocked_draft(&self, groups: &[Group<'f, 'a>]) -> Option<Draft> {
        let top = groups.first()?;
        let text = top.message();
        let (missing, desired, n) = (self.unavailable(), self.n.desired, &self.n);
        let message = if missing > 0 {
            Text::new(
                format!("{missing} of {desired} replicas unavailable: {}", text.en),
                format!("{desired} 个副本中 {missing} 个不可用:{}", text.zh),
            )
        } else if n.updated < desired || n.current > n.updated {
            let (updated, available) = (n.updated, self.effective);
            Text::new(
                format!(
                    "Rollout blocked: {updated} of {desired} replicas on the new revision, {available} of {desired} still available: {}",
                    text.en
                ),
                format!(
                    "发布受阻:{desired} 个副本中 {updated} 个为新版本,{available} 个仍可用:{}",
                    text.zh
                ),
            )
        } else {
            Text::new(
                format!(
                    "All {desired} replicas count as available, yet one fails: {}",
                    text.en
                ),
                format!("{desired} 个副本均计为可用,但有副本异常:{}", text.zh),
            )
        };
        let others = self.other_troubles(groups);
        Some(
            self.not_ready(&top.first.reason, message)
                .groups(groups)
                .groups(&others),
        )
    }

    /// Longest Waiting without movement.
    pub(crate) fn start_grace(&self) -> i64 {
        let subject = self.scene.subject;
        let deadline = field::int(subject, "spec.progressDeadlineSeconds")
            .filter(|seconds| (0..NO_DEADLINE_SECONDS).contains(seconds))
            .unwrap_or(0);
        let settle = field::count(subject, "spec.minReadySeconds").min(NO_DEADLINE_SECONDS);
        self.scene.config.start_grace_seconds.max(deadline) + settle
    }

    /// G3: nothing has moved for too long.
    pub(crate) fn is_stalled(&self) -> bool {
        self.scene
            .clock
            .known_past(moved(self.scene), self.start_grace())
    }

    /// G3: Waiting, or `NotReady` with the same reason when nothing moves any more. Pods that a
    /// scheduling gate holds are waited for without limit.
    pub(crate) fn wait(&self, reason: &str, en: &str, zh: &str) -> Draft {
        let gated = self.of_class(Class::Gated).next();
        if let Some(gated) = gated
            && !self.has_starting()
        {
            return Draft::new(
                Status::Waiting,
                Severity::Info,
                "SchedulingGated",
                gated.message.clone(),
            )
            .details(gated);
        }
        let message = Text::new(en, zh).saying(&self.progress(reason));
        if !self.is_stalled() {
            return Draft::new(Status::Waiting, Severity::Info, reason, message);
        }
        let message = message.with(", nothing has moved for too long", ",长时间无进展");
        self.with_troubles(self.not_ready(reason, message))
    }

    /// How far something waited for has come, in the numbers that matter for it.
    fn progress(&self, reason: &str) -> Text {
        let (n, desired, available) = (&self.n, self.n.desired, self.effective);
        let surplus = (n.current - n.updated.min(desired)).max(0);
        match reason {
            "RollingOut" => Text::new(
                format!(
                    "{} of {desired} replicas on the new revision, {available} available",
                    n.updated
                ),
                format!(
                    "{desired} 个副本中 {} 个为新版本,{available} 个可用",
                    n.updated
                ),
            ),
            "RemovingOldReplicas" => Text::new(
                format!("{available} of {desired} replicas available, {surplus} more to go"),
                format!("{desired} 个副本中 {available} 个可用,还有 {surplus} 个待移除"),
            ),
            "ScalingDown" => Text::new(
                format!("{} replicas exist, {desired} are wanted", n.current),
                format!("现有 {} 个副本,期望 {desired} 个", n.current),
            ),
            "WaitingForAvailability" => Text::new(
                format!(
                    "{} of {desired} replicas are ready, not all for long enough",
                    n.ready
                ),
                format!("{desired} 个副本中 {} 个就绪,部分未满观察时间", n.ready),
            ),
            _ => Text::new(
                format!("{available} of {desired} replicas available"),
                format!("{desired} 个副本中 {available} 个可用"),
            ),
        }
    }

    /// Adds all troubled groups, and quotes the first.
    pub(crate) fn with_troubles(&self, mut draft: Draft) -> Draft {
        let groups = self.other_troubles(&[]);
        if let Some(top) = groups.first() {
            let text = top.message();
            draft.message = draft
                .message
                .with(&format!(": {}", text.en), &format!(":{}", text.zh));
        }
        draft.groups(&groups)
    }

    /// Waiting for pods that start, with what the first of them is doing.
    pub(crate) fn starting(&self) -> Draft {
        let mut draft = self.wait("StartingReplicas", "Starting", "启动中");
        if draft.status == Status::Waiting
            && draft.reason == "StartingReplicas"
            && let Some(first) = self.of_class(Class::Starting).next()
        {
            draft.message = draft.message.with(
                &format!("; {}", first.message.en),
                &format!(";{}", first.message.zh),
            );
        }
        draft
    }

    /// The shortage that nothing explains better.
    pub(crate) fn short(&self, reason: &str) -> Draft {
        if let Some(gated) = self.of_class(Class::Gated).next() {
            return Draft::new(
                Status::Waiting,
                Severity::Info,
                "SchedulingGated",
                gated.message.clone(),
            )
            .details(gated);
        }
        if self.counts_follow() {
            return self.starting();
        }
        let (missing, desired) = (self.unavailable(), self.n.desired);
        let message = Text::new(
            format!("{missing} of {desired} replicas unavailable"),
            format!("{desired} 个副本中 {missing} 个不可用"),
        );
        self.with_troubles(self.not_ready(reason, message))
    }

    /// Whether nothing is wrong with the pods, and one of them has just come, turned ready or begun to
    /// go: the controller counts a moment after the pods have changed.
    fn counts_follow(&self) -> bool {
        let pods = self.scene.known_pods();
        let is_sound = pods.iter().all(|pod| {
            matches!(
                pod.class,
                Class::Ready | Class::Starting | Class::Terminating
            )
        });
        let newest = pods
            .iter()
            .flat_map(|pod| {
                let ready = field::condition(pod.pod, "Ready");
                [
                    field::time(pod.pod, "metadata.creationTimestamp"),
                    field::time(pod.pod, "metadata.deletionTimestamp"),
                    ready.and_then(|ready| field::time(ready, "lastTransitionTime")),
                ]
            })
            .flatten()
            .max();
        let grace = self.scene.config.observed_grace_seconds;
        is_sound && newest.is_some_and(|at| !self.scene.clock.past(at, grace))
    }

    /// D5: nothing is asked for.
    pub(crate) fn zero(&self) -> Option<Draft> {
        if self.n.desired > 0 {
            return None;
        }
        if self.n.current > 0 {
            return Some(self.wait("ScalingDown", "Scaling down", "缩容中"));
        }
        Some(Draft::new(
            Status::Running,
            Severity::Info,
            "ScaledToZero",
            Text::new(
                "Scaled to zero: no replica is requested",
                "已缩容至 0:期望副本数为 0",
            ),
        ))
    }

    /// D13: complete; what is odd about it is a warning.
    pub(crate) fn healthy(&self) -> Draft {
        let pods = self.scene.known_pods();
        let stuck = pods
            .iter()
            .filter(|pod| pod.status == Status::Deleting && pod.severity >= Severity::Warning);
        let often = pods
            .iter()
            .filter(|pod| pod.class == Class::Ready && pod.severity >= Severity::Warning);
        let stuck = self.groups(stuck);
        if let Some(top) = stuck.first() {
            return self
                .odd("PodStuckTerminating", &top.message())
                .groups(&stuck);
        }
        let often = self.groups(often);
        if let Some(top) = often.first() {
            return self.odd(&top.first.reason, &top.message()).groups(&often);
        }
        if let Some(failure) = field::condition(self.scene.subject, "ReplicaFailure")
            && field::text(failure, "status") == "True"
            && field::text(failure, "reason") == "FailedDelete"
        {
            let raw = field::text(failure, "message");
            let text = Text::new("a surplus pod cannot be deleted", "多余的 Pod 无法删除")
                .quoting(&crate::text::decisive(raw));
            return self.odd("FailedDelete", &text).own_cause(
                self.scene.subject,
                "status.conditions[ReplicaFailure]",
                raw,
            );
        }
        let desired = self.n.desired;
        let since = field::condition(self.scene.subject, "Available")
            .and_then(|condition| field::time(condition, "lastTransitionTime"));
        Draft::new(
            Status::Running,
            Severity::Ok,
            "AllReplicasReady",
            Text::new(
                format!("All {desired} replicas are ready"),
                format!("{desired} 个副本全部就绪"),
            ),
        )
        .since(since)
    }

    fn odd(&self, reason: &str, text: &Text) -> Draft {
        let desired = self.n.desired;
        let message = Text::new(
            format!("All {desired} replicas are ready, but {}", text.en),
            format!("{desired} 个副本全部就绪,但{}", text.zh),
        );
        Draft::new(Status::Running, Severity::Warning, reason, message)
    }
}

/// When anything about a workload last moved (rule G3).
fn moved(scene: &Scene<'_, '_>) -> Option<Timestamp> {
    let subject = scene.subject;
    let of_condition = |kind: &str, path: &str| {
        field::condition(subject, kind).and_then(|condition| field::time(condition, path))
    };
    let own = [
        field::spec_changed(subject),
        of_condition("Progressing", "lastUpdateTime"),
        of_condition("Available", "lastTransitionTime"),
    ];
    let pods = scene.known_pods().iter().flat_map(|health| {
        let conditions = field::list(health.pod, "status.conditions")
            .iter()
            .map(|condition| field::time(condition, "lastTransitionTime"));
        let starts = ["status.containerStatuses", "status.initContainerStatuses"]
            .into_iter()
            .flat_map(|path| field::list(health.pod, path))
            .map(|status| field::time(status, "state.running.startedAt"));
        // Beyond the specification: a pod that begins to go is movement too.
        let bounds = ["metadata.creationTimestamp", "metadata.deletionTimestamp"]
            .map(|path| field::time(health.pod, path));
        conditions.chain(starts).chain(bounds)
    });
    own.into_iter().chain(pods).flatten().max()
}
