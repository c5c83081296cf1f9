//! What is wrong with ingresses and network policies. Source: pkg/apis/networking/validation.

use meta::{FieldError, Object, ObjectExt as _, Path, names};

use crate::check::{Cidr, Errors, Node, cidr, label_selector, parse_ip, port_or_name};

const PATH_TYPES: [&str; 3] = ["Exact", "ImplementationSpecific", "Prefix"];
const BAD_SEQUENCES: [&str; 5] = ["//", "/./", "/../", "%2f", "%2F"];
const BAD_ENDS: [&str; 2] = ["/..", "/."];

/// Source: `ValidateIngressCreate`.
pub(super) fn ingress(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    if !spec.has_items("rules") && !spec.has("defaultBackend") {
        let why = "either `defaultBackend` or `rules` must be specified";
        // Upstream shows the rules, of which a list without any is one.
        let rules = spec.child("rules").value.clone();
        errors.push(FieldError::invalid(&spec.path, rules, why));
    }
    if let Some(backend) = spec.get("defaultBackend") {
        self::backend(&backend, errors);
    }
    for rule in spec.items("rules") {
        host(&rule, errors);
        if let Some(http) = rule.get("http") {
            paths(&http, errors);
        }
    }
    for tls in spec.items("tls") {
        for (index, name) in tls.texts("hosts").iter().enumerate() {
            let path = tls.at("hosts").index(index);
            errors.extend(crate::metadata::invalid(&path, name, host_name(name)));
        }
        if !tls.text("secretName").is_empty() {
            tls.complain(
                "secretName",
                names::dns1123_subdomain(tls.text("secretName")),
                errors,
            );
        }
    }
    if spec.has("ingressClassName") {
        spec.complain(
            "ingressClassName",
            names::dns1123_subdomain(spec.text("ingressClassName")),
            errors,
        );
    }
    let mark = object.annotation("kubernetes.io/ingress.class");
    if let Some(mark) =
        mark.filter(|mark| spec.has("ingressClassName") && *mark != spec.text("ingressClassName"))
    {
        let path = Path::new("annotations").child("kubernetes.io/ingress.class");
        let why = "must match `ingressClassName` when both are specified";
        errors.push(FieldError::invalid(&path, mark, why));
    }
}

fn host_name(name: &str) -> Vec<String> {
    if !name.contains('*') {
        return names::dns1123_subdomain(name);
    }
    let rest = name.strip_prefix("*.");
    if rest.is_some_and(|rest| names::dns1123_subdomain(rest).is_empty()) {
        return Vec::new();
    }
    let words = "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character";
    let regex = r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
    vec![names::regex_error(words, regex, &["*.example.com"])]
}

fn host(rule: &Node<'_>, errors: &mut Errors) {
    let name = rule.text("host");
    if name.is_empty() {
        return;
    }
    if parse_ip(name).is_some() {
        let why = "must be a DNS name, not an IP address";
        errors.push(FieldError::invalid(&rule.at("host"), name, why));
    }
    rule.complain("host", host_name(name), errors);
}

fn paths(http: &Node<'_>, errors: &mut Errors) {
    if !http.has_items("paths") {
        errors.push(FieldError::required(&http.at("paths"), ""));
    }
    for item in http.items("paths") {
        let text = item.text("path");
        let path = item.at("path");
        match item.text("pathType") {
            "" if !item.has("pathType") => {
                let why = "pathType must be specified";
                errors.push(FieldError::required(&item.at("pathType"), why));
                continue;
            }
            "Exact" | "Prefix" => {
                if !text.starts_with('/') {
                    errors.push(FieldError::invalid(&path, text, "must be an absolute path"));
                }
                for bad in BAD_SEQUENCES {
                    if text.contains(bad) {
                        errors.push(FieldError::invalid(
                            &path,
                            text,
                            format!("must not contain '{bad}'"),
                        ));
                    }
                }
                for bad in BAD_ENDS {
                    if text.ends_with(bad) {
                        errors.push(FieldError::invalid(
                            &path,
                            text,
                            format!("cannot end with '{bad}'"),
                        ));
                    }
                }
            }
            "ImplementationSpecific" => {
                if !text.is_empty() && !text.starts_with('/') {
                    errors.push(FieldError::invalid(&path, text, "must be an absolute path"));
                }
            }
            other => errors.push(FieldError::not_supported(
                &item.at("pathType"),
                other,
                &PATH_TYPES,
            )),
        }
        backend(&item.child("backend"), errors);
    }
}

