//! What is wrong with a pod's status. Source: `ValidatePodStatusUpdate`.

use std::collections::BTreeSet;

use meta::{FieldError, Object, names};

use crate::check::{Errors, IMMUTABLE, Node, ip, parse_ip};
use crate::core::pod_spec::validate::changed_annotations;

/// Conditions that the system sets and whose types are no qualified names.
const SYSTEM_CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];
const NATURAL: &str = "must be a non-negative integer";
const STOPPED: &str = "may not be transitioned to non-terminated state";

pub(super) fn check(new: &Object, old: &Object) -> Errors {
    let mut errors = Errors::new();
    let (status, was) = (
        Node::root(new).child("status"),
        Node::root(old).child("status"),
    );
    let (spec, old_spec) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    changed_annotations(new, old, &mut errors);
    conditions(&status, &mut errors);
    if spec.text("nodeName") != old_spec.text("nodeName") {
        let why = "may not be changed directly";
        errors.push(FieldError::forbidden(&status.at("nodeName"), why));
    }
    nominated(&status, &was, &old_spec, &mut errors);
    natural(&status, &mut errors);
    if status.text("qosClass") != was.text("qosClass") {
        let class = status.text("qosClass");
        errors.push(FieldError::invalid(
            &status.at("qosClass"),
            class,
            IMMUTABLE,
        ));
    }
    for (list, containers) in [
        ("containerStatuses", "containers"),
        ("initContainerStatuses", "initContainers"),
    ] {
        if !restarts_all(&old_spec) {
            states(&status, &was, list, &mut errors, |name, code| {
                let container = old_spec.items(containers);
                let container = container.iter().find(|one| one.text("name") == name);
                container.is_some_and(|container| restarts(container, &old_spec, code))
            });
        }
    }
    states(
        &status,
        &was,
        "ephemeralContainerStatuses",
        &mut errors,
        |_, _| false,
    );
    claims(&status, &spec, &mut errors);
    addresses(&status, &was, "podIPs", &mut errors);
    if status.has_items("hostIPs") {
        let first = status.items("hostIPs").into_iter().next();
        if let Some(first) = first.filter(|first| first.text("ip") != status.text("hostIP")) {
            let why = "must be equal to `hostIP`";
            errors.push(FieldError::invalid(&first.at("ip"), first.text("ip"), why));
        }
        addresses(&status, &was, "hostIPs", &mut errors);
    }
    super::reported::users(&status, &spec, &mut errors);
    super::reported::devices(&status, &spec, &mut errors);
    extended(&status, &spec, &mut errors);
    errors
}

/// The claim that was made for extended resources of containers. Source: `validatePodExtendedResourceClaimStatus`.
fn extended(status: &Node<'_>, spec: &Node<'_>, errors: &mut Errors) {
    let Some(made) = status.get("extendedResourceClaimStatus") else {
        return;
    };
    let containers: Vec<Node<'_>> = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| spec.items(list))
        .collect();
    if !made.has_items("requestMappings") {
        let why = "at least one request mapping is required";
        errors.push(FieldError::required(&made.at("requestMappings"), why));
    }
    let mut known = BTreeSet::new();
    for mapping in made.items("requestMappings") {
        let fields = ["containerName", "resourceName", "requestName"];
        let [container, resource, request] = fields.map(|field| mapping.text(field));
        match containers.iter().rfind(|one| one.text("name") == container) {
            None => {
                let why = "must match the name of an entry in spec.initContainers.name or spec.containers.name";
                errors.push(FieldError::invalid(
                    &mapping.at("containerName"),
                    container,
                    why,
                ));
            }
            Some(one) if !one.child("resources").child("requests").has(resource) => {
                let why = "must match the extended resource name of an entry in spec.initContainers.resources.requests or spec.containers.resources.requests";
                errors.push(FieldError::invalid(
                    &mapping.at("resourceName"),
                    resource,
                    why,
                ));
            }
            Some(_) => {}
        }
        let whys = names::dns1123_label(request);
        errors.extend(crate::metadata::invalid(
            &made.at("requestName"),
            request,
            whys,
        ));
        if !known.insert([container, resource, request]) {
            let told =
                fields.map(|field| FieldError::duplicate(&mapping.at(field), mapping.text(field)));
            errors.extend(told);
        }
    }
    if made.text("resourceClaimName").is_empty() {
        made.needs("resourceClaimName", errors);
    } else {
        let whys = names::dns1123_subdomain(made.text("resourceClaimName"));
        made.complain("resourceClaimName", whys, errors);
    }
}

