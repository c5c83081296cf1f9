//! Cluster IPs and node ports: what a Service asks for, or any that is free.

use std::collections::BTreeSet;
use std::net::IpAddr;

use meta::{FieldError, Object, ObjectExt as _, Path, StatusError};
use serde_json::{Value, json};

use super::families::{family, node_ports, settle, texts};
use super::{needs_health_check, needs_node_ports, text};
use crate::edit::Edit as _;
use crate::strategy::Context;

/// Addresses tried before giving up; a block that full is as good as used up.
const TRIES_MAX: u64 = 1 << 20;

/// On addresses that follow from Services. Source: `networking/v1 LabelManagedBy`.
const MANAGED_BY_LABEL: &str = "ipaddress.kubernetes.io/managed-by";

/// What others hold.
struct Taken {
    ips: BTreeSet<IpAddr>,
    ports: BTreeSet<i64>,
}

/// Gives a Service its IP families, cluster IPs and node ports.
pub(super) fn allocate(
    new: &mut Object,
    old: Option<&Object>,
    cx: &Context<'_>,
) -> Result<(), StatusError> {
    let name = new.name().to_owned();
    let invalid = |errors: &[FieldError]| StatusError::invalid("", "Service", &name, errors);
    let old_spec = old.and_then(|old| old.get("spec"));
    let taken = taken(new, cx);
    let spec = new.child_mut("spec");
    let is_policy = matches!(text(spec, "internalTrafficPolicy"), "Cluster" | "Local");
    if text(spec, "type") == "ExternalName" && is_policy {
        // Upstream leaves it out of all it reads. Source: `defaultOnReadInternalTrafficPolicy`.
        spec.drop_field("internalTrafficPolicy");
    }
    let errors = settle(spec, old_spec, cx.ranges);
    if !errors.is_empty() {
        return Err(invalid(&errors));
    }
    cluster_ips(spec, old_spec, &taken, cx).map_err(|error| error.into_status(&invalid))?;
    let mut used = taken.ports;
    if needs_node_ports(spec) {
        ports(spec, old_spec, &mut used, cx).map_err(|error| error.into_status(&invalid))?;
    }
    if needs_health_check(spec) && !old_spec.is_some_and(needs_health_check) {
        let asked = spec.int_at(&["healthCheckNodePort"]).unwrap_or_default();
        if asked == 0 {
            let port = free_port(&used, cx).ok_or_else(|| {
                StatusError::internal("failed to allocate a HealthCheck NodePort 0: range is full")
            })?;
            spec.put("healthCheckNodePort", port);
        } else if let Err(why) = take_port(asked, &mut used, cx) {
            let words = format!("failed to allocate requested HealthCheck NodePort {asked}: {why}");
            return Err(StatusError::internal(words));
        }
    }
    Ok(())
}

/// Why something could not be allocated.
enum Refusal {
    Field(FieldError),
    Internal(String),
}

impl Refusal {
    fn into_status(self, invalid: &dyn Fn(&[FieldError]) -> StatusError) -> StatusError {
        match self {
            Self::Field(error) => invalid(&[error]),
            Self::Internal(why) => StatusError::internal(why),
        }
    }
}

fn taken(new: &Object, cx: &Context<'_>) -> Taken {
    let mut taken = Taken {
        ips: BTreeSet::new(),
        ports: BTreeSet::new(),
    };
    for other in cx.lookup.list("services", "") {
        if other.name() == new.name() && other.namespace() == new.namespace() {
            continue;
        }
        let Some(spec) = other.get("spec") else {
            continue;
        };
        taken.ips.extend(
            texts(spec, "clusterIPs")
                .iter()
                .filter_map(|ip| ip.parse::<IpAddr>().ok()),
        );
        taken.ports.extend(node_ports(spec));
        taken.ports.extend(
            spec.int_at(&["healthCheckNodePort"])
                .filter(|port| *port != 0),
        );
    }
    // Addresses of Services are made from the Services; these were taken by others.
    let reserved = cx
        .lookup
        .list("ipaddresses.networking.k8s.io", "")
        .into_iter();
    let reserved = reserved.filter(|address| !address.labels().contains_key(MANAGED_BY_LABEL));
    taken
        .ips
        .extend(reserved.filter_map(|address| address.name().parse::<IpAddr>().ok()));
    taken
}

fn cluster_ips(
    spec: &mut Value,
    old: Option<&Value>,
    taken: &Taken,
    cx: &Context<'_>,
) -> Result<(), Refusal> {
    let mut ips = texts(spec, "clusterIPs");
    if text(spec, "type") == "ExternalName" || ips.first().is_some_and(|ip| ip == "None") {
        return Ok(());
    }
    let kept = old.map(|old| texts(old, "clusterIPs")).unwrap_or_default();
    for (index, family_name) in texts(spec, "ipFamilies").iter().enumerate() {
        let asked = ips.get(index).cloned().unwrap_or_default();
        if !asked.is_empty() && kept.contains(&asked) {
            continue;
        }
        let ip = if asked.is_empty() {
            free_ip(family_name, taken, cx)?
        } else {
            check_ip(&asked, &ips, family_name, taken, cx)?;
            asked
        };
        match ips.get_mut(index) {
            Some(slot) => *slot = ip,
            None => ips.push(ip),
        }
    }
    if let Some(first) = ips.first() {
        spec.put("clusterIP", first.as_str());
    }
    spec.put("clusterIPs", ips);
    Ok(())
}

