//! Expressions of policies and webhooks: what they may name, what must come out, what is said when they are wrong.
//! Source: k8s.io/apiserver/pkg/admission/plugin/cel.

use std::sync::LazyLock;

use cel::{Env, Type};
use meta::FieldError;
use serde_json::Value;

use crate::check::{Errors, Node, is_enough_said};

/// The type of a policy's variables.
const VARIABLES: &str = "kubernetes.variables";

/// What every expression may name.
static COMMON: LazyLock<Env> = LazyLock::new(|| {
    request(namespace(Env::new()))
        .variable("object", Type::Dyn)
        .variable("oldObject", Type::Dyn)
});

/// What may come out of an expression.
#[derive(Clone, Copy)]
pub(super) enum Wanted {
    /// Whatever it is.
    Anything,
    /// `true` or `false`.
    Bool,
    /// A text.
    Text,
    /// A text or `null`.
    TextOrNull,
    /// An object to apply.
    Object,
    /// Operations of a JSON patch.
    Patch,
}

/// What one expression may name besides.
#[derive(Clone, Copy, Default)]
pub(super) struct Named {
    /// Whether there are parameters.
    pub(super) params: bool,
    /// Whether the authorizer may be asked.
    pub(super) authorizer: bool,
    /// Whether there are the types that patches are written with.
    pub(super) patches: bool,
}

/// The expressions of one policy.
#[derive(Default)]
pub(super) struct Expressions {
    /// The types of the variables so far; none when the policy has no variables.
    variables: Option<Vec<(String, Type)>>,
}

impl Expressions {
    /// Those of a policy, which may have variables.
    pub(super) fn of(spec: &Node<'_>, always: bool) -> Self {
        let has_variables = always || spec.has_items("variables");
        Self {
            variables: has_variables.then(Vec::new),
        }
    }

    fn env(&self, named: Named) -> Env {
        let mut env = COMMON.clone();
        if named.params {
            env = env.variable("params", Type::Dyn);
        }
        if named.authorizer {
            let of = |name: &str| Type::named(&format!("kubernetes.authorization.{name}"));
            env = env
                .variable("authorizer", of("Authorizer"))
                .variable("authorizer.requestResource", of("ResourceCheck"));
        }
        if named.patches {
            env = env.patches();
        }
        if let Some(variables) = &self.variables {
            env = env.variable("variables", Type::named(VARIABLES));
            env = env.message(VARIABLES, &[]);
            for (name, of) in variables {
                env.add_field(VARIABLES, name, of.clone());
            }
        }
        env
    }

