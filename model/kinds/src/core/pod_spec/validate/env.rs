//! Environment variables and the downward API.

use meta::{FieldError, names};

use crate::check::{Errors, Node, config_key, no_backsteps};

/// Fields that variables may read.
const VARIABLE_FIELDS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
/// Fields that files may read.
pub(super) const FILE_FIELDS: [&str; 5] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
];
/// Fields that exist for the downward API at all.
const KNOWN_FIELDS: [&str; 14] = [
    "metadata.annotations",
    "metadata.labels",
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.restartPolicy",
    "spec.serviceAccountName",
    "spec.schedulerName",
    "status.phase",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];
const RESOURCES: [&str; 6] = [
    "limits.cpu",
    "limits.ephemeral-storage",
    "limits.memory",
    "requests.cpu",
    "requests.ephemeral-storage",
    "requests.memory",
];
const BYTE_DIVISORS: [&str; 13] = [
    "1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei",
];

/// `env`. Source: `ValidateEnv`.
pub(super) fn variables(container: &Node<'_>, errors: &mut Errors) {
    for variable in container.items("env") {
        let name = variable.text("name");
        if name.is_empty() {
            errors.push(FieldError::required(&variable.at("name"), ""));
        } else {
            variable.complain("name", variable_name(name), errors);
        }
        if let Some(source) = variable.get("valueFrom") {
            value_from(&variable, &source, errors);
        }
    }
}

/// Source: `IsRelaxedEnvVarName`.
fn variable_name(name: &str) -> Vec<String> {
    if name
        .bytes()
        .all(|b| (b' '..=b'~').contains(&b) && b != b'=')
    {
        return Vec::new();
    }
    let words = "a valid environment variable name must consist only of printable ASCII characters other than '='";
    vec![words.to_owned()]
}

fn value_from(variable: &Node<'_>, source: &Node<'_>, errors: &mut Errors) {
    let mut count = 0;
    if let Some(field) = source.get("fieldRef") {
        count += 1;
        field_ref(&field, &VARIABLE_FIELDS, errors);
    }
    if let Some(resource) = source.get("resourceFieldRef") {
        count += 1;
        resource_ref(&resource, false, errors);
    }
    for kind in ["configMapKeyRef", "secretKeyRef"] {
        if let Some(reference) = source.get(kind) {
            count += 1;
            reference.complain(
                "name",
                names::dns1123_subdomain(reference.text("name")),
                errors,
            );
            key(&reference, errors);
        }
    }
    if let Some(file) = source.get("fileKeyRef") {
        count += 1;
        file_key(&file, errors);
    }
    let why = match count {
        0 => {
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        }
        _ if !variable.text("value").is_empty() => "may not be specified when `value` is not empty",
        1 => return,
        _ => "may not have more than one field specified at a time",
    };
    errors.push(FieldError::invalid(&source.path, "", why));
}

/// Source: `validateFileKeySelector`.
fn file_key(file: &Node<'_>, errors: &mut Errors) {
    let (key, volume, path) = (file.text("key"), file.text("volumeName"), file.text("path"));
    if key.is_empty() {
        file.needs("key", errors);
    } else {
        file.complain("key", variable_name(key), errors);
    }
    if volume.is_empty() {
        file.needs("volumeName", errors);
    } else {
        file.complain("volumeName", names::dns1123_label(volume), errors);
    }
    if path.is_empty() {
        file.needs("path", errors);
    } else {
        no_backsteps(path, &file.at("path"), errors);
    }
}

/// Files that variables are read from lie on empty directories of the pod. Source: `validateFileKeyRefVolumes`.
pub(super) fn files(spec: &Node<'_>, errors: &mut Errors) {
    let volumes = spec.items("volumes");
    for list in ["initContainers", "containers", "ephemeralContainers"] {
        for variable in spec
            .items(list)
            .iter()
            .flat_map(|container| container.items("env"))
        {
            let Some(file) = variable.child("valueFrom").get("fileKeyRef") else {
                continue;
            };
            let (name, path) = (file.text("volumeName"), file.at("volumeName"));
            // Of several of one name the last is it.
            match volumes.iter().rfind(|volume| volume.text("name") == name) {
                None => errors.push(FieldError::not_found(&path, name)),
                Some(volume) if !volume.has("emptyDir") => {
                    let why = "referenced volume must be of type emptyDir";
                    errors.push(FieldError::invalid(&path, name, why));
                }
                Some(_) => {}
            }
        }
    }
}

fn key(reference: &Node<'_>, errors: &mut Errors) {
    let key = reference.text("key");
    if key.is_empty() {
        errors.push(FieldError::required(&reference.at("key"), ""));
    } else {
        reference.complain("key", config_key(key), errors);
    }
}

