//! The documents' contents, derived from the rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kinds::{Kind, Registry, Subresource};
use meta::Gvk;
use meta::id::api_version;
use serde_json::{Map, Value, json};

use super::priority;

/// Versions of a group, the preferred one first, each with its rows by plural.
type Versions = Vec<(String, Vec<Arc<Kind>>)>;

/// Bytes of the digest that make a storage version hash. Source: `discovery/storageversionhash.go`.
const STORAGE_VERSION_HASH_BYTES: usize = 8;

/// The plain documents by path.
pub(super) fn plain(registry: &Registry, address: &str) -> BTreeMap<String, Value> {
    let groups = groups(registry);
    let mut documents = BTreeMap::new();
    let mut listed = Vec::new();
    documents.insert("/api".to_owned(), legacy(&groups, address));
    for (group, versions) in &groups {
        for (version, rows) in versions {
            let path = if group.is_empty() {
                format!("/api/{version}")
            } else {
                format!("/apis/{group}/{version}")
            };
            documents.insert(path, resource_list(group, version, rows));
        }
        if !group.is_empty() {
            let described = describe(group, versions);
            let mut alone = described.clone();
            alone.insert("kind".into(), "APIGroup".into());
            alone.insert("apiVersion".into(), "v1".into());
            documents.insert(format!("/apis/{group}"), alone.into());
            listed.push(Value::from(described));
        }
    }
    documents.insert(
        "/apis".to_owned(),
        json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": listed}),
    );
    documents
}

