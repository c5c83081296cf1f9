//! Webhooks and policies of admission: the kinds of `admissionregistration.k8s.io`.

mod condition;
mod expression;
mod policy;
mod url;
mod webhook;

use serde_json::{Value, json};

use crate::defaults::Rule;
use crate::edit::Edit as _;
use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "admissionregistration.k8s.io",
    version: "v1",
    types: "io.k8s.api.admissionregistration.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "MutatingAdmissionPolicy",
            "mutatingadmissionpolicies",
            Checked::new(&print::policy::MUTATING_POLICY, policy::mutating)
                .changes(policy::changed_mutating)
                .fixed()
                .counted(),
        )
        .category("api-extensions")
        .build(),
        V1.cluster(
            "MutatingAdmissionPolicyBinding",
            "mutatingadmissionpolicybindings",
            Checked::new(&print::policy::POLICY_BINDING, policy::mutating_binding).counted(),
        )
        .category("api-extensions")
        .build(),
        V1.cluster(
            "MutatingWebhookConfiguration",
            "mutatingwebhookconfigurations",
            Checked::new(&print::policy::WEBHOOKS, webhook::check)
                .changes(webhook::changed)
                .fixed()
                .counting_empty(),
        )
        .category("api-extensions")
        .build(),
        V1.cluster(
            "ValidatingAdmissionPolicy",
            "validatingadmissionpolicies",
            Checked::new(&print::policy::VALIDATING_POLICY, policy::validating)
                .changes(policy::changed_validating)
                .fixed()
                .counted(),
        )
        .category("api-extensions")
        .status()
        .build(),
        V1.cluster(
            "ValidatingAdmissionPolicyBinding",
            "validatingadmissionpolicybindings",
            Checked::new(&print::policy::POLICY_BINDING, policy::validating_binding).counted(),
        )
        .category("api-extensions")
        .build(),
        V1.cluster(
            "ValidatingWebhookConfiguration",
            "validatingwebhookconfigurations",
            Checked::new(&print::policy::WEBHOOKS, webhook::check)
                .changes(webhook::changed)
                .fixed()
                .counting_empty(),
        )
        .category("api-extensions")
        .build(),
    ]
}

/// The rule of a struct of this group, by its Go name.
pub(crate) fn default_rule(name: &str) -> Option<Rule> {
    Some(match name {
        "ValidatingWebhook" => webhook,
        "MutatingWebhook" => |hook| {
            webhook(hook);
            hook.default_unset("reinvocationPolicy", "Never");
        },
        "RuleWithOperations" | "Rule" | "NamedRuleWithOperations" => {
            |rule| rule.default_unset("scope", "*")
        }
        "ServiceReference" => |service| service.default_to("port", 443),
        "ValidatingAdmissionPolicySpec" | "MutatingAdmissionPolicySpec" => {
            |spec| spec.default_unset("failurePolicy", "Fail")
        }
        "MatchResources" => match_resources,
        _ => return None,
    })
}

fn webhook(hook: &mut Value) {
    hook.default_unset("failurePolicy", "Fail");
    match_resources(hook);
    hook.default_to("timeoutSeconds", 10);
}

fn match_resources(rule: &mut Value) {
    rule.default_unset("matchPolicy", "Equivalent");
    rule.default_to("namespaceSelector", json!({}));
    rule.default_to("objectSelector", json!({}));
}
