//! The old annotations that confine containers, and the fields that took their place: they say the same, or nothing.
//!
//! Source: `ValidateSeccompPodAnnotations`, `ValidateAppArmorPodAnnotations`, `validateSeccompAnnotationsAndFields`,
//! `validateAppArmorAnnotationsAndFieldsMatchOnCreate`; `pkg/registry/core/pod` `applyAppArmorVersionSkew`.

use meta::{FieldError, Object, ObjectExt as _, Path};
use serde_json::{Value, json};

use crate::check::{Errors, Node, descending_path};
use crate::edit::Edit as _;

/// Confines a container; its name follows.
pub(super) const APP_ARMOR: &str = "container.apparmor.security.beta.kubernetes.io/";
const SECCOMP: &str = "container.seccomp.security.alpha.kubernetes.io/";
const SECCOMP_OF_POD: &str = "seccomp.security.alpha.kubernetes.io/pod";
/// What the names of files on the node begin with.
const LOCAL: &str = "localhost/";
/// The lists of containers, as upstream visits them.
const LISTS: [&str; 3] = ["initContainers", "containers", "ephemeralContainers"];
/// Longest name of a profile, in bytes. Source: `maxLocalhostProfileLength`.
const PROFILE_BYTES_MAX: usize = 4095;

/// The annotations by themselves.
pub(super) fn annotations(holder: &Value, spec: &Node<'_>, path: &Path, errors: &mut Errors) {
    let all = holder.at(&["metadata", "annotations"]);
    let all = all.and_then(Value::as_object).into_iter().flatten();
    let all: Vec<(&String, &str)> = all
        .filter_map(|(key, text)| Some((key, text.as_str()?)))
        .collect();
    let is_seccomp = |key: &str| key == SECCOMP_OF_POD || key.starts_with(SECCOMP);
    for (key, text) in all.iter().filter(|(key, _)| is_seccomp(key)) {
        let path = path.child(key);
        match text.strip_prefix(LOCAL) {
            Some(file) => descending_path(file, &path, errors),
            None if matches!(*text, "runtime/default" | "docker/default" | "unconfined") => {}
            None => {
                let why = "must be a valid seccomp profile";
                errors.push(FieldError::invalid(&path, *text, why));
            }
        }
    }
    for (key, text) in &all {
        let Some(name) = key.strip_prefix(APP_ARMOR) else {
            continue;
        };
        let path = path.key(key);
        let is_here = |list: &str| {
            let containers = spec.items(list);
            containers.iter().any(|it| it.text("name") == name)
        };
        if !LISTS.iter().any(|it| is_here(it)) {
            errors.push(FieldError::invalid(&path, name, "container not found"));
        }
        let is_known = matches!(*text, "" | "runtime/default" | "unconfined");
        if !is_known && !text.starts_with(LOCAL) {
            let quoted = meta::field::quote(text);
            let why = format!("invalid AppArmor profile name: {quoted}");
            errors.push(FieldError::invalid(&path, *text, why));
        }
    }
}

/// Annotations and fields of what is new, where both are given.
pub(in crate::core) fn agreement(holder: &Value, spec: &Node<'_>, errors: &mut Errors) {
    let security = spec.child("securityContext");
    let given = |key: &str| holder.annotation(key);
    if let (Some(text), Some(profile)) = (given(SECCOMP_OF_POD), security.get("seccompProfile")) {
        agrees(text, &profile, &profile.path, "seccomp", errors);
    }
    let containers = || LISTS.iter().flat_map(|list| spec.items(list));
    for container in containers() {
        let profile = container.child("securityContext").get("seccompProfile");
        let text = given(&format!("{SECCOMP}{}", container.text("name")));
        if let (Some(text), Some(profile)) = (text, profile) {
            agrees(text, &profile, &profile.path, "seccomp", errors);
        }
    }
    if is_windows(spec.value) {
        return;
    }
    for container in containers() {
        let own = container.child("securityContext");
        let path = own.at("appArmorProfile");
        let profile = own.get("appArmorProfile");
        let profile = profile.or_else(|| security.get("appArmorProfile"));
        let text = given(&format!("{APP_ARMOR}{}", container.text("name")));
        if let (Some(text), Some(profile)) = (text, profile) {
            agrees(text, &profile, &path, "apparmor", errors);
        }
    }
}

fn agrees(text: &str, profile: &Node<'_>, path: &Path, what: &str, errors: &mut Errors) {
    let is_docker = what == "seccomp" && text == "docker/default";
    let (field, is_same) = match profile.text("type") {
        "Unconfined" => ("type", text == "unconfined"),
        "RuntimeDefault" => ("type", text == "runtime/default" || is_docker),
        "Localhost" => match text.strip_prefix(LOCAL) {
            None => ("type", false),
            Some(name) => {
                let is_same = profile.has("localhostProfile");
                let is_same = is_same && profile.text("localhostProfile") == name;
                ("localhostProfile", is_same)
            }
        },
        _ => return,
    };
    if !is_same {
        let part = if field == "type" { "type" } else { "profile" };
        let why = format!("{what} {part} in annotation and field must match");
        errors.push(FieldError::forbidden(&path.child(field), &why));
    }
}

