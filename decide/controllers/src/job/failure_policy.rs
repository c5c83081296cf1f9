//! What a job's pod failure policy makes of a failed pod.
//!
//! Source: `pod_failure_policy.go`.

use meta::{Object, ObjectExt};
use serde_json::Value;

/// What one failure means for its job.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    /// It uses up a try.
    Counts,
    /// It uses up none.
    Ignored,
    /// It uses up a try, and its index is not tried again.
    FailsIndex,
    /// It ends the job, with this message.
    FailsJob(String),
}

/// The first rule that matches decides; without one the failure counts.
pub(super) fn judge(job: &Object, pod: &Object) -> Judgement {
    let rules = job.list_at(&["spec", "podFailurePolicy", "rules"]);
    rules
        .iter()
        .enumerate()
        .find_map(|(at, rule)| apply(rule, at, pod))
        .unwrap_or(Judgement::Counts)
}

fn apply(rule: &Value, at: usize, pod: &Object) -> Option<Judgement> {
    let action = rule.str_at(&["action"])?;
    let (namespace, name) = (pod.namespace(), pod.name());
    let what = if let Some(asked) = rule.get("onExitCodes") {
        let container = exited(pod, asked)?;
        let code = exit_code(container)?;
        let container = container.str_at(&["name"]).unwrap_or_default();
        format!("Container {container} for pod {namespace}/{name} failed with exit code {code}")
    } else {
        let kind = condition(pod, rule.list_at(&["onPodConditions"]))?;
        format!("Pod {namespace}/{name} has condition {kind}")
    };
    match action {
        "Ignore" => Some(Judgement::Ignored),
        "FailIndex" => Some(Judgement::FailsIndex),
        "Count" => Some(Judgement::Counts),
        "FailJob" => Some(Judgement::FailsJob(format!(
            "{what} matching {action} rule at index {at}"
        ))),
        _ => None,
    }
}

/// The first container, init containers last, that ended with a code that is asked for.
fn exited<'a>(pod: &'a Object, asked: &Value) -> Option<&'a Value> {
    let name = asked.str_at(&["containerName"]);
    let values = asked.list_at(&["values"]);
    let matches = |container: &&Value| {
        let is_named = name.is_none() || container.str_at(&["name"]) == name;
        let code = exit_code(container).filter(|code| *code != 0);
        let is_listed = |code| values.iter().any(|value| value.as_i64() == Some(code));
        is_named
            && code.is_some_and(|code| match asked.str_at(&["operator"]) {
                Some("In") => is_listed(code),
                Some("NotIn") => !is_listed(code),
                _ => false,
            })
    };
    let containers = pod.list_at(&["status", "containerStatuses"]).iter();
    let init = pod.list_at(&["status", "initContainerStatuses"]).iter();
    containers.chain(init).find(matches)
}

/// The code of a container that has ended; `None` while it has not.
fn exit_code(container: &Value) -> Option<i64> {
    let terminated = container.at(&["state", "terminated"])?;
    Some(terminated.int_at(&["exitCode"]).unwrap_or_default())
}

/// The first of the pod's conditions that is asked for.
fn condition<'a>(pod: &'a Object, asked: &[Value]) -> Option<&'a str> {
    let conditions = pod.list_at(&["status", "conditions"]).iter();
    let is_asked = |condition: &&Value| {
        let same = |asked: &Value, field| condition.str_at(&[field]) == asked.str_at(&[field]);
        asked
            .iter()
            .any(|asked| same(asked, "type") && same(asked, "status"))
    };
    conditions
        .filter(is_asked)
        .find_map(|condition| condition.str_at(&["type"]))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn judged(rules: &Value, status: &Value) -> Judgement {
        let pod = json!({ "metadata": { "name": "p", "namespace": "n" }, "status": status });
        judge(
            &json!({ "spec": { "podFailurePolicy": { "rules": rules } } }),
            &pod,
        )
    }

    fn ended(name: &str, code: i64) -> Value {
        json!({ "name": name, "state": { "terminated": { "exitCode": code } } })
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rules = json!([
            { "action": "Ignore", "onExitCodes": { "operator": "In", "values": [1, 2], "containerName": "a" } },
            { "action": "FailIndex", "onExitCodes": { "operator": "In", "values": [3] } },
            { "action": "FailJob", "onExitCodes": { "operator": "NotIn", "values": [9] } },
        ]);
        let of = |container| judged(&rules, &json!({ "containerStatuses": [container] }));
        assert_eq!(of(ended("a", 2)), Judgement::Ignored);
        assert_eq!(of(ended("a", 3)), Judgement::FailsIndex);
        assert_eq!(of(ended("a", 9)), Judgement::Counts);
        assert_eq!(of(ended("a", 0)), Judgement::Counts);
        let text =
            "Container b for pod n/p failed with exit code 2 matching FailJob rule at index 2";
        assert_eq!(of(ended("b", 2)), Judgement::FailsJob(text.into()));
    }

    #[test]
    fn init_containers_and_conditions_count_too() {
        let exit = json!({ "operator": "In", "values": [7] });
        let status = json!({ "initContainerStatuses": [ended("i", 7)] });
        let rules = json!([{ "action": "Ignore", "onExitCodes": exit }]);
        assert_eq!(judged(&rules, &status), Judgement::Ignored);
        let asked = json!([{ "type": "DisruptionTarget", "status": "True" }]);
        let rules = json!([{ "action": "FailJob", "onPodConditions": asked.clone() }]);
        let text = "Pod n/p has condition DisruptionTarget matching FailJob rule at index 0";
        assert_eq!(
            judged(&rules, &json!({ "conditions": asked })),
            Judgement::FailsJob(text.into())
        );
        let status = json!({ "conditions": [{ "type": "DisruptionTarget", "status": "False" }] });
        assert_eq!(judged(&rules, &status), Judgement::Counts);
    }
}
