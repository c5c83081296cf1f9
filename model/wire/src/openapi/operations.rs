//! Operations, derived from the kind table; the document versions only spell them differently.

use std::collections::BTreeSet;

use kinds::kind::Subresource;
use kinds::{Kind, Registry};
use meta::Gvk;

use super::components::{self, DELETE_OPTIONS, PATCH, STATUS, WATCH_EVENT};
use super::parameters::{self, Parameter};

mod discovery;

pub(super) use discovery::{ISSUER, KEYS};

const ANY: &[&str] = &["*/*"];
const OBJECTS: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];
const STREAMS: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
    "application/json;stream=watch",
    "application/vnd.kubernetes.protobuf;stream=watch",
];
const PATCHES: &[&str] = &[
    "application/json-patch+json",
    "application/merge-patch+json",
    "application/strategic-merge-patch+json",
    "application/apply-patch+yaml",
];
const LOGS: &[&str] = &[
    "text/plain",
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

/// What to do instead of the deprecated watch paths.
const INSTEAD: &str = "deprecated: use the 'watch' parameter with a list operation instead";

/// A path with what may be done there.
#[derive(Clone, Debug)]
pub(super) struct Path {
    /// The template, such as `/api/v1/namespaces/{namespace}/pods`.
    pub(super) template: String,
    /// Parameters of every operation.
    pub(super) parameters: Vec<Parameter>,
    pub(super) operations: Vec<Operation>,
}

/// One method of a path.
#[derive(Clone, Debug)]
pub(super) struct Operation {
    /// In lower case.
    pub(super) method: &'static str,
    pub(super) id: String,
    pub(super) description: String,
    pub(super) tag: String,
    /// `x-kubernetes-action`.
    pub(super) action: Option<&'static str>,
    /// `x-kubernetes-group-version-kind`.
    pub(super) gvk: Option<Gvk>,
    pub(super) consumes: &'static [&'static str],
    pub(super) produces: &'static [&'static str],
    pub(super) parameters: Vec<Parameter>,
    /// The body's component, and whether there must be one.
    pub(super) body: Option<(String, bool)>,
    pub(super) responses: Vec<(u16, Content)>,
}

/// What a response holds.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Component(String),
    Text,
}

impl Operation {
    /// The components that it names.
    pub(super) fn names(&self) -> Vec<String> {
        let contents = self
            .responses
            .iter()
            .filter_map(|(_, content)| match content {
                Content::Component(name) => Some(name.clone()),
                Content::Text => None,
            });
        let body = self.body.iter().map(|(name, _)| name.clone());
        body.chain(contents).collect()
    }
}

/// The name of a group version in the index: `api/v1`, `apis/apps/v1`.
pub(super) fn root(group: &str, version: &str) -> String {
    if group.is_empty() {
        format!("api/{version}")
    } else {
        format!("apis/{group}/{version}")
    }
}

/// The paths of one document: a group version's resources, or what discovers them.
pub(super) fn below(registry: &Registry, name: &str) -> Vec<Path> {
    let rows: Vec<&Kind> = registry
        .rows()
        .filter(|row| root(&row.group, &row.version) == name)
        .map(AsRef::as_ref)
        .collect();
    let mut paths = discovery::paths(name, rows.first().copied());
    for row in rows {
        Resource::new(registry, row).collect(&mut paths);
    }
    paths.sort_by(|left, right| left.template.cmp(&right.template));
    paths
}

/// All paths.
pub(super) fn all(registry: &Registry) -> Vec<Path> {
    let names = super::v3_names(registry);
    names
        .iter()
        .flat_map(|name| below(registry, name))
        .collect()
}

/// `rbac.authorization.k8s.io` -> `rbacAuthorization`; `core` for the core group.
pub(super) fn tag(group: &str) -> String {
    if group.is_empty() {
        return "core".into();
    }
    let stem = group.strip_suffix(".k8s.io").unwrap_or(group);
    let mut out = String::new();
    for (at, part) in stem.split('.').enumerate() {
        out.push_str(&if at == 0 {
            part.to_owned()
        } else {
            capital(part)
        });
    }
    out
}

