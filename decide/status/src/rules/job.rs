//! Jobs: rules J1 to J12.

use serde_json::Value;

use super::common;
use super::statefulset::standing_creation_failure;
use crate::cause;
use crate::creation;
use crate::field;
use crate::pod::health::{Class, PodHealth};
use crate::reasons;
use crate::scene::{Draft, Scene};
use crate::text::{Text, cut, decisive, is_token};
use crate::verdict::{Counts, Severity, Status};

/// Kubernetes' default for `spec.backoffLimit`.
const BACKOFF_LIMIT_DEFAULT: i64 = 6;
/// The controller that runs Jobs when `spec.managedBy` is absent.
const CONTROLLER: &str = "kubernetes.io/job-controller";

/// Applies the rules.
pub(crate) fn apply(scene: &Scene<'_, '_>) -> Draft {
    let job = Job::of(scene);
    let draft = common::deletion(scene)
        .or_else(|| finished(&job))
        .or_else(|| suspended(&job))
        .or_else(|| common::unreadable(scene))
        .or_else(|| creation_failed(&job))
        .or_else(|| not_started(&job))
        .or_else(|| lost(&job))
        .or_else(|| parallelism_zero(&job))
        .or_else(|| blocked(&job))
        .or_else(|| starting(&job))
        .unwrap_or_else(|| running(&job));
    draft.counts(job.counts())
}

struct Job<'f, 's, 'a> {
    scene: &'f Scene<'s, 'a>,
    active: i64,
    succeeded: i64,
    failed: i64,
    parallelism: i64,
    completions: Option<i64>,
}

impl<'f, 's, 'a> Job<'f, 's, 'a> {
    fn of(scene: &'f Scene<'s, 'a>) -> Self {
        let count = |path| field::count(scene.subject, path);
        Self {
            scene,
            active: count("status.active"),
            succeeded: count("status.succeeded"),
            failed: count("status.failed"),
            parallelism: field::int(scene.subject, "spec.parallelism")
                .unwrap_or(1)
                .max(0),
            completions: field::int(scene.subject, "spec.completions"),
        }
    }

    fn counts(&self) -> Counts {
        Counts {
            desired: Some(self.completions.unwrap_or(1)),
            current: Some(self.active),
            ready: field::int(self.scene.subject, "status.ready"),
            available: Some(self.succeeded),
            ..Counts::default()
        }
    }

    fn subject(&self) -> &'a Value {
        self.scene.subject
    }

    /// How many pods are to run at the same time now.
    fn wanted(&self) -> i64 {
        let remaining = match self.completions {
            Some(all) => all - self.succeeded,
            // One success is the end of a Job without completions; it only waits for the others.
            None if self.succeeded > 0 => 0,
            None => self.parallelism,
        };
        self.parallelism.min(remaining).max(0)
    }

    fn of_class(&self, class: Class) -> impl Iterator<Item = &'f PodHealth<'a>> {
        self.scene
            .known_pods()
            .iter()
            .filter(move |pod| pod.class == class)
    }

    fn has(&self, class: Class) -> bool {
        self.of_class(class).next().is_some()
    }

    /// `2 of 5 completions, 1 active`, in both languages.
    fn progress(&self) -> Text {
        let (active, succeeded) = (self.active, self.succeeded);
        match self.completions {
            Some(all) => Text::new(
                format!("{succeeded} of {all} completions, {active} active"),
                format!("已完成 {succeeded}/{all},{active} 个执行中"),
            ),
            None => Text::new(
                format!("{succeeded} succeeded, {active} active"),
                format!("{succeeded} 个成功,{active} 个执行中"),
            ),
        }
    }
}

/// J2: the Job has ended, or is bound to.
fn finished(job: &Job<'_, '_, '_>) -> Option<Draft> {
    let subject = job.subject();
    if field::is_true(subject, "Complete") {
        return Some(completed(job));
    }
    for kind in ["Failed", "FailureTarget"] {
        if let Some(condition) = field::condition(subject, kind)
            && field::text(condition, "status") == "True"
        {
            return Some(failed(job, kind, condition));
        }
    }
    field::is_true(subject, "SuccessCriteriaMet").then(|| {
        Draft::new(
            Status::Executing,
            Severity::Info,
            "Finishing",
            Text::new(
                "Success criteria are met, the remaining pods are being stopped",
                "已满足成功条件,正在停止其余 Pod",
            ),
        )
    })
}

/// J2a.
fn completed(job: &Job<'_, '_, '_>) -> Draft {
    let (mut message, mut severity) = (Text::new("Completed", "已完成"), Severity::Ok);
    if job.failed > 0 {
        let failed = job.failed;
        severity = Severity::Info;
        message = message.with(
            &format!(" after {failed} failed attempts"),
            &format!(",其间失败 {failed} 次"),
        );
    }
    Draft::new(Status::ExecutionComplete, severity, "Completed", message)
        .since(field::time(job.subject(), "status.completionTime"))
}

