//! Reviews of what is allowed: the kinds of `authorization.k8s.io`.

use crate::kind::Kind;
use crate::plain::Plain;
use crate::print;
use crate::row::Group;

const V1: Group = Group {
    name: "authorization.k8s.io",
    version: "v1",
    types: "io.k8s.api.authorization.v1",
};

pub(crate) fn rows() -> Vec<Kind> {
    vec![
        V1.namespaced(
            "LocalSubjectAccessReview",
            "localsubjectaccessreviews",
            Plain(&print::CREATED_AT),
        )
        .verbs(&["create"])
        .build(),
        V1.cluster(
            "SelfSubjectAccessReview",
            "selfsubjectaccessreviews",
            Plain(&print::CREATED_AT),
        )
        .verbs(&["create"])
        .build(),
        V1.cluster(
            "SelfSubjectRulesReview",
            "selfsubjectrulesreviews",
            Plain(&print::CREATED_AT),
        )
        .verbs(&["create"])
        .build(),
        V1.cluster(
            "SubjectAccessReview",
            "subjectaccessreviews",
            Plain(&print::CREATED_AT),
        )
        .verbs(&["create"])
        .build(),
    ]
}
