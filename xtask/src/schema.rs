//! `cargo xtask schema`: reads the Go type declarations of the API and writes the facts the kind table needs.
//!
//! Names and facts only; nothing that upstream wrote for people is kept.

mod emit;
mod go;

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use go::Package;

const OUTPUT: &str = "model/kinds/src/schema/builtin.txt";

/// The packages whose objects are served: import path, files, OpenAPI prefix.
const PACKAGES: &[(&str, &str)] = &[
    (
        "k8s.io/api/admissionregistration/v1",
        "io.k8s.api.admissionregistration.v1",
    ),
    ("k8s.io/api/apps/v1", "io.k8s.api.apps.v1"),
    (
        "k8s.io/api/authentication/v1",
        "io.k8s.api.authentication.v1",
    ),
    ("k8s.io/api/authorization/v1", "io.k8s.api.authorization.v1"),
    ("k8s.io/api/autoscaling/v1", "io.k8s.api.autoscaling.v1"),
    ("k8s.io/api/autoscaling/v2", "io.k8s.api.autoscaling.v2"),
    ("k8s.io/api/batch/v1", "io.k8s.api.batch.v1"),
    ("k8s.io/api/certificates/v1", "io.k8s.api.certificates.v1"),
    ("k8s.io/api/coordination/v1", "io.k8s.api.coordination.v1"),
    ("k8s.io/api/core/v1", "io.k8s.api.core.v1"),
    ("k8s.io/api/discovery/v1", "io.k8s.api.discovery.v1"),
    ("k8s.io/api/events/v1", "io.k8s.api.events.v1"),
    ("k8s.io/api/flowcontrol/v1", "io.k8s.api.flowcontrol.v1"),
    ("k8s.io/api/networking/v1", "io.k8s.api.networking.v1"),
    ("k8s.io/api/node/v1", "io.k8s.api.node.v1"),
    ("k8s.io/api/policy/v1", "io.k8s.api.policy.v1"),
    ("k8s.io/api/rbac/v1", "io.k8s.api.rbac.v1"),
    ("k8s.io/api/resource/v1", "io.k8s.api.resource.v1"),
    ("k8s.io/api/scheduling/v1", "io.k8s.api.scheduling.v1"),
    ("k8s.io/api/storage/v1", "io.k8s.api.storage.v1"),
    (
        "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1",
        "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1",
    ),
    (
        "k8s.io/apimachinery/pkg/apis/meta/v1",
        "io.k8s.apimachinery.pkg.apis.meta.v1",
    ),
    (
        "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1",
        "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
    ),
];

/// Reads the packages below `kubernetes` and writes the facts file.
pub(crate) fn generate(kubernetes: &Path) -> Result<()> {
    let mut packages = Vec::new();
    for (import, prefix) in PACKAGES {
        let directory = kubernetes.join("staging/src").join(import);
        packages.push(read_package(&directory, import, prefix)?);
    }
    let text = emit::emit(&packages)?;
    fs::write(OUTPUT, text).with_context(|| format!("cannot write {OUTPUT}"))
}

fn read_package(directory: &Path, import: &str, prefix: &str) -> Result<Package> {
    let mut package = Package::new(import, prefix);
    for file in ["types.go", "types_jsonschema.go"] {
        let path = directory.join(file);
        if !path.exists() && file != "types.go" {
            continue;
        }
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        package.read(&text);
    }
    Ok(package)
}
