//! Flow schemas and priority levels. Source: pkg/apis/flowcontrol/validation.

use meta::{FieldError, Object, ObjectExt as _, names};
use serde_json::Value;

use super::mandatory;
use crate::check::{Errors, Node};

const DISTINGUISHER: &str = "io.k8s.api.flowcontrol.v1.FlowDistinguisherMethod";
const SCHEMA_SPEC: &str = "io.k8s.api.flowcontrol.v1.FlowSchemaSpec";
const LEVEL_SPEC: &str = "io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec";
const METHODS: [&str; 2] = ["ByNamespace", "ByUser"];
const PRECEDENCE_MAX: i64 = 10_000;
/// Bits of the hash that deals hands. Source: `shufflesharding.MaxHashBits`.
const HASH_BITS_MAX: u32 = 60;
const QUEUES_MAX: i64 = 10_000_000;

/// A FlowSchema.
pub(super) fn flow_schema(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let precedence = spec.int("matchingPrecedence").unwrap_or_default();
    let path = spec.at("matchingPrecedence");
    if precedence <= 0 {
        errors.push(FieldError::invalid(
            &path,
            precedence,
            "must be a positive value",
        ));
    }
    if precedence > PRECEDENCE_MAX {
        let why = format!("must not be greater than {PRECEDENCE_MAX}");
        errors.push(FieldError::invalid(&path, precedence, why));
    }
    if precedence == 1 && object.name() != "exempt" {
        let why = "only the schema named 'exempt' may have matchingPrecedence 1";
        errors.push(FieldError::invalid(&path, precedence, why));
    }
    if let Some(method) = spec.get("distinguisherMethod")
        && !METHODS.contains(&method.text("type"))
    {
        // Upstream shows the whole method.
        let mut error = FieldError::not_supported(&method.at("type"), Value::Null, &METHODS);
        error.shown = crate::schema::internal::named(DISTINGUISHER, method.value);
        errors.push(error);
    }
    let level = spec.child("priorityLevelConfiguration");
    if level.text("name").is_empty() {
        let why = "must reference a priority level";
        errors.push(FieldError::required(&level.at("name"), why));
    } else {
        level.complain("name", names::dns1123_subdomain(level.text("name")), errors);
    }
    for rule in spec.items("rules") {
        self::rule(&rule, errors);
    }
    if let Some(fixed) = mandatory::flow_schema(object.name())
        && *spec.value != fixed
    {
        let why = format!("spec of '{}' must equal the fixed value", object.name());
        errors.push(differs(&spec, SCHEMA_SPEC, why));
    }
}

/// A spec that may not be another. Upstream shows all of it.
fn differs(spec: &Node<'_>, definition: &str, why: String) -> FieldError {
    let mut error = FieldError::invalid(&spec.path, Value::Null, why);
    error.shown = crate::schema::internal::named(definition, spec.value);
    error
}

fn rule(rule: &Node<'_>, errors: &mut Errors) {
    if !rule.has_items("subjects") {
        let why = "subjects must contain at least one value";
        errors.push(FieldError::required(&rule.at("subjects"), why));
    }
    for subject in rule.items("subjects") {
        self::subject(&subject, errors);
    }
    if !rule.has_items("resourceRules") && !rule.has_items("nonResourceRules") {
        let why = "at least one of resourceRules and nonResourceRules has to be non-empty";
        errors.push(FieldError::required(&rule.path, why));
    }
    for policy in rule.items("resourceRules") {
        resource_rule(&policy, errors);
    }
    for policy in rule.items("nonResourceRules") {
        verbs(&policy, errors);
        let (field, urls) = ("nonResourceURLs", policy.texts("nonResourceURLs"));
        if urls.is_empty() {
            let why = "nonResourceURLs must contain at least one value";
            errors.push(FieldError::required(&policy.at(field), why));
        } else {
            alone(&policy, field, "non-resource URLs", errors);
        }
        if !urls.contains(&"*") {
            for url in policy.items(field) {
                let text = url.value.as_str().unwrap_or_default();
                if let Some(why) = bad_url(text) {
                    errors.push(FieldError::invalid(&url.path, text, why));
                }
            }
        }
    }
}

/// Source: `ValidateNonResourceURLPath`.
fn bad_url(url: &str) -> Option<&'static str> {
    let stars = url.matches('*').count();
    match url {
        "" => Some("must not be empty"),
        "/" => None,
        _ if !url.starts_with('/') => Some("must start with slash"),
        _ if url.contains(' ') => Some("must not contain white-space"),
        _ if url.contains("//") => Some("must not contain double slash"),
        _ if stars > 1 || (stars == 1 && !url.ends_with("/*")) => {
            Some("wildcard can only do suffix matching")
        }
        _ => None,
    }
}

