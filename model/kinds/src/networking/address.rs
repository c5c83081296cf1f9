//! ServiceCIDR and IPAddress.

use std::collections::BTreeSet;

use meta::{FieldError, Object, ObjectExt as _, names};

use crate::check::{Cidr, Errors, IMMUTABLE, Node, cidr, strict_ip};

/// A ServiceCIDR. Source: `validateServiceCIDRSpec`.
pub(super) fn service_cidr(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let blocks = spec.texts("cidrs");
    let path = spec.at("cidrs");
    if blocks.is_empty() {
        errors.push(FieldError::required(&path, "at least one CIDR required"));
        return;
    }
    if blocks.len() > 2 {
        let why = "may only hold up to 2 values";
        let mut error = FieldError::invalid(&path, spec.child("cidrs").value.clone(), why);
        let shown = serde_json::json!({"CIDRs": blocks});
        error.shown = Some(shown.to_string());
        errors.push(error);
        return;
    }
    let families: BTreeSet<bool> = blocks.iter().map(|block| block.contains(':')).collect();
    let is_sound = blocks.iter().all(|block| Cidr::parse(block).is_some());
    if blocks.len() == 2 && families.len() == 1 && is_sound {
        let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
        errors.push(FieldError::invalid(
            &path,
            spec.child("cidrs").value.clone(),
            why,
        ));
    }
    for (index, block) in blocks.iter().enumerate() {
        errors.extend(crate::metadata::invalid(
            &path.index(index),
            block,
            strict_cidr(block),
        ));
    }
}

/// What is wrong with a block that can be written in one way alone. Source: apimachinery `validation.IsValidCIDR`.
fn strict_cidr(block: &str) -> Vec<String> {
    let errors = cidr(block);
    let Some(Cidr { address, bits }) = Cidr::parse(block).filter(|_| errors.is_empty()) else {
        return errors;
    };
    let canonical = format!("{address}/{bits}");
    if canonical == block {
        return Vec::new();
    }
    let canonical = meta::field::quote(&canonical);
    vec![format!("must be in canonical form ({canonical})")]
}

/// Blocks stay; a second family may be added.
pub(super) fn service_cidr_change(new: &Object, old: &Object, errors: &mut Errors) {
    let (spec, was) = (Node::root(new).child("spec"), Node::root(old).child("spec"));
    let (is, had) = (spec.texts("cidrs"), was.texts("cidrs"));
    let path = spec.at("cidrs");
    let grows = had.len() == 1 && is.len() == 2;
    // Blocks that stay are not looked at again, and a new one after those that stayed.
    let whole = std::mem::take(errors);
    if is.len() != had.len() && !grows {
        errors.push(FieldError::invalid(
            &path,
            spec.child("cidrs").value.clone(),
            IMMUTABLE,
        ));
        return;
    }
    for (index, (is, _)) in is
        .iter()
        .zip(&had)
        .enumerate()
        .filter(|(_, (is, had))| is != had)
    {
        errors.push(FieldError::invalid(&path.index(index), *is, IMMUTABLE));
    }
    if grows {
        errors.extend(whole);
    }
}

/// The name of an IPAddress is the address, in its canonical form. Source: `ValidateIPAddressName`.
pub(super) fn ip_name(name: &str) -> Vec<String> {
    strict_ip(name)
}

/// An IPAddress.
pub(super) fn ip_address(object: &Object, errors: &mut Errors) {
    let spec = Node::root(object).child("spec");
    let Some(parent) = spec.get("parentRef") else {
        errors.push(FieldError::required(&spec.at("parentRef"), ""));
        return;
    };
    if !parent.text("group").is_empty() {
        parent.complain(
            "group",
            names::dns1123_subdomain(parent.text("group")),
            errors,
        );
    }
    for field in ["resource", "name"] {
        if parent.text(field).is_empty() {
            parent.needs(field, errors);
        } else {
            parent.complain(field, names::path_segment(parent.text(field)), errors);
        }
    }
    if !parent.text("namespace").is_empty() {
        parent.complain(
            "namespace",
            names::path_segment(parent.text("namespace")),
            errors,
        );
    }
}

/// What an IPAddress is for stays.
pub(super) fn ip_address_change(new: &Object, old: &Object, errors: &mut Errors) {
    if new.at(&["spec", "parentRef"]) != old.at(&["spec", "parentRef"]) {
        Node::root(new).child("spec").immutable(
            &Node::root(old).child("spec"),
            "parentRef",
            errors,
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_written_in_one_way_alone() {
        let why = |block: &str| strict_cidr(block).pop().unwrap_or_default();
        assert_eq!(why("10.1.0.0/16"), "");
        assert_eq!(why("fd00::/112"), "");
        let zeros = "must not have leading 0s in IP or prefix length";
        assert_eq!(why("010.1.0.0/16"), zeros);
        assert_eq!(why("10.1.0.0/016"), zeros);
        let beyond = "must not have bits set beyond the prefix length";
        assert_eq!(why("10.1.0.1/16"), beyond);
        assert_eq!(
            why("FD00::/112"),
            "must be in canonical form (\"fd00::/112\")"
        );
    }
}