    /// What comes out of the expression in a field, or what is wrong with it. `text` is what is read, which may be the
    /// field without the white space around.
    pub(super) fn compile(
        &self,
        (holder, field): (&Node<'_>, &str),
        (text, shown): (&str, &str),
        named: Named,
        wanted: Wanted,
        errors: &mut Errors,
    ) -> Option<Type> {
        if is_enough_said(errors) {
            return None;
        }
        let path = holder.at(field);
        let mut refuse = |why| errors.push(FieldError::invalid(&path, Value::from(shown), why));
        let checked = match self.env(named).compile(text) {
            Ok(checked) => checked,
            Err(mistakes) => {
                refuse(format!("compilation failed: {mistakes}"));
                return None;
            }
        };
        let found = checked.output();
        if let Some(why) = wanted.complaint(found) {
            refuse(why);
        } else if let Some(why) = checked.obstacle() {
            let why = format!("program instantiation failed: {why}");
            errors.push(FieldError::internal(&path, why));
        } else {
            return Some(found.clone());
        }
        None
    }

    /// Makes a variable known to the expressions after it.
    pub(super) fn declare(&mut self, name: &str, of: Option<&Type>) {
        let of = of.map_or(Type::Dyn, stored);
        if let Some(variables) = &mut self.variables {
            variables.push((name.to_owned(), of));
        }
    }
}

/// The type that a variable keeps. Source: `convertCelTypeToDeclType`.
fn stored(found: &Type) -> Type {
    match found {
        Type::List(of) => Type::list(stored(of)),
        Type::Map(pair) => Type::map(stored(&pair.0), stored(&pair.1)),
        Type::Any
        | Type::Bool
        | Type::Bytes
        | Type::Double
        | Type::Duration
        | Type::Int
        | Type::Null
        | Type::String
        | Type::Timestamp
        | Type::Uint => found.clone(),
        _ => Type::Dyn,
    }
}

impl Wanted {
    fn types(self) -> Vec<Type> {
        match self {
            Self::Anything => Vec::new(),
            Self::Bool => vec![Type::Bool],
            Self::Text => vec![Type::String],
            Self::TextOrNull => vec![Type::String, Type::Null],
            Self::Object => vec![Type::named("Object")],
            Self::Patch => vec![Type::list(Type::named("JSONPatch"))],
        }
    }
    fn complaint(self, found: &Type) -> Option<String> {
        let wanted = self.types();
        match wanted.as_slice() {
            [] => None,
            many if many.contains(found) => None,
            [one] => Some(format!("must evaluate to {one} but got {found}")),
            many => {
                let names: Vec<String> = many.iter().map(Type::to_string).collect();
                Some(format!(
                    "must evaluate to one of [{}] but got {found}",
                    names.join(" ")
                ))
            }
        }
    }
}

/// The request that is decided on. Source: `BuildRequestType`.
fn request(env: Env) -> Env {
    let text = || Type::String;
    let kind = || Type::named("kubernetes.GroupVersionKind");
    let resource = || Type::named("kubernetes.GroupVersionResource");
    let names = |last| [("group", text()), ("version", text()), (last, text())];
    env.variable("request", Type::named("kubernetes.AdmissionRequest"))
        .message("kubernetes.GroupVersionKind", &names("kind"))
        .message("kubernetes.GroupVersionResource", &names("resource"))
        .message(
            "kubernetes.UserInfo",
            &[
                ("username", text()),
                ("uid", text()),
                ("groups", Type::list(text())),
                ("extra", Type::map(text(), Type::list(text()))),
            ],
        )
        .message(
            "kubernetes.AdmissionRequest",
            &[
                ("kind", kind()),
                ("resource", resource()),
                ("subResource", text()),
                ("requestKind", kind()),
                ("requestResource", resource()),
                ("requestSubResource", text()),
                ("name", text()),
                ("namespace", text()),
                ("operation", text()),
                ("userInfo", Type::named("kubernetes.UserInfo")),
                ("dryRun", Type::Bool),
                ("options", Type::Dyn),
            ],
        )
}

/// The namespace of what is decided on. Source: `BuildNamespaceType`.
fn namespace(env: Env) -> Env {
    let (text, texts) = (|| Type::String, || Type::list(Type::String));
    let labels = || Type::map(Type::String, Type::String);
    env.variable("namespaceObject", Type::named("kubernetes.Namespace"))
        .message("kubernetes.NamespaceSpec", &[("finalizers", texts())])
        .message(
            "kubernetes.NamespaceCondition",
            &[
                ("status", text()),
                ("type", text()),
                ("lastTransitionTime", Type::Timestamp),
                ("message", text()),
                ("reason", text()),
            ],
        )
        .message(
            "kubernetes.NamespaceStatus",
            &[
                (
                    "conditions",
                    Type::list(Type::named("kubernetes.NamespaceCondition")),
                ),
                ("phase", text()),
            ],
        )
        .message(
            "kubernetes.NamespaceMetadata",
            &[
                ("name", text()),
                ("generateName", text()),
                ("namespace", text()),
                ("labels", labels()),
                ("annotations", labels()),
                ("UID", text()),
                ("creationTimestamp", Type::Timestamp),
                ("deletionGracePeriodSeconds", Type::Int),
                ("deletionTimestamp", Type::Timestamp),
                ("generation", Type::Int),
                ("resourceVersion", text()),
                ("finalizers", texts()),
            ],
        )
        .message(
            "kubernetes.Namespace",
            &[
                ("metadata", Type::named("kubernetes.NamespaceMetadata")),
                ("spec", Type::named("kubernetes.NamespaceSpec")),
                ("status", Type::named("kubernetes.NamespaceStatus")),
            ],
        )
}