/// Kinds of subjects, with the field that says more. Source: `ValidateFlowSchemaSubject`.
const SUBJECTS: [(&str, &str); 3] = [
    ("ServiceAccount", "serviceAccount"),
    ("User", "user"),
    ("Group", "group"),
];

fn subject(subject: &Node<'_>, errors: &mut Errors) {
    let kind = subject.text("kind");
    let Some((_, field)) = SUBJECTS.iter().find(|(known, _)| *known == kind) else {
        subject.one_of("kind", &["Group", "ServiceAccount", "User"], errors);
        return;
    };
    match subject.get(field) {
        None => {
            let why = format!("{field} is required when subject kind is '{kind}'");
            errors.push(FieldError::required(&subject.at(field), why));
        }
        Some(holder) if kind == "ServiceAccount" => service_account(&holder, errors),
        Some(holder) => holder.needs("name", errors),
    }
    for (other, field) in SUBJECTS {
        if other != kind && subject.has(field) {
            let why = format!("{field} is forbidden when subject kind is not '{other}'");
            errors.push(FieldError::forbidden(&subject.at(field), why));
        }
    }
}

fn service_account(holder: &Node<'_>, errors: &mut Errors) {
    match holder.text("name") {
        "" => holder.needs("name", errors),
        "*" => {}
        name => holder.complain("name", names::dns1123_subdomain(name), errors),
    }
    match holder.text("namespace") {
        "" => {
            let why = "must specify namespace for service account";
            errors.push(FieldError::required(&holder.at("namespace"), why));
        }
        namespace => holder.complain("namespace", names::dns1123_label(namespace), errors),
    }
}

/// Source: `ValidateFlowSchemaResourcePolicyRule`.
fn resource_rule(policy: &Node<'_>, errors: &mut Errors) {
    verbs(policy, errors);
    for (field, one, many) in [
        ("apiGroups", "api group", "api groups"),
        ("resources", "resource", "resources"),
    ] {
        if policy.has_items(field) {
            alone(policy, field, many, errors);
        } else {
            let why = format!("resource rules must supply at least one {one}");
            errors.push(FieldError::required(&policy.at(field), why));
        }
    }
    let namespaces = policy.texts("namespaces");
    let path = policy.at("namespaces");
    if namespaces.is_empty() && !policy.flag("clusterScope") {
        let why = "resource rules that are not cluster scoped must supply at least one namespace";
        errors.push(FieldError::required(&path, why));
    } else if namespaces.contains(&"*") {
        alone(policy, "namespaces", "namespaces", errors);
    } else {
        for (index, namespace) in namespaces.iter().enumerate() {
            for why in names::dns1123_label(namespace) {
                let why =
                    format!("each member of this list must be '*' or a DNS-1123 label; {why}");
                errors.push(FieldError::invalid(&path.index(index), *namespace, why));
            }
        }
    }
}

/// Source: apiserver's list of verbs that a request can have.
const VERBS: [&str; 9] = [
    "create",
    "delete",
    "deletecollection",
    "get",
    "list",
    "patch",
    "proxy",
    "update",
    "watch",
];

fn verbs(policy: &Node<'_>, errors: &mut Errors) {
    let verbs = policy.texts("verbs");
    let list = policy.child("verbs");
    if verbs.is_empty() {
        let why = "verbs must contain at least one value";
        errors.push(FieldError::required(&list.path, why));
    } else if verbs.contains(&"*") {
        alone(policy, "verbs", "verbs", errors);
    } else if !verbs.iter().all(|verb| VERBS.contains(verb)) {
        errors.push(FieldError::not_supported(
            &list.path,
            list.value.clone(),
            &VERBS,
        ));
    }
}

/// A star stands alone.
fn alone(policy: &Node<'_>, field: &str, what: &str, errors: &mut Errors) {
    let items = policy.texts(field);
    if items.len() > 1 && items.contains(&"*") {
        let list = policy.child(field);
        let why = format!("if '*' is present, must not specify other {what}");
        errors.push(FieldError::invalid(&list.path, list.value.clone(), why));
    }
}

/// A PriorityLevelConfiguration.
pub(super) fn priority_level(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let kind = spec.text("type");
    if (object.name() == "exempt") != (kind == "Exempt") {
        let why = "must be 'Exempt' if and only if `name` is 'exempt'";
        errors.push(FieldError::invalid(&spec.at("type"), kind, why));
    }
    match kind {
        "Exempt" => {
            if spec.has("limited") {
                let why = "must be nil if the type is not Limited";
                errors.push(FieldError::forbidden(&spec.at("limited"), why));
            }
            let exempt = spec.child("exempt");
            shares(&exempt, errors);
            exempt.in_range("lendablePercent", 0, 100, errors);
        }
        "Limited" => {
            if spec.has("exempt") {
                let why = "must be nil if the type is Limited";
                errors.push(FieldError::forbidden(&spec.at("exempt"), why));
            }
            match spec.get("limited") {
                None => {
                    let why = "must not be empty when type is Limited";
                    errors.push(FieldError::required(&spec.at("limited"), why));
                }
                Some(limited) => self::limited(&limited, errors),
            }
        }
        other => errors.push(FieldError::not_supported(
            &spec.at("type"),
            other,
            &["Exempt", "Limited"],
        )),
    }
    fixed_level(object.name(), &spec, errors);
}

