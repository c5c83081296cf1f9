//! Probes and lifecycle hooks.

use meta::{FieldError, names};

use super::Surroundings;
use crate::check::{Errors, Node, port_or_name};

/// All three probes, in upstream's order.
pub(super) fn all(pod: &Surroundings<'_>, container: &Node<'_>, errors: &mut Errors) {
    for name in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = container.get(name) else {
            continue;
        };
        self::probe(pod, &probe, errors);
        let grace = probe.int("terminationGracePeriodSeconds");
        if name == "readinessProbe" {
            if let Some(seconds) = grace {
                let path = probe.at("terminationGracePeriodSeconds");
                errors.push(FieldError::invalid(
                    &path,
                    seconds,
                    "must not be set for readinessProbes",
                ));
            }
        } else if probe.int("successThreshold") != Some(1) {
            let value = probe.int("successThreshold").unwrap_or_default();
            errors.push(FieldError::invalid(
                &probe.at("successThreshold"),
                value,
                "must be 1",
            ));
        }
    }
}

fn probe(pod: &Surroundings<'_>, probe: &Node<'_>, errors: &mut Errors) {
    handler(pod, probe, errors);
    for field in [
        "initialDelaySeconds",
        "timeoutSeconds",
        "periodSeconds",
        "successThreshold",
        "failureThreshold",
    ] {
        probe.not_negative(field, errors);
    }
    let grace = probe.int("terminationGracePeriodSeconds");
    if let Some(seconds) = grace.filter(|seconds| *seconds <= 0) {
        let path = probe.at("terminationGracePeriodSeconds");
        errors.push(FieldError::invalid(
            &path,
            seconds,
            "must be greater than 0",
        ));
    }
}

/// `postStart`, `preStop` and `stopSignal`.
pub(super) fn lifecycle(pod: &Surroundings<'_>, container: &Node<'_>, errors: &mut Errors) {
    let Some(lifecycle) = container.get("lifecycle") else {
        return;
    };
    for hook in ["postStart", "preStop"] {
        if let Some(hook) = lifecycle.get(hook) {
            handler(pod, &hook, errors);
        }
    }
    if lifecycle.has("stopSignal") && !pod.spec.has("os") {
        let why = "may not be set for containers with empty `spec.os.name`";
        errors.push(FieldError::forbidden(&lifecycle.at("stopSignal"), why));
    }
}

/// Exactly one way to look or act. Source: `validateHandler`.
fn handler(pod: &Surroundings<'_>, holder: &Node<'_>, errors: &mut Errors) {
    let mut found = false;
    for kind in ["exec", "httpGet", "tcpSocket", "grpc", "sleep"] {
        let Some(action) = holder.get(kind) else {
            continue;
        };
        if found {
            errors.push(FieldError::forbidden(
                &action.path,
                "may not specify more than 1 handler type",
            ));
            continue;
        }
        found = true;
        match kind {
            "exec" if !action.has_items("command") => {
                errors.push(FieldError::required(&action.at("command"), ""));
            }
            "httpGet" => http_get(&action, errors),
            "tcpSocket" | "grpc" => port_or_name(&action, "port", errors),
            "sleep" => sleep(pod, &action, errors),
            _ => {}
        }
    }
    if !found {
        errors.push(FieldError::required(
            &holder.path,
            "must specify a handler type",
        ));
    }
}

fn http_get(action: &Node<'_>, errors: &mut Errors) {
    action.needs("path", errors);
    port_or_name(action, "port", errors);
    action.one_of("scheme", &["HTTP", "HTTPS"], errors);
    for header in action.items("httpHeaders") {
        let name = header.text("name");
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if name.is_empty() || !name.bytes().all(fits) {
            let words = "a valid HTTP header must consist of alphanumeric characters or '-'";
            let why = names::regex_error(words, "[-A-Za-z0-9]+", &["X-Header-Name"]);
            errors.push(FieldError::invalid(&action.at("httpHeaders"), name, why));
        }
    }
}

fn sleep(pod: &Surroundings<'_>, action: &Node<'_>, errors: &mut Errors) {
    let seconds = action.int("seconds").unwrap_or_default();
    if let Some(grace) = pod.grace_seconds
        && !(0..=grace).contains(&seconds)
    {
        let why =
            format!("must be non-negative and less than terminationGracePeriodSeconds ({grace})");
        errors.push(FieldError::invalid(&action.path, seconds, why));
    }
}
