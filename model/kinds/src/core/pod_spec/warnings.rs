//! What a client is warned of about a pod or a pod template. Source: `pkg/api/pod/warnings.go`.

mod overlaps;

use std::collections::{BTreeMap, BTreeSet};

use meta::{Object, ObjectExt as _, Path, names};
use serde_json::Value;

use super::validate::app_armor_profile;
use crate::check::{Node, ip_warning, is_fractional, quantity};

/// Annotations that once meant something.
const ANNOTATIONS: [(&str, &str); 3] = [
    (
        "scheduler.alpha.kubernetes.io/critical-pod",
        r#"non-functional in v1.16+; use the "priorityClassName" field instead"#,
    ),
    (
        "security.alpha.kubernetes.io/sysctls",
        r#"non-functional in v1.11+; use the "sysctls" field instead"#,
    ),
    (
        "security.alpha.kubernetes.io/unsafe-sysctls",
        r#"non-functional in v1.11+; use the "sysctls" field instead"#,
    ),
];

/// Volumes that once worked.
const VOLUMES: [(&str, &str); 9] = [
    (
        "photonPersistentDisk",
        "deprecated in v1.11, non-functional in v1.16+",
    ),
    (
        "gitRepo",
        "deprecated in v1.11, and disabled by default in v1.33+",
    ),
    ("scaleIO", "deprecated in v1.16, non-functional in v1.22+"),
    ("flocker", "deprecated in v1.22, non-functional in v1.25+"),
    ("storageos", "deprecated in v1.22, non-functional in v1.25+"),
    ("quobyte", "deprecated in v1.22, non-functional in v1.25+"),
    ("glusterfs", "deprecated in v1.25, non-functional in v1.26+"),
    ("cephfs", "deprecated in v1.28, non-functional in v1.31+"),
    ("rbd", "deprecated in v1.28, non-functional in v1.31+"),
];

/// Node labels that have better names. Source: `pkg/api/node/util.go`.
const NODE_LABELS: [(&str, &str); 8] = [
    (
        "beta.kubernetes.io/arch",
        r#"deprecated since v1.14; use "kubernetes.io/arch" instead"#,
    ),
    (
        "beta.kubernetes.io/os",
        r#"deprecated since v1.14; use "kubernetes.io/os" instead"#,
    ),
    (
        "failure-domain.beta.kubernetes.io/region",
        r#"deprecated since v1.17; use "topology.kubernetes.io/region" instead"#,
    ),
    (
        "failure-domain.beta.kubernetes.io/zone",
        r#"deprecated since v1.17; use "topology.kubernetes.io/zone" instead"#,
    ),
    (
        "beta.kubernetes.io/instance-type",
        r#"deprecated since v1.17; use "node.kubernetes.io/instance-type" instead"#,
    ),
    ("app.kubernetes.io/created-by", "deprecated since v1.9"),
    (
        "scheduler.alpha.kubernetes.io/preferAvoidPods",
        "deprecated since v1.22; use Taints and Tolerations instead",
    ),
    (
        "node-role.kubernetes.io/master",
        r#"use "node-role.kubernetes.io/control-plane" instead"#,
    ),
];

/// Warnings about a new pod; changes of pods give none.
pub(crate) fn pod(new: &Object, old: Option<&Object>) -> Vec<String> {
    if old.is_some() {
        return Vec::new();
    }
    let mut warnings = name(
        new,
        "the Pod's hostname, which can result in surprising behavior",
    );
    warnings.extend(template(&Node::root(new)));
    warnings
}

/// Warnings about the template of a workload that is new or has a new generation.
pub(crate) fn workload(new: &Object, old: Option<&Object>, at: &[&str]) -> Vec<String> {
    if old.is_some_and(|old| old.generation() == new.generation()) {
        return Vec::new();
    }
    let root = Node::root(new);
    let holder = at.iter().fold(root, |node, name| node.child(name));
    template(&holder)
}

/// The same for workloads whose names end up in the names of pods.
pub(crate) fn named_workload(new: &Object, old: Option<&Object>, at: &[&str]) -> Vec<String> {
    named_workload_with(new, old, at, None)
}

