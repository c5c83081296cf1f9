//! Which kinds to follow: those of workloads, those that explain them, and custom resources.

use std::borrow::Cow;
use std::time::Duration;

use client::rest::Rest;
use meta::{GroupResource, ObjectExt, Resource};
use serde_json::Value;

use crate::error::StatusError;

/// What a kind is followed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    /// Workloads, and parts of them.
    Workload,
    /// Pods; bare ones are workloads too.
    Pod,
    /// Nodes.
    Node,
    /// Events.
    Event,
}

/// A kind to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Followed {
    /// Where it is served.
    pub resource: Resource,
    /// What for.
    pub role: Role,
    /// Whether its objects are shown when nothing is named.
    pub is_shown: bool,
}

/// A kind that the cluster serves.
#[derive(Clone, Debug)]
pub(crate) struct Served {
    resource: Resource,
    singular: String,
    short_names: Vec<String>,
    can_watch: bool,
    has_scale: bool,
}

impl Served {
    fn followed(&self, role: Role, is_shown: bool) -> Followed {
        Followed {
            resource: self.resource.clone(),
            role,
            is_shown,
        }
    }

    /// Its name without a version.
    pub(crate) fn group_resource(&self) -> GroupResource {
        self.resource.group_resource()
    }
}

/// The workload kinds that every cluster has, in the order in which they are shown.
const WORKLOADS: [(&str, &str); 7] = [
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("batch", "CronJob"),
    ("batch", "Job"),
    ("apps", "ReplicaSet"),
    ("", "ReplicationController"),
];

/// How long one API group may take to say what it serves.
const GROUP_ANSWER_SECONDS_MAX: u64 = 10;

/// Custom workloads that have no `scale` subresource.
const CUSTOM_WORKLOADS: [&str; 3] = ["BroadcastJob", "AdvancedCronJob", "DaemonSet"];

/// Whether a group is Kubernetes' own, so that its kinds are no custom resources.
pub(crate) fn is_built_in_group(group: &str) -> bool {
    matches!(
        group,
        "" | "apps" | "batch" | "autoscaling" | "policy" | "extensions"
    ) || group.ends_with(".k8s.io")
}

/// Everything that the cluster serves, in preferred versions; the groups that did not answer.
pub(crate) async fn served(rest: &Rest) -> Result<(Vec<Served>, Vec<String>), StatusError> {
    let groups = rest
        .get_path("/apis")
        .await
        .map_err(StatusError::from_client)?;
    let mut paths = vec![("/api/v1".to_owned(), "v1".to_owned())];
    for group in groups.list_at(&["groups"]) {
        if let Some(version) = group.str_at(&["preferredVersion", "groupVersion"]) {
            paths.push((format!("/apis/{version}"), version.to_owned()));
        }
    }
    // A group is often served by somebody else behind the API server; one that hangs must not keep the
    // others from being read.
    let limit = Duration::from_secs(GROUP_ANSWER_SECONDS_MAX);
    let answers = paths
        .iter()
        .map(|(path, _)| tokio::time::timeout(limit, rest.get_path(path)));
    let answers = futures::future::join_all(answers).await;
    let (mut served, mut silent) = (Vec::new(), Vec::new());
    for ((_, version), answer) in paths.iter().zip(answers) {
        match answer {
            Ok(Ok(list)) => served.extend(read(&list, version)),
            Ok(Err(_)) | Err(_) => silent.push(version.clone()),
        }
    }
    Ok((served, silent))
}

