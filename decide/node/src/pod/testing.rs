//! Pictures of pods for the tests of this module.

#![expect(clippy::needless_pass_by_value, reason = "specs are written in place")]

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::back_off::later;
use crate::names::container_hash;
use crate::pod::spec;
use crate::seen::{Container, ImageSeen, NodeFacts, Sandbox, Seen, State, Volumes};

/// The moment all pictures are taken.
pub(super) fn now() -> Timestamp {
    Timestamp::from_second(1_000_000).unwrap()
}

/// A pod with this spec, its volumes in place and a sandbox ready.
pub(super) fn seen(spec: Value) -> Seen {
    let mut seen = bare(spec);
    seen.volumes = Volumes::Ready;
    seen.sandboxes.push(Sandbox {
        id: "s0".to_owned(),
        attempt: 0,
        is_ready: true,
        ips: vec!["10.0.0.2".to_owned()],
        created_at: now(),
    });
    seen
}

/// A pod of which nothing but the object exists.
pub(super) fn bare(spec: Value) -> Seen {
    let pod = json!({ "metadata": { "name": "p", "namespace": "n", "uid": "u", "generation": 1 }, "spec": spec });
    Seen {
        pod: serde_json::from_value(pod).unwrap(),
        images: ["x:1", "y:1"]
            .map(|name| (name.to_owned(), present()))
            .into(),
        node: NodeFacts {
            host_ips: vec!["192.168.0.1".to_owned()],
            runtime_name: "containerd".to_owned(),
            network_error: None,
        },
        ..Seen::default()
    }
}

/// An image that is on the node.
pub(super) fn present() -> ImageSeen {
    ImageSeen::Present {
        id: "sha256:1".to_owned(),
    }
}

/// An instance of a container in the sandbox, made from the spec as it is.
pub(super) fn instance(seen: &Seen, name: &str, attempt: u32, state: State) -> Container {
    let pod_spec = spec::of(&seen.pod);
    let hash = spec::find(&pod_spec, name).map(container_hash);
    let has_run = state != State::Created;
    Container {
        id: format!("{name}-{attempt}"),
        name: name.to_owned(),
        sandbox_id: "s0".to_owned(),
        attempt,
        state,
        created_at: now(),
        started_at: has_run.then(|| later(now(), -5)),
        finished_at: (state == State::Exited).then(|| later(now(), -1)),
        image: "x:1".to_owned(),
        image_ref: "sha256:1".to_owned(),
        spec_hash: hash,
        crashes: Some(attempt),
        ..Container::default()
    }
}

/// Adds a running instance.
pub(super) fn running(mut seen: Seen, name: &str) -> Seen {
    let one = instance(&seen, name, 0, State::Running);
    seen.containers.insert(0, one);
    seen
}

/// Adds an instance that ended a second ago.
pub(super) fn exited(mut seen: Seen, name: &str, attempt: u32, exit_code: i32) -> Seen {
    let one = Container {
        exit_code,
        ..instance(&seen, name, attempt, State::Exited)
    };
    seen.containers.insert(0, one);
    seen
}

/// Marks the pod as being deleted, with this many seconds left.
pub(super) fn deleted(mut seen: Seen, seconds_left: i64) -> Seen {
    seen.pod.metadata.deletion_timestamp = Some(
        k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(later(now(), seconds_left)),
    );
    seen.pod.metadata.deletion_grace_period_seconds = Some(30);
    seen
}
