//! Node ports: those that are asked for, or any that is free.

use std::collections::{BTreeMap, BTreeSet};

use meta::{FieldError, ObjectExt as _, Path};
use serde_json::Value;

use super::super::families::node_ports;
use super::super::text;
use super::Refusal;
use crate::edit::Edit as _;
use crate::strategy::Context;

/// Gives the ports of a new Service their node ports; entries of one port, which differ in protocol, share theirs.
///
/// Source: `initNodePorts`.
pub(super) fn first(
    spec: &mut Value,
    used: &mut BTreeSet<i64>,
    cx: &Context<'_>,
) -> Result<(), Refusal> {
    let allocates = allocates(spec);
    let listed = spec.list_at(&["ports"]).to_vec();
    let mut by_port: BTreeMap<i64, i64> = BTreeMap::new();
    for (index, port) in spec.items_mut("ports").enumerate() {
        let number = port.int_at(&["port"]).unwrap_or_default();
        let asked = port.int_at(&["nodePort"]).unwrap_or_default();
        if asked == 0 && !allocates {
            continue;
        }
        let given = match (by_port.get(&number), requested(number, &listed)) {
            (Some(known), _) if asked == 0 || asked == *known => *known,
            (Some(_), _) => taken(asked, index, used, cx)?,
            (None, Some(requested)) => taken(requested, index, used, cx)?,
            (None, None) => {
                let free = any(used, cx)?;
                used.insert(free);
                free
            }
        };
        by_port.entry(number).or_insert(given);
        port.put("nodePort", given);
    }
    Ok(())
}

/// Gives the ports of a Service that was there the node ports they lack.
///
/// Source: `Allocators.updateNodePorts`.
pub(super) fn changed(
    spec: &mut Value,
    old: &Value,
    used: &mut BTreeSet<i64>,
    cx: &Context<'_>,
) -> Result<(), Refusal> {
    let allocates = allocates(spec);
    let mut own: BTreeSet<i64> = node_ports(old).into_iter().collect();
    let mut given = BTreeSet::new();
    for (index, port) in spec.items_mut("ports").enumerate() {
        let mut asked = port.int_at(&["nodePort"]).unwrap_or_default();
        if asked == 0 && !allocates {
            continue;
        }
        if asked == 0 {
            let busy: BTreeSet<i64> = used.union(&own).copied().collect();
            asked = any(&busy, cx)?;
        } else if !own.contains(&asked) {
            taken(asked, index, used, cx)?;
        }
        let protocol = text(port, "protocol").to_owned();
        let shown = format!("duplicate nodePort: {{{protocol} {asked}}}");
        if !given.insert((protocol, asked)) {
            return Err(Refusal::Unknown(shown));
        }
        own.insert(asked);
        port.put("nodePort", asked);
    }
    used.extend(own);
    Ok(())
}

/// Source: `shouldAllocateNodePorts`.
fn allocates(spec: &Value) -> bool {
    text(spec, "type") == "NodePort"
        || spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false))
}

/// The node port that the first entry of the same port asks for.
fn requested(number: i64, listed: &[Value]) -> Option<i64> {
    let same = listed
        .iter()
        .filter(|port| port.int_at(&["port"]).unwrap_or_default() == number);
    same.filter_map(|port| port.int_at(&["nodePort"]))
        .find(|port| *port != 0)
}

/// A port that an entry asks for.
fn taken(
    asked: i64,
    index: usize,
    used: &mut BTreeSet<i64>,
    cx: &Context<'_>,
) -> Result<i64, Refusal> {
    let refused = |why| {
        let path = Path::new("spec").child("ports").index(index);
        Refusal::Field(FieldError::invalid(&path.child("nodePort"), asked, why))
    };
    take(asked, used, cx).map_err(refused)?;
    Ok(asked)
}

fn any(used: &BTreeSet<i64>, cx: &Context<'_>) -> Result<i64, Refusal> {
    let full = || Refusal::Internal("failed to allocate a nodePort: range is full".into());
    free(used, cx).ok_or_else(full)
}

