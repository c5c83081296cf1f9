//! The status engine: one true word for every workload, its cause, and the next step.
//!
//! [`evaluate`] takes a Kubernetes object, the objects around it and a point in time, and answers
//! with a [`Verdict`]: a status from a closed set, a reason, a sentence that names the root cause in
//! English and Chinese, the evidence, and what to do. It works on the objects of any cluster.
//!
//! ```
//! use sampan_status::{Config, Related, Severity, Status, evaluate};
//! use serde_json::json;
//!
//! let deployment = json!({
//!     "apiVersion": "apps/v1", "kind": "Deployment",
//!     "metadata": {"name": "web", "namespace": "shop", "generation": 1},
//!     "spec": {"replicas": 2},
//!     "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2,
//!                "readyReplicas": 1, "availableReplicas": 1}
//! });
//! let pod = json!({
//!     "kind": "Pod", "metadata": {"name": "web-1", "namespace": "shop"},
//!     "spec": {"nodeName": "n1", "containers": [{"name": "app", "image": "r.example/web:9"}]},
//!     "status": {"phase": "Pending", "containerStatuses": [{"name": "app", "state": {"waiting": {
//!         "reason": "ImagePullBackOff", "message": "Back-off pulling image \"r.example/web:9\": \
//!          ErrImagePull: rpc error: code = NotFound desc = manifest unknown"}}}]}
//! });
//! let related = Related { pods: Some(vec![&pod]), ..Related::default() };
//! let now = "2026-01-15T10:30:00Z".parse().unwrap();
//!
//! let verdict = evaluate(&deployment, &related, now, &Config::spec());
//! assert_eq!(verdict.status, Status::NotReady);
//! assert_eq!(verdict.severity, Severity::Warning);
//! assert_eq!(verdict.sub_reason.as_deref(), Some("ImageNotFound"));
//! assert_eq!(
//!     verdict.message.en,
//!     "1 of 2 replicas unavailable: pod web-1, container app: ImagePullBackOff, \
//!      image r.example/web:9: manifest unknown"
//! );
//! ```
//!
//! # What is not known
//!
//! What is not supplied is unknown, which is not the same as empty: without pods the verdict rests on
//! the object's own numbers and says so, without nodes a dead node is inferred from its pods. A list of
//! objects of any kinds, as `kubectl get -o json` prints it, is joined by [`relate`]:
//!
//! ```
//! use sampan_status::{Config, Evidence, Lang, evaluate, explain, relate};
//! use serde_json::json;
//!
//! let job = json!({"apiVersion": "batch/v1", "kind": "Job",
//!     "metadata": {"name": "load", "namespace": "shop", "uid": "j"},
//!     "spec": {"completions": 1}, "status": {"startTime": "2026-01-15T10:00:00Z", "active": 1}});
//! let objects = [
//!     json!({"kind": "Pod", "metadata": {"name": "load-x", "namespace": "shop", "uid": "p",
//!             "ownerReferences": [{"kind": "Job", "uid": "j", "controller": true}]},
//!         "spec": {"containers": [{"name": "main", "image": "r.example/Load"}]},
//!         "status": {"phase": "Pending", "containerStatuses": [{"name": "main",
//!             "state": {"waiting": {"reason": "InvalidImageName"}}}]}}),
//!     json!({"kind": "Node", "metadata": {"name": "n1"}}),
//! ];
//! let now = "2026-01-15T10:30:00Z".parse().unwrap();
//!
//! let verdict = evaluate(&job, &relate(&job, &objects), now, &Config::spec());
//! assert_eq!(verdict.reason, "InvalidImageName");
//! assert_eq!(verdict.evidence, Evidence::PodsNodes, "no event came with the objects");
//! let advice = explain(&verdict.reason, Lang::En).unwrap();
//! assert_eq!(verdict.next_steps[0].en, advice.next_step);
//! ```
//!
//! # What it does not do
//!
//! No I/O, no clock, no randomness, no async, no memory between calls. It never panics on any input.
//! It does not find related objects in a cluster; [`relate`] and [`Bundle`] join a list of objects.
//!
//! # Choices
//!
//! The rules are those of the workload status specification; their ids (G1, P4, D7, ...) stand in the
//! docs of the code. Where that document is silent, the choice is what a person on call would want to
//! be told:
//!
//! - An exact grace period counts as over, so that an evaluation at `recheckAt` sees the change.
//! - D4: a Terminating pod on a dead node does not make a Deployment an Exception, since its
//!   replacement exists; it does for a DaemonSet, whose node gets no other pod, and for a StatefulSet
//!   (S4b).
//! - D3: a subject that could be read and now cannot is an Exception (a `CronJob`, which has none, waits)
//!   whatever was known of it.
//! - X5: phases that say "not ready" or "unavailable" in one or two words are as bad as "unhealthy".
//! - P4: a node that lacks only its pod network still runs pods of the host network; they are judged
//!   by themselves, so that the network plugin's own failure is not blamed on the missing network.
//! - CB: a mount or sandbox warning is overtaken once the pod got past that step. S6, `DS4b` and J4: a
//!   `FailedCreate` event is overtaken by a pod created after it.
//! - A pod that only an event calls blocked does not unsettle a workload whose counts are complete;
//!   else the expiry of the event would turn bad into Running.
//! - D8: a paused rollout that serves in full was stopped on purpose and is Paused, whatever its old
//!   Progressing condition says. D6: while paused, `ReplicaFailure` counts only if replicas are missing.
//! - G3: waiting for pods that a scheduling gate holds has no limit.
//! - P4: a node whose runtime does not work is told so in the words of any kubelet; its reason stays
//!   what section 4 makes of the message.
//! - P6: a `PodScheduled` that is False on a pod whose containers run is out of date.
//! - P7c: the latch of an init container ends when its last failure is no longer recent.
//! - P11: beside completed containers the others must be ready too; one that is not is judged by its probes.
//! - D11, S9, DS8: replicas that are missing only in the counts, while every pod is sound and one has
//!   just come, turned ready or begun to go, are on their way for a minute: controllers count a moment
//!   after the pods have changed. G3: a pod that begins to go is movement.
//! - J4: once a Job without completions has its one success, no further pod is missed. J10: a failing
//!   probe is told as such, it does not count against the limit. J11: pods that have ended end the start,
//!   counted or not.
//! - S7a: a pod that the partition keeps on the old revision does not block the rollout.
//! - X3 to X10: see the docs of the custom rules for paused, contradicting and outdated conditions, and
//!   for what resources say outside the usual places.
//! - CJ7: a running Job in trouble gives its reason and severity to the schedule. CJ6: repeated
//!   failure is an error only when the history keeps more than one failed Job.
//! - G7 holds for waiting reasons; a reason of a failed pod or ended container needs to be one word.
//!   A raw text that is the old `PreStartContainer` failure keeps `ContainerStartError` and points to
//!   the next step of `PreStartHookError`.
//! - An event without a uid is matched by kind, namespace and name; events of static pods by their
//!   configuration hash.

mod cause;
mod clock;
mod config;
mod creation;
mod cron;
mod evaluate;
mod events;
mod field;
mod image;
mod next;
mod node;
mod pod;
mod reasons;
mod related;
mod rules;
mod scene;
mod text;
mod unschedulable;
mod verdict;

pub use config::Config;
pub use evaluate::evaluate;
pub use events::is_evidence;
pub use pod::column::{pod_column, ready_column, restarts_column};
pub use reasons::{Explanation, Lang, Pair, Reason, explain, reasons};
pub use related::{Bundle, Related, relate};
pub use text::Text;
pub use verdict::{
    Cause, Counts, EventLink, Evidence, Links, LogLink, NextStep, Observed, Severity, Status,
    Verdict,
};