/// What was made for the pod's claims. Source: `validatePodResourceClaimStatuses`.
fn claims(status: &Node<'_>, spec: &Node<'_>, errors: &mut Errors) {
    let wanted: Vec<&str> = spec
        .items("resourceClaims")
        .iter()
        .map(|claim| claim.text("name"))
        .collect();
    let mut known = BTreeSet::new();
    for claim in status.items("resourceClaimStatuses") {
        let (name, path) = (claim.text("name"), claim.at("name"));
        if !wanted.contains(&name) {
            let why = "must match the name of an entry in `spec.resourceClaims`";
            errors.push(FieldError::invalid(&path, name, why));
        }
        if !known.insert(name) {
            errors.push(FieldError::duplicate(&path, name));
        }
        let made = claim.text("resourceClaimName");
        if claim.has("resourceClaimName") {
            let whys = names::dns1123_subdomain(made);
            claim.complain("resourceClaimName", whys, errors);
        }
    }
}

fn natural(holder: &Node<'_>, errors: &mut Errors) {
    let generation = holder.int("observedGeneration").filter(|count| *count < 0);
    if let Some(generation) = generation {
        let path = holder.at("observedGeneration");
        errors.push(FieldError::invalid(&path, generation, NATURAL));
    }
}

fn conditions(status: &Node<'_>, errors: &mut Errors) {
    for condition in status.items("conditions") {
        natural(&condition, errors);
        let name = condition.text("type");
        if !SYSTEM_CONDITIONS.contains(&name) {
            let path = condition.at("Type");
            errors.extend(crate::metadata::invalid(
                &path,
                name,
                names::qualified_name(name),
            ));
        }
    }
}

fn nominated(status: &Node<'_>, was: &Node<'_>, old_spec: &Node<'_>, errors: &mut Errors) {
    let field = "nominatedNodeName";
    let name = status.text(field);
    if name.is_empty() || name == was.text(field) {
        return;
    }
    status.complain(field, names::dns1123_subdomain(name), errors);
    if !old_spec.text("nodeName").is_empty() {
        let why = "may not be set on pods that are already bound to a node";
        errors.push(FieldError::forbidden(&status.at(field), why));
    }
}

/// Whether some exit of some container restarts all of them.
fn restarts_all(spec: &Node<'_>) -> bool {
    ["containers", "initContainers"].iter().any(|list| {
        spec.items(list).iter().any(|container| {
            let rules = container.items("restartPolicyRules");
            rules
                .iter()
                .any(|rule| rule.text("action") == "RestartAllContainers")
        })
    })
}

/// Whether a container starts again after this exit code. Source: `podutil.ContainerShouldRestart`.
fn restarts(container: &Node<'_>, spec: &Node<'_>, code: i64) -> bool {
    let fits = |rule: &Node<'_>| {
        let codes = rule.child("exitCodes");
        let values = codes.items("values");
        let is_listed = values
            .iter()
            .any(|value| value.value.as_i64() == Some(code));
        is_listed == (codes.text("operator") == "In")
    };
    let own = container.text("restartPolicy");
    if !own.is_empty() && container.items("restartPolicyRules").iter().any(fits) {
        return true;
    }
    let policy = if own.is_empty() {
        spec.text("restartPolicy")
    } else {
        own
    };
    match policy {
        "Always" => true,
        "OnFailure" => code != 0,
        _ => false,
    }
}

/// What ended stays ended, unless its container starts again.
fn states(
    status: &Node<'_>,
    was: &Node<'_>,
    list: &str,
    errors: &mut Errors,
    may_restart: impl Fn(&str, i64) -> bool,
) {
    let new = status.items(list);
    for (index, old) in was.items(list).iter().enumerate() {
        let Some(ended) = old.child("state").get("terminated") else {
            continue;
        };
        let name = old.text("name");
        let found = new.iter().find(|one| one.text("name") == name);
        let runs = found.is_some_and(|one| !one.child("state").has("terminated"));
        if runs && !may_restart(name, ended.int("exitCode").unwrap_or_default()) {
            let path = status.at(list).index(index).child("state");
            errors.push(FieldError::forbidden(&path, STOPPED));
        }
    }
}

