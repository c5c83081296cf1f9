//! `scale`: the count of any kind that has one, as an `autoscaling/v1 Scale`.
//!
//! Source: `pkg/registry/apps/deployment/storage/storage.go` `ScaleREST` and its siblings.

use async_trait::async_trait;
use axum::body::Body;
use http::Response;
use kinds::strategy::Scale as Paths;
use meta::selector::LabelSelector;
use meta::{FieldError, Gvk, Object, ObjectExt, Path, StatusError};
use patch::managed::{self, Replicas};
use serde_json::{Value, json};

use super::{BodyType, Special};
use crate::call::Call;
use crate::options::WriteOptions;
use crate::verbs::patch::{Patch, Target, read_patch};
use crate::write::{self, Change, Ownership};
use crate::{ownership, respond, stored};

/// Serves the subresource.
pub(super) struct Scale;

const API_VERSION: &str = "autoscaling/v1";
const MANAGED_FIELDS: &[&str] = &["metadata", "managedFields"];

#[async_trait]
impl Special for Scale {
    async fn run(&self, call: &Call) -> Result<Response<Body>, StatusError> {
        let paths = call
            .kind
            .strategy
            .scale()
            .ok_or_else(StatusError::no_route)?;
        if call.info.verb == "get" {
            let entry = call.stored(&call.info.name).await?;
            let entry = entry.ok_or_else(|| call.not_found(&call.info.name))?;
            let scale = scale_of(&stored::object(&call.kind, &entry)?, &paths);
            return respond::scale(call, &scale, &[]);
        }
        let body_type = BodyType::of(
            Gvk::new("autoscaling", "v1", "Scale"),
            "io.k8s.api.autoscaling.v1.Scale",
        )?;
        let (options, wish) = if call.info.verb == "update" {
            let options = WriteOptions::read(&call.query, "UpdateOptions")?;
            let (scale, warnings) = body_type.decode(call, &options)?;
            write::check_name(&scale, &call.info.name)?;
            (options, Wish::Put { scale, warnings })
        } else {
            let (options, patch) = read_patch(call)?;
            (options, Wish::Patch(patch))
        };
        let change = Rescale {
            call,
            options: &options,
            body_type,
            paths: &paths,
            wish,
        };
        let written = write::update(call, &call.info.name, &options, &change).await?;
        let parent: Object =
            serde_json::from_slice(&written.object).map_err(StatusError::internal)?;
        let scale = scale_of(&parent, &paths);
        respond::scale(call, &scale, &written.warnings)
    }
}

/// What the client wants of the scale.
enum Wish {
    Put {
        scale: Object,
        warnings: Vec<String>,
    },
    Patch(Patch),
}

impl Wish {
    /// Whether the client said something of a field of metadata.
    fn names(&self, field: &str) -> bool {
        match self {
            Self::Put { .. } => true,
            Self::Patch(patch) => patch.names(field),
        }
    }
}

/// Changes the parent's count through its scale.
struct Rescale<'a> {
    call: &'a Call,
    options: &'a WriteOptions,
    body_type: BodyType,
    paths: &'a Paths,
    wish: Wish,
}

impl Change for Rescale<'_> {
    fn change(&self, old: Option<&Object>) -> Result<(Object, Vec<String>), StatusError> {
        let name = &self.call.info.name;
        let parent = old.ok_or_else(|| self.call.not_found(name))?;
        let replicas = Replicas {
            api_version: &self.call.api_version,
            path: &self.paths.spec_replicas,
        };
        let entries = parent.list_at(MANAGED_FIELDS);
        let mut live = scale_of(parent, self.paths);
        let entries_of_scale = managed::scale_fields(entries, replicas);
        if entries_of_scale
            .as_array()
            .is_some_and(|entries| !entries.is_empty())
        {
            live.set(MANAGED_FIELDS, entries_of_scale);
        }
        let (mut scale, warnings) = self.wished(&live)?;
        if !matches!(self.wish, Wish::Patch(Patch::Apply(_))) {
            let manager = ownership::manager_as(self.call, self.options, API_VERSION);
            let reset = [Path::new("status")];
            managed::update(
                Some(&live),
                &mut scale,
                &manager,
                &self.body_type.schema,
                &reset,
            );
        }
        write::check_name(&scale, name)?;
        super::check_namespace(self.call, &scale)?;
        check(&scale, name)?;
        self.check_uid(&scale, parent)?;
        let count = scale.int_at(&["spec", "replicas"]).unwrap_or_default();
        let mut changed = parent.clone();
        let path: Vec<&str> = self
            .paths
            .spec_replicas
            .iter()
            .map(String::as_str)
            .collect();
        changed.set(&path, count.into());
        let entries = managed::parent_fields(entries, scale.list_at(MANAGED_FIELDS), replicas);
        changed.set(MANAGED_FIELDS, entries);
        // What the client said of version and identity is checked against the parent's.
        for field in ["resourceVersion", "uid"] {
            let said = scale.at(&["metadata", field]).cloned();
            match said.filter(|_| self.wish.names(field)) {
                Some(said) => changed.set(&["metadata", field], said),
                None => {
                    changed.remove(&["metadata", field]);
                }
            }
        }
        Ok((changed, warnings))
    }
    fn ownership(&self) -> Ownership {
        Ownership::Applied
    }
}

