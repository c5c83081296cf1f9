//! IngressClass.

use meta::{FieldError, Object};

use crate::check::{IMMUTABLE, Node};
use crate::edit::Edit as _;
use crate::print::{self, print_with};
use crate::strategy::{Context, Strategy};

/// Rules of `networking.k8s.io/v1 IngressClass`.
pub(crate) struct IngressClass;

impl Strategy for IngressClass {
    fn default(&self, new: &mut Object) {
        let parameters = new
            .get_mut("spec")
            .and_then(|spec| spec.get_mut("parameters"));
        if let Some(parameters) = parameters.filter(|parameters| parameters.is_object()) {
            parameters.default_unset("scope", "Cluster");
        }
    }
    fn validate(&self, new: &Object, _cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        super::validate::ingress_class(new, &mut errors);
        errors
    }
    fn validate_update(&self, new: &Object, old: &Object, cx: &Context<'_>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
        if spec.text("controller") != was.text("controller") {
            let path = spec.at("controller");
            errors.push(FieldError::invalid(
                &path,
                spec.text("controller"),
                IMMUTABLE,
            ));
        }
        errors.extend(self.validate(new, cx));
        errors
    }
    print_with!(print::other::INGRESS_CLASS);
}