/// Takes a port, or tells why it cannot be had.
pub(super) fn take(asked: i64, used: &mut BTreeSet<i64>, cx: &Context<'_>) -> Result<(), String> {
    let (first, last) = cx.ranges.node_ports;
    // A dry run asks only whether the port is taken. Source: `portAllocationOperation.Allocate`.
    if !cx.dry_run && (asked < i64::from(first) || asked > i64::from(last)) {
        return Err(format!(
            "provided port is not in the valid range. The range of valid ports is {first}-{last}"
        ));
    }
    if used.insert(asked) {
        Ok(())
    } else {
        Err("provided port is already allocated".into())
    }
}

/// A port that nobody has.
pub(super) fn free(used: &BTreeSet<i64>, cx: &Context<'_>) -> Option<i64> {
    let (first, last) = (
        i64::from(cx.ranges.node_ports.0),
        i64::from(cx.ranges.node_ports.1),
    );
    let size = u64::try_from(last - first + 1).ok()?;
    let start = first + i64::try_from(cx.random % size).ok()?;
    (start..=last)
        .chain(first..start)
        .find(|port| !used.contains(port))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::tests::{Cidrs, context};
    use super::*;
    use crate::strategy::Ranges;

    /// The node ports a new Service gets while 30100 is taken, or why it gets none.
    fn given(ports: &Value, dry_run: bool) -> Result<Vec<i64>, (String, String)> {
        let (cidrs, ranges) = (Cidrs(Vec::new()), Ranges::default());
        let cx = context(&cidrs, &ranges, dry_run);
        let mut spec = json!({"type": "NodePort", "ports": ports});
        match first(&mut spec, &mut BTreeSet::from([30_100]), &cx) {
            Ok(()) => Ok(node_ports(&spec)),
            Err(Refusal::Field(error)) => Err((error.field, error.detail)),
            Err(Refusal::Full | Refusal::Internal(_) | Refusal::Unknown(_)) => {
                panic!("no field is told of")
            }
        }
    }

    #[test]
    fn entries_of_one_port_share_a_node_port() {
        let ports = json!([{"port": 53, "protocol": "UDP"}, {"port": 53, "nodePort": 30_053}]);
        assert_eq!(given(&ports, false), Ok(vec![30_053, 30_053]));
        let ports = json!([{"port": 53, "nodePort": 30_053}, {"port": 53, "nodePort": 30_054}]);
        assert_eq!(given(&ports, false), Ok(vec![30_053, 30_054]));
    }

    #[test]
    fn entries_of_other_ports_cannot_share_a_node_port() {
        let ports = json!([{"port": 53, "nodePort": 30_053}, {"port": 54, "nodePort": 30_053}]);
        let told = (
            "spec.ports[1].nodePort".to_owned(),
            "provided port is already allocated".to_owned(),
        );
        assert_eq!(given(&ports, false), Err(told.clone()));
        assert_eq!(given(&ports, true), Err(told));
    }

    #[test]
    fn an_update_gives_no_node_port_twice() {
        let ports = json!([{"port": 1, "protocol": "TCP", "nodePort": 30_100},
            {"port": 2, "protocol": "TCP", "nodePort": 30_100}]);
        let mut spec = json!({"type": "NodePort", "ports": ports});
        let old = json!({"type": "NodePort", "ports": [{"port": 1, "protocol": "TCP", "nodePort": 30_100}]});
        let (cidrs, ranges) = (Cidrs(Vec::new()), Ranges::default());
        let cx = context(&cidrs, &ranges, false);
        let refused = changed(&mut spec.clone(), &old, &mut BTreeSet::new(), &cx);
        let Err(Refusal::Unknown(why)) = refused else {
            panic!("a port was given twice");
        };
        assert_eq!(why, "duplicate nodePort: {TCP 30100}");
        spec["ports"][1]["protocol"] = "UDP".into();
        assert!(changed(&mut spec, &old, &mut BTreeSet::new(), &cx).is_ok());
    }

    #[test]
    fn a_dry_run_takes_ports_out_of_range() {
        let (cidrs, ranges) = (Cidrs(Vec::new()), Ranges::default());
        let take = |dry_run| {
            let mut used = BTreeSet::from([5]);
            let cx = context(&cidrs, &ranges, dry_run);
            [5, 6].map(|port| super::take(port, &mut used, &cx).is_ok())
        };
        assert_eq!(take(false), [false, false]);
        assert_eq!(take(true), [false, true]);
    }
}