/// First address and size of a family's block.
fn block(family_name: &str, cx: &Context<'_>) -> Option<(u128, u128, bool)> {
    let (address, prefix) = cx
        .ranges
        .service_cidrs
        .iter()
        .find(|(address, _)| family(address) == family_name)?;
    let (base, bits) = match address {
        IpAddr::V4(v4) => (u128::from(u32::from(*v4)), 32),
        IpAddr::V6(v6) => (u128::from(*v6), 128),
    };
    let size = 1_u128
        .checked_shl(bits - u32::from(*prefix))
        .unwrap_or(u128::MAX);
    Some((base - base % size, size, address.is_ipv4()))
}

fn address(number: u128, is_v4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_v4 => IpAddr::from(number.to_be_bytes()),
        _ => IpAddr::from(number.to_be_bytes()),
    }
}

/// A free address, from the upper part of the block first: the lower one is left to people.
fn free_ip(family_name: &str, taken: &Taken, cx: &Context<'_>) -> Result<String, Refusal> {
    let full = || Refusal::Internal("failed to allocate a serviceIP: range is full".into());
    let (base, size, is_v4) = block(family_name, cx).ok_or_else(full)?;
    // The first address, and the last one of a v4 block, are not hosts.
    let last = if is_v4 {
        size.saturating_sub(2)
    } else {
        size.saturating_sub(1)
    };
    let reserved = (size / 16).clamp(16, 256).min(last);
    let start = u128::from(cx.random) % last.saturating_sub(reserved).max(1) + reserved + 1;
    let upper = start..=last;
    let lower = 1..start.min(last + 1);
    let candidates = upper.chain((reserved + 1..start).chain(lower).take(usize::MAX));
    let tries = usize::try_from(TRIES_MAX).unwrap_or(usize::MAX);
    candidates
        .take(tries)
        .map(|offset| address(base + offset, is_v4))
        .find(|ip| !taken.ips.contains(ip))
        .map(|ip| ip.to_string())
        .ok_or_else(full)
}

fn check_ip(
    asked: &str,
    all: &[String],
    family_name: &str,
    taken: &Taken,
    cx: &Context<'_>,
) -> Result<(), Refusal> {
    let path = Path::new("spec").child("clusterIPs");
    let refuse = |why: String| {
        let detail = format!("failed to allocate IP {asked}: {why}");
        Refusal::Field(FieldError::invalid(&path, json!(all), detail))
    };
    let Ok(ip) = asked.parse::<IpAddr>() else {
        return Err(Refusal::Internal(format!(
            "failed to parse service IP {}",
            meta::field::quote(asked)
        )));
    };
    let number = match ip {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    };
    let inside = block(family_name, cx).is_some_and(|(base, size, is_v4)| {
        is_v4 == ip.is_ipv4() && number > base && number - base < size
    });
    if !inside {
        let cidrs = cx
            .ranges
            .service_cidrs
            .iter()
            .filter(|(address, _)| family(address) == family_name);
        let cidrs: Vec<String> = cidrs
            .map(|(address, prefix)| format!("{address}/{prefix}"))
            .collect();
        let words = format!(
            "the provided IP ({asked}) is not in the valid range. The range of valid IPs is {}",
            cidrs.join(",")
        );
        return Err(refuse(words));
    }
    if taken.ips.contains(&ip) {
        return Err(refuse("provided IP is already allocated".into()));
    }
    Ok(())
}

fn ports(
    spec: &mut Value,
    old: Option<&Value>,
    used: &mut BTreeSet<i64>,
    cx: &Context<'_>,
) -> Result<(), Refusal> {
    let allocates = text(spec, "type") == "NodePort"
        || spec.get("allocateLoadBalancerNodePorts") != Some(&Value::Bool(false));
    let known = old.map(node_ports).unwrap_or_default();
    let listed = spec.list_at(&["ports"]).to_vec();
    let mut by_port: std::collections::BTreeMap<i64, i64> = std::collections::BTreeMap::new();
    let mut own: BTreeSet<i64> = known.iter().copied().collect();
    for (index, port) in spec.items_mut("ports").enumerate() {
        let number = port.int_at(&["port"]).unwrap_or_default();
        let mut asked = port.int_at(&["nodePort"]).unwrap_or_default();
        if asked == 0 && !allocates {
            continue;
        }
        if asked == 0 && old.is_none() {
            asked = by_port
                .get(&number)
                .copied()
                .or_else(|| requested(number, &listed))
                .unwrap_or_default();
        }
        if asked == 0 {
            let busy: BTreeSet<i64> = used.union(&own).copied().collect();
            asked = free_port(&busy, cx).ok_or_else(|| {
                Refusal::Internal("failed to allocate a nodePort: range is full".into())
            })?;
        } else if !own.contains(&asked) {
            take_port(asked, used, cx).map_err(|why| {
                let path = Path::new("spec")
                    .child("ports")
                    .index(index)
                    .child("nodePort");
                Refusal::Field(FieldError::invalid(&path, asked, why))
            })?;
        }
        own.insert(asked);
        by_port.insert(number, asked);
        port.put("nodePort", asked);
    }
    used.extend(own);
    Ok(())
}

/// The node port that another entry of the same port asks for.
fn requested(number: i64, listed: &[Value]) -> Option<i64> {
    let same = listed
        .iter()
        .filter(|port| port.int_at(&["port"]) == Some(number));
    same.filter_map(|port| port.int_at(&["nodePort"]))
        .find(|port| *port != 0)
}

fn take_port(asked: i64, used: &mut BTreeSet<i64>, cx: &Context<'_>) -> Result<(), String> {
    let (first, last) = cx.ranges.node_ports;
    if asked < i64::from(first) || asked > i64::from(last) {
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

fn free_port(used: &BTreeSet<i64>, cx: &Context<'_>) -> Option<i64> {
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