/// Likewise, with what is to be said of the spec, between both.
pub(crate) fn named_workload_with(
    new: &Object,
    old: Option<&Object>,
    at: &[&str],
    of_spec: Option<String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if old.is_none() {
        let what = "Pod names and hostnames, which can result in surprising behavior";
        warnings = name(new, what);
    }
    warnings.extend(of_spec);
    warnings.extend(workload(new, old, at));
    warnings
}

fn name(object: &Object, used_in: &str) -> Vec<String> {
    let complaints = names::dns1123_label(object.name());
    if complaints.is_empty() {
        return Vec::new();
    }
    vec![format!(
        "metadata.name: this is used in {used_in}; a DNS label is recommended: [{}]",
        complaints.join(" ")
    )]
}

/// Warnings about the storage of a claim. Source: `GetWarningsForPersistentVolumeClaimSpec`.
pub(crate) fn claim(spec: &Node<'_>) -> Vec<String> {
    let resources = spec.child("resources");
    ["requests", "limits"]
        .iter()
        .filter_map(|list| whole_bytes(&resources.child(list), "storage"))
        .collect()
}

/// Warnings about the expressions of one term of a node selector.
pub(crate) fn node_term(term: &Node<'_>, checks_values: bool, warnings: &mut Vec<String>) {
    for expression in term.items("matchExpressions") {
        let key = expression.text("key");
        if let Some(why) = node_label(key) {
            warnings.push(format!("{}: {key} is {why}", expression.at("key")));
        }
        for (index, value) in expression.texts("values").into_iter().enumerate() {
            if !checks_values {
                break;
            }
            let path = expression.at("values").index(index);
            for why in names::label_value(value) {
                warnings.push(format!("{path}: {value} is invalid, {why}"));
            }
        }
    }
}

/// What is to be said about a node label.
pub(crate) fn node_label(key: &str) -> Option<&'static str> {
    let mut known = NODE_LABELS.iter();
    known
        .find(|(label, _)| *label == key)
        .map(|(_, words)| *words)
}

