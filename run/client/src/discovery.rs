//! What an API server serves.

use std::collections::BTreeSet;

use meta::{ObjectExt, Resource};
use serde_json::Value;

use crate::error::ClientError;
use crate::rest::Rest;

/// A served resource with the verbs it knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The resource.
    pub resource: Resource,
    /// Its verbs.
    pub verbs: Vec<String>,
}

impl Served {
    /// Whether it knows a verb.
    pub fn can(&self, verb: &str) -> bool {
        self.verbs.iter().any(|known| known == verb)
    }
}

/// All that an API server serves.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Every resource in the version its group prefers, subresources aside; sorted.
    pub resources: Vec<Served>,
    /// The versions whose resources are not known, for their group does not answer.
    pub silent: Vec<String>,
    /// Every version of every group, preferred or not.
    pub versions: BTreeSet<String>,
}

/// Asks an API server what it serves.
///
/// # Errors
/// The list of groups itself cannot be read.
pub async fn discover(rest: &Rest) -> Result<Discovered, ClientError> {
    let groups = rest.get_path("/apis").await?;
    let mut paths = vec![("/api/v1".to_owned(), "v1".to_owned())];
    let mut versions = BTreeSet::from(["v1".to_owned()]);
    for group in groups.list_at(&["groups"]) {
        let served = group.list_at(&["versions"]).iter();
        let served = served.filter_map(|version| version.str_at(&["groupVersion"]));
        versions.extend(served.map(str::to_owned));
        let preferred = group.str_at(&["preferredVersion", "groupVersion"]);
        if let Some(version) = preferred {
            versions.insert(version.to_owned());
            paths.push((format!("/apis/{version}"), version.to_owned()));
        }
    }
    let (mut resources, mut silent) = (Vec::new(), Vec::new());
    for (path, group_version) in paths {
        match rest.get_path(&path).await {
            Ok(list) => resources.extend(read(&list, &group_version)),
            Err(_) => silent.push(group_version),
        }
    }
    resources.sort_by(|a, b| a.resource.cmp(&b.resource));
    Ok(Discovered {
        resources,
        silent,
        versions,
    })
}

fn read(list: &Value, group_version: &str) -> Vec<Served> {
    let Some((group, version)) = meta::id::split_api_version(group_version) else {
        return Vec::new();
    };
    let resources = list.list_at(&["resources"]).iter();
    let read = |entry: &Value| {
        let plural = entry.str_at(&["name"]).filter(|name| !name.contains('/'))?;
        let verbs = entry.list_at(&["verbs"]).iter().filter_map(Value::as_str);
        Some(Served {
            resource: Resource {
                group: group.to_owned().into(),
                plural: plural.to_owned().into(),
                version: version.to_owned().into(),
                kind: entry.str_at(&["kind"])?.to_owned().into(),
                is_namespaced: entry.bool_at(&["namespaced"]).unwrap_or_default(),
            },
            verbs: verbs.map(str::to_owned).collect(),
        })
    };
    resources.filter_map(read).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn subresources_are_left_out() {
        let list = json!({ "resources": [
            { "name": "pods", "kind": "Pod", "namespaced": true, "verbs": ["get", "delete"] },
            { "name": "pods/log", "kind": "Pod", "namespaced": true, "verbs": ["get"] },
        ]});
        let served = read(&list, "v1");
        assert_eq!(served.len(), 1);
        assert!(served[0].can("delete") && !served[0].can("watch"));
        assert_eq!(
            served[0].resource,
            Resource::namespaced("", "v1", "Pod", "pods")
        );
    }
}
