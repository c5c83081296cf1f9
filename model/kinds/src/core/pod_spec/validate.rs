//! What is wrong with a pod spec, in upstream's order. Source: `ValidatePodSpec`.

mod annotations;
mod confinement;
mod containers;
mod env;
mod probes;
mod resources;
mod scheduling;
mod security;
mod template;
mod volumes;
mod windows;

pub(crate) use annotations::{
    MIRROR, changed as changed_annotations, specific as specific_annotations,
};
pub(in crate::core) use confinement::{agreement, app_armor_profile, confine};
pub(crate) use resources::{amount, overhead, resource_name};
pub(crate) use scheduling::{node_selector, tolerations};
pub(crate) use template::{Selector, template, template_for_controller};
pub(crate) use volumes::{claim_spec_errors, host_path, template_metadata};

use std::collections::BTreeSet;

use meta::{FieldError, Path, names};

use crate::check::{Errors, Node, ip};
use crate::metadata::{invalid, labels};

/// Where a pod spec stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holder<'a> {
    /// A pod of that name.
    Pod(&'a str),
    /// A template.
    Template,
}

/// What the rules for containers need to know of the pod.
pub(super) struct Surroundings<'a> {
    spec: Node<'a>,
    volumes: std::collections::BTreeMap<&'a str, Node<'a>>,
    claims: BTreeSet<String>,
    grace_seconds: Option<i64>,
    has_host_users: bool,
}

const DNS_POLICIES: [&str; 4] = ["ClusterFirstWithHostNet", "ClusterFirst", "Default", "None"];
const NAMESERVERS_MAX: usize = 3;
const SEARCHES_MAX: usize = 32;
const SEARCH_CHARACTERS_MAX: usize = 2048;

/// Goes through a pod spec.
pub(crate) fn spec(spec: &Node<'_>, holder: Holder<'_>, errors: &mut Errors) {
    if !spec.has("terminationGracePeriodSeconds") {
        errors.push(FieldError::required(
            &spec.at("terminationGracePeriodSeconds"),
            "",
        ));
    }
    let volumes = volumes::volumes(spec, holder, errors);
    let claims = resources::claims(spec, errors);
    let surroundings = Surroundings {
        spec: spec.clone(),
        volumes,
        claims,
        grace_seconds: spec.int("terminationGracePeriodSeconds"),
        has_host_users: spec.value.get("hostUsers") != Some(&false.into()),
    };
    containers::app_containers(&surroundings, errors);
    containers::init_containers(&surroundings, errors);
    containers::ephemeral_containers(&surroundings, errors);
    resources::pod_level(spec, &surroundings.claims, errors);
    host_network_ports(spec, holder, errors);
    spec.needs_one_of("restartPolicy", &["Always", "OnFailure", "Never"], errors);
    spec.needs_one_of("dnsPolicy", &DNS_POLICIES, errors);
    errors.extend(labels(
        spec.value.get("nodeSelector"),
        &spec.at("nodeSelector"),
    ));
    security::pod(spec, errors);
    scheduling::affinity(spec, errors);
    dns_config(spec, errors);
    scheduling::gates(spec, errors);
    scheduling::spread(spec, errors);
    windows::host_process(spec, errors);
    host_users(spec, errors);
    plain_fields(spec, errors);
    env::files(spec, errors);
}

fn host_network_ports(spec: &Node<'_>, holder: Holder<'_>, errors: &mut Errors) {
    if !spec.flag("hostNetwork") {
        return;
    }
    for port in spec
        .items("containers")
        .iter()
        .flat_map(|container| container.items("ports"))
    {
        let host = port.int("hostPort").unwrap_or_default();
        let counts = host != 0 || matches!(holder, Holder::Pod(_));
        if counts && Some(host) != port.int("containerPort") {
            let why = "must match `containerPort` when `hostNetwork` is true";
            errors.push(FieldError::invalid(&port.at("hostPort"), host, why));
        }
    }
}

fn dns_config(spec: &Node<'_>, errors: &mut Errors) {
    let is_none = spec.text("dnsPolicy") == "None";
    let Some(config) = spec.get("dnsConfig") else {
        if is_none {
            let why = "must provide `dnsConfig` when `dnsPolicy` is None";
            errors.push(FieldError::required(&spec.at("dnsConfig"), why));
        }
        return;
    };
    let servers = config.texts("nameservers");
    if is_none && servers.is_empty() {
        let why = "must provide at least one DNS nameserver when `dnsPolicy` is None";
        errors.push(FieldError::required(&config.at("nameservers"), why));
        return;
    }
    if servers.len() > NAMESERVERS_MAX {
        let why = format!("must not have more than {NAMESERVERS_MAX} nameservers");
        errors.push(FieldError::invalid(
            &config.at("nameservers"),
            config.child("nameservers").value.clone(),
            why,
        ));
    }
    for (index, server) in servers.iter().enumerate() {
        errors.extend(invalid(
            &config.at("nameservers").index(index),
            server,
            ip(server),
        ));
    }
    let searches = config.texts("searches");
    let list = || config.child("searches").value.clone();
    if searches.len() > SEARCHES_MAX {
        let why = format!("must not have more than {SEARCHES_MAX} search paths");
        errors.push(FieldError::invalid(&config.at("searches"), list(), why));
    }
    if searches.join(" ").len() > SEARCH_CHARACTERS_MAX {
        let why = format!(
            "must not have more than {SEARCH_CHARACTERS_MAX} characters (including spaces) in the search list"
        );
        errors.push(FieldError::invalid(&config.at("searches"), list(), why));
    }
    for (index, search) in searches
        .iter()
        .enumerate()
        .filter(|(_, search)| **search != ".")
    {
        let search = search.strip_suffix('.').unwrap_or(search);
        let complaints = names::dns1123_subdomain_with_underscore(search);
        errors.extend(invalid(
            &config.at("searches").index(index),
            search,
            complaints,
        ));
    }
    for option in config.items("options") {
        if option.text("name").is_empty() {
            errors.push(FieldError::required(&option.path, "must not be empty"));
        }
    }
}