/// New addresses must be such, and at most one of each family.
fn addresses(status: &Node<'_>, was: &Node<'_>, list: &str, errors: &mut Errors) {
    let known = was.items(list);
    let texts: Vec<&str> = status
        .items(list)
        .iter()
        .map(|item| item.text("ip"))
        .collect();
    let path = status.at(list);
    for (index, text) in texts.iter().enumerate() {
        if !known.iter().any(|old| old.text("ip") == *text) {
            errors.extend(crate::metadata::invalid(&path.index(index), text, ip(text)));
        }
    }
    if texts.len() < 2 {
        return;
    }
    let parsed: Vec<_> = texts.iter().map(|text| parse_ip(text)).collect();
    if let Some(bad) = parsed.iter().position(Option::is_none) {
        let text = texts.get(bad).copied().unwrap_or_default();
        let why = format!("failed to check for dual stack with error:invalid IP[{bad}]: {text}");
        errors.push(FieldError::internal(&path, why));
    }
    let of_family = |is_v4: bool| {
        let families = parsed.iter().flatten();
        families
            .filter(|address| address.is_ipv4() == is_v4)
            .count()
    };
    if texts.len() > 2 || of_family(true) != 1 || of_family(false) != 1 {
        let why = "may specify no more than one IP for each IP family";
        errors.push(FieldError::invalid(
            &path,
            status.child(list).value.clone(),
            why,
        ));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::check;

    fn said(spec: &Value, new: &Value, old: &Value) -> Vec<String> {
        let pod = |status| json!({"spec": spec, "status": status});
        let errors = check(&pod(new), &pod(old));
        errors.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_never_restarts_stays_ended() {
        let spec = json!({"restartPolicy": "Never", "containers": [{"name": "c"}]});
        let ended =
            json!({"containerStatuses": [{"name": "c", "state": {"terminated": {"exitCode": 1}}}]});
        let runs = json!({"containerStatuses": [{"name": "c", "state": {"running": {}}}]});
        assert_eq!(
            said(&spec, &runs, &ended),
            [
                "status.containerStatuses[0].state: Forbidden: may not be transitioned to non-terminated state"
            ]
        );
        let spec = json!({"restartPolicy": "OnFailure", "containers": [{"name": "c"}]});
        assert!(said(&spec, &runs, &ended).is_empty());
    }

    #[test]
    fn claims_are_those_of_the_pod_and_stand_once() {
        let spec = json!({"resourceClaims": [{"name": "a", "resourceClaimTemplateName": "t"}]});
        let made = |names: &[&str]| {
            let made = names
                .iter()
                .map(|name| json!({"name": name, "resourceClaimName": "x"}));
            json!({"resourceClaimStatuses": made.collect::<Vec<_>>()})
        };
        let told = |names: &[&str]| said(&spec, &made(names), &json!({}));
        assert!(told(&["a"]).is_empty());
        let path = "status.resourceClaimStatuses";
        assert_eq!(
            told(&["a", "a", "b"]),
            [
                format!("{path}[1].name: Duplicate value: \"a\""),
                format!(
                    "{path}[2].name: Invalid value: \"b\": must match the name of an entry in `spec.resourceClaims`"
                ),
            ]
        );
    }

    #[test]
    fn claims_for_extended_resources_are_of_containers_that_ask() {
        let spec =
            json!({"containers": [{"name": "c", "resources": {"requests": {"x.y/z": "1"}}}]});
        let made = |container: &str, resource: &str| {
            let mapping =
                json!({"containerName": container, "resourceName": resource, "requestName": "r"});
            json!({"extendedResourceClaimStatus": {"resourceClaimName": "n", "requestMappings": [mapping]}})
        };
        let told = |made: &serde_json::Value| said(&spec, made, &json!({})).len();
        assert_eq!(told(&made("c", "x.y/z")), 0);
        assert_eq!(told(&made("d", "x.y/z")), 1);
        assert_eq!(told(&made("c", "z")), 1);
        assert_eq!(told(&json!({"extendedResourceClaimStatus": {}})), 2);
    }

    #[test]
    fn addresses_are_one_of_each_family() {
        let two = json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]});
        assert_eq!(said(&json!({}), &two, &json!({})).len(), 1);
        let both = json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]});
        assert!(said(&json!({}), &both, &json!({})).is_empty());
    }
}
