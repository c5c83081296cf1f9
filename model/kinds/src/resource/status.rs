//! What the status of a claim may say. Source: `ValidateResourceClaimStatusUpdate`.

use meta::{FieldError, Object, ObjectExt as _};
use serde_json::Value;

use super::claim::{
    CONFIG_MAX, PARAMETERS_BYTES_MAX, Requests, configuration, raw, reference, references, requests,
};
use super::names::{fits, itself, label, pool, unique};
use super::slice::binding_conditions;
use crate::check::{Errors, Node};
use crate::core::csi_driver_name;
use crate::core::pod_spec::validate::node_selector;

/// Source: `ResourceClaimReservedForMaxSize`.
const RESERVED_MAX: usize = 256;
/// Source: `AllocationResultsMaxSize`.
const RESULTS_MAX: usize = 32;
/// Source: `AllocatedDeviceStatusMaxConditions`.
const CONDITIONS_MAX: usize = 8;
/// Source: `NetworkDeviceDataMaxIPs`.
const ADDRESSES_MAX: usize = 16;
/// Source: `NetworkDeviceDataInterfaceNameMaxLength`.
const INTERFACE_BYTES_MAX: usize = 256;
/// Source: `NetworkDeviceDataHardwareAddressMaxLength`.
const HARDWARE_BYTES_MAX: usize = 128;

/// Goes through the status.
pub(crate) fn check(new: &Object, old: &Object, errors: &mut Errors) {
    let status = Node::root(new).child("status");
    let was = Node::root(old).child("status");
    if fits(&status, "reservedFor", RESERVED_MAX, errors) {
        for consumer in status.items("reservedFor") {
            for field in ["resource", "name", "uid"] {
                consumer.needs(field, errors);
            }
        }
        let uid = |one: &Node<'_>| Value::from(one.text("uid"));
        unique(&status, "reservedFor", uid, errors);
    }
    let allocated: Vec<String> = status
        .child("allocation")
        .child("devices")
        .items("results")
        .iter()
        .map(device_id)
        .collect();
    for device in status.items("devices") {
        self::device(&device, &allocated, errors);
    }
    let mut seen = Vec::new();
    for device in status.items("devices") {
        let id = device_id(&device);
        if seen.contains(&id) {
            let error = FieldError::duplicate(&device.path, id.as_str());
            errors.push(as_shown(error, &id));
        }
        seen.push(id);
    }
    reservations(&status, &was, new.deletion_timestamp().is_some(), errors);
    match (status.has("allocation"), was.has("allocation")) {
        (true, true) => status.immutable(&was, "allocation", errors),
        (true, false) => {
            let devices = Node::root(new).child("spec").child("devices");
            allocation(&status.child("allocation"), &requests(&devices), errors);
        }
        _ => {}
    }
}

/// Only what is allocated is reserved, and nothing more once the claim is to go.
fn reservations(status: &Node<'_>, was: &Node<'_>, is_deleted: bool, errors: &mut Errors) {
    let path = status.at("reservedFor");
    let known = was.value.list_at(&["reservedFor"]);
    let mut reserved = status.value.list_at(&["reservedFor"]).iter();
    if reserved.len() == 0 {
        return;
    }
    if !status.has("allocation") {
        let why = "may not be specified when `allocated` is not set";
        errors.push(FieldError::forbidden(&path, why));
    } else if is_deleted && reserved.any(|consumer| !known.contains(consumer)) {
        let why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
        errors.push(FieldError::forbidden(&path, why));
    }
}

/// A device as errors show it. Source: `structured.SharedDeviceID`.
fn device_id(device: &Node<'_>) -> String {
    let quoted = |field: &str| Value::from(device.text(field)).to_string();
    format!(
        r#"{{"Driver":{},"Pool":{},"Device":{},"ShareID":{}}}"#,
        quoted("driver"),
        quoted("pool"),
        quoted("device"),
        quoted("shareID")
    )
}

fn as_shown(mut error: FieldError, id: &str) -> FieldError {
    error.shown = Some(id.to_owned());
    error
}

/// Source: `validateDeviceStatus`.
fn device(device: &Node<'_>, allocated: &[String], errors: &mut Errors) {
    csi_driver_name(device, "driver", errors);
    pool(device, "pool", errors);
    label(device, "device", errors);
    share(device, errors);
    let id = device_id(device);
    if !allocated.contains(&id) {
        let why = "must be an allocated device in the claim";
        let error = FieldError::invalid(&device.path, id.as_str(), why);
        errors.push(as_shown(error, &id));
    }
    fits(device, "conditions", CONDITIONS_MAX, errors);
    crate::status::conditions(device, errors);
    if device.has("data") {
        raw(device, "data", PARAMETERS_BYTES_MAX, errors);
    }
    let Some(network) = device.get("networkData") else {
        return;
    };
    for (field, max) in [
        ("interfaceName", INTERFACE_BYTES_MAX),
        ("hardwareAddress", HARDWARE_BYTES_MAX),
    ] {
        if network.text(field).len() > max {
            errors.push(FieldError::too_long(&network.at(field), max));
        }
    }
    if fits(&network, "ips", ADDRESSES_MAX, errors) {
        for one in network.items("ips") {
            address(&one, errors);
        }
        unique(&network, "ips", itself, errors);
    }
}

