//! What of a body is told.

use meta::{Object, ObjectExt};

/// The group whose objects carry tokens.
const GROUP: &str = "authentication.k8s.io/";

/// A body as it is told: never a bearer token, and no managed fields where they are to be left out.
///
/// DIFFERS: upstream writes the tokens of token requests and of token reviews into its log when the policy says `Request` or
/// more of these.
pub fn shown(mut body: Object, omit_managed_fields: bool) -> Object {
    if body.api_version().starts_with(GROUP) {
        body.remove(&["spec", "token"]);
        body.remove(&["status", "token"]);
    }
    if omit_managed_fields {
        without_managed_fields(&mut body);
    }
    body
}

/// Whether [`shown`] might leave something out of a body, going by its bytes.
pub fn may_hide(body: &[u8], omit_managed_fields: bool) -> bool {
    let contains = |text: &[u8]| body.windows(text.len()).any(|part| part == text);
    omit_managed_fields || contains(GROUP.as_bytes())
}

fn without_managed_fields(body: &mut Object) {
    body.remove(&["metadata", "managedFields"]);
    let lists = [("items", None), ("rows", Some("object"))];
    for (list, below) in lists {
        let items = body.get_mut(list).and_then(Object::as_array_mut);
        for item in items.into_iter().flatten() {
            let object = match below {
                Some(field) => item.get_mut(field),
                None => Some(item),
            };
            if let Some(object) = object {
                object.remove(&["metadata", "managedFields"]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn tokens_are_never_told() {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "t", "audiences": []}});
        let answer = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "status": {"token": "t"}});
        for body in [review, answer] {
            assert!(may_hide(body.to_string().as_bytes(), false));
            let told = shown(body, false).to_string();
            assert!(!told.contains("\"t\""), "{told}");
        }
        let other = json!({"apiVersion": "v1", "spec": {"token": "t"}});
        assert_eq!(shown(other.clone(), false), other);
    }

    #[test]
    fn managed_fields_are_left_out_of_objects_lists_and_tables() {
        let object = json!({"metadata": {"name": "a", "managedFields": [1]}});
        let bare = json!({"metadata": {"name": "a"}});
        assert_eq!(shown(object.clone(), true), bare);
        assert_eq!(shown(object.clone(), false), object);
        let list = json!({"items": [object]});
        assert_eq!(shown(list, true), json!({"items": [bare]}));
        let table = json!({"rows": [{"cells": [], "object": object}]});
        assert_eq!(
            shown(table, true),
            json!({"rows": [{"cells": [], "object": bare}]})
        );
    }
}
