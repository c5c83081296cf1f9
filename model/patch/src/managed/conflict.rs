//! How conflicts between managers are told: 409 with one cause for each field.

use std::collections::BTreeMap;

use meta::StatusError;
use meta::status::{Cause, Details};

use super::element::{Element, path_text};
use super::entries::{ManagerId, Operation};
use super::set::FieldSet;

/// A field that the configuration changes and another manager owns.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Conflict {
    pub(super) manager: ManagerId,
    pub(super) path: Vec<Element>,
}

/// All conflicts, sorted by manager.
pub(super) fn conflicts(sets: &BTreeMap<ManagerId, FieldSet>) -> Vec<Conflict> {
    let of = |(manager, set): (&ManagerId, &FieldSet)| -> Vec<Conflict> {
        let manager = || manager.clone();
        set.paths()
            .into_iter()
            .map(|path| Conflict {
                manager: manager(),
                path,
            })
            .collect()
    };
    sets.iter().flat_map(of).collect()
}

/// The refusal.
pub(super) fn refusal(conflicts: &[Conflict]) -> StatusError {
    let causes = conflicts.iter().map(|conflict| Cause {
        reason: "FieldManagerConflict".into(),
        message: format!("conflict with {}", manager_text(&conflict.manager)),
        field: path_text(&conflict.path),
    });
    let details = Details {
        causes: causes.collect(),
        ..Details::default()
    };
    StatusError::new(409, "Conflict", message(conflicts)).with_details(details)
}

fn message(conflicts: &[Conflict]) -> String {
    if let [only] = conflicts {
        return format!(
            "Apply failed with 1 conflict: conflict with {}: {}",
            manager_text(&only.manager),
            path_text(&only.path)
        );
    }
    let mut by_manager: BTreeMap<&ManagerId, Vec<String>> = BTreeMap::new();
    for conflict in conflicts {
        let paths = by_manager.entry(&conflict.manager).or_default();
        paths.push(format!("- {}", path_text(&conflict.path)));
    }
    let lines = by_manager.into_iter().map(|(manager, paths)| {
        format!(
            "conflicts with {}:\n{}",
            manager_text(manager),
            paths.join("\n")
        )
    });
    let lines: Vec<String> = lines.collect();
    format!(
        "Apply failed with {} conflicts: {}",
        conflicts.len(),
        lines.join("\n")
    )
}

fn manager_text(id: &ManagerId) -> String {
    let mut text = format!("{:?}", id.name);
    if !id.subresource.is_empty() {
        text = format!("{text} with subresource {:?}", id.subresource);
    }
    match id.operation {
        Operation::Update => format!("{text} using {}", id.api_version),
        Operation::Apply => text,
    }
}