fn backend(backend: &Node<'_>, errors: &mut Errors) {
    let service = backend.get("service");
    match (&service, backend.get("resource")) {
        (Some(_), Some(_)) => {
            let why = "cannot set both resource and service backends";
            errors.push(FieldError::invalid(&backend.path, "", why));
        }
        (None, None) => {
            let why = "resource or service backend is required";
            errors.push(FieldError::invalid(&backend.path, "", why));
        }
        (None, Some(resource)) => {
            if resource.has("apiGroup") {
                let group = names::dns1123_subdomain(resource.text("apiGroup"));
                resource.complain("apiGroup", group, errors);
            }
            for field in ["kind", "name"] {
                match resource.text(field) {
                    "" => resource.needs(field, errors),
                    text => resource.complain(field, names::path_segment(text), errors),
                }
            }
        }
        (Some(service), None) => {
            let name = service.text("name");
            if name.is_empty() {
                service.needs("name", errors);
            } else {
                service.complain("name", names::dns1123_label(name), errors);
            }
            let port = service.child("port");
            let number = port.int("number").unwrap_or_default();
            match (port.text("name"), number) {
                ("", 0) => {
                    let why = "port name or number is required";
                    errors.push(FieldError::required(&backend.path, why));
                }
                ("", _) => port_or_name(&port, "number", errors),
                (name, 0) => port.complain("name", names::port_name(name), errors),
                _ => {
                    let why = "cannot set both port name & port number";
                    errors.push(FieldError::invalid(&backend.path, "", why));
                }
            }
        }
    }
}

/// Both ways of the traffic: where their rules stand, and the peers of one.
const DIRECTIONS: [(&str, &str); 2] = [("ingress", "from"), ("egress", "to")];

/// The blocks of addresses in a policy.
pub(super) fn blocks(policy: &Object) -> Vec<Node<'_>> {
    let spec = Node::root(policy).child("spec");
    let mut blocks = Vec::new();
    for (rules, peers) in DIRECTIONS {
        for rule in spec.items(rules) {
            let peers = rule.items(peers).into_iter();
            blocks.extend(peers.filter_map(|peer| peer.get("ipBlock")));
        }
    }
    blocks
}

/// A policy as it stands. Blocks that the old one had anywhere may be of older rules.
///
/// Source: `ValidateNetworkPolicySpec`, `ValidateNetworkPolicyUpdate`.
pub(super) fn network_policy(object: &Object, old: Option<&Object>, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let known = old.map(blocks).unwrap_or_default().into_iter();
    let known: Vec<&str> = known
        .flat_map(|block| {
            let except = block.texts("except");
            std::iter::once(block.text("cidr")).chain(except)
        })
        .collect();
    label_selector(&spec.child("podSelector"), errors);
    for (rules, peers) in DIRECTIONS {
        for rule in spec.items(rules) {
            for port in rule.items("ports") {
                policy_port(&port, errors);
            }
            for peer in rule.items(peers) {
                policy_peer(&peer, &known, errors);
            }
        }
    }
    let types = spec.child("policyTypes");
    let listed = spec.texts("policyTypes");
    if listed.len() > 2 {
        let why = "may not specify more than two policyTypes";
        errors.push(FieldError::invalid(&types.path, types.value.clone(), why));
        return;
    }
    for (index, name) in listed.iter().enumerate() {
        if !matches!(*name, "Ingress" | "Egress") {
            let path = types.path.index(index);
            errors.push(FieldError::not_supported(
                &path,
                *name,
                &["Ingress", "Egress"],
            ));
        }
    }
}

fn policy_port(port: &Node<'_>, errors: &mut Errors) {
    if port.has("protocol") {
        port.one_of("protocol", &["TCP", "UDP", "SCTP"], errors);
    }
    let last = port.int("endPort");
    let path = port.at("endPort");
    if !port.has("port") {
        if let Some(last) = last {
            let why = "may not be specified when `port` is not specified";
            errors.push(FieldError::invalid(&path, last, why));
        }
        return;
    }
    match (port.int("port"), last) {
        (None, Some(last)) => {
            let why = "may not be specified when `port` is non-numeric";
            errors.push(FieldError::invalid(&path, last, why));
            port_or_name(port, "port", errors);
        }
        (first, last) => {
            port_or_name(port, "port", errors);
            if let Some((first, last)) = first.zip(last) {
                if last < first {
                    let why = "must be greater than or equal to `port`";
                    errors.push(FieldError::invalid(&path, first, why));
                }
                port_or_name(port, "endPort", errors);
            }
        }
    }
}

fn policy_peer(peer: &Node<'_>, known: &[&str], errors: &mut Errors) {
    let mut count = 0;
    for field in ["podSelector", "namespaceSelector"] {
        if let Some(selector) = peer.get(field) {
            count += 1;
            label_selector(&selector, errors);
        }
    }
    if let Some(block) = peer.get("ipBlock") {
        count += 1;
        ip_block(&block, known, errors);
    }
    if count == 0 {
        errors.push(FieldError::required(&peer.path, "must specify a peer"));
    } else if count > 1 && peer.has("ipBlock") {
        let why = "may not specify both ipBlock and another peer";
        errors.push(FieldError::forbidden(&peer.path, why));
    }
}

