//! What stands between a container and its next start, and why it has to wait.
//!
//! One function answers for both the step and the status, so that they can never disagree.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container;

use super::step::{Action, Start, Step};
use crate::back_off;
use crate::events::{self, Event};
use crate::image::{self, PullPolicy};
use crate::names::pod_format;
use crate::seen::{Failure, ImageSeen, Seen, State};

/// Why a container does not run yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// Upstream's reason, such as `CrashLoopBackOff`.
    pub(super) reason: String,
    /// The detail, for people.
    pub(super) message: String,
    /// When it will be tried again; `None` when only a change can help.
    pub(super) until: Option<Timestamp>,
}

/// What comes next for a container that should run and does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Wait.
    Wait(Waiting),
    /// Look the image up.
    Inspect,
    /// Pull the image.
    Pull,
    /// Start it from this image id.
    Start { image_id: String },
}

/// Decides what comes next for a container that should run and does not.
pub(super) fn next(seen: &Seen, container: &Container, now: Timestamp) -> Next {
    let image = container.image.as_deref().unwrap_or_default();
    if let Some(waiting) = crash_back_off(seen, container, now) {
        return Next::Wait(waiting);
    }
    if let Err(error) = image::with_default_tag(image) {
        return Next::Wait(Waiting {
            reason: "InvalidImageName".to_owned(),
            message: format!(
                "Failed to apply default image tag {image:?}: couldn't parse image name {image:?}: {error}"
            ),
            until: None,
        });
    }
    if let Some(failure) = seen.start_failures.get(&container.name)
        && now < back_off::retry_at(failure)
    {
        return Next::Wait(shown(failure, back_off::retry_at(failure)));
    }
    if let Some(failure) = seen.pull_failures.get(image)
        && now < back_off::pull_at(failure)
    {
        return Next::Wait(pull_back_off(image, failure, now));
    }
    by_image(seen, container, image, now)
}

fn by_image(seen: &Seen, container: &Container, image: &str, now: Timestamp) -> Next {
    let is_pulled = seen.pulled.get(&container.name) == Some(&attempt(seen, &container.name));
    let policy = image::pull_policy(container);
    if policy == PullPolicy::Always && !is_pulled {
        return Next::Pull;
    }
    match (seen.images.get(image), unusable(seen, container)) {
        (Some(ImageSeen::Present { id }), _) => Next::Start {
            image_id: id.clone(),
        },
        (_, Some(waiting)) if waiting.until.is_some_and(|until| now < until) => Next::Wait(waiting),
        (None, _) | (_, Some(_)) => Next::Inspect,
        (Some(_), None) => Next::Pull,
    }
}

/// Why the image as it was last seen is of no use, when no pull can help; somebody may bring it meanwhile.
pub(super) fn unusable(seen: &Seen, container: &Container) -> Option<Waiting> {
    let image = container.image.as_deref().unwrap_or_default();
    let (at, reason, message) = match seen.images.get(image)? {
        ImageSeen::Absent { at } if image::pull_policy(container) == PullPolicy::Never => (
            at,
            "ErrImageNeverPull",
            format!("Container image {image:?} is not present with pull policy of Never"),
        ),
        ImageSeen::Unreadable { at, message } => (
            at,
            "ImageInspectError",
            format!("Failed to inspect image {image:?}: {message}"),
        ),
        ImageSeen::Present { .. } | ImageSeen::Absent { .. } => return None,
    };
    Some(Waiting {
        reason: reason.to_owned(),
        message,
        until: Some(back_off::later(*at, back_off::RETRY_SECONDS)),
    })
}

/// Adds what comes next for a container to a step.
pub(super) fn push_next(seen: &Seen, container: &Container, now: Timestamp, step: &mut Step) {
    if seen.is_busy(&container.name) {
        return;
    }
    // What the runtime made and never started holds the name of the instance to come.
    if let Some(made) = seen
        .newest(&container.name)
        .filter(|one| one.state == State::Created)
    {
        let (name, id) = (made.name.clone(), made.id.clone());
        step.push(seen, Action::RemoveContainer { name, id });
        return;
    }
    let name = container.name.clone();
    let image = container.image.clone().unwrap_or_default();
    match next(seen, container, now) {
        Next::Wait(waiting) => {
            record_wait(seen, container, &waiting, step);
            if let Some(until) = waiting.until {
                step.wake(until);
            }
        }
        Next::Inspect => step.push(seen, Action::InspectImage { name, image }),
        Next::Pull => {
            let attempt = attempt(seen, &name);
            step.push(
                seen,
                Action::PullImage {
                    name,
                    image,
                    attempt,
                },
            );
        }
        Next::Start { image_id } => {
            let Some(sandbox) = seen.sandbox() else {
                return;
            };
            let attempt = attempt(seen, &name);
            let start = Start {
                is_pulled: seen.pulled.get(&name) == Some(&attempt),
                crashes: seen.newest(&name).map_or(0, back_off::crashes_next),
                name,
                attempt,
                sandbox_id: sandbox.id.clone(),
                image_id,
            };
            step.push(seen, Action::Start(start));
        }
    }
}

