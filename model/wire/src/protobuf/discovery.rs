//! Discovery documents as messages; they are in no schema of objects. Source: apimachinery `meta/v1/generated.proto`.

use meta::{Object, ObjectExt as _};
use serde_json::Value;

use super::write::{bytes, seal, varint_field};

/// The fields of a message, by number.
type Message = &'static [(u32, &'static str, Form)];

/// What a field holds. Text, flags and messages that stand alone are written always, lists by their items.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Flag,
    Texts,
    /// Texts in a message of their own, which is left out when there are none.
    Wrapped,
    One(Message),
    Many(Message),
}

const ADDRESS: Message = &[
    (1, "clientCIDR", Form::Text),
    (2, "serverAddress", Form::Text),
];
const VERSIONS: Message = &[
    (1, "versions", Form::Texts),
    (2, "serverAddressByClientCIDRs", Form::Many(ADDRESS)),
];
const VERSION: Message = &[(1, "groupVersion", Form::Text), (2, "version", Form::Text)];
const GROUP: Message = &[
    (1, "name", Form::Text),
    (2, "versions", Form::Many(VERSION)),
    (3, "preferredVersion", Form::One(VERSION)),
];
const GROUPS: Message = &[(1, "groups", Form::Many(GROUP))];
const RESOURCE: Message = &[
    (1, "name", Form::Text),
    (2, "namespaced", Form::Flag),
    (3, "kind", Form::Text),
    (4, "verbs", Form::Wrapped),
    (5, "shortNames", Form::Texts),
    (6, "singularName", Form::Text),
    (7, "categories", Form::Texts),
    (8, "group", Form::Text),
    (9, "version", Form::Text),
    (10, "storageVersionHash", Form::Text),
];
const RESOURCES: Message = &[
    (1, "groupVersion", Form::Text),
    (2, "resources", Form::Many(RESOURCE)),
];

/// A discovery document in its envelope; `None` for another object.
pub fn discovery(document: &Object) -> Option<Vec<u8>> {
    let message = match document.kind() {
        "APIVersions" => VERSIONS,
        "APIGroupList" => GROUPS,
        "APIGroup" => GROUP,
        "APIResourceList" => RESOURCES,
        _ => return None,
    };
    let raw = written(message, document);
    Some(seal(document.api_version(), document.kind(), &raw))
}

fn written(message: Message, value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, name, form) in message {
        let field = value.get(*name).unwrap_or(&Value::Null);
        let items = || field.as_array().into_iter().flatten();
        let texts = || items().filter_map(Value::as_str);
        match form {
            Form::Text => bytes(&mut out, *number, field.as_str().unwrap_or("").as_bytes()),
            Form::Flag => {
                varint_field(&mut out, *number, i64::from(field.as_bool() == Some(true)));
            }
            Form::Texts => texts().for_each(|text| bytes(&mut out, *number, text.as_bytes())),
            Form::Wrapped if field.is_null() => {}
            Form::Wrapped => {
                let mut inner = Vec::new();
                texts().for_each(|text| bytes(&mut inner, 1, text.as_bytes()));
                bytes(&mut out, *number, &inner);
            }
            Form::One(message) => bytes(&mut out, *number, &written(message, field)),
            Form::Many(message) => {
                items().for_each(|item| bytes(&mut out, *number, &written(message, item)));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Bytes that a stock server answered with.
    #[test]
    fn documents_are_written_as_upstream_writes_them() {
        let version = json!({"groupVersion": "apps/v1", "version": "v1"});
        let group = json!({"kind": "APIGroup", "apiVersion": "v1", "name": "apps",
            "versions": [version], "preferredVersion": version});
        let wanted = b"k8s\0\x0a\x0e\x0a\x02v1\x12\x08APIGroup\x12\x24\x0a\x04apps\x12\x0d\x0a\x07apps/v1\x12\x02v1\x1a\x0d\x0a\x07apps/v1\x12\x02v1\x1a\0\x22\0";
        assert_eq!(discovery(&group).unwrap(), wanted);
        let versions = json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs":
            [{"clientCIDR": "0.0.0.0/0", "serverAddress": "192.0.2.2:29443"}]});
        let wanted = b"k8s\0\x0a\x0f\x0a\0\x12\x0bAPIVersions\x12\x22\x0a\x02v1\x12\x1c\x0a\x090.0.0.0/0\x12\x0f192.0.2.2:29443\x1a\0\x22\0";
        assert_eq!(discovery(&versions).unwrap(), wanted);
        let resource = json!({"name": "cronjobs/status", "singularName": "", "namespaced": true,
            "kind": "CronJob", "verbs": ["get", "patch", "update"]});
        let list = json!({"kind": "APIResourceList", "apiVersion": "v1",
            "groupVersion": "batch/v1", "resources": [resource]});
        let item = b"\x12\x3a\x0a\x0fcronjobs/status\x10\x01\x1a\x07CronJob\x22\x14\x0a\x03get\x0a\x05patch\x0a\x06update\x32\0\x42\0\x4a\0\x52\0";
        let written = discovery(&list).unwrap();
        assert!(written.windows(item.len()).any(|window| window == item));
        assert_eq!(discovery(&json!({"kind": "Pod"})), None);
    }
}