fn read(list: &Value, group_version: &str) -> Vec<Served> {
    let Some((group, version)) = meta::id::split_api_version(group_version) else {
        return Vec::new();
    };
    let entries = list.list_at(&["resources"]);
    let name_of = |entry: &'_ Value| entry.str_at(&["name"]).unwrap_or_default().to_owned();
    let scaled: Vec<String> = entries
        .iter()
        .filter_map(|entry| name_of(entry).strip_suffix("/scale").map(str::to_owned))
        .collect();
    entries
        .iter()
        .filter(|entry| !name_of(entry).contains('/'))
        .filter_map(|entry| {
            let plural = name_of(entry);
            let texts = |field: &str| {
                let list = entry.list_at(&[field]).iter();
                list.filter_map(Value::as_str)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            };
            let verbs = texts("verbs");
            Some(Served {
                singular: entry
                    .str_at(&["singularName"])
                    .unwrap_or_default()
                    .to_owned(),
                short_names: texts("shortNames"),
                can_watch: verbs.iter().any(|verb| verb == "list")
                    && verbs.iter().any(|verb| verb == "watch"),
                has_scale: scaled.contains(&plural),
                resource: Resource {
                    group: Cow::Owned(group.to_owned()),
                    plural: Cow::Owned(plural),
                    version: Cow::Owned(version.to_owned()),
                    kind: Cow::Owned(entry.str_at(&["kind"])?.to_owned()),
                    is_namespaced: entry.bool_at(&["namespaced"]).unwrap_or_default(),
                },
            })
        })
        .collect()
}

/// What a user names: a kind, and maybe one object of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Index into the plan.
    pub kind: usize,
    /// `None`: all of the kind.
    pub name: Option<String>,
    /// As given.
    pub given: String,
}

/// The kinds to follow.
#[derive(Clone, Debug)]
pub struct Plan {
    /// In the order in which they are shown.
    pub followed: Vec<Followed>,
    /// What the user named.
    pub targets: Vec<Target>,
}

/// Chooses the kinds to follow for what a user named; everything when `named` is empty.
///
/// # Errors
/// A named kind is not served, or has no state.
pub(crate) fn plan(served: &[Served], named: &[String]) -> Result<Plan, StatusError> {
    let mut followed = Vec::new();
    let find = |group: &str, kind: &str| {
        served
            .iter()
            .find(|each| each.resource.group == group && each.resource.kind == kind)
    };
    for (group, kind) in WORKLOADS {
        if let Some(served) = find(group, kind) {
            followed.push(served.followed(Role::Workload, true));
        }
    }
    followed.extend(custom(served));
    let mut add = |served: &Served, role: Role, is_shown: bool| {
        followed.push(served.followed(role, is_shown));
    };
    for (group, kind, role) in [
        ("", "Pod", Role::Pod),
        ("", "Node", Role::Node),
        ("", "Event", Role::Event),
    ] {
        if let Some(served) = find(group, kind) {
            add(served, role, role == Role::Pod);
        }
    }
    let targets = named
        .iter()
        .map(|given| target(served, &mut followed, given))
        .collect::<Result<_, _>>()?;
    Ok(Plan { followed, targets })
}

/// The kinds of custom workloads: those that can be scaled, and some that run without.
pub(crate) fn custom(served: &[Served]) -> Vec<Followed> {
    let custom = served.iter().filter(|each| {
        let resource = &each.resource;
        let is_workload = each.has_scale || CUSTOM_WORKLOADS.contains(&&*resource.kind);
        !is_built_in_group(&resource.group)
            && resource.is_namespaced
            && each.can_watch
            && is_workload
    });
    custom
        .map(|served| served.followed(Role::Workload, true))
        .collect()
}

fn target(
    served: &[Served],
    followed: &mut Vec<Followed>,
    given: &str,
) -> Result<Target, StatusError> {
    let (kind, name) = match given.split_once('/') {
        Some((kind, name)) => (kind, Some(name).filter(|name| !name.is_empty())),
        None => (given, None),
    };
    let found = resolve(served, kind).ok_or_else(|| StatusError::Kind {
        kind: kind.to_owned(),
    })?;
    let known = followed
        .iter()
        .position(|each| each.resource == found.resource);
    let index = match known {
        Some(index) => index,
        None if is_built_in_group(&found.resource.group) || !found.can_watch => {
            return Err(StatusError::NotAWorkload {
                kind: kind.to_owned(),
            });
        }
        None => {
            followed.push(Followed {
                resource: found.resource.clone(),
                role: Role::Workload,
                is_shown: false,
            });
            followed.len() - 1
        }
    };
    let has_state = followed
        .get(index)
        .is_some_and(|each| matches!(each.role, Role::Workload | Role::Pod));
    if !has_state {
        return Err(StatusError::NotAWorkload {
            kind: kind.to_owned(),
        });
    }
    Ok(Target {
        kind: index,
        name: name.map(str::to_owned),
        given: given.to_owned(),
    })
}

