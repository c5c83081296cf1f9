//! Cluster IPs and node ports: what a Service asks for, or any that is free.

mod ports;

use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

use meta::{FieldError, Object, ObjectExt as _, Path, StatusError};
use serde_json::{Value, json};

use super::families::{family, node_ports, settle, texts};
use super::{needs_health_check, needs_node_ports, text};
use crate::check::Cidr;
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
        return Err(StatusError::invalid("", "Service", &name, &errors));
    }
    cluster_ips(&name, spec, old_spec, &taken, cx).map_err(|error| error.into_status(&name))?;
    let mut used = taken.ports;
    if needs_node_ports(spec) {
        let given = match old_spec {
            None => ports::first(spec, &mut used, cx),
            Some(old) => ports::changed(spec, old, &mut used, cx),
        };
        given.map_err(|error| error.into_status(&name))?;
    }
    if needs_health_check(spec) && !old_spec.is_some_and(needs_health_check) {
        let asked = spec.int_at(&["healthCheckNodePort"]).unwrap_or_default();
        if asked == 0 {
            let port = ports::free(&used, cx).ok_or_else(|| {
                StatusError::internal("failed to allocate a HealthCheck NodePort 0: range is full")
            })?;
            spec.put("healthCheckNodePort", port);
        } else if let Err(why) = ports::take(asked, &mut used, cx) {
            let words = format!("failed to allocate requested HealthCheck NodePort {asked}: {why}");
            return Err(StatusError::internal(words));
        }
    }
    Ok(())
}

/// Why something could not be allocated.
enum Refusal {
    Field(FieldError),
    /// No address is left.
    Full,
    Internal(String),
    /// An error that upstream gives no reason.
    Unknown(String),
}

