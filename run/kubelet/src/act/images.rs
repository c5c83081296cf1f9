//! Looking images up and pulling them.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use node::events::{self, Event};
use node::image;
use node::pod::spec;
use node::seen::ImageSeen;

use super::{Failed, Outcome, Scene};
use crate::credentials;

/// Finds out whether an image is on the node.
pub(super) async fn inspect(scene: &Scene, image: String) -> Outcome {
    let wanted = image::with_default_tag(&image).unwrap_or_else(|_| image.clone());
    let at = Timestamp::now();
    let seen = match scene.agent.runtime.image_status(&wanted).await {
        Ok(Some(found)) => ImageSeen::Present { id: found.id },
        Ok(None) => ImageSeen::Absent { at },
        Err(error) => ImageSeen::Unreadable {
            at,
            message: error.to_string(),
        },
    };
    Outcome::Image { image, seen }
}

/// Pulls an image.
pub(super) async fn pull(scene: &Scene, name: String, image: String, attempt: u32) -> Outcome {
    let result = pulled(scene, &name, &image).await;
    Outcome::Pulled {
        name,
        image,
        attempt,
        result,
    }
}

async fn pulled(scene: &Scene, name: &str, image: &str) -> Result<String, Failed> {
    let agent = &scene.agent;
    let pod_spec = spec::of(&scene.pod);
    let record = |event: Event| agent.record(&scene.pod, event.about(&pod_spec, name));
    record(Event::normal(
        events::PULLING,
        format!("Pulling image {image:?}"),
    ));
    let wanted = image::with_default_tag(image).unwrap_or_else(|_| image.to_owned());
    let begun = Instant::now();
    let mut result = Err(String::new());
    for auth in credentials::of(scene, image).await {
        let answer = agent.runtime.pull_image(&wanted, auth, None).await;
        result = answer.map_err(|error| error.to_string());
        if result.is_ok() {
            break;
        }
    }
    match result {
        Ok(id) => {
            let size = agent.runtime.image_status(&wanted).await;
            let size = size.ok().flatten().map_or(0, |found| found.size);
            let took = go_duration(begun.elapsed());
            record(Event::normal(
                events::PULLED,
                format!(
                    "Successfully pulled image {image:?} in {took} ({took} including waiting). Image size: {size} bytes."
                ),
            ));
            Ok(id)
        }
        Err(error) => {
            let message = format!("Failed to pull image {image:?}: {error}");
            record(Event::warning(events::FAILED, message));
            let (reason, message) = image::pull_failure(image, &error);
            record(Event::warning(events::FAILED, format!("Error: {reason}")));
            Err((reason, message))
        }
    }
}

/// A duration to the millisecond as Go prints it: `85ms`, `1.234s`, `1m2.5s`.
fn go_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 1000 {
        return format!("{millis}ms");
    }
    let (minutes, rest) = (millis / 60_000, millis % 60_000);
    let seconds = format!("{}.{:03}", rest / 1000, rest % 1000);
    let seconds = seconds.trim_end_matches('0').trim_end_matches('.');
    if minutes == 0 {
        format!("{seconds}s")
    } else {
        format!("{minutes}m{seconds}s")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_in_go() {
        let shown =
            [85, 1000, 1234, 62_500].map(|millis| go_duration(Duration::from_millis(millis)));
        assert_eq!(shown, ["85ms", "1s", "1.234s", "1m2.5s"]);
    }
}