/// A served kind by what kubectl accepts: kind, singular, plural, short name, each maybe with a group.
fn resolve<'a>(served: &'a [Served], given: &str) -> Option<&'a Served> {
    let given = given.to_lowercase();
    let names = |each: &Served| {
        let mut names = vec![
            each.resource.kind.to_lowercase(),
            each.resource.plural.to_string(),
            each.singular.clone(),
        ];
        names.extend(each.short_names.iter().cloned());
        names
    };
    let with_group = |each: &&Served| {
        names(each)
            .iter()
            .any(|name| format!("{name}.{}", each.resource.group) == given)
    };
    let bare = |each: &&Served| names(each).contains(&given);
    // Kubernetes' own kinds first, as in kubectl; a name with a group is never ambiguous.
    served
        .iter()
        .find(|each| bare(each) && is_built_in_group(&each.resource.group))
        .or_else(|| served.iter().find(bare))
        .or_else(|| served.iter().find(with_group))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cluster() -> Vec<Served> {
        let verbs = json!(["get", "list", "watch"]);
        let mut served = read(
            &json!({"resources": [
                {"name": "pods", "singularName": "pod", "kind": "Pod", "namespaced": true, "verbs": verbs, "shortNames": ["po"]},
                {"name": "pods/log", "kind": "Pod", "namespaced": true, "verbs": ["get"]},
                {"name": "nodes", "kind": "Node", "namespaced": false, "verbs": verbs},
                {"name": "secrets", "kind": "Secret", "namespaced": true, "verbs": verbs}]}),
            "v1",
        );
        served.extend(read(
            &json!({"resources": [
                {"name": "deployments", "singularName": "deployment", "kind": "Deployment", "namespaced": true,
                 "verbs": verbs, "shortNames": ["deploy"]}]}),
            "apps/v1",
        ));
        served.extend(read(
            &json!({"resources": [
                {"name": "boats", "singularName": "boat", "kind": "Boat", "namespaced": true, "verbs": verbs},
                {"name": "boats/scale", "kind": "Scale", "namespaced": true, "verbs": ["get"]},
                {"name": "ports", "kind": "Port", "namespaced": true, "verbs": verbs}]}),
            "sea.example/v1",
        ));
        served
    }

    fn shown(plan: &Plan) -> Vec<&str> {
        let shown = plan.followed.iter().filter(|each| each.is_shown);
        shown.map(|each| &*each.resource.kind).collect()
    }

    #[test]
    fn scalable_custom_resources_are_workloads() {
        assert_eq!(
            shown(&plan(&cluster(), &[]).unwrap()),
            ["Deployment", "Boat", "Pod"]
        );
    }

    #[test]
    fn kinds_are_named_as_in_kubectl() {
        let served = cluster();
        for given in [
            "deploy/web",
            "Deployment/web",
            "deployments/web",
            "deployments.apps/web",
        ] {
            let plan = plan(&served, &[given.to_owned()]).unwrap();
            assert_eq!(
                &*plan.followed[plan.targets[0].kind].resource.kind, "Deployment",
                "{given}"
            );
            assert_eq!(plan.targets[0].name.as_deref(), Some("web"));
        }
        let plan = plan(&served, &["ports".to_owned()]).unwrap();
        assert_eq!(&*plan.followed[plan.targets[0].kind].resource.kind, "Port");
    }

    #[test]
    fn what_is_not_served_or_has_no_state_is_refused() {
        let served = cluster();
        let refused = |given: &str| plan(&served, &[given.to_owned()]).unwrap_err();
        assert!(matches!(refused("ships/a"), StatusError::Kind { .. }));
        assert!(matches!(
            refused("secret/a"),
            StatusError::NotAWorkload { .. }
        ));
        assert!(matches!(refused("node"), StatusError::NotAWorkload { .. }));
    }
}
