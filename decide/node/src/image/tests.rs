//! Cases.

use super::*;

fn container(image: &str, policy: Option<&str>) -> Container {
    Container {
        image: Some(image.to_owned()),
        image_pull_policy: policy.map(str::to_owned),
        ..Container::default()
    }
}

#[test]
fn short_names_are_completed() {
    let cases = [
        ("nginx", "docker.io/library/nginx", Some("latest")),
        ("nginx:1.27", "docker.io/library/nginx", Some("1.27")),
        ("bitnami/redis", "docker.io/bitnami/redis", Some("latest")),
        (
            "index.docker.io/nginx",
            "docker.io/library/nginx",
            Some("latest"),
        ),
        ("localhost/web", "localhost/web", Some("latest")),
        ("127.0.0.1:5000/a/b:v1", "127.0.0.1:5000/a/b", Some("v1")),
        (
            "registry.k8s.io/pause:3.9",
            "registry.k8s.io/pause",
            Some("3.9"),
        ),
        ("[::1]:5000/a", "[::1]:5000/a", Some("latest")),
        ("a__b/c-d.e", "docker.io/a__b/c-d.e", Some("latest")),
    ];
    for (text, repository, tag) in cases {
        let parsed = Reference::parse(text).unwrap();
        assert_eq!(parsed.repository, repository, "{text}");
        assert_eq!(parsed.tag.as_deref(), tag, "{text}");
    }
}

#[test]
fn a_digest_needs_no_tag() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let parsed = Reference::parse(&format!("nginx@{digest}")).unwrap();
    assert_eq!(
        (parsed.tag, parsed.digest.as_deref()),
        (None, Some(digest.as_str()))
    );
    let both = Reference::parse(&format!("nginx:1@{digest}")).unwrap();
    assert_eq!(both.tag.as_deref(), Some("1"));
}

#[test]
fn what_is_no_reference_is_refused() {
    for text in [
        "",
        ":1",
        "a//b",
        "a:",
        "nginx@sha256:1",
        "-a",
        "a b",
        "a:b c",
        "a._b",
        "host:port/a",
    ] {
        assert_eq!(
            Reference::parse(text),
            Err(ReferenceError::Format),
            "{text}"
        );
    }
    assert_eq!(Reference::parse("Nginx"), Err(ReferenceError::Uppercase));
    assert_eq!(
        Reference::parse(&"a".repeat(300)),
        Err(ReferenceError::TooLong)
    );
    assert_eq!(
        Reference::parse(&"a".repeat(64)),
        Err(ReferenceError::Identifier)
    );
}

#[test]
fn only_the_tag_is_added_for_the_runtime() {
    assert_eq!(with_default_tag("nginx").unwrap(), "nginx:latest");
    assert_eq!(with_default_tag("nginx:1").unwrap(), "nginx:1");
    assert_eq!(
        with_default_tag("localhost:5000/a").unwrap(),
        "localhost:5000/a:latest"
    );
    let digest = format!("nginx@sha256:{}", "a".repeat(64));
    assert_eq!(with_default_tag(&digest).unwrap(), digest);
}

#[test]
fn latest_is_always_pulled_unless_told_otherwise() {
    assert_eq!(pull_policy(&container("nginx", None)), PullPolicy::Always);
    assert_eq!(
        pull_policy(&container("nginx:latest", None)),
        PullPolicy::Always
    );
    assert_eq!(
        pull_policy(&container("nginx:1", None)),
        PullPolicy::IfNotPresent
    );
    assert_eq!(
        pull_policy(&container("nginx", Some("Never"))),
        PullPolicy::Never
    );
}

#[test]
fn an_unavailable_registry_has_a_reason_of_its_own() {
    let (reason, message) = pull_failure("a:1", "RegistryUnavailable: no route");
    assert_eq!(reason, "RegistryUnavailable");
    assert_eq!(
        message,
        "image pull failed for a:1 because the registry is unavailable: no route"
    );
    assert_eq!(
        pull_failure("a:1", "other"),
        ("ErrImagePull".to_owned(), "other".to_owned())
    );
}
