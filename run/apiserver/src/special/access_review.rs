//! `subjectaccessreviews` and their kin: may they, may I.
//!
//! Source: `pkg/registry/authorization`, `pkg/apis/authorization/validation`.

use access::attributes::{Attributes, Decision};
use async_trait::async_trait;
use axum::body::Body;
use http::{Response, StatusCode};
use kinds::strategy::User;
use meta::selector::{FieldSelector, FieldTerm, LabelSelector};
use meta::{FieldError, Object, ObjectExt, Path, StatusError, names};
use serde_json::{Value, json};

use super::{Special, answer};
use crate::call::Call;
use crate::options::WriteOptions;
use crate::{auth, body, ownership};

/// `subjectaccessreviews`: anyone, anywhere.
pub(super) struct Anyone;
/// `localsubjectaccessreviews`: anyone, in one namespace.
pub(super) struct Local;
/// `selfsubjectaccessreviews`: the caller.
pub(super) struct Own;

/// Which of the three kinds a review is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sort {
    Anyone,
    Local,
    Own,
}

#[async_trait]
impl Special for Anyone {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        review(call, Sort::Anyone)
    }
}

#[async_trait]
impl Special for Local {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        review(call, Sort::Local)
    }
}

#[async_trait]
impl Special for Own {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        review(call, Sort::Own)
    }
}

fn review(call: &Call, sort: Sort) -> Result<Response<Body>, StatusError> {
    let options = WriteOptions::read(&call.query, "CreateOptions")?;
    let decoded = body::object(call, options.field_validation)?;
    call.warn_if_refused(&decoded.warnings);
    let mut review = decoded.object;
    if sort != Sort::Local {
        // Source: `rest.EnsureObjectNamespaceMatchesRequestNamespace`.
        review.remove(&["metadata", "namespace"]);
    }
    if sort == Sort::Local && review.namespace().is_empty() {
        review.set(
            &["metadata", "namespace"],
            call.info.namespace.clone().into(),
        );
    }
    if sort == Sort::Local && review.namespace() != call.info.namespace {
        let why =
            "the namespace of the provided object does not match the namespace sent on the request";
        return Err(StatusError::bad_request(why));
    }
    ownership::record(call, &options, None, &mut review);
    let mut errors = errors(&review, sort);
    if !errors.is_empty() {
        kinds::write::print_internally(&call.kind, &mut errors);
        return Err(StatusError::invalid(&call.kind.group, "", "", &errors));
    }
    let user = match sort {
        Sort::Own => call.user.clone(),
        Sort::Anyone | Sort::Local => subject(&review),
    };
    let (fields, ignored) = selected(&review);
    let asked = Attributes {
        fields,
        ..attributes(&review, user)
    };
    let decision = auth::decide(&call.server, &asked);
    let mut status = json!({"allowed": decision == Decision::Allow});
    let (is_denied, reason) = match decision {
        Decision::Allow => (false, auth::allowed_by(&call.server, &asked)),
        Decision::Deny { reason } => (true, reason),
        Decision::NoOpinion { reason } => (false, reason),
    };
    if is_denied {
        status.set(&["denied"], true.into());
    }
    if !reason.is_empty() {
        status.set(&["reason"], reason.into());
    }
    if !ignored.is_empty() {
        status.set(&["evaluationError"], ignored.into());
    }
    review.set(&["status"], status);
    answer(call, StatusCode::CREATED, &review, &decoded.warnings)
}

fn errors(review: &Object, sort: Sort) -> Vec<FieldError> {
    let spec = Path::new("spec");
    let resource = review.at(&["spec", "resourceAttributes"]);
    let other = review.at(&["spec", "nonResourceAttributes"]);
    let mut errors = Vec::new();
    match (resource, other) {
        (Some(_), Some(other)) => {
            let why = "cannot be specified in combination with resourceAttributes";
            let path = spec.child("nonResourceAttributes");
            errors.push(FieldError::invalid(&path, other.clone(), why));
        }
        (None, None) => {
            let why =
                "exactly one of nonResourceAttributes or resourceAttributes must be specified";
            let path = spec.child("resourceAttributes");
            errors.push(FieldError::invalid(&path, Value::Null, why));
        }
        _ => {}
    }
    let user = review.str_at(&["spec", "user"]).unwrap_or_default();
    if sort != Sort::Own && user.is_empty() && review.list_at(&["spec", "groups"]).is_empty() {
        let why = "at least one of user or group must be specified";
        errors.push(FieldError::invalid(&spec.child("user"), "", why));
    }
    errors.extend(resource.map(selector_errors).unwrap_or_default());
    errors.extend(metadata_error(review, sort));
    if sort == Sort::Local {
        let namespace = resource
            .and_then(|resource| resource.str_at(&["namespace"]))
            .unwrap_or_default();
        if resource.is_some() && namespace != review.namespace() {
            let path = spec.child("resourceAttributes").child("namespace");
            let why = "must match metadata.namespace";
            errors.push(FieldError::invalid(&path, namespace, why));
        }
        if let Some(other) = other {
            let path = spec.child("nonResourceAttributes");
            let why = "disallowed on this kind of request";
            errors.push(FieldError::invalid(&path, other.clone(), why));
        }
    }
    errors
}