/// J2b: failed; the last failed pod tells why.
fn failed(job: &Job<'_, '_, '_>, kind: &str, condition: &Value) -> Draft {
    let token = field::text(condition, "reason");
    let reason = if is_token(token) { token } else { "JobFailed" };
    let raw = field::text(condition, "message");
    let said = if token.is_empty() || is_token(token) {
        decisive(raw)
    } else {
        cut(&format!("{token} {raw}"))
    };
    let mut message = Text::new(
        format!("Job failed ({reason})"),
        format!("任务失败({})", reasons::named_zh(reason)),
    )
    .quoting(&said);
    let last = job.of_class(Class::Failed).max_by_key(|pod| {
        (
            pod.since,
            field::time(pod.pod, "metadata.creationTimestamp"),
            field::name(pod.pod),
        )
    });
    if let Some(pod) = last {
        message = message.with(
            &format!("; last failure: {}", pod.message.en),
            &format!(";最近一次失败:{}", pod.message.zh),
        );
    }
    let mut draft = Draft::new(Status::Exception, Severity::Error, reason, message)
        .own_cause(job.subject(), &format!("status.conditions[{kind}]"), raw)
        .since(field::time(condition, "lastTransitionTime"));
    if let Some(pod) = last {
        let sub_reason = draft.sub_reason.clone();
        draft = draft.details(pod);
        draft.sub_reason = sub_reason;
        draft.causes.push(cause::of_pod(pod));
    }
    draft
}

/// J3 and J3b: held by the user, or just let go.
fn suspended(job: &Job<'_, '_, '_>) -> Option<Draft> {
    let subject = job.subject();
    let acknowledged = field::is_true(subject, "Suspended");
    let since = field::condition(subject, "Suspended")
        .and_then(|condition| field::time(condition, "lastTransitionTime"));
    if field::is_set(subject, "spec.suspend") {
        let draft = if job.active > 0 || !acknowledged {
            Draft::waiting(
                "Suspending",
                "Suspending: its pods are being removed",
                "挂起中:正在移除 Pod",
            )
        } else {
            Draft::waiting(
                "Suspended",
                "Suspended: no pod runs until it is resumed",
                "已挂起:恢复前不运行 Pod",
            )
        };
        return Some(draft.since(since));
    }
    (acknowledged && job.active == 0).then(|| resuming().since(since))
}

fn resuming() -> Draft {
    Draft::waiting(
        "Resuming",
        "Resuming: no pod has been created yet",
        "恢复中:尚无 Pod",
    )
}

/// J4: pods cannot be created.
fn creation_failed(job: &Job<'_, '_, '_>) -> Option<Draft> {
    if job.active >= job.wanted() {
        return None;
    }
    let event = standing_creation_failure(job.scene)?;
    let severity = if job.active > 0 {
        Severity::Warning
    } else {
        Severity::Error
    };
    let (active, wanted) = (job.active, job.wanted());
    let message = Text::new(
        format!("Pods cannot be created, {active} of {wanted} exist"),
        format!("无法创建 Pod,{wanted} 个中已有 {active} 个"),
    )
    .quoting(&decisive(event.message));
    Some(
        Draft::new(
            Status::Exception,
            severity,
            creation::reason(event.message),
            message,
        )
        .own_cause(job.subject(), "events[FailedCreate]", event.message)
        .since(event.at),
    )
}

/// J5: the controller has not begun.
fn not_started(job: &Job<'_, '_, '_>) -> Option<Draft> {
    let subject = job.subject();
    if field::some_text(subject, "status.startTime").is_some() {
        return None;
    }
    if field::condition(subject, "Suspended").is_some() {
        return Some(resuming());
    }
    let manager = field::some_text(subject, "spec.managedBy").unwrap_or(CONTROLLER);
    if manager != CONTROLLER {
        return Some(Draft::waiting(
            "NotStarted",
            format!("Not started: waiting for {manager}, which manages this Job"),
            format!("尚未开始:等待管理该任务的 {manager}"),
        ));
    }
    let nothing_counted = job.active + job.succeeded + job.failed == 0;
    let created = field::time(subject, "metadata.creationTimestamp");
    let grace = job.scene.config.observed_grace_seconds;
    if nothing_counted && job.scene.clock.known_past(created, grace) {
        return Some(
            Draft::new(
                Status::Exception,
                Severity::Error,
                "ControllerNotResponding",
                Text::new(
                    "The Job controller has not started this Job",
                    "任务控制器未启动该任务",
                ),
            )
            .own_cause(subject, "status.startTime", "")
            .since(created),
        );
    }
    nothing_counted.then(|| Draft::waiting("NotStarted", "Not started yet", "尚未开始"))
}

/// J6: active pods whose state cannot be known.
fn lost(job: &Job<'_, '_, '_>) -> Option<Draft> {
    // With this policy a Terminating pod keeps its replacement from being created.
    let holds = field::text(job.subject(), "spec.podReplacementPolicy") == "Failed";
    let lost = job
        .of_class(Class::Lost)
        .filter(|pod| holds || pod.status == Status::Exception);
    let groups = cause::groups(lost, |_| true);
    let top = groups.first()?;
    let severity = if job.has(Class::Ready) {
        Severity::Warning
    } else {
        Severity::Error
    };
    let reason = match top.first.status {
        Status::Deleting => top.first.node_reason,
        _ => top.first.reason.as_str(),
    };
    Some(Draft::new(Status::Exception, severity, reason, top.message()).groups(&groups))
}

