//! Names into places, without a network.

use serde_json::json;

use super::locate::{container, split};
use super::options::Pairs;
use super::pod::address;

#[test]
fn the_only_container_need_not_be_named() {
    let one = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "web"}]}});
    let two = json!({"metadata": {"name": "p"},
        "spec": {"initContainers": [{"name": "i"}], "containers": [{"name": "a"}, {"name": "b"}]}});
    assert_eq!(container(&one, "").unwrap(), "web");
    assert_eq!(container(&two, "i").unwrap(), "i");
    assert_eq!(
        container(&two, "").unwrap_err().0.message,
        "a container name must be specified for pod p, choose one of: [i a b]"
    );
    assert_eq!(
        container(&one, "x").unwrap_err().0.message,
        "container x is not valid for pod p"
    );
}

#[test]
fn ids_may_name_a_scheme_and_a_port() {
    assert_eq!(split("web"), Some(("", "web", "")));
    assert_eq!(split("web:80"), Some(("", "web", "80")));
    assert_eq!(split("https:web:443"), Some(("https", "web", "443")));
    assert_eq!(split("ftp:web:21"), None);
    assert_eq!(split(":80"), None);
}

#[test]
fn only_addresses_of_pods_are_proxied_to() {
    assert!(address("10.0.0.7").is_ok());
    for refused in ["127.0.0.1", "169.254.169.254", "", "::1", "224.0.0.1"] {
        assert!(address(refused).is_err(), "{refused}");
    }
}

#[test]
fn commands_are_escaped() {
    let mut pairs = Pairs::default();
    pairs.add("command", "sh -c");
    pairs.add("command", "a&b");
    assert_eq!(pairs.behind("/exec"), "/exec?command=sh%20-c&command=a%26b");
}