/// Source: `validateResourceAttributes`; operators that nobody knows are let pass, and narrow nothing.
fn selector_errors(resource: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for field in ["fieldSelector", "labelSelector"] {
        let Some(selector) = resource.at(&[field]) else {
            continue;
        };
        let path = Path::new("spec").child("resourceAttributes").child(field);
        let raw = selector.str_at(&["rawSelector"]).unwrap_or_default();
        let required = selector.list_at(&["requirements"]);
        if !raw.is_empty() && !required.is_empty() {
            let why = "may not specified at the same time as requirements";
            errors.push(FieldError::invalid(&path.child("rawSelector"), raw, why));
        }
        let path_of_all = path.child("requirements");
        if raw.is_empty() && required.is_empty() {
            let why = format!("when {path} is specified, requirements or rawSelector is required");
            errors.push(FieldError::required(&path_of_all, &why));
        }
        for (index, one) in required.iter().enumerate() {
            errors.extend(requirement_errors(one, &path_of_all.index(index), field));
        }
    }
    errors
}

/// Source: apimachinery `ValidateFieldSelectorRequirement`, `ValidateLabelSelectorRequirement`.
fn requirement_errors(required: &Value, path: &Path, field: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let key = required.str_at(&["key"]).unwrap_or_default();
    let values = texts(required, &["values"]);
    let is_of_fields = field == "fieldSelector";
    if is_of_fields && key.is_empty() {
        errors.push(FieldError::required(
            &path.child("key"),
            "must be specified",
        ));
    }
    match required.str_at(&["operator"]).unwrap_or_default() {
        "In" | "NotIn" if values.is_empty() => {
            let why = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(FieldError::required(&path.child("values"), why));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(FieldError::forbidden(&path.child("values"), why));
        }
        _ => {}
    }
    if !is_of_fields {
        let whys = names::qualified_name(key).into_iter();
        errors.extend(whys.map(|why| FieldError::invalid(&path.child("key"), key, why)));
        for (index, value) in values.iter().enumerate() {
            let path = path.child("values").index(index);
            let whys = names::label_value(value).into_iter();
            errors.extend(whys.map(|why| FieldError::invalid(&path, value.as_str(), why)));
        }
    }
    errors
}

/// A review has no metadata of its own.
fn metadata_error(review: &Object, sort: Sort) -> Option<FieldError> {
    let metadata = review.get("metadata")?;
    let (is_let, why) = match sort {
        Sort::Local => ("namespace", "must be empty except for namespace"),
        Sort::Anyone | Sort::Own => ("", "must be empty"),
    };
    let mut said = metadata.as_object().into_iter().flatten();
    said.any(|(field, value)| field != is_let && field != "managedFields" && !value.is_null())
        .then(|| FieldError::invalid(&Path::new("metadata"), metadata.clone(), why))
}

fn texts(value: &Value, path: &[&str]) -> Vec<String> {
    let items = value.list_at(path).iter().filter_map(Value::as_str);
    items.map(str::to_owned).collect()
}

/// The user a review asks about.
fn subject(review: &Object) -> User {
    let text = |field: &str| {
        let text = review.str_at(&["spec", field]);
        text.unwrap_or_default().to_owned()
    };
    let extra = review.at(&["spec", "extra"]).and_then(Value::as_object);
    User {
        name: text("user"),
        uid: text("uid"),
        groups: texts(review, &["spec", "groups"]),
        extra: extra
            .into_iter()
            .flatten()
            .map(|(key, values)| (key.clone(), texts(values, &[])))
            .collect(),
    }
}

fn attributes(review: &Object, user: User) -> Attributes {
    let resource = review.at(&["spec", "resourceAttributes"]);
    let other = review.at(&["spec", "nonResourceAttributes"]);
    let text = |field: &str| {
        let found = resource.or(other).and_then(|value| value.str_at(&[field]));
        found.unwrap_or_default().to_owned()
    };
    Attributes {
        user,
        verb: text("verb"),
        namespace: text("namespace"),
        group: text("group"),
        version: text("version"),
        resource: text("resource"),
        subresource: text("subresource"),
        name: text("name"),
        path: text("path"),
        is_resource: resource.is_some(),
        ..Attributes::default()
    }
}

