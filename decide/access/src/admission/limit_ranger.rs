//! LimitRanger: pods and claims get the namespace's defaults, and stay within its bounds.
//!
//! Source: `plugin/pkg/admission/limitranger`.

use kinds::amounts::{self, Amounts, aggregate, amounts};
use kinds::strategy::{Lookup, Operation};
use meta::quantity::Quantity;
use meta::{Object, ObjectExt, StatusError};
use serde_json::Value;

use super::{Plugin, Request};

const ANNOTATION: &str = "kubernetes.io/limit-ranger";

pub(super) struct LimitRanger;

impl Plugin for LimitRanger {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !is_bounded(request) || !request.is_of("pods") {
            return Ok(());
        }
        let Some(mut pod) = request.object.take() else {
            return Ok(());
        };
        for range in cluster.list("limitranges", &request.namespace) {
            fill(&mut pod, &range);
        }
        request.object = Some(pod);
        Ok(())
    }

    fn validate(&self, request: &Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        let Some(object) = request.object.as_ref().filter(|_| is_bounded(request)) else {
            return Ok(());
        };
        for range in cluster.list("limitranges", &request.namespace) {
            let limits = range.list_at(&["spec", "limits"]).iter();
            let errors: Vec<String> = if request.is_of("pods") {
                limits.flat_map(|limit| pod_errors(object, limit)).collect()
            } else {
                limits
                    .flat_map(|limit| claim_errors(object, limit))
                    .collect()
            };
            if let Some(why) = aggregate(&errors) {
                return Err(request.forbidden(&why));
            }
        }
        Ok(())
    }
}

fn is_bounded(request: &Request<'_>) -> bool {
    let is_going = |old: &Object| old.deletion_timestamp().is_some();
    if request.old.is_some_and(is_going) {
        return false;
    }
    let is_pod = request.is_of("pods");
    let is_resize = request.subresource == "resize" && request.operation == Operation::Update;
    let claim = [Operation::Create, Operation::Update];
    (is_pod && is_resize)
        || request.is_for("pods", &[Operation::Create])
        || request.is_for("persistentvolumeclaims", &claim)
}

/// Gives containers what the range says they have by default, and notes it.
fn fill(pod: &mut Object, range: &Object) {
    let (mut limits, mut requests) = (Amounts::new(), Amounts::new());
    for limit in range.list_at(&["spec", "limits"]) {
        if limit.str_at(&["type"]) == Some("Container") {
            limits.extend(amounts(limit.at(&["default"])));
            requests.extend(amounts(limit.at(&["defaultRequest"])));
        }
    }
    let mut notes = Vec::new();
    for (list, what) in [
        ("containers", "container"),
        ("initContainers", "init container"),
    ] {
        let containers = pod.get_mut("spec").and_then(|spec| spec.get_mut(list));
        for container in containers
            .and_then(Value::as_array_mut)
            .into_iter()
            .flatten()
        {
            for (field, word, defaults) in [
                ("requests", "request", &requests),
                ("limits", "limit", &limits),
            ] {
                let set = fill_list(container, field, defaults);
                if !set.is_empty() {
                    let name = container.str_at(&["name"]).unwrap_or_default();
                    notes.push(format!("{} {word} for {what} {name}", set.join(", ")));
                }
            }
        }
    }
    if !notes.is_empty() {
        let note = format!("LimitRanger plugin set: {}", notes.join("; "));
        pod.set(&["metadata", "annotations", ANNOTATION], note.into());
    }
}

/// Fills one list of a container; answers with the names that were missing.
fn fill_list(container: &mut Object, field: &str, defaults: &Amounts) -> Vec<String> {
    let present = amounts(container.at(&["resources", field]));
    let missing = defaults
        .iter()
        .filter(|(name, _)| !present.contains_key(*name));
    let mut set = Vec::new();
    for (name, amount) in missing {
        container.set(&["resources", field, name], amount.to_string().into());
        set.push(name.clone());
    }
    set
}

