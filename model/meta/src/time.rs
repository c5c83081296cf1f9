//! Times as they stand in objects: RFC 3339, UTC, to the second (`Time`) or the microsecond (`MicroTime`).

use jiff::Timestamp;

/// Formats to whole seconds, as `metadata.creationTimestamp` is written.
pub fn to_rfc3339(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Formats to microseconds, as `Lease.spec.renewTime` is written.
pub fn to_rfc3339_micro(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// Reads either form; `None` when it is no RFC 3339 time.
pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}