/// The field selector a review asks about, and which of its selectors were not understood.
///
/// What is not understood narrows nothing, so that more must be allowed. Source: `pkg/registry/authorization/util`.
fn selected(review: &Object) -> (FieldSelector, String) {
    let raw = |selector: &str| {
        let path = ["spec", "resourceAttributes", selector, "rawSelector"];
        review.str_at(&path).unwrap_or_default()
    };
    let required = review.list_at(&[
        "spec",
        "resourceAttributes",
        "fieldSelector",
        "requirements",
    ]);
    let parsed = FieldSelector::parse(raw("fieldSelector"));
    let (fields, are_all) = if required.is_empty() {
        let are_all = parsed.is_ok();
        (parsed.unwrap_or_default(), are_all)
    } else {
        let terms: Vec<FieldTerm> = required.iter().filter_map(term).collect();
        let are_all = terms.len() == required.len();
        (FieldSelector(terms), are_all)
    };
    let told = |selector: &str, how: &str| {
        format!("spec.resourceAttributes.{selector} {how}ignored due to parse error")
    };
    let mut ignored = Vec::new();
    if !are_all {
        let how = if fields.is_everything() {
            ""
        } else {
            "partially "
        };
        ignored.push(told("fieldSelector", how));
    }
    let required = review.list_at(&[
        "spec",
        "resourceAttributes",
        "labelSelector",
        "requirements",
    ]);
    let is_known = |one: &&Value| {
        let operator = one.str_at(&["operator"]).unwrap_or_default();
        matches!(operator, "In" | "NotIn" | "Exists" | "DoesNotExist")
    };
    let known = required.iter().filter(is_known).count();
    if LabelSelector::parse(raw("labelSelector")).is_err() || known < required.len() {
        let how = if known == 0 { "" } else { "partially " };
        ignored.push(told("labelSelector", how));
    }
    (fields, ignored.join("; "))
}

/// One requirement of a field selector; `None` for operators that fields do not have.
fn term(required: &Value) -> Option<FieldTerm> {
    let equal = match required.str_at(&["operator"])? {
        "In" => true,
        "NotIn" => false,
        _ => return None,
    };
    let [value] = required.list_at(&["values"]) else {
        return None;
    };
    Some(FieldTerm {
        field: required.str_at(&["key"]).unwrap_or_default().to_owned(),
        value: value.as_str()?.to_owned(),
        equal,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_that_are_not_understood_narrow_nothing() {
        let asked = |field: Value, label: &str| {
            let (fields, ignored) = selected(&json!({"spec": {"resourceAttributes":
                {"fieldSelector": field, "labelSelector": {"rawSelector": label}}}}));
            (fields.exact("a").map(str::to_owned), ignored)
        };
        let own = Some("x".to_owned());
        let field = json!({"rawSelector": "a=x"});
        assert_eq!(asked(field, "k=v"), (own.clone(), String::new()));
        let (bad, label) = (
            "spec.resourceAttributes.fieldSelector",
            "spec.resourceAttributes.labelSelector",
        );
        let ignored =
            format!("{bad} ignored due to parse error; {label} ignored due to parse error");
        assert_eq!(asked(json!({"rawSelector": "a"}), "==="), (None, ignored));
        let requirements = json!([{"key": "a", "operator": "In", "values": ["x"]}, {"key": "b", "operator": "Exists"}]);
        let ignored = format!("{bad} partially ignored due to parse error");
        assert_eq!(
            asked(json!({"requirements": requirements}), ""),
            (own, ignored)
        );
        let odd = json!([{"key": "a", "operator": "Odd"}]);
        let review =
            json!({"spec": {"resourceAttributes": {"labelSelector": {"requirements": odd}}}});
        let (_, ignored) = selected(&review);
        assert_eq!(ignored, format!("{label} ignored due to parse error"));
    }

    #[test]
    fn selectors_are_said_in_one_way_and_whole() {
        let told = |resource: Value| -> Vec<String> {
            let errors = selector_errors(&resource);
            errors.iter().map(ToString::to_string).collect()
        };
        let both = json!({"rawSelector": "a=b", "requirements": [{"key": "a", "operator": "In"}]});
        assert_eq!(
            told(json!({"fieldSelector": both})),
            [
                "spec.resourceAttributes.fieldSelector.rawSelector: Invalid value: \"a=b\": may not specified at the same time as requirements",
                "spec.resourceAttributes.fieldSelector.requirements[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
            ]
        );
        let none = told(json!({"labelSelector": {}}));
        assert_eq!(
            none,
            [
                "spec.resourceAttributes.labelSelector.requirements: Required value: when spec.resourceAttributes.labelSelector is specified, requirements or rawSelector is required"
            ]
        );
        let odd = json!({"requirements": [{"key": "a", "operator": "Odd"}]});
        assert!(told(json!({"labelSelector": odd})).is_empty());
    }
}