fn pod_errors(pod: &Object, limit: &Value) -> Vec<String> {
    let mut errors = Vec::new();
    match limit.str_at(&["type"]) {
        Some("Container") => {
            for list in ["containers", "initContainers"] {
                for container in pod.list_at(&["spec", list]) {
                    let requests = amounts(container.at(&["resources", "requests"]));
                    let limits = amounts(container.at(&["resources", "limits"]));
                    check(limit, "Container", &requests, &limits, &mut errors);
                }
            }
        }
        Some("Pod") => {
            let (requests, limits) = (
                amounts::of_pod(pod, "requests"),
                amounts::of_pod(pod, "limits"),
            );
            check(limit, "Pod", &requests, &limits, &mut errors);
        }
        _ => {}
    }
    errors
}

fn check(
    limit: &Value,
    kind: &str,
    requests: &Amounts,
    limits: &Amounts,
    errors: &mut Vec<String>,
) {
    for (name, bound) in amounts(limit.at(&["min"])) {
        errors.extend(below(kind, &name, bound, requests.get(&name), limits.get(&name)).err());
    }
    for (name, bound) in amounts(limit.at(&["max"])) {
        errors.extend(above(kind, &name, bound, requests.get(&name), limits.get(&name)).err());
    }
    for (name, bound) in amounts(limit.at(&["maxLimitRequestRatio"])) {
        errors.extend(ratio(kind, &name, bound, requests.get(&name), limits.get(&name)).err());
    }
}

fn claim_errors(claim: &Object, limit: &Value) -> Vec<String> {
    const KIND: &str = "PersistentVolumeClaim";
    if limit.str_at(&["type"]) != Some(KIND) {
        return Vec::new();
    }
    let requests = amounts(claim.at(&["spec", "resources", "requests"]));
    let mut errors = Vec::new();
    for (name, bound) in amounts(limit.at(&["min"])) {
        errors.extend(below(KIND, &name, bound, requests.get(&name), None).err());
    }
    for (name, bound) in amounts(limit.at(&["max"])) {
        let head = format!("maximum {name} usage per {KIND} is {bound}");
        match requests.get(&name) {
            None => errors.push(format!("{head}.  No request is specified")),
            Some(request) if *request > bound => {
                errors.push(format!("{head}, but request is {request}"));
            }
            Some(_) => {}
        }
    }
    errors
}

