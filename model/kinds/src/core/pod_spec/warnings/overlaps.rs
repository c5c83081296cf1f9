//! Files of one volume that lie on or below each other. Source: `warningsForOverlappingVirtualPaths`.

use crate::check::Node;

/// A file and what it comes from.
#[derive(PartialEq)]
struct File {
    path: String,
    source: String,
}

impl File {
    fn shown(&self) -> String {
        if self.source.is_empty() {
            format!("{:?}", self.path)
        } else {
            format!("{:?} ({})", self.path, self.source)
        }
    }
    fn collides(&self, other: &Self) -> bool {
        !other.path.is_empty()
            && (lies_at(&self.path, &other.path) || lies_at(&other.path, &self.path))
    }
}

/// Whether a path is another one or below it.
fn lies_at(path: &str, other: &str) -> bool {
    let rest = path.strip_prefix(other);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Warnings about one volume.
pub(super) fn volume(volume: &Node<'_>, warnings: &mut Vec<String>) {
    let name = volume.text("name");
    for (field, words, reference) in [
        ("configMap", "ConfigMap", Some("name")),
        ("secret", "Secret", Some("secretName")),
        ("downwardAPI", "DownwardAPI", None),
    ] {
        let Some(source) = volume.get(field) else {
            continue;
        };
        let what = match reference {
            Some(reference) => format!("{words} {:?}", source.text(reference)),
            None => words.to_owned(),
        };
        let mut files = Vec::new();
        add(items(&source, ""), &mut files, name, &what, warnings);
    }
    let mut files = Vec::new();
    for source in volume.child("projected").items("sources") {
        if source
            .value
            .as_object()
            .is_none_or(serde_json::Map::is_empty)
        {
            warnings.push(format!(
                "volume {name:?} (Projected) has no sources provided"
            ));
            continue;
        }
        add(projected(&source), &mut files, name, "Projected", warnings);
    }
}

fn add(
    more: Vec<File>,
    files: &mut Vec<File>,
    volume: &str,
    what: &str,
    warnings: &mut Vec<String>,
) {
    for file in more {
        if !file.path.is_empty() {
            for other in files.iter().filter(|other| file.collides(other)) {
                warnings.push(format!(
                    "volume {volume:?} ({what}): overlapping paths: {} with {}",
                    file.shown(),
                    other.shown()
                ));
            }
        }
        files.push(file);
    }
}

fn items(source: &Node<'_>, what: &str) -> Vec<File> {
    let items = source.items("items");
    items.iter().map(|item| file(item, "path", what)).collect()
}

fn file(holder: &Node<'_>, field: &str, what: &str) -> File {
    File {
        path: holder.text(field).trim_end_matches('/').to_owned(),
        source: what.to_owned(),
    }
}

fn projected(source: &Node<'_>) -> Vec<File> {
    if let Some(map) = source.get("configMap") {
        return items(&map, &format!("ConfigMap {:?}", map.text("name")));
    }
    if let Some(secret) = source.get("secret") {
        return items(&secret, &format!("Secret {:?}", secret.text("name")));
    }
    if let Some(downward) = source.get("downwardAPI") {
        return items(&downward, "DownwardAPI");
    }
    if let Some(token) = source.get("serviceAccountToken") {
        return vec![file(&token, "path", "ServiceAccountToken")];
    }
    if let Some(bundle) = source.get("clusterTrustBundle") {
        let field = if bundle.has("name") {
            "name"
        } else {
            "signerName"
        };
        let what = format!("ClusterTrustBundle {:?}", bundle.text(field));
        return vec![file(&bundle, "path", &what)];
    }
    let certificate = source.child("podCertificate");
    [
        ("certificateChainPath", "PodCertificate chain"),
        ("keyPath", "PodCertificate key"),
        ("credentialBundlePath", "PodCertificate credential bundle"),
    ]
    .iter()
    .filter(|(field, _)| !certificate.text(field).is_empty())
    .map(|(field, what)| file(&certificate, field, what))
    .collect()
}
