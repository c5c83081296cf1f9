//! DefaultIngressClass: an ingress that names no class gets the default one.
//!
//! Source: `plugin/pkg/admission/network/defaultingressclass`.

use kinds::strategy::{Lookup, Operation};
use meta::{ObjectExt, StatusError};

use super::default_storage_class::newer_first;
use super::{Plugin, Request};

const IS_DEFAULT: &str = "ingressclass.kubernetes.io/is-default-class";
const LEGACY_CLASS: &str = "kubernetes.io/ingress.class";

pub(super) struct DefaultIngressClass;

impl Plugin for DefaultIngressClass {
    fn admit(&self, request: &mut Request<'_>, cluster: &dyn Lookup) -> Result<(), StatusError> {
        if !request.is_for("ingresses.networking.k8s.io", &[Operation::Create]) {
            return Ok(());
        }
        let Some(ingress) = &mut request.object else {
            return Ok(());
        };
        if ingress.at(&["spec", "ingressClassName"]).is_some()
            || ingress.annotation(LEGACY_CLASS).is_some()
        {
            return Ok(());
        }
        let classes = cluster
            .list("ingressclasses.networking.k8s.io", "")
            .into_iter();
        let newest = classes
            .filter(|class| class.annotation(IS_DEFAULT) == Some("true"))
            .min_by(|a, b| newer_first(a, b));
        if let Some(class) = newest {
            ingress.set(&["spec", "ingressClassName"], class.name().into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::{Cluster, request};
    use crate::user::user;

    #[test]
    fn the_newest_default_class_is_taken() {
        let class = |name: &str, created: &str| json!({"metadata": {"name": name, "creationTimestamp": created, "annotations": {IS_DEFAULT: "true"}}});
        let cluster = Cluster::of([
            (
                "ingressclasses.networking.k8s.io",
                class("a", "2026-01-01T00:00:00Z"),
            ),
            (
                "ingressclasses.networking.k8s.io",
                class("b", "2026-01-02T00:00:00Z"),
            ),
        ]);
        let (user, ingress) = (
            user("ann", &[]),
            json!({"metadata": {"name": "i", "namespace": "web"}, "spec": {}}),
        );
        let mut request = request(&user, "networking.k8s.io", "ingresses", ingress);
        DefaultIngressClass.admit(&mut request, &cluster).unwrap();
        assert_eq!(request.object.unwrap()["spec"]["ingressClassName"], "b");
    }
}