fn ip_block(block: &Node<'_>, known: &[&str], errors: &mut Errors) {
    let wrong = |text: &str| {
        if known.contains(&text) {
            Vec::new()
        } else {
            cidr(text)
        }
    };
    let outer = block.text("cidr");
    if outer.is_empty() {
        block.needs("cidr", errors);
        return;
    }
    block.complain("cidr", wrong(outer), errors);
    let Some(outer) = Cidr::parse(outer) else {
        return;
    };
    for (index, except) in block.texts("except").iter().enumerate() {
        let path = block.at("except").index(index);
        errors.extend(crate::metadata::invalid(&path, except, wrong(except)));
        let is_inside = |inner: Cidr| outer.bits < inner.bits && outer.covers(&inner);
        if Cidr::parse(except).is_some_and(|inner| !is_inside(inner)) {
            let why = "must be a strict subset of `cidr`";
            errors.push(FieldError::invalid(&path, *except, why));
        }
    }
}

/// Source: `validateIngressClassSpec`.
pub(super) fn ingress_class(object: &Object, errors: &mut Errors) {
    const CONTROLLER_BYTES_MAX: usize = 250;
    let spec = Node::root(object).child("spec");
    let controller = spec.text("controller");
    if controller.len() > CONTROLLER_BYTES_MAX {
        errors.push(FieldError::too_long(
            &spec.at("controller"),
            CONTROLLER_BYTES_MAX,
        ));
    }
    domain_path(&spec, "controller", errors);
    let Some(parameters) = spec.get("parameters") else {
        return;
    };
    if parameters.has("apiGroup") {
        let group = parameters.text("apiGroup");
        parameters.complain("apiGroup", names::dns1123_subdomain(group), errors);
    }
    for field in ["kind", "name"] {
        if parameters.text(field).is_empty() {
            parameters.needs(field, errors);
        } else {
            parameters.complain(field, names::path_segment(parameters.text(field)), errors);
        }
    }
    if parameters.has("namespace") && parameters.text("scope") == "Namespace" {
        let namespace = parameters.text("namespace");
        parameters.complain("namespace", names::dns1123_label(namespace), errors);
    }
    match parameters.text("scope") {
        "" if !parameters.has("scope") => {
            errors.push(FieldError::required(&parameters.at("scope"), ""));
        }
        "Namespace" if !parameters.has("namespace") => {
            let why = "`parameters.scope` is set to 'Namespace'";
            errors.push(FieldError::required(&parameters.at("namespace"), why));
        }
        "Cluster" if parameters.has("namespace") => {
            let why = "`parameters.scope` is set to 'Cluster'";
            errors.push(FieldError::forbidden(&parameters.at("namespace"), why));
        }
        "Namespace" | "Cluster" => {}
        _ => parameters.one_of("scope", &["Cluster", "Namespace"], errors),
    }
}

/// A name such as `example.com/controller`. Source: `IsDomainPrefixedPath`.
pub(crate) fn domain_path(holder: &Node<'_>, field: &str, errors: &mut Errors) {
    let text = holder.text(field);
    let path = holder.at(field);
    if text.is_empty() {
        errors.push(FieldError::required(&path, ""));
        return;
    }
    let Some((domain, rest)) = text
        .split_once('/')
        .filter(|(domain, rest)| !domain.is_empty() && !rest.is_empty())
    else {
        let why = "must be a domain-prefixed path (such as \"acme.io/foo\")";
        errors.push(FieldError::invalid(&path, text, why));
        return;
    };
    errors.extend(crate::metadata::invalid(
        &path,
        domain,
        names::dns1123_subdomain(domain),
    ));
    let is_fine = |b: u8| b.is_ascii_alphanumeric() || b"/-._~%!$&'()*+,;=:".contains(&b);
    if !rest.bytes().all(is_fine) {
        let why = names::regex_error("Invalid path", r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+", &[]);
        errors.push(FieldError::invalid(&path, rest, why));
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn resources_of_backends_are_named_as_such() {
        let said = |resource: serde_json::Value| {
            let mut errors = Errors::new();
            let held = json!({"resource": resource});
            backend(&Node::root(&held), &mut errors);
            let texts = errors.iter().map(|error| error.field.clone());
            texts.collect::<Vec<String>>()
        };
        assert_eq!(
            said(json!({"apiGroup": "a.b", "kind": "K", "name": "n"})),
            [""; 0]
        );
        assert_eq!(
            said(json!({"apiGroup": "A", "kind": "a/b"})),
            ["resource.apiGroup", "resource.kind", "resource.name"]
        );
    }
}
