//! The tables of admission policies and of fairness between requests.

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::{AGE, Col, EVERYTHING, NAME, Printer, age, count, number, text_or};
use crate::kind::Cell;

/// FlowSchemas.
pub(crate) static FLOW_SCHEMA: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "PriorityLevel",
            "string",
            "@io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationReference.name",
            0,
        ),
        Col(
            "MatchingPrecedence",
            "string",
            "@io.k8s.api.flowcontrol.v1.FlowSchemaSpec.matchingPrecedence",
            0,
        ),
        Col(
            "DistinguisherMethod",
            "string",
            "@io.k8s.api.flowcontrol.v1.FlowSchemaSpec.distinguisherMethod",
            0,
        ),
        AGE,
        Col(
            "MissingPL",
            "string",
            "references a broken or non-existent PriorityLevelConfiguration",
            0,
        ),
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let mut conditions = object.list_at(&["status", "conditions"]).iter();
        let dangling = conditions.find(|one| one.str_at(&["type"]) == Some("Dangling"));
        vec![
            object.name().into(),
            text_or(object, &["spec", "priorityLevelConfiguration", "name"], ""),
            number(object, &["spec", "matchingPrecedence"]),
            text_or(object, &["spec", "distinguisherMethod", "type"], "<none>"),
            age(object, now),
            dangling.map_or_else(|| "?".into(), |one| text_or(one, &["status"], "")),
        ]
    },
};

/// PriorityLevelConfigurations.
pub(crate) static PRIORITY_LEVEL: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Type",
            "string",
            "@io.k8s.api.flowcontrol.v1.PriorityLevelConfigurationSpec.type",
            0,
        ),
        Col(
            "NominalConcurrencyShares",
            "string",
            "@io.k8s.api.flowcontrol.v1.LimitedPriorityLevelConfiguration.nominalConcurrencyShares",
            0,
        ),
        Col(
            "Queues",
            "string",
            "@io.k8s.api.flowcontrol.v1.QueuingConfiguration.queues",
            0,
        ),
        Col(
            "HandSize",
            "string",
            "@io.k8s.api.flowcontrol.v1.QueuingConfiguration.handSize",
            0,
        ),
        Col(
            "QueueLengthLimit",
            "string",
            "@io.k8s.api.flowcontrol.v1.QueuingConfiguration.queueLengthLimit",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let limited = |path: &[&str]| {
            let limited = object.at(&["spec", "limited"]);
            limited
                .and_then(|limited| limited.int_at(path))
                .map_or_else(|| "<none>".into(), Cell::from)
        };
        let queuing = |field: &str| limited(&["limitResponse", "queuing", field]);
        vec![
            object.name().into(),
            text_or(object, &["spec", "type"], ""),
            limited(&["nominalConcurrencyShares"]),
            queuing("queues"),
            queuing("handSize"),
            queuing("queueLengthLimit"),
            age(object, now),
        ]
    },
};

const PARAM_KIND: Col = Col(
    "ParamKind",
    "string",
    "ParamKind specifies the kind of resources used to parameterize this policy",
    0,
);

/// ValidatingAdmissionPolicies.
pub(crate) static VALIDATING_POLICY: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Validations",
            "integer",
            "Validations indicates the number of validation rules defined in this configuration",
            0,
        ),
        PARAM_KIND,
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| policy(object, "validations", now),
};

/// MutatingAdmissionPolicies.
pub(crate) static MUTATING_POLICY: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Mutations",
            "integer",
            "Mutation indicates the number of mutations rules defined in this configuration",
            0,
        ),
        PARAM_KIND,
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| policy(object, "mutations", now),
};

fn policy<'a>(object: &'a Object, list: &str, now: jiff::Timestamp) -> Vec<Cell<'a>> {
    let kind = object.at(&["spec", "paramKind"]).map_or_else(
        || "<unset>".to_owned(),
        |kind| {
            let text = |field: &str| kind.str_at(&[field]).unwrap_or_default();
            format!("{}/{}", text("apiVersion"), text("kind"))
        },
    );
    vec![
        object.name().into(),
        count(object, &["spec", list]),
        kind.into(),
        age(object, now),
    ]
}

/// Bindings of admission policies.
pub(crate) static POLICY_BINDING: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "PolicyName",
            "string",
            "PolicyName indicates the policy definition which the policy binding binded to",
            0,
        ),
        Col(
            "ParamRef",
            "string",
            "ParamRef indicates the param resource which sets the configuration param",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        let reference = object.at(&["spec", "paramRef"]);
        let text = |field: &str| {
            reference
                .and_then(|one| one.str_at(&[field]))
                .unwrap_or_default()
        };
        let chosen = reference.and_then(|one| one.at(&["selector"]));
        let parameter = match (text("name"), chosen) {
            ("", None) => "<unset>".to_owned(),
            ("", Some(chosen)) => go_selector(chosen),
            (name, _) if text("namespace").is_empty() => format!("*/{name}"),
            (name, _) => format!("{}/{name}", text("namespace")),
        };
        vec![
            object.name().into(),
            text_or(object, &["spec", "policyName"], ""),
            parameter.into(),
            age(object, now),
        ]
    },
};

/// A label selector as Go dumps it. Source: apimachinery `LabelSelector.String`.
fn go_selector(selector: &Value) -> String {
    let text = |one: &Value, field: &str| one.str_at(&[field]).unwrap_or_default().to_owned();
    let labels = selector.at(&["matchLabels"]).and_then(Value::as_object);
    let labels = labels.into_iter().flatten();
    let mut labels: Vec<String> = labels
        .map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default()))
        .collect();
    labels.sort();
    let expressions = selector.list_at(&["matchExpressions"]).iter();
    let expressions: Vec<String> = expressions
        .map(|one| {
            let values = one.list_at(&["values"]).iter().filter_map(Value::as_str);
            let values = values.collect::<Vec<_>>().join(" ");
            let (key, operator) = (text(one, "key"), text(one, "operator"));
            format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{values}],}},")
        })
        .collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions.concat()
    )
}

/// Webhook configurations.
pub(crate) static WEBHOOKS: Printer = Printer {
    columns: &[
        NAME,
        Col(
            "Webhooks",
            "integer",
            "Webhooks indicates the number of webhooks registered in this configuration",
            0,
        ),
        AGE,
    ],
    reads: EVERYTHING,
    cells: |object, now| {
        vec![
            object.name().into(),
            count(object, &["webhooks"]),
            age(object, now),
        ]
    },
};
