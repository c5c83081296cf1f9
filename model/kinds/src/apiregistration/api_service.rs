//! APIService. Source: kube-aggregator `ValidateAPIService`.

use meta::{FieldError, Object, ObjectExt as _, Path, names};

use crate::check::{Errors, Node};

const GROUP_PRIORITY_MAX: i64 = 20_000;
const VERSION_PRIORITY_MAX: i64 = 1000;

/// A service as it stands.
pub(super) fn check(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let (group, version) = (spec.text("group"), spec.text("version"));
    let wanted = format!("{version}.{group}");
    if object.name() != wanted {
        let path = Path::new("metadata").child("name");
        let why = format!(
            "must be `spec.version+\".\"+spec.group`: {}",
            meta::field::quote(&wanted)
        );
        errors.push(FieldError::invalid(&path, object.name(), why));
    }
    if group.is_empty() && version != "v1" {
        let why = "only v1 may have an empty group and it better be legacy kube";
        errors.push(FieldError::required(&spec.at("group"), why));
    }
    if !group.is_empty() {
        spec.complain("group", names::dns1123_subdomain(group), errors);
    }
    spec.complain("version", names::dns1035_label(version), errors);
    for (field, most) in [
        ("groupPriorityMinimum", GROUP_PRIORITY_MAX),
        ("versionPriority", VERSION_PRIORITY_MAX),
    ] {
        let value = spec.int(field).unwrap_or_default();
        if value <= 0 || value > most {
            let why = format!("must be positive and less than {most}");
            errors.push(FieldError::invalid(&spec.at(field), value, why));
        }
    }
    let Some(service) = spec.get("service") else {
        for (field, is_set) in [
            ("caBundle", !spec.text("caBundle").is_empty()),
            ("insecureSkipTLSVerify", spec.flag("insecureSkipTLSVerify")),
        ] {
            if is_set {
                let why = "local APIServices may not have ";
                let value = spec.child(field).value.clone();
                errors.push(FieldError::invalid(
                    &spec.at(field),
                    value,
                    format!("{why}{field}"),
                ));
            }
        }
        return;
    };
    for field in ["namespace", "name"] {
        service.needs(field, errors);
    }
    let port = service.int("port").unwrap_or(443);
    let complaints = names::port_number(port);
    if !complaints.is_empty() {
        let why = format!("port is not valid: {}", complaints.join(", "));
        errors.push(FieldError::invalid(&service.at("port"), port, why));
    }
    if spec.flag("insecureSkipTLSVerify") && !spec.text("caBundle").is_empty() {
        let why = "may not be true if caBundle is present";
        errors.push(FieldError::invalid(
            &spec.at("insecureSkipTLSVerify"),
            true,
            why,
        ));
    }
}