/// `envFrom`. Source: `ValidateEnvFrom`.
pub(super) fn sources(container: &Node<'_>, errors: &mut Errors) {
    let list = container.at("envFrom");
    for source in container.items("envFrom") {
        if !source.text("prefix").is_empty() {
            source.complain("prefix", variable_name(source.text("prefix")), errors);
        }
        let mut count = 0;
        for kind in ["configMapRef", "secretRef"] {
            if let Some(reference) = source.get(kind) {
                count += 1;
                let name = reference.text("name");
                if name.is_empty() {
                    reference.needs("name", errors);
                } else {
                    // Upstream judges the name as the start of one.
                    let name = crate::metadata::masked(name);
                    let complaints = names::dns1123_subdomain(&name);
                    reference.complain("name", complaints, errors);
                }
            }
        }
        let why = match count {
            0 => "must specify one of: `configMapRef` or `secretRef`",
            1 => continue,
            _ => "may not have more than one field specified at a time",
        };
        errors.push(FieldError::invalid(&list, "", why));
    }
}

/// A field of the pod. Source: `validateObjectFieldSelector`.
pub(super) fn field_ref(field: &Node<'_>, valid: &[&str], errors: &mut Errors) {
    for name in ["apiVersion", "fieldPath"] {
        if field.text(name).is_empty() {
            errors.push(FieldError::required(&field.at(name), ""));
            return;
        }
    }
    let text = field.text("fieldPath");
    let (path, subscript) = match text
        .strip_suffix("']")
        .and_then(|text| text.split_once("['"))
    {
        Some((path, subscript)) => (path, Some(subscript)),
        None => (text, None),
    };
    let path = if path == "spec.host" {
        "spec.nodeName"
    } else {
        path
    };
    let takes_subscript = matches!(path, "metadata.annotations" | "metadata.labels");
    let problem = if subscript.is_some() && !takes_subscript {
        Some(format!("field label does not support subscript: {text}"))
    } else if field.text("apiVersion") != "v1" {
        Some(format!(
            "unsupported pod version: {}",
            field.text("apiVersion")
        ))
    } else if !KNOWN_FIELDS.contains(&path) {
        Some(format!("field label not supported: {text}"))
    } else {
        None
    };
    if let Some(problem) = problem {
        let why = format!("error converting fieldPath: {problem}");
        errors.push(FieldError::invalid(&field.at("fieldPath"), text, why));
        return;
    }
    match subscript {
        Some(subscript) => {
            let key = if path == "metadata.annotations" {
                subscript.to_lowercase()
            } else {
                subscript.to_owned()
            };
            errors.extend(crate::metadata::invalid(
                &field.path,
                &key,
                names::qualified_name(&key),
            ));
        }
        None if !valid.contains(&path) => {
            errors.push(FieldError::not_supported(
                &field.at("fieldPath"),
                path,
                valid,
            ));
        }
        None => {}
    }
}

/// A resource of a container. Source: `validateContainerResourceFieldSelector`.
pub(super) fn resource_ref(field: &Node<'_>, is_file: bool, errors: &mut Errors) {
    let resource = field.text("resource");
    let is_huge = ["limits.hugepages-", "requests.hugepages-"]
        .iter()
        .any(|prefix| resource.starts_with(prefix));
    if is_file && field.text("containerName").is_empty() {
        errors.push(FieldError::required(&field.at("containerName"), ""));
    } else if resource.is_empty() {
        errors.push(FieldError::required(&field.at("resource"), ""));
    } else if !RESOURCES.contains(&resource) && !is_huge {
        errors.push(FieldError::not_supported(
            &field.at("resource"),
            resource,
            &RESOURCES,
        ));
    }
    let divisor = field.text("divisor");
    if matches!(divisor, "" | "0") {
        return;
    }
    let bytes = BYTE_DIVISORS.join(", ");
    let why = match resource.split_once('.').map_or("", |(_, name)| name) {
        "cpu" if !matches!(divisor, "1" | "1m") => {
            "only divisor's values 1m and 1 are supported with the cpu resource".to_owned()
        }
        "cpu" => return,
        _ if BYTE_DIVISORS.contains(&divisor) => return,
        "memory" => format!("only divisor's values {bytes} are supported with the memory resource"),
        "ephemeral-storage" => {
            format!(
                "only divisor's values {bytes} are supported with the local ephemeral storage resource"
            )
        }
        _ if is_huge => {
            format!("only divisor's values {bytes} are supported with the hugepages resource")
        }
        _ => return,
    };
    errors.push(FieldError::invalid(&field.at("divisor"), resource, why));
}