/// J7: no pod is asked for.
fn parallelism_zero(job: &Job<'_, '_, '_>) -> Option<Draft> {
    (job.parallelism == 0).then(|| {
        Draft::waiting(
            "ParallelismZero",
            "Parallelism is 0, so no pod is started",
            "并行度为 0,不会启动 Pod",
        )
    })
}

/// Whether a blocked pod never counts against `backoffLimit`, because its containers never run.
fn never_counts(pod: &PodHealth<'_>) -> bool {
    matches!(
        reasons::group(&pod.reason),
        "image" | "config" | "create" | "volume"
    ) || matches!(
        pod.reason.as_str(),
        "SchedulerError" | "NotScheduled" | "ContainerCreatingTimeout" | "NetworkNotReady"
    )
}

/// J8, J9 and J10: pods that will not get on by waiting.
fn blocked(job: &Job<'_, '_, '_>) -> Option<Draft> {
    let all: Vec<_> = job.of_class(Class::Blocked).collect();
    let groups = cause::groups(all.iter().copied(), |_| true);
    let moves = job.has(Class::Ready) || job.has(Class::Starting);
    let (stuck, others): (Vec<_>, Vec<_>) = groups
        .into_iter()
        .partition(|group| never_counts(group.first));
    if let Some(top) = stuck.first() {
        let (status, severity) = if moves {
            (Status::Executing, Severity::Warning)
        } else {
            (Status::Exception, Severity::Error)
        };
        let draft = Draft::new(status, severity, &top.first.reason, top.message());
        return Some(draft.groups(&stuck).groups(&others));
    }
    let (waiting, failing): (Vec<_>, Vec<_>) = others
        .into_iter()
        .partition(|group| group.first.reason == "Unschedulable");
    if let Some(top) = failing.first() {
        let is_probe = reasons::group(&top.first.reason) == "probe";
        let reason = if is_probe {
            top.first.reason.as_str()
        } else {
            "RetryingAfterFailure"
        };
        let draft = Draft::new(Status::Executing, Severity::Warning, reason, top.message());
        return Some(draft.groups(&failing).groups(&waiting));
    }
    let top = waiting.first().filter(|_| !moves)?;
    let draft = Draft::new(
        Status::Waiting,
        Severity::Warning,
        "Unschedulable",
        top.message(),
    );
    Some(draft.groups(&waiting))
}

/// J11: every pod is on its way, or held by a scheduling gate.
fn starting(job: &Job<'_, '_, '_>) -> Option<Draft> {
    let first_gated = job.of_class(Class::Gated).next();
    let first_starting = job.of_class(Class::Starting).next();
    let has_ended = job.has(Class::Succeeded) || job.has(Class::Failed);
    if job.has(Class::Ready) || has_ended || job.succeeded + job.failed > 0 {
        return None;
    }
    match (first_starting, first_gated) {
        (Some(pod), _) => Some(Draft::waiting(
            "StartingPods",
            format!("Starting: {}", pod.message.en),
            format!("启动中:{}", pod.message.zh),
        )),
        (None, Some(pod)) => Some(Draft::waiting(
            "SchedulingGated",
            pod.message.en.clone(),
            pod.message.zh.clone(),
        )),
        (None, None) => None,
    }
}

/// J12: it runs.
fn running(job: &Job<'_, '_, '_>) -> Draft {
    let progress = job.progress();
    let since = field::time(job.subject(), "status.startTime");
    if job.failed > 0 {
        let failed = job.failed;
        let limit = field::int(job.subject(), "spec.backoffLimit").unwrap_or(BACKOFF_LIMIT_DEFAULT);
        let mut message = Text::new(
            format!("{failed} failed, backoffLimit {limit}; {}", progress.en),
            format!("{failed} 个失败,backoffLimit 为 {limit};{}", progress.zh),
        );
        let last = job
            .of_class(Class::Failed)
            .max_by_key(|pod| (pod.since, field::name(pod.pod)));
        if let Some(pod) = last {
            message = message.with(
                &format!("; last failure: {}", pod.message.en),
                &format!(";最近一次失败:{}", pod.message.zh),
            );
        }
        let mut draft = Draft::new(
            Status::Executing,
            Severity::Warning,
            "RetryingAfterFailure",
            message,
        )
        .since(since);
        match last {
            Some(pod) => {
                draft = draft.details(pod);
                draft.sub_reason = None;
                draft.causes.push(cause::of_pod(pod));
            }
            None => draft = draft.own_cause(job.subject(), "status.failed", &failed.to_string()),
        }
        return draft;
    }
    let message = Text::new(
        format!("Executing: {}", progress.en),
        format!("执行中:{}", progress.zh),
    );
    Draft::new(Status::Executing, Severity::Info, "Active", message)
        .since(since)
        .groups(&job.scene.troubles(|_| true))
}