fn below(
    kind: &str,
    name: &str,
    bound: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Result<(), String> {
    let head = format!("minimum {name} usage per {kind} is {bound}");
    match (request, limit) {
        (None, _) => Err(format!("{head}.  No request is specified")),
        (Some(request), _) if *request < bound => Err(format!("{head}, but request is {request}")),
        (_, Some(limit)) if *limit < bound => Err(format!("{head}, but limit is {limit}")),
        _ => Ok(()),
    }
}

fn above(
    kind: &str,
    name: &str,
    bound: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Result<(), String> {
    let head = format!("maximum {name} usage per {kind} is {bound}");
    match (request, limit) {
        (_, None) => Err(format!("{head}.  No limit is specified")),
        (_, Some(limit)) if *limit > bound => Err(format!("{head}, but limit is {limit}")),
        (Some(request), _) if *request > bound => Err(format!("{head}, but request is {request}")),
        _ => Ok(()),
    }
}

fn ratio(
    kind: &str,
    name: &str,
    bound: Quantity,
    request: Option<&Quantity>,
    limit: Option<&Quantity>,
) -> Result<(), String> {
    const MILLIONTHS: i128 = 1_000_000;
    let head = format!("{name} max limit to request ratio per {kind} is {bound}");
    let Some(request) = request.filter(|request| !request.is_zero()) else {
        return Err(format!(
            "{head}, but no request is specified or request is 0"
        ));
    };
    let Some(limit) = limit.filter(|limit| !limit.is_zero()) else {
        return Err(format!("{head}, but no limit is specified or limit is 0"));
    };
    let (request, limit) = (
        i128::from(request.milli_value()),
        i128::from(limit.milli_value()),
    );
    if limit * 1000 <= i128::from(bound.milli_value()) * request {
        return Ok(());
    }
    let shown = (limit * MILLIONTHS + request / 2) / request;
    let (whole, rest) = (shown / MILLIONTHS, shown % MILLIONTHS);
    Err(format!("{head}, but provided ratio is {whole}.{rest:06}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    fn cluster() -> Cluster {
        Cluster::of([(
            "limitranges",
            json!({"metadata": {"name": "r", "namespace": "web"}, "spec": {"limits": [
                {"type": "Container", "default": {"cpu": "500m", "memory": "1Gi"}, "defaultRequest": {"cpu": "100m"},
                    "min": {"memory": "64Mi"}, "max": {"cpu": "1"}, "maxLimitRequestRatio": {"cpu": "4"}},
                {"type": "PersistentVolumeClaim", "max": {"storage": "1Gi"}}]}}),
        )])
    }

    fn run(resource: &str, object: Object) -> Result<Object, StatusError> {
        let user = user("ann", &[]);
        let mut request = request(&user, "", resource, object);
        LimitRanger.admit(&mut request, &cluster())?;
        LimitRanger.validate(&request, &cluster())?;
        Ok(request.object.unwrap_or_default())
    }

    fn pod(resources: &Value) -> Object {
        json!({"metadata": {"name": "p", "namespace": "web"}, "spec": {"containers": [{"name": "c", "resources": resources}]}})
    }

    #[test]
    fn defaults_are_filled_in_and_noted() {
        let user = user("ann", &[]);
        let mut request = request(
            &user,
            "",
            "pods",
            pod(&json!({"limits": {"memory": "2Gi"}})),
        );
        LimitRanger.admit(&mut request, &cluster()).unwrap();
        let pod = request.object.unwrap();
        assert_eq!(
            pod["spec"]["containers"][0]["resources"],
            json!({"limits": {"cpu": "500m", "memory": "2Gi"}, "requests": {"cpu": "100m"}})
        );
        assert_eq!(
            pod.annotation(ANNOTATION),
            Some("LimitRanger plugin set: cpu request for container c; cpu limit for container c")
        );
    }

    #[test]
    fn all_errors_of_a_range_come_together() {
        let error = run(
            "pods",
            pod(&json!({"requests": {"cpu": "300m"}, "limits": {"cpu": "2"}})),
        )
        .unwrap_err();
        assert_eq!(
            error.to_string(),
            "pods \"p\" is forbidden: [minimum memory usage per Container is 64Mi.  No request is specified, maximum cpu usage per Container is 1, but limit is 2, cpu max limit to request ratio per Container is 4, but provided ratio is 6.666667]"
        );
    }

    #[test]
    fn a_claim_asks_for_no_more_than_the_bound() {
        let claim = |size: &str| json!({"metadata": {"name": "c", "namespace": "web"}, "spec": {"resources": {"requests": {"storage": size}}}});
        assert!(run("persistentvolumeclaims", claim("1Gi")).is_ok());
        let error = run("persistentvolumeclaims", claim("2Gi")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "persistentvolumeclaims \"c\" is forbidden: maximum storage usage per PersistentVolumeClaim is 1Gi, but request is 2Gi"
        );
    }

    #[test]
    fn a_pod_counts_its_greediest_moment() {
        let pod = json!({"spec": {"containers": [{"resources": {"requests": {"cpu": "1"}}}],
            "initContainers": [{"restartPolicy": "Always", "resources": {"requests": {"cpu": "1"}}},
                {"resources": {"requests": {"cpu": "3"}}}]}});
        assert_eq!(
            amounts::of_pod(&pod, "requests")["cpu"],
            Quantity::parse("4").unwrap()
        );
    }
}
