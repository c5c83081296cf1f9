//! Reads the scheduler's refusal (specification, section 9).

use serde_json::Value;

use crate::field;
use crate::text::{Text, cut};

/// Taints named in one message, at most.
const TAINTS_MAX: usize = 3;

/// What schedulers since 1.34 say of every refusal, after the counts.
const NO_CLAIMS: &str = "no new claims to deallocate";

/// One predicate that nodes failed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Misfit {
    /// Nodes that failed it; `None` when the scheduler refused before looking at nodes.
    nodes: Option<u64>,
    /// The scheduler's words without the count.
    words: String,
}

/// The refusal in our words: the number of nodes, then the predicates, largest count first.
///
/// `nodes` lets taints be named, which the scheduler of 1.36 does not do any more.
pub(crate) fn explain<'a>(
    message: &str,
    pod: &Value,
    nodes: impl Iterator<Item = &'a Value>,
) -> Text {
    let Some((head, misfits)) = parse(message) else {
        return Text::quote(cut(message));
    };
    let taints = if misfits
        .iter()
        .any(|misfit| code(&misfit.words).0 == "UntoleratedTaint")
    {
        untolerated(pod, nodes)
    } else {
        String::new()
    };
    let mut en = Vec::new();
    let mut zh = Vec::new();
    for misfit in &misfits {
        let (code, label) = code(&misfit.words);
        let named = if code == "UntoleratedTaint" {
            &taints
        } else {
            ""
        };
        if let Some(count) = misfit.nodes {
            en.push(format!("{count} {}{named}", misfit.words));
            zh.push(format!(
                "{count} 个节点:{}{named}",
                zh_label(&misfit.words, &label)
            ));
        } else {
            en.push(format!("{}{named}", misfit.words));
            zh.push(zh_label(&misfit.words, &label));
        }
    }
    Text::new(
        cut(&format!("{head} nodes fit: {}", en.join("; "))),
        cut(&format!("{head} 个节点可用:{}", zh.join(";"))),
    )
}

/// The Chinese label of a predicate, or the scheduler's words when we do not know it.
fn zh_label(words: &str, label: &str) -> String {
    if label.is_empty() {
        words.to_owned()
    } else {
        label.to_owned()
    }
}

/// `0/6` and the predicates, largest count first; `None` if the text has another form.
fn parse(message: &str) -> Option<(&str, Vec<Misfit>)> {
    let (head, rest) = message.split_once(" nodes are available")?;
    let (fit, all) = head.trim().split_once('/')?;
    fit.parse::<u64>().ok()?;
    all.parse::<u64>().ok()?;
    let rest = rest.trim_start_matches([':', ' ']);
    let rest = rest.split("preemption:").next().unwrap_or(rest);
    let rest = rest.trim().trim_end_matches('.');
    let mut misfits: Vec<Misfit> = Vec::new();
    for sentence in rest.split(". ") {
        // What follows the counts is what the scheduler tried next, such as freeing claims.
        let is_over = misfits.iter().any(|misfit| misfit.nodes.is_some());
        if is_over || sentence.starts_with(NO_CLAIMS) {
            break;
        }
        read_sentence(sentence, &mut misfits);
    }
    misfits.sort_by_key(|misfit| std::cmp::Reverse(misfit.nodes));
    Some((head.trim(), misfits))
}

/// Adds the predicates of one sentence.
fn read_sentence(sentence: &str, misfits: &mut Vec<Misfit>) {
    let mut is_first = true;
    for part in sentence.split(", ") {
        let part = part.trim().trim_end_matches(',');
        if part.is_empty() {
            continue;
        }
        let counted = part
            .split_once(' ')
            .and_then(|(count, words)| Some((count.parse().ok()?, words)));
        match (counted, misfits.last_mut()) {
            (Some((count, words)), _) => misfits.push(Misfit {
                nodes: Some(count),
                words: words.to_owned(),
            }),
            // Text without a count continues the part before it, which had a comma of its own.
            (None, Some(last)) if !is_first => {
                last.words.push_str(", ");
                last.words.push_str(part);
            }
            (None, _) => misfits.push(Misfit {
                nodes: None,
                words: part.to_owned(),
            }),
        }
        is_first = false;
    }
}

