//! Empty lists and maps that a client sent. They are not stored, since `omitempty` says so; upstream knows of them while
//! it checks an object, and shows them where it refuses a value.

use serde_json::{Map, Value};

use super::decode::Step;

/// Where an empty list or map was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emptied {
    path: Vec<String>,
    is_list: bool,
}

impl Emptied {
    /// One in the field `name` of the struct at `steps`.
    pub(super) fn new(steps: &[Step<'_>], name: &str, value: &Value) -> Self {
        let mut path: Vec<String> = steps.iter().map(Step::key).collect();
        path.push(name.to_owned());
        Self {
            path,
            is_list: value.is_array(),
        }
    }

    /// The field of the object below which it was.
    pub fn root(&self) -> &str {
        self.path.first().map_or("", String::as_str)
    }

    /// Puts it back, where its place is still there and nothing else stands in it.
    pub fn restore(&self, object: &mut Value) {
        let Some((name, steps)) = self.path.split_last() else {
            return;
        };
        let place = steps.iter().try_fold(object, |value, step| match value {
            Value::Object(map) => map.get_mut(step),
            Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?),
            _ => None,
        });
        let Some(Value::Object(map)) = place else {
            return;
        };
        if map.get(name).is_none_or(Value::is_null) {
            let empty = if self.is_list {
                Value::Array(Vec::new())
            } else {
                Value::Object(Map::new())
            };
            map.insert(name.clone(), empty);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::schema::{builtin, decode};

    #[test]
    fn what_was_empty_is_put_back_where_its_place_is_left() {
        let sent = json!({"nodeSelector": {}, "imagePullSecrets": [],
            "containers": [{"name": "a"}, {"name": "b", "command": [], "env": []}]});
        let schema = builtin("io.k8s.api.core.v1.PodSpec").unwrap();
        let decoded = decode(sent.clone(), &schema).unwrap();
        let mut object = decoded.object;
        assert_eq!(object["nodeSelector"], json!(null));
        object["imagePullSecrets"] = json!([{"name": "given"}]);
        object["containers"][1]["env"] = json!(null);
        for emptied in &decoded.emptied {
            emptied.restore(&mut object);
        }
        assert_eq!(object["nodeSelector"], json!({}));
        assert_eq!(object["imagePullSecrets"], json!([{"name": "given"}]));
        assert_eq!(object["containers"][1]["command"], json!([]));
        assert_eq!(object["containers"][1]["env"], json!([]));
        let gone = &mut json!({"containers": [{"name": "a"}]});
        for emptied in &decoded.emptied {
            emptied.restore(gone);
        }
        assert_eq!(gone["containers"], json!([{"name": "a"}]));
    }
}
