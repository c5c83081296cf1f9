//! Both documents against upstream's own. The counts of differences stand here and may only fall.

use std::collections::{BTreeMap, BTreeSet};

use super::*;

const UPSTREAM: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../../shared/data/openapi/swagger.json"
);

/// Differences by what differs, with examples.
#[derive(Default)]
struct Differences(BTreeMap<String, Vec<String>>);

impl Differences {
    fn add(&mut self, what: &str, place: &str) {
        self.0
            .entry(what.to_owned())
            .or_default()
            .push(place.to_owned());
    }
    /// Nothing may differ but what is listed, and no more often.
    fn check(&self, known: &[(&str, usize)]) {
        for (what, places) in &self.0 {
            let least = known.iter().find(|(name, _)| name == what);
            let most = least.map_or(0, |(_, count)| *count);
            let examples = &places[..places.len().min(8)];
            assert!(
                places.len() <= most,
                "{what}: {} {examples:#?}",
                places.len()
            );
        }
    }
}

fn upstream() -> Option<Value> {
    let text = std::fs::read_to_string(UPSTREAM).ok()?;
    serde_json::from_str(&text).ok()
}

fn read(document: &[u8]) -> Value {
    serde_json::from_slice(document).unwrap()
}

fn compare_schemas(place: &str, theirs: &Value, ours: &Value, out: &mut Differences) {
    let (Some(theirs), Some(ours)) = (theirs.as_object(), ours.as_object()) else {
        return;
    };
    let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let ours_is_enum = ours.contains_key("enum");
    for key in keys {
        match (theirs.get(key), ours.get(key)) {
            (Some(_), None) => out.add(&format!("missing {key}"), place),
            (None, Some(_)) => out.add(&format!("surplus {key}"), place),
            (Some(theirs), Some(ours)) => match key.as_str() {
                "properties" => {
                    let theirs = theirs.as_object().unwrap();
                    let ours = ours.as_object().unwrap();
                    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
                    for name in names {
                        let place = format!("{place}.{name}");
                        match (theirs.get(name), ours.get(name)) {
                            (Some(theirs), Some(ours)) => {
                                compare_schemas(&place, theirs, ours, out);
                            }
                            (Some(_), None) => out.add("missing field", &place),
                            _ => out.add("surplus field", &place),
                        }
                    }
                }
                "items" | "additionalProperties" => compare_schemas(place, theirs, ours, out),
                // Upstream's document has the alpha and beta versions too.
                "x-kubernetes-group-version-kind" => {
                    let theirs = theirs.as_array().unwrap();
                    let ours = ours.as_array().unwrap();
                    if !ours.iter().all(|kind| theirs.contains(kind)) {
                        out.add(key, place);
                    }
                }
                // The document beside is made with `OpenAPIEnums` off.
                "description" if ours_is_enum => {
                    let said = ours.as_str().unwrap();
                    let (said, _) = said.split_once("\n\nPossible enum values:").unwrap();
                    if theirs != said.trim_end() {
                        out.add(key, place);
                    }
                }
                // Texts of lists are our own.
                "description" if place.contains("List") => {}
                _ if theirs != ours => out.add(key, place),
                _ => {}
            },
            (None, None) => {}
        }
    }
}

#[test]
fn definitions_are_upstreams() {
    let Some(theirs) = upstream() else { return };
    let ours = read(&v2(&kinds::builtin()));
    let mut differences = Differences::default();
    let definitions = ours["definitions"].as_object().unwrap();
    for (name, ours) in definitions {
        match theirs["definitions"].get(name) {
            Some(theirs) => compare_schemas(name, theirs, ours, &mut differences),
            None => differences.add("surplus definition", name),
        }
    }
    let packages: BTreeSet<&str> = definitions
        .keys()
        .filter_map(|name| Some(name.rsplit_once('.')?.0))
        .collect();
    for name in theirs["definitions"].as_object().unwrap().keys() {
        let package = name.rsplit_once('.').unwrap().0;
        if packages.contains(package) && !definitions.contains_key(name) {
            differences.add("missing definition", name);
        }
    }
    differences.check(&[
        // Of a storage migration, which is not served.
        ("missing definition", 1),
        ("description", 1),
        ("missing description", 1),
        ("surplus enum", ENUMS),
        ("surplus description", 1),
        ("surplus x-kubernetes-list-type", 1),
        ("missing x-kubernetes-map-type", 1),
        ("missing x-kubernetes-list-type", 1),
    ]);
    assert_eq!(definitions.len(), 584);
}

/// How many schemas of a stock server's document list values.
const ENUMS: usize = 98;

fn enums(schema: &Value, place: &str, out: &mut BTreeMap<String, Value>) {
    for (key, value) in schema.as_object().into_iter().flatten() {
        if key == "enum" && value.is_array() {
            out.insert(place.to_owned(), schema.clone());
        }
        enums(value, &format!("{place}/{key}"), out);
    }
}