/// Levels that are always there are as they are; how large the exempt one is may be chosen.
fn fixed_level(name: &str, spec: &Node<'_>, errors: &mut Errors) {
    let Some(fixed) = mandatory::priority_level(name) else {
        return;
    };
    let mut bare = spec.value.clone();
    let mut except = "";
    if name == "exempt" {
        bare.remove(&["exempt"]);
        except = " except the 'spec.exempt' field";
    }
    if bare != fixed {
        let why = format!("spec of '{name}'{except} must equal the fixed value");
        errors.push(differs(spec, LEVEL_SPEC, why));
    }
}

fn shares(level: &Node<'_>, errors: &mut Errors) {
    let field = "nominalConcurrencyShares";
    if let Some(shares) = level.int(field).filter(|shares| *shares < 0) {
        let why = "must be a non-negative integer";
        errors.push(FieldError::invalid(&level.at(field), shares, why));
    }
}

fn limited(limited: &Node<'_>, errors: &mut Errors) {
    shares(limited, errors);
    let response = limited.child("limitResponse");
    match (response.text("type"), response.get("queuing")) {
        ("Reject", Some(queuing)) => {
            let why = "must be nil if limited.limitResponse.type is not Limited";
            errors.push(FieldError::forbidden(&queuing.path, why));
        }
        ("Reject", None) => {}
        ("Queue", None) => {
            let why = "must not be empty if limited.limitResponse.type is Limited";
            errors.push(FieldError::required(&response.at("queuing"), why));
        }
        ("Queue", Some(queuing)) => self::queuing(&queuing, errors),
        (other, _) => errors.push(FieldError::not_supported(
            &response.at("type"),
            other,
            &["Queue", "Reject"],
        )),
    }
    limited.in_range("lendablePercent", 0, 100, errors);
    if let Some(percent) = limited
        .int("borrowingLimitPercent")
        .filter(|percent| *percent < 0)
    {
        let why = "if specified, must be a non-negative integer";
        errors.push(FieldError::invalid(
            &limited.at("borrowingLimitPercent"),
            percent,
            why,
        ));
    }
}

fn queuing(queuing: &Node<'_>, errors: &mut Errors) {
    let number = |field: &str| queuing.int(field).unwrap_or_default();
    let queues = number("queues");
    for (field, most, why) in [
        ("queueLengthLimit", i64::MAX, String::new()),
        (
            "queues",
            QUEUES_MAX,
            format!("must not be greater than {QUEUES_MAX}"),
        ),
        (
            "handSize",
            queues,
            format!("should not be greater than queues ({queues})"),
        ),
    ] {
        let value = number(field);
        if value <= 0 {
            errors.push(FieldError::invalid(
                &queuing.at(field),
                value,
                "must be positive",
            ));
        } else if value > most {
            errors.push(FieldError::invalid(&queuing.at(field), value, why));
        } else if field == "handSize" && needs_more_entropy(queues, value) {
            let why = format!(
                "required entropy bits of deckSize {queues} and handSize {value} should not be greater than {HASH_BITS_MAX}"
            );
            errors.push(FieldError::invalid(&queuing.at(field), value, why));
        }
    }
}

/// Whether a hand cannot be dealt from one hash: as many bits as the logarithm of the deck to the base of two, for each card.
///
/// Source: `shufflesharding.RequiredEntropyBits`.
fn needs_more_entropy(deck: i64, hand: i64) -> bool {
    let hands = u32::try_from(hand)
        .ok()
        .and_then(|hand| i128::from(deck).checked_pow(hand));
    hands.is_none_or(|hands| hands > 1 << HASH_BITS_MAX)
}

#[cfg(test)]
mod tests {
    use super::{bad_url, needs_more_entropy};

    #[test]
    fn hands_are_dealt_from_one_hash() {
        assert!(!needs_more_entropy(32768, 4));
        assert!(needs_more_entropy(32769, 4));
        assert!(needs_more_entropy(10_000_000, 10_000_000));
    }

    #[test]
    fn urls_end_with_their_star() {
        for good in ["/", "/healthz", "/healthz/*"] {
            assert_eq!(bad_url(good), None, "{good}");
        }
        assert_eq!(bad_url("x"), Some("must start with slash"));
        assert_eq!(bad_url("/a//b"), Some("must not contain double slash"));
        for bad in ["/*/a", "/a*", "/*/*"] {
            assert_eq!(bad_url(bad), Some("wildcard can only do suffix matching"));
        }
    }
}
