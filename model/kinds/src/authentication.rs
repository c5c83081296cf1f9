//! Reviews of who asks: the kinds of `authentication.k8s.io`.

use crate::kind::Kind;
use crate::plain::Plain;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "authentication.k8s.io",
    version: "v1",
    types: "io.k8s.api.authentication.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.cluster(
            "SelfSubjectReview",
            "selfsubjectreviews",
            Plain(&print::CREATED_AT),
        )
        .verbs(&["create"])
        .build(),
        V1.cluster("TokenReview", "tokenreviews", Plain(&print::CREATED_AT))
            .verbs(&["create"])
            .build(),
    ]
}