/// The code of a predicate and its Chinese label; both empty when unknown.
fn code(words: &str) -> (&'static str, String) {
    if let Some(resource) = words.strip_prefix("Insufficient ") {
        return ("Insufficient", format!("{resource} 不足"));
    }
    let table: [(&str, &str, &str); 14] = [
        ("Too many pods", "TooManyPods", "Pod 数量达上限"),
        ("taint", "UntoleratedTaint", "存在未容忍的污点"),
        (
            "node affinity/selector",
            "NodeAffinityMismatch",
            "节点亲和/选择器不匹配",
        ),
        (
            "were unschedulable",
            "NodeUnschedulable",
            "节点被封锁(不可调度)",
        ),
        ("anti-affinity", "PodAntiAffinity", "Pod 反亲和冲突"),
        ("pod affinity rules", "PodAffinity", "Pod 亲和冲突"),
        ("topology spread", "TopologySpread", "拓扑分布约束"),
        ("free ports", "PortConflict", "端口冲突"),
        (
            "PersistentVolume's node affinity",
            "VolumeNodeAffinity",
            "存储卷与节点不匹配",
        ),
        (
            "volume node affinity",
            "VolumeNodeAffinity",
            "存储卷与节点不匹配",
        ),
        (
            "no available volume zone",
            "VolumeNodeAffinity",
            "存储卷与节点不匹配",
        ),
        (
            "persistent volumes to bind",
            "NoMatchingVolume",
            "PVC 未绑定",
        ),
        (
            "unbound immediate PersistentVolumeClaims",
            "UnboundPVC",
            "PVC 未绑定",
        ),
        ("max volume count", "MaxVolumeCount", "卷数量达上限"),
    ];
    table
        .iter()
        .find(|(part, _, _)| words.contains(part))
        .map_or(("", String::new()), |(_, code, zh)| {
            (code, (*zh).to_owned())
        })
}

/// The taint keys that keep a pod off the nodes, as ` (a, b)`; empty when none is known.
fn untolerated<'a>(pod: &Value, nodes: impl Iterator<Item = &'a Value>) -> String {
    let tolerations = field::list(pod, "spec.tolerations");
    let mut keys: Vec<&str> = nodes
        .flat_map(|node| field::list(node, "spec.taints"))
        .filter(|taint| field::text(taint, "effect") != "PreferNoSchedule")
        .filter(|taint| {
            !tolerations
                .iter()
                .any(|toleration| tolerates(toleration, taint))
        })
        .map(|taint| field::text(taint, "key"))
        .filter(|key| !key.is_empty())
        .collect();
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return String::new();
    }
    let more = if keys.len() > TAINTS_MAX { ", ..." } else { "" };
    keys.truncate(TAINTS_MAX);
    format!(" ({}{more})", keys.join(", "))
}

fn tolerates(toleration: &Value, taint: &Value) -> bool {
    let effect = field::text(toleration, "effect");
    let key = field::text(toleration, "key");
    let fits_effect = effect.is_empty() || effect == field::text(taint, "effect");
    let exists = field::text(toleration, "operator") == "Exists";
    let fits_key = (key.is_empty() && exists) || key == field::text(taint, "key");
    fits_effect
        && fits_key
        && (exists || field::text(toleration, "value") == field::text(taint, "value"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn section_9_largest_count_first_and_preemption_cut() {
        let text = explain(
            "0/6 nodes are available: 1 node(s) had untolerated taint(s), 2 node(s) didn't match Pod's \
             node affinity/selector, 3 Insufficient cpu. preemption: 0/6 nodes are available: 3 No \
             preemption victims found for incoming pod.",
            &json!({"spec": {"tolerations": [{"key": "a", "operator": "Exists"}]}}),
            [json!({"spec": {"taints": [{"key": "a"}, {"key": "gpu", "effect": "NoSchedule"}]}})]
                .iter(),
        );
        assert_eq!(
            text.en,
            "0/6 nodes fit: 3 Insufficient cpu; 2 node(s) didn't match Pod's node affinity/selector; 1 \
             node(s) had untolerated taint(s) (gpu)"
        );
        assert_eq!(
            text.zh,
            "0/6 个节点可用:3 个节点:cpu 不足;2 个节点:节点亲和/选择器不匹配;1 个节点:存在未容忍的污点 (gpu)"
        );
    }

    #[test]
    fn section_9_prefilter_text_has_no_count_and_commas_do_not_split_it() {
        let explained = |message: &str| explain(message, &Value::Null, std::iter::empty()).en;
        assert_eq!(
            explained(
                "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims. preemption: x"
            ),
            "0/3 nodes fit: pod has unbound immediate PersistentVolumeClaims"
        );
        assert_eq!(
            explained("0/1 nodes are available: 1 node(s) had untolerated taint {a: b, c}."),
            "0/1 nodes fit: 1 node(s) had untolerated taint {a: b, c}"
        );
        for rest in [
            "no new claims to deallocate, preemption: 0/1 nodes",
            "preemption: 0/1 nodes",
        ] {
            assert_eq!(
                explained(&format!(
                    "0/1 nodes are available: 1 Insufficient cpu. {rest}"
                )),
                "0/1 nodes fit: 1 Insufficient cpu"
            );
            assert_eq!(
                explained(&format!(
                    "0/3 nodes are available: pod is odd, truly. {rest}"
                )),
                "0/3 nodes fit: pod is odd, truly"
            );
        }
        assert_eq!(
            explained("no nodes available to schedule pods"),
            "no nodes available to schedule pods"
        );
        assert_eq!(explained(""), "");
    }
}
