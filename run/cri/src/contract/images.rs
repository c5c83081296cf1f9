//! Claims about images.

use super::Subject;

pub(super) async fn an_image_is_found_by_name_and_by_id(subject: Subject) {
    let by_name = subject
        .runtime
        .image_status(&subject.image)
        .await
        .expect("an answer");
    let by_name = by_name.expect("the image");
    assert!(
        by_name.repo_tags.contains(&subject.image),
        "{:?}",
        by_name.repo_tags
    );
    assert!(by_name.size > 0);
    let by_id = subject
        .runtime
        .image_status(&by_name.id)
        .await
        .expect("an answer");
    assert_eq!(by_id.expect("the image").id, by_name.id);
    let all = subject.runtime.list_images().await.expect("a list");
    assert!(all.iter().any(|image| image.id == by_name.id));
}

pub(super) async fn a_missing_image_is_no_error_to_look_for_or_remove(subject: Subject) {
    let missing = "sampan.local/none:v0";
    let status = subject
        .runtime
        .image_status(missing)
        .await
        .expect("an answer");
    assert_eq!(status, None);
    subject
        .runtime
        .remove_image(missing)
        .await
        .expect("nothing to remove");
}

pub(super) async fn a_malformed_reference_cannot_be_pulled(subject: Subject) {
    for reference in ["", "Not//A:Name", "UPPER"] {
        let pulled = subject.runtime.pull_image(reference, None, None).await;
        let error = pulled.expect_err("a malformed reference");
        assert!(
            error.message().contains("invalid reference format"),
            "{reference}: {error}"
        );
    }
}
