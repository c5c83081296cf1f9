//! APIService: the kinds of `apiregistration.k8s.io`.

mod api_service;

use crate::kind::Kind;
use crate::plain::Checked;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "apiregistration.k8s.io",
    version: "v1",
    types: "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "APIService",
            "apiservices",
            Checked::new(&print::other::API_SERVICE, api_service::check)
                .named(meta::names::path_segment),
        )
        .category("api-extensions")
        .status()
        .build(),
    ]
}