/// An address with the length of its prefix. Source: `IsValidInterfaceAddress`.
fn address(node: &Node<'_>, errors: &mut Errors) {
    let text = node.value.as_str().unwrap_or_default();
    let parts = text.split_once('/');
    let read = parts.and_then(|(ip, length)| {
        let (ip, length) = (crate::check::parse_ip(ip)?, length.parse::<u8>().ok()?);
        let most = if ip.is_ipv4() { 32 } else { 128 };
        (length <= most).then_some((ip, length))
    });
    let Some((ip, length)) = read else {
        let why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        errors.push(FieldError::invalid(&node.path, text, why));
        return;
    };
    let canonical = format!("{ip}/{length}");
    if text != canonical {
        let why = format!(
            "must be in canonical form ({})",
            meta::field::quote(&canonical)
        );
        errors.push(FieldError::invalid(&node.path, text, why));
    }
}

/// Source: `validateUID`, with the sentences of Go's `uuid.Validate`.
fn share(device: &Node<'_>, errors: &mut Errors) {
    const NORMAL_BYTES: usize = 36;
    if !device.has("shareID") {
        return;
    }
    let uid = device.text("shareID");
    let is_dash = |at: usize| matches!(at, 8 | 13 | 18 | 23);
    let is_sound = uid.bytes().enumerate().all(|(at, byte)| match byte {
        b'-' => is_dash(at),
        byte => byte.is_ascii_hexdigit() && !is_dash(at),
    });
    let why = match uid.len() {
        // Without dashes, in braces, as a URN.
        32 | 38 | 45 => Some(String::new()),
        NORMAL_BYTES if !is_sound => Some("invalid UUID format".to_owned()),
        NORMAL_BYTES if uid.bytes().any(|byte| byte.is_ascii_uppercase()) => Some(String::new()),
        NORMAL_BYTES => None,
        length => Some(format!("invalid UUID length: {length}")),
    };
    let Some(why) = why else { return };
    let why = if why.is_empty() {
        "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters".to_owned()
    } else {
        format!("error validating uid: {why}")
    };
    errors.push(FieldError::invalid(&device.at("shareID"), uid, why));
}

/// Source: `validateAllocationResult`.
fn allocation(allocation: &Node<'_>, known: &Requests<'_>, errors: &mut Errors) {
    let devices = allocation.child("devices");
    if fits(&devices, "results", RESULTS_MAX, errors) {
        for result in devices.items("results") {
            reference(&result.child("request"), known, errors);
            csi_driver_name(&result, "driver", errors);
            pool(&result, "pool", errors);
            label(&result, "device", errors);
            binding_conditions(&result, errors);
            share(&result, errors);
        }
    }
    // What the class asks and what the claim asks.
    if fits(&devices, "config", 2 * CONFIG_MAX, errors) {
        for config in devices.items("config") {
            config.needs_one_of("source", &["FromClaim", "FromClass"], errors);
            references(&config, known, errors);
            configuration(&config, errors);
        }
    }
    if let Some(selector) = allocation.get("nodeSelector") {
        node_selector(&selector, errors);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_names_devices_that_are_allocated() {
        let claim = |status: Value| json!({"spec": {"devices": {"requests": [{"name": "r", "exactly": {}}]}}, "status": status});
        let result = json!({"request": "r", "driver": "d.io", "pool": "p", "device": "dev"});
        let allocated = json!({"devices": {"results": [result]}});
        let consumer = json!({"resource": "pods", "name": "p", "uid": "u"});
        let cases = [
            (
                json!({"allocation": allocated, "reservedFor": [consumer]}),
                "",
            ),
            (
                json!({"reservedFor": [consumer]}),
                "status.reservedFor: Forbidden: may not be specified when `allocated` is not set",
            ),
            (
                json!({"allocation": {"devices": {"results": [{"request": "x", "driver": "d.io", "pool": "p", "device": "dev"}]}}}),
                "status.allocation.devices.results[0].request: Invalid value: \"x\": must be the name of a request in the claim or the name of a request and a subrequest separated by '/'",
            ),
            (
                json!({"devices": [{"driver": "d.io", "pool": "p", "device": "dev", "networkData": {"ips": ["10.0.0.1"]}}]}),
                "status.devices[0]: Invalid value: {\"Driver\":\"d.io\",\"Pool\":\"p\",\"Device\":\"dev\",\"ShareID\":\"\"}: must be an allocated device in the claim; status.devices[0].networkData.ips[0]: Invalid value: \"10.0.0.1\": must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)",
            ),
        ];
        for (status, wanted) in cases {
            let mut errors = Errors::new();
            check(&claim(status), &claim(json!({})), &mut errors);
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(errors.join("; "), wanted);
        }
    }
}