#[test]
fn both_versions_list_the_values_of_enumerations() {
    let registry = kinds::builtin();
    let mut in_v2 = BTreeMap::new();
    enums(&read(&v2(&registry))["definitions"], "", &mut in_v2);
    assert_eq!(in_v2.len(), ENUMS);
    let described = in_v2.values().filter(|schema| {
        let said = schema["description"].as_str().unwrap_or_default();
        said.contains("\n\nPossible enum values:\n - `\"")
    });
    assert_eq!(described.count(), ENUMS - 11);
    let mut places = 0;
    for name in v3_names(&registry) {
        let document = read(&v3(&registry, &name).unwrap());
        let mut in_v3 = BTreeMap::new();
        enums(&document["components"]["schemas"], "", &mut in_v3);
        places += in_v3.len();
        for (place, schema) in in_v3 {
            for key in ["enum", "description"] {
                assert_eq!(schema.get(key), in_v2[&place].get(key), "{place}");
            }
        }
    }
    assert_eq!(places, 168);
}

#[test]
fn enumerations_are_told_in_upstreams_words() {
    let document = read(&v2(&kinds::builtin()));
    let core = |rest: &str| &document["definitions"][format!("io.k8s.api.core.v1.{rest}")];
    assert_eq!(
        core("Container")["properties"]["imagePullPolicy"],
        json!({
            "type": "string",
            "enum": ["Always", "IfNotPresent", "Never"],
            "description": "Image pull policy. One of Always, Never, IfNotPresent. Defaults to Always if :latest tag is \
                specified, or IfNotPresent otherwise. Cannot be updated. More info: \
                https://kubernetes.io/docs/concepts/containers/images#updating-images\n\n\
                Possible enum values:\n \
                - `\"Always\"` means that kubelet always attempts to pull the latest image. Container will fail If the \
                pull fails.\n \
                - `\"IfNotPresent\"` means that kubelet pulls if the image isn't present on disk. Container will fail if \
                the image isn't present and the pull fails.\n \
                - `\"Never\"` means that kubelet never pulls an image, but only uses a local image. Container will fail \
                if the image isn't present",
        })
    );
    // Some values have no meaning, and one is empty.
    assert_eq!(
        core("AzureDiskVolumeSource")["properties"]["kind"]["enum"],
        json!(["Dedicated", "Managed", "Shared"])
    );
    let kind = &core("AzureDiskVolumeSource")["properties"]["kind"]["description"];
    let kind = kind.as_str().unwrap();
    assert!(
        kind.ends_with(
            "Possible enum values:\n - `\"Dedicated\"`\n - `\"Managed\"`\n - `\"Shared\"`"
        )
    );
    let path = &core("HostPathVolumeSource")["properties"]["type"];
    assert_eq!(path["enum"][0], "");
    let mutation = "io.k8s.api.admissionregistration.v1.Mutation";
    let patch = &document["definitions"][mutation]["properties"]["patchType"]["description"];
    let patch = patch.as_str().unwrap();
    assert!(patch.contains("Required.\n\n\nPossible enum values:"));
    // Items of lists and maps have no description.
    let families = json!({"type": "string", "enum": ["", "IPv4", "IPv6"]});
    assert_eq!(
        core("ServiceSpec")["properties"]["ipFamilies"]["items"],
        families
    );
    let claim = &core("PersistentVolumeClaimStatus")["properties"];
    let statuses = &claim["allocatedResourceStatuses"]["additionalProperties"];
    assert_eq!(statuses["enum"][0], "ControllerResizeInProgress");
}

/// Name, place, type and whether required, of all parameters of an operation.
fn parameters(document: &Value, item: &Value, operation: &Value) -> BTreeSet<String> {
    let own = operation["parameters"].as_array().into_iter().flatten();
    let all = item["parameters"]
        .as_array()
        .into_iter()
        .flatten()
        .chain(own);
    all.map(|parameter| {
        let reference = parameter["$ref"].as_str();
        let parameter = match reference.and_then(|reference| reference.strip_prefix('#')) {
            Some(pointer) => document.pointer(pointer).unwrap(),
            None => parameter,
        };
        let ty = parameter["type"]
            .as_str()
            .or_else(|| parameter["schema"]["$ref"].as_str());
        format!(
            "{} {} {ty:?} {}",
            parameter["name"], parameter["in"], parameter["required"]
        )
    })
    .collect()
}