/// An amount of bytes must be whole.
fn whole_bytes(amounts: &Node<'_>, name: &str) -> Option<String> {
    let told = amounts.get(name)?.value;
    is_fractional(&quantity(told)).then(|| {
        let path = amounts.path.key(name);
        let amount = told.as_str().unwrap_or_default();
        format!(r#"{path}: fractional byte value "{amount}" is invalid, must be an integer"#)
    })
}

/// Warnings about a pod or a template: something with metadata and spec.
fn template(holder: &Node<'_>) -> Vec<String> {
    let mut warnings = Vec::new();
    let spec = holder.child("spec");
    let annotations = holder.child("metadata").child("annotations");
    scheduling(&spec, &mut warnings);
    for (key, why) in ANNOTATIONS {
        if annotations.has(key) {
            warnings.push(format!("{}: {why}", annotations.path.key(key)));
        }
    }
    for volume in spec.items("volumes") {
        self::volume(&volume, &mut warnings);
    }
    for volume in spec.items("volumes") {
        overlaps::volume(&volume, &mut warnings);
    }
    repeated(&spec, &mut warnings);
    for name in ["memory", "ephemeral-storage"] {
        warnings.extend(whole_bytes(&spec.child("overhead"), name));
    }
    let security = spec.child("securityContext");
    let pod_key = "seccomp.security.alpha.kubernetes.io/pod";
    if !security.has("seccompProfile") {
        warnings.extend(seccomp(&annotations, pod_key));
    }
    let is_template = !holder.path.as_str().is_empty();
    let containers: Vec<Node<'_>> = ["initContainers", "containers", "ephemeralContainers"]
        .iter()
        .flat_map(|list| spec.items(list))
        .collect();
    for container in &containers {
        let own = container.child("securityContext");
        if !own.has("seccompProfile") {
            let key = format!(
                "container.seccomp.security.alpha.kubernetes.io/{}",
                container.text("name")
            );
            warnings.extend(seccomp(&annotations, &key));
        }
        let asked = app_armor(&annotations, container.text("name"), &security);
        // What a pod's annotation asks for was written into its field by now.
        warnings.extend(
            asked
                .filter(|(_, profile)| match own.get("appArmorProfile") {
                    None => is_template || profile.is_none(),
                    Some(own) => !is_template && profile.as_ref() == Some(own.value),
                })
                .map(|(warning, _)| warning),
        );
        self::container(container, &mut warnings);
    }
    ports(&containers, &mut warnings);
    port_names(&containers, &mut warnings);
    if spec
        .int("terminationGracePeriodSeconds")
        .is_some_and(|seconds| seconds < 0)
    {
        warnings.push(format!(
            "{}: must be >= 0; negative values are invalid and will be treated as 1",
            spec.at("terminationGracePeriodSeconds")
        ));
    }
    pod_affinity(&spec, &mut warnings);
    let servers = spec.child("dnsConfig");
    for (index, server) in servers.texts("nameservers").into_iter().enumerate() {
        warnings.extend(ip_warning(&servers.at("nameservers").index(index), server));
    }
    for alias in spec.items("hostAliases") {
        warnings.extend(ip_warning(&alias.at("ip"), alias.text("ip")));
    }
    warnings
}

fn scheduling(spec: &Node<'_>, warnings: &mut Vec<String>) {
    for (key, entry) in spec.entries("nodeSelector") {
        if let Some(why) = node_label(key) {
            warnings.push(format!("{}: {why}", entry.path));
        }
    }
    if let Some(affinity) = spec.get("affinity") {
        node_affinity(&affinity.child("nodeAffinity"), warnings);
    }
    for constraint in spec.items("topologySpreadConstraints") {
        let key = constraint.text("topologyKey");
        if let Some(why) = node_label(key) {
            warnings.push(format!("{}: {key} is {why}", constraint.at("topologyKey")));
        }
        no_selector(&constraint, warnings);
    }
}

fn node_affinity(affinity: &Node<'_>, warnings: &mut Vec<String>) {
    let required = affinity.child("requiredDuringSchedulingIgnoredDuringExecution");
    for term in required.items("nodeSelectorTerms") {
        node_term(&term, false, warnings);
    }
    for term in affinity.items("preferredDuringSchedulingIgnoredDuringExecution") {
        node_term(&term.child("preference"), true, warnings);
    }
}

fn no_selector(holder: &Node<'_>, warnings: &mut Vec<String>) {
    if !holder.has("labelSelector") {
        warnings.push(format!(
            "{}: a null labelSelector results in matching no pod",
            holder.at("labelSelector")
        ));
    }
}

fn pod_affinity(spec: &Node<'_>, warnings: &mut Vec<String>) {
    let Some(affinity) = spec.get("affinity") else {
        return;
    };
    for kind in ["podAffinity", "podAntiAffinity"] {
        let affinity = affinity.child(kind);
        for term in affinity.items("requiredDuringSchedulingIgnoredDuringExecution") {
            no_selector(&term, warnings);
        }
        for term in affinity.items("preferredDuringSchedulingIgnoredDuringExecution") {
            no_selector(&term.child("podAffinityTerm"), warnings);
        }
    }
}

fn volume(volume: &Node<'_>, warnings: &mut Vec<String>) {
    for (source, why) in VOLUMES {
        if source == "cephfs"
            && let Some(ephemeral) = volume.get("ephemeral")
        {
            let template = ephemeral.child("volumeClaimTemplate");
            warnings.extend(claim(&template.child("spec")));
        }
        if volume.has(source) {
            warnings.push(format!("{}: {why}", source_path(volume, source)));
        }
    }
}

/// What is to be said about a source of storage.
pub(crate) fn deprecated_source(holder: &Node<'_>, source: &str) -> Option<String> {
    let (_, why) = VOLUMES.iter().find(|(name, _)| *name == source)?;
    Some(format!("{}: {why}", source_path(holder, source)))
}

/// Upstream spells one of these its own way.
fn source_path(holder: &Node<'_>, source: &str) -> Path {
    holder.at(if source == "storageos" {
        "storageOS"
    } else {
        source
    })
}

fn repeated(spec: &Node<'_>, warnings: &mut Vec<String>) {
    for (list, field) in [("hostAliases", "ip"), ("imagePullSecrets", "name")] {
        let mut seen = BTreeSet::new();
        for item in spec.items(list) {
            if !seen.insert(item.text(field)) {
                let path = item.at(field);
                warnings.push(format!("{path}: duplicate {field} {:?}", item.text(field)));
            }
        }
    }
    for item in spec.items("imagePullSecrets") {
        if item.text("name").is_empty() {
            warnings.push(format!(r#"{}: invalid empty name """#, item.at("name")));
        }
    }
}

fn seccomp(annotations: &Node<'_>, key: &str) -> Option<String> {
    annotations.has(key).then(|| {
        let path = annotations.path.key(key);
        format!(r#"{path}: non-functional in v1.27+; use the "seccompProfile" field instead"#)
    })
}

/// The warning about an annotation that asks for another profile than the pod's, and that profile.
fn app_armor(
    annotations: &Node<'_>,
    container: &str,
    security: &Node<'_>,
) -> Option<(String, Option<Value>)> {
    let key = format!("container.apparmor.security.beta.kubernetes.io/{container}");
    let profile = app_armor_profile(annotations.get(&key)?.value.as_str()?);
    if profile.as_ref() == Some(security.child("appArmorProfile").value) {
        return None;
    }
    let path = annotations.path.key(&key);
    let warning =
        format!(r#"{path}: deprecated since v1.30; use the "appArmorProfile" field instead"#);
    Some((warning, profile))
}

fn container(container: &Node<'_>, warnings: &mut Vec<String>) {
    let resources = container.child("resources");
    for name in ["memory", "ephemeral-storage"] {
        for list in ["limits", "requests"] {
            let amounts = resources.get(list);
            warnings.extend(amounts.and_then(|amounts| whole_bytes(&amounts, name)));
        }
    }
    let mut seen = BTreeSet::new();
    for variable in container.items("env") {
        let name = variable.text("name");
        if seen.insert(name) {
            continue;
        }
        // A later value may build on an earlier one.
        let reference = format!("$({name})");
        let value = variable.text("value");
        let builds_on_it = value.contains(&reference) && value != reference;
        if variable.has("valueFrom") || !builds_on_it {
            warnings.push(format!(
                "{}: hides previous definition of {name:?}, which may be dropped when using apply",
                variable.path
            ));
        }
    }
}

fn ports(containers: &[Node<'_>], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<String, Vec<(Path, &str, i64)>> = BTreeMap::new();
    for port in containers.iter().flat_map(|one| one.items("ports")) {
        let number = port.int("containerPort").unwrap_or_default();
        let protocol = port.text("protocol");
        let (address, on_host) = (
            port.text("hostIP"),
            port.int("hostPort").unwrap_or_default(),
        );
        if !address.is_empty() && on_host == 0 {
            let name = port.text("name");
            warnings.push(format!(
                "{}: hostIP set without hostPort: {{Name:{name} HostPort:0 ContainerPort:{number} \
                 Protocol:{protocol} HostIP:{address}}}",
                port.path
            ));
        }
        let others = known.entry(format!("{number}/{protocol}")).or_default();
        for (path, other_address, other_on_host) in others.iter() {
            let what = if address == *other_address && on_host == *other_on_host {
                "duplicate"
            } else if on_host == 0 || *other_on_host == 0 {
                "overlapping"
            } else if on_host == *other_on_host && address.is_empty() != other_address.is_empty() {
                "dangerously ambiguous"
            } else {
                continue;
            };
            warnings.push(format!("{}: {what} port definition with {path}", port.path));
        }
        others.push((port.path.clone(), address, on_host));
    }
}

fn port_names(containers: &[Node<'_>], warnings: &mut Vec<String>) {
    let mut known: BTreeMap<&str, Path> = BTreeMap::new();
    for port in containers.iter().flat_map(|one| one.items("ports")) {
        let name = port.text("name");
        if name.is_empty() {
            continue;
        }
        if let Some(other) = known.get(name) {
            warnings.push(format!(
                "{}: duplicate port name {name:?} with {other}, services and probes that select ports by name will use {other}",
                port.path
            ));
        } else {
            known.insert(name, port.path.clone());
        }
    }
}
