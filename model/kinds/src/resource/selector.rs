//! Expressions that select devices. Source: k8s.io/dynamic-resource-allocation/cel.

use std::sync::LazyLock;

use cel::{Env, Range, Type};
use meta::{FieldError, Path};

use crate::check::{Errors, is_enough_said};

/// The type of a device.
const DEVICE: &str = "kubernetes.DRADevice";

/// Source: `CELSelectorExpressionMaxCost`.
const COST_MAX: u64 = 1_000_000;
/// Source: `DeviceMaxDomainLength`, `DriverNameMaxLength`.
const DOMAIN_MAX: u64 = 63;
/// Source: `DeviceMaxIDLength`.
const ID_MAX: u64 = 32;
/// Source: `DeviceAttributeMaxValueLength`.
const VALUE_MAX: u64 = 64;
/// Source: `ResourceSliceMaxAttributesAndCapacitiesPerDevice`.
const ENTRIES_MAX: u64 = 32;

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
    if is_enough_said(errors) {
        return;
    }
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
    } else if checked.cost(&size).max > COST_MAX {
        let why = "too complex, exceeds cost limit";
        errors.push(FieldError::forbidden(path, why));
    }
}

/// How large what a device has may be. Source: the `sizeEstimator` there.
fn size(path: &[String]) -> Option<Range> {
    let steps: Vec<&str> = path.iter().map(String::as_str).collect();
    let max = match steps.as_slice() {
        ["device"]
        | [
            "device",
            "capacity",
            "@items" | "@values",
            "@items" | "@values",
        ] => 0,
        ["device", "allowMultipleAllocations"] => 1,
        ["device", "driver"] | ["device", "attributes" | "capacity", "@keys"] => DOMAIN_MAX,
        ["device", "attributes" | "capacity"]
        | ["device", "attributes" | "capacity", "@items" | "@values"] => ENTRIES_MAX,
        ["device", _, "@items" | "@values", "@keys"] => ID_MAX,
        // An attribute, by whatever name.
        ["device", "attributes", "@items" | "@values", _] => VALUE_MAX,
        _ => return None,
    };
    Some(Range::up_to(max))
}