fn host_users(spec: &Node<'_>, errors: &mut Errors) {
    if spec.value.get("hostUsers") != Some(&false.into()) {
        return;
    }
    for (field, name) in [
        ("hostNetwork", "hostNetwork"),
        ("hostPID", "HostPID"),
        ("hostIPC", "HostIPC"),
    ] {
        if spec.flag(field) {
            errors.push(FieldError::forbidden(
                &spec.at(name),
                "when `hostUsers` is false",
            ));
        }
    }
}

fn plain_fields(spec: &Node<'_>, errors: &mut Errors) {
    type Rule = fn(&str) -> Vec<String>;
    let rules: [(&str, Rule); 4] = [
        ("serviceAccountName", names::dns1123_subdomain),
        ("nodeName", names::dns1123_subdomain),
        ("hostname", names::dns1123_label),
        ("subdomain", names::dns1123_label),
    ];
    for (field, rule) in rules {
        if field == "hostname" {
            spec.in_range("activeDeadlineSeconds", 1, i64::from(i32::MAX), errors);
        }
        if !spec.text(field).is_empty() {
            spec.complain(field, rule(spec.text(field)), errors);
        }
    }
    scheduling::tolerations(spec, errors);
    for alias in spec.items("hostAliases") {
        alias.complain("ip", ip(alias.text("ip")), errors);
        for (index, name) in alias.texts("hostnames").iter().enumerate() {
            let path = alias.at("hostnames").index(index);
            errors.extend(invalid(&path, name, names::dns1123_subdomain(name)));
        }
    }
    hostname_override(spec, errors);
    // The runtime class is a pointer upstream: an empty name is one.
    if !spec.text("priorityClassName").is_empty() {
        let complaints = names::dns1123_subdomain(spec.text("priorityClassName"));
        spec.complain("priorityClassName", complaints, errors);
    }
    if spec.has("runtimeClassName") {
        let complaints = names::dns1123_subdomain(spec.text("runtimeClassName"));
        spec.complain("runtimeClassName", complaints, errors);
    }
    if spec.has("preemptionPolicy") {
        spec.needs_one_of(
            "preemptionPolicy",
            &["PreemptLowerPriority", "Never"],
            errors,
        );
    }
    if let Some(amounts) = spec.get("overhead") {
        overhead(&amounts, &amounts.path, errors);
    }
    if let Some(os) = spec.get("os") {
        operating_system(spec, &os, errors);
    }
}

/// Source: `validateHostnameOverride`.
fn hostname_override(spec: &Node<'_>, errors: &mut Errors) {
    const BYTES_MAX: usize = 64;
    if !spec.has("hostnameOverride") {
        return;
    }
    let path = spec.at("hostnameOverride");
    for field in ["setHostnameAsFQDN", "hostNetwork"] {
        if spec.flag(field) {
            let why = format!("may not be specified when {field} is true");
            errors.push(FieldError::forbidden(&path, why));
        }
    }
    let name = spec.text("hostnameOverride");
    if name.len() > BYTES_MAX {
        errors.push(FieldError::too_long(&path, BYTES_MAX));
    }
    spec.complain("hostnameOverride", names::dns1123_subdomain(name), errors);
}

fn operating_system(spec: &Node<'_>, os: &Node<'_>, errors: &mut Errors) {
    match os.text("name") {
        "" => errors.push(FieldError::required(&os.at("name"), "")),
        "linux" => security::for_linux(spec, errors),
        "windows" => security::for_windows(spec, errors),
        other => errors.push(FieldError::not_supported(
            &os.path,
            other,
            &["linux", "windows"],
        )),
    }
}

/// What pods alone must satisfy: image names without blanks, tokens only with a service account.
pub(crate) fn pod_only(spec: &Node<'_>, errors: &mut Errors) {
    if spec.text("serviceAccountName").is_empty() {
        for volume in spec.items("volumes") {
            for source in volume.child("projected").items("sources") {
                if source.has("serviceAccountToken") {
                    let why = "must not be specified when serviceAccountName is not set";
                    errors.push(FieldError::forbidden(
                        &source.at("serviceAccountToken"),
                        why,
                    ));
                }
            }
        }
    }
    for list in ["containers", "initContainers"] {
        for container in spec.items(list) {
            image_blanks(&container, errors);
        }
    }
}

/// Image names have no blanks around them.
pub(crate) fn image_blanks(container: &Node<'_>, errors: &mut Errors) {
    let image = container.text("image");
    if image.trim() != image {
        let why = "must not have leading or trailing whitespace";
        errors.push(FieldError::invalid(&container.at("image"), image, why));
    }
}

/// The path of a spec inside an object.
pub(crate) fn spec_path() -> Path {
    Path::new("spec")
}
