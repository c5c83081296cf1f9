//! Makes and removes the bridge of one node.
//!
//! Every step is repeatable: setting up twice changes nothing, and pods that are attached stay so.

use std::{
    fs::File,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    path::{Path, PathBuf},
};

use serde::Deserialize;
use tokio::fs;
use tracing::warn;

use crate::{CommandError, Instance, ParseSubnetError, Subnet, command, conflist, subnet};

/// MTU of the bridge when the machine has no default route to take it from, in bytes.
const MTU_FALLBACK: u32 = 1500;

/// The network that pods of this node are joined to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeNetwork {
    /// Name of the bridge.
    pub bridge: String,
    /// Addresses of the pods; the node's pod CIDR.
    pub subnet: Subnet,
    /// Address of the bridge, which the pods use as default gateway.
    pub gateway: Ipv4Addr,
    /// Directory with the CNI configuration, for the container runtime.
    pub cni_conf_dir: PathBuf,
}

/// Why the node's network could not be made or removed.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A file or directory failed.
    #[error("cannot {operation} {}", path.display())]
    File {
        /// What was tried, as a verb.
        operation: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The subnet written down by an earlier start makes no sense.
    #[error("{} is damaged; remove it, and a new subnet is chosen", path.display())]
    SavedSubnet {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: ParseSubnetError,
    },
    /// All subnets overlap with networks of this machine.
    #[error(
        "no free /{} in {} for pods: every one overlaps an address or route of this machine (see `ip route`)",
        subnet::NODE_PREFIX,
        subnet::POD_RANGE
    )]
    NoSubnet,
    /// A network program failed.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// `ip` printed something else than expected.
    #[error("cannot understand the output of `ip -j {arguments}`")]
    Output {
        /// Its arguments.
        arguments: &'static str,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

#[derive(Deserialize)]
struct Route {
    dst: String,
    dev: Option<String>,
}

#[derive(Deserialize)]
struct Link {
    ifname: String,
    mtu: Option<u32>,
    #[serde(default)]
    addr_info: Vec<Address>,
}

#[derive(Deserialize)]
struct Address {
    local: Option<String>,
    prefixlen: u8,
}

/// Makes the bridge, lets packets pass and writes the CNI configuration.
///
/// The subnet is chosen once per data directory and kept in `network/subnet` under it.
///
/// # Errors
/// Without root, without `ip` or `nft`, or when no subnet is free.
pub async fn set_up(instance: &Instance) -> Result<NodeNetwork, NetworkError> {
    let bridge = instance.bridge();
    // Held until the bridge has its address, so that two instances do not choose the same subnet.
    let _guard = lock(instance.run_dir().with_file_name("network.lock")).await?;
    let links: Vec<Link> = ask("addr show").await?;
    let routes: Vec<Route> = ask("-4 route show").await?;
    let subnet = saved_or_chosen(instance, &bridge, &links, &routes).await?;
    let mtu = default_mtu(&links, &routes);

    if !links.iter().any(|link| link.ifname == bridge) {
        command::ip(&format!("link add {bridge} type bridge")).await?;
    }
    // Pinned: a bridge without ports falls back to an all-zero address, which CNI then cannot use.
    let mac = mac(subnet.gateway());
    command::ip(&format!("link set {bridge} address {mac} mtu {mtu} up")).await?;
    let address = format!("{}/{}", subnet.gateway(), subnet.prefix());
    command::ip(&format!("addr replace {address} dev {bridge}")).await?;
    command::nft(&masquerade(&instance.table(), subnet)).await?;
    forward().await?;

    let cni_conf_dir = instance.data_dir().join("network/cni");
    let list = conflist::conflist(&bridge, subnet, mtu, &instance.run_dir().join("ipam"));
    write(
        &cni_conf_dir.join(conflist::FILE_NAME),
        &format!("{list:#}\n"),
    )
    .await?;
    Ok(NodeNetwork {
        bridge,
        subnet,
        gateway: subnet.gateway(),
        cni_conf_dir,
    })
}

/// Leads what pods send to the API server's cluster IP to the port on the bridge where it listens.
///
/// Only packets that come in through the bridge are led, so that instances do not disturb each other.
///
/// # Errors
/// `nft` does not take the rule; the network must be set up.
pub async fn lead_to_api(
    instance: &Instance,
    network: &NodeNetwork,
    service: SocketAddrV4,
    port: u16,
) -> Result<(), NetworkError> {
    let rules = api_rules(&instance.table(), network, service, port);
    Ok(command::nft(&rules).await?)
}

fn api_rules(table: &str, network: &NodeNetwork, service: SocketAddrV4, port: u16) -> String {
    let (bridge, gateway) = (&network.bridge, network.gateway);
    let (ip, service_port) = (service.ip(), service.port());
    format!(
        "table ip {table} {{\n\
         \tchain prerouting {{\n\
         \t\ttype nat hook prerouting priority dstnat; policy accept;\n\
         \t\tiifname {bridge} ip daddr {ip} tcp dport {service_port} dnat to {gateway}:{port}\n\
         \t}}\n\
         }}\n"
    )
}

/// Forgets which pod had which address.
///
/// Addresses are given again, and the kernel keeps to the pod that had one before for up to 11 s, as it asks that one first.
///
/// # Errors
/// `ip` cannot be run.
pub async fn forget_neighbours(network: &NodeNetwork) -> Result<(), NetworkError> {
    let bridge = &network.bridge;
    command::ip(&format!("neigh flush dev {bridge}")).await?;
    Ok(())
}

/// Removes the bridge and the rules; nothing happens when there are none.
///
/// Pods must be gone: those that remain lose their network.
pub async fn remove(instance: &Instance) -> Result<(), NetworkError> {
    let bridge = instance.bridge();
    let links: Vec<Link> = ask("addr show").await?;
    if links.iter().any(|link| link.ifname == bridge) {
        command::ip(&format!("link delete {bridge}")).await?;
    }
    let table = instance.table();
    // Adding first makes the removal succeed when there is no such table.
    command::nft(&format!("add table ip {table}\ndelete table ip {table}\n")).await?;
    Ok(())
}

async fn ask<T: for<'a> Deserialize<'a>>(arguments: &'static str) -> Result<T, NetworkError> {
    let text = command::ip(&format!("-j {arguments}")).await?;
    serde_json::from_str(&text).map_err(|source| NetworkError::Output { arguments, source })
}

async fn saved_or_chosen(
    instance: &Instance,
    bridge: &str,
    links: &[Link],
    routes: &[Route],
) -> Result<Subnet, NetworkError> {
    let path = instance.data_dir().join("network/subnet");
    match fs::read_to_string(&path).await {
        Ok(text) => {
            return text
                .trim()
                .parse()
                .map_err(|source| NetworkError::SavedSubnet { path, source });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => {
            return Err(NetworkError::File {
                operation: "read",
                path,
                source,
            });
        }
    }
    let in_use = in_use(bridge, links, routes);
    let chosen = subnet::choose(&in_use, instance.seed()).ok_or(NetworkError::NoSubnet)?;
    write(&path, &format!("{chosen}\n")).await?;
    Ok(chosen)
}

/// The subnets that addresses and routes of this machine cover, without our own bridge's.
fn in_use(bridge: &str, links: &[Link], routes: &[Route]) -> Vec<Subnet> {
    let addresses = links
        .iter()
        .filter(|link| link.ifname != bridge)
        .flat_map(|link| &link.addr_info)
        .filter_map(|address| {
            let local = address.local.as_ref()?.parse().ok()?;
            Some(Subnet::around(local, address.prefixlen))
        });
    let routes = routes
        .iter()
        .filter(|route| route.dev.as_deref() != Some(bridge))
        .filter_map(|route| {
            let host = || Some(Subnet::around(route.dst.parse().ok()?, 32));
            route.dst.parse().ok().or_else(host)
        });
    addresses.chain(routes).collect()
}

fn default_mtu(links: &[Link], routes: &[Route]) -> u32 {
    let device = routes
        .iter()
        .find(|route| route.dst == "default")
        .and_then(|r| r.dev.as_ref());
    let link = device.and_then(|device| links.iter().find(|link| link.ifname == *device));
    link.and_then(|link| link.mtu).unwrap_or(MTU_FALLBACK)
}

/// A locally administered hardware address made from an IPv4 address, as CNI's bridge plugin makes it.
fn mac(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("0a:58:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}

/// Rules that give pods the node's address when they talk to the world outside.
fn masquerade(table: &str, subnet: Subnet) -> String {
    format!(
        "add table ip {table}\n\
         delete table ip {table}\n\
         table ip {table} {{\n\
         \tchain postrouting {{\n\
         \t\ttype nat hook postrouting priority srcnat; policy accept;\n\
         \t\tip saddr {subnet} ip daddr != {subnet} masquerade\n\
         \t}}\n\
         }}\n"
    )
}

/// Lets the kernel forward packets, and lets bridged ones pass through the rules too.
async fn forward() -> Result<(), NetworkError> {
    let path = Path::new("/proc/sys/net/ipv4/ip_forward");
    assert_setting(path).await?;
    // Without this a reply between two pods bypasses the rules, and Services time out.
    let path = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    if let Err(error) = assert_setting(path).await {
        warn!(
            error = &error as &dyn std::error::Error,
            "bridged packets are not filtered: run `modprobe br_netfilter`"
        );
    }
    Ok(())
}

/// Writes "1" to a kernel setting unless it is there already (the file may be read-only then).
async fn assert_setting(path: &Path) -> Result<(), NetworkError> {
    let file = |operation| {
        move |source| NetworkError::File {
            operation,
            path: path.to_owned(),
            source,
        }
    };
    let value = fs::read_to_string(path).await.map_err(file("read"))?;
    if value.trim() == "1" {
        return Ok(());
    }
    fs::write(path, "1").await.map_err(file("write"))
}

async fn lock(path: PathBuf) -> Result<File, NetworkError> {
    let locked = path.clone();
    let lock = move || {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir)?;
        }
        let file = File::create(&path)?;
        file.lock()?;
        Ok(file)
    };
    let file = tokio::task::spawn_blocking(lock)
        .await
        .unwrap_or_else(|error| Err(error.into()));
    file.map_err(|source| NetworkError::File {
        operation: "lock",
        path: locked,
        source,
    })
}

async fn write(path: &Path, text: &str) -> Result<(), NetworkError> {
    let file = |operation| {
        move |source| NetworkError::File {
            operation,
            path: path.to_owned(),
            source,
        }
    };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)
            .await
            .map_err(file("make the directory of"))?;
    }
    fs::write(path, text).await.map_err(file("write"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINKS: &str = r#"[
        {"ifname":"lo","mtu":65536,"addr_info":[{"family":"inet","local":"127.0.0.1","prefixlen":8}]},
        {"ifname":"eth0","mtu":1400,"addr_info":[
            {"family":"inet","local":"192.0.2.2","prefixlen":24},
            {"family":"inet6","local":"fd00::2","prefixlen":64}]},
        {"ifname":"sampan0badcafe","mtu":1400,"addr_info":[{"local":"10.88.7.1","prefixlen":24}]}]"#;
    const ROUTES: &str = r#"[
        {"dst":"default","gateway":"192.0.2.1","dev":"eth0"},
        {"dst":"10.88.9.0/24","dev":"tun0"},
        {"dst":"10.88.7.0/24","dev":"sampan0badcafe"}]"#;

    fn machine() -> (Vec<Link>, Vec<Route>) {
        (
            serde_json::from_str(LINKS).unwrap(),
            serde_json::from_str(ROUTES).unwrap(),
        )
    }

    #[test]
    fn networks_of_others_are_in_use_and_our_own_bridge_is_not() {
        let (links, routes) = machine();
        let in_use = in_use("sampan0badcafe", &links, &routes);
        let names: Vec<String> = in_use.iter().map(Subnet::to_string).collect();
        assert_eq!(names, ["127.0.0.0/8", "192.0.2.0/24", "10.88.9.0/24"]);
    }

    #[test]
    fn the_bridge_has_the_mtu_of_the_way_out() {
        let (links, routes) = machine();
        assert_eq!(default_mtu(&links, &routes), 1400);
        assert_eq!(default_mtu(&links, &[]), MTU_FALLBACK);
    }

    #[test]
    fn only_pods_of_this_instance_are_led_to_its_api_server() {
        let network = NodeNetwork {
            bridge: "sampan0badcafe".to_owned(),
            subnet: "10.88.7.0/24".parse().unwrap(),
            gateway: Ipv4Addr::new(10, 88, 7, 1),
            cni_conf_dir: PathBuf::new(),
        };
        let service = SocketAddrV4::new(Ipv4Addr::new(10, 96, 0, 1), 443);
        let rules = api_rules("t", &network, service, 6443);
        let rule =
            "iifname sampan0badcafe ip daddr 10.96.0.1 tcp dport 443 dnat to 10.88.7.1:6443\n";
        assert!(rules.contains(rule), "{rules}");
    }

    #[test]
    fn the_hardware_address_is_made_from_the_gateway() {
        assert_eq!(mac(Ipv4Addr::new(10, 88, 7, 1)), "0a:58:0a:58:07:01");
    }
}