#[test]
fn operations_are_upstreams() {
    let Some(theirs) = upstream() else { return };
    let ours = read(&v2(&kinds::builtin()));
    let mut differences = Differences::default();
    let mut count = 0;
    for (path, item) in ours["paths"].as_object().unwrap() {
        let Some(their_item) = theirs["paths"].get(path) else {
            differences.add("surplus path", path);
            continue;
        };
        let methods = |item: &Value| -> BTreeSet<String> {
            item.as_object()
                .unwrap()
                .keys()
                .filter(|key| *key != "parameters")
                .cloned()
                .collect()
        };
        if methods(item) != methods(their_item) {
            differences.add("methods", path);
        }
        for method in methods(item) {
            let place = format!("{method} {path}");
            let (ours_op, theirs_op) = (&item[&method], &their_item[&method]);
            count += 1;
            if parameters(&ours, item, ours_op) != parameters(&theirs, their_item, theirs_op) {
                differences.add("parameters", &place);
            }
            for key in [
                "operationId",
                "description",
                "tags",
                "responses",
                "x-kubernetes-action",
                "x-kubernetes-group-version-kind",
            ] {
                if ours_op.get(key) != theirs_op.get(key) {
                    differences.add(key, &place);
                }
            }
        }
    }
    // Namespace, whose delete answers with the namespace, and the kinds of resource.k8s.io.
    differences.check(&[("responses", 8)]);
    assert_eq!(count, 814);
}

#[test]
fn kinds_without_type_facts_are_told_too() {
    let registry = kinds::builtin().with(kinds::workloads::rows());
    let document = read(&v3(&registry, "apis/status.sampan.io/v1").unwrap());
    let schemas = document["components"]["schemas"].as_object().unwrap();
    let kind = |kind: &str| json!([{"group": "status.sampan.io", "kind": kind, "version": "v1"}]);
    let v2 = read(&v2(&registry));
    for name in ["Workload", "WorkloadList"] {
        for component in [
            &schemas[&format!("io.sampan.status.v1.{name}")],
            &v2["definitions"][&format!("io.sampan.status.v1.{name}")],
        ] {
            assert_eq!(component["x-kubernetes-group-version-kind"], kind(name));
            let said = component["description"].as_str().unwrap();
            assert!(said.starts_with(name), "{said}");
            for (field, schema) in component["properties"].as_object().unwrap() {
                let is_told = schema["description"].is_string() || name == "WorkloadList";
                assert!(is_told, "{field}");
            }
        }
    }
    let paths = document["paths"].as_object().unwrap();
    let verbs = paths.values().filter_map(Value::as_object);
    let mut verbs = verbs.flat_map(|path| path.keys());
    assert!(verbs.all(|verb| matches!(verb.as_str(), "get" | "parameters")));
}

#[test]
fn every_reference_leads_somewhere() {
    let registry = kinds::builtin();
    for name in v3_names(&registry) {
        let document = read(&v3(&registry, &name).unwrap());
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1) {
            let pointer = reference.split('"').next().unwrap();
            assert!(document.pointer(pointer).is_some(), "{name}: {pointer}");
        }
    }
    assert!(v3(&registry, "apis/nothing/v1").is_none());
}

#[test]
fn version_3_says_what_kubectl_reads() {
    let registry = kinds::builtin();
    let document = read(&v3(&registry, "apis/apps/v1").unwrap());
    let patch =
        &document["paths"]["/apis/apps/v1/namespaces/{namespace}/deployments/{name}"]["patch"];
    let named: Vec<&Value> = patch["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|p| &p["name"])
        .collect();
    assert!(named.contains(&&json!("fieldValidation")));
    let kind = json!({"group": "apps", "kind": "Deployment", "version": "v1"});
    assert_eq!(patch["x-kubernetes-group-version-kind"], kind);
    let schemas = &document["components"]["schemas"];
    let containers = &schemas["io.k8s.api.core.v1.PodSpec"]["properties"]["containers"];
    assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
    assert_eq!(containers["x-kubernetes-patch-strategy"], "merge");
    assert_eq!(containers["x-kubernetes-list-type"], "map");
    let item = "#/components/schemas/io.k8s.api.core.v1.Container";
    assert_eq!(containers["items"], json!({ "$ref": item }));
    let started = &schemas["io.k8s.api.core.v1.PodStatus"]["properties"]["startTime"];
    assert_eq!(started.get("default"), None);
    let options = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions"];
    let of_group = |group| json!({"group": group, "kind": "DeleteOptions", "version": "v1"});
    assert_eq!(
        options["x-kubernetes-group-version-kind"],
        json!([of_group(""), of_group("apps")])
    );
    let resource = &schemas["io.k8s.apimachinery.pkg.apis.meta.v1.APIResource"]["properties"];
    assert_eq!(resource["namespaced"]["default"], false);
    let protocol = &schemas["io.k8s.api.core.v1.ContainerPort"]["properties"]["protocol"];
    assert_eq!(protocol["default"], "TCP");
}