impl Rescale<'_> {
    /// A patch cannot make the scale that of another object; the write path sees to it for a PUT.
    fn check_uid(&self, scale: &Object, parent: &Object) -> Result<(), StatusError> {
        let (wanted, found) = (scale.uid(), parent.uid());
        if matches!(self.wish, Wish::Put { .. }) || wanted.is_empty() || wanted == found {
            return Ok(());
        }
        let mut resource = self.call.kind.group_resource();
        resource.resource.push_str("/scale");
        let why = format!(
            "Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}"
        );
        Err(StatusError::conflict(&resource, parent.name(), &why))
    }

    /// The scale as the client wants it.
    fn wished(&self, live: &Object) -> Result<(Object, Vec<String>), StatusError> {
        let BodyType { gvk, schema } = &self.body_type;
        let patch = match &self.wish {
            Wish::Put { scale, warnings } => return Ok((scale.clone(), warnings.clone())),
            Wish::Patch(patch) => patch,
        };
        let target = Target {
            gvk,
            schema,
            manager: ownership::manager_as(self.call, self.options, API_VERSION),
            reset: &[Path::new("status")],
            force: self.options.force.unwrap_or_default(),
        };
        let decoded = patch.outcome(Some(live), &target, self.options.field_validation)?;
        Ok((decoded.object, decoded.warnings))
    }
}

/// Source: `validation.ValidateScale`.
fn check(scale: &Object, name: &str) -> Result<(), StatusError> {
    let count = scale.int_at(&["spec", "replicas"]).unwrap_or_default();
    if count >= 0 {
        return Ok(());
    }
    let path = Path::new("spec").child("replicas");
    let error = FieldError::invalid(&path, count, "must be greater than or equal to 0");
    Err(StatusError::invalid("autoscaling", "Scale", name, &[error]))
}

/// The scale of an object.
fn scale_of(parent: &Object, paths: &Paths) -> Object {
    let at = |path: &[String]| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        parent.at(&path).cloned()
    };
    let number = |path: &[String]| {
        at(path)
            .and_then(|value| value.as_i64())
            .unwrap_or_default()
    };
    let mut scale = json!({"kind": "Scale", "apiVersion": API_VERSION, "metadata": {}, "spec": {},
        "status": {"replicas": number(&paths.status_replicas)}});
    for field in [
        "name",
        "namespace",
        "uid",
        "resourceVersion",
        "creationTimestamp",
    ] {
        if let Some(value) = parent.at(&["metadata", field]) {
            scale.set(&["metadata", field], value.clone());
        }
    }
    let count = number(&paths.spec_replicas);
    if count != 0 {
        scale.set(&["spec", "replicas"], count.into());
    }
    let selector = paths
        .selector
        .as_deref()
        .and_then(at)
        .map(|value| selector_text(&value));
    if let Some(selector) = selector.filter(|selector| !selector.is_empty()) {
        scale.set(&["status", "selector"], selector.into());
    }
    scale
}

/// A selector as text: `a=b,c in (d,e)`. Kinds store a label selector, a map of labels, or the text itself.
fn selector_text(selector: &Value) -> String {
    if let Some(text) = selector.as_str() {
        return text.to_owned();
    }
    let is_structured =
        selector.get("matchLabels").is_some() || selector.get("matchExpressions").is_some();
    let parsed = if is_structured {
        LabelSelector::from_object(Some(selector))
    } else {
        let labels = selector.as_object().into_iter().flatten();
        let labels = labels
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
            .collect();
        Some(LabelSelector::from_labels(&labels))
    };
    parsed
        .map(|selector| selector.to_string())
        .unwrap_or_default()
}
