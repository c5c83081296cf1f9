//! Expressions that select devices. Source: k8s.io/dynamic-resource-allocation/cel.

use std::sync::LazyLock;

use cel::{Env, Type};
use meta::{FieldError, Path};

use crate::check::Errors;

/// The type of a device.
const DEVICE: &str = "kubernetes.DRADevice";

/// What a selector may name. Attributes have any type; those in lists are switched off in 1.36.
static ENV: LazyLock<Env> = LazyLock::new(|| {
    let by_domain = |of: Type| Type::map(Type::String, Type::map(Type::String, of));
    Env::new()
        .binding()
        .variable("device", Type::named(DEVICE))
        .message(
            DEVICE,
            &[
                ("driver", Type::String),
                ("allowMultipleAllocations", Type::Bool),
                ("attributes", by_domain(Type::Any)),
                ("capacity", by_domain(Type::named("kubernetes.Quantity"))),
            ],
        )
});

/// What is wrong with a selector's expression. Source: `CompileCELExpression`.
pub(super) fn check(path: &Path, text: &str, errors: &mut Errors) {
    let checked = match ENV.compile(text) {
        Ok(checked) => checked,
        Err(mistakes) => {
            let why = format!("compilation failed: {mistakes}");
            return errors.push(FieldError::invalid(path, text, why));
        }
    };
    let found = checked.output();
    if !matches!(found, Type::Bool | Type::Any) {
        let why = format!("must evaluate to bool or the unknown type, not {found}");
        errors.push(FieldError::invalid(path, text, why));
    } else if let Some(why) = checked.obstacle() {
        let why = format!("program instantiation failed: {why}");
        errors.push(FieldError::internal(path, why));
    }
}