/// The aggregated documents of `/api` and `/apis`.
pub(super) fn aggregated(registry: &Registry) -> BTreeMap<&'static str, Value> {
    let (mut core, mut named) = (Vec::new(), Vec::new());
    for (group, versions) in groups(registry) {
        let versions: Vec<Value> = versions
            .iter()
            .map(|(version, rows)| {
                let resources: Vec<Value> = rows.iter().map(|row| discovered(row)).collect();
                json!({"version": version, "resources": resources, "freshness": "Current"})
            })
            .collect();
        if group.is_empty() {
            core.push(json!({"metadata": {}, "versions": versions}));
        } else {
            named.push(json!({"metadata": {"name": group}, "versions": versions}));
        }
    }
    let list = |items: Vec<Value>| {
        json!({"kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
    };
    BTreeMap::from([("/api", list(core)), ("/apis", list(named))])
}

/// Groups in the order of `/apis`, versions with the preferred one first.
fn groups(registry: &Registry) -> Vec<(String, Versions)> {
    let mut by_group: BTreeMap<String, BTreeMap<String, Vec<Arc<Kind>>>> = BTreeMap::new();
    for row in registry.rows() {
        let versions = by_group.entry(row.group.to_string()).or_default();
        let rows = versions.entry(row.version.to_string()).or_default();
        rows.push(Arc::clone(row));
    }
    let mut groups: Vec<(String, Versions)> = by_group
        .into_iter()
        .map(|(group, versions)| {
            let mut versions: Versions = versions.into_iter().collect();
            versions.sort_by(|(left, _), (right, _)| priority::versions(left, right));
            (group, versions)
        })
        .collect();
    groups.sort_by(|(left, _), (right, _)| priority::groups(left, right));
    groups
}

fn legacy(groups: &[(String, Versions)], address: &str) -> Value {
    let core = groups.iter().find(|(group, _)| group.is_empty());
    let versions: Vec<&str> = core
        .map(|(_, versions)| versions.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|(version, _)| version.as_str())
        .collect();
    json!({"kind": "APIVersions", "versions": versions,
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

fn describe(group: &str, versions: &Versions) -> Map<String, Value> {
    let listed: Vec<Value> = versions
        .iter()
        .map(
            |(version, _)| json!({"groupVersion": api_version(group, version), "version": version}),
        )
        .collect();
    let mut described = Map::new();
    described.insert("name".into(), group.into());
    if let Some(preferred) = listed.first() {
        described.insert("preferredVersion".into(), preferred.clone());
    }
    described.insert("versions".into(), listed.into());
    described
}

fn resource_list(group: &str, version: &str, rows: &[Arc<Kind>]) -> Value {
    let resources: Vec<Value> = rows.iter().flat_map(|row| resources(row)).collect();
    let mut list = json!({"kind": "APIResourceList", "groupVersion": api_version(group, version),
        "resources": resources});
    if let (false, Some(list)) = (group.is_empty(), list.as_object_mut()) {
        list.insert("apiVersion".into(), "v1".into());
    }
    list
}

/// A row and its subresources, as an APIResourceList has them.
fn resources(row: &Kind) -> Vec<Value> {
    let mut parent = Map::new();
    parent.insert("name".into(), row.plural.as_ref().into());
    parent.insert("singularName".into(), row.singular.as_ref().into());
    parent.insert("namespaced".into(), row.is_namespaced().into());
    parent.insert("kind".into(), row.kind.as_ref().into());
    parent.insert("verbs".into(), texts(&row.verbs));
    insert_texts(&mut parent, "shortNames", &row.short_names);
    insert_texts(&mut parent, "categories", &row.categories);
    // What is not watched is not stored.
    if row.verbs.iter().any(|verb| verb == "watch") {
        parent.insert(
            "storageVersionHash".into(),
            storage_version_hash(row).into(),
        );
    }
    let children = row.subresources.iter().map(|subresource| {
        let kind = response_kind(row, subresource);
        let mut child = Map::new();
        child.insert(
            "name".into(),
            format!("{}/{}", row.plural, subresource.name).into(),
        );
        child.insert("singularName".into(), "".into());
        child.insert("namespaced".into(), row.is_namespaced().into());
        if !kind.group.is_empty() {
            child.insert("group".into(), kind.group.into());
        }
        if !kind.version.is_empty() {
            child.insert("version".into(), kind.version.into());
        }
        child.insert("kind".into(), kind.kind.into());
        child.insert("verbs".into(), texts(&subresource.verbs));
        Value::from(child)
    });
    std::iter::once(Value::from(parent.clone()))
        .chain(children)
        .collect()
}

/// A row and its subresources, as the aggregated form has them.
fn discovered(row: &Kind) -> Value {
    let kind = |gvk: Gvk| json!({"group": gvk.group, "version": gvk.version, "kind": gvk.kind});
    let mut resource = Map::new();
    resource.insert("resource".into(), row.plural.as_ref().into());
    resource.insert("responseKind".into(), kind(Gvk::new("", "", &row.kind)));
    let scope = if row.is_namespaced() {
        "Namespaced"
    } else {
        "Cluster"
    };
    resource.insert("scope".into(), scope.into());
    resource.insert("singularResource".into(), row.singular.as_ref().into());
    resource.insert("verbs".into(), texts(&row.verbs));
    insert_texts(&mut resource, "shortNames", &row.short_names);
    insert_texts(&mut resource, "categories", &row.categories);
    let children: Vec<Value> = row
        .subresources
        .iter()
        .map(|subresource| {
            json!({"subresource": subresource.name,
                "responseKind": kind(response_kind(row, subresource)),
                "verbs": texts(&subresource.verbs)})
        })
        .collect();
    if !children.is_empty() {
        resource.insert("subresources".into(), children.into());
    }
    resource.into()
}

/// The kind a subresource answers with; group and version are empty when they are the parent's.
fn response_kind(row: &Kind, subresource: &Subresource) -> Gvk {
    match &subresource.body {
        None => Gvk::new("", "", &row.kind),
        Some(body) if body.group == row.group && body.version == row.version => {
            Gvk::new("", "", &body.kind)
        }
        Some(body) => body.clone(),
    }
}

fn texts(texts: &[kinds::kind::Text]) -> Value {
    texts
        .iter()
        .map(AsRef::as_ref)
        .collect::<Vec<&str>>()
        .into()
}

fn insert_texts(map: &mut Map<String, Value>, field: &str, values: &[kinds::kind::Text]) {
    if !values.is_empty() {
        map.insert(field.into(), texts(values));
    }
}

/// Changes when objects are stored in another version. Source: `discovery/storageversionhash.go`.
fn storage_version_hash(row: &Kind) -> String {
    let group = row.storage_resource().group;
    let name = format!("{group}/{}/{}", row.storage_version, row.kind);
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    let head = digest.as_ref().get(..STORAGE_VERSION_HASH_BYTES);
    STANDARD.encode(head.unwrap_or_default())
}