/// Restarts before the instance to come.
///
/// With no instance left in the runtime, the status last written tells how many there were.
pub(super) fn attempt(seen: &Seen, name: &str) -> u32 {
    if let Some(newest) = seen.newest(name) {
        // One that never started is made again under the same number.
        return newest.attempt + u32::from(newest.state != State::Created);
    }
    let status = seen.pod.status.as_ref();
    let lists = status.map(|one| [&one.container_statuses, &one.init_container_statuses]);
    let mut statuses = lists
        .into_iter()
        .flatten()
        .flat_map(|list| list.iter().flatten());
    let Some(old) = statuses.find(|one| one.name == name) else {
        return 0;
    };
    // A status without an id has counted the instance that was lost already.
    let restarts = u32::try_from(old.restart_count).unwrap_or(0);
    restarts + u32::from(old.container_id.is_some())
}

/// The events that tell of a wait, where upstream records any.
fn record_wait(seen: &Seen, container: &Container, waiting: &Waiting, step: &mut Step) {
    let image = container.image.as_deref().unwrap_or_default();
    let event = match waiting.reason.as_str() {
        "CrashLoopBackOff" => Event::warning(
            events::BACK_OFF,
            format!(
                "Back-off restarting failed container {} in pod {}",
                container.name,
                pod_format(&seen.pod)
            ),
        ),
        "ImagePullBackOff" => Event::normal(
            events::BACK_OFF,
            format!("Back-off pulling image {image:?}"),
        ),
        "InvalidImageName" | "ImageInspectError" => {
            Event::warning(events::INSPECT_FAILED, waiting.message.clone())
        }
        "ErrImageNeverPull" => {
            Event::warning(events::ERR_IMAGE_NEVER_PULL, waiting.message.clone())
        }
        _ => return,
    };
    let mut told = vec![event];
    // A wait for an image counts as a failed start, too.
    if waiting.reason != "CrashLoopBackOff" {
        told.push(Event::warning(
            events::FAILED,
            format!("Error: {}", waiting.reason),
        ));
    }
    for event in told {
        let event = match &seen.pod.spec {
            Some(spec) => event.about(spec, &container.name),
            None => event,
        };
        step.push(seen, Action::Record(event));
    }
}

/// Why a crashed container has to wait; `None` when it may start.
fn crash_back_off(seen: &Seen, container: &Container, now: Timestamp) -> Option<Waiting> {
    let ended = seen
        .newest(&container.name)
        .filter(|one| one.state == State::Exited)?;
    let (until, seconds) = back_off::restart_at(ended)?;
    (now < until).then(|| Waiting {
        reason: "CrashLoopBackOff".to_owned(),
        message: format!(
            "back-off {} restarting failed container={} pod={}",
            go_duration(seconds),
            container.name,
            pod_format(&seen.pod)
        ),
        until: Some(until),
    })
}

fn pull_back_off(image: &str, failure: &Failure, now: Timestamp) -> Waiting {
    let shown_until = back_off::later(failure.at, back_off::PULL_ERROR_SHOWN_SECONDS);
    if now < shown_until {
        return shown(failure, shown_until);
    }
    Waiting {
        reason: "ImagePullBackOff".to_owned(),
        message: format!(
            "Back-off pulling image {image:?}: {}: {}",
            failure.reason, failure.message
        ),
        until: Some(back_off::pull_at(failure)),
    }
}

fn shown(failure: &Failure, until: Timestamp) -> Waiting {
    Waiting {
        reason: failure.reason.clone(),
        message: failure.message.clone(),
        until: Some(until),
    }
}

/// Whole seconds as Go prints a duration: `10s`, `2m40s`, `5m0s`.
fn go_duration(seconds: i64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds}s"),
        (minutes, seconds) => format!("{minutes}m{seconds}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        let shown: Vec<String> = [10, 40, 60, 160, 300].map(go_duration).into();
        assert_eq!(shown, ["10s", "40s", "1m0s", "2m40s", "5m0s"]);
    }
}
