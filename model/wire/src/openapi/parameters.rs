//! Parameters of operations.

use kinds::schema::{Type, builtin};

/// A parameter in the path or the query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: Place,
    /// `string`, `boolean` or `integer`.
    pub(super) ty: &'static str,
    pub(super) description: String,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
}

impl Place {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
        }
    }
}

type Row = (&'static str, &'static str, &'static str);

const PRETTY: Row = (
    "pretty",
    "string",
    "Whether the output is indented, for people to read.",
);

const WATCH_BOOKMARKS: Row = (
    "allowWatchBookmarks",
    "boolean",
    "Asks for events of type BOOKMARK while watching.",
);

const WATCH: Row = ("watch", "boolean", "Watch for changes instead of listing.");

/// What chooses and pages the objects of a collection.
const SELECTION: &[Row] = &[
    (
        "continue",
        "string",
        "Where the previous page ended, as its metadata said.",
    ),
    (
        "fieldSelector",
        "string",
        "Restricts the objects by their fields.",
    ),
    (
        "labelSelector",
        "string",
        "Restricts the objects by their labels.",
    ),
    (
        "limit",
        "integer",
        "Most objects to answer with; the rest follows with continue.",
    ),
    (
        "resourceVersion",
        "string",
        "Constrains which resource versions may be served.",
    ),
    (
        "resourceVersionMatch",
        "string",
        "How resourceVersion is applied to lists.",
    ),
    (
        "sendInitialEvents",
        "boolean",
        "Whether a watch begins with the present state.",
    ),
    (
        "shardSelector",
        "string",
        "Restricts the objects to ranges of a hash.",
    ),
    (
        "timeoutSeconds",
        "integer",
        "Longest time for the call, in seconds.",
    ),
];

const DRY_RUN: Row = (
    "dryRun",
    "string",
    "When All, everything is done but storing the outcome.",
);

const WRITE: &[Row] = &[
    DRY_RUN,
    (
        "fieldManager",
        "string",
        "Name of the actor that makes the changes.",
    ),
    (
        "fieldValidation",
        "string",
        "What to do about unknown and duplicate fields: Ignore, Warn (the default) or Strict.",
    ),
];

const FORCE: Row = (
    "force",
    "boolean",
    "Take over fields that other managers own; for apply requests only.",
);

const DELETE: &[Row] = &[
    DRY_RUN,
    (
        "gracePeriodSeconds",
        "integer",
        "Seconds before the object is deleted.",
    ),
    (
        "ignoreStoreReadErrorWithClusterBreakingPotential",
        "boolean",
        "Delete an object that can no longer be read.",
    ),
    (
        "orphanDependents",
        "boolean",
        "Deprecated: use propagationPolicy.",
    ),
    (
        "propagationPolicy",
        "string",
        "Whether and how dependents are deleted: Orphan, Background or Foreground.",
    ),
];

fn query((name, ty, description): &Row) -> Parameter {
    Parameter {
        name: (*name).to_owned(),
        place: Place::Query,
        ty,
        description: (*description).to_owned(),
    }
}

fn path(name: &str, description: String) -> Parameter {
    Parameter {
        name: name.to_owned(),
        place: Place::Path,
        ty: "string",
        description,
    }
}

/// `{name}`.
pub(super) fn name(kind: &str) -> Parameter {
    path("name", format!("name of the {kind}"))
}

/// `{namespace}`.
pub(super) fn namespace() -> Parameter {
    path(
        "namespace",
        "object name and auth scope, such as for teams and projects".into(),
    )
}

/// `{path}`.
pub(super) fn rest() -> Parameter {
    path("path", "path to the resource".into())
}

pub(super) fn pretty() -> Parameter {
    query(&PRETTY)
}

pub(super) fn write() -> Vec<Parameter> {
    WRITE.iter().map(query).collect()
}

pub(super) fn patch() -> Vec<Parameter> {
    WRITE.iter().chain([&FORCE]).map(query).collect()
}

pub(super) fn delete() -> Vec<Parameter> {
    DELETE.iter().map(query).collect()
}

pub(super) fn list() -> Vec<Parameter> {
    let rows = [&WATCH_BOOKMARKS, &WATCH].into_iter().chain(SELECTION);
    rows.map(query).collect()
}

pub(super) fn delete_collection() -> Vec<Parameter> {
    DELETE.iter().chain(SELECTION).map(query).collect()
}

/// The fields of an options type, such as `PodExecOptions`, as parameters. Times are left out, as upstream does.
pub(super) fn options(component: &str) -> Vec<Parameter> {
    let schema = builtin(component);
    let fields = schema.as_ref().and_then(|schema| schema.as_struct());
    let fields = fields.map(|item| item.fields.as_slice());
    let fields = fields.unwrap_or_default().iter();
    fields
        .filter(|field| !matches!(field.name.as_str(), "apiVersion" | "kind"))
        .filter_map(|field| {
            let ty = match &field.ty {
                Type::List(list) => &list.item,
                ty => ty,
            };
            let ty = match ty {
                Type::String => "string",
                Type::Bool => "boolean",
                Type::Int32 | Type::Int64 => "integer",
                _ => return None,
            };
            let description = super::descriptions::of_field(component, &field.name);
            Some(Parameter {
                name: field.name.clone(),
                place: Place::Query,
                ty,
                description: description.unwrap_or_default().to_owned(),
            })
        })
        .collect()
}