/// With a capital first letter.
pub(super) fn capital(word: &str) -> String {
    let mut characters = word.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().chain(characters).collect()
    })
}

/// The kind with its article; plurals have none. Source: apiserver `GetArticleForNoun`.
fn a(kind: &str) -> String {
    if kind.ends_with('s') && !kind.ends_with("ss") {
        return kind.to_owned();
    }
    let vowels = ['A', 'E', 'I', 'O', 'U'];
    let article = if kind.starts_with(vowels) { "an" } else { "a" };
    format!("{article} {kind}")
}

/// One row on its way to paths.
struct Resource<'a> {
    registry: &'a Registry,
    row: &'a Kind,
    component: String,
    /// `CoreV1`.
    prefix: String,
    tag: String,
    verbs: BTreeSet<&'a str>,
}

impl<'a> Resource<'a> {
    fn new(registry: &'a Registry, row: &'a Kind) -> Self {
        let tag = tag(&row.group);
        Self {
            registry,
            row,
            component: components::of_row(row),
            prefix: format!("{}{}", capital(&tag), capital(&row.version)),
            tag: format!("{tag}_{}", row.version),
            verbs: row.verbs.iter().map(AsRef::as_ref).collect(),
        }
    }

    fn scope(&self) -> &'static str {
        if self.row.is_namespaced() {
            "Namespaced"
        } else {
            ""
        }
    }

    fn id(&self, verb: &str, rest: &str) -> String {
        format!("{verb}{}{rest}", self.prefix)
    }

    fn root(&self) -> String {
        format!("/{}", root(&self.row.group, &self.row.version))
    }

    /// The path of the collection, below a namespace when there are any.
    fn collection(&self, root: &str) -> String {
        let namespace = if self.row.is_namespaced() {
            "/namespaces/{namespace}"
        } else {
            ""
        };
        format!("{root}{namespace}/{}", self.row.plural)
    }

    fn path(&self, path: String, has_name: bool, mut more: Vec<Parameter>) -> Path {
        if has_name {
            more.push(parameters::name(&self.row.kind));
        }
        if path.contains("{namespace}") {
            more.push(parameters::namespace());
        }
        Path {
            template: path,
            parameters: more,
            operations: Vec::new(),
        }
    }

    fn operation(
        &self,
        method: &'static str,
        action: &'static str,
        id: String,
        description: String,
    ) -> Operation {
        Operation {
            method,
            id,
            description,
            tag: self.tag.clone(),
            action: Some(action),
            gvk: Some(self.row.gvk()),
            consumes: ANY,
            produces: OBJECTS,
            parameters: Vec::new(),
            body: None,
            responses: Vec::new(),
        }
    }

    fn collect(&self, paths: &mut Vec<Path>) {
        let pretty = || vec![parameters::pretty()];
        let mut add = |mut path: Path, operations: Vec<Operation>| {
            if !operations.is_empty() {
                path.operations = operations;
                paths.push(path);
            }
        };
        let collection = self.collection(&self.root());
        let item = format!("{collection}/{{name}}");
        add(self.path(collection, false, pretty()), self.on_collection());
        add(self.path(item.clone(), true, pretty()), self.on_item());
        if self.row.is_namespaced() && self.verbs.contains("list") {
            let everywhere = format!("{}/{}", self.root(), self.row.plural);
            let mut more = parameters::list();
            more.push(parameters::pretty());
            let id = self.id("list", &format!("{}ForAllNamespaces", self.row.kind));
            add(
                self.path(everywhere, false, more),
                vec![self.list(id, Vec::new())],
            );
        }
        for (path, has_name, operation) in self.watches() {
            let mut more = parameters::list();
            more.push(parameters::pretty());
            add(self.path(path, has_name, more), vec![operation]);
        }
        for sub in &self.row.subresources {
            for (path, operations) in self.subresource(sub, &item) {
                add(path, operations);
            }
        }
    }

    fn list(&self, id: String, parameters: Vec<Parameter>) -> Operation {
        let kind = &self.row.kind;
        let what = if self.verbs.contains("watch") {
            "list or watch"
        } else {
            "list"
        };
        let list = Content::Component(components::of_list(self.row));
        Operation {
            produces: STREAMS,
            parameters,
            responses: vec![(200, list)],
            ..self.operation("get", "list", id, format!("{what} objects of kind {kind}"))
        }
    }

    fn on_collection(&self) -> Vec<Operation> {
        let kind = &self.row.kind;
        let name = format!("{}{kind}", self.scope());
        let mut operations = Vec::new();
        if self.verbs.contains("list") {
            operations.push(self.list(self.id("list", &name), parameters::list()));
        }
        if self.verbs.contains("create") {
            let description = format!("create {}", a(kind));
            let id = self.id("create", &name);
            operations.push(Operation {
                parameters: parameters::write(),
                ..self.create(id, description, &self.component)
            });
        }
        if self.verbs.contains("deletecollection") {
            let id = self.id("delete", &format!("Collection{name}"));
            operations.push(Operation {
                parameters: parameters::delete_collection(),
                body: Some((DELETE_OPTIONS.into(), false)),
                responses: vec![(200, Content::Component(STATUS.into()))],
                ..self.operation(
                    "delete",
                    "deletecollection",
                    id,
                    format!("delete collection of {kind}"),
                )
            });
        }
        operations
    }

    fn create(&self, id: String, description: String, component: &str) -> Operation {
        let content = || Content::Component(component.to_owned());
        Operation {
            body: Some((component.to_owned(), true)),
            responses: vec![(200, content()), (201, content()), (202, content())],
            ..self.operation("post", "post", id, description)
        }
    }

    fn on_item(&self) -> Vec<Operation> {
        let kind = &self.row.kind;
        let name = format!("{}{kind}", self.scope());
        let subject = format!("the specified {kind}");
        let mut operations = self.read_write(&self.verbs, &name, "", &subject, &self.component);
        if self.verbs.contains("delete") {
            let content = || {
                Content::Component(if self.row.strategy.returns_deleted_object() {
                    self.component.clone()
                } else {
                    STATUS.into()
                })
            };
            let description = format!("delete {}", a(kind));
            let id = self.id("delete", &name);
            operations.push(Operation {
                parameters: parameters::delete(),
                body: Some((DELETE_OPTIONS.into(), false)),
                responses: vec![(200, content()), (202, content())],
                ..self.operation("delete", "delete", id, description)
            });
        }
        operations
    }

    /// GET, PUT and PATCH of an object or a subresource.
    fn read_write(
        &self,
        verbs: &BTreeSet<&str>,
        name: &str,
        part: &str,
        subject: &str,
        component: &str,
    ) -> Vec<Operation> {
        let content = || Content::Component(component.to_owned());
        let describe = |what: &str| format!("{what} {part}{subject}");
        let mut operations = Vec::new();
        if verbs.contains("get") {
            operations.push(Operation {
                responses: vec![(200, content())],
                ..self.operation("get", "get", self.id("read", name), describe("read"))
            });
        }
        if verbs.contains("update") {
            operations.push(Operation {
                parameters: parameters::write(),
                body: Some((component.to_owned(), true)),
                responses: vec![(200, content()), (201, content())],
                ..self.operation("put", "put", self.id("replace", name), describe("replace"))
            });
        }
        if verbs.contains("patch") {
            let description = describe("partially update");
            operations.push(Operation {
                consumes: PATCHES,
                parameters: parameters::patch(),
                body: Some((PATCH.into(), true)),
                responses: vec![(200, content()), (201, content())],
                ..self.operation("patch", "patch", self.id("patch", name), description)
            });
        }
        operations
    }

    fn watches(&self) -> Vec<(String, bool, Operation)> {
        if !self.verbs.contains("watch") {
            return Vec::new();
        }
        let (row, kind) = (self.row, &self.row.kind);
        let name = format!("{}{kind}", self.scope());
        let root = format!("{}/watch", self.root());
        let watch = |action, rest: &str, description: String| Operation {
            produces: STREAMS,
            responses: vec![(200, Content::Component(WATCH_EVENT.into()))],
            ..self.operation("get", action, self.id("watch", rest), description)
        };
        let of_list = || format!("watch individual changes to a list of {kind}. {INSTEAD}.");
        let one = format!(
            "watch changes to an object of kind {kind}. {INSTEAD}, filtered to a single item with the 'fieldSelector' parameter."
        );
        let collection = self.collection(&root);
        let item = format!("{collection}/{{name}}");
        let mut watches = vec![
            (
                collection,
                false,
                watch("watchlist", &format!("{name}List"), of_list()),
            ),
            (item, true, watch("watch", &name, one)),
        ];
        if row.is_namespaced() {
            let rest = format!("{kind}ListForAllNamespaces");
            let everywhere = format!("{root}/{}", row.plural);
            watches.push((everywhere, false, watch("watchlist", &rest, of_list())));
        }
        watches
    }

    fn subresource(&self, sub: &Subresource, item: &str) -> Vec<(Path, Vec<Operation>)> {
        let path = format!("{item}/{}", sub.name);
        let verbs: BTreeSet<&str> = sub.verbs.iter().map(AsRef::as_ref).collect();
        let options = sub
            .body
            .as_ref()
            .filter(|body| body.kind.ends_with("Options"));
        if let Some(body) = options {
            return self.connects(sub, body, path, &verbs);
        }
        let kind = &self.row.kind;
        if sub.name == "log" {
            let mut more = parameters::options("io.k8s.api.core.v1.PodLogOptions");
            more.push(parameters::pretty());
            let id = self.id("read", &format!("{}{kind}Log", self.scope()));
            let operation = Operation {
                produces: LOGS,
                responses: vec![(200, Content::Text)],
                ..self.operation(
                    "get",
                    "get",
                    id,
                    format!("read log of the specified {kind}"),
                )
            };
            return vec![(self.path(path, true, more), vec![operation])];
        }
        let component = match &sub.body {
            Some(body) => components::of_body(self.registry, body),
            None => self.component.clone(),
        };
        let name = format!("{}{kind}{}", self.scope(), capital(&sub.name));
        let part = format!("{} of ", sub.name);
        let subject = format!("the specified {kind}");
        let mut operations = self.read_write(&verbs, &name, &part, &subject, &component);
        let mut more = vec![parameters::pretty()];
        if verbs.contains("create") {
            let description = format!("create {} of {}", sub.name, a(kind));
            more.extend(parameters::write());
            operations.push(self.create(self.id("create", &name), description, &component));
        }
        if let Some(body) = &sub.body {
            for operation in &mut operations {
                operation.gvk = Some(body.clone());
            }
        }
        vec![(self.path(path, true, more), operations)]
    }

    /// Streams and proxies, by every method.
    fn connects(
        &self,
        sub: &Subresource,
        body: &Gvk,
        path: String,
        verbs: &BTreeSet<&str>,
    ) -> Vec<(Path, Vec<Operation>)> {
        let methods: &[&'static str] = if verbs.contains("delete") {
            &["delete", "get", "head", "options", "patch", "post", "put"]
        } else {
            &["get", "post"]
        };
        let kind = &self.row.kind;
        let options = parameters::options(&components::of_body(self.registry, body));
        let operations = |suffix: &str| -> Vec<Operation> {
            let operation = |method: &&'static str| {
                let name = format!("{}{kind}{}{suffix}", self.scope(), capital(&sub.name));
                let id = self.id("connect", &format!("{}{name}", capital(method)));
                let upper = method.to_uppercase();
                let description = format!("connect {upper} requests to {} of {kind}", sub.name);
                Operation {
                    gvk: Some(body.clone()),
                    produces: ANY,
                    responses: vec![(200, Content::Text)],
                    ..self.operation(method, "connect", id, description)
                }
            };
            methods.iter().map(operation).collect()
        };
        let below = format!("{path}/{{path}}");
        let mut all = vec![(self.path(path, true, options.clone()), operations(""))];
        if sub.name == "proxy" {
            let mut more = options;
            more.push(parameters::rest());
            all.push((self.path(below, true, more), operations("WithPath")));
        }
        all
    }
}
