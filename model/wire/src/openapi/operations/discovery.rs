//! The paths that tell what is served.

use kinds::Kind;

use super::super::components::{
    API_GROUP, API_GROUP_LIST, API_RESOURCE_LIST, API_VERSIONS, VERSION_INFO,
};
use super::{Content, OBJECTS, Operation, Path, capital, tag};

const JSON: &[&str] = &["application/json"];
/// Where OpenID tells of who issues the tokens of service accounts.
pub(in crate::openapi) const ISSUER: &str = ".well-known/openid-configuration";
/// Where the keys of those tokens are.
pub(in crate::openapi) const KEYS: &str = "openid/v1/jwks";

/// The path that describes what a document of that name is about. `row` is one of its rows, if it has any.
pub(super) fn paths(name: &str, row: Option<&Kind>) -> Vec<Path> {
    let versions = "get available API versions";
    let operation = match (name, row) {
        ("version", _) => Operation {
            consumes: JSON,
            produces: JSON,
            ..get(
                "getCodeVersion",
                "get the version information for this server",
                "version",
                VERSION_INFO,
            )
        },
        (ISSUER, _) => Operation {
            produces: JSON,
            ..text(
                "getServiceAccountIssuerOpenIDConfiguration",
                "get service account issuer OpenID configuration, also known as the 'OIDC discovery doc'",
                "WellKnown",
            )
        },
        (KEYS, _) => Operation {
            produces: &["application/jwk-set+json"],
            ..text(
                "getServiceAccountIssuerOpenIDKeyset",
                "get service account issuer OpenID JSON Web Key Set (contains public token verification keys)",
                "openid",
            )
        },
        ("api", _) => get("getCoreAPIVersions", versions, "core", API_VERSIONS),
        ("apis", _) => get("getAPIVersions", versions, "apis", API_GROUP_LIST),
        (_, Some(row)) => {
            let tag = tag(&row.group);
            let id = format!("get{}{}APIResources", capital(&tag), capital(&row.version));
            let tag = format!("{tag}_{}", row.version);
            get(&id, "get available resources", &tag, API_RESOURCE_LIST)
        }
        (name, None) => {
            let tag = tag(name.strip_prefix("apis/").unwrap_or_default());
            let id = format!("get{}APIGroup", capital(&tag));
            get(&id, "get information of a group", &tag, API_GROUP)
        }
    };
    vec![Path {
        template: format!("/{name}/"),
        parameters: Vec::new(),
        operations: vec![operation],
    }]
}

/// A GET of what has no component, by clients that send nothing.
fn text(id: &str, description: &str, tag: &str) -> Operation {
    Operation {
        consumes: &[],
        responses: vec![(200, Content::Text)],
        ..get(id, description, tag, "")
    }
}

fn get(id: &str, description: &str, tag: &str, component: &str) -> Operation {
    Operation {
        method: "get",
        id: id.to_owned(),
        description: description.to_owned(),
        tag: tag.to_owned(),
        action: None,
        gvk: None,
        consumes: OBJECTS,
        produces: OBJECTS,
        parameters: Vec::new(),
        body: None,
        responses: vec![(200, Content::Component(component.to_owned()))],
    }
}
