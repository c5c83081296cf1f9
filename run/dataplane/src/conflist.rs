//! The CNI configuration that a container runtime reads: which plugins join a pod to the network.

use std::path::Path;

use serde_json::{Value, json};

use crate::Subnet;

/// Name of the file in the runtime's CNI directory.
pub const FILE_NAME: &str = "10-sampan.conflist";

/// The configuration for a bridge whose pods get addresses of one subnet.
///
/// `ipam_dir` keeps the leases. The bridge plugin is told that the bridge is the default gateway, so
/// the address plugin must not be given a default route too: the second one fails with "file exists".
pub fn conflist(bridge: &str, subnet: Subnet, mtu: u32, ipam_dir: &Path) -> Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "sampan",
        "plugins": [
            {
                "type": "bridge",
                "bridge": bridge,
                "isGateway": true,
                "isDefaultGateway": true,
                "ipMasq": false,
                "hairpinMode": true,
                "mtu": mtu,
                "ipam": {
                    "type": "host-local",
                    "dataDir": ipam_dir,
                    "ranges": [[{ "subnet": subnet.to_string() }]],
                },
            },
            { "type": "portmap", "capabilities": { "portMappings": true }, "snat": true },
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_plugin_gets_no_route_of_its_own() {
        let list = conflist(
            "sampan0badcafe",
            "10.88.7.0/24".parse().unwrap(),
            1400,
            Path::new("/run/sampan/0badcafe/ipam"),
        );
        let bridge = &list["plugins"][0];
        assert_eq!(bridge["bridge"], "sampan0badcafe");
        assert_eq!(bridge["ipam"]["ranges"][0][0]["subnet"], "10.88.7.0/24");
        assert_eq!(bridge["ipam"].get("routes"), None);
        assert_eq!(bridge["mtu"], 1400);
    }
}