impl Refusal {
    fn into_status(self, name: &str) -> StatusError {
        match self {
            Self::Field(error) => StatusError::invalid("", "Service", name, &[error]),
            Self::Full => {
                let name = meta::field::quote(name);
                let why = format!("failed to allocate a serviceIP for Service {name}");
                StatusError::internal(format!("{why}: range is full"))
            }
            Self::Internal(why) => StatusError::internal(why),
            Self::Unknown(why) => StatusError::new(500, "", why),
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
    name: &str,
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
        // An address that was there is not exchanged: validation says so. Source: `Allocators.updateClusterIPs`.
        if !asked.is_empty() && index < kept.len() {
            continue;
        }
        let ip = if asked.is_empty() {
            let ip = free_ip(family_name, taken, cx)?;
            if name.is_empty() && !cx.dry_run {
                return Err(unowned(&ip));
            }
            ip
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

/// Upstream's IPAddress says whose it is, which nobody can be without a name.
fn unowned(ip: &str) -> Refusal {
    let address = format!("IPAddress.networking.k8s.io \"{ip}\" is invalid");
    let why = format!("failed to allocate IP: {address}: spec.parentRef.name: Required value");
    let path = Path::new("spec").child("clusterIPs");
    Refusal::Field(FieldError::invalid(&path, json!([""]), why))
}

/// A block of cluster IPs.
struct Block {
    base: u128,
    size: u128,
    is_v4: bool,
}

impl Block {
    fn new(address: IpAddr, prefix: u8) -> Self {
        let (base, bits) = (number(address), if address.is_ipv4() { 32 } else { 128 });
        let host_bits = bits - u32::from(prefix).min(bits);
        let size = 1_u128.checked_shl(host_bits).unwrap_or(u128::MAX);
        Self {
            base: base - base % size,
            size,
            is_v4: address.is_ipv4(),
        }
    }

    /// The last offset that may be given: the first address, and the last one of a v4 block, are not hosts.
    fn last(&self) -> u128 {
        self.size.saturating_sub(if self.is_v4 { 2 } else { 1 })
    }

    /// Whether it may give an address. Source: `servicecidr.PrefixContainsIP`.
    fn contains(&self, ip: IpAddr) -> bool {
        let number = number(ip);
        self.is_v4 == ip.is_ipv4() && number > self.base && number - self.base <= self.last()
    }

    /// A free address, from the upper part of the block first: the lower one is left to people.
    fn free(&self, taken: &Taken, random: u64) -> Option<IpAddr> {
        let last = self.last();
        let reserved = (self.size / 16).clamp(16, 256).min(last);
        let start = u128::from(random) % last.saturating_sub(reserved).max(1) + reserved + 1;
        let upper = start..=last;
        let lower = 1..start.min(last + 1);
        let candidates = upper.chain(reserved + 1..start).chain(lower);
        let tries = usize::try_from(TRIES_MAX).unwrap_or(usize::MAX);
        candidates
            .take(tries)
            .map(|offset| address(self.base + offset, self.is_v4))
            .find(|ip| !taken.ips.contains(ip))
    }
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = if self.is_v4 { 32 } else { 128 };
        let prefix = bits - self.size.checked_ilog2().unwrap_or_default();
        write!(f, "{}/{prefix}", address(self.base, self.is_v4))
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(u32::from(v4)),
        IpAddr::V6(v6) => u128::from(v6),
    }
}

/// The blocks that addresses of a family are taken from: the server's own first, then those of other ServiceCIDRs, as
/// long as nobody says that they are not ready.
///
/// Source: `ipallocator.MetaAllocator`.
fn blocks(family_name: &str, cx: &Context<'_>) -> Vec<Block> {
    let own = cx.ranges.service_cidrs.iter().copied();
    let ready = cx.lookup.list("servicecidrs.networking.k8s.io", "");
    let ready = ready.into_iter().filter(|cidr| is_ready(cidr));
    let others = ready.flat_map(|cidr| {
        let texts = texts(cidr.get("spec").unwrap_or(&Value::Null), "cidrs");
        let read = |text: String| Cidr::parse(&text).map(|cidr| (cidr.address, cidr.bits));
        texts.into_iter().filter_map(read).collect::<Vec<_>>()
    });
    let mut all: Vec<(IpAddr, u8)> = own.chain(others).collect();
    all.retain(|(address, _)| family(address) == family_name);
    let blocks = all.into_iter();
    blocks
        .map(|(address, bits)| Block::new(address, bits))
        .collect()
}

fn is_ready(cidr: &Object) -> bool {
    let mut conditions = cidr.list_at(&["status", "conditions"]).iter();
    let ready = conditions.find(|one| one.str_at(&["type"]) == Some("Ready"));
    let is_unready = ready.is_some_and(|ready| ready.str_at(&["status"]) != Some("True"));
    !is_unready && cidr.deletion_timestamp().is_none()
}

fn address(number: u128, is_v4: bool) -> IpAddr {
    match u32::try_from(number) {
        Ok(number) if is_v4 => IpAddr::from(number.to_be_bytes()),
        _ => IpAddr::from(number.to_be_bytes()),
    }
}

fn free_ip(family_name: &str, taken: &Taken, cx: &Context<'_>) -> Result<String, Refusal> {
    let blocks = blocks(family_name, cx);
    let ip = if cx.dry_run {
        // Upstream looks for none when it stores nothing.
        blocks.first().map(|block| address(block.base, block.is_v4))
    } else {
        let mut free = blocks.iter().map(|block| block.free(taken, cx.random));
        free.find_map(|ip| ip)
    };
    ip.map(|ip| ip.to_string()).ok_or(Refusal::Full)
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
    let blocks = blocks(family_name, cx);
    match blocks.iter().any(|block| block.contains(ip)) {
        // Upstream does not look further when it stores nothing.
        true if cx.dry_run => return Ok(()),
        true => {}
        false => {
            let words = "the provided network does not match the current range";
            let tried = blocks.first().filter(|_| cx.dry_run);
            let in_dry_run = tried.map(|block| format!(
                "the provided IP ({asked}) is not in the valid range. The range of valid IPs is {block}"
            ));
            return Err(refuse(in_dry_run.unwrap_or_else(|| words.to_owned())));
        }
    }
    if taken.ips.contains(&ip) {
        return Err(refuse("provided IP is already allocated".into()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::strategy::Ranges;

    pub(super) struct Cidrs(pub(super) Vec<Object>);

    impl crate::strategy::Lookup for Cidrs {
        fn get(&self, _: &str, _: &str, _: &str) -> Option<std::sync::Arc<Object>> {
            None
        }
        fn list(&self, resource: &str, _: &str) -> Vec<std::sync::Arc<Object>> {
            let is_asked = resource == "servicecidrs.networking.k8s.io";
            let all = self.0.iter().filter(|_| is_asked);
            all.cloned().map(std::sync::Arc::new).collect()
        }
    }

    pub(super) fn context<'a>(cidrs: &'a Cidrs, ranges: &'a Ranges, dry_run: bool) -> Context<'a> {
        Context {
            now: jiff::Timestamp::UNIX_EPOCH,
            operation: crate::strategy::Operation::Create,
            subresource: None,
            user: None,
            lookup: cidrs,
            random: 7,
            ranges,
            dry_run,
            is_labelled: true,
        }
    }

    fn asked(ip: &str, cidrs: &Cidrs, dry_run: bool) -> Result<(), String> {
        let ranges = Ranges::default();
        let cx = context(cidrs, &ranges, dry_run);
        let taken = Taken {
            ips: BTreeSet::from([IpAddr::from([10, 77, 0, 9])]),
            ports: BTreeSet::new(),
        };
        let refused = check_ip(ip, &[ip.to_owned()], "IPv4", &taken, &cx);
        refused.map_err(|refusal| match refusal {
            Refusal::Field(error) => error.detail,
            Refusal::Internal(why) | Refusal::Unknown(why) => why,
            Refusal::Full => String::new(),
        })
    }

    #[test]
    fn an_address_that_is_exchanged_is_left_to_validation() {
        let (cidrs, ranges) = (Cidrs(Vec::new()), Ranges::default());
        let cx = context(&cidrs, &ranges, false);
        let nothing = Taken {
            ips: BTreeSet::new(),
            ports: BTreeSet::new(),
        };
        let spec =
            |ip: &str| json!({"type": "ClusterIP", "clusterIPs": [ip], "ipFamilies": ["IPv4"]});
        let (mut new, old) = (spec("1.2.3.4"), spec("10.96.0.5"));
        assert!(cluster_ips("s", &mut new, Some(&old), &nothing, &cx).is_ok());
        assert!(cluster_ips("s", &mut new, None, &nothing, &cx).is_err());
        let mut open = json!({"type": "ClusterIP", "ipFamilies": ["IPv4"]});
        let Err(Refusal::Field(error)) = cluster_ips("", &mut open, None, &nothing, &cx) else {
            panic!("nobody has an address");
        };
        assert!(
            error
                .detail
                .ends_with("spec.parentRef.name: Required value")
        );
    }

    #[test]
    fn addresses_come_from_every_block_that_is_ready() {
        let cidr = |block: &str, ready: &str| {
            json!({"metadata": {"name": "x"}, "spec": {"cidrs": [block]},
                "status": {"conditions": [{"type": "Ready", "status": ready}]}})
        };
        let cidrs = Cidrs(vec![
            cidr("10.77.0.0/24", "True"),
            cidr("10.78.0.0/24", "False"),
        ]);
        assert_eq!(asked("10.77.0.5", &cidrs, false), Ok(()));
        assert_eq!(asked("10.96.0.5", &cidrs, false), Ok(()));
        let why = |ip, dry_run| asked(ip, &cidrs, dry_run).unwrap_err();
        assert!(why("10.77.0.9", false).ends_with("provided IP is already allocated"));
        for outside in ["10.78.0.5", "10.96.0.0", "10.111.255.255", "1.2.3.4"] {
            let words = "the provided network does not match the current range";
            assert!(why(outside, false).ends_with(words), "{outside}");
            let words = "The range of valid IPs is 10.96.0.0/12";
            assert!(why(outside, true).ends_with(words), "{outside}");
        }
    }
}