fn is_windows(spec: &Value) -> bool {
    spec.str_at(&["os", "name"]) == Some("windows")
}

/// The profile that an annotation for AppArmor asks for; `None` for none that a field could ask for.
pub(in crate::core) fn app_armor_profile(text: &str) -> Option<Value> {
    match text {
        "unconfined" => Some(json!({"type": "Unconfined"})),
        "runtime/default" => Some(json!({"type": "RuntimeDefault"})),
        _ => {
            let name = text.strip_prefix(LOCAL)?;
            let is_name = !name.is_empty() && name.trim() == name;
            (is_name && name.len() <= PROFILE_BYTES_MAX)
                .then(|| json!({"type": "Localhost", "localhostProfile": name}))
        }
    }
}

/// Writes what the annotations of a new pod say about AppArmor into the containers that say nothing.
pub(in crate::core) fn confine(pod: &mut Object) {
    let of_pod = pod.at(&["spec", "securityContext", "appArmorProfile"]);
    let of_pod = of_pod.cloned();
    let is_asked = |key: &String| key.starts_with(APP_ARMOR);
    let annotations = pod.at(&["metadata", "annotations"]).cloned();
    let annotations = annotations.as_ref().and_then(Value::as_object);
    let Some(annotations) = annotations.filter(|all| all.keys().any(is_asked)) else {
        return;
    };
    let Some(spec) = pod.get_mut("spec").filter(|spec| !is_windows(spec)) else {
        return;
    };
    for list in LISTS {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut);
        for container in containers.into_iter().flatten() {
            let name = container.str_at(&["name"]).unwrap_or_default();
            let text = annotations.get(&format!("{APP_ARMOR}{name}"));
            let profile = text.and_then(Value::as_str).and_then(app_armor_profile);
            let own = container.at(&["securityContext", "appArmorProfile"]);
            let is_silent = own.is_none_or(Value::is_null);
            if let Some(profile) = profile.filter(|it| is_silent && of_pod.as_ref() != Some(it)) {
                container
                    .child_mut("securityContext")
                    .put("appArmorProfile", profile);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(annotations: &Value, own: &Value) -> Value {
        json!({"metadata": {"annotations": annotations},
            "spec": {"containers": [{"name": "c", "securityContext": own}]}})
    }

    fn told(pod: &Value) -> Vec<String> {
        let spec = Node::root(pod).child("spec");
        let mut errors = Errors::new();
        let path = Path::new("metadata").child("annotations");
        annotations(pod, &spec, &path, &mut errors);
        agreement(pod, &spec, &mut errors);
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_annotation_says_what_the_field_says() {
        let (armor, seccomp) = (format!("{APP_ARMOR}c"), format!("{SECCOMP}c"));
        let local = json!({"type": "Localhost", "localhostProfile": "x"});
        let at = "spec.containers[0].securityContext";
        for (key, text, own, expected) in [
            (&armor, "unconfined", json!({}), String::new()),
            (
                &armor,
                "localhost/x",
                json!({"appArmorProfile": local}),
                String::new(),
            ),
            (
                &armor,
                "localhost/y",
                json!({"appArmorProfile": local}),
                format!(
                    "{at}.appArmorProfile.localhostProfile: Forbidden: apparmor profile in annotation and field must match"
                ),
            ),
            (
                &seccomp,
                "docker/default",
                json!({"seccompProfile": {"type": "RuntimeDefault"}}),
                String::new(),
            ),
            (
                &seccomp,
                "unconfined",
                json!({"seccompProfile": local}),
                format!(
                    "{at}.seccompProfile.type: Forbidden: seccomp type in annotation and field must match"
                ),
            ),
            (
                &seccomp,
                "x",
                json!({}),
                format!(
                    "metadata.annotations.{SECCOMP}c: Invalid value: \"x\": must be a valid seccomp profile"
                ),
            ),
            (
                &armor,
                "x",
                json!({}),
                format!(
                    "metadata.annotations[{APP_ARMOR}c]: Invalid value: \"x\": invalid AppArmor profile name: \"x\""
                ),
            ),
        ] {
            let errors = told(&pod(&json!({ key.as_str(): text }), &own));
            assert_eq!(errors.concat(), expected);
        }
        let stranger = pod(&json!({format!("{APP_ARMOR}d"): "unconfined"}), &json!({}));
        let why = format!(
            "metadata.annotations[{APP_ARMOR}d]: Invalid value: \"d\": container not found"
        );
        assert_eq!(told(&stranger), [why]);
    }

    #[test]
    fn a_silent_container_is_confined_by_its_annotation() {
        let confined = |text: &str, own: &Value| {
            let mut pod = pod(&json!({format!("{APP_ARMOR}c"): text}), own);
            confine(&mut pod);
            pod["spec"]["containers"][0]["securityContext"]["appArmorProfile"].take()
        };
        let none = json!({});
        assert_eq!(confined("localhost/x", &none)["localhostProfile"], "x");
        assert_eq!(confined("unconfined", &none)["type"], "Unconfined");
        assert!(confined("", &none).is_null() && confined("localhost/", &none).is_null());
        let own = json!({"appArmorProfile": {"type": "RuntimeDefault"}});
        assert_eq!(confined("unconfined", &own)["type"], "RuntimeDefault");
    }
}
